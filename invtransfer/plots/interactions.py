"""What two transformations do together: plot_interactions."""

import numpy as np

from invtransfer.plots.profiles import check_profile, format_encoders, format_plain, select_layer

SIGNS = {"amplifying": "+", "covering": "−", "additive": "•", "unclear": "?"}
N_PANELS = 4
_CELL = 0.3  # inches


def plot_interactions(profile):
    """Draw how much more or less encoders change by two transformations, one after the other, than by each alone.

    Parameters
    ----------
    profile : xarray.Dataset
        Over "transformation" and "then", and "encoder" and "layer" or not: "interaction", NaN where it was not
        measured, and its "kind": "amplifying", "covering", "additive" or "unclear".

    Returns
    -------
    figure : matplotlib.figure.Figure
        A matrix for each encoder, up to four: the first transformation from top to bottom, the second from left to
        right. Red is more than each alone, blue is less; a sign in each cell says the kind. Pairs that were not
        measured are blank. Of layers the last is shown, and the title says which.

    Raises
    ------
    TypeError
        If `profile` is not a Dataset.
    ValueError
        If it has no interactions, or lacks something else.
    ModuleNotFoundError
        If matplotlib is missing.

    Examples
    --------
    >>> import xarray as xr
    >>> dims = ("transformation", "then")
    >>> profile = xr.Dataset(
    ...     {"interaction": (dims, [[np.nan, -0.3]]), "kind": (dims, [["", "covering"]])},
    ...     {"transformation": ["blur"], "then": ["blur", "noise"]},
    ... )
    >>> [text.get_text() for text in plot_interactions(profile).axes[0].texts]
    ['−']
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    profile = check_profile(profile, ["interaction", "kind"], needs=("then",), may_have=("layer",))
    profile, layer = select_layer(profile)
    profile = profile.isel(encoder=np.isfinite(profile.interaction).any(["transformation", "then"]).values)
    n_encoders = profile.sizes["encoder"]
    if not n_encoders:
        raise ValueError("profile has no interaction that is a number: all pairs failed or are missing")
    profile = profile.isel(encoder=slice(N_PANELS))
    measured = np.isfinite(profile.interaction)
    profile = profile.isel(
        transformation=measured.any(["encoder", "then"]).values, then=measured.any(["encoder", "transformation"]).values
    )
    values, kinds = profile.interaction.values, profile.kind.values
    n, n_rows, n_columns = values.shape
    rows, columns = (
        [format_plain(name).replace("_", " ") for name in profile[dim].values.tolist()]
        for dim in ("transformation", "then")
    )
    beside = min(n, 2)
    below = 0.07 * max(map(len, columns)) + 0.35
    width, height = max(2.6, _CELL * n_columns), max(1.2, _CELL * n_rows)
    size = beside * (width + 0.25) + 2.5, -(-n // beside) * (height + below + 0.3) + 1
    figure = Figure(figsize=(max(6.2, size[0]), size[1]), layout="constrained")
    part = figure.subfigures()  # so that the legend gets a place below the title
    panels = part.subplots(-(-n // beside), beside, squeeze=False, sharey=True).ravel()
    for axes in panels[n:]:
        axes.remove()
    limit = np.abs(values[np.isfinite(values)]).max() or 1
    colours = colormaps["RdBu_r"].with_extremes(bad="white")
    for i, (axes, name) in enumerate(zip(panels[:n], format_encoders(profile, width=int(width / 0.078)), strict=True)):
        shown = np.where(np.isfinite(values[i]), values[i], np.nan)
        image = axes.imshow(shown, colours, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
        for (row, column), number in np.ndenumerate(shown):
            if np.isfinite(number):
                colour = "white" if abs(number) > 0.55 * limit else "black"
                sign = SIGNS.get(kinds[i, row, column], "?")
                axes.text(column, row, sign, color=colour, ha="center", va="center", fontsize=10, fontweight="bold")
        axes.set_xticks(np.arange(n_columns), columns, fontsize=8, rotation=90)
        axes.set_yticks(np.arange(n_rows), rows, fontsize=8)
        axes.set_xticks(np.arange(n_columns + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(n_rows + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="0.85", lw=0.5)
        axes.tick_params(which="both", length=0)
        axes.set_title(name, fontsize=9)
    signs = [Line2D([], [], ls="", label=f"{sign}  {kind}") for kind, sign in SIGNS.items()]
    part.legend(
        handles=signs, loc="outside upper center", ncols=4, frameon=False, fontsize=9, handlelength=0, handletextpad=0
    )
    part.supxlabel("then", fontsize=9)
    part.supylabel("first", fontsize=9)
    part.colorbar(image, ax=panels[:n].tolist(), aspect=30, pad=0.015, label="interaction")
    title = "Two transformations, one after the other" + f", at {layer}" * bool(layer)
    title += "\ninteraction: squared sensitivity to both, minus that to the first and that to the second"
    title += f"\nthe first {N_PANELS} of {n_encoders} encoders" * (n_encoders > N_PANELS)
    figure.suptitle(title, fontsize=10)
    return figure
