"""The command ``invtransfer``: what it prints and writes, and how it ends when something is wrong."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import toy_study
import xarray as xr
from toy_studies import run

from invtransfer.__main__ import main
from invtransfer.cubes.files import read, write
from invtransfer.paper import main as main_of_study
from invtransfer.published import compare_to_published, format_comparison

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
    assert "Levels of class_relation: ours span same; the published span subset, same." in capsys.readouterr().out


def test_figure_is_written(cube, tmp_path):
    pytest.importorskip("matplotlib")
    main(["compare", cube, str(PUBLISHED / "factors.csv"), "--figure", str(tmp_path / "figure.png")])
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def make_other(kind):
    """Return a small cube of the kind that a file of published values is about, with 0.5 everywhere."""
    both = ["images alone", "images with objects", "objects on images", "objects alone"]
    dims, *variables = {
        "mismatch": (
            {"architecture": ["vit"], "n_pretraining_transformations": [1, 2]},
            ("transfer_accuracy", {"n_target_transformations": [1, 2]}),
        ),
        "irrelevant_features": (
            {"position": ["fixed"], "pretraining": both},
            ("transfer_accuracy", {"target": both}), ("sensitivity", {"changed": ["image", "object"]}),
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


def test_an_interrupted_command_ends_without_a_traceback(cube, capsys, monkeypatch):
    def interrupt(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("invtransfer.__main__.read", interrupt)
    with pytest.raises(SystemExit) as ended:
        main(["page", cube])
    assert ended.value.code == 130
    assert capsys.readouterr().err == "\ninvtransfer page: interrupted\n"


def test_cube_and_file_of_different_studies(cube, capsys):
    with pytest.raises(SystemExit):
        main(["compare", cube, str(PUBLISHED / "mismatch.csv")])
    assert "cube has no dimension 'architecture', 'n_pretraining_transformations'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["CUBE", "nothing.csv"], "nothing.csv: No such file or directory"),
        (["nothing.nc", "FACTORS"], "nothing.nc does not exist"),
        (["FACTORS", "FACTORS"], "factors.csv cannot be read as netCDF"),
        (["CUBE", "CUBE"], "cube.nc cannot be read as CSV"),
        (["CUBE", "FACTORS", "--ignore", "epoch"], "ignore names 'epoch', expected 'all' or settings of: dataset, "),
        (["CUBE", "FACTORS", "--figure", "nowhere/figure.png"], "nowhere/figure.png: No such file or directory"),
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
    assert text.startswith("invtransfer compare: ")
    assert message in text
    assert text.count("\n") == 1


def test_figure_without_matplotlib(cube, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(SystemExit) as ended:
        main(["compare", cube, str(PUBLISHED / "factors.csv"), "--figure", "figure.png"])
    assert ended.value.code == 2
    assert "pip install 'invtransfer[plot]'" in capsys.readouterr().err


# status, merge, reproduce, export


def end(capsys, *arguments):
    """Run a command that is refused; return code and message."""
    with pytest.raises(SystemExit) as ended:
        main([*map(str, arguments)])
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    return ended.value.code, text


def test_status(tmp_path, capsys):
    run(tmp_path / "toys.nc", options={"shard": (1, 2)})
    capsys.readouterr()
    for name in ("toys.nc", "toys.cells"):
        main(["status", str(tmp_path / name)])
        assert capsys.readouterr().out.splitlines()[:2] == [
            f"{tmp_path / 'toys.nc'}",
            "cells      8: 4 done, 4 missing",
        ]
    main(["status", str(tmp_path)])
    assert capsys.readouterr().out == f"{'toys':<32}8: 4 done, 4 missing\n"
    code, text = end(capsys, "status", tmp_path / "none.nc")
    assert (code, text) == (2, f"invtransfer status: {tmp_path / 'none.nc'} does not exist\n")


def test_merge(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    paths = [tmp_path / f"{k}.nc" for k in (1, 2)]
    for k, path in enumerate(paths, 1):
        run(path, options={"shard": (k, 2)})
    run(tmp_path / "whole.nc")
    capsys.readouterr()
    main(["merge", *map(str, paths), "-o", str(tmp_path / "merged.nc")])
    assert capsys.readouterr().out == f"cube    {tmp_path / 'merged.nc'}\n"
    assert (tmp_path / "merged.nc").read_bytes() == (tmp_path / "whole.nc").read_bytes()
    code, text = end(capsys, "merge", *paths, "-o", tmp_path / "merged.nc")
    assert (code, text.split(": ", 1)[1]) == (
        2, f"{tmp_path / 'merged.nc'} exists: choose another --out, or move it away\n"
    )  # fmt: skip


def test_a_merged_cube_has_the_claims_of_its_study(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[1])
    cube = read("data/cubes/depth.nc")
    del cube.attrs["claims"]
    for seeds in (slice(0, 2), slice(2, None)):
        write(cube.isel(seed=seeds), tmp_path / f"{seeds.start}.nc")
    main(["merge", str(tmp_path / "0.nc"), str(tmp_path / "2.nc"), "-o", str(tmp_path / "merged.nc")])
    verdicts = [one["verdict"] for one in json.loads(read(tmp_path / "merged.nc").attrs["claims"])]
    said = capsys.readouterr().out
    assert len(verdicts) == 5
    assert all(verdict in said for verdict in set(verdicts))


def test_conflict_is_named_and_nothing_is_written(tmp_path, capsys):
    run(tmp_path / "a.nc")
    cube = read(tmp_path / "a.nc")
    cube.accuracy.loc[{"factor": "b", "relation": "same", "seed": 1}] = 5
    write(cube, tmp_path / "b.nc")
    capsys.readouterr()
    code, text = end(capsys, "merge", tmp_path / "a.nc", tmp_path / "b.nc", "-o", tmp_path / "c.nc")
    assert code == 2
    for words in ("factor=b,relation=same,seed=1", "accuracy", "101", "5", "a.nc", "b.nc"):
        assert words in text
    assert not (tmp_path / "c.nc").exists()


def test_export(tmp_path, capsys):
    run(tmp_path / "toys.nc")
    capsys.readouterr()
    main(["export", str(tmp_path / "toys.nc"), "-o", str(tmp_path / "tables")])
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(paths) == sorted((tmp_path / "tables").iterdir())
    words = ["export", str(tmp_path / "toys.nc"), "--to", "csv", "-o", str(tmp_path / "tables")]
    code, text = end(capsys, *words)
    assert code == 2
    assert "toys.csv" in text
    main([*words, "--overwrite"])
    with open(tmp_path / "tables" / "toys.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["accuracy"]) for row in rows] == [0, 100, 10, 110, 1, 101, 11, 111]
    assert (rows[5]["factor"], rows[5]["relation"], rows[5]["seed"], rows[5]["status"]) == ("b", "same", "1", "done")


def test_reproduce(tmp_path, capsys, monkeypatch):
    out = tmp_path / "toys.nc"
    main_of_study(toy_study.STUDY, ["--preset", "smoke", "--jobs", "1", "--out", str(out)])
    capsys.readouterr()
    (tmp_path / "studies").mkdir()
    script = tmp_path / "studies" / "toy_study.py"
    script.write_text(Path(toy_study.__file__).read_text())
    words = ["reproduce", str(out), "--cell"]
    monkeypatch.chdir(tmp_path)  # where studies/toy_study.py is found
    for place in (["factor=b,relation=same,seed=0"], ["factor=b", "relation=same", "seed=0"]):
        main([*words, *place])
        assert capsys.readouterr().out.startswith(
            "the cell at factor=b,relation=same,seed=0, with 1 variables, is reproduced bit for bit\n"
        )
    moved = script.rename(tmp_path / "moved.py")
    moved.write_text(moved.read_text().replace("shift=0.0", "shift=1.0"))
    with pytest.raises(SystemExit) as ended:
        main([*words, "factor=b,relation=same,seed=0", "--study", str(moved)])
    assert ended.value.code == 1
    assert "  transfer_accuracy: 2.0 there, 3.0 here\n" in capsys.readouterr().out
    code, text = end(capsys, *words, "factor:b")
    assert (code, text.split(": ", 1)[1]) == (2, "--cell has 'factor:b', expected NAME=LABEL, such as seed=0\n")
    assert "there is no study studies/toy_study.py: say where" in end(capsys, *words, "seed=0")[1]
    moved.write_text(moved.read_text().replace('name="toy_study"', 'name="other"'))
    text = end(capsys, *words, "seed=0", "--study", moved)[1]
    assert "--study is the study 'other', but the cube is of the study 'toy_study'" in text


@pytest.mark.parametrize(
    ("doctor", "message"),
    [
        (
            lambda cube: cube.drop_attrs(),
            "is a cube of your own study, whose function the command does not know: call it with the arguments",
        ),
        (lambda cube: cube.assign_attrs(study="../toys"), "study is '../toys', expected the name of a script"),
        (lambda cube: cube.assign_attrs(settings="{"), "settings is no JSON: "),
        (lambda cube: cube.drop_vars("status"), "has no variable 'status': it is not a study's cube"),
    ],
)
def test_cube_that_names_no_study(tmp_path, capsys, monkeypatch, doctor, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "toys.py").write_text(Path(toy_study.__file__).read_text().replace('"toy_study"', '"toys"'))
    run(tmp_path / "toys.nc", options={"attributes": {"study": "toys"}}, seeds=(0,))
    write(doctor(read(tmp_path / "toys.nc")), tmp_path / "other.nc")
    capsys.readouterr()
    assert message in end(capsys, "reproduce", tmp_path / "other.nc", "--cell", "seed=0")[1]


def test_without_a_command(capsys):
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("usage: invtransfer")
    assert lines[-1] == "invtransfer: no command was given, expected one of those above"


@pytest.mark.parametrize("command", ["status", "merge", "reproduce", "page", "export", "compare"])
def test_help_says_what_a_command_is_for(capsys, command):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = capsys.readouterr().out
    assert text.startswith(f"usage: invtransfer {command} ")
    assert len(text.split("\n\n")[1].split()) > 15  # a paragraph


@pytest.mark.parametrize(
    "arguments",
    [
        ["compare"],
        ["merge", "a.nc"],
        ["export", "a.nc", "--to", "xls"],
        ["reproduce", "a.nc"],
        ["compare", "cube.nc"],
        ["plot", "cube.nc"],
        ["compare", "a.nc", "b.csv", "--levels", "b.csv"],
    ],
)
def test_arguments_that_are_missing_or_unknown(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: invtransfer" in capsys.readouterr().err


def test_from_the_command_line(cube, capsys):
    command = [sys.executable, "-m", "invtransfer", "compare", cube, str(PUBLISHED / "factors.csv")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Compared: 0 of 28 published values." in done.stdout
    assert done.stderr == ""
    with pytest.raises(SystemExit) as ended:  # the same command, in this process: importing torch takes seconds
        main([*command[3:], "--ignore", "x"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
