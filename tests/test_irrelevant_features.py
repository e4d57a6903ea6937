import csv

import numpy as np
import pytest
import study_runs
import xarray as xr
from study_runs import PUBLISHED, verdicts, with_seeds

from invtransfer.cubes.running import cell_id
from invtransfer.paper import images_with_objects as combined
from invtransfer.paper.images_with_objects import POSITIONS, STAND_IN
from invtransfer.paper.protocol import PROTOCOL

TASKS = ["C/C", "C+O/C", "C+O/O", "O/O"]
N_CLAIMS = 8
SMALLER = {  # than the smoke preset
    "architecture": "vgg11", "epochs": 1, "n_samples": 64, "n_probe": 64, "n_validation": 32, "n_test": 64,
    "n_pairs": 8,
}  # fmt: skip
FEWER = study_runs.options(SMALLER)


@pytest.fixture(scope="module")
def study():
    return study_runs.load("irrelevant_features")


@pytest.fixture(scope="module")
def smoke(study, tmp_path_factory):
    return study_runs.run(study, tmp_path_factory.mktemp("smoke") / "irrelevant_features.nc", *FEWER)


def published():
    """The paper's Table 1, and that of a fixed position, as a cube."""
    coordinates = {"position": ["fixed", "random"], "pretraining": TASKS}
    values = {"transfer_accuracy": np.full((2, 4, 4), np.nan), "sensitivity": np.full((2, 4, 2), np.nan)}
    with open(PUBLISHED / "irrelevant_features.csv", newline="") as file:
        for row in csv.DictReader(file):
            place = coordinates["position"].index(row["position"]), TASKS.index(row["pretraining"])
            last = TASKS.index(row["target"]) if row["target"] else ["C", "O"].index(row["changed"])
            values[row["variable"]][(*place, last)] = row["value"]
    cube = xr.Dataset(
        {
            "transfer_accuracy": (("position", "pretraining", "target"), values["transfer_accuracy"]),
            "sensitivity": (("position", "pretraining", "changed"), values["sensitivity"]),
        },
        coordinates | {"target": TASKS, "changed": ["C", "O"]},
        {"title": "Title"},
    )
    assert all(variable.notnull().all() for variable in cube.data_vars.values())
    return cube.map(with_seeds, keep_attrs=True).assign_attrs(title="Title")


# as it is run


def test_cube(smoke):
    grid = ("position", "pretraining", "seed")
    own = {"transfer_accuracy": ("target",), "source_accuracy": ()}
    own |= dict.fromkeys(("sensitivity", "sensitivity_low", "sensitivity_high"), ("changed",))
    sizes = {"position": 2, "pretraining": 5, "seed": 1, "target": 4, "changed": 2}
    study_runs.check_cube(smoke.cube, sizes, grid, own)
    cube = smoke.cube
    assert cube.position.values.tolist() == ["fixed", "random"]
    assert cube.pretraining.values.tolist() == [*TASKS, "untrained"]
    assert cube.target.values.tolist() == TASKS
    assert cube.changed.values.tolist() == ["C", "O"]
    assert ((cube.sensitivity_low <= cube.sensitivity) & (cube.sensitivity <= cube.sensitivity_high)).all()
    np.testing.assert_array_equal(cube.transfer_accuracy * 64 % 1, 0)  # of 64 images


def test_attributes(smoke):
    settings = {name: value for name, value in smoke.study.PRESETS["smoke"].items() if name != "seeds"}
    settings |= SMALLER
    study_runs.check_attributes(smoke.cube, settings, smoke.study.PRESETS["paper"])


def test_images_without_objects_do_not_depend_on_their_position(smoke):
    cube = smoke.cube.sel(pretraining=["C/C", "untrained"])
    for values in (cube.source_accuracy, cube.transfer_accuracy.sel(target="C/C")):
        np.testing.assert_array_equal(values.sel(position="fixed"), values.sel(position="random"))
    objects = cube.transfer_accuracy.sel(target="O/O")
    assert (objects.sel(position="fixed") > objects.sel(position="random")).all()


def test_terminal(smoke):
    assert study_runs.check_terminal(smoke, n_cells=10, n_claims=N_CLAIMS) == 2
    lines = smoke.output.splitlines()
    for name in (*TASKS, "untrained"):
        rows = [line.split() for line in lines if line.startswith(f"{name} ") and ": " not in line]
        for row, position in zip(rows, ("fixed", "random"), strict=True):
            here = smoke.cube.sel(position=position, pretraining=name).isel(seed=0)
            values = [*here.transfer_accuracy.values, *here.sensitivity.values]
            assert row[1:] == [f"{value:.3f}" for value in values]


def test_second_run_computes_nothing(smoke):
    study_runs.check_second_run(smoke, *FEWER)


@pytest.mark.parametrize(
    ("only", "n_claims", "unknown"),
    [(["untrained"], 2, 2), (["fixed", "C/C", "C+O/C"], 4, 2)],
)
def test_part_of_the_grid(smoke, tmp_path, only, n_claims, unknown):
    part = study_runs.run_part(smoke, tmp_path, *FEWER, "--only", *only)
    n_positions = part.cube.sizes["position"]
    assert part.output.count(f" of {n_claims} held") == n_positions
    assert part.output.count("\n  unknown ") == unknown * n_positions
    assert "nan" not in part.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--position-levels", "left"], "argument --position-levels: invalid choice: 'left'"),
        (["--pretraining-levels", "O/C"], "argument --pretraining-levels: invalid choice: 'O/C'"),
        (["--dataset", "mnist"], "argument --dataset: invalid choice: 'mnist'"),
    ],
)
def test_bad_options(study, tmp_path, arguments, message):
    assert message in study_runs.refusal(study, tmp_path, *arguments)[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "cifar10"], "get one with `python data/fetch.py cifar10 --to "),
        (["--dataset", "cifar100"], "python data/fetch.py cifar100 --to "),
        (["--n-objects", "62"], "irrelevant_features.py: n_objects is 62, expected 2 to 51"),
        (["--n-objects", "1"], "irrelevant_features.py: n_objects is 1, expected 2 to 51"),
        (["--objects", "none"], 'none\', expected "procedural", "random" or an existing folder'),
        (["--only", "C"], "irrelevant_features.py: --only is 'C', expected labels of this study: fixed, random, C/C"),
    ],
)
def test_what_there_is_not(study, tmp_path, arguments, message):
    said, n_lines = study_runs.refusal(study, tmp_path, "--data", tmp_path, *arguments)
    assert message in said
    assert n_lines == 1


@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_other_presets_are_on_cifar(study, tmp_path, preset):
    said, n_lines = study_runs.refusal(study, tmp_path, "--data", tmp_path, "--preset", preset)
    assert "python data/fetch.py cifar10 --to " in said
    assert n_lines == 1


# the grid


@pytest.mark.parametrize(("preset", "n_cells"), [("smoke", 2 * 5 * 1), ("quick", 2 * 5 * 3), ("paper", 2 * 5 * 10)])
def test_grid(study, preset, n_cells):
    settings = study.PRESETS[preset]
    cells, coordinates = study.make_grid(settings)
    assert list(coordinates) == ["position", "pretraining", "seed"]
    assert len(cells) == n_cells == len({cell_id(arguments) for _, arguments in cells})
    for place, arguments in cells:
        assert {name: arguments[name] for name in place} == place
        assert arguments["epochs"] == (0 if place["pretraining"] == "untrained" else settings["epochs"])
        assert arguments["dataset"] == (STAND_IN if preset == "smoke" else "cifar10")


def test_vit_has_its_own_schedule(study):
    cells, _ = study.make_grid(study.PRESETS["paper"] | {"architecture": "vit"})
    vit = {"learning_rate": 1e-3, "schedule": "cosine", "weight_decay": 1e-5}
    assert all({name: arguments[name] for name in vit} == vit for _, arguments in cells)


def test_paper_preset_is_the_papers_protocol(study):
    paper = study.PRESETS["paper"]
    expected = {  # Section 4.2
        "epochs": 200, "adam_epochs": 100, "n_objects": 10, "dataset": "cifar10", "architecture": "resnet18",
        "batch_size": 512, "learning_rate": 1e-3, "schedule": "constant", "solver": "adam", "n_pairs": 10_000,
        "n_test": 10_000, "seeds": 10, "width": 1.0,
        "n_samples": 45_000, "n_probe": 45_000, "n_validation": 5_000,  # CIFAR-10's 50,000, a tenth for validation
        "levels": {"position": ["fixed", "random"], "pretraining": [*TASKS, "untrained"]},
    }  # fmt: skip
    assert {name: paper[name] for name in expected} == expected
    assert paper.keys() == (PROTOCOL["paper"].keys() - {"n_classes"}) | {"n_objects", "dataset", "levels"}
    assert all(preset.keys() == paper.keys() for preset in study.PRESETS.values())


def test_estimate_counts_what_passes_through_the_network(study, monkeypatch):
    counted = []
    monkeypatch.setattr(combined, "estimate_seconds", lambda arguments, *n: counted.append(n) or 7.0)
    assert study.estimate(study.make_grid(study.PRESETS["paper"])[0][0][1]) == 7.0
    # 45,000 + 5,000 + 10,000 images of 4 targets, 2 * 2 of each of 10,000 pairs, 5,000 to validate on in 200 epochs,
    # and 10,000 of the source
    assert counted == [(200 * 45_000, 4 * 60_000 + 5 * 10_000 + 200 * 5_000)]


# what a cell does


class Encoder:
    def score(self, X, y):
        return len(X) / 100


@pytest.fixture
def record(study, monkeypatch):
    """Return a function that computes a cell without networks: what it trains on, and its targets."""

    def record(pretraining, position="fixed", seed=1):
        given = []
        monkeypatch.setattr(study, "pretrain", lambda source, *_: given.append(source) or Encoder())
        monkeypatch.setattr(study, "measure_combined", lambda _, targets, *more: given.append(targets) or xr.Dataset())
        made = study.cell(
            folder="procedural", data="", dataset=STAND_IN, n_objects=10, position=position, pretraining=pretraining,
            seed=seed, n_test=8,
        )  # fmt: skip
        assert made.source_accuracy == 0.08
        return given

    return record


@pytest.mark.parametrize("position", ["fixed", "random"])
@pytest.mark.parametrize("pretraining", [*TASKS, "untrained"])
def test_cell_trains_on_one_task_and_is_probed_on_all(record, pretraining, position):
    source, targets = record(pretraining, position)
    assert list(targets) == TASKS
    own = targets["C/C" if pretraining == "untrained" else pretraining]
    for part, same in zip(source, own, strict=True):
        for shown, expected in zip(part.sample(10), same.sample(10), strict=True):
            np.testing.assert_array_equal(shown, expected)


def test_targets_show_and_label_what_their_names_say(record):
    _, targets = record("C/C")
    samples = {name: targets[name][0].sample(300) for name in TASKS}
    images, of_image = samples["C/C"]
    both, of_object = samples["C+O/O"]
    on_black, _ = samples["O/O"]
    names = targets["C+O/O"][0].class_names
    np.testing.assert_array_equal(samples["C+O/C"][0], both)
    np.testing.assert_array_equal(samples["C+O/C"][1], of_image)
    np.testing.assert_array_equal(study_runs.find_objects(both, images, names, POSITIONS["fixed"]), of_object)
    np.testing.assert_array_equal(
        study_runs.find_objects(on_black, np.zeros_like(on_black), names, POSITIONS["fixed"]), samples["O/O"][1]
    )
    assert (study_runs.find_objects(images, images, names, POSITIONS["fixed"]) == -1).all()
    assert abs(np.corrcoef(of_image, of_object)[0, 1]) < 0.2  # objects say nothing about images


def test_positions(record):
    def corners(position):
        _, targets = record("C/C", position)
        X = targets["O/O"][0].sample(100)[0]
        return {tuple(np.argwhere(image.any(axis=2)).min(axis=0)) for image in X}

    assert len(corners("fixed")) <= 10  # one of each object
    assert len(corners("random")) > 60


# the pattern


@pytest.mark.parametrize("position", ["fixed", "random"])
def test_pattern_holds_on_the_papers_numbers(study, position):
    cube = published().sel(position=position)
    claims = study.find_claims(cube)
    assert verdicts(claims) == [True] * N_CLAIMS
    assert len({text for text, *_ in claims}) == N_CLAIMS
    opposite = [
        cube.assign(transfer_accuracy=1 - cube.transfer_accuracy),
        cube.assign(sensitivity=1 - cube.sensitivity),
    ]
    found = [verdicts(study.find_claims(each)) for each in opposite]
    # of accuracy are 4 claims and of sensitivity 2; the correlations of both are turned around by either
    assert [each.count(False) for each in found] == [6, 4]
    assert [not (one and two) for one, two in zip(*found, strict=True)] == [True] * N_CLAIMS


def test_numbers_by_hand(study):
    claims = {text: numbers for text, numbers, _ in study.find_claims(published().sel(position="random"))}
    assert claims["C+O/C predicts objects worse than C/C"].startswith("0.150 against 0.560 ")
    assert claims["C+O/O is less sensitive to images than O/O"].startswith("0.130 against 1.000 ")
    # accuracy on images 0.89 0.97 0.13 0.28, sensitivity to them 0.99 1.00 0.13 1.00
    expected = np.corrcoef([0.89, 0.97, 0.13, 0.28], [0.99, 1.0, 0.13, 1.0])[0, 1]
    assert claims["accuracy on C correlates with sensitivity to C over 4 encoders"].startswith(f"{expected:.3f} ")


def test_untrained_encoders_do_not_count(study):
    cube = published().sel(position="random", drop=True)
    untrained = (cube.isel(pretraining=[0]) * 0 + 0.5).assign_coords(pretraining=["untrained"])
    assert study.find_claims(xr.concat([cube, untrained], "pretraining")) == study.find_claims(cube)


def test_missing_cells_are_unknown(study):
    cube = published().sel(position="random", drop=True)
    assert verdicts(study.find_claims(cube * np.nan)) == [None] * N_CLAIMS
    for name in TASKS:
        failed = cube.where(cube.pretraining != name)
        for text, _, agrees in study.find_claims(failed):
            # a correlation over three of the four would be another claim
            expected = None if text.startswith(f"{name} ") or f" than {name}" in text or "correlates" in text else True
            assert agrees is expected, text
    failed = cube.where(cube.seed != 1)
    assert verdicts(study.find_claims(failed)) == [True] * N_CLAIMS
    assert all("n = 2)" in numbers for _, numbers, _ in study.find_claims(failed))


def test_two_encoders_have_no_correlation(study):
    """It would be 1 or -1, whatever they are like."""
    cube = published().sel(position="random", drop=True)
    for pair in (["C/C", "C+O/C"], ["C+O/O", "O/O"], ["O/O"]):
        claims = study.find_claims(cube.sel(pretraining=pair))
        assert [agrees for text, _, agrees in claims if "correlates" in text] == [None, None]


def test_figure_and_table_of_the_papers_numbers(study, tmp_path, capsys):
    figure = study.plot(published())
    figure.savefig(tmp_path / "figure.png")
    assert [axes.get_title() for axes in figure.get_axes() if axes.get_title()] == [
        "fixed position",
        "random position",
    ] * 2
    texts = [text.get_text() for axes in figure.get_axes() for text in axes.texts]
    assert len(texts) == 2 * 4 * (4 + 2)
    study.print_table(published())
    assert capsys.readouterr().out.count("the paper's pattern: 8 of 8 held") == 2
