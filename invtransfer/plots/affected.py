"""Whom a transformation hits: plot_affected."""

from numbers import Integral
from pathlib import PurePath

import numpy as np
import xarray as xr

from invtransfer.analysis import summarise
from invtransfer.analysis.representations import mean_random_distance
from invtransfer.plots.profiles import (
    ENCODER_COLOURS,
    MEANING,
    check_profile,
    format_plain,
    select_layer,
    select_strength,
)

N_CLASSES = 12
_SIDE = 1.15  # inches of a picture


def plot_affected(profile, images, twins, transformation, *, labels=None, n=6, encoder=None, layer=None, strength=None):
    r"""Draw the images that a transformation changes most and least in the eyes of an encoder, and their twins.

    Parameters
    ----------
    profile : xarray.Dataset
        Over "transformation" and "image" (or "pair"), and "encoder", "layer" and "strength" or not: "pair_distance" and
        "random_distance". The coordinate "image" has the number of the image that each pair was made of; without it,
        pairs are numbered in their order. A coordinate "file" names the images.
    images, twins : array-like of shape (n_pairs, height, width, 3), uint8 or float in [0, 1]
        First and second image of each pair, in the order of the profile's pairs, which is random: as
        `SensitivityScorer.make_twins` gives them. Anything with a length and integer indexing will do; only the images
        that are shown are read.
    transformation : str
        Transformation that makes the twins.
    labels : array-like of shape (n_images,), int or str
        Class of each image by its number, in the order of the images that the scorer was fitted on, such as `labels` of
        `load_images`; None: there are no classes.
    n : int
        Number of most, and of least, affected images. None is shown twice.
    encoder : str
        Encoder whose features are compared; None: the first.
    layer : str or int
        Layer, by its name or its label along "layer"; None: the last.
    strength : float
        Strength with which the twins were made; None: the largest.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Above each image its own sensitivity: the distance of its features from those of its twin, divided by the mean
        distance between different images. With labels also the mean of each class with its 95 % interval; of more than
        12 classes, the six most and the six least affected.

    Raises
    ------
    TypeError
        If `profile` is not a Dataset.
    ValueError
        If it lacks something, has no such transformation, encoder, layer or strength, or nothing that was measured; if
        images or twins are not as many as its pairs, labels too few for the numbers of its images, or these not as
        described, or `n` is not from 1 to 50.
    ModuleNotFoundError
        If matplotlib is missing.

    Notes
    -----
    Each image has one draw of the transformation, such as one angle: an image may be among the most affected for a
    strong draw, and not for what it shows.

    Intervals of classes are Student's, over the images of the class. They take the mean distance between different
    images, by which all are divided, as known.

    Examples
    --------
    >>> import xarray as xr
    >>> X = np.zeros((4, 8, 8, 3), "uint8")
    >>> dims = ("transformation", "image")
    >>> profile = xr.Dataset(
    ...     {"pair_distance": (dims, [[1.0, 4.0, 2.0, 3.0]]), "random_distance": (dims, np.full((1, 4), 2.0))},
    ...     {"transformation": ["invert"], "image": range(4)},
    ... )
    >>> figure = plot_affected(profile, X, 255 - X, "invert", n=1)
    >>> [axes.get_title() for axes in figure.axes if axes.get_title()]
    ['2.00\nimage 1', '0.50\nimage 0']
    """
    from matplotlib.figure import Figure

    if not isinstance(n, Integral) or isinstance(n, bool) or not 1 <= n <= 50:
        raise ValueError(f"n is {n!r}, expected a whole number from 1 to 50")
    values, numbers, names, words = _find_sensitivities(profile, transformation, encoder, layer, strength)
    for name, given in (("images", images), ("twins", twins)):
        if not hasattr(given, "__getitem__") or _length(given) != len(values):
            raise ValueError(
                f"{name} has the length {_length(given)}, expected {len(values)}, one for each pair of profile"
            )
    if labels is not None:
        _check_labels(labels, max(numbers))
    classes = None if labels is None else [str(label) for label in np.asarray(labels)[numbers].tolist()]
    order = np.argsort(-values, kind="stable")
    order = order[np.isfinite(values[order])]
    n = min(int(n), max(1, len(order) // 2))
    groups = {"most affected": order[:n], "least affected": order[n:][::-1][:n]}
    groups = {name: places for name, places in groups.items() if len(places)}
    pictures = {
        name: [
            [_read(given, place, what) for place in places] for what, given in (("images", images), ("twins", twins))
        ]
        for name, places in groups.items()
    }
    height, width = pictures["most affected"][0][0].shape[:2]
    tall = _SIDE * min(2.0, max(0.5, height / width))
    shown = None if classes is None else _summarise_classes(values, classes)
    wide = max(4.6 if shown is None else 2.6, n * (_SIDE + 0.06) + 0.5)
    size = wide + (0 if shown is None else 4), max(len(groups) * (2 * tall + 0.9), 3.2) + 0.8
    figure = Figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.01)
    left, *right = np.atleast_1d(
        figure.subfigures(1, 1 if shown is None else 2, width_ratios=None if shown is None else [wide, 4])
    )
    parts = np.atleast_1d(left.subfigures(len(groups), 1))
    for part, (name, places) in zip(parts, groups.items(), strict=True):
        part.suptitle(name, fontsize=10, x=0.02, ha="left")
        titles = [f"{values[place]:.2f}\n{format_plain(_cut(names[place], 18))}" for place in places]
        if classes is not None:
            titles = [
                f"{title}\n{format_plain(_cut(classes[place], 18))}"
                for title, place in zip(titles, places, strict=True)
            ]
        _draw_pictures(part.subplots(2, n, squeeze=False), pictures[name], titles)
    if right:
        _draw_classes(right[0].subplots(), *shown)
    title = f"Sensitivity of single images to {format_plain(transformation).replace('_', ' ')}\n({MEANING})"
    figure.suptitle(title + f"\n{words}" * bool(words), fontsize=10)
    return figure


def _find_sensitivities(profile, transformation, encoder, layer, strength):
    """Return the sensitivity, number and name of each image, and a description of the part."""
    along = "image" if isinstance(profile, xr.Dataset) and "image" in profile.dims else "pair"
    names = ["pair_distance", "random_distance"]
    shown = check_profile(profile, names, needs=(along,), may_have=("layer", "strength"))
    labels = {"transformation": shown.transformation.values.tolist(), "encoder": shown.encoder.values.tolist()}
    chosen = {"transformation": transformation, "encoder": labels["encoder"][0] if encoder is None else encoder}
    for dim, label in chosen.items():
        if label not in labels[dim]:
            raise ValueError(f"{dim} is {label!r}, expected one of: {', '.join(map(str, labels[dim]))}")
    shown = shown.isel({dim: [labels[dim].index(label)] for dim, label in chosen.items()})
    shown, where = select_layer(shown, layer)
    shown, how = select_strength(shown, strength)
    pair_distances, random_distances = (shown[name].values.ravel() for name in names)
    numbers = shown.image.values if "image" in shown.coords else np.arange(len(pair_distances))
    if numbers.dtype.kind not in "iu" or numbers.min(initial=0) < 0:
        raise ValueError(f"profile has 'image' with {numbers.tolist()[0]!r}, expected the numbers of images, from 0")
    numbers = numbers.tolist()
    named = "file" in shown.coords and shown.file.dims == (along,)
    names = [PurePath(name).name for name in shown.file.values.tolist()] if named else [f"image {i}" for i in numbers]
    scale = mean_random_distance(random_distances) if len(pair_distances) > 1 else 0.0
    if not np.isfinite(pair_distances).any():
        raise ValueError(f"profile has no distances of pairs for {transformation!r}: it failed or is missing")
    if not 0 < scale < np.inf:
        raise ValueError(f"profile has the mean random_distance {scale} for {transformation!r}, expected more than 0")
    words = [format_plain(chosen["encoder"]), where, how]
    return pair_distances / scale, numbers, names, ", ".join(filter(None, words))


def _check_labels(labels, last):
    """Check that there is a label for each number of an image, up to the last."""
    if not hasattr(labels, "__getitem__") or _length(labels) == "none" or len(labels) <= last:
        raise ValueError(
            f"labels has the length {_length(labels)}, expected at least {last + 1}, as profile has a pair of image"
            f" {last}"
        )
    if np.ndim(labels) != 1:
        raise ValueError(f"labels is of shape {np.shape(labels)}, expected one label for each image")


def _cut(name, width):
    return name if len(name) <= width else name[: width - 1] + "…"


def _length(given):
    return len(given) if hasattr(given, "__len__") and np.ndim(given) != 0 else "none"


def _read(images, place, name):
    """Return one image."""
    image = np.asarray(images[int(place)])
    right = image.ndim == 3 and image.shape[2] == 3 and image.size > 0
    if not right or not (image.dtype == np.uint8 or image.dtype.kind == "f"):
        raise ValueError(
            f"{name} has an image of shape {image.shape} and dtype {image.dtype}, expected (height, width, 3), uint8 or"
            " float"
        )
    if image.dtype.kind == "f" and not ((image >= 0) & (image <= 1)).all():
        raise ValueError(f"{name} has an image with values from {image.min()} to {image.max()}, expected 0 to 1")
    return image


def _draw_pictures(rows, pictures, titles):
    """Draw images, and their twins below them."""
    for axes, images, name in zip(rows, pictures, ("image", "twin"), strict=True):
        for one, image in zip(axes, images, strict=False):
            one.imshow(image.astype(np.float32) if image.dtype.kind == "f" else image)
        for one in axes:
            one.set_xticks([])
            one.set_yticks([])
            one.spines[:].set_visible(False)
        axes[0].set_ylabel(name, fontsize=9)
    for axes, title in zip(rows[0], titles, strict=False):
        axes.set_title(title, fontsize=8, pad=2)


def _summarise_classes(values, classes):
    """Return the mean sensitivity of each class with its interval, most affected first, and how many were left out."""
    classes = np.array(classes)
    found = []
    for name in np.unique(classes).tolist():
        own = values[(classes == name) & np.isfinite(values)]
        if own.size:
            summary = summarise(xr.DataArray(own, dims="seed"))
            found.append((name, own.size, *(summary[bound].item() for bound in ("mean", "low", "high"))))
    found.sort(key=lambda one: -one[2])
    n_hidden = max(0, len(found) - N_CLASSES)
    half = N_CLASSES // 2
    return (found[:half] + found[-half:] if n_hidden else found), n_hidden


def _draw_classes(axes, found, n_hidden):
    """Draw the mean sensitivity of each class as a point with its interval."""
    places = np.arange(len(found), dtype=float)
    if n_hidden:
        places[len(found) // 2 :] += 1
        axes.axhline(len(found) // 2, color="0.6", lw=0.8, ls=":")
    names, counts, means, lows, highs = zip(*found, strict=True)
    colour = ENCODER_COLOURS[0]
    means, lows, highs = (np.array(one, float) for one in (means, lows, highs))
    known = np.isfinite(lows) & np.isfinite(highs)
    axes.plot(means, places, "o", color=colour, ms=4)
    axes.hlines(places[known], np.maximum(lows, 0)[known], highs[known], color=colour, lw=1)
    texts = [f"{format_plain(_cut(name, 24))} ({count})" for name, count in zip(names, counts, strict=True)]
    ticks = [*places, *([len(found) // 2] if n_hidden else [])]
    axes.set_yticks(ticks, texts + ([f"{n_hidden} more"] if n_hidden else []), fontsize=8)
    axes.set_ylim(places[-1] + 0.6, -0.6)
    axes.set_xlim(
        0, 1.05 * min(2 * max(means.max(), 1e-9), max(means.max(), np.max(highs, initial=0, where=known))) + 1e-9
    )
    axes.grid(axis="x", alpha=0.3)
    axes.tick_params("x", labelsize=8)
    axes.set_title("mean of each class (number of images)", fontsize=9, loc="right")
    axes.set_xlabel("sensitivity (bars: 95 % intervals over images)", fontsize=8)
