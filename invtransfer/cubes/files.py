"""Cells to one labelled netCDF cube: files that are whole or not there, and that are data and nothing else.

A cell is the result of one unit of expensive work, an `xarray.Dataset` in a small file of its own. A cube holds all
cells of a study along dimensions that are singular nouns, with labels that a reader would print; cells that are not
there are NaN, and `status` says why.
"""

import hashlib
import json
from functools import reduce
from pathlib import Path

import numpy as np
import xarray as xr

from invtransfer.storage import DamagedFileError, replacing

STATUS = ("missing", "done", "failed")
CHECKSUM = "checksum"


def write(dataset, path):
    """Write a dataset to netCDF so that, whatever happens, the file is the old one, the new one, or absent.

    Parameters
    ----------
    dataset : xarray.Dataset
        With attributes that are strings or numbers.
    path : path-like
        See `replacing`; the file is read once before it takes its place. A checksum goes with it.

    Raises
    ------
    OSError
        If the file cannot be written, such as on a full disk.
    TypeError
        If netCDF cannot hold an attribute, such as None.
    ValueError
        If a text has a character NUL, at which netCDF would cut it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(xr.Dataset({"accuracy": 0.5}), f"{folder}/cell.nc")
    ...     read(f"{folder}/cell.nc").accuracy.item()
    0.5
    """
    _check_texts(dataset)
    dataset = dataset.assign_attrs({CHECKSUM: _digest(dataset)})
    dataset = dataset.drop_encoding()  # else strings are cut to the length that they were read with
    encoding = {name: {"_FillValue": None} for name in dataset.variables if dataset[name].dtype.kind == "f"}
    try:
        with replacing(path) as temporary:
            try:
                dataset.to_netcdf(temporary, engine="netcdf4", encoding=encoding)
                read(temporary)
            except (OSError, RuntimeError, DamagedFileError):
                # The library calls a full disk "HDF error" or "Permission denied": plain writing says what is wrong.
                temporary.write_bytes(bytes(dataset.nbytes + 2**16))
                raise
    except (OSError, RuntimeError) as error:
        raise OSError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error


def _check_texts(dataset):
    for name, variable in {"the dataset": dataset, **dataset.variables}.items():
        values = variable.values if name != "the dataset" and variable.dtype.kind in "UO" else np.array("")
        texts = [text for text in (*variable.attrs.values(), *values.flat) if isinstance(text, str)]
        if any("\0" in text for text in texts):
            raise ValueError(f"{name} has a text with a character NUL, which netCDF cannot hold")


def read(path):
    """Read a whole netCDF file into memory, and close it.

    Parameters
    ----------
    path : path-like
        Of a cell or cube. It is data: no code in it is run, whoever made it.

    Returns
    -------
    dataset : xarray.Dataset

    Raises
    ------
    FileNotFoundError
        If there is none.
    OSError
        If the path cannot be one.
    DamagedFileError
        If it cannot be read as netCDF, claims to be far larger than it is, or its values and attributes are not those
        that `write` wrote. Files of other programs, without a checksum, are taken as they are.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        with xr.open_dataset(path, engine="netcdf4") as file:
            size = Path(path).stat().st_size
            if file.nbytes > 1000 * size:  # more than any compression saves: it would fill the memory
                raise ValueError(f"it has {size} bytes, but says that it holds {file.nbytes}")
            dataset = file.load()
    except Exception as error:  # OSError, RuntimeError, ValueError, KeyError, MemoryError, depending on the damage
        raise DamagedFileError(f"{path} cannot be read as netCDF: {' '.join(str(error).split())}") from error
    try:
        expected = dataset.attrs.pop(CHECKSUM, None)
        if expected is not None and expected != _digest(dataset):
            raise DamagedFileError(f"{path} holds other values than were written: its checksum differs")
    except TypeError as error:
        raise DamagedFileError(f"{path} cannot be read as netCDF: {error}") from error
    return dataset


def _digest(dataset):
    """Return the SHA-256 of names, dimensions, values and attributes, however they are stored."""
    digest = hashlib.sha256(_plain(dataset.attrs))
    for name in sorted(dataset.variables):
        variable = dataset[name]
        values = np.asarray(variable.values)
        data = "\0".join(values.astype(str).flat).encode() if values.dtype.kind in "UO" else values.tobytes()
        digest.update(f"{name} {variable.dims} {values.shape} {name in dataset.coords} ".encode() + data)
        digest.update(_plain(variable.attrs))
    return digest.hexdigest()


def _plain(attributes):
    """Return attributes as text that is the same before they are written and after they are read."""
    return json.dumps({name: np.ravel(value).tolist() for name, value in attributes.items()}, sort_keys=True).encode()


def describe(variables, coords=None):
    """Make a dataset of variables without unit that say what they are.

    Parameters
    ----------
    variables : dict of str to tuple of (dims, values, text)
        Dimensions and values as for `xarray.Dataset`; the text becomes the attribute "long_name".
    coords : dict
        Coordinates, as for `xarray.Dataset`.

    Returns
    -------
    dataset : xarray.Dataset

    Examples
    --------
    >>> describe({"accuracy": ((), 0.5, "accuracy on the source task")}).accuracy.attrs
    {'long_name': 'accuracy on the source task', 'units': '1'}
    """
    described = {
        name: (dims, values, {"long_name": text, "units": "1"}) for name, (dims, values, text) in variables.items()
    }
    return xr.Dataset(described, coords)


def say_place(labels):
    """Name a place of a cube, as the command line takes it.

    Parameters
    ----------
    labels : dict
        Along each dimension.

    Returns
    -------
    text : str

    Examples
    --------
    >>> say_place({"relation": "same", "seed": 0})
    'relation=same,seed=0'
    """
    return ",".join(f"{dim}={label}" for dim, label in labels.items())


def assemble(points, cells, coordinates):
    """Put cells in their places in one cube.

    Parameters
    ----------
    points : list of dict
        For each cell, its label along every dimension of the grid.
    cells : list of xarray.Dataset or None
        As `write` and `read` handle them; None: not there. One that failed has no data but the attribute "message". A
        cell may have dimensions of its own, which come last.
    coordinates : dict of str to list, or to tuple of (dimension, list)
        The grid: a list of labels makes a dimension, in order; a tuple is a further coordinate along one of them.

    Returns
    -------
    cube : xarray.Dataset
        All variables of the cells over the grid, and `status` (CF flags: missing, done, failed) and `message`. Where
        there is no value, floats are NaN, integers -1 and strings empty.

    Raises
    ------
    ValueError
        If cells disagree about their own dimensions or labels along them, a label is not in the grid, or a variable
        holds what has no value for "missing", such as booleans.

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
    placed = {}  # for each variable, place in the cube -> what the cell there holds
    for point, cell in zip(points, cells, strict=True):
        place = tuple(_position(coordinates[dim], point[dim], dim) for dim in dims)
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


_FILL = {"f": np.nan, "i": -1, "U": "", "O": ""}


def _fill(name, variables, shape):
    """Return one variable of all cells, and that of the first cell, which says what it is like."""
    first = next(iter(variables.values()))
    for variable in variables.values():
        if (variable.dims, variable.shape) != (first.dims, first.shape):
            raise ValueError(f"{name} has {dict(variable.sizes)} in one cell, {dict(first.sizes)} in another")
        if not variable.coords.equals(first.coords):
            raise ValueError(f"{name} has other coordinates in one cell than in another")
    dtype = reduce(np.promote_types, [variable.dtype for variable in variables.values()])  # the longest string's
    if dtype.kind not in _FILL:
        raise ValueError(f"{name} has dtype {dtype}, expected floats, signed integers or strings")
    values = np.full(shape + first.shape, _FILL[dtype.kind], dtype)
    for place, variable in variables.items():
        values[place] = variable.values
    return values, first


def _position(labels, label, dim):
    if label not in labels:
        raise ValueError(f"{label!r} is not a label of {dim}: {labels}")
    return labels.index(label)
