"""Files that are whole or not there, and arrays in them that are data and nothing else."""

import errno
import importlib.util
import io
import json
import os
import pickle
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from disk_errors import fail_on_disk

from invtransfer import storage
from invtransfer.storage import (
    DamagedFileError,
    check_writable,
    expand_path,
    format_error,
    format_json,
    format_printable,
    parse_json,
    read_arrays,
    read_file,
    remove_leftovers,
    replacing,
    write_arrays,
)


@pytest.mark.parametrize("old", [None, "old"])
@pytest.mark.parametrize("fails", ["block", "fsync", "replace"])
def test_what_fails_leaves_what_was_there(tmp_path, monkeypatch, old, fails):
    path = tmp_path / "cell.nc"
    if old:
        path.write_text(old)

    def fail(*arguments):
        raise OSError("disk full")

    if fails != "block":
        monkeypatch.setattr(os, fails, fail)

    def write():
        with replacing(path) as temporary:
            temporary.write_text("half")
            if fails == "block":
                fail()

    with pytest.raises(OSError, match="disk full"):
        write()
    assert os.listdir(tmp_path) == (["cell.nc"] if old else [])
    assert not old or path.read_text() == old


@pytest.mark.skipif(os.name == "nt", reason="folders cannot be opened there")
def test_file_is_flushed_before_and_its_folder_after_the_renaming(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace

    def note(handle):
        calls.append(os.path.realpath(f"/proc/self/fd/{handle}") if os.path.exists("/proc") else handle)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(os, "replace", lambda *names: (calls.append("replace"), replace(*names)))
    with replacing(tmp_path / "cell.nc") as temporary:
        temporary.write_text("whole")
    assert len(calls) == 3
    assert calls[1] == "replace"
    if os.path.exists("/proc"):
        assert calls[::2] == [os.path.realpath(temporary), os.path.realpath(tmp_path)]


def test_leftovers_are_those_of_one_file(tmp_path):
    for name in (".a.nc.x1.tmp", ".a.nc.x2.tmp", ".b.nc.x1.tmp", "a.nc", ".a.ncx.tmp"):
        (tmp_path / name).write_text("")
    remove_leftovers(tmp_path / "a.nc")
    assert sorted(os.listdir(tmp_path)) == [".a.ncx.tmp", ".b.nc.x1.tmp", "a.nc"]


def test_arrays_come_back_as_they_were(tmp_path):
    arrays = {
        "layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "transposed": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "count": np.array(3),
        "empty": np.zeros((0, 4), np.int8),
        "flag": np.array([True, False]),
        "word": np.array(["größer", ""]),
    }
    description = {"epochs": 3, "name": "é", "nothing": None, "levels": [1, 2.5]}
    write_arrays(tmp_path / "a.npz", arrays, description)
    back, described = read_arrays(tmp_path / "a.npz")
    assert described == description
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)
    write_arrays(tmp_path / "b.npz", arrays, description)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as ordinary:  # NumPy reads it, too
        np.testing.assert_array_equal(ordinary["layer.weight"], arrays["layer.weight"])


def test_arrays_of_another_program(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    with pytest.raises(
        DamagedFileError, match=r"a\.npz cannot .*: it holds no description.json, so that another program"
    ):
        read_arrays(tmp_path / "a.npz")


def test_objects_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"arrays\['a'\] holds Python objects, expected numbers, booleans or strings"):
        write_arrays(tmp_path / "a.npz", {"a": np.array([None])}, {})
    assert os.listdir(tmp_path) == []


class Bomb:
    """Leaves a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def damaged(kind, path, trap):
    """Write a file that is wrong in one way."""
    write_arrays(path, {"weight": np.arange(100.0)}, {"epochs": 3})
    whole = path.read_bytes()
    if kind in ("truncated", "flipped"):
        path.write_bytes(whole[:-40] if kind == "truncated" else whole.replace(np.float64(7).tobytes(), b"\1" * 8))
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(Bomb(trap)))
    elif kind == "text":
        path.write_text("weight,1")
    else:
        with zipfile.ZipFile(
            path, "w", zipfile.ZIP_DEFLATED if kind == "compressed" else zipfile.ZIP_STORED
        ) as archive:
            if kind != "no description":
                archive.writestr("description.json", "[1]" if kind == "list" else json.dumps({}))
            with archive.open("weight.npy", "w") as file:
                if kind == "pickled array":
                    np.lib.format.write_array(file, np.array([Bomb(trap)], object), allow_pickle=True)
                elif kind == "too few":
                    header = {"descr": "<f8", "fortran_order": False, "shape": (1_000_000,)}
                    np.lib.format.write_array_header_1_0(file, header)
                else:
                    np.lib.format.write_array(file, np.zeros(2))
                    file.write(b"more" if kind == "more" else b"")


KINDS = (
    "truncated", "flipped", "pickle", "text", "compressed", "no description", "list", "pickled array", "too few",
    "more",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_file_is_named_and_runs_no_code(tmp_path, kind):
    path, trap = tmp_path / "weights.npz", tmp_path / "trap"
    damaged(kind, path, str(trap))
    with pytest.raises(DamagedFileError, match=r"weights\.npz cannot be read as arrays: \S") as error:
        read_arrays(path)
    assert "\n" not in str(error.value)
    assert not trap.exists()


def test_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz does not exist"):
        read_arrays(tmp_path / "none.npz")


def test_the_trap_works(tmp_path):
    pickle.loads(pickle.dumps(Bomb(str(tmp_path / "trap")))).close()
    assert (tmp_path / "trap").exists()


def test_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "a") as temporary:
            temporary.write_text("")
        assert storage._umask() == 0o027
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640  # 0o666 & ~0o027


def test_json_is_the_same_for_the_same_value_and_read_back():
    text = format_json({"b": (1, 2.5), "a": {"z": None, "y": "é"}})
    assert text == '{"a": {"y": "\\u00e9", "z": null}, "b": [1, 2.5]}'
    assert parse_json(text, "settings", dict) == {"a": {"y": "é", "z": None}, "b": [1, 2.5]}
    assert format_json({"a": 1, "b": 2}) == format_json({"b": 2, "a": 1})
    assert format_json({"a": 1}) != format_json({"a": "1"})


# the door to the disk


def test_folders_are_made_and_nothing_else_is_changed(tmp_path):
    check_writable(tmp_path / "new" / "newer" / "cube.nc")
    assert os.listdir(tmp_path / "new" / "newer") == []
    (tmp_path / "cube.nc").write_text("old")
    check_writable(str(tmp_path / "cube.nc"))
    assert (tmp_path / "cube.nc").read_text() == "old"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("file/cube.nc", "(Not a directory|File exists)"),
        ("file/below/cube.nc", "(Not a directory|File exists)"),
        ("", "it is a folder"),
    ],
)
def test_paths_that_cannot_be_a_file(tmp_path, name, reason):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=f"^cannot write {re.escape(str(tmp_path / name))}: {reason}$"):
        check_writable(tmp_path / name)


def test_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    def refuse(**options):
        raise PermissionError(13, "Permission denied", "/somewhere/tmpabc")

    monkeypatch.setattr(storage.tempfile, "TemporaryFile", refuse)  # permissions do not stop an administrator
    with pytest.raises(OSError, match=r"^cannot write .*cube\.nc: Permission denied$"):
        check_writable(tmp_path / "cube.nc")


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("{", dict, "^settings is no JSON: Expecting property name"),
        (None, dict, "^settings is no JSON: the JSON object must be str"),
        (3, dict, "^settings is no JSON: "),
        ("[" * 100_000, list, "^settings is no JSON: maximum recursion depth exceeded"),
        ("[1]", dict, r"^settings is '\[1\]', expected an object in JSON$"),
        ("{}", list, "^settings is '{}', expected a list in JSON$"),
        ("3", (dict, list), "^settings is '3', expected an object or a list in JSON$"),
    ],
)
def test_text_that_is_not_the_json_expected(text, kind, message):
    with pytest.raises(ValueError, match=message):
        parse_json(text, "settings", kind)


class Named:
    """A path of a library of somebody's own."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return self.path


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("~/a.nc", "home/a.nc"), ("~", "home"), (Path("~/a.nc"), "home/a.nc"), (Named("~/a.nc"), "home/a.nc"),
        (b"~/a.nc", "home/a.nc"), ("b/~/a.nc", "b/~/a.nc"), ("~a.nc", "~a.nc"), ("~nobody-of-that-name/a", None),
    ],
)  # fmt: skip
def test_paths_are_expanded_as_shells_do(tmp_path, monkeypatch, given, expected):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    expected = Path("~nobody-of-that-name/a") if expected is None else Path(expected)
    assert expand_path(given) == (tmp_path / expected if expected.parts[0] == "home" else expected)


def test_what_is_no_path():
    with pytest.raises(TypeError, match="^data is 5, expected the path of a file or folder$"):
        expand_path(5, "data")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EMFILE, errno.EIO, errno.EAGAIN, errno.ESTALE])
@pytest.mark.parametrize("when", ["opening", "reading"])
def test_an_error_of_the_disk_is_that_error_and_names_the_file(tmp_path, monkeypatch, number, when):
    write_arrays(tmp_path / "a.npz", {"a": np.ones(3)}, {})
    fail_on_disk(monkeypatch, tmp_path / "a.npz", number, when)
    with pytest.raises(OSError, match=r"a\.npz") as caught:
        read_arrays(tmp_path / "a.npz")
    assert caught.value.errno == number
    assert type(caught.value) is type(OSError(number, ""))


def test_folders_where_files_should_be(tmp_path):
    with pytest.raises(IsADirectoryError, match=re.escape(str(tmp_path))):
        read_file(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="file/a"):
        read_file(tmp_path / "file" / "a")


def test_an_error_is_one_line_and_has_no_number(tmp_path):
    with pytest.raises(IsADirectoryError) as caught:
        read_file(tmp_path)
    assert format_error(caught.value) == f"{tmp_path}: Is a directory"
    assert format_error(OSError(5, "Input/output error", b"caf\xe9")) == "caf\udce9: Input/output error"
    assert format_error(OSError("the scheduler is gone")) == "the scheduler is gone"
    assert format_error(ImportError("no\n  module")) == "no module"


def test_names_that_a_terminal_cannot_print():
    stream = io.TextIOWrapper(io.BytesIO(), "latin-1")
    assert format_printable("größe \u4e2d \udce9", stream) == r"größe \u4e2d \udce9"
    assert format_printable("größe \udce9", io.StringIO()) == r"größe \udce9"


def test_what_is_written_under_a_longer_name_is_no_leftover(tmp_path):
    with replacing(tmp_path / "run.1") as half:
        half.write_bytes(b"half")
        remove_leftovers(tmp_path / "run")
    assert (tmp_path / "run.1").read_bytes() == b"half"


def test_a_file_that_was_edited_within_the_second_is_loaded_anew(tmp_path, monkeypatch):
    """Python keeps bytecode by second and length: it would run what the file was before."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path, found = tmp_path / "mine.py", []
    for text in ("VALUE = 1\n", "VALUE = 2\n"):
        path.write_text(text)
        os.utime(path, (1_000_000_000, 1_000_000_000))
        spec = importlib.util.spec_from_file_location("mine", path, loader=storage.SourceLoader("mine", str(path)))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found.append(module.VALUE)
    assert found == [1, 2]
