"""The page of a profile: how sensitive encoders are to transformations, over layers, strengths and pairs as it has."""

from collections import Counter
from dataclasses import dataclass
from functools import partial

import numpy as np
import xarray as xr

from invtransfer import plots
from invtransfer.analysis.layers import arrange_profile, select_last_layer
from invtransfer.pages.layout import Verbatim, draw_pictures, make_page
from invtransfer.pages.measure_command import find_pairs, format_measure_command
from invtransfer.pages.origins import describe_encoders, describe_failures, describe_origin
from invtransfer.pages.profile_tables import (
    DISTANCES,
    N_SHOWN,
    format_intervals,
    tabulate_doses,
    tabulate_images,
    tabulate_interactions,
    tabulate_layers,
    tabulate_sensitivities,
)
from invtransfer.storage import parse_json

DIMS = ("encoder", "layer", "transformation", "strength")


def make_profile_page(profile, name="mine.nc", pairs=None, labels=None):
    """Make the page of a profile, such as the cube of ``invtransfer measure``.

    Parameters
    ----------
    profile : xarray.Dataset over "transformation", and perhaps "encoder", "layer", "strength" and "then"
        "sensitivity" with its interval and companions; if it is a cube, also its attributes, "status" and "message".
    name : str
        Name of the cube's file, for the command that repeats it.
    pairs : dict of str to (sequence, sequence), optional
        For each transformation the images as they are and transformed, in the order of the profile's "image": those
        that are moved most and least are shown. `invtransfer.commands.measuring.make_pairs` makes them for a
        measurement.
    labels : array-like of shape (n_images,), optional
        Classes of the images by their numbers; the mean of each class is then shown, too.

    Returns
    -------
    page : str
        HTML, see `invtransfer.pages.make_page`. Without matplotlib it has no figures, and says so.

    Raises
    ------
    ValueError
        If it has no dimension "transformation", "sensitivity" has others than those, strengths are no numbers, or its
        attributes are not as a measurement has them.

    Examples
    --------
    >>> values = xr.DataArray([0.1, 0.8], {"transformation": ["h_flip", "rotate"]}, ["transformation"])
    >>> page = make_profile_page(xr.Dataset({"sensitivity": values}))
    >>> "the encoder changes most with rotate: 0.800, and least with h_flip: 0.100" in page
    True
    """
    if "transformation" not in profile.dims:
        raise ValueError("the profile has no dimension 'transformation'")
    settings = parse_json(profile.attrs.get("settings", "{}"), "settings", dict)
    profile = _complete(profile)
    sections = [("What stands out", [_summarise(profile)])]
    for part in PARTS:
        if part.needs <= {*profile.dims, *profile.data_vars}:
            shown = part.view(profile)
            sections.append((part.title, [*_draw(part, shown), part.reading, *part.tabulate(shown)]))
    sections.append(
        ("The images that are moved most and least", _draw_images(_at_end(profile), pairs, labels) if pairs else [])
    )
    sections.append(("What failed or is missing", describe_failures(profile)))
    sections.append(("How it came about", [*describe_encoders(_at_last_layer(profile)), *describe_origin(profile)]))
    if settings:
        labels = profile.encoder.values, profile.transformation.values
        command = format_measure_command(settings, *labels, name, find_pairs(profile))
        sections.append(("How to repeat it", ["With the same models and images at hand:", Verbatim(command)]))
    title = "How sensitive models are to transformations"
    return make_page(title, _format_lead(profile, settings), [one for one in sections if one[1]])


def _complete(profile):
    """Give a profile the dimension, categories and intervals that it lacks."""
    profile = arrange_profile(profile)
    if "encoder" not in profile.dims:
        profile = profile.expand_dims(encoder=["the encoder"])
    if "category" not in profile.coords:
        profile = profile.assign_coords(category=("transformation", [""] * profile.sizes["transformation"]))
    unknown = [dim for dim in profile.get("sensitivity", profile.encoder).dims if dim not in DIMS]
    if unknown:
        raise ValueError(f"sensitivity has the dimension {unknown[0]!r}, expected none but {', '.join(DIMS)}")
    if "strength" in profile.dims and profile.strength.dtype.kind not in "iuf":
        raise ValueError(f"strength has the labels {profile.strength.values.tolist()}, expected numbers")
    for name in ("sensitivity_low", "sensitivity_high"):
        if "sensitivity" in profile and name not in profile:
            profile = profile.assign({name: xr.full_like(profile.sensitivity, np.nan)})
    return profile


def _format_lead(profile, settings):
    encoders, names = (_count(profile.sizes[dim], dim) for dim in ("encoder", "transformation"))
    text = f"Sensitivity of {encoders} to {names}"
    if "image" in profile.sizes:
        text += f", measured on {_count(profile.sizes['image'], 'image')}"
        text += f" of {settings['images'].rpartition(' ')[0]}" if isinstance(settings.get("images"), str) else ""
        text += f", brought to {settings['size']} x {settings['size']} pixels" if "size" in settings else ""
    distance = settings.get("distance", "euclidean")
    text += f", by {distance} distance" if distance != "euclidean" else ""
    return f"{text}: how far the features of an image move when it is transformed."


def _count(n, noun):
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _summarise(profile):
    """Return the largest and smallest sensitivities, and how many pairs interact in which way, as sentences."""
    points = []
    one = _at_end(profile)
    if "sensitivity" in one:
        values = one.sensitivity.transpose("encoder", "transformation").values
        texts = format_intervals(one, "sensitivity", "encoder", "transformation")
        names = profile.transformation.values
        for encoder, row, cells in zip(profile.encoder.values, values, texts, strict=True):
            known = np.flatnonzero(np.isfinite(row))
            if not len(known):
                points.append(f"{encoder} has no values.")
                continue
            most, least = known[row[known].argmax()], known[row[known].argmin()]
            points.append(
                f"{encoder} changes most with {names[most]}: {cells[most]}, and least with {names[least]}:"
                f" {cells[least]}."
            )
        several = np.isfinite(values).sum(axis=0) > 1
        if several.any():
            ranges = np.nanmax(values[:, several], axis=0) - np.nanmin(values[:, several], axis=0)
            i = np.flatnonzero(several)[ranges.argmax()]
            known = np.isfinite(values[:, i])
            pairs = zip(profile.encoder.values[known], texts[known, i], strict=True)
            each = ", ".join(f"{encoder} {text}" for encoder, text in pairs)
            points.append(f"Encoders differ most in {names[i]}: {each}.")
    if "sensitivity" in profile and {"layer", "depth"} <= {*profile.dims, *profile.coords}:
        points += _summarise_layers(_at_largest_strength(profile))
    if "kind" in one:
        points += _summarise_pairs(one)
    return points or ["Nothing was measured."]


def _summarise_layers(profile):
    """Return for each encoder to what its sensitivity falls and rises most, and clearly, from first to last layer."""
    points = []
    for encoder in profile.encoder.values:
        of_one = profile.sel(encoder=encoder)
        order = of_one.depth.argsort(kind="stable").values[: int(of_one.depth.notnull().sum())]
        if len(order) < 2:
            continue
        ends = of_one.isel(layer=order[[0, -1]])
        first, last = ends.sensitivity.transpose("layer", "transformation").values
        names = [str(name).removeprefix("(").removesuffix(")") for name in ends.get("layer_name", ends.layer).values]
        low, high = (ends[f"sensitivity_{end}"].transpose("layer", "transformation").values for end in ("low", "high"))
        changes = (("falls", first - last, high[1] < low[0]), ("rises", last - first, high[0] < low[1]))
        said = []
        for word, change, clear in changes:
            if clear.any():
                i = np.where(clear, change, -np.inf).argmax()
                name = profile.transformation.values[i]
                said.append(f"that to {name} {word} most: from {first[i]:.3f} to {last[i]:.3f}")
        layers = f"from the first layer ({names[0]}) to the last ({names[1]})"
        if said:
            points.append(f"Of the sensitivities of {encoder}, {layers}, {'; '.join(said)}.")
        elif np.isfinite(first - last).any():
            points.append(f"No sensitivity of {encoder} falls or rises clearly {layers}.")
    return points


def _summarise_pairs(one):
    """Return how many pairs of transformations act together in which way, and which do so most."""
    kinds = Counter(str(kind) for kind in one.kind.values.ravel() if kind)
    counted = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())
    points = [f"Pairs of transformations by how they act together: {counted or 'none was measured'}."]
    dims = ("encoder", "transformation", "then")
    values, kind = (one[name].transpose(*dims).values for name in ("interaction", "kind"))
    texts = format_intervals(one, "interaction", *dims)
    for which, sign in (("covering", -1), ("amplifying", 1)):
        sizes = np.where((kind == which) & np.isfinite(values), sign * values, -np.inf)
        if np.isfinite(sizes).any():
            place = np.unravel_index(sizes.argmax(), sizes.shape)
            encoder, first, then = (one[dim].values[i] for dim, i in zip(dims, place, strict=True))
            points.append(
                f"The most {which}: {first}, then {then}, for {encoder}, with the interaction {texts[place]}."
            )
    return points


# parts of a profile, and its values as texts


def _at_last_layer(profile):
    """Return a profile at the last layer of each encoder."""
    if "layer" not in profile.dims:
        return profile
    return select_last_layer(profile) if "depth" in profile.coords else profile.isel(layer=-1, drop=True)


def _at_largest_strength(profile):
    if "strength" not in profile.dims:
        return profile
    return profile.isel(strength=int(profile.strength.values.argmax()), drop=True)


def _at_end(profile):
    return _at_largest_strength(_at_last_layer(profile))


# figures


def _draw(part, profile):
    """Return the figures of a section, or sentences that say why there are none."""
    text = _describe(profile, part.shows)
    return draw_pictures([(title, partial(plot, profile), f"{title}. {text}") for title, plot in part.figures])


def _draw_images(one, pairs, labels):
    """Return for each transformation and encoder a figure of the images that are moved most and least."""
    figures = []
    for name in one.transformation.values.tolist():
        for encoder in one.encoder.values.tolist():
            title = f"Images that {name} moves most and least, for {encoder}"
            plot = partial(plots.plot_affected, one, *pairs[name], name, labels=labels, n=N_SHOWN, encoder=encoder)
            if one.pair_distance.sel(transformation=name, encoder=encoder).notnull().any():
                figures.append((title, plot, f"{title}. Their names and sensitivities are in the table above."))
    return draw_pictures(figures, photographs=True)


def _describe(profile, name):
    """Return the range of a variable for each encoder, and where its ends are, for those who do not see the figure."""
    sentences = []
    for encoder in profile.encoder.values:
        values = profile[name].sel(encoder=encoder)
        known = values.values[np.isfinite(values.values)]
        if not len(known):
            sentences.append(f"{encoder}: no values.")
            continue
        ends = []
        for find in (np.nanargmin, np.nanargmax):
            place = values[dict(zip(values.dims, np.unravel_index(find(values.values), values.shape), strict=True))]
            labels = [f"{dim} {place[dim].item()}" for dim in values.dims]
            ends.append(f"{place.item():.3f} ({', '.join(labels)})")
        sentences.append(f"{encoder}: {name} from {' to '.join(ends)}, median {np.median(known):.3f}.")
    return f"{' '.join(sentences)} All numbers are in the table below."


@dataclass(frozen=True)
class _Part:
    """A section of the page, which it has if the profile has the dimensions and variables that the section needs."""

    title: str
    needs: set
    view: object  # function from the profile to the part of it that the section is about
    figures: tuple  # titles, and functions from that part of the profile to a figure
    shows: str  # variable that the figures show
    tabulate: object  # function from that part to parts of a page
    reading: str  # how to read it


PARTS = (
    _Part(
        "Sensitivity to each transformation", {"sensitivity"}, _at_end,
        (("Sensitivity of each encoder to each transformation", plots.plot_measurement),), "sensitivity",
        tabulate_sensitivities,
        "How to read this: the sensitivity is the mean distance between the features of an image and of its transformed"
        " version, divided by the mean distance between different images. At 0 the encoder ignores the transformation"
        " (it is invariant); at 1 the transformation changes the features as much as another image does. The interval"
        " says how far the number may be off because these images, and no others, were measured: it covers the value"
        " for all such images in 95 of 100 measurements. Two sensitivities whose intervals do not overlap differ. Those"
        " of two encoders may differ although their intervals overlap, because both saw the same images: the table of"
        " differences, which pairs the images, tells. A low sensitivity alone is no learned invariance: features that"
        " hardly differ between any two images, such as those of an untrained network, have one, too. Look whether ABX,"
        " how often the transformed version is nearer than another image, is near 1, and whether the features vary in"
        " many directions; and compare with the same network with random weights. The numbers are of the last layer and"
        " of the largest strength that was measured.",
    ),
    _Part(
        "Over the layers", {"sensitivity", "layer"}, _at_largest_strength,
        (("Sensitivity at each layer", plots.plot_layers), ("Sensitivity over depth", plots.plot_depths)),
        "sensitivity", tabulate_layers,
        "How to read this: layers are in the order in which an image passes through them; depth is the share of the"
        " layers with weights that have run. Where the sensitivity falls from one layer to the next, the invariance"
        " arises there. The numbers are of the largest strength that was measured.",
    ),
    _Part(
        "Over the strength", {"sensitivity", "strength"}, _at_last_layer,
        (("Sensitivity at each strength", plots.plot_doses),), "sensitivity", tabulate_doses,
        "How to read this: a strength is the share of the transformation's range that was used: near 0 the image hardly"
        " changes, at 1 it changes as much as the transformation can. A curve that stays low is one that the encoder"
        " ignores; a steep start means that even a weak transformation moves the features. Flips and invert are done"
        " in full at any strength, so that their curves are flat.",
    ),
    _Part(
        "Two transformations together", {"sensitivity", "together", "interaction", "then"}, _at_end,
        (("Interactions of pairs", plots.plot_interactions),), "interaction",
        tabulate_interactions,
        "How to read this: images got the first transformation and then the second. The interaction is the square of"
        " the sensitivity to both, minus the squares of those to each alone. If its interval lies near 0, within half"
        " the square of the smaller of the two, they add up (additive). Else, if it lies below 0, one hides the other"
        " (covering); if above 0, they strengthen each other (amplifying); if it holds 0, the images do not decide"
        " (unclear). Two large movements cover one another even if they have nothing to do with one another, as a"
        " sensitivity hardly exceeds 1.",
    ),
    _Part(
        "Which images it hits", {*DISTANCES, "image"}, _at_end, (), "pair_distance", tabulate_images,
        "How to read this: in brackets is the image's own sensitivity, the distance of its features from those of its"
        " transformed version, divided by the mean distance between different images. Their mean over all images is"
        " the sensitivity. Each image got one draw of the transformation, such as one angle, so that an image may be"
        " here for a strong or a weak draw; what several images of a kind have in common says more than one.",
    ),
)  # fmt: skip
