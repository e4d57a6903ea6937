"""A cell computed again from what its cube says, by a study of a few lines that lies in a folder of its own."""

import json
import sys
from importlib import import_module

import numpy as np
import pytest
import torch
import xarray as xr

from invtransfer.cubes.files import read, write
from invtransfer.cubes.provenance import find_origin
from invtransfer.cubes.reproduction import find_place, reproduce
from invtransfer.cubes.running import run_study

STUDY = """
import numpy as np
import torch
import xarray as xr

def cell(*, where, factor, seed):
    values = np.random.default_rng(seed).normal(size=3) + {"a": 0, "b": 10}[factor] + SHIFT
    return xr.Dataset(
        {"sensitivity": ("part", values), "word": ((), factor), "threads": ((), torch.get_num_threads())},
        {"part": [0, 1, 2]},
    ).assign(nothing=((), float("nan")))

def find(settings, objects, data):
    return {"where": str(data)}, "", {"objects": objects or "procedural"}
"""


@pytest.fixture
def studies(tmp_path, monkeypatch):
    folder = tmp_path / "studies"
    folder.mkdir()
    (folder / "toys.py").write_text(STUDY.replace("SHIFT", "0"))
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def cube(studies, tmp_path):
    from functools import partial

    sys.modules.pop("toys", None)
    function = partial(import_module("toys").cell, where="anywhere")
    grid = [({"factor": f, "seed": s, "n": p}, {"factor": f, "seed": s}, {"part": p}) for f in "ab" for s in (0, 1)
            for p in (1, 2)]  # fmt: skip
    coordinates = {"factor": ["a", "b"], "seed": [0, 1], "n": [1, 2]}
    settings = {"objects": "procedural"}
    run_study(function, grid, coordinates, tmp_path / "toys.nc", settings, title="", attributes={"study": "toys"},
              jobs=1, threads=2)  # fmt: skip
    return read(tmp_path / "toys.nc")


def test_cell_is_reproduced_with_the_threads_that_it_had(cube, studies):
    before = torch.get_num_threads()
    assert int(cube.threads[0, 0, 0]) == 2
    text, identical = reproduce(cube, {"factor": "b", "seed": "1", "n": "2"}, studies=studies)
    assert identical
    assert text.splitlines() == [
        "the cell at factor=b,seed=1,n=2, with 4 variables, is reproduced bit for bit",
        "versions, code and machine are the same",
    ]
    assert torch.get_num_threads() == before


def test_what_differs_is_said_with_both_values(cube, studies):
    (studies / "toys.py").write_text(STUDY.replace("SHIFT", "2.0**-50 * (factor == 'a')"))
    assert reproduce(cube, {"factor": "b", "seed": "1", "n": "2"}, studies=studies)[1]
    text, identical = reproduce(cube, {"factor": "a", "seed": "0", "n": "1"}, studies=studies)
    assert not identical
    there = cube.sensitivity.sel(factor="a", seed=0, n=1).item()
    assert text.splitlines()[:2] == [
        "the cell at factor=a,seed=0,n=1, with 4 variables, is not reproduced:",
        f"  sensitivity: {there!r} there, {there + 2.0**-50!r} here",
    ]


def test_versions_code_and_machine_that_differ_are_named(cube, studies):
    ours = find_origin(2)
    other = ours | {"versions": ours["versions"] | {"torch": "0.1"}, "git_commit": "1f"}
    other["hardware"] = ours["hardware"] | {"processor": "abacus"}
    text, identical = reproduce(
        cube.assign_attrs(origins=json.dumps([other])), {"factor": "b", "seed": "1", "n": "2"}, studies=studies
    )
    assert identical
    assert text.splitlines()[1:] == [
        "what differs here from there:",
        f"  torch: 0.1 there, {ours['versions']['torch']} here",
        f"  processor: abacus there, {ours['hardware']['processor']} here",
        f"  git commit: 1f there, {ours['git_commit']} here",
    ]


def test_cell_that_fails_here(cube, studies):
    (studies / "toys.py").write_text(STUDY.replace("SHIFT", "1 / 0"))
    text, identical = reproduce(cube, {"factor": "b", "seed": "1", "n": "2"}, studies=studies)
    assert not identical
    assert text.startswith("the cell at factor=b,seed=1,n=2 failed here: ZeroDivisionError: division by zero\n")


PLACE = {"factor": "b", "seed": "1", "n": "2"}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (PLACE | {"seed": "2"}, "^cell has seed=2, expected one of: 0, 1$"),
        (PLACE | {"depth": "2"}, "^cell has 'depth', expected the dimensions of the cube: factor, seed, n$"),
        ({"factor": "b", "n": "1"}, "^cell lacks seed, expected one of: seed=0, seed=1$"),
    ],
)
def test_place_that_is_not_there(cube, studies, labels, message):
    with pytest.raises(ValueError, match=message):
        reproduce(cube, labels, studies=studies)


def change(cube, name, value):
    changed = cube.copy(deep=True)
    changed[name] = changed[name].astype(object)
    changed[name].loc[{"factor": "b", "seed": 1, "n": 2}] = value
    return changed


@pytest.mark.parametrize(
    ("doctor", "message"),
    [
        (lambda cube: cube.drop_vars("arguments"), "does not say how its cells were computed: it is of an earlier"),
        (lambda cube: cube.drop_attrs(), "does not say how its cells were computed"),
        (lambda cube: cube.assign_attrs(study="../toys"), r"^study is '\.\./toys', expected the name of a script$"),
        (lambda cube: cube.assign_attrs(study="os;import"), "expected the name of a script$"),
        (lambda cube: cube.assign_attrs(settings="{"), "^settings is no JSON: "),
        (
            lambda cube: cube.assign_attrs(settings='{"objects": "emoji"}'),
            "^objects are 'procedural' here, but the cube",
        ),
        (lambda cube: cube.assign_attrs(origins="[]"), "^origins of the cube name no number 0"),
        (lambda cube: cube.assign_attrs(origins="{}"), "^origins of the cube name no number 0"),
        (lambda cube: cube.assign_attrs(origins=3), "^origins is no JSON: "),
        (lambda cube: cube.assign_attrs(origins="[" * 100_000), "^origins is no JSON: "),
        (
            lambda cube: cube.assign_attrs(origins=json.dumps([find_origin("many")])),
            "^threads in the origins .* 'many'",
        ),
        (lambda cube: cube.assign_attrs(origins=json.dumps([find_origin(10**9)])), "expected 1 to 1024$"),
        (lambda cube: change(cube, "arguments", "{}"), "^the arguments at factor=b,seed=1,n=2 are not those of cell "),
        (lambda cube: change(cube, "arguments", "["), "^arguments at factor=b,seed=1,n=2 is no JSON: "),
        (lambda cube: change(cube, "part", '{"part": 7}'), "^part at factor=b,seed=1,n=2 is .*, which the cell lacks"),
        (lambda cube: change(cube, "status", 2), "^the cell at factor=b,seed=1,n=2 is failed: there is nothing to"),
        (lambda cube: cube.drop_vars("status"), "the cube has no variable 'status'"),
    ],
)
def test_cube_that_does_not_say_enough_or_was_doctored(cube, studies, doctor, message):
    with pytest.raises(ValueError, match=message):
        reproduce(doctor(cube), PLACE, studies=studies)


def test_study_that_is_not_there(cube, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no study .*none.toys\.py: say where the studies are"):
        reproduce(cube, PLACE, studies=tmp_path / "none")


def test_dimension_with_one_label_may_be_left_out():
    cube = xr.Dataset({"status": (("network", "seed"), np.ones((1, 2), np.int8))}, {"network": ["vit"], "seed": [0, 1]})
    assert find_place(cube, {"seed": "1"}) == {"network": "vit", "seed": 1}


def test_a_cube_survives_the_disk(cube, studies, tmp_path):
    write(cube, tmp_path / "again.nc")
    assert reproduce(read(tmp_path / "again.nc"), PLACE, studies=studies)[1]
