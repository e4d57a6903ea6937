"""A comparison as text."""

import json
from textwrap import fill

import numpy as np

from invtransfer.analysis import format_table

WIDTH = 108  # characters of a line of text
DETAILS = {"factor": ["factor_name", "level"], "measured": ["measure", "target"]}  # what the labels of these consist of
HEADS = {
    "factor_name": "factor",
    "n_pretraining_transformations": "n_pretraining",
    "n_target_transformations": "n_target",
}


def format_comparison(comparison):
    """Format a comparison as a table, and what is missing and what differs in plain words.

    Parameters
    ----------
    comparison : xarray.Dataset
        Comparison as `compare_to_published` returns it.

    Returns
    -------
    text : str
        Several lines.

    Examples
    --------
    >>> import xarray as xr
    >>> dims = ["factor", "relation"]
    >>> comparison = xr.Dataset(
    ...     {"ours": (dims, [[0.94]]), "ours_low": (dims, [[0.92]]), "ours_high": (dims, [[0.96]]), "n": (dims, [[5]]),
    ...      "published": (dims, [[1.0]]), "difference": (dims, [[-0.06]]), "match": (dims, [["compared"]])},
    ...     {"factor": ["class_relation=same"], "factor_name": ("factor", ["class_relation"]),
    ...      "level": ("factor", ["same"]), "relation": ["same"]},
    ...     {"quantity": "accuracy", "dataset": "transforms2d", "differing_settings": '{"epochs": [6, 50]}',
    ...      "ignored": '["epochs"]'},
    ... )
    >>> lines = format_comparison(comparison).splitlines()
    >>> lines[2]
    'factor          level  relation   ours   95 % interval  n  published  difference  match'
    >>> lines[3]
    'class_relation  same   same      0.940  0.920 to 0.960  5      1.000      -0.060  compared'
    >>> lines[-1]
    'Settings that differ from the paper, and were ignored: epochs 6 (paper 50).'
    """
    dims = comparison.ours.dims
    values = {
        name: values.transpose(*dims).values for name, values in comparison.data_vars.items() if values.dims == dims
    }
    with_std = "published_std" in values
    labels = [(name, axis) for axis, dim in enumerate(dims) for name in DETAILS.get(dim, [dim])]
    rows, matches = [], ["match"]
    for at in np.ndindex(*values["ours"].shape):
        value = {name: array[at] for name, array in values.items()}
        if np.isnan(value["published"]) and value["n"] == 0:  # neither has it
            continue
        place = [str(comparison[name].values[at[axis]]) for name, axis in labels]
        interval = [_number(value[end]) for end in ("ours_low", "ours_high")]
        interval = "" if "-" in interval else " to ".join(interval)
        numbers = [_number(value["ours"]), interval, str(value["n"]), _number(value["published"])]
        numbers += [_number(value["published_std"])] if with_std else []
        rows.append([*place, *numbers, _number(value["difference"], "+")])
        matches.append(str(value["match"]))
    head = [HEADS.get(name, name) for name, _ in labels]
    head += ["ours", "95 % interval", "n", "published", *(["its std"] if with_std else []), "difference"]
    attributes = comparison.attrs
    what = [attributes["quantity"], *([attributes["dataset"]] if "dataset" in attributes else [])]
    what += [f"{attributes['tuning']} tuning"] if "tuning" in attributes else []
    table = zip(format_table([head, *rows], len(labels)).splitlines(), matches, strict=True)
    title = f"{', '.join(what)}: ours (mean over n seeds) and the published"
    return "\n".join([title, "", *map("  ".join, table), "", *_format_findings(comparison)])


def _number(value, sign=""):
    return "-" if np.isnan(value) else f"{round(float(value), 3) + 0.0:{sign}.3f}"  # + 0.0: no -0.000


def _format_findings(comparison):
    """Return lines that say what was compared, what was not, and why."""
    n_published = comparison.published.notnull().sum().item()
    compared = comparison.difference.notnull()
    text = f"Compared: {compared.sum().item()} of {n_published} published values."
    if compared.any():
        size = np.abs(comparison.difference)
        largest = comparison.difference.isel(size.argmax(size.dims))
        place = ", ".join(_name(dim, largest[dim].item()) for dim in size.dims)
        text += f" Mean absolute difference {size.mean().item():.3f}; largest {largest.item():+.3f}, at {place}."
    lines = [text]
    differing, ignored = json.loads(comparison.attrs["differing_settings"]), json.loads(comparison.attrs["ignored"])
    for rule, names in (
        ("so values that depend on them are not compared", [name for name in differing if name not in ignored]),
        ("and were ignored", [name for name in differing if name in ignored]),
    ):
        settings = [f"{name} {_word(differing[name][0])} (paper {_word(differing[name][1])})" for name in names]
        if settings:
            lines.append(f"Settings that differ from the paper, {rule}: {', '.join(settings)}.")
    lines += _format_gaps(comparison) + _format_levels(comparison)
    return [fill(line, WIDTH, subsequent_indent="  ") for line in lines]


def _format_gaps(comparison):
    """Return lines that say which places the cube or the table lacks."""
    dims = comparison.ours.dims
    match = comparison["match"].transpose(*dims).values
    names = [[_name(dim, label) for label in comparison[dim].values.tolist()] for dim in dims]
    nobody = (match == "not published") & (comparison["n"].transpose(*dims).values == 0)
    absent = match == "not in the cube"  # which is said before what is not done
    lines = []
    for kind, words in (
        ("not in the cube", "Published, but not in the cube"),
        ("not done", "Published, but failed or not yet done"),
        ("not published", "Not published"),
    ):
        chosen = match == kind
        items = _gather(chosen, chosen | nobody | (absent if kind == "not done" else False), names)
        if items:
            lines.append(f"{words}: {', '.join(items)}.")
    return lines


def _name(dim, label):
    """Return a label so that it can be understood alone."""
    return f"{HEADS.get(dim, dim)} {label}" if isinstance(label, int) else str(label)


def _gather(chosen, covered, names):
    """Return as few words as possible for the chosen places: a label stands for all of its places if all are covered.

    Covered are the chosen places, and those that may be meant too because another line names them or nobody has them.
    """
    chosen, items = chosen.copy(), []
    for axis, labels in enumerate(names):
        for i, label in enumerate(labels):
            at = (slice(None),) * axis + (i,)
            if chosen[at].any() and covered[at].all():
                items.append(label)
                chosen[at] = False
    if chosen.ndim > 1:
        for i, label in enumerate(names[0]):
            if chosen[i].any():
                items.append(f"{label} ({', '.join(_gather(chosen[i], covered[i], names[1:]))})")
    return items


def _format_levels(comparison):
    """Return a line for each factor that says which levels its differences span."""
    if "ours_levels" not in comparison:
        return []
    lines = []
    tunings = range(comparison.sizes.get("tuning", 1))
    for part in [comparison.isel(tuning=i, missing_dims="ignore") for i in tunings]:
        more = f" ({part.tuning.item()})" if "tuning" in part.coords else ""
        for i, name in enumerate(part.factor_name.values):
            row = part.isel(factor_name=i)
            ours, theirs = row.ours_levels.item(), row.published_levels.item()
            if ours and ours == theirs:
                lines.append(f"Levels of {name}{more} that both span: {ours}.")
            elif row.published.notnull().any():
                theirs = f"the published span {theirs}" if theirs else "which ones the published span is not known"
                lines.append(f"Levels of {name}{more}: ours span {ours or 'none'}; {theirs}.")
    return lines


def _word(value):
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)
