"""Files that are whole or absent, also after a kill, and files of arrays that cannot hold code."""

import glob
import io
import json
import os
import sys
import tempfile
import zipfile
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path

import numpy as np

DESCRIPTION = "description.json"


class DamagedFileError(ValueError):
    """A file was cut short or changed, or is of another kind; the message names it."""


def expand_path(path, name="path"):
    """Return a path that a person gave, with ``~`` replaced as shells replace it. Each door calls it once.

    Parameters
    ----------
    path : str, bytes or os.PathLike
        Path in any encoding. Only "~" and "~user" at its beginning, for a user who exists, stand for another folder.
    name : str
        Name of the argument in the message.

    Returns
    -------
    path : pathlib.Path

    Raises
    ------
    TypeError
        If `path` is of another type.

    Examples
    --------
    >>> expand_path("~/cubes/a.nc") == Path.home() / "cubes" / "a.nc"
    True
    >>> expand_path(Path("cubes", "~a.nc")).name
    '~a.nc'
    """
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise TypeError(f"{name} is {path!r}, expected the path of a file or folder") from None
    return Path(os.path.expanduser(text))


def read_file(path):
    """Read a whole file; if the disk fails, it is the disk's error, and names the file.

    Parameters
    ----------
    path : path-like
        Where the file is.

    Returns
    -------
    content : bytes

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If the file cannot be opened or read, such as PermissionError, or IsADirectoryError for a folder.

    Examples
    --------
    >>> read_file("nowhere/cell.nc")
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere/cell.nc does not exist
    """
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, ValueError) as error:  # no name of a file has a character NUL
        raise FileNotFoundError(f"{path} does not exist") from error
    except OSError as error:
        if error.filename is None:  # opening a file names it, but reading does not
            error.filename = os.fspath(path)
        raise


def format_printable(text, stream):
    r"""Return a text that a stream can print: names of files may have characters that its encoding lacks.

    Parameters
    ----------
    text : str
        Any text.
    stream : file object
        Such as ``sys.stdout``. One without an encoding takes everything but parts of surrogate pairs.

    Returns
    -------
    text : str
        Each character that cannot be printed is replaced by its escape sequence.

    Examples
    --------
    >>> format_printable("gr\u00f6\u00dfe.nc", io.TextIOWrapper(io.BytesIO(), "ascii"))
    'gr\\xf6\\xdfe.nc'
    """
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def say(text, stream=None):
    """Write a line, or several.

    Parameters
    ----------
    text : str
        What is said; a new line follows.
    stream : file object or None
        Where it is written, see `format_printable`. None: standard output.

    Examples
    --------
    >>> say("done")
    done
    """
    stream = sys.stdout if stream is None else stream
    stream.write(format_printable(text, stream) + "\n")


def format_error(error):
    r"""Format an error as one line for a person: an error of the disk without its number.

    Parameters
    ----------
    error : Exception
        Any error.

    Returns
    -------
    text : str
        Without line breaks.

    Examples
    --------
    >>> format_error(IsADirectoryError(21, "Is a directory", "photos"))
    'photos: Is a directory'
    >>> format_error(ValueError("two\nlines"))
    'two lines'
    """
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}".replace("\n", " ")
    return " ".join(str(error).split())


@contextmanager
def replacing(path):
    """Write a file so that, whatever happens, it is the old one, the new one, or absent.

    Parameters
    ----------
    path : path-like
        Where the file goes.

    Yields
    ------
    temporary : pathlib.Path
        An empty file beside `path`, to be written to. When the block ends, this file is flushed to the disk and renamed
        to `path`, and the folder is flushed: even after a loss of power the file is whole, and stays if the block had
        ended. If the block raises an error, the temporary file is removed.

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
    """Remove the temporary files that a killed process left beside a file; no process may be writing that file.

    Parameters
    ----------
    path : path-like
        The file, as in `replacing`.

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
        if "." not in leftover.name.removeprefix(f".{path.name}.").removesuffix(".tmp"):  # else of a longer name
            leftover.unlink(missing_ok=True)


def check_writable(path):
    """Raise an error if a file cannot be written, before any work is done for it.

    Parameters
    ----------
    path : path-like
        Where the file will go. Its folder is made if need be.

    Raises
    ------
    OSError
        If the folder cannot be made, it cannot be written to, or `path` is a folder.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise type(error)(f"cannot write {path}: {error.strerror or error}") from error
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder")


def format_json(value):
    """Format a value as JSON; equal values give equal texts.

    Parameters
    ----------
    value : dict or list
        Value made of strings, numbers, None, lists and dicts.

    Returns
    -------
    text : str

    Examples
    --------
    >>> format_json({"seed": 1, "factor": "width"})
    '{"factor": "width", "seed": 1}'
    """
    return json.dumps(value, sort_keys=True)


def parse_json(text, name, kind=(dict, list)):
    """Read a value from JSON, or raise an error that names what is wrong.

    Parameters
    ----------
    text : str
        Text in JSON.
    name : str
        Name of the value in the message.
    kind : type or tuple of type
        Type that the value should have.

    Returns
    -------
    value : dict or list

    Raises
    ------
    ValueError
        If `text` is not a str or not JSON, or the value is of another type.

    Examples
    --------
    >>> parse_json('{"seed": 1}', "settings", dict)
    {'seed': 1}
    >>> parse_json("[1", "settings")
    Traceback (most recent call last):
    ...
    ValueError: settings is no JSON: Expecting ',' delimiter: line 1 column 3 (char 2)
    """
    try:
        value = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{name} is no JSON: {error}") from error
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        words = " or ".join({dict: "an object", list: "a list"}[one] for one in kinds)
        raise ValueError(f"{name} is {str(text)[:60]!r}, expected {words} in JSON")
    return value


def write_arrays(path, arrays, description):
    """Write named arrays and a description of them into one file, whole or not at all.

    Parameters
    ----------
    path : path-like
        Where the file goes, see `replacing`.
    arrays : dict of str to ndarray
        Arrays of numbers, booleans or strings.
    description : dict
        Strings, numbers, None, lists and dicts, which are kept as JSON.

    Raises
    ------
    ValueError
        If an array holds Python objects, or its name has more than 1,000 characters or some that cannot be printed.
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
            member.write(format_json(description).encode())
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
        Where the file is.

    Returns
    -------
    arrays : dict of str to ndarray
    description : dict

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If the disk cannot be read.
    DamagedFileError
        If the file was cut short or changed, or is of another kind.
    """
    content = read_file(path)  # what fails from here on is damage, not the disk
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise ValueError("it is compressed")  # a small file may be endless in memory
            if DESCRIPTION not in archive.namelist():
                raise ValueError(f"it holds no {DESCRIPTION}, so that another program wrote it")
            description = json.loads(archive.read(DESCRIPTION))
            arrays = {}
            for member in members:
                if member.filename != DESCRIPTION:
                    with archive.open(member) as file:
                        array = np.lib.format.read_array(file, allow_pickle=False)
                        if file.read(1):  # to the end, where zipfile compares the checksum
                            raise ValueError(f"{member.filename} holds more than one array")
                    arrays[member.filename.removesuffix(".npy")] = array
    except Exception as error:  # zipfile, json and NumPy raise many kinds, even MemoryError
        raise DamagedFileError(f"{path} cannot be read as arrays: {' '.join(str(error).split())}") from error
    if not isinstance(description, dict):
        raise DamagedFileError(f"{path} cannot be read as arrays: its description is no JSON object")
    return arrays, description


class SourceLoader(SourceFileLoader):
    """Loads a person's Python file from its source: bytecode on the disk may be of an edit within the same second."""

    def get_code(self, fullname):
        """Compile the file.

        Parameters
        ----------
        fullname : str
            Name of the module.

        Returns
        -------
        code : code object
        """
        return self.source_to_code(self.get_data(self.path), self.path)
