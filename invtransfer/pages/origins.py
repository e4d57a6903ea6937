"""How the numbers of a cube came about: settings, versions, machine, date, and what failed."""

import numpy as np

from invtransfer.cubes.assembly import STATUS
from invtransfer.pages.layout import Table
from invtransfer.storage import format_json, parse_json

SETTINGS = "settings"


def describe_origin(cube):
    """Describe how a cube came about.

    Parameters
    ----------
    cube : xarray.Dataset
        Cube with the attributes of `invtransfer.cubes.provenance.make_attributes`, as far as it has them.

    Returns
    -------
    parts : list
        Parts of a page, see `invtransfer.pages.make_page`: the date, what computed the numbers, and the settings,
        beside those of the paper if the cube has them.

    Raises
    ------
    ValueError
        If an attribute is no JSON, or not of the kind that is expected.

    Examples
    --------
    >>> import xarray as xr
    >>> describe_origin(xr.Dataset(attrs={"date_created": "2026-01-01", "settings": '{"size": 64}'}))[1].rows
    [['size', '64']]
    """
    date = cube.attrs.get("date_created")
    parts = [f"Written {format_value(date)}." if date else "The date is not known."]
    if "history" in cube.attrs:
        parts.append(f"History: {format_value(cube.attrs['history'])}.")
    origins = parse_json(cube.attrs.get("origins", "[]"), "origins", list)
    columns = [dict(_flatten(origin)) for origin in origins]
    names = list(dict.fromkeys(name for column in columns for name in column))
    if names:
        heads = ["what", *(["value"] if len(columns) == 1 else [f"origin {i}" for i in range(len(columns))])]
        rows = [[name, *(column.get(name, "") for column in columns)] for name in names]
        parts.append(Table("What computed the numbers", heads, rows))
    settings = parse_json(cube.attrs.get(SETTINGS, "{}"), SETTINGS, dict)
    paper = parse_json(cube.attrs.get("paper_settings", "{}"), "paper_settings", dict)
    if settings:
        ours, theirs = dict(_flatten(settings)), dict(_flatten(paper))
        rows = [[name, value, *([theirs.get(name, "")] if paper else [])] for name, value in ours.items()]
        parts.append(Table("Settings", ["setting", "here", *(["in the paper"] if paper else [])], rows))
    return parts


def describe_encoders(cube):
    """Describe what encoders got, and what was taken from them.

    Parameters
    ----------
    cube : xarray.Dataset over "encoder" and others
        Cube with texts "preprocessing" and "features", as far as it has them; the first that says something counts.

    Returns
    -------
    parts : list
        A table, or nothing.

    Examples
    --------
    >>> import xarray as xr
    >>> describe_encoders(xr.Dataset({"features": ("encoder", ["input of fc"])}, {"encoder": ["resnet"]}))[0].rows
    [['resnet', 'input of fc']]
    """
    names = [name for name in ("preprocessing", "features") if name in cube]
    rows = []
    for encoder in cube.encoder.values if names else ():
        chosen = cube.sel(encoder=encoder)
        texts = [chosen[name].values.ravel() for name in names]
        rows.append([str(encoder), *(next((str(text) for text in each if text), "") for each in texts)])
    return [Table("What encoders got, and what was taken from them", ["encoder", *names], rows)] if rows else []


def _flatten(value, prefix=""):
    """Yield names and texts of all values in nested settings."""
    if not isinstance(value, dict):
        yield prefix, format_value(value)
        return
    for name, one in sorted(value.items(), key=lambda item: isinstance(item[1], dict)):  # plain values first
        words = name.replace("_", " ") if prefix != "versions " else name
        yield from _flatten(one, f"{prefix}{words} " if isinstance(one, dict) else f"{prefix}{words}")


def format_value(value):
    """Format a value of settings for a reader.

    Parameters
    ----------
    value : object
        Value that JSON can hold.

    Returns
    -------
    text : str

    Examples
    --------
    >>> format_value(None), format_value([1, 0.5]), format_value("photos"), format_value(True)
    ('not set', '1, 0.5', 'photos', 'yes')
    """
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and not any(isinstance(one, (list, dict)) for one in value):
        return ", ".join(map(format_value, value))
    return format_json(value) if isinstance(value, (list, dict)) else str(value)


def describe_failures(cube):
    """Describe which cells of a cube failed or are missing.

    Parameters
    ----------
    cube : xarray.Dataset
        Cube with "status", and perhaps "message" and "cell"; without "status" nothing can be missing.

    Returns
    -------
    parts : list
        Parts of a page; empty if all cells are done.

    Examples
    --------
    >>> import xarray as xr
    >>> status = xr.DataArray([1, 2], {"seed": [0, 1]}, ["seed"])
    >>> describe_failures(xr.Dataset({"status": status, "message": ("seed", ["", "no memory"])}))[1].rows
    [['1', 'failed', 'no memory']]
    """
    if "status" not in cube:
        return []
    status = cube.status
    rows, n_places = [], 0
    for place, state in _walk(status):
        if "cell" in cube and STATUS[state] == "missing" and cube.cell.isel(place).item() == "":
            continue  # some places of a study have no cell
        n_places += 1
        if STATUS[state] != "done":
            labels = [str(status[dim].values[i]) if dim in status.coords else str(i) for dim, i in place.items()]
            message = str(cube.message.isel(place).item()) if "message" in cube else ""
            rows.append([*labels, STATUS[state], message])
    if not rows:
        return []
    counts = [f"{sum(row[-2] == state for row in rows)} {state}" for state in ("failed", "missing")]
    text = f"Of {n_places} cells, {' and '.join(one for one in counts if not one.startswith('0 '))}."
    return [
        f"{text} The numbers above are without them.",
        Table("Cells that are not done", [*map(str, status.dims), "state", "message"], rows),
    ]


def _walk(status):
    """Yield the indices and the value of each place."""
    for index in np.ndindex(status.shape):
        yield dict(zip(status.dims, index, strict=True)), int(status.values[index])
