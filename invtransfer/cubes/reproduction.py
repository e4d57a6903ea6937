"""One cell of a cube computed again, from what the cube says of it, and compared bit for bit."""

import importlib.util
import json
import re
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from invtransfer.cubes.cells import cell_id, cell_state, compute_cell, read_cell
from invtransfer.cubes.files import STATUS, say_place
from invtransfer.cubes.provenance import find_origin

STUDIES = Path(__file__).resolve().parent.parent / "studies"


def find_place(cube, labels):
    """Find a place of a cube.

    Parameters
    ----------
    cube : xarray.Dataset
        Of a study.
    labels : dict of str to str
        Along each dimension of the grid, as one would type them; those of which there is one only may be left out.

    Returns
    -------
    place : dict
        The labels as the cube has them.

    Raises
    ------
    ValueError
        If it is no study's cube, has no labels or one twice, a dimension or label is not in it, or one is missing.

    Examples
    --------
    >>> import xarray as xr
    >>> status = ("seed", np.ones(2, "int8"))
    >>> find_place(xr.Dataset({"status": status}, {"seed": [0, 1]}), {"seed": "1"})
    {'seed': 1}
    """
    if "status" not in cube:
        raise ValueError("the cube has no variable 'status': it is not a study's")
    dims = cube.status.dims
    unknown = [name for name in labels if name not in dims]
    if unknown:
        raise ValueError(f"cell has {unknown[0]!r}, expected the dimensions of the cube: {', '.join(map(str, dims))}")
    place = {}
    for dim in dims:
        labels_there = cube[dim].values.tolist()
        there = {str(label): label for label in labels_there}
        if len(there) < max(1, len(labels_there)):
            raise ValueError(f"the cube has {dim} {labels_there}, expected labels, each once")
        if dim not in labels and len(there) > 1:
            raise ValueError(f"cell lacks {dim}, expected one of: {', '.join(f'{dim}={label}' for label in there)}")
        label = labels.get(dim, next(iter(there)))
        if label not in there:
            raise ValueError(f"cell has {dim}={label}, expected one of: {', '.join(there)}")
        place[dim] = there[label]
    return place


def reproduce(cube, labels, *, studies=STUDIES, objects=None, data=None):
    """Compute the cell at one place of a cube again, and compare it with what the cube holds.

    Parameters
    ----------
    cube : xarray.Dataset
        As a study writes it.
    labels : dict of str to str
        The place, see `find_place`.
    studies : path-like
        Folder of the study scripts. The cube says the name of its script, never where it is.
    objects, data : path-like or None
        Where pictures and CIFAR are, as for the study; None: procedural pictures, and ``data/sets`` beside `studies`.

    Returns
    -------
    text : str
        What was compared, and how it came out; if numbers differ, which versions, threads or machines do.
    identical : bool
        Whether all values agree bit for bit.

    Raises
    ------
    ValueError
        If there is no such place, no finished cell there, or the cube does not say how it was computed; if objects are
        others than the cube's.
    FileNotFoundError
        If there is no such study.
    OSError, ImportError
        If its data are not there.
    """
    place = find_place(cube, labels)
    missing = [name for name in ("arguments", "part", "origin", "cell") if name not in cube]
    if missing or "study" not in cube.attrs or "settings" not in cube.attrs:
        raise ValueError("the cube does not say how its cells were computed: it is of an earlier version")
    there = cube.sel(place)
    state = STATUS[int(there.status)]
    if state != "done":
        raise ValueError(f"the cell at {say_place(place)} is {state}: there is nothing to compare with")
    arguments, part = (_load(there[name].item(), f"{name} at {say_place(place)}") for name in ("arguments", "part"))
    origin = _find_origin_of(there, cube.attrs.get("origins", "[]"))
    if cell_id(arguments) != there.cell.item():
        raise ValueError(f"the arguments at {say_place(place)} are not those of cell {there.cell.item()}")
    function = _find_function(cube.attrs, Path(studies), objects, data)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cell.nc"
        compute_cell(function, arguments, path, threads=origin["threads"])
        cell, _ = read_cell(path, arguments)
    if cell_state(cell) == "failed":
        return f"the cell at {say_place(place)} failed here: {cell.attrs['message']}\n{_differ(origin)}", False
    try:
        here = cell.sel(part, drop=True)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"part at {say_place(place)} is {part!r}, which the cell lacks") from error
    lines = []
    for name, variable in here.data_vars.items():
        if name not in there:
            lines.append(f"  {name}: not in the cube")
        elif not _same(variable.values, there[name].values):
            lines.append(f"  {name}: {_say(there[name].values)} there, {_say(variable.values)} here")
    where = f"the cell at {say_place(place)}, with {len(here.data_vars)} variables"
    if not lines:
        return f"{where}, is reproduced bit for bit\n{_differ(origin)}", True
    return "\n".join([f"{where}, is not reproduced:", *lines, _differ(origin)]), False


def _find_origin_of(cell, text):
    """Return what computed a cell, in which all is there that is compared."""
    origins, number = _load(text, "origins"), int(cell.origin)
    try:
        origin = {name: origins[number][name] for name in find_origin(1)}
    except (LookupError, TypeError) as error:
        raise ValueError(f"origins of the cube name no number {number}, which computed the cell") from error
    threads = origin["threads"]
    if not isinstance(threads, int) or not 1 <= threads <= 1024:
        raise ValueError(f"threads in the origins of the cube is {threads!r}, expected 1 to 1024")
    if not all(isinstance(origin[name], dict) for name in ("versions", "hardware")):
        raise ValueError("origins of the cube lack versions or hardware by name")
    return origin


def _load(text, name):
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{name} is no JSON: {error}") from error


def _find_function(attributes, studies, objects, data):
    """Return the function that computes the cells of a study, which is told where its data are."""
    name = attributes["study"]
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise ValueError(f"study is {name!r}, expected the name of a script")
    path = studies / f"{name}.py"
    if not path.exists():
        raise FileNotFoundError(f"there is no study {path}: say where the studies are")
    spec = importlib.util.spec_from_file_location(name, path)
    study = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(study)
    settings = _load(attributes["settings"], "settings")
    where, _, identity = study.find(settings, objects, data or studies.parent / "data" / "sets")
    for key, value in identity.items():
        if settings.get(key) != value:
            raise ValueError(f"{key} are {value!r} here, but the cube was computed with {settings.get(key)!r}")
    return partial(study.cell, **where)


def _same(a, b):
    """Tell whether two arrays are the same bit for bit; all NaN are alike."""
    a, b = np.asarray(a), np.asarray(b)
    numbers = a.dtype.kind == "f" and b.dtype.kind == "f"
    return a.shape == b.shape and np.array_equal(a, b, equal_nan=numbers)


def _say(values):
    values = np.asarray(values)
    return repr(values.item()) if values.ndim == 0 else np.array2string(values, threshold=6, precision=17)


def _differ(origin):
    """Say what is not here as it was where a cell was computed."""
    ours, lines = find_origin(origin["threads"]), []
    for name in ("versions", "hardware"):
        for key in sorted(origin[name].keys() | ours[name].keys()):
            pair = origin[name].get(key), ours[name].get(key)
            if pair[0] != pair[1]:
                lines.append(f"  {key}: {pair[0]} there, {pair[1]} here")
    for name in ("git_commit", "git_state"):
        if origin[name] != ours[name]:
            lines.append(f"  {name.replace('_', ' ')}: {origin[name]} there, {ours[name]} here")
    return "\n".join(["what differs here from there:", *lines]) if lines else "versions, code and machine are the same"
