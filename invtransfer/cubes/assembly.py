"""Cells assembled into one cube: every cell in its place, and the status of every place."""

from functools import reduce

import numpy as np
import xarray as xr

STATUS = ("missing", "done", "failed")
NO_VALUE = {"f": np.nan, "i": -1, "U": "", "O": ""}


def make_cell(variables, coords=None):
    """Make the dataset of a cell from values without unit and a sentence about each.

    Parameters
    ----------
    variables : dict of str to tuple of (dims, values, long_name)
        Dimensions and values as in `xarray.Dataset`, and a sentence that says what the values are.
    coords : dict
        Coordinates as in `xarray.Dataset`.

    Returns
    -------
    cell : xarray.Dataset
        Every variable has the attributes "long_name" and "units".

    Examples
    --------
    >>> make_cell({"accuracy": ((), 0.5, "accuracy on the source task")}).accuracy.attrs
    {'long_name': 'accuracy on the source task', 'units': '1'}
    """
    described = {
        name: (dims, values, {"long_name": long_name, "units": "1"})
        for name, (dims, values, long_name) in variables.items()
    }
    return xr.Dataset(described, coords)


def format_place(labels):
    """Format the labels of a place as the command line takes them.

    Parameters
    ----------
    labels : dict
        Label along each dimension.

    Returns
    -------
    text : str

    Examples
    --------
    >>> format_place({"relation": "same", "seed": 0})
    'relation=same,seed=0'
    """
    return ",".join(f"{dim}={label}" for dim, label in labels.items())


def check_study_cube(cube, name="the cube", needs=("status",)):
    """Raise an error unless a dataset is the cube of a study.

    Parameters
    ----------
    cube : xarray.Dataset
        Any dataset.
    name : str
        Name of the dataset in the message, such as its path.
    needs : sequence of str
        Variables that it must have.

    Raises
    ------
    ValueError
        If one of the variables is missing.
    """
    for variable in needs:
        if variable not in cube:
            raise ValueError(f"{name} has no variable {variable!r}: it is not a study's cube")


def is_whole(cube):
    """Tell whether all cells of a study were tried, and some are done: then there are results.

    Parameters
    ----------
    cube : xarray.Dataset
        Cube of a study, with "status".

    Returns
    -------
    whole : bool

    Raises
    ------
    ValueError
        If it has no "status".
    """
    check_study_cube(cube)
    missing = cube.status.values == STATUS.index("missing")
    if "cell" in cube:
        missing &= cube.cell.values != ""  # some places of the cube may have no cell
    return bool(not missing.any() and (cube.status.values == STATUS.index("done")).any())


def assemble(points, cells, coordinates):
    """Put cells in their places in one cube.

    Parameters
    ----------
    points : list of dict
        For each cell, its label along every dimension of the grid.
    cells : list of xarray.Dataset or None
        Cells as `write` and `read` handle them; None for a cell that is missing. A cell that failed has no
        variables, and the attribute "message". A cell may have dimensions of its own, which come last in the cube. If
        labels along them differ between cells, the cube has all labels, in the order of the first that has each.
    coordinates : dict of str to list, or to tuple of (dimension, list)
        The grid: a list of labels makes a dimension, in this order; a tuple is a further coordinate along a dimension.

    Returns
    -------
    cube : xarray.Dataset
        All variables of the cells over the grid, and `status` (CF flags: missing, done, failed) and `message`. Where
        there is no value, floats are NaN, integers are -1 and strings are empty.

    Raises
    ------
    ValueError
        If cells disagree about their own dimensions or the units of a variable, or differ in size along one without
        labels; if a label is not in the grid; or if the dtype of a variable has no value that can stand for "missing",
        such as booleans.

    Examples
    --------
    >>> cube = assemble([{"seed": 0}, {"seed": 1}], [xr.Dataset({"accuracy": 0.5}), None], {"seed": [0, 1]})
    >>> cube.accuracy.values
    array([0.5, nan])
    >>> cube.status.values
    array([1, 0], dtype=int8)
    """
    dims = tuple(name for name, labels in coordinates.items() if isinstance(labels, list))
    shape = tuple(len(coordinates[dim]) for dim in dims)
    cube = xr.Dataset(coords=coordinates)
    status = np.zeros(shape, dtype=np.int8)
    message = np.full(shape, "", dtype=object)
    placed = {}  # for each variable: place in the cube -> what the cell there holds
    for point, cell in zip(points, align(cells), strict=True):
        for dim in dims:
            if point[dim] not in coordinates[dim]:
                raise ValueError(f"{point[dim]!r} is not a label of {dim}: {coordinates[dim]}")
        place = tuple(coordinates[dim].index(point[dim]) for dim in dims)
        if cell is None:
            continue
        if "message" in cell.attrs:
            status[place], message[place] = STATUS.index("failed"), cell.attrs["message"]
            continue
        status[place] = STATUS.index("done")
        for name, variable in cell.data_vars.items():
            placed.setdefault(name, {})[place] = variable
    data = {}
    for name, variables in placed.items():
        values, first = _fill(name, variables, shape)
        data[name] = (dims + first.dims, values, first.attrs)
        cube = cube.assign_coords(first.coords)
    flags = {"flag_values": np.arange(len(STATUS), dtype=np.int8), "flag_meanings": " ".join(STATUS)}
    data["status"] = (dims, status, flags | {"long_name": "state of the cell", "units": "1"})
    data["message"] = (dims, message.astype(str), {"long_name": "why the cell failed; empty otherwise", "units": "1"})
    return cube.assign(data)


def align(cells, grid=()):
    """Give cells the same labels along each of their own dimensions.

    Parameters
    ----------
    cells : list of xarray.Dataset or None
        Cells as for `assemble`, or cubes.
    grid : sequence of str
        Dimensions that are left as they are, such as those of the grid of cubes.

    Returns
    -------
    cells : list of xarray.Dataset or None
        With all labels, in the order of the first that has each. Dimensions without labels, with labels of unlike types
        or with coordinates beside these are left as they are.

    Examples
    --------
    >>> cells = [xr.Dataset({"x": ("layer", [one])}, {"layer": [name]}) for one, name in ((1.0, "a"), (2.0, "b"))]
    >>> [cell.x.values.tolist() for cell in align(cells)]
    [[1.0, nan], [nan, 2.0]]
    """
    done = [cell for cell in cells if cell is not None and "message" not in cell.attrs]
    described = {dim for cell in done for name, one in cell.coords.items() if (name,) != one.dims for dim in one.dims}
    labels = {}
    for dim in dict.fromkeys(dim for cell in done for dim in cell.dims if dim not in described.union(grid)):
        indexes = [cell.indexes.get(dim) for cell in done if dim in cell.dims]
        alike = len({cell[dim].dtype.kind in "OU" for cell in done if dim in cell.dims}) == 1
        if alike and all(index is not None and index.is_unique for index in indexes):
            union = list(dict.fromkeys(label for index in indexes for label in index))
            if any(list(index) != union for index in indexes):
                labels[dim] = union
    return [
        _reindex(cell, {dim: labels[dim] for dim in labels if cell is not None and dim in cell.dims}) for cell in cells
    ]


def _reindex(cell, labels):
    if not labels:
        return cell
    fill = {name: NO_VALUE.get(one.dtype.kind) for name, one in cell.variables.items() if name not in cell.dims}
    return cell.reindex(labels, fill_value=fill)


def has_value(values):
    """Tell whether an array holds more than what a cube has where a cell has no value.

    Parameters
    ----------
    values : ndarray
        Values of a variable.

    Returns
    -------
    has_value : bool

    Examples
    --------
    >>> has_value(np.array([np.nan, 0.5])), has_value(np.array([np.nan])), has_value(np.array([""]))
    (True, False, False)
    """
    kind = values.dtype.kind
    return bool(np.any(~np.isnan(values) if kind == "f" else values != NO_VALUE.get(kind)))


def _fill(name, variables, shape):
    """Return the values of one variable over the grid, and the variable of the first cell as a pattern."""
    first = next(iter(variables.values()))
    for variable in variables.values():
        if (variable.dims, variable.shape) != (first.dims, first.shape):
            raise ValueError(f"{name} has {dict(variable.sizes)} in one cell, {dict(first.sizes)} in another")
        if not variable.coords.equals(first.coords):
            raise ValueError(f"{name} has other coordinates in one cell than in another")
        units = [repr(one.attrs.get("units", "none")) for one in (variable, first)]
        if units[0] != units[1]:
            raise ValueError(f"{name} has the units {units[0]} in one cell, {units[1]} in another")
    dtype = reduce(np.promote_types, [variable.dtype for variable in variables.values()])  # the longest string's
    if dtype.kind not in NO_VALUE:
        raise ValueError(f"{name} has dtype {dtype}, expected floats, signed integers or strings")
    values = np.full(shape + first.shape, NO_VALUE[dtype.kind], dtype)
    for place, variable in variables.items():
        values[place] = variable.values
    return values, first
