"""Tables of single studies, as text."""

from invtransfer.analysis.factors import stack_encoders
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
        for pair in change.stack(pair=change.dims).dropna("pair").sortby(lambda values: values)[:n_spillovers]:
            names = f"{pair.pretraining_transformation.item()} to {pair.transformation.item()}"
            lines.append(f"  {names:<28}{pair.item():+.2f}")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
