"""Grid to cells to executor: compute what of a study is not there, lose nothing that is, and assemble the cube."""

import json
import time
import warnings
from concurrent.futures import CancelledError, as_completed
from functools import partial
from pathlib import Path

import numpy as np
from filelock import FileLock
from tqdm import tqdm

from invtransfer.cubes.cells import cell_id, cell_state, compute_cell, read_cell
from invtransfer.cubes.executors import WorkerLostError, default_jobs, open_executor
from invtransfer.cubes.files import STATUS, assemble, read, say_place, write
from invtransfer.cubes.provenance import describe_run, find_origin
from invtransfer.cubes.status import describe_outcome, find_places, say_duration, write_grid, write_log
from invtransfer.storage import canonical, check_writable, replacing

UNDONE = ("missing", "failed")  # states of cells that are computed if nobody chooses


def run_study(
    function, grid, coordinates, path, settings, *, title, attributes=None, jobs=None, threads=1, scheduler=None,
    states=UNDONE, shard=(1, 1),
):  # fmt: skip
    """Compute the cells that are not there yet, and assemble the cube.

    Parameters
    ----------
    function : callable
        Computes a cell, see `compute_cell`; importable, or a `functools.partial` of such, so that other processes can
        be told to call it.
    grid : list of (dict, dict) or (dict, dict, dict)
        For each place in the cube, its labels and the arguments of its cell; and, if only a part of the cell belongs
        there, the labels of this part along dimensions of the cell. Places may share a cell.
    coordinates : dict of str to list, or to tuple of (dimension, list)
        Labels along each dimension of the cube, and further coordinates, as for `assemble`.
    path : path-like
        Of the cube. The cells go into the folder `path` with the suffix ".cells", a log into that with ".log".
    settings : dict
        Of the study, all that the cells have in common; a cube of other settings at `path` is not touched.
    title : str
        Of the cube.
    attributes : dict of str to str
        Further attributes of the cube.
    jobs, scheduler
        What computes, see `open_executor`. The numbers do not depend on it. In this process alone (`jobs` 1), a cell
        that kills its process ends the study.
    threads : int
        Of each cell. Sums depend on how they are split over threads: with the same number, the numbers are the same
        bit for bit, whatever computes them.
    states : sequence of str
        Which cells to compute: "missing", "failed".
    shard : tuple of (int, int)
        (k, n): compute every n-th cell only, from the k-th on. n runs, on any machines, then share the work; the cube
        holds what is there when each ends, so that the last one's is whole.

    Returns
    -------
    cube : xarray.Dataset
        As written. Cells that failed are marked, with their message.

    Raises
    ------
    OSError
        If `path` cannot be written; nothing has been computed then. If a cell cannot be written: finished ones are
        kept.
    ValueError
        If `path` does not end in .nc, there is a cube of other settings or with labels that this grid lacks, or one
        with finished cells that neither are in the folder nor would be computed.
    ModuleNotFoundError
        If `scheduler` is given without dask.distributed.
    SystemExit
        If interrupted (Ctrl-C): finished cells are kept, and the message says how to go on.

    Notes
    -----
    Any number of runs may work on the same `path` at the same time: each cell is computed by one of them.
    """
    path = Path(path)
    if path.suffix != ".nc":  # beside it go the cells (.cells) and the figure (.png)
        raise ValueError(f"cannot write {path}: the name of a cube ends in .nc")
    check_writable(path)
    _check_same_study(path, settings, coordinates)
    folder = path.with_suffix(".cells")
    check_writable(folder / "cell.nc")
    wanted = {cell_id(arguments): arguments for _, arguments, *_ in grid}
    cells = _read_cells(folder, wanted, threads)
    todo = choose_cells(cells, states, shard)
    _check_nothing_lost(path, grid, cells, todo)
    write_grid(folder, grid, path.name)
    write_log(path, f"begins: {len(todo)} of {len(wanted)} cells to compute, with {canonical(find_origin(threads))}")
    again = {name for name in todo if cell_state(cells[name]) == "failed"}
    try:
        with open_executor(jobs, scheduler) as executor:
            _compute(executor, function, {name: wanted[name] for name in todo}, again, path, threads, len(wanted))
    except KeyboardInterrupt:
        raise SystemExit(f"\ninterrupted: {_count(folder, wanted)}") from None
    except OSError as error:
        raise OSError(f"{error}; {_count(folder, wanted)}") from error
    with FileLock(folder / ".cube.lock"):  # in turn: the last of several runs sees all cells
        _check_same_study(path, settings, coordinates)
        cells = {name: read_cell(folder / f"{name}.nc", arguments)[0] for name, arguments in wanted.items()}
        _check_nothing_lost(path, grid, cells)
        cube, origins = assemble_study(grid, cells, coordinates)
        described = describe_run(settings, origins or [find_origin(threads)])
        cube = cube.assign_attrs({"title": title} | described | (attributes or {}))
        write(cube, path)
    counts = {state: int((cube.status == code).sum()) for code, state in enumerate(STATUS)}
    write_log(path, f"ends: places of the cube by state: {canonical(counts)}")
    return cube


def choose_cells(cells, states=UNDONE, shard=(1, 1)):
    """Return the names of the cells that a run computes.

    Parameters
    ----------
    cells : dict of str to xarray.Dataset or None
        All cells of the study by name, see `read_cell`.
    states, shard
        As for `run_study`.

    Returns
    -------
    names : list of str

    Raises
    ------
    ValueError
        If there is no such state, or `shard` is not (k, n) with k from 1 to n.

    Examples
    --------
    >>> choose_cells({"a": None, "b": None, "c": None}, shard=(1, 2))
    ['a', 'c']
    """
    unknown = [state for state in states if state not in UNDONE]
    if unknown:
        raise ValueError(f"states is {list(states)}, expected some of: {', '.join(UNDONE)}")
    k, n = shard
    if not 1 <= k <= n:
        raise ValueError(f"shard is {k}/{n}, expected a number from 1 to {n}, and how many there are")
    return [name for name in list(cells)[k - 1 :: n] if cell_state(cells[name]) in states]


def _read_cells(folder, wanted, threads):
    """Return all cells that are there, None for others, and warn of those that are not as this run would make them."""
    cells, ours = {}, find_origin(threads)
    for name, arguments in wanted.items():
        cells[name], complaint = read_cell(folder / f"{name}.nc", arguments)
        if complaint:
            warnings.warn(f"{complaint}: the cell is computed again", stacklevel=3)
    others = {}
    for name, cell in cells.items():
        if cell is not None:
            theirs = json.loads(cell.attrs["origin"])
            for what in ("versions", "threads"):
                if theirs.get(what) != ours[what]:
                    others.setdefault(what, []).append(name)
    for what, names in others.items():
        warnings.warn(
            f"{len(names)} of the cells in {folder} were computed with other {what} than this run's, such as"
            f" {names[0]}.nc: delete them to do them again",
            stacklevel=3,
        )
    return cells


def assemble_study(grid, cells, coordinates):
    """Put the cells of a study in their places, and say for each place what is there.

    Parameters
    ----------
    grid, coordinates
        As for `run_study`.
    cells : dict of str to xarray.Dataset or None
        By name, see `read_cell`.

    Returns
    -------
    cube : xarray.Dataset
        As of `assemble`, and over the grid `cell`, `arguments`, `part` (what of the cell belongs there) and `origin`.
    origins : list of dict
        What computed the cells; `origin` counts in it, from 0, and is -1 where there is no cell.
    """
    names = [cell_id(arguments) for _, arguments, *_ in grid]
    parts = [_part(cells[name], *labels) for name, (_, _, *labels) in zip(names, grid, strict=True)]
    cube = assemble([point for point, *_ in grid], parts, coordinates)
    texts = {name: cell.attrs["origin"] for name, cell in cells.items() if cell is not None}
    origins = sorted(set(texts.values()))
    columns = {  # dtype, text, and value for each place
        "cell": ("U16", "name of the cell; places may share one", names),
        "arguments": (str, "arguments of the cell, as JSON", [canonical(arguments) for _, arguments, *_ in grid]),
        "part": (str, "labels of the part of the cell, as JSON", [canonical(*(more or [{}])) for _, _, *more in grid]),
        "origin": ("i4", "number, in the attribute origins, of what computed the cell; -1 if nothing has",
                   [origins.index(texts[name]) if name in texts else -1 for name in names]),
    }  # fmt: skip
    dims = cube.status.dims
    numbers = {dim: {label: i for i, label in enumerate(cube[dim].values.tolist())} for dim in dims}
    places = tuple(np.array([[numbers[dim][point[dim]] for dim in dims] for point, *_ in grid]).T)
    for name, (dtype, text, values) in columns.items():
        blank = np.full(cube.status.shape, -1 if dtype == "i4" else "", object)
        blank[places] = values
        cube[name] = (dims, blank.astype(dtype), {"long_name": text, "units": "1"})
    return cube, [json.loads(origin) for origin in origins]


def _part(cell, labels=None):
    """Return what of a cell belongs in one place of the cube."""
    if cell_state(cell) != "done":
        return cell
    return cell.sel(labels or {}, drop=True)


def _compute(executor, function, todo, again, path, threads, n_cells):
    """Compute cells, and show the progress; each writes its own file."""
    folder = path.with_suffix(".cells").absolute()
    with tqdm(total=n_cells, initial=n_cells - len(todo), desc="cells", unit="cell", smoothing=0) as bar:
        while todo:
            calls = {
                name: partial(
                    compute_cell, function, arguments, folder / f"{name}.nc", threads=threads, again=name in again
                )
                for name, arguments in todo.items()
            }
            busy = []
            for name, future in _finished(executor, calls):
                outcome = _settle(future, todo[name], folder / f"{name}.nc", threads)
                if outcome["state"] == "busy":
                    busy.append(name)
                else:
                    write_log(path, describe_outcome(name, todo[name], outcome))
                    bar.update()
            todo = {name: todo[name] for name in busy}
            if busy:
                bar.set_postfix_str(f"{len(busy)} computed by another run")
                time.sleep(1)


def _finished(executor, calls):
    """Make calls, and yield the name and the future of each that has finished."""
    futures = {}
    for name, call in calls.items():
        future = executor.submit(call)
        if future.done():  # by an executor that makes calls at once
            yield name, future
        else:
            futures[future] = name
    for future in as_completed(futures):
        yield futures[future], future


def _settle(future, arguments, path, threads):
    """Return the outcome of a call, and see to it that the cell's file is here."""
    try:
        outcome = future.result()
        if outcome["state"] == "busy":
            return outcome
    except OSError:
        raise
    except CancelledError as error:
        raise OSError("the scheduler is gone") from error
    except Exception as error:  # the call itself came to nothing: its process died, or could not load the function
        return compute_cell(partial(_fail, str(error)), arguments, path, threads=threads, again=True)
    here = path.read_bytes() if path.exists() else None
    if here is None or (outcome["state"] == "done" and outcome["file"] != here):
        with replacing(path) as temporary:  # it was computed on a machine that does not share this folder
            temporary.write_bytes(outcome["file"])
    return outcome


def _fail(message, **arguments):
    raise WorkerLostError(message)


def _count(folder, wanted):
    """Say what is there when a run ends early."""
    n_there = sum((folder / f"{name}.nc").exists() for name in wanted)
    return f"{n_there} of {len(wanted)} cells are in {folder}; the same command continues from there"


def plan_study(grid, coordinates, path, settings, estimate, jobs=None, *, states=UNDONE, shard=(1, 1)):
    """Say which cells a study has, which are there, and how long the others will take; compute nothing.

    Parameters
    ----------
    grid, coordinates, path, settings
        As for `run_study`.
    estimate : callable
        From the arguments of a cell to the seconds it will take.
    jobs : int
        Number of processes; None: as for `run_study`.
    states, shard
        As for `run_study`.

    Returns
    -------
    text : str
        One line per cell: state, seconds projected or taken, and its places; then the sum.

    Raises
    ------
    ValueError
        If there is a cube that `run_study` would refuse to write over, or `states` or `shard` is not as described.
    """
    path = Path(path)
    _check_same_study(path, settings, coordinates)
    wanted = {cell_id(arguments): arguments for _, arguments, *_ in grid}
    places = find_places(grid)
    folder = path.with_suffix(".cells")
    cells = {name: read_cell(folder / f"{name}.nc", arguments)[0] for name, arguments in wanted.items()}
    todo = choose_cells(cells, states, shard)
    lines, counts, left = [], dict.fromkeys(STATUS, 0), 0.0
    for name, cell in cells.items():
        state = cell_state(cell)
        seconds = cell.attrs["seconds"] if state == "done" else estimate(wanted[name])
        counts[state] += 1
        left += seconds if name in todo else 0
        word = {"missing": "to do"}.get(state, state) if name in todo or state == "done" else "left"
        lines.append(f"{word:<7}{say_duration(seconds):>9}  {'; '.join(say_place(place) for place in places[name])}")
    n_jobs = max(1, min(jobs or default_jobs(), len(todo)))
    n_processes = "1 process" if n_jobs == 1 else f"{n_jobs} processes"
    lines += [
        "",
        f"{len(cells)} cells: {counts['done']} done, {counts['failed']} failed, {counts['missing']} missing;"
        f" {len(todo)} to do by this command",
        f"projected time for them: {say_duration(left)} of computing, {say_duration(left / n_jobs)} with {n_processes}",
    ]
    return "\n".join(lines)


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


def _check_nothing_lost(path, grid, cells, todo=()):
    """Refuse to write over finished cells of a cube that this run neither has nor computes."""
    if not path.exists():
        return
    there = read(path)
    finished = there.status == STATUS.index("done")
    lost = []
    for point, arguments, *_ in grid:
        name = cell_id(arguments)
        if cell_state(cells[name]) != "done" and name not in todo and _is_in(point, there) and finished.sel(point):
            lost.append(say_place(point))
    if lost:
        raise ValueError(
            f"{path} holds {len(lost)} finished places whose cells are not in {path.with_suffix('.cells')}, such as"
            f" {lost[0]}: choose another --out, or compute them anew, too"
        )


def _is_in(point, cube):
    return all(label in cube[dim].values for dim, label in point.items())
