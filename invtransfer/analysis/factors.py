"""Parts of a cube over factors: levels, relations and reference encoders."""

import numpy as np
import xarray as xr

from invtransfer.analysis.checks import REFERENCE


def fill_relations(cube):
    """Give a cube both relations, "same" and "disjoint", with missing values in one that it lacks.

    Parameters
    ----------
    cube : xarray.Dataset over "relation" and others
        Cube as ``studies/factors.py`` writes it.

    Returns
    -------
    cube : xarray.Dataset
        Missing values are NaN in floats, -1 in whole numbers, "" in strings, and 0, "missing", in status.

    Raises
    ------
    TypeError
        If `cube` is not a Dataset.
    ValueError
        If the cube has no labels along "relation", or has one twice.

    Examples
    --------
    >>> cube = xr.Dataset({"status": ("relation", [1])}, {"relation": ["same"]})
    >>> fill_relations(cube).status.values.tolist()
    [1, 0]
    """
    if not isinstance(cube, xr.Dataset):
        raise TypeError(f"cube is of type {type(cube).__name__}, expected an xarray.Dataset")
    relations = cube["relation"].values.tolist() if "relation" in cube.indexes else None
    if relations is None or len(set(relations)) < len(relations):
        raise ValueError(f"cube has the relations {relations}, expected 'same', 'disjoint' or both, each once")
    fill = {"i": -1, "U": "", "O": ""}
    values = {name: fill.get(variable.dtype.kind, np.nan) for name, variable in cube.data_vars.items()}
    return cube.reindex(relation=["same", "disjoint"], fill_value=values | {"status": 0})


def select_factor(cube, name):
    """Select the levels of one factor.

    Parameters
    ----------
    cube : xarray.Dataset over "factor" and others
        Cube with the coordinates "factor_name" and "level" along "factor".
    name : str
        Name of the factor.

    Returns
    -------
    levels : xarray.Dataset over `name` and others
        Part of the cube, whose labels are the levels of the factor: ascending numbers if all of them are numbers,
        otherwise strings in their order.

    Raises
    ------
    ValueError
        If there is no such factor.

    Examples
    --------
    >>> coordinates = {"factor_name": ("factor", ["width", "width"]), "level": ("factor", ["2", "0.5"])}
    >>> select_factor(xr.Dataset({"accuracy": ("factor", [0.75, 0.5])}, coordinates), "width").accuracy.width.values
    array([0.5, 2. ])
    """
    names = cube.factor_name.values
    if name not in names:
        raise ValueError(f"name is {name!r}, expected one of: {', '.join(map(str, dict.fromkeys(names)))}")
    chosen = cube.isel(factor=np.flatnonzero(names == name))
    labels = chosen.level.values
    chosen = chosen.drop_vars(["factor", "factor_name", "level"], errors="ignore").rename(factor=name)
    try:
        return chosen.assign_coords({name: labels.astype(float)}).sortby(name)
    except ValueError:
        return chosen.assign_coords({name: labels})


def drop_references(cube):
    """Leave out the reference encoders, which are the same for both relations.

    Parameters
    ----------
    cube : xarray.Dataset over "factor" and others
        Cube with the coordinate "factor_name" along "factor".

    Returns
    -------
    cube : xarray.Dataset
        The cube without the places whose "factor_name" is "reference".

    Examples
    --------
    >>> drop_references(xr.Dataset(coords={"factor_name": ("factor", ["width", "reference"])})).factor_name.values
    array(['width'], dtype='<U9')
    """
    return cube.isel(factor=np.flatnonzero(cube.factor_name.values != REFERENCE))


def stack_encoders(values):
    """Put the encoders of both relations beside each other, and each reference encoder once.

    Parameters
    ----------
    values : xarray.DataArray over "factor", "relation" and others
        Values with the coordinate "factor_name" along "factor".

    Returns
    -------
    values : xarray.DataArray over "encoder" and others
        The same values with labels such as "architecture=vit same"; references have labels without a relation.

    Examples
    --------
    >>> labels = {"factor": ["width=1", "reference=untrained"], "relation": ["same", "disjoint"]}
    >>> values = xr.DataArray([[0.9, 0.7], [0.3, 0.3]], labels, list(labels))
    >>> stack_encoders(values.assign_coords(factor_name=("factor", ["width", "reference"]))).encoder.values.tolist()
    ['width=1 same', 'width=1 disjoint', 'reference=untrained']
    """
    parts, labels = [], []
    for factor, name in zip(values.factor.values.tolist(), values.factor_name.values.tolist(), strict=True):
        for relation in values.relation.values.tolist()[: 1 if name == REFERENCE else None]:
            parts.append(values.sel(factor=factor, relation=relation).reset_coords(drop=True))
            labels.append(factor if name == REFERENCE else f"{factor} {relation}")
    return xr.concat(parts, "encoder").assign_coords(encoder=labels)


def count_once(values, cell):
    """Leave out places that share their cell with an earlier one, so that each encoder counts once.

    Parameters
    ----------
    values : xarray.DataArray
        Values over the grid of a cube, and perhaps other dimensions.
    cell : xarray.DataArray
        Names of the cube's cells, over its grid.

    Returns
    -------
    values : xarray.DataArray
        The same values, NaN in places whose cell came before.

    Examples
    --------
    >>> cell = xr.DataArray(["a", "b", "a"], dims="factor")
    >>> count_once(xr.DataArray([0.1, 0.2, 0.1], dims="factor"), cell).values
    array([0.1, 0.2, nan])
    """
    first = np.zeros(cell.size, dtype=bool)
    first[np.unique(cell.values, return_index=True)[1]] = True
    return values.where(xr.DataArray(first.reshape(cell.shape), dims=cell.dims))
