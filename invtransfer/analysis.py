"""What cubes say: spread over seeds, and how much invariance decides compared with other factors. Knows no torch."""

import numpy as np
import xarray as xr
from scipy import stats

CONTRASTS = ("within_disjoint", "same_minus_disjoint", "within_same")


def summarise(values, dim="seed"):
    """Compute mean, standard deviation and 95 % interval of the mean over one dimension.

    Parameters
    ----------
    values : xarray.DataArray
        With dimension `dim`; NaN counts as missing.
    dim : str
        What is summarised, such as repetitions with different seeds.

    Returns
    -------
    summary : xarray.Dataset over the other dimensions
        "mean"; "std" (with n - 1); "low" and "high", Student's 95 % interval of the mean; and "n", the number of
        values. Std and interval are NaN where n < 2.

    Examples
    --------
    >>> summary = summarise(xr.DataArray([0.7, 0.8, 0.9], dims="seed"))
    >>> round(summary["mean"].item(), 3), round(summary["std"].item(), 3), round(summary["low"].item(), 3)
    (0.8, 0.1, 0.552)
    """
    n = values.notnull().sum(dim)
    mean = values.mean(dim)
    std = np.sqrt(np.square(values - mean).sum(dim) / (n - 1).where(n > 1))
    half = stats.t.ppf(0.975, (n - 1).where(n > 1)) * std / np.sqrt(n.where(n > 0))
    return xr.Dataset({"mean": mean, "std": std, "low": mean - half, "high": mean + half, "n": n})


def factor_contrasts(accuracy):
    """Compare what sharing the target's transformations changes with what each other factor changes.

    Parameters
    ----------
    accuracy : xarray.DataArray over "factor", "relation" and "seed"
        Transfer accuracy; "factor" has the coordinate "factor_name", and the relations are "same" and "disjoint".

    Returns
    -------
    contrasts : xarray.DataArray over "factor_name", "contrast" and "seed"
        "within_disjoint" and "within_same": accuracy at the best level of that factor minus that at the worst, among
        encoders of one relation; "same_minus_disjoint": the mean over its levels of the difference between the
        relations.

    Notes
    -----
    Best and worst level are those of the mean over seeds, the same for every seed: a maximum taken seed by seed would
    be larger the noisier the accuracies are. Best and worst are still chosen on the data they are reported on, so the
    two "within" contrasts are biased upwards, which is in disfavour of the claim that invariance matters more. Figure 3
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
    names = list(dict.fromkeys(accuracy.factor_name.values.tolist()))
    rows = []
    for name in names:
        levels = accuracy.isel(factor=np.flatnonzero(accuracy.factor_name.values == name))
        same, disjoint = (levels.sel(relation=relation, drop=True) for relation in ("same", "disjoint"))
        rows.append([_range(disjoint), (same - disjoint).mean("factor", skipna=False), _range(same)])
    stacked = xr.concat([xr.concat(row, "contrast", coords="minimal") for row in rows], "factor_name", coords="minimal")
    stacked = stacked.assign_coords(factor_name=names, contrast=list(CONTRASTS))
    return stacked.transpose("factor_name", "contrast", "seed").assign_attrs(
        units="1", long_name="difference in accuracy"
    )


def _range(levels):
    """Return, for each seed, the accuracy at the best level minus that at the worst."""
    mean = levels.mean("seed").values
    if np.isnan(mean).all():
        return levels.isel(factor=0, drop=True) * np.nan
    best, worst = np.nanargmax(mean), np.nanargmin(mean)
    return (levels.isel(factor=best, drop=True) - levels.isel(factor=worst, drop=True)).rename(None)
