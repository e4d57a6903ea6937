"""The profile of an encoder: its sensitivity over layers, transformations and strengths, measured in one pass."""

from collections.abc import Iterable
from itertools import combinations, pairwise
from numbers import Real

import numpy as np
import xarray as xr

from invtransfer.analysis.layers import put_feature_last
from invtransfer.analysis.profiles import interactions as find_interactions
from invtransfer.analysis.profiles import slope_at_zero, strength_of_half
from invtransfer.analysis.representations import mean_random_distance, sensitivity_intervals
from invtransfer.estimators.twins import measure_twins
from invtransfer.transformations.strength import keep

SENSITIVITY = {
    "sensitivity": "mean distance of twins, over that of different images",
    "sensitivity_low": "lower end of its 95 % interval over pairs",
    "sensitivity_high": "upper end of its 95 % interval over pairs",
}
COMPANIONS = {
    "object_sensitivity": "distance of twins over that to another object on the same background",
    "abx": "share of cases in which the twin is nearer than another image",
    "participation_ratio": "number of directions in which the features vary, within blocks of 256 images",
    "normalized_variance": "variance of a feature over transformations, divided by that over images; mean of features",
    "different": "share of the twins whose images differ",
    "sensitivity_if_different": "sensitivity, of the twins whose images differ",
}
DISTANCES_OF_PAIRS = {
    "pair_distance": "distance between the features of the twins of a pair",
    "random_distance": "mean distance of the features of a pair from those of the other pairs of its block",
}


COMPOSED = ("composed_sensitivity", "composed_low", "composed_high")


def check_strengths(strengths):
    """Check the strengths at which transformations are measured.

    Parameters
    ----------
    strengths : iterable of float or None
        Strengths.

    Returns
    -------
    strengths : list of float or None

    Raises
    ------
    ValueError
        If they are not numbers above 0 and up to 1, each larger than the one before.

    Examples
    --------
    >>> check_strengths([0.5, 0.25])
    Traceback (most recent call last):
    ...
    ValueError: strengths is [0.5, 0.25], expected numbers above 0 and up to 1, each larger than the one before
    """
    if strengths is None:
        return None
    listed = list(strengths) if isinstance(strengths, Iterable) and not isinstance(strengths, str) else []
    real = all(isinstance(one, Real) and not isinstance(one, bool) and 0 < one <= 1 for one in listed)
    if not listed or not real or any(one >= other for one, other in pairwise(listed)):
        raise ValueError(
            f"strengths is {strengths!r}, expected numbers above 0 and up to 1, each larger than the one before"
        )
    return [float(one) for one in listed]


def choose_interactions(interactions, transformations, strengths=None):
    """Return the pairs of transformations that are measured one after the other.

    Parameters
    ----------
    interactions : "all", list of (str, str), or None
        Pairs that are asked for.
    transformations : sequence of Transformation
        Those that are measured alone.
    strengths : list of float or None
        Strengths at which they are.

    Returns
    -------
    pairs : list of (Transformation, Transformation)

    Raises
    ------
    ValueError
        If an entry is not a pair of two different names of these transformations, or is there twice; or if they are not
        measured alone at full strength, as pairs are.

    Examples
    --------
    >>> from invtransfer.transformations import get_transformations
    >>> pairs = choose_interactions("all", get_transformations(["rotate", "hue", "blur"]))
    >>> [(first.name, then.name) for first, then in pairs]
    [('rotate', 'hue'), ('rotate', 'blur'), ('hue', 'blur')]
    """
    if interactions is None:
        return []
    if strengths is not None and strengths[-1] != 1:
        raise ValueError(f"strengths is {strengths!r}, expected 1 as the last: interactions are at full strength")
    by_name = {t.name: t for t in transformations}
    names = list(by_name)
    if isinstance(interactions, str) and interactions == "all":
        return list(combinations(transformations, 2))
    if isinstance(interactions, str) or not isinstance(interactions, Iterable):
        raise ValueError(f"interactions is {interactions!r}, expected 'all', a list of pairs of names, or None")
    pairs = []
    for pair in interactions:
        if isinstance(pair, str) or not isinstance(pair, Iterable) or len(pair := tuple(pair)) != 2:
            raise ValueError(f"interactions holds {pair!r}, expected pairs of names, such as ('rotate', 'blur')")
        unknown = [name for name in pair if name not in names]
        if unknown:
            raise ValueError(
                f"interactions holds {unknown[0]!r}, which is not among the transformations that are measured:"
                f" {', '.join(names)}"
            )
        if pair[0] == pair[1] or pair in pairs:
            raise ValueError(f"interactions holds {pair!r}, expected two different names, and each pair once")
        pairs.append(pair)
    return [(by_name[first], by_name[then]) for first, then in pairs]


def measure_profile(
    encoder, source, transformations, n_pairs, *, strengths=None, interactions=(), composed=False, **options
):  # fmt: skip
    """Measure the sensitivity of an encoder to each of several transformations, and to pairs of them.

    Parameters
    ----------
    encoder, source, n_pairs, **options
        As for `measure_twins`.
    transformations : tuple of Transformation
        Transformations, each of which is measured alone.
    strengths : list of float or None
        Strengths at which each is measured, see `Transformation.at`. None: 1, without a dimension "strength".
    interactions : list of (Transformation, Transformation)
        Transformations that are measured one after the other, at full strength.
    composed : bool
        Whether all transformations of the source together are measured, too.

    Returns
    -------
    profile : xarray.Dataset over ["layer",] "transformation", ["strength"] and "pair"
        "sensitivity" and its companions; "pair_distance" and "random_distance" of each pair. With strengths also the
        slope of the sensitivity at strength 0, and with a probe "changed", the share of its answers that change, and
        the strength of half. With interactions "pair_distance_together" and "random_distance_together", over "then",
        from which `add_interactions` computes the rest. With `composed` "composed_sensitivity" and its interval.

    Raises
    ------
    ValueError
        As for `measure_twins`.
    """
    doses = [1.0] if strengths is None else strengths
    alone = [(t.at(strength),) for t in transformations for strength in doses]
    sets = [*alone, *interactions, *([None] if composed else [])]
    measured = measure_twins(encoder, source, sets, n_pairs, **options)
    if "layer" not in measured.coords:
        measured = measured.isel(layer=0)
    singles = measured.isel(transformation=slice(len(alone)))
    singles = _spread(singles, {"transformation": [t.name for t in transformations], "strength": doses})
    singles = singles.assign_coords(category=("transformation", [t.category for t in transformations]))
    if strengths is None:
        singles = singles.isel(strength=0, drop=True)
    profile = _summarise(singles)
    if strengths is not None:
        slopes = slope_at_zero(singles.pair_distances, singles.random_distances)
        slopes = slopes.rename(low="slope_low", high="slope_high")
        weakened = xr.DataArray([t.weaken is not keep for t in transformations], dims="transformation")
        slopes = slopes.where(weakened)  # what has one strength only has no slope
        profile = profile.assign({name: one.variable for name, one in slopes.data_vars.items()})
        if "changed" in profile:
            profile["strength_of_half"] = strength_of_half(profile.changed).variable
    if interactions:
        pairs = measured.isel(transformation=slice(len(alone), len(alone) + len(interactions)))
        profile = profile.assign(_place(pairs, interactions, [t.name for t in transformations]))
    if composed:
        last = measured.isel(transformation=-1)
        intervals = sensitivity_intervals(last.pair_distances.values, last.random_distances.values)
        dims = last.pair_distances.dims[:-1]
        profile = profile.assign({name: (dims, one) for name, one in zip(COMPOSED, intervals, strict=True)})
    return profile


def add_interactions(profile):
    """Add what pairs of transformations have to do with one another to the profile that holds their distances.

    Parameters
    ----------
    profile : xarray.Dataset
        As `measure_profile` returns it.

    Returns
    -------
    profile : xarray.Dataset
        With the results of `invtransfer.analysis.profiles.interactions`, over "then", if there are any.
    """
    if "pair_distance_together" not in profile:
        return profile
    alone, together = (profile[[f"{name}{end}" for name in DISTANCES_OF_PAIRS]] for end in ("", "_together"))
    if "strength" in alone.dims:
        alone = alone.sel(strength=1.0, drop=True)
    found = find_interactions(*alone.data_vars.values(), *together.data_vars.values())
    return profile.assign({name: one.variable for name, one in found.data_vars.items()})


def _spread(measured, labels):
    """Give the dimension "transformation" of all sets, one after the other, the dimensions of their labels."""
    shape = tuple(map(len, labels.values()))
    variables = {}
    for name, variable in measured.data_vars.items():
        axis = variable.dims.index("transformation")
        dims = variable.dims[:axis] + tuple(labels) + variable.dims[axis + 1 :]
        values = variable.values.reshape(variable.shape[:axis] + shape + variable.shape[axis + 1 :])
        variables[name] = (dims, values, variable.attrs)
    kept = {name: one for name, one in measured.coords.items() if "transformation" not in one.dims}
    return xr.Dataset(variables, kept | labels)


def _place(measured, interactions, names):
    """Put the distances of two transformations one after the other in a matrix; NaN where not measured."""
    thens = list(dict.fromkeys(then.name for _, then in interactions))
    variables = {}
    for name, text in DISTANCES_OF_PAIRS.items():
        variable = measured[f"{name}s"].transpose(..., "transformation", "pair")
        shape = (*variable.shape[:-2], len(names), len(thens), variable.shape[-1])
        values = np.full(shape, np.nan)
        for i, (first, then) in enumerate(interactions):
            values[..., names.index(first.name), thens.index(then.name), :] = variable.values[..., i, :]
        attributes = {"units": "units of the features", "long_name": f"{text}, of two transformations"}
        variables[f"{name}_together"] = ((*variable.dims[:-1], "then", "pair"), values, attributes)
    return xr.Dataset(variables, {"then": thens})


def _summarise(measured):
    # arithmetic of NumPy: that of xarray compares coordinates each time, which costs as much as some batches of images
    arrays = {name: variable.values for name, variable in measured.data_vars.items()}
    dims = measured.pair_distances.dims
    normaliser = mean_random_distance(arrays["random_distances"])
    to_object, different = arrays["object_distances"].mean(axis=-1), arrays["different"].mean(axis=-1)
    apart = np.where(arrays["different"] > 0, arrays["pair_distances"], 0).mean(axis=-1)
    values = {
        "object_sensitivity": _divide(arrays["pair_distances"].mean(axis=-1), to_object),
        "abx": np.nanmean(arrays["nearer"], axis=-1),
        "participation_ratio": arrays["participation_ratio"],
        "normalized_variance": arrays["normalized_variance"],
        "sensitivity_if_different": _divide(_divide(apart, different), normaliser),
    }
    intervals = sensitivity_intervals(arrays["pair_distances"], arrays["random_distances"])
    variables = {
        name: (dims[:-1], one, {"units": "1", "long_name": text})
        for (name, text), one in zip(SENSITIVITY.items(), intervals, strict=True)
    }
    for name, one in values.items():
        variables[name] = (dims[:-1], one, {"units": "1", "long_name": COMPANIONS[name]})
    of_images = measured.different.dims[:-1]
    variables["different"] = (of_images, different, {"units": "1", "long_name": COMPANIONS["different"]})
    if "changed" in arrays:
        text = "share of the probe's answers that differ between the twins"
        variables["changed"] = (of_images, arrays["changed"].mean(axis=-1), {"units": "1", "long_name": text})
    for name, text in DISTANCES_OF_PAIRS.items():
        attributes = {"units": "units of the features", "long_name": text}
        variables[name] = (dims, arrays[f"{name}s"], attributes)
    return xr.Dataset(variables, measured.coords)


def _divide(values, by):
    """Divide arrays; NaN where the divisor is 0 or less."""
    return values / np.where(by > 0, by, np.nan)


def join_profiles(profiles, messages):
    """Put the profiles of several encoders into one, over "encoder".

    Parameters
    ----------
    profiles : dict of str to xarray.Dataset or None
        Profile of each encoder, as `measure_profile` returns it; None for one that failed, and not for all.
    messages : dict of str to str
        Why an encoder failed, by its name.

    Returns
    -------
    profile : xarray.Dataset
        With all layers of all encoders; NaN, and empty text, where an encoder has none of this name or failed. The
        coordinate "message" says why it failed.
    """
    done = [profile for profile in profiles.values() if profile is not None]
    per_layer = [name for name in ("depth", "features") if "layer" in done[0].dims]
    layers = list(dict.fromkeys(name for profile in done for name in profile.get("layer", xr.DataArray([])).values))
    aligned = []
    for profile in profiles.values():
        profile = done[0].reset_coords(per_layer).map(_blank) if profile is None else profile.reset_coords(per_layer)
        if per_layer:
            texts = {name: "" for name, one in profile.data_vars.items() if one.dtype.kind in "UO"}
            profile = profile.reindex(layer=layers, fill_value={n: texts.get(n, np.nan) for n in profile.data_vars})
        aligned.append(profile)
    names = xr.DataArray(list(profiles), dims="encoder", name="encoder")
    joined = xr.concat(aligned, names, coords="minimal", compat="override", join="exact")
    joined = put_feature_last(joined.set_coords(per_layer))
    return joined.assign_coords(message=("encoder", [messages.get(n, "") for n in profiles]))


def _blank(values):
    return xr.full_like(values, "" if values.dtype.kind in "UO" else np.nan)
