"""The outer join, by label, of a cube's summary over seeds with published values."""

import numpy as np
import xarray as xr

from invtransfer.analysis import factor_contrasts, invariance_by_relation, summarise
from invtransfer.published.tables import parse_rows

ABSENT = {"n": 0, "in_cube": False, "done": False, "ours_levels": ""}  # where the cube has no such label


def join_published(cube, rows, dims, spanned, path):
    """Join a summary over seeds of a cube, or of what is derived from it, with published values.

    Parameters
    ----------
    cube : xarray.Dataset
        Cube of a study.
    rows : list of dict of str to str
        Rows of a table, see `invtransfer.published.tables.read_table`.
    dims : dict of str to list of str
        Dimensions of each variable of the table.
    spanned : dict of str to list of str
        Levels that published contrasts span, by name of factor; all levels of the others.
    path : path-like
        Where the table is, for messages.

    Returns
    -------
    joined : xarray.Dataset
        Over the dimensions of the table, or those that all its variables share and "measured": what `summarise`
        returns, "published", "published_std" if there is any, "in_cube" and "done". Labels are in the order of the
        table, then of the cube, and numbers in ascending order. Contrasts also have "ours_levels" and
        "published_levels".

    Raises
    ------
    ValueError
        If the cube lacks something that the table has, or a row is damaged.
    """
    summaries, tables = {}, {}
    for name, own in dims.items():
        summary = summaries[name] = _summarise(cube, name, own, spanned)
        kinds = {dim: summary[dim].dtype.kind if summary[dim].size else "U" for dim in own}
        tables[name] = parse_rows([row for row in rows if row.get("variable") == name], kinds, path)
    if len(dims) > 1:
        summary, table = _fold(summaries, tables, path)
    else:
        summary, table = summaries.popitem()[1], tables.popitem()[1]
    dims = list(summary["n"].dims)
    labels = {dim: _order([place[i] for place in table] + summary[dim].values.tolist()) for i, dim in enumerate(dims)}
    joined = summary.reindex(labels, fill_value=ABSENT).transpose(*dims, ...)
    values = np.full((2, *joined["n"].shape), np.nan)
    for place, numbers in table.items():
        values[:, *(labels[dim].index(label) for dim, label in zip(dims, place, strict=True))] = numbers
    joined["published"] = (dims, values[0])
    if np.isfinite(values[1]).any():
        joined["published_std"] = (dims, values[1])
    for dim, separator, names in (("factor", "=", ("factor_name", "level")), ("measured", " ", ("measure", "target"))):
        parts = [label.partition(separator)[::2] for label in labels.get(dim, ())]
        if dim in labels:
            joined = joined.assign_coords({name: (dim, [part[i] for part in parts]) for i, name in enumerate(names)})
    if "contrast" in dims:
        joined["ours_levels"] = joined.ours_levels.astype(str)
        theirs = [", ".join(spanned.get(name, ())) for name in labels["factor_name"]]
        joined["published_levels"] = ("factor_name", np.array(theirs, dtype=str))
    return joined


def _order(labels):
    """Return labels once each: those of one factor beside each other, and numbers in ascending order."""
    groups = {}
    for label in labels:
        name, _, level = str(label).rpartition("=")
        groups.setdefault(name, {})[label] = level
    ordered = []
    for group in groups.values():
        try:
            ordered += sorted(group, key=lambda label: float(group[label]))
        except ValueError:
            ordered += group
    return ordered


def _summarise(cube, name, dims, spanned):
    """Return the summary over seeds of a variable, or of what is derived from it, over the dimensions of a table."""
    cube = _label_tunings(cube) if "tuning" in dims else cube
    by_relation = "relation" in dims and "relation" not in cube.dims and "pretraining_transformation" in cube.dims
    derived = {"relation"} if by_relation else {"factor_name", "contrast"} if "contrast" in dims else set()
    more = ["pretraining_transformation", "transformation"] if by_relation else ["factor", "relation"] * bool(derived)
    _check_variable(cube, name, [*(dim for dim in dims if dim not in derived), *more, "seed"])
    values = cube[name]
    if "contrast" in dims and "tuning" in dims:
        parts = [_summarise_contrasts(values.isel(tuning=i, drop=True), spanned) for i in range(values.sizes["tuning"])]
        return xr.concat(parts, values.indexes["tuning"]).transpose(*dims, ...)
    if "contrast" in dims:
        return _summarise_contrasts(values, spanned).transpose(*dims, ...)
    values = values.drop_vars(set(values.coords) - set(values.dims))
    summary = summarise(_average_by_relation(values) if by_relation else values).transpose(*dims)
    return summary.assign(in_cube=xr.ones_like(summary["n"], dtype=bool), done=summary["n"] > 0)


def _label_tunings(cube):
    """Give a cube the dimension "tuning", with labels such as "full-200", in place of "n_tuning"."""
    if "tuning" in cube.xindexes:  # swap_dims cannot move an index to another dimension
        return cube.drop_indexes("tuning").swap_dims(n_tuning="tuning")
    if "tuning" not in cube.coords:
        _check_labels(cube, "n_tuning")
        cube = cube.assign_coords(tuning=("n_tuning", [f"full-{number}" for number in cube.n_tuning.values.tolist()]))
    return cube.swap_dims(n_tuning="tuning")


def _average_by_relation(sensitivity):
    """Return sensitivity by relation, NaN for seeds that lack a value that their mean is over."""
    share = invariance_by_relation(sensitivity.notnull().astype(float))
    means = invariance_by_relation(sensitivity).where(share == 1)
    there = share.notnull().any([dim for dim in share.dims if dim != "relation"])  # such as an encoder "none"
    return means.isel(relation=np.flatnonzero(there.values))


def _summarise_contrasts(accuracy, spanned):
    """Return the summary of contrasts over the levels that the published ones span, and which levels are done."""
    there = list(zip(accuracy.factor_name.values.tolist(), accuracy.level.values.tolist(), strict=True))
    spans = np.array([name not in spanned or level in spanned[name] for name, level in there], dtype=bool)
    accuracy = accuracy.where(xr.DataArray(spans, dims="factor"))  # levels without any are left out
    summary = summarise(factor_contrasts(accuracy))
    done = accuracy.sel(relation=["same", "disjoint"]).notnull().any("seed").all("relation").values
    names = summary.factor_name.values.tolist()
    levels = [
        {level: done[i] for i, (factor, level) in enumerate(there) if spans[i] and factor == name} for name in names
    ]
    in_cube = [bool(own) and set(spanned.get(name, ())) <= own.keys() for name, own in zip(names, levels, strict=True)]
    all_done = xr.DataArray([all(own.values()) for own in levels], dims="factor_name").astype(bool)
    single = xr.DataArray([len(own) < 2 for own in levels], dims="factor_name").astype(bool)  # has no contrast
    texts = [", ".join(level for level, is_done in own.items() if is_done) for own in levels]
    return summary.assign(
        in_cube=("factor_name", np.array(in_cube, dtype=bool)),
        done=all_done & (single | (summary["n"] > 0)),
        ours_levels=("factor_name", np.array(texts, dtype=str)),
    )


def _fold(summaries, tables, path):
    """Put several variables along one dimension "measured", with labels such as "accuracy images alone"."""
    shared = set.intersection(*(set(summary["n"].dims) for summary in summaries.values()))
    parts, folded = [], {}
    for name, summary in summaries.items():
        dims, measure = list(summary["n"].dims), name.removeprefix("transfer_")
        own = [dim for dim in dims if dim not in shared]
        if len(own) != 1:
            found = " and ".join(own) or "no dimension"
            raise ValueError(f"{path} has {name} over {found} of its own, expected one dimension")
        at = dims.index(own[0])
        labels = [f"{measure} {label}" for label in summary[own[0]].values.tolist()]
        parts.append(summary.rename({own[0]: "measured"}).assign_coords(measured=labels))
        for place, numbers in tables[name].items():
            folded[(*place[:at], *place[at + 1 :], f"{measure} {place[at]}")] = numbers
    dims = [dim for dim in dims if dim in shared]
    return xr.concat([part.transpose(*dims, "measured") for part in parts], "measured"), folded


def _check_variable(cube, name, dims):
    """Raise an error unless the cube has a variable over these dimensions, with labels along all but "seed"."""
    more = [coordinate for coordinate in ("factor_name", "level") if "factor" in dims]
    for kind, needed, there in (
        ("variable", [name], cube.data_vars),
        ("dimension", dims, cube[name].dims if name in cube.data_vars else ()),
        ("coordinate", more, cube.coords),
    ):
        missing = [each for each in needed if each not in there]
        if missing:
            found = ", ".join(map(str, there)) or "none"
            raise ValueError(f"cube has no {kind} {', '.join(map(repr, missing))}; its {kind}s are: {found}")
    other = [str(dim) for dim in cube[name].dims if dim not in dims]
    if other:
        text = f"cube has {name} over {', '.join(map(repr, other))} too, expected one value for each of"
        raise ValueError(f"{text}: {', '.join(dims)}")
    for dim in dims:
        if dim != "seed":
            _check_labels(cube, dim)


def _check_labels(cube, dim):
    """Raise an error unless the cube has labels along a dimension, each once."""
    if dim not in cube.coords:
        raise ValueError(f"cube has no labels along {dim!r}, expected a coordinate of that name")
    labels = cube[dim].values.tolist()
    twice = [label for label in dict.fromkeys(labels) if labels.count(label) > 1]
    if twice:
        raise ValueError(f"cube has the {dim} {', '.join(map(repr, twice))} more than once, expected each once")
