"""The study of fine-tuning: its grid, its cell, its claims, its table and its figure."""

import numpy as np
import pytest
import study_runs
import xarray as xr
from study_runs import CHECKPOINTS, PRETRAINING, PROBING, published, replace, replace_pretrainer, verdicts, with_seeds

from invtransfer import TRANSFORMATIONS, TransformedImages
from invtransfer.cubes.cells import cell_id
from invtransfer.paper.presets import CIFAR_PROTOCOL, PROTOCOL

study = study_runs.load("fine_tuning")
MEASURED = ["v_flip", "contrast", "blur"]  # of the 18, so that a run takes seconds; the first 2 are the target's
SMALLER = (  # than the smoke preset
    "--architecture vgg11 --epochs 1 --n-samples 32 --n-validation 16 --n-test 32 --n-pairs 8 --tuning-epochs 1"
)
FACTORS = ["class_relation=disjoint", "reference=untrained", "reference=no transformations"]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    return study_runs.run(study, tmp_path_factory.mktemp("fine_tuning"), SMALLER, MEASURED)


def plant(gains, names=("class_relation",), sensitivity=(0.5, 0.4, 0.2)):
    """Make a cube of two numbers of tuning samples and one level of each factor.

    `gains`, over factor and n_tuning, is the accuracy of "same", which is 0.9, minus that of "disjoint". `sensitivity`
    is that of "disjoint" encoders to the target's transformation, before tuning and after; that of "same" encoders is
    0.1, and that to the other transformation 9.
    """
    grid, places = ("factor", "relation", "seed"), ("factor", "relation", "n_tuning")
    coordinates = {
        "factor": [f"{name}=level" for name in names], "factor_name": ("factor", list(names)),
        "level": ("factor", ["level"] * len(names)), "relation": ["same", "disjoint"], "n_tuning": [200, 2_000],
        "transformation": ["hue", "blur"],
    }  # fmt: skip
    accuracy = 0.9 - np.stack([np.zeros_like(gains), gains], axis=1)
    measured = np.full((len(names), 2, 3, 2), 9.0)  # over factor, relation, stage and transformation
    measured[..., 0] = [[0.1] * 3, sensitivity]
    values = xr.Dataset(
        {
            "transfer_accuracy": (places, accuracy), "accuracy_before": (places, accuracy - 0.1),
            "sensitivity_before": (("factor", "relation", "transformation"), measured[:, :, 0]),
            "sensitivity": ((*places, "transformation"), measured[:, :, 1:]),
        },
        coordinates,
    ).map(with_seeds)  # fmt: skip
    cells = np.arange(len(names) * 2 * 3).reshape(-1, 2, 3).astype(str)
    used = np.broadcast_to([1, 0], (*cells.shape, 2))
    values = values.assign(target_transformation=((*grid, "transformation"), used), cell=(grid, cells))
    return values.assign_attrs(title="Title")


@pytest.fixture(scope="module")
def cube():
    """What the paper prints of Transforms-2D, fully fine-tuned."""
    chosen = {"dataset": "transforms2d", "contrast": "same_minus_disjoint"}
    gains = published("differences", "transfer_accuracy", "factor_name", "tuning", **chosen)
    gains = gains.sel(tuning=["full-200", "full-2000"], seed=1).transpose("factor_name", "tuning")
    return plant(gains.values, gains.factor_name.values)


def test_cube(smoke):
    own = dict.fromkeys(("accuracy_before", "transfer_accuracy", "target_seen"), ("n_tuning",))
    own |= {"source_accuracy": (), "source_seen": ()}
    names = ("sensitivity_before", "source_transformation", "target_transformation")
    own |= dict.fromkeys(names, ("transformation",)) | {"sensitivity": ("n_tuning", "transformation")}
    labels = {"factor": FACTORS, "relation": ["same", "disjoint"], "seed": [0], "n_tuning": [32, 64]}
    study_runs.check_cube(smoke, labels | {"transformation": MEASURED}, own)
    assert smoke.tuning.values.tolist() == ["full-32", "full-64"]
    assert len(np.unique(smoke.cell)) == 2 + 2
    assert (smoke.transfer_accuracy != smoke.accuracy_before).any()
    assert (smoke.sensitivity != smoke.sensitivity_before).all()
    assert (smoke.sensitivity.isel(n_tuning=0) != smoke.sensitivity.isel(n_tuning=1)).all()


# the grid


@pytest.mark.parametrize(
    ("preset", "dataset", "levels", "n_cells"),
    [
        ("smoke", "transforms2d", 1, 2 * 1 + 2),
        ("quick", "transforms2d", 4 + 2, 5 * (2 * 5 + 2)),  # the default is a level of each factor, and one cell
        ("paper", "transforms2d", 4 + 5 + 5, 10 * (2 * 12 + 2)),
        ("quick", "cifar10", 4 + 2, 5 * (2 * 5 + 2)),
        ("paper", "cifar10", 4 + 5 + 5, 10 * (2 * 12 + 2)),
        ("quick", "cifar100", 4 + 2, 5 * (2 * 5 + 2)),
        ("paper", "cifar100", 4 + 5 + 5, 10 * (2 * 12 + 2)),
    ],
)
def test_grid(preset, dataset, levels, n_cells):
    settings = study.STUDY.settings(preset, dataset)
    cells, coordinates = study.make_grid(settings)
    assert len(coordinates["factor"]) == levels + 2  # references
    assert len(cells) == (levels + 2) * 2 * settings["seeds"]
    assert len({cell_id(arguments) for _, arguments in cells}) == n_cells
    assert "n_tuning" not in coordinates["factor_name"][1]  # one cell tunes on each number of samples
    study_runs.check_vit(cells, settings)
    for place, arguments in cells:
        name, level = place["factor"].split("=")
        assert arguments["n_tuning"] == settings["levels"]["n_tuning"]
        if name == "reference":
            assert arguments["relation"] == "none"
            assert arguments["epochs"] == (0 if level == "untrained" else settings["epochs"])
        else:
            assert (arguments["relation"], str(arguments[name])) == (place["relation"], level)
    # the first and the last number of samples are compared, in whichever order they are asked for
    reverse = settings["levels"] | {"n_tuning": settings["levels"]["n_tuning"][::-1]}
    assert study.make_grid(settings | {"levels": reverse})[0] == cells


def test_presets(monkeypatch):
    study_runs.check_presets(study.STUDY, monkeypatch)


@pytest.mark.parametrize("dataset", ["transforms2d", "cifar10", "cifar100"])
def test_paper_preset_is_the_papers_protocol(dataset):
    expected = PROTOCOL["paper"] | CIFAR_PROTOCOL.get(dataset, {}).get("paper", {})
    del expected["n_probe"]  # as many as are tuned on
    n_tuning = [200, 2_000] if dataset == "transforms2d" else [225, 2_250]  # 1 % and 10 % of 22,500 to train on
    levels = study_runs.PAPER_LEVELS[dataset] | {"n_tuning": n_tuning}
    expected |= {"class_relation": "disjoint", "dataset": dataset, "levels": levels}
    expected |= {"tuning_epochs": 50, "tuning_learning_rate": 1e-3}  # Appendix C.2
    assert study.STUDY.settings("paper", dataset) == expected


def test_estimate_counts_what_passes_through_the_network(monkeypatch):
    # trained on in 50 epochs of pretraining, and of tuning on 200 and on 2,000
    n_trained = 50 * 50_000 + 50 * (200 + 2_000)
    # validated on in 3 * 50 epochs; features of 2,200 for probes; tested on once, and twice for each tuning; pairs
    # for the encoder and both copies, of 18 transformations and all together
    n_encoded = 150 * 10_000 + 2_200 + 5 * 10_000 + 2 * 3 * 19 * 10_000
    assert study_runs.count_images(study, monkeypatch) == (n_trained, n_encoded)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"dataset": "cifar10"}, "get one with `python data/fetch.py cifar10 --to "),
        ({"dataset": "cifar100"}, "python data/fetch.py cifar100 --to "),
        ({"dataset": "cifar10", "objects": "procedural"}, "^--objects is for --dataset transforms2d$"),
        ({"n_classes": 31}, "^n_classes is 31: source and target need 62 classes, there are 61$"),
        ({"levels": {"n_tuning": [64, 3]}}, "^n_tuning is 3, expected at least one sample of each of 4 classes$"),
    ],
)
def test_what_there_is_not(tmp_path, chosen, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        study.STUDY.find(**{"objects": None, "data": tmp_path} | study.STUDY.settings("smoke") | chosen)


# what a cell does


@pytest.mark.parametrize(
    ("dataset", "n_tuning", "tuning"),
    [
        ("transforms2d", [200, 2_000], ["full-200", "full-2000"]),
        ("cifar10", [225, 2_250], ["full-0.01", "full-0.1"]),  # of 5 * 4,500
        ("cifar100", [225, 2_250], ["full-0.01", "full-0.1"]),  # of 50 * 450
    ],
)
def test_cell(monkeypatch, dataset, n_tuning, tuning):
    """On a source and a target of 40 images of four classes, which are shown again and again."""
    images, labels = np.arange(40 * 4 * 4 * 3, dtype=np.uint8).reshape(40, 4, 4, 3), np.arange(40) % 4
    source, target = (TransformedImages(images, labels, [name], random_state=0) for name in ("blur", "hue"))
    monkeypatch.setattr(study.tasks, "make_tasks", lambda **more: ((source,) * 3, (target,) * 3))
    encoders = replace_pretrainer(monkeypatch)
    probes, tuners = (replace(study, monkeypatch, name) for name in ("FrozenFeatureProbe", "FineTuner"))
    study.FineTuner.probe_ = property(lambda tuner: probes[0])
    sensitivity = xr.DataArray(np.arange(18.0), {"transformation": list(TRANSFORMATIONS)})
    scorers = replace(study, monkeypatch, "SensitivityScorer", sensitivity_=sensitivity)
    made = study.cell(
        folder="", dataset=dataset, class_relation="disjoint", relation="disjoint",
        n_classes=study.STUDY.settings("paper", dataset)["n_classes"], seed=5, n_samples=30, n_validation=12, n_test=8,
        n_pairs=6, n_tuning=[1, *n_tuning], tuning_epochs=9, tuning_learning_rate=0.6, **PRETRAINING, **PROBING,
    )  # fmt: skip
    (encoder,), (probe,) = encoders, probes
    study_runs.check_encoder(encoder, 5, ["blur"])
    study_runs.check_probe(probe, 5)
    assert [len(y) for _, y in (*encoder.scored, *probe.scored)] == [8] * 4
    on_cifar = dataset != "transforms2d"
    for tuner, n in zip(tuners, [1, *n_tuning], strict=True):
        assert tuner.arguments == (encoder,)
        anew = [transformation.name for transformation in tuner.parameters.pop("transformations")]
        assert tuner.parameters == {
            "probe": probe, "epochs": 9, "batch_size": 11, "learning_rate": 0.6, "random_state": 5,
            "checkpoint": CHECKPOINTS / f"tuning-{n}.npz",
        }  # fmt: skip
        # photographs are given as they are and transformed anew in every epoch, others are a set of fixed images
        assert anew == ["hue"] * on_cifar
        X, y, X_val, y_val = tuner.fitted[0]
        np.testing.assert_array_equal(X, target.sample(n, transformations=() if on_cifar else None)[0])
        known = np.isin(target.sample(12)[1], y)  # one sample lacks three of four classes
        np.testing.assert_array_equal(X_val, target.sample(12)[0][known])
        assert len(y_val) == (3 if n == 1 else 12)
    for scorer, measured in zip(scorers, (*tuners, encoder), strict=True):
        assert (scorer.arguments, scorer.parameters) == ((measured,), {"n_pairs": 6, "random_state": 5})
        assert scorer.fitted == [(target,)]

    assert made.n_tuning.values.tolist() == [1, *n_tuning]
    assert made.tuning.values.tolist()[1:] == tuning
    chosen = {"dataset": dataset, "factor_name": "n_samples", "contrast": "within_same"}
    table = published("differences", "transfer_accuracy", "tuning", **chosen)
    assert set(table.tuning.values) == {*tuning, "linear"}
    assert made.accuracy_before.values.tolist() == [0.1, 0.2, 0.3]  # one probe stands for all
    assert made.transfer_accuracy.values.tolist() == [0.1] * 3
    assert made.source_accuracy == 0.1
    np.testing.assert_array_equal(made.sensitivity, [np.arange(18)] * 3)
    np.testing.assert_array_equal(made.sensitivity_before, np.arange(18))
    assert made.transformation.values[made.source_transformation == 1].tolist() == ["blur"]
    assert made.transformation.values[made.target_transformation == 1].tolist() == ["hue"]


# claims, table and figure


def test_claims_hold_on_the_papers_differences(cube):
    claims = study.find_claims(cube)
    assert verdicts(claims) == "+++++"
    assert len({each.text for each in claims}) == 5
    # of class_relation, architecture and n_samples after 200: (0.14 + 0.15 + 0.14) / 3; after 2,000: 0.11 / 3
    assert claims[0].numbers.startswith("0.143 ")
    assert claims[1].numbers.startswith("0.037 against 0.143 ")
    reference = cube.isel(factor=[0]).assign_coords(
        factor=["reference=untrained"], factor_name=("factor", ["reference"])
    )
    reference["transfer_accuracy"] = reference.transfer_accuracy * 0
    assert study.find_claims(xr.concat([cube, reference], "factor")) == claims


@pytest.mark.parametrize(
    ("gains", "sensitivity", "expected"),
    [
        ([0.1, 0.0], (0.5, 0.4, 0.2), "+++++"),
        ([0.1, -0.015], (0.5, 0.4, 0.2), "+++++"),  # within 0.02
        ([0.1, -0.025], (0.5, 0.4, 0.2), "++-++"),
        ([0.1, 0.12], (0.5, 0.4, 0.2), "+-+++"),
        ([-0.1, -0.12], (0.5, 0.4, 0.2), "-+-++"),
        ([0.1, 0.0], (0.4, 0.5, 0.2), "+++-+"),
        ([0.1, 0.0], (0.5, 0.2, 0.4), "++++-"),
    ],
)
def test_claims_fail_one_by_one(gains, sensitivity, expected):
    assert verdicts(study.find_claims(plant([gains], sensitivity=sensitivity))) == expected


def test_encoders_of_several_places_count_once():
    """The default is a level of each factor: 0.2 of it and 0.1 of another one make 0.15."""
    planted = plant([[0.2, 0.0], [0.2, 0.0], [0.1, 0.0]], ("architecture", "n_samples", "width"))
    assert study.find_claims(planted)[0].numbers.startswith("0.167 ")
    shared = planted.cell.copy()
    shared[1] = shared[0]
    assert study.find_claims(planted.assign(cell=shared))[0].numbers.startswith("0.150 ")


def test_missing_cells_are_unknown(cube):
    def find(there):
        names = ["transfer_accuracy", "sensitivity", "sensitivity_before"]
        return study.find_claims(cube.assign({name: cube[name].where(there) for name in names}))

    assert verdicts(find(cube.seed < 0)) == verdicts(find(cube.relation != "disjoint")) == "?????"
    assert verdicts(find(cube.relation != "same")) == "???++"
    assert verdicts(find(cube.seed != 1)) == verdicts(find(cube.factor_name == "n_samples")) == "+++++"
    assert verdicts(find(cube.seed == 1)) == "~~~~~"
    found = find((cube.factor_name != "architecture") | (cube.relation != "same") | (cube.seed != 1))
    # pairs that lack one encoder are left out: in seed 1 the mean is over 0.14 and 0.14, in the others over 0.15 too
    assert found[0].numbers.startswith("0.142 ")
    assert "n = 3" in found[0].numbers


def test_table_and_figure(cube):
    study.STUDY.figure(cube.isel(factor=slice(2))).draw_without_rendering()
    title, table, *_ = study.STUDY.table(cube).split("\n\n")
    assert title.startswith("200 samples of the target: mean ± 95 % interval over seeds (n = 3); sensitivity is to the")
    head, *rows = table.splitlines()
    assert " ".join(head.split()) == "accuracy before accuracy after sensitivity before sensitivity after"
    assert len(rows) == 3 * 2
    row = next(row for row in rows if row.startswith("n_samples=level disjoint "))
    assert row.split()[2:] == " ± 0.025 ".join(["0.660", "0.760", "0.500", "0.400", ""]).split()


@pytest.mark.parametrize(
    ("chosen", "expected", "n_rows"),
    [
        ({}, "~~~~~", 2 * 4),  # one seed
        ({"factor": FACTORS[1:]}, "", 2 * 2),  # references alone
        ({"relation": ["same"]}, "", 2 * 3),
        ({"relation": ["disjoint"]}, "~~", 2 * 3),
        ({"n_tuning": [32]}, "~~", 4),  # one number of samples, without more and fewer
    ],
)
def test_part_of_the_grid(smoke, chosen, expected, n_rows):
    part = smoke.sel(chosen)
    if chosen:  # the run has drawn the whole
        study.STUDY.figure(part).draw_without_rendering()
    assert verdicts(study.find_claims(part)) == expected
    text = study.STUDY.table(part)
    assert "nan" not in text
    assert len([line for line in text.splitlines() if line.startswith(("class_relation=", "reference="))]) == n_rows
