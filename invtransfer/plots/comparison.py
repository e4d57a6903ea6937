"""Our values beside the published ones, as a figure."""

import json
from textwrap import fill

import numpy as np
import xarray as xr

from invtransfer.analysis import REFERENCE, drop_references
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
from invtransfer.plots.matrices import draw_matrices
from invtransfer.plots.panels import make_panels


def plot_comparison(comparison):
    """Draw our values beside the published ones.

    Parameters
    ----------
    comparison : xarray.Dataset
        Comparison as `invtransfer.published.compare_to_published` returns it.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Figure with the method `savefig`. Accuracies over factors are points over the levels, and contrasts are bars,
        with one panel per factor (and tuning). Other values are heat maps, ours and the published ones beside each
        other and, where something was compared, their difference. The title says which settings differ from the
        paper. Whiskers are 95 % intervals; the axes show all means and one standard deviation to either side, and cut
        whiskers that are longer.

    Raises
    ------
    ValueError
        If it is no comparison.
    """
    if not {"ours", "published", "n"} <= comparison.data_vars.keys():
        raise ValueError("comparison is not the result of compare_to_published: it has no 'ours' beside 'published'")
    if "contrast" in comparison.dims:
        return _plot_differences(comparison)
    return _plot_accuracies(comparison) if "factor" in comparison.dims else _plot_matrices(comparison)


def _plot_accuracies(comparison):
    """Draw one panel per factor, with accuracies over its levels."""
    names = list(dict.fromkeys(drop_references(comparison).factor_name.values.tolist()))
    figure, part, panels = _make_figure(len(names), 2 if len(names) in (2, 4) else 3, "accuracy on the target task")
    for axes, name in zip(panels, names, strict=True):
        chosen = comparison.isel(factor=np.flatnonzero(comparison.factor_name.values == name))
        _plot_compared_levels(axes, chosen, comparison["n"].max().item())
        _plot_our_references(axes, comparison)
        axes.set_title(format_name(name), fontsize="medium")
    limit_accuracy(panels[0], *_shown(comparison))
    return _finish(figure, part, panels, comparison)


def _plot_differences(comparison):
    """Draw one panel per factor (and tuning), with contrasts as bars."""
    names = comparison.factor_name.values.tolist()
    tunings = comparison.tuning.values.tolist() if "tuning" in comparison.dims else []
    places = [{"tuning": tuning, "factor_name": name} for tuning in tunings for name in names]
    places = places or [{"factor_name": name} for name in names]
    empty = comparison.ours.isnull() & comparison.published.isnull()
    places = [place for place in places if not empty.sel(place).all()] or places
    widest = len(names) if tunings else 2 if len(names) in (2, 4) else 3
    figure, part, panels = _make_figure(len(places), widest, "difference in transfer accuracy")
    for axes, place in zip(panels, places, strict=True):
        _plot_compared_contrasts(axes, comparison.sel(place))
        axes.set_title(", ".join(map(format_name, reversed(place.values()))), fontsize="medium")
    limit_differences(panels[0], *_shown(comparison))
    return _finish(figure, part, panels, comparison)


def _plot_matrices(comparison):
    """Draw heat maps: a row of panels for each label of the first dimension, with the last dimension to the right."""
    from matplotlib.figure import Figure

    first, *middle, last = comparison.ours.dims
    ours = comparison.ours.notnull().any([*middle, last])
    absent = comparison[first].values[~ours.values].tolist() if ours.any() else []
    comparison = comparison.drop_sel({first: absent})
    values = comparison.stack(row=middle, create_index=False).transpose(first, "row", last)
    rows = zip(*(np.atleast_1d(values[dim].values) for dim in middle), strict=True)
    values = values.drop_vars(middle).assign_coords(row=[", ".join(map(str, labels)) for labels in rows])
    names = [str(label) for label in values[first].values.tolist()]

    def panels_of(*variables):
        """Return an array over panels: the variables of the first label of the first dimension, then of the next."""
        parts = [values[name].isel({first: i}, drop=True) for i in range(len(names)) for name in variables]
        labels = [f"{name}, {variable}" for name in names for variable in variables]
        return xr.concat(parts, "panel", coords="minimal").assign_coords(panel=labels).expand_dims("seed")

    there = comparison.difference.notnull().any().item()
    size = [1.5 + 0.55 * values.sizes[last], 0.6 + 0.32 * values.sizes["row"]]  # of one panel, in inches
    figure = Figure(figsize=(size[0] * (3 if there else 2) + 1.5, size[1] * len(names) + 2.2), layout="constrained")
    parts = figure.subfigures(1, 2, width_ratios=[2, 1.15]) if there else [figure.subfigures()]
    style = {"rows": "row", "columns": last, "panel": "panel", "row_label": ", ".join(map(format_name, middle))}
    words = comparison.attrs["quantity"]
    draw_matrices(parts[0], panels_of("ours", "published"), **style, label=words, n_columns=2, missing="no value")
    if there:
        sizes = np.abs(values.difference.values)
        largest = sizes[np.isfinite(sizes)].max(initial=0) or 1.0
        draw_matrices(
            parts[1], panels_of("difference"), **style, label="ours minus published", n_columns=1,
            missing="not compared", limits=(-largest, largest),
        )  # fmt: skip
    left_out = f"\nnot shown, as ours has no values: {', '.join(map(str, absent))}" if absent else ""
    figure.suptitle(_format_title(comparison) + left_out)
    return figure


def _make_figure(n, widest, y_label):
    """Return a figure, its part below the title, and panels, at most `widest` of them beside each other."""
    from matplotlib.figure import Figure  # here, so that all else works without the extra

    n_columns = min(n, widest)
    figure = Figure(figsize=(5 * max(2, n_columns), 1.6 + 3.8 * -(-n // n_columns)), layout="constrained")
    part, panels, *_ = make_panels(figure, n, n_columns)
    for axes in panels[::n_columns]:
        axes.set_ylabel(y_label)
    return figure, part, panels


def _finish(figure, part, panels, comparison):
    """Add what all panels share."""
    for axes in panels:
        axes.grid(axis="y", alpha=0.3)
    handles, labels = panels[0].get_legend_handles_labels()
    part.legend(handles, labels, loc="outside upper center", ncols=max(2, -(-len(labels) // 2)), frameon=False)
    figure.suptitle(_format_title(comparison))
    return figure


def _shown(comparison):
    """Return the values that must be visible: means, and one standard deviation to either side of ours."""
    std = comparison.ours_std.fillna(0)
    return comparison.published, comparison.ours - std, comparison.ours + std


def _format_title(comparison):
    """Return a title with the data set, the number of seeds, and the settings that differ from the paper."""
    attributes = comparison.attrs
    n = comparison["n"].max().item()
    what = attributes.get("dataset", attributes["quantity"])
    what += f", {attributes['tuning']} tuning" if "tuning" in attributes else ""
    seeds = f"mean of {n} seeds" if n > 1 else "1 seed"
    seeds = f"mean of {format_spread(n)}" if n > 1 and {"factor", "factor_name"} & set(comparison.dims) else seeds
    lines = [f"{what}: ours ({seeds}) and published"]
    differing, ignored = json.loads(attributes["differing_settings"]), json.loads(attributes["ignored"])
    for rule, names in (
        ("so not compared", [name for name in differing if name not in ignored]),
        ("and ignored", [name for name in differing if name in ignored]),
    ):
        if names:
            lines.append(fill(f"settings that differ from the paper, {rule}: {', '.join(names)}", 105))
    return "\n".join(lines)


def _plot_compared_levels(axes, levels, n_seeds):
    """Draw our and the published accuracy of each relation over the levels of one factor, most with `n_seeds` seeds."""
    x = np.arange(levels.sizes["factor"])
    for relation, shift in (("same", -0.04), ("disjoint", 0.04)):
        if relation not in levels.relation.values:
            continue
        chosen, colour = levels.sel(relation=relation), COLOURS[relation]
        mine = (chosen["match"] != "not in the cube").values  # lines pass levels that one of the two lacks
        ours = chosen.isel(factor=mine).rename(ours="mean", ours_low="low", ours_high="high")
        label = f"ours, {relation} transformations"
        draw_means(axes, x[mine] + shift, ours, color=colour, marker="o", ms=6, lw=1.5, label=label)
        published = {"mfc": "white", "ms": 6, "lw": 1.2, "label": f"published, {relation} transformations"}
        theirs = chosen.published.notnull().values
        axes.plot(x[theirs] + 3 * shift, chosen.published.values[theirs], "s--", color=colour, **published)
    notes = []
    for i in x:
        level = levels.isel(factor=i)
        gaps = (level["match"] == "not done") | ((level["match"] == "not published") & (level["n"] == 0))
        done = level["n"].values[level["n"].values > 0]
        fewer = "" if (done == n_seeds).all() else f"({done.min()} of {n_seeds} seeds)"
        notes.append("(not done)" if gaps.all() else "(partly done)" if gaps.any() else fewer)
    label_levels(axes, levels.level.values, notes)


def _plot_our_references(axes, comparison):
    """Draw our encoders that depend on neither factor nor relation; the paper has none."""
    levels = comparison.isel(factor=np.flatnonzero(comparison.factor_name.values == REFERENCE))
    for i, level in enumerate(levels.level.values):
        style = REFERENCE_STYLES[i % len(REFERENCE_STYLES)]
        mean = levels.ours.isel(factor=i).mean().item()
        axes.axhline(mean, color=COLOURS["neither"], lw=1, ls=style, label=f"ours, {level}", zorder=1)


def _plot_compared_contrasts(axes, row):
    """Draw our and the published contrasts of one factor as bars beside each other."""
    x, width = np.arange(row.sizes["contrast"]), 0.36
    ours, published = row.ours.values, row.published.values
    colours = [CONTRAST_COLOURS[contrast] for contrast in row.contrast.values]
    whiskers = np.nan_to_num([ours - row.ours_low.values, row.ours_high.values - ours])
    axes.bar(x - width / 2, ours, width, yerr=whiskers, color=colours, alpha=0.75, capsize=3)
    axes.bar(x + width / 2, published, width, color="none", edgecolor=colours, hatch="//", lw=1.5)
    for label, style in (("ours", {"color": "#333333", "alpha": 0.75}), ("published", {"fc": "none", "hatch": "//"})):
        axes.bar(np.nan, np.nan, label=label, **({"ec": "#333333"} | style))  # for the legend: no contrast's colour
    notes = [f"({match})" if match.startswith("not") else "" for match in row["match"].values.tolist()]
    label_bars(
        axes, [contrast.replace("_", " ").replace("minus ", "minus\n") for contrast in row.contrast.values], notes
    )
