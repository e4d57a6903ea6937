"""Cells: each is one call of a study's function, made once, whose result or failure is in a file of its own.

A cell is a call with keyword arguments that JSON can hold. Its file is named by a hash of the arguments, so a file of
that name holds exactly the cell that is wanted. The process that computes a cell holds a lock on it, which ends with
the process: any number of runs, on any machines that share the folder, can work on the same cells.
"""

import hashlib
import inspect
import os
import shutil
import socket
import sys
import threading
import time
import traceback
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import xarray as xr
from filelock import FileLock, Timeout
from threadpoolctl import threadpool_limits

from invtransfer.cubes.assembly import assemble
from invtransfer.cubes.files import read, write
from invtransfer.cubes.provenance import find_device, find_origin
from invtransfer.storage import DamagedFileError, format_json, remove_leftovers

_COMPUTING = threading.RLock()  # threads and global generators belong to the process: one cell at a time in each
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # read by libraries when they are loaded


def cell_id(arguments):
    """Return the name of a cell: a hash of all that decides its numbers.

    Parameters
    ----------
    arguments : dict
        Keyword arguments of the cell's function.

    Returns
    -------
    name : str of 16 hexadecimal digits

    Examples
    --------
    >>> cell_id({"seed": 0, "width": 0.25}) == cell_id({"width": 0.25, "seed": 0})
    True
    """
    return hashlib.sha256(format_json(arguments).encode()).hexdigest()[:16]


def read_cell(path, arguments):
    """Read the file of a cell, if it exists and holds that cell.

    Parameters
    ----------
    path : path-like
        Where the file is.
    arguments : dict
        Arguments that the cell should have.

    Returns
    -------
    cell : xarray.Dataset or None
        The cell. One that failed has no variables, and the attributes "message" and "traceback".
    complaint : str
        Why a file that exists is not the cell; empty otherwise.

    Raises
    ------
    OSError
        If there is a file that the disk does not give, such as PermissionError: it may well be the cell.
    """
    try:
        cell = read(path)
    except FileNotFoundError:
        return None, ""
    except DamagedFileError as error:
        return None, str(error)
    if cell.attrs.get("arguments") != format_json(arguments) or "origin" not in cell.attrs:
        return None, f"{path} belongs to other settings"
    return cell, ""


def cell_state(cell):
    """Return the state of a cell.

    Parameters
    ----------
    cell : xarray.Dataset or None
        What `read_cell` returned.

    Returns
    -------
    state : {"missing", "done", "failed"}

    Examples
    --------
    >>> cell_state(None), cell_state(xr.Dataset({"accuracy": 0.5}))
    ('missing', 'done')
    """
    return "missing" if cell is None else "failed" if "message" in cell.attrs else "done"


def find_code(function):
    """Return what tells the code of a function from other code.

    Parameters
    ----------
    function : callable
        Function of a cell, maybe a `functools.partial`.

    Returns
    -------
    digest : str
        Hash of the file in which the function is written; empty if it is in none, as in a notebook.

    Examples
    --------
    >>> find_code(cell_state) == find_code(cell_id), find_code(len)
    (True, '')
    """
    while isinstance(function, partial):
        function = function.func
    try:
        file = inspect.getsourcefile(function if inspect.isroutine(function) else type(function))
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]
    except (TypeError, OSError):
        return ""


@contextmanager
def hold_lock(path):
    """Hold the lock of a file, unless another process holds it.

    Parameters
    ----------
    path : path-like
        The file. Its lock is a file beside it.

    Yields
    ------
    held : bool
        Whether the block holds the lock. The lock ends with the block or with the process, however that ends.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, hold_lock(f"{folder}/a.nc") as first:
    ...     with hold_lock(f"{folder}/a.nc") as second:
    ...         first, second
    (True, False)
    """
    try:
        lock = FileLock(lock_path(path)).acquire(timeout=0)
    except Timeout:
        yield False
        return
    with lock:
        yield True


def lock_path(path):
    """Return the path of a file's lock.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    path : pathlib.Path

    Examples
    --------
    >>> lock_path("a.cells/12ab.nc").name
    '.12ab.nc.lock'
    """
    path = Path(path)
    return path.with_name(f".{path.name}.lock")


def compute_cell(function, arguments, path, *, threads=1, failed=None, code=""):
    """Compute one cell and write its result or its failure, unless the file exists or another process computes it.

    Parameters
    ----------
    function : callable
        Function from the arguments to an `xarray.Dataset`. If it has a parameter "checkpoints", it gets a folder in
        which it may keep what it needs to go on after a kill. Runs with other versions, commit, hardware or threads get
        another folder. The folders are removed when the cell is done.
    arguments : dict
        Keyword arguments of the function.
    path : path-like
        Where the cell's file is written. Its folder is made if need be.
    threads : int
        Number of threads that the cell may use in torch, NumPy, SciPy and scikit-learn.
    failed : xarray.Dataset, optional
        Failure of this cell, as `read_cell` returned it, in whose place the cell is computed again. Any other failure
        stays as it is: another run has tried the cell since.
    code : str
        What tells the function's code from other code, see `find_code`; it is kept with the cell.

    Returns
    -------
    outcome : dict
        "state": "done", "failed", or "busy" if another process computes the cell; "seconds" that it took; "message" and
        "traceback" of a failure; "where": host and process; "file": the bytes of the file, for a run that does not see
        this disk; "stamp": tells that run whether it sees this file, see `stamp_of`.

    Raises
    ------
    OSError
        If the file cannot be written, for example because the disk is full, or one that is there cannot be opened.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _COMPUTING, hold_lock(path) as held:
        if not held:
            return {"state": "busy"}
        cell, _ = read_cell(path, arguments)
        if cell is None or (failed is not None and cell.identical(failed)):
            remove_leftovers(path)
            cell = _call(function, arguments, path.with_suffix(".training"), threads).assign_attrs(code=code)
            try:
                write(cell, path)
            except (TypeError, ValueError) as error:  # netCDF cannot hold what the function returned
                cell = _describe_failure(error, arguments, threads, cell.attrs["seconds"])
                write(cell, path)
        state = cell_state(cell)
        if state == "done":
            shutil.rmtree(path.with_suffix(".training"), ignore_errors=True)
            with suppress(PermissionError):  # Windows keeps what is open
                lock_path(path).unlink(missing_ok=True)  # a process that holds a new one finds the cell done
        return {
            "state": state, "seconds": cell.attrs["seconds"], "message": cell.attrs.get("message", ""),
            "traceback": cell.attrs.get("traceback", ""), "where": f"{socket.gethostname()} {os.getpid()}",
            "file": path.read_bytes(), "stamp": stamp_of(path),
        }  # fmt: skip


def stamp_of(path):
    """Return a stamp that tells a file from others without reading it.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    stamp : tuple of int or None
        Number of the file on its disk, size in bytes, and time of the last change in nanoseconds; None if there is no
        such file.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _call(function, arguments, checkpoints, threads):
    """Return the cell, or the dataset of a failed cell."""
    more = {}
    if "checkpoints" in inspect.signature(function).parameters:
        origin = find_origin(threads) | {"git_state": ""}  # it changes with any file
        more["checkpoints"] = checkpoints / hashlib.sha256(format_json(origin).encode()).hexdigest()[:16]
        more["checkpoints"].mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    try:
        with _limit_threads(threads):
            cell = function(**arguments, **more)
        if not isinstance(cell, xr.Dataset):
            raise TypeError(f"the cell is of type {type(cell).__name__}, expected an xarray.Dataset")
        assemble([{}], [cell], {})  # a cell that no cube can hold fails here, not at the end
        seconds = time.perf_counter() - start
        return cell.assign_attrs(_attributes(arguments, threads), seconds=seconds)
    except (Exception, SystemExit) as error:
        failed = _describe_failure(error, arguments, threads, time.perf_counter() - start)
    if find_device() != "cpu":
        sys.modules["torch"].cuda.empty_cache()  # a cell that ran out of memory leaves it to the next
    return failed


def _describe_failure(error, arguments, threads, seconds):
    """Return the dataset of a failed cell."""
    texts = f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error))
    # netCDF cannot hold all characters that an error may have
    message, trace = (text.replace("\0", "\\0").encode(errors="backslashreplace").decode() for text in texts)
    failure = {"seconds": seconds, "message": message, "traceback": trace}
    return xr.Dataset(attrs=_attributes(arguments, threads) | failure)


def _attributes(arguments, threads):
    return {"arguments": format_json(arguments), "origin": format_json(find_origin(threads))}


@contextmanager
def _limit_threads(threads):
    """Limit the threads of torch, and of BLAS and OpenMP in NumPy, SciPy and scikit-learn, even if loaded later."""
    torch = sys.modules.get("torch")
    before = {name: os.environ.get(name) for name in _THREADS}
    n_before = torch.get_num_threads() if torch is not None else None
    os.environ |= dict.fromkeys(_THREADS, str(threads))
    if torch is not None:
        torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        if torch is not None:
            torch.set_num_threads(n_before)
