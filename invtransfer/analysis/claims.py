"""What the paper claims, beside our numbers: differences over seeds, their intervals, and what these decide."""

from dataclasses import asdict, dataclass, replace
from numbers import Real

import numpy as np
import xarray as xr
from scipy import stats

from invtransfer.analysis.checks import check_array
from invtransfer.analysis.profiles import adjust_p_values
from invtransfer.analysis.summaries import format_mean

VERDICTS = ("held", "undecided", "contradicted", "unknown")
LEVEL = 0.025  # of one side of a 95 % interval


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, our numbers, and whether they decide it.

    Parameters
    ----------
    text : str
        The sentence.
    numbers : str
        Our numbers, with the 95 % interval over seeds.
    verdict : {"held", "undecided", "contradicted", "unknown"}
        What the interval says, see `claim`.
    p_value : float
        Probability of a difference as large as ours, or larger, if the claim were just not true (one-sided); NaN if
        there is no interval.
    """

    text: str
    numbers: str
    verdict: str
    p_value: float


def claim(text, first, sign, second, margin=0.0):
    """Check a claim that compares two means, by the 95 % interval over seeds of their paired difference.

    Parameters
    ----------
    text : str
        The claim.
    first, second : xarray.DataArray over "seed", or float
        What is compared, paired over seeds; at most one is a float.
    sign : {">", "<", "="}
        Whether `first` is claimed to be above, below or as high as `second`.
    margin : float
        How far the difference may be on the wrong side, for claims that one is not above or not below the other; for
        "=", how far it may be on either side, above 0.

    Returns
    -------
    claim : Claim
        Its verdict is "held" if the whole interval of the difference is on the claimed side of the margin, or between
        both margins for "="; "contradicted" if all of it is on the other side, or outside; "undecided" otherwise, and
        where there is no interval, with one seed, or against infinity; "unknown" if there is no pair of values.

    Raises
    ------
    TypeError
        If `first` and `second` are not as described.
    ValueError
        If `sign` is another word, `margin` is no number of at least 0, or is 0 for "=", or the arrays are not as
        `summarise` takes them.

    Notes
    -----
    The interval and the p-value are those of Student's paired t-test. Equality is tested from both sides (Schuirmann's
    TOST, 1987), whose p-value is the larger one.

    Examples
    --------
    >>> import xarray as xr
    >>> same, disjoint = (xr.DataArray(values, dims="seed") for values in ([0.9, 0.8, 0.9], [0.6, 0.7, 0.7]))
    >>> claim("same is above disjoint", same, ">", disjoint).verdict
    'undecided'
    >>> claim("same is as good as disjoint", same, "=", disjoint, margin=0.5).numbers
    '0.867 against 0.667 (difference +0.200 ± 0.248, n = 3)'
    """
    if sign not in (">", "<", "="):
        raise ValueError(f"sign is {sign!r}, expected '>', '<' or '='")
    if not isinstance(margin, Real) or not margin >= 0 or (sign == "=" and margin == 0):
        least = "a number above 0 for '='" if sign == "=" else "a number of at least 0"
        raise ValueError(f"margin is {margin!r}, expected {least}")
    margin = float(margin)
    sides = (first, second)
    if not all(isinstance(one, (Real, xr.DataArray)) for one in sides) or all(isinstance(one, Real) for one in sides):
        kinds = f"{type(first).__name__} and {type(second).__name__}"
        raise TypeError(f"first and second are of type {kinds}, expected xarray.DataArray, or one of them a number")
    first, second = (one if isinstance(one, Real) else check_array(one, "values", dims=["seed"]) for one in sides)
    for values in (first, second):
        if isinstance(values, xr.DataArray) and values.dims != ("seed",):
            raise ValueError(f"first or second has the dimensions {', '.join(map(str, values.dims))}, expected 'seed'")
    difference = first - second
    differences = difference.values[difference.notnull().values].astype(float)
    if not len(differences):
        return Claim(text, "?", "unknown", np.nan)
    verdict, p_value = _judge(differences, sign, margin)
    return Claim(text, _format_numbers(first, second, difference), verdict, p_value)


def count_seeds(text, happened, least):
    """Check a claim about how often something happens, by the 95 % interval of the share of seeds.

    Parameters
    ----------
    text : str
        The claim.
    happened : xarray.DataArray over "seed"
        Whether it happened; NaN where that is not known.
    least : float
        Share of all seeds there could be in which it has to happen, from 0 to 1.

    Returns
    -------
    claim : Claim
        Its verdict is "held" if the whole interval is at least `least`, "contradicted" if all of it is below, and
        "undecided" otherwise, as it is with few seeds: 10 of 10 leave 0.69 possible; "unknown" if no seed is known.

    Raises
    ------
    TypeError
        If `happened` is no xarray.DataArray.
    ValueError
        If its only dimension is not "seed", or `least` is no number from 0 to 1.

    Notes
    -----
    The interval is the exact one of Clopper and Pearson (1934), and the p-value that of the binomial test. That
    something always happens (`least` of 1) cannot be shown by any number of seeds, and has no p-value.

    Examples
    --------
    >>> count_seeds("it rains", xr.DataArray([1, 1, 0], dims="seed"), 0.9).numbers
    'in 2 of 3 seeds (95 % interval of the share: 0.09 to 0.99)'
    """
    check_array(happened, "happened", dims=["seed"])
    if happened.dims != ("seed",):
        raise ValueError(f"happened has the dimensions {', '.join(map(str, happened.dims))}, expected 'seed'")
    if not isinstance(least, Real) or not 0 <= least <= 1:
        raise ValueError(f"least is {least!r}, expected a number from 0 to 1")
    values = happened.values[happened.notnull().values].astype(bool)
    if not len(values):
        return Claim(text, "?", "unknown", np.nan)
    test = stats.binomtest(int(values.sum()), len(values), least, alternative="greater")
    low, high = stats.binomtest(test.k, test.n).proportion_ci(1 - 2 * LEVEL)
    verdict = "held" if low >= least else "contradicted" if high < least else "undecided"
    numbers = f"in {test.k} of {test.n} seeds (95 % interval of the share: {low:.2f} to {high:.2f})"
    return Claim(text, numbers, verdict, np.nan if least == 1 else float(test.pvalue))


def _judge(differences, sign, margin):
    """Return the verdict of an interval, and the p-value."""
    n = len(differences)
    if n < 2 or not np.isfinite(differences).all():
        return "undecided", np.nan
    mean = differences.mean()
    error = differences.std(ddof=1) / np.sqrt(n)
    half = stats.t.ppf(1 - LEVEL, n - 1) * error

    def tail(distance):
        """Return the probability of a mean that is as far above its bound as ours, or farther."""
        return float(stats.t.sf(distance / error, n - 1)) if error > 0 else float(distance <= 0)

    if sign == "=":
        held, contradicted = abs(mean) + half < margin, abs(mean) - half > margin
        p_value = max(tail(margin + mean), tail(margin - mean))
    else:
        distance = margin + (mean if sign == ">" else -mean)
        held, contradicted = distance - half > 0, distance + half < 0
        p_value = tail(distance)
    return ("held" if held else "contradicted" if contradicted else "undecided"), p_value


def _format_numbers(first, second, difference):
    n = int(difference.notnull().sum())
    if np.ndim(first) == 0 or np.ndim(second) == 0:
        return f"{format_mean(second if np.ndim(first) == 0 else first)} (n = {n})"
    pairs = [float(values.where(difference.notnull()).mean()) for values in (first, second)]
    return f"{pairs[0]:.3f} against {pairs[1]:.3f} (difference {format_mean(difference, '+')}, n = {n})"


def claims_of_parts(values, dim, find):
    """Find the claims of each part along a dimension.

    Parameters
    ----------
    values : xarray.Dataset or DataArray
        Cube, or a variable of it.
    dim : str
        Dimension with labels, such as "architecture".
    find : callable
        Function from a part, without that dimension, to its claims.

    Returns
    -------
    claims : list of Claim
        Claims of all parts; texts begin with the label.
    """
    return [
        replace(each, text=f"{label}: {each.text}")
        for label in values[dim].values
        for each in find(values.sel({dim: label}, drop=True))
    ]


def adjust(claims):
    """Adjust the p-values of the claims of one study for their number, after Holm (1979).

    Parameters
    ----------
    claims : list of Claim
        Claims that are read together. Those without a p-value do not count.

    Returns
    -------
    p_values : list of float
        For each claim the lowest error rate over all claims at which it is still called held; NaN for claims without a
        p-value.

    Examples
    --------
    >>> adjust([Claim("a", "", "held", 0.01), Claim("b", "", "held", 0.02), Claim("c", "", "unknown", np.nan)])
    [0.02, 0.02, nan]
    """
    return adjust_p_values(np.array([each.p_value for each in claims], dtype=float)).tolist()


def format_claims(claims):
    """Format which claims our numbers decide, and which of these would stand if all claims had to be right at once.

    Parameters
    ----------
    claims : list of Claim
        The claims of one study.

    Returns
    -------
    text : str
        A line for each claim. The first line counts verdicts, and the claims whose p-value, adjusted for the number of
        claims, is at most 0.025.

    Examples
    --------
    >>> one = Claim("same is above disjoint", "0.91 against 0.72", "held", 0.001)
    >>> lines = format_claims([one, Claim("it grows", "0.1 against 0.2", "undecided", 0.6)]).splitlines()
    >>> lines[0].split("; ")[1]
    "1 held after Holm's correction, one-sided p at most 0.025)"
    >>> lines[1]
    "  held          same is above disjoint: 0.91 against 0.72, Holm's p = 0.002"
    """
    adjusted = adjust(claims)
    lines = []
    for each, p_value in zip(claims, adjusted, strict=True):
        p = "" if np.isnan(p_value) else f", Holm's p = {p_value:.1g}"
        lines.append(f"  {each.verdict:<13} {each.text}: {each.numbers}{p}")
    counts = {verdict: [each.verdict for each in claims].count(verdict) for verdict in VERDICTS}
    words = [f"{counts['held']} of {len(claims)} held"]
    words += [f"{counts[verdict]} {verdict}" for verdict in VERDICTS[1:] if counts[verdict]]
    n_left = sum(each.verdict == "held" and p <= LEVEL for each, p in zip(claims, adjusted, strict=True))
    note = f"(by 95 % intervals over seeds; {n_left} held after Holm's correction, one-sided p at most {LEVEL})"
    return "\n".join([f"claims: {', '.join(words)} {note}", *lines])


def describe_claims(claims):
    """Return claims as plain values, which a cube can hold as JSON.

    Parameters
    ----------
    claims : list of Claim
        The claims of one study.

    Returns
    -------
    description : list of dict
        For each claim its fields, and "adjusted_p_value". Values that are not known are None.

    Examples
    --------
    >>> describe_claims([Claim("it grows", "0.3 against 0.2", "held", 0.01)])[0]["adjusted_p_value"]
    0.01
    """
    described = [asdict(each) | {"adjusted_p_value": p} for each, p in zip(claims, adjust(claims), strict=True)]
    return [{key: None if value != value else value for key, value in each.items()} for each in described]
