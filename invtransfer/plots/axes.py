"""One axis, its labels and limits, in what all figures share. Matplotlib's objects come in as arguments."""

from itertools import pairwise

import numpy as np

from invtransfer.analysis import CONTRASTS, REFERENCE, summarise

ENOUGH_SEEDS = 5  # for an interval: that of 3 seeds reaches 2.5 std to either side, beyond what accuracies can be
COLOURS = {"same": "#0072b2", "disjoint": "#d55e00", "neither": "#6f6f6f"}  # Okabe and Ito: safe for colour-blind eyes
CONTRAST_COLOURS = dict(zip(CONTRASTS, (COLOURS["disjoint"], "#333333", COLOURS["same"]), strict=True))
REFERENCE_STYLES = ("--", "-.", (0, (1, 3)), (0, (5, 1, 1, 1, 1, 1)))
CHARACTER = 0.075  # inches that a character of 9 points takes, with some room
UNEVEN = 4  # times the smallest step between numbers, beyond which an axis to scale would crowd them


def factor_names(dataset):
    """Return the factors that are not references, once each, as they appear.

    Parameters
    ----------
    dataset : xarray.Dataset
        With the coordinate `factor_name`.

    Returns
    -------
    names : list of str
    """
    return [name for name in dict.fromkeys(dataset.factor_name.values.tolist()) if name != REFERENCE]


def say(name):
    """Return the name of a factor or dimension as a reader would print it.

    Parameters
    ----------
    name : str
        Such as "n_samples" or "class_relation".

    Returns
    -------
    words : str
    """
    words = {
        "n_samples": "training samples",
        "n_probe": "probe samples",
        "n_tuning": "tuning samples",
        "n_pretraining_transformations": "transformations in pretraining",
        "n_target_transformations": "transformations in the target task",
    }
    return words.get(name, name.replace("_", " "))


def spread(values):
    """Summarise values over seeds as figures show them.

    Parameters
    ----------
    values : xarray.DataArray
        With dimension "seed"; NaN counts as missing.

    Returns
    -------
    mean, low, high : xarray.DataArray over the other dimensions
        Mean, and lower and upper end of its 95 % interval, or of the range of the seeds if the dimension has fewer than
        5; the ends are NaN where there are fewer than 2.

    Examples
    --------
    >>> import xarray as xr
    >>> [end.item() for end in spread(xr.DataArray([0.25, 0.5, 0.75], dims="seed"))]
    [0.5, 0.25, 0.75]
    """
    summary = summarise(values)
    if values.sizes["seed"] < ENOUGH_SEEDS:
        several = summary["n"] > 1
        return summary["mean"], values.min("seed").where(several), values.max("seed").where(several)
    return summary["mean"], summary["low"], summary["high"]


def spread_in_words(n_seeds):
    """Say what `spread` shows, for a title.

    Parameters
    ----------
    n_seeds : int
        Number of seeds.

    Returns
    -------
    words : str

    Examples
    --------
    >>> spread_in_words(1), spread_in_words(3)
    ('1 seed', '3 seeds; bands and whiskers: range of the seeds')
    >>> spread_in_words(10)
    '10 seeds; bands and whiskers: 95 % intervals'
    """
    if n_seeds == 1:
        return "1 seed"
    what = "95 % intervals" if n_seeds >= ENOUGH_SEEDS else "range of the seeds"
    return f"{n_seeds} seeds; bands and whiskers: {what}"


def stand_alone(values):
    """Tell which values have neighbours on neither side, so that no band shows them.

    Parameters
    ----------
    values : ndarray of shape (n,)
        NaN where there is none.

    Returns
    -------
    alone : ndarray of shape (n,), bool

    Examples
    --------
    >>> stand_alone(np.array([1.0, np.nan, 2.0, 3.0]))
    array([ True, False, False, False])
    """
    there = np.concatenate([[False], np.isfinite(values), [False]])
    return there[1:-1] & ~there[:-2] & ~there[2:]


def as_numbers(labels):
    """Return labels as numbers, if all of them are.

    Parameters
    ----------
    labels : sequence of str or number
        Such as ["0.8", "0.85"] or [1, 2].

    Returns
    -------
    numbers : ndarray of shape (n_labels,), float, or None
        None if one is no finite number.
    """
    try:
        numbers = np.array([float(label) for label in labels])
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def are_to_scale(numbers):
    """Tell whether numbers are best placed to scale, rather than beside each other like names.

    Parameters
    ----------
    numbers : ndarray of shape (n,), float, or None

    Returns
    -------
    to_scale : bool
        True for two or more different ones that are shares, from 0 to 1, or whose largest step is at most 4 times the
        smallest.

    Examples
    --------
    >>> are_to_scale(np.array([0, 0.4, 0.8, 0.85, 1])), are_to_scale(np.array([1_000, 10_000, 500_000]))
    (True, False)
    """
    if numbers is None or len(numbers) < 2:
        return False
    steps = np.diff(np.sort(numbers))
    shares = numbers.min() >= 0 and numbers.max() <= 1
    return bool(steps.min() > 0 and (shares or steps.max() <= UNEVEN * steps.min()))


def label_levels(axes, levels, notes, width=4.8):
    """Write levels below an axis on which they are categories, turned if they would not fit beside each other.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    levels, notes : sequence of str
        What they are, and what is to say about each below it, or nothing.
    width : float
        Inches that there are for them.
    """
    texts = [f"{int(level):,}" if level.isdecimal() else level for level in levels]
    widest = max(map(len, texts)) * len(texts)
    texts = [f"{text}\n{note}" if note else text for text, note in zip(texts, notes, strict=True)]
    turned = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if widest * CHARACTER > width else {}
    axes.set_xticks(np.arange(len(texts)), texts, fontsize=9, **turned)
    axes.set_xlim(-0.4, len(texts) - 0.6)


def label_numbers(axes, numbers, width):
    """Mark numbers below an axis that is to scale: each if they fit beside each other, else round ones and small marks.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    numbers : ndarray of shape (n,), float
        Ascending.
    width : float
        Inches that there are for them.
    """
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


def label_bars(axes, labels, notes):
    """Write below groups of bars what they are, and what is to say about them.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    labels, notes : sequence of str
    """
    texts = [f"{label}\n{note}" if note else label for label, note in zip(labels, notes, strict=True)]
    axes.set_xticks(np.arange(len(texts)), texts)
    axes.set_xlim(-0.6, len(texts) - 0.4)
    axes.axhline(0, color="black", lw=0.8)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)


def limit_accuracy(axes, *shown):
    """Let an axis reach from a little below the lowest accuracy to the highest possible.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    *shown : xarray.DataArray
        What must be on it.
    """
    lowest = np.fmin.reduce([np.fmin.reduce(values.values, axis=None, initial=1) for values in shown])
    axes.set_ylim(max(0, np.nan_to_num(lowest) - 0.03), 1.02)


def limit_differences(axes, *shown):
    """Let an axis reach a little beyond 0 and all differences.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    *shown : xarray.DataArray
        What must be on it.
    """
    values = np.concatenate([np.ravel(values.values) for values in shown])
    values = values[np.isfinite(values)]
    low, high = values.min(initial=0), values.max(initial=0)
    if high > low:
        high = max(high, -low / 2)  # room for words above 0
        room = 0.06 * (high - low)  # also below 0, where it shows which whiskers pass 0
        axes.set_ylim(low - room, high + room)
