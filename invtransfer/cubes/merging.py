"""Cubes of one study that were computed apart, merged: nothing is dropped, and conflicts are named."""

import json
from itertools import product

import numpy as np
import xarray as xr

from invtransfer.cubes.assembly import STATUS, align, assemble, check_study_cube, format_place, has_value
from invtransfer.cubes.files import have_same_bits
from invtransfer.cubes.provenance import make_attributes
from invtransfer.storage import format_json, parse_json

MISSING, DONE, FAILED = range(len(STATUS))
COLUMNS = ("cell", "arguments", "part", "origin")  # filled in each place, whether its cell is there or not
TYPES = {"i": "number", "u": "number", "f": "number", "U": "string", "O": "string"}
RANKS = {DONE: 2, FAILED: 1, MISSING: 0}
N_SAID = 5  # number of places that a message names


def merge(cubes, names):
    """Merge cubes of one study, such as those of shards, of other seeds or of other levels.

    Parameters
    ----------
    cubes : list of xarray.Dataset
        Cubes as `read` returns them.
    names : list of str
        Names of the cubes in messages, such as their paths.

    Returns
    -------
    cube : xarray.Dataset
        The union over the labels of all cubes. Numbers that ascend in every cube ascend here; other labels, and those
        along the cells' own dimensions without further coordinates, are in the order in which they appear. Each place
        holds the first cell that is finished, or else the first that failed.
    notes : list of str
        Where cubes differ without a conflict: a cell is done in one and failed in another, failed with another message,
        has the same values from another origin, or is missing in one under another name; or a variable is described in
        other words.

    Raises
    ------
    ValueError
        If one is not a study's cube, or if they differ in settings other than levels, in further attributes, in the
        units or kind of a variable, in labels, or in values of finished cells: the message counts these places and
        names the first with both values.

    Notes
    -----
    The cubes of all shards, in any order, give the cube of one undisturbed run. With the same date, the files are also
    the same byte for byte, unless cells have different variables or labels, whose order may differ.

    Examples
    --------
    >>> halves = []
    >>> for seed in (0, 1):
    ...     half = assemble([{"seed": seed}], [xr.Dataset({"accuracy": seed / 2})], {"seed": [0, 1]})
    ...     half["origin"] = half.status - 1  # done: number 0 of origins, missing: -1
    ...     halves.append(half.assign_attrs(settings="{}", origins="[{}]"))
    >>> cube, notes = merge(halves, ["a.nc", "b.nc"])
    >>> cube.accuracy.values, notes
    (array([0. , 0.5]), [])
    """
    if not cubes:
        raise ValueError("cubes is empty, expected at least one")
    cubes = [_check_study(cube, name) for cube, name in zip(cubes, names, strict=True)]
    cubes = align(cubes, cubes[0].status.dims)  # of other encoders, cells have other layers
    kept = _check_attributes(cubes, names)
    renamed = _check_variables(cubes, names)
    coordinates = _unite_coordinates(cubes, names)
    chosen, notes = _choose(cubes, names, coordinates)
    cube = _assemble(chosen, cubes, coordinates)
    origins = sorted(set(cube.origin.values.flat) - {""} or set().union(*[one.attrs["origins"] for one in cubes]))
    numbers = np.array([origins.index(text) if text else -1 for text in cube.origin.values.flat], np.int32)
    cube["origin"] = cube.origin.copy(data=numbers.reshape(cube.origin.shape))
    described = make_attributes(_unite_settings(cubes), [json.loads(text) for text in origins])
    title = {key: value for key, value in kept.items() if key == "title"}  # the title comes first
    return cube.assign_attrs(title | described | kept), renamed + notes


def _check_study(cube, name):
    """Return a study's cube with settings as dict, and the origin of each place as text."""
    check_study_cube(cube, name, ("status", "message", "origin"))
    for dim in cube.status.dims:
        labels = cube[dim].values.tolist()
        if dim not in cube.coords or not labels or len(set(labels)) < len(labels):
            raise ValueError(f"{name} has labels {labels} of {dim}, expected distinct labels")
    settings = _parse_attribute(cube, "settings", dict, name)
    origins = [format_json(origin) for origin in _parse_attribute(cube, "origins", list, name)]
    if not cube.origin.isin(range(-1, len(origins))).all():
        raise ValueError(f"{name} has origin {np.unique(cube.origin).tolist()}, expected -1 to {len(origins) - 1}")
    texts = np.array([*origins, ""])[cube.origin.values]  # the last is number -1
    return cube.assign(origin=cube.origin.copy(data=texts)).assign_attrs(settings=settings, origins=origins)


def _parse_attribute(cube, attribute, kind, name):
    try:
        value = parse_json(cube.attrs.get(attribute), attribute, kind)
        if kind is list and not all(isinstance(one, dict) for one in value):
            raise ValueError("not all of them are objects")
    except ValueError as error:
        raise ValueError(f"{name} has no attribute {attribute!r} in JSON: it is not a study's cube") from error
    return value


def _check_attributes(cubes, names):
    """Return the attributes that all cubes share, without those that follow from settings and origins."""
    derived = {"claims", *make_attributes({}, [])}.union(
        *[json.loads(text) for cube in cubes for text in cube.attrs["origins"]]
    )
    kept = [{key: value for key, value in cube.attrs.items() if key not in derived} for cube in cubes]
    for name, cube, more in zip(names, cubes, kept, strict=True):
        ours, theirs = cubes[0].attrs["settings"], cube.attrs["settings"]
        differing = [key for key in sorted(ours | theirs) if format_json(ours.get(key)) != format_json(theirs.get(key))]
        differing = [key for key in differing if not (key == "levels" and _have_levels(ours, theirs))]
        if differing:
            raise ValueError(f"{name} belongs to other settings than {names[0]} ({', '.join(differing)} differ)")
        _check_equal(kept[0], more, names[0], name, "attribute")
    return kept[0]


def _have_levels(*settings):
    """Tell whether settings have lists of levels, which only say which places there are."""
    levels = [one.get("levels") for one in settings]
    return all(isinstance(one, dict) and all(isinstance(values, list) for values in one.values()) for one in levels)


def _unite_settings(cubes):
    """Return the settings of all cubes, with the levels of each."""
    settings = [cube.attrs["settings"] for cube in cubes]
    if not _have_levels(*settings):
        return settings[0]
    names = dict.fromkeys(name for one in settings for name in one["levels"])
    levels = {name: [] for name in names}
    for one in settings:
        for name, values in one["levels"].items():
            levels[name] += [value for value in values if value not in levels[name]]
    return settings[0] | {"levels": levels}


def _check_equal(ours, theirs, our_name, their_name, what):
    for key in ours | theirs:  # as lists, they are the same before they are written and after they are read
        values = [repr(np.asarray(one[key]).tolist()) if key in one else "not there" for one in (ours, theirs)]
        if values[0] != values[1]:
            raise ValueError(f"{what} {key}: {values[0]} in {our_name}, {values[1]} in {their_name}")


def _check_variables(cubes, names):
    """Raise an error unless each variable is the same thing in all cubes, and all cubes have all coordinates.

    Return notes of variables that are described in other words, as `assemble` allows of cells, too.
    """
    grid, seen, described, notes = cubes[0].status.dims, {}, {}, []
    for name, cube in zip(names, cubes, strict=True):
        for key, variable in cube.variables.items():
            is_coordinate, along = key in cube.coords, [dim for dim in variable.dims if dim in grid]
            if variable.dtype.kind not in TYPES:
                raise ValueError(f"{name} has {key} of dtype {variable.dtype}, expected numbers or strings")
            if (along and variable.ndim > 1) if is_coordinate else len(along) < len(grid):
                raise ValueError(f"{name} has {key} over {variable.dims}, which does not fit the grid, {grid}")
            theirs = {"is": "coordinate" if is_coordinate else "variable", "type": TYPES[variable.dtype.kind]}
            theirs |= {"sizes": {dim: size for dim, size in variable.sizes.items() if dim not in grid}}
            theirs |= {"labels": variable.values} if is_coordinate and not along else {}
            # cubes of the first version do not say what their coordinates are
            left_out = ("long_name", "units") if is_coordinate else ("long_name",)
            theirs |= {k: v for k, v in variable.attrs.items() if k not in left_out}
            first, _, ours = seen.setdefault(key, (name, variable.dims, theirs))
            _check_equal(ours, theirs, first, name, key)
            text = variable.attrs.get("long_name")
            if not is_coordinate and text != (known := described.setdefault(key, text)):
                notes.append(f"{key} is {known!r} in {first}, which is kept, and {text!r} in {name}")
    for key, (first, dims, about) in seen.items():
        for name, cube in zip(names, cubes, strict=True):
            if about["is"] == "coordinate" and key not in cube.coords and set(dims) <= set(cube.dims):
                raise ValueError(f"{name} has no coordinate {key}, but {first} has")
    return notes


def _unite_coordinates(cubes, names):
    """Return the labels of all cubes along their grid, and further coordinates there, as `assemble` takes them."""
    grid, united = cubes[0].status.dims, {}
    along = {key: variable.dims[0] for key, variable in cubes[0].coords.items() if set(variable.dims) & set(grid)}
    for key, dim in along.items():
        known = {}
        for name, cube in zip(names, cubes, strict=True):
            for label, value in zip(cube[dim].values.tolist(), cube[key].values.tolist(), strict=True):
                first, other = known.setdefault(label, (name, value))
                if key != dim and not have_same_bits(other, value):
                    raise ValueError(f"{key} of {dim}={label} is {other!r} in {first}, {value!r} in {name}")
        ascending = cubes[0][dim].dtype.kind in "if" and all((np.diff(cube[dim].values) > 0).all() for cube in cubes)
        labels = sorted(known) if ascending else list(known)
        united[key] = labels if key == dim else (dim, [known[label][1] for label in labels])
    return united


def _choose(cubes, names, coordinates):
    """Return the labels and the chosen cell of each place that a cube has, and notes."""
    chosen, conflicts, notes = [], [], {}
    dims = cubes[0].status.dims
    for labels in product(*(coordinates[dim] for dim in dims)):
        point = dict(zip(dims, labels, strict=True))
        pieces = [
            (name, cube.sel(point, drop=True))
            for name, cube in zip(names, cubes, strict=True)
            if all(label in cube.indexes[dim] for dim, label in point.items())
        ]
        if not pieces:
            continue
        name, best = max(pieces, key=lambda one: (RANKS[int(one[1].status)], _cell(one[1]) != ""))
        chosen.append((point, best))
        place = format_place(point)
        for other, piece in pieces:
            if piece is best:
                continue
            differing = _differences(best, piece)
            if differing and best.status == piece.status == DONE:
                conflicts.append(f"{place}: {', '.join(differing)} in {name} and {other}")
            elif note := _compare(name, best, other, piece, differing):
                notes.setdefault(note, []).append(place)
    if conflicts:
        more = f"; and {len(conflicts) - N_SAID} more" if len(conflicts) > N_SAID else ""
        raise ValueError(f"finished places differ, {len(conflicts)} in all: {'; '.join(conflicts[:N_SAID])}{more}")
    return chosen, [f"{'; '.join(places)}: {note}" for note, places in notes.items()]


def _cell(piece):
    return str(piece.cell.item()) if "cell" in piece else ""


def _differences(one, other):
    """Return which variables differ, with both values of scalars."""
    differing = []
    for key in dict.fromkeys([*one.data_vars, *other.data_vars]):
        values = [piece[key].values if key in piece else None for piece in (one, other)]
        if key not in ("status", "origin") and not _are_same(*values):
            texts = ["nothing" if v is None else repr(v.item()) if v.ndim == 0 else "" for v in values]
            differing.append(f"{key} {' and '.join(texts)}" if all(texts) else key)
    return differing


def _are_same(one, other):
    """Compare values bit for bit; a variable that is missing equals one without any value."""
    if one is None or other is None:
        return not has_value(other if one is None else one)
    return have_same_bits(one, other)


def _compare(name, best, other, piece, differing):
    """Return a note if another cube differs from the one that was chosen for a place, without a conflict."""
    if piece.status == MISSING:
        text = f"cell {_cell(piece)}, missing, in {other}, but {_cell(best)} in {name}, which is taken"
        return text if _cell(piece) not in ("", _cell(best)) else ""
    if best.status != piece.status:
        return f"failed in {other}, done in {name}, which is taken"
    if differing:
        return f"failed in both {name}, which is taken, and {other}: {', '.join(differing)}"
    if best.origin != piece.origin:
        return f"from another origin in {other} than in {name}, which is taken: the values are the same"
    return ""


def _assemble(chosen, cubes, coordinates):
    """Assemble the chosen cells."""
    points, cells, columns = [point for point, _ in chosen], [], []
    for _, piece in chosen:
        columns.append(piece[[key for key in COLUMNS if key in piece]].drop_attrs(deep=False))
        failed = xr.Dataset(attrs={"message": str(piece.message.item())})
        done = piece.drop_vars(["status", "message", *columns[-1].data_vars]).drop_attrs(deep=False)
        cells.append({MISSING: None, DONE: done, FAILED: failed}[int(piece.status)])
    cube = assemble(points, cells, coordinates)
    columns = assemble(points, columns, coordinates)
    cube = cube.assign({key: columns[key] for key in COLUMNS if key in columns})
    for key in [*coordinates, *cube.data_vars]:
        cube[key].attrs |= next(one for one in cubes if key in one)[key].attrs
    return cube
