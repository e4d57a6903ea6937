"""Tables of single studies as text."""

import numpy as np
import xarray as xr
from scipy import stats

from invtransfer.analysis.factors import stack_encoders
from invtransfer.analysis.intervals import ratio_interval
from invtransfer.analysis.invariance import invariance_by_relation, spillover_in_distribution, target_sensitivity
from invtransfer.analysis.summaries import format_means


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
