"""A ranking of encoders: its numbers from right answers and scores, and its text."""

import warnings

import numpy as np
import xarray as xr
from scipy import stats

from invtransfer.analysis.checks import check_array
from invtransfer.analysis.intervals import share_difference_interval, share_interval
from invtransfer.analysis.resampling import (
    balanced_interval,
    bootstrap_means,
    jackknife_half_width,
    share_above,
    share_first,
)
from invtransfer.analysis.summaries import format_table

TEXTS = {  # name of a variable -> units, long_name
    "value": ("units of the score", "score of the features, of which higher is better"),
    "interval": ("units of the score", "95 % interval over images"),
    "first": ("1", "share of the resamples in which the score is the highest"),
    "ahead": ("1", "share of the resamples in which the score is above that of the next encoder"),
    "difference": ("units of the score", "score minus that of the encoder with the highest probe accuracy"),
    "difference_interval": ("units of the score", "95 % interval of the difference, paired over images"),
    "rank_correlation": ("1", "Spearman's correlation of probe accuracy and sensitivity over encoders"),
    "n_encoders": ("1", "number of encoders that have a sensitivity"),
    "needed_sensitivity": ("1", "mean sensitivity to what the task needs to be ignored"),
    "score_units": ("1", "units of each score"),
    "features": ("1", "where the features are taken"),
    "n_features": ("1", "number of features"),
}


def describe_accuracies(correct, codes, groups, n_resamples, generate):
    """Summarise right answers of probes and of nearest neighbours by three accuracies.

    Parameters
    ----------
    correct : ndarray of shape (n_images, n_encoders, 2), bool
        Which answers of the probe, and of the neighbours, are right; the encoders are in their final order.
    codes : ndarray of shape (n_images,), int
        Class indices.
    groups : ndarray of shape (n_images,) or None
        Group of each image, for resampling.
    n_resamples : int
        Number of bootstrap resamples.
    generate : callable
        Function without arguments that makes the generator of the resamples anew, so that all draw the same images.

    Returns
    -------
    described : xarray.Dataset over "encoder" and "score", and "bound"
        The variables of `TEXTS` from "value" to "difference_interval", for the accuracy of the probe, the same with
        all classes counting alike, and the accuracy of the neighbours.
    """
    by_probe, by_nearest = np.moveaxis(correct.astype(float), -1, 0)
    behind = by_probe - by_probe[:, :1]
    balanced, *interval = balanced_interval(by_probe, codes, n_resamples, generate(), groups)
    _, *between = balanced_interval(behind, codes, n_resamples, generate(), groups, (-1.0, 1.0))
    resampled = bootstrap_means(by_probe, n_resamples, generate(), groups, codes)
    columns = [
        _describe_shares(by_probe, n_resamples, generate(), groups),
        (balanced, interval, between, resampled),
        _describe_shares(by_nearest, n_resamples, generate(), groups),
    ]
    values, interval, between, resampled = (np.stack(one, axis=-1) for one in zip(*columns, strict=True))
    between[:, 0] = 0.0  # the first, which is compared with itself
    return _describe(values, resampled, interval, between)


def _describe_shares(right, n_resamples, generator, groups):
    """Return shares of right answers, (n_encoders,), their intervals, those of differences to the first; resamples."""
    shares = np.array([share_interval(one, groups) for one in right.T]).T
    between = np.array([share_difference_interval(one - right[:, 0], groups) for one in right.T]).T
    return shares[0], shares[1:], between[1:], bootstrap_means(right, n_resamples, generator, groups)


def describe_others(values, deviations, n, n_classes):
    """Summarise H-score and log evidence by the jackknife.

    Parameters
    ----------
    values : ndarray of shape (n_encoders, 2)
        The two scores of all images; the encoders are in their final order.
    deviations : ndarray of shape (n_subsets, n_encoders, 2)
        As `jackknife_deviations` returns them.
    n : int
        Number of images, or of groups.
    n_classes : int
        Number of classes.

    Returns
    -------
    described : xarray.Dataset
        As of `describe_accuracies`.
    """
    least, most = [0, -np.inf], [n_classes - 1, np.inf]  # of H-score and log evidence
    interval = _widen(values, deviations, n - n_classes)
    between = _widen(values - values[:1], deviations - deviations[:, :1], n - n_classes)
    return _describe(values, values + deviations, np.clip(interval, least, most), between)


def _widen(values, deviations, n_free):
    half = jackknife_half_width(deviations, n_free)
    return values - half, values + half


def _describe(values, resampled, interval, between):
    ahead = np.full(values.shape, np.nan)
    ahead[:-1] = share_above(resampled[:, :-1], resampled[:, 1:])
    dims = ("encoder", "score")
    return xr.Dataset({
        "value": (dims, values),
        "interval": (("bound", *dims), np.stack(interval)),
        "first": (dims, share_first(resampled)),
        "ahead": (dims, ahead),
        "difference": (dims, values - values[:1]),
        "difference_interval": (("bound", *dims), np.stack(between)),
    })  # fmt: skip


def correlate(accuracy, sensitivity):
    """Compute the rank correlation of accuracies and sensitivities over the encoders that have both.

    Parameters
    ----------
    accuracy : xarray.DataArray over "encoder"
        An accuracy of each encoder.
    sensitivity : xarray.DataArray over "encoder" and "transformation"
        Sensitivities of the same encoders, and perhaps of others.

    Returns
    -------
    correlations : xarray.Dataset over "transformation"
        "rank_correlation", NaN of fewer than 3 encoders, and "n_encoders".

    Examples
    --------
    >>> accuracy = xr.DataArray([0.5, 0.7, 0.9], {"encoder": ["a", "b", "c"]}, ["encoder"])
    >>> sensitivity = xr.DataArray([0.9, 0.4, 0.1], accuracy.coords).expand_dims(transformation=["hue"]).T
    >>> correlate(accuracy, sensitivity).rank_correlation.item()
    -1.0
    """
    columns = sensitivity.sel(encoder=accuracy.encoder.values).values.T
    correlations = np.full(len(columns), np.nan)
    for i, column in enumerate(columns):
        there = np.isfinite(column)
        if there.sum() >= 3:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", stats.ConstantInputWarning)  # the correlation is NaN then
                correlations[i] = stats.spearmanr(accuracy.values[there], column[there]).statistic
    return xr.Dataset(
        {
            "rank_correlation": ("transformation", correlations),
            "n_encoders": ("transformation", np.isfinite(columns).sum(axis=1)),
        },
        {"transformation": sensitivity.transformation.values},
    )


def format_ranking(ranking):
    """Format which of several encoders suits a task.

    Parameters
    ----------
    ranking : xarray.Dataset
        As `invtransfer.rank_encoders` returns it.

    Returns
    -------
    text : str
        A table of scores with their 95 % intervals (without the balanced accuracy if all classes have equally many
        images, because it then equals the probe accuracy), one of the shares of resamples in which each encoder is
        first, and, if the ranking has it, one of the correlation of probe accuracy and sensitivity, from the most
        negative; then which encoder is best, which ones these images do not tell from it, and which scores say
        otherwise.

    Raises
    ------
    TypeError
        If `ranking` is not a Dataset.
    ValueError
        If it lacks a variable, or a variable is not as `invtransfer.rank_encoders` returns it.

    Examples
    --------
    >>> from invtransfer import rank_encoders
    >>> X = (np.repeat([10, 20, 200, 210], 120) + np.arange(480) // 12).reshape(40, 2, 2, 3).astype("uint8")
    >>> ranking = rank_encoders({"pixels": None}, X, np.arange(40) // 20, random_state=0)
    >>> format_ranking(ranking).splitlines()[2][:29]  # probe accuracy; 0.912 ** 40 is 0.025
    'pixels   1.000 [0.912, 1.000]'
    """
    if not isinstance(ranking, xr.Dataset):
        raise TypeError(f"ranking is of type {type(ranking).__name__}, expected an xarray.Dataset")
    over = {"value": 2, "interval": 3, "first": 2, "ahead": 2, "difference": 2, "difference_interval": 3}
    over = {name: ["encoder", "score", "bound"][:n] for name, n in over.items()}
    if "rank_correlation" in ranking:
        over |= {"rank_correlation": ["transformation"], "n_encoders": ["transformation"]}
    if "needed_sensitivity" in ranking:
        over |= {"needed_sensitivity": ["encoder"]}
    checked = {name: _check_variable(ranking, name, dims) for name, dims in over.items()}
    ranking = xr.Dataset(checked, attrs=ranking.attrs)
    if "probe_accuracy" not in ranking.score.values.tolist() or ranking.bound.values.tolist() != ["low", "high"]:
        raise ValueError("ranking has other scores or bounds than those of rank_encoders")
    scores = ranking.score.values.tolist()
    chance, n_classes = (ranking.attrs.get(name, np.nan) for name in ("chance", "n_classes"))
    if "balanced_accuracy" in scores and np.isclose(chance * n_classes, 1):  # classes have as many images
        scores.remove("balanced_accuracy")
        ranking = ranking.sel(score=scores)
    heads = [score.replace("_", " ") for score in scores]
    needed = ["sensitivity to what is needed"] * ("needed_sensitivity" in ranking)
    values, shares = [["encoder", *heads, *needed]], [["encoder", *heads, "above the next", "minus the first"]]
    for i, name in enumerate(map(str, ranking.encoder.values)):
        one = ranking.isel(encoder=i)
        probe = one.sel(score="probe_accuracy")
        values.append([name, *(_format_interval(one.value.sel(score=s), one.interval.sel(score=s)) for s in scores)])
        if "needed_sensitivity" in ranking:
            values[-1].append(f"{one.needed_sensitivity.item():.3f}")
        ahead = "" if np.isnan(probe.ahead) else f"{probe.ahead.item():.2f}"
        behind = _format_interval(probe.difference, probe.difference_interval, "+") if i else ""
        shares.append([name, *(f"{one['first'].sel(score=s).item():.2f}" for s in scores), ahead, behind])
    parts = [
        f"value [95 % interval over images]; chance is {chance:.3f}"
        + f", of the balanced accuracy {1 / n_classes:.3f}" * ("balanced_accuracy" in scores),
        format_table(values),
        "\nshare of resamples in which the encoder is first; and of probe accuracy: share in which it is above the",
        "next encoder of the list, and difference to the first",
        format_table(shares),
    ]
    if "rank_correlation" in ranking:
        rows = ranking[["rank_correlation", "n_encoders"]].sortby("rank_correlation")
        numbers = zip(rows.transformation.values, rows.rank_correlation.values, rows.n_encoders.values, strict=True)
        rows = [[str(t), "?" if np.isnan(r) else f"{r:+.2f}", f"{n:.0f}"] for t, r, n in numbers]
        parts.append("\nrank correlation, over encoders, of probe accuracy and sensitivity; of a few it says little")
        parts.append(format_table([["transformation", "correlation", "encoders"], *rows]))
    return "\n".join([*parts, "", *_say_which_is_best(ranking, dict(zip(scores, heads, strict=True)))])


def _say_which_is_best(ranking, heads):
    """Return lines that say which encoder is best, and which scores say otherwise."""
    best, *others = ranking.encoder.values.astype(str)
    bounds = ranking.difference_interval.transpose("encoder", ...).isel(encoder=slice(1, None))  # minus the best
    behind = (bounds.sel(score="probe_accuracy", bound="high") < 0).values
    close = [name for name, is_behind in zip(others, behind, strict=True) if not is_behind]
    text = f"best by probe accuracy: {best}"
    if others:
        text += f"; these images do not tell it from: {', '.join(close)}" if close else ", clearly ahead of all others"
    lines = [text]
    lowest, attrs = ranking.interval.sel(bound="low", drop=True), ranking.attrs
    chances = {"probe_accuracy": attrs.get("chance", 0), "balanced_accuracy": 1 / attrs.get("n_classes", 2)}
    if not any((lowest.sel(score=score) > chances[score]).any() for score in chances.keys() & heads.keys()):
        lines.append("no encoder is clearly better than chance")
    contrary = []
    for i, name in enumerate(others):
        above = bounds.isel(encoder=i).sel(bound="low") > 0
        if higher := [head for score, head in heads.items() if above.sel(score=score)]:
            contrary.append(f"{name} has clearly higher {' and '.join(higher)}")
    if contrary:
        contrary.append(
            "where scores disagree, go by probe accuracy: it is measured on images that the probe has not seen"
            + "; or by its balanced accuracy, if rare classes matter as much" * ("balanced_accuracy" in heads)
        )
    return [*lines, *contrary]


def _check_variable(ranking, name, dims):
    if name not in ranking:
        raise ValueError(f"ranking has no variable {name!r}, expected the result of rank_encoders")
    values = check_array(ranking[name], name, dims=dims, coordinates=dims, once=dims)
    if values.ndim > len(dims):
        raise ValueError(f"{name} has the dimensions {', '.join(map(str, values.dims))}, expected {', '.join(dims)}")
    return values.reset_coords(drop=True)


def _format_interval(value, bounds, sign=""):
    low, high = (f"{one:{sign}.3f}" for one in bounds.values)
    return f"{value.item() + 0.0:{sign}.3f} [{low}, {high}]"
