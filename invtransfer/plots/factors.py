"""The figure of the factors study: accuracy over levels, paired differences, contrasts, and sensitivity."""

import numpy as np
import xarray as xr

from invtransfer.analysis import (
    REFERENCE,
    count_once,
    drop_references,
    factor_contrasts,
    fill_relations,
    paired_contrast,
    summarise,
)
from invtransfer.plots.axes import (
    COLOURS,
    CONTRAST_COLOURS,
    REFERENCE_STYLES,
    draw_means,
    format_name,
    format_spread,
    label_bars,
    label_levels,
    limit_accuracy,
    limit_differences,
)


def plot_factors(cube):
    """Draw accuracy over the levels of each factor, differences between the relations, contrasts, and sensitivity.

    Parameters
    ----------
    cube : xarray.Dataset
        Cube as ``studies/factors.py`` writes it.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Figure with the method `savefig`. The upper panels correspond to the paper's Figures 2, 7 and 8, the lower left
        one to its Figure 3; between them is "same" minus "disjoint" of the same seed, which tells more than the two
        accuracies, because tasks differ from seed to seed. Beside Figure 3 is what the claims are about: "same" minus
        "disjoint", less the range within each relation, of the same seed. Factors of one level are left out. Points are
        means over seeds, small ones the seeds themselves, and whiskers 95 % intervals of the mean. The axes show all
        means and all seeds, and cut whiskers that are longer. Encoders of the factor_name "reference" are horizontal
        lines at their mean accuracy on the target. Cells that failed or are missing leave gaps, which are named below
        the axis.
    """
    from matplotlib.figure import Figure  # here, so that studies run without the extra

    cube = fill_relations(cube)
    names = _varied(drop_references(cube).factor_name.values.tolist())
    figure = Figure(figsize=(max(14, 4.4 * len(names)), 12 if names else 9.2), layout="constrained")
    upper, *lower = np.atleast_1d(figure.subfigures(2 if names else 1, 1, height_ratios=[1.7, 1] if names else None))
    rows = {"sharey": "row", "squeeze": False, "height_ratios": [1.6, 1] if names else [1]}
    panels, *differences = upper.subplots(len(rows["height_ratios"]), max(1, len(names)), **rows)
    for axes, name in zip(panels, names or [REFERENCE], strict=True):
        if name != REFERENCE:
            _plot_levels(axes, cube.isel(factor=np.flatnonzero(cube.factor_name.values == name)), name)
        _plot_references(axes, cube)
    drawn = cube.source_accuracy.isel(factor=cube.factor_name.values != REFERENCE).mean("seed")
    limit_accuracy(panels[0], cube.transfer_accuracy, drawn)
    panels[0].set_ylabel("accuracy")
    for row in differences:
        _plot_differences(row, cube, names)
    handles, labels = panels[0].get_legend_handles_labels()
    n_columns = -(-len(labels) // 2)  # one for each relation and one for references, which fits above a single panel
    upper.legend(handles, labels, loc="outside upper center", ncols=max(1, n_columns), frameon=False)
    for part in lower:
        contrasts = factor_contrasts(cube.transfer_accuracy).sel(factor_name=names)
        has_ranges = (cube.factor_name == names[0]).sum() > 1  # one level has none
        widths = [1.25, 0.75, 1.4] if has_ranges else [1.25, 1.4]
        left, *middle, right = part.subplots(1, len(widths), width_ratios=widths)
        _plot_contrasts(left, contrasts, [_format_count(cube, name) for name in names])
        for axes in middle:
            _plot_excess(axes, contrasts)
        _plot_sensitivity(right, cube)
    figure.suptitle(f"{cube.attrs.get('title', '')} ({format_spread(cube.sizes['seed'])})")
    return figure


def _varied(names):
    """Return the factors that have several levels, in their order; all if none has."""
    varied = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    return varied or list(dict.fromkeys(names))


def _format_count(cube, name):
    """Return a note on how many of a factor's levels its contrasts span, empty if all."""
    levels = cube.transfer_accuracy.isel(factor=np.flatnonzero(cube.factor_name.values == name))
    n_done = levels.notnull().any("seed").all("relation").sum().item()
    return "" if n_done == levels.sizes["factor"] else f"({n_done} of {levels.sizes['factor']} levels)"


def _plot_levels(axes, levels, name):
    """Draw source and target accuracy of both relations over the levels of one factor."""
    for relation, shift in (("same", -0.06), ("disjoint", 0.06)):
        x = np.arange(levels.sizes["factor"]) + shift
        here, colour = levels.sel(relation=relation), COLOURS[relation]
        style = {"color": colour, "marker": "o", "ms": 4}
        values = here.transfer_accuracy.transpose("factor", "seed")
        draw_means(axes, x, summarise(values), label=f"target, {relation} transformations", **style)
        source = here.source_accuracy.mean("seed")
        axes.plot(x, source, ":", label=f"source, {relation} transformations", **style)
        axes.plot(x, values.values, ".", color=colour, alpha=0.6, ms=5)
    label_levels(axes, levels.level.values, _format_gaps(levels))
    axes.set_xlabel(format_name(name))
    axes.grid(axis="y", alpha=0.3)


def _plot_differences(row, cube, names):
    """Draw how much more accurate "same" is than "disjoint" of the same seed, over the levels of each factor."""
    differences = paired_contrast(cube.transfer_accuracy, "relation", "same", "disjoint").transpose("factor", "seed")
    for axes, name in zip(row, names, strict=True):
        here = differences.isel(factor=np.flatnonzero(cube.factor_name.values == name))
        x, colour = np.arange(here.sizes["factor"]), CONTRAST_COLOURS["same_minus_disjoint"]
        draw_means(axes, x, summarise(here), color=colour, marker="o", ms=4)
        axes.plot(x, here.values, ".", color=colour, alpha=0.6, ms=5)
        axes.axhline(0, color="black", lw=0.8)
        label_levels(axes, here.level.values, [""] * len(x))
        axes.grid(axis="y", alpha=0.3)
    limit_differences(row[0], differences.isel(factor=cube.factor_name.values != REFERENCE))
    row[0].set_ylabel("same minus disjoint\n(on the target, same seed)")


def _format_gaps(levels):
    """Return for each level a note on cells that are not there, empty if all are."""
    done = levels.transfer_accuracy.notnull().transpose("factor", "relation", "seed")
    failed = (levels.status == 2).transpose(*done.dims) if "status" in levels else xr.zeros_like(done)
    notes = []
    for i in range(levels.sizes["factor"]):
        relations = {}
        for relation in levels.relation.values.tolist():
            here = done.isel(factor=i).sel(relation=relation).values
            n_failed = failed.isel(factor=i).sel(relation=relation).values.sum()
            if not here.any():
                relations[relation] = "failed" if n_failed else "missing"
            elif not here.all():
                relations[relation] = f"{here.sum()} of {here.size} seeds"
        texts = set(relations.values())
        if len(texts) == 1 and len(relations) == levels.sizes["relation"]:
            notes.append(f"({texts.pop()})")
        else:
            notes.append("\n".join(f"({relation}:\n{text})" for relation, text in relations.items()))
    return notes


def _plot_references(axes, cube):
    """Draw the target accuracy of encoders that depend neither on the factor nor on the relation."""
    levels = cube.isel(factor=np.flatnonzero(cube.factor_name.values == REFERENCE))
    for i, level in enumerate(levels.level.values):
        mean = levels.transfer_accuracy.isel(factor=i).mean().item()
        style = REFERENCE_STYLES[i % len(REFERENCE_STYLES)]
        label = f"target, {level}" + (" (failed or missing)" if np.isnan(mean) else "")
        axes.axhline(mean, color=COLOURS["neither"], lw=1, ls=style, label=label, zorder=1)


def _plot_contrasts(axes, contrasts, notes):
    """Draw the paper's Figure 3: differences in accuracy within and between the relations."""
    summary = summarise(contrasts)
    width = 0.26
    for i, (contrast, colour) in enumerate(CONTRAST_COLOURS.items()):
        x = np.arange(contrasts.sizes["factor_name"]) + (i - 1) * width
        row = summary.sel(contrast=contrast)
        height, bottom, top = (row[name].values for name in ("mean", "low", "high"))
        whiskers = np.nan_to_num([height - bottom, top - height]).tolist() if contrasts.sizes["seed"] > 1 else None
        label = contrast.replace("_", " ")
        axes.bar(x, height, width, yerr=whiskers, color=colour, alpha=0.75, capsize=3, label=label)
        for place in x[np.isnan(height)]:
            at = {"xy": (place, 0), "xytext": (0, 3), "textcoords": "offset points", "rotation": 90}
            axes.annotate("incomplete", **at, ha="center", va="bottom", fontsize=8, color=COLOURS["neither"])
    label_bars(axes, [format_name(name) for name in contrasts.factor_name.values], notes)
    limit_differences(axes, contrasts)
    axes.set_ylabel("difference in transfer accuracy")
    short = {"columnspacing": 1, "handlelength": 1.2, "handletextpad": 0.5}  # else it makes a narrow panel narrower
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False, fontsize="small", **short)


def _plot_excess(axes, contrasts):
    """Draw what claims are about: by how much same minus disjoint exceeds the range within each relation, paired."""
    places = np.arange(contrasts.sizes["factor_name"])
    others = ["within_disjoint", "within_same"]
    all_excess = contrasts.sel(contrast="same_minus_disjoint", drop=True) - contrasts.sel(contrast=others)
    for shift, other in zip((-0.1, 0.1), others, strict=True):
        excess = all_excess.sel(contrast=other).transpose("factor_name", "seed")
        style = {"color": CONTRAST_COLOURS[other], "ls": "", "marker": "o", "ms": 5}
        draw_means(axes, places + shift, summarise(excess), label=f"less {other.replace('_', ' ')}", **style)
        axes.plot(places + shift, excess.values, ".", color=CONTRAST_COLOURS[other], alpha=0.5, ms=4)
    axes.axhline(0, color="black", lw=0.8)
    limit_differences(axes, all_excess)
    axes.set_xlim(-0.5, len(places) - 0.5)
    axes.set_xticks(places, [format_name(name) for name in contrasts.factor_name.values], rotation=30, ha="right")
    axes.set_ylabel("same minus disjoint, less the range\n(same seed; above 0: on the paper's side)")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False, fontsize="small")


def _plot_sensitivity(axes, cube):
    """Draw the sensitivity of encoders that were, and were not, pretrained with each transformation, and of references.

    Values of one seed are not independent, so the mean over its encoders counts as one value.
    """
    sensitivity = count_once(cube.sensitivity, cube.cell)
    reference = cube.factor_name == REFERENCE
    trained = cube.source_transformation == 1
    x, highest = np.arange(cube.sizes["transformation"]), 0
    shown = [
        ("pretrained with it", trained & ~reference, COLOURS["same"], "o"),
        ("pretrained with others", ~trained & ~reference, COLOURS["disjoint"], "o"),
    ]
    for level, marker in zip(cube.level.values[reference.values], "v^", strict=False):
        shown.append((str(level), reference & (cube.level == level), COLOURS["neither"], marker))
    for i, (label, which, colour, marker) in enumerate(shown):
        values = sensitivity.where(which)
        values = values.mean([dim for dim in values.dims if dim not in ("transformation", "seed")])
        style = {"color": colour, "marker": marker, "ls": "", "ms": 4}
        draw_means(axes, x + 0.18 * (i - (len(shown) - 1) / 2), summarise(values), label=label, **style)
        highest = values.values[np.isfinite(values)].max(initial=highest)
    axes.set_xticks(x, cube.transformation.values, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.7, len(x) - 0.3)
    axes.set_ylim(0, 1.05 * highest or 1)
    axes.set_ylabel("sensitivity on the target\n(0: invariant; mean over encoders)")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, frameon=False, fontsize="small")
