"""The list of cells and the log that a run leaves beside its cube."""

import json
import os
import re
import socket
from datetime import UTC, datetime
from pathlib import Path

from invtransfer.cubes.cells import cell_id
from invtransfer.storage import DamagedFileError, replacing

GRID = "grid.json"


def find_places(grid):
    """Find the places of the cube in which each cell belongs.

    Parameters
    ----------
    grid : list of (dict, dict) or (dict, dict, dict)
        Places, arguments and parts, as `run_study` takes them.

    Returns
    -------
    places : dict of str to list of dict
        Labels of each cell's places, by the cell's name.

    Examples
    --------
    >>> list(find_places([({"place": "x"}, {"seed": 0}), ({"place": "y"}, {"seed": 0})]).values())
    [[{'place': 'x'}, {'place': 'y'}]]
    """
    places = {}
    for labels, arguments, *_ in grid:
        places.setdefault(cell_id(arguments), []).append(labels)
    return places


def write_grid(folder, grid, cube):
    """Write the list of a study's cells beside them, so that a reader can see what is missing.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the cells.
    grid : list of (dict, dict) or (dict, dict, dict)
        Places, arguments and parts, as `run_study` takes them.
    cube : str
        Name of the cube's file.
    """
    by_name = {cell_id(arguments): arguments for _, arguments, *_ in grid}
    cells = {name: {"arguments": by_name[name], "places": places} for name, places in find_places(grid).items()}
    text = json.dumps({"cube": cube, "cells": cells}, indent=1, sort_keys=True)
    path = folder / GRID
    if not path.exists() or path.read_text() != text:
        with replacing(path) as temporary:
            temporary.write_text(text)


def read_grid(folder):
    """Read the list that `write_grid` wrote.

    Parameters
    ----------
    folder : path-like
        Folder of the cells.

    Returns
    -------
    arguments : dict of str to dict
        Arguments of each cell, by the cell's name.
    places : dict of str to list of dict
        Labels of each cell's places, by the cell's name.

    Raises
    ------
    DamagedFileError
        If the file is not such a list.
    """
    path = Path(folder, GRID)
    try:
        listed = json.loads(path.read_text())["cells"]
        places = {name: [dict(labels) for labels in cell["places"]] for name, cell in listed.items()}
        arguments = {name: cell["arguments"] for name, cell in listed.items()}
        wrong = [name for name in listed if name != cell_id(arguments[name])]
        if wrong:  # such a name could be the path of any file
            raise ValueError(f"{wrong[0]} is not the name of its cell")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedFileError(f"{path} is not a list of cells: {error!r}") from error
    return arguments, places


def is_log(path):
    """Tell whether a file is a log, by how it begins.

    Parameters
    ----------
    path : pathlib.Path
        Any file.

    Returns
    -------
    is_log : bool
    """
    with path.open("rb") as file:
        return bool(re.match(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \S", file.read(30)))


def write_log(path, text):
    """Append an entry to the log of a study.

    Parameters
    ----------
    path : pathlib.Path
        Path of the cube; the log is beside it, with the suffix ".log". Runs that share a log write in turn.
    text : str
        The entry. Its second and further lines are indented.
    """
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    entry = f"{now} {socket.gethostname()} {os.getpid()} " + text.strip().replace("\n", "\n    ") + "\n"
    with open(path.with_suffix(".log"), "ab") as file:  # a single write to the end of the file
        file.write(entry.encode())
