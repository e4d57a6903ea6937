"""The page of a cube of times and memory, each with its target."""

import shlex

import numpy as np

from invtransfer.pages.layout import Table, Verbatim, make_page
from invtransfer.pages.origins import describe_origin
from invtransfer.storage import parse_json


def make_speed_page(cube, name="speed.nc"):
    """Make the page of a cube that says how fast something is, and whether that meets a target.

    Parameters
    ----------
    cube : xarray.Dataset over "measure"
        "value", "low", "high", "sense", "target" and "verdict", with the flags of the latter, as
        `invtransfer.paper.benchmarks.judge` makes them.
    name : str
        Name of the cube's file, after which the script is called if the cube does not name it.

    Returns
    -------
    page : str
        HTML, see `invtransfer.pages.make_page`.

    Raises
    ------
    ValueError
        If a variable is missing, or an attribute is not as described.
    """
    missing = [one for one in ("value", "low", "high", "sense", "target", "verdict") if one not in cube]
    if missing:
        raise ValueError(f"the cube has no variable {missing[0]!r}: it is not of a script that measures speed")
    meanings = str(cube.verdict.attrs.get("flag_meanings", "")).split()
    verdicts = [meanings[i].replace("_", " ") if 0 <= i < len(meanings) else str(i) for i in cube.verdict.values]
    rows = []
    for i, measure in enumerate(cube.measure.values):
        value, low, high, sense, target = (cube[one].values[i] for one in ("value", "low", "high", "sense", "target"))
        between = "" if np.isnan(low) else f" ({low:.2f} to {high:.2f})"
        rows.append([str(measure), f"{value:.2f}{between}", f"{sense} {target:.3g}", verdicts[i]])
    counts = [f"{verdicts.count(one)} {one}" for one in dict.fromkeys(verdicts)]
    notes = [f"{row[0]}: {row[1]}, expected {row[2]}." for row in rows if row[3] == "missed"]
    settings = parse_json(cube.attrs.get("settings", "{}"), "settings", dict)
    script = cube.attrs.get("script", name.partition(".")[0].partition("-")[0])  # none in cubes of earlier versions
    command = ["python", f"studies/{script}.py"]
    for option in ("preset", "threads", "seeds"):
        command += [f"--{option}", str(settings[option])] if option in settings else []
    reading = (
        "How to read this: a value is a ratio of times, or what its name says; in brackets are the smallest and the"
        " largest of single repetitions. The target is what was aimed at, and the verdict whether it is met."
    )
    title = str(cube.attrs.get("title", "Speed"))
    return make_page(title, f"How {len(rows)} measures of time and memory compare with their targets.", [
        ("What stands out", [[f"Targets: {', '.join(counts)}.", *notes]]),
        ("Measures", [reading, Table("Each measure and its target", ["measure", "value", "target", "verdict"], rows)]),
        ("How it came about", describe_origin(cube)),
        ("How to repeat it", ["On a machine that does nothing else:", Verbatim(shlex.join(command))]),
    ])  # fmt: skip
