"""Spread over seeds and contrasts between factors: by hand, and against SciPy and NumPy."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from invtransfer.analysis import CONTRASTS, factor_contrasts, summarise


def accuracies(values, names=("width", "width"), **more):
    """Label numbers over factor, relation (same, disjoint) and seed."""
    values = np.array(values, float)
    coordinates = {
        "factor": [f"{name}={i}" for i, name in enumerate(names)],
        "factor_name": ("factor", list(names)),
        "level": ("factor", [str(i) for i in range(len(names))]),
        "relation": ["same", "disjoint"],
        "seed": np.arange(values.shape[2]),
    }
    return xr.DataArray(values, coordinates | more, ["factor", "relation", "seed"])


# summarise


def test_summary_by_hand():
    # 1, 2, 6: mean 9 / 3 = 3; squares 4 + 1 + 9 = 14, std sqrt(14 / 2) = sqrt(7)
    # Student's t for 97.5 % and 2 degrees of freedom, from any table: 4.303; half the interval: 4.303 * sqrt(7 / 3)
    summary = summarise(xr.DataArray([1.0, 2, 6], dims="seed"))
    assert summary["mean"] == 3
    assert summary["std"].item() == pytest.approx(np.sqrt(7))
    assert summary["low"].item() == pytest.approx(3 - 4.303 * np.sqrt(7 / 3), abs=1e-3)
    assert summary["high"].item() == pytest.approx(3 + 4.303 * np.sqrt(7 / 3), abs=1e-3)
    assert summary["n"] == 3


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_summary_against_scipy_and_numpy(axis):
    generator = np.random.default_rng(axis)
    values = generator.normal(0.7, 0.1, (5, 6, 7))
    values[generator.random(values.shape) < 0.1] = np.nan
    dims = ["factor", "relation"]
    dims.insert(axis, "seed")
    summary = summarise(xr.DataArray(values, dims=dims))
    assert summary["mean"].dims == summary["low"].dims == ("factor", "relation")
    n = (~np.isnan(values)).sum(axis)
    assert n.min() >= 2
    np.testing.assert_array_equal(summary["n"], n)
    np.testing.assert_allclose(summary["mean"], np.nanmean(values, axis))
    np.testing.assert_allclose(summary["std"], np.nanstd(values, axis, ddof=1))
    interval = stats.ttest_1samp(values, 0, axis, nan_policy="omit").confidence_interval(0.95)
    np.testing.assert_allclose(summary["low"], interval.low)
    np.testing.assert_allclose(summary["high"], interval.high)


def test_interval_covers_the_mean_in_95_of_100_cases():
    values = xr.DataArray(np.random.default_rng(0).normal(1, 2, (20_000, 4)), dims=["case", "seed"])
    summary = summarise(values)
    covered = ((summary["low"] < 1) & (summary["high"] > 1)).mean().item()
    assert covered == pytest.approx(0.95, abs=0.005)  # 3 standard errors: 3 * sqrt(0.95 * 0.05 / 20000) = 0.0046


def test_one_value_has_a_mean_and_no_spread():
    summary = summarise(xr.DataArray([[0.5], [np.nan]], dims=["factor", "seed"]))
    np.testing.assert_array_equal(summary["mean"], [0.5, np.nan])
    np.testing.assert_array_equal(summary["n"], [1, 0])
    for name in ("std", "low", "high"):
        assert summary[name].isnull().all()


def test_missing_values_are_left_out():
    values = xr.DataArray([[1.0, np.nan, 3], [np.nan, np.nan, 4]], dims=["factor", "seed"])
    summary = summarise(values)
    np.testing.assert_array_equal(summary["mean"], [2, 4])
    np.testing.assert_allclose(summary["std"], [np.sqrt(2), np.nan])  # of 1 and 3: sqrt((1 + 1) / 1)
    np.testing.assert_array_equal(summary["n"], [2, 1])


def test_equal_values_have_no_width():
    summary = summarise(xr.DataArray([2.0, 2, 2], dims="seed"))
    assert summary["std"] == 0
    assert summary["low"] == summary["high"] == 2


def test_summary_over_another_dimension_keeps_labels():
    values = xr.DataArray([[0, 2], [2, 4]], {"seed": [3, 5], "encoder": ["a", "b"]}, ["seed", "encoder"])
    summary = summarise(values, "encoder")
    assert summary["mean"].sel(seed=5) == 3
    assert summary["std"].sel(seed=3).item() == pytest.approx(np.sqrt(2))
    xr.testing.assert_identical(summarise(values.T, "encoder"), summary)


# factor_contrasts


def test_contrasts_by_hand():
    accuracy = accuracies(
        [  # same, disjoint; two seeds each
            [[0.90, 0.80], [0.50, 0.40]],  # class_relation, level 0
            [[0.70, 0.80], [0.60, 0.60]],  # level 1
            [[0.80, 0.80], [0.40, 0.30]],  # level 2
            [[1.00, 0.90], [0.75, 0.60]],  # width, level 0
            [[0.95, 0.90], [0.70, 0.70]],  # level 1
        ],
        ["class_relation"] * 3 + ["width"] * 2,
    )
    contrasts = factor_contrasts(accuracy)
    assert contrasts.dims == ("factor_name", "contrast", "seed")
    assert contrasts.factor_name.values.tolist() == ["class_relation", "width"]
    assert tuple(contrasts.contrast.values) == CONTRASTS == ("within_disjoint", "same_minus_disjoint", "within_same")
    assert contrasts.seed.values.tolist() == [0, 1]
    assert contrasts.attrs.keys() >= {"units", "long_name"}
    assert set(contrasts.coords) == {"factor_name", "contrast", "seed"}

    def values(factor_name, contrast):
        return contrasts.sel(factor_name=factor_name, contrast=contrast).values

    # means of disjoint: 0.45, 0.60, 0.35: level 1 minus level 2, seed by seed: 0.6 - 0.4, 0.6 - 0.3
    np.testing.assert_allclose(values("class_relation", "within_disjoint"), [0.2, 0.3])
    # means of same: 0.85, 0.75, 0.80: level 0 minus level 1: 0.9 - 0.7, 0.8 - 0.8
    np.testing.assert_allclose(values("class_relation", "within_same"), [0.2, 0.0], atol=1e-15)
    # seed 0: (0.4 + 0.1 + 0.4) / 3; seed 1: (0.4 + 0.2 + 0.5) / 3
    np.testing.assert_allclose(values("class_relation", "same_minus_disjoint"), [0.3, 1.1 / 3])
    # means of disjoint: 0.675, 0.7: 0.7 - 0.75, 0.7 - 0.6
    np.testing.assert_allclose(values("width", "within_disjoint"), [-0.05, 0.1])
    # means of same: 0.95, 0.925: 1 - 0.95, 0.9 - 0.9
    np.testing.assert_allclose(values("width", "within_same"), [0.05, 0.0], atol=1e-15)
    # (0.25 + 0.25) / 2, (0.3 + 0.2) / 2
    np.testing.assert_allclose(values("width", "same_minus_disjoint"), [0.25, 0.25])


def test_best_and_worst_are_the_same_level_for_all_seeds():
    # means 0.5 and 0.55: level 1 is best, and seed 0 says otherwise; a maximum seed by seed would give 0.7 and 0.8
    accuracy = accuracies([[[0.9, 0.1]] * 2, [[0.2, 0.9]] * 2])
    contrasts = factor_contrasts(accuracy).sel(factor_name="width")
    np.testing.assert_allclose(contrasts.sel(contrast="within_same"), [-0.7, 0.8])
    np.testing.assert_allclose(contrasts.sel(contrast="within_disjoint"), [-0.7, 0.8])


def test_contrasts_against_numpy():
    generator = np.random.default_rng(0)
    names = np.array(
        ["width", "n_samples", "width", "class_relation", "n_samples", "width"]
    )  # levels need not be adjacent
    values = generator.random((6, 2, 5))
    contrasts = factor_contrasts(accuracies(values, names))
    assert contrasts.factor_name.values.tolist() == ["width", "n_samples", "class_relation"]  # as they appear
    for name in names:
        same, disjoint = values[names == name].transpose(1, 0, 2)
        expected = [
            disjoint[disjoint.mean(1).argmax()] - disjoint[disjoint.mean(1).argmin()],
            (same - disjoint).mean(0),
            same[same.mean(1).argmax()] - same[same.mean(1).argmin()],
        ]
        np.testing.assert_allclose(contrasts.sel(factor_name=name), expected)


def test_order_of_dimensions_and_relations_does_not_matter():
    accuracy = accuracies(np.random.default_rng(0).random((4, 2, 3)), ["a", "b", "a", "b"])
    expected = factor_contrasts(accuracy)
    xr.testing.assert_allclose(factor_contrasts(accuracy.transpose("seed", "relation", "factor")), expected)
    xr.testing.assert_allclose(factor_contrasts(accuracy.isel(relation=[1, 0])), expected)


def test_a_constant_changes_no_contrast():
    accuracy = accuracies(np.random.default_rng(0).random((3, 2, 4)), ["a"] * 3)
    xr.testing.assert_allclose(factor_contrasts(accuracy + 10), factor_contrasts(accuracy))


def test_one_level_has_no_range():
    contrasts = factor_contrasts(accuracies([[[0.9, 0.8], [0.5, 0.6]]], ["width"]))
    np.testing.assert_allclose(contrasts.sel(factor_name="width"), [[0, 0], [0.4, 0.2], [0, 0]], atol=1e-15)


def test_one_seed():
    contrasts = factor_contrasts(accuracies([[[0.9], [0.5]], [[0.7], [0.6]]]))
    # disjoint 0.6 - 0.5; ((0.9 - 0.5) + (0.7 - 0.6)) / 2; same 0.9 - 0.7
    np.testing.assert_allclose(contrasts.squeeze(), [0.1, 0.25, 0.2])


def test_missing_cell_is_missing_where_it_is_needed():
    nan = np.nan
    accuracy = accuracies([[[0.9, nan], [0.5, 0.4]], [[0.7, 0.8], [0.6, 0.6]], [[0.8, 0.8], [0.2, 0.2]]], ["w"] * 3)
    contrasts = factor_contrasts(accuracy).sel(factor_name="w")
    # best same level is 0, by the seed that there is; its other seed is unknown, not 0 and not that of another level
    np.testing.assert_allclose(contrasts.sel(contrast="within_same"), [0.9 - 0.7, nan])
    np.testing.assert_allclose(contrasts.sel(contrast="same_minus_disjoint"), [(0.4 + 0.1 + 0.6) / 3, nan])
    np.testing.assert_allclose(contrasts.sel(contrast="within_disjoint"), [0.4, 0.4])


def test_level_without_any_cell_is_neither_best_nor_worst():
    nan = np.nan
    accuracy = accuracies([[[nan, nan], [nan, nan]], [[0.7, 0.8], [0.6, 0.6]], [[0.8, 0.8], [0.2, 0.2]]], ["w"] * 3)
    contrasts = factor_contrasts(accuracy).sel(factor_name="w")
    np.testing.assert_allclose(contrasts.sel(contrast="within_same"), [0.1, 0.0], atol=1e-15)  # 0.8 - 0.7, 0.8 - 0.8
    np.testing.assert_allclose(contrasts.sel(contrast="within_disjoint"), [0.4, 0.4])
    assert contrasts.sel(contrast="same_minus_disjoint").isnull().all()


def test_factor_without_any_cell():
    accuracy = accuracies(np.full((2, 2, 3), 0.5), ["width", "depth"])
    accuracy[1] = np.nan
    contrasts = factor_contrasts(accuracy)
    assert contrasts.sel(factor_name="depth").isnull().all()
    assert contrasts.sel(factor_name="depth").shape == (3, 3)
    assert (contrasts.sel(factor_name="width") == 0).all()


def test_contrasts_are_summarised_by_factor():
    accuracy = accuracies([[[0.9, 0.8, 0.7], [0.5, 0.4, 0.3]], [[0.7] * 3, [0.6] * 3]])
    summary = summarise(factor_contrasts(accuracy)).sel(factor_name="width", contrast="same_minus_disjoint")
    # (0.4 + 0.1) / 2 for each seed
    assert summary["mean"].item() == pytest.approx(0.25)
    assert summary["std"].item() == pytest.approx(0, abs=1e-12)
