"""From a grid to a cube: compute the cells that are missing, keep those that are there, and assemble them."""

import json
import sys
import time
import warnings
from concurrent.futures import CancelledError, as_completed
from functools import partial

import numpy as np
from filelock import FileLock
from tqdm import tqdm

from invtransfer.cubes.assembly import STATUS, assemble, format_place, make_cell
from invtransfer.cubes.cells import cell_id, cell_state, compute_cell, find_code, read_cell, stamp_of
from invtransfer.cubes.executors import (
    NotImportableError,
    WorkerLostError,
    check_importable,
    default_jobs,
    open_executor,
)
from invtransfer.cubes.files import read, write
from invtransfer.cubes.provenance import find_origin, make_attributes
from invtransfer.cubes.records import find_places, is_log, write_grid, write_log
from invtransfer.cubes.status import format_duration
from invtransfer.storage import check_writable, expand_path, format_json, replacing

UNDONE = ("missing", "failed")  # states of the cells that a run computes by default


def run_study(
    function, grid, coordinates, path, settings, *, title, long_names=None, attributes=None, finish=None, jobs=None,
    threads=1, scheduler=None, states=UNDONE, shard=(1, 1),
):  # fmt: skip
    """Compute the cells that are missing, and assemble the cube.

    Parameters
    ----------
    function : callable
        Function that computes a cell, see `compute_cell`, and returns a dataset, such as `make_cell` makes. A cell that
        exists is not computed again, even if the function has changed since; a warning says so if its file has changed.
        With more than one job, the function must be importable, or a `functools.partial` of such a function, so that
        other processes can be told to call it: no lambda, no function inside another, and none of a notebook.
    grid : list of (dict, dict) or (dict, dict, dict)
        For each place in the cube, its labels and the arguments of its cell; and, if only a part of the cell belongs
        there, the labels of this part along dimensions of the cell. Places may share a cell.
    coordinates : dict of str to list, or to tuple of (dimension, list)
        Labels along each dimension of the cube, and further coordinates, as in `assemble`.
    path : path-like
        Where the cube is written. The cells go into the folder `path` with the suffix ".cells", and a log into the file
        with the suffix ".log".
    settings : dict
        Settings that all cells have in common. A cube of other settings at `path` is not touched.
    title : str
        Title of the cube.
    long_names : dict of str to str
        For coordinates by name, a sentence that says what their labels are.
    attributes : dict of str to str
        Further attributes of the cube.
    finish : callable or None
        Function from the assembled cube to the one that is written, while no other run writes it. An error that it
        raises leaves the cube as it was.
    jobs, scheduler
        Where the cells are computed, see `open_executor`. The numbers do not depend on it. With one job, cells are
        computed in this process, and a cell that kills its process ends the run.
    threads : int
        Number of threads of each cell. Sums depend on how they are split over threads: with the same number of threads,
        the results are the same bit for bit, whatever computes them.
    states : sequence of str
        Which cells to compute: "missing", "failed".
    shard : tuple of (int, int)
        With (k, n), every n-th cell is computed, starting with the k-th. n runs, on any machines, then share the work.
        When a run ends, the cube holds all cells that are done by then, so the last run leaves it whole.

    Returns
    -------
    cube : xarray.Dataset
        The cube that was written. Cells that failed are marked, with their message.

    Raises
    ------
    OSError
        If `path` cannot be written, or a cell that is there cannot be opened, which is checked before anything is
        computed: no cell is computed again because the disk fails, or because it belongs to another user. Or if a cell
        cannot be written, in which case finished cells are kept.
    ValueError
        If `path` does not end in .nc, there is no such state, or `shard` is not (k, n) with k from 1 to n; if there is
        a cube of other settings or with labels that this grid lacks, or one with finished cells that neither are in the
        folder nor would be computed; or if the file with the name of the log is not a log.
        NotImportableError, a subclass of ValueError, if other processes cannot import `function`.
    ModuleNotFoundError
        If `scheduler` is given without dask.distributed.
    SystemExit
        With code 130 if the run is interrupted (Ctrl-C): finished cells are kept, and a line on standard error says how
        to go on.

    Warns
    -----
    UserWarning
        If cells that are there were computed with other versions, threads or code; or a file is damaged, or is another
        cell, and is computed again.

    Notes
    -----
    Any number of runs may work on the same `path` at the same time: each cell is computed by one of them.
    """
    path = expand_path(path)
    if path.suffix != ".nc":  # the cells (.cells) and the figure (.png) go beside it
        raise ValueError(f"cannot write {path}: the name of a cube ends in .nc")
    check_writable(path)
    folder, log = path.with_suffix(".cells"), path.with_suffix(".log")
    if log.exists() and not is_log(log) and not folder.exists():
        raise ValueError(
            f"{log} exists, and is not the log of a cube, which this run would add to it: choose another name for the"
            " cube, or move it away"
        )
    there = _read_same_study(path, settings, coordinates)
    check_writable(folder / "cell.nc")
    wanted = {cell_id(arguments): arguments for _, arguments, *_ in grid}
    cells = _read_cells(folder, wanted, function, threads)
    todo = _choose_cells(cells, states, shard)
    _check_nothing_lost(path, there, grid, cells, todo)
    if todo and scheduler is None and (jobs or default_jobs()) > 1:
        check_importable(function)
    write_grid(folder, grid, path.name)
    write_log(path, f"begins: {len(todo)} of {len(wanted)} cells to compute, with {format_json(find_origin(threads))}")
    failures = {name: cells[name] for name in todo}  # None: it has not been computed
    try:
        with open_executor(jobs, scheduler) as executor:
            n_ours = len(list(wanted)[shard[0] - 1 :: shard[1]])
            _compute(executor, function, {name: wanted[name] for name in todo}, failures, path, threads, n_ours)
    except KeyboardInterrupt:
        sys.stderr.write(f"\ninterrupted: {_count(folder, wanted)}\n")
        raise SystemExit(130) from None  # as shells count Ctrl-C
    except OSError as error:
        raise OSError(f"{error}; {_count(folder, wanted)}") from error
    with FileLock(folder / ".cube.lock"):  # in turn: the last of several runs sees all cells
        there = _read_same_study(path, settings, coordinates)
        for name, arguments in wanted.items():
            if cell_state(cells[name]) != "done":  # it may be done by now, here or by another run
                cells[name], _ = read_cell(folder / f"{name}.nc", arguments)
        _check_nothing_lost(path, there, grid, cells)
        cube, origins = _assemble_study(grid, cells, coordinates)
        for name, text in (long_names or {}).items():
            if name in cube.coords:
                cube[name].attrs |= {"long_name": text, "units": "1"}
        described = make_attributes(settings, origins or [find_origin(threads)])
        cube = cube.assign_attrs({"title": title} | described | (attributes or {}))
        cube = cube if finish is None else finish(cube)
        write(cube, path)
    counts = {state: int((cube.status == code).sum()) for code, state in enumerate(STATUS)}
    write_log(path, f"ends: places of the cube by state: {format_json(counts)}")
    return cube


def _choose_cells(cells, states, shard):
    """Return the names of the cells that a run computes, which are these states and this shard of all cells."""
    unknown = [state for state in states if state not in UNDONE]
    if unknown:
        raise ValueError(f"states is {list(states)}, expected some of: {', '.join(UNDONE)}")
    k, n = shard
    if not 1 <= k <= n:
        raise ValueError(f"shard is {k}/{n}, expected k/n with k from 1 to n")
    return [name for name in list(cells)[k - 1 :: n] if cell_state(cells[name]) in states]


def _read_cells(folder, wanted, function, threads):
    """Return all cells, None for those that are missing, and warn of files that this run would make differently."""
    cells, ours, code = {}, find_origin(threads), find_code(function)
    for name, arguments in wanted.items():
        cells[name], complaint = read_cell(folder / f"{name}.nc", arguments)
        if complaint:
            warnings.warn(f"{complaint}: the cell is computed again", stacklevel=3)
    others, earlier = {}, []
    for name, cell in cells.items():
        if cell is not None:
            theirs = json.loads(cell.attrs["origin"])
            for what in ("versions", "threads"):
                if theirs.get(what) != ours[what]:
                    others.setdefault(what, []).append(name)
            if code and cell_state(cell) == "done" and cell.attrs.get("code", code) not in ("", code):
                earlier.append(name)
    if earlier:
        warnings.warn(
            f"{len(earlier)} of the cells in {folder} were computed before the file of their function was changed, such"
            f" as {earlier[0]}.nc: if what it computes has changed, delete them to compute them again",
            stacklevel=3,
        )
    for what, names in others.items():
        warnings.warn(
            f"{len(names)} of the cells in {folder} were computed with other {what} than this run's, such as"
            f" {names[0]}.nc: delete them to compute them again",
            stacklevel=3,
        )
    return cells


def _assemble_study(grid, cells, coordinates):
    """Put the cells of a study in their places, and say there how their numbers came about.

    The cube has the variables `cell`, `arguments`, `part` (which part of the cell belongs there) and `origin` over the
    grid: positions in the list of origins that is returned beside the cube, or -1 where there is no cell.
    """
    texts = {name: cell.attrs["origin"] for name, cell in cells.items() if cell is not None}
    origins = sorted(set(texts.values()))
    points, parts, columns = [], [], []
    for point, arguments, *labels in grid:
        name, part = cell_id(arguments), labels[0] if labels else {}
        cell, origin = cells[name], origins.index(texts[name]) if name in texts else -1
        points.append(point)
        parts.append(cell.sel(part, drop=True) if cell_state(cell) == "done" else cell)
        described = {
            "cell": ((), name, "name of the cell; places may share one"),
            "arguments": ((), format_json(arguments), "arguments of the cell, as JSON"),
            "part": ((), format_json(part), "labels of the part of the cell, as JSON"),
            "origin": (
                (),
                np.int32(origin),
                "number, in the attribute origins, of what computed the cell; -1 if nothing has",
            ),
        }
        columns.append(make_cell(described))
    columns = assemble(points, columns, coordinates).drop_vars(["status", "message"])
    return assemble(points, parts, coordinates).assign(columns.data_vars), [json.loads(origin) for origin in origins]


def _compute(executor, function, todo, failures, path, threads, n_cells):
    """Compute cells, and show the progress; each writes its own file."""
    folder, code = path.with_suffix(".cells").absolute(), find_code(function)

    def more(name):
        return {"threads": threads, "failed": failures[name], "code": code}

    with tqdm(total=n_cells, initial=n_cells - len(todo), desc="cells", unit="cell", smoothing=0) as bar:
        while todo:
            calls = {
                name: partial(compute_cell, function, arguments, folder / f"{name}.nc", **more(name))
                for name, arguments in todo.items()
            }
            busy = []
            for name, future in _finished(executor, calls):
                outcome = _settle(future, todo[name], folder / f"{name}.nc", **more(name))
                if outcome["state"] == "busy":
                    busy.append(name)
                else:
                    write_log(path, _format_outcome(name, todo[name], outcome))
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
        if future.done():  # the executor makes calls at once
            yield name, future
        else:
            futures[future] = name
    for future in as_completed(futures):
        yield futures[future], future


def _settle(future, arguments, path, *, threads, failed, code):
    """Return the outcome of a call, and make sure that the cell's file is here."""
    try:
        outcome = future.result()
        if outcome["state"] == "busy":
            return outcome
    except (OSError, NotImportableError):
        raise
    except CancelledError as error:
        raise OSError("the scheduler is gone") from error
    except Exception as error:  # the call itself failed: its process died, or could not load the function
        return compute_cell(partial(_fail, str(error)), arguments, path, threads=threads, failed=failed, code=code)
    stamp = stamp_of(path)
    if stamp is None or (outcome["state"] == "done" and outcome["stamp"] != stamp):
        with replacing(path) as temporary:  # the cell was computed on a machine that does not share this folder
            temporary.write_bytes(outcome["file"])
    return outcome


def _format_outcome(name, arguments, outcome):
    """Format the outcome of a cell for the log: one line; after a failure also message, arguments and traceback."""
    text = f"cell {name} {outcome['state']} after {outcome['seconds']:.2f} s on {outcome['where']}"
    if outcome["state"] == "failed":
        text += f"\n{outcome['message']}\narguments: {format_json(arguments)}\n{outcome['traceback']}"
    return text


def _fail(message, /, **arguments):
    raise WorkerLostError(message)


def _count(folder, wanted):
    """Format how many cells there are when a run ends early."""
    n_there = sum((folder / f"{name}.nc").exists() for name in wanted)
    kept = f", and are kept in {folder}" if n_there else ""
    return f"{n_there} of {len(wanted)} cells have ended{kept}; the same command goes on"


def plan_study(grid, coordinates, path, settings, estimate, jobs=None, *, states=UNDONE, shard=(1, 1)):
    """Format which cells a study has, which of them are done, and how long the others will take; compute nothing.

    Parameters
    ----------
    grid, coordinates, path, settings
        As in `run_study`.
    estimate : callable
        Function from the arguments of a cell, given as keywords, to the seconds that the cell will take.
    jobs : int
        Number of processes. None: as in `run_study`.
    states, shard
        As in `run_study`.

    Returns
    -------
    text : str
        One line for each cell, with its state, its seconds (projected or taken) and its places; then the sum.

    Raises
    ------
    ValueError
        If there is a cube that `run_study` would refuse to overwrite, or `states` or `shard` is not as described.
    """
    path = expand_path(path)
    _read_same_study(path, settings, coordinates)
    wanted = {cell_id(arguments): arguments for _, arguments, *_ in grid}
    places = find_places(grid)
    folder = path.with_suffix(".cells")
    cells = {name: read_cell(folder / f"{name}.nc", arguments)[0] for name, arguments in wanted.items()}
    todo = _choose_cells(cells, states, shard)
    lines, counts, left = [], dict.fromkeys(STATUS, 0), 0.0
    for name, cell in cells.items():
        state = cell_state(cell)
        seconds = cell.attrs["seconds"] if state == "done" else estimate(**wanted[name])
        counts[state] += 1
        left += seconds if name in todo else 0
        word = {"missing": "to do"}.get(state, state) if name in todo or state == "done" else "left"
        lines.append(
            f"{word:<7}{format_duration(seconds):>9}  {'; '.join(format_place(place) for place in places[name])}"
        )
    n_jobs = max(1, min(jobs or default_jobs(), len(todo)))
    n_processes = "1 process" if n_jobs == 1 else f"{n_jobs} processes"
    lines += [
        "",
        f"{len(cells)} cells: {counts['done']} done, {counts['failed']} failed, {counts['missing']} missing;"
        f" {len(todo)} to do by this command",
        f"projected time for them: {format_duration(left)} of computing,"
        f" {format_duration(left / n_jobs)} with {n_processes}",
    ]
    return "\n".join(lines)


def _read_same_study(path, settings, coordinates):
    """Return the cube that is there, None if nothing would be lost; refuse other settings, and labels that we lack."""
    if not path.exists():
        return None
    there = read(path)
    if "status" in there and not (there.status == STATUS.index("done")).any():
        return None
    advice = "choose another --out, or move it away"
    theirs = json.loads(there.attrs.get("settings", "null"))
    ours = json.loads(format_json(settings))
    if theirs != ours:
        names = ours.keys() | theirs.keys() if isinstance(theirs, dict) else []
        differing = sorted(name for name in names if ours.get(name) != theirs.get(name))
        how = f"{', '.join(differing)} differ" if differing else "it has none"
        if differing and ours.keys() != theirs.keys():  # of another study, or of another version
            how = f"its title is {there.attrs.get('title', '')!r}; {how}"
        raise ValueError(f"{path} belongs to other settings ({how}): {advice}")
    for dim in there.status.dims:
        missing = [label for label in there[dim].values.tolist() if label not in coordinates[dim]]
        if missing:
            raise ValueError(
                f"{path} holds {dim} {missing}, which this run does not have: add them to this run, choose another"
                " --out (invtransfer merge makes one cube of both), or move it away"
            )
    return there


def _check_nothing_lost(path, there, grid, cells, todo=()):
    """Refuse to overwrite finished cells of a cube, if there is one, that this run neither has nor computes."""
    if there is None:
        return
    finished = there.status == STATUS.index("done")
    lost = []
    for point, arguments, *_ in grid:
        name = cell_id(arguments)
        if cell_state(cells[name]) != "done" and name not in todo and _is_in(point, there) and finished.sel(point):
            lost.append(format_place(point))
    if lost:
        raise ValueError(
            f"{path} holds {len(lost)} finished places whose cells are not in {path.with_suffix('.cells')}, such as"
            f" {lost[0]}: choose another --out, or compute them anew, too"
        )


def _is_in(point, cube):
    return all(label in cube[dim].values for dim, label in point.items())
