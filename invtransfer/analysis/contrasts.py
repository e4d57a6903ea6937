"""Differences between encoders, seed by seed, and how values follow a factor."""

import warnings

import numpy as np
import xarray as xr
from scipy import stats

from invtransfer.analysis.checks import check_accuracy, check_array

CONTRASTS = ("within_disjoint", "same_minus_disjoint", "within_same")


def paired_contrast(values, dim, first, second):
    """Compute the difference between two labels of one dimension, seed by seed.

    Cells of the same seed share objects, backgrounds and draws, so that much of what makes accuracies vary over seeds
    cancels in their difference. `summarise` turns the differences into their mean and interval.

    Parameters
    ----------
    values : xarray.DataArray
        Values with the dimensions "seed" and `dim`.
    dim : str
        Dimension of both labels, such as "factor", "relation" or "transformation"; not "seed".
    first, second : str or int
        Labels along `dim`.

    Returns
    -------
    difference : xarray.DataArray over "seed" and the other dimensions
        Values at `first` minus values at `second`, NaN where one of them is missing.

    Raises
    ------
    TypeError
        If `values` is not a DataArray.
    ValueError
        If `values` lacks the dimension or a label, the dimension is "seed", or `values` does not hold real numbers.

    Examples
    --------
    >>> from invtransfer.analysis import summarise
    >>> accuracy = xr.DataArray(
    ...     [[0.9, 0.7, 0.8], [0.6, 0.5, 0.4]],
    ...     {"factor": ["architecture=vit", "reference=untrained"], "seed": [0, 1, 2]},
    ... )
    >>> difference = paired_contrast(accuracy, "factor", "architecture=vit", "reference=untrained")
    >>> difference.values.round(3)
    array([0.3, 0.2, 0.4])
    >>> summary = summarise(difference)
    >>> round(summary["mean"].item(), 3), round(summary["low"].item(), 3), round(summary["high"].item(), 3)
    (0.3, 0.052, 0.548)
    """
    values = check_array(values, "values", dims=["seed", dim])
    if dim == "seed":
        raise ValueError("dim is 'seed', expected another dimension: differences are paired over seeds")
    labels = values[dim].values.tolist() if dim in values.coords else None
    if labels is None:
        raise ValueError(f"values has no labels along {dim!r}, expected a coordinate of that name")
    for name, label in (("first", first), ("second", second)):
        if label not in labels:
            raise ValueError(f"{name} is {label!r}, expected a label of {dim!r}: {', '.join(map(str, labels))}")
    one, two = (values.isel({dim: labels.index(label)}, drop=True) for label in (first, second))
    difference = (one - two).rename(None)
    return difference.assign_attrs(
        units=values.attrs.get("units", "1"), long_name=f"difference between {dim} {first} and {second}"
    )


def factor_contrasts(accuracy):
    """Compare what sharing the target's transformations changes with what each other factor changes.

    Parameters
    ----------
    accuracy : xarray.DataArray over "factor", "relation" and "seed"
        Transfer accuracy with the coordinate "factor_name" along "factor" and the relations "same" and "disjoint".
        Encoders of the factor_name "reference" are left out, because they are the same for both relations.

    Returns
    -------
    contrasts : xarray.DataArray over "factor_name", "contrast" and "seed"
        "within_disjoint" and "within_same": accuracy at the best level of that factor minus that at the worst, among
        encoders of one relation; "same_minus_disjoint": the mean over its levels of the difference between the
        relations. Levels without any accuracy for one of the relations are left out. NaN for seeds that lack one of the
        other accuracies, and within a factor that has fewer than two levels.

    Raises
    ------
    TypeError
        If `accuracy` is not a DataArray.
    ValueError
        If `accuracy` lacks a dimension, the coordinate or a relation, has a relation twice, or does not hold real
        numbers.

    Notes
    -----
    Best and worst level are those of the mean over seeds, the same for every seed: with noisier accuracies, a maximum
    taken seed by seed would be larger. Best and worst are still chosen on the data that they are reported on, so
    the two "within" contrasts are biased upwards, which works against the claim that invariance matters more. Figure 3
    of the paper shows these three values.

    Examples
    --------
    >>> accuracy = xr.DataArray(
    ...     [[[0.9], [0.6]], [[1.0], [0.8]]],
    ...     {"factor": ["width=1", "width=2"], "factor_name": ("factor", ["width", "width"]),
    ...      "relation": ["same", "disjoint"], "seed": [0]},
    ...     ["factor", "relation", "seed"],
    ... )
    >>> factor_contrasts(accuracy).sel(factor_name="width", seed=0).values.round(3)
    array([0.2 , 0.25, 0.1 ])
    """
    accuracy, names = check_accuracy(accuracy)
    for relation in ("same", "disjoint"):
        if relation not in accuracy.relation.values:
            raise ValueError(
                f"accuracy has the relations {accuracy.relation.values.tolist()}, expected {relation!r} too"
            )
    rows = []
    for name in names:
        levels = accuracy.isel(factor=np.flatnonzero(accuracy.factor_name.values == name))
        pair = levels.sel(relation=["same", "disjoint"])
        pair = pair.isel(factor=np.flatnonzero(pair.notnull().any("seed").all("relation")))
        pair = pair.where(pair.notnull().all(["factor", "relation"]))  # a seed counts if it has all
        same, disjoint = (pair.sel(relation=relation, drop=True) for relation in ("same", "disjoint"))
        rows.append([_range(disjoint), (same - disjoint).mean("factor"), _range(same)])
    if not rows:  # only references, or nothing
        nothing = accuracy.sel(relation="same", drop=True).sum("factor").rename(None)
        rows = [[nothing] * len(CONTRASTS)]
    stacked = xr.concat([xr.concat(row, "contrast", coords="minimal") for row in rows], "factor_name", coords="minimal")
    stacked = stacked.isel(factor_name=slice(len(names))).assign_coords(factor_name=names, contrast=list(CONTRASTS))
    return stacked.transpose("factor_name", "contrast", "seed").assign_attrs(
        units="1", long_name="difference in accuracy"
    )


def _range(levels):
    """Return, for each seed, the accuracy at the best level minus that at the worst."""
    mean = levels.mean("seed").values
    if len(mean) < 2 or np.isnan(mean).any():
        return levels.mean("factor") * np.nan
    best, worst = mean.argmax(), mean.argmin()
    return (levels.isel(factor=best, drop=True) - levels.isel(factor=worst, drop=True)).rename(None)


def compare_with_exact(accuracy):
    """Compare encoders that have more or fewer transformations than a target with those that have precisely its own.

    Parameters
    ----------
    accuracy : xarray.DataArray over "n_pretraining_transformations", "n_target_transformations" and others
        Transfer accuracy of encoders that were pretrained with nested sets of transformations.

    Returns
    -------
    more, fewer : xarray.DataArray over the same dimensions
        Accuracy minus that of the encoder with precisely the target's transformations, where an encoder has more, and
        where it has fewer; NaN elsewhere, and where one of the two is missing.

    Examples
    --------
    >>> labels = {"n_pretraining_transformations": [1, 2], "n_target_transformations": [1, 2]}
    >>> more, fewer = compare_with_exact(xr.DataArray([[0.9, 0.5], [0.8, 0.75]], labels, list(labels)))
    >>> more.sum().item(), fewer.sum().item()  # 0.8 - 0.9 and 0.5 - 0.75
    (-0.09..., -0.25)
    """
    change = _minus_exact(accuracy)
    n_missing = change.n_target_transformations - change.n_pretraining_transformations
    return change.where(n_missing < 0), change.where(n_missing > 0)


def change_by_mismatch(accuracy):
    """Compute how accuracy changes with the number of transformations that an encoder has too many, mean over targets.

    Parameters
    ----------
    accuracy : xarray.DataArray over "n_pretraining_transformations", "n_target_transformations" and others
        Transfer accuracy of encoders that were pretrained with nested sets of transformations.

    Returns
    -------
    change : xarray.DataArray over "n_surplus" and the other dimensions
        Accuracy minus that of the encoder with precisely the target's transformations. A negative surplus is a number
        of missing transformations.

    Examples
    --------
    >>> labels = {"n_pretraining_transformations": [1, 2], "n_target_transformations": [1, 2]}
    >>> change_by_mismatch(xr.DataArray([[0.9, 0.5], [0.8, 0.75]], labels, list(labels))).to_series().round(3).to_dict()
    {-1: -0.25, 0: 0.0, 1: -0.1}
    """
    sets = ["n_pretraining_transformations", "n_target_transformations"]
    change = _minus_exact(accuracy)
    surplus = change.n_pretraining_transformations - change.n_target_transformations
    sizes = np.unique(surplus)
    return xr.concat([change.where(surplus == size).mean(sets) for size in sizes], xr.Variable("n_surplus", sizes))


def _minus_exact(accuracy):
    """Subtract the accuracy of the encoder with precisely the target's transformations."""
    n = accuracy.n_target_transformations
    exact = accuracy.reindex(n_pretraining_transformations=n.values)  # a part of the grid may lack some
    return accuracy - exact.sel(n_pretraining_transformations=n).reset_coords(drop=True)


def rank_correlation(values, dim):
    """Compute Spearman's rank correlation of values with the labels of a dimension, seed by seed.

    Parameters
    ----------
    values : xarray.DataArray over `dim` and "seed"
        Values that are correlated.
    dim : str
        Dimension whose labels are numbers.

    Returns
    -------
    correlation : xarray.DataArray over "seed"
        NaN for seeds with a missing value, or with the same value everywhere.

    Examples
    --------
    >>> values = xr.DataArray([[0.1], [0.4], [0.9]], {"level": [0, 1, 2], "seed": [0]}, ["level", "seed"])
    >>> rank_correlation(values, "level").values.round(3)
    array([1.])
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)  # the correlation is NaN then
        ranks = [stats.spearmanr(values[dim], values.sel(seed=seed)).statistic for seed in values.seed]
    return xr.DataArray(ranks, dims="seed")
