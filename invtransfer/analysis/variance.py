"""How much of the variance of accuracy each factor and the relation explain."""

from numbers import Integral

import numpy as np
import xarray as xr
from scipy import stats

from invtransfer.analysis.checks import check_accuracy

COMPONENTS = ("level", "relation", "interaction", "seed", "residual")
MOST_RESAMPLES = 1_000_000  # more are asked for by mistake, and would not fit into memory


def variance_explained(accuracy, n_resamples=2_000, random_state=0):
    """Compute how much of the variance of accuracy each factor's level and the relation explain.

    Parameters
    ----------
    accuracy : xarray.DataArray over "factor", "relation" and "seed"
        Transfer accuracy with the coordinate "factor_name" along "factor". Encoders of the factor_name "reference" are
        left out, because they are the same for both relations.
    n_resamples : int, default 2_000
        Number of bootstrap samples of seeds.
    random_state : int or numpy.random.Generator, default 0
        Seed of the bootstrap samples. With an int, the intervals of a factor do not depend on which other factors are
        there.

    Returns
    -------
    shares : xarray.Dataset over "factor_name" and "component"
        "share" of the variance, and "low" and "high", its 95 % interval; and over "factor_name" alone "n", the number
        of seeds, and "n_levels", the number of levels that were used. Components are "level"; "relation"; their
        "interaction", that is, how much more the relation matters at some levels than at others; "seed", how much the
        draw of objects and transformations changes the accuracy of all encoders alike; and "residual", how much it
        changes each of them. The shares of a factor sum to 1.

    Raises
    ------
    TypeError
        If `accuracy` is not a DataArray.
    ValueError
        If `accuracy` lacks a dimension or the coordinate, has only one relation or one twice, or does not hold real
        numbers; if `n_resamples` is no whole number from 2 to 1,000,000, or `random_state` gives no generator.

    Notes
    -----
    Each factor is a two-way layout, level x relation, with seeds as blocks. The share is corrected for bias like omega
    squared. Plain eta squared, a ratio of sums of squares, counts noise as an effect, and the more so the more levels
    and the fewer seeds there are: of pure noise over 5 levels, 2 relations and 3 seeds it attributes 14 % to the level,
    so it would favour factors with many levels over the relation with its two. Here the mean square of each effect is
    reduced by what its own variation over seeds (level x seed, relation x seed, level x relation x seed) adds to it on
    average. Equal variances are not assumed, because transformations differ much in how much they matter. A share may
    therefore be slightly below 0, which means that no effect was found.

    The interval is the share plus and minus Student's quantile times its standard error, cut to [0, 1]. The standard
    error is that over bootstrap samples of whole seeds, which keeps pairs together, times sqrt(n / (n - 1)), the factor
    by which resampled seeds vary too little. In simulations of 3, 5 and 10 seeds such intervals contained the true
    share of level, relation and interaction in 88 to 100 of 100 cases, but quantiles of the bootstrap in as few as 58,
    because resampling adds noise to the effects and has few distinct samples (10 with 3 seeds). With 2 or 3 seeds the
    intervals tend to be so wide that they say little, which is then the truth. Those of "seed" and "residual", which
    are variances themselves, are too narrow: 74 to 98 of 100 cases.

    With one seed, effects cannot be told from noise: the shares are plain eta squared without a residual, so the
    interaction contains all noise, and seed, residual and intervals are NaN. Levels without any accuracy for one of the
    relations are left out, and so are seeds that lack one of the remaining cells of a factor. With fewer than two
    levels, no seed, or no variance at all, shares are NaN.

    Examples
    --------
    >>> accuracy = xr.DataArray(
    ...     [[[0.9, 0.9], [0.7, 0.7]], [[0.7, 0.7], [0.5, 0.5]]],
    ...     {"factor": ["width=1", "width=2"], "factor_name": ("factor", ["width", "width"]),
    ...      "relation": ["same", "disjoint"], "seed": [0, 1]},
    ...     ["factor", "relation", "seed"],
    ... )
    >>> variance_explained(accuracy)["share"].sel(factor_name="width").values.round(3) + 0.0
    array([0.5, 0.5, 0. , 0. , 0. ])
    """
    accuracy, names = check_accuracy(accuracy)
    if accuracy.sizes["relation"] < 2:
        raise ValueError(f"accuracy has the relations {accuracy.relation.values.tolist()}, expected two or more")
    if not isinstance(n_resamples, Integral) or not 2 <= n_resamples <= MOST_RESAMPLES:
        raise ValueError(f"n_resamples is {n_resamples!r}, expected a whole number from 2 to {MOST_RESAMPLES:,}")
    if not isinstance(random_state, np.random.Generator) and not (
        isinstance(random_state, Integral) and random_state >= 0
    ):
        raise ValueError(f"random_state is {random_state!r}, expected a Generator, or a whole number of at least 0")
    draws = np.random.default_rng(random_state).random((n_resamples, accuracy.sizes["seed"]))
    values = accuracy.transpose("factor", "relation", "seed").values.astype(float)
    result = {name: [] for name in ("share", "low", "high", "n", "n_levels")}
    for name in names:
        levels = values[accuracy.factor_name.values == name]
        levels = levels[np.isfinite(levels).any(axis=2).all(axis=1)]
        levels = levels[:, :, np.isfinite(levels).all(axis=(0, 1))]
        for key, value in zip(result, _explain(levels, draws), strict=True):
            result[key].append(value)
    text = {
        "share": "share of the variance of transfer accuracy",
        "low": "lower end of its 95 % interval",
        "high": "upper end of its 95 % interval",
        "n": "number of seeds that have all cells",
        "n_levels": "number of levels that have cells",
    }
    dims, shape = ("factor_name", "component"), (len(names), len(COMPONENTS))
    n_dims = {"n": 1, "n_levels": 1}
    return xr.Dataset(
        {
            key: (dims[:end], np.reshape(value, shape[:end]), {"units": "1", "long_name": text[key]})
            for key, value, end in ((key, value, n_dims.get(key, 2)) for key, value in result.items())
        },
        {"factor_name": names, "component": list(COMPONENTS)},
    )


def _explain(levels, draws):
    """Return shares, interval, and numbers of seeds and levels of a factor, from an array (level, relation, seed)."""
    n_levels, _, n = levels.shape
    nothing = np.full(len(COMPONENTS), np.nan)
    if n_levels < 2 or n == 0:
        return nothing, nothing, nothing, n if n_levels else 0, n_levels
    share = _shares(levels)
    if n == 1:
        return share, nothing, nothing, n, n_levels
    picked = (draws[:, :n] * n).astype(int)
    resampled = _shares(np.moveaxis(levels[:, :, picked], 2, 0))
    resampled = resampled[np.isfinite(resampled).all(axis=1)]
    if len(resampled) < 2 or np.isnan(share).any():
        return share, nothing, nothing, n, n_levels
    half = stats.t.ppf(0.975, n - 1) * np.sqrt(n / (n - 1)) * resampled.std(axis=0, ddof=1)
    low = np.maximum(share - half, np.minimum(share, 0))
    high = np.minimum(share + half, np.maximum(share, 1))
    return share, low, high, n, n_levels


def _shares(values):
    """Return the share of each component in the variance of arrays (..., level, relation, seed)."""
    n = values.shape[-1]
    cells = values.mean(axis=-1, keepdims=True)
    deviations = values - cells
    effects = _split(cells)
    if n > 1:  # each part's mean square, less what its own spread over seeds adds to it
        spread = [np.square(part).sum(axis=-1) / (n - 1) for part in _split(deviations)]
        spread = [part.mean(axis=(-2, -1)) for part in spread]
        squares = [np.square(part).mean(axis=(-3, -2, -1)) for part in effects[1:]]
        explained = [square - part / n for square, part in zip(squares, spread[1:], strict=True)]
        n_cells = values.shape[-3] * values.shape[-2]
        residual = sum(spread[1:]) * n_cells / (n_cells - 1)
        seed = sum(spread) - residual  # the mean covariance between cells
        parts = np.stack([*explained, seed, residual], axis=-1)
    else:
        explained = [np.square(part).mean(axis=(-3, -2, -1)) for part in effects[1:]]
        parts = np.stack([*explained, *[np.full_like(explained[0], np.nan)] * 2], axis=-1)
    total = np.nansum(parts, axis=-1, keepdims=True)
    scale = np.square(values).mean(axis=(-3, -2, -1))[..., None]
    return parts / np.where(total > 1e-20 * scale, total, np.nan)  # below it, rounding errors of equal values


def _split(values):
    """Split arrays (..., level, relation, seed) into grand mean, main effects and interaction, for each seed."""
    mean = values.mean(axis=(-3, -2), keepdims=True)
    level = values.mean(axis=-2, keepdims=True) - mean
    relation = values.mean(axis=-3, keepdims=True) - mean
    return mean, level, relation, values - mean - level - relation
