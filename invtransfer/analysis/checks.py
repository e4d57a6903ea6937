"""Checks of what the functions of analysis take: arrays of numbers with named dimensions and labels."""

import numpy as np
import xarray as xr

REFERENCE = "reference"  # the factor_name of encoders that do not depend on the relation, so have no contrast


def check_array(values, argument, dims, coordinates=(), once=()):
    """Return an array as floats, or raise an error if it lacks something.

    Parameters
    ----------
    values : xarray.DataArray
        Array that is checked.
    argument : str
        Name of the argument, for messages.
    dims, coordinates : sequence of str
        Dimensions and coordinates that the array must have.
    once : sequence of str
        Dimensions along which each label must be there only once.

    Returns
    -------
    values : xarray.DataArray
        The same numbers as floats.

    Raises
    ------
    TypeError
        If `values` is not a DataArray.
    ValueError
        If it does not hold real numbers (NaN counts as missing, infinity as none), lacks a dimension or coordinate, or
        has a label twice.
    """
    if not isinstance(values, xr.DataArray):
        raise TypeError(f"{argument} is of type {type(values).__name__}, expected an xarray.DataArray")
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{argument} has dtype {values.dtype}, expected real numbers")
    if values.dtype.kind == "f" and np.isinf(values).any():
        raise ValueError(f"{argument} holds infinite values, expected real numbers, or NaN where they are missing")
    for kind, needed, there in (("dimension", dims, values.dims), ("coordinate", coordinates, values.coords)):
        missing = [name for name in needed if name not in there]
        if missing:
            found = ", ".join(map(str, there)) or "none"
            raise ValueError(f"{argument} has no {kind} {', '.join(map(repr, missing))}; its {kind}s are: {found}")
    for dim in once:
        labels = values[dim].values.tolist()
        twice = [label for label in dict.fromkeys(labels) if labels.count(label) > 1]
        if twice:
            raise ValueError(f"{argument} has {', '.join(map(repr, twice))} along {dim!r} more than once")
    return values if values.dtype.kind == "f" else values.astype(float)  # numpy takes no difference of booleans


def check_accuracy(accuracy):
    """Return accuracies over factors as floats, and the names of the factors.

    Parameters
    ----------
    accuracy : xarray.DataArray over "factor", "relation" and "seed"
        Accuracies with the coordinate "factor_name" along "factor".

    Returns
    -------
    accuracy : xarray.DataArray
        The same numbers as floats.
    names : list of str
        Names of the factors in their order, without "reference".

    Raises
    ------
    TypeError, ValueError
        As `check_array`.
    """
    dims = ["factor", "relation", "seed"]
    accuracy = check_array(accuracy, "accuracy", dims=dims, coordinates=["factor_name"], once=["relation"])
    return accuracy, [name for name in dict.fromkeys(accuracy.factor_name.values.tolist()) if name != REFERENCE]
