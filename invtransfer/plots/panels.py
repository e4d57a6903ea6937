"""A figure's panels, and the legend above them."""

from numbers import Integral, Real

import numpy as np
import xarray as xr

from invtransfer.plots.axes import CHARACTER, format_name


def check_dims(values, dims):
    """Raise an error unless an array has exactly these dimensions and "seed", with labels.

    Parameters
    ----------
    values : xarray.DataArray
        Array that is checked.
    dims : dict of str to str or None
        Name of each dimension by the argument that gives it; None for a dimension that the array does not have.

    Raises
    ------
    TypeError
        If `values` is not a DataArray.
    ValueError
        If a dimension is missing, without labels, named twice, or too many, or `values` does not hold real numbers.
    """
    if not isinstance(values, xr.DataArray):
        raise TypeError(f"values is of type {type(values).__name__}, expected an xarray.DataArray")
    if values.dtype.kind not in "biuf":
        raise ValueError(f"values has dtype {values.dtype}, expected real numbers")
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


def check_limits(limits, *, open_ended):
    """Raise an error unless limits are two numbers, the lower one first, or None.

    Parameters
    ----------
    limits : tuple of (low, high) or None
        Ends of an axis.
    open_ended : bool
        Whether an end may be None, too.

    Raises
    ------
    ValueError
        If the limits are something else.
    """
    if limits is None:
        return
    pair = isinstance(limits, (tuple, list)) and len(limits) == 2
    ends = [end for end in limits if not (open_ended and end is None)] if pair else [None]
    if not all(isinstance(end, Real) and np.isfinite(end) for end in ends) or (len(ends) == 2 and ends[0] >= ends[1]):
        raise ValueError(f"limits is {limits!r}, expected (low, high), two numbers, the lower one first")


def make_panels(figure, n, n_columns=None, **options):
    """Divide a figure into panels of about 4 to 3, and leave room for a legend outside of them.

    Parameters
    ----------
    figure : matplotlib.figure.Figure or SubFigure
        Figure that is divided. It gets a constrained layout if it has none.
    n : int
        Number of panels.
    n_columns : int
        Number of panels beside each other; None: as suits the figure's shape.
    **options
        Keyword arguments for `subplots`.

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
    panels = part.subplots(n_rows, n_columns, squeeze=False, **options).ravel()
    for axes in panels[n:]:
        axes.remove()
    return part, panels[:n], width / n_columns, height / n_rows, n_columns


def format_panel_title(dim, label):
    """Return the title of a panel: its label, with the name of the dimension if the label is a number.

    Parameters
    ----------
    dim : str
        Dimension from panel to panel.
    label : str, int or float
        Label of the panel along it.

    Returns
    -------
    title : str

    Examples
    --------
    >>> format_panel_title("architecture", "resnet18"), format_panel_title("n_tuning", 2_000)
    ('resnet18', '2,000 tuning samples')
    """
    if isinstance(label, str):
        return label
    number = f"{label:,}"
    return f"{number} {format_name(dim)}" if dim.startswith("n_") else f"{format_name(dim)} {number}"


def label_panels(part, x_label, y_label):
    """Write once for all panels what their axes show.

    Parameters
    ----------
    part : matplotlib.figure.SubFigure
        Part of a figure that holds all panels.
    x_label, y_label : str
        What the axes show.
    """
    part.supxlabel(x_label, fontsize="medium")
    part.supylabel(y_label, fontsize="medium")


def add_legend(part, handles, labels, title=None):
    """Write a legend above all panels, in as many columns as fit.

    Parameters
    ----------
    part : matplotlib.figure.Figure or SubFigure
        Part of a figure with a constrained layout.
    handles, labels : sequence
        Artists that are explained, and the words that explain them.
    title : str
        What the labels are.
    """
    entry = 0.5 + CHARACTER * max(map(len, labels))
    n_rows = -(-len(labels) // max(1, int(part.bbox.width / part.figure.dpi / entry)))
    short = {"columnspacing": 1.2, "handletextpad": 0.5, "frameon": False, "fontsize": 9, "title_fontsize": 9}
    part.legend(handles, labels, loc="outside upper center", ncols=-(-len(labels) // n_rows), title=title, **short)
