"""Differences, slopes and interactions of sensitivities, with intervals that hold the truth."""

import tracemalloc

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from invtransfer.analysis import (
    adjust_p_values,
    compare_sensitivities,
    interactions,
    select_last_layer,
    slope_at_zero,
    strength_of_half,
)
from invtransfer.analysis.representations import compare_within_blocks, distances, sensitivity_interval


def over(values, **labels):
    """Make an array over labelled dimensions and "pair"."""
    return xr.DataArray(np.asarray(values, float), labels, [*labels, "pair"])


# hand arithmetic


def test_differences_by_hand():
    # means of twins 2, 1, 4; of others 4, 4, 8: sensitivities 1/2, 1/4, 1/2
    own = over([[1, 2, 3], [1, 1, 1], [3, 4, 5]], encoder=["a", "b", "c"])
    found = compare_sensitivities(own, over([[4] * 3, [4] * 3, [8] * 3], encoder=["a", "b", "c"]), "encoder", "b")
    assert found.encoder.values.tolist() == ["a", "c"]
    assert found.difference.values.tolist() == [0.25, 0.25]
    assert (found.low < found.difference).all()
    assert (found.difference < found.high).all()
    assert all(values.attrs["units"] == "1" and values.attrs["long_name"] for values in found.values())
    # log ratios without each pair: 5/8, 1/2, 3/8 against 1/4, which never changes
    logs = np.log([5 / 8, 1 / 2, 3 / 8])
    error = np.sqrt(2 * logs.var())
    assert found.p_value[0] == pytest.approx(2 * stats.t.sf(np.log(2) / error, 2))
    # as the second encoder does not vary, the interval is that of the first, shifted
    low, high = sensitivity_interval(np.array([1.0, 2, 3]), np.full(3, 4.0))[1:]
    assert [found.low[0], found.high[0]] == pytest.approx([low - 0.25, high - 0.25])


def test_slope_by_hand():
    # S = 0.8 s - 0.4 s²: 0.0775... at 0.1 is 0.076, at 0.25 it is 0.175, at 1 it is 0.4
    strengths = np.array([0.1, 0.25, 1])
    sensitivity = 0.8 * strengths - 0.4 * strengths**2
    own = over(sensitivity[:, None] * [1, 1, 1.0], strength=strengths)
    found = slope_at_zero(own, xr.ones_like(own))
    assert found.slope.item() == pytest.approx(0.8)
    assert found.low.item() == pytest.approx(0.8)  # no pair differs from another
    one = slope_at_zero(own[1:2] * [1, 2, 3], xr.ones_like(own[1:2]))
    expected = np.array(sensitivity_interval(0.175 * np.array([1.0, 2, 3]), np.ones(3))) / 0.25
    np.testing.assert_allclose([one.slope, one.low, one.high], expected)


@pytest.mark.parametrize(("shares", "expected"), [
    ([0.25, 0.25, 0.75], 0.75),  # half way from 0.5 to 1
    ([1, 1, 1], 0.125),  # half way from 0 to 0.25
    ([0.1, 0.5, 0.2], 0.5),  # where it is first reached
    ([0.1, 0.2, 0.49], np.nan),
    ([0.1, np.nan, 0.9], np.nan),
    ([0.9, np.nan, 0.9], 0.25 * 5 / 9),
])  # fmt: skip
def test_strength_of_half(shares, expected):
    changed = xr.DataArray([shares, [0, 0, 0.5]], {"strength": [0.25, 0.5, 1]}, ["transformation", "strength"])
    assert strength_of_half(changed).values == pytest.approx([expected, 1], nan_ok=True)


def measure_pair(first, second, both, n=50, spread=0.02):
    """Return the interaction of transformations whose sensitivities are planted, with some spread over images."""
    rng = np.random.default_rng(0)
    own = over(np.array([[first], [second]]) * (1 + spread * rng.normal(size=n)), transformation=["a", "b"])
    together = over([[both * (1 + spread * rng.normal(size=n))]], transformation=["a"], then=["b"])
    return interactions(own, xr.ones_like(own), together, xr.ones_like(together)).isel(transformation=0, then=0)


@pytest.mark.parametrize(("both", "kind", "interaction"), [
    (0.5, "additive", 0.0),  # 0.3² + 0.4² = 0.5²
    (0.49, "additive", -0.01),  # clearly less, but by less than half of 0.09
    (0.7, "amplifying", 0.24),  # 0.49 - 0.25
    (0.4, "covering", -0.09),  # 0.16 - 0.25
])  # fmt: skip
def test_kinds_of_interactions(both, kind, interaction):
    found = measure_pair(0.3, 0.4, both)
    assert found.kind == kind
    assert found.interaction == pytest.approx(interaction, abs=0.01)
    assert found.together == pytest.approx(both, rel=0.02)
    assert found.together_low < found.together < found.together_high
    assert found.interaction_low < found.interaction < found.interaction_high


def test_what_few_images_show_is_unclear():
    assert measure_pair(0.3, 0.4, 0.5, n=5, spread=0.4).kind == "unclear"


def test_a_transformation_that_is_ignored_is_additive():
    # features do not move, but for rounding, so that the second alone is all there is
    assert measure_pair(0.0, 0.4, 0.4, spread=0).kind == "additive"
    assert measure_pair(1e-7, 0.4, 0.4 + 1e-9, spread=0).kind == "additive"


def test_interactions_where_they_were_measured():
    names = ["a", "b", "c"]
    own = over([[1, 1.1, 1], [2, 2, 2.1], [1, 1, 1.1]], transformation=names)
    together = over(np.full((3, 3, 3), np.nan), transformation=names, then=names)
    together.loc["a", "b"] = [2, 2.1, 2]
    random = (xr.full_like(own, 5), together * 0 + 5)
    found = interactions(own, random[0], together, random[1])
    assert found.interaction.dims == ("transformation", "then")
    assert (found.kind != "").values.tolist() == [[False, True, False], [False] * 3, [False] * 3]
    for name in ("together", "together_low", "interaction", "interaction_high"):
        assert found[name].notnull().values.tolist() == [[False, True, False], [False] * 3, [False] * 3]
    part = interactions(own, random[0], together[:1, 1:2], random[1][:1, 1:2])  # those named alone
    xr.testing.assert_allclose(part, found.isel(transformation=[0], then=[1]))
    several = [xr.concat([2 * values, values], "layer") for values in (own, random[0], together, random[1])]
    several = [xr.concat([values, values], "encoder") for values in several]
    many = interactions(*several)
    assert many.kind.dims == ("encoder", "layer", "transformation", "then")
    for place in ({"encoder": 0, "layer": 1}, {"encoder": 1, "layer": 0}):
        xr.testing.assert_allclose(many.isel(place), found)
    none = interactions(*(values.isel(layer=slice(0)) for values in several))
    assert none.kind.shape == none.together.shape == (2, 0, 3, 3)


def test_interactions_of_many_layers_take_the_memory_of_one():
    n, names = 250, [f"t{i}" for i in range(8)]
    generator = np.random.default_rng(0)
    own, random = (over(generator.random((6, 8, n)), layer=list(range(6)), transformation=names) for _ in range(2))
    both, others = (
        over(generator.random((6, 8, 8, n)), layer=list(range(6)), transformation=names, then=names) for _ in range(2)
    )
    peaks = []
    for layers in (slice(2), slice(6)):
        given = [values.isel(layer=layers) for values in (own, random, both, others)]
        tracemalloc.start()
        interactions(*given)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 3 * 4 * both[0].nbytes  # copies in float64 of both distances, and some


def test_holm():
    # sorted 0.01, 0.02, 0.03 times 3, 2, 1: 0.03, 0.04, and 0.03, which may not be below the one before
    assert adjust_p_values(np.array([[0.02, np.nan], [0.01, 0.03]])) == pytest.approx(
        np.array([[0.04, np.nan], [0.03, 0.04]]), nan_ok=True
    )
    assert adjust_p_values([0.6, 0.7]).tolist() == [1, 1]
    with pytest.raises(ValueError, match="p_values has values from 0.1 to 2.0, expected 0 to 1"):
        adjust_p_values([0.1, 2, np.nan])
    with pytest.raises(ValueError, match="p_values is of dtype <U3, expected real numbers"):
        adjust_p_values(["0.1"])


# an independent implementation: everything anew without each pair


def all_differences(values, covariance, n):
    """Return the extremes of the difference of two numbers over the ellipse of their logarithms."""
    angles = np.linspace(0, 2 * np.pi, 20_000)
    points = np.linalg.cholesky(covariance) @ [np.cos(angles), np.sin(angles)] * stats.t.ppf(0.975, n - 1)
    around = values[0] * np.exp(points[0]) - values[1] * np.exp(points[1])
    return around.min(), around.max()


def test_equal_to_leaving_out_each_pair_by_hand():
    n, rng = 12, np.random.default_rng(0)
    Z = rng.normal(size=(n, 3))
    displacements = {"a": rng.normal(size=(n, 3)) / 2, "b": rng.normal(size=(n, 3)) / 3}
    twins = {"a": Z + displacements["a"], "b": Z + displacements["b"], "ab": Z + sum(displacements.values())}

    def ratio(name, kept):
        others = [np.linalg.norm(Z[i] - twins[name][j]) for i in kept for j in kept if i != j]
        return np.mean([np.linalg.norm(Z[i] - twins[name][i]) for i in kept]) / np.mean(others)

    def measure(functions):
        """Return values and jackknife covariance of the logarithms of functions of ratios."""
        every = list(range(n))
        values = [function(lambda name: ratio(name, every)) for function in functions]
        without = [
            [function(lambda name, i=i: ratio(name, [j for j in every if j != i])) for i in every]
            for function in functions
        ]
        return values, np.cov(np.log(without), ddof=0) * (n - 1)

    own = over([distances(Z, twins[name]) for name in "ab"], transformation=["a", "b"])
    random = over([compare_within_blocks(Z, twins[name])[0] for name in "ab"], transformation=["a", "b"])
    values, covariance = measure([lambda S: S("b"), lambda S: S("a")])
    found = compare_sensitivities(own, random, "transformation", "a").isel(transformation=0)
    low, high = all_differences(values, covariance, n)
    assert [found.difference, found.low, found.high] == pytest.approx([values[0] - values[1], low, high], rel=1e-3)
    error = np.sqrt([1, -1] @ covariance @ [1, -1])
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(np.log(values[0] / values[1])) / error, n - 1))

    dims = {"transformation": ["a"], "then": ["b"]}
    both = over([[distances(Z, twins["ab"])]], **dims)
    both_random = over([[compare_within_blocks(Z, twins["ab"])[0]]], **dims)
    values, covariance = measure([lambda S: S("ab") ** 2, lambda S: S("a") ** 2 + S("b") ** 2])
    found = interactions(own, random, both, both_random).isel(transformation=0, then=0)
    expected = [values[0] - values[1], *all_differences(values, covariance, n)]
    measured = [found.interaction, found.interaction_low, found.interaction_high]
    assert measured == pytest.approx(expected, rel=1e-3, abs=1e-4)
    assert [found.together, found.together_low, found.together_high] == pytest.approx(
        sensitivity_interval(both.values[0, 0], both_random.values[0, 0])
    )

    # the slope, as if "a" were at strength 1/2 and "b" at 1/4: (1/4 S_b - 1/16 S_a) / (1/2 1/4 1/4) = 8 S_b - 2 S_a
    values, covariance = measure([lambda S: 8 * S("b"), lambda S: 2 * S("a")])
    at = [one[::-1].rename(transformation="strength").assign_coords(strength=[0.25, 0.5]) for one in (own, random)]
    found = slope_at_zero(*at)
    expected = [values[0] - values[1], *all_differences(values, covariance, n)]
    assert [found.slope, found.low, found.high] == pytest.approx(expected, rel=1e-3)


def test_p_values_and_intervals_agree():
    rng = np.random.default_rng(0)
    own = over(np.exp(0.3 * rng.normal(size=(300, 1, 15))) * np.exp(0.5 * rng.normal(size=(300, 2, 15))),
               trial=range(300), encoder=["a", "b"])  # fmt: skip
    found = compare_sensitivities(own, xr.ones_like(own), "encoder", "a")
    differs = (found.low > 0) | (found.high < 0)
    assert differs.any()
    np.testing.assert_array_equal(differs, found.p_value < 0.05)


# what cannot be measured


def test_missing_distances_are_nan_and_not_counted():
    own = over([[1, 2, 3], [3, 3, 4], [np.nan] * 3], encoder=["a", "b", "c"])
    found = compare_sensitivities(own, own * 0 + 4, "encoder", "a")
    assert found.notnull().sel(encoder="b").to_array().all()
    assert found.isnull().sel(encoder="c").to_array().all()
    assert found.p_adjusted.sel(encoder="b") == found.p_value.sel(encoder="b")
    # different images with the same features
    assert compare_sensitivities(own, own * 0, "encoder", "a").isnull().to_array().all()


def test_a_pair_alone_in_its_block_is_compared_with_none():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(257, 3))
    twins = [Z + scale * rng.normal(size=Z.shape) for scale in (0.3, 0.5)]
    own, random = (
        over([function(Z, twin) for twin in twins], encoder=["a", "b"])
        for function in (distances, lambda *pair: compare_within_blocks(*pair)[0])
    )
    assert np.isnan(random[:, 256]).all()
    found = compare_sensitivities(own, random, "encoder", "a")
    assert found.notnull().to_array().all()
    expected = [sensitivity_interval(*one)[0] for one in zip(own.values, random.values, strict=True)]
    assert found.difference.item() == pytest.approx(expected[1] - expected[0])


def test_two_pairs_have_no_interval():
    own = over([[1, 2], [3, 3.5], [1, 2]], encoder=["a", "b", "like a"])
    found = compare_sensitivities(own, xr.full_like(own, 4), "encoder", "a")
    assert found.difference.values == pytest.approx([1.75 / 4, 0])
    still = compare_sensitivities(own * 0, xr.full_like(own, 4), "encoder", "a")
    for one in (found, still):
        assert one[["low", "high", "p_value", "p_adjusted"]].isnull().to_array().all()


def test_encoders_that_ignore_a_transformation():
    own = over([[0.0] * 100, [0.0] * 100, np.linspace(0.5, 1.5, 100)], encoder=["a", "b", "c"])
    found = compare_sensitivities(own, xr.ones_like(own), "encoder", "a")
    assert found.difference.values.tolist() == [0, 1]
    # no twin moves under either: 100 pairs can hide 1 - 0.025^(1/100) = 0.0362
    assert [found.low[0], found.high[0], found.p_value[0]] == pytest.approx([-0.0362, 0.0362, 1], abs=1e-4)
    # the mean of the third alone: Student's interval
    half = stats.t.ppf(0.975, 99) * stats.sem(own.values[2])
    assert [found.low[1], found.high[1]] == pytest.approx([1 - half, 1 + half])
    assert found.p_value[1] < 1e-20


def test_an_encoder_does_not_differ_from_itself():
    own = over(np.tile(np.random.default_rng(0).random(9), (2, 1)), encoder=["a", "b"])
    found = compare_sensitivities(own, xr.ones_like(own), "encoder", "a").isel(encoder=0)
    assert [found[name].item() for name in found] == [0, 0, 0, 1, 1]


# bad input

OWN = over(np.arange(1, 10).reshape(3, 3), strength=[0.1, 0.5, 1])
ENCODERS = over(np.arange(1, 10).reshape(3, 3), encoder=["resnet18", "vit", "vgg11"])


def compare(own, random=None, along="encoder", reference="vit"):
    return compare_sensitivities(own, own if random is None else random, along, reference)


@pytest.mark.parametrize(("how", "error", "message"), [
    (lambda: compare(ENCODERS.values), TypeError, "pair_distances is of type ndarray"),
    (lambda: compare(ENCODERS, along="layer"), ValueError, "pair_distances has no dimension 'layer'"),
    (lambda: compare(ENCODERS, along="pair"), ValueError, "pair_distances has no coordinate 'pair'"),
    (lambda: compare(ENCODERS.assign_coords(pair=range(3)), along="pair", reference=0), ValueError, "along is 'pair'"),
    (lambda: compare(ENCODERS, reference="resnet"), ValueError, "encoder does not have; did you mean 'resnet18'?"),
    (lambda: compare(OWN, along="strength", reference=3), ValueError, "expected one of 0.1, 0.5, 1.0"),
    (lambda: compare(ENCODERS[1:2]), ValueError, "only the label 'vit'"),
    (lambda: compare(ENCODERS[:, :1]), ValueError, "has 1 pair, expected at least 2"),
    (lambda: compare(ENCODERS.rename(pair="row")), ValueError, "expected one of 'pair' and 'image'"),
    (lambda: compare(ENCODERS, ENCODERS[0]), ValueError, "random_distances has no dimension 'encoder'"),
    (lambda: compare(ENCODERS, ENCODERS.expand_dims("layer")), ValueError, "random_distances has the dimensions"),
    (lambda: compare(ENCODERS, ENCODERS[::-1]), ValueError, "other labels or sizes than pair_distances"),
    (lambda: compare(ENCODERS, ENCODERS[:, 1:]), ValueError, "other labels or sizes than pair_distances"),
    (lambda: compare(ENCODERS.assign_coords(encoder=["a", "a", "b"])), ValueError, "'a' along 'encoder' more than onc"),
    (lambda: slope_at_zero(OWN[::-1], OWN[::-1]), ValueError, r"strengths \[1.0, 0.5, 0.1\], expected increasing"),
    (lambda: slope_at_zero(*[OWN.assign_coords(strength=[0, 0.5, 1])] * 2), ValueError, r"increasing ones in \(0, 1\]"),
    (lambda: slope_at_zero(*[OWN.assign_coords(strength=[0.5, 1, 2])] * 2), ValueError, r"increasing ones in \(0, 1\]"),
    (lambda: slope_at_zero(*[OWN.assign_coords(strength=list("abc"))] * 2), ValueError, r"increasing ones in \(0, 1\]"),
    (lambda: slope_at_zero(ENCODERS, ENCODERS), ValueError, "no dimension 'strength'"),
    (lambda: strength_of_half(OWN / 3), ValueError, "changed holds values from 0.333 to 3, expected shares"),
    (lambda: strength_of_half(OWN[::-1] / 9), ValueError, "changed has the strengths"),
    (lambda: strength_of_half(ENCODERS), ValueError, "no dimension 'strength'"),
])  # fmt: skip
def test_bad_input(how, error, message):
    with pytest.raises(error, match=message):
        how()


def test_bad_interactions():
    own = over([[1, 2, 3], [3, 3, 4]], transformation=["hue", "blur"])
    both = over([[[1, 2, 3]]], transformation=["hue"], then=["blurr"])
    with pytest.raises(ValueError, match="then is 'blurr', which transformation does not have; did you mean 'blur'?"):
        interactions(own, own, both, both)
    both = both.assign_coords(then=["blur"])
    with pytest.raises(ValueError, match="together has the dimensions"):
        interactions(own.expand_dims("layer"), own.expand_dims("layer"), both, both)
    with pytest.raises(ValueError, match="together has other labels or sizes than pair_distances"):
        interactions(own, own, both[..., :2], both[..., :2])


# simulated coverage


def measure_all(Z, twins):
    """Return distances between twins, and those to others, of features (n_trials, n_pairs, n_features)."""
    own, random = [], []
    for twin in twins:
        squares = np.square(Z).sum(-1)[:, :, None] + np.square(twin).sum(-1)[:, None]
        between = np.sqrt(np.maximum(squares - 2 * np.einsum("tif,tjf->tij", Z, twin, optimize=True), 0))
        own.append(np.sqrt(np.square(Z - twin).sum(-1)))
        random.append((between.sum(1) + between.sum(2) - 2 * own[-1]) / (2 * (Z.shape[1] - 1)))
    return own, random


def draw(kind, n, heavy, rng, n_trials):
    """Draw features of 8 dimensions and what moves them: noise, of which lognormal factors of images make heavy tails.

    Factors of the two transformations of an image have a correlation of 1/2, and so have nearly half of the features
    and movements of two encoders.
    """
    Z, e, f = rng.normal(size=(3, n_trials, n, 8))
    g = rng.normal(size=(3, n_trials, n, 1))
    factors = [0.2 * np.exp(np.sqrt(0.5) * (g[0] + one)) if heavy else 1.0 for one in g[1:]]
    if kind == "encoders":
        other, f = 0.7 * Z + np.sqrt(0.51) * rng.normal(size=Z.shape), 0.7 * e + np.sqrt(0.51) * f
        (a,), (a_random,) = measure_all(Z, [Z + 0.5 * factors[0] * e])
        (b,), (b_random,) = measure_all(other, [other + 0.3 * factors[0] * f])
        return [a, b], [a_random, b_random]
    if kind == "strengths":
        return measure_all(Z, [Z + 0.8 * factors[0] * (s * e - 0.4 * s**2 * f) for s in (0.1, 0.25)])
    a, b = 0.5 * factors[0] * e, 0.3 * factors[1] * f
    return measure_all(Z, [Z + a, Z + b, Z + a + b])


def estimate(kind, own, random):
    """Return estimate, lower and upper bound in each trial."""
    own, random = np.stack(own), np.stack(random)
    trial = range(own.shape[1])
    if kind == "strengths":
        own, random = (over(values, strength=[0.1, 0.25], trial=trial) for values in (own, random))
        found = slope_at_zero(own, random)
        return found.slope, found.low, found.high
    alone = [over(values[:2], transformation=["a", "b"], trial=trial) for values in (own, random)]
    if kind == "interaction":
        both = [over(values[2:, None], transformation=["a"], then=["b"], trial=trial) for values in (own, random)]
        found = interactions(*alone, *both)
        return found.interaction, found.interaction_low, found.interaction_high
    found = compare_sensitivities(*alone, "transformation", "b")
    return found.difference, found.low, found.high


def ratio(variance):
    """Return the sensitivity if twins differ by N(0, variance): others differ by two more variances of 1."""
    return np.sqrt(variance / (2 + variance))


# With heavy tails, from a million pairs
TRUTHS = {
    ("encoders", False): ratio(0.25) - ratio(0.09),
    ("transformations", False): ratio(0.25) - ratio(0.09),
    # (S(0.1) / 0.01 - S(0.25) / 0.0625) * 0.1 * 0.25 / 0.15
    ("strengths", False): (ratio(0.64 * (0.01 + 0.16 * 0.0001)) * 0.0625
                           - ratio(0.64 * (0.0625 + 0.16 * 0.0625**2)) * 0.01) / 0.00375,
    ("interaction", False): ratio(0.34) ** 2 - ratio(0.25) ** 2 - ratio(0.09) ** 2,
    ("encoders", True): 0.0452, ("transformations", True): 0.0452, ("strengths", True): 0.1864,
    ("interaction", True): 0.002594,
}  # fmt: skip


@pytest.mark.parametrize("n_pairs", [10, pytest.param(20, marks=pytest.mark.slow), 100])  # 20 is between the others
@pytest.mark.parametrize(("kind", "heavy"), TRUTHS)
def test_intervals_hold_the_truth(kind, heavy, n_pairs):
    rng, truth, n_trials, least = np.random.default_rng(0), TRUTHS[kind, heavy], 400, 0.90 if heavy else 0.93
    _, low, high = estimate(kind, *draw(kind, n_pairs, heavy, rng, n_trials))
    # less 3.5 binomial errors, of 0.015 and 0.013; what more trials gave stands in the docstrings
    assert ((low <= truth) & (truth <= high)).values.mean() > least - 3.5 * np.sqrt(least * (1 - least) / n_trials)


def test_under_the_null_any_of_twenty_is_rejected_in_one_of_twenty_cases():
    rng, n, n_trials = np.random.default_rng(0), 20, 400
    common = rng.normal(size=(n_trials, n, 8))
    own, random = [], []
    for _ in range(21):
        Z = (common + rng.normal(size=common.shape)) / np.sqrt(2)
        one = measure_all(Z, [Z + 0.5 * rng.normal(size=Z.shape)])
        own, random = own + one[0], random + one[1]
    own, random = (over(np.stack(values), encoder=range(21), trial=range(n_trials)) for values in (own, random))
    p_values = compare_sensitivities(own, random, "encoder", 0).p_value.values.T
    adjusted = np.array([adjust_p_values(one) for one in p_values])
    assert (adjusted < 0.05).any(axis=1).mean() <= 0.05 + 0.011  # the binomial error
    assert (p_values < 0.05).any(axis=1).mean() > 0.2  # without, they would be read too often


def test_there_is_a_last_layer_only_of_layers():
    with pytest.raises(TypeError, match="profile is of type DataArray, expected an xarray.Dataset"):
        select_last_layer(xr.DataArray([1.0], dims="layer"))
    for profile in (xr.Dataset({"depth": 1.0}), xr.Dataset({"x": ("layer", [1.0])})):
        with pytest.raises(ValueError, match="profile has no 'depth' along the dimension 'layer'"):
            select_last_layer(profile)
