"""Grid to cells to executor: run a study's cells, serially or in processes, and never lose a finished one.

A cell is a call of one function with keyword arguments that JSON can hold, and returns an `xarray.Dataset`. Its file is
named by a hash of the arguments, so a cell that is there is exactly the one that is wanted. What is not in the
arguments (where the cube goes, how many processes run) cannot change a number.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import signal
import threading
import time
import traceback
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
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


def study_parser(description, presets, default="quick"):
    """Return a command line with the options that all studies have.

    Parameters
    ----------
    description : str
        The study's docstring.
    presets : iterable of str
        Names for ``--preset``.
    default : str
        The preset that is run if none is named.

    Returns
    -------
    parser : argparse.ArgumentParser
        With --preset, --out, --seeds, --jobs and --threads.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--preset", choices=list(presets), default=default, help=f"size of the study (default: {default})"
    )
    parser.add_argument("--out", type=Path, metavar="CUBE.nc", help="where the cube goes; the figure goes beside it")
    parser.add_argument("--seeds", type=positive, metavar="N", help="number of repetitions, with seeds 0 to N - 1")
    parser.add_argument("--jobs", type=positive, metavar="N", help="processes (default: one per core; 1 with a GPU)")
    parser.add_argument("--threads", type=positive, default=1, metavar="N", help="threads of each process (default: 1)")
    return parser


def positive(text):
    """Read a whole number of at least 1 from the command line.

    Parameters
    ----------
    text : str
        What was typed.

    Returns
    -------
    number : int

    Raises
    ------
    argparse.ArgumentTypeError
        If it is another.

    Examples
    --------
    >>> positive("3")
    3
    """
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"is {text!r}, expected a whole number of at least 1")
    return int(text)


def default_path(folder, study, *parts):
    """Return where a study's cube goes if nobody says.

    Parameters
    ----------
    folder : pathlib.Path
        Of cubes.
    study : str
        Its name.
    *parts : str
        What tells this run from the default one; "" and "quick" do not.

    Returns
    -------
    path : pathlib.Path

    Examples
    --------
    >>> default_path(Path("cubes"), "factors", "cifar10", "quick").name
    'factors-cifar10.nc'
    >>> default_path(Path("cubes"), "factors", "", "smoke").name
    'factors-smoke.nc'
    """
    return folder / ("-".join([study, *(part for part in parts if part not in ("", "quick"))]) + ".nc")


def report(cube, path, print_table, plot):
    """Say how a study came out: table, failures, files; and draw its figure beside the cube.

    Parameters
    ----------
    cube : xarray.Dataset
        As `run_study` returns it.
    path : pathlib.Path
        Of the cube.
    print_table : callable
        From a cube to lines on the terminal.
    plot : callable
        From a cube to a matplotlib figure.

    Raises
    ------
    SystemExit
        With code 1, if cells failed.
    """
    failed = cube.status.values == STATUS.index("failed")
    if not failed.all():
        print_table(cube)
        figure = path.with_suffix(".png")
        try:
            plot(cube).savefig(figure, dpi=110)
        except ModuleNotFoundError as error:
            figure = f"none: {error}; pip install 'invtransfer[plot]'"
        print(f"\nfigure  {figure}")
    print(f"cube    {path}")
    if failed.any():
        raise SystemExit(
            f"{failed.sum()} of {failed.size} places of the cube failed; the first: {cube.message.values[failed][0]}\n"
            "the same command tries them again; tracebacks are in the cells beside the cube"
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


def run_study(function, grid, coordinates, path, settings, *, title, jobs=None, threads=1):
    """Compute the cells that are not there yet, and assemble the cube.

    Parameters
    ----------
    function : callable
        Computes a cell; importable, or a `functools.partial` of such, so that other processes can be told to call it.
    grid : list of (dict, dict)
        For each place in the cube, its labels and the arguments of its cell. Places may share a cell.
    coordinates : dict of str to list, or to tuple of (dimension, list)
        Labels along each dimension of the cube, and further coordinates, as for `assemble`.
    path : path-like
        Of the cube. The cells go into the folder `path` with the suffix ".cells".
    settings : dict
        Of the study, all that the cells have in common; a cube of other settings at `path` is not touched.
    title : str
        Of the cube.
    jobs : int
        Number of processes; 1: no other than this one. None: one per CPU core, or 1 where there is a GPU.
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
    attributes = {"title": title} | provenance(settings) | {"threads": threads}  # now: the code may change meanwhile
    folder = path.with_suffix(".cells")
    check_writable(folder / "cell.nc")
    wanted = {cell_id(arguments): arguments for _, arguments in grid}
    cells = {name: _read_cell(folder / f"{name}.nc", arguments) for name, arguments in wanted.items()}
    todo = {name: wanted[name] for name, cell in cells.items() if cell is None or "message" in cell.attrs}
    try:
        _compute(function, todo, folder, jobs or default_jobs(), threads, len(wanted))
    except KeyboardInterrupt:
        n_done = sum((folder / f"{name}.nc").exists() for name in wanted)
        raise SystemExit(
            f"\ninterrupted: {n_done} of {len(wanted)} cells are in {folder}; the same command continues from there"
        ) from None
    cells |= {name: _read_cell(folder / f"{name}.nc", arguments) for name, arguments in todo.items()}
    points = [point for point, _ in grid]
    cube = assemble(points, [cells[cell_id(arguments)] for _, arguments in grid], coordinates)
    ids = np.full(cube.status.shape, "", dtype="<U16")
    for point, arguments in grid:
        ids[tuple(list(coordinates[dim]).index(point[dim]) for dim in cube.status.dims)] = cell_id(arguments)
    cube["cell"] = (cube.status.dims, ids, {"long_name": "name of the cell; places may share one", "units": "1"})
    cube = cube.assign_attrs(attributes)
    write(cube, path)
    return cube


def _check_same_study(path, settings, coordinates):
    """Refuse to write over a cube that this run does not contain."""
    if not path.exists():
        return
    there = read(path)
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
        if jobs == 1 or len(calls) < 2:
            before = torch.get_num_threads()
            torch.set_num_threads(threads)
            try:
                for call in calls:
                    compute_cell(*call)
                    bar.update()
            finally:
                torch.set_num_threads(before)
            return
        spawn = multiprocessing.get_context("spawn")
        executor = ProcessPoolExecutor(min(jobs, len(calls)), spawn, initializer=_start_worker, initargs=(threads,))
        try:
            for future in as_completed([executor.submit(compute_cell, *call) for call in calls]):
                future.result()
                bar.update()
        except BrokenProcessPool:
            raise RuntimeError(
                "a worker process died (out of memory?): the same command continues where it was"
            ) from None
        except BaseException:
            for process in multiprocessing.active_children():
                process.terminate()
            raise
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


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
        cell = xr.Dataset(attrs={"message": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()})
    else:
        seconds = {"long_name": "time to compute the cell", "units": "s"}
        cell["seconds"] = ((), time.perf_counter() - start, seconds)
    write(cell.assign_attrs(arguments=canonical(arguments), versions=canonical(versions())), path)
