"""The study of mismatch: its grid, its cell, its claims, its table and its figure."""

import numpy as np
import pytest
import study_runs
import xarray as xr
from study_runs import PRETRAINING, PROBING, published, replace, replace_pretrainer, verdicts, with_seeds

from invtransfer import TRANSFORMATIONS
from invtransfer.analysis import compare_with_exact
from invtransfer.cubes.cells import cell_id
from invtransfer.paper.presets import PROTOCOL
from invtransfer.randomness import derive_seed

study = study_runs.load("mismatch")

SMALLER = (  # than the smoke preset
    "--architecture-levels vgg11 --epochs 1 --n-transformations 2 --n-samples 64 --n-probe 64 --n-validation 32"
)
NAMES = ("n_pretraining_transformations", "n_target_transformations")
FIGURES = published("mismatch", "transfer_accuracy", "architecture", *NAMES)  # the paper's Figures 4 and 18


def planted(function, n=8):
    """Accuracies of one architecture that are a function of both numbers of transformations."""
    pretraining, target = np.meshgrid(np.arange(1, n + 1), np.arange(1, n + 1), indexing="ij")
    return with_seeds(xr.DataArray(function(pretraining, target), {name: np.arange(1, n + 1) for name in NAMES}, NAMES))


def test_cube(tmp_path):
    cube = study_runs.run(study, tmp_path, SMALLER)
    own = dict.fromkeys(("transfer_accuracy", "target_seen", "transformation"), NAMES[1:])
    own |= {"source_accuracy": (), "source_seen": ()}
    study_runs.check_cube(cube, {"architecture": ["vgg11"], NAMES[0]: [1, 2], "seed": [0], NAMES[1]: [1, 2]}, own)
    assert cube.transformation.values.reshape(-1, 2).tolist() == [study.draw_nested(0, 2)] * 2


# the grid


@pytest.mark.parametrize(("preset", "n_cells"), [("smoke", 1 * 2 * 1), ("quick", 1 * 8 * 5), ("paper", 4 * 8 * 10)])
def test_grid(preset, n_cells):
    settings = study.STUDY.settings(preset)
    cells, coordinates = study.make_grid(settings)
    assert list(coordinates) == ["architecture", "n_pretraining_transformations", "seed"]
    assert len(cells) == n_cells == len({cell_id(arguments) for _, arguments in cells})
    study_runs.check_vit(cells, settings)
    for place, arguments in cells:
        assert {name: arguments[name] for name in place} == place
        assert arguments["n_transformations"] == settings["n_transformations"]


def test_presets(monkeypatch):
    study_runs.check_presets(study.STUDY, monkeypatch)
    expected = {name: value for name, value in PROTOCOL["paper"].items() if name not in ("architecture", "n_pairs")}
    architectures = ["resnet18", "vgg11", "densenet121", "vit"]
    expected |= {
        "epochs": 100,
        "vit_epochs": 100,
        "batch_size": 256,
        "n_transformations": 8,
        "levels": {"architecture": architectures},
    }
    assert study.STUDY.settings("paper") == expected  # Section 5.2 and Appendix D.3
    assert set(architectures) == set(FIGURES.architecture.values)
    quick = study.STUDY.settings("quick")
    assert (quick["n_transformations"], quick["seeds"]) == (8, 5)


def test_more_transformations_than_there_are_and_too_few_objects():
    settings = study.STUDY.settings("smoke")
    with pytest.raises(ValueError, match="^n_transformations is 19, but there are only 18$"):
        study.make_grid(settings | {"n_transformations": 19})
    with pytest.raises(ValueError, match="^n_classes is 31: source and target need 62 classes, there are 61$"):
        study.STUDY.find(objects=None, data="", **settings | {"n_classes": 31})


def test_estimate_counts_what_passes_through_the_network(monkeypatch):
    # 8 targets of 50,000 + 10,000 + 10,000 images, and 10,000 to validate on in each of 100 epochs
    expected = (100 * 50_000, 8 * 70_000 + 100 * 10_000)
    assert study_runs.count_images(study, monkeypatch) == expected


# what a cell does


def test_sets_are_nested():
    for seed in range(5):
        order = study.draw_nested(seed, 18)
        assert sorted(order) == sorted(TRANSFORMATIONS)
        assert all(study.draw_nested(seed, n) == order[:n] for n in range(19))
    orders = {tuple(study.draw_nested(seed, 18)) for seed in range(20)}
    assert len(orders) == 20
    assert len({order[0] for order in orders}) > 8  # of 18: the first is any of them


@pytest.mark.parametrize(("seed", "n_pretraining"), [(3, 1), (3, 3), (4, 5)])
def test_cell_has_one_source_and_targets_of_all_sets(monkeypatch, seed, n_pretraining):
    encoders, probes = replace_pretrainer(monkeypatch), replace(study, monkeypatch, "FrozenFeatureProbe")
    drawn, make_task = [], study.tasks.objects_task

    def record(objects, classes, transformations, random_state, backgrounds):
        drawn.append((classes.tolist(), list(transformations), random_state))
        return make_task(objects, classes, transformations, random_state, backgrounds)

    monkeypatch.setattr(study.tasks, "objects_task", record)
    made = study.cell(
        folder="procedural", seed=seed, n_pretraining_transformations=n_pretraining, n_transformations=5, n_classes=20,
        n_samples=25, n_validation=10, n_probe=30, n_test=15, **PRETRAINING, **PROBING,
    )  # fmt: skip
    (source_classes, source_names, source_state), *targets = drawn
    names = study.draw_nested(seed, 5)
    assert source_names == names[:n_pretraining]
    assert [target_names for _, target_names, _ in targets] == [names[:n] for n in range(1, 6)]
    # targets differ in transformations alone; they share neither classes nor images with the source, or another seed
    ((_, target_state),) = {(tuple(classes), state) for classes, _, state in targets}
    assert (source_state, target_state) == (derive_seed(seed, "source"), derive_seed(seed, "target"))
    assert len(source_classes) == len(targets[0][0]) == 20
    assert not set(source_classes) & set(targets[0][0])

    (encoder,), (probe,) = encoders, probes
    study_runs.check_encoder(encoder, seed)
    study_runs.check_probe(probe, seed)
    assert probe.arguments == (encoder,)
    assert [len(y) for _, y in (*encoder.scored, *probe.scored)] == [15] * 6
    fitted = [*encoder.fitted, *probe.fitted]
    assert [len(y) for _, y, *_ in fitted] == [25] + [30] * 5
    for X, y, X_val, y_val in fitted:
        assert (len(X), len(X_val)) == (len(y), len(y_val))
        assert set(y_val) <= set(y)
    assert sum(len(y_val) for *_, y_val in fitted) < 6 * 10  # classes that training samples lack are left out
    assert made.source_accuracy == 0.1
    assert made.transfer_accuracy.values.tolist() == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert made.n_target_transformations.values.tolist() == [1, 2, 3, 4, 5]
    assert made.transformation.values.tolist() == names


# claims, table and figure


@pytest.mark.parametrize("architecture", ["resnet18", "vgg11", "densenet121", "vit"])
def test_claims_hold_on_the_papers_numbers(architecture):
    accuracy = FIGURES.sel(architecture=architecture, drop=True)
    fewer, more, *steps = claims = study.find_claims(accuracy)
    assert verdicts(claims) == "+" * 9
    assert [each.text for each in steps] == [
        f"having {n} of them missing instead of {n + 1} gains accuracy" for n in range(7)
    ]
    assert verdicts(study.find_claims(1 - accuracy)) == "-" * 9
    assert verdicts(study.find_claims(accuracy.isel(seed=[1]))) == "~" * 9
    if architecture == "resnet18":  # the numbers of the docstring are the paper's
        assert "the paper: -0.002)" in study.__doc__
        assert "the paper: -0.31)" in study.__doc__
        assert more.numbers.startswith("-0.002 against ")
        assert fewer.numbers.startswith("-0.311 ")


def test_more_and_fewer_by_hand():
    """1 tenth is lost for each that is missing, 1 hundredth for each too many."""
    accuracy = planted(lambda source, target: 1 - (target - source) * np.where(target > source, 0.1, -0.01), 3)
    more, fewer = compare_with_exact(accuracy)
    expected = [[np.nan, -0.1, -0.2], [-0.01, np.nan, -0.1], [-0.02, -0.01, np.nan]]
    for both in more.fillna(fewer).transpose("seed", *NAMES):
        np.testing.assert_allclose(both, expected, atol=1e-12)
    assert more.notnull().sum() == fewer.notnull().sum() == 9
    # means: (0.1 + 0.1 + 0.2) / 3 and (0.01 + 0.01 + 0.02) / 3, a tenth of it; each step gains 0.1
    numbers = [each.numbers.split(" ± ")[0] for each in study.find_claims(accuracy)]
    assert numbers == ["-0.133", "-0.013 against -0.013 (difference +0.000", "0.100", "0.100"]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda source, target: 1 - 0.05 * np.maximum(target - source, 0), "+++++++++"),
        (lambda source, target: 1 - 0.05 * abs(target - source), "+-+++++++"),  # too many cost as much
        (lambda source, target: 1 - 0.05 * target - 0.3 * (source < target), "+++~~~~~~"),  # any missing one
        (lambda source, target: 1 - 0.05 * target - 0.3 * (source + 1 < target), "++~+~~~~~"),  # the second one
        (lambda source, target: 0.8 - 0.05 * target + 0 * source, "~~~~~~~~~"),  # targets are harder
        (lambda source, target: 0.5 + 0.05 * np.maximum(target - source, 0), "---------"),
        (lambda source, target: 0.5 + 0.02 * source + 0 * target, "+++++++++"),
    ],
)  # fmt: skip
def test_claims_on_planted_accuracies(function, expected):
    assert verdicts(study.find_claims(planted(function))) == expected
    assert verdicts(study.find_claims(planted(function, 1))) == "??"  # there is no more and no fewer


def test_missing_cells_are_unknown():
    accuracy = FIGURES.sel(architecture="resnet18", drop=True)
    assert verdicts(study.find_claims(accuracy * np.nan)) == "?" * 9
    for n in (1, 5, 8):  # one row, which is compared with itself alone
        row = accuracy.sel(n_pretraining_transformations=[n])
        assert set(verdicts(study.find_claims(row))) == {"?"}
        assert set(verdicts(study.find_claims(accuracy.where(accuracy[NAMES[0]] == n)))) == {"?"}
    some = accuracy.where(accuracy.seed != 1)  # one seed has failed
    claims = study.find_claims(some)
    assert verdicts(claims) == "+" * 9
    assert all(each.numbers.endswith("n = 2)") for each in claims)


def test_table_and_figure_of_four_architectures():
    accuracy = FIGURES.where(FIGURES.architecture != "vit")
    cube = xr.Dataset({"transfer_accuracy": accuracy}, attrs={"title": "Title"})
    text = study.format_results(cube)
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("resnet18: accuracy"))
    assert lines[start].endswith("mean over seeds (n = 3)")
    table = [line.split() for line in lines[start + 2 : start + 11]]
    means = FIGURES.sel(architecture="resnet18").mean("seed").values
    assert table[0] == [str(n) for n in range(1, 9)]
    assert table[1:] == [
        [str(n), *(f"{value:.3f}" for value in row)] for n, row in zip(range(1, 9), means, strict=True)
    ]
    assert text.count("?") == 8 * 8
    claims = study.STUDY.claims(cube)
    assert verdicts(claims) == "+" * 3 * 9 + "?" * 9  # all of vit is missing
    assert [each.text.split(": ")[0] for each in claims[::9]] == cube.architecture.values.tolist()
    row = cube.sel(n_pretraining_transformations=[3], architecture=["resnet18"])
    for part in (cube.sel(architecture=["resnet18", "vit"]), row):
        figure = study.STUDY.figure(part)
        figure.draw_without_rendering()
        titles = [axes.get_title() for axes in figure.get_axes() if axes.get_title()]
        assert titles == part.architecture.values.tolist()  # of the matrices
        (upper, *_) = figure.get_axes()
        assert len(upper.get_lines()) == part.sizes["architecture"]
