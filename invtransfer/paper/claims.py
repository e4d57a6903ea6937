"""What a paper claims, beside our numbers: differences of means over seeds, and whether they have the sign claimed."""

from numbers import Real

import numpy as np
import xarray as xr

from invtransfer.analysis import summarise


def say_mean(values, sign=""):
    """Say mean and standard deviation over seeds.

    Parameters
    ----------
    values : xarray.DataArray over "seed"
        NaN counts as missing.
    sign : str
        "+" to say the sign of positive ones.

    Returns
    -------
    text : str
        "?" if there is none; without spread if there is one.

    Raises
    ------
    TypeError, ValueError
        As `summarise`.

    Examples
    --------
    >>> import xarray as xr
    >>> say_mean(xr.DataArray([0.1, 0.3], dims="seed"), sign="+")
    '+0.200 ± 0.141'
    """
    summary = summarise(values)
    if not summary["n"]:
        return "?"
    spread = f" ± {summary['std']:.3f}" if summary["n"] > 1 else ""
    return f"{summary['mean']:{sign}.3f}{spread}"


def claim(text, first, relation, second, margin=0.0):
    """Hold a claim that one mean is above or below another against what was measured.

    Parameters
    ----------
    text : str
        The claim.
    first, second : xarray.DataArray over "seed", or float
        What is compared, paired over seeds; not both floats.
    relation : {">", "<"}
        That `first` is claimed to have to `second`.
    margin : float
        That the difference may be on the wrong side, for claims that one is not above or not below the other.

    Returns
    -------
    claim : tuple of (str, str, bool or None)
        The text, our numbers, and whether the mean difference has the sign claimed; None if there is no pair. The
        spread over seeds is in the numbers, as the sign of a mean alone does not say how sure it is: that of the
        difference, or of what is compared with a float.

    Raises
    ------
    TypeError
        If `first` and `second` are not as described.
    ValueError
        If `relation` is another word, `margin` is no number, or the arrays are not as `summarise` takes them.

    Examples
    --------
    >>> import xarray as xr
    >>> same, disjoint = (xr.DataArray(values, dims="seed") for values in ([0.9, 0.8], [0.6, 0.7]))
    >>> claim("same is above disjoint", same, ">", disjoint)
    ('same is above disjoint', '0.850 against 0.650 (difference +0.200 ± 0.141, n = 2)', True)
    """
    if relation not in (">", "<"):
        raise ValueError(f"relation is {relation!r}, expected '>' or '<'")
    if not isinstance(margin, Real):
        raise ValueError(f"margin is {margin!r}, expected a number")
    arrays = [values for values in (first, second) if isinstance(values, xr.DataArray)]
    if not arrays or not all(isinstance(values, (Real, xr.DataArray)) for values in (first, second)):
        kinds = f"{type(first).__name__} and {type(second).__name__}"
        raise TypeError(f"first and second are of type {kinds}, expected xarray.DataArray, or one of them a number")
    for values in arrays:
        summarise(values)  # which says what is wrong with them
        if values.dims != ("seed",):
            raise ValueError(f"first or second has the dimensions {', '.join(map(str, values.dims))}, expected 'seed'")
    difference = first - second
    n = int(difference.notnull().sum())
    if not n:
        return text, "?", None
    mean = float(difference.mean())
    if np.ndim(first) == 0 or np.ndim(second) == 0:
        numbers = f"{say_mean(second if np.ndim(first) == 0 else first)} (n = {n})"
    else:
        pairs = [float(values.where(difference.notnull()).mean()) for values in (first, second)]
        means = f"{pairs[0]:.3f} against {pairs[1]:.3f}"
        numbers = f"{means} (difference {say_mean(difference, '+')}, n = {n})"
    return text, numbers, mean > -margin if relation == ">" else mean < margin


def say_claims(claims):
    """Return the lines that say whether the paper's pattern held.

    Parameters
    ----------
    claims : list of (str, str, bool or None)
        What the paper finds, our numbers, and whether they agree; None: they cannot tell.

    Returns
    -------
    text : str

    Examples
    --------
    >>> say_claims([("same is above disjoint", "0.91 against 0.72", True)]).splitlines()
    ["the paper's pattern: 1 of 1 held", '  held      same is above disjoint: 0.91 against 0.72']
    """
    words = {True: "held", False: "did not", None: "unknown"}
    held = [words[agrees] for *_, agrees in claims].count("held")
    lines = [f"  {words[agrees]:<9} {text}: {numbers}" for text, numbers, agrees in claims]
    return "\n".join([f"the paper's pattern: {held} of {len(claims)} held", *lines])
