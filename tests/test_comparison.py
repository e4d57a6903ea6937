"""Our numbers beside published ones: what may be compared, what not and why, and how it is said."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from invtransfer.analysis import CONTRASTS, factor_contrasts, summarise
from invtransfer.cubes.files import load_cube, read, write
from invtransfer.paper import images_with_objects
from invtransfer.published import compare_to_published, format_comparison

PUBLISHED = Path(__file__).parent.parent / "data" / "published"
PAPER = {
    "dataset": "transforms2d", "objects": "transforms2d", "class_relation": "disjoint", "architecture": "resnet18",
    "n_samples": 50_000, "n_probe": 50_000, "epochs": 50, "batch_size": 512, "schedule": "constant",
    "n_pairs": 10_000, "seeds": 10, "vit_schedule": "cosine",
    "levels": {
        "class_relation": ["disjoint", "same"], "architecture": ["resnet18", "vit"], "n_samples": [1_000, 50_000],
    },
}  # fmt: skip
SETTINGS = {name: value for name, value in PAPER.items() if name != "seeds"}
BOTH = ["class_relation=disjoint", "class_relation=same", "architecture=resnet18", "architecture=vit",
        "n_samples=50000"]  # factors that the cube has and that were published  # fmt: skip
FACTORS = [*BOTH[:4], "n_samples=10000", BOTH[4], "n_probe=200", "reference=untrained"]
ACCURACIES = {
    "class_relation=disjoint": (0.98, 0.86), "class_relation=same": (1.0, 0.91), "architecture=resnet18": (0.98, 0.87),
    "architecture=vit": (0.97, 0.83), "n_samples=1000": (0.94, 0.81), "n_samples=50000": (0.99, 0.83),
}  # fmt: skip
DIFFERENCES = {
    ("transforms2d", "linear", "class_relation"): (0.15, 0.12, 0.05),
    ("transforms2d", "linear", "architecture"): (0.07, 0.12, 0.02),
    ("transforms2d", "linear", "n_samples"): (0.03, 0.15, 0.04),
    ("transforms2d", "full-200", "class_relation"): (0.17, 0.14, 0.13),
    ("cifar10", "linear", "class_relation"): (0.17, 0.19, 0.31),
}
OTHER, MISSING, ABSENT, COMPARED = "other settings", "not done", "not in the cube", "compared"
UNKNOWN = "not published"


def make_cube(n_seeds=3, factors=FACTORS, **settings):
    """Return a cube with random accuracies of the paper's settings, but for those that are given (None: without)."""
    values = np.random.default_rng(0).uniform(0.5, 0.9, (len(factors), 2, n_seeds))
    pairs = [factor.split("=") for factor in factors]
    settings = {name: value for name, value in (SETTINGS | settings).items() if value is not None}
    return xr.Dataset(
        {
            "transfer_accuracy": (["factor", "relation", "seed"], values),
            "status": (["factor", "relation", "seed"], np.ones(values.shape, np.int8)),
        },
        {
            "factor": factors, "factor_name": ("factor", [name for name, _ in pairs]),
            "level": ("factor", [level for _, level in pairs]), "relation": ["same", "disjoint"],
            "seed": np.arange(n_seeds),
        },
        {"settings": json.dumps(settings), "paper_settings": json.dumps(PAPER)},
    )  # fmt: skip


def with_levels(cube, **levels):
    """Return a cube whose paper's settings have other levels; None for none of that factor."""
    levels = {name: value for name, value in (PAPER["levels"] | levels).items() if value is not None}
    return cube.assign_attrs(paper_settings=json.dumps(PAPER | {"levels": levels}))


def without(cube, **place):
    """Return a cube that lacks some accuracies."""
    cube = cube.copy(deep=True)
    cube.transfer_accuracy.loc[place] = np.nan
    return cube


@pytest.fixture
def factors(tmp_path):
    lines = ["dataset,factor,relation,variable,value", "cifar10,class_relation=same,same,transfer_accuracy,0.5"]
    for factor, values in ACCURACIES.items():
        for relation, value in zip(("same", "disjoint"), values, strict=True):
            lines.append(f"transforms2d,{factor},{relation},transfer_accuracy,{value}")
    path = tmp_path / "factors.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def differences(tmp_path):
    lines = ["dataset,tuning,factor_name,contrast,variable,value"]
    for place, values in DIFFERENCES.items():
        lines += [f"{','.join(place)},{c},transfer_accuracy,{v}" for c, v in zip(CONTRASTS, values, strict=True)]
    path = tmp_path / "differences.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def matches(comparison, label):
    """Return the matches of one factor, a set."""
    return set(comparison["match"].sel({comparison.ours.dims[0]: label}).values.ravel())


def words(comparison):
    """Return the text of a comparison without line breaks."""
    return " ".join(format_comparison(comparison).split())


# accuracies


def test_the_same_settings_are_compared(factors):
    cube = make_cube()
    comparison = compare_to_published(cube, factors)
    assert comparison.ours.dims == ("factor", "relation")
    summary = summarise(cube.transfer_accuracy)
    at = {"factor": "class_relation=same", "relation": "disjoint"}
    row = comparison.sel(at)
    for ours, name in (("ours", "mean"), ("ours_std", "std"), ("ours_low", "low"), ("ours_high", "high"), ("n", "n")):
        assert row[ours] == summary[name].sel(at)
    assert row.published == 0.91
    assert row.difference.item() == pytest.approx(summary["mean"].sel(at).item() - 0.91)
    assert (comparison["match"] == COMPARED).sum() == 10
    assert comparison.attrs["dataset"] == "transforms2d"


def test_the_join_is_an_outer_one(factors):
    comparison = compare_to_published(make_cube(), factors)
    assert comparison.factor.values.tolist() == [
        *BOTH[:4], "n_samples=1000", "n_samples=10000", "n_samples=50000", "n_probe=200", "reference=untrained"
    ]  # fmt: skip
    assert comparison.factor_name.values.tolist()[4:8] == ["n_samples"] * 3 + ["n_probe"]
    assert comparison.level.values.tolist()[4:8] == ["1000", "10000", "50000", "200"]
    assert matches(comparison, "n_samples=1000") == {ABSENT}
    theirs = comparison.sel(factor="n_samples=1000", relation="same")
    assert (theirs.published, theirs["n"]) == (0.94, 0)
    assert np.isnan([theirs.ours, theirs.difference]).all()
    for factor in ("n_samples=10000", "n_probe=200", "reference=untrained"):
        assert matches(comparison, factor) == {UNKNOWN}
        ours = comparison.sel(factor=factor)
        assert (ours.ours.notnull() & ours.published.isnull() & ours.difference.isnull()).all()
    half = compare_to_published(make_cube().sel(relation=["same"]), factors)
    assert half.relation.values.tolist() == ["same", "disjoint"]
    assert half["match"].sel(factor="class_relation=same").values.tolist() == [COMPARED, ABSENT]


def test_everything_has_units_and_a_name_and_survives_the_disk(factors, differences, tmp_path):
    write(make_cube(epochs=6), tmp_path / "cube.nc")
    for path in (factors, differences):
        comparison = compare_to_published(read(tmp_path / "cube.nc"), path)
        for variable in comparison.data_vars.values():
            assert variable.attrs["units"] == "1"
            assert variable.attrs["long_name"]
        write(comparison, tmp_path / "comparison.nc")
        xr.testing.assert_identical(read(tmp_path / "comparison.nc"), comparison)
        xr.testing.assert_identical(compare_to_published(load_cube(tmp_path / "cube.nc"), path), comparison)


@pytest.mark.parametrize(
    ("settings", "ignore", "compared"),
    [
        ({}, (), BOTH),
        ({"epochs": 6, "schedule": "one-cycle"}, (), []),
        ({"epochs": 6, "schedule": "one-cycle"}, "all", BOTH),
        ({"epochs": 6, "schedule": "one-cycle"}, ["epochs", "schedule"], BOTH),
        ({"epochs": 6, "schedule": "one-cycle"}, ("schedule", "epochs", "n_probe"), BOTH),
        ({"epochs": 6, "batch_size": 64}, "epochs", []),
        ({"epochs": 6, "batch_size": 64}, ["epochs"], []),
        # the default of a factor does not bear on its own levels
        ({"n_samples": 10_000}, (), ["n_samples=50000"]),
        ({"class_relation": "same"}, (), BOTH[:2]),
        ({"architecture": "resnet50"}, (), BOTH[2:4]),
        # settings that do not bear on accuracy
        ({"n_pairs": 3}, (), BOTH),
        ({"levels": 3}, (), BOTH),
        # settings of the vit bear on it alone, in place of the others
        ({"vit_schedule": "constant"}, (), [factor for factor in BOTH if "vit" not in factor]),
        ({"schedule": "one-cycle"}, (), ["architecture=vit"]),
        # objects are compared by name
        ({"objects": "transforms2d 0123456789ab"}, (), BOTH),
        ({"objects": "procedural"}, (), []),
        ({"objects": "emoji 01"}, (), []),
        # settings that one side does not have
        ({"epochs": None}, (), []),
        ({"dropout": 0.5}, (), []),
        ({"dropout": 0.5}, ["dropout"], BOTH),
        # published accuracies are of linear tuning, whatever the paper's settings say
        ({"tuning": "linear"}, (), BOTH),
        ({"tuning": "full-200"}, (), []),
        ({"tuning": "full-200"}, ["tuning"], BOTH),
    ],
)  # fmt: skip
def test_which_settings_are_compared(factors, settings, ignore, compared):
    cube = make_cube(**settings)
    for paper in (PAPER, PAPER | {"tuning": "linear"}, PAPER | {"tuning": "full-200"}):
        comparison = compare_to_published(cube.assign_attrs(paper_settings=json.dumps(paper)), factors, ignore)
        assert {label: matches(comparison, label) for label in BOTH} == {
            label: {COMPARED if label in compared else OTHER} for label in BOTH
        }
        assert (comparison.difference.notnull() == (comparison["match"] == COMPARED)).all()
        theirs = PAPER | {"tuning": "linear"}
        same = settings in ({"objects": "transforms2d 0123456789ab"}, {"tuning": "linear"})
        assert json.loads(comparison.attrs["differing_settings"]) == {
            name: [value, theirs.get(name)]
            for name, value in settings.items() if name not in ("n_pairs", "levels") and not same
        }  # fmt: skip
    xr.testing.assert_identical(comparison.ours, compare_to_published(make_cube(), factors).ours)
    ignored = json.loads(comparison.attrs["ignored"])
    assert set(ignored) >= set(settings) if ignore == "all" else set(ignored) == set(np.atleast_1d(ignore).tolist())


def test_a_single_seed_has_no_spread(factors):
    row = compare_to_published(make_cube(1), factors).sel(factor="class_relation=same", relation="same")
    assert row["match"] == COMPARED
    assert np.isnan([row.ours_std, row.ours_low, row.ours_high]).all()


# contrasts


def test_contrasts_of_the_same_levels_are_compared(differences):
    cube = make_cube()
    comparison = compare_to_published(cube, differences)
    assert comparison.ours.dims == ("factor_name", "contrast")
    assert comparison.factor_name.values.tolist() == ["class_relation", "architecture", "n_samples", "n_probe"]
    expected = summarise(factor_contrasts(cube.transfer_accuracy)).sel(factor_name="architecture")
    row = comparison.sel(factor_name="architecture")
    np.testing.assert_array_equal(row.ours, expected["mean"])
    np.testing.assert_array_equal(row.ours_low, expected["low"])
    np.testing.assert_array_equal(row.published, [0.07, 0.12, 0.02])
    np.testing.assert_allclose(row.difference, expected["mean"] - row.published)
    assert comparison.attrs["tuning"] == "linear"


ONE, TWO = BOTH[1:2], BOTH[:2]  # levels of class_relation


@pytest.mark.parametrize(
    ("cube", "class_relation", "architecture", "n_samples"),
    [
        (make_cube(), COMPARED, COMPARED, ABSENT),  # 1000 is not in the cube
        # contrasts need all cells
        (without(make_cube(), factor="architecture=vit"), COMPARED, MISSING, ABSENT),
        (without(make_cube(), factor="architecture=vit", relation="same"), COMPARED, MISSING, ABSENT),
        (without(make_cube(), factor="architecture=vit", relation="disjoint"), COMPARED, MISSING, ABSENT),
        # seeds that no level shares
        (without(without(make_cube(2, TWO), factor=TWO[0], seed=0), factor=TWO[1], seed=1), MISSING, ABSENT, ABSENT),
        # one level, of those that the paper's settings have or do not have
        (with_levels(make_cube(factors=ONE), class_relation=["same"]), OTHER, ABSENT, ABSENT),
        (with_levels(make_cube(factors=ONE), class_relation=None), OTHER, ABSENT, ABSENT),
        (with_levels(make_cube(factors=ONE), class_relation=["same", "disjoint"]), ABSENT, ABSENT, ABSENT),
        (with_levels(without(make_cube(factors=ONE), factor=ONE), class_relation=["same"]), MISSING, ABSENT, ABSENT),
        (with_levels(without(make_cube(factors=ONE), factor=ONE), class_relation=None), MISSING, ABSENT, ABSENT),
        # levels that are not known
        (with_levels(make_cube(), class_relation=None), OTHER, COMPARED, ABSENT),
        (with_levels(make_cube(), class_relation=[]), OTHER, COMPARED, ABSENT),
        (make_cube().assign_attrs(paper_settings=json.dumps(PAPER | {"levels": {}})), OTHER, OTHER, OTHER),
        # no level that was published
        (make_cube(factors=["n_samples=10000", "reference=untrained"]), ABSENT, ABSENT, ABSENT),
        (make_cube(factors=["n_samples=10000"]), ABSENT, ABSENT, ABSENT),
        # the vit is one of the architectures; defaults do not bear on levels
        (with_levels(make_cube(n_samples=10, vit_schedule="constant"), n_samples=[10_000, "50000"]), OTHER, OTHER,
         COMPARED),
        (make_cube(dropout=0.5), OTHER, OTHER, ABSENT),
        # another tuning, which has one row
        (make_cube(tuning="full-200"), COMPARED, UNKNOWN, UNKNOWN),
    ],
)  # fmt: skip
def test_which_contrasts_are_compared(differences, cube, class_relation, architecture, n_samples):
    comparison = compare_to_published(cube, differences)
    expected = {"class_relation": class_relation, "architecture": architecture, "n_samples": n_samples}
    assert {name: matches(comparison, name) for name in expected} == {name: {kind} for name, kind in expected.items()}
    assert set(comparison["match"].values.ravel()) - set(expected.values()) <= {UNKNOWN}
    assert (comparison.difference.notnull() == (comparison["match"] == COMPARED)).all()


def test_which_levels_contrasts_span(differences):
    cube = make_cube(factors=[*FACTORS[:2], "class_relation=subset", *FACTORS[2:]])
    cube.transfer_accuracy.loc[{"factor": "class_relation=subset"}] = 0.0  # would be by far the worst level
    row = compare_to_published(cube, differences).sel(factor_name="class_relation")
    expected = factor_contrasts(cube.transfer_accuracy.isel(factor=[0, 1])).mean("seed").isel(factor_name=0)
    np.testing.assert_allclose(row.ours, expected)
    assert row.ours_levels == row.published_levels == "disjoint, same"
    part = compare_to_published(without(cube, factor="architecture=vit"), differences)
    assert part.ours_levels.sel(factor_name="architecture") == "resnet18"
    # where the published levels are not known, ours span all levels of the cube
    cube.transfer_accuracy.loc[{"factor": "n_samples=10000"}] = 0.0
    row = compare_to_published(with_levels(cube, n_samples=None), differences).sel(factor_name="n_samples")
    assert (row.ours_levels, row.published_levels) == ("10000, 50000", "")
    assert row.ours.sel(contrast="within_same") > 0.4
    one = compare_to_published(with_levels(make_cube(factors=ONE), class_relation=None), differences)
    assert one.ours.sel(factor_name="class_relation").isnull().values.tolist() == [True, False, True]
    none = compare_to_published(make_cube(factors=["n_samples=10000"]), differences)
    assert none.ours.isnull().all()
    assert set(none.ours_levels.values) == {""}


def test_contrasts_of_another_tuning(differences):
    comparison = compare_to_published(make_cube(tuning="full-200"), differences)
    assert comparison.published.sel(factor_name="class_relation").values.tolist() == [0.17, 0.14, 0.13]
    assert (comparison.attrs["tuning"], comparison.attrs["differing_settings"]) == ("full-200", "{}")
    with pytest.raises(ValueError, match=r"no row of tuning 'full-3' like the cube's; its .* are: linear, full-200$"):
        compare_to_published(make_cube(tuning="full-3"), differences)


def tuned_cube(**settings):
    """Return a cube of fine-tuning: transfer accuracies of three seeds for each of two sizes of the tuning set."""
    one, two = (make_cube(**settings) for _ in range(2))
    two["transfer_accuracy"] = two.transfer_accuracy + two.transfer_accuracy.seed * 0.01 * (two.relation == "same")
    return xr.concat([one, two], xr.DataArray([200, 2_000], dims="n_tuning", name="n_tuning")).drop_vars("status")


def test_contrasts_of_each_tuning(differences, tmp_path):
    cube = tuned_cube(n_tuning=200)
    comparison = compare_to_published(cube, differences)
    assert comparison.ours.dims == ("tuning", "factor_name", "contrast")
    assert comparison.tuning.values.tolist() == ["full-200", "full-2000"]
    for n_tuning, tuning in ((200, "full-200"), (2_000, "full-2000")):
        expected = summarise(factor_contrasts(cube.transfer_accuracy.sel(n_tuning=n_tuning, drop=True)))
        row = comparison.sel(tuning=tuning, factor_name="class_relation")
        np.testing.assert_allclose(row.ours, expected["mean"].sel(factor_name="class_relation"))
    row = comparison.sel(tuning="full-200", factor_name="class_relation")
    assert row.published.values.tolist() == [0.17, 0.14, 0.13]
    assert row["match"].values.tolist() == [COMPARED] * 3
    np.testing.assert_allclose(row.difference, row.ours - row.published)
    assert matches(comparison, "full-2000") == {UNKNOWN}
    assert "tuning" not in comparison.attrs
    text = format_comparison(comparison)
    assert text.startswith("differences in accuracy on the target task, transforms2d: ours (mean")
    assert "Compared: 3 of 3 published values." in text
    assert "Levels of class_relation (full-200) that both span: disjoint, same.\n" in text
    # labels of the cube's own, with an index or without
    cube = cube.isel(n_tuning=[0]).assign_coords(tuning=("n_tuning", ["full-0.01"]))
    write(cube, tmp_path / "cube.nc")
    for labelled in (cube, load_cube(tmp_path / "cube.nc")):
        comparison = compare_to_published(labelled, differences)
        assert comparison.tuning.values.tolist() == ["full-200", "full-0.01"]
        assert comparison["match"].sel(factor_name="class_relation", contrast="within_same").values.tolist() == [
            ABSENT, UNKNOWN
        ]  # fmt: skip
        assert comparison.ours.sel(tuning="full-200").isnull().all()
        assert "not in the cube: full-200." in words(comparison)


# the published numbers


@pytest.mark.parametrize("dataset", ["transforms2d", "cifar10", "cifar100"])
def test_published_values_agree_with_each_other(dataset):
    # a cube that holds what was read off the figures has, within rounding and reading, the printed differences
    settings = PAPER | {"dataset": dataset}
    cube = make_cube(1, ["class_relation=same"])
    cube.attrs |= {"settings": json.dumps(settings), "paper_settings": json.dumps(settings)}
    theirs = compare_to_published(cube, PUBLISHED / "factors.csv")
    levels = {name: rows.level.values.tolist() for name, rows in theirs.groupby("factor_name")}
    cube = xr.Dataset({"transfer_accuracy": theirs.published.expand_dims("seed")}, attrs=cube.attrs)
    cube.attrs["paper_settings"] = json.dumps(settings | {"levels": levels})
    comparison = compare_to_published(cube, PUBLISHED / "differences.csv")
    assert (comparison["match"] == COMPARED).all()
    assert comparison["match"].shape == (3, 3)
    assert np.abs(comparison.difference).max() < 0.0065
    # printed differences of other tunings have their places
    rows = pd.read_csv(PUBLISHED / "differences.csv").query(f"dataset == '{dataset}' and tuning != 'linear'")
    expected = rows.set_index(["tuning", "factor_name", "contrast"]).value.to_xarray()
    tuned = tuned_cube(dataset=dataset).assign_coords(tuning=("n_tuning", expected.tuning.values))
    published = compare_to_published(tuned, PUBLISHED / "differences.csv", "all").published
    assert published.notnull().sum() == expected.size == 18
    assert (published - expected == 0).sum() == 18


# other cubes

LABELS = {
    "architecture": ["resnet18", "vgg11", "densenet121", "vit"], "n_pretraining_transformations": list(range(1, 9)),
    "n_target_transformations": list(range(1, 9)), "position": ["fixed", "random"],
    "pretraining": list(images_with_objects.TASKS), "target": list(images_with_objects.TASKS),
    "changed": ["image", "object"],
    "trained_on": ["image", "random"], "relation": ["same", "other", "none"],
    "evaluated_on": ["in_distribution", "mild_ood", "strong_ood", "cifar10", "cifar100"],
}  # fmt: skip
TRANSFORMATIONS = [f"t{i}" for i in range(18)]
VALUES = {
    "mismatch": {"transfer_accuracy": ["architecture", "n_pretraining_transformations", "n_target_transformations"]},
    "irrelevant_features": {
        "transfer_accuracy": ["position", "pretraining", "target"],
        "sensitivity": ["position", "pretraining", "changed"],
    },
    "invariance_transfer": {"sensitivity": ["architecture", "trained_on", "evaluated_on", "relation"]},
}
N_VALUES = {"mismatch": 256, "irrelevant_features": 48, "invariance_transfer": 120}


def cube_of(kind, shift=0.0, **settings):
    """Return a cube, as a study would write it, that holds the published values, and something more."""
    table, cube = pd.read_csv(PUBLISHED / f"{kind}.csv"), xr.Dataset()
    for name, dims in VALUES[kind].items():
        values = table[table.variable == name].set_index(dims).value.to_xarray()
        cube[name] = values.reindex({dim: LABELS[dim] for dim in dims}) + shift
    if kind == "invariance_transfer":
        ripple = np.linspace(-0.1, 0.1, 18)  # so that a mean over 18 is asked for, and not any one value
        measured = xr.DataArray(ripple, {"transformation": TRANSFORMATIONS})
        trained = measured.rename(transformation="pretraining_transformation")
        same, other, none = (cube.sensitivity.sel(relation=name, drop=True) for name in LABELS["relation"])
        own = trained.pretraining_transformation == measured.transformation
        alone = (none + measured).expand_dims(pretraining_transformation=["none"])
        values = xr.where(own, same + measured, other + trained - measured)
        cube = xr.concat([values, alone], "pretraining_transformation").to_dataset(name="sensitivity")
        cube = cube.assign_coords(category=("transformation", ["geometric"] * 18))
    cube = cube + 0.02 * xr.DataArray([-1, 0, 1], {"seed": [0, 1, 2]})
    return cube.assign_attrs(settings=json.dumps(SETTINGS | settings), paper_settings=json.dumps(PAPER))


def compare(kind, cube, ignore=()):
    return compare_to_published(cube, PUBLISHED / f"{kind}.csv", ignore)


@pytest.mark.parametrize("kind", VALUES)
def test_known_differences(kind, tmp_path):
    cube = cube_of(kind, shift=0.01)
    comparison = compare(kind, cube)
    assert (comparison["match"] == COMPARED).all()
    assert comparison["match"].size == N_VALUES[kind]
    np.testing.assert_allclose(comparison.difference, 0.01)
    np.testing.assert_allclose(comparison.ours_std, 0.02)  # of -0.02, 0, 0.02
    np.testing.assert_allclose(comparison.ours - comparison.ours_low, 4.303 * 0.02 / np.sqrt(3), atol=1e-4)
    assert (comparison["n"] == 3).all()
    text = format_comparison(comparison)
    assert f"Compared: {N_VALUES[kind]} of {N_VALUES[kind]} published values. Mean absolute difference 0.010;" in text
    assert max(map(len, text.splitlines())) < 135
    # values are joined by label, whatever their order
    turned = cube.isel({dim: slice(None, None, -1) for dim in cube.dims})
    turned = turned.transpose("seed", *sorted(set(cube.dims) - {"seed"}, reverse=True))
    xr.testing.assert_allclose(compare(kind, turned).difference, comparison.difference)
    write(comparison, tmp_path / "comparison.nc")
    xr.testing.assert_identical(read(tmp_path / "comparison.nc"), comparison)
    assert format_comparison(read(tmp_path / "comparison.nc")) == text


def test_places_of_other_tables():
    comparison = compare("irrelevant_features", cube_of("irrelevant_features"))
    assert comparison.ours.dims == ("position", "pretraining", "measured")
    row = comparison.sel(position="random", pretraining="objects on images", measured="sensitivity image")
    assert (row.published, row.published_std, row.measure, row.target) == (0.13, 0.02, "sensitivity", "image")
    assert (
        comparison.sel(
            position="fixed", pretraining="images with objects", measured="accuracy objects on images"
        ).published
        == 0.53
    )
    assert comparison.attrs["quantity"] == "accuracy on the target task, and sensitivity"
    lines = [line.split() for line in format_comparison(comparison).splitlines()]
    expected = "random objects on images sensitivity image 0.130 0.080 to 0.180 3 0.130 0.020 +0.000 compared"
    assert expected.split() in lines
    comparison = compare("invariance_transfer", cube_of("invariance_transfer"))
    assert comparison.ours.dims == ("architecture", "trained_on", "relation", "evaluated_on")
    row = comparison.sel(architecture="resnet18", trained_on="image", relation="same", evaluated_on="cifar10")
    assert (row.published, row.published_std) == (0.37, 0.19)
    assert comparison.attrs["quantity"] == "sensitivity"
    nothing = cube_of("mismatch").assign_attrs(settings="{}", paper_settings="{}")
    assert "dataset" not in compare("mismatch", nothing).attrs


def test_a_table_and_a_cube_of_ones_own(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("variable,depth,fraction,value\nrobustness,3,0.5,0.7\nrobustness,2,0.25,0.6\n")
    values = xr.DataArray([[[0.5, 0.7], [0.1, 0.3]]], {"depth": [2], "fraction": [0.25, 0.75], "seed": [0, 1]})
    cube = xr.Dataset({"robustness": values}, attrs={"settings": "{}", "paper_settings": "{}"})
    comparison = compare_to_published(cube, path)
    assert comparison.sizes == {"depth": 2, "fraction": 3}
    assert comparison.sel(depth=2, fraction=0.25).difference.item() == pytest.approx(0)
    assert comparison["match"].values.tolist() == [[COMPARED, UNKNOWN, UNKNOWN], [UNKNOWN, ABSENT, UNKNOWN]]
    assert comparison.attrs["quantity"] == "robustness"


ALL = set(LABELS["architecture"])


@pytest.mark.parametrize(
    ("kind", "settings", "compared"),  # where: labels along the first dimension, or measures
    [
        *((kind, {"epochs": 6}, set()) for kind in VALUES),
        ("mismatch", {"architecture": "vit", "levels": {"architecture": ["vit"]}, "n_pairs": 3}, ALL),
        ("mismatch", {"vit_schedule": "constant"}, ALL - {"vit"}),
        ("mismatch", {"schedule": "one-cycle"}, {"vit"}),
        ("irrelevant_features", {"n_pairs": 3}, {"accuracy"}),
        ("invariance_transfer", {"n_pairs": 3}, set()),
    ],
)
def test_which_settings_are_compared_in_any_cube(kind, settings, compared):
    cube = cube_of(kind, **settings)
    comparison = compare(kind, cube)
    where = comparison.measure if kind == "irrelevant_features" else comparison.architecture
    expected = where.isin(list(compared))
    assert ((comparison["match"] == COMPARED) == expected).all()
    assert ((comparison["match"] == OTHER) == ~expected).all()
    assert (comparison.difference.notnull() == expected).all()
    if "epochs" in settings:
        assert json.loads(comparison.attrs["differing_settings"]) == {"epochs": [6, 50]}
        assert "Compared: 0 of" in words(comparison)
        assert "not compared: epochs 6 (paper 50)." in words(comparison)
        for ignore in ("all", ["epochs"], "epochs"):
            assert (compare(kind, cube, ignore)["match"] == COMPARED).all()


def test_the_join_is_an_outer_one_in_any_cube():
    cube = cube_of("mismatch").sel(architecture=["resnet18", "vit"], n_target_transformations=slice(1, 7))
    cube = cube.assign_coords(architecture=["resnet18", "resnet50"])
    cube = without(cube, architecture="resnet18", n_pretraining_transformations=2)
    cube = without(cube, architecture="resnet18", n_pretraining_transformations=3, seed=1)
    comparison = compare("mismatch", cube)
    assert comparison.architecture.values.tolist() == [*LABELS["architecture"], "resnet50"]
    assert comparison.n_target_transformations.values.tolist() == list(range(1, 9))
    for architecture, n, target, match, n_seeds in (
        ("resnet18", 1, 1, COMPARED, 3),
        ("resnet18", 2, 1, MISSING, 0),
        ("resnet18", 3, 1, COMPARED, 2),
        ("resnet18", 1, 8, ABSENT, 0),
        ("vgg11", 1, 1, ABSENT, 0),
        ("resnet50", 1, 1, UNKNOWN, 3),
        ("resnet50", 1, 8, UNKNOWN, 0),
    ):
        at = {"architecture": architecture, "n_pretraining_transformations": n, "n_target_transformations": target}
        assert (comparison["match"].sel(at), comparison["n"].sel(at)) == (match, n_seeds)
    text = format_comparison(comparison)
    assert "not in the cube: vgg11, densenet121, vit, n_target 8.\n" in text
    assert "not yet done: resnet18 (n_pretraining 2).\n" in text
    assert text.endswith("Not published: resnet50.")
    assert "resnet50      1              8" not in text  # nobody has it
    assert "Compared: 49 of 256 published values." in text
    cube = cube_of("irrelevant_features")
    untrained = cube.isel(pretraining=[0]).assign_coords(pretraining=["untrained"])
    comparison = compare("irrelevant_features", xr.concat([cube, untrained], "pretraining"))
    assert comparison.pretraining.values.tolist() == [*LABELS["pretraining"], "untrained"]
    assert words(comparison).endswith("Not published: untrained.")


def test_means_over_fewer_transformations_are_another_setting():
    cube = cube_of("invariance_transfer")
    for part in (cube.isel(transformation=slice(4)), cube.isel(pretraining_transformation=[0, 1, 2, 3, 18])):
        comparison = compare("invariance_transfer", part)
        assert json.loads(comparison.attrs["differing_settings"]) == {"n_transformations": [4, 18]}
        assert (comparison["match"] == OTHER).all()
        assert (compare("invariance_transfer", part, ["n_transformations"])["match"] == COMPARED).all()


def test_means_need_all_their_values():
    cube = cube_of("invariance_transfer").transpose("architecture", ...)
    for place in (
        {"architecture": "vit", "pretraining_transformation": "t3", "seed": 0},
        {"architecture": "vgg11", "trained_on": "image", "pretraining_transformation": "none"},
    ):
        cube.sensitivity.loc[place] = np.nan
    comparison = compare("invariance_transfer", cube)
    n = comparison["n"].isel(evaluated_on=0).sel(trained_on="image")
    assert n.sel(architecture="vit").values.tolist() == [2, 2, 3]  # same, other, none
    assert n.sel(architecture="vgg11").values.tolist() == [3, 3, 0]
    gone = comparison.sel(architecture="vgg11", trained_on="image", relation="none")
    assert (gone["match"] == MISSING).all()
    assert "not yet done: vgg11 (image (none))." in words(comparison)
    comparison = compare("invariance_transfer", cube.isel(pretraining_transformation=slice(18)))
    assert (comparison["match"].sel(relation="none") == ABSENT).all()


# as text


def test_table_says_what_was_compared(factors):
    cube = without(make_cube(epochs=6, objects="procedural"), factor="architecture=vit", relation="same")
    cube.transfer_accuracy.loc[{"factor": "class_relation=same", "relation": "same"}] = [0.8, 0.9, 1.0]
    text = format_comparison(compare_to_published(cube, factors, ignore=["epochs", "objects"]))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    # Student's 4.303 times 0.1 over the root of 3: 0.248
    assert "class_relation same same 0.900 0.652 to 1.148 3 1.000 -0.100 compared" in lines
    assert "architecture vit same - 0 0.970 - not done" in lines
    assert "n_samples 1000 disjoint - 0 0.810 - not in the cube" in lines
    assert "Compared: 9 of 12 published values." in text
    assert "Settings that differ from the paper, and were ignored: epochs 6 (paper 50), objects procedural" in text
    assert "not compared" not in text
    assert "Published, but not in the cube: n_samples=1000.\n" in text
    assert "Published, but failed or not yet done: architecture=vit (same).\n" in text
    assert "Not published: n_samples=10000, n_probe=200, reference=untrained." in text
    assert max(map(len, text.splitlines())) < 120


def test_words_about_settings_and_the_largest_difference(factors):
    text = words(compare_to_published(make_cube(epochs=6, batch_size=64), factors, ["epochs"]))
    assert "Compared: 0 of 12 published values. Settings that differ from the paper, so values that depend on" in text
    assert "on them are not compared: batch_size 64 (paper 512). Settings" in text
    assert "Settings that differ from the paper, and were ignored: epochs 6 (paper 50)." in text
    assert "epochs none (paper 50)" in words(compare_to_published(make_cube(epochs=None), factors))
    assert "dropout 0.5 (paper none)" in words(compare_to_published(make_cube(dropout=0.5), factors))
    cube = make_cube()
    cube["transfer_accuracy"] = xr.full_like(cube.transfer_accuracy, 0.9)
    # same: -.08 -.10 -.08 -.07 -.09, disjoint: +.04 -.01 +.03 +.07 +.07; absolute: 0.64 over 10
    text = "Compared: 10 of 12 published values. Mean absolute difference 0.064; largest -0.100, at class_relation=same"
    assert f"{text}, same." in words(compare_to_published(cube, factors))


def test_words_about_contrasts(differences):
    text = format_comparison(compare_to_published(make_cube(), differences))
    assert text.startswith("differences in accuracy on the target task, transforms2d, linear tuning")
    assert "Levels of class_relation that both span: disjoint, same.\n" in text
    assert "Levels of n_samples: ours span 50000; the published span 1000, 50000." in text
    assert "Published, but not in the cube: n_samples.\n" in text
    assert "Levels of n_probe" not in text
    text = words(compare_to_published(with_levels(make_cube(), n_samples=None), differences))
    assert "ours span 10000, 50000; which ones the published span is not known." in text


# what is wrong


def change(**attributes):
    return make_cube().assign_attrs(attributes)


MISMATCH = cube_of("mismatch")


@pytest.mark.parametrize(
    ("kind", "cube", "message"),
    [
        ("factors", make_cube().drop_attrs(), r"no attribute 'settings', 'paper_settings', which .* are: none$"),
        ("factors", make_cube().isel(seed=0), r"no dimension 'seed'; its dimensions are: factor, relation$"),
        ("factors", make_cube().drop_vars("level"), r"no coordinate 'level'; its coordinates are: factor, "),
        ("factors", make_cube().drop_vars("relation"), r"no labels along 'relation', expected a coordinate of that na"),
        ("factors", make_cube().drop_vars("transfer_accuracy"), r"no variable 'transfer_accuracy'; .*: status$"),
        ("factors", make_cube().isel(factor=[0, 3, 3]), r"the factor 'architecture=vit' more than once, expected each"),
        ("factors", make_cube().isel(relation=[0, 1, 0]), r"the relation 'same' more than once, expected each once$"),
        ("factors", tuned_cube(), r"transfer_accuracy over 'n_tuning' too, expected one value for each of: factor"),
        ("factors", MISMATCH, r"no dimension 'factor', 'relation'; its dimensions are: architect"),
        ("differences", tuned_cube().drop_vars("n_tuning"), r"no labels along 'n_tuning', expected a coordinate of "),
        ("mismatch", MISMATCH.isel(architecture=0), r"no dimension 'architecture'; its dimensions are: n_"),
        ("mismatch", make_cube(), r"no dimension 'architecture', 'n_pretraining_transform"),
        ("mismatch", MISMATCH.isel(n_target_transformations=[0, 1, 1]), r"the n_target_transformations 2 more than "),
        ("mismatch", MISMATCH.expand_dims(width=[1, 2]), r"transfer_accuracy over 'width' too, .*: architecture, n_p"),
        ("irrelevant_features", cube_of("irrelevant_features").drop_vars("sensitivity"),
         r"no variable 'sensitivity'; its variables are: transfer_accuracy$"),
        ("factors", change(paper_settings="[1]"), r"the attribute 'paper_settings' '\[1\]', expected a JSON object$"),
        ("factors", change(settings="[" * 100_000), r"the attribute 'settings' .* expected a JSON object"),
        ("factors", change(settings='{"epochs": 1}'), r"the attribute 'settings' .* with the key 'dataset'$"),
        ("factors", change(paper_settings='{"levels": {"n_samples": 3}}'),
         r"\"{'n_samples': 3}\" as 'levels' in 'paper_settings', expected lists by name of factor$"),
    ],
)  # fmt: skip
def test_cubes_that_cannot_be_compared(kind, cube, message):
    with pytest.raises(ValueError, match=f"^cube has {message}"):
        compare(kind, cube)


def test_what_is_no_cube_or_no_setting(factors):
    with pytest.raises(TypeError, match="cube is of type dict, expected an xarray.Dataset"):
        compare_to_published({}, factors)
    with pytest.raises(ValueError, match=r"no row of dataset 'mnist' like the cube's; .*: cifar10, transforms2d$"):
        compare_to_published(make_cube(dataset="mnist"), factors)
    for ignore in ("epoch", ["epochs", "epoch"]):
        with pytest.raises(ValueError, match=r"^ignore names 'epoch', expected 'all' or settings of: architecture, "):
            compare_to_published(make_cube(), factors, ignore)
    for ignore in (None, 3):
        with pytest.raises(ValueError, match=f"^ignore is {ignore}, expected 'all' or a list of settings"):
            compare_to_published(make_cube(), factors, ignore)


HEAD = "architecture,n_pretraining_transformations,n_target_transformations,variable,value"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has the columns none, expected variable, value and names of dimensions, each once$"),
        ("architecture,value\na,1\n", r"has the columns architecture,value, expected variable, value and names"),
        ("variable,value,value\na,1,1\n", r"has the columns variable,value,value, expected"),
        (f"{HEAD}\n", r"has no rows, expected one for each published value$"),
        (f"{HEAD}\nresnet18,1,2,transfer_accuracy\n", r"has 4 values in line 2, expected 5$"),
        (f"{HEAD}\n\n\nresnet18,1,2,transfer_accuracy\n", r"has 4 values in line 4, expected 5$"),
        (f"{HEAD}\nresnet18,1,2,transfer_accuracy,1\nresnet18,1,,transfer_accuracy,1\n",
         r"has labels of \['architecture', 'n_pretraining_transformations'\] in line 3, expected \['arch.* rows$"),
        (f"{HEAD}\nresnet18,1,2,transfer_accuracy,high\n", r"has value 'high' in the row resnet18 1 2, expected a num"),
        (f"{HEAD}\nresnet18,1,2,transfer_accuracy,nan\n", r"has value 'nan' in the row resnet18 1 2, expected a"),
        (f"{HEAD}\nresnet18,1,2,transfer_accuracy,\n", r"has value '' in the row resnet18 1 2, expected a number$"),
        (f"{HEAD},std\nresnet18,1,2,transfer_accuracy,1,?\n", r"has std '\?' in the row resnet18 1 2, expected a numb"),
        (f"{HEAD}\nresnet18,1,two,transfer_accuracy,1\n",
         r"has n_target_transformations 'two' in the row resnet18 1 two, expected a whole number$"),
        (f"{HEAD}\n" + "resnet18,1,2,transfer_accuracy,1\n" * 2, r"has the row resnet18 1 2 twice$"),
        (f'{HEAD}\nresnet18,1,2,transfer_accuracy,"1', r"cannot be read as CSV: "),
        (f"{HEAD}\nresnet18,1,2,transfer_accuracy,1\nresnet18,1,2,source_accuracy,1\n",
         r"has transfer_accuracy over no dimension of its own, expected one dimension$"),
    ],
)  # fmt: skip
def test_tables_that_are_damaged(tmp_path, text, message):
    path = tmp_path / "published.csv"
    path.write_text(text)
    cube = MISMATCH.assign(source_accuracy=MISMATCH.transfer_accuracy)
    with pytest.raises(ValueError, match=f"published.csv {message}"):
        compare_to_published(cube, path)


def test_tables_that_are_not_there_or_not_text(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.csv"):
        compare_to_published(make_cube(), tmp_path / "nothing.csv")
    (tmp_path / "image.csv").write_bytes(b"\x89PNG\xff")
    with pytest.raises(ValueError, match=r"image\.csv cannot be read as CSV: "):
        compare_to_published(make_cube(), tmp_path / "image.csv")
