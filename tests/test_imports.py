"""What is loaded when: commands for cubes and workers of toy cells need no torch, and starting costs little."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import invtransfer

LOADED = "; print(*sorted({name.split('.')[0] for name in sys.modules}))"


def run(code, *arguments, cwd=None):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    """Run a study of toys in a process of its own, with a process for its cells; return the cube's path."""
    path = tmp_path_factory.mktemp("toys") / "toys.nc"
    code = (
        "import sys; from toy_studies import run, loads_torch; one = dict(factors='a', relations=['same'], seeds=[0]);"
        " run(sys.argv[1], loads_torch, jobs=2, **one);"
        "print('torch' in sys.modules)"
    )
    printed = run(code, path, cwd=Path(__file__).parent)
    assert printed.split() == ["False"]
    return path


def test_worker_of_toy_cells_loads_no_torch(cube):
    from invtransfer.cubes import read

    assert read(cube).torch.values.ravel().tolist() == [0]


def test_the_package_loads_nearly_nothing_and_cubes_and_their_commands_no_torch(cube):
    cubes = "import invtransfer.analysis, invtransfer.plots, invtransfer.published; from invtransfer.cubes import *"
    status = "from invtransfer.__main__ import main; main(['status', sys.argv[1]])"
    package, imported, *lines, after = run(
        f"import sys, invtransfer{LOADED}; {cubes}{LOADED}; {status}{LOADED}", cube
    ).splitlines()
    assert not {"numpy", "xarray", "torch"} & set(package.split())
    assert not {"torch", "sklearn", "matplotlib"} & set(imported.split())
    assert lines[1] == "cells      1: 1 done"
    assert not {"torch", "torchvision", "sklearn", "matplotlib", "distributed"} & set(after.split())


def test_public_names_are_those_that_editors_see():
    tree = ast.parse(Path(invtransfer.__file__).read_text())
    seen = [name.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in node.names]
    assert sorted(set(seen) - {"import_module", "TYPE_CHECKING"}) == sorted(invtransfer.__all__)
    for name in invtransfer.__all__:
        getattr(invtransfer, name)  # there is such a thing
        assert name in dir(invtransfer)


def test_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'invtransfer' has no attribute 'Encoder'"):
        invtransfer.Encoder  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'Encoder' from 'invtransfer'"):
        from invtransfer import Encoder  # noqa: F401
