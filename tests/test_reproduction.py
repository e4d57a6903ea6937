"""A cell computed again from what its cube says."""

import json

import numpy as np
import pytest
import torch
import xarray as xr

from invtransfer.cubes.files import read, write
from invtransfer.cubes.provenance import find_origin
from invtransfer.cubes.reproduction import find_place, reproduce
from invtransfer.cubes.running import run_study


def cell(*, factor, seed, shift=0.0):
    values = np.random.default_rng(seed).normal(size=3) + {"a": 0, "b": 10}[factor] + shift
    variables = {"sensitivity": ("part", values), "word": ((), factor), "threads": ((), torch.get_num_threads())}
    return xr.Dataset(variables, {"part": [0, 1, 2]}).assign(nothing=((), float("nan")))


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    grid = [({"factor": f, "seed": s, "n": p}, {"factor": f, "seed": s}, {"part": p}) for f in "ab" for s in (0, 1)
            for p in (1, 2)]  # fmt: skip
    coordinates = {"factor": ["a", "b"], "seed": [0, 1], "n": [1, 2]}
    path = tmp_path_factory.mktemp("toys") / "toys.nc"
    run_study(cell, grid, coordinates, path, {}, title="", jobs=1, threads=2)
    return read(path)


@pytest.fixture
def cube(measured):
    return measured.copy(deep=True)  # tests doctor it


def test_cell_is_reproduced_with_the_threads_that_it_had(cube):
    before = torch.get_num_threads()
    assert int(cube.threads[0, 0, 0]) == 2
    text, identical = reproduce(cube, {"factor": "b", "seed": "1", "n": "2"}, cell)
    assert identical
    assert text.splitlines() == [
        "the cell at factor=b,seed=1,n=2, with 4 variables, is reproduced bit for bit",
        "versions, code and machine are the same",
    ]
    assert torch.get_num_threads() == before


def test_what_differs_is_said_with_both_values(cube):
    def shifted(*, factor, seed):
        return cell(factor=factor, seed=seed, shift=2.0**-50 * (factor == "a"))

    assert reproduce(cube, {"factor": "b", "seed": "1", "n": "2"}, shifted)[1]
    text, identical = reproduce(cube, {"factor": "a", "seed": "0", "n": "1"}, shifted)
    assert not identical
    there = cube.sensitivity.sel(factor="a", seed=0, n=1).item()
    assert text.splitlines()[:2] == [
        "the cell at factor=a,seed=0,n=1, with 4 variables, is not reproduced:",
        f"  sensitivity: {there!r} there, {there + 2.0**-50!r} here",
    ]


def test_versions_code_and_machine_that_differ_are_named(cube):
    ours = find_origin(2)
    other = ours | {"versions": ours["versions"] | {"torch": "0.1"}, "git_commit": "1f"}
    other["hardware"] = ours["hardware"] | {"processor": "abacus"}
    text, identical = reproduce(
        cube.assign_attrs(origins=json.dumps([other])), {"factor": "b", "seed": "1", "n": "2"}, cell
    )
    assert identical
    assert text.splitlines()[1:] == [
        "what differs here from there:",
        f"  torch: 0.1 there, {ours['versions']['torch']} here",
        f"  processor: abacus there, {ours['hardware']['processor']} here",
        f"  git commit: 1f there, {ours['git_commit']} here",
    ]


def test_the_device_here_is_that_of_the_cell(cube, monkeypatch):
    monkeypatch.setattr("invtransfer.cubes.provenance.find_device", lambda: "H200")
    text, _ = reproduce(cube, {"factor": "b", "seed": "1", "n": "2"}, cell)
    assert text.splitlines()[1:] == ["what differs here from there:", "  device: cpu there, H200 here"]


def test_cell_that_fails_here(cube):
    text, identical = reproduce(cube, {"factor": "b", "seed": "1", "n": "2"}, lambda **arguments: 1 / 0)
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
def test_place_that_is_not_there(cube, labels, message):
    with pytest.raises(ValueError, match=message):
        reproduce(cube, labels, cell)


def change(cube, name, value):
    changed = cube.copy(deep=True)
    changed[name] = changed[name].astype(object)
    changed[name].loc[{"factor": "b", "seed": 1, "n": 2}] = value
    return changed


@pytest.mark.parametrize(
    ("doctor", "message"),
    [
        (lambda cube: cube.drop_vars("arguments"), "does not say how its cells were computed: it is of an earlier"),
        (lambda cube: cube.assign_attrs(origins="[]"), "^origins of the cube have no entry 0"),
        (lambda cube: cube.assign_attrs(origins="{}"), "^origins of the cube have no entry 0"),
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
def test_cube_that_does_not_say_enough_or_was_doctored(cube, doctor, message):
    with pytest.raises(ValueError, match=message):
        reproduce(doctor(cube), PLACE, cell)


def test_bits_that_differ_in_sign_of_zero_or_dtype_are_not_reproduced(cube):
    place = {"factor": "b", "seed": "1", "n": "2"}

    def negative(**labels):
        return cell(**labels).assign(zero=((), -0.0))

    text, identical = reproduce(cube.assign(zero=cube.sensitivity * 0.0 + 0.0), place, negative)
    assert not identical
    assert text.splitlines()[1] == "  zero: 0.0 there, -0.0 here"
    single = cube.assign(sensitivity=cube.sensitivity.astype(np.float32).astype(np.float64))
    assert not reproduce(single, place, cell)[1]


def layered(*, seed):
    return xr.Dataset({"x": ("layer", [1.0, 2.0]), "n": ("layer", [3, 4])}, {"layer": list(["ab", "bc"][seed])})


def test_cells_with_other_labels_of_their_own(tmp_path):
    grid = [({"seed": seed}, {"seed": seed}) for seed in (0, 1)]
    run_study(layered, grid, {"seed": [0, 1]}, tmp_path / "toys.nc", {}, title="", jobs=1, threads=1)
    cube = read(tmp_path / "toys.nc")
    assert cube.layer.values.tolist() == ["a", "b", "c"]
    for seed in "01":
        assert reproduce(cube, {"seed": seed}, layered)[1]
    changed = cube.assign(x=cube.x.fillna(0.0))
    text, identical = reproduce(changed, {"seed": "0"}, layered)
    assert not identical
    assert "x: [1. 2. 0.] there, [ 1.  2. nan] here" in text


def test_dimension_with_one_label_may_be_left_out():
    cube = xr.Dataset({"status": (("network", "seed"), np.ones((1, 2), np.int8))}, {"network": ["vit"], "seed": [0, 1]})
    assert find_place(cube, {"seed": "1"}) == {"network": "vit", "seed": 1}


def test_a_cube_survives_the_disk(cube, tmp_path):
    write(cube, tmp_path / "again.nc")
    assert reproduce(read(tmp_path / "again.nc"), PLACE, cell)[1]
