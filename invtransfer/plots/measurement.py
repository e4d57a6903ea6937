"""The sensitivity of models to transformations: plot_measurement."""

import numpy as np

MODEL_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#f0e442")
MARKERS = "osD^vP*X"


def plot_measurement(cube):
    """Draw the sensitivity of models to transformations, with 95 % intervals.

    Parameters
    ----------
    cube : xarray.Dataset
        Over "model" and "transformation": "sensitivity", "sensitivity_low" and "sensitivity_high", with the coordinate
        "category". What was not measured is left out.

    Returns
    -------
    figure : matplotlib.figure.Figure
        A row for each transformation, a colour and marker for each model.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is missing.
    """
    from matplotlib.figure import Figure

    models, names = cube.encoder.values.tolist(), cube.transformation.values.tolist()
    categories = cube.category.values.tolist()
    # a gap where the category changes
    places = np.cumsum([0] + [1 if same else 1.6 for same in np.equal(categories[1:], categories[:-1])])
    height = 0.32 * max(1, len(models) / 3)
    figure = Figure(figsize=(8, 1.6 + height * (places[-1] + 1) + 0.2 * len(models)), layout="constrained")
    axes = figure.subplots()
    offsets = (np.arange(len(models)) - (len(models) - 1) / 2) * 0.7 / max(3, len(models))
    for i, (model, offset) in enumerate(zip(models, offsets, strict=True)):
        one = cube.sel(encoder=model).transpose("transformation", ...)
        colour, marker = MODEL_COLOURS[i % len(MODEL_COLOURS)], MARKERS[i % len(MARKERS)]
        mean, low, high = (one[name].values for name in ("sensitivity", "sensitivity_low", "sensitivity_high"))
        axes.plot(mean, places + offset, marker, color=colour, ms=4, label=model)
        known = np.isfinite(low) & np.isfinite(high)
        axes.hlines((places + offset)[known], low[known], high[known], color=colour, lw=1)
    axes.set_yticks(places, [name.replace("_", " ") for name in names])
    axes.set_ylim(places[-1] + 0.7, -0.7)
    axes.set_xlim(left=min(0, axes.get_xlim()[0]))
    axes.axvline(0, color="black", lw=0.8)
    axes.axvline(1, color="black", lw=0.8, ls=":")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.set_xlabel("sensitivity: 0 ignores the transformation, 1 as different as another image\n(bars: 95 % intervals"
                    " over images)")  # fmt: skip
    figure.legend(loc="outside upper left", fontsize=9, frameon=False)
    for category in dict.fromkeys(categories):
        middle = np.mean([place for place, one in zip(places, categories, strict=True) if one == category])
        axes.annotate(
            category, (1.01, middle), xycoords=("axes fraction", "data"), rotation=270, va="center", fontsize=8
        )
    return figure
