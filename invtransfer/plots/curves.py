"""Means over seeds as lines, with their 95 % intervals as whiskers."""

from itertools import pairwise

import numpy as np
import xarray as xr

from invtransfer.analysis import summarise
from invtransfer.plots.axes import (
    CHARACTER,
    COLOURS,
    MARKERS,
    REFERENCE_STYLES,
    draw_means,
    format_name,
    label_levels,
)
from invtransfer.plots.panels import add_legend, check_drawn, label_panels, make_panels

LINE_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # Okabe and Ito
UNEVEN = 4  # times the smallest step between numbers, beyond which an axis to scale would crowd them


def draw_curves(
    figure,
    values,
    *,
    x,
    line,
    panel=None,
    references=None,
    x_label,
    y_label,
    limits=None,
    line_label=None,
    n_columns=None,
):
    """Draw means over seeds as lines with whiskers, one line for each label of a dimension.

    Parameters
    ----------
    figure : matplotlib.figure.Figure or SubFigure
        Figure, or part of one, that is filled.
    values : xarray.DataArray over `x`, `line`, `panel` if there is one, and "seed"
        Values that are drawn; NaN counts as missing.
    x, line, panel : str
        Dimensions along the axis, from line to line, and from panel to panel (None: one panel). Labels of `x` that
        are numbers, also as text, are placed to scale if they are shares (0 to 1) or their largest step is at most 4
        times the smallest, and at equal distances otherwise.
    references : dict of str to xarray.DataArray over "seed", and `panel` or not
        Values whose means over seeds are drawn as horizontal lines, by name.
    x_label, y_label : str
        What the axes show, with the unit if there is one.
    limits : tuple of (low, high)
        Limits of the vertical axis. In place of None, or of an end that is None, the axis shows the values of all
        seeds.
    line_label : str or None
        What the labels of `line` are, above the legend; None: the dimension's name in words.
    n_columns : int
        Number of panels beside each other; None: as suits the figure's shape.

    Returns
    -------
    panels : ndarray of shape (n_panels,) of matplotlib.axes.Axes
        In the order of the labels of `panel`.

    Raises
    ------
    TypeError
        If `values` or a reference is not a DataArray.
    ValueError
        If `values` or a reference has other dimensions, nothing along one of them, or does not hold real numbers; if
        `limits` are not two numbers, the lower one first, or `n_columns` is not from 1 to 100.

    Notes
    -----
    Whiskers are 95 % intervals of the mean over seeds; a single seed has none. Lines are shifted a little along the
    axis, so that their whiskers do not hide one another. The axis shows the values of all seeds, and cuts whiskers that
    are longer. Points that are missing leave gaps, which the legend counts. Labels of `line` that are numbers get
    colours in a sequence from dark to light, others one colour each that colour-blind eyes can tell apart; markers
    differ too.

    Examples
    --------
    >>> import xarray as xr
    >>> from matplotlib.figure import Figure
    >>> accuracy = xr.DataArray(
    ...     [[[0.9, 0.8], [0.7, 0.8]], [[0.6, 0.7], [0.9, 0.9]]],
    ...     {"n_target": [1, 2], "n_source": [1, 2], "seed": [0, 1]}, ["n_target", "n_source", "seed"],
    ... )
    >>> figure = Figure()
    >>> (axes,) = draw_curves(
    ...     figure, accuracy, x="n_target", line="n_source", x_label="transformations", y_label="accuracy",
    ... )
    >>> axes.get_lines()[0].get_ydata().round(3).tolist()
    [0.85, 0.65]
    """
    references = {} if references is None else references
    if not isinstance(references, dict) or not all(isinstance(one, xr.DataArray) for one in references.values()):
        raise TypeError(f"references is {references!r}, expected a dict of xarray.DataArray")
    values = check_drawn(values, {"x": x, "line": line, "panel": panel}, limits, open_ended=True)
    for name, reference in references.items():
        if "seed" not in reference.dims or not set(reference.dims) <= {"seed", panel}:
            found = ", ".join(map(str, reference.dims)) or "none"
            expected = "'seed'" if panel is None else f"'seed', and {panel!r} or not"
            raise ValueError(f"references has {name!r} with the dimensions {found}, expected {expected}")
    numbers = _as_numbers(values[x].values.tolist())
    if to_scale := _are_to_scale(numbers):
        order = np.argsort(numbers)
        values, numbers = values.isel({x: order}), numbers[order]
    n_panels = values.sizes[panel] if panel else 1
    part, panels, width, *_ = make_panels(figure, n_panels, n_columns)
    positions = numbers if to_scale else np.arange(values.sizes[x])
    for i, axes in enumerate(panels):
        _draw_lines(axes, positions, values.isel({panel: i}) if panel else values, x, line)
        _draw_references(axes, references, {panel: values[panel].values[i : i + 1]} if panel else {})
        if to_scale:
            _label_numbers(axes, numbers, width - 0.6)
        else:
            label_levels(axes, [str(label) for label in values[x].values.tolist()], [""] * len(positions), width - 0.6)
        axes.grid(axis="y", alpha=0.3)
    found = _find_limits(values, *references.values())
    panels[0].set_ylim([far if near is None else near for near, far in zip(limits or (None, None), found, strict=True)])
    handles, _ = panels[0].get_legend_handles_labels()
    labels = _format_lines(values, line)
    labels += [f"{name}{'' if one.notnull().any() else ' (failed or missing)'}" for name, one in references.items()]
    add_legend(part, handles, labels, format_name(line) if line_label is None else line_label)
    label_panels(part, panels, values[panel] if panel else None, x_label, y_label)
    return panels


def _as_numbers(labels):
    """Return labels as an array of floats, None if one of them is no finite number."""
    try:
        numbers = np.array([float(label) for label in labels])
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _are_to_scale(numbers):
    """Tell whether numbers, or None, are best placed to scale, rather than at equal distances like names.

    They are if two or more different numbers are shares, from 0 to 1, or their largest step is at most 4 times the
    smallest.

    Examples
    --------
    >>> _are_to_scale(np.array([0, 0.4, 0.8, 0.85, 1])), _are_to_scale(np.array([1_000, 10_000, 500_000]))
    (True, False)
    """
    if numbers is None or len(numbers) < 2:
        return False
    steps = np.diff(np.sort(numbers))
    shares = numbers.min() >= 0 and numbers.max() <= 1
    return bool(steps.min() > 0 and (shares or steps.max() <= UNEVEN * steps.min()))


def _label_numbers(axes, numbers, width):
    """Write ascending numbers below an axis of a width in inches, or marks and round numbers where they do not fit."""
    texts = [f"{number:,.0f}" if number == round(number) else f"{number:g}" for number in numbers]
    shares = np.diff(numbers) / (numbers[-1] - numbers[0])
    needed = [CHARACTER * (1 + (len(one) + len(two)) / 2) for one, two in pairwise(texts)]
    if (shares * width * 0.9 >= needed).all():
        axes.set_xticks(numbers, texts, fontsize=9)
    else:
        axes.set_xticks(numbers, minor=True)
        axes.tick_params("x", labelsize=9)
    room = 0.04 * (numbers[-1] - numbers[0])
    axes.set_xlim(numbers[0] - room, numbers[-1] + room)


def _draw_lines(axes, positions, values, x, line):
    """Draw each line with its whiskers."""
    labels = values[line].values.tolist()
    step = min(np.diff(positions).min(), 0.12 * np.ptp(positions)) if len(positions) > 1 else 1
    n = len(labels)
    # so that whiskers do not hide one another, but no further than the axis reaches beyond the first and last place
    shifts = step * min(0.12, 0.5 / n) * (np.arange(n) - (n - 1) / 2)
    for i, (colour, marker) in enumerate(_line_styles(labels)):
        style = {"marker": marker, "ms": 6, "mec": "white", "mew": 0.5, "label": str(labels[i])}
        draw_means(axes, positions + shifts[i], summarise(values.isel({line: i})), color=colour, **style)


def _draw_references(axes, references, here):
    """Draw a horizontal line for each reference, that of this panel if it has several."""
    for i, (name, reference) in enumerate(references.items()):
        if set(here) & set(reference.dims):
            reference = reference.reindex(here)
        style = {"color": COLOURS["neither"], "lw": 1.2, "ls": REFERENCE_STYLES[i % len(REFERENCE_STYLES)]}
        axes.axhline(reference.mean().item(), **style, label=name, zorder=1)


def _line_styles(labels):
    """Return a colour and a marker for each line."""
    from matplotlib import colormaps  # here, so that studies run without the extra

    n = len(labels)
    if _as_numbers(labels) is not None or n > len(LINE_COLOURS):
        colours = colormaps["viridis"](np.linspace(0, 0.9, n))  # to 0.9: the lightest yellow is faint on white
    else:
        colours = LINE_COLOURS
    return [(colours[i], MARKERS[i % len(MARKERS)]) for i in range(n)]


def _format_lines(values, line):
    """Return the text of each line in the legend: its label, and how many of its points are missing."""
    names = []
    for i, label in enumerate(values[line].values.tolist()):
        there = values.isel({line: i}).notnull().any("seed")
        n_missing = there.size - there.sum().item()
        text = f"{label:,}" if isinstance(label, int) else str(label)
        text += f" ({n_missing} of {there.size} missing)" if 0 < n_missing < there.size else ""
        names.append(text + (" (failed or missing)" if n_missing == there.size else ""))
    return names


def _find_limits(*shown):
    """Return limits a little beyond all these values."""
    values = np.concatenate([np.ravel(values.values) for values in shown])
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if len(values) else (0, 1)
    room = 0.05 * (high - low) or 0.05
    return low - room, high + room
