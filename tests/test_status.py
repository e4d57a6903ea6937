"""What is said of a study that runs, has failed in part, is done, or is damaged."""

import errno
import json
import re
from contextlib import contextmanager

import numpy as np
import pytest
import xarray as xr
from disk_errors import fail_on_disk
from toy_studies import failing, grid, run, toy

from invtransfer.cubes.assembly import format_place
from invtransfer.cubes.cells import cell_id, hold_lock
from invtransfer.cubes.files import write
from invtransfer.cubes.records import find_places, write_log
from invtransfer.cubes.status import format_duration, format_status
from invtransfer.storage import DamagedFileError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "toys.nc"


def test_study_that_is_done(path):
    run(path)
    lines = format_status(path).splitlines()
    assert lines[0] == str(path)
    assert lines[1] == "cells      8: 8 done"
    assert re.fullmatch(r"time       0 s per cell \(median of 8; 0 s to \d s\), \d s in all", lines[2])
    assert len(lines) == 3
    assert format_status(path.with_suffix(".cells")) == format_status(path)
    assert format_status(path.parent) == f"{'toys':<32}8: 8 done"


def test_study_that_has_failed_in_part_and_runs(path, tmp_path):
    run(path, failing, options={"shard": (1, 2)}, unless=str(tmp_path / "repaired"))  # a same 0, a disjoint 0, ...
    run(path, failing, options={"shard": (2, 8)}, unless=str(tmp_path / "repaired"))  # a same 1
    run(path, failing, options={"shard": (6, 8)}, unless=str(tmp_path / "repaired"))  # b same 1, which fails
    there = {"factor": "b", "relation": "disjoint", "seed": 1, "unless": str(tmp_path / "repaired")}
    with hold_lock(path.with_suffix(".cells") / f"{cell_id(there)}.nc"):
        lines = format_status(path).splitlines()
    assert lines[1] == "cells      8: 5 done, 1 running, 1 failed, 1 missing"
    assert lines[3] == "time left  about 0 s with 1 at work, if the rest is like what is done"
    assert lines[4:] == [
        "running    factor=b,relation=disjoint,seed=1",
        "missing    factor=a,relation=disjoint,seed=1",
        "failed     factor=b,relation=same,seed=1: ZeroDivisionError: no samples",
        f"tracebacks are in {path.with_suffix('.log')}; the command that made the cube tries these cells again",
    ]
    assert "8: 5 done, 1 failed, 2 missing" in format_status(path)  # the lock ended


def test_many_are_not_all_listed(path):
    run(path, seeds=range(20), options={"shard": (1, 80)})
    lines = format_status(path).splitlines()
    assert lines[1] == "cells      80: 1 done, 79 missing"
    assert [line for line in lines if line.startswith("missing")] == lines[4:14]
    assert lines[14] == "           and 69 more missing"


def test_cube_without_its_cells(path):
    run(path)
    for file in path.with_suffix(".cells").iterdir():
        file.unlink()
    path.with_suffix(".cells").rmdir()
    assert format_status(path).splitlines() == [str(path), "cells      8: 8 done"]


def test_cells_without_a_cube(path):
    run(path)
    path.unlink()
    assert format_status(path).splitlines()[1] == "cells      8: 8 done"


def test_cube_of_the_first_version_has_its_seconds(path):
    status = ("seed", np.array([1, 1, 2], np.int8))
    cube = xr.Dataset({"status": status, "seconds": ("seed", [60.0, 120, np.nan])}, {"seed": [0, 1, 2]})
    cube["message"] = ("seed", ["", "", "ValueError: no"])
    cube["cell"] = ("seed", ["a", "b", "c"])
    write(cube, path)
    lines = format_status(path).splitlines()
    assert lines[1:4] == [
        "cells      3: 2 done, 1 failed",
        "time       90 s per cell (median of 2; 60 s to 2 min), 3 min in all",
        "failed     seed=2: ValueError: no",
    ]


def test_places_that_share_a_cell_are_named_together(path):
    from invtransfer.cubes.running import run_study

    cells = [({"place": name}, {"factor": "a", "relation": "same", "seed": 0}) for name in "xy"]
    run_study(toy, [*cells, ({"place": "z"}, {})], {"place": ["x", "y", "z"]}, path, {}, title="", jobs=1)
    text = format_status(path)
    assert "cells      2: 1 done, 1 failed" in text
    assert find_places(cells) == {cell_id(cells[0][1]): [{"place": "x"}, {"place": "y"}]}


@pytest.mark.parametrize(
    "text", ["", "[]", '{"cells": 3}', '{"cells": {"a": {}}}', '{"cells": {"a": {"places": [3]}}}']
)
def test_list_that_is_damaged_is_named(path, text):
    run(path)
    (path.with_suffix(".cells") / "grid.json").write_text(text)
    with pytest.raises(DamagedFileError, match=r"grid\.json is not a list of cells: "):
        format_status(path)
    assert "grid.json is not a list of cells" in format_status(path.parent)


def test_list_cannot_name_files_elsewhere(path, tmp_path):
    run(path)
    listed = {"cells": {"../../secret": {"arguments": {}, "places": [{"seed": 0}]}}}
    (path.with_suffix(".cells") / "grid.json").write_text(json.dumps(listed))
    with pytest.raises(DamagedFileError, match=r"grid\.json is not a list of cells: .*secret"):
        format_status(path)


def test_what_is_neither_cube_nor_cells(path, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"toys\.nc does not exist"):
        format_status(path)
    with pytest.raises(ValueError, match="holds no cubes"):
        format_status(tmp_path)
    path.with_suffix(".cells").mkdir()
    with pytest.raises(ValueError, match=r"toys\.cells holds no grid\.json: no run has begun there"):
        format_status(path.with_suffix(".cells"))
    write(xr.Dataset({"x": 1.0}), path)
    with pytest.raises(ValueError, match=r"toys\.nc has no variable 'status': it is not a study's cube"):
        format_status(path)
    path.write_text("text")
    with pytest.raises(DamagedFileError, match=r"toys\.nc cannot be read as netCDF"):
        format_status(path)
    text = tmp_path / "readme.md"
    text.write_text("text")
    with pytest.raises(ValueError, match=r"readme\.md is neither a cube \(\.nc\), nor a folder of cells"):
        format_status(text)


def test_log_has_one_entry_at_a_time_and_further_lines_are_indented(path):
    write_log(path, "first\nof two lines\n")
    write_log(path, "second")
    text = path.with_suffix(".log").read_text()
    entry = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \S+ \d+"
    assert re.fullmatch(rf"{entry} first\n    of two lines\n{entry} second\n", text)


def test_words():
    assert format_place({"factor": "width=2", "seed": 0}) == "factor=width=2,seed=0"
    assert [format_duration(s) for s in (0.4, 119, 120, 7200, 172_800)] == [
        "0 s",
        "119 s",
        "2 min",
        "2.0 h",
        "2.0 days",
    ]
    assert len(grid()[0]) == 8


def test_cells_that_cannot_be_opened_are_said(path, monkeypatch):
    run(path)
    fail_on_disk(monkeypatch, f"{cell_id(grid()[0][3][1])}.nc", errno.EACCES)
    text = format_status(path)
    assert "cells      8: 7 done, 1 unreadable" in text
    assert re.search(r"unreadable factor=\w,relation=\w+,seed=\d: \[Errno 13\] Permission denied: .*\.nc", text)
    assert "tracebacks" not in text


def test_locks_of_another_user_hide_no_cell(path, monkeypatch, tmp_path):
    """A failed cell leaves its lock; whether another user's is held cannot be seen, but the cell can."""
    run(path, failing, unless=str(tmp_path / "repaired"))

    @contextmanager
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))
        yield

    monkeypatch.setattr("invtransfer.cubes.status.hold_lock", refuse)
    assert "7 done, 1 failed" in format_status(path)
