"""What cubes say: spread over seeds, and how much invariance decides compared with other factors. Knows no torch."""

import warnings
from numbers import Integral

import numpy as np
import xarray as xr
from scipy import stats

CONTRASTS = ("within_disjoint", "same_minus_disjoint", "within_same")
COMPONENTS = ("level", "relation", "interaction", "seed", "residual")
MOST_RESAMPLES = 1_000_000  # more are asked for by mistake, and would not fit into memory
REFERENCE = "reference"  # the factor_name of encoders that do not depend on the relation, so have no contrast
WITHOUT = ("none", "untrained")  # pretraining_transformation of encoders that were trained without any, or not at all


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

    Raises
    ------
    TypeError
        If `values` is no DataArray.
    ValueError
        If `values` does not have the dimension, or does not hold real numbers.

    Examples
    --------
    >>> summary = summarise(xr.DataArray([0.7, 0.8, 0.9], dims="seed"))
    >>> round(summary["mean"].item(), 3), round(summary["std"].item(), 3), round(summary["low"].item(), 3)
    (0.8, 0.1, 0.552)
    """
    values = _require(values, "values", dims=[dim])
    n = values.notnull().sum(dim)
    mean = values.mean(dim)
    std = np.sqrt(np.square(values - mean).sum(dim) / (n - 1).where(n > 1))
    half = stats.t.ppf(0.975, (n - 1).where(n > 1)) * std / np.sqrt(n.where(n > 0))
    return xr.Dataset({"mean": mean, "std": std, "low": mean - half, "high": mean + half, "n": n})


def format_mean(values, sign="", digits=3):
    """Format the mean over seeds and the half width of its 95 % interval, such as "0.850 ± 0.231".

    Parameters
    ----------
    values : xarray.DataArray over "seed"
        NaN counts as missing.
    sign : {"", "+"}, default ""
        "+" puts a sign before positive means, too.
    digits : int, default 3
        Number of digits after the decimal point.

    Returns
    -------
    text : str
        The mean alone if there is one value, as it has no interval; "?" if there is none.

    Raises
    ------
    TypeError, ValueError
        As `summarise`.

    Examples
    --------
    >>> format_mean(xr.DataArray([0.9, 0.75, 0.9], dims="seed"))
    '0.850 ± 0.215'
    >>> format_mean(xr.DataArray([0.25], dims="seed"), sign="+", digits=2)
    '+0.25'
    """
    summary = summarise(values)
    if summary["n"] == 0:
        return "?"
    mean, half = summary["mean"].item(), (summary["high"] - summary["mean"]).item()
    text = f"{round(mean, digits) + 0.0:{sign}.{digits}f}"  # + 0.0: no -0.000
    return text if np.isnan(half) else f"{text} ± {half:.{digits}f}"


def format_table(rows, n_left=1):
    """Format rows of texts as a table with aligned columns.

    Parameters
    ----------
    rows : list of list of str
        The first row is the head; all rows have the same length.
    n_left : int, default 1
        Number of columns, from the left, whose texts are flush left; those of the others, numbers, are flush right.

    Returns
    -------
    text : str
        One line per row, with two spaces between columns, without spaces or a newline at the end.

    Raises
    ------
    ValueError
        If the rows differ in length.

    Examples
    --------
    >>> rows = [["encoder", "accuracy", "n"], ["resnet18", "0.850 ± 0.231", "3"], ["vit", "0.700", "1"]]
    >>> format_table(rows).splitlines()
    ['encoder        accuracy  n', 'resnet18  0.850 ± 0.231  3', 'vit               0.700  1']
    """
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise ValueError(f"rows have {' and '.join(map(str, lengths))} columns, expected as many in each")
    columns = []
    for i, column in enumerate(zip(*rows, strict=True)):
        width = max(map(len, column))
        columns.append([text.ljust(width) if i < n_left else text.rjust(width) for text in column])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def format_means(columns, dim):
    """Format means over seeds as a table, with a row for each label of a dimension.

    Parameters
    ----------
    columns : dict of str to xarray.DataArray over `dim` and "seed"
        Values by the head of their column.
    dim : str
        Dimension whose labels are the rows.

    Returns
    -------
    text : str
        The table of `format_table`, with means and intervals as `format_mean` formats them.

    Raises
    ------
    TypeError, ValueError
        As `summarise`.

    Examples
    --------
    >>> accuracy = xr.DataArray([[0.5], [0.75]], {"encoder": ["vit", "vgg11"], "seed": [0]}, ["encoder", "seed"])
    >>> format_means({"accuracy": accuracy}, "encoder").splitlines()
    ['         accuracy', 'vit         0.500', 'vgg11       0.750']
    """
    labels = next(iter(columns.values()))[dim].values.tolist()
    rows = [[str(label), *(format_mean(values.isel({dim: i})) for values in columns.values())]
            for i, label in enumerate(labels)]  # fmt: skip
    return format_table([["", *columns], *rows])


def fill_relations(cube):
    """Give a cube that has one of the relations "same" and "disjoint" both, with nothing in the other.

    Parameters
    ----------
    cube : xarray.Dataset over "relation" and others
        As ``studies/factors.py`` writes it.

    Returns
    -------
    cube : xarray.Dataset
        NaN where there was nothing; -1 in whole numbers, "" in strings, and 0, which is missing, in status.

    Raises
    ------
    TypeError
        If `cube` is no Dataset.
    ValueError
        If it has no labels along "relation", or one twice.

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
        With the coordinates "factor_name" and "level" along "factor".
    name : str
        Name of the factor.

    Returns
    -------
    levels : xarray.Dataset over `name` and others
        The levels of the factor as labels: ascending numbers if all of them are numbers, else strings in their order.

    Examples
    --------
    >>> coordinates = {"factor_name": ("factor", ["width", "width"]), "level": ("factor", ["2", "0.5"])}
    >>> select_factor(xr.Dataset({"accuracy": ("factor", [0.75, 0.5])}, coordinates), "width").accuracy.width.values
    array([0.5, 2. ])
    """
    chosen = cube.isel(factor=np.flatnonzero(cube.factor_name.values == name))
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
        With the coordinate "factor_name" along "factor".

    Returns
    -------
    cube : xarray.Dataset

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
        With the coordinate "factor_name" along "factor".

    Returns
    -------
    values : xarray.DataArray over "encoder" and others
        Labels along "encoder" are such as "architecture=vit same"; references have the name of their place alone.

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


def target_sensitivity(cube):
    """Compute the mean sensitivity to the target's transformations, before and after fine-tuning.

    Parameters
    ----------
    cube : xarray.Dataset
        As ``studies/fine_tuning.py`` writes it: `sensitivity_before` and `target_transformation` over "transformation"
        and others, and `sensitivity` over "n_tuning" as well.

    Returns
    -------
    sensitivity : xarray.DataArray over "n_tuning" and others
        0 along "n_tuning" is before fine-tuning.
    """
    before = cube.sensitivity_before.expand_dims(n_tuning=[0])
    after = cube.sensitivity.drop_vars("tuning", errors="ignore")
    return xr.concat([before, after], "n_tuning").where(cube.target_transformation == 1).mean("transformation")


def count_once(values, cell):
    """Leave out places that share their cell with an earlier one, so that each encoder counts once.

    Parameters
    ----------
    values : xarray.DataArray
        Over the grid of a cube, and perhaps more.
    cell : xarray.DataArray
        The cube's names of cells, over its grid.

    Returns
    -------
    values : xarray.DataArray
        NaN in places whose cell came before.

    Examples
    --------
    >>> cell = xr.DataArray(["a", "b", "a"], dims="factor")
    >>> count_once(xr.DataArray([0.1, 0.2, 0.1], dims="factor"), cell).values
    array([0.1, 0.2, nan])
    """
    first = np.zeros(cell.size, dtype=bool)
    first[np.unique(cell.values, return_index=True)[1]] = True
    return values.where(xr.DataArray(first.reshape(cell.shape), dims=cell.dims))


def paired_contrast(values, dim, first, second):
    """Compute the difference between two labels of one dimension, seed by seed.

    Cells of the same seed share objects, backgrounds and draws, so that much of what makes accuracies vary over seeds
    cancels in their difference. `summarise` turns the differences into their mean and interval.

    Parameters
    ----------
    values : xarray.DataArray
        With dimensions "seed" and `dim`.
    dim : str
        The dimension of both labels, such as "factor", "relation" or "transformation"; not "seed".
    first, second : str or int
        Labels along `dim`.

    Returns
    -------
    difference : xarray.DataArray over "seed" and the other dimensions
        `values` at `first` minus those at `second`, NaN where one of them is missing.

    Raises
    ------
    TypeError
        If `values` is no DataArray.
    ValueError
        If there is no such dimension, it is "seed", it has no such label, or `values` does not hold real numbers.

    Examples
    --------
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
    values = _require(values, "values", dims=["seed", dim])
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
        Transfer accuracy; "factor" has the coordinate "factor_name", and the relations are "same" and "disjoint".
        Encoders of the factor_name "reference" are left out: they are the same for both relations.

    Returns
    -------
    contrasts : xarray.DataArray over "factor_name", "contrast" and "seed"
        "within_disjoint" and "within_same": accuracy at the best level of that factor minus that at the worst, among
        encoders of one relation; "same_minus_disjoint": the mean over its levels of the difference between the
        relations. Levels without any accuracy for one of the relations are left out. NaN for seeds that lack one of the
        others, and within a factor of fewer than two.

    Raises
    ------
    TypeError
        If `accuracy` is no DataArray.
    ValueError
        If a dimension, the coordinate or a relation is not there, a relation is there twice, or `accuracy` does not
        hold real numbers.

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
    accuracy, names = _factor_names(accuracy)
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
    if not rows:  # references alone, or nothing
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


def variance_explained(accuracy, n_resamples=2_000, random_state=0):
    """Compute how much of the variance of accuracy each factor's level and the relation explain.

    Parameters
    ----------
    accuracy : xarray.DataArray over "factor", "relation" and "seed"
        Transfer accuracy; "factor" has the coordinate "factor_name". Encoders of the factor_name "reference" are left
        out: they are the same for both relations.
    n_resamples : int, default 2_000
        Number of bootstrap samples of seeds.
    random_state : int or numpy.random.Generator, default 0
        Decides the bootstrap samples; with an int, the intervals of a factor do not depend on what other factors are
        there.

    Returns
    -------
    shares : xarray.Dataset over "factor_name" and "component"
        "share" of the variance, its 95 % interval "low" and "high", and over "factor_name" alone "n", the number of
        seeds, and "n_levels", the number of levels that were used. Components are "level"; "relation"; their
        "interaction", that is, how much more the relation matters at some levels than at others; "seed", what the draw
        of objects and transformations changes for all encoders alike; and "residual", what it changes for each.
        The shares of a factor sum to 1.

    Raises
    ------
    TypeError
        If `accuracy` is no DataArray.
    ValueError
        If a dimension or the coordinate is not there, there is only one relation or one twice, `accuracy` does not hold
        real numbers, `n_resamples` is no whole number from 2 to 1,000,000, or `random_state` gives no generator.

    Notes
    -----
    Each factor is one two-way layout, level x relation, with seeds as blocks. The share is a bias-corrected one, in the
    manner of omega squared: plain eta squared, a ratio of sums of squares, counts noise as an effect, and the more so
    the more levels there are and the fewer seeds; of pure noise over 5 levels, 2 relations and 3 seeds it ascribes 14 %
    to the level, and would so favour factors with many levels over the relation with its two. Here each effect's mean
    square over its cells is reduced by what its own variation over seeds (level x seed, relation x seed, level x
    relation x seed) adds to it on average. No equal variances are assumed, as transformations differ much in how much
    they matter. A share may therefore be slightly below 0, which means that none was found.

    The interval is the share plus and minus Student's quantile times its standard error, cut to [0, 1]. The standard
    error is that over bootstrap samples in which whole seeds are resampled, so what is paired remains so, times
    sqrt(n / (n - 1)), as resampled seeds vary too little by that. In simulations of 3, 5 and 10 seeds such intervals
    held the true share of level, relation and interaction in 88 to 100 of 100 cases, quantiles of the bootstrap in as
    few as 58, as resampling adds noise to the effects and has few distinct samples (10 with 3 seeds). With 2 or 3 seeds
    they tend to be so wide that they say little, which is then the truth. Those of "seed" and "residual", variances
    themselves, are too narrow: 74 to 98 of 100 cases.

    With one seed nothing tells an effect from noise: the shares are plain eta squared without residual, so the
    interaction holds all noise; seed, residual and intervals are NaN. Levels without any accuracy for one of the
    relations are left out, and so are, for a factor, seeds that lack one of its remaining cells. With fewer than two
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
    accuracy, names = _factor_names(accuracy)
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
    """Return shares, interval, and numbers of seeds and levels of one factor: (level, relation, seed) without gaps."""
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
    """Return the share of each component in the variance, for any number of arrays over level, relation and seed."""
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
    """Split arrays over level, relation and seed into grand mean, main effects and interaction, for every seed."""
    mean = values.mean(axis=(-3, -2), keepdims=True)
    level = values.mean(axis=-2, keepdims=True) - mean
    relation = values.mean(axis=-3, keepdims=True) - mean
    return mean, level, relation, values - mean - level - relation


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
    n = accuracy.n_target_transformations
    accuracy = accuracy.reindex(n_pretraining_transformations=n.values)  # a part of the grid may lack some
    change = accuracy - accuracy.sel(n_pretraining_transformations=n).reset_coords(drop=True)
    n_missing = n - accuracy.n_pretraining_transformations
    return change.where(n_missing < 0), change.where(n_missing > 0)


def rank_correlation(values, dim):
    """Compute Spearman's rank correlation of values with the labels of a dimension, seed by seed.

    Parameters
    ----------
    values : xarray.DataArray over `dim` and "seed"
        What is correlated.
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


def invariance_by_relation(sensitivity):
    """Average sensitivity over transformations that an encoder was trained with, and over those that it was not.

    Parameters
    ----------
    sensitivity : xarray.DataArray over "pretraining_transformation", "transformation", "seed" and others
        Of encoders that were each pretrained with one transformation, with none ("none") or not at all ("untrained"),
        to each transformation; NaN counts as missing.

    Returns
    -------
    invariance : xarray.DataArray over "relation" and the other dimensions, of which "seed" is the last
        Mean sensitivity, so lower is more invariant: "same", to the transformation that the encoder was trained with;
        "other", of the same encoders to the others; "none", of the encoder that was trained without; and "untrained"
        if `sensitivity` has such encoders. NaN where there is nothing to average.

    Raises
    ------
    TypeError
        If `sensitivity` is no DataArray.
    ValueError
        If a dimension or its coordinate is not there, a label is there twice, or `sensitivity` does not hold real
        numbers.

    Notes
    -----
    Each mean is over all values that are there, pairs of an encoder and a transformation counting once each. In a
    part of a study these are other transformations for "same" than for "none", and perhaps for one seed than for
    another; then part of the differences between them is that some transformations are harder than others. Tables 2 to
    5 of the paper show these values.

    Examples
    --------
    >>> sensitivity = xr.DataArray(
    ...     [[[0.1], [0.6]], [[0.8], [0.2]], [[0.9], [0.7]]],
    ...     {"pretraining_transformation": ["rotate", "blur", "none"], "transformation": ["rotate", "blur"],
    ...      "seed": [0]},
    ...     ["pretraining_transformation", "transformation", "seed"],
    ... )
    >>> invariance = invariance_by_relation(sensitivity)
    >>> dict(zip(invariance.relation.values.tolist(), invariance.sel(seed=0).values.round(3).tolist()))
    {'same': 0.15, 'other': 0.7, 'none': 0.8}
    """
    sensitivity, dims = _transformation_dims(sensitivity)
    encoder = sensitivity.pretraining_transformation
    own, reference = encoder == sensitivity.transformation, encoder.isin(WITHOUT)
    chosen = {"same": own, "other": ~own & ~reference, "none": encoder == "none"}
    if "untrained" in encoder.values:
        chosen["untrained"] = encoder == "untrained"
    means = [sensitivity.where(which).mean(dims).rename(None) for which in chosen.values()]
    invariance = xr.concat(means, "relation", coords="minimal").assign_coords(relation=list(chosen))
    return invariance.transpose("relation", ..., "seed").assign_attrs(
        units=sensitivity.attrs.get("units", "1"),
        long_name="sensitivity by relation to the transformation of pretraining",
    )


def spillover(sensitivity):
    """Compute how training with one transformation changes the sensitivity to each of the others, seed by seed.

    Parameters
    ----------
    sensitivity : xarray.DataArray over "pretraining_transformation", "transformation", "seed" and others
        Of encoders that were each pretrained with one transformation, or with none ("none"), to each transformation.

    Returns
    -------
    change : xarray.DataArray over the same dimensions
        Sensitivity minus that of the encoder trained with none, in the same seed: below 0 where invariance spills over
        from the transformation of pretraining to the other. NaN where one of the two is missing, and where both
        transformations are the same, as that is no spill-over. Encoders "none" and "untrained" are left out.

    Raises
    ------
    TypeError
        If `sensitivity` is no DataArray.
    ValueError
        If a dimension or its coordinate is not there, a label is there twice, there is no encoder "none", or
        `sensitivity` does not hold real numbers.

    Examples
    --------
    >>> sensitivity = xr.DataArray(
    ...     [[[0.1], [0.6]], [[0.8], [0.2]], [[0.9], [0.7]]],
    ...     {"pretraining_transformation": ["rotate", "blur", "none"], "transformation": ["rotate", "blur"],
    ...      "seed": [0]},
    ...     ["pretraining_transformation", "transformation", "seed"],
    ... )
    >>> spillover(sensitivity).sel(seed=0).values.round(3)
    array([[ nan, -0.1],
           [-0.1,  nan]])
    """
    sensitivity, dims = _transformation_dims(sensitivity)
    encoder = sensitivity.pretraining_transformation
    if "none" not in encoder.values:
        found = ", ".join(map(str, encoder.values.tolist())) or "none"
        raise ValueError(f"sensitivity has no pretraining_transformation 'none' to compare with; it has: {found}")
    change = sensitivity.isel({dims[0]: ~encoder.isin(WITHOUT)}) - sensitivity.sel({dims[0]: "none"}, drop=True)
    change = change.rename(None).where(change.pretraining_transformation != change.transformation)
    return change.transpose(*sensitivity.dims).assign_attrs(
        units=sensitivity.attrs.get("units", "1"),
        long_name="change of sensitivity by training with another transformation",
    )


def _transformation_dims(sensitivity):
    """Return the array and its dimensions that name transformations; they, with labels, and "seed" must be there."""
    dims = ["pretraining_transformation", "transformation"]
    return _require(sensitivity, "sensitivity", dims=[*dims, "seed"], coordinates=dims, once=dims), dims


def _factor_names(accuracy):
    """Return accuracies that can be computed with, and the factors that are not references, once each, in order."""
    dims = ["factor", "relation", "seed"]
    accuracy = _require(accuracy, "accuracy", dims=dims, coordinates=["factor_name"], once=["relation"])
    return accuracy, [name for name in dict.fromkeys(accuracy.factor_name.values.tolist()) if name != REFERENCE]


def _require(values, argument, dims, coordinates=(), once=()):
    """Return an array as floats; raise an error if it lacks a dimension or coordinate, or has a label twice."""
    if not isinstance(values, xr.DataArray):
        raise TypeError(f"{argument} is of type {type(values).__name__}, expected an xarray.DataArray")
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{argument} has dtype {values.dtype}, expected real numbers")
    for kind, needed, there in (("dimension", dims, values.dims), ("coordinate", coordinates, values.coords)):
        missing = [name for name in needed if name not in there]
        if missing:
            found = ", ".join(map(str, there)) or "none"
            raise ValueError(f"{argument} has no {kind} {', '.join(map(repr, missing))}; its {kind}s are: {found}")
    for dim in once:
        labels = values[dim].values.tolist()
        twice = [label for label in dict.fromkeys(labels) if labels.count(label) > 1]
        if twice:
            raise ValueError(f"{argument} has {', '.join(map(repr, twice))} along {dim!r} more than once")
    return values if values.dtype.kind == "f" else values.astype(float)  # numpy takes no difference of booleans
