"""One cell of a cube computed again, from what the cube says about it, and compared bit for bit."""

import tempfile
from pathlib import Path

import numpy as np

from invtransfer.cubes.assembly import STATUS, align, check_study_cube, format_place, has_value
from invtransfer.cubes.cells import cell_id, cell_state, compute_cell, read_cell
from invtransfer.cubes.files import have_same_bits
from invtransfer.cubes.provenance import find_origin
from invtransfer.storage import parse_json

OF_ANY_CELL = ("status", "message", "cell", "arguments", "part", "origin")  # variables that are not of its function


def find_place(cube, labels):
    """Find a place of a cube.

    Parameters
    ----------
    cube : xarray.Dataset
        Cube of a study.
    labels : dict of str to str
        Label along each dimension of the grid, as one would type it. A dimension with one label may be left out.

    Returns
    -------
    place : dict
        The labels as the cube has them.

    Raises
    ------
    ValueError
        If it is not a study's cube, the cube has no labels or one of them twice, `labels` names a dimension or label
        that is not in the cube, or lacks a dimension.

    Examples
    --------
    >>> import xarray as xr
    >>> status = ("seed", np.ones(2, "int8"))
    >>> find_place(xr.Dataset({"status": status}, {"seed": [0, 1]}), {"seed": "1"})
    {'seed': 1}
    """
    check_study_cube(cube)
    dims = cube.status.dims
    unknown = [name for name in labels if name not in dims]
    if unknown:
        raise ValueError(f"cell has {unknown[0]!r}, expected the dimensions of the cube: {', '.join(map(str, dims))}")
    place = {}
    for dim in dims:
        labels_there = cube[dim].values.tolist()
        there = {str(label): label for label in labels_there}
        if len(there) < max(1, len(labels_there)):
            raise ValueError(f"the cube has {dim} {labels_there}, expected at least one label, each once")
        if dim not in labels and len(there) > 1:
            raise ValueError(f"cell lacks {dim}, expected one of: {', '.join(f'{dim}={label}' for label in there)}")
        label = labels.get(dim, next(iter(there)))
        if label not in there:
            raise ValueError(f"cell has {dim}={label}, expected one of: {', '.join(there)}")
        place[dim] = there[label]
    return place


def reproduce(cube, labels, function):
    """Compute the cell at one place of a cube again, and compare it with what the cube holds.

    Parameters
    ----------
    cube : xarray.Dataset
        Cube of a study, as `read` returns it.
    labels : dict of str to str
        The place, see `find_place`.
    function : callable
        Function that computes a cell of this study from its arguments, as in `run_study`.

    Returns
    -------
    text : str
        What was compared, with which result; and which versions, code or hardware differ.
    identical : bool
        Whether all values agree bit for bit, see `have_same_bits`.

    Raises
    ------
    ValueError
        If there is no such place, no finished cell there, or the cube does not say how it was computed.
    """
    place = find_place(cube, labels)
    where = format_place(place)
    if any(name not in cube for name in ("arguments", "part", "origin", "cell")):
        raise ValueError("the cube does not say how its cells were computed: it is of an earlier version")
    there = cube.sel(place)
    state = STATUS[int(there.status)]
    if state != "done":
        raise ValueError(f"the cell at {where} is {state}: there is nothing to compare with")
    arguments, part = (parse_json(there[name].item(), f"{name} at {where}", dict) for name in ("arguments", "part"))
    origin = _find_origin_of(there, cube.attrs.get("origins", "[]"))
    if cell_id(arguments) != there.cell.item():
        raise ValueError(f"the arguments at {where} are not those of cell {there.cell.item()}")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cell.nc"
        compute_cell(function, arguments, path, threads=origin["threads"])
        cell, _ = read_cell(path, arguments)
    differences = _format_differences(origin, parse_json(cell.attrs["origin"], "origin", dict))
    if cell_state(cell) == "failed":
        return f"the cell at {where} failed here: {cell.attrs['message']}\n{differences}", False
    try:
        here, there = align([cell.sel(part, drop=True), there])  # of other cells, the cube may have more labels
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"part at {where} is {part!r}, which the cell lacks") from error
    lines = []
    for name, variable in here.data_vars.items():
        if name not in there:
            lines.append(f"  {name}: not in the cube")
        elif not have_same_bits(variable.values, there[name].values):
            lines.append(f"  {name}: {_format(there[name].values)} there, {_format(variable.values)} here")
    for name, variable in there.data_vars.items():
        if name not in here and name not in OF_ANY_CELL and has_value(variable.values):
            lines.append(f"  {name}: {_format(variable.values)} there, nothing here")
    subject = f"the cell at {where}, with {len(here.data_vars)} variables"
    if not lines:
        return f"{subject}, is reproduced bit for bit\n{differences}", True
    return "\n".join([f"{subject}, is not reproduced:", *lines, differences]), False


def _find_origin_of(cell, text):
    """Return what computed a cell, with everything that will be compared."""
    origins, number = parse_json(text, "origins"), int(cell.origin)
    try:
        origin = {name: origins[number][name] for name in find_origin(1)}
    except (LookupError, TypeError) as error:
        raise ValueError(f"origins of the cube have no entry {number}, which computed the cell") from error
    threads = origin["threads"]
    if not isinstance(threads, int) or not 1 <= threads <= 1024:
        raise ValueError(f"threads in the origins of the cube is {threads!r}, expected 1 to 1024")
    if not all(isinstance(origin[name], dict) for name in ("versions", "hardware")):
        raise ValueError("origins of the cube lack versions or hardware by name")
    return origin


def _format(values):
    values = np.asarray(values)
    return repr(values.item()) if values.ndim == 0 else np.array2string(values, threshold=6, precision=17)


def _format_differences(origin, ours):
    """Format how versions, code and machine differ here from those that computed the cell."""
    lines = []
    for name in ("versions", "hardware"):
        for key in sorted(origin[name].keys() | ours[name].keys()):
            pair = origin[name].get(key), ours[name].get(key)
            if pair[0] != pair[1]:
                lines.append(f"  {key}: {pair[0]} there, {pair[1]} here")
    for name in ("git_commit", "git_state"):
        if origin[name] != ours[name]:
            lines.append(f"  {name.replace('_', ' ')}: {origin[name]} there, {ours[name]} here")
    return "\n".join(["what differs here from there:", *lines]) if lines else "versions, code and machine are the same"
