"""Spread over seeds, contrasts between factors, shares of variance: by hand, against SciPy and NumPy, by simulation."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from invtransfer.analysis import (
    COMPONENTS,
    CONTRASTS,
    change_by_mismatch,
    compare_with_exact,
    count_once,
    factor_contrasts,
    fill_relations,
    format_mean,
    format_table,
    invariance_by_relation,
    paired_contrast,
    select_factor,
    spillover,
    summarise,
    variance_explained,
)

NAN = np.nan


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
    values[generator.random(values.shape) < 0.1] = NAN
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
    summary = summarise(xr.DataArray([[0.5], [NAN]], dims=["factor", "seed"]))
    np.testing.assert_array_equal(summary["mean"], [0.5, NAN])
    np.testing.assert_array_equal(summary["n"], [1, 0])
    for name in ("std", "low", "high"):
        assert summary[name].isnull().all()


def test_summary_over_another_dimension_keeps_labels():
    values = xr.DataArray([[0, 2], [2, 4]], {"seed": [3, 5], "encoder": ["a", "b"]}, ["seed", "encoder"])
    summary = summarise(values, "encoder")
    assert summary["mean"].sel(seed=5) == 3
    assert summary["std"].sel(seed=3).item() == pytest.approx(np.sqrt(2))
    xr.testing.assert_identical(summarise(values.T, "encoder"), summary)


def test_summary_of_a_dimension_that_is_not_there():
    with pytest.raises(ValueError, match=r"^values has no dimension 'seed'; its dimensions are: factor, relation$"):
        summarise(xr.DataArray(np.zeros((2, 2)), dims=["factor", "relation"]))


# format_mean, format_table


def seeds(*values):
    return xr.DataArray(list(values), dims="seed")


@pytest.mark.parametrize(
    ("values", "arguments", "text"),
    [
        # std sqrt(0.13), Student's t for 2 degrees of freedom 4.303; 4.303 * sqrt(0.13 / 3) = 0.896
        ([0.2, 0.4, 0.9], {}, "0.500 ± 0.896"),
        ([0.2, 0.4, 0.9], {"sign": "+", "digits": 1}, "+0.5 ± 0.9"),
        # std 0.7 / sqrt(2), t for 1 degree of freedom 12.706; 12.706 * 0.35 = 4.447
        ([0.2, NAN, 0.9], {}, "0.550 ± 4.447"),
        ([0.2, NAN], {}, "0.200"),
        ([-0.25], {"sign": "+"}, "-0.250"),
        ([-0.0001], {}, "0.000"),
        ([NAN, NAN], {}, "?"),
        ([], {}, "?"),
    ],
)
def test_mean_as_text(values, arguments, text):
    assert format_mean(seeds(*values), **arguments) == text


def test_table_as_text():
    rows = [["factor", "level", "mean"], ["a", "first", "0.5"], ["longer", "b", ""]]
    assert format_table(rows, n_left=2).splitlines() == ["factor  level  mean", "a       first   0.5", "longer  b"]
    assert format_table(rows).splitlines()[1:] == ["a       first   0.5", "longer      b"]
    assert format_table([]) == ""
    with pytest.raises(ValueError, match="rows have 2 and 3 columns, expected as many in each"):
        format_table([*rows, ["x", "y"]])


# paired_contrast


def test_difference_by_hand():
    accuracy = accuracies([[[0.9, 0.8], [0.5, 0.6]], [[0.7, 0.8], [0.4, 0.1]]])
    difference = paired_contrast(accuracy, "relation", "same", "disjoint")
    assert difference.dims == ("factor", "seed")
    np.testing.assert_allclose(difference, [[0.4, 0.2], [0.3, 0.7]])
    assert difference.factor.values.tolist() == accuracy.factor.values.tolist()
    assert "relation" not in difference.coords
    assert difference.attrs["long_name"] == "difference between relation same and disjoint"
    difference = paired_contrast(accuracy, "factor", "width=0", "width=1")
    np.testing.assert_allclose(difference, [[0.2, 0], [0.1, 0.5]], atol=1e-15)
    assert set(difference.coords) == {"relation", "seed"}


def test_differences_are_paired_by_seed():
    # seeds differ by 10, the two labels by 1: the interval of the difference has no width, and unpaired it would
    accuracy = accuracies([[[1, 11, 21]] * 2, [[0, 10, 20]] * 2])
    summary = summarise(paired_contrast(accuracy, "factor", "width=0", "width=1")).sel(relation="same")
    assert summary["low"] == summary["high"] == 1


def test_interval_of_the_difference_against_scipy():
    values = np.random.default_rng(0).random((2, 2, 6))
    summary = summarise(paired_contrast(accuracies(values), "factor", "width=1", "width=0")).sel(relation="disjoint")
    expected = stats.ttest_rel(values[1, 1], values[0, 1]).confidence_interval(0.95)
    np.testing.assert_allclose([summary["low"], summary["high"]], expected)


def test_difference_over_numbers_and_beside_other_dimensions():
    values = xr.DataArray(np.arange(12.0).reshape(2, 3, 2), {"n": [10, 50, 200]}, ["seed", "n", "transformation"])
    difference = paired_contrast(values, "n", 200, 10)
    assert difference.dims == ("seed", "transformation")
    assert (difference == 4).all()


def test_difference_is_missing_where_either_is():
    accuracy = accuracies([[[0.9, NAN, 0.8]] * 2, [[0.5, 0.5, NAN]] * 2])
    difference = paired_contrast(accuracy, "factor", "width=0", "width=1").sel(relation="same")
    np.testing.assert_allclose(difference, [0.4, NAN, NAN])
    assert summarise(difference)["n"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("factor", "width=0", "width=9"), r"^second is 'width=9', expected a label of 'factor': width=0, width=1$"),
        (("relation", "other", "same"), r"^first is 'other', expected a label of 'relation': same, disjoint$"),
        (("encoder", "a", "b"), r"^values has no dimension 'encoder'; its dimensions are: factor, relation, seed$"),
        (("seed", 0, 1), r"^dim is 'seed', expected another dimension: differences are paired over seeds$"),
    ],
)
def test_difference_of_what_is_not_there(arguments, message):
    with pytest.raises(ValueError, match=message):
        paired_contrast(accuracies(np.zeros((2, 2, 2))), *arguments)


def test_difference_without_seeds_or_labels():
    with pytest.raises(ValueError, match=r"^values has no dimension 'seed'; its dimensions are: factor, relation$"):
        paired_contrast(accuracies(np.zeros((2, 2, 2))).mean("seed"), "relation", "same", "disjoint")
    with pytest.raises(ValueError, match=r"^values has no labels along 'layer', expected a coordinate of that name$"):
        paired_contrast(xr.DataArray(np.zeros((2, 2)), dims=["layer", "seed"]), "layer", 0, 1)


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
    expected = [
        [  # class_relation: means of disjoint 0.45, 0.60, 0.35: level 1 minus level 2, 0.6 - 0.4, 0.6 - 0.3 by seed
            [0.2, 0.3],
            [0.3, 1.1 / 3],  # (0.4 + 0.1 + 0.4) / 3, (0.4 + 0.2 + 0.5) / 3
            [0.2, 0.0],  # means of same 0.85, 0.75, 0.80: level 0 minus level 1: 0.9 - 0.7, 0.8 - 0.8
        ],
        [  # width: means of disjoint 0.675, 0.7: 0.7 - 0.75, 0.7 - 0.6
            [-0.05, 0.1],
            [0.25, 0.25],  # (0.25 + 0.25) / 2, (0.3 + 0.2) / 2
            [0.05, 0.0],  # means of same 0.95, 0.925: 1 - 0.95, 0.9 - 0.9
        ],
    ]
    np.testing.assert_allclose(contrasts, expected, atol=1e-15)


@pytest.mark.parametrize(
    ("values", "within_disjoint", "same_minus_disjoint", "within_same"),
    [
        # means 0.5 and 0.55: level 1 is best, and seed 0 says otherwise; a maximum seed by seed would give 0.7 and 0.8
        ([[[0.9, 0.1]] * 2, [[0.2, 0.9]] * 2], [-0.7, 0.8], [0, 0], [-0.7, 0.8]),
        # one level has no range
        ([[[0.9, 0.8], [0.5, 0.6]]], [NAN, NAN], [0.4, 0.2], [NAN, NAN]),
        # one seed: 0.6 - 0.5; ((0.9 - 0.5) + (0.7 - 0.6)) / 2; 0.9 - 0.7
        ([[[0.9], [0.5]], [[0.7], [0.6]]], [0.1], [0.25], [0.2]),
        # the second seed lacks a level: it says nothing about the range of all of them; (0.4 + 0.1 + 0.6) / 3
        ([[[0.9, NAN], [0.5, 0.4]], [[0.7, 0.8], [0.6, 0.6]], [[0.8, 0.8], [0.2, 0.2]]],
         [0.4, NAN], [1.1 / 3, NAN], [0.2, NAN]),
        # a level that only a lucky seed has cannot win: the one seed that has all counts alone
        ([[[0.99, NAN, NAN]] * 2, [[0.8] * 3] * 2, [[0.8] * 3] * 2], [0.19, NAN, NAN], [0, NAN, NAN], [0.19, NAN, NAN]),
        # a level without any cell is left out: 0.6 - 0.2; (0.1 + 0.6) / 2, (0.2 + 0.6) / 2; 0.8 - 0.7, 0.8 - 0.8
        ([[[NAN, NAN], [NAN, NAN]], [[0.7, 0.8], [0.6, 0.6]], [[0.8, 0.8], [0.2, 0.2]]],
         [0.4, 0.4], [0.35, 0.4], [0.1, 0]),
    ],
)  # fmt: skip
def test_contrasts_of_few_or_missing_values(values, within_disjoint, same_minus_disjoint, within_same):
    contrasts = factor_contrasts(accuracies(values, ["width"] * len(values))).sel(factor_name="width")
    np.testing.assert_allclose(contrasts, [within_disjoint, same_minus_disjoint, within_same], atol=1e-15)


def test_factor_without_any_cell():
    accuracy = accuracies(np.full((3, 2, 3), 0.5), ["width", "depth", "width"])
    accuracy[1] = NAN
    contrasts = factor_contrasts(accuracy)
    assert contrasts.sel(factor_name="depth").isnull().all()
    assert contrasts.sel(factor_name="depth").shape == (3, 3)
    assert (contrasts.sel(factor_name="width") == 0).all()


@pytest.mark.parametrize("function", [factor_contrasts, variance_explained])
def test_references_count_for_nothing(function):
    values = np.random.default_rng(0).random((4, 2, 3))
    accuracy = accuracies(values, ["width", "width", "reference", "reference"])
    xr.testing.assert_identical(function(accuracy), function(accuracies(values[:2])))
    for nothing in (accuracy[2:], accuracy[:0]):
        assert dict(function(nothing).sizes) == dict(function(accuracy).sizes) | {"factor_name": 0}


@pytest.mark.parametrize("function", [factor_contrasts, variance_explained])
def test_an_index_on_the_names_of_factors_changes_nothing(function):
    accuracy = accuracies(np.random.default_rng(0).random((4, 2, 3)), ["width", "width", "depth", "reference"])
    indexed = accuracy.set_xindex("factor_name").set_xindex("level")
    assert indexed.sel(factor_name="width").sizes["factor"] == 2
    xr.testing.assert_identical(function(indexed), function(accuracy))


@pytest.mark.parametrize("function", [factor_contrasts, variance_explained])
def test_what_cubes_must_have(function):
    accuracy = accuracies(np.zeros((2, 2, 2)))
    message = r"^accuracy has no dimension 'relation', 'seed'; its dimensions are: factor$"
    with pytest.raises(ValueError, match=message):
        function(accuracy.isel(relation=0, seed=0))
    message = r"^accuracy has no coordinate 'factor_name'; its coordinates are: factor, level, relation, seed$"
    with pytest.raises(ValueError, match=message):
        function(accuracy.drop_vars("factor_name"))
    with pytest.raises(ValueError, match=r"^accuracy has the relations \['same'\], expected "):
        function(accuracy.sel(relation=["same"]))


# variance_explained


def shares(values, names=None, **more):
    """Return what each component explains of one factor, as a dict."""
    values = np.array(values, float)
    shares = variance_explained(accuracies(values, names or ["w"] * len(values)), **more).isel(factor_name=0)
    return shares, dict(zip(COMPONENTS, shares["share"].values, strict=True))


def test_level_and_relation_explain_half_each():
    # means of level 0.8 and 0.6, of same 0.8 and of disjoint 0.6: each 0.1 from 0.7; all seeds alike
    explained, share = shares([[[0.9] * 3, [0.7] * 3], [[0.7] * 3, [0.5] * 3]])
    assert list(share.values()) == pytest.approx([0.5, 0.5, 0, 0, 0])
    for end in ("low", "high"):  # nothing varies over seeds
        np.testing.assert_allclose(explained[end], [0.5, 0.5, 0, 0, 0], atol=1e-12)
    assert explained["n"] == 3
    assert explained["n_levels"] == 2


A, B = np.sqrt(2) * 0.05, 0.05


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        # levels 0.7 + a and 0.7 - a: variance a^2 over levels; seeds + b and - b: b^2 + b^2 over n - 1 = 1; a^2 = 2 b^2
        ([[[0.7 + A + B, 0.7 + A - B]] * 2, [[0.7 - A + B, 0.7 - A - B]] * 2], [0.5, 0, 0, 0.5, 0]),
        # "same" is better by 0.2 at one level and worse by 0.2 at the other: interaction explains all
        ([[[0.7, 0.7], [0.5, 0.5]], [[0.5, 0.5], [0.7, 0.7]]], [0, 0, 1, 0, 0]),
        # means over seeds: same 0.7, 0.5; disjoint 0.5, 0.3: variance 0.01 over levels and 0.01 over relations.
        # Deviations of the seeds, first one: + 0.1 for same, - 0.1 for disjoint, the opposite of it for the second:
        # relation x seed alone, whose square sums to 0.02 over 2 seeds, variance 0.02; half of it, 0.01, is what it
        # adds to the mean square of the relation, of which nothing is left. Level: 0.01 of it stays.
        # Variance within a cell 0.02; covariance between cells 0.02 in like relations and - 0.02 in unlike ones: of the
        # 6 pairs 2 are alike and 4 unlike, mean - 0.04 / 6; residual 0.02 + 0.04 / 6; total 0.01 + 0.02.
        ([[[0.8, 0.6], [0.4, 0.6]], [[0.6, 0.4], [0.2, 0.4]]], [1 / 3, 0, 0, -2 / 9, 8 / 9]),
        # one seed has plain shares: level 0.1 and relation 0.05 from the mean, 0.01 and 0.0025; cells add up
        ([[[0.95], [0.85]], [[0.75], [0.65]]], [0.8, 0.2, 0, NAN, NAN]),
    ],
)
def test_shares_by_hand(values, expected):
    explained, share = shares(values)
    np.testing.assert_allclose(list(share.values()), expected, atol=1e-12)
    n_seeds = len(values[0][0])
    assert explained["n"] == n_seeds
    assert explained[["low", "high"]].isnull().all().to_array().values.tolist() == [n_seeds == 1] * 2


def test_shares_against_sums_of_squares():
    generator = np.random.default_rng(0)
    y = generator.random((4, 2, 5))
    n_levels, n_relations, n = y.shape
    mean = y.mean()
    a = [y[i].mean() - mean for i in range(n_levels)]
    b = [y[:, j].mean() - mean for j in range(n_relations)]
    expected = []
    # the level: its mean square, less the mean square of level x seed over the number of values per level
    squares = sum(n_relations * n * a[i] ** 2 for i in range(n_levels))
    error = sum(
        n_relations * (y[i, :, s].mean() - y[:, :, s].mean() - a[i]) ** 2 for i in range(n_levels) for s in range(n)
    ) / ((n_levels - 1) * (n - 1))
    expected.append((squares - (n_levels - 1) * error) / y.size)
    squares = sum(n_levels * n * b[j] ** 2 for j in range(n_relations))
    error = sum(
        n_levels * (y[:, j, s].mean() - y[:, :, s].mean() - b[j]) ** 2 for j in range(n_relations) for s in range(n)
    ) / ((n_relations - 1) * (n - 1))
    expected.append((squares - (n_relations - 1) * error) / y.size)
    cells = y.mean(axis=2)
    both = [[cells[i, j] - mean - a[i] - b[j] for j in range(n_relations)] for i in range(n_levels)]
    parts = y - y.mean(axis=(0, 1)) - (cells - mean)[:, :, None]
    parts = parts - parts.mean(axis=0, keepdims=True) - parts.mean(axis=1, keepdims=True)
    error = np.square(parts).sum() / ((n_levels - 1) * (n_relations - 1) * (n - 1))
    expected.append((n * np.square(both).sum() - (n_levels - 1) * (n_relations - 1) * error) / y.size)
    covariance = np.cov(y.reshape(-1, n))
    off = covariance[~np.eye(len(covariance), dtype=bool)].mean()
    expected += [off, np.diag(covariance).mean() - off]
    _, share = shares(y)
    np.testing.assert_allclose(list(share.values()), np.array(expected) / sum(expected))
    assert sum(share.values()) == pytest.approx(1)


def test_noise_is_no_effect():
    # eta squared would give the level 4 of 29 degrees of freedom, 14 %; here it is 0 on average
    generator = np.random.default_rng(0)
    names = np.repeat([f"f{i}" for i in range(400)], 5)
    explained = variance_explained(accuracies(generator.normal(0, 1, (2_000, 2, 3)), names), n_resamples=2)
    mean = explained["share"].mean("factor_name")
    error = explained["share"].std("factor_name") / np.sqrt(400)
    for component in ("level", "relation", "interaction"):
        assert abs(mean.sel(component=component)) < 3 * error.sel(component=component)
        assert error.sel(component=component) < 0.01


def planted(n_cases, n_seeds, seed=0):
    """Return accuracies of factors whose shares are known: each level + relation + seed + residual."""
    generator = np.random.default_rng(seed)
    level = np.array([-1, 0, 1])[None, :, None, None] * 0.05
    relation = np.array([1, -1])[None, None, :, None] * 0.05
    common = generator.normal(0, 0.03, (n_cases, 1, 1, n_seeds))
    residual = generator.normal(0, 0.03, (n_cases, 3, 2, n_seeds))
    values = (0.7 + level + relation + common + residual).reshape(-1, 2, n_seeds)
    truth = np.array([0.05**2 * 2 / 3, 0.05**2, 0, 0.03**2, 0.03**2])
    return accuracies(values, np.repeat([f"f{i}" for i in range(n_cases)], 3)), truth / truth.sum()


@pytest.mark.parametrize(("n_seeds", "rest"), [(3, 0.65), (10, 0.78)])
def test_intervals_hold_the_true_shares(n_seeds, rest):
    accuracy, truth = planted(300, n_seeds)
    explained = variance_explained(accuracy, n_resamples=300)
    held = (explained["low"] <= truth + 1e-9) & (truth - 1e-9 <= explained["high"])
    held = dict(zip(COMPONENTS, held.mean("factor_name").values, strict=True))
    for component in ("level", "relation", "interaction"):
        assert held[component] > 0.90
    assert held["seed"] > rest
    assert held["residual"] > rest
    np.testing.assert_allclose(explained["share"].mean("factor_name"), truth, atol=0.03)


def test_more_seeds_narrow_the_interval():
    widths = []
    for n_seeds in (3, 10, 40):
        explained = variance_explained(planted(20, n_seeds)[0], n_resamples=200)
        widths.append((explained["high"] - explained["low"]).sel(component="relation").mean().item())
    assert widths[0] > 2 * widths[1] > 4 * widths[2] / 1.5


def test_shares_depend_on_neither_unit_nor_order():
    accuracy, _ = planted(1, 4)
    expected = variance_explained(accuracy)
    xr.testing.assert_allclose(variance_explained(100 * accuracy + 7), expected)
    xr.testing.assert_allclose(variance_explained(accuracy.isel(relation=[1, 0], factor=[2, 0, 1])), expected)
    xr.testing.assert_allclose(variance_explained(accuracy.transpose("seed", "relation", "factor")), expected)
    shuffled = variance_explained(accuracy.isel(seed=[2, 0, 3, 1]), n_resamples=20_000)
    xr.testing.assert_allclose(shuffled["share"], expected["share"])
    np.testing.assert_allclose(shuffled["low"], expected["low"], atol=0.02)


def test_random_state_decides_the_interval():
    accuracy, _ = planted(2, 4)
    xr.testing.assert_identical(variance_explained(accuracy), variance_explained(accuracy, random_state=0))
    xr.testing.assert_identical(
        variance_explained(accuracy), variance_explained(accuracy, random_state=np.random.default_rng(0))
    )
    other = variance_explained(accuracy, random_state=1)
    xr.testing.assert_identical(other["share"], variance_explained(accuracy)["share"])
    assert (other["low"] != variance_explained(accuracy)["low"]).any()
    alone = variance_explained(accuracy.isel(factor=slice(3, None)))
    xr.testing.assert_identical(alone, variance_explained(accuracy).sel(factor_name=["f1"]))


def test_interval_is_cut_and_contains_the_share():
    explained = variance_explained(planted(50, 2)[0], n_resamples=200)
    share, low, high = (explained[name].values for name in ("share", "low", "high"))
    assert (low <= share).all()
    assert (share <= high).all()
    assert (low >= np.minimum(share, 0)).all()
    assert (high <= np.maximum(share, 1)).all()
    assert (share < 0).any()


def test_failed_levels_and_seeds_that_lack_a_cell_are_left_out():
    values = np.random.default_rng(0).random((4, 2, 5))
    without_level, without_seed = values.copy(), values.copy()
    without_level[2, 1] = NAN  # disjoint failed
    without_seed[2, 1, 3] = NAN
    xr.testing.assert_identical(shares(without_level)[0], shares(values[[0, 1, 3]])[0])
    explained, expected = shares(without_seed)[0], shares(values[:, :, [0, 1, 2, 4]])[0]
    xr.testing.assert_allclose(explained["share"], expected["share"])
    assert (explained["n"], explained["n_levels"]) == (4, 4)


@pytest.mark.parametrize(
    ("values", "n", "n_levels"),
    [
        (np.full((2, 2, 3), NAN), 0, 0),
        (np.full((2, 2, 3), 0.7), 3, 2),  # no variance
        ([[[0.9, 0.8], [0.5, 0.6]]], 2, 1),
        ([[[0.9, NAN]] * 2, [[NAN, 0.5]] * 2], 0, 2),  # no seed has both levels
    ],
)
def test_nothing_to_explain(values, n, n_levels):
    explained, _ = shares(values)
    for name in ("share", "low", "high"):
        assert explained[name].isnull().all()
    assert (explained["n"], explained["n_levels"]) == (n, n_levels)


# invariance_by_relation, spillover

ENCODERS = ["rotate", "blur", "hue", "none", "untrained"]
TRANSFORMATIONS = ENCODERS[:3]


def sensitivities(values, encoders=ENCODERS, **more):
    """Label numbers over encoder, transformation and seed."""
    values = np.array(values, float)
    coordinates = {
        "pretraining_transformation": list(encoders),
        "transformation": TRANSFORMATIONS,
        "category": ("transformation", ["geometric", "corruption", "photometric"]),
        "seed": np.arange(values.shape[2]),
    }
    return xr.DataArray(
        values, coordinates | more, ["pretraining_transformation", "transformation", "seed"], attrs={"units": "1"}
    )


def two_seeds():
    """Return sensitivities whose first seed is 1 to 15 by place, and the second 0.5 more."""
    first = np.arange(1.0, 16).reshape(5, 3)
    return sensitivities(np.stack([first, first + 0.5], axis=2))


def test_relations_by_hand():
    invariance = invariance_by_relation(two_seeds())
    assert invariance.dims == ("relation", "seed")
    assert invariance.relation.values.tolist() == ["same", "other", "none", "untrained"]
    # 1 5 9; 2 3 4 6 7 8; 10 11 12; 13 14 15
    np.testing.assert_allclose(invariance, [[5, 5.5], [5, 5.5], [11, 11.5], [14, 14.5]])
    assert invariance.attrs["units"] == "1"
    assert invariance.attrs["long_name"]
    assert set(invariance.coords) == {"relation", "seed"}


def test_relations_are_told_apart():
    values = two_seeds() * 0
    values.loc[{"pretraining_transformation": "blur", "transformation": "blur"}] = 3  # one of three
    values.loc[{"pretraining_transformation": "blur", "transformation": "hue"}] = 6  # one of six
    np.testing.assert_allclose(invariance_by_relation(values)[:, 0], [1, 1, 0, 0])


def test_relations_beside_other_dimensions_and_in_any_order():
    values = two_seeds()
    more = xr.concat([values, values + 100], xr.DataArray(["image", "random"], dims="trained_on", name="trained_on"))
    invariance = invariance_by_relation(more.transpose("seed", "transformation", ...))
    assert invariance.dims == ("relation", "trained_on", "seed")
    expected = invariance_by_relation(values)
    np.testing.assert_allclose(invariance.sel(trained_on="image"), expected)
    np.testing.assert_allclose(invariance.sel(trained_on="random"), expected + 100)


def test_relations_of_a_part_are_means_over_what_is_there():
    values = two_seeds()
    values[0, :, 0] = NAN  # the encoder of rotate, first seed
    values[1, 2] = NAN  # 6
    invariance = invariance_by_relation(values)
    # seed 0: same 5 9, other 4 7 8; seed 1 (less its 0.5): same 1 5 9, other 2 3 4 7 8
    np.testing.assert_allclose(invariance[:2], [[7, 5.5], [19 / 3, 24 / 5 + 0.5]])
    part = two_seeds().isel(pretraining_transformation=[1, 3], transformation=[0, 1])  # 4 5 and 10 11
    invariance = invariance_by_relation(part)
    assert invariance.relation.values.tolist() == ["same", "other", "none"]
    np.testing.assert_allclose(invariance[:, 0], [5, 4, 10.5])


@pytest.mark.parametrize(
    ("encoders", "expected"),
    [
        ([3], [NAN, NAN, 11]),
        ([0, 1], [3, 15 / 4, NAN]),  # 1 5; 2 3 4 6
        ([], [NAN] * 3),
    ],
)
def test_relations_without_values_are_missing(encoders, expected):
    invariance = invariance_by_relation(two_seeds().isel(pretraining_transformation=encoders))
    np.testing.assert_allclose(invariance[:, 0], expected)


def test_spillover_by_hand():
    change = spillover(two_seeds())
    assert change.dims == ("pretraining_transformation", "transformation", "seed")
    assert change.pretraining_transformation.values.tolist() == TRANSFORMATIONS
    # rows 1 2 3, 4 5 6, 7 8 9 minus 10 11 12
    for seed in (0, 1):
        np.testing.assert_allclose(change.sel(seed=seed), [[NAN, -9, -9], [-6, NAN, -6], [-3, -3, NAN]])
    assert change.attrs["units"] == "1"
    assert change.category.values.tolist() == two_seeds().category.values.tolist()


def test_spillover_is_paired_by_seed():
    values = two_seeds()
    values[:, :, 1] += 100  # a seed that is hard for all encoders
    np.testing.assert_allclose(spillover(values)[..., 1], spillover(values)[..., 0])
    values[3, 1, 0] = NAN  # none, blur: the first seed has nothing to compare with
    change = spillover(values).sel(transformation="blur", pretraining_transformation="hue")
    np.testing.assert_allclose(change, [NAN, -3])


def test_spillover_keeps_the_order_of_dimensions():
    values = two_seeds().expand_dims(trained_on=["image"]).transpose("seed", "transformation", ...)
    assert spillover(values).dims == values.dims


@pytest.mark.parametrize("compute", [invariance_by_relation, spillover])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.mean("seed"), r"^sensitivity has no dimension 'seed'; its dimensions are: pretraining_tr"),
        (lambda v: v.isel(transformation=0), r"^sensitivity has no dimension 'transformation'; its dimensions are: "),
        (
            lambda v: v.drop_vars("pretraining_transformation"),
            r"^sensitivity has no coordinate 'pretraining_transformation'; its coordinates are: transformation, ",
        ),
    ],
)
def test_sensitivities_that_lack_something(compute, change, message):
    with pytest.raises(ValueError, match=message):
        compute(change(two_seeds()))


def test_spillover_without_a_baseline():
    values = two_seeds().isel(pretraining_transformation=[0, 4])
    with pytest.raises(ValueError, match=r"no pretraining_transformation 'none' to compare with; it has: rotate, untr"):
        spillover(values)


def test_each_encoder_counts_once_whatever_the_order_of_dimensions():
    cell = xr.DataArray([["a", "b"], ["c", "b"], ["a", "d"]], dims=["factor", "relation"])
    values = xr.DataArray(np.ones((2, 2, 3)), dims=["n_tuning", "relation", "factor"])
    there = count_once(values, cell).notnull().transpose("n_tuning", "factor", "relation").values
    assert there.tolist() == [[[True, True], [True, False], [False, True]]] * 2


def test_a_relation_that_is_not_there_is_missing_not_zero():
    cube = xr.Dataset(
        {
            "transfer_accuracy": (["relation", "seed"], [[0.5, 0.7]]), "status": (["relation", "seed"], [[1, 2]]),
            "cell": (["relation", "seed"], [["a", "b"]]), "source_transformation": (["relation", "seed"], [[1, 0]]),
        },
        {"relation": ["disjoint"], "seed": [0, 1]},
    )  # fmt: skip
    filled = fill_relations(cube).sel(relation="same")
    assert filled.transfer_accuracy.isnull().all()
    assert filled.status.values.tolist() == [0, 0]
    assert filled.cell.values.tolist() == ["", ""]
    assert filled.source_transformation.values.tolist() == [-1, -1]
    xr.testing.assert_equal(fill_relations(cube).sel(relation=["disjoint"]), cube)


# what is no array of numbers


@pytest.mark.parametrize(
    "function", [summarise, lambda values: paired_contrast(values, "factor", "a", "b"), factor_contrasts,
                 variance_explained, invariance_by_relation, spillover],
)  # fmt: skip
def test_what_is_no_array_of_numbers(function):
    with pytest.raises(TypeError, match=r"is of type list, expected an xarray.DataArray"):
        function([0.5])
    with pytest.raises(ValueError, match="has dtype complex128, expected real numbers"):
        function(xr.DataArray([1j], dims="seed"))
    with pytest.raises(ValueError, match="holds infinite values, expected real numbers, or NaN where they are missing"):
        summarise(xr.DataArray([0.5, np.inf], dims="seed"))


def test_booleans_and_unsigned_numbers_are_subtracted_as_numbers():
    values = xr.DataArray(np.array([[1], [2]], "uint8"), {"factor": ["a", "b"], "seed": [0]})
    assert paired_contrast(values, "factor", "a", "b").values.tolist() == [-1]
    assert paired_contrast(values == 2, "factor", "a", "b").values.tolist() == [-1]


def test_relation_that_is_there_twice():
    cube = accuracies(np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match="accuracy has 'same', 'disjoint' along 'relation' more than once"):
        factor_contrasts(xr.concat([cube, cube], "relation"))
    with pytest.raises(
        ValueError, match=r"cube has the relations \['same', 'same'\], expected 'same', 'disjoint' or b"
    ):
        fill_relations(xr.Dataset({"status": ("relation", [1, 1])}, {"relation": ["same", "same"]}))


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [("n_resamples", 1, "a whole number from 2 to 1,000,000$"),
     *(("random_state", wrong, "a Generator, or a whole number of at least 0") for wrong in (-1, "0", None))],
)  # fmt: skip
def test_options_of_the_bootstrap_that_cannot_be(name, value, rule):
    with pytest.raises(ValueError, match=f"^{name} is {value!r}, expected {rule}"):
        variance_explained(accuracies(np.zeros((2, 2, 2))), **{name: value})


def test_encoders_with_more_than_any_target_count_in_what_a_surplus_changes():
    labels = {"n_pretraining_transformations": [1, 2, 3], "n_target_transformations": [1, 2]}
    accuracy = xr.DataArray([[0.9, 0.5], [0.8, 0.75], [0.6, 0.7]], labels, list(labels))
    more, fewer = compare_with_exact(accuracy)
    assert more.shape == fewer.shape == (3, 2)
    # one more: 0.8 - 0.9 and 0.7 - 0.75; two more: 0.6 - 0.9
    changed = change_by_mismatch(accuracy).to_series().round(6).to_dict()
    assert changed == {-1: -0.25, 0: 0.0, 1: -0.075, 2: -0.3}


def test_a_factor_that_is_not_there():
    cube = xr.Dataset(coords={"factor_name": ("factor", ["width", "depth"]), "level": ("factor", ["1", "2"])})
    with pytest.raises(ValueError, match="name is 'widht', expected one of: width, depth"):
        select_factor(cube, "widht")
