"""What figures of profiles share: a profile's checks, its layers and strengths, and the look of encoders.

A profile says how sensitive encoders are to transformations: an `xarray.Dataset` over "transformation", and "encoder",
"layer" and "strength" or not.
"""

from difflib import get_close_matches

import numpy as np
import xarray as xr

from invtransfer.analysis.layers import arrange_profile
from invtransfer.plots.axes import CHARACTER, MARKERS

SENSITIVITY = ("sensitivity", "sensitivity_low", "sensitivity_high")
ENCODER_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#882255")
LINE_STYLES = ("-", "--", "-.", ":")
MEANING = "0: ignored, 1: as another image"
_MEASURE_WITH = {"layer": "layers", "strength": "strengths", "then": "interactions"}


def check_profile(profile, variables, needs=(), may_have=("layer", "strength"), argument="profile"):
    """Return what a figure shows of a profile, in one form whatever dimensions the profile has.

    Parameters
    ----------
    profile : xarray.Dataset
        Profile that is checked.
    variables : sequence of str
        Names of the variables that are shown.
    needs, may_have : sequence of str
        Dimensions beside "transformation" that the variables must have, and may have. All may have "encoder", which is
        "model" in old cubes.
    argument : str
        Name of the argument, for messages.

    Returns
    -------
    shown : xarray.Dataset over "encoder", "layer", "transformation" and the others in the order of `needs`
        The variables alone, as floats or texts. There is always "encoder", the others are there if the profile has
        them. Transformations are grouped by their coordinate "category", strengths increase; "layer_name" is there for
        each encoder and layer, and so is "depth" if the profile has it.

    Raises
    ------
    TypeError
        If `profile` is not a Dataset.
    ValueError
        If a variable, dimension or label is missing, is there twice, or holds something else than expected.
    """
    if not isinstance(profile, xr.Dataset):
        advice = ": its attribute profile_" if hasattr(profile, "profile_") else ""
        raise TypeError(f"{argument} is of type {type(profile).__name__}, expected an xarray.Dataset{advice}")
    profile = arrange_profile(profile)
    needs = ("transformation", *needs)
    for dim in needs:
        if dim not in profile.dims:
            advice = f": measure with {_MEASURE_WITH[dim]}=..." if dim in _MEASURE_WITH else ""
            raise ValueError(f"{argument} has no dimension {dim!r}{advice}")
    for name in variables:
        if name not in profile.data_vars:
            found = ", ".join(map(str, profile.data_vars)) or "none"
            raise ValueError(f"{argument} has no variable {name!r}; its variables are: {found}")
    shown = profile[list(variables)]
    order = [dim for dim in dict.fromkeys(("encoder", "layer", *needs, *may_have)) if dim in shown.dims]
    for name, values in shown.data_vars.items():
        if set(values.dims) != set(order) or not set(needs) <= set(values.dims):
            expected = ", ".join(dict.fromkeys([*order, *needs]))
            raise ValueError(f"{argument} has {name!r} over {', '.join(values.dims)}, expected it over {expected}")
        kinds, expected = ("UTO", "text") if name == "kind" else ("biuf", "real numbers")
        if values.dtype.kind not in kinds:
            raise ValueError(f"{argument} has {name!r} of dtype {values.dtype}, expected {expected}")
    shown = _check_labels(shown, order, argument)
    if "encoder" not in shown.dims:
        shown = shown.drop_vars("encoder", errors="ignore").expand_dims(encoder=[""])
    if "layer" in shown.dims:
        shown = _name_layers(shown, argument)
    shown = shown.transpose("encoder", *(dim for dim in order if dim != "encoder"), ...)
    return _group(shown.map(lambda values: values if values.dtype.kind in "UTO" else values.astype(float)))


def _check_labels(shown, dims, argument):
    """Return a profile whose every dimension has labels, each once; strengths are sorted."""
    for dim in dims:
        if dim in ("image", "pair"):
            continue
        if dim not in shown.coords:
            raise ValueError(f"{argument} has no labels along the dimension {dim!r}")
        labels = shown[dim].values.tolist()
        twice = [label for label in dict.fromkeys(labels) if labels.count(label) > 1]
        if twice or not labels:
            found = f"{', '.join(map(repr, twice))} more than once" if twice else "nothing"
            raise ValueError(f"{argument} has {found} along {dim!r}")
    if "strength" in dims:
        strengths = shown.strength
        if strengths.dtype.kind not in "iuf" or not ((strengths > 0) & (strengths <= 1)).all():
            raise ValueError(f"{argument} has the strengths {strengths.values.tolist()}, expected numbers in (0, 1]")
        shown = shown.sortby("strength")
    return shown


def _name_layers(shown, argument):
    """Return a profile with the coordinate "layer_name", and "depth" if it has one, over encoder and layer."""
    dims, shape = ("encoder", "layer"), (shown.sizes["encoder"], shown.sizes["layer"])
    found = {name: shown[name] for name in ("layer_name", "depth") if name in shown.coords}
    found.setdefault("layer_name", xr.DataArray(list(map(str, shown.layer.values.tolist())), dims="layer"))
    for name, values in found.items():
        if not set(values.dims) <= set(dims) or "layer" not in values.dims:
            raise ValueError(
                f"{argument} has {name!r} over {', '.join(values.dims) or 'nothing'}, expected encoder, layer"
            )
        if name == "depth" and values.dtype.kind not in "iuf":
            raise ValueError(f"{argument} has 'depth' of dtype {values.dtype}, expected real numbers")
        values = values.variable.transpose(*(dim for dim in dims if dim in values.dims)).values
        shown = shown.assign_coords({name: (dims, np.broadcast_to(values, shape))})
    if "depth" in shown.coords:  # an encoder that lacks a layer has no depth of it
        shown["layer_name"] = shown.layer_name.where(shown.depth.notnull(), "")
    return shown


def _group(shown):
    """Return a profile whose transformations stand together by category, in the order in which these first come."""
    names = list(map(str, shown.transformation.values.tolist()))
    categories = [""] * len(names)
    if "category" in shown.coords and shown.category.dims == ("transformation",):
        categories = list(map(str, shown.category.values.tolist()))
    shown = shown.assign_coords(category=("transformation", categories))
    first = [categories.index(category) for category in categories]
    return shown.isel(transformation=np.argsort(first, kind="stable"))


def order_layers(profile, encoder):
    """Find the layers that an encoder has, in order of depth.

    Parameters
    ----------
    profile : xarray.Dataset
        As `check_profile` returns it.
    encoder : int
        Number of the encoder.

    Returns
    -------
    places : ndarray of shape (n_layers,), int
        Place of each layer along the dimension "layer".
    """
    places = np.flatnonzero(profile.layer_name.values[encoder] != "")
    if "depth" in profile.coords:
        places = places[np.argsort(profile.depth.values[encoder, places], kind="stable")]
    return places


def select_layer(profile, layer=None):
    """Take one layer of each encoder.

    Parameters
    ----------
    profile : xarray.Dataset
        As `check_profile` returns it.
    layer : str, int or None
        Name or label of the layer; None: the last one of each encoder.

    Returns
    -------
    profile : xarray.Dataset
        Without the dimension "layer", and without the encoders that do not have that layer.
    words : str
        Which layer it is, for a title; empty if the profile has no layers.

    Raises
    ------
    ValueError
        If no encoder has such a layer.
    """
    if "layer" not in profile.dims:
        if layer is not None:
            raise ValueError(f"layer is {layer!r}, but profile has no dimension 'layer': measure with layers=...")
        return profile, ""
    chosen = {}
    for i in range(profile.sizes["encoder"]):
        places = order_layers(profile, i)
        if layer is not None:
            labels = zip(
                places, profile.layer_name.values[i, places], profile.layer.values[places].tolist(), strict=True
            )
            places = [place for place, *names in labels if any(layer is not True and layer == name for name in names)]
        if len(places):
            chosen[i] = places[-1]
    if not chosen:
        names = [name for name in dict.fromkeys(map(str, profile.layer_name.values.ravel().tolist())) if name]
        near = get_close_matches(str(layer), names) or names
        more = ", ..." if len(near) > 8 else ""
        raise ValueError(f"layer is {layer!r}, expected a layer of profile: {', '.join(near[:8])}{more}")
    at = {"encoder": list(chosen), "layer": list(chosen.values())}
    one = profile.isel({dim: xr.DataArray(places, dims="encoder") for dim, places in at.items()})
    names = list(dict.fromkeys(map(str, one.layer_name.values.tolist())))
    words = f"layer {format_plain(layer)}"
    if layer is None:
        name = format_plain(names[0]).removeprefix("(").removesuffix(")")  # "(feature)" has its own
        words = f"the last layer ({name})" if len(names) == 1 else "each encoder's last layer"
    return one.drop_vars(["layer", "layer_name", "depth"], errors="ignore"), words


def select_strength(profile, strength=None):
    """Take one strength.

    Parameters
    ----------
    profile : xarray.Dataset
        As `check_profile` returns it.
    strength : float or None
        Strength that is taken; None: the largest.

    Returns
    -------
    profile : xarray.Dataset
        Without the dimension "strength".
    words : str
        Which strength it is, for a title; empty if the profile has no strengths.

    Raises
    ------
    ValueError
        If the profile has no such strength.
    """
    if "strength" not in profile.dims:
        if strength is not None:
            raise ValueError(
                f"strength is {strength!r}, but profile has no dimension 'strength': measure with strengths=..."
            )
        return profile, ""
    strengths = profile.strength.values.astype(float).tolist()
    if strength is not None and strength not in strengths:
        raise ValueError(f"strength is {strength!r}, expected one of: {', '.join(map(str, strengths))}")
    chosen = strengths.index(max(strengths) if strength is None else strength)
    return profile.isel(strength=chosen, drop=True), f"strength {strengths[chosen]:g}"


def format_plain(label):
    r"""Return a label as text that matplotlib shows as it is, even if it holds dollar signs.

    Parameters
    ----------
    label : object
        Label such as the name of a file.

    Returns
    -------
    text : str
        Dollar signs have a backslash, unless formulas are switched off, where it would be seen.

    Examples
    --------
    >>> format_plain("a$b$.py")
    'a\\$b\\$.py'
    """
    from matplotlib import rcParams

    return str(label).replace("$", r"\$") if rcParams["text.parse_math"] else str(label)


def format_transformations(profile):
    """Return the names of the transformations as a reader would print them.

    Parameters
    ----------
    profile : xarray.Dataset
        As `check_profile` returns it.

    Returns
    -------
    names : list of str
    """
    return [format_plain(name).replace("_", " ") for name in profile.transformation.values.tolist()]


def format_encoders(profile, width=60):
    """Return the names of the encoders for legends and titles, with a note where nothing of one could be measured.

    Parameters
    ----------
    profile : xarray.Dataset
        As `check_profile` returns it.
    width : int
        Number of characters beyond which names are cut at the left, because what tells them apart is mostly at the end.

    Returns
    -------
    names : list of str
    """
    first = profile[next(iter(profile.data_vars))]
    there = first.notnull().any([dim for dim in first.dims if dim != "encoder"]).values
    names = [shorten(str(name), width) for name in profile.encoder.values.tolist()]
    return [
        format_plain(name) + ("" if one else " (failed or missing)") for name, one in zip(names, there, strict=True)
    ]


def shorten(text, width):
    """Cut a text at the left.

    Parameters
    ----------
    text : str
        Text.
    width : int
        Number of characters that are left.

    Returns
    -------
    text : str

    Examples
    --------
    >>> shorten("features.denseblock1.denselayer3", 14), shorten("layer1.0", 14)
    ('…1.denselayer3', 'layer1.0')
    """
    return text if len(text) <= width else "…" + text[1 - width :]


def style_encoders(n):
    """Return for each encoder a colour, marker and line that colour-blind eyes can tell from the others.

    Parameters
    ----------
    n : int
        Number of encoders.

    Returns
    -------
    styles : list of dict
        Keyword arguments for `plot`.
    """
    return [
        {
            "color": ENCODER_COLOURS[i % len(ENCODER_COLOURS)],
            "marker": MARKERS[(i + i // len(ENCODER_COLOURS)) % len(MARKERS)],  # another for each round of colours
            "ls": LINE_STYLES[(i + i // len(ENCODER_COLOURS)) % len(LINE_STYLES)],
        }
        for i in range(n)
    ]


def find_top(mean, high):
    """Find where an axis of sensitivities ends: beyond 1 and all means, and no farther than twice that for intervals.

    Parameters
    ----------
    mean, high : ndarray of float
        Sensitivities, and upper ends of their intervals, which may be infinite.

    Returns
    -------
    top : float

    Examples
    --------
    >>> round(find_top(np.array([0.5, np.nan]), np.array([1.1, np.inf])), 3)
    2.1
    """
    top = max(1, np.max(mean, initial=0, where=np.isfinite(mean)))
    widest = np.max(high, initial=0, where=~np.isnan(high))
    return 1.05 * float(max(top, min(widest, 2 * top)))


def label_categories(axes, places, categories, inches):
    """Write the category of each group of rows to the right of it.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Axes whose rows are transformations.
    places : sequence of float
        Place of each row.
    categories : sequence of str
        Category of each row; rows of a category stand together.
    inches : float
        Height of a row.
    """
    groups = {}
    for place, category in zip(places, categories, strict=True):
        groups.setdefault(category, []).append(place)
    upright = all(inches * (np.ptp(rows) + 1) > CHARACTER * len(name) for name, rows in groups.items())
    turned = {"rotation": 270} if upright else {}
    for name, rows in groups.items():
        axes.annotate(
            format_plain(name), (1, np.mean(rows)), (4, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="center", fontsize=8, **turned,
        )  # fmt: skip
