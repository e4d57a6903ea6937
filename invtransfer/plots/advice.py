"""Advice about transformations and what speaks for it: plot_advice."""

import numpy as np

from invtransfer.analysis.advice import ADVICE, CLEAR, IGNORED, order_advice
from invtransfer.plots.profiles import SENSITIVITY, check_profile, find_top, format_encoders, format_transformations

STYLES = {  # colours and markers
    "encourage": ("#0072b2", "o"), "try": ("#00795a", "D"), "stay sensitive": ("#d55e00", "s"),
    "avoid": ("#9c3587", "X"), "already ignored": ("#6f6f6f", "v"), "nothing to gain": ("#6f6f6f", "^"),
    "unknown": ("#6f6f6f", "."),
}  # fmt: skip
_ROW = 0.25  # inches of a row
_SHADE = "0.93"


def plot_advice(cube):
    """Draw for each encoder and transformation what a probe gains, and how sensitive the encoder is.

    Parameters
    ----------
    cube : xarray.Dataset over "transformation", and "encoder" or not
        "advice", "z" and "sensitivity" with its interval, as ``invtransfer advise`` writes them. What was not measured
        is left out.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Two panels for each encoder, with a row for each transformation, sorted as in the table of the advice: z, whose
        range of chance is grey, and the sensitivity, grey where it counts as none. Colours and markers are the advice.

    Raises
    ------
    TypeError
        If `cube` is not a Dataset.
    ValueError
        If it lacks something, or an advice is none that there is.
    ModuleNotFoundError
        If matplotlib is missing.

    Examples
    --------
    >>> import xarray as xr
    >>> numbers = {"z": 4.0, "sensitivity": 0.5, "sensitivity_low": 0.4, "sensitivity_high": 0.7}
    >>> values = {name: ("transformation", [one]) for name, one in numbers.items()}
    >>> cube = xr.Dataset(values | {"advice": ("transformation", ["encourage"])}, {"transformation": ["h_flip"]})
    >>> plot_advice(cube).axes[0].get_lines()[0].get_xdata().tolist()
    [4.0]
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    profile = check_profile(cube, ["z", *SENSITIVITY], may_have=(), argument="cube")
    advice = _take_advice(cube, profile)
    there = (advice != "").any(axis=1)
    if there.any():  # encoders of which nothing is known get no panels
        profile, advice = profile.isel(encoder=there), advice[there]
    n, n_rows = advice.shape
    figure = Figure(figsize=(8, 1.1 + n * (_ROW * n_rows + 0.85)), layout="constrained")
    z, mean, low, high = (profile[name].values for name in ("z", *SENSITIVITY))  # (encoder, transformation)
    reach = 1.08 * max(2.5, np.max(np.abs(z), initial=0, where=np.isfinite(z)))
    right, places = find_top(mean, high), np.arange(n_rows)
    names, encoders = np.array(format_transformations(profile)), format_encoders(profile)
    for i, parts in enumerate(figure.subplots(n, 2, squeeze=False, width_ratios=(3, 2))):
        order = order_advice([one or ADVICE[-1] for one in advice[i]], z[i].tolist())
        gain, sensitivity = parts
        gain.axvspan(-CLEAR, CLEAR, color=_SHADE, lw=0, zorder=0)
        sensitivity.axvspan(0, IGNORED, color=_SHADE, lw=0, zorder=0)
        for place, j in zip(places, order, strict=True):
            if advice[i, j]:
                colour, marker = STYLES[advice[i, j]]
                gain.plot(z[i, j], place, marker, color=colour, ms=5)
                gain.hlines(place, 0, np.nan_to_num(z[i, j]), colour, lw=1.2)
                sensitivity.plot(mean[i, j], place, marker, color=colour, ms=5)
                if np.isfinite(low[i, j]) and not np.isnan(high[i, j]):
                    sensitivity.hlines(place, low[i, j], min(high[i, j], 10 * right), colour, lw=1.2)
        gain.set_yticks(places, names[order], fontsize=8)
        sensitivity.set_yticks(places, [])
        gain.set_xlim(-reach, reach)
        sensitivity.set_xlim(-0.02 * right, right)
        for axes, line in ((gain, 0), (sensitivity, 0), (sensitivity, 1)):
            axes.axvline(line, color="black", lw=0.8, ls=":" if line else "-")
        for limit in (-CLEAR, CLEAR):
            gain.axvline(limit, color="black", lw=0.8, ls=":")
        for axes in parts:
            axes.set_ylim(n_rows - 0.4, -0.6)
            axes.grid(alpha=0.25)
            axes.set_axisbelow(True)
            axes.tick_params("x", labelsize=8)
        gain.set_title(encoders[i], fontsize=9, loc="left")
    gain.set_xlabel(f"z: less error if a probe also sees copies,\nin standard errors (dotted: ±{CLEAR})", fontsize=9)
    sensitivity.set_xlabel(f"sensitivity of the encoder\n(95 % intervals; grey: below {IGNORED})", fontsize=9)
    looks = {kind: look for kind, look in STYLES.items() if (advice == kind).any()}
    handles = [Line2D([], [], color=colour, marker=marker, label=kind) for kind, (colour, marker) in looks.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=4, fontsize=9, frameon=False)
    return figure


def _take_advice(cube, profile):
    """Return the advice over encoder and transformation, in the order of a checked profile; "" where there is none."""
    if "advice" not in cube.data_vars:
        raise ValueError("cube has no variable 'advice': it is not of invtransfer advise")
    advice = cube.advice if "encoder" in cube.advice.dims else cube.advice.expand_dims(encoder=profile.encoder.values)
    if set(advice.dims) != {"encoder", "transformation"}:
        raise ValueError(f"cube has 'advice' over {', '.join(advice.dims)}, expected encoder, transformation")
    return advice.sel(transformation=profile.transformation).transpose("encoder", "transformation").values
