"""What studies say of their cubes: the same however a cube is loaded, and the same of seeds that failed as of none."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from invtransfer import load_cube
from invtransfer.cubes.assembly import NO_VALUE, STATUS
from invtransfer.cubes.files import read
from invtransfer.cubes.reproduction import OF_ANY_CELL
from invtransfer.paper import load_study

ROOT = Path(__file__).resolve().parent.parent
STUDIES = [
    "advice", "depth", "factors", "fine_tuning", "invariance_transfer", "irrelevant_features", "mismatch",
    "real_advice", "relevance",
]  # fmt: skip


@cache
def open_study(name, load=read):
    """Return a study and its cube, read once for all tests, none of which changes it."""
    return load_study(ROOT / "studies" / f"{name}.py"), load(ROOT / "data" / "cubes" / f"{name}.nc")


def say(study, cube):
    return study.table(cube), study.claims(cube)


@pytest.mark.parametrize("name", STUDIES)
def test_a_cube_of_the_public_loader_says_the_same(name):
    assert say(*open_study(name)) == say(*open_study(name, load_cube))


def test_a_cube_of_the_public_loader_is_drawn():
    pytest.importorskip("matplotlib")
    study, cube = open_study("depth", load_cube)
    assert study.figure(cube).get_suptitle().startswith(study.title)


def fail(cube, seed):
    """Return the cube as it is assembled where all cells of a seed failed."""
    chosen, failed = cube.seed == seed, {}
    for name, variable in cube.data_vars.items():
        if "seed" in variable.dims and name not in OF_ANY_CELL:
            nothing = np.array(NO_VALUE.get(variable.dtype.kind, np.nan)).astype(variable.dtype)
            failed[name] = xr.where(chosen, nothing, variable, keep_attrs=False).transpose(*variable.dims)
    failed["status"] = xr.where(chosen, np.int8(STATUS.index("failed")), cube.status).transpose(*cube.status.dims)
    return cube.assign(failed)


@pytest.mark.parametrize("name", STUDIES)
def test_a_seed_that_failed_does_not_count(name):
    study, cube = open_study(name)
    n, seed = cube.sizes["seed"], cube.seed.values[0]
    (table, claims), (expected, expected_claims) = say(study, fail(cube, seed)), say(study, cube.drop_sel(seed=seed))
    assert table.replace(f"n = {n}", f"n = {n - 1}").split() == expected.split()
    assert [replace(one, p_value=0) for one in claims] == [replace(one, p_value=0) for one in expected_claims]
    np.testing.assert_allclose([one.p_value for one in claims], [one.p_value for one in expected_claims], rtol=1e-9)
