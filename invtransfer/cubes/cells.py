"""Cells: one call of a study's function each, its result or its failure in a file of its own, computed once.

A cell is a call with keyword arguments that JSON can hold. Its file is named by a hash of them, so that a cell that is
there is exactly the one that is wanted. Whoever computes a cell holds a lock on it, which ends with the process that
holds it: any number of runs, on any machines that share the folder, can work on the same cells.
"""

import hashlib
import inspect
import json
import os
import shutil
import socket
import threading
import time
import traceback
from contextlib import contextmanager
from pathlib import Path

import torch
import xarray as xr
from filelock import FileLock, Timeout
from threadpoolctl import threadpool_limits

from invtransfer.cubes.files import assemble, read, write
from invtransfer.cubes.provenance import find_origin
from invtransfer.storage import DamagedFileError, canonical, remove_leftovers

_COMPUTING = threading.RLock()  # threads and global generators belong to the process: one cell at a time in each


def cell_id(arguments):
    """Return the name of a cell: a hash of all that decides its numbers.

    Parameters
    ----------
    arguments : dict
        Keyword arguments of the cell function.

    Returns
    -------
    name : str of 16 hexadecimal digits

    Examples
    --------
    >>> cell_id({"seed": 0, "width": 0.25}) == cell_id({"width": 0.25, "seed": 0})
    True
    """
    return hashlib.sha256(canonical(arguments).encode()).hexdigest()[:16]


def read_cell(path, arguments):
    """Read a cell's file, if it is there and to be trusted.

    Parameters
    ----------
    path : path-like
        Of the file.
    arguments : dict
        That the cell should have.

    Returns
    -------
    cell : xarray.Dataset or None
        One that failed has no data but the attributes "message" and "traceback".
    complaint : str
        Why a file that is there is not the cell; empty otherwise.
    """
    try:
        cell = read(path)
    except FileNotFoundError:
        return None, ""
    except DamagedFileError as error:
        return None, str(error)
    if cell.attrs.get("arguments") != canonical(arguments) or "origin" not in cell.attrs:
        return None, f"{path} belongs to other settings"
    return cell, ""


def cell_state(cell):
    """Say in which state a cell is.

    Parameters
    ----------
    cell : xarray.Dataset or None
        As of `read_cell`.

    Returns
    -------
    state : str
        "missing", "done" or "failed".

    Examples
    --------
    >>> cell_state(None), cell_state(xr.Dataset({"accuracy": 0.5}))
    ('missing', 'done')
    """
    return "missing" if cell is None else "failed" if "message" in cell.attrs else "done"


@contextmanager
def claim(path):
    """Hold a file's lock, if nobody else does.

    Parameters
    ----------
    path : path-like
        Of the file. The lock is a file beside it.

    Yields
    ------
    claimed : bool
        Whether it is held now. The lock ends with the block or with the process, however that ends.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, claim(f"{folder}/a.nc") as first:
    ...     with claim(f"{folder}/a.nc") as second:
    ...         first, second
    (True, False)
    """
    lock = FileLock(lock_path(path), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def lock_path(path):
    """Return where the lock of a file is.

    Parameters
    ----------
    path : path-like
        Of the file.

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


def compute_cell(function, arguments, path, *, threads=1, again=False):
    """Compute one cell, unless it is there or somebody else is at it, and write it, or what went wrong.

    Parameters
    ----------
    function : callable
        From the arguments to an `xarray.Dataset`. If it has a parameter "checkpoints", it gets a folder there, in which
        it may keep what it needs to go on after a kill; where versions, commit, hardware or threads are others, it gets
        another one. They are removed when the cell is done.
    arguments : dict
        Its keyword arguments.
    path : path-like
        Of the cell's file, in a folder that is made if need be.
    threads : int
        That the cell may use, in torch, NumPy, SciPy and scikit-learn.
    again : bool
        Compute a cell that has failed once more.

    Returns
    -------
    outcome : dict
        "state": "done", "failed", or "busy" if somebody else computes it; "seconds" that it took; "message" and
        "traceback" of a failure; "where": host and process; "file": the bytes of the file, for whom does not see it.

    Raises
    ------
    OSError
        If the file cannot be written, such as on a full disk.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _COMPUTING, claim(path) as claimed:
        if not claimed:
            return {"state": "busy"}
        cell, _ = read_cell(path, arguments)
        if cell is None or (again and cell_state(cell) == "failed"):
            remove_leftovers(path)
            cell = _call(function, arguments, path.with_suffix(".training"), threads)
            write(cell, path)
        state = cell_state(cell)
        if state == "done":
            shutil.rmtree(path.with_suffix(".training"), ignore_errors=True)
            lock_path(path).unlink(missing_ok=True)  # who holds a new one finds the cell done
        return {
            "state": state, "seconds": cell.attrs["seconds"], "message": cell.attrs.get("message", ""),
            "traceback": cell.attrs.get("traceback", ""), "where": f"{socket.gethostname()} {os.getpid()}",
            "file": path.read_bytes(),
        }  # fmt: skip


def _call(function, arguments, checkpoints, threads):
    """Return the cell, or what went wrong in its place."""
    more, attributes = {}, _attributes(arguments, threads)
    if "checkpoints" in inspect.signature(function).parameters:
        origin = json.loads(attributes["origin"]) | {"git_state": ""}  # which changes with any file
        more["checkpoints"] = checkpoints / hashlib.sha256(canonical(origin).encode()).hexdigest()[:16]
        more["checkpoints"].mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    try:
        with _limited(threads):
            cell = function(**arguments, **more)
        if not isinstance(cell, xr.Dataset):
            raise TypeError(f"the cell is of type {type(cell).__name__}, expected an xarray.Dataset")
        assemble([{}], [cell], {})  # what no cube can hold fails here, not when all is done
        seconds = time.perf_counter() - start
        return cell.assign_attrs(attributes, seconds=seconds)
    except (Exception, SystemExit) as error:
        message, trace = f"{type(error).__name__}: {error}", traceback.format_exc()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # a cell that ran out of memory leaves it to the next
    return failed_cell(arguments, threads, message, trace, time.perf_counter() - start)


def failed_cell(arguments, threads, message, trace="", seconds=0.0):
    """Return what stands in place of a cell that failed.

    Parameters
    ----------
    arguments : dict
        Of the cell.
    threads : int
        That it could use.
    message, trace : str
        What went wrong, and where.
    seconds : float
        Until it did.

    Returns
    -------
    cell : xarray.Dataset
    """
    # whatever characters an error has, a file can hold them
    message, trace = (text.replace("\0", "\\0").encode(errors="backslashreplace").decode() for text in (message, trace))
    attributes = _attributes(arguments, threads) | {"seconds": seconds, "message": message, "traceback": trace}
    return xr.Dataset(attrs=attributes)


def _attributes(arguments, threads):
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {"arguments": canonical(arguments), "origin": canonical(find_origin(threads, device))}


@contextmanager
def _limited(threads):
    """Limit the threads of torch, and of BLAS and OpenMP in NumPy, SciPy and scikit-learn."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        torch.set_num_threads(before)
