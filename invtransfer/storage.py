"""Files that are whole or not there, and arrays kept in them without code: what survives a kill, and can be trusted."""

import glob
import io
import json
import os
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np

DESCRIPTION = "description.json"


class DamagedFileError(ValueError):
    """A file is not what it should be: cut short, changed, or of another kind; the message names it."""


@contextmanager
def replacing(path):
    """Write a file so that, whatever happens, it is the old one, the new one, or absent.

    Parameters
    ----------
    path : path-like
        Of the file.

    Yields
    ------
    temporary : pathlib.Path
        An empty file beside it, to be written to. When the block ends, it is flushed to the disk and renamed, and the
        folder is flushed, too: not even a loss of power leaves half a file, or takes back one that was reported. If the
        block raises, it is removed.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(f"{folder}/log.txt") as temporary:
    ...         _ = temporary.write_text("whole")
    ...     os.listdir(folder), Path(folder, "log.txt").read_text()
    (['log.txt'], 'whole')
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush_folder(folder):
    """Make a rename durable, where folders can be opened."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_leftovers(path):
    """Remove temporary files that a killed process left of a file; nobody may be writing that file.

    Parameters
    ----------
    path : path-like
        Of the file, as for `replacing`.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, ".cell.nc.abc.tmp").write_bytes(b"half")
    ...     remove_leftovers(f"{folder}/cell.nc")
    ...     os.listdir(folder)
    []
    """
    path = Path(path)
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        leftover.unlink(missing_ok=True)


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


def write_arrays(path, arrays, description):
    """Write named arrays and a description of them into one file, whole or not at all.

    Parameters
    ----------
    path : path-like
        Of the file, see `replacing`.
    arrays : dict of str to ndarray
        Of numbers, booleans or strings.
    description : dict
        Of strings, numbers, None, lists and dicts: kept as JSON.

    Raises
    ------
    ValueError
        If an array holds Python objects, or its name is longer than 1,000 characters or has one that is no text.
    OSError
        If the file cannot be written.

    Notes
    -----
    The file is a zip archive, not compressed, of one ``.npy`` file per array and ``description.json``; the same
    content gives the same bytes. Neither format can hold code, unlike a pickle or what `torch.save` writes.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_arrays(f"{folder}/weights.npz", {"weight": np.eye(2)}, {"epochs": 3})
    ...     read_arrays(f"{folder}/weights.npz")
    ({'weight': array([[1., 0.],
           [0., 1.]])}, {'epochs': 3})
    """
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        with archive.open(zipfile.ZipInfo(DESCRIPTION), "w") as member:
            member.write(canonical(description).encode())
        for name, array in arrays.items():
            if not name.isprintable() or len(name) > 1_000:
                raise ValueError(f"arrays has the name {name[:50]!r}, expected at most 1,000 printable characters")
            if np.asarray(array).dtype.hasobject:
                raise ValueError(f"arrays[{name!r}] holds Python objects, expected numbers, booleans or strings")
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def read_arrays(path):
    """Read what `write_arrays` wrote. No code in the file is run, whoever made it.

    Parameters
    ----------
    path : path-like
        Of the file.

    Returns
    -------
    arrays : dict of str to ndarray
    description : dict

    Raises
    ------
    FileNotFoundError
        If there is none.
    OSError
        If it cannot be read from the disk.
    DamagedFileError
        If it is cut short, was changed, or is of another kind.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist")
    content = Path(path).read_bytes()  # what fails from here on is damage, not the disk
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise ValueError("it is compressed")  # what is small on the disk may be endless in memory
            description = json.loads(archive.read(DESCRIPTION))
            arrays = {}
            for member in members:
                if member.filename != DESCRIPTION:
                    with archive.open(member) as file:
                        array = np.lib.format.read_array(file, allow_pickle=False)
                        if file.read(1):  # to the end, where zipfile compares the checksum
                            raise ValueError(f"{member.filename} holds more than one array")
                    arrays[member.filename.removesuffix(".npy")] = array
    except Exception as error:  # zipfile, json and NumPy raise whatever fits the damage, MemoryError among it
        raise DamagedFileError(f"{path} cannot be read as arrays: {' '.join(str(error).split())}") from error
    if not isinstance(description, dict):
        raise DamagedFileError(f"{path} cannot be read as arrays: its description is no JSON object")
    return arrays, description
