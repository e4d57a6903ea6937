"""Cells to one labelled netCDF cube: writing that survives a kill, reading that names what is damaged, provenance.

A cell is the result of one unit of expensive work, an `xarray.Dataset` in a small file of its own. A cube holds all
cells of a study along dimensions that are singular nouns, with labels that a reader would print; cells that are not
there are NaN, and `status` says why.
"""

import hashlib
import json
import os
import platform
import subprocess
import tempfile
from datetime import UTC, datetime
from functools import reduce
from importlib import metadata
from pathlib import Path

import numpy as np
import xarray as xr

STATUS = ("missing", "done", "failed")
PAPER = (
    "Speicher, Nanda, Gummadi, Understanding the Role of Invariance in Transfer Learning, TMLR 2024, arXiv:2407.04325"
)
PACKAGES = ("invtransfer", "torch", "torchvision", "numpy", "scikit-learn", "scipy", "pillow", "xarray", "netCDF4")


class DamagedFileError(ValueError):
    """A file is not the netCDF that it should be; the message names it."""


def write(dataset, path):
    """Write a dataset to netCDF so that, whatever happens, the file is the old one, the new one, or absent.

    Parameters
    ----------
    dataset : xarray.Dataset
        With attributes that are strings or numbers.
    path : path-like
        Written to a temporary file beside it first, which is flushed to the disk and renamed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(xr.Dataset({"accuracy": 0.5}), f"{folder}/cell.nc")
    ...     read(f"{folder}/cell.nc").accuracy.item()
    0.5
    """
    path = Path(path)
    dataset = dataset.assign_attrs(sha256=_digest(dataset))
    dataset = dataset.drop_encoding()  # else strings are cut to the length that they were read with
    encoding = {name: {"_FillValue": None} for name in dataset.variables if dataset[name].dtype.kind == "f"}
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    try:
        dataset.to_netcdf(temporary, engine="netcdf4", encoding=encoding)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read(path):
    """Read a whole netCDF file into memory, and close it.

    Parameters
    ----------
    path : path-like
        Of a cell or cube.

    Returns
    -------
    dataset : xarray.Dataset

    Raises
    ------
    FileNotFoundError
        If there is none.
    DamagedFileError
        If it cannot be read as netCDF, or its values are not those that `write` wrote.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        dataset = xr.load_dataset(path, engine="netcdf4")
    except (
        Exception
    ) as error:  # the library raises OSError, RuntimeError, ValueError, KeyError, depending on the damage
        raise DamagedFileError(f"{path} cannot be read as netCDF: {error}") from error
    expected = dataset.attrs.pop("sha256", None)
    if expected is not None and expected != _digest(dataset):
        raise DamagedFileError(f"{path} holds other values than were written: its checksum differs")
    return dataset


def _digest(dataset):
    """Return the SHA-256 of names and values, however they are stored."""
    digest = hashlib.sha256()
    for name in sorted(dataset.variables):
        values = np.asarray(dataset[name].values)
        data = "\0".join(values.astype(str).flat).encode() if values.dtype.kind in "UO" else values.tobytes()
        digest.update(f"{name} {values.shape} ".encode() + data)
    return digest.hexdigest()


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


def check_writable(path):
    """Find out now whether a file can be written, rather than after the work is done.

    Parameters
    ----------
    path : path-like
        Of the file; its folder is made if need be.

    Raises
    ------
    OSError
        If the folder cannot be made or written to, or `path` is a folder.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error
    if path.is_dir():
        raise OSError(f"cannot write {path}: it is a folder")


def canonical(settings):
    """Return settings as one JSON string, the same for the same settings.

    Parameters
    ----------
    settings : dict
        Of strings, numbers, None, lists and dicts.

    Returns
    -------
    text : str

    Examples
    --------
    >>> canonical({"seed": 1, "factor": "width"})
    '{"factor": "width", "seed": 1}'
    """
    return json.dumps(settings, sort_keys=True)


def provenance(settings):
    """Say how numbers came about, as attributes of a cube.

    Parameters
    ----------
    settings : dict
        All that decides the numbers.

    Returns
    -------
    attributes : dict of str to str
        Settings and package versions as JSON, git commit and whether the tree differed from it, processor, date, paper.
        The date is that of SOURCE_DATE_EPOCH where it is set.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.now(UTC) if epoch is None else datetime.fromtimestamp(int(epoch), UTC)
    ours = _git("ls-files", "--error-unmatch", __file__)  # not some repository that an environment lies in
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return {
        "Conventions": "CF-1.11",
        "settings": canonical(settings),
        "versions": canonical(versions()),
        "git_commit": (_git("rev-parse", "HEAD") or "unknown") if ours else "unknown",
        "git_state": "unknown" if changes is None or not ours else "modified" if changes else "clean",
        "processor": platform.processor() or platform.machine(),
        "date_created": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "references": PAPER,
    }


def versions():
    """Return the versions of Python and of the packages that numbers depend on.

    Returns
    -------
    versions : dict of str to str

    Examples
    --------
    >>> sorted(versions())[:3]
    ['invtransfer', 'netCDF4', 'numpy']
    """
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def _version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _git(*arguments):
    folder = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", "-C", folder, *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


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
