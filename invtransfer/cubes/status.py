"""How far a study is: the list of its cells, its log, and what is done, failed and left, in words."""

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from invtransfer.cubes.cells import cell_id, cell_state, claim, lock_path, read_cell
from invtransfer.cubes.files import STATUS, read, say_place
from invtransfer.storage import DamagedFileError, canonical, replacing

GRID = "grid.json"


def find_places(grid):
    """Return where in the cube each cell belongs.

    Parameters
    ----------
    grid : list of (dict, dict) or (dict, dict, dict)
        As for `run_study`.

    Returns
    -------
    places : dict of str to list of dict
        For the name of each cell, the labels of its places.

    Examples
    --------
    >>> list(find_places([({"place": "x"}, {"seed": 0}), ({"place": "y"}, {"seed": 0})]).values())
    [[{'place': 'x'}, {'place': 'y'}]]
    """
    places = {}
    for labels, arguments, *_ in grid:
        places.setdefault(cell_id(arguments), []).append(labels)
    return places


def say_duration(seconds):
    """Say a time in the unit that fits.

    Parameters
    ----------
    seconds : float
        How long it is.

    Returns
    -------
    text : str

    Examples
    --------
    >>> say_duration(8), say_duration(1000), say_duration(10_000), say_duration(1e6)
    ('8 s', '17 min', '2.8 h', '11.6 days')
    """
    for limit, size, unit, digits in ((120, 1, "s", 0), (7200, 60, "min", 0), (172_800, 3600, "h", 1)):
        if seconds < limit:
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds / 86_400:.1f} days"


def write_grid(folder, grid, cube):
    """List the cells of a study beside them, so that one can see what is missing.

    Parameters
    ----------
    folder : pathlib.Path
        Of the cells.
    grid
        As for `run_study`.
    cube : str
        Name of the cube's file.
    """
    arguments = {cell_id(of_cell): of_cell for _, of_cell, *_ in grid}
    cells = {name: {"arguments": arguments[name], "places": places} for name, places in find_places(grid).items()}
    text = json.dumps({"cube": cube, "cells": cells}, indent=1, sort_keys=True)
    path = folder / GRID
    if not path.exists() or path.read_text() != text:
        with replacing(path) as temporary:
            temporary.write_text(text)


def write_log(path, text):
    """Add to the log of a study.

    Parameters
    ----------
    path : pathlib.Path
        Of the cube; the log is beside it, with the suffix ".log". Runs that share it write in turn.
    text : str
        What to say; further lines are indented.
    """
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    entry = f"{now} {socket.gethostname()} {os.getpid()} " + text.strip().replace("\n", "\n    ") + "\n"
    with open(path.with_suffix(".log"), "ab") as file:  # one write to its end
        file.write(entry.encode())


def describe_outcome(name, arguments, outcome):
    """Say in the log how a cell came out.

    Parameters
    ----------
    name : str
        Of the cell.
    arguments : dict
        Of the cell.
    outcome : dict
        As of `compute_cell`.

    Returns
    -------
    text : str
        A failure has its message and traceback below.
    """
    text = f"cell {name} {outcome['state']} after {outcome['seconds']:.2f} s on {outcome['where']}"
    if outcome["state"] == "failed":
        text += f"\n{outcome['message']}\narguments: {canonical(arguments)}\n{outcome['traceback']}"
    return text


def describe_progress(path):
    """Say how far a study is: cells by state, what failed and why, seconds per cell, and time left.

    Parameters
    ----------
    path : path-like
        Of a cube, which need not be there yet, of the folder of its cells (".cells"), or of a folder of cubes: one line
        for each of them.

    Returns
    -------
    text : str

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is neither cube nor folder of cells, or holds none; a damaged file is named.
    """
    path = Path(path)
    if not path.exists() and not path.with_suffix(".cells").exists():
        raise FileNotFoundError(f"{path} does not exist")
    if path.is_dir() and path.suffix != ".cells":
        names = sorted({file.stem for file in path.iterdir() if file.suffix in (".nc", ".cells")})
        if not names:
            raise ValueError(f"{path} holds no cubes (.nc) and no cells (.cells)")
        return "\n".join(f"{name:<32}{_summary(path / f'{name}.nc')}" for name in names)
    cube = path.with_suffix(".nc")
    states, places, seconds, messages = _look(cube)
    lines = [f"{cube}", f"cells      {_say_counts(states)}"]
    if seconds:
        lines.append(
            f"time       {say_duration(median(seconds))} per cell (median of {len(seconds)};"
            f" {say_duration(min(seconds))} to {say_duration(max(seconds))}), {say_duration(sum(seconds))} in all"
        )
    n_left = sum(state in ("missing", "running") for state in states.values())
    if n_left and seconds:
        n_workers = max(1, sum(state == "running" for state in states.values()))
        left = n_left * sum(seconds) / len(seconds) / n_workers
        lines.append(
            f"time left  about {say_duration(left)} with {n_workers} at work, if the rest is like what is done"
        )
    for state in ("running", "missing", "failed"):
        names = [name for name in states if states[name] == state]
        for name in names[:10]:
            lines.append(f"{state:<11}{' and '.join(places[name])}{messages.get(name, '')}")
        if len(names) > 10:
            lines.append(f"{'':<11}and {len(names) - 10} more {state}")
    if messages:
        lines.append(f"tracebacks are in {cube.with_suffix('.log')}; --only failed tries these cells again")
    return "\n".join(lines)


def _summary(cube):
    try:
        return _say_counts(_look(cube)[0])
    except ValueError as error:
        return str(error)


def _say_counts(states):
    counts = {state: list(states.values()).count(state) for state in ("done", "running", "failed", "missing")}
    return f"{len(states)}: " + ", ".join(f"{n} {state}" for state, n in counts.items() if n)


def _look(cube):
    """Return states, places, seconds (of those done) and messages (of those failed) of cells, by name."""
    folder = cube.with_suffix(".cells")
    if (folder / GRID).exists():
        return _look_at_cells(folder)
    if not cube.exists():
        raise ValueError(f"{folder} holds no {GRID}: no run has begun there")
    return _look_at_cube(cube)


def _look_at_cells(folder):
    try:
        listed = json.loads((folder / GRID).read_text())["cells"]
        places = {name: [say_place(labels) for labels in cell["places"]] for name, cell in listed.items()}
        arguments = {name: cell["arguments"] for name, cell in listed.items()}
        others = [name for name in listed if name != cell_id(arguments[name])]
        if others:  # a name that is no cell's could be that of any file
            raise ValueError(f"{others[0]} is not the name of its cell")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedFileError(f"{folder / GRID} is not a list of cells: {error!r}") from error
    states, seconds, messages = {}, [], {}
    for name in listed:
        path = folder / f"{name}.nc"
        cell, _ = read_cell(path, arguments[name])
        states[name] = cell_state(cell)
        if states[name] == "done":
            seconds.append(float(cell.attrs["seconds"]))
            continue
        if states[name] == "failed":
            messages[name] = f": {cell.attrs['message']}"
        if lock_path(path).exists():
            with claim(path) as claimed:
                states[name] = states[name] if claimed else "running"
    return states, places, seconds, {name: text for name, text in messages.items() if states[name] == "failed"}


def _look_at_cube(path):
    cube = read(path)
    if "status" not in cube:
        raise ValueError(f"{path} has no variable 'status': it is not a study's cube")
    states, places, seconds, messages = {}, {}, {}, {}
    for place, code in cube.status.to_series().items():
        labels = dict(zip(cube.status.dims, place if isinstance(place, tuple) else (place,), strict=True))
        name = str(cube.cell.sel(labels).item()) if "cell" in cube else say_place(labels)
        states[name] = STATUS[code]
        places.setdefault(name, []).append(say_place(labels))
        if states[name] == "failed":
            messages[name] = f": {cube.message.sel(labels).item()}"
        elif states[name] == "done" and "seconds" in cube:  # in cubes of the first version
            seconds[name] = float(cube.seconds.sel(labels))
    return states, places, list(seconds.values()), messages
