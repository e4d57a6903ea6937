"""The studies as they are run: once from the command line in full, once interrupted and continued."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import study_runs
import xarray as xr
from PIL import Image

from invtransfer import TRANSFORMATIONS, SensitivityScorer
from invtransfer.cubes.files import read
from invtransfer.cubes.running import cell_id
from invtransfer.paper import protocol
from invtransfer.paper.protocol import CIFAR_PROTOCOL, PROTOCOL, check_sizes

STUDIES = Path(__file__).resolve().parent.parent / "studies"
LEVELS = {
    "class_relation": ["subset", "disjoint"],
    "architecture": ["resnet18", "vgg11"],
    "n_samples": ["64", "128"],
    "n_probe": ["50", "128"],
    "reference": ["untrained", "no transformations"],
}
FACTORS = [(name, level) for name, levels in LEVELS.items() for level in levels]
DEFAULTS = ("class_relation=disjoint", "architecture=vgg11", "n_samples=128", "n_probe=128")
SMALLER = [  # than the smoke preset, which takes all class relations and networks
    *study_runs.options({"architecture": "vgg11", "epochs": 1, "n_pairs": 8}),
    "--class-relation-levels", "subset", "disjoint", "--architecture-levels", "resnet18", "vgg11",
]  # fmt: skip
PART = ("class_relation=disjoint", "architecture=resnet18")  # with both relations 4 of the 10 cells
MEASURE_FEW = partial(SensitivityScorer, transformations=("h_flip", "hue", "blur"))  # where others would show no more


def start(script, *arguments, **more):
    """Start a study as from the command line, with warnings as errors, also in its processes."""
    command = [sys.executable, "-W", "error", script, "--preset", "smoke", *SMALLER, *arguments]
    listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # also where these tests run in the background
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=listen, **more
    )


def finish(process):
    output, error = process.communicate(timeout=300)
    return process.returncode, output, error


def files(folder):
    """What the files of a folder are: rewritten ones have another inode."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("[!.]*.nc")}


def without_time(cube):
    attributes = {name: value for name, value in cube.attrs.items() if name != "date_created"}
    return cube.drop_attrs(deep=False).assign_attrs(attributes)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """Run a small study once, as a reader would."""
    out = tmp_path_factory.mktemp("smoke") / "cubes" / "factors.nc"
    code, output, error = finish(start(STUDIES / "factors.py", "--jobs", "1", "--out", out))
    assert code == 0, error
    return out, output, error


@pytest.fixture
def factors(monkeypatch):
    """Return the study as a module."""
    monkeypatch.syspath_prepend(STUDIES)
    return import_module("factors")


def run(factors, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["factors.py", "--preset", "smoke", "--jobs", "1", *SMALLER, *map(str, arguments)])
    factors.main()


def test_cube_has_the_grid_as_labels(smoke):
    cube = read(smoke[0])
    assert cube.sizes == {"factor": 10, "relation": 2, "seed": 1, "transformation": 18}
    assert cube.factor.values.tolist() == [f"{name}={level}" for name, level in FACTORS]
    assert cube.factor_name.values.tolist() == [name for name, _ in FACTORS]
    assert cube.level.values.tolist() == [level for _, level in FACTORS]
    assert cube.relation.values.tolist() == ["same", "disjoint"]
    assert cube.seed.values.tolist() == [0]
    assert cube.transformation.values.tolist() == list(TRANSFORMATIONS)
    assert cube.category.values.tolist() == [each.category for each in TRANSFORMATIONS.values()]


def test_every_variable_explains_itself(smoke):
    cube = read(smoke[0])
    grid = ("factor", "relation", "seed")
    scores = {"source_accuracy", "transfer_accuracy", "composed_sensitivity"} | study_runs.STATE
    of_transformations = {
        "sensitivity", "sensitivity_low", "sensitivity_high", "source_transformation", "target_transformation"
    }  # fmt: skip
    assert set(cube.data_vars) == scores | of_transformations
    for name, variable in cube.data_vars.items():
        assert variable.dims == (grid if name in scores else (*grid, "transformation"))
        assert variable.attrs["long_name"], name
        assert variable.attrs["units"] == "1"
    assert len({variable.attrs["long_name"] for variable in cube.data_vars.values()}) == len(cube.data_vars)


def test_all_cells_are_done_and_their_numbers_possible(smoke):
    cube = read(smoke[0])
    assert (cube.status == 1).all()
    assert (cube.message == "").all()
    for name in ("source_accuracy", "transfer_accuracy"):
        assert ((cube[name] >= 0) & (cube[name] <= 1)).all()
        np.testing.assert_array_equal(cube[name] * 128 % 1, 0)  # of 128 images
    assert (cube.sensitivity_low <= cube.sensitivity).all()
    assert (cube.sensitivity <= cube.sensitivity_high).all()
    assert cube.sensitivity.std() > 0


def test_relations_share_transformations_or_do_not(smoke):
    cube = read(smoke[0])
    assert (cube.target_transformation.groupby("category").sum() == 1).all()
    assert (cube.target_transformation == cube.target_transformation.isel(factor=0, relation=0)).all()
    references = cube.isel(factor=cube.factor_name.values == "reference")
    assert not references.source_transformation.any()
    pairs = cube.isel(factor=cube.factor_name.values != "reference")
    source, target = pairs.source_transformation, pairs.target_transformation
    assert (source.groupby("category").sum() == 1).all()
    assert (source == target).sel(relation="same").all()
    assert not (source * target).sel(relation="disjoint").any()


def test_places_of_one_cell_hold_the_same_numbers(smoke):
    cube = read(smoke[0])
    same = cube.sel(factor=list(DEFAULTS))
    for i in (1, 2, 3):
        for name, variable in same.data_vars.items():
            np.testing.assert_array_equal(variable.isel(factor=i), variable.isel(factor=0), err_msg=name)
    fewer = cube.sel(factor="n_probe=50")  # of the same encoder, another probe
    assert (fewer.cell == same.cell.isel(factor=0)).all()
    assert (fewer.transfer_accuracy != same.transfer_accuracy.isel(factor=0)).any()
    references = cube.isel(factor=cube.factor_name.values == "reference")
    for name, variable in references.data_vars.items():
        np.testing.assert_array_equal(variable.sel(relation="same"), variable.sel(relation="disjoint"), err_msg=name)
    # class_relation 2 * 2, architecture and n_samples 2 each without the default, 2 references
    assert len(files(smoke[0].with_suffix(".cells"))) == np.unique(cube.cell).size == 4 + 2 + 2 + 2


def test_attributes_say_how_the_numbers_came_about(smoke):
    attributes = read(smoke[0]).attrs
    assert set(attributes) == {
        "title", "study", "Conventions", "settings", "paper_settings", "versions", "origins", "git_commit",
        "git_state", "hardware", "date_created", "references", "threads",
    }  # fmt: skip
    settings, paper = json.loads(attributes["settings"]), json.loads(attributes["paper_settings"])
    assert (settings["dataset"], settings["objects"]) == ("transforms2d", "procedural")
    assert settings["levels"] == {
        "class_relation": LEVELS["class_relation"], "architecture": LEVELS["architecture"],
        "n_samples": [64, 128], "n_probe": [50, 128],
    }  # fmt: skip
    assert "seeds" not in settings  # a run with more seeds contains one with fewer
    assert settings.keys() == paper.keys() - {"seeds"}
    assert (paper["epochs"], paper["objects"]) == (50, "tillspeicher/transforms_2d_base")
    assert attributes["threads"] == 1


def test_terminal_and_folder(smoke):
    out, output, error = smoke
    lines = output.splitlines()
    header = next(line for line in lines if line.startswith("factor")).split("  ")
    assert [word.strip() for word in header if word] == [
        "factor", "within disjoint", "same minus disjoint", "within same", "invariance matters"
    ]  # fmt: skip
    for name in ("class_relation", "architecture", "n_samples", "n_probe"):
        row = next(line for line in lines if line.startswith(name))
        assert row.count("±") == 3
        assert row.endswith(("more than it", "less than it"))
    for name in LEVELS["reference"]:
        assert any(line.startswith(name) and "transfer accuracy 0." in line for line in lines)
    assert "nan" not in output
    assert f"cube    {out}" in lines
    assert f"figure  {out.with_suffix('.png')}" in lines
    assert "10/10" in error
    with Image.open(out.with_suffix(".png")) as figure:
        assert min(figure.size) > 500
    assert sorted(os.listdir(out.parent)) == ["factors.cells", "factors.log", "factors.nc", "factors.png"]


def test_second_run_computes_nothing(smoke, factors, monkeypatch):
    out = smoke[0]
    before, cube = files(out.with_suffix(".cells")), read(out)
    monkeypatch.setattr(factors, "cell", dict)  # whose results could not be written
    run(factors, monkeypatch, "--out", out)
    assert files(out.with_suffix(".cells")) == before
    again = read(out)
    xr.testing.assert_identical(again.drop_attrs(deep=False), cube.drop_attrs(deep=False))
    assert without_time(again).attrs == without_time(cube).attrs


def test_other_settings_are_refused(smoke, factors, monkeypatch, capsys):
    out = smoke[0]
    whole = out.read_bytes()
    with pytest.raises(SystemExit) as exit:
        run(factors, monkeypatch, "--out", out, "--epochs", "3")
    assert exit.value.code == 2
    assert "belongs to other settings (epochs differ)" in capsys.readouterr().err
    assert out.read_bytes() == whole


@pytest.mark.slow  # test_kills interrupts a study of toys
def test_interrupted_run_continues_in_one_process_to_the_same_numbers(smoke, factors, tmp_path, monkeypatch, capsys):
    out = tmp_path / "cube.nc"
    folder = out.with_suffix(".cells")
    process = start(STUDIES / "factors.py", "--jobs", "2", "--out", out, "--only", *PART, start_new_session=True)
    deadline = time.monotonic() + 120
    while not files(folder) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # what Ctrl-C does
    code, _, error = finish(process)
    before = files(folder)
    assert code == 1, error
    assert 1 <= len(before) <= 3
    last = error.rstrip().splitlines()[-1]
    assert last == f"interrupted: {len(before)} of 4 cells are in {folder}; the same command continues from there"
    assert "Traceback" not in error
    assert not out.exists()

    run(factors, monkeypatch, "--out", out, "--only", *PART)
    assert f"{len(before)}/4" in capsys.readouterr().err
    after = files(folder)
    assert len(after) == 4
    assert {name: after[name] for name in before} == before

    cube = read(out)
    undisturbed = read(smoke[0]).sel(factor=list(PART))
    assert undisturbed.sizes == cube.sizes
    xr.testing.assert_identical(
        without_time(cube).drop_attrs(deep=False), without_time(undisturbed).drop_attrs(deep=False)
    )


def test_unwritable_path_is_found_before_the_first_cell(factors, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    calls = []
    monkeypatch.setattr(factors, "cell", lambda **arguments: calls.append(arguments))
    with pytest.raises(SystemExit) as exit:
        run(factors, monkeypatch, "--out", tmp_path / "file" / "cube.nc")
    assert exit.value.code == 2
    assert f"factors.py: cannot write {tmp_path / 'file' / 'cube.nc'}: " in capsys.readouterr().err
    assert calls == []
    assert os.listdir(tmp_path) == ["file"]


def test_too_few_objects_are_said_in_one_line(factors, tmp_path, monkeypatch, capsys):
    for category in ("apple", "car"):
        (tmp_path / "objects" / "foregrounds" / category).mkdir(parents=True)
        Image.new("RGBA", (8, 8), "red").save(tmp_path / "objects" / "foregrounds" / category / "1.png")
    with pytest.raises(SystemExit) as exit:
        run(factors, monkeypatch, "--objects", tmp_path / "objects", "--out", tmp_path / "cube.nc")
    assert exit.value.code == 2
    assert capsys.readouterr().err == "factors.py: n_classes is 4: source and target need 8 classes, there are 2\n"
    assert os.listdir(tmp_path) == ["objects"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--objects", "{folder}/none"], 'none\', expected "procedural", "random" or an existing folder'),
        (["--objects", "{folder}"], "expected foregrounds/<category> in it, found nothing"),
        (["--dataset", "cifar10", "--objects", "{folder}"], "--objects is for --dataset transforms2d"),
        (["--only", "depth"], "--only is 'depth', expected labels of this study: class_relation=subset, "),
        (["--only", "disjoint"], "--only is 'disjoint', expected level=disjoint or relation=disjoint"),
        (["--architecture-levels", "resnet81"], "argument --architecture-levels: invalid choice: 'resnet81'"),
        (["--n-probe-levels", "3", "128"], "n_probe is 3, expected at least one sample of each of 4 classes"),
        (["--width", "-1"], "argument --width: is '-1', expected a number of at least 0"),
        (["--n-classes", "31"], "n_classes is 31: source and target need 62 classes, there are 61"),
        (["--seeds", "0"], "argument --seeds: is '0', expected a whole number of at least 1"),
    ],
)
def test_bad_command_line(factors, tmp_path, monkeypatch, capsys, arguments, message):
    with pytest.raises(SystemExit) as exit:
        run(factors, monkeypatch, "--out", tmp_path / "cube.nc", *(a.format(folder=tmp_path) for a in arguments))
    assert exit.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("dataset", ["transforms2d", "cifar10", "cifar100"])
@pytest.mark.parametrize("preset", ["smoke", "quick", "paper"])
def test_grid_varies_one_factor_at_a_time(factors, preset, dataset):
    settings = factors.settings_of(preset, dataset) | {"seeds": 2}
    levels = settings["levels"]
    cells, coordinates = factors.make_grid(settings)
    assert len(coordinates["factor"]) == sum(map(len, levels.values())) + 2
    assert len(cells) == len(coordinates["factor"]) * 2 * 2
    defaults = {name: settings[name] for name in ("class_relation", "architecture", "n_samples", "epochs")}
    default_ids = set()
    for place, arguments, part in cells:
        name, level = place["factor"].split("=")
        assert arguments["seed"] == place["seed"]
        assert part["n_probe"] == (int(level) if name == "n_probe" else settings["n_probe"])
        assert part["n_probe"] in arguments["n_probe"]
        expected = dict(defaults)
        if name == "reference":
            expected |= {"epochs": 0} if level == "untrained" else {}
        elif name != "n_probe":
            expected[name] = type(defaults[name])(level)
        assert {name: arguments[name] for name in expected} == expected
        assert arguments["relation"] == ("none" if name == "reference" else place["relation"])
        vit = {"learning_rate": 1e-3, "schedule": "cosine", "weight_decay": 1e-5}
        others = {name: settings[name] for name in vit}
        assert {name: arguments[name] for name in vit} == (vit if arguments["architecture"] == "vit" else others)
        if expected == defaults and name != "reference" and (place["relation"], place["seed"]) == ("same", 0):
            default_ids.add(cell_id(arguments))
    assert len(default_ids) == 1  # one encoder is the default level of every factor, and serves all numbers of probes


def test_paper_preset_is_the_papers_protocol(factors):
    settings = factors.settings_of("paper", "transforms2d")
    assert {name: settings[name] for name in PROTOCOL["paper"]} == PROTOCOL["paper"]  # see test_protocol.py
    assert (settings["class_relation"], settings["dataset"]) == ("disjoint", "transforms2d")
    assert settings.keys() == PROTOCOL["paper"].keys() | {"class_relation", "dataset", "levels"}
    samples = {
        "transforms2d": [1_000, 10_000, 50_000, 100_000, 500_000],
        "cifar10": [10, 50, 200, 1_000, 4_500],
        "cifar100": [10, 50, 100, 250, 500],
    }
    for dataset, n_samples in samples.items():
        levels = factors.settings_of("paper", dataset)["levels"]
        assert levels["n_samples"] == n_samples
        assert levels["n_probe"] == [50, 200, 500, 2_000, 5_000]
        assert levels["architecture"] == ["resnet18", "resnet50", "densenet121", "vgg11", "vit"]
        assert levels["class_relation"] == ["subset", "disjoint", "same", "superset"]
    for dataset, n_classes in (("cifar10", 5), ("cifar100", 50)):
        settings = factors.settings_of("paper", dataset)
        assert settings["n_classes"] == n_classes
        expected = PROTOCOL["paper"] | CIFAR_PROTOCOL[dataset]["paper"]
        assert {name: settings[name] for name in expected} == expected


@pytest.mark.parametrize("preset", ["smoke", "quick", "paper"])
@pytest.mark.parametrize("dataset", ["transforms2d", "cifar10", "cifar100"])
def test_presets_ask_for_no_more_than_there_is(factors, preset, dataset):
    check_sizes(factors.settings_of(preset, dataset))


def test_settings_of_the_solver_decide_only_where_it_is_used(factors):
    settings = factors.settings_of("smoke", "transforms2d") | {"seeds": 1}
    for solver, expected in (("lbfgs", set()), ("adam", {"adam_epochs", "adam_learning_rate"})):
        cells, _ = factors.make_grid(settings | {"solver": solver})
        assert {name for _, arguments, _ in cells for name in arguments if name.startswith("adam")} == expected


def test_dry_run_lists_cells_and_time_and_computes_nothing(smoke, factors, monkeypatch, capsys):
    out = smoke[0]
    before = files(out.with_suffix(".cells")), out.read_bytes()
    monkeypatch.setattr(protocol, "seconds_per_image", lambda *arguments: (0.01, 0.002))
    with pytest.raises(SystemExit):
        run(factors, monkeypatch, "--out", out, "--dry-run", "--epochs", "3")
    assert "belongs to other settings (epochs differ)" in capsys.readouterr().err  # which the run would say, too
    moved = out.with_name("moved.nc")  # the cells, without the cube
    moved.with_suffix(".cells").symlink_to(out.with_suffix(".cells"))
    run(factors, monkeypatch, "--out", moved, "--dry-run", "--epochs", "3", "--only", "class_relation", "reference")
    moved.with_suffix(".cells").unlink()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == "6 cells: 1 done, 0 failed, 5 missing; 5 to do by this command"
    assert sum(line.startswith("done") for line in lines) == 1  # the untrained one, which has no epochs
    # 4 of 3 epochs * 128 images, and one without transformations: 3.84 s each; 3 * 64 validated, 128 for the probe,
    # 64 for its validation, 2 * 128 tests, 2 * 19 * 8 for the pairs: 944 images, 1.888 s; 5 * 5.728 s
    assert [line.split()[:4] for line in lines if line.startswith("to do")] == [["to", "do", "6", "s"]] * 5
    assert lines[-1] == "projected time for them: 29 s of computing, 29 s with 1 process"
    assert (files(out.with_suffix(".cells")), out.read_bytes()) == before


def test_level_that_fails_is_recorded_and_the_rest_goes_on(factors, tmp_path, monkeypatch, capsys):
    build = protocol.InvariantPretrainer

    def out_of_memory(architecture, **parameters):
        if architecture == "resnet18":
            raise MemoryError("no room for resnet18")
        return build(architecture, **parameters)

    monkeypatch.setattr(protocol, "InvariantPretrainer", out_of_memory)
    monkeypatch.setattr(factors, "SensitivityScorer", MEASURE_FEW)
    with pytest.raises(SystemExit) as exit:
        run(factors, monkeypatch, "--out", tmp_path / "cube.nc", "--only", "architecture")
    assert "2 of 4 places of the cube failed; the first: MemoryError: no room for resnet18" in str(exit.value.code)
    cube = read(tmp_path / "cube.nc")
    assert cube.status.sel(factor="architecture=resnet18").values.ravel().tolist() == [2, 2]
    assert cube.transfer_accuracy.sel(factor="architecture=vgg11").notnull().all()
    assert (tmp_path / "cube.png").exists()


def test_cifar_takes_as_many_images_of_each_class(factors, tmp_path, monkeypatch):
    """On stand-ins for CIFAR-100's images: 100 classes of 20 for training and 2 for testing."""
    images = np.random.default_rng(0).integers(256, size=(2_000, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(2_000) % 100
    monkeypatch.setattr(protocol, "load_cifar", lambda *_: ((images, labels), (images[:200], labels[:200])))
    fitted = []

    class Recorder(protocol.InvariantPretrainer):
        def fit(self, X, y, X_val, y_val):
            fitted.append((np.bincount(y)[np.unique(y)].tolist(), len(y_val), self.transformations))
            return super().fit(X, y, X_val, y_val)

    monkeypatch.setattr(protocol, "InvariantPretrainer", Recorder)
    monkeypatch.setattr(factors, "SensitivityScorer", MEASURE_FEW)
    words = "--dataset cifar100 --n-classes 30 --n-samples 4 --n-samples-levels 3 4 500 --epochs 1 --only n_samples"
    run(factors, monkeypatch, "--out", tmp_path / "cube.nc", *words.split())
    counts = [[len(set(each)), max(each), sum(each)] for each, *_ in fitted]
    assert counts == [[1, 3, 90]] * 2 + [[1, 4, 120]] * 2 + [[1, 18, 540]] * 2  # 20 less the tenth for validation
    assert all(n_validation == 60 for _, n_validation, _ in fitted)
    assert all(len(transformations) == 3 for *_, transformations in fitted)
    cube = read(tmp_path / "cube.nc")
    assert (cube.status == 1).all()
    assert cube.level.values.tolist() == ["3", "4", "500"]
