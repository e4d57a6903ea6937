"""One cell: computed once, by whoever holds its lock, and written whole or as what went wrong."""

import json
import os
import threading

import numpy as np
import pytest
import torch
import xarray as xr
from toy_studies import counting, grid, thread_counts, toy

from invtransfer import InvariantPretrainer
from invtransfer.cubes.cells import cell_id, cell_state, compute_cell, hold_lock, lock_path, read_cell
from invtransfer.cubes.files import read, write
from invtransfer.cubes.provenance import find_origin
from invtransfer.storage import format_json

ARGUMENTS = {"seed": 1, "relation": "disjoint", "factor": "b"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cell.nc"


def test_result_arguments_origin_and_seconds_are_written(path):
    outcome = compute_cell(toy, ARGUMENTS, path, code="1f")
    cell = read(path)
    assert cell.accuracy == 111  # factor 1, relation 10, seed 100
    assert 0 <= cell.attrs.pop("seconds") < 10
    assert cell.attrs.pop("code") == "1f"
    assert cell.attrs == {"arguments": format_json(ARGUMENTS), "origin": format_json(find_origin(1))}
    assert (outcome["state"], outcome["message"], outcome["file"]) == ("done", "", path.read_bytes())
    assert outcome["where"].endswith(f" {os.getpid()}")
    assert os.listdir(path.parent) == ["cell.nc"]


def test_cell_that_is_there_is_not_computed(path):
    def fail(**arguments):
        raise AssertionError("computed again")

    compute_cell(toy, ARGUMENTS, path)
    before = path.stat().st_mtime_ns
    assert compute_cell(fail, ARGUMENTS, path)["state"] == "done"
    assert path.stat().st_mtime_ns == before


def test_failed_cell_is_computed_again_only_if_asked_to(path):
    assert compute_cell(lambda **arguments: 1 / 0, ARGUMENTS, path)["state"] == "failed"
    assert compute_cell(toy, ARGUMENTS, path)["message"] == "ZeroDivisionError: division by zero"
    failed, _ = read_cell(path, ARGUMENTS)
    assert compute_cell(toy, ARGUMENTS, path, failed=failed)["state"] == "done"


def test_failure_that_another_run_has_left_since_stays(path):
    compute_cell(lambda **arguments: 1 / 0, ARGUMENTS, path)
    seen, _ = read_cell(path, ARGUMENTS)  # by two runs
    again = compute_cell(lambda **arguments: [][0], ARGUMENTS, path, failed=seen)
    assert again["message"] == "IndexError: list index out of range"
    assert compute_cell(toy, ARGUMENTS, path, failed=seen)["message"] == again["message"]


def raises(error):
    def fail(**arguments):
        raise error

    return fail


def diverging(**arguments):
    images = np.random.default_rng(0).integers(256, size=(16, 8, 8, 3), dtype=np.uint8)
    encoder = InvariantPretrainer("resnet18", width=0.02, epochs=2, learning_rate=1e30, device="cpu", random_state=0)
    encoder.fit(images, np.arange(16) % 2)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (raises(ZeroDivisionError("no samples")), "ZeroDivisionError: no samples"),
        (raises(SystemExit(3)), "SystemExit: 3"),
        (raises(ValueError("a\0b \udcff")), r"ValueError: a\\0b \\udcff"),
        (lambda **arguments: np.ones(2**60, np.int8), "MemoryError: Unable to allocate 1.00 EiB"),
        (lambda **arguments: torch.ones(2**60), "RuntimeError: .*memory"),
        (diverging, "ValueError: the training loss became (nan|inf) in epoch [12]: lower learning_rate"),
        (lambda **arguments: 0.5, "TypeError: the cell is of type float, expected an xarray.Dataset"),
        (lambda **arguments: xr.Dataset({"x": True}), "ValueError: x has dtype bool, expected floats, signed integers"),
        (lambda: 0.5, "TypeError: .* got an unexpected keyword argument"),
    ],
    ids=["raised", "exit", "characters", "numpy-memory", "torch-memory", "nan-loss", "type", "dtype", "arguments"],
)
def test_failure_is_recorded_with_its_traceback(path, function, message):
    outcome = compute_cell(function, ARGUMENTS, path)
    assert outcome["state"] == "failed"
    cell, complaint = read_cell(path, ARGUMENTS)
    assert (cell_state(cell), complaint) == ("failed", "")
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(cell.attrs["message"])
    assert cell.attrs["traceback"].startswith("Traceback (most recent call last):")
    assert len(cell.data_vars) == 0


def test_cell_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        compute_cell(toy, ARGUMENTS, tmp_path / "file" / "cell.nc")


def test_folder_is_made(tmp_path):
    assert compute_cell(toy, ARGUMENTS, tmp_path / "new" / "cell.nc")["state"] == "done"


def test_two_at_the_same_cell(path):
    begun, end = threading.Event(), threading.Event()

    def wait(**arguments):
        begun.set()
        assert end.wait(10)
        return toy(**arguments)

    with hold_lock(path) as first, hold_lock(path) as second:
        assert (first, second) == (True, False)
        assert compute_cell(toy, ARGUMENTS, path) == {"state": "busy"}
        assert not path.exists()
    thread = threading.Thread(target=compute_cell, args=(wait, ARGUMENTS, path))
    thread.start()
    assert begun.wait(10)
    with hold_lock(path) as held:
        assert not held
    end.set()
    thread.join()
    assert read(path).accuracy == 111
    assert not lock_path(path).exists()


def test_leftovers_of_a_killed_process_are_removed(path):
    (path.parent / ".cell.nc.abc.tmp").write_bytes(b"\x89HDF half")
    compute_cell(toy, ARGUMENTS, path)
    assert os.listdir(path.parent) == ["cell.nc"]


def test_checkpoints_are_kept_until_the_cell_is_done(path, tmp_path, monkeypatch):
    arguments = ARGUMENTS | {"folder": "", "log": str(tmp_path / "log"), "n_steps": 2}
    folder = path.with_suffix(".training")

    def stop(*, checkpoints, **arguments):
        (checkpoints / "steps").write_text("1")
        raise RuntimeError("stopped")

    assert compute_cell(stop, arguments, path)["state"] == "failed"
    assert [file.name for file in folder.glob("*/*")] == ["steps"]
    with monkeypatch.context() as patch:
        patch.setattr("invtransfer.cubes.cells.find_origin", lambda *_: find_origin(1) | {"git_commit": "1f"})
        failed, _ = read_cell(path, arguments)
        again = compute_cell(stop, arguments, path, failed=failed)  # of other code, from the beginning
        assert again["state"] == "failed"
    assert [file.name for file in folder.glob("*/*")] == ["steps", "steps"]
    failed, _ = read_cell(path, arguments)
    assert compute_cell(counting, arguments, path, failed=failed)["state"] == "done"
    assert (tmp_path / "log").read_text().count("step") == 1  # the second of two
    assert not folder.exists()


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_limited_while_it_runs_and_then_as_before(path, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        counts = thread_counts()
        compute_cell(lambda **a: xr.Dataset({"n": max(thread_counts())}), ARGUMENTS, path, threads=threads)
        assert thread_counts() == counts
    finally:
        torch.set_num_threads(before)
    assert read(path).n == threads
    assert json.loads(read(path).attrs["origin"])["threads"] == threads


def test_what_is_not_the_cell_is_said(path):
    assert read_cell(path, ARGUMENTS) == (None, "")
    compute_cell(toy, ARGUMENTS, path)
    assert read_cell(path, ARGUMENTS | {"seed": 0})[1] == f"{path} belongs to other settings"
    write(xr.Dataset({"accuracy": 111.0}), path)
    assert read_cell(path, ARGUMENTS)[1] == f"{path} belongs to other settings"
    path.write_bytes(b"precious")
    assert read_cell(path, ARGUMENTS)[1].startswith(f"{path} cannot be read as netCDF")


def test_cell_id_is_that_of_the_canonical_text():
    # printf '{"seed": 0, "width": 0.25}' | sha256sum
    assert cell_id({"width": 0.25, "seed": 0}) == "6a48ae93b025610e"
    names = {cell_id({"seed": seed, "width": width}) for seed in (0, 1, "0") for width in (0.25, 0.5, None)}
    assert len(names) == 9
    assert len({cell_id(arguments) for _, arguments in grid()[0]}) == 8
