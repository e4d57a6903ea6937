"""What is said of a paper's claims, held against numbers that are known."""

import numpy as np
import pytest
import xarray as xr

from invtransfer.paper.claims import claim, format_claims


def seeds(*values):
    return xr.DataArray(list(values), {"seed": range(len(values))}, ["seed"])


@pytest.mark.parametrize(
    ("first", "sign", "second", "margin", "agrees"),
    [
        ([0.9, 0.7], ">", [0.6, 0.8], 0.0, True),  # on average, not in each seed
        ([0.9, 0.7], "<", [0.6, 0.8], 0.0, False),
        ([0.5, 0.5], ">", [0.5, 0.5], 0.0, False),
        ([0.5, 0.5], "<", [0.5, 0.5], 0.0, False),
        ([0.5, 0.5], ">", [0.5, 0.5], 0.01, True),
        ([0.5, 0.5], ">", [0.54, 0.54], 0.05, True),  # below it, within the margin
        ([0.5, 0.5], ">", [0.56, 0.56], 0.05, False),
        ([0.5, 0.5], "<", [0.46, 0.46], 0.05, True),
        ([0.5, 0.5], "<", [0.44, 0.44], 0.05, False),
    ],
)
def test_claims(first, sign, second, margin, agrees):
    text, _, found = claim("the claim", seeds(*first), sign, seeds(*second), margin)
    assert text == "the claim"
    assert found is agrees


def test_numbers_of_a_claim_by_hand():
    # differences 0.3 and 0.1: mean 0.2, standard deviation 0.1414, and half an interval 12.706 * 0.1414 / sqrt(2)
    numbers = claim("", seeds(0.9, 0.7), ">", seeds(0.6, 0.6))[1]
    assert numbers == "0.800 against 0.600 (difference +0.200 ± 1.271, n = 2)"
    assert claim("", seeds(0.9), "<", seeds(0.6))[1] == "0.900 against 0.600 (difference +0.300, n = 1)"


@pytest.mark.parametrize(("constant", "sign"), [(0.5, ">"), (0, ">"), (1.0, "<")])
def test_claims_against_a_constant(constant, sign):
    values = seeds(0.6, 0.8, np.nan)
    _, numbers, agrees = claim("", values, sign, constant)
    assert numbers == "0.700 ± 1.271 (n = 2)"
    assert agrees is True
    _, numbers, agrees = claim("", constant, sign, values)
    assert numbers == "0.700 ± 1.271 (n = 2)"
    assert agrees is False


def test_claims_are_paired_over_seeds():
    """Seeds that only one has count for neither: here all differences are 0.1, and means over all would say -0.25."""
    first, second = seeds(0.2, 0.3, np.nan), seeds(0.1, 0.2, 1.0)
    assert claim("", first, ">", second) == ("", "0.250 against 0.150 (difference +0.100 ± 0.000, n = 2)", True)
    # also if the labels differ, or their order
    second = xr.DataArray([1.0, 0.2, 0.1], {"seed": [5, 1, 0]}, ["seed"])
    assert claim("", first, ">", second)[1:] == ("0.250 against 0.150 (difference +0.100 ± 0.000, n = 2)", True)


@pytest.mark.parametrize("second", [seeds(np.nan, 0.5), seeds(np.nan, np.nan), np.nan])
def test_claims_without_a_pair_are_unknown(second):
    assert claim("the claim", seeds(0.5, np.nan), ">", second) == ("the claim", "?", None)


def test_a_margin_of_any_type_of_number():
    assert claim("", seeds(1e150), ">", 0.5, margin=np.float32(0.5))[2] is True


def test_sign_that_there_is_not():
    with pytest.raises(ValueError, match="sign is '>=', expected '>' or '<'"):
        claim("", seeds(1.0), ">=", 0.0)


def test_pattern_counts_what_held():
    claims = [("one", "1 against 2", True), ("two", "3", False), ("three", "?", None), ("four", "5", np.True_)]
    assert format_claims(claims).splitlines() == [
        "the paper's pattern: 2 of 4 held",
        "  held      one: 1 against 2",
        "  did not   two: 3",
        "  unknown   three: ?",
        "  held      four: 5",
    ]
    assert format_claims([]) == "the paper's pattern: 0 of 0 held"


def test_what_is_no_number_over_seeds():
    accuracy = xr.DataArray([0.5, 0.6], dims="seed")
    with pytest.raises(TypeError, match="first and second are of type float and int, expected xarray.DataArray"):
        claim("", 0.5, ">", 1)
    with pytest.raises(TypeError, match="first and second are of type DataArray and str"):
        claim("", accuracy, ">", "0.4")
    with pytest.raises(ValueError, match="margin is None, expected a number"):
        claim("", accuracy, ">", 0.4, margin=None)
    with pytest.raises(ValueError, match="values has dtype <U1, expected real numbers"):
        claim("", accuracy.astype("U1"), ">", 0.4)
    with pytest.raises(ValueError, match="first or second has the dimensions seed, factor, expected 'seed'"):
        claim("", accuracy.expand_dims(factor=1, axis=1), ">", accuracy)
