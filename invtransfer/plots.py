"""From cubes to figures. Knows no torch and no study; needs matplotlib, the extra "plot"."""

import numpy as np
import xarray as xr

from invtransfer.analysis import CONTRASTS, factor_contrasts, summarise

MANY_SEEDS = 5  # from which on an interval says more than the range: Student's with 3 seeds is 2.5 std to either side
COLOURS = {"same": "#0072b2", "disjoint": "#d55e00", "neither": "#6f6f6f"}  # Okabe and Ito: safe for colour-blind eyes


def plot_factors(cube):
    """Draw accuracy over the levels of each factor, the contrasts between them, and sensitivity.

    Parameters
    ----------
    cube : xarray.Dataset
        As ``studies/factors.py`` writes it.

    Returns
    -------
    figure : matplotlib.figure.Figure
        With `savefig`. Panels correspond to the paper's Figures 2 and 3.
    """
    from matplotlib.figure import Figure  # here, so that studies run without the extra

    names = list(dict.fromkeys(cube.factor_name.values.tolist()))
    n_seeds = cube.sizes["seed"]
    figure = Figure(figsize=(4 * max(2, len(names)), 8.4), layout="constrained")
    upper, lower = figure.subfigures(2, 1)
    for axes, name in zip(np.atleast_1d(upper.subplots(1, len(names), sharey=True)), names, strict=True):
        _plot_levels(axes, cube.isel(factor=np.flatnonzero(cube.factor_name.values == name)), name)
    upper.axes[0].set_ylabel("accuracy")
    upper.legend(*upper.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
    left, right = lower.subplots(1, 2, width_ratios=[1, 1.6])
    _plot_contrasts(left, factor_contrasts(cube.transfer_accuracy))
    _plot_sensitivity(right, cube)
    spread = "95 % interval" if n_seeds >= MANY_SEEDS else "range over seeds"
    seeds = f"{n_seeds} seed{'s' * (n_seeds > 1)}"
    figure.suptitle(f"{cube.attrs.get('title', '')} ({seeds}; bands and whiskers: {spread})")
    return figure


def _plot_levels(axes, levels, name):
    """Draw source and target accuracy of both relations over the levels of one factor."""
    x = np.arange(levels.sizes["factor"])
    for relation in ("same", "disjoint"):
        for variable, style in (("transfer_accuracy", "-"), ("source_accuracy", ":")):
            values = levels[variable].sel(relation=relation)
            mean, low, high = _spread(values)
            task = "target" if variable == "transfer_accuracy" else "source"
            label = f"{task}, {relation} transformations"
            axes.plot(x, mean, style, color=COLOURS[relation], marker="o", ms=4, label=label)
            if task == "target":
                axes.fill_between(x, low, high, color=COLOURS[relation], alpha=0.15, lw=0)
                axes.plot(x, values.values, ".", color=COLOURS[relation], alpha=0.5, ms=4)
    axes.set_xticks(x, levels.level.values)
    axes.set_xlim(-0.3, len(x) - 0.7)
    axes.set_ylim(None, 1.02)
    axes.set_xlabel(name.replace("_", " "))
    axes.grid(axis="y", alpha=0.3)


def _plot_contrasts(axes, contrasts):
    """Draw the paper's Figure 3: differences in accuracy within and between the relations."""
    mean, low, high = _spread(contrasts)
    width = 0.26
    colours = (COLOURS["disjoint"], "#333333", COLOURS["same"])
    for i, (contrast, colour) in enumerate(zip(CONTRASTS, colours, strict=True)):
        x = np.arange(contrasts.sizes["factor_name"]) + (i - 1) * width
        height = mean.sel(contrast=contrast)
        whiskers = [height - low.sel(contrast=contrast), high.sel(contrast=contrast) - height]
        label = contrast.replace("_", " ")
        axes.bar(
            x,
            height,
            width,
            yerr=xr.concat(whiskers, "end").fillna(0),
            color=colour,
            alpha=0.75,
            capsize=3,
            label=label,
        )
    axes.set_xticks(
        np.arange(contrasts.sizes["factor_name"]), [n.replace("_", " ") for n in contrasts.factor_name.values]
    )
    axes.axhline(0, color="black", lw=0.8)
    axes.set_ylabel("difference in transfer accuracy")
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + 0.25 * (top - bottom))  # room for the legend above the bars
    axes.legend(loc="upper center", ncols=3, frameon=False, fontsize="small", columnspacing=1.0, handlelength=1.2)


def _spread(values):
    """Return mean, and lower and upper end of the 95 % interval over seeds, or of the range if they are few."""
    summary = summarise(values)
    if values.sizes["seed"] < MANY_SEEDS:
        return summary["mean"], values.min("seed"), values.max("seed")
    return summary["mean"], summary["low"], summary["high"]


def _plot_sensitivity(axes, cube):
    """Draw the sensitivity of encoders that were, and were not, pretrained with each transformation."""
    first = np.zeros(cube.cell.size, dtype=bool)
    first[np.unique(cube.cell.values, return_index=True)[1]] = True  # an encoder in several places counts once
    sensitivity = cube.sensitivity.where(xr.DataArray(first.reshape(cube.cell.shape), dims=cube.cell.dims))
    trained = cube.source_transformation == 1
    x = np.arange(cube.sizes["transformation"])
    for i, (label, which, colour) in enumerate(
        (
            ("pretrained with it", trained, COLOURS["same"]),
            ("pretrained with others", ~trained, COLOURS["neither"]),
        )
    ):
        values = sensitivity.where(which)
        dims = [dim for dim in values.dims if dim != "transformation"]
        mean, std = values.mean(dims), values.std(dims)
        axes.errorbar(x + 0.2 * (i - 0.5), mean, std, fmt="o", ms=5, color=colour, capsize=2, lw=1, label=label)
    axes.set_xticks(x, cube.transformation.values, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.7, len(x) - 0.3)
    axes.set_ylim(0, None)
    axes.set_ylabel("sensitivity on the target\n(0: invariant; mean and std over encoders)")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False, fontsize="small")
