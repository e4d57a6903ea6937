"""How numbers came about: settings, versions, commit, machine and date, in a form that a file can hold."""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from invtransfer.storage import format_json

PAPER = (
    "Speicher, Nanda, Gummadi, Understanding the Role of Invariance in Transfer Learning, TMLR 2024, arXiv:2407.04325"
)
PACKAGES = ("invtransfer", "torch", "torchvision", "numpy", "scikit-learn", "scipy", "pillow", "xarray", "netCDF4")
MIXED = "mixed: see origins"


def find_origin(threads):
    """Describe what computes numbers here and now: everything besides settings that can change even one bit of them.

    Parameters
    ----------
    threads : int
        Number of threads that each cell may use.

    Returns
    -------
    origin : dict
        "versions" of Python and packages; "git_commit" of this package and "git_state" ("clean", or "modified" if its
        files differ from the commit), as they were when the process first asked; "hardware": the processor, those of
        its instructions that round differently (where the system tells), its number of cores, and the device;
        "threads".

    Examples
    --------
    >>> sorted(find_origin(threads=1))
    ['git_commit', 'git_state', 'hardware', 'threads', 'versions']
    """
    commit, state = _find_commit()
    hardware = _find_processor() | {"cores": os.cpu_count(), "device": find_device()}
    return {
        "versions": versions(), "git_commit": commit, "git_state": state, "hardware": hardware, "threads": threads,
    }  # fmt: skip


def find_device():
    """Return the name of the GPU, or "cpu" if there is none, or torch, which would use it, is not loaded.

    Returns
    -------
    device : str

    Examples
    --------
    >>> len(find_device()) > 0
    True
    """
    torch = sys.modules.get("torch")
    return torch.cuda.get_device_name() if torch is not None and torch.cuda.is_available() else "cpu"


def make_attributes(settings, origins):
    """Make the attributes that say how a cube came about.

    Parameters
    ----------
    settings : dict
        All that decides the numbers.
    origins : list of dict
        What computed the cells, see `find_origin`; no two are equal.

    Returns
    -------
    attributes : dict of str to str or int
        Settings and origins as JSON; versions, git_commit, git_state, hardware and threads, each with the value of all
        origins, or "mixed: see origins" if they differ; the date (SOURCE_DATE_EPOCH, in seconds since 1970, if it
        is set); and the paper.

    Raises
    ------
    ValueError
        If SOURCE_DATE_EPOCH is not a number of seconds.

    Examples
    --------
    >>> origins = [{"git_commit": "1f", "threads": threads} for threads in (1, 2)]
    >>> attributes = make_attributes({"width": 0.5}, origins)
    >>> attributes["git_commit"], attributes["threads"]
    ('1f', 'mixed: see origins')
    """
    agreed = {}
    for name in origins[0] if origins else ():
        values = {format_json(origin.get(name)) for origin in origins}
        value = json.loads(values.pop()) if len(values) == 1 else MIXED
        agreed[name] = format_json(value) if isinstance(value, dict) else value
    return {
        "Conventions": "CF-1.11", "settings": format_json(settings), **agreed,
        "origins": format_json(origins), "date_created": _date(), "references": PAPER,
    }  # fmt: skip


def _date():
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        now = datetime.now(UTC) if epoch is None else datetime.fromtimestamp(int(epoch), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"SOURCE_DATE_EPOCH is {epoch!r}, expected a number of seconds since 1970") from error
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def versions():
    """Return the versions of Python and of the packages that numbers depend on.

    Returns
    -------
    versions : dict of str to str

    Examples
    --------
    >>> sorted(versions())[:3]
    ['invtransfer', 'netCDF4', 'numpy']
    """
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


@lru_cache
def _version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


@lru_cache
def _find_commit():
    """Return commit and state of the code when first asked: files may change later, but not the code that runs."""
    ours = _git("ls-files", "--error-unmatch", __file__)  # not another repository, around an environment
    changes = _git("status", "--porcelain", "--untracked-files=no")
    if not ours or changes is None:
        return "unknown", "unknown"
    return _git("rev-parse", "HEAD") or "unknown", "modified" if changes else "clean"


def _git(*arguments):
    folder = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", "-C", folder, *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@lru_cache
def _find_processor():
    """Return name and instructions of the processor: with AMX, bfloat16 rounds in other places than without."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()  # Linux only
    except OSError:
        lines = []
    found = {}
    for line in lines:
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    flags = found.get("flags", found.get("Features", "")).split()
    vector = sorted(flag for flag in flags if flag.startswith(("avx", "amx", "fma", "asimd", "sve", "bf16", "i8mm")))
    name = found.get("model name") or platform.processor() or platform.machine()
    return {"processor": name, "instructions": " ".join(vector)}
