"""The study of advice: its grid, its cell, its claims, its table and its figure."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import study_runs
import xarray as xr
from matplotlib.text import Text
from study_runs import PRETRAINING, PROBING, replace, replace_pretrainer, verdicts, with_seeds

from invtransfer import TRANSFORMATIONS, InvarianceAdvisor
from invtransfer.analysis.advice import ADVICE
from invtransfer.cubes.cells import cell_id
from invtransfer.paper.presets import PROTOCOL

study = study_runs.load("advice")
ALL = list(TRANSFORMATIONS)


def make_cube(advisor=0.74, against=(0, 0, 0, 0), n=3):
    """A cube in which "disjoint" has 0.5 and "same" 0.8, so that 80 % of the gap are 0.24."""
    means = {"advisor": advisor, "same": 0.8, "disjoint": 0.5, "random": 0.6}
    accuracy = xr.DataArray(list(means.values()), {"chooser": list(means)}, ["chooser"])
    accuracy = with_seeds(accuracy, n).expand_dims(n_labelled=[100, 500], axis=2)
    used = np.isin(ALL, ["hue", "blur", "rotate", "scale"])
    cube = xr.Dataset({"transfer_accuracy": accuracy}, {"transformation": ALL, "planted": list(study.PLANTED)})
    cube["source_transformation"] = accuracy.notnull().astype("int8") * xr.DataArray(used, dims="transformation")
    needed = xr.DataArray(np.isin(ALL, ["hue", "blur", "noise"]).astype("int8"), dims="transformation")
    cube["target_transformation"] = accuracy.isel(n_labelled=0, drop=True).notnull().astype("int8") * needed
    for name in ("against_label", "kept"):
        values = xr.DataArray(np.array(against, "int8"), dims="planted").expand_dims(chooser=list(means), seed=n)
        cube[name] = values.where(values.chooser == "advisor", -1)
    ranked = xr.DataArray(
        [1.0 * used, 1.0 - used], {"estimator": ["z", "gain (pixels)"]}, ["estimator", "transformation"]
    )
    cube["evidence"] = accuracy * 0 + ranked
    return cube.assign_attrs(title="a title")


def test_cube(tmp_path):
    options = "--architecture vgg11 --epochs 1 --n-samples 32 --n-validation 16 --n-test 32"
    options += " --n-labelled-levels 24 30 --chooser-levels advisor same"
    asked = ["h_flip", "hue", "blur"]  # of the 18, so that a run takes seconds
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "PLANTED", {"h_flip": study.PLANTED["h_flip"]})
        patch.setattr(study, "TRANSFORMATIONS", {name: TRANSFORMATIONS[name] for name in asked})
        patch.setattr(study, "InvarianceAdvisor", partial(InvarianceAdvisor, transformations=asked))
        cube = study_runs.run(study, tmp_path, options)
    labels = {
        "chooser": ["advisor", "same"], "seed": [0], "n_labelled": [24, 30], "estimator": study.ESTIMATORS,
        "transformation": asked, "planted": ["h_flip"],
    }  # fmt: skip
    assert {dim: cube[dim].values.tolist() for dim in cube.dims} == labels
    assert (cube.status == 1).all()
    own = {"advice", "evidence", "against_label", "kept"}  # of the advisor alone
    assert (cube[["advice", "against_label", "kept"]].sel(chooser="same") == -1).all().to_array().all()
    assert (cube[["advice", "against_label", "kept"]].sel(chooser="advisor") >= 0).all().to_array().all()
    shared = {"transfer_accuracy", "source_accuracy", "source_seen", "source_transformation", "target_transformation"}
    assert set(cube.data_vars) == own | shared | study_runs.STATE
    assert len({variable.attrs["long_name"] for variable in cube.data_vars.values()}) == len(cube.data_vars)


@pytest.mark.parametrize(("preset", "n_cells"), [("smoke", 6), ("quick", 30), ("overnight", 60), ("paper", 60)])
def test_grid(preset, n_cells):
    settings = study.STUDY.settings(preset)
    cells, coordinates = study.make_grid(settings)
    assert list(coordinates) == ["chooser", "seed"]
    assert len(cells) == n_cells == len({cell_id(arguments) for _, arguments in cells})
    for place, arguments in cells:
        assert {name: arguments[name] for name in place} == place
        assert arguments["n_labelled"] == settings["levels"]["n_labelled"]


def test_presets(monkeypatch):
    study_runs.check_presets(study.STUDY, monkeypatch)
    expected = {name: value for name, value in PROTOCOL["paper"].items() if name not in ("n_probe", "n_pairs")}
    expected |= {"dataset": "transforms2d", "class_relation": "disjoint", "levels": study.LEVELS}
    assert study.STUDY.settings("paper") == expected
    settings = study.STUDY.settings("smoke")
    few = settings | {"levels": settings["levels"] | {"n_labelled": [3, 80]}}
    with pytest.raises(ValueError, match="^n_labelled is 3, expected at least one sample of each of 4 classes$"):
        study.STUDY.find(objects=None, data="", **few)


def test_estimate_counts_what_passes_through_the_network(monkeypatch):
    # the advisor has 4 encoders, and asks with 100, 500, 2,000, and 4 times 500 images, each with 18 x 4 copies
    encoded = 4 * (2_000 + 2 * 10_000 + 50 * 10_000) + (2_600 + 4 * 500) * (1 + 18 * 4)
    assert study_runs.count_images(study, monkeypatch) == (4 * 50 * 50_000, encoded)


def test_choosers():
    for seed in range(5):
        names = {chooser: study.choose_source(chooser, seed) for chooser in study.CHOOSERS[1:]}
        assert [len(names[chooser]) for chooser in ("same", "disjoint", "random", "none", "all")] == [3, 3, 6, 0, 18]
        assert not set(names["same"]) & set(names["disjoint"])
    assert len({tuple(study.choose_source("random", seed)) for seed in range(20)}) == 20


def test_planted_labels_are_the_transformation():
    X = np.random.default_rng(0).integers(256, size=(40, 32, 32, 3), dtype=np.uint8)
    shown, y = study.plant("h_flip", X, seed=0)
    np.testing.assert_array_equal(shown, np.where(y[:, None, None, None] == 1, X[:, :, ::-1], X))
    shown, y = study.plant("rotate", X, seed=0)
    for quarter in range(4):
        np.testing.assert_allclose(shown[y == quarter], np.rot90(X[y == quarter], quarter, axes=(1, 2)), atol=1)
    shown, y = study.plant("blur", X, seed=0)
    assert shown[y == 3].std() < shown[y == 0].std() / 2  # of noise


def test_the_advisor_sees_the_targets_images_and_its_advice_is_what_is_pretrained(monkeypatch):
    encoders, probes = replace_pretrainer(monkeypatch), replace(study, monkeypatch, "FrozenFeatureProbe")
    asked = []

    class Advisor:
        n_draws = 4
        advised_ = ("hue", "blur")
        advice_ = pd.DataFrame({"advice": ["stay sensitive"] * 18}, index=ALL)
        evidence_ = xr.Dataset(
            {name: (("view", "transformation"), np.zeros((2, 18))) for name, _, _ in study.RANKED_BY}
        )
        evidence_ = evidence_.assign_coords(view=["pixels", "features"])

        def __init__(self, encoder=None, random_state=None):
            self.encoder = encoder

        def fit(self, X, y):
            asked.append((self.encoder, len(X), y))
            return self

    Advisor.evidence_["z"] = Advisor.evidence_["sensitivity"] = ("transformation", np.zeros(18))
    monkeypatch.setattr(study, "InvarianceAdvisor", Advisor)
    made = study.cell(
        folder="procedural", dataset="transforms2d", class_relation="disjoint", chooser="advisor", seed=1,
        n_classes=5, n_labelled=[20, 40], n_validation=10, n_test=15, n_samples=25,
        **PRETRAINING, **PROBING,
    )  # fmt: skip
    disjoint, advised = encoders  # both numbers of images give the same advice: one encoder serves both
    assert all(encoder is disjoint for encoder, _, _ in asked)
    assert [n for _, n, _ in asked] == [20, 40, *[40] * 4]
    (probe,) = probes
    assert [len(y) for _, y in probe.fitted] == [20, 40]
    np.testing.assert_array_equal(asked[1][2], probe.fitted[1][1])  # the probe has the labels that the advisor had
    used = made.source_transformation.values.astype(bool)
    assert [np.array(ALL)[row].tolist() for row in used] == [["hue", "blur"]] * 2
    assert made.transfer_accuracy.values.tolist() == [0.1, 0.2]
    assert made.against_label.values.tolist() == [1, 0, 0, 1]  # hue and blur are advised
    assert made.kept.values.tolist() == [1, 1, 1, 1]
    assert (made.advice == 1).all()
    assert ", 1 stay sensitive, " in made.advice.attrs["long_name"]
    assert study.CODES.keys() == set(ADVICE)
    assert {e.parameters["checkpoint"].parent.name for e in encoders} == {
        "source-blur-hue", "source-" + "-".join(sorted(study.choose_source("disjoint", 1)))
    }  # fmt: skip


def test_claims():
    # intervals of differences are of width 0: all choosers differ alike in all seeds
    won, ahead, counted, never = study.find_claims(make_cube())
    assert won.numbers.startswith("0.240 against 0.240")
    assert verdicts([ahead, counted, never]) == "+~~"
    assert verdicts(study.find_claims(make_cube(0.75))) == "++~~"
    assert verdicts(study.find_claims(make_cube(0.55, (0, 1, 0, 0)))) == "----"
    assert counted.numbers.startswith("in 3 of 3 seeds")
    assert study.find_claims(make_cube().drop_sel(chooser="same")) == []


def test_table_by_hand():
    table = study.STUDY.table(make_cube(n=1))
    assert "wins back (ratio of means; 95 % interval over seeds): 80% with 100, 80% with 500" in table
    assert "80% with 100 (80% to 80%), 80% with 500 (80% to 80%)" in study.STUDY.table(
        make_cube()
    )  # alike in all seeds
    cube = make_cube()
    cube["transfer_accuracy"] = cube.transfer_accuracy.where((cube.chooser != "same") | (cube.n_labelled != 100))
    assert "? with 100, 80% with 500" in study.STUDY.table(cube)  # no seed has both
    row = next(line for line in table.splitlines() if line.startswith("500"))
    assert row.split() == ["500", "4.000", "0.500", "0.667"]  # hue and blur of 4 advised, and of 3 needed
    # 2 of the 3 needed and 13 of the 15 others are ranked rightly by z: ties of 1 with 1 and 0 with 0 count half
    area = (2 * 13 + 0.5 * (2 * 2 + 1 * 13)) / 45
    row = next(line for line in table.splitlines() if line.startswith("z "))
    assert row.split()[1:] == [f"{area:.3f}"] * 2
    row = next(line for line in table.splitlines() if line.startswith("gain (pixels)"))
    assert row.split()[-1] == f"{1 - area:.3f}"


def test_figure():
    def texts(cube):
        return {text.get_text() for text in study.STUDY.figure(cube).findobj(Text)}

    gained = "accuracy minus that of disjoint\n(same seed)"
    assert {"accuracy on the target", gained, "labelled images of the target"} <= texts(make_cube())
    assert gained not in texts(make_cube().sel(chooser=["same"]))
