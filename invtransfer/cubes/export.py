"""Cubes as tables for other programs: every value once, in the row of its labels."""

import json

import numpy as np
import pandas as pd

from invtransfer.storage import check_writable, expand_path, format_json, replacing

NO_VALUE = {"f": "empty", "i": "-1", "U": "empty", "O": "empty"}  # what tables show where a cube has no value


def tabulate(cube, stem="cube"):
    """Make tables of a cube, one for each set of dimensions that variables have.

    Parameters
    ----------
    cube : xarray.Dataset
        Any dataset, such as a cube that `read` returned.
    stem : str
        Beginning of the tables' names.

    Returns
    -------
    tables : dict of str to pandas.DataFrame
        Tables by name. Variables over the grid (the dimensions of `status`) are in the table `stem`; those with further
        dimensions in a table that is named after them, such as "factors-transformation"; those that lack dimensions of
        the grid in a table with "-without-" and these dimensions in its name. A table has one row per place, and
        columns for its labels, further coordinates and variables. Flags, such as `status`, are written as words. The
        last table, `stem` with "-columns", has a row for each "column" of each "table", with its "units", "long_name",
        "dtype" and "no_value", which marks missing values: an empty field or the number -1.

    Raises
    ------
    ValueError
        If the names of dimensions would give two files the same name.

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
    """Return the values of a variable in each place, with flags as words."""
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
        Any dataset, such as a cube that `read` returned.
    folder : path-like
        Folder of the files, which is made if need be.
    stem : str
        Beginning of the files' names, such as the name of the cube.
    overwrite : bool
        Whether to replace files of these names. Other files in the folder are left alone.

    Returns
    -------
    paths : list of pathlib.Path
        Paths of the files: one ".csv" for each table of `tabulate`, and one that ends in "-attributes.json", with the
        attributes of the cube, and the dimensions, dtype and attributes of each variable.

    Raises
    ------
    FileExistsError
        If such files exist and `overwrite` is False. Nothing is written then.
    OSError
        If the folder cannot be written to.
    ValueError
        If the names of dimensions would give two files the same name.

    Notes
    -----
    The files are UTF-8 and follow RFC 4180: lines end in CR LF, and values with commas, quotes or line breaks are
    quoted. Floats have as many digits as it takes to read back the same bits; missing floats and empty strings are
    empty fields. pandas reads the files with ``read_csv(path)``; before version 3.1, the last bit of floats needs
    ``float_precision="round_trip"``. Strings such as "NA" stay strings with ``keep_default_na=False`` and
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
    folder = expand_path(folder, "folder")
    paths = {name: folder / f"{name}.csv" for name in tables}
    json_path = folder / f"{stem}-attributes.json"
    all_paths = [*paths.values(), json_path]
    there = [str(path) for path in all_paths if path.exists()]
    if there and not overwrite:
        raise FileExistsError(
            f"{', '.join(there)} exist: choose another folder, move them away, or overwrite them (--overwrite)"
        )
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
    """Return attributes as JSON holds them; a text that is JSON itself, such as settings, is parsed."""
    plain = {name: np.asarray(value).tolist() for name, value in attributes.items()}
    return {name: _parse(value) if isinstance(value, str) else value for name, value in plain.items()}


def _parse(text):
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, (dict, list)) and format_json(value) == text else text
