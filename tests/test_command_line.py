"""The command line of a study on grids that can be counted on the fingers, with what it says and where it ends."""

import argparse
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from invtransfer.cubes.files import read
from invtransfer.paper import command_line as commands
from invtransfer.paper.command_line import (
    carry_out,
    default_path,
    fraction,
    parse_not_negative,
    override,
    positive,
    refuse,
    report,
    restrict,
    make_parser,
)
from invtransfer.storage import DamagedFileError, format_json


def test_command_line():
    parser = make_parser("Question\n    Why?", {"smoke": 0, "quick": 1})
    options = vars(parser.parse_args([]))
    assert options == {"preset": "quick", "out": None, "seeds": None, "jobs": None, "threads": 1}
    options = vars(parser.parse_args(["--preset=smoke", "--out=a/b.nc", "--seeds=3", "--jobs", "2", "--threads", "4"]))
    assert options == {"preset": "smoke", "out": Path("a/b.nc"), "seeds": 3, "jobs": 2, "threads": 4}
    assert "Question\n    Why?" in parser.format_help()
    assert make_parser("", ["a", "b"], default="b").parse_args([]).preset == "b"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--seeds 0", "argument --seeds: is '0', expected a whole number of at least 1"),
        ("--jobs 1.5", "argument --jobs: is '1.5', expected a whole number of at least 1"),
        ("--threads many", "argument --threads: is 'many', expected a whole number of at least 1"),
        ("--preset huge", "argument --preset: invalid choice: 'huge'"),
    ],
)
def test_bad_command_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit:
        make_parser("", ["quick"]).parse_args(arguments.split())
    assert exit.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "-1", "+1", "1.0", "", " 1", "1_0", "٣", "²", "x"])
def test_positive_refuses(text):
    with pytest.raises(argparse.ArgumentTypeError, match=f"^is {re.escape(repr(text))}, expected a whole number of at"):
        positive(text)


def test_positive():
    assert [positive(text) for text in ("1", "007", "12")] == [1, 7, 12]


def test_every_setting_is_an_option():
    settings = {"epochs": 6, "learning_rate": 1e-2, "solver": "lbfgs", "levels": {"width": [0.5], "n": [7]}}
    parser = make_parser("", ["quick"], settings=settings, choices={"solver": ["lbfgs", "adam"]})
    assert override(settings, parser.parse_args([])) == settings
    words = "--epochs 3 --learning-rate 1e-3 --solver adam --width-levels 1 2 --n-levels 8"
    assert override(settings, parser.parse_args(words.split())) == {
        "epochs": 3, "learning_rate": 1e-3, "solver": "adam", "levels": {"width": [1.0, 2.0], "n": [8]}
    }  # fmt: skip
    assert settings["levels"] == {"width": [0.5], "n": [7]}  # left as they were


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--epochs 0", "argument --epochs: is '0', expected a whole number of at least 1"),
        ("--learning-rate fast", "argument --learning-rate: is 'fast', expected a number of at least 0"),
        ("--solver sgd", "argument --solver: invalid choice: 'sgd'"),
    ],
)
def test_bad_settings_are_refused(words, message, capsys):
    settings = {"epochs": 6, "learning_rate": 1e-2, "solver": "lbfgs"}
    with pytest.raises(SystemExit):
        make_parser("", ["quick"], settings=settings, choices={"solver": ["lbfgs"]}).parse_args(words.split())
    assert message in capsys.readouterr().err


def test_seeds_are_no_second_option():
    settings = {"seeds": 10, "epochs": 6, "levels": {"seeds_of_light": [1]}}
    parser = make_parser("", ["quick"], settings=settings)  # argparse refuses a second --seeds
    assert parser.format_help().count("--seeds N") == 2  # in the usage, and with its help
    assert parser.parse_args([]).seeds is None
    assert override(settings, parser.parse_args([]))["seeds"] == 10
    assert override(settings, parser.parse_args(["--seeds", "2"]))["seeds"] == 2
    assert settings["seeds"] == 10


def test_settings_bring_dry_run_and_only():
    parser = make_parser("", ["quick"], settings={"epochs": 6})
    options = parser.parse_args(["--dry-run", "--only", "vit", "seed=0"])
    assert (options.dry_run, options.only, options.epochs) == (True, ["vit", "seed=0"], None)
    options = parser.parse_args([])
    assert (options.dry_run, options.only) == (False, None)


@pytest.mark.parametrize("text", ["-1", "inf", "nan", "", "x", "1e400"])
def test_not_negative_refuses(text):
    with pytest.raises(argparse.ArgumentTypeError, match=f"^is {re.escape(repr(text))}, expected a number of at least"):
        parse_not_negative(text)


def test_not_negative():
    assert [parse_not_negative(text) for text in ("0", "1e-3", "2")] == [0, 0.001, 2]


def test_default_path():
    names = [default_path(Path("a"), "mismatch", *parts) for parts in (("", "quick"), ("emoji", "paper"), ())]
    assert names == [Path("a/mismatch.nc"), Path("a/mismatch-emoji-paper.nc"), Path("a/mismatch.nc")]


# how it ends


def test_refusal_is_one_line_and_code_2(capsys):
    parser = argparse.ArgumentParser(prog="study.py")
    for error in (ValueError("width is 0"), OSError("no space"), RuntimeError("no kernel"), DamagedFileError("half")):
        with pytest.raises(SystemExit) as exit, refuse(parser):
            raise error
        assert exit.value.code == 2
        assert capsys.readouterr() == ("", f"study.py: {error}\n")


@pytest.mark.parametrize("error", [KeyError("width"), TypeError("no"), ZeroDivisionError(), KeyboardInterrupt()])
def test_mistakes_of_ours_are_no_refusal(error):
    with pytest.raises(type(error)), refuse(argparse.ArgumentParser()):
        raise error


def test_nothing_refused():
    with refuse(argparse.ArgumentParser()):
        done = True
    assert done


class Figure:
    """In place of matplotlib's."""

    def savefig(self, path, dpi):
        Path(path).write_text(f"{dpi}")


def cube_of(*status):
    """Status 0 is missing, 1 done, 2 failed."""
    message = ["no samples" if each == 2 else "" for each in status]
    names = [f"{i:016d}" for i in range(len(status))]
    return xr.Dataset({"status": ("seed", list(status)), "message": ("seed", message), "cell": ("seed", names)})


def test_report_says_table_figure_and_cube(tmp_path, capsys):
    cube = cube_of(1, 1, 0)
    cube["cell"] = cube.cell.copy(data=["1", "2", ""])  # the grid does not fill the cube: nothing is missing
    report(cube, tmp_path / "cube.nc", lambda given: print(given is cube), lambda given: Figure())
    expected = ["True", "", f"figure  {tmp_path / 'cube.png'}", f"cube    {tmp_path / 'cube.nc'}"]
    assert capsys.readouterr().out.splitlines() == expected
    assert (tmp_path / "cube.png").read_text() == "110"


def test_report_of_a_shard_says_what_is_missing(tmp_path, capsys):
    report(cube_of(1, 0, 0), tmp_path / "cube.nc", None, None, "table.csv")  # neither table nor figure yet
    expected = [f"cube    {tmp_path / 'cube.nc'}"]
    expected += ["missing 2 of 3 places: the same command without --shard and --only adds them"]
    assert capsys.readouterr().out.splitlines() == expected


def test_report_of_a_study_in_which_cells_failed(tmp_path, capsys):
    with pytest.raises(
        SystemExit, match="^2 of 3 places of the cube failed; the first: no samples\ntracebacks are in .*cube.log"
    ):
        report(cube_of(1, 2, 2), tmp_path / "cube.nc", lambda cube: print("table"), lambda cube: Figure())
    assert capsys.readouterr().out.startswith("table\n")  # all the same
    assert (tmp_path / "cube.png").exists()


def test_report_of_a_study_in_which_all_cells_failed(tmp_path, capsys):
    with pytest.raises(SystemExit, match="^2 of 2 places of the cube failed"):
        report(cube_of(2, 2), tmp_path / "cube.nc", None, None, "table.csv")  # neither table nor figure
    assert capsys.readouterr().out == f"cube    {tmp_path / 'cube.nc'}\n"
    assert list(tmp_path.iterdir()) == []


def test_report_without_matplotlib(tmp_path, capsys):
    def plot(cube):
        raise ModuleNotFoundError("No module named 'matplotlib'")

    report(cube_of(1), tmp_path / "cube.nc", lambda cube: None, plot)
    expected = "figure  none: No module named 'matplotlib'; pip install 'invtransfer[plot]'"
    assert expected in capsys.readouterr().out.splitlines()


# places that are named


COORDINATES = {
    "factor": ["width=1", "width=2", "class=same"],
    "name": ("factor", ["width", "width", "class"]),
    "level": ("factor", ["1", "2", "same"]),
    "relation": ["same", "disjoint"],
    "seed": [0, 1],
}


def grid():
    """Twelve places; the arguments are a number of three digits: of factor, relation and seed, from 0."""
    factors, relations = COORDINATES["factor"], COORDINATES["relation"]
    return [
        ({"factor": factor, "relation": relation, "seed": seed}, {"number": 100 * i + 10 * j + seed})
        for i, factor in enumerate(factors)
        for j, relation in enumerate(relations)
        for seed in (0, 1)
    ]


@pytest.mark.parametrize(
    ("only", "numbers"),
    [
        (["width=2"], [100, 101, 110, 111]),  # of a dimension
        (["factor=width=2"], [100, 101, 110, 111]),  # with its name
        (["seed=1"], [1, 11, 101, 111, 201, 211]),
        (["disjoint"], [10, 11, 110, 111, 210, 211]),
        (["width"], [0, 1, 10, 11, 100, 101, 110, 111]),  # of further coordinates
        (["name=class"], [200, 201, 210, 211]),
        (["2"], [100, 101, 110, 111]),
        (["level=same"], [200, 201, 210, 211]),
        (["relation=same"], [0, 1, 100, 101, 200, 201]),
        (["width=2", "class=same"], [100, 101, 110, 111, 200, 201, 210, 211]),  # either, along one dimension
        (["width=2", "class"], [100, 101, 110, 111, 200, 201, 210, 211]),
        (["seed=0", "seed=1", "width=1"], [0, 1, 10, 11]),
        (["width=2", "disjoint"], [110, 111]),  # both, along two
        (["seed=1", "disjoint", "class", "1"], [11, 211]),
        (["width=1", "width=1"], [0, 1, 10, 11]),
    ],
)
def test_places_that_are_named_are_kept(only, numbers):
    places, coordinates = restrict(grid(), COORDINATES, only)
    assert [arguments["number"] for _, arguments in places] == numbers
    for dim in ("factor", "relation", "seed"):
        there = {labels[dim] for labels, _ in places}
        assert coordinates[dim] == [label for label in COORDINATES[dim] if label in there]  # in their order
    where = [COORDINATES["factor"].index(factor) for factor in coordinates["factor"]]
    for name in ("name", "level"):
        assert coordinates[name] == ("factor", [COORDINATES[name][1][i] for i in where])
    assert list(coordinates) == list(COORDINATES)


def test_parts_of_cells_stay_with_their_places():
    places = [(*place, {"n_probe": i}) for i, place in enumerate(grid())]
    assert restrict(places, COORDINATES, ["seed=1", "disjoint", "width=2"])[0] == [places[7]]  # 111, the eighth


def test_nothing_is_named():
    places = grid()
    assert restrict(places, COORDINATES, None) == (places, COORDINATES)


@pytest.mark.parametrize(
    ("only", "message"),
    [
        (
            ["width=1", "depth"],
            "--only is 'depth', expected labels of this study: width=1, width=2, class=same, width, class, 1, 2, "
            "level=same, relation=same, disjoint, seed=0, seed=1",
        ),
        (["0"], "--only is '0', expected labels of this study: width=1, "),  # which may be anything
        (["seed=2"], "--only is 'seed=2', expected labels of this study: "),
        (["same"], "--only is 'same', expected level=same or relation=same"),
        (["width=1", "disjoint", "seed=1"], "--only is 'width=1 disjoint seed=1', but no place of this study has all"),
    ],
)
def test_labels_that_name_no_place_are_refused(only, message):
    places = [place for place in grid() if place[1]["number"] != 11]
    with pytest.raises(ValueError, match=re.escape(message)):
        restrict(places, COORDINATES, only)


# what is done


def cell(*, number):
    return xr.Dataset({"number": ((), float(number), {"units": "1", "long_name": "number"})})


def never(**arguments):
    raise AssertionError(arguments)


def carry(path, words, function=cell, settings=None, estimate=None):
    settings = settings or {"seeds": 2, "epochs": 6}
    options = make_parser("", ["quick"], settings={"epochs": 6}).parse_args(["--jobs", "1", *words.split()])
    return carry_out(
        options, function, grid(), COORDINATES, path, settings, study="counting", title="numbers",
        paper={"seeds": 10, "epochs": 50}, estimate=estimate,
    )  # fmt: skip


def test_study_is_carried_out(tmp_path):
    cube = carry(tmp_path / "cube.nc", "--threads 2")
    expected = [[[0, 1], [10, 11]], [[100, 101], [110, 111]], [[200, 201], [210, 211]]]
    np.testing.assert_array_equal(cube.number.transpose("factor", "relation", "seed"), expected)
    xr.testing.assert_identical(read(tmp_path / "cube.nc"), cube)
    assert (cube.attrs["title"], cube.attrs["threads"]) == ("numbers", 2)
    assert cube.attrs["settings"] == format_json({"epochs": 6})  # without the number of seeds
    assert cube.attrs["paper_settings"] == format_json({"seeds": 10, "epochs": 50})


def test_number_of_seeds_makes_no_other_study(tmp_path):
    carry(tmp_path / "cube.nc", "", settings={"seeds": 2, "epochs": 6})
    cube = carry(tmp_path / "cube.nc", "", never, settings={"seeds": 3, "epochs": 6})  # all is there
    assert (cube.status == 1).all()
    with pytest.raises(ValueError, match=r"belongs to other settings \(epochs differ\)"):
        carry(tmp_path / "cube.nc", "", settings={"seeds": 2, "epochs": 7})


def test_cube_has_only_the_places_that_are_named(tmp_path):
    cube = carry(tmp_path / "cube.nc", "--only width disjoint seed=1")
    assert cube.sizes == {"factor": 2, "relation": 1, "seed": 1}
    assert cube.number.values.ravel().tolist() == [11, 111]
    assert cube.level.values.tolist() == ["1", "2"]
    assert len(list((tmp_path / "cube.cells").glob("*.nc"))) == 2


def test_dry_run_computes_nothing(tmp_path, capsys):
    n_threads = torch.get_num_threads()
    asked = []

    def estimate(arguments):
        asked.append((arguments["number"], torch.get_num_threads()))
        return 10.0

    try:
        words = "--dry-run --only disjoint seed=1 --threads 3"
        assert carry(tmp_path / "cube.nc", words, never, estimate=estimate) is None
    finally:
        torch.set_num_threads(n_threads)
    lines = capsys.readouterr().out.splitlines()
    places = [f"factor={name},relation=disjoint,seed=1" for name in ("width=1", "width=2", "class=same")]
    assert lines[:3] == [f"to do       10 s  {place}" for place in places]
    assert lines[-1] == "projected time for them: 30 s of computing, 30 s with 1 process"
    assert asked == [(11, 3), (111, 3), (211, 3)]  # measured with the threads that cells will have
    assert list(tmp_path.iterdir()) == []


def test_unknown_label_ends_before_the_first_cell(tmp_path):
    for words in ("--only depth", "--only depth --dry-run"):
        with pytest.raises(ValueError, match="--only is 'depth', expected labels of this study"):
            carry(tmp_path / "cube.nc", words, never)
    assert list(tmp_path.iterdir()) == []


def test_jobs_reach_the_study_and_its_plan(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(commands, "run_study", lambda *_, jobs, **more: seen.append(jobs))
    monkeypatch.setattr(commands, "plan_study", lambda *arguments, **more: seen.append(arguments[-1]))
    carry(tmp_path / "cube.nc", "--jobs 5")
    carry(tmp_path / "cube.nc", "--jobs 7 --dry-run --threads 1")
    assert seen == [5, 7]


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ("", {"scheduler": None, "states": ("missing", "failed"), "shard": (1, 1)}),
        ("--shard 2/3", {"scheduler": None, "states": ("missing", "failed"), "shard": (2, 3)}),
        ("--only failed", {"scheduler": None, "states": ("failed",), "shard": (1, 1)}),
        ("--only missing", {"scheduler": None, "states": ("missing",), "shard": (1, 1)}),
        ("--scheduler local", {"scheduler": "local", "states": ("missing", "failed"), "shard": (1, 1)}),
    ],
)
def test_choice_of_cells_and_scheduler_reaches_the_study(tmp_path, monkeypatch, words, chosen):
    seen = []
    monkeypatch.setattr(commands, "run_study", lambda *_, scheduler, states, shard, **more: seen.append(
        {"scheduler": scheduler, "states": states, "shard": shard}))  # fmt: skip
    carry(tmp_path / "cube.nc", words)
    assert seen == [chosen]


def test_failed_cells_are_tried_again_in_a_cube_that_stays_whole(tmp_path):
    def failing(*, number):
        return cell(number=1 / (number - 101))

    assert (carry(tmp_path / "cube.nc", "", failing).status == 2).sum() == 1
    cube = carry(tmp_path / "cube.nc", "--only failed")
    assert cube.sizes == {"factor": 3, "relation": 2, "seed": 2}
    assert (cube.status == 1).all()
    assert cube.number.sel(factor="width=2", relation="same", seed=1) == 101


def test_fraction():
    assert [parse_fraction(text) for text in ("1/1", "2/8", "10/10")] == [(1, 1), (2, 8), (10, 10)]


@pytest.mark.parametrize("text", ["", "1", "/", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "1.0/2", "a/b", "²/3", " 1/2"])
def test_fraction_refuses(text):
    with pytest.raises(argparse.ArgumentTypeError, match=f"^is {re.escape(repr(text))}, expected K/N, such as 1/4"):
        parse_fraction(text)


def test_levels_that_a_preset_leaves_at_their_default_can_be_named():
    paper = {"epochs": 50, "levels": {"width": [1.0], "n": [7]}}
    options = make_parser("", ["smoke"], settings=paper).parse_args(["--n-levels", "8", "9", "8"])
    assert override({"epochs": 2, "levels": {"width": [0.5]}}, options) == {
        "epochs": 2, "levels": {"width": [0.5], "n": [8, 9]}
    }  # fmt: skip


def test_report_says_how_to_put_a_cube_beside_the_paper(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    report(cube_of(1), Path("cube.nc"), lambda cube: None, lambda cube: Figure(), tmp_path / "data" / "mismatch.csv")
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "paper   python -m invtransfer compare cube.nc data/mismatch.csv --ignore all"
