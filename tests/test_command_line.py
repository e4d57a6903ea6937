"""The command line of a study, on grids that can be counted on the fingers and on a study of toys."""

import argparse
import json
import os
import re
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import toy_study
import xarray as xr
from PIL import Image
from toy_studies import files

from invtransfer.cubes import read
from invtransfer.paper import Study, load_study, main
from invtransfer.paper.command_line import (
    exit_on_error,
    make_parser,
    override,
    parse_count,
    parse_fraction,
    parse_not_negative,
    select_places,
)
from invtransfer.paper.presets import MEANINGS
from invtransfer.storage import DamagedFileError

FOLDER = Path(__file__).parents[1] / "studies"
STUDIES = [path for path in sorted(FOLDER.glob("*.py")) if "main(STUDY)" in path.read_text()]

# what is typed


def test_command_line():
    parser = make_parser("Question\n    Why?", {"smoke": 0, "quick": 1})
    options = vars(parser.parse_args([]))
    assert options == {"preset": "quick", "out": None, "seeds": None, "jobs": None, "threads": 1}
    options = vars(parser.parse_args(["--preset=smoke", "--out=a/b.nc", "--seeds=3", "--jobs", "2", "--threads", "4"]))
    assert options == {"preset": "smoke", "out": Path("a/b.nc"), "seeds": 3, "jobs": 2, "threads": 4}
    assert "Question\n    Why?" in parser.format_help()
    assert make_parser("", ["a", "b"], default="b").parse_args([]).preset == "b"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--seeds 0", "argument --seeds: is '0', expected a whole number of at least 1"),
        ("--jobs 1.5", "argument --jobs: is '1.5', expected a whole number of at least 1"),
        ("--threads many", "argument --threads: is 'many', expected a whole number of at least 1"),
        ("--preset huge", "argument --preset: invalid choice: 'huge'"),
        ("--epochs 0", "argument --epochs: is '0', expected a whole number of at least 1"),
        ("--learning-rate fast", "argument --learning-rate: is 'fast', expected a number of at least 0"),
        ("--solver sgd", "argument --solver: invalid choice: 'sgd'"),
    ],
)
def test_bad_command_line(words, message, capsys):
    settings = {"epochs": 6, "learning_rate": 1e-2, "solver": "lbfgs"}
    with pytest.raises(SystemExit) as exit:
        make_parser("", ["quick"], settings=settings, choices={"solver": ["lbfgs"]}).parse_args(words.split())
    assert exit.value.code == 2
    assert message in capsys.readouterr().err


def test_every_setting_is_an_option():
    settings = {"epochs": 6, "learning_rate": 1e-2, "solver": "lbfgs", "levels": {"width": [0.5], "n": [7]}}
    parser = make_parser("", ["quick"], settings=settings, choices={"solver": ["lbfgs", "adam"]})
    assert override(settings, parser.parse_args([])) == settings
    words = "--epochs 3 --learning-rate 1e-3 --solver adam --width-levels 1 2 --n-levels 8"
    assert override(settings, parser.parse_args(words.split())) == {
        "epochs": 3, "learning_rate": 1e-3, "solver": "adam", "levels": {"width": [1.0, 2.0], "n": [8]}
    }  # fmt: skip
    assert settings["levels"] == {"width": [0.5], "n": [7]}  # left as they were


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_help_says_what_each_setting_of_a_study_is(path):
    presets = load_study(path).presets.values()
    assert {name for preset in presets for name in preset} - {"levels", "seeds"} <= MEANINGS.keys()


def test_what_the_help_says_of_settings():
    settings = {"epochs": 6, "solver": "lbfgs", "depth": 3, "levels": {"width": [0.5, 1.0]}}
    text = make_parser("", ["quick"], settings=settings, choices={"solver": ["lbfgs", "adam"]}).format_help()
    text = " ".join(text.split())
    assert "--epochs N passes over the training images, such as 6" in text
    assert "--solver NAME solver of probes, one of lbfgs, adam" in text
    assert "--depth N such as 3" in text  # a setting of one's own study
    assert "levels of the factor width (multiple of the network's usual number of channels), such as 0.5 1.0" in text


def test_seeds_are_no_second_option():
    settings = {"seeds": 10, "epochs": 6, "levels": {"seeds_of_light": [1]}}
    parser = make_parser("", ["quick"], settings=settings)  # argparse refuses a second --seeds
    assert parser.format_help().count("--seeds N") == 2  # in the usage, and with its help
    assert parser.parse_args([]).seeds is None
    assert override(settings, parser.parse_args([]))["seeds"] == 10
    assert override(settings, parser.parse_args(["--seeds", "2"]))["seeds"] == 2
    assert settings["seeds"] == 10


@pytest.mark.parametrize(
    ("parse", "values"),
    [
        (parse_count, {"1": 1, "007": 7, "12": 12}),
        (parse_not_negative, {"0": 0, "1e-3": 0.001, "2": 2}),
        (parse_fraction, {"1/1": (1, 1), "2/8": (2, 8), "10/10": (10, 10)}),
    ],
)
def test_numbers_that_are_typed(parse, values):
    assert {text: parse(text) for text in values} == values


@pytest.mark.parametrize(
    ("parse", "rule", "texts"),
    [
        (parse_count, "a whole number of at", ["0", "-1", "+1", "1.0", "", " 1", "1_0", "٣", "²", "x"]),
        (parse_not_negative, "a number of at least", ["-1", "inf", "nan", "", "x", "1e400"]),
        (parse_fraction, "K/N, such as 1/4",
         ["", "1", "/", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "1.0/2", "a/b", "²/3", " 1/2"]),
    ],
)  # fmt: skip
def test_texts_that_are_no_such_number(parse, rule, texts):
    for text in texts:
        with pytest.raises(argparse.ArgumentTypeError, match=f"^is {re.escape(repr(text))}, expected {rule}"):
            parse(text)


def test_levels_that_a_preset_leaves_at_their_default_can_be_named():
    paper = {"epochs": 50, "levels": {"width": [1.0], "n": [7]}}
    options = make_parser("", ["smoke"], settings=paper).parse_args(["--n-levels", "8", "9", "8"])
    assert override({"epochs": 2, "levels": {"width": [0.5]}}, options) == {
        "epochs": 2, "levels": {"width": [0.5], "n": [8, 9]}
    }  # fmt: skip


# how it ends


def test_error_is_one_line_and_code_2(capsys):
    parser = argparse.ArgumentParser(prog="study.py")
    for error in (ValueError("width is 0"), OSError("no space"), RuntimeError("no kernel"), DamagedFileError("half")):
        with pytest.raises(SystemExit) as exit, exit_on_error(parser):
            raise error
        assert exit.value.code == 2
        assert capsys.readouterr() == ("", f"study.py: {error}\n")


@pytest.mark.parametrize("error", [KeyError("width"), TypeError("no"), ZeroDivisionError(), KeyboardInterrupt()])
def test_mistakes_of_ours_end_with_their_traceback(error):
    with pytest.raises(type(error)), exit_on_error(argparse.ArgumentParser()):
        raise error


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
    places, coordinates = select_places(grid(), COORDINATES, only)
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
    assert select_places(places, COORDINATES, ["seed=1", "disjoint", "width=2"])[0] == [places[7]]  # 111, the eighth


def test_nothing_is_named():
    places = grid()
    assert select_places(places, COORDINATES, None) == (places, COORDINATES)


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
        select_places(places, COORDINATES, only)


# a study of toys


@pytest.fixture
def study(tmp_path):
    return replace(toy_study.STUDY, folder=tmp_path / "data")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "cube.nc"


def run(study, *words):
    main(study, ["--jobs", "1", *map(str, words)])


def refusal(study, capsys, *words):
    """Return what a command line that is refused says, which is one line."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        run(study, *words)
    assert ended.value.code == 2
    *_, line = capsys.readouterr().err.splitlines()
    return line


def test_cube_holds_each_number_in_its_place_and_says_how_it_came_about(study, out):
    run(study, "--out", out, "--threads", "2")
    cube = read(out)
    # factor b is worth 1, "disjoint" 10, seed 1 100, and all have 1
    expected = [[[1, 101], [11, 111]], [[2, 102], [12, 112]]]
    np.testing.assert_array_equal(cube.transfer_accuracy.transpose("factor", "relation", "seed"), expected)
    assert (cube.attrs["title"], cube.attrs["study"], cube.attrs["threads"]) == ("Toys", "toy_study", 2)
    settings = {name: toy_study.PRESETS["quick"][name] for name in toy_study.PRESETS["quick"] if name != "seeds"}
    assert json.loads(cube.attrs["settings"]) == settings | {"objects": "procedural"}
    paper = toy_study.PRESETS["paper"] | {"objects": "tillspeicher/transforms_2d_base"}
    assert json.loads(cube.attrs["paper_settings"]) == paper
    assert cube.relation.attrs == {
        "long_name": "relation of the source's transformations to the target's", "units": "1"
    }  # fmt: skip
    assert cube.seed.attrs["long_name"] == "number of the repetition"


def test_terminal_and_folder(study, out, capsys, monkeypatch):
    monkeypatch.chdir(out.parent)
    run(study, "--out", out)
    output, error = capsys.readouterr()
    assert output.splitlines() == [
        "",
        "             digits",  # of a: 6 and 106; Student's quantile of 2 seeds is 12.7, times 70.7 / sqrt(2)
        "a  56.000 ± 635.310",
        "b  57.000 ± 635.310",
        "",
        # 6.5 and 106.5: t is 56.5 / 50 = 1.13 and 943.5 / 50 = 18.87, p is 1 / 2 - arctan(t) / pi = 0.23 and 0.017,
        # and 2 * 0.017 is above 0.025
        "claims: 1 of 2 held, 1 undecided (by 95 % intervals over seeds; 0 held after Holm's correction, one-sided p at"
        " most 0.025)",
        "  undecided     digits are above 0: 56.500 ± 635.310 (n = 2), Holm's p = 0.2",
        "  held          digits are below 1000: 56.500 ± 635.310 (n = 2), Holm's p = 0.03",
        "",
        f"figure  {out.with_suffix('.png')}",
        f"cube    {out}",
        f"paper   invtransfer compare {out} data/published/toys.csv --ignore all",
    ]
    assert "8/8" in error
    with Image.open(out.with_suffix(".png")) as figure:
        assert figure.size == (440, 330)
    assert sorted(os.listdir(out.parent)) == ["cube.cells", "cube.log", "cube.nc", "cube.png"]


def test_second_run_computes_nothing_and_says_the_same(study, out, capsys):
    run(study, "--out", out)
    first, before, cube = capsys.readouterr().out, files(out), read(out)
    run(replace(study, cell=dict), "--out", out)  # whose results could not be written
    assert capsys.readouterr().out == first
    assert files(out) == before
    xr.testing.assert_identical(read(out).drop_attrs(deep=False), cube.drop_attrs(deep=False))


def test_cube_holds_the_claims(study, out):
    run(study, "--out", out)
    above, below = json.loads(read(out).attrs["claims"])
    numbers = "56.500 ± 635.310 (n = 2)"
    p_value = 1 / 2 - np.arctan(943.5 / 50) / np.pi
    assert below == {
        "text": "digits are below 1000", "numbers": numbers, "verdict": "held", "p_value": pytest.approx(p_value),
        "adjusted_p_value": pytest.approx(2 * p_value),
    }  # fmt: skip
    assert (above["text"], above["numbers"], above["verdict"]) == ("digits are above 0", numbers, "undecided")
    one = out.with_name("one.nc")  # seed, which has no intervals
    run(study, "--out", one, "--seeds", "1")
    assert [each["p_value"] for each in json.loads(read(one).attrs["claims"])] == [None, None]


def test_claims_that_cannot_be_written_leave_the_cube_whole(study, out, monkeypatch):
    def full(*_):
        raise OSError("disk is full")

    monkeypatch.setattr("invtransfer.paper.command_line.write", full)
    with pytest.raises(SystemExit, match="the cube is whole, but its claims cannot be added to it: disk is full"):
        run(study, "--out", out, "--preset", "smoke")
    assert (read(out).status == 1).all()


def test_study_without_claims(study, out, capsys):
    run(replace(study, claims=None), "--out", out, "--preset", "smoke")
    assert "claims: " not in capsys.readouterr().out
    assert "claims" not in read(out).attrs


def test_number_of_seeds_makes_no_other_study(study, out):
    run(study, "--out", out, "--seeds", "1")
    run(study, "--out", out)
    assert read(out).sizes == {"factor": 2, "relation": 2, "seed": 2}


def test_part_of_the_grid(study, out):
    run(study, "--out", out, "--only", "b", "disjoint", "seed=1")
    cube = read(out)
    assert cube.sizes == {"factor": 1, "relation": 1, "seed": 1}
    assert cube.transfer_accuracy.item() == 112
    assert len(files(out)) == 1


def test_shards_of_which_the_last_completes_the_cube(study, out, capsys):
    run(study, "--out", out, "--shard", "1/2")
    lines = capsys.readouterr().out.splitlines()  # neither table nor figure yet
    assert lines == [f"cube    {out}", "missing 4 of 8 places: the same command without --shard and --only adds them"]
    assert "claims" not in read(out).attrs
    run(study, "--out", out, "--shard", "2/2")
    assert f"figure  {out.with_suffix('.png')}" in capsys.readouterr().out


def test_failed_cells_are_reported_and_tried_again(study, out, capsys, monkeypatch):
    monkeypatch.setenv("TOY_FAILS", "b")
    with pytest.raises(SystemExit, match=r"^4 of 8 places of the cube failed; the first: ZeroDivisionError: no toys\n"):
        run(study, "--out", out)
    assert "b                 ?" in capsys.readouterr().out  # the table is printed all the same
    monkeypatch.delenv("TOY_FAILS")
    before = files(out)
    run(study, "--out", out, "--only", "failed")
    assert (read(out).status == 1).all()
    assert sum(files(out)[name] == before[name] for name in before) == 4


def test_without_matplotlib(study, out, capsys):
    def figure(cube):
        raise ModuleNotFoundError("No module named 'matplotlib'")

    run(replace(study, figure=figure, published=None), "--out", out, "--preset", "smoke")
    expected = "figure  none: No module named 'matplotlib'; pip install 'invtransfer[plot]'"
    assert capsys.readouterr().out.splitlines()[-2:] == [expected, f"cube    {out}"]


def test_dry_run_computes_nothing(study, out, capsys):
    run(replace(study, cell=dict), "--out", out, "--dry-run", "--only", "a")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [  # in the order of the grid; the second seed takes twice as long
        "to do       10 s  factor=a,relation=same,seed=0",
        "to do       20 s  factor=a,relation=same,seed=1",
    ]
    assert lines[-1] == "projected time for them: 60 s of computing, 60 s with 1 process"
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "name", "epochs", "paper_epochs"),
    [
        ([], "toy_study.nc", 2, 50),
        (["--preset", "smoke"], "toy_study-smoke.nc", 2, 50),
        (["--dataset", "dolls", "--preset", "smoke"], "toy_study-dolls-smoke.nc", 3, 70),
        (["--dataset", "blocks"], "toy_study.nc", 2, 50),
        (["--objects", "sets/emoji", "--epochs", "7"], "toy_study-emoji.nc", 7, 50),
    ],
)
def test_data_set_and_objects_are_in_the_name_and_settings_of_the_cube(study, words, name, epochs, paper_epochs):
    (study.folder / "sets" / "dolls").mkdir(parents=True)
    run(study, *words)
    assert [path.name for path in (study.folder / "cubes").glob("*.nc")] == [name]
    cube = read(study.folder / "cubes" / name)
    settings, paper = (json.loads(cube.attrs[key]) for key in ("settings", "paper_settings"))
    assert (settings["epochs"], paper["epochs"]) == (epochs, paper_epochs)
    assert settings["objects"] == ("emoji" if "emoji" in name else "procedural")
    assert paper["dataset"] == ("dolls" if "dolls" in name else "blocks")
    assert paper["levels"] == {"factor": ["b"] if "dolls" in name else ["a", "b"]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epochs", "100"], "epochs is 100, but there are only 99"),
        (["--dataset", "dolls"], "/sets/dolls is not there"),
        (["--dataset", "dolls", "--data", "nowhere"], "nowhere/dolls is not there"),
        (["--only", "c"], "--only is 'c', expected labels of this study: a, b, same, disjoint, seed=0, seed=1"),
        (["--dataset", "trains"], "argument --dataset: invalid choice: 'trains'"),
        (["--factor-levels", "c"], "argument --factor-levels: invalid choice: 'c'"),
        (["--out", f"{__file__}/cube.nc"], f": cannot write {__file__}/cube.nc: "),
        (["--out", "nowhere/cube.png"], "the name of a cube ends in .nc"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_computed(study, out, capsys, words, message):
    assert message in refusal(study, capsys, "--out", out, *words)
    assert list(out.parent.iterdir()) == []


def test_script_is_a_command(out, capsys, monkeypatch):
    """Run as a script, but in this process: others load torch first, and .ci/run starts the scripts of the studies."""
    monkeypatch.setattr(sys, "argv", ["toy_study.py", "--preset", "smoke", "--jobs", "1", "--out", str(out)])
    runpy.run_path(toy_study.__file__, run_name="__main__")
    assert f"cube    {out}" in capsys.readouterr().out
    assert read(out).transfer_accuracy.values.ravel().tolist() == [1, 11, 2, 12]


# what a study is made of


def test_study_is_loaded_from_wherever_its_script_is(tmp_path):
    path = tmp_path / "elsewhere" / "toys.py"
    path.parent.mkdir()
    path.write_text(Path(toy_study.__file__).read_text())
    study = load_study(path)
    assert isinstance(study, Study)
    assert study.name == "toy_study"
    function = study.bind(study.settings("smoke") | {"objects": "procedural"}, data="there")
    arguments = study.grid(study.settings("smoke") | {"objects": "procedural"})[0][3][1]
    assert function(**arguments).transfer_accuracy == 12  # b, disjoint, seed 0


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("none.py", None, "there is no study .*none.py: say where its script is, on the command line with --study"),
        ("notes.txt", "factors", "notes.txt is not a study: it is not a Python file"),
        ("broken.py", "STUDY = (", r"broken.py is not a study: running it raises SyntaxError: .*was never closed"),
        ("raises.py", "1 / 0", "raises.py is not a study: running it raises ZeroDivisionError: division by zero"),
        ("ends.py", "import sys; sys.exit('no')", "ends.py is not a study: running it raises SystemExit: no"),
        ("other.py", "STUDY = 3", r"other.py is not a study: it makes no STUDY = Study\(\.\.\.\), which has: name, "),
        (
            "lacks.py",
            "from invtransfer.paper import Study\nSTUDY = Study(name='x', title='X')",
            "lacks.py is not a study: running it raises TypeError: .*missing 9 .* 'folder', 'presets', 'find', 'cell'",
        ),
    ],
)
def test_file_that_is_no_study(tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(FileNotFoundError if text is None else ValueError, match=message):
        load_study(tmp_path / name)


@pytest.mark.parametrize(
    ("part", "value", "error", "message"),
    [
        ("name", "Toy study", ValueError, "^name is 'Toy study', expected the name of a script"),
        ("presets", {}, ValueError, "^presets is {}, expected settings by name of preset$"),
        ("presets", {"quick": {}}, ValueError, "^preset 'quick' has no 'seeds' and no 'levels'$"),
        ("cell", None, TypeError, "^cell is None, expected a function$"),
        ("table", "table", TypeError, "^table is 'table', expected a function$"),
        ("claims", ["it grows"], TypeError, r"^claims is \['it grows'\], expected a function or None$"),
    ],
)
def test_study_whose_part_is_not_as_described(study, part, value, error, message):
    with pytest.raises(error, match=message):
        replace(study, **{part: value})


def test_study_without_the_papers_preset(study, out):
    run(replace(study, presets={"smoke": study.presets["smoke"]}, datasets={}), "--out", out)
    assert "paper_settings" not in read(out).attrs


def test_data_that_are_others_than_the_cubes(study):
    settings = study.settings("quick") | {"objects": "emoji 0123"}
    with pytest.raises(
        ValueError, match="^objects are 'procedural' here, but the cube was computed with 'emoji 0123'$"
    ):
        study.bind(settings)
    with pytest.raises(ValueError, match="^settings of the cube do not fit the study 'toy_study': .*'epochs'"):
        study.bind({"dataset": "blocks"})


def test_a_fault_of_the_study_is_not_blamed_on_the_cube(study):
    def find(**settings):
        return {}["typo"]

    with pytest.raises(KeyError, match="typo"):
        replace(study, find=find).bind(study.settings("quick"))
