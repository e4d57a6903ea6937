"""The study of factors: its grid, its cell, its claims and its table."""

from itertools import product

import numpy as np
import pytest
import study_runs
import xarray as xr
from study_runs import PRETRAINING, PROBING, published, replace, replace_pretrainer, verdicts, with_seeds

from invtransfer import TRANSFORMATIONS
from invtransfer.analysis import CONTRASTS
from invtransfer.cubes.cells import cell_id
from invtransfer.paper import tasks
from invtransfer.paper.grids import factor_coordinates
from invtransfer.paper.presets import CIFAR_PROTOCOL, PROTOCOL

study = study_runs.load("factors")

MEASURED = ["h_flip", "hue", "blur"]  # of the 18, so that a run takes seconds
SMALLER = (  # than the smoke preset
    "--architecture vgg11 --epochs 1 --n-samples 64 --n-probe 64 --n-pairs 16 --class-relation-levels disjoint"
    " --architecture-levels vgg11 --n-samples-levels 64 --n-probe-levels 50 64"
)
DEFAULTS = ["class_relation=disjoint", "architecture=vgg11", "n_samples=64", "n_probe=64"]
FACTORS = [*DEFAULTS[:3], "n_probe=50", DEFAULTS[3], "reference=untrained", "reference=no transformations"]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    return study_runs.run(study, tmp_path_factory.mktemp("factors"), SMALLER, MEASURED)


def test_cube(smoke):
    own = dict.fromkeys(
        ["source_accuracy", "transfer_accuracy", "composed_sensitivity", "source_seen", "target_seen"], ()
    )
    names = ["sensitivity", "sensitivity_low", "sensitivity_high", "source_transformation", "target_transformation"]
    own |= dict.fromkeys(names, ("transformation",))
    labels = {"factor": FACTORS, "relation": ["same", "disjoint"], "seed": [0], "transformation": MEASURED}
    study_runs.check_cube(smoke, labels, own)
    assert smoke.factor_name.values.tolist() == [label.split("=")[0] for label in FACTORS]
    assert smoke.level.values.tolist() == [label.split("=")[1] for label in FACTORS]
    assert smoke.category.values.tolist() == [TRANSFORMATIONS[name].category for name in MEASURED]


def test_one_encoder_is_the_default_of_all_factors_and_a_reference_of_both_relations(smoke):
    assert len(np.unique(smoke.cell)) == 2 + 2
    defaults = smoke.sel(factor=DEFAULTS)
    assert (defaults.transfer_accuracy == defaults.transfer_accuracy.isel(factor=0)).all()
    fewer = smoke.sel(factor="n_probe=50")  # of the same encoder, another probe
    assert (fewer.cell == defaults.cell.isel(factor=0)).all()
    assert (fewer.transfer_accuracy != defaults.transfer_accuracy.isel(factor=0)).any()


# the grid


@pytest.mark.parametrize("dataset", ["transforms2d", "cifar10", "cifar100"])
@pytest.mark.parametrize("preset", ["smoke", "quick", "overnight", "paper"])
def test_grid_varies_one_factor_at_a_time(preset, dataset):
    settings = study.STUDY.settings(preset, dataset) | {"seeds": 2}
    cells, coordinates = study.make_grid(settings)
    assert len(coordinates["factor"]) == sum(map(len, settings["levels"].values())) + 2
    assert len(cells) == len(coordinates["factor"]) * 2 * 2
    study_runs.check_vit(cells, settings)
    defaults = {name: settings[name] for name in ("class_relation", "architecture", "n_samples", "epochs")}
    default_ids = set()
    for place, arguments, part in cells:
        name, level = place["factor"].split("=")
        assert arguments["seed"] == place["seed"]
        assert arguments["relation"] == ("none" if name == "reference" else place["relation"])
        assert part["n_probe"] == (int(level) if name == "n_probe" else settings["n_probe"])
        assert part["n_probe"] in arguments["n_probe"]
        expected = dict(defaults)
        if name == "reference":
            expected |= {"epochs": 0} if level == "untrained" else {}
        elif name != "n_probe":
            expected[name] = type(defaults[name])(level)
        if expected["architecture"] == "vit":
            expected["epochs"] = settings["vit_epochs"]
        assert {name: arguments[name] for name in expected} == expected
        if expected == defaults and name != "reference" and (place["relation"], place["seed"]) == ("same", 0):
            default_ids.add(cell_id(arguments))
    assert len(default_ids) == 1  # one encoder is the default level of every factor, and serves all numbers of probes


def test_presets(monkeypatch):
    study_runs.check_presets(study.STUDY, monkeypatch)


@pytest.mark.parametrize("dataset", ["transforms2d", "cifar10", "cifar100"])
def test_paper_preset_is_the_papers_protocol(dataset):
    expected = PROTOCOL["paper"] | CIFAR_PROTOCOL.get(dataset, {}).get("paper", {})  # see test_presets.py
    levels = study_runs.PAPER_LEVELS[dataset] | {"n_probe": [50, 200, 500, 2_000, 5_000]}
    expected |= {"class_relation": "disjoint", "dataset": dataset, "levels": levels}
    assert study.STUDY.settings("paper", dataset) == expected


def test_estimate_counts_what_passes_through_the_network(monkeypatch):
    settings = study.STUDY.settings("smoke") | {"epochs": 3, "n_pairs": 8}
    # 3 epochs of 64 images; 3 * 32 validated, 64 for the probe, 32 for its validation, 2 * 64 tests, and 2 * 19 * 8
    # for the pairs of 18 transformations and all together
    assert study_runs.count_images(study, monkeypatch, settings) == (192, 624)
    settings = study.STUDY.settings("paper", "cifar10")  # of subsets of 5 classes, which are 2; 4,500 images of each
    n_encoded = 22_500 + 2_500 + 2 * 5_000 + 2 * 19 * 5_000 + 50 * 2_500
    assert study_runs.count_images(study, monkeypatch, settings) == (50 * 2 * 4_500, n_encoded)


def test_fewer_samples_than_classes_are_refused():
    settings = study.STUDY.settings("smoke")
    levels = settings["levels"] | {"n_probe": [3, 128]}
    with pytest.raises(ValueError, match="^n_probe is 3, expected at least one sample of each of 4 classes$"):
        study.STUDY.find(objects=None, data="", **settings | {"levels": levels})


# what a cell does


@pytest.fixture
def record(monkeypatch):
    """Return a function that computes a cell with estimators that learn nothing: these, and its result."""
    measured = xr.DataArray(np.arange(18.0), {"transformation": list(TRANSFORMATIONS)})
    attributes = {
        "sensitivity_": measured, "sensitivity_interval_": xr.concat([measured - 1, measured + 2], "bound"),
        "composed_sensitivity_": 0.7,
    }  # fmt: skip

    def record(**chosen):
        encoders, probes = replace_pretrainer(monkeypatch), replace(study, monkeypatch, "FrozenFeatureProbe")
        scorers = replace(study, monkeypatch, "SensitivityScorer", **attributes)
        made = study.cell(**PRETRAINING, **PROBING, **chosen)
        return *encoders, *probes, *scorers, made

    return record


@pytest.mark.parametrize("relation", ["same", "disjoint", "none"])
def test_cell(record, relation):
    task = {
        "folder": "procedural", "dataset": "transforms2d", "class_relation": "superset", "relation": relation,
        "n_classes": 15, "seed": 3,
    }  # fmt: skip
    encoder, probe, scorer, made = record(**task, n_samples=40, n_validation=12, n_probe=[16, 25], n_test=10, n_pairs=6)
    source, target = tasks.make_tasks(**task)
    study_runs.check_encoder(encoder, seed=3)
    X, y, X_val, y_val = encoder.fitted[0]
    assert len(X_val) == len(y_val)
    np.testing.assert_array_equal(X, source[0].sample(40)[0])
    np.testing.assert_array_equal(y_val, [label for label in source[1].sample(12)[1] if label in y])
    np.testing.assert_array_equal(encoder.scored[0][0], source[2].sample(10)[0])
    study_runs.check_probe(probe, seed=3)
    (X, y), (_, y_val), (X_test, y_test) = (part.sample(n) for part, n in zip(target, (25, 12, 10), strict=True))
    for n, (Z, labels, Z_val, labels_val), test in zip((16, 25), probe.fitted, probe.scored, strict=True):
        np.testing.assert_array_equal(Z, encoder.transform(X)[:n])
        np.testing.assert_array_equal(labels, y[:n])
        np.testing.assert_array_equal(labels_val, [label for label in y_val if label in y[:n]])
        assert len(Z_val) == len(labels_val)
        np.testing.assert_array_equal(test[0], encoder.transform(X_test))
        np.testing.assert_array_equal(test[1], y_test)
    assert (scorer.arguments, scorer.parameters) == ((encoder,), {"n_pairs": 6, "random_state": 3})
    np.testing.assert_array_equal(scorer.fitted[0][0].sample(10)[0], X_test)
    assert made.n_probe.values.tolist() == [16, 25]
    assert made.transfer_accuracy.values.tolist() == [0.1, 0.2]
    assert (made.source_accuracy, made.composed_sensitivity) == (0.1, 0.7)
    for name, values in (("", np.arange(18)), ("_low", np.arange(18) - 1), ("_high", np.arange(18) + 2)):
        np.testing.assert_array_equal(made[f"sensitivity{name}"], values)
    used = [set(made.transformation.values[made[f"{name}_transformation"] == 1]) for name in ("source", "target")]
    drawn = tasks.draw_transformations(3) | {"none": []}
    assert used == [set(drawn[relation]), set(drawn["same"])]


@pytest.mark.parametrize(("n_samples", "n_each"), [(3, 3), (500, 18)])
def test_cifar_takes_as_many_images_of_each_class(record, monkeypatch, n_samples, n_each):
    """On stand-ins for CIFAR-100's images: 100 classes of 20, of which 2 are held out, and of 2 for testing."""
    images, labels = np.zeros((2_000, 8, 8, 3), np.uint8), np.arange(2_000) % 100
    monkeypatch.setattr(tasks, "load_cifar", lambda *_: ((images, labels), (images[:200], labels[:200])))
    encoder, *_ = record(
        folder="", dataset="cifar100", class_relation="disjoint", relation="disjoint", n_classes=30, seed=0,
        n_samples=n_samples, n_validation=64, n_probe=[90], n_test=64, n_pairs=6,
    )  # fmt: skip
    study_runs.check_encoder(encoder, 0, tasks.draw_transformations(0)["disjoint"])  # each epoch draws them anew
    _, y, _, y_val = encoder.fitted[0]
    assert np.unique(y, return_counts=True)[1].tolist() == [n_each] * 30
    assert len(y_val) == len(encoder.scored[0][1]) == 60


# claims and table


@pytest.mark.parametrize(
    ("dataset", "expected"),  # same minus disjoint is larger than within disjoint, and than within same
    [
        # class_relation 0.12 against 0.15 and 0.05, architecture 0.12, 0.07 and 0.02, n_samples 0.15, 0.03 and 0.04
        ("transforms2d", "-+++++"),
        # 0.19 against 0.17 and 0.31, 0.12 against 0.19 and 0.19, 0.06 against 0.13 and 0.23
        ("cifar10", "+-----"),
        # 0.33 against 0.11 and 0.38, 0.19 against 0.11 and 0.21, 0.14 against 0.13 and 0.27
        ("cifar100", "+-+-+-"),
    ],
)
def test_claims_on_the_papers_differences(dataset, expected):
    chosen = {"dataset": dataset, "tuning": "linear"}
    differences, names = published("differences", "transfer_accuracy", "factor_name", "contrast", **chosen), []
    rows, numbers = [], []
    for name in ("class_relation", "architecture", "n_samples"):
        means = differences.sel(factor_name=name, seed=1)
        disjoint, between, same = (means.sel(contrast=contrast).item() for contrast in CONTRASTS)
        best = 0.9 - between - (same - disjoint) / 2  # so that 0.9 and 0.9 - same are higher by `between`, on average
        names += [(name, "best"), (name, "worst")]
        rows += [[0.9, best], [0.9 - same, best - disjoint]]
        numbers += [f"{between:.3f} against {disjoint:.3f} ", f"{between:.3f} against {same:.3f} "]
    accuracy = xr.DataArray(rows, factor_coordinates(names, relation=["same", "disjoint"]), ["factor", "relation"])
    claims = study.find_claims(xr.Dataset({"transfer_accuracy": with_seeds(accuracy)}))
    text, words = "{}: same minus disjoint is larger than within {}", product(dict(names), ("disjoint", "same"))
    assert [each.text for each in claims] == [text.format(*pair) for pair in words]
    assert [each.numbers[: len(some)] for each, some in zip(claims, numbers, strict=True)] == numbers
    assert verdicts(claims) == expected


def plant(worst=0.5):
    """Make a cube in which accuracies of "same" vary over seeds, 0.025 to each side, and of "disjoint" do not."""
    coordinates = factor_coordinates([("width", 1), ("width", 2), ("reference", "untrained")])
    coordinates["relation"] = ["same", "disjoint"]
    accuracy = xr.DataArray([[0.9, 0.7], [0.8, worst], [0.3, 0.3]], coordinates, ["factor", "relation"])
    return xr.Dataset({"transfer_accuracy": with_seeds(accuracy).where(accuracy.relation == "same", accuracy)})


@pytest.mark.parametrize(
    ("worst", "expected"),
    [
        (0.5, "++"),  # 0.25 ± 0.025, the mean of 0.9 - 0.7 and 0.8 - 0.5, against 0.7 - 0.5, and against 0.9 - 0.8
        (0.43, "~+"),  # 0.285 ± 0.025 against 0.27
        (0.34, "-+"),  # 0.33 ± 0.025 against 0.36
    ],
)
def test_claims_by_hand(worst, expected):
    assert verdicts(study.find_claims(plant(worst))) == expected


def test_table():
    rows = [line.split("  ") for line in study.format_results(plant()).splitlines()]
    rows = [[cell.strip() for cell in row if cell] for row in rows]
    assert rows[0] == ["differences in transfer accuracy: mean ± 95 % interval over seeds (n = 3)"]
    assert rows[2] == ["within disjoint", "same minus disjoint", "within same"]
    # 0.7 - 0.5, the mean of 0.9 - 0.7 and 0.8 - 0.5, and 0.9 - 0.8
    assert rows[3] == ["width", "0.200 ± 0.000", "0.250 ± 0.025", "0.100 ± 0.000"]
    assert rows[6] == ["reference=untrained", "0.300 ± 0.025"]
    assert len(rows) == 7


def test_references_stand_beside_the_sensitivity_to_the_target():
    cube = plant()
    cube["cell"] = cube.transfer_accuracy.dims, np.arange(cube.transfer_accuracy.size).reshape(3, 2, 3).astype(str)
    values = xr.DataArray([[0.2, 0.4], [0.4, 0.6], [0.1, 0.1]], dims=["factor", "relation"])
    cube["sensitivity"] = values.expand_dims(transformation=["hue", "blur"]) * xr.DataArray(
        [1, 9], dims="transformation"
    )
    cube["sensitivity"] = cube.sensitivity.expand_dims(seed=cube.seed)
    cube["target_transformation"] = "transformation", [1, 0]
    rows = [line.split() for line in study.format_results(cube).splitlines()[-3:]]
    assert rows == [
        ["same", "0.300", "±", "0.000", "0.000", "±", "0.000"],
        ["disjoint", "0.500", "±", "0.000", "-0.200", "±", "0.000"],
        ["untrained", "0.100", "±", "0.000", "0.200", "±", "0.000"],
    ]


@pytest.mark.parametrize(
    ("select", "n_claims"),
    [
        (lambda cube: cube.sel(relation=["disjoint"]), 2),
        (lambda cube: cube.where(cube.relation == "same"), 2),  # others are missing
        (lambda cube: cube.isel(factor=[0, 2]), 2),  # one level has no range
        (lambda cube: cube.isel(factor=[2]), 0),  # a reference alone
    ],
)
def test_part_of_the_grid_and_missing_cells(select, n_claims):
    assert verdicts(study.find_claims(select(plant()))) == "?" * n_claims
    assert "nan" not in study.format_results(select(plant()))
    assert "untrained" not in study.format_results(plant().isel(factor=[0, 1]))
