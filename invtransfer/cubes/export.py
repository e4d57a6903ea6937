"""Cubes as tables for other programs: each value once, in the row of its labels, and nothing lost."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from invtransfer.storage import canonical, check_writable, replacing

NO_VALUE = {"f": "empty", "i": "-1", "U": "empty", "O": "empty"}  # what a cube has for it, as the tables show it


def tabulate(cube, stem="cube"):
    """Make tables of a cube, one for each set of dimensions that variables have.

    Parameters
    ----------
    cube : xarray.Dataset
        As `read` gives it, of a study or any other.
    stem : str
        What the names of the tables begin with.

    Returns
    -------
    tables : dict of str to pandas.DataFrame
        By name: `stem` for variables over the grid (the dimensions of `status`); with the further dimensions, such as
        "factors-transformation", for those that have more; with "-without-" and dimensions, for those that lack some.
        One row per place; the columns are its labels, further coordinates, and variables. Numbers that are flags, such
        as `status`, are words. The last table, `stem` with "-columns", has a row for each "column" of each "table": its
        "units", "long_name", "dtype", and what stands for "no_value" in it: an empty field or the number -1.

    Raises
    ------
    ValueError
        If dimensions have such names that two files would be the same.

    Examples
    --------
    >>> import xarray as xr
    >>> tables = tabulate(xr.Dataset({"accuracy": ("seed", [0.5, 0.75])}, {"seed": [0, 1]}))
    >>> list(tables)
    ['cube-seed', 'cube-columns']
    >>> tables["cube-seed"]
       seed  accuracy
    0     0      0.50
    1     1      0.75
    """
    grid = list(cube.status.dims) if "status" in cube else []
    groups = {}  # set of dimensions -> these in order, and variables
    for name, variable in cube.data_vars.items():
        groups.setdefault(frozenset(variable.dims), (variable.dims, []))[1].append(name)
    for coordinate in cube.coords.values():
        if not any(set(coordinate.dims) <= group for group in groups):  # no variable has it
            groups[frozenset(coordinate.dims)] = (coordinate.dims, [])
    tables, rows = {}, []
    for group, (dims, variables) in groups.items():
        lacking = [dim for dim in grid if dim not in group]
        own = [dim for dim in dims if dim not in grid] + (["without", *lacking] if lacking else [])
        table = "-".join([stem, *own])
        if table in tables or own in (["columns"], ["attributes"]):
            raise ValueError(f"dimensions are {dims}, but there is another table or file {table}: rename them")
        coordinates = [name for name in cube.coords if name not in dims and group.issuperset(cube[name].dims)]
        columns = [*dims, *coordinates, *variables]
        sizes = {dim: cube.sizes[dim] for dim in dims}
        tables[table] = pd.DataFrame({name: _spread(cube[name], sizes) for name in columns})
        rows += [{"table": table, "column": name} | _describe(cube[name]) for name in columns]
    return tables | {f"{stem}-columns": pd.DataFrame(rows)}


def _spread(variable, sizes):
    """Return the values of a variable in each place, flags in words."""
    values, words = variable.variable.to_base_variable().set_dims(sizes).values.ravel(), _flags(variable)
    return np.array([words.get(value, str(value)) for value in values.tolist()], str) if words else values


def _flags(variable):
    """Return the words for numbers that are flags, as CF describes them; none if they are not."""
    numbers = np.ravel(variable.attrs.get("flag_values", [])).tolist()
    words = str(variable.attrs.get("flag_meanings", "")).split()
    return dict(zip(numbers, words, strict=True)) if len(numbers) == len(words) else {}


def _describe(variable):
    about = {name: variable.attrs.get(name, "") for name in ("units", "long_name")}
    kind = "U" if _flags(variable) else variable.dtype.kind
    no_value = "" if variable.name in variable.coords else NO_VALUE.get(kind, "")
    return about | {"dtype": "string" if kind in "UO" else str(variable.dtype), "no_value": no_value}


def export_csv(cube, folder, stem, *, overwrite=False):
    """Write a cube as CSV files for spreadsheets, R or pandas.

    Parameters
    ----------
    cube : xarray.Dataset
        As `read` gives it.
    folder : path-like
        Where the files go; it is made if need be.
    stem : str
        What their names begin with, such as that of the cube.
    overwrite : bool
        Replace files of these names. Others in the folder stay as they are.

    Returns
    -------
    paths : list of pathlib.Path
        Of one file for each table of `tabulate`, ending in ".csv", and, ending in "-attributes.json", of the
        attributes of the cube, and for each variable its dimensions, type and attributes.

    Raises
    ------
    FileExistsError
        If there are such files already, and `overwrite` is False: nothing is written.
    OSError
        If the folder cannot be written to.
    ValueError
        As `tabulate`.

    Notes
    -----
    The files are UTF-8 and as RFC 4180 describes: lines end in CR LF, values with commas, quotes or line breaks are
    quoted. Floats have as many digits as it takes to read back the same bits; where there is none, the field is empty,
    as it is for empty strings. pandas reads them back with ``read_csv(path)``, but to the last bit before version 3.1
    only with ``float_precision="round_trip"``; strings such as "NA" stay strings with ``keep_default_na=False`` and
    ``na_values={"accuracy": [""]}``, for all columns of floats.

    Examples
    --------
    >>> import tempfile
    >>> import xarray as xr
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = export_csv(xr.Dataset({"accuracy": ("seed", [0.1, np.nan])}, {"seed": [0, 1]}), folder, "cube")
    ...     [path.name for path in paths], paths[0].read_text().split()
    (['cube-seed.csv', 'cube-columns.csv', 'cube-attributes.json'], ['seed,accuracy', '0,0.1', '1,'])
    """
    tables = tabulate(cube, stem)
    paths = {name: Path(folder) / f"{name}.csv" for name in tables}
    json_path = Path(folder) / f"{stem}-attributes.json"
    all_paths = [*paths.values(), json_path]
    there = [str(path) for path in all_paths if path.exists()]
    if there and not overwrite:
        raise FileExistsError(f"{', '.join(there)} exist: choose another folder, or move them away")
    check_writable(json_path)
    for name, table in tables.items():
        with replacing(paths[name]) as temporary:
            table.to_csv(temporary, index=False, lineterminator="\r\n", encoding="utf-8")
    with replacing(json_path) as temporary:
        temporary.write_text(_describe_all(cube), encoding="utf-8")
    return all_paths


def _describe_all(cube):
    """Return all attributes, dimensions and types as JSON."""
    variables = {
        name: {"dims": list(variable.dims), "dtype": variable.dtype.str, "attributes": _as_json(variable.attrs)}
        for name, variable in cube.variables.items()
    }
    about = {"attributes": _as_json(cube.attrs), "variables": variables}
    return json.dumps(about, indent=1, ensure_ascii=False) + "\n"


def _as_json(attributes):
    """Return attributes as JSON holds them; text that is JSON itself, such as settings, becomes what it says."""
    plain = {name: np.asarray(value).tolist() for name, value in attributes.items()}
    return {name: _parse(value) if isinstance(value, str) else value for name, value in plain.items()}


def _parse(text):
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, (dict, list)) and canonical(value) == text else text
