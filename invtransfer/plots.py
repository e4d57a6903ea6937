"""From cubes to figures. Knows no torch and no study; needs matplotlib, the extra "plot"."""

import json
from textwrap import fill

import numpy as np
import xarray as xr

from invtransfer.analysis import CONTRASTS, REFERENCE, factor_contrasts, summarise

ENOUGH_SEEDS = 5  # for an interval: that of 3 seeds reaches 2.5 std to either side, beyond what accuracies can be
COLOURS = {"same": "#0072b2", "disjoint": "#d55e00", "neither": "#6f6f6f"}  # Okabe and Ito: safe for colour-blind eyes
CONTRAST_COLOURS = dict(zip(CONTRASTS, (COLOURS["disjoint"], "#333333", COLOURS["same"]), strict=True))
REFERENCE_STYLES = ("--", "-.", (0, (1, 3)), (0, (5, 1, 1, 1, 1, 1)))


def plot_factors(cube):
    """Draw accuracy over the levels of each factor, the contrasts between them, and sensitivity.

    Parameters
    ----------
    cube : xarray.Dataset
        As ``studies/factors.py`` writes it.

    Returns
    -------
    figure : matplotlib.figure.Figure
        With `savefig`. The upper panels correspond to the paper's Figures 2, 7 and 8, the lower left one to its
        Figure 3. Encoders of the factor_name "reference" are horizontal lines at their mean accuracy on the target.
        Cells that failed or are missing leave gaps, which are named below the axis. Bands and whiskers are 95 %
        intervals of the mean over seeds, or the range of the seeds if they are fewer than 5, as the title says. The
        axes show all means and all seeds, and may cut a wide interval.
    """
    from matplotlib.figure import Figure  # here, so that studies run without the extra

    names = _factor_names(cube)
    n_seeds = cube.sizes["seed"]
    figure = Figure(figsize=(max(10, 4.4 * len(names)), 9.2), layout="constrained")
    upper, *lower = np.atleast_1d(figure.subfigures(2 if names else 1, 1))
    panels = np.atleast_1d(upper.subplots(1, max(1, len(names)), sharey=True))
    for axes, name in zip(panels, names or [REFERENCE], strict=True):
        if name != REFERENCE:
            _plot_levels(axes, cube.isel(factor=np.flatnonzero(cube.factor_name.values == name)), name)
        _plot_references(axes, cube)
    drawn = cube.source_accuracy.isel(factor=cube.factor_name.values != REFERENCE).mean("seed")
    _limit_accuracy(panels[0], cube.transfer_accuracy, drawn)
    panels[0].set_ylabel("accuracy")
    handles, labels = panels[0].get_legend_handles_labels()
    n_columns = -(-len(labels) // 2)  # one for each relation and one for references, which fits above a single panel
    upper.legend(handles, labels, loc="outside upper center", ncols=max(1, n_columns), frameon=False)
    for part in lower:
        left, right = part.subplots(1, 2, width_ratios=[1, 1.5])
        _plot_contrasts(left, factor_contrasts(cube.transfer_accuracy), [_count_levels(cube, name) for name in names])
        _plot_sensitivity(right, cube.isel(factor=np.flatnonzero(cube.factor_name.values != REFERENCE)))
    spread = "95 % intervals" if n_seeds >= ENOUGH_SEEDS else "range of the seeds"
    seeds = f"{n_seeds} seeds; bands and whiskers: {spread}" if n_seeds > 1 else "1 seed"
    figure.suptitle(f"{cube.attrs.get('title', '')} ({seeds})")
    return figure


def _factor_names(dataset):
    """Return the factors that are not references, once each, as they appear."""
    return [name for name in dict.fromkeys(dataset.factor_name.values.tolist()) if name != REFERENCE]


def _count_levels(cube, name):
    """Say over how many of a factor's levels its contrasts go, if not over all."""
    levels = cube.transfer_accuracy.isel(factor=np.flatnonzero(cube.factor_name.values == name))
    n_done = levels.notnull().any("seed").all("relation").sum().item()
    return "" if n_done == levels.sizes["factor"] else f"({n_done} of {levels.sizes['factor']} levels)"


def _say(factor):
    """Return the name of a factor as a reader would print it."""
    return {"n_samples": "training samples", "n_probe": "probe samples"}.get(factor, factor.replace("_", " "))


def _plot_levels(axes, levels, name):
    """Draw source and target accuracy of both relations over the levels of one factor."""
    x = np.arange(levels.sizes["factor"])
    for relation in ("same", "disjoint"):
        for variable, style in (("transfer_accuracy", "-"), ("source_accuracy", ":")):
            values = levels[variable].sel(relation=relation).transpose("factor", "seed")
            mean, low, high = (end.values for end in _spread(values))
            task = "target" if variable == "transfer_accuracy" else "source"
            label = f"{task}, {relation} transformations"
            axes.plot(x, mean, style, color=COLOURS[relation], marker="o", ms=4, label=label)
            if task == "target":
                axes.fill_between(x, low, high, color=COLOURS[relation], alpha=0.15, lw=0)
                alone = _stand_alone(low)  # no neighbour, so no band
                axes.vlines(x[alone], low[alone], high[alone], color=COLOURS[relation], alpha=0.5)
                axes.plot(x, values.values, ".", color=COLOURS[relation], alpha=0.6, ms=5)
    _label_levels(axes, levels.level.values, _say_what_is_missing(levels))
    axes.set_xlabel(_say(name))
    axes.grid(axis="y", alpha=0.3)


def _stand_alone(values):
    """Tell which values have neighbours on neither side."""
    there = np.concatenate([[False], np.isfinite(values), [False]])
    return there[1:-1] & ~there[:-2] & ~there[2:]


def _say_what_is_missing(levels):
    """Return for each level what to say about cells that are not there, or nothing."""
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


def _label_levels(axes, levels, notes):
    """Write levels below an axis on which they are categories, turned if they would not fit beside each other."""
    texts = [f"{int(level):,}" if level.isdecimal() else level for level in levels]
    widest = max(map(len, texts)) * len(texts)
    texts = [f"{text}\n{note}" if note else text for text, note in zip(texts, notes, strict=True)]
    turned = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if widest > 64 else {}
    axes.set_xticks(np.arange(len(texts)), texts, fontsize=9, **turned)
    axes.set_xlim(-0.4, len(texts) - 0.6)


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
    mean, low, high = _spread(contrasts)
    width = 0.26
    for i, (contrast, colour) in enumerate(CONTRAST_COLOURS.items()):
        x = np.arange(contrasts.sizes["factor_name"]) + (i - 1) * width
        height, bottom, top = (end.sel(contrast=contrast).values for end in (mean, low, high))
        whiskers = np.nan_to_num([height - bottom, top - height]) if contrasts.sizes["seed"] > 1 else None
        label = contrast.replace("_", " ")
        axes.bar(x, height, width, yerr=whiskers, color=colour, alpha=0.75, capsize=3, label=label)
        for place in x[np.isnan(height)]:
            at = {"xy": (place, 0), "xytext": (0, 3), "textcoords": "offset points", "rotation": 90}
            axes.annotate("incomplete", **at, ha="center", va="bottom", fontsize=8, color=COLOURS["neither"])
    _label_bars(axes, [_say(name) for name in contrasts.factor_name.values], notes)
    _limit_differences(axes, contrasts)
    axes.set_ylabel("difference in transfer accuracy")
    short = {"columnspacing": 1, "handlelength": 1.2, "handletextpad": 0.5}  # else it makes a narrow panel narrower
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False, fontsize="small", **short)


def _label_bars(axes, labels, notes):
    """Write below groups of bars what they are, and what is to say about them."""
    texts = [f"{label}\n{note}" if note else label for label, note in zip(labels, notes, strict=True)]
    axes.set_xticks(np.arange(len(texts)), texts)
    axes.set_xlim(-0.6, len(texts) - 0.4)
    axes.axhline(0, color="black", lw=0.8)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)


def _spread(values):
    """Return mean, and lower and upper end of the 95 % interval over seeds, or of the range of 2 to 4; else NaN."""
    summary = summarise(values)
    if values.sizes["seed"] < ENOUGH_SEEDS:
        several = summary["n"] > 1
        return summary["mean"], values.min("seed").where(several), values.max("seed").where(several)
    return summary["mean"], summary["low"], summary["high"]


def _limit_accuracy(axes, *shown):
    """Let an axis reach from a little below the lowest accuracy to the highest possible."""
    lowest = np.fmin.reduce([np.fmin.reduce(values.values, axis=None, initial=1) for values in shown])
    axes.set_ylim(max(0, np.nan_to_num(lowest) - 0.03), 1.02)


def _limit_differences(axes, *shown):
    """Let an axis reach a little beyond 0 and all differences."""
    values = np.concatenate([np.ravel(values.values) for values in shown])
    values = values[np.isfinite(values)]
    low, high = values.min(initial=0), values.max(initial=0)
    if high > low:
        high = max(high, -low / 2)  # room for words above 0
        room = 0.06 * (high - low)  # also below 0, where it shows which whiskers pass 0
        axes.set_ylim(low - room, high + room)


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
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False, fontsize="small")


def plot_comparison(comparison):
    """Draw our values beside the published ones.

    Parameters
    ----------
    comparison : xarray.Dataset
        As `invtransfer.comparison.compare_to_published` returns it, of accuracies or of differences.

    Returns
    -------
    figure : matplotlib.figure.Figure
        With `savefig`. One panel per factor; accuracies are points over its levels, differences are bars. The title
        says which settings differ from the paper's. Whiskers are 95 % intervals; the axes show all means and one
        standard deviation to either side, and may cut wider ones.
    """
    from matplotlib.figure import Figure  # here, so that all else works without the extra

    accuracies = "relation" in comparison.dims
    names = _factor_names(comparison)
    n_columns = min(len(names), 2 if len(names) in (2, 4) else 3)
    n_rows = -(-len(names) // n_columns)
    figure = Figure(figsize=(5 * max(2, n_columns), 1.6 + 3.8 * n_rows), layout="constrained")
    lower = figure.subfigures()  # so that the legend gets a place below the title
    panels = lower.subplots(n_rows, n_columns, sharey=True, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        chosen = comparison.isel({comparison.ours.dims[0]: np.flatnonzero(comparison.factor_name.values == name)})
        if accuracies:
            _plot_compared_levels(axes, chosen)
            _plot_our_references(axes, comparison)
        else:
            _plot_compared_contrasts(axes, chosen.isel(factor_name=0))
        axes.set_title(_say(name), fontsize="medium")
        axes.grid(axis="y", alpha=0.3)
    for axes in panels[len(names) :]:
        axes.remove()
    for axes in panels[: len(names) : n_columns]:
        axes.set_ylabel("accuracy on the target task" if accuracies else "difference in transfer accuracy")
    std = comparison.ours_std.fillna(0)
    limit = _limit_accuracy if accuracies else _limit_differences
    limit(panels[0], comparison.published, comparison.ours - std, comparison.ours + std)
    handles, labels = panels[0].get_legend_handles_labels()
    lower.legend(handles, labels, loc="outside upper center", ncols=max(2, -(-len(labels) // 2)), frameon=False)
    figure.suptitle(_title(comparison))
    return figure


def _title(comparison):
    """Say which data set and how many seeds, and which settings are not the paper's."""
    attributes = comparison.attrs
    n = comparison["n"].max().item()
    tuning = f", {attributes['tuning']} tuning" if "tuning" in attributes else ""
    seeds = f"mean of {n} seeds, 95 % interval" if n > 1 else f"{n} seed"
    lines = [f"{attributes['dataset']}{tuning}: ours ({seeds}) and published"]
    differing, ignored = json.loads(attributes["differing_settings"]), json.loads(attributes["ignored"])
    for rule, names in (
        (
            "settings other than the paper's, so not compared",
            [name for name in differing if name not in ignored],
        ),
        ("settings other than the paper's, and ignored", [name for name in differing if name in ignored]),
    ):
        if names:
            lines.append(fill(f"{rule}: {', '.join(names)}", 105))
    return "\n".join(lines)


def _plot_compared_levels(axes, levels):
    """Draw our and the published accuracy of each relation over the levels of one factor."""
    x = np.arange(levels.sizes["factor"])
    for relation, shift in (("same", -0.04), ("disjoint", 0.04)):
        if relation not in levels.relation.values:
            continue
        chosen, colour = levels.sel(relation=relation), COLOURS[relation]
        mine = (chosen["match"] != "not in the cube").values  # lines pass levels that one of both does not have
        ours, low, high = (chosen[name].values[mine] for name in ("ours", "ours_low", "ours_high"))
        whiskers = np.nan_to_num([ours - low, high - ours])
        label = f"ours, {relation} transformations"
        axes.errorbar(x[mine] + shift, ours, whiskers, fmt="o-", ms=6, color=colour, capsize=3, lw=1.5, label=label)
        published = {"mfc": "white", "ms": 6, "lw": 1.2, "label": f"published, {relation} transformations"}
        theirs = chosen.published.notnull().values
        axes.plot(x[theirs] + 3 * shift, chosen.published.values[theirs], "s--", color=colour, **published)
    notes = []
    for i in x:
        level = levels.isel(factor=i)
        gaps = (level["match"] == "not done") | ((level["match"] == "not published") & (level["n"] == 0))
        notes.append("(not done)" if gaps.all() else "(partly done)" if gaps.any() else "")
    _label_levels(axes, levels.level.values, notes)


def _plot_our_references(axes, comparison):
    """Draw our encoders that depend neither on the factor nor on the relation; the paper has none."""
    levels = comparison.isel(factor=np.flatnonzero(comparison.factor_name.values == REFERENCE))
    for i, level in enumerate(levels.level.values):
        style = REFERENCE_STYLES[i % len(REFERENCE_STYLES)]
        mean = levels.ours.isel(factor=i).mean().item()
        axes.axhline(mean, color=COLOURS["neither"], lw=1, ls=style, label=f"ours, {level}", zorder=1)


def _plot_compared_contrasts(axes, row):
    """Draw our and the published contrasts of one factor, bars beside each other."""
    x, width = np.arange(row.sizes["contrast"]), 0.36
    ours, published = row.ours.values, row.published.values
    colours = [CONTRAST_COLOURS[contrast] for contrast in row.contrast.values]
    whiskers = np.nan_to_num([ours - row.ours_low.values, row.ours_high.values - ours])
    axes.bar(x - width / 2, ours, width, yerr=whiskers, color=colours, alpha=0.75, capsize=3)
    axes.bar(x + width / 2, published, width, color="none", edgecolor=colours, hatch="//", lw=1.5)
    for label, style in (("ours", {"color": "#333333", "alpha": 0.75}), ("published", {"fc": "none", "hatch": "//"})):
        axes.bar(np.nan, np.nan, label=label, **({"ec": "#333333"} | style))  # for the legend: no contrast's colour
    notes = [f"({match})" if match.startswith("not") else "" for match in row["match"].values.tolist()]
    _label_bars(
        axes, [contrast.replace("_", " ").replace("minus ", "minus\n") for contrast in row.contrast.values], notes
    )
