"""Colours, labels and limits that all figures share. Matplotlib's objects come in as arguments."""

import numpy as np

from invtransfer.analysis import CONTRASTS

COLOURS = {"same": "#0072b2", "disjoint": "#d55e00", "neither": "#6f6f6f"}  # Okabe and Ito: safe for colour-blind eyes
CONTRAST_COLOURS = dict(zip(CONTRASTS, (COLOURS["disjoint"], "#333333", COLOURS["same"]), strict=True))
REFERENCE_STYLES = ("--", "-.", (0, (1, 3)), (0, (5, 1, 1, 1, 1, 1)))
MARKERS = "osD^vP*X"
MISSING = "#c8c8c8"
DARK = 0.18  # relative luminance below which white is easier to read than black: equal contrast with both
CHARACTER = 0.075  # inches that a character of 9 points takes, with some room


def format_name(name):
    """Return the name of a factor or dimension as a reader would print it.

    Parameters
    ----------
    name : str
        Name such as "n_samples" or "class_relation".

    Returns
    -------
    words : str

    Examples
    --------
    >>> format_name("n_samples"), format_name("class_relation")
    ('training samples', 'class relation')
    """
    words = {
        "n_samples": "training samples",
        "n_probe": "probe samples",
        "n_tuning": "tuning samples",
        "n_pretraining_transformations": "transformations in pretraining",
        "n_target_transformations": "transformations in the target task",
    }
    return words.get(name, name.replace("_", " "))


def format_spread(n_seeds):
    """Say for a title how many seeds there are, and what whiskers show.

    Parameters
    ----------
    n_seeds : int
        Number of seeds.

    Returns
    -------
    words : str

    Examples
    --------
    >>> format_spread(1), format_spread(3)
    ('1 seed', '3 seeds; whiskers: 95 % intervals, cut at the edge')
    """
    return "1 seed" if n_seeds == 1 else f"{n_seeds} seeds; whiskers: 95 % intervals, cut at the edge"


def draw_means(axes, x, summary, *, color, **style):
    """Draw means as points or a line, and their intervals as whiskers.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Axes that are drawn on.
    x : ndarray of shape (n,), float
        Place of each mean along the axis.
    summary : xarray.Dataset over one dimension of size n
        Mean, low and high as `summarise` returns them.
    color : color
        Colour of all of them.
    **style
        Keyword arguments for `plot`.
    """
    axes.plot(x, summary["mean"], color=color, **style)
    low, high = summary["low"].values, summary["high"].values
    known = np.isfinite(low) & np.isfinite(high)
    axes.vlines(x[known], low[known], high[known], color=color, lw=1, alpha=0.6)


def label_levels(axes, levels, notes, width=4.8):
    """Write levels below an axis at equal distances, turned if they would not fit beside each other.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Axes whose levels are at 0, 1, 2 and so on.
    levels, notes : sequence of str
        Each level, and a note below it, which may be empty.
    width : float, default 4.8
        Width of the axis, in inches.
    """
    texts = [f"{int(level):,}" if level.isdecimal() else level for level in levels]
    widest = max(map(len, texts)) * len(texts)
    texts = [f"{text}\n{note}" if note else text for text, note in zip(texts, notes, strict=True)]
    turned = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if widest * CHARACTER > width else {}
    axes.set_xticks(np.arange(len(texts)), texts, fontsize=9, **turned)
    axes.set_xlim(-0.4, len(texts) - 0.6)


def label_bars(axes, labels, notes):
    """Write labels below groups of bars.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Axes whose groups of bars are at 0, 1, 2 and so on.
    labels, notes : sequence of str
        Label of each group, and a note below it, which may be empty.
    """
    texts = [f"{label}\n{note}" if note else label for label, note in zip(labels, notes, strict=True)]
    axes.set_xticks(np.arange(len(texts)), texts)
    axes.set_xlim(-0.6, len(texts) - 0.4)
    axes.axhline(0, color="black", lw=0.8)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)


def limit_accuracy(axes, *shown):
    """Limit an axis to the range from a little below the lowest accuracy to 1.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Axes that are limited.
    *shown : xarray.DataArray
        Accuracies that must be visible; wider bands are cut.
    """
    lowest = np.fmin.reduce([np.fmin.reduce(values.values, axis=None, initial=1) for values in shown])
    axes.set_ylim(max(0, np.nan_to_num(lowest) - 0.03), 1.02)


def limit_differences(axes, *shown):
    """Limit an axis to a little more than 0 and all differences.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Axes that are limited.
    *shown : xarray.DataArray
        Differences that must be visible; wider whiskers are cut.
    """
    values = np.concatenate([np.ravel(values.values) for values in shown])
    values = values[np.isfinite(values)]
    low, high = values.min(initial=0), values.max(initial=0)
    if high > low:
        high = max(high, -low / 2)  # room for words above 0
        room = 0.06 * (high - low)  # also below 0, where it shows which whiskers pass 0
        axes.set_ylim(low - room, high + room)


def write_numbers(axes, image, numbers, cell):
    """Write the number into each cell that has one, in black or white, whichever is easier to read.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Axes that are written on, with cells at 0, 1, 2 and so on.
    image : matplotlib.image.AxesImage
        Colours of the cells.
    numbers : ndarray of shape (n_rows, n_columns), float
        Number of each cell.
    cell : tuple of float
        Width and height of a cell, in inches.
    """
    digits = 2 if image.norm.vmax < 10 else 0
    rounded = np.round(numbers, digits) + 0.0  # no -0.00
    texts = {place: f"{number:.{digits}f}" for place, number in np.ndenumerate(rounded) if np.isfinite(number)}
    longest = max(map(len, texts.values()), default=4)
    size = np.clip(72 * min(cell[0] / (0.62 * (longest + 1)), cell[1] / 1.3), 4.5, 9)
    for (i, j), text in texts.items():
        red, green, blue = (_linear(part) for part in image.to_rgba(numbers[i, j])[:3])
        luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        style = {"color": "white" if luminance < DARK else "black", "fontsize": size}
        axes.text(j, i, text, ha="center", va="center", **style)


def _linear(part):
    """Return the light that a part of an sRGB colour stands for, 0 to 1."""
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
