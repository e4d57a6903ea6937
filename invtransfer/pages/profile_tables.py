"""Tables of a profile: sensitivities with their intervals over transformations, layers, strengths, pairs and images."""

import numpy as np
import xarray as xr

from invtransfer.analysis.profiles import compare_sensitivities
from invtransfer.analysis.representations import mean_random_distance
from invtransfer.cubes.assembly import STATUS
from invtransfer.pages.layout import Table, format_interval

DISTANCES = ("pair_distance", "random_distance")
COMPANIONS = {  # of the sensitivity, with the heads of their columns
    "abx": "ABX", "different": "images changed", "sensitivity_if_different": "sensitivity if changed",
    "participation_ratio": "directions", "object_sensitivity": "sensitivity to the object",
    "normalized_variance": "normalised variance", "changed": "answers changed",
}  # fmt: skip
N_SHOWN = 3  # images that are moved most, and least, of each transformation


def format_intervals(profile, name, *dims):
    """Format the values of a variable with their intervals.

    Parameters
    ----------
    profile : xarray.Dataset
        Profile; with "status", places that are not done say so.
    name : str
        Name of a variable, whose bounds end in "_low" and "_high" if it has some.
    *dims : str
        Dimensions of the variable, in the order of the result.

    Returns
    -------
    texts : ndarray over `dims`, object

    Examples
    --------
    >>> format_intervals(xr.Dataset({"abx": ("encoder", [0.5, np.nan])}), "abx", "encoder").tolist()
    ['0.500', 'no value']
    """
    nothing = xr.full_like(profile[name], np.nan)
    bounds = [profile.get(f"{name}_{end}", nothing) for end in ("low", "high")]
    status = profile.get("status", STATUS.index("done"))
    texts = xr.apply_ufunc(_format_cell, profile[name], *bounds, status, vectorize=True, output_dtypes=[object])
    return texts.transpose(*dims).values


def _format_cell(value, low, high, state):
    return format_interval(value, low, high) if state == STATUS.index("done") else STATUS[int(state)]


def tabulate_sensitivities(one):
    """Tabulate the sensitivity to each transformation, how encoders differ, and the companions.

    Parameters
    ----------
    one : xarray.Dataset over "encoder" and "transformation"
        Profile with "sensitivity" and its interval, and companions.

    Returns
    -------
    parts : list
        Tables, and points that explain the companions.
    """
    cells = format_intervals(one, "sensitivity", "transformation", "encoder")
    names, encoders = one.transformation.values, one.encoder.values
    pairs = zip(names, one.category.values, strict=True)
    rows = [[str(name), *cells[i], str(kind)] for i, (name, kind) in enumerate(pairs)]
    heads = ["transformation", *map(str, encoders), "category"]
    tables = [Table("Sensitivity, with 95 % intervals over images", heads, rows), *_tabulate_differences(one)]
    companions = {name: head for name, head in COMPANIONS.items() if name in one}
    if companions:
        columns = [format_intervals(one, name, "encoder", "transformation").ravel() for name in companions]
        labels = [[str(name), str(encoder)] for encoder in encoders for name in names]
        rows = [label + list(row) for label, row in zip(labels, zip(*columns, strict=True), strict=True)]
        heads = ["transformation", "encoder", *companions.values()]
        tables.append(Table("Other measures of the same features", heads, rows))
        tables.append([f"{head}: {one[name].attrs.get('long_name', name)}." for name, head in companions.items()])
    return tables


def _tabulate_differences(one):
    """Return a table of how other encoders differ from the first, paired over images, if there are some."""
    if one.sizes["encoder"] < 2 or not {*DISTANCES, "image"} <= {*one.data_vars, *one.dims}:
        return []
    first, rows = one.encoder.values[0], []
    found = compare_sensitivities(*(one[name] for name in DISTANCES), "encoder", first)
    for encoder in found.encoder.values:
        for name in found.transformation.values:
            values = found.sel(encoder=encoder, transformation=name)
            numbers = [values[part].item() for part in ("difference", "low", "high", "p_adjusted")]
            text = "no value" if np.isnan(numbers[-1]) else f"{numbers[-1]:.2g}"
            rows.append([str(name), str(encoder), format_interval(*numbers[:3]), text])
    heads = ["transformation", "encoder", "difference", "p, adjusted"]
    title = f"Differences from {first}, paired over images, with 95 % intervals; p after Holm for all rows"
    return [Table(title, heads, rows)]


def tabulate_layers(one):
    """Tabulate the sensitivity at each layer, from the first to the last.

    Parameters
    ----------
    one : xarray.Dataset over "encoder", "layer" and "transformation"
        Profile with "sensitivity" and its interval, and perhaps "depth".

    Returns
    -------
    parts : list
        A table for each encoder.
    """
    cells = format_intervals(one, "sensitivity", "encoder", "layer", "transformation")
    heads = ["layer", "depth", *map(str, one.transformation.values)]
    places = xr.DataArray(np.arange(one.sizes["layer"], dtype=float), dims="layer")
    depths = one.get("depth", places).broadcast_like(one.sensitivity.isel(transformation=0))
    tables = []
    for encoder, of_one in zip(one.encoder.values, cells, strict=True):
        order = depths.sel(encoder=encoder).argsort(kind="stable").values
        names = one.get("layer_name", one.layer).broadcast_like(depths).sel(encoder=encoder).values
        rows = [
            [str(names[i]), f"{depth:.2f}" if "depth" in one.coords else "", *of_one[i]]
            for i, depth in zip(order, depths.sel(encoder=encoder).values[order], strict=True)
            if np.isfinite(depth)  # else the encoder has no such layer
        ]
        if rows:
            tables.append(Table(f"{encoder}: sensitivity at each layer, from the first to the last", heads, rows))
    return tables


def tabulate_doses(one):
    """Tabulate the sensitivity at each strength.

    Parameters
    ----------
    one : xarray.Dataset over "encoder", "transformation" and "strength"
        Profile with "sensitivity" and its interval.

    Returns
    -------
    parts : list
        One table.
    """
    cells = format_intervals(one, "sensitivity", "encoder", "transformation", "strength")
    labels = [(name, encoder) for encoder in one.encoder.values for name in one.transformation.values]
    rows = [[*map(str, label), *row] for label, row in zip(labels, cells.reshape(len(labels), -1), strict=True)]
    heads = ["transformation", "encoder", *(f"strength {strength:g}" for strength in one.strength.values)]
    return [Table("Sensitivity at each strength, at the last layer", heads, rows)]


def tabulate_interactions(one):
    """Tabulate pairs of transformations: the sensitivity to each, to both, and how they act together.

    Parameters
    ----------
    one : xarray.Dataset over "encoder", "transformation" and "then"
        Profile with "sensitivity" and its interval, "together" and "interaction".

    Returns
    -------
    parts : list
        One table.
    """
    dims = ("encoder", "transformation", "then")
    alone = format_intervals(one, "sensitivity", "encoder", "transformation")
    both, more = (format_intervals(one, name, *dims) for name in ("together", "interaction"))
    kinds = one.kind.transpose(*dims).values if "kind" in one else np.full(both.shape, "")
    known, names, rows = one.together.notnull().transpose(*dims).values, one.transformation.values.tolist(), []
    for i, j, k in np.argwhere(known):
        second = one.then.values[k]
        other = alone[i, names.index(second)] if second in names else ""
        labels = [str(names[j]), str(second), str(one.encoder.values[i])]
        rows.append([*labels, alone[i, j], other, both[i, j, k], more[i, j, k], str(kinds[i, j, k])])
    heads = ["first", "then", "encoder", "first alone", "then alone", "together", "interaction", "kind"]
    return [Table("Pairs of transformations, at the last layer", heads, rows)]


def tabulate_images(one):
    """Tabulate the images that each transformation moves most and least, with their own sensitivities.

    Parameters
    ----------
    one : xarray.Dataset over "encoder", "transformation" and "image"
        Profile with distances of pairs.

    Returns
    -------
    parts : list
        One table.
    """
    own, others = (one[name].transpose("encoder", "transformation", "image").values for name in DISTANCES)
    names = one.get("file", one.image).values
    rows = []
    for i, encoder in enumerate(one.encoder.values):
        for j, transformation in enumerate(one.transformation.values):
            normaliser = mean_random_distance(others[i, j])
            if not np.isfinite(own[i, j]).all() or not normaliser > 0:
                continue
            order = np.argsort(-own[i, j], kind="stable")
            ends = (order[:N_SHOWN], order[::-1][: max(0, min(N_SHOWN, len(order) - N_SHOWN))])
            texts = [", ".join(f"{names[k]} ({own[i, j, k] / normaliser:.2f})" for k in end) for end in ends]
            rows.append([str(transformation), str(encoder), *texts])
    return [
        Table("Images moved most and least, at the last layer", ["transformation", "encoder", "most", "least"], rows)
    ]
