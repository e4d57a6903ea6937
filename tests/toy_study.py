"""Which number belongs where? A study of toys: factor in units, relation in tens, seed in hundreds."""

import os
from pathlib import Path

import numpy as np
import xarray as xr

from invtransfer.analysis import claims, format_means
from invtransfer.paper import Study, main
from invtransfer.paper.grids import cell_arguments, full_grid
from invtransfer.paper.inputs import Inputs

SETTINGS = {"dataset": "blocks", "epochs": 2, "width": 0.5, "solver": "lbfgs", "vit_schedule": "cosine"}
PRESETS = {
    "smoke": SETTINGS | {"seeds": 1, "levels": {"factor": ["a", "b"]}},
    "quick": SETTINGS | {"seeds": 2, "levels": {"factor": ["a", "b"]}},
    "paper": SETTINGS | {"seeds": 10, "epochs": 50, "levels": {"factor": ["a", "b"]}},
}
RELATIONS = ["same", "disjoint"]


def find(*, objects, data, dataset, epochs, **_):
    """Find the data: a folder that is there."""
    if epochs > 99:
        raise ValueError(f"epochs is {epochs}, but there are only 99")
    if dataset == "dolls" and not Path(data, "dolls").exists():
        raise FileNotFoundError(f"{data}/dolls is not there")
    name = Path(objects).name if objects else ""
    return Inputs({"where": str(data)}, name, {"objects": name or "procedural"})


def cell(*, where, factor, relation, seed, objects, shift=0.0, **settings):
    """Compute a number that says where it belongs."""
    assert settings.keys() == {"dataset", "epochs", "width", "solver"}, settings
    if os.environ.get("TOY_FAILS") == factor:
        raise ZeroDivisionError("no toys")
    number = 1 + "ab".index(factor) + 10 * RELATIONS.index(relation) + 100 * seed
    about = {"units": "1", "long_name": "digits"}
    return xr.Dataset({"transfer_accuracy": ((), number + shift, about)})


def make_grid(settings):
    """Return the place and arguments of every cell, and the cube's coordinates."""
    coordinates = settings["levels"] | {"relation": RELATIONS, "seed": list(range(settings["seeds"]))}
    return full_grid(coordinates, lambda **labels: cell_arguments(settings, **labels))


def estimate(*, seed, **_):
    """Project the seconds of a cell."""
    return 10.0 * (1 + seed)


def format_results(cube):
    """Format the table."""
    return format_means({"digits": cube.transfer_accuracy.mean("relation")}, "factor")


def find_claims(cube):
    """Check what is claimed of toys."""
    digits = cube.transfer_accuracy.mean(["factor", "relation"])
    claimed = ("digits are above 0", ">", 0.0), ("digits are below 1000", "<", 1000.0)
    return [claims.claim(text, digits, sign, number) for text, sign, number in claimed]


def plot(cube):
    """Draw a figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 3))
    figure.subplots().plot(np.ravel(cube.transfer_accuracy))
    return figure


STUDY = Study(
    name="toy_study", title="Toys", description=__doc__, folder=Path("data"), presets=PRESETS,
    datasets={"dolls": {"smoke": {"epochs": 3}, "quick": {}, "paper": {"epochs": 70, "levels": {"factor": ["b"]}}}},
    choices={"dataset": ["blocks", "dolls"], "solver": ["lbfgs", "adam"], "factor": ["a", "b"]},
    find=find, cell=cell, grid=make_grid, estimate=estimate, table=format_results, figure=plot, claims=find_claims,
    published="toys.csv",
)  # fmt: skip

if __name__ == "__main__":
    main(STUDY)
