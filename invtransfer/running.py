"""Grid to cells to executor: run a study's cells, serially or in processes, and never lose a finished one.

A cell is a call of one function with keyword arguments that JSON can hold, and returns an `xarray.Dataset`. Its file is
named by a hash of the arguments, so a cell that is there is exactly the one that is wanted. What is not in the
arguments (where the cube goes, how many processes run) cannot change a number.
"""

import hashlib
import json
import multiprocessing
import os
import signal
import threading
import time
import traceback
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from invtransfer.cubes import (
    STATUS,
    DamagedFileError,
    assemble,
    canonical,
    check_writable,
    provenance,
    read,
    versions,
    write,
)


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


def run_study(function, grid, coordinates, path, settings, *, title, attributes=None, jobs=None, threads=1):
    """Compute the cells that are not there yet, and assemble the cube.

    Parameters
    ----------
    function : callable
        Computes a cell; importable, or a `functools.partial` of such, so that other processes can be told to call it.
    grid : list of (dict, dict) or (dict, dict, dict)
        For each place in the cube, its labels and the arguments of its cell; and, if only a part of the cell belongs
        there, the labels of this part along dimensions of the cell. Places may share a cell.
    coordinates : dict of str to list, or to tuple of (dimension, list)
        Labels along each dimension of the cube, and further coordinates, as for `assemble`.
    path : path-like
        Of the cube. The cells go into the folder `path` with the suffix ".cells".
    settings : dict
        Of the study, all that the cells have in common; a cube of other settings at `path` is not touched.
    title : str
        Of the cube.
    attributes : dict of str to str
        Further attributes of the cube.
    jobs : int
        Number of processes; 1: no other than this one, so a cell that kills its process ends the study. None: one per
        CPU core, or one beside this where there is a GPU.
    threads : int
        Of each cell. Sums depend on how they are split over threads: with the same number, the numbers are the same
        bit for bit, however many processes compute them.

    Returns
    -------
    cube : xarray.Dataset
        As written. Cells that failed are marked, with their message.

    Raises
    ------
    OSError
        If `path` cannot be written; nothing has been computed then.
    ValueError
        If `path` does not end in .nc, or there is a cube of other settings, or one with labels that this grid lacks.
    SystemExit
        If interrupted (Ctrl-C): finished cells are kept, and the message says how to go on.
    """
    path = Path(path)
    if path.suffix != ".nc":  # beside it go the cells (.cells) and the figure (.png)
        raise ValueError(f"cannot write {path}: the name of a cube ends in .nc")
    check_writable(path)
    _check_same_study(path, settings, coordinates)
    # Now, not at the end: the code may change meanwhile.
    attributes = {"title": title} | provenance(settings) | {"threads": threads} | (attributes or {})
    folder = path.with_suffix(".cells")
    check_writable(folder / "cell.nc")
    wanted = {cell_id(arguments): arguments for _, arguments, *_ in grid}
    cells = {name: _read_cell(folder / f"{name}.nc", arguments) for name, arguments in wanted.items()}
    todo = {name: wanted[name] for name, cell in cells.items() if cell is None or "message" in cell.attrs}
    try:
        _compute(function, todo, folder, jobs, threads, len(wanted))
    except KeyboardInterrupt:
        n_done = sum((folder / f"{name}.nc").exists() for name in wanted)
        raise SystemExit(
            f"\ninterrupted: {n_done} of {len(wanted)} cells are in {folder}; the same command continues from there"
        ) from None
    cells |= {name: _read_cell(folder / f"{name}.nc", arguments) for name, arguments in todo.items()}
    parts = [_part(cells[cell_id(arguments)], *labels) for _, arguments, *labels in grid]
    cube = assemble([point for point, *_ in grid], parts, coordinates)
    ids = np.full(cube.status.shape, "", dtype="<U16")
    for point, arguments, *_ in grid:
        ids[tuple(list(coordinates[dim]).index(point[dim]) for dim in cube.status.dims)] = cell_id(arguments)
    cube["cell"] = (cube.status.dims, ids, {"long_name": "name of the cell; places may share one", "units": "1"})
    cube = cube.assign_attrs(attributes)
    write(cube, path)
    return cube


def _part(cell, labels=None):
    """Return what of a cell belongs in one place of the cube."""
    if cell is None or "message" in cell.attrs:
        return cell
    return cell.sel(labels or {}, drop=True)


def plan_study(grid, coordinates, path, settings, estimate, jobs=None):
    """Say which cells a study has, which are there, and how long the others will take; compute nothing.

    Parameters
    ----------
    grid, coordinates, path, settings
        As for `run_study`.
    estimate : callable
        From the arguments of a cell to the seconds it will take.
    jobs : int
        Number of processes; None: as for `run_study`.

    Returns
    -------
    text : str
        One line per cell: state, seconds projected or taken, and its places; then the sum.

    Raises
    ------
    ValueError
        If there is a cube that `run_study` would refuse to write over.
    """
    _check_same_study(Path(path), settings, coordinates)
    places = {}
    for labels, arguments, *_ in grid:
        place = " ".join(str(label) for label in labels.values())
        places.setdefault(cell_id(arguments), (arguments, []))[1].append(place)
    lines, seconds, folder = [], {"done": 0.0, "failed": 0.0, "to do": 0.0}, Path(path).with_suffix(".cells")
    counts = dict.fromkeys(seconds, 0)
    for name, (arguments, labels) in places.items():
        cell = _read_cell(folder / f"{name}.nc", arguments)
        state = "to do" if cell is None else "failed" if "message" in cell.attrs else "done"
        time_needed = float(cell.seconds) if state == "done" else estimate(arguments)
        counts[state] += 1
        seconds[state] += time_needed
        lines.append(f"{state:<7}{_duration(time_needed):>9}  {'; '.join(labels)}")
    left = seconds["to do"] + seconds["failed"]
    n_jobs = max(1, min(jobs or default_jobs(), counts["to do"] + counts["failed"]))
    n_processes = "1 process" if n_jobs == 1 else f"{n_jobs} processes"
    lines += [
        "",
        f"{len(places)} cells: {counts['done']} done, {counts['failed']} failed, {counts['to do']} to do",
        f"projected time for the rest: {_duration(left)} of computing, {_duration(left / n_jobs)} with {n_processes}",
    ]
    return "\n".join(lines)


def _duration(seconds):
    """Say a time in the unit that fits.

    Examples
    --------
    >>> _duration(8), _duration(1000), _duration(10_000), _duration(1e6)
    ('8 s', '17 min', '2.8 h', '11.6 days')
    """
    for limit, size, unit, digits in ((120, 1, "s", 0), (7200, 60, "min", 0), (172_800, 3600, "h", 1)):
        if seconds < limit:
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds / 86_400:.1f} days"


def _check_same_study(path, settings, coordinates):
    """Refuse to write over a cube that this run does not contain."""
    if not path.exists():
        return
    there = read(path)
    if "status" in there and not (there.status == STATUS.index("done")).any():
        return  # nothing is lost
    advice = "choose another --out, or move it away"
    theirs = json.loads(there.attrs.get("settings", "null"))
    ours = json.loads(canonical(settings))
    if theirs != ours:
        names = ours.keys() | theirs.keys() if isinstance(theirs, dict) else []
        differing = sorted(name for name in names if ours.get(name) != theirs.get(name))
        how = f"{', '.join(differing)} differ" if differing else "it has none"
        raise ValueError(f"{path} belongs to other settings ({how}): {advice}")
    for dim in there.status.dims:
        missing = [label for label in there[dim].values.tolist() if label not in coordinates[dim]]
        if missing:
            raise ValueError(f"{path} holds {dim} {missing}, which this run would not: {advice}")


def _read_cell(path, arguments):
    """Return a cell, or None if it is not there or not to be trusted."""
    try:
        cell = read(path)
    except FileNotFoundError:
        return None
    except DamagedFileError as error:
        warnings.warn(f"{error}: the cell is computed again", stacklevel=3)
        return None
    if cell.attrs.get("versions") != canonical(versions()):
        warnings.warn(
            f"{path} was computed with other versions than this run's: delete it to do it again", stacklevel=3
        )
    if cell.attrs.get("arguments") != canonical(arguments):
        warnings.warn(f"{path} belongs to other settings: the cell is computed again", stacklevel=3)
        return None
    return cell


def default_jobs():
    """Return how many processes compute cells if nobody says: one per CPU core, or one where there is a GPU.

    Returns
    -------
    jobs : int
    """
    if torch.cuda.is_available():
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _compute(function, todo, folder, jobs, threads, n_cells):
    """Compute cells and show the progress; each writes its own file."""
    calls = [(function, arguments, folder / f"{name}.nc") for name, arguments in todo.items()]
    with tqdm(total=n_cells, initial=n_cells - len(todo), desc="cells", unit="cell", smoothing=0) as bar:
        if jobs == 1 or not calls:
            before = torch.get_num_threads()
            torch.set_num_threads(threads)
            try:
                for call in calls:
                    compute_cell(*call)
                    bar.update()
            finally:
                torch.set_num_threads(before)
            return
        jobs = jobs or default_jobs()
        while calls:
            left = _compute_in_processes(calls, jobs, threads, bar)
            # If some are left, a worker died. The cells that were being computed are among the first of them, one more
            # than there are workers: computed one at a time, each can only be the death of its own worker.
            for call in left[: jobs + 1]:
                if _compute_in_processes([call], 1, threads, bar):
                    _write_failed(*call[1:], "its process died: killed, or out of memory")
                    bar.update()
            calls = left[jobs + 1 :]


def _compute_in_processes(calls, jobs, threads, bar):
    """Compute cells in processes; return those that are left if a worker dies."""
    spawn = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(min(jobs, len(calls)), spawn, initializer=_start_worker, initargs=(threads,))
    futures = [executor.submit(compute_cell, *call) for call in calls]
    try:
        for future in as_completed(futures):
            future.result()
            bar.update()
    except BrokenProcessPool:
        wait(futures)
        return [call for call, future in zip(calls, futures, strict=True) if future.exception()]
    except BaseException:
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
    return []


def _start_worker(threads):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends the workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)


def _end_with_parent():
    """End this process when its parent has ended, however it did: nobody would assemble what it computes."""
    multiprocessing.parent_process().join()
    os._exit(1)


def compute_cell(function, arguments, path):
    """Compute one cell and write it, or what went wrong.

    Parameters
    ----------
    function : callable
        From the arguments to an `xarray.Dataset`.
    arguments : dict
        Its keyword arguments.
    path : path-like
        Of the cell's file.
    """
    start = time.perf_counter()
    try:
        with threadpool_limits(torch.get_num_threads()):  # of BLAS and OpenMP in NumPy, SciPy and scikit-learn
            cell = function(**arguments)
    except Exception as error:
        _write_failed(arguments, path, f"{type(error).__name__}: {error}", traceback.format_exc())
    else:
        seconds = {"long_name": "time to compute the cell", "units": "s"}
        cell["seconds"] = ((), time.perf_counter() - start, seconds)
        write(cell.assign_attrs(arguments=canonical(arguments), versions=canonical(versions())), path)


def _write_failed(arguments, path, message, trace=""):
    """Write what went wrong in place of a cell."""
    attributes = {"arguments": canonical(arguments), "versions": canonical(versions())}
    write(xr.Dataset(attrs={"message": message, "traceback": trace} | attributes), path)
