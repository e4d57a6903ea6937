"""Figures of the studies, each made from the cube of one study."""

from itertools import product

import numpy as np
import xarray as xr

from invtransfer.analysis import (
    REFERENCE,
    change_by_mismatch,
    count_once,
    drop_references,
    invariance_by_relation,
    paired_contrast,
    select_factor,
    target_sensitivity,
)
from invtransfer.plots.axes import format_name, format_spread
from invtransfer.plots.curves import draw_curves
from invtransfer.plots.matrices import draw_matrices


def plot_mismatch(cube):
    """Draw how accuracy changes if an encoder has more or fewer transformations than the target; Figure 4 as a matrix.

    Parameters
    ----------
    cube : xarray.Dataset
        As ``studies/mismatch.py`` writes it.

    Returns
    -------
    figure : matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If it is no such cube.
    """
    _check_cube(cube, "mismatch", "transfer_accuracy", "n_pretraining_transformations", "n_target_transformations")
    figure = _make_figure(cube, max(10, 5 * cube.sizes["architecture"]), 9)
    upper, lower = figure.subfigures(2, 1)
    draw_curves(
        upper, change_by_mismatch(cube.transfer_accuracy), x="n_surplus", line="architecture",
        line_label="architecture",
        x_label="transformations in pretraining minus those of the target, which they include or are part of",
        y_label="accuracy on the target minus that\nof the encoder with as many (same seed)",
    )  # fmt: skip
    draw_matrices(
        lower, cube.transfer_accuracy, rows="n_pretraining_transformations", columns="n_target_transformations",
        panel="architecture", label="accuracy on the target", row_label="transformations in pretraining",
        column_label="transformations of the target",
    )  # fmt: skip
    return figure


def plot_advised_pretraining(cube):
    """Draw the accuracy on the target for each chooser of the transformations of pretraining, and what choosers gain.

    Parameters
    ----------
    cube : xarray.Dataset
        As ``studies/advice.py`` writes it.

    Returns
    -------
    figure : matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If it is no such cube.
    """
    _check_cube(cube, "advice", "transfer_accuracy", "chooser", "n_labelled")
    figure = _make_figure(cube, 10, 8)
    upper, lower = figure.subfigures(2, 1)
    drawn = {"x": "n_labelled", "line": "chooser", "line_label": "chosen by"}
    label = "labelled images of the target"
    draw_curves(upper, cube.transfer_accuracy, x_label=label, y_label="accuracy on the target", **drawn)
    if "disjoint" in cube.chooser.values and cube.sizes["chooser"] > 1:
        gains = cube.transfer_accuracy - cube.transfer_accuracy.sel(chooser="disjoint", drop=True)
        draw_curves(lower, gains, x_label=label, y_label="accuracy minus that of disjoint\n(same seed)", **drawn)
    return figure


def plot_real_advice(cube):
    """Plot the gain by copies on other images against the advisor's z, a point for each transformation.

    Parameters
    ----------
    cube : xarray.Dataset
        As ``studies/real_advice.py`` writes it.

    Returns
    -------
    figure : matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If it is no such cube.
    """
    _check_cube(cube, "real_advice", "held_out_gain", "network", "transformation")
    figure = _make_figure(cube, 8 * cube.sizes["network"], 6, f"means of {cube.sizes['seed']} seeds")
    panels = figure.subplots(1, cube.sizes["network"], squeeze=False)[0]
    for axes, name in zip(panels, cube.network.values, strict=True):
        one = cube.sel(network=name, drop=True)
        z, gain = one.z.mean("seed"), one.held_out_gain.mean("seed")
        advised = (one.advised > 0).mean("seed") > 0.5
        for chosen, colour, label in ((advised, "C0", "advised in most seeds"), (~advised, "0.5", "not")):
            axes.plot(z[chosen.values], gain[chosen.values], "o", color=colour, label=label)
        points = np.stack([z.values, gain.values], axis=1)
        width, height = np.ptp(points, axis=0) * [0.15, 0.03]  # about the size of a name
        for point, text in zip(points, cube.transformation.values, strict=True):
            right, up = (points - point).T
            # a name on the right would lie over that of another point
            covered = ((right > 0) & (right < width) & (abs(up) < height)).any()
            side = {"xytext": (-4, 4), "ha": "right"} if covered else {"xytext": (4, 4)}
            axes.annotate(text, point, textcoords="offset points", fontsize=8, **side)
        axes.axhline(0, color="0.8", zorder=0)
        axes.axvline(0, color="0.8", zorder=0)
        axes.set(title=name, xlabel="gain of the advisor's probe (standard errors)")
        axes.set_ylabel("accuracy on other images with copies,\nminus that without")
        axes.margins(x=0.1)
        axes.legend()
    return figure


def plot_depth(cube):
    """Draw the sensitivity of encoders over depth, and in the last layer over the strength of transformations.

    Parameters
    ----------
    cube : xarray.Dataset
        As ``studies/depth.py`` writes it, with the attribute "learned": the transformations that "three" learned.

    Returns
    -------
    figure : matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If it is no such cube.
    """
    _check_cube(cube, "depth", "sensitivity", "pretraining", "layer", "strength", "transformation")
    learned = cube.transformation.isin(cube.attrs["learned"])
    others = cube.sensitivity.isel(transformation=~learned).mean("transformation", keep_attrs=True)
    others = others.expand_dims(transformation=["mean of the others"])
    own = cube.sensitivity.isel(transformation=learned).drop_vars("category")
    shown = xr.concat([own, others], "transformation", coords="minimal")
    blocks = shown.isel(strength=-1, layer=slice(None, -1))  # the feature is the mean of the last block
    blocks = blocks.drop_vars(set(blocks.coords) - {"pretraining", "transformation", "seed", "layer"})
    blocks = blocks.rename(layer="depth").assign_coords(depth=cube.depth.values[:-1])
    figure = _make_figure(cube, 11, 7.5)
    upper, lower = figure.subfigures(2, 1)
    for part, values, x, label in (
        (upper, blocks, "depth", "depth of the block: share of the network's layers that have run"),
        (lower, shown.isel(layer=-1).reset_coords(drop=True), "strength", "strength of the transformation, last layer"),
    ):
        draw_curves(
            part, values, x=x, line="pretraining", line_label="pretrained with", panel="transformation", n_columns=4,
            x_label=label, y_label="sensitivity (0: ignored)", limits=(0, None),
        )  # fmt: skip
    return figure


def plot_irrelevant_features(cube):
    """Draw the paper's Table 1 as matrices.

    Parameters
    ----------
    cube : xarray.Dataset
        As ``studies/irrelevant_features.py`` writes it.

    Returns
    -------
    figure : matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If it is no such cube.
    """
    _check_cube(cube, "irrelevant_features", "transfer_accuracy", "position", "pretraining", "target")
    cube = cube.assign_coords(position=[f"{position} position" for position in cube.position.values])
    figure = _make_figure(cube, 5.5 * cube.sizes["position"], 9, f"mean of {cube.sizes['seed']} seeds")
    upper, lower = figure.subfigures(2, 1)
    draw_matrices(
        upper, cube.transfer_accuracy, rows="pretraining", columns="target", panel="position",
        label="accuracy on the target", row_label="pretrained on", column_label="target", limits=(0, 1),
    )  # fmt: skip
    draw_matrices(
        lower, cube.sensitivity, rows="pretraining", columns="changed", panel="position", limits=(0, 1),
        label="sensitivity (0: invariant)", row_label="pretrained on", column_label="changed",
    )  # fmt: skip
    return figure


def plot_relevance(cube):
    """Draw the paper's Figure 14: accuracies, and below them sensitivities, over both factors.

    Parameters
    ----------
    cube : xarray.Dataset
        As ``studies/relevance.py`` writes it.

    Returns
    -------
    figure : matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If it is no such cube.
    """
    _check_cube(cube, "relevance", "transfer_accuracy", "factor", "target")
    names = [name for name in ("correlation", "availability") if name in cube.factor_name.values]
    figure = _make_figure(cube, 5.5 * max(2, len(names)), 9)
    if not names:
        figure.text(0.5, 0.5, "references alone, which are in the table", ha="center")
        return figure
    rows = figure.subfigures(2, len(names), squeeze=False)
    what = (("transfer_accuracy", "target", "accuracy on"), ("sensitivity", "changed", "sensitivity to changing"))
    levels = cube.level.values[cube.factor_name.values == REFERENCE]
    for row, (variable, line, label) in zip(rows, what, strict=True):
        references = {
            f"{entry}, trained on {level}": cube[variable].sel(
                {"factor": f"{REFERENCE}={level}", line: entry}, drop=True
            )
            for level in levels for entry in cube[line].values
        }  # fmt: skip
        for part, name in zip(row, names, strict=True):
            draw_curves(
                part, select_factor(cube, name)[variable], x=name, line=line, references=references, limits=(0, None),
                x_label=f"{name} of the object", y_label=variable.replace("_", " "), line_label=label,
            )  # fmt: skip
    return figure


def plot_fine_tuning(cube):
    """Draw the paper's Figures 9 to 11, before and after fine-tuning, and how far sensitivity moves.

    Parameters
    ----------
    cube : xarray.Dataset
        As ``studies/fine_tuning.py`` writes it.

    Returns
    -------
    figure : matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If it is no such cube.
    """
    _check_cube(cube, "fine_tuning", "accuracy_before", "factor", "relation")
    pairs = drop_references(cube)
    names = list(dict.fromkeys(pairs.factor_name.values))
    n_rows = 1 + 2 * cube.sizes["n_tuning"]
    figure = _make_figure(cube, max(11, 4.5 * len(names)), 3.6 * n_rows)
    if not names:
        figure.text(0.5, 0.5, "no pairs of encoders: references alone are in the table", ha="center")
        return figure
    *uppers, lower = figure.subfigures(n_rows, 1)
    stages = xr.Variable("stage", ["before", "after"])
    accuracy = xr.concat([pairs.accuracy_before, pairs.transfer_accuracy], stages, coords="minimal")
    lines = accuracy.stack(line=["stage", "relation"], create_index=False)
    lines = lines.assign_coords(
        line=[f"{stage}, {relation}" for stage in stages.values for relation in pairs.relation.values]
    )
    both = accuracy.reindex(relation=["same", "disjoint"])
    gains = paired_contrast(both, "relation", "same", "disjoint").rename(stage="line")
    low = min(0.0, gains.min().item()) - 0.05
    shown = {"accuracy on the target": (lines, (0, 1)), "same minus disjoint\nof a seed": (gains, (low, None))}
    rows = product(cube.n_tuning.values, shown.items())
    for part, (n, (label, (values, limits))) in zip(uppers, rows, strict=True):
        for panel, name in zip(np.atleast_1d(part.subfigures(1, len(names))), names, strict=True):
            levels = values.sel(n_tuning=n, drop=True).isel(factor=np.flatnonzero(pairs.factor_name.values == name))
            levels = levels.assign_coords(factor=levels.level.values).rename(factor=name)
            draw_curves(
                panel, levels.drop_vars(set(levels.coords) - {name, "line", "seed"}), x=name, line="line",
                line_label="fine-tuning",
                x_label=f"{format_name(name)}{' of the source' * (name == 'n_samples')}", limits=limits,
                y_label=f"{label}\n({n:,} samples)",
            )  # fmt: skip
    moved = count_once(target_sensitivity(pairs), pairs.cell).mean("factor")
    moved = moved.assign_coords(n_tuning=["0 (before)", *map(str, cube.n_tuning.values)])
    draw_curves(
        lower, moved, x="n_tuning", line="relation", line_label="source transformations", limits=(0, None),
        x_label="samples that were fine-tuned on",
        y_label="sensitivity to the target's\ntransformations (0: invariant)",
    )  # fmt: skip
    return figure


def plot_invariance_transfer(cube):
    """Draw Table 2 as curves, and Figures 16 and 17 (in-distribution) as matrices, for each architecture.

    Parameters
    ----------
    cube : xarray.Dataset
        As ``studies/invariance_transfer.py`` writes it.

    Returns
    -------
    figure : matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If it is no such cube.
    """
    _check_cube(
        cube, "invariance_transfer", "sensitivity", "pretraining_transformation", "evaluated_on", "transformation"
    )
    n = cube.sizes["architecture"]
    figure = _make_figure(cube, 15, 15 * n)
    for part, architecture in zip(np.atleast_1d(figure.subfigures(n, 1)), cube.architecture.values, strict=True):
        part.suptitle(architecture)
        _draw_architecture(part, cube.sensitivity.sel(architecture=architecture, drop=True))
    return figure


def _draw_architecture(figure, sensitivity):
    kinds = [f"trained on {kind}" for kind in sensitivity.trained_on.values]
    sensitivity = sensitivity.assign_coords(trained_on=kinds)
    places = sensitivity.evaluated_on.values
    place = "in_distribution" if "in_distribution" in places else places[0]
    upper, lower = figure.subfigures(2, 1, height_ratios=[1, 2.2])
    draw_curves(
        upper, invariance_by_relation(sensitivity), x="evaluated_on", line="relation", panel="trained_on",
        x_label="evaluated on", y_label="sensitivity (0: invariant)", line_label="transformation",
    )  # fmt: skip
    draw_matrices(
        lower, sensitivity.sel(evaluated_on=place, drop=True), rows="pretraining_transformation",
        columns="transformation", panel="trained_on", label=f"sensitivity, {place.replace('_', '-')} (0: invariant)",
        row_label="pretrained with", column_label="sensitivity to", limits=(0, 1),
    )  # fmt: skip


def _check_cube(cube, study, variable, *dims):
    """Raise an error unless there is a variable over these dimensions, as in the cubes of a study."""
    if variable not in cube or not set(dims) <= {*cube[variable].dims}:
        found = ", ".join(map(str, cube[variable].dims)) if variable in cube else "not there"
        raise ValueError(
            f"cube is not of studies/{study}.py, which has {variable} over {', '.join(dims)} (here: {found})"
        )


def _make_figure(cube, width, height, spread=None):
    """Return a figure under the cube's title, which says what its spread is."""
    from matplotlib.figure import Figure  # here, so that studies run without the extra

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(
        f"{cube.attrs.get('title', 'study without a title')} ({spread or format_spread(cube.sizes['seed'])})"
    )
    return figure
