"""A figure's panels, and the legend above them."""

from numbers import Integral, Real

import numpy as np

from invtransfer.analysis.checks import check_array
from invtransfer.plots.axes import CHARACTER, format_name


def check_drawn(values, dims, limits, *, open_ended):
    """Return values as floats, if they can be drawn over exactly these dimensions and "seed", within these limits.

    Parameters
    ----------
    values : xarray.DataArray
        Array that is drawn.
    dims : dict of str to str or None
        Name of each dimension by the argument that gives it; None for a dimension that the array does not have.
    limits : tuple of (low, high) or None
        Ends of an axis.
    open_ended : bool
        Whether an end may be None, too.

    Returns
    -------
    values : xarray.DataArray
        The same numbers as floats.

    Raises
    ------
    TypeError
        If `values` is not a DataArray.
    ValueError
        If a dimension is missing, without labels, named twice, empty, or too many; `values` does not hold real numbers;
        or `limits` are not two numbers, the lower one first.
    """
    values = check_array(values, "values", dims=[])
    names = {argument: name for argument, name in dims.items() if name is not None}
    found = ", ".join(map(str, values.dims)) or "none"
    for argument, name in names.items():
        if not isinstance(name, str) or name not in values.dims:
            raise ValueError(f"{argument} is {name!r}, expected a dimension of values: {found}")
        if name not in values.coords:
            raise ValueError(f"{argument} is {name!r}, expected a dimension with labels; values has none along it")
    if sorted(values.dims, key=str) != sorted([*names.values(), "seed"]):
        expected = ", ".join([*names.values(), "seed"])
        raise ValueError(f"values has the dimensions {found}, expected each of these once: {expected}")
    if limits is not None:
        pair = isinstance(limits, (tuple, list)) and len(limits) == 2
        ends = [end for end in limits if not (open_ended and end is None)] if pair else [None]
        real = all(isinstance(end, Real) and np.isfinite(end) for end in ends)
        if not real or (len(ends) == 2 and ends[0] >= ends[1]):
            raise ValueError(f"limits is {limits!r}, expected (low, high), two numbers, the lower one first")
    if 0 in values.sizes.values():
        raise ValueError(f"values has the sizes {dict(values.sizes)}, expected at least 1 of each")
    return values


def make_panels(figure, n, n_columns=None):
    """Divide a figure into panels of about 4 to 3 that share their vertical axis, with room for a legend outside.

    Parameters
    ----------
    figure : matplotlib.figure.Figure or SubFigure
        Figure that is divided. It gets a constrained layout if it has none.
    n : int
        Number of panels.
    n_columns : int
        Number of panels beside each other; None: as suits the figure's shape.

    Returns
    -------
    part : matplotlib.figure.SubFigure
        All of the figure but its title.
    panels : ndarray of shape (n,) of matplotlib.axes.Axes
        Panels, row by row.
    width, height : float
        Approximate size of a panel, in inches.
    n_columns : int
        Number of panels beside each other.

    Raises
    ------
    ValueError
        If `n_columns` is no whole number from 1 to 100.
    """
    if n_columns is not None and (not isinstance(n_columns, Integral) or not 1 <= n_columns <= 100):
        raise ValueError(f"n_columns is {n_columns!r}, expected a whole number from 1 to 100")
    root = figure.figure
    if root.get_layout_engine() is None:
        root.set_layout_engine("constrained")
    width, height = figure.bbox.width / root.dpi, figure.bbox.height / root.dpi
    if n_columns is None:
        rows = {c: -(-n // c) for c in range(1, n + 1)}
        # how far the shape is from 4 to 3, and a penalty for empty places
        off = {c: abs(np.log(width / c / (height / r) * 3 / 4)) + 1.2 * (r * c - n) / (r * c) for c, r in rows.items()}
        n_columns = min(off, key=off.get)
    n_rows = -(-n // n_columns)
    part = figure.subfigures()  # so that the legend gets a place below a title
    panels = part.subplots(n_rows, n_columns, squeeze=False, sharey=True).ravel()
    for axes in panels[n:]:
        axes.remove()
    return part, panels[:n], width / n_columns, height / n_rows, n_columns


def label_panels(part, panels, labels, x_label, y_label):
    """Write over each panel what it shows, and once for all of them what their axes show.

    Parameters
    ----------
    part : matplotlib.figure.SubFigure
        Part of a figure that holds all panels.
    panels : ndarray of shape (n,) of matplotlib.axes.Axes
        The panels.
    labels : xarray.DataArray of shape (n,) or None
        Label of each panel, with the name of the dimension; None for a single panel without a title.
    x_label, y_label : str
        What the axes show.
    """
    if labels is not None:
        for axes, label in zip(panels, labels.values.tolist(), strict=True):
            axes.set_title(_format_title(labels.name, label), fontsize="medium")
    part.supxlabel(x_label, fontsize="medium")
    part.supylabel(y_label, fontsize="medium")


def add_legend(part, handles, labels, title):
    """Write a legend above all panels, in as many columns as fit.

    Parameters
    ----------
    part : matplotlib.figure.SubFigure
        Part of a figure that holds all panels.
    handles : sequence of matplotlib.artist.Artist
        What stands for each entry.
    labels : sequence of str
        Text of each entry.
    title : str or None
        What the entries are.
    """
    entry = 0.5 + CHARACTER * max(map(len, labels))
    n_rows = -(-len(labels) // max(1, int(part.bbox.width / part.figure.dpi / entry)))
    short = {"columnspacing": 1.2, "handletextpad": 0.5, "frameon": False, "fontsize": 9, "title_fontsize": 9}
    part.legend(handles, labels, loc="outside upper center", ncols=-(-len(labels) // n_rows), title=title, **short)


def _format_title(dim, label):
    """Return the title of a panel: its label, with the name of the dimension if the label is a number.

    Examples
    --------
    >>> _format_title("architecture", "resnet18"), _format_title("n_tuning", 2_000)
    ('resnet18', '2,000 tuning samples')
    """
    if isinstance(label, str):
        return label
    number = f"{label:,}"
    return f"{number} {format_name(dim)}" if dim.startswith("n_") else f"{format_name(dim)} {number}"
