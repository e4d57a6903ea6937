"""Sensitivity over depth and over strength, as lines with bands: plot_depths and plot_doses."""

import numpy as np

from invtransfer.plots.panels import add_legend, make_panels
from invtransfer.plots.profiles import (
    MEANING,
    SENSITIVITY,
    check_profile,
    find_top,
    format_encoders,
    format_transformations,
    order_layers,
    select_layer,
    select_strength,
    style_encoders,
)


def plot_depths(profile):
    """Draw the sensitivity over the depth of networks, with 95 % intervals.

    Parameters
    ----------
    profile : xarray.Dataset
        Over "layer" and "transformation", and "encoder" and "strength" or not: "sensitivity", "sensitivity_low" and
        "sensitivity_high", with the coordinate "depth", from 0 to 1, NaN where an encoder lacks a layer.

    Returns
    -------
    figure : matplotlib.figure.Figure
        A panel for each transformation, and a line for each encoder, so that networks of unlike depth compare. Bands
        are intervals. With strengths, the largest is shown, and the title says which.

    Raises
    ------
    TypeError
        If `profile` is not a Dataset.
    ValueError
        If it has no layers or no depths, or lacks something else.
    ModuleNotFoundError
        If matplotlib is missing.

    Examples
    --------
    >>> import xarray as xr
    >>> values = (("layer", "transformation"), [[0.9], [0.2]])
    >>> profile = xr.Dataset(
    ...     {"sensitivity": values, "sensitivity_low": values, "sensitivity_high": values},
    ...     {"layer": ["conv1", "fc"], "depth": ("layer", [0.5, 1]), "transformation": ["h_flip"]},
    ... )
    >>> plot_depths(profile).axes[0].get_lines()[0].get_xydata().tolist()
    [[0.5, 0.9], [1.0, 0.2]]
    """
    profile, strength = select_strength(check_profile(profile, SENSITIVITY, needs=("layer",)))
    if "depth" not in profile.coords:
        raise ValueError("profile has no coordinate 'depth' along 'layer'")
    values = np.stack([profile[name].values for name in SENSITIVITY])  # (3, encoder, layer, transformation)
    lines = []
    for i in range(profile.sizes["encoder"]):
        places = order_layers(profile, i)
        lines.append((profile.depth.values[i, places], values[:, i, places]))
    title = "Sensitivity over depth" + f", at {strength}" * bool(strength)
    return _plot_lines(profile, lines, title, "depth: share of the layers with weights that have run")


def plot_doses(profile, layer=None):
    """Draw the sensitivity over the strength of transformations, with 95 % intervals.

    Parameters
    ----------
    profile : xarray.Dataset
        Over "transformation" and "strength", and "encoder" and "layer" or not: "sensitivity", "sensitivity_low" and
        "sensitivity_high".
    layer : str, int or None
        Layer that is shown, by its name or its label along "layer"; encoders without it are left out. None: the last
        layer of each encoder.

    Returns
    -------
    figure : matplotlib.figure.Figure
        A panel for each transformation, and a line for each encoder. Bands are intervals. Lines start at 0 at strength
        0, where a transformation changes nothing; but not those of flips and invert, which act in full at any strength,
        so that all strengths have the same values. The title says which layer is shown.

    Raises
    ------
    TypeError
        If `profile` is not a Dataset.
    ValueError
        If it has no strengths, no such layer, or lacks something else.
    ModuleNotFoundError
        If matplotlib is missing.

    Examples
    --------
    >>> import xarray as xr
    >>> values = (("transformation", "strength"), [[0.2, 0.7]])
    >>> profile = xr.Dataset(
    ...     {"sensitivity": values, "sensitivity_low": values, "sensitivity_high": values},
    ...     {"transformation": ["h_flip"], "strength": [0.5, 1.0]},
    ... )
    >>> plot_doses(profile).axes[0].get_lines()[0].get_xydata().tolist()
    [[0.0, 0.0], [0.5, 0.2], [1.0, 0.7]]
    """
    profile, where = select_layer(check_profile(profile, SENSITIVITY, needs=("strength",), may_have=("layer",)), layer)
    values = np.stack([profile[name].values.swapaxes(1, 2) for name in SENSITIVITY])
    mean = values[0]
    acts_in_full = (mean == mean[:, :1]).all(axis=1, keepdims=True) & (mean.shape[1] > 1)
    at_nothing = np.where(acts_in_full | np.isnan(values).all(axis=2, keepdims=True), np.nan, 0.0)
    values = np.concatenate([at_nothing, values], axis=2)  # (3, encoder, strength, transformation)
    strengths = np.concatenate([[0.0], profile.strength.values])
    title = "Sensitivity over strength" + f", at {where}" * bool(where)
    return _plot_lines(
        profile, [(strengths, one) for one in values.swapaxes(0, 1)], title, "strength of the transformation"
    )


def _plot_lines(profile, lines, title, x_label):
    """Draw a panel for each transformation, with a line for each encoder.

    Each of `lines` has the place of each point along the axis, and sensitivity, low and high as an array of shape
    (3, n_points, n_transformations).
    """
    from matplotlib.figure import Figure

    names, styles = format_transformations(profile), style_encoders(len(lines))
    n_rows = next((rows for rows, most in ((1, 3), (2, 8)) if len(names) <= most), max(3, -(-len(names) // 6)))
    n_columns = -(-len(names) // n_rows)
    size = max(6, 2.25 * n_columns + 0.8), max(3.6, 2.1 * n_rows + 0.9 + 0.11 * len(lines))
    figure = Figure(figsize=size, layout="constrained")
    part, panels, *_ = make_panels(figure, len(names), n_columns)
    every = [values for _, values in lines]
    top = find_top(*(np.concatenate([values[bound].ravel() for values in every]) for bound in (0, 2)))
    for j, axes in enumerate(panels):
        for i, ((x, values), style) in enumerate(zip(lines, styles, strict=True)):
            _draw_band(axes, x, *values[..., j], style, first=i, top=top)
        axes.axhline(1, color="black", lw=0.8, ls=":", zorder=1)
        axes.set_title(names[j], fontsize=9)
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.25)
    for axes in panels:
        axes.set_xlim(-0.04, 1.04)
    panels[0].set_ylim(-0.02 * top, top)
    labels = format_encoders(profile)
    if any(labels):
        add_legend(part, panels[0].get_lines()[: len(lines)], labels, None)
    part.supxlabel(x_label, fontsize=9)
    part.supylabel(f"sensitivity ({MEANING})", fontsize=9)
    note = "(bands: 95 % intervals over images)"
    separator = " " if len(title) + len(note) < 12 * size[0] else "\n"  # 12 characters of this size in an inch
    figure.suptitle(f"{title}{separator}{note}", fontsize=11)
    return figure


def _draw_band(axes, x, mean, low, high, style, first, top):
    """Draw a line with its intervals: as a band, and as whiskers at points without neighbours.

    Of many points some get markers, beginning with a few that differ from line to line.
    """
    step = max(1, len(x) // 6)
    mean = np.where(np.isfinite(mean), mean, np.nan)
    axes.plot(x, mean, **style, lw=1.3, ms=3.5, markevery=(first % step, step))
    known = np.isfinite(mean) & np.isfinite(low) & ~np.isnan(high)
    high = np.minimum(high, 10 * top)  # infinite ones, beyond the axis
    axes.fill_between(x, low, high, where=known, color=style["color"], alpha=0.16, lw=0)
    beside = np.concatenate([[False], known, [False]])
    alone = known & ~beside[:-2] & ~beside[2:]
    axes.vlines(x[alone], low[alone], high[alone], color=style["color"], lw=1, alpha=0.6)
