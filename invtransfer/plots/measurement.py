"""The sensitivity of encoders to transformations, side by side: plot_measurement."""

import numpy as np

from invtransfer.plots.profiles import (
    SENSITIVITY,
    check_profile,
    find_top,
    format_encoders,
    format_transformations,
    label_categories,
    select_layer,
    select_strength,
    style_encoders,
)


def plot_measurement(cube):
    """Draw the sensitivity of encoders to transformations, with 95 % intervals.

    Parameters
    ----------
    cube : xarray.Dataset
        Over "transformation", and "encoder" (or "model"), "layer" and "strength" or not: "sensitivity",
        "sensitivity_low" and "sensitivity_high", with the coordinate "category". What was not measured is left out.

    Returns
    -------
    figure : matplotlib.figure.Figure
        A row for each transformation, grouped by category, a colour and marker for each encoder. Of layers the last is
        shown, of strengths the largest, and the title says which.

    Raises
    ------
    TypeError
        If `cube` is not a Dataset.
    ValueError
        If it lacks something.
    ModuleNotFoundError
        If matplotlib is missing.

    Examples
    --------
    >>> import xarray as xr
    >>> values = {"sensitivity": [0.5], "sensitivity_low": [0.4], "sensitivity_high": [0.7]}
    >>> cube = xr.Dataset(
    ...     {name: ("transformation", value) for name, value in values.items()}, {"transformation": ["h_flip"]}
    ... )
    >>> plot_measurement(cube).axes[0].get_lines()[0].get_xdata().tolist()
    [0.5]
    """
    from matplotlib.figure import Figure

    profile, strength = select_strength(check_profile(cube, SENSITIVITY, argument="cube"))
    profile, layer = select_layer(profile)
    n, categories = profile.sizes["encoder"], profile.category.values.tolist()
    # a gap where the category changes
    places = np.cumsum([0] + [1 if same else 1.6 for same in np.equal(categories[1:], categories[:-1])])
    row = max(0.32, 0.08 * n)  # inches
    figure = Figure(figsize=(8, 1.6 + row * (places[-1] + 1) + 0.2 * n), layout="constrained")
    axes = figure.subplots()
    offsets = (np.arange(n) - (n - 1) / 2) * 0.7 / max(3, n)
    means, lows, highs = (profile[name].values for name in SENSITIVITY)  # (encoder, transformation)
    right = find_top(means, highs)
    for mean, low, high, offset, style in zip(means, lows, highs, offsets, style_encoders(n), strict=True):
        axes.plot(mean, places + offset, style["marker"], color=style["color"], ms=4)
        known = np.isfinite(low) & ~np.isnan(high)
        axes.hlines((places + offset)[known], low[known], np.minimum(high, 10 * right)[known], style["color"], lw=1)
    for place in places[::2]:
        axes.axhspan(place - 0.5, place + 0.5, color="0.96", lw=0, zorder=0)
    axes.set_yticks(places, format_transformations(profile))
    axes.set_ylim(places[-1] + 0.7, -0.7)
    axes.set_xlim(-0.02 * right, right)
    axes.axvline(0, color="black", lw=0.8)
    axes.axvline(1, color="black", lw=0.8, ls=":")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.set_xlabel("sensitivity: 0 ignores the transformation, 1 as different as another image\n(bars: 95 % intervals"
                    " over images)")  # fmt: skip
    where = ", ".join(filter(None, [layer, strength]))
    if where:
        axes.set_title(f"Sensitivity at {where}", fontsize=10)
    names = format_encoders(profile)
    if any(names):
        figure.legend(axes.get_lines()[:n], names, loc="outside upper left", fontsize=9, frameon=False)
    label_categories(axes, places, categories, row)
    return figure
