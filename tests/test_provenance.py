"""How numbers came about: what is said of settings, versions, commit, machine and date."""

import json
import os
import platform
import shutil
import subprocess
import time
from importlib import metadata

import numpy as np
import pytest
import xarray as xr

from invtransfer.cubes import provenance
from invtransfer.cubes.files import read, write
from invtransfer.cubes.provenance import find_origin, make_attributes


@pytest.fixture
def fresh():
    """Ask anew what is otherwise asked once in a process."""
    cached = (provenance._find_commit, provenance._version)
    for function in cached:
        function.cache_clear()
    yield
    for function in cached:
        function.cache_clear()


def test_it_is_complete_and_fits_in_netcdf(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "find_device", lambda: "H100")
    settings = {"width": 0.25, "levels": {"n_samples": [1, 2]}}
    attributes = make_attributes(settings, [find_origin(threads=2)])
    assert sorted(attributes) == [
        "Conventions", "date_created", "git_commit", "git_state", "hardware", "origins", "references", "settings",
        "threads", "versions",
    ]  # fmt: skip
    write(xr.Dataset(attrs=attributes), tmp_path / "cube.nc")
    back = read(tmp_path / "cube.nc").attrs
    assert back == attributes
    assert json.loads(back["settings"]) == settings
    assert back["threads"] == 2
    assert json.loads(back["hardware"]) == find_origin(2)["hardware"]
    assert json.loads(back["hardware"])["cores"] == os.cpu_count()
    assert json.loads(back["hardware"])["device"] == "H100"
    assert json.loads(back["hardware"])["processor"]
    if platform.machine() == "x86_64" and os.path.exists("/proc/cpuinfo"):
        assert "avx" in json.loads(back["hardware"])["instructions"]
    assert json.loads(back["origins"]) == [find_origin(2)]
    versions = json.loads(back["versions"])
    assert versions["python"] == platform.python_version()
    assert versions["numpy"] == np.__version__
    assert versions["xarray"] == xr.__version__
    assert versions["torch"] == metadata.version("torch")
    assert versions["invtransfer"] == metadata.version("invtransfer")
    assert set(provenance.PACKAGES) < versions.keys()
    assert "2407.04325" in back["references"]


def test_what_differs_is_mixed():
    one = find_origin(threads=1)
    attributes = make_attributes({}, [one, one | {"threads": 2, "versions": {"torch": "0.1"}}])
    assert attributes["threads"] == attributes["versions"] == "mixed: see origins"
    assert attributes["git_commit"] == one["git_commit"]
    assert [origin["threads"] for origin in json.loads(attributes["origins"])] == [1, 2]


def test_package_that_is_not_installed(monkeypatch, fresh):
    monkeypatch.setattr(provenance, "PACKAGES", ("numpy", "no-such-package"))
    assert find_origin(1)["versions"]["no-such-package"] == "not installed"


@pytest.mark.parametrize(
    ("epoch", "date"), [("0", "1970-01-01T00:00:00Z"), ("86399", "1970-01-01T23:59:59Z")]
)  # a day has 86400 s
def test_date_can_be_given(monkeypatch, epoch, date):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    with monkeypatch.context() as context:
        context.setenv("TZ", "UTC-9")  # a reader's time zone says nothing
        time.tzset()
        assert make_attributes({}, [])["date_created"] == date
    time.tzset()


def test_date_is_now_otherwise(monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    now = np.datetime64("now")
    date = make_attributes({}, [])["date_created"]
    assert date.endswith("Z")
    assert np.timedelta64(0, "s") <= np.datetime64(date[:-1]) - now <= np.timedelta64(60, "s")


@pytest.mark.parametrize("epoch", ["yesterday", "", "1e9", "9" * 30])
def test_date_that_is_none(monkeypatch, epoch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    with pytest.raises(ValueError, match=f"^SOURCE_DATE_EPOCH is '{epoch}', expected a number of seconds since 1970$"):
        make_attributes({}, [])


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_git_commit_and_state(tmp_path, monkeypatch, fresh):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))

    def find():
        provenance._find_commit.cache_clear()
        return provenance._find_commit()

    assert find() == ("unknown", "unknown")  # no repository

    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    (tmp_path / "provenance.py").write_text("1")
    git("init")
    git("add", ".")
    git("commit", "-m", "one")
    (tmp_path / "untracked").write_text("")
    assert find() == (git("log", "-1", "--format=%H"), "clean")
    (tmp_path / "provenance.py").write_text("2")
    assert find() == (git("log", "-1", "--format=%H"), "modified")


def test_without_git_the_state_is_unknown(monkeypatch, fresh):
    monkeypatch.setenv("PATH", "")
    origin = find_origin(1)
    assert origin["git_commit"] == origin["git_state"] == "unknown"


def test_what_is_said_is_the_code_that_was_imported(monkeypatch, fresh):
    before = find_origin(1)
    monkeypatch.setattr(provenance, "_git", lambda *arguments: "something else by now")
    assert find_origin(1) == before
