"""Sensitivity of all layers at a glance: plot_layers."""

import numpy as np

from invtransfer.plots.axes import MISSING, write_numbers
from invtransfer.plots.profiles import (
    MEANING,
    SENSITIVITY,
    check_profile,
    format_encoders,
    format_plain,
    format_transformations,
    label_categories,
    order_layers,
    select_strength,
    shorten,
)

_ROW = 0.24  # inches of a row
_LABEL = 0.13  # inches that an upright label needs beside the next one
_NUMBER = 0.29  # inches that a number needs
_BEYOND = "#d7191c"  # of values above 1


def plot_layers(profile):
    """Draw the sensitivity of each layer to each transformation as heat maps, one for each encoder.

    Parameters
    ----------
    profile : xarray.Dataset
        Over "layer" and "transformation", and "encoder" and "strength" or not: "sensitivity", with the coordinate
        "category"; the coordinate "depth", NaN where an encoder lacks a layer.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Layers from left to right in the order in which they run, transformations grouped by category. All panels share
        their colours, from 0 (ignored) to 1 (as different as another image); larger values are red. With strengths,
        the largest is shown, and the title says which.

    Raises
    ------
    TypeError
        If `profile` is not a Dataset.
    ValueError
        If it has no layers, or lacks something else.
    ModuleNotFoundError
        If matplotlib is missing.

    Examples
    --------
    >>> import xarray as xr
    >>> sensitivity = xr.DataArray(
    ...     [[0.9, 0.7], [0.2, 0.6]], {"layer": ["conv1", "fc"], "transformation": ["h_flip", "blur"]}
    ... )
    >>> figure = plot_layers(xr.Dataset({"sensitivity": sensitivity}))
    >>> [text.get_text() for text in figure.axes[0].texts][:4]
    ['0.90', '0.20', '0.70', '0.60']
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    profile, strength = select_strength(check_profile(profile, SENSITIVITY[:1], needs=("layer",)))
    layers = [order_layers(profile, i) for i in range(profile.sizes["encoder"])]
    n, n_rows = len(layers), profile.sizes["transformation"]
    longest = max(map(len, layers))
    width = np.clip(0.34 * longest, 2.4, 10 if n == 1 else 5.4)
    n_lines = -(-n // max(1, int(12 / (width + 0.3))))
    n_columns = -(-n // n_lines)
    names = [
        [format_plain(shorten(name, 24)) for name in profile.layer_name.values[i, places]]
        for i, places in enumerate(layers)
    ]
    below = 0.068 * max((len(name) for one in names for name in one), default=1) + 0.2
    size = max(5.5, n_columns * (width + 0.3) + 2.9), n_lines * (_ROW * n_rows + below + 0.35) + 1
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(n_lines, n_columns, squeeze=False, sharey=True).ravel()
    for axes in panels[n:]:
        axes.remove()
    colours = colormaps["viridis"].with_extremes(bad=MISSING, over=_BEYOND)
    values = profile.sensitivity.where(np.isfinite(profile.sensitivity)).values  # (encoder, layer, transformation)
    image = ScalarMappable(Normalize(0, 1), colours)
    titles = format_encoders(profile, width=int((size[0] - 2.9) / n_columns / 0.078))
    for i, (axes, places) in enumerate(zip(panels[:n], layers, strict=True)):
        if places.size:  # an encoder that failed has no layers
            image = axes.imshow(values[i, places].T, colours, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
            if width / len(places) >= _NUMBER:
                write_numbers(axes, image, values[i, places].T, (min(0.5, width / len(places)), _ROW))
        _label_layers(axes, names[i], width)
        _part_categories(axes, profile.category.values.tolist())
        if (i + 1) % n_columns == 0 or i == n - 1:
            label_categories(axes, range(n_rows), profile.category.values.tolist(), _ROW)
        axes.set_title(titles[i], fontsize=9)
    for axes in panels[:n:n_columns]:
        axes.set_yticks(np.arange(n_rows), format_transformations(profile), fontsize=8)
    panels[0].set_ylim(n_rows - 0.5, -0.5)
    beyond = bool((values > 1).any())
    bar = figure.colorbar(
        image, ax=panels[:n].tolist(), label="sensitivity", extend="max" if beyond else "neither", aspect=30,
        pad=0.015, shrink=min(1, 3.6 / size[1] + 0.35),
    )  # fmt: skip
    bar.ax.tick_params(labelsize=8)
    if any(np.isnan(values[i, places]).any() for i, places in enumerate(layers)):
        grey = Patch(facecolor=MISSING, edgecolor="#808080", label="failed or missing")
        figure.legend(handles=[grey], loc="outside lower left", frameon=False, fontsize=8)
    figure.supxlabel("layers, in the order in which they run", fontsize=9)
    title = "Sensitivity of each layer" + f", at {strength}" * bool(strength)
    figure.suptitle(f"{title}\n({MEANING}{'; red: above 1' * beyond})", fontsize=10)
    return figure


def _label_layers(axes, names, width):
    """Write as many names of layers below a panel as fit beside each other, the last one in any case."""
    step = max(1, int(np.ceil(_LABEL * len(names) / width)))
    places = np.arange(len(names) - 1, -1, -step)[::-1]
    axes.set_xticks(places, [names[place] for place in places], fontsize=7, rotation=90)
    axes.set_xticks(np.arange(len(names)), minor=True)
    axes.tick_params("x", length=3, pad=2)
    axes.tick_params("x", which="minor", length=1.5)
    axes.tick_params("y", length=0)


def _part_categories(axes, categories):
    """Draw a white line between categories."""
    for row in range(1, len(categories)):
        if categories[row] != categories[row - 1]:
            axes.axhline(row - 0.5, color="white", lw=2.5)
