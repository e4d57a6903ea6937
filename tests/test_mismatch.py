import csv

import numpy as np
import pytest
import study_runs
import xarray as xr
from study_runs import PUBLISHED, verdicts, with_seeds

from invtransfer import TRANSFORMATIONS
from invtransfer.cubes.running import cell_id
from invtransfer.paper.protocol import PROTOCOL

FEWER = ("--architecture-levels", "vgg11", "--epochs", "1")  # than the smoke preset has
NAMES = ("n_pretraining_transformations", "n_target_transformations")
VIT = {"learning_rate": 1e-3, "schedule": "cosine", "weight_decay": 1e-5}


@pytest.fixture(scope="module")
def mismatch():
    return study_runs.load("mismatch")


@pytest.fixture(scope="module")
def smoke(mismatch, tmp_path_factory):
    return study_runs.run(mismatch, tmp_path_factory.mktemp("smoke") / "mismatch.nc", *FEWER)


def published():
    """The paper's Figures 4 and 18 as a cube's accuracies."""
    with open(PUBLISHED / "mismatch.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    architectures = list(dict.fromkeys(row["architecture"] for row in rows))
    values = np.full((len(architectures), 8, 8), np.nan)
    for row in rows:
        place = architectures.index(row["architecture"]), *(int(row[name]) - 1 for name in NAMES)
        values[place] = row["value"]
    coordinates = {"architecture": architectures} | {name: np.arange(1, 9) for name in NAMES}
    return with_seeds(xr.DataArray(values, coordinates, list(coordinates)))


def planted(function, n=8):
    """Accuracies of one architecture that are a function of both numbers of transformations."""
    pretraining, target = np.meshgrid(np.arange(1, n + 1), np.arange(1, n + 1), indexing="ij")
    coordinates = {name: np.arange(1, n + 1) for name in NAMES}
    return with_seeds(xr.DataArray(function(pretraining, target), coordinates, list(coordinates)))


# as it is run


def test_cube(smoke):
    grid = ("architecture", "n_pretraining_transformations", "seed")
    own = dict.fromkeys(("transfer_accuracy", "transformation"), ("n_target_transformations",))
    sizes = dict.fromkeys(("architecture", "seed"), 1) | dict.fromkeys(NAMES, 3)
    study_runs.check_cube(smoke.cube, sizes, grid, own | {"source_accuracy": ()})
    assert smoke.cube.architecture.values.tolist() == ["vgg11"]
    for name in NAMES:
        assert smoke.cube[name].values.tolist() == [1, 2, 3]
    for name in ("transfer_accuracy", "source_accuracy"):
        np.testing.assert_array_equal(smoke.cube[name] * 128 % 1, 0)  # of 128 images
    for names in smoke.cube.transformation.transpose(..., "n_target_transformations").values.reshape(-1, 3):
        assert names.tolist() == smoke.study.draw_nested(0, 3)


def test_attributes(smoke):
    settings = {name: value for name, value in smoke.study.PRESETS["smoke"].items() if name != "seeds"}
    settings |= {"epochs": 1, "levels": {"architecture": ["vgg11"]}}
    study_runs.check_attributes(smoke.cube, settings, smoke.study.PRESETS["paper"])


def test_terminal(smoke):
    assert study_runs.check_terminal(smoke, n_cells=3, n_claims=3) == 1
    rows = [line.split() for line in smoke.output.splitlines() if line.strip()[:1].isdigit()]
    accuracy = smoke.cube.transfer_accuracy.isel(architecture=0, seed=0)
    assert rows == [
        [str(n), *(f"{value:.3f}" for value in accuracy.sel(n_pretraining_transformations=n))] for n in (1, 2, 3)
    ]


def test_second_run_computes_nothing(smoke):
    study_runs.check_second_run(smoke, *FEWER)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_part_of_the_grid(smoke, tmp_path, n):
    part = study_runs.run_part(smoke, tmp_path, *FEWER, "--only", f"n_pretraining_transformations={n}")
    assert part.cube.n_pretraining_transformations.values.tolist() == [n]
    assert "nan" not in part.output
    # there is an encoder with precisely the target's transformations where there is no other
    assert "the paper's pattern: 0 of 3 held" in part.output
    assert part.output.count("\n  unknown ") == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--architecture-levels", "resnet81"], "argument --architecture-levels: invalid choice: 'resnet81'"),
        (["--n-transformations", "0"], "argument --n-transformations: is '0', expected a whole number of at least 1"),
    ],
)
def test_bad_options(mismatch, tmp_path, arguments, message):
    assert message in study_runs.refusal(mismatch, tmp_path, *arguments)[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--n-transformations", "19"], "mismatch.py: n_transformations is 19, but there are only 18"),
        (["--n-classes", "31"], "mismatch.py: n_classes is 31: source and target need 62 classes, there are 61"),
        (["--objects", "none"], 'none\', expected "procedural", "random" or an existing folder'),
        (["--only", "vit"], "mismatch.py: --only is 'vit', expected labels of this study: "),
    ],
)
def test_what_there_is_not(mismatch, tmp_path, arguments, message):
    said, n_lines = study_runs.refusal(mismatch, tmp_path, *arguments)
    assert message in said
    assert n_lines == 1


# the grid


@pytest.mark.parametrize(("preset", "n_cells"), [("smoke", 1 * 3 * 1), ("quick", 1 * 8 * 3), ("paper", 4 * 8 * 10)])
def test_grid(mismatch, preset, n_cells):
    settings = mismatch.PRESETS[preset]
    cells, coordinates = mismatch.make_grid(settings)
    assert list(coordinates) == ["architecture", "n_pretraining_transformations", "seed"]
    assert len(cells) == n_cells == len({cell_id(arguments) for _, arguments in cells})
    for place, arguments in cells:
        assert {name: arguments[name] for name in place} == place
        vit = {name: arguments[name] for name in VIT}
        assert vit == (VIT if place["architecture"] == "vit" else {name: settings[name] for name in VIT})
        assert arguments["n_transformations"] == settings["n_transformations"]
        assert not {"levels", "seeds", "n_pairs", "vit_schedule"} & arguments.keys()


def test_paper_preset_is_the_papers_protocol(mismatch):
    paper = mismatch.PRESETS["paper"]
    expected = {  # Section 5.2 and Appendix D.3
        "epochs": 100, "batch_size": 256, "n_transformations": 8, "n_samples": 50_000, "n_validation": 10_000,
        "n_probe": 50_000, "n_test": 10_000, "n_classes": 30, "seeds": 10, "width": 1.0, "learning_rate": 1e-3,
        "schedule": "constant", "solver": "adam", "adam_epochs": 200, "adam_learning_rate": 1e-3,
        "levels": {"architecture": ["resnet18", "vgg11", "densenet121", "vit"]},
    }  # fmt: skip
    assert {name: paper[name] for name in expected} == expected
    others = PROTOCOL["paper"].keys() - expected.keys() - {"architecture", "n_pairs"}
    assert {name: paper[name] for name in others} == {name: PROTOCOL["paper"][name] for name in others}
    assert sorted(paper["levels"]["architecture"]) == sorted(published().architecture.values)
    assert all(preset.keys() == paper.keys() for preset in mismatch.PRESETS.values())


def test_quick_has_all_numbers_of_transformations(mismatch):
    assert mismatch.PRESETS["quick"]["n_transformations"] == 8
    assert mismatch.PRESETS["quick"]["seeds"] >= 3


# what a cell does


def test_sets_are_nested(mismatch):
    for seed in range(5):
        order = mismatch.draw_nested(seed, 18)
        assert sorted(order) == sorted(TRANSFORMATIONS)
        for n in range(19):
            assert mismatch.draw_nested(seed, n) == order[:n]
    orders = {tuple(mismatch.draw_nested(seed, 18)) for seed in range(20)}
    assert len(orders) == 20
    assert len({order[0] for order in orders}) > 8  # of 18: the first is any of them


def test_estimate_counts_what_passes_through_the_network(mismatch, monkeypatch):
    counted = []
    monkeypatch.setattr(mismatch, "estimate_seconds", lambda arguments, *n: counted.append(n) or 7.0)
    arguments = mismatch.make_grid(mismatch.PRESETS["paper"])[0][0][1]
    assert mismatch.estimate(arguments) == 7.0
    # 8 targets of 50,000 + 10,000 + 10,000 images, and 10,000 to validate on in each of 100 epochs
    assert counted == [(100 * 50_000, 8 * 70_000 + 100 * 10_000)]


class Encoder:
    """Stands for a trained one."""

    def score(self, X, y):
        return 0.25


class Probe:
    """Stands for one whose accuracy is the number of its target, 1, 2, ... tenths; remembers what it was fitted on."""

    def __init__(self, fitted):
        self.fitted = fitted

    def fit(self, *data):
        self.fitted.append([len(part) for part in data])
        return self

    def score(self, X, y):
        self.fitted[-1].append(len(y))
        return len(self.fitted) / 10


@pytest.mark.parametrize("n_pretraining", [1, 3, 5])
def test_cell_has_one_source_and_targets_of_all_sets(mismatch, monkeypatch, n_pretraining):
    tasks, sources, fitted = [], [], []
    make_task = mismatch.objects_task

    def record(objects, classes, transformations, random_state, backgrounds):
        tasks.append((set(classes.tolist()), list(transformations), random_state))
        return make_task(objects, classes, transformations, random_state, backgrounds)

    monkeypatch.setattr(mismatch, "objects_task", record)
    monkeypatch.setattr(mismatch, "pretrain", lambda source, *_: sources.append(source) or Encoder())
    monkeypatch.setattr(mismatch, "make_probe", lambda *_: Probe(fitted))
    made = mismatch.cell(
        folder="procedural", seed=3, n_pretraining_transformations=n_pretraining, n_transformations=5, n_classes=4,
        n_probe=30, n_validation=10, n_test=20,
    )  # fmt: skip
    (source_classes, source_names, source_state), *targets = tasks
    names = mismatch.draw_nested(3, 5)
    assert source_names == names[:n_pretraining]
    assert [t.name for t in sources[0][0].transformations] == source_names
    assert [target_names for _, target_names, _ in targets] == [names[:n] for n in range(1, 6)]
    for target_classes, _, state in targets:
        assert len(source_classes) == len(target_classes) == 4
        assert not source_classes & target_classes
        assert target_classes == targets[0][0]  # targets differ in transformations alone
        assert state == targets[0][2] != source_state
    assert fitted == [[30, 30, 10, 10, 20]] * 5
    assert made.transfer_accuracy.values.tolist() == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert made.n_target_transformations.values.tolist() == [1, 2, 3, 4, 5]
    assert made.transformation.values.tolist() == names
    assert made.source_accuracy == 0.25


def test_seeds_share_no_images(mismatch, monkeypatch):
    states = []
    make_task = mismatch.objects_task
    monkeypatch.setattr(mismatch, "objects_task", lambda *more: states.append(more[3]) or make_task(*more))
    monkeypatch.setattr(mismatch, "pretrain", lambda *_: Encoder())
    monkeypatch.setattr(mismatch, "make_probe", lambda *_: Probe([]))
    for seed in range(4):
        mismatch.cell(
            folder="procedural", seed=seed, n_pretraining_transformations=1, n_transformations=2, n_classes=4,
            n_probe=1, n_validation=1, n_test=1,
        )  # fmt: skip
    assert len(states) == 4 * 3
    assert len(set(states)) == 4 * 2  # both targets of a seed show the same images


# the pattern


@pytest.mark.parametrize("architecture", ["resnet18", "vgg11", "densenet121", "vit"])
def test_pattern_holds_on_the_papers_numbers(mismatch, architecture):
    accuracy = published().sel(architecture=architecture, drop=True)
    assert verdicts(mismatch.find_claims(accuracy)) == [True, True, True]
    assert verdicts(mismatch.find_claims(1 - accuracy)) == [False, False, False]
    assert verdicts(mismatch.find_claims(accuracy.isel(seed=[1]))) == [True, True, True]


def test_numbers_of_the_docstring_are_the_papers(mismatch):
    fewer, more, _ = mismatch.find_claims(published().sel(architecture="resnet18", drop=True))
    assert "the paper: -0.002" in mismatch.__doc__
    assert "the paper: -0.31)" in mismatch.__doc__
    assert more[1].startswith("-0.002 against ")
    assert fewer[1].startswith("-0.311 ")


def test_more_and_fewer_by_hand(mismatch):
    """1 tenth is lost for each that is missing, 1 hundredth for each too many."""
    accuracy = planted(lambda source, target: 1 - (target - source) * np.where(target > source, 0.1, -0.01), 3)
    more, fewer = mismatch.compare_with_exact(accuracy)
    expected = [[np.nan, -0.1, -0.2], [-0.01, np.nan, -0.1], [-0.02, -0.01, np.nan]]
    both = more.fillna(fewer).transpose("seed", *NAMES)
    for seed in range(3):
        np.testing.assert_allclose(both[seed], expected, atol=1e-12)
    assert more.notnull().sum() == fewer.notnull().sum() == 9
    # means: (0.1 + 0.1 + 0.2) / 3 and (0.01 + 0.01 + 0.02) / 3, a tenth of it
    claims = mismatch.find_claims(accuracy)
    assert claims[0][1].startswith("-0.133 ")
    assert claims[1][1].startswith("-0.013 against -0.013 ")


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda source, target: 1 - 0.05 * np.maximum(target - source, 0), [True, True, True]),
        (lambda source, target: 1 - 0.05 * abs(target - source), [True, False, True]),  # too many cost as much
        (lambda source, target: 1 - 0.05 * target - 0.3 * (source < target), [True, True, False]),  # any missing one
        (lambda source, target: 0.8 - 0.05 * target + 0 * source, [False, False, False]),  # targets are harder
        (lambda source, target: 0.5 + 0.05 * np.maximum(target - source, 0), [False, False, False]),
        (lambda source, target: 0.5 + 0.02 * source + 0 * target, [True, True, True]),
    ],
)  # fmt: skip
def test_pattern_of_planted_accuracies(mismatch, function, expected):
    assert verdicts(mismatch.find_claims(planted(function))) == expected


def test_missing_cells_are_unknown(mismatch):
    accuracy = published().sel(architecture="resnet18", drop=True)
    assert verdicts(mismatch.find_claims(accuracy * np.nan)) == [None, None, None]
    for n in (1, 5, 8):  # one row, which is compared with itself alone
        row = accuracy.sel(n_pretraining_transformations=[n])
        assert verdicts(mismatch.find_claims(row)) == [None, None, None]
        assert verdicts(mismatch.find_claims(accuracy.where(accuracy[NAMES[0]] == n))) == [None, None, None]
    some = accuracy.where(accuracy.seed != 1)  # one seed has failed
    assert verdicts(mismatch.find_claims(some)) == [True, True, True]
    assert mismatch.find_claims(some)[0][1].endswith("n = 2)")


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_sets_for_a_pattern(mismatch, n):
    accuracy = planted(lambda source, target: 1 - 0.1 * np.maximum(target - source, 0), n)
    assert verdicts(mismatch.find_claims(accuracy)) == ([None] * 3 if n == 1 else [True] * 3)


def test_figure_and_table_of_four_architectures(mismatch, tmp_path, capsys):
    accuracy = published()
    cube = xr.Dataset({"transfer_accuracy": accuracy.where(accuracy.architecture != "vit")}, attrs={"title": "Title"})
    figure = mismatch.plot(cube)
    figure.savefig(tmp_path / "figure.png")
    titles = [axes.get_title() for axes in figure.get_axes() if axes.get_title()]
    assert titles == accuracy.architecture.values.tolist() * 2
    mismatch.print_table(cube)
    text = capsys.readouterr().out
    assert text.count("the paper's pattern: 3 of 3 held") == 3
    assert text.count("the paper's pattern: 0 of 3 held") == 1  # of vit, all of which is missing
