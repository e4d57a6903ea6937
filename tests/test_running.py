"""Running cells whose digits show where they belong, in this process and in others, with damage, failure and death."""

import json
import os
import re
import subprocess
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from threadpoolctl import threadpool_info

from invtransfer import running
from invtransfer.cubes import DamagedFileError, canonical, read, versions, write
from invtransfer.running import (
    cell_id,
    compute_cell,
    default_jobs,
    plan_study,
    run_study,
)

FACTORS, RELATIONS = ["a", "b"], ["same", "disjoint"]


def number(factor, relation, seed):
    """Factor in units, relation in tens, seed in hundreds: a permuted axis shows."""
    return FACTORS.index(factor) + 10 * RELATIONS.index(relation) + 100 * seed


def toy(*, factor, relation, seed, log=None):
    """Compute a number that says where it belongs; each call leaves a line in a file."""
    if log is not None:
        with open(log, "a") as file:
            file.write(f"{factor} {relation} {seed}\n")
    return xr.Dataset({"accuracy": ((), float(number(factor, relation, seed)), {"units": "1", "long_name": "digits"})})


def failing(*, factor, relation, seed, unless):
    if (factor, relation, seed) == ("b", "same", 1) and not Path(unless).exists():
        raise ZeroDivisionError("no samples")
    return toy(factor=factor, relation=relation, seed=seed)


def dying(*, factor, relation, seed, folder, unless):
    """End the process without a word, once another cell's file is there."""
    if (factor, relation, seed) == ("b", "same", 0) and not Path(unless).exists():
        deadline = time.monotonic() + 60
        while not list(Path(folder).glob("[!.]*.nc")) and time.monotonic() < deadline:
            time.sleep(0.01)
        os._exit(1)
    return toy(factor=factor, relation=relation, seed=seed)


def sleeping(*, factor, relation, seed, started):
    Path(started).touch()
    time.sleep(120)


def interrupted(*, factor, relation, seed):
    if (factor, relation, seed) == ("b", "same", 0):
        raise KeyboardInterrupt
    return toy(factor=factor, relation=relation, seed=seed)


def thread_counts():
    return [torch.get_num_threads()] + [pool["num_threads"] for pool in threadpool_info()]


def count_threads(*, factor, relation, seed):
    more = {"n_threads": ((), max(thread_counts())), "process": ((), os.getpid())}
    return toy(factor=factor, relation=relation, seed=seed).assign(more)


def growing(*, seed):
    return xr.Dataset({"word": ((), "abcd"[: 4 ** (seed % 2)])})  # "a", "abcd", "a"


def failing_everywhere(**arguments):
    raise ValueError("width is 0")


def grid(factors=FACTORS, relations=RELATIONS, seeds=(0, 1), **more):
    points = [{"factor": f, "relation": r, "seed": s} for f in factors for r in relations for s in seeds]
    return (
        [(point, point | more) for point in points],
        {"factor": list(factors), "relation": list(relations), "seed": list(seeds)},
    )


def run(path, function=toy, settings=None, *, jobs=1, threads=1, **more):
    return run_study(function, *grid(**more), path, settings or {"n": 1}, title="toys", jobs=jobs, threads=threads)


def lines(log):
    return sorted(log.read_text().splitlines()) if log.exists() else []


def files(folder):
    """What the files of a folder are: rewritten ones have another inode."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}


def without_time(cube):
    cube = cube.drop_vars("seconds").drop_attrs(deep=False)
    assert cube.accuracy.attrs
    return cube


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cube.nc"


# cells in one process


def test_cube_holds_each_number_in_its_place(path):
    cube = run(path)
    # seeds 0 and 1 are worth 0 and 100, "disjoint" 10, factor "b" 1
    expected = [[[0, 100], [10, 110]], [[1, 101], [11, 111]]]
    np.testing.assert_array_equal(cube.accuracy.transpose("factor", "relation", "seed"), expected)
    assert (cube.status == 1).all()
    assert (cube.seconds >= 0).all()
    assert cube.seconds.attrs["units"] == "s"
    assert cube.attrs["title"] == "toys"
    assert cube.attrs["threads"] == 1
    assert json.loads(cube.attrs["settings"]) == {"n": 1}
    xr.testing.assert_identical(read(path), cube)
    assert sorted(os.listdir(path.parent)) == ["cube.cells", "cube.nc"]


def test_cell_files_are_named_by_their_arguments_and_hold_them(path):
    run(path)
    cells = {file.stem: read(file) for file in path.with_suffix(".cells").iterdir()}
    assert len(cells) == 8
    for _, arguments in grid()[0]:
        cell = cells[cell_id(arguments)]
        assert json.loads(cell.attrs["arguments"]) == arguments
        assert cell.accuracy == number(**arguments)


def test_second_run_computes_nothing_and_writes_an_equal_cube(path, log, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    first, before = run(path, log=str(log)), files(path.with_suffix(".cells"))
    whole = path.read_bytes()
    assert len(lines(log)) == 8
    xr.testing.assert_identical(run(path, log=str(log)), first)
    assert len(lines(log)) == 8
    assert files(path.with_suffix(".cells")) == before
    assert path.read_bytes() == whole


def test_only_the_cell_that_is_not_there_is_computed(path, log):
    run(path, log=str(log))
    gone = {"factor": "b", "relation": "same", "seed": 1, "log": str(log)}
    (path.with_suffix(".cells") / f"{cell_id(gone)}.nc").unlink()
    log.unlink()
    assert run(path, log=str(log)).accuracy.sel(factor="b", relation="same", seed=1) == 101
    assert lines(log) == ["b same 1"]


def test_larger_grid_computes_what_is_new(path, log):
    run(path, log=str(log))
    log.unlink()
    cube = run(path, log=str(log), seeds=(0, 1, 2))
    assert lines(log) == ["a disjoint 2", "a same 2", "b disjoint 2", "b same 2"]
    assert cube.accuracy.sel(factor="b", relation="disjoint").values.tolist() == [11, 111, 211]


def test_places_that_share_a_cell_compute_it_once(path, log):
    arguments = {"factor": "b", "relation": "disjoint", "seed": 0, "log": str(log)}
    cells = [({"place": name}, arguments) for name in "xyz"]
    cube = run_study(toy, cells, {"place": ["x", "y", "z"]}, path, {}, title="", jobs=2)
    assert cube.accuracy.values.tolist() == [11, 11, 11]
    assert lines(log) == ["b disjoint 0"]


def test_partial_of_a_function(path, log):
    run(path, partial(toy, log=str(log)))  # what is bound is not in the arguments: it cannot change a number
    assert len(lines(log)) == 8
    name = cell_id({"factor": "a", "relation": "same", "seed": 0})
    assert (path.with_suffix(".cells") / f"{name}.nc").exists()


def test_strings_that_grow_from_cell_to_cell_are_whole(path):
    cells = [({"seed": seed}, {"seed": seed}) for seed in range(3)]
    for _ in range(2):  # computed, then read
        run_study(growing, cells, {"seed": [0, 1, 2]}, path, {}, title="", jobs=1)
        assert read(path).word.values.tolist() == ["a", "abcd", "a"]


def test_progress_counts_the_cells_that_are_there(path, capsys):
    run(path, seeds=(0,))
    capsys.readouterr()
    run(path)
    error = capsys.readouterr().err
    assert "4/8" in error
    assert "8/8" in error


# failure


def test_failing_cell_is_recorded_and_tried_again(path, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cube = run(path, failing, unless=str(tmp_path / "repaired"))
    there = {"factor": "b", "relation": "same", "seed": 1}
    assert cube.status.sel(there) == 2
    assert cube.message.sel(there) == "ZeroDivisionError: no samples"
    assert np.isnan(cube.accuracy.sel(there))
    assert np.isnan(cube.seconds.sel(there))
    assert int((cube.status == 1).sum()) == 7
    assert float(cube.accuracy.sum()) == 444 - 101  # 4 * (0 + 100) + 4 * (0 + 10) + 4 * (0 + 1) = 444
    file = path.with_suffix(".cells") / f"{cell_id(there | {'unless': str(tmp_path / 'repaired')})}.nc"
    assert 'raise ZeroDivisionError("no samples")' in read(file).attrs["traceback"]
    before = files(file.parent)

    assert run(path, failing, unless=str(tmp_path / "repaired")).status.sel(there) == 2  # tried, fails again
    (tmp_path / "repaired").write_text("")
    cube = run(path, failing, unless=str(tmp_path / "repaired"))
    assert (cube.status == 1).all()
    assert cube.accuracy.sel(there) == 101
    assert (cube.message == "").all()
    after = files(file.parent)
    assert [name for name in after if after[name] != before[name]] == [file.name]


def test_cube_is_written_where_all_cells_fail(path):
    cells = [({"seed": seed}, {"seed": seed}) for seed in range(2)]
    cube = run_study(toy, cells, {"seed": [0, 1]}, path, {}, title="", jobs=1)
    assert (cube.status == 2).all()
    assert "missing 2 required keyword-only arguments" in cube.message.values[0]


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_damaged_cell_is_named_and_computed_again(path, log, damage):
    first = run(path, log=str(log))
    log.unlink()
    arguments = {"factor": "b", "relation": "disjoint", "seed": 1, "log": str(log)}
    file = path.with_suffix(".cells") / f"{cell_id(arguments)}.nc"
    whole = file.read_bytes()
    file.write_bytes({"truncated": whole[: len(whole) // 2], "text": b"0.5\n", "empty": b""}[damage])
    with pytest.warns(UserWarning, match=f"{file.name} cannot be read as netCDF: .*: the cell is computed again") as w:
        cube = run(path, log=str(log))
    assert len(w) == 1
    assert lines(log) == ["b disjoint 1"]
    xr.testing.assert_identical(without_time(cube), without_time(first))
    assert read(file).accuracy == 111


def test_cell_of_other_arguments_is_named_and_computed_again(path, log):
    run(path, log=str(log))
    log.unlink()
    names = [cell_id(arguments) for _, arguments in grid(log=str(log))[0]]
    folder = path.with_suffix(".cells")
    (folder / f"{names[5]}.nc").write_bytes((folder / f"{names[0]}.nc").read_bytes())  # 5: b same 1
    with pytest.warns(UserWarning, match=rf"{names[5]}\.nc belongs to other settings: the cell is computed again"):
        cube = run(path, log=str(log))
    assert lines(log) == ["b same 1"]
    assert cube.accuracy.sel(factor="b", relation="same", seed=1) == 101


def test_temporary_files_of_a_killed_run_are_not_cells(path):
    folder = path.with_suffix(".cells")
    folder.mkdir()
    name = cell_id(grid()[0][0][1])
    (folder / f".{name}.nc.abc.tmp").write_bytes(b"\x89HDF half")
    assert (run(path).status == 1).all()


def test_interruption_keeps_finished_cells_and_says_how_to_go_on(path):
    n_threads = torch.get_num_threads()
    folder = re.escape(str(path.with_suffix(".cells")))
    with pytest.raises(SystemExit, match=f"interrupted: 4 of 8 cells are in {folder}; the same command continues"):
        run(path, interrupted)
    assert not path.exists()
    assert torch.get_num_threads() == n_threads
    before = files(path.with_suffix(".cells"))
    assert len(before) == 4
    assert (run(path).status == 1).all()
    after = files(path.with_suffix(".cells"))
    assert {name: after[name] for name in before} == before


# what is refused


def test_cube_of_other_settings_is_not_touched(path, log):
    run(path, settings={"width": 1, "epochs": 2, "same": 0})
    whole, cells = path.read_bytes(), files(path.with_suffix(".cells"))
    expected = rf"{re.escape(str(path))} belongs to other settings \(epochs, more, width differ\): choose another --out"
    with pytest.raises(ValueError, match=expected):
        run(path, settings={"width": 2, "more": 1, "same": 0}, log=str(log))
    assert path.read_bytes() == whole
    assert files(path.with_suffix(".cells")) == cells
    assert lines(log) == []


def test_settings_are_compared_as_json_holds_them(path):
    run(path, settings={"levels": (1, 2)})
    assert (run(path, settings={"levels": [1, 2]}).status == 1).all()


def test_file_that_is_no_cube_of_ours_is_not_touched(path, log):
    write(xr.Dataset({"x": 1.0}), path)
    whole = path.read_bytes()
    with pytest.raises(
        ValueError, match=r"belongs to other settings \(it has none\): choose another --out, or move it"
    ):
        run(path, log=str(log))
    assert path.read_bytes() == whole
    assert lines(log) == []


def test_damaged_cube_is_named_and_not_touched(path, log):
    path.write_bytes(b"precious")
    with pytest.raises(DamagedFileError, match=r"cube\.nc cannot be read as netCDF"):
        run(path, log=str(log))
    assert path.read_bytes() == b"precious"
    assert lines(log) == []


def test_cube_with_more_labels_is_not_touched(path, log):
    run(path, seeds=(0, 1, 2))
    whole = path.read_bytes()
    with pytest.raises(ValueError, match=r"cube\.nc holds seed \[1, 2\], which this run would not: choose another"):
        run(path, seeds=(0,), log=str(log))
    with pytest.raises(ValueError, match=r"cube\.nc holds factor \['b'\], which this run would not"):
        run(path, factors=["a"], seeds=(0, 1, 2), log=str(log))
    assert path.read_bytes() == whole
    assert lines(log) == []


def test_path_that_cannot_be_written_is_found_first(tmp_path, log):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write .*cube\.nc"):
        run(tmp_path / "file" / "cube.nc", log=str(log))
    with pytest.raises(ValueError, match=r"cannot write .*cube\.png: the name of a cube ends in \.nc"):
        run(tmp_path / "cube.png", log=str(log))
    assert lines(log) == []


# several processes, whose number is kept low: each start imports torch


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_limited_while_cells_run_and_then_as_before(path, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        counts = thread_counts()
        cube = run(path, count_threads, threads=threads)
        assert thread_counts() == counts
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(cube.n_threads, threads)
    assert (cube.process == os.getpid()).all()
    assert cube.attrs["threads"] == threads


def test_processes_give_the_same_numbers_with_their_threads_limited(tmp_path):
    one, two = (run(tmp_path / f"{jobs}.nc", count_threads, jobs=jobs) for jobs in (1, 2))
    xr.testing.assert_identical(without_time(two).drop_vars("process"), without_time(one).drop_vars("process"))
    assert (two.n_threads == 1).all()
    processes = set(two.process.values.flat)
    assert os.getpid() not in processes
    assert 1 <= len(processes) <= 2


def test_cell_that_kills_its_process_is_recorded_and_the_others_go_on(path, tmp_path):
    marker = tmp_path / "repaired"
    more = {"folder": str(path.with_suffix(".cells")), "unless": str(marker)}
    cube = run(path, dying, jobs=2, **more)
    failed = cube.status == 2
    assert failed.sum() == 1
    assert cube.message.values[failed.values] == ["its process died: killed, or out of memory"]
    for place in np.ndindex(failed.shape):
        labels = [cube[dim].values[i].item() for dim, i in zip(failed.dims, place, strict=True)]
        assert failed.values[place] or cube.accuracy.values[place] == number(*labels)
    before = files(path.with_suffix(".cells"))
    marker.write_text("")
    assert float(run(path, dying, **more).accuracy.sum()) == 444
    after = files(path.with_suffix(".cells"))
    assert sum(after[name] != before[name] for name in before) == 1  # the one that had failed


def test_processes_end_with_a_parent_that_is_killed(path, tmp_path):
    started = tmp_path / "started"
    call = f"import test_running as t; t.run({str(path)!r}, t.sleeping, jobs=2, started={str(started)!r})"
    command, folder = [sys.executable, "-c", call], Path(__file__).parent
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        while not started.exists() and process.poll() is None:
            time.sleep(0.02)
        process.kill()
        process.communicate(timeout=30)  # which waits for all that inherited the pipe


# one cell


def test_compute_cell_writes_result_arguments_and_seconds(tmp_path):
    arguments = {"seed": 1, "relation": "disjoint", "factor": "b"}
    compute_cell(toy, arguments, tmp_path / "cell.nc")
    cell = read(tmp_path / "cell.nc")
    assert cell.accuracy == 111  # factor 1, relation 10, seed 100
    assert 0 <= cell.seconds < 10
    assert cell.attrs == {"arguments": canonical(arguments), "versions": canonical(versions())}


def test_cell_of_other_versions_is_named(path, monkeypatch):
    run(path)
    monkeypatch.setattr("invtransfer.running.versions", lambda: {"torch": "0.1"})
    with pytest.warns(UserWarning, match=r"\.nc was computed with other versions than this run's: delete it"):
        run(path)


def test_places_that_share_a_cell_say_so(path):
    cube = run(path)
    assert cube.cell.dims == cube.status.dims
    assert len(set(cube.cell.values.flat)) == cube.cell.size  # toys share none
    assert all((path.with_suffix(".cells") / f"{name}.nc").exists() for name in cube.cell.values.flat)


def test_cell_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        compute_cell(toy, {"seed": 0, "relation": "same", "factor": "a"}, tmp_path / "none" / "cell.nc")


def test_cell_id_is_that_of_the_canonical_text():
    # printf '{"seed": 0, "width": 0.25}' | sha256sum
    assert cell_id({"width": 0.25, "seed": 0}) == "6a48ae93b025610e"
    names = {cell_id({"seed": seed, "width": width}) for seed in (0, 1, "0") for width in (0.25, 0.5, None)}
    assert len(names) == 9


# how many processes, parts of cells, plans


def test_default_jobs(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    assert default_jobs() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert default_jobs() == 7
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert default_jobs() == 1


def test_nobody_says_how_many_processes(path, monkeypatch):
    asked = []
    monkeypatch.setattr(running, "default_jobs", lambda: asked.append(1) or 1)
    run(path, jobs=None)
    run(path, jobs=1)
    assert asked == [1]


def probing(*, seed, n_probe):
    return xr.Dataset({"accuracy": ("n_probe", [seed + n / 1000 for n in n_probe])}, {"n_probe": n_probe})


def test_places_take_their_part_of_a_shared_cell(path):
    arguments = {"seed": 0, "n_probe": [50, 200]}
    cells = [({"factor": f"n_probe={n}"}, arguments, {"n_probe": n}) for n in (200, 50)]
    cube = run_study(probing, cells, {"factor": ["n_probe=200", "n_probe=50"]}, path, {}, title="", jobs=1)
    assert cube.accuracy.dims == ("factor",)
    assert cube.accuracy.values.tolist() == [0.2, 0.05]
    assert len(files(path.with_suffix(".cells"))) == 1


def test_plan_lists_cells_and_adds_up_their_time(path):
    cells, coordinates = grid(factors=("a",), seeds=(0, 1))  # 4 cells
    run_study(toy, cells[:1], {name: [labels[0]] for name, labels in coordinates.items()}, path, {}, title="", jobs=1)
    text = plan_study(cells, coordinates, path, {}, lambda arguments: 3000.0 + 600 * arguments["seed"], jobs=2)
    lines = text.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["done", "to", "to", "to"]
    assert lines[1] == "to do     60 min  a same 1"
    assert lines[-2] == "4 cells: 1 done, 0 failed, 3 to do"
    assert lines[-1] == "projected time for the rest: 2.8 h of computing, 85 min with 2 processes"  # 3600 + 3000 + 3600
    assert sorted(os.listdir(path.with_suffix(".cells"))) == sorted(files(path.with_suffix(".cells")))


def test_last_cell_that_kills_its_process_does_not_end_the_study(path, tmp_path):
    more = {"folder": str(path.with_suffix(".cells")), "unless": str(tmp_path / "repaired")}
    for _ in range(2):  # the second time it is the only one to do
        cube = run(path, dying, jobs=2, **more)
        assert (cube.status == 2).sum() == 1


def test_cube_without_a_finished_cell_is_written_over(path):
    cells, coordinates = grid(factors=("a",))
    run_study(failing_everywhere, cells, coordinates, path, {"width": 0}, title="", jobs=1)
    cube = run_study(toy, cells, coordinates, path, {"width": 1}, title="", jobs=1)
    assert (cube.status == 1).all()
