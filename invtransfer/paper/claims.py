"""What the paper claims, beside our numbers: differences of means over seeds, and whether they have its sign."""

from numbers import Real

import numpy as np
import xarray as xr

from invtransfer.analysis import format_mean
from invtransfer.analysis.checks import check_array


def claim(text, first, sign, second, margin=0.0):
    """Check a claim that one mean is above or below another.

    Parameters
    ----------
    text : str
        The claim.
    first, second : xarray.DataArray over "seed", or float
        What is compared, paired over seeds; at most one is a float.
    sign : {">", "<"}
        Whether `first` is claimed to be above or below `second`.
    margin : float
        How far the difference may be on the wrong side, for claims that one is not above or not below the other.

    Returns
    -------
    claim : tuple of (str, str, bool or None)
        The text; our numbers; and whether the mean difference has the sign claimed, None if there is no pair of values.
        The numbers hold the 95 % interval over seeds of the difference, or of what is compared with a float, because
        the sign of a mean alone does not say how certain it is.

    Raises
    ------
    TypeError
        If `first` and `second` are not as described.
    ValueError
        If `sign` is another word, `margin` is no number, or the arrays are not as `summarise` takes them.

    Examples
    --------
    >>> import xarray as xr
    >>> same, disjoint = (xr.DataArray(values, dims="seed") for values in ([0.9, 0.8], [0.6, 0.7]))
    >>> claim("same is above disjoint", same, ">", disjoint)
    ('same is above disjoint', '0.850 against 0.650 (difference +0.200 ± 1.271, n = 2)', True)
    """
    if sign not in (">", "<"):
        raise ValueError(f"sign is {sign!r}, expected '>' or '<'")
    if not isinstance(margin, Real):
        raise ValueError(f"margin is {margin!r}, expected a number")
    margin = float(margin)
    arrays = [values for values in (first, second) if isinstance(values, xr.DataArray)]
    if not arrays or not all(isinstance(values, (Real, xr.DataArray)) for values in (first, second)):
        kinds = f"{type(first).__name__} and {type(second).__name__}"
        raise TypeError(f"first and second are of type {kinds}, expected xarray.DataArray, or one of them a number")
    for values in arrays:
        check_array(values, "values", dims=["seed"])
        if values.dims != ("seed",):
            raise ValueError(f"first or second has the dimensions {', '.join(map(str, values.dims))}, expected 'seed'")
    difference = first - second
    n = int(difference.notnull().sum())
    if not n:
        return text, "?", None
    mean = float(difference.mean())
    if np.ndim(first) == 0 or np.ndim(second) == 0:
        numbers = f"{format_mean(second if np.ndim(first) == 0 else first)} (n = {n})"
    else:
        pairs = [float(values.where(difference.notnull()).mean()) for values in (first, second)]
        means = f"{pairs[0]:.3f} against {pairs[1]:.3f}"
        numbers = f"{means} (difference {format_mean(difference, '+')}, n = {n})"
    return text, numbers, mean > -margin if sign == ">" else mean < margin


def format_claims(claims):
    """Format which of the paper's claims our numbers agree with.

    Parameters
    ----------
    claims : list of (str, str, bool or None)
        What the paper finds, our numbers, and whether they agree; None if that is unknown.

    Returns
    -------
    text : str

    Examples
    --------
    >>> format_claims([("same is above disjoint", "0.91 against 0.72", True)]).splitlines()
    ["the paper's pattern: 1 of 1 held", '  held      same is above disjoint: 0.91 against 0.72']
    """
    words = {True: "held", False: "did not", None: "unknown"}
    held = [words[agrees] for *_, agrees in claims].count("held")
    lines = [f"  {words[agrees]:<9} {text}: {numbers}" for text, numbers, agrees in claims]
    return "\n".join([f"the paper's pattern: {held} of {len(claims)} held", *lines])
