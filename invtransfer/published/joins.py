"""Outer joins of a cube's summary over seeds with published values, by label."""

import numpy as np
import xarray as xr

from invtransfer.analysis import CONTRASTS, WITHOUT, factor_contrasts, invariance_by_relation, summarise
from invtransfer.published.published import COLUMNS, read_numbers


def join_accuracies(cube, rows, differ, path):
    """Join accuracies over factor and relation.

    Parameters
    ----------
    cube : xarray.Dataset
    rows : list of dict of str to str
        Published values.
    differ : callable
        From a place, a dict, to whether settings that bear on it differ.
    path : path-like
        Of the rows, for messages.

    Returns
    -------
    joined : xarray.Dataset over "factor" and "relation"
    """
    published = read_numbers(rows, ["factor", "level", "relation"], "transfer_accuracy", path)
    there = list(zip(cube.factor_name.values.tolist(), cube.level.values.tolist(), strict=True))
    levels = {name: [] for name, _ in there} | {name: [] for name, _, _ in published}
    for name, level in [key[:2] for key in published] + there:
        if level not in levels[name]:
            levels[name].append(level)
    places = [(name, level) for name in levels for level in _ordered(levels[name])]
    relations = list(dict.fromkeys(cube.relation.values.tolist() + [relation for _, _, relation in published]))
    labels = dict(zip(there, cube.factor.values.tolist(), strict=True))
    labels = [labels.get(place, "=".join(place)) for place in places]

    summary = summarise(cube.transfer_accuracy).drop_vars(["factor_name", "level"])
    joined = summary.reindex(factor=labels, relation=relations, fill_value={"n": 0})
    joined = joined.transpose("factor", "relation")
    values = np.array([[published.get((*place, relation), np.nan) for relation in relations] for place in places])
    n = joined["n"].values
    match = [
        [
            _match(
                np.isfinite(values[i, j]),
                place in there and relation in cube.relation.values,
                n[i, j] > 0,
                differ(dict([place])),
            )
            for j, relation in enumerate(relations)
        ]
        for i, place in enumerate(places)
    ]
    coordinates = {"factor_name": ("factor", [p[0] for p in places]), "level": ("factor", [p[1] for p in places])}
    return _finish(joined.assign_coords(coordinates), values, match)


def join_differences(cube, rows, differ, spanned, path):
    """Join contrasts over factor_name and contrast, for each tuning if there are several.

    Parameters
    ----------
    cube, rows, differ, path
        As for `join_accuracies`; with "n_tuning", rows are of several tunings.
    spanned : dict of str to list of str
        Levels that the published values of a factor span.

    Returns
    -------
    joined : xarray.Dataset over "factor_name" and "contrast", and "tuning" before them if the cube has "n_tuning"
    """
    if "n_tuning" not in cube.dims:
        return _join_contrasts(cube, rows, differ, spanned, path)
    numbers = cube.n_tuning.values.tolist()
    mine = cube["tuning"].values.tolist() if "tuning" in cube.coords else [f"full-{number}" for number in numbers]
    parts, labels = [], list(dict.fromkeys([row["tuning"] for row in rows] + mine))
    for label in labels:
        chosen = [row for row in rows if row["tuning"] == label]
        # what the cube does not have is joined as if it were all missing, so that there is a place for it
        part = cube.isel(n_tuning=mine.index(label) if label in mine else 0, drop=True)
        accuracy = part.transfer_accuracy if label in mine else part.transfer_accuracy * np.nan
        part = part.assign(transfer_accuracy=accuracy)
        # a default size of the tuning set does not matter: it is that of the label that holds
        size = {"n_tuning": None}
        part = _join_contrasts(part, chosen, lambda place, size=size: differ(size | place), spanned, path)
        if label not in mine:
            part["match"] = part["match"].where(part["match"] == "not published", "not in the cube")
        parts.append(part.reset_coords(drop=True))
    names = list(dict.fromkeys(name for part in parts for name in part.factor_name.values.tolist()))
    fill = {"n": 0, "match": "not published", "ours_levels": "", "published_levels": ""}
    parts = [part.reindex(factor_name=names, fill_value=fill) for part in parts]
    joined = xr.concat(parts, "tuning").assign_coords(tuning=labels)
    return joined.assign({name: joined[name].astype(str) for name in fill if name != "n"})


def _join_contrasts(cube, rows, differ, spanned, path):
    """Join contrasts of one tuning."""
    published = {
        (name, contrast): value
        for contrast in CONTRASTS
        for (name,), value in read_numbers(rows, ["factor"], contrast, path).items()
    }
    there = zip(cube.factor_name.values.tolist(), cube.level.values.tolist(), strict=True)
    spans = np.array([name not in spanned or level in spanned[name] for name, level in there], dtype=bool)
    accuracy = cube.transfer_accuracy.where(xr.DataArray(spans, dims="factor"))  # levels without any are left out
    contrasts = factor_contrasts(accuracy)
    names = list(dict.fromkeys(contrasts.factor_name.values.tolist() + [name for name, _ in published]))
    joined = summarise(contrasts).reindex(factor_name=names, fill_value={"n": 0}).transpose("factor_name", "contrast")
    values = np.array([[published.get((name, contrast), np.nan) for contrast in CONTRASTS] for name in names])
    done = accuracy.sel(relation=["same", "disjoint"]).notnull().any("seed").all("relation")
    n, match, ours_levels = joined["n"].values, [], []
    for i, name in enumerate(names):
        mine = done.isel(factor=np.flatnonzero(spans & (cube.factor_name.values == name)))
        theirs = spanned.get(name, [])
        ours_levels.append(", ".join(mine.level.values[mine.values].tolist()))
        in_cube = mine.sizes["factor"] > 0 and set(theirs) <= set(mine.level.values.tolist())
        few = len(theirs) < 2  # nothing can differ over one level, so those that were published are not known
        match.append(
            [
                _match(
                    np.isfinite(values[i, j]),
                    in_cube,
                    mine.all().item() and (n[i, j] > 0 or mine.sizes["factor"] < 2),
                    few or differ({name: None}),
                )
                for j in range(len(CONTRASTS))
            ]
        )
    joined["ours_levels"] = ("factor_name", ours_levels)
    joined["published_levels"] = ("factor_name", [", ".join(spanned.get(name, ())) for name in names])
    return _finish(joined, values, match)


def join_labelled(cube, kind, rows, differ, path):
    """Join values whose places are labels along dimensions.

    Parameters
    ----------
    cube, rows, differ, path
        As for `join_accuracies`.
    kind : str
        Of the file.

    Returns
    -------
    joined : xarray.Dataset over what the columns of the file say
    """
    ours, rows = {"mismatch": _mismatch, "irrelevant_features": _irrelevant, "invariance_transfer": _invariance}[kind](
        cube, rows
    )
    dims = [dim for dim in ours.dims if dim != "seed"]
    columns = [name for name in ("transfer_accuracy", "mean", "std") if name in COLUMNS[kind]]
    tables = [read_numbers(rows, dims, column, path) for column in columns]
    places = {}
    for i, dim in enumerate(dims):
        places[dim] = _ordered(list(dict.fromkeys([key[i] for key in tables[0]] + ours[dim].values.tolist())))
    joined = summarise(ours.reset_coords(drop=True)).reindex(places, fill_value={"n": 0}).transpose(*dims)
    shape = [len(labels) for labels in places.values()]
    arrays = [np.full(shape, np.nan) for _ in tables]
    match = np.empty(shape, dtype=object)
    mine = [set(ours[dim].values.tolist()) for dim in dims]
    for at in np.ndindex(*shape):
        place = {dim: places[dim][i] for dim, i in zip(dims, at, strict=True)}
        key = tuple(place.values())
        for array, table in zip(arrays, tables, strict=True):
            array[at] = table.get(key, np.nan)
        in_cube = all(label in labels for label, labels in zip(key, mine, strict=True))
        match[at] = _match(np.isfinite(arrays[0][at]), in_cube, joined["n"].values[at] > 0, differ(place))
    joined = _finish(joined, arrays[0], match)
    if "measured" in dims:
        words = [label.split(" ", 1) for label in places["measured"]]
        parts = {name: ("measured", [pair[i] for pair in words]) for i, name in enumerate(("measure", "target"))}
        joined = joined.assign_coords(parts)
    return joined.assign(published_std=(dims, arrays[1])) if len(arrays) > 1 else joined


def _mismatch(cube, rows):
    """Return accuracies by the columns of the file."""
    return cube.transfer_accuracy.transpose(*COLUMNS["mismatch"][:-1], "seed"), rows


def _irrelevant(cube, rows):
    """Return accuracies and sensitivities along one dimension, and rows whose columns are the dimensions."""
    parts = []
    for measure, variable, dim in (
        ("accuracy", "transfer_accuracy", "target"),
        ("sensitivity", "sensitivity", "changed"),
    ):
        values = cube[variable].reset_coords(drop=True).rename({dim: "measured"})
        parts.append(values.assign_coords(measured=[f"{measure} {label}" for label in values.measured.values]))
    ours = xr.concat([part.rename(None) for part in parts], "measured")
    rows = [
        row
        | {
            "pretraining": f"{row['pretraining_input']}/{row['pretraining_label']}",
            "measured": f"{row['measure']} {row['target']}",
        }
        for row in rows
    ]
    return ours.transpose("position", "pretraining", "measured", "seed"), rows


def _invariance(cube, rows):
    """Return sensitivity by the columns of the file, NaN for seeds that lack a value that their mean is over."""
    sensitivity = cube.sensitivity.reset_coords(drop=True)
    share = invariance_by_relation(sensitivity.notnull().astype(float))
    ours = invariance_by_relation(sensitivity).where(share == 1)
    there = share.notnull().any([dim for dim in share.dims if dim != "relation"])  # such as an encoder "none"
    ours = ours.isel(relation=np.flatnonzero(there.values))
    return ours.transpose("architecture", "trained_on", "relation", "evaluated_on", "seed"), rows


def count_transformations(cube):
    """Return how many transformations encoders are both pretrained with and evaluated on.

    Parameters
    ----------
    cube : xarray.Dataset
        Over "pretraining_transformation" and "transformation".

    Returns
    -------
    n : int
    """
    trained, evaluated = (cube[dim].values.tolist() for dim in ("pretraining_transformation", "transformation"))
    return len((set(trained) & set(evaluated)) - set(WITHOUT))


def _ordered(levels):
    """Return levels in ascending order if they are numbers, and as they are otherwise."""
    try:
        return sorted(levels, key=float)
    except ValueError:
        return levels


def _match(published, in_cube, done, differ):
    """Say whether a published value and ours may be compared, or why not."""
    if not published:
        return "not published"
    if not in_cube:
        return "not in the cube"
    if not done:
        return "not done"
    return "other settings" if differ else "compared"


def _finish(joined, published, match):
    """Add to our summary what was published, the match, and the difference where there is one."""
    dims, shape = joined["mean"].dims, joined["mean"].shape  # the shape of nothing, too, which lists do not tell
    published, match = np.reshape(published, shape), np.reshape(np.array(match, dtype=str), shape)
    names = {"mean": "ours", "std": "ours_std", "low": "ours_low", "high": "ours_high"}
    joined = joined.rename(names).assign(published=(dims, published), match=(dims, match))
    return joined.assign(difference=(joined.ours - joined.published).where(joined["match"] == "compared"))
