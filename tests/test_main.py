"""The command ``python -m invtransfer``: what it prints and writes, and how it ends when something is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from invtransfer.__main__ import main
from invtransfer.comparison import compare_to_published, format_comparison
from invtransfer.cubes import read, write

PUBLISHED = Path(__file__).parent.parent / "data" / "published"


@pytest.fixture
def cube(tmp_path):
    paper = {"dataset": "cifar10", "epochs": 50, "schedule": "constant", "n_samples": 4_500}
    paper["levels"] = {"class_relation": ["subset", "same"]}
    values = np.random.default_rng(0).uniform(0.5, 0.9, (2, 2, 3))
    cube = xr.Dataset(
        {"transfer_accuracy": (["factor", "relation", "seed"], values)},
        {
            "factor": ["class_relation=same", "n_samples=200"],
            "factor_name": ("factor", ["class_relation", "n_samples"]),
            "level": ("factor", ["same", "200"]),
            "relation": ["same", "disjoint"],
            "seed": [0, 1, 2],
        },
        {"settings": json.dumps(paper | {"epochs": 6, "schedule": "one-cycle"}), "paper_settings": json.dumps(paper)},
    )
    write(cube, tmp_path / "cube.nc")
    return str(tmp_path / "cube.nc")


@pytest.mark.parametrize(
    ("arguments", "ignore"),
    [
        ([], ()),
        (["--ignore", "all"], "all"),
        (["--ignore", "epochs"], ["epochs"]),
        (["--ignore", "epochs", "schedule"], ["epochs", "schedule"]),
    ],
)
def test_table_is_printed(cube, capsys, arguments, ignore):
    main(["compare", cube, str(PUBLISHED / "factors.csv"), *arguments])
    expected = format_comparison(compare_to_published(read(cube), PUBLISHED / "factors.csv", ignore))
    assert capsys.readouterr().out == expected + "\n"


def test_differences_with_their_levels(cube, capsys):
    main(["compare", cube, str(PUBLISHED / "differences.csv")])
    assert "Levels of class_relation: ours span same; the published subset, same." in capsys.readouterr().out


def test_figure_is_written(cube, tmp_path):
    pytest.importorskip("matplotlib")
    main(["compare", cube, str(PUBLISHED / "factors.csv"), "--figure", str(tmp_path / "figure.png")])
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def make_other(kind):
    """Return a small cube of the kind that a file of published values is about, with 0.5 everywhere."""
    both = ["C/C", "C+O/C", "C+O/O", "O/O"]
    dims, *variables = {
        "mismatch": (
            {"architecture": ["vit"], "n_pretraining_transformations": [1, 2]},
            ("transfer_accuracy", {"n_target_transformations": [1, 2]}),
        ),
        "irrelevant_features": (
            {"position": ["fixed"], "pretraining": both},
            ("transfer_accuracy", {"target": both}), ("sensitivity", {"changed": ["C", "O"]}),
        ),
        "invariance_transfer": (
            {"architecture": ["vgg11"], "trained_on": ["image"], "pretraining_transformation": ["hue", "blur", "none"]},
            ("sensitivity", {"evaluated_on": ["mild_ood"], "transformation": ["hue", "blur"]}),
        ),
        "differences": (
            {"factor": ["class_relation=same", "class_relation=subset"], "relation": ["same", "disjoint"]},
            ("transfer_accuracy", {"n_tuning": [200]}),
        ),
    }[kind]  # fmt: skip
    cube = xr.Dataset()
    for name, more in variables:
        labels = dims | {"seed": [0, 1]} | more
        cube[name] = xr.DataArray(np.full([len(values) for values in labels.values()], 0.5), labels, list(labels))
    if kind == "differences":
        cube = cube.assign_coords(factor_name=("factor", ["class_relation"] * 2), level=("factor", ["same", "subset"]))
    settings = {"dataset": "transforms2d", "epochs": 50, "levels": {"class_relation": ["subset", "same"]}}
    return cube.assign_attrs(settings=json.dumps(settings | {"epochs": 6}), paper_settings=json.dumps(settings))


@pytest.mark.parametrize(
    ("kind", "compared", "n_published"),
    [("mismatch", 4, 256), ("irrelevant_features", 24, 48), ("invariance_transfer", 3, 120), ("differences", 3, 18)],
)
def test_every_kind_of_published_values(kind, compared, n_published, capsys, tmp_path):
    pytest.importorskip("matplotlib")
    write(make_other(kind), tmp_path / "cube.nc")
    arguments = ["compare", str(tmp_path / "cube.nc"), str(PUBLISHED / f"{kind}.csv")]
    main(arguments)
    assert f"Compared: 0 of {n_published} published values.\n" in capsys.readouterr().out
    main([*arguments, "--ignore", "all", "--figure", str(tmp_path / "figure.png")])
    assert f"Compared: {compared} of {n_published} published values. Mean" in capsys.readouterr().out
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_cube_and_file_of_different_studies(cube, capsys):
    with pytest.raises(SystemExit):
        main(["compare", cube, str(PUBLISHED / "mismatch.csv")])
    assert "cube has no dimension 'architecture', 'n_pretraining_transformations'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["CUBE", "nothing.csv"], "No such file or directory: 'nothing.csv'"),
        (["nothing.nc", "FACTORS"], "nothing.nc does not exist"),
        (["FACTORS", "FACTORS"], "factors.csv cannot be read as netCDF"),
        (["CUBE", "CUBE"], "cube.nc cannot be read as CSV"),
        (["CUBE", "FACTORS", "--ignore", "epoch"], "ignore names 'epoch', expected 'all' or settings of: dataset, "),
        (["CUBE", "FACTORS", "--figure", "nowhere/figure.png"], "No such file or directory: 'nowhere/figure.png'"),
        (["CUBE", "FACTORS", "--figure", "figure.xyz"], "Format 'xyz' is not supported"),
    ],
)
def test_errors_are_one_line_and_code_2(cube, capsys, arguments, message):
    pytest.importorskip("matplotlib")
    names = {"CUBE": cube, "FACTORS": str(PUBLISHED / "factors.csv")}
    with pytest.raises(SystemExit) as ended:
        main(["compare", *(names.get(argument, argument) for argument in arguments)])
    assert ended.value.code == 2
    text = capsys.readouterr().err
    assert text.startswith("python -m invtransfer compare: ")
    assert message in text
    assert text.count("\n") == 1


def test_figure_without_matplotlib(cube, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(SystemExit) as ended:
        main(["compare", cube, str(PUBLISHED / "factors.csv"), "--figure", "figure.png"])
    assert ended.value.code == 2
    assert "pip install 'invtransfer[plot]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [[], ["compare"], ["compare", "cube.nc"], ["plot", "cube.nc"], ["compare", "a.nc", "b.csv", "--levels", "b.csv"]],
)
def test_arguments_that_are_missing_or_unknown(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: python -m invtransfer" in capsys.readouterr().err


def test_from_the_command_line(cube):
    command = [sys.executable, "-m", "invtransfer", "compare", cube, str(PUBLISHED / "factors.csv")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Compared: 0 of 28 published values." in done.stdout
    assert done.stderr == ""
    done = subprocess.run([*command, "--ignore", "x"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
