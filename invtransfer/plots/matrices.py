"""Means over seeds as heat maps."""

import numpy as np

from invtransfer.plots.axes import CHARACTER, MISSING, format_name, write_numbers
from invtransfer.plots.panels import check_drawn, label_panels, make_panels

FEW = 10  # rows and columns up to which there is room for numbers


def draw_matrices(
    figure,
    values,
    *,
    rows,
    columns,
    panel=None,
    label,
    limits=None,
    row_label=None,
    column_label=None,
    missing="missing",
    n_columns=None,
):
    """Draw means over seeds as heat maps, one for each label of a dimension, with one colour bar.

    Parameters
    ----------
    figure : matplotlib.figure.Figure or SubFigure
        Figure, or part of one, that is filled.
    values : xarray.DataArray over `rows`, `columns`, `panel` if there is one, and "seed"
        Values that are drawn; NaN counts as missing. Their means are written into the cells if there are at most 10
        rows and 10 columns.
    rows, columns, panel : str
        Dimensions downward, to the right, and from panel to panel (None: one panel).
    label : str
        What the colours show; the attribute "units" of `values` is added unless it is "1".
    limits : tuple of (low, high)
        Limits of the colours; None: those of the means. If 0 is between them, colours go from blue over white to red,
        white being 0.
    row_label, column_label : str
        What rows and columns are; None: the names of the dimensions.
    missing : str
        What the legend says of grey cells, which have no value.
    n_columns : int
        Number of panels beside each other; None: as suits the figure's shape.

    Returns
    -------
    panels : ndarray of shape (n_panels,) of matplotlib.axes.Axes
        In the order of the labels of `panel`.

    Raises
    ------
    TypeError
        If `values` is not a DataArray.
    ValueError
        If `values` has other dimensions, nothing along one of them, or does not hold real numbers; if `limits` are not
        two numbers, the lower one first, or `n_columns` is not from 1 to 100.

    Examples
    --------
    >>> import xarray as xr
    >>> from matplotlib.figure import Figure
    >>> sensitivity = xr.DataArray(
    ...     [[[0.25], [0.75]], [[0.5], [np.nan]]],
    ...     {"trained": ["rotate", "blur"], "transformation": ["rotate", "blur"], "seed": [0]},
    ...     ["trained", "transformation", "seed"],
    ... )
    >>> (axes,) = draw_matrices(
    ...     Figure(), sensitivity, rows="trained", columns="transformation", label="sensitivity"
    ... )
    >>> [text.get_text() for text in axes.texts]
    ['0.25', '0.75', '0.50']
    """
    from matplotlib.patches import Patch  # here, so that studies run without the extra

    values = check_drawn(values, {"rows": rows, "columns": columns, "panel": panel}, limits, open_ended=False)
    means = values.mean("seed").transpose(*([panel] if panel else []), rows, columns)
    numbers = means.values.reshape(-1, means.sizes[rows], means.sizes[columns])
    colours, norm = _choose_colours(numbers, limits)
    part, panels, width, height, n_columns = make_panels(figure, len(numbers), n_columns)
    names = [[str(name) for name in means[dim].values.tolist()] for dim in (rows, columns)]
    longest = [CHARACTER * max(map(len, texts)) for texts in names]
    turned = longest[1] + CHARACTER > (width - 0.5) / len(names[1])
    n_rows = -(-len(numbers) // n_columns)
    below = (longest[1] * 0.87 if turned else 0.2) / n_rows  # 0.87: the sine of 60 degrees
    room = width - 0.3 - (longest[0] + 0.5) / n_columns, height - 0.6 - below
    cell = [max(0.01, inches / len(texts)) for inches, texts in zip(room, reversed(names), strict=True)]  # roughly
    are_few = max(means.sizes[rows], means.sizes[columns]) <= FEW
    for i, axes in enumerate(panels):
        image = axes.imshow(numbers[i], colours, norm, aspect="auto", interpolation="nearest")
        if are_few:
            write_numbers(axes, image, numbers[i], cell)
        _label_cells(axes, names, cell, turned, below=i + n_columns >= len(panels))
    x_label = format_name(columns) if column_label is None else column_label
    y_label = format_name(rows) if row_label is None else row_label
    label_panels(part, panels, means[panel] if panel else None, x_label, y_label)
    units = values.attrs.get("units", "1")
    part.colorbar(image, ax=panels.tolist(), label=label if units == "1" else f"{label} ({units})", aspect=30, pad=0.02)
    if np.isnan(numbers).any():
        grey = Patch(facecolor=MISSING, edgecolor="#808080", label=missing)
        part.legend(handles=[grey], loc="outside upper right", frameon=False, fontsize=9)
    return panels


def _choose_colours(numbers, limits):
    """Return a colour map, a diverging one if 0 is between the limits, and what maps numbers to it."""
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    finite = numbers[np.isfinite(numbers)]
    low, high = limits or ((finite.min(), finite.max()) if len(finite) else (0, 1))
    diverging = low < 0 < high
    if diverging and limits is None:
        low, high = -max(-low, high), max(-low, high)
    if low == high:
        low, high = low - 0.5, high + 0.5
    return colormaps["RdBu_r" if diverging else "viridis"].with_extremes(bad=MISSING), Normalize(low, high)


def _label_cells(axes, names, cell, turned, below):
    """Write names beside rows, and below columns unless a panel is below them; turned if they would not fit."""
    for axis, texts, inches in zip((axes.yaxis, axes.xaxis), names, reversed(cell), strict=True):
        axis.set_ticks(np.arange(len(texts)), texts, fontsize=np.clip(72 * inches / 1.25, 4, 9))
    axes.tick_params(length=2, labelbottom=below)
    if turned:
        for text in axes.get_xticklabels():
            text.set(rotation=60, ha="right", rotation_mode="anchor")
