"""Running studies of toys whose digits show where they belong: what is computed, kept, refused and said."""

import errno
import importlib
import json
import os
import re
import shutil
import warnings
from functools import partial

import numpy as np
import pytest
import torch
import xarray as xr
from disk_errors import fail_on_disk
from toy_studies import dying, failing, files, grid, interrupted, lines, number, run, toy

from invtransfer.__main__ import main
from invtransfer.cubes import cells, executors, running
from invtransfer.cubes.cells import cell_id
from invtransfer.cubes.executors import NotImportableError
from invtransfer.cubes.files import read, write
from invtransfer.cubes.provenance import find_origin
from invtransfer.cubes.running import plan_study, run_study
from invtransfer.storage import DamagedFileError

TWO = {"relations": ("same",), "seeds": (0,)}  # cells, where it does not matter which


def failing_everywhere(**arguments):
    raise ValueError("width is 0")


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
    assert cube.attrs["title"] == "toys"
    assert cube.attrs["threads"] == 1
    assert json.loads(cube.attrs["settings"]) == {"n": 1}
    xr.testing.assert_identical(read(path), cube)
    assert sorted(os.listdir(path.parent)) == ["cube.cells", "cube.log", "cube.nc"]
    for place in np.ndindex(cube.status.shape):
        arguments = json.loads(cube.arguments.values[place])
        assert cube.accuracy.values[place] == number(**arguments)
        assert cube.cell.values[place] == cell_id(arguments)


def test_cell_files_are_named_by_their_arguments_and_hold_them(path):
    run(path)
    cells = {file.stem: read(file) for file in path.with_suffix(".cells").glob("*.nc")}
    assert len(cells) == 8
    for _, arguments in grid()[0]:
        cell = cells[cell_id(arguments)]
        assert json.loads(cell.attrs["arguments"]) == arguments
        assert cell.accuracy == number(**arguments)


def test_second_run_computes_nothing_and_writes_an_equal_cube(path, log, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    first, before = run(path, log=str(log)), files(path)
    whole = path.read_bytes()
    assert len(lines(log)) == 8
    xr.testing.assert_identical(run(path, log=str(log)), first)
    assert len(lines(log)) == 8
    assert files(path) == before
    assert path.read_bytes() == whole


def test_only_the_cell_that_is_not_there_is_computed(path, log):
    run(path, log=str(log))
    gone = {"factor": "b", "relation": "same", "seed": 1, "log": str(log)}
    (path.with_suffix(".cells") / f"{cell_id(gone)}.nc").unlink()
    log.unlink()
    assert run(path, log=str(log)).accuracy.sel(factor="b", relation="same", seed=1) == 101
    assert lines(log) == ["b same 1"]


def test_larger_grid_computes_what_is_new(path, log):
    run(path, log=str(log), seeds=(0,))
    log.unlink()
    cube = run(path, log=str(log), seeds=(0, 1))
    assert lines(log) == ["a disjoint 1", "a same 1", "b disjoint 1", "b same 1"]
    assert cube.accuracy.sel(factor="b", relation="disjoint").values.tolist() == [11, 111]


def test_places_that_share_a_cell_compute_it_once(path, log):
    arguments = {"factor": "b", "relation": "disjoint", "seed": 0, "log": str(log)}
    cells = [({"place": name}, arguments) for name in "xyz"]
    cube = run_study(toy, cells, {"place": ["x", "y", "z"]}, path, {}, title="", jobs=1)
    assert cube.accuracy.values.tolist() == [11, 11, 11]
    assert lines(log) == ["b disjoint 0"]


def test_partial_of_a_function(path, log):
    run(path, partial(toy, log=str(log)))  # what is bound is not in the arguments: it cannot change a number
    assert len(lines(log)) == 8
    name = cell_id({"factor": "a", "relation": "same", "seed": 0})
    assert (path.with_suffix(".cells") / f"{name}.nc").exists()


def test_progress_counts_the_cells_that_are_there(path, capsys):
    run(path, seeds=(0,))
    capsys.readouterr()
    run(path)
    error = capsys.readouterr().err
    assert "4/8" in error
    assert "8/8" in error


def test_the_bar_of_a_shard_counts_its_own_cells(path, capsys):
    run(path, options={"shard": (1, 2)})
    assert "4/4" in capsys.readouterr().err


def test_cubes_of_ones_own_studies_have_no_page_and_no_command_that_reproduces_them(path, capsys):
    run(path)
    for command in (["page", str(path)], ["reproduce", str(path), "--cell", "seed=0"]):
        with pytest.raises(SystemExit):
            main(command)
        assert f"{path} is a cube of your own study, w" in capsys.readouterr().err


# failure


def test_failing_cell_is_recorded_and_tried_again(path, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cube = run(path, failing, unless=str(tmp_path / "repaired"))
    there = {"factor": "b", "relation": "same", "seed": 1}
    assert cube.status.sel(there) == 2
    assert cube.message.sel(there) == "ZeroDivisionError: no samples"
    assert np.isnan(cube.accuracy.sel(there))
    assert int((cube.status == 1).sum()) == 7
    assert float(cube.accuracy.sum()) == 444 - 101  # 4 * (0 + 100) + 4 * (0 + 10) + 4 * (0 + 1) = 444
    file = path.with_suffix(".cells") / f"{cell_id(there | {'unless': str(tmp_path / 'repaired')})}.nc"
    assert 'raise ZeroDivisionError("no samples")' in read(file).attrs["traceback"]
    before = files(path)

    assert run(path, failing, unless=str(tmp_path / "repaired")).status.sel(there) == 2  # tried, fails again
    (tmp_path / "repaired").write_text("")
    cube = run(path, failing, unless=str(tmp_path / "repaired"))
    assert (cube.status == 1).all()
    assert cube.accuracy.sel(there) == 101
    assert (cube.message == "").all()
    after = files(path)
    assert [name for name in after if after[name] != before[name]] == [file.name]


def test_damaged_cell_is_named_and_computed_again(path, log):
    first = run(path, log=str(log))
    log.unlink()
    arguments = {"factor": "b", "relation": "disjoint", "seed": 1, "log": str(log)}
    file = path.with_suffix(".cells") / f"{cell_id(arguments)}.nc"
    file.write_bytes(file.read_bytes()[:1_000])
    with pytest.warns(UserWarning, match=f"{file.name} cannot be read as netCDF: .*: the cell is computed again") as w:
        cube = run(path, log=str(log))
    assert len(w) == 1
    assert lines(log) == ["b disjoint 1"]
    xr.testing.assert_identical(cube.drop_attrs(deep=False), first.drop_attrs(deep=False))
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


def test_interruption_keeps_finished_cells_and_says_how_to_go_on(path, capsys):
    n_threads = torch.get_num_threads()
    with pytest.raises(SystemExit, match="^130$"):
        run(path, interrupted)
    folder = path.with_suffix(".cells")
    said = f"interrupted: 4 of 8 cells have ended, and are kept in {folder}; the same command goes on\n"
    assert capsys.readouterr().err.endswith("\n" + said)
    assert not path.exists()
    assert torch.get_num_threads() == n_threads
    before = files(path)
    assert len(before) == 4
    assert (run(path).status == 1).all()
    after = files(path)
    assert {name: after[name] for name in before} == before


def test_failed_cells_alone_are_tried_again(path, tmp_path, log):
    def some(*, log, **labels):
        cube = failing(unless=str(tmp_path / "repaired"), **labels)
        return cube if toy(log=log, **labels) else cube

    bound = partial(some, log=str(log))
    run(path, bound, seeds=(1,))
    (path.with_suffix(".cells") / f"{cell_id({'factor': 'a', 'relation': 'same', 'seed': 1})}.nc").unlink()
    path.unlink()
    log.unlink()
    (tmp_path / "repaired").write_text("")
    cube = run(path, bound, seeds=(1,), options={"states": ["failed"]})
    assert lines(log) == ["b same 1"]
    assert cube.status.sel(seed=1).values.tolist() == [[0, 1], [1, 1]]  # a same is still missing
    assert cube.cell.sel(factor="a", relation="same", seed=1) != ""
    run(path, bound, seeds=(1,), options={"states": ["missing"]})
    assert lines(log) == ["a same 1", "b same 1"]


def test_log_tells_what_was_computed_and_holds_tracebacks(path, tmp_path):
    run(path, failing, unless=str(tmp_path / "repaired"))
    text = path.with_suffix(".log").read_text()
    assert "begins: 8 of 8 cells to compute" in text
    assert len(re.findall(r"^\S+Z \S+ \d+ cell [0-9a-f]{16} done after \d+\.\d\d s", text, re.MULTILINE)) == 7
    assert len(re.findall(r"cell [0-9a-f]{16} failed after", text)) == 1
    assert '        raise ZeroDivisionError("no samples")\n' in text
    assert 'ends: places of the cube by state: {"done": 7, "failed": 1, "missing": 0}' in text
    run(path, failing, unless=str(tmp_path / "repaired"))
    assert path.with_suffix(".log").read_text().startswith(text)


# sharing the work


def test_shards_together_give_the_cube_of_one_run(path, tmp_path, log, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    whole = run(tmp_path / "whole.nc", partial(toy, log=str(log)))
    done = lines(log)
    log.unlink()
    for k, n_done in ((2, 3), (1, 6), (3, 8)):  # of 8 cells: 1 4 7, 0 3 6, 2 5
        cube = run(path, partial(toy, log=str(log)), options={"shard": (k, 3)})
        assert int((cube.status == 1).sum()) == n_done
        assert int(np.isfinite(cube.accuracy).sum()) == n_done
        assert (cube.cell != "").all()
    assert lines(log) == done
    assert path.read_bytes() == (tmp_path / "whole.nc").read_bytes()
    xr.testing.assert_identical(cube, whole)


@pytest.fixture
def cluster():
    """Return a cluster with one worker, as somebody else has started it."""
    distributed = pytest.importorskip("distributed")
    options = {"dashboard_address": None, "scheduler_kwargs": {"dashboard_address": "127.0.0.1:0"}}  # a free port
    options |= {
        "processes": False,
        "protocol": "tcp",
    }  # a worker that is a thread starts at once, and is spoken to alike
    with distributed.LocalCluster(1, threads_per_worker=1, **options) as cluster:
        yield cluster


@pytest.mark.parametrize("engine", ["file", pytest.param("address", marks=pytest.mark.slow)])
def test_a_cluster_gives_the_same_bytes(path, tmp_path, monkeypatch, cluster, engine):
    scheduler = cluster.scheduler_address
    if engine == "file":
        (tmp_path / "scheduler.json").write_text(json.dumps(cluster.scheduler.identity()))
        scheduler = str(tmp_path / "scheduler.json")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    run(tmp_path / "serial.nc", seeds=(0,))
    run(path, options={"scheduler": scheduler}, seeds=(0,))
    assert path.read_bytes() == (tmp_path / "serial.nc").read_bytes()
    assert len(re.findall("done after", path.with_suffix(".log").read_text())) == 4


@pytest.mark.parametrize("scheduler", [None, pytest.param("local", marks=pytest.mark.slow)])
def test_cell_whose_process_dies_is_recorded_and_the_others_have_the_same_bytes(
    path, tmp_path, log, monkeypatch, scheduler
):
    if scheduler:
        pytest.importorskip("distributed")
    monkeypatch.setattr(executors, "N_ATTEMPTS", 1)  # three of them are a matter of the executor
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    more = {"log": str(log), "unless": str(tmp_path / "repaired"), "seeds": (0,)}
    cube = run(path, dying, jobs=2, options={"scheduler": scheduler}, **more)
    there = {"factor": "b", "relation": "same", "seed": 0}
    assert cube.status.values.ravel().tolist() == [1, 1, 2, 1]
    message = "WorkerLostError: its process died 1 times: killed, or out of memory"
    assert cube.message.sel(there) == message if not scheduler else "workers died" in cube.message.sel(there).item()
    assert len(re.findall("done after", path.with_suffix(".log").read_text())) == 3
    (tmp_path / "repaired").write_text("")
    cube = run(path, dying, options={"states": ("failed",)}, **more)
    assert cube.accuracy.sel(there) == 1
    assert lines(log) == ["a disjoint 0", "a same 0", "b disjoint 0", "b same 0", "dies"]
    run(tmp_path / "serial.nc", dying, **more)
    assert path.read_bytes() == (tmp_path / "serial.nc").read_bytes()


def test_machine_that_does_not_share_the_folder_sends_the_file(path, monkeypatch):
    there = path.parent / "disk of the other machine"

    def elsewhere(function, arguments, path, **more):
        return cells.compute_cell(function, arguments, there / path.name, **more)

    run(path, failing, unless=str(path))
    names = [cell_id(arguments | {"unless": str(path)}) for _, arguments in grid()[0]]
    files = [path.with_suffix(".cells") / f"{name}.nc" for name in names]
    files[0].unlink()
    files[1].write_bytes(b"damaged")
    monkeypatch.setattr(running, "compute_cell", elsewhere)
    with pytest.warns(UserWarning, match="cannot be read as netCDF"):
        cube = run(path, failing, unless=str(path))  # the cube is there by now, so the one that failed does not
    assert (cube.status == 1).all()
    assert sorted(file.name for file in there.glob("[!.]*")) == sorted(files[i].name for i in (0, 1, 5))  # b same 1


def test_settings_that_others_wrote_meanwhile_are_not_written_over(path):
    def meanwhile(**labels):
        if not path.exists():
            run(path, settings={"n": 2}, **TWO)
        return toy(**labels)

    with pytest.raises(ValueError, match=r"cube\.nc belongs to other settings \(n differ\): choose another --out"):
        run(path, meanwhile, more=1, **TWO)
    assert json.loads(read(path).attrs["settings"]) == {"n": 2}


# what is refused


def test_finished_cells_are_not_lost_with_their_files(path):
    run(path)
    whole = path.read_bytes()
    for file in path.with_suffix(".cells").glob("*.nc"):
        file.unlink()
    for options in ({"shard": (1, 2)}, {"states": ("failed",)}):
        with pytest.raises(
            ValueError, match=r"cube\.nc holds [48] finished places whose cells are not in .*, such as f"
        ):
            run(path, options=options)
    with pytest.raises(ValueError, match="holds 1 finished places .*, such as factor=b,relation=same,seed=1: choose"):
        run(path, failing, unless="nothing")  # computed anew, it fails
    assert path.read_bytes() == whole
    xr.testing.assert_identical(run(path).accuracy, read(path).accuracy)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shard": (0, 2)}, "shard is 0/2, expected k/n with k from 1 to n"),
        ({"shard": (3, 2)}, "shard is 3/2, expected k/n with k from 1 to n"),
        ({"states": ["done"]}, r"states is \['done'\], expected some of: missing, failed"),
    ],
)
def test_choice_that_cannot_be_made(path, options, message):
    with pytest.raises(ValueError, match=message):
        run(path, options=options)


@pytest.mark.parametrize(
    ("make", "more", "error", "message"),
    [
        (partial(run, settings={"width": 1, "epochs": 2, "same": 0}),
         {"settings": {"width": 2, "more": 1, "same": 0}}, ValueError,
         r"cube\.nc belongs to other settings \(its title is 'toys'; epochs, more, width differ\): choose another"),
        (lambda path: write(xr.Dataset({"x": 1.0}), path), {}, ValueError,
         r"cube\.nc belongs to other settings \(it has none\): choose another --out, or move it"),
        (lambda path: path.write_bytes(b"precious"), {}, DamagedFileError, r"cube\.nc cannot be read as netCDF"),
        (partial(run, seeds=(0, 1, 2)), {"seeds": (0,)}, ValueError,
         r"cube\.nc holds seed \[1, 2\], which this run does not have: add them to this run, choose another"),
        (run, {"factors": ["a"]}, ValueError, r"cube\.nc holds factor \['b'\], which this run does not have"),
    ],
    ids=["settings", "foreign", "damaged", "seeds", "factors"],
)  # fmt: skip
def test_cube_that_is_another_than_this_runs_is_not_touched(path, log, make, more, error, message):
    make(path)
    whole, cells = path.read_bytes(), files(path)
    with pytest.raises(error, match=message):
        run(path, log=str(log), **more)
    assert path.read_bytes() == whole
    assert files(path) == cells
    assert lines(log) == []


def test_settings_are_compared_as_json_holds_them(path):
    run(path, settings={"levels": (1, 2)}, **TWO)
    assert (run(path, settings={"levels": [1, 2]}, **TWO).status == 1).all()


def test_path_that_cannot_be_written_is_found_first(tmp_path, log):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write .*cube\.nc"):
        run(tmp_path / "file" / "cube.nc", log=str(log))
    with pytest.raises(ValueError, match=r"cannot write .*cube\.png: the name of a cube ends in \.nc"):
        run(tmp_path / "cube.png", log=str(log))
    assert lines(log) == []


def test_cells_of_other_code_are_named(path, tmp_path, monkeypatch):
    script = tmp_path / "own_study.py"
    script.write_text("import xarray as xr\ndef compute(number): return xr.Dataset({'value': number})\n")
    monkeypatch.syspath_prepend(tmp_path)
    compute = importlib.import_module("own_study").compute
    places = [({"number": i}, {"number": i}) for i in range(4)]
    run_study(compute, places, {"number": range(4)}, path, {}, title="", jobs=1, shard=(1, 2))
    script.write_text(script.read_text().replace("number}", "number + 100}"))
    importlib.invalidate_caches()
    with pytest.warns(
        UserWarning, match="^2 of the cells in .* were computed before the file of their function was ch"
    ):
        run_study(partial(compute), places, {"number": range(4)}, path, {}, title="", jobs=1)


def test_cells_of_other_versions_or_threads_are_named_and_told_apart(path, monkeypatch):
    run(path, seeds=(0,))
    ours = find_origin(1)
    monkeypatch.setattr(
        "invtransfer.cubes.cells.find_origin", lambda *_: ours | {"versions": {"torch": "0.1"}, "threads": 2}
    )
    with pytest.warns(UserWarning, match=r"^4 of the cells in .* were computed with other threads than this run's"):
        run(path, threads=2, options={"shard": (1, 5)})
    monkeypatch.undo()
    with pytest.warns(UserWarning, match="were computed with other") as caught:
        cube = run(path)
    texts = [str(warning.message) for warning in caught]
    assert [re.sub(r"in .*\.cells", "in CELLS", text) for text in texts] == [
        f"1 of the cells in CELLS were computed with other {what} than this run's, such as"
        f" {cell_id(grid()[0][5][1])}.nc: delete them to compute them again"
        for what in ("versions", "threads")
    ]
    assert (cube.attrs["versions"], cube.attrs["threads"], cube.attrs["git_commit"]) == (
        "mixed: see origins", "mixed: see origins", ours["git_commit"],
    )  # fmt: skip
    origins = json.loads(cube.attrs["origins"])
    assert [origin["threads"] for origin in origins] == [1, 2]
    assert cube.origin.sel(factor="b", relation="same", seed=1) == 1
    assert int(cube.origin.sum()) == 1


# plans


def test_plan_lists_cells_and_adds_up_their_time(path):
    cells, coordinates = grid(factors=("a",), seeds=(0, 1))  # 4 cells
    run_study(toy, cells[:1], {name: [labels[0]] for name, labels in coordinates.items()}, path, {}, title="", jobs=1)
    text = plan_study(cells, coordinates, path, {}, lambda *, seed, **_: 3000.0 + 600 * seed, jobs=2)
    lines = text.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["done", "to", "to", "to"]
    assert lines[1] == "to do     60 min  factor=a,relation=same,seed=1"
    assert lines[-2] == "4 cells: 1 done, 0 failed, 3 missing; 3 to do by this command"
    assert lines[-1] == "projected time for them: 2.8 h of computing, 85 min with 2 processes"  # 3600 + 3000 + 3600
    assert len(files(path)) == 1
    text = plan_study(cells, coordinates, path, {}, lambda **_: 60.0, jobs=2, shard=(1, 2))  # 0 and 2 of 0 to 3
    assert [line.split()[0] for line in text.splitlines()[:4]] == ["done", "left", "to", "left"]
    assert text.splitlines()[-1] == "projected time for them: 60 s of computing, 60 s with 1 process"


def test_cube_without_a_finished_cell_is_written_and_then_written_over(path):
    cells, coordinates = grid(factors=("a",))
    run_study(failing_everywhere, cells, coordinates, path, {"width": 0}, title="", jobs=1)
    assert (read(path).status == 2).all()
    cube = run_study(toy, cells, coordinates, path, {"width": 1}, title="", jobs=1)
    assert (cube.status == 1).all()


# disks and paths


@pytest.mark.parametrize("number", [errno.EACCES, pytest.param(errno.EMFILE, marks=pytest.mark.slow), errno.EIO])
def test_a_cell_that_cannot_be_opened_is_not_computed_again(path, log, monkeypatch, number):
    more = {"log": str(log), "seeds": (0,)}
    run(path, **more)
    log.unlink()
    before = files(path)
    name = f"{cell_id(grid(**more)[0][3][1])}.nc"
    with monkeypatch.context() as patch:
        fail_on_disk(patch, name, number)
        with pytest.raises(OSError, match=name) as caught:
            run(path, **more)
    assert caught.value.errno == number
    assert files(path) == before
    assert not log.exists()
    assert (run(path, **more).status == 1).all()
    assert not log.exists()


def test_a_cell_that_becomes_unreadable_while_others_are_computed_keeps_them(path, log, monkeypatch):
    """Another run has written the second cell by then, and the disk does not give it."""
    name = f"{cell_id(grid(log=str(log))[0][1][1])}.nc"
    whole = cells.read_cell

    def fail(file, arguments):
        if os.path.basename(file) == name:
            raise PermissionError(errno.EACCES, "Permission denied", str(file))
        return whole(file, arguments)

    with monkeypatch.context() as patch:
        patch.setattr(cells, "read_cell", fail)
        with pytest.raises(
            OSError, match=f"Permission denied: .*{name}.*1 of 8 cells have ended, and are kept in .*; the same command"
        ):
            run(path, log=str(log))
    assert (run(path, log=str(log)).status == 1).all()
    assert len(lines(log)) == 8


def test_tilde_is_the_home_folder_everywhere(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    for _ in range(2):
        run("~/runs/cube.nc", **TWO)
    assert sorted(os.listdir(tmp_path / "home" / "runs")) == ["cube.cells", "cube.log", "cube.nc"]
    assert os.listdir(tmp_path / "work") == []


@pytest.mark.parametrize(
    "name",
    [b"gr\xc3\xb6\xc3\x9fe", pytest.param(b"gro\xcc\x88\xc3\x9fe", marks=pytest.mark.slow), b"caf\xe9"],
)
def test_names_of_cubes_in_any_encoding(tmp_path, name):
    path = tmp_path / os.fsdecode(name + b".nc")
    try:
        path.write_bytes(b"")
        path.unlink()
    except OSError:
        pytest.skip("this disk takes no such name")
    run(path, **TWO)
    xr.testing.assert_identical(run(path, **TWO).drop_attrs(deep=False), read(path).drop_attrs(deep=False))
    assert sorted(map(os.fsencode, os.listdir(tmp_path))) == [name + end for end in (b".cells", b".log", b".nc")]


# attributes


def test_a_cell_that_no_file_can_hold_fails_by_name(path):
    cube = run(path, with_scale, **TWO)
    assert (cube.status == 2).all()
    assert "ValueError: accuracy has the attribute 'scale_factor'" in cube.message.values.flat[0]


def with_scale(**labels):
    return toy(**labels).assign(accuracy=((), 0.5, {"scale_factor": 2.0}))


def test_units_of_time_are_kept_in_the_cube(path):
    cube = run(path, with_days, **TWO)
    assert (cube.status == 1).all()
    assert read(path).accuracy.attrs["units"] == "days since 2000-01-01"
    np.testing.assert_array_equal(read(path).accuracy, cube.accuracy)


def with_days(**labels):
    cell = toy(**labels)
    cell.accuracy.attrs["units"] = "days since 2000-01-01"
    return cell


# functions that other processes cannot import


@pytest.mark.parametrize("function", [lambda **labels: toy(**labels), partial(lambda **labels: toy(**labels))])
def test_functions_without_a_name_need_one_job(path, function):
    with pytest.raises(NotImportableError, match=r"^<lambda> cannot be imported by other processes .* with jobs=1$"):
        run(path, function, jobs=2, **TWO)
    assert not path.exists()
    assert not list(path.with_suffix(".cells").glob("*.nc"))
    assert (run(path, function, jobs=1, **TWO).status == 1).all()
    assert (run(path, function, jobs=2, **TWO).status == 1).all()  # nothing is left to compute


@pytest.mark.parametrize("text", ["", "my notes\n"])
def test_a_file_in_the_place_of_the_log_is_not_written_to(path, text):
    log = path.with_suffix(".log")
    log.write_text(text)
    with pytest.raises(ValueError, match=f"^{re.escape(str(log))} exists, and is not the log of a cube"):
        run(path, **TWO)
    assert log.read_text() == text
    log.unlink()
    run(path, **TWO)
    shutil.rmtree(path.with_suffix(".cells"))
    path.unlink()
    run(path, **TWO)  # the log of a cube that was deleted goes on
