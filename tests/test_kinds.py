"""What a cube is of, by which the commands choose what to do with it."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from invtransfer.cubes.files import read
from invtransfer.cubes.kinds import find_kind

CUBES = Path(__file__).parents[1] / "data" / "cubes"
PROFILE = xr.Dataset({"sensitivity": ("transformation", [0.5])}, {"transformation": ["hue"]})
MEASURED = {"settings": json.dumps({"images": "photos 1a2b", "weights": "default", "strengths": None})}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("factors", "study"),
        ("depth", "study"),
        ("photographs", "measurement"),
        ("speed", "timings"),
        ("cell_speed", None),
    ],
)
def test_published_cubes(name, kind):
    assert find_kind(read(CUBES / f"{name}.nc")) == kind


@pytest.mark.parametrize(
    ("cube", "kind"),
    [
        (PROFILE, "profile"),
        (PROFILE.expand_dims(protocol=["ours"]), None),
        (PROFILE.assign_attrs(MEASURED), "measurement"),
        (xr.Dataset({"status": ("transformation", [2])}, attrs=MEASURED), "measurement"),  # no model worked
        (xr.Dataset(attrs=MEASURED | {"command": "advise"}), "advice"),
        (xr.Dataset({"arguments": ("seed", ["{}"])}, attrs={"settings": "{}"}), "own study"),
        (xr.Dataset({"x": np.float64(1)}), None),
        (xr.Dataset(attrs={"settings": "of another program"}), None),
        (xr.Dataset(attrs={"settings": 3, "command": np.arange(2)}), None),
    ],
)
def test_cubes_of_ones_own(cube, kind):
    assert find_kind(cube) == kind
