"""How far a study is: which cells are done, running, failed or missing, and how long the rest will take."""

from contextlib import suppress
from statistics import median

from invtransfer.cubes.assembly import STATUS, check_study_cube, format_place
from invtransfer.cubes.cells import cell_state, hold_lock, lock_path, read_cell
from invtransfer.cubes.files import read
from invtransfer.cubes.records import GRID, read_grid
from invtransfer.storage import expand_path

STATES = ("done", "running", "failed", "missing", "unreadable")
N_LISTED = 10  # number of cells of one state that are listed


def format_duration(seconds):
    """Format a duration in the unit that fits.

    Parameters
    ----------
    seconds : float
        The duration.

    Returns
    -------
    text : str

    Examples
    --------
    >>> format_duration(8), format_duration(1000), format_duration(10_000), format_duration(1e6)
    ('8 s', '17 min', '2.8 h', '11.6 days')
    """
    for limit, size, unit, digits in ((120, 1, "s", 0), (7200, 60, "min", 0), (172_800, 3600, "h", 1)):
        if seconds < limit:
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds / 86_400:.1f} days"


def format_status(path):
    """Format how far a study is: cells by state, what failed and why, seconds per cell, and time left.

    Parameters
    ----------
    path : path-like
        Path of a cube, which need not exist yet, of the folder of its cells (".cells"), or of a folder of cubes, which
        gives one line for each of them.

    Returns
    -------
    text : str

    Raises
    ------
    FileNotFoundError
        If there is no such path.
    ValueError
        If it is neither a study's cube nor a folder of cells or cubes; a damaged file is named.
    """
    path = expand_path(path)
    if not path.exists() and not path.with_suffix(".cells").exists():
        raise FileNotFoundError(f"{path} does not exist")
    if path.is_dir() and path.suffix != ".cells":
        names = sorted({file.stem for file in path.iterdir() if file.suffix in (".nc", ".cells")})
        if not names:
            raise ValueError(f"{path} holds no cubes (.nc) and no cells (.cells)")
        return "\n".join(f"{name:<32}{_format_summary(path / f'{name}.nc')}" for name in names)
    if path.is_file() and path.suffix != ".nc":
        raise ValueError(f"{path} is neither a cube (.nc), nor a folder of cells (.cells) or of cubes")
    cube = path.with_suffix(".nc")
    states, places, seconds, messages = _look(cube)
    lines = [f"{cube}", f"cells      {_format_counts(states)}", *_format_times(states, seconds)]
    for state in ("running", "missing", "failed", "unreadable"):
        names = [name for name in states if states[name] == state]
        for name in names[:N_LISTED]:
            where = " and ".join(format_place(labels) for labels in places[name])
            lines.append(f"{state:<11}{where}{messages.get(name, '')}")
        if len(names) > N_LISTED:
            lines.append(f"{'':<11}and {len(names) - N_LISTED} more {state}")
    if "failed" in states.values():
        log = cube.with_suffix(".log")
        lines.append(
            f"{f'tracebacks are in {log}; ' * log.exists()}the command that made the cube tries these cells again"
        )
    return "\n".join(lines)


def _format_times(states, seconds):
    if not seconds:
        return []
    spread = f"median of {len(seconds)}; {format_duration(min(seconds))} to {format_duration(max(seconds))}"
    lines = [
        f"time       {format_duration(median(seconds))} per cell ({spread}), {format_duration(sum(seconds))} in all"
    ]
    n_left = sum(state in ("missing", "running") for state in states.values())
    if n_left:
        n_workers = sum(state == "running" for state in states.values())
        left = format_duration(n_left * sum(seconds) / len(seconds) / max(1, n_workers))
        who = f"with {n_workers} at work" if n_workers else "of one process (none is at work)"
        lines.append(f"time left  about {left} {who}, if the rest is like what is done")
    return lines


def _format_summary(cube):
    try:
        return _format_counts(_look(cube)[0])
    except (OSError, ValueError) as error:
        return str(error)


def _format_counts(states):
    counts = {state: list(states.values()).count(state) for state in STATES}
    return f"{len(states)}: " + ", ".join(f"{n} {state}" for state, n in counts.items() if n)


def _look(cube):
    """Return state and places of each cell by its name, seconds of cells done, and messages of cells failed."""
    folder = cube.with_suffix(".cells")
    if (folder / GRID).exists():
        return _look_at_cells(folder)
    if not cube.exists():
        raise ValueError(f"{folder} holds no {GRID}: no run has begun there")
    return _look_at_cube(cube)


def _look_at_cells(folder):
    arguments, places = read_grid(folder)
    states, seconds, messages = {}, [], {}
    for name in arguments:
        path = folder / f"{name}.nc"
        try:
            cell, _ = read_cell(path, arguments[name])
        except OSError as error:  # it may be done: another user's, for example
            states[name], messages[name] = "unreadable", f": {error}"
            continue
        states[name] = cell_state(cell)
        if states[name] == "done":
            seconds.append(float(cell.attrs["seconds"]))
            continue
        if states[name] == "failed":
            messages[name] = f": {cell.attrs['message']}"
        if lock_path(path).exists():
            # another user's: whether it runs cannot be seen
            with suppress(PermissionError), hold_lock(path) as held:
                states[name] = states[name] if held else "running"
    return states, places, seconds, {name: text for name, text in messages.items() if states[name] != "running"}


def _look_at_cube(path):
    cube = read(path)
    check_study_cube(cube, path)
    states, places, seconds, messages = {}, {}, {}, {}
    for place, code in cube.status.to_series().items():
        labels = dict(zip(cube.status.dims, place if isinstance(place, tuple) else (place,), strict=True))
        name = str(cube.cell.sel(labels).item()) if "cell" in cube else format_place(labels)
        states[name] = STATUS[code]
        places.setdefault(name, []).append(labels)
        if states[name] == "failed":
            messages[name] = f": {cube.message.sel(labels).item()}"
        elif states[name] == "done" and "seconds" in cube:  # in cubes of the first version
            seconds[name] = float(cube.seconds.sel(labels))
    return states, places, list(seconds.values()), messages
