"""Mean, spread and 95 % interval over seeds, as arrays and as text."""

import numpy as np
import xarray as xr
from scipy import stats

from invtransfer.analysis.checks import check_array


def summarise(values, dim="seed"):
    """Compute mean, standard deviation and 95 % interval of the mean over one dimension.

    Parameters
    ----------
    values : xarray.DataArray
        Values with the dimension `dim`; NaN counts as missing.
    dim : str, default "seed"
        Dimension that is summarised, such as repetitions with different seeds.

    Returns
    -------
    summary : xarray.Dataset over the other dimensions
        "mean"; "std" (with n - 1); "low" and "high", Student's 95 % interval of the mean; and "n", the number of
        values. Standard deviation and interval are NaN where n < 2.

    Raises
    ------
    TypeError
        If `values` is not a DataArray.
    ValueError
        If `values` does not have the dimension, or does not hold real numbers.

    Examples
    --------
    >>> summary = summarise(xr.DataArray([0.7, 0.8, 0.9], dims="seed"))
    >>> round(summary["mean"].item(), 3), round(summary["std"].item(), 3), round(summary["low"].item(), 3)
    (0.8, 0.1, 0.552)
    """
    values = check_array(values, "values", dims=[dim])
    numbers, axis = values.values, values.get_axis_num(dim)  # arithmetic with DataArrays takes ten times as long
    known = ~np.isnan(numbers)
    n = known.sum(axis)
    with np.errstate(divide="ignore", invalid="ignore"):  # without values there is no mean, of one value no deviation
        mean = (np.where(known, numbers, 0).sum(axis) / n).astype(numbers.dtype)
        deviations = np.square(numbers - np.expand_dims(mean, axis))
        degrees = np.where(n > 1, n - 1, np.nan)
        std = np.sqrt(np.where(known, deviations, 0).sum(axis) / degrees)
        half = stats.t.ppf(0.975, degrees) * std / np.sqrt(n)
    parts = {"mean": mean, "std": std, "low": mean - half, "high": mean + half, "n": n}
    dims = [name for name in values.dims if name != dim]
    coordinates = values.coords.to_dataset().drop_dims(dim, errors="ignore").coords
    return xr.Dataset({name: (dims, part, values.attrs) for name, part in parts.items()}, coordinates)


def format_mean(values, sign="", digits=3):
    """Format the mean over seeds and the half width of its 95 % interval, such as "0.850 ± 0.231".

    Parameters
    ----------
    values : xarray.DataArray over "seed"
        NaN counts as missing.
    sign : {"", "+"}, default ""
        "+" puts a sign before positive means, too.
    digits : int, default 3
        Number of digits after the decimal point.

    Returns
    -------
    text : str
        The mean alone if there is one value, as it has no interval; "?" if there is none.

    Raises
    ------
    TypeError, ValueError
        As `summarise`.

    Examples
    --------
    >>> format_mean(xr.DataArray([0.9, 0.75, 0.9], dims="seed"))
    '0.850 ± 0.215'
    >>> format_mean(xr.DataArray([0.25], dims="seed"), sign="+", digits=2)
    '+0.25'
    """
    summary = summarise(values)
    if summary["n"] == 0:
        return "?"
    mean = summary["mean"].item()
    half = summary["high"].item() - mean
    text = f"{round(mean, digits) + 0.0:{sign}.{digits}f}"  # + 0.0: no -0.000
    return text if np.isnan(half) else f"{text} ± {half:.{digits}f}"


def format_means(columns, dim):
    """Format means over seeds as a table, with a row for each label of a dimension.

    Parameters
    ----------
    columns : dict of str to xarray.DataArray over `dim` and "seed"
        Values by the head of their column.
    dim : str
        Dimension whose labels are the rows.

    Returns
    -------
    text : str
        The table of `format_table`, with means and intervals as `format_mean` formats them.

    Raises
    ------
    TypeError, ValueError
        As `summarise`.

    Examples
    --------
    >>> accuracy = xr.DataArray([[0.5], [0.75]], {"encoder": ["vit", "vgg11"], "seed": [0]}, ["encoder", "seed"])
    >>> format_means({"accuracy": accuracy}, "encoder").splitlines()
    ['         accuracy', 'vit         0.500', 'vgg11       0.750']
    """
    labels = next(iter(columns.values()))[dim].values.tolist()
    rows = [[str(label), *(format_mean(values.isel({dim: i})) for values in columns.values())]
            for i, label in enumerate(labels)]  # fmt: skip
    return format_table([["", *columns], *rows])


def format_table(rows, n_left=1):
    """Format rows of texts as a table with aligned columns.

    Parameters
    ----------
    rows : list of list of str
        The first row is the head; all rows have the same length.
    n_left : int, default 1
        Number of columns, from the left, whose texts are flush left; those of the others, numbers, are flush right.

    Returns
    -------
    text : str
        One line per row, with two spaces between columns, without spaces or a newline at the end.

    Raises
    ------
    ValueError
        If the rows differ in length.

    Examples
    --------
    >>> rows = [["encoder", "accuracy", "n"], ["resnet18", "0.850 ± 0.231", "3"], ["vit", "0.700", "1"]]
    >>> format_table(rows).splitlines()
    ['encoder        accuracy  n', 'resnet18  0.850 ± 0.231  3', 'vit               0.700  1']
    """
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise ValueError(f"rows have {' and '.join(map(str, lengths))} columns, expected as many in each")
    columns = []
    for i, column in enumerate(zip(*rows, strict=True)):
        width = max(map(len, column))
        columns.append([text.ljust(width) if i < n_left else text.rjust(width) for text in column])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))
