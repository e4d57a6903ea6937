"""Tables of single studies, and of a ranking of encoders, as text."""

import numpy as np
import xarray as xr
from scipy import stats

from invtransfer.analysis.checks import check_array
from invtransfer.analysis.factors import stack_encoders
from invtransfer.analysis.intervals import ratio_interval
from invtransfer.analysis.invariance import invariance_by_relation, spillover_in_distribution, target_sensitivity
from invtransfer.analysis.summaries import format_means, format_table


def format_fine_tuning(cube):
    """Format accuracies and sensitivities before and after fine-tuning, a table for each number of samples.

    Parameters
    ----------
    cube : xarray.Dataset
        As ``studies/fine_tuning.py`` writes it.

    Returns
    -------
    text : str

    Raises
    ------
    TypeError, ValueError
        As `summarise`.
    """
    parts, moved = [], stack_encoders(target_sensitivity(cube).assign_coords(factor_name=cube.factor_name))
    for n in cube.n_tuning.values:
        row = cube.sel(n_tuning=n)
        columns = {
            "accuracy before": stack_encoders(row.accuracy_before),
            "accuracy after": stack_encoders(row.transfer_accuracy),
            "sensitivity before": moved.sel(n_tuning=0),
            "sensitivity after": moved.sel(n_tuning=n),
        }
        parts.append(
            f"{n} samples of the target: mean ± 95 % interval over seeds (n = {cube.sizes['seed']}); sensitivity is to"
            " the target's transformations"
        )
        parts.append(format_means(columns, "encoder"))
    return "\n\n".join(parts)


def format_invariance(sensitivity, n_spillovers=8):
    """Format the mean sensitivities of the paper's Table 2, and the largest spill-overs in-distribution.

    Parameters
    ----------
    sensitivity : xarray.DataArray over "trained_on", "evaluated_on" and those of `invariance_by_relation`
        Sensitivities of one architecture, as ``studies/invariance_transfer.py`` writes them.
    n_spillovers : int, default 8
        Number of pairs of transformations whose spill-over is shown.

    Returns
    -------
    text : str

    Raises
    ------
    TypeError, ValueError
        As `invariance_by_relation`.
    """
    table = invariance_by_relation(sensitivity).stack(encoder=("trained_on", "relation"), create_index=False)
    labels = zip(table.trained_on.values, table.relation.values, strict=True)
    table = table.assign_coords(encoder=[f"trained on {kind}: {which}" for kind, which in labels])
    columns = {name: table.sel(evaluated_on=name) for name in table.evaluated_on.values}
    parts, change = [format_means(columns, "encoder")], spillover_in_distribution(sensitivity)
    if change is not None:
        change = change.mean("seed")
        lines = ["largest spill-overs in-distribution (sensitivity minus that of the encoder trained without):"]
        pairs = change.transpose("pretraining_transformation", "transformation").to_series().dropna()
        for (source, other), value in pairs.sort_values(kind="stable")[:n_spillovers].items():
            lines.append(f"  {f'{source} to {other}':<28}{value:+.2f}")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def format_advised_pretraining(cube):
    """Format what pretraining with the advised transformations gains, and how well each estimator finds those needed.

    Parameters
    ----------
    cube : xarray.Dataset
        As ``studies/advice.py`` writes it.

    Returns
    -------
    text : str

    Raises
    ------
    TypeError, ValueError
        As `summarise`.
    """
    sizes = cube.n_labelled.values
    by_size = {f"{n:,} labelled": cube.transfer_accuracy.sel(n_labelled=n, drop=True) for n in sizes}
    parts = [
        f"accuracy on the target, mean ± 95 % interval over seeds (n = {cube.sizes['seed']})",
        format_means(by_size, "chooser"),
    ]
    choosers = set(cube.chooser.values)
    if "advisor" not in choosers or "evidence" not in cube:
        return "\n\n".join(parts)
    if {"same", "disjoint"} <= choosers:
        gains = (cube.transfer_accuracy.sel(chooser=name) for name in ("advisor", "same", "disjoint"))
        advisor, same, disjoint = (one.transpose("n_labelled", "seed").values for one in gains)
        shares = []
        for won, gap, n in zip(advisor - disjoint, same - disjoint, sizes, strict=True):
            known = ~np.isnan(won + gap)  # in the same seeds
            share = f"{won[known].mean() / gap[known].mean():.0%}" if known.any() else "?"
            _, low, high = ratio_interval(won, gap)
            interval = "" if np.isnan(low) else f" ({low:.0%} to {high:.0%})"
            shares.append(f"{share} with {n:,}{interval}")
        parts.append(
            "share of what disjoint lacks to same that the advisor wins back (ratio of means; 95 % interval over"
            f" seeds): {', '.join(shares)}"
        )
    advisor = cube.sel(chooser="advisor", drop=True)
    marks = (advisor.target_transformation, advisor.source_transformation)
    needed, used = (one.where(one >= 0) for one in marks)  # -1: the cell failed
    n_both, n_needed, n_used = (one.sum("transformation", min_count=1) for one in (needed * used, needed, used))
    found = {"advised": n_used, "precision": n_both / n_used, "recall": n_both / n_needed}
    areas = _find_areas(advisor.evidence, needed)
    by_size = {f"{n:,} labelled": areas.sel(n_labelled=n, drop=True) for n in sizes}
    kept = advisor.kept.where(advisor.kept >= 0).mean("seed").to_series()
    return "\n\n".join([
        *parts,
        "what the advisor advises",
        format_means(found, "n_labelled"),
        "area under the curve when the 18 are ranked by what is measured (chance: 0.5)",
        format_means(by_size, "estimator"),
        "labels that are a transformation, share of seeds in which the advice is to stay sensitive: "
        + ", ".join(f"{name} {share:.0%}" for name, share in kept.items()),
    ])  # fmt: skip


def _find_areas(scores, needed):
    """Compute the area under the curve when transformations are ranked by their scores, of which NaN do not count."""

    def area(scores, needed):
        known = np.isfinite(scores)
        above, below = scores[known & (needed > 0)], scores[known & (needed <= 0)]
        if not len(above) or not len(below):
            return np.nan
        return stats.mannwhitneyu(above, below).statistic / (len(above) * len(below))

    return xr.apply_ufunc(area, scores, needed, input_core_dims=[["transformation"]] * 2, vectorize=True)


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
