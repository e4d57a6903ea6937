"""The study of depth: its grid, its cell, its claims and its figure."""

import numpy as np
import pytest
import study_runs
import xarray as xr
from study_runs import PRETRAINING, replace_pretrainer, verdicts

from invtransfer.cubes.cells import cell_id
from invtransfer.encoders.many_layers import FEATURE
from invtransfer.paper.presets import PROTOCOL

study = study_runs.load("depth")
MEASURED = ["rotate", "hue", "blur", "h_flip"]
STAGES = [f"backbone.stage{i}.{j}" for i in (1, 2, 3, 4) for j in (0, 1)]
THREE = ["rotate", "hue", "blur"]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    options = "--epochs 1 --n-samples 64 --n-validation 32 --n-test 32"
    return study_runs.run(study, tmp_path_factory.mktemp("depth"), options, MEASURED)


def test_cube(smoke):
    labels = {
        "pretraining": ["three", "none", "untrained"], "seed": [0], "layer": [*STAGES, FEATURE],
        "transformation": MEASURED, "strength": [0.5, 1.0],
    }  # fmt: skip
    own = ("layer", "transformation", "strength")
    variables = {"sensitivity": own, "abx": own, "slope": own[:2], "source_accuracy": (), "source_seen": ()}
    study_runs.check_cube(smoke, labels, variables)
    assert smoke.depth.dims == ("layer",)
    assert smoke.depth.values == pytest.approx(np.array([3, 5, 8, 10, 13, 15, 18, 20, 20]) / 20)
    np.testing.assert_array_equal(smoke.sensitivity.sel(layer=FEATURE), smoke.sensitivity.sel(layer=STAGES[-1]))


@pytest.mark.parametrize(("preset", "n_cells"), [("smoke", 3), ("quick", 15), ("paper", 30)])
def test_grid(preset, n_cells):
    settings = study.STUDY.settings(preset)
    cells, coordinates = study.make_grid(settings)
    assert list(coordinates) == ["pretraining", "seed"]
    assert len(cells) == n_cells == len({cell_id(arguments) for _, arguments in cells})
    for place, arguments in cells:
        assert {name: arguments[name] for name in place} == place
        assert arguments["epochs"] == (0 if place["pretraining"] == "untrained" else settings["epochs"])
        assert arguments["strength"] == settings["levels"]["strength"]


def test_presets(monkeypatch):
    study_runs.check_presets(study.STUDY, monkeypatch)
    own = {"solver", "n_probe", "adam_epochs", "adam_learning_rate"}  # there is no probe
    expected = {name: value for name, value in PROTOCOL["paper"].items() if name not in own}
    levels = {"pretraining": ["three", "none", "untrained"], "strength": [0.1, 0.25, 0.5, 1.0]}
    assert study.STUDY.settings("paper") == expected | {"levels": levels}


def test_estimate_counts_what_passes_through_the_network(monkeypatch):
    # 10,000 images as they are, and under 18 transformations at 4 strengths; 10,000 to test on, and to validate on
    expected = (50 * 50_000, (1 + 18 * 4) * 10_000 + 10_000 + 50 * 10_000)
    assert study_runs.count_images(study, monkeypatch) == expected


@pytest.mark.parametrize(("pretraining", "learned"), [("three", THREE), ("none", []), ("untrained", [])])
def test_a_cell_measures_other_objects_as_they_are(monkeypatch, pretraining, learned):
    encoders, scorers = replace_pretrainer(monkeypatch), study_runs.replace(study, monkeypatch, "SensitivityScorer")
    values = {name: ("layer", [0.5]) for name in ("sensitivity", "abx", "slope", "other")}
    study.SensitivityScorer.profile_ = xr.Dataset(values, {"features": ("layer", ["where"]), "layer": ["last"]})
    transformations, make_kind = [], study.make_kind
    monkeypatch.setattr(
        study,
        "make_kind",
        lambda *kind, **more: transformations.append(more["transformations"]) or make_kind(*kind, **more),
    )
    made = study.cell(
        folder="procedural", pretraining=pretraining, strength=[0.5, 1.0], seed=2, n_classes=4, n_samples=40,
        n_validation=12, n_test=8, n_pairs=6, **PRETRAINING,
    )  # fmt: skip
    (encoder,), (scorer,) = encoders, scorers
    study_runs.check_encoder(encoder, 2)
    assert [list(given) for given in transformations] == [learned]
    expected = {"layers": "blocks", "twins": "clean", "strengths": [0.5, 1.0], "n_pairs": 6, "random_state": 2}
    assert (scorer.arguments, scorer.parameters) == ((encoder,), expected)
    ((images,),) = scorer.fitted
    assert images.transformations == ()
    assert len(np.unique(images.sample(100)[1])) == 4
    trained_on = encoder.fitted[0][0]
    assert not (images.sample(20)[0][:, None] == trained_on[:20]).all(axis=(2, 3, 4)).any()
    assert set(made.data_vars) == {"sensitivity", "abx", "slope", "source_accuracy", "source_seen"}


def planted(three, first=0.0, other=0.5, seeds=4):
    """Return a cube in which the sensitivity of "none" is 0.8, and that of "three" to what it learned is lower."""
    shape = {"pretraining": 3, "seed": seeds, "layer": 2, "transformation": 4, "strength": 2}
    coordinates = {
        "pretraining": ["three", "none", "untrained"], "layer": ["first", FEATURE], "transformation": MEASURED,
        "strength": [0.5, 1.0], "depth": ("layer", [0.5, 1.0]), "category": ("transformation", ["any"] * 4),
    }  # fmt: skip
    values = np.full(tuple(shape.values()), 0.8) + np.arange(seeds)[:, None, None, None] * 0.001
    values[0, ..., 3, :] -= 0.8 - other
    values[0, :, 0, :3] -= first
    values[0, :, 1, :3] = three + np.random.default_rng(0).normal(0, 0.001, (seeds, 3, 2))
    return xr.Dataset({"sensitivity": (tuple(shape), values)}, coordinates)


def test_claims():
    assert verdicts(study.find_claims(planted(0.2))) == "+++++"
    # as low in the first block, and to others
    assert verdicts(study.find_claims(planted(0.5, first=0.5, other=0.2))) == "++--+"
    assert verdicts(study.find_claims(planted(0.9))) == "-----"
    untrained = planted(0.2)
    untrained["sensitivity"][2] -= 0.75  # as features that collapsed
    assert verdicts(study.find_claims(untrained)) == "++++-"
    assert study.find_claims(planted(0.2).sel(pretraining=["three"])) == []


def test_table_and_figure():
    cube = planted(0.2).assign_attrs(title="Depth")
    text = study.format_results(cube)
    assert "first" in text
    assert text.count("0.20") >= 2
    figure = study.draw_figure(cube)
    panels = [axes for part in figure.subfigs for axes in part.subfigs[0].axes]
    titles = [axes.get_title() for axes in panels]
    assert titles == [*THREE, "mean of the others"] * 2
