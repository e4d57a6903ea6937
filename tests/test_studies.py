"""The studies as they are run: once from the command line in full, once interrupted and continued."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from invtransfer import TRANSFORMATIONS
from invtransfer.cubes import read
from invtransfer.running import cell_id

STUDIES = Path(__file__).resolve().parent.parent / "studies"
FACTORS = [
    *(f"class_relation={level}" for level in ("subset", "disjoint", "same", "superset")),
    "n_samples=64", "n_samples=128", "width=0.0625", "width=0.125",
]  # fmt: skip
PART = ("disjoint", "subset")  # with both relations 4 cells, of the 12 that the smoke preset has
PART_SCRIPT = """
import sys

sys.path.insert(0, {studies!r})  # other processes find the cell here
import factors

factors.PRESETS["smoke"]["levels"] = {{}}
factors.CLASS_RELATIONS = {part!r}
if __name__ == "__main__":
    factors.main()
"""


def start(script, *arguments, **more):
    """Start a study as from the command line, with warnings as errors, also in its processes."""
    command = [sys.executable, "-W", "error", script, "--preset", "smoke", "--jobs", "2", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def finish(process):
    output, error = process.communicate(timeout=300)
    return process.returncode, output, error


def files(folder):
    """What the files of a folder are: rewritten ones have another inode."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("[!.]*.nc")}


def without_time(cube):
    attributes = {name: value for name, value in cube.attrs.items() if name != "date_created"}
    return cube.drop_vars("seconds").drop_attrs(deep=False).assign_attrs(attributes)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """Run the smoke preset once, as a reader would."""
    out = tmp_path_factory.mktemp("smoke") / "cubes" / "factors.nc"
    code, output, error = finish(start(STUDIES / "factors.py", "--out", out))
    assert code == 0, error
    return out, output, error


@pytest.fixture
def factors(monkeypatch):
    """Return the study as a module."""
    monkeypatch.syspath_prepend(STUDIES)
    return import_module("factors")


def run(factors, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["factors.py", "--preset", "smoke", "--jobs", "1", *map(str, arguments)])
    factors.main()


def test_cube_has_the_grid_as_labels(smoke):
    cube = read(smoke[0])
    assert cube.sizes == {"factor": 8, "relation": 2, "seed": 1, "transformation": 18}
    assert cube.factor.values.tolist() == FACTORS
    assert cube.factor_name.values.tolist() == [label.split("=")[0] for label in FACTORS]
    assert cube.level.values.tolist() == [label.split("=")[1] for label in FACTORS]
    assert cube.relation.values.tolist() == ["same", "disjoint"]
    assert cube.seed.values.tolist() == [0]
    assert cube.transformation.values.tolist() == list(TRANSFORMATIONS)
    assert cube.category.values.tolist() == [each.category for each in TRANSFORMATIONS.values()]


def test_every_variable_explains_itself(smoke):
    cube = read(smoke[0])
    grid = ("factor", "relation", "seed")
    scores = {"source_accuracy", "transfer_accuracy", "composed_sensitivity", "seconds", "status", "message", "cell"}
    of_transformations = {
        "sensitivity", "sensitivity_low", "sensitivity_high", "source_transformation", "target_transformation"
    }  # fmt: skip
    assert set(cube.data_vars) == scores | of_transformations
    for name, variable in cube.data_vars.items():
        assert variable.dims == (grid if name in scores else (*grid, "transformation"))
        assert variable.attrs["long_name"], name
        assert variable.attrs["units"] == ("s" if name == "seconds" else "1")
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
    assert (cube.seconds > 0).all()


def test_relations_share_transformations_or_do_not(smoke):
    cube = read(smoke[0])
    source, target = cube.source_transformation, cube.target_transformation
    assert (source.sum("transformation") == 3).all()
    assert (target.groupby("category").sum() == 1).all()
    assert (source.groupby("category").sum() == 1).all()
    assert (source == target).sel(relation="same").all()
    assert not (source * target).sel(relation="disjoint").any()
    assert (target == target.isel(factor=0, relation=0)).all()


def test_default_level_is_one_cell_in_three_places(smoke):
    cube = read(smoke[0])
    same = cube.sel(factor=["class_relation=disjoint", "n_samples=128", "width=0.0625"])
    for i in (1, 2):
        for name, variable in same.data_vars.items():
            np.testing.assert_array_equal(variable.isel(factor=i), variable.isel(factor=0), err_msg=name)
    assert len(files(smoke[0].with_suffix(".cells"))) == 12  # 8 * 2 places, minus 2 * 2 that repeat the default


def test_attributes_say_how_the_numbers_came_about(smoke):
    attributes = read(smoke[0]).attrs
    assert set(attributes) == {
        "title", "Conventions", "settings", "versions", "git_commit", "git_state", "processor", "date_created",
        "references", "threads",
    }  # fmt: skip
    settings = json.loads(attributes["settings"])
    assert settings["dataset"] == "procedural"
    assert settings["levels"] == {"n_samples": [64, 128], "width": [0.0625, 0.125]}
    assert "seeds" not in settings  # a run with more seeds contains one with fewer
    assert attributes["threads"] == 1


def test_terminal_and_folder(smoke):
    out, output, error = smoke
    lines = output.splitlines()
    header = next(line for line in lines if line.startswith("factor")).split("  ")
    assert [word.strip() for word in header if word] == [
        "factor", "within disjoint", "same minus disjoint", "within same", "invariance matters"
    ]  # fmt: skip
    for name in ("class_relation", "n_samples", "width"):
        row = next(line for line in lines if line.startswith(name))
        assert row.count("±") == 3
        assert row.endswith(("more than it", "less than it"))
    assert f"cube    {out}" in lines
    assert f"figure  {out.with_suffix('.png')}" in lines
    assert "12/12" in error
    with Image.open(out.with_suffix(".png")) as figure:
        assert min(figure.size) > 500
    assert sorted(os.listdir(out.parent)) == ["factors.cells", "factors.nc", "factors.png"]


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
    monkeypatch.setitem(factors.PRESETS["smoke"], "epochs", 3)
    with pytest.raises(SystemExit) as exit:
        run(factors, monkeypatch, "--out", out)
    assert exit.value.code == 2
    assert "belongs to other settings (epochs differ)" in capsys.readouterr().err
    assert out.read_bytes() == whole


def test_interrupted_run_continues_in_one_process_to_the_same_numbers(smoke, factors, tmp_path, monkeypatch, capsys):
    script, out = tmp_path / "part.py", tmp_path / "cube.nc"
    script.write_text(PART_SCRIPT.format(studies=str(STUDIES), part=PART))
    folder = out.with_suffix(".cells")
    process = start(script, "--out", out, start_new_session=True)
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

    monkeypatch.setitem(factors.PRESETS["smoke"], "levels", {})
    monkeypatch.setattr(factors, "CLASS_RELATIONS", PART)
    run(factors, monkeypatch, "--out", out)
    assert f"{len(before)}/4" in capsys.readouterr().err
    after = files(folder)
    assert len(after) == 4
    assert {name: after[name] for name in before} == before

    cube = read(out)
    undisturbed = read(smoke[0]).sel(factor=[f"class_relation={level}" for level in PART])
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
        (["--seeds", "0"], "argument --seeds: is '0', expected a whole number of at least 1"),
    ],
)
def test_bad_command_line(factors, tmp_path, monkeypatch, capsys, arguments, message):
    with pytest.raises(SystemExit) as exit:
        run(factors, monkeypatch, "--out", tmp_path / "cube.nc", *(a.format(folder=tmp_path) for a in arguments))
    assert exit.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert os.listdir(tmp_path) == []


def test_drawn_transformations_are_two_of_each_category(factors):
    seen = set()
    for seed in range(50):
        drawn = factors.draw_transformations(seed)
        assert drawn == factors.draw_transformations(seed)
        for names in drawn.values():
            assert [TRANSFORMATIONS[name].category for name in names] == ["geometric", "photometric", "corruption"]
        assert not set(drawn["same"]) & set(drawn["disjoint"])
        seen |= set(drawn["same"])
    assert seen == set(TRANSFORMATIONS)


@pytest.mark.parametrize(
    ("relation", "n_source", "n_shared"),  # with 6 target classes
    [("subset", 2, 2), ("disjoint", 6, 0), ("same", 6, 6), ("superset", 12, 6)],
)
def test_classes_of_source_and_target(factors, relation, n_source, n_shared):
    for seed in range(5):
        source, target = factors.draw_classes(relation, 6, 13, seed)
        assert len(set(target)) == 6
        assert len(set(source)) == len(source) == n_source
        assert len(set(source) & set(target)) == n_shared
        assert set(source) | set(target) <= set(range(13))
        np.testing.assert_array_equal(target, factors.draw_classes("same", 6, 13, seed)[0])
    with pytest.raises(ValueError, match="n_classes is 7: source and target need 14 classes, there are 13"):
        factors.draw_classes(relation, 7, 13, 0)


@pytest.mark.parametrize("preset", ["smoke", "quick", "paper"])
def test_grid_varies_one_factor_at_a_time(factors, preset):
    settings = {name: value for name, value in factors.PRESETS[preset].items() if name != "seeds"}
    cells, coordinates = factors.make_grid(settings, 2)
    levels = {"class_relation": factors.CLASS_RELATIONS} | settings["levels"]
    assert len(cells) == sum(map(len, levels.values())) * 2 * 2
    assert len(coordinates["factor"]) == len(cells) // 4
    for place, arguments in cells:
        name, level = place["factor"].split("=")
        assert str(arguments[name]) == level
        assert (arguments["relation"], arguments["seed"]) == (place["relation"], place["seed"])
        others = {"class_relation": "disjoint"} | {other: settings[other] for other in settings["levels"]}
        others.pop(name)
        assert {other: arguments[other] for other in others} == others
    default = [cell_id(arguments) for place, arguments in cells if place["relation"] == "same" and place["seed"] == 0]
    assert len(set(default)) == len(default) - len(levels) + 1  # each factor has the default among its levels
