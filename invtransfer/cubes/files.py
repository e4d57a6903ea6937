"""netCDF files of cells and cubes: whole or absent, and nothing but data."""

import hashlib
import json
import shutil
import tempfile

import netCDF4
import numpy as np
import xarray as xr
from xarray.backends import NetCDF4DataStore

from invtransfer.storage import DamagedFileError, expand_path, read_file, replacing

try:
    import fcntl
except ImportError:  # on Windows, where a locked file cannot be opened
    fcntl = None

CHECKSUM = "checksum"
CHANGING = {"_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned", "_Encoding", "dtype"}
RESERVED = {  # names of attributes in which the libraries of netCDF and HDF5 keep their own notes
    "_NCProperties", "_Netcdf4Coordinates", "_Netcdf4Dimid", "_nc3_strict", "CLASS", "NAME", "DIMENSION_LIST",
    "REFERENCE_LIST",
}  # fmt: skip
READINGS = (  # with dates as the CF conventions say, without durations, and literally
    {}, {"decode_timedelta": False}, {"decode_times": False, "decode_timedelta": False, "mask_and_scale": False},
)  # fmt: skip
_TASKS = {
    "C/C": "images alone", "C+O/C": "images with objects", "C+O/O": "objects on images", "O/O": "objects alone",
}  # fmt: skip
RENAMED = {  # labels of earlier versions, by coordinate
    "pretraining": _TASKS, "target": _TASKS, "level": _TASKS, "changed": {"C": "image", "O": "object"},
    "factor": {f"reference={old}": f"reference={new}" for old, new in _TASKS.items()},
}  # fmt: skip


def write(dataset, path):
    """Write a dataset to netCDF so that, whatever happens, the file is the old one, the new one, or absent.

    Parameters
    ----------
    dataset : xarray.Dataset
        Dataset whose attributes are strings or numbers. A checksum is stored with it.
    path : path-like
        Where the file is written, see `replacing`. The file is read once before it takes its place.

    Raises
    ------
    OSError
        If the file cannot be written, for example because the disk is full.
    TypeError
        If netCDF cannot hold an attribute, such as None.
    ValueError
        If a text contains the character NUL, at which netCDF would cut it; if a variable has an attribute by which
        readers change its values, such as "scale_factor"; or if netCDF would not keep something as it is. The message
        names the variable and the attribute.

    Notes
    -----
    Values are stored as they are, and NaN marks what is missing. All other attributes are kept literally, also those
    which have a meaning in the CF conventions: a number with the units "days since 2000-01-01" stays a number.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(xr.Dataset({"accuracy": 0.5}), f"{folder}/cell.nc")
    ...     read(f"{folder}/cell.nc").accuracy.item()
    0.5
    """
    path = expand_path(path)
    _check_texts(dataset)
    _check_attributes(dataset)
    given = dataset
    dataset = dataset.assign_attrs({CHECKSUM: _digest(dataset)})
    dataset = dataset.drop_encoding()  # else strings are cut to the length that they were read with
    try:
        with replacing(path) as temporary:
            try:
                _save(dataset, temporary)
                _check_kept(given, temporary)
            except (OSError, RuntimeError, ValueError):
                # The library calls a full disk "HDF error" or "Permission denied": plain writing says what is wrong.
                temporary.write_bytes(bytes(dataset.nbytes + 2**16))
                raise
    except (OSError, RuntimeError) as error:
        kind = type(error) if isinstance(error, OSError) else OSError
        raise kind(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error


def _check_texts(dataset):
    for name, variable in {"the dataset": dataset, **dataset.variables}.items():
        values = variable.values if name != "the dataset" and variable.dtype.kind in "UO" else np.array("")
        texts = [text for text in (*variable.attrs.values(), *values.flat) if isinstance(text, str)]
        if any("\0" in text for text in texts):
            raise ValueError(f"{name} has a text with a character NUL, which netCDF cannot hold")


def _check_attributes(dataset):
    """Refuse attributes that netCDF cannot hold, or by which other programs would read other values."""
    for name, variable in {"the dataset": dataset, **dataset.variables}.items():
        for attribute, value in variable.attrs.items():
            if np.ravel(value).dtype.kind not in "iufU":  # the library does not say which attribute it cannot hold
                raise TypeError(f"{name} has the attribute {attribute!r} = {value!r}, expected text or numbers")
            if attribute in RESERVED or "/" in str(attribute):
                raise ValueError(f"{name} has the attribute {attribute!r}, a name that netCDF keeps for itself")
            if attribute in CHANGING and name != "the dataset":
                raise ValueError(
                    f"{name} has the attribute {attribute!r}, by which programs that follow the CF conventions change"
                    " values that they read: leave it out, as values are stored as they are, and NaN marks what is"
                    " missing"
                )


def _save(dataset, path):
    encoding = {name: {"_FillValue": None} for name, one in dataset.variables.items() if one.dtype.kind == "f"}
    try:
        dataset.to_netcdf(path, engine="netcdf4", encoding=encoding)
    except UnicodeEncodeError:  # the library takes no name that is not in the encoding of the system
        with tempfile.TemporaryDirectory() as folder:
            dataset.to_netcdf(f"{folder}/cube.nc", engine="netcdf4", encoding=encoding)
            shutil.copyfile(f"{folder}/cube.nc", path)


def _check_kept(dataset, path):
    """Read a file that was just written, and raise an error that names what netCDF did not keep."""
    try:
        read(path)
    except DamagedFileError:
        back = _load(read_file(path), READINGS[-1])
        for name, variable in {"the dataset": dataset, **dataset.variables}.items():
            there = back if name == "the dataset" else back.variables.get(name)
            for attribute, value in variable.attrs.items():
                kept = {attribute: there.attrs[attribute]} if there is not None and attribute in there.attrs else {}
                taken = name == "the dataset" and attribute == CHECKSUM
                if taken or _format_attributes({attribute: value}) != _format_attributes(kept):
                    raise ValueError(
                        f"{name} has the attribute {attribute!r} with the value {value!r}, which a netCDF file does not"
                        " keep: give it another name, or leave it out"
                    ) from None
        raise


def read(path):
    """Read a whole netCDF file into memory, and close it.

    Parameters
    ----------
    path : path-like
        Where the file of a cell or cube is. It is data: no code in it is run, whoever made it.

    Returns
    -------
    dataset : xarray.Dataset

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If the disk cannot be read, such as PermissionError, or `path` cannot be the path of a file. The file may be
        whole.
    DamagedFileError
        If the file cannot be read as netCDF, claims to be far larger than it is, or holds other values or attributes
        than `write` wrote. Files of other programs, which have no checksum, are read as the CF conventions say.

    See Also
    --------
    load_cube : The same, with an index on coordinates such as "factor_name".
    """
    path = expand_path(path)
    content = read_file(path)  # what fails from here on is damage, not the disk
    try:
        return _parse(content, path)
    except DamagedFileError as error:
        if _is_locked(path):
            raise BlockingIOError(f"{path} is locked by a program that writes it: try again later") from error
        raise


def _parse(content, path):
    """Return the dataset that was written: of the ways to read a file, the checksum tells which was meant."""
    reasons = []
    for how in READINGS:
        try:
            dataset = _load(content, how)
            expected = dataset.attrs.pop(CHECKSUM, None)
            if expected is None or expected == _digest(dataset):
                return dataset
            reasons.append(f"{path} holds other values than were written: its checksum differs")
        except Exception as error:  # OSError, RuntimeError, ValueError, KeyError, MemoryError, depending on the damage
            reason = " ".join(str(error).replace("'memory'", "").split()).rstrip(" :")
            reasons.append(f"{path} cannot be read as netCDF: {reason}")
            cause = error
    reason = max(reasons, key=lambda text: "checksum" in text)
    raise DamagedFileError(reason) from (cause if "cannot be read" in reason else None)


def _load(content, how):
    with xr.open_dataset(NetCDF4DataStore(netCDF4.Dataset("memory", memory=content)), **how) as file:
        if file.nbytes > 1000 * len(content):  # more than any compression saves: it would fill the memory
            raise ValueError(f"it has {len(content)} bytes, but says that it holds {file.nbytes}")
        return file.load()


def _is_locked(path):
    """Tell whether a program holds the lock with which the HDF5 library marks a file that it writes."""
    if fcntl is None:
        return False
    try:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a disk without locks
        return False
    return False


def load_cube(path):
    """Read the cube of a study, ready for selecting.

    Parameters
    ----------
    path : path-like
        Where the cube is.

    Returns
    -------
    cube : xarray.Dataset
        As `read` returns it, with an index on every further coordinate along one dimension: where "factor" has the
        coordinates "factor_name" and "level", ``cube.sel(factor_name="architecture")`` selects all levels of a factor.
        Cubes of earlier versions get the labels that tasks have now, such as "images with objects" for "C+O/C".

    Raises
    ------
    FileNotFoundError, OSError, DamagedFileError
        As `read`.

    Examples
    --------
    >>> import tempfile
    >>> cube = xr.Dataset({"accuracy": ("factor", [0.5, 0.75, 1.0])}, {"factor_name": ("factor", ["a", "a", "b"])})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(cube, f"{folder}/cube.nc")
    ...     load_cube(f"{folder}/cube.nc").sel(factor_name="a").accuracy.values
    array([0.5 , 0.75])
    """
    cube = _with_present_labels(read(path))
    for name, coordinate in cube.coords.items():
        if coordinate.ndim == 1 and name not in cube.indexes:
            cube = cube.set_xindex(name)
    return cube


def _with_present_labels(cube):
    """Replace the labels that tasks had in earlier versions."""
    for name, renamed in RENAMED.items():
        if name in cube.coords and cube[name].ndim == 1 and cube[name].dtype.kind in "UO":
            labels = [renamed.get(label, label) for label in cube[name].values.tolist()]
            if labels != cube[name].values.tolist():
                cube = cube.assign_coords({name: (cube[name].dims, labels, cube[name].attrs)})
    return cube


def have_same_bits(one, other):
    """Tell whether two arrays hold the same values bit for bit.

    Parameters
    ----------
    one, other : array-like
        Numbers or strings.

    Returns
    -------
    same : bool
        Whether shape, dtype and every bit agree: 0.0 is not -0.0, and float32 is not float64. All NaNs count as
        equal, and strings are compared by their characters, whatever length the dtype has room for.

    Examples
    --------
    >>> have_same_bits([0.0, float("nan")], [0.0, -float("nan")]), have_same_bits(0.0, -0.0), have_same_bits(1, 1.0)
    (True, False, False)
    """
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape:
        return False
    if one.dtype.kind in "UO" and other.dtype.kind in "UO":
        return bool(np.all(one == other))
    if one.dtype != other.dtype:
        return False
    same = one == other
    if one.dtype.kind == "f":
        same = (same & (np.signbit(one) == np.signbit(other))) | (np.isnan(one) & np.isnan(other))
    return bool(np.all(same))


def _digest(dataset):
    """Return the SHA-256 of names, dimensions, values and attributes, however they are stored."""
    digest = hashlib.sha256(_format_attributes(dataset.attrs))
    for name in sorted(dataset.variables):
        variable = dataset.variables[name]  # not `dataset[name]`, which looks for its coordinates, too
        values = np.asarray(variable.values)
        data = "\0".join(values.astype(str).flat).encode() if values.dtype.kind in "UO" else values.tobytes()
        digest.update(f"{name} {variable.dims} {values.shape} {name in dataset.coords} ".encode() + data)
        digest.update(_format_attributes(variable.attrs))
    return digest.hexdigest()


def _format_attributes(attributes):
    """Return attributes as text that is the same before they are written and after they are read."""
    return json.dumps({name: np.ravel(value).tolist() for name, value in attributes.items()}, sort_keys=True).encode()
