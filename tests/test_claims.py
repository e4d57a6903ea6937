"""What is said of a paper's claims, held against numbers that are known."""

import json
from itertools import combinations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from invtransfer.analysis.claims import (
    Claim,
    adjust,
    claim,
    claims_of_parts,
    count_seeds,
    describe_claims,
    format_claims,
)


def seeds(*values):
    return xr.DataArray(list(values), {"seed": range(len(values))}, ["seed"])


def make(*p_values):
    return [Claim("", "", "undecided", p_value) for p_value in p_values]


# verdicts


@pytest.mark.parametrize(
    ("mean", "sign", "margin", "verdict"),
    [  # of differences whose interval reaches 0.0248 to each side
        (0.03, ">", 0.0, "held"),
        (0.02, ">", 0.0, "undecided"),
        (-0.02, ">", 0.0, "undecided"),
        (-0.03, ">", 0.0, "contradicted"),
        (-0.02, ">", 0.05, "held"),  # above -0.045
        (-0.03, ">", 0.05, "undecided"),
        (-0.07, ">", 0.05, "undecided"),
        (-0.08, ">", 0.05, "contradicted"),  # below -0.055
        (0.0, "=", 0.05, "held"),
        (0.02, "=", 0.05, "held"),  # from -0.005 to 0.045
        (0.03, "=", 0.05, "undecided"),
        (0.07, "=", 0.05, "undecided"),
        (0.08, "=", 0.05, "contradicted"),  # from 0.055
        (0.0, "=", 0.02, "undecided"),  # the interval is wider than the margins
    ],
)
def test_verdicts_by_hand(mean, sign, margin, verdict):
    # differences of mean and mean ± 0.01 have a standard deviation of 0.01: 4.303 * 0.01 / sqrt(3) = 0.0248;
    # what they are differences of varies far more from seed to seed
    second = seeds(0.3, 0.9, 0.5)
    first = second + seeds(-0.01, 0.0, 0.01) + mean
    opposite = {">": "<", "<": ">", "=": "="}[sign]
    found = [
        claim("the claim", first, sign, second, margin), claim("the claim", second, opposite, first, margin),
        claim("the claim", first - second, sign, 0, margin), claim("the claim", 0.0, opposite, first - second, margin),
    ]  # fmt: skip
    assert [(each.text, each.verdict) for each in found] == [("the claim", verdict)] * 4
    np.testing.assert_allclose([each.p_value for each in found], found[0].p_value)


@pytest.mark.parametrize(
    ("first", "sign", "second", "margin", "verdict", "p_value"),
    [
        (0.5, ">", 0.25, 0.0, "held", 0),
        (0.5, "<", 0.25, 0.0, "contradicted", 1),
        (0.5, ">", 0.5, 0.0, "undecided", 1),  # neither above nor below
        (0.5, "<", 0.5, 0.0, "undecided", 1),
        (0.5, ">", 0.5, 0.125, "held", 0),
        (0.5, ">", 0.75, 0.25, "undecided", 1),  # at the margin
        (0.5, "=", 0.5, 0.125, "held", 0),
        (0.5, "=", 0.25, 0.25, "undecided", 1),
        (0.5, "=", 0.75, 0.125, "contradicted", 1),
    ],
)
def test_differences_that_do_not_vary(first, sign, second, margin, verdict, p_value):
    found = claim("", seeds(first, first), sign, seeds(second, second), margin)
    assert (found.verdict, found.p_value) == (verdict, p_value)


@pytest.mark.parametrize(("sign", "margin"), [(">", 0.0), ("<", 0.0), ("=", 0.5)])
def test_one_seed_decides_nothing(sign, margin):
    found = claim("", seeds(0.9, np.nan), sign, seeds(0.6, 0.1), margin)
    assert found.verdict == "undecided"
    assert found.numbers == "0.900 against 0.600 (difference +0.300, n = 1)"
    assert np.isnan(found.p_value)


def test_infinite_values_decide_nothing():
    found = claim("", seeds(0.5, 0.6), ">", np.inf)
    assert (found.verdict, np.isnan(found.p_value)) == ("undecided", True)
    with pytest.raises(ValueError, match="values holds infinite values"):
        claim("", seeds(0.5, np.inf), ">", seeds(0.1, 0.2))


@pytest.mark.parametrize("second", [seeds(np.nan, 0.5), seeds(np.nan, np.nan), np.nan])
@pytest.mark.parametrize("sign", [">", "<", "="])
def test_claims_without_a_pair_are_unknown(sign, second):
    found = claim("the claim", seeds(0.5, np.nan), sign, second, margin=0.1)
    assert (found.text, found.numbers, found.verdict) == ("the claim", "?", "unknown")
    assert np.isnan(found.p_value)


# numbers


def test_numbers_of_a_claim_by_hand():
    # differences 0.3 and 0.1: mean 0.2, standard deviation 0.1414, and half an interval 12.706 * 0.1414 / sqrt(2)
    found = claim("", seeds(0.9, 0.7), ">", seeds(0.6, 0.6))
    assert found.numbers == "0.800 against 0.600 (difference +0.200 ± 1.271, n = 2)"
    # t is 0.2 / 0.1; Student's distribution of 2 seeds is Cauchy's: 1 / 2 - arctan(2) / pi
    assert found.p_value == pytest.approx(0.1476, abs=1e-4)
    # differences 0.1, 0.2 and 0.3: t is 0.2 / (0.1 / sqrt(3)), and of 3 seeds p is (1 - t / sqrt(2 + t ** 2)) / 2
    found = claim("", seeds(0.7, 0.8, 0.9), ">", seeds(0.6, 0.6, 0.6))
    assert found.p_value == pytest.approx((1 - np.sqrt(12 / 14)) / 2)


@pytest.mark.parametrize("constant", [0.5, 0, np.float32(1.0)])
def test_numbers_against_a_constant(constant):
    values = seeds(0.6, 0.8, np.nan)
    for found in (claim("", values, ">", constant), claim("", constant, "<", values)):
        assert found.numbers == "0.700 ± 1.271 (n = 2)"


def test_claims_are_paired_over_seeds():
    """Seeds that only one has count for neither: here all differences are 0.1, and means over all would say -0.25."""
    first, second = seeds(0.25, 0.5, np.nan), seeds(0.125, 0.375, 1.0)
    expected = Claim("", "0.375 against 0.250 (difference +0.125 ± 0.000, n = 2)", "held", 0.0)
    assert claim("", first, ">", second) == expected
    # also if the labels differ, or their order
    second = xr.DataArray([1.0, 0.375, 0.125], {"seed": [5, 1, 0]}, ["seed"])
    assert claim("", first, ">", second) == expected


# by scipy


@pytest.mark.parametrize("n", [2, 3, 10])
def test_p_values_and_verdicts_by_scipy(n):
    generator = np.random.default_rng(n)
    for _ in range(20):
        first, second = generator.normal(size=(2, n))
        first += generator.normal(scale=2)
        above = claim("", seeds(*first), ">", seeds(*second), margin=0.5)
        below = claim("", seeds(*first), "<", seeds(*second))
        constant = claim("", seeds(*first), ">", 0.25)
        same = claim("", seeds(*first), "=", seeds(*second), margin=2.0)
        differences = first - second
        expected = [
            stats.ttest_rel(first + 0.5, second, alternative="greater"),
            stats.ttest_rel(first, second, alternative="less"),
            stats.ttest_1samp(first, 0.25, alternative="greater"),
            max(
                stats.ttest_1samp(differences, -2.0, alternative="greater"),
                stats.ttest_1samp(differences, 2.0, alternative="less"),
                key=lambda result: result.pvalue,
            ),
        ]
        found = [above, below, constant, same]
        np.testing.assert_allclose([each.p_value for each in found], [each.pvalue for each in expected], rtol=1e-9)
        assert [each.verdict == "held" for each in found] == [each.pvalue < 0.025 for each in expected]
        low, high = stats.ttest_rel(first, second).confidence_interval(0.95)
        assert (above.verdict == "contradicted") == (high < -0.5)
        assert (below.verdict == "contradicted") == (low > 0)
        assert (same.verdict == "contradicted") == (low > 2 or high < -2)


# several claims


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # 3 * 0.01, 0.04 but not below 2 * 0.03, 4 * 0.005
        ([0.9, np.nan, 0.4, 0.6], [1.0, np.nan, 1.0, 1.0]),  # 3 * 0.4 and 2 * 0.6 are above 1
        ([0.02, 0.02], [0.04, 0.04]),
        ([np.nan], [np.nan]),
        ([], []),
    ],
)
def test_holm_by_hand(p_values, expected):
    np.testing.assert_allclose(adjust(make(*p_values)), expected)


def test_holm_is_the_closure_of_bonferroni():
    """A claim stands if each set of claims that it is in stands by Bonferroni: number of claims times least p-value."""
    p_values = np.random.default_rng(0).random(6) ** 3
    sets = [list(chosen) for n in range(1, 7) for chosen in combinations(range(6), n)]
    expected = [max(min(1, len(chosen) * p_values[chosen].min()) for chosen in sets if i in chosen) for i in range(6)]
    np.testing.assert_allclose(adjust(make(*p_values)), expected)


def test_format_counts_verdicts():
    claims = [
        Claim("one", "1 against 2", "held", 0.005), Claim("two", "3", "contradicted", 0.99),
        Claim("three", "?", "unknown", np.nan), Claim("four", "5", "held", 0.02),
        Claim("five", "0.1 (n = 1)", "undecided", np.nan),
    ]  # fmt: skip
    assert format_claims(claims).splitlines() == [  # of three p-values; 2 * 0.02 is above 0.025
        "claims: 2 of 5 held, 1 undecided, 1 contradicted, 1 unknown"
        " (by 95 % intervals over seeds; 1 held after Holm's correction, one-sided p at most 0.025)",
        "  held          one: 1 against 2, Holm's p = 0.01",
        "  contradicted  two: 3, Holm's p = 1",
        "  unknown       three: ?",
        "  held          four: 5, Holm's p = 0.04",
        "  undecided     five: 0.1 (n = 1)",
    ]
    none = (
        "claims: 0 of 0 held (by 95 % intervals over seeds; 0 held after Holm's correction, one-sided p at most 0.025)"
    )
    assert format_claims([]) == none


def test_description_is_json():
    claims = [Claim("one", "1 against 2", "held", 0.01), Claim("two", "?", "unknown", np.nan), *make(0.5)]
    described = json.loads(json.dumps(describe_claims(claims), allow_nan=False))
    assert described[:2] == [
        {"text": "one", "numbers": "1 against 2", "verdict": "held", "p_value": 0.01, "adjusted_p_value": 0.02},
        {"text": "two", "numbers": "?", "verdict": "unknown", "p_value": None, "adjusted_p_value": None},
    ]
    assert len(described) == 3
    assert describe_claims([]) == []
    made = claim("", seeds(0.5, 0.75), ">", np.float32(0.25))  # whose numbers are numpy's
    assert json.loads(json.dumps(describe_claims([made])))[0]["p_value"] == made.p_value


def test_claims_of_parts():
    values = xr.DataArray([[0.5, 0.75], [0.25, np.nan]], {"kind": ["big", "small"], "seed": [0, 1]}, ["kind", "seed"])

    def find(part):
        assert set(part.coords) == {"seed"}
        return [claim("it grows", part, ">", 0.0), claim("it shrinks", part, "<", 0.0)]

    found = claims_of_parts(values, "kind", find)
    assert [(each.text, each.numbers[-7:]) for each in found] == [
        ("big: it grows", "(n = 2)"), ("big: it shrinks", "(n = 2)"), ("small: it grows", "(n = 1)"),
        ("small: it shrinks", "(n = 1)"),
    ]  # fmt: skip
    cube = values.to_dataset(name="height")
    np.testing.assert_equal(claims_of_parts(cube, "kind", lambda part: find(part.height)), found)


# what is refused


def test_a_margin_of_any_type_of_number():
    assert claim("", seeds(1e150, 1e150), ">", 0.5, margin=np.float32(0.5)).verdict == "held"


def test_sign_that_there_is_not():
    with pytest.raises(ValueError, match="^sign is '>=', expected '>', '<' or '='$"):
        claim("", seeds(1.0), ">=", 0.0)


@pytest.mark.parametrize(
    ("sign", "margin", "expected"),
    [
        (">", None, "a number of at least 0"),
        (">", -0.1, "a number of at least 0"),
        ("<", np.nan, "a number of at least 0"),
        ("=", 0.0, "a number above 0 for '='"),
        ("=", "0.1", "a number above 0 for '='"),
    ],
)
def test_margin_that_there_is_not(sign, margin, expected):
    with pytest.raises(ValueError, match=f"^margin is {margin!r}, expected {expected}$"):
        claim("", seeds(1.0), sign, 0.0, margin=margin)


def test_what_is_no_number_over_seeds():
    accuracy = xr.DataArray([0.5, 0.6], dims="seed")
    with pytest.raises(TypeError, match="first and second are of type float and int, expected xarray.DataArray"):
        claim("", 0.5, ">", 1)
    with pytest.raises(TypeError, match="first and second are of type DataArray and str"):
        claim("", accuracy, ">", "0.4")
    with pytest.raises(ValueError, match="values has dtype <U1, expected real numbers"):
        claim("", accuracy.astype("U1"), ">", 0.4)
    with pytest.raises(ValueError, match="first or second has the dimensions seed, factor, expected 'seed'"):
        claim("", accuracy.expand_dims(factor=1, axis=1), ">", accuracy)


def test_counting_seeds():
    """Intervals by hand: of n of n, the lower end solves p ** n = 0.025; of 0 of n, the upper (1 - p) ** n = 0.025."""
    happened = xr.DataArray([1.0, 1.0, 1.0, 0.0, np.nan], dims="seed")
    assert count_seeds("so", happened, 0.75).verdict == "undecided"
    assert count_seeds("so", happened, 0.75).numbers.startswith("in 3 of 4 seeds (95 % interval of the share: ")
    assert count_seeds("so", happened, 1).verdict == "contradicted"
    always, never = xr.DataArray(np.ones(10), dims="seed"), xr.DataArray(np.zeros(10), dims="seed")
    low = 0.025**0.1  # 0.6915
    assert count_seeds("so", always, 0.7) == Claim(
        "so", "in 10 of 10 seeds (95 % interval of the share: 0.69 to 1.00)", "undecided", pytest.approx(0.7**10)
    )
    assert [count_seeds("so", always, least).verdict for least in (low - 1e-6, low + 1e-6)] == ["held", "undecided"]
    assert [count_seeds("so", never, 1 - least).verdict for least in (low - 1e-6, low + 1e-6)] == [
        "contradicted", "undecided"
    ]  # fmt: skip
    assert np.isnan(count_seeds("so", always, 1.0).p_value)
    assert count_seeds("so", never, 1.0).verdict == "contradicted"
    assert count_seeds("so", always[:1], 0.5).verdict == "undecided"
    assert count_seeds("so", happened * np.nan, 0.75).verdict == "unknown"
    with pytest.raises(ValueError, match="^least is 1.5, expected a number from 0 to 1$"):
        count_seeds("so", happened, 1.5)
    with pytest.raises(ValueError, match="^happened has the dimensions seed, other, expected 'seed'$"):
        count_seeds("so", happened.expand_dims(other=2, axis=1), 0.5)


@pytest.mark.parametrize("dtype", ["uint8", "bool"])
def test_counts_and_yes_or_no_are_numbers(dtype):
    first, second = (xr.DataArray(np.array(values, dtype), dims="seed") for values in ([0, 1, 0], [1, 0, 1]))
    assert claim("less", first, "<", second).numbers.startswith("0.333 against 0.667 (difference -0.333 ")
