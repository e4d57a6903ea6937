"""The command ``invtransfer advise``: models and labelled images of a person's own."""

import shlex
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image
from synthetic_advice import make_advice, make_all_advice
from test_page import Page

from invtransfer import InvarianceAdvisor, load_images, load_model
from invtransfer.__main__ import main
from invtransfer.analysis.advice import ADVICE
from invtransfer.commands.task_advice import advise_on_task, format_task_advice
from invtransfer.cubes.files import write
from invtransfer.pages import make_advice_page
from invtransfer.plots import plot_advice

MODELS = """
from pathlib import Path
from torch import nn

def halves():
    return nn.Sequential(nn.AdaptiveAvgPool2d((1, 2)), nn.Flatten())

class Sides(nn.Module):
    def forward(self, images):
        with open("calls.txt", "a") as file:
            file.write(".")
        return images.mean(dim=2).flatten(1)

class Stops(nn.Module):
    def forward(self, images):
        if Path("stop").exists():
            raise KeyboardInterrupt
        return images.mean(dim=2).flatten(1)

class StopsLater(Sides):
    def forward(self, images):
        if Path("stop").exists() and len(Path("calls.txt").read_text()) == 4:
            raise KeyboardInterrupt
        return super().forward(images)

class Fails(nn.Module):
    def forward(self, images):
        raise RuntimeError("no images, please")
"""
NAMES = ["hue", "blur", "h_flip"]


@pytest.fixture
def drawing_folder(tmp_path, monkeypatch):
    """A folder with models, and grey photographs in two classes: those whose left half is bright, and the others."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MODELS)
    generator = np.random.default_rng(0)
    for name in ("left", "right"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(30):
            pixels = generator.integers(0, 100, size=(16, 16), dtype=np.uint8)
            pixels[:, slice(8) if name == "left" else slice(8, 16)] += 100
            Image.fromarray(np.repeat(pixels[..., None], 3, axis=2)).save(f"photos/{name}/{i:02}.png")
    return tmp_path


@pytest.fixture
def folder(drawing_folder, monkeypatch):
    """The same as if matplotlib was missing: drawing a figure takes long, and is looked at in two tests."""
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    return drawing_folder


def advise(*arguments, out="mine.nc", names=("blur",)):
    main(["advise", "--images", "photos", *arguments, "--size", "16", "--out", out, "--draws", "3",
          "--transformations", *names])  # fmt: skip


def test_text_of_several_models():
    cube = make_advice({"hue": 3.0, "blur": 2.0, "rotate": -0.5}, ["low", "high", "failed"], failed=["failed"])
    for end, values in (("", [0.6, 0.9, 1.0]), ("_low", [0.5, 0.8, 1.0]), ("_high", [0.7, 0.95, 1.0])):
        cube[f"accuracy{end}"].loc[{"view": "features"}] = values
    text = format_task_advice(cube)
    rows = [line.split() for line in text.splitlines()[-3:]]
    assert rows[1:] == [["high", "0.90", "0.80", "to", "0.95"], ["low", "0.60", "0.50", "to", "0.70"]]
    assert rows[0][:2] == ["model", "accuracy"]
    assert "failed: failed" in text
    assert "FineTuner(model, transformations=['hue', 'blur', 'rotate']).fit(X, y)" in text
    blur = next(line for line in text.splitlines() if line.startswith("blur"))
    assert blur.endswith("as above")
    assert text.count("Make the encoder ignore it") == 2  # once for each model that is done
    assert max(len(line) for line in text.splitlines() if "  " not in line) <= 120
    cube["usable"].loc[{"view": "features", "encoder": "low"}] = 0
    alone = format_task_advice(cube.isel(encoder=[0]))
    assert "0.50 from pixels, 0.60 from features (not clearly better than chance, and not used); the largest" in alone
    assert "models, by how well" not in alone


def test_the_numbers_are_those_of_the_advisor(drawing_folder, capsys):
    advise("mine.py:halves", "mine.py:Sides", names=NAMES)
    cube = xr.open_dataset("mine.nc").load()
    assert cube.sizes == {"encoder": 2, "transformation": 3, "view": 2, "class": 2}
    images = load_images("photos", size=16)
    for name in cube.encoder.values:
        advisor = InvarianceAdvisor(load_model(name), transformations=NAMES, n_draws=3, random_state=0)
        advisor.fit(images, images.labels)
        one = cube.sel(encoder=name)
        for variable, expected in advisor.evidence_.data_vars.items():
            np.testing.assert_array_equal(one[variable].values, expected.values.astype(one[variable].dtype))
        table = advisor.advice_.loc[NAMES]
        assert one.advice.values.tolist() == table.advice.tolist()
        assert one.sentence.values.tolist() == table["what to do"].tolist()
        ranked = sorted((rank, name) for rank, name in zip(one["rank"].values, NAMES, strict=True) if rank)
        assert [name for _, name in ranked] == advisor.advised_
        assert [rank for rank, _ in ranked] == list(range(1, len(ranked) + 1))
        # the side is the label, which 60 images show by the harm alone; no hue changes a grey image
        assert one.advice.sel(transformation="h_flip") in ("stay sensitive", "avoid")
        assert one.advice.sel(transformation="hue") == "already ignored"
        assert one.z.sel(transformation="h_flip") < -1.645
    assert all({"units", "long_name"} <= cube[name].attrs.keys() for name in cube.variables)
    assert cube.n_images_of_class.values.tolist() == [[30, 30], [30, 30]]
    assert cube["class"].values.tolist() == ["left", "right"]
    assert cube.category.values.tolist() == ["photometric", "corruption", "geometric"]
    said = capsys.readouterr().out
    assert "needs to tell 2 classes apart in 60 images of photos, brought to 16 x 16" in said
    table = said.split("mine.py:Sides: ")[1]
    assert "accuracy of the probe: 1.00 from pixels, 1.00 from features; the largest class: 0.50" in table
    lines = table.splitlines()
    assert lines[3].split() == ["transformation", "advice", "z", "sensitivity", "what", "to", "do"]
    assert any(line.startswith("h_flip ") for line in lines[4:7])
    assert (drawing_folder / "mine.png").stat().st_size > 10_000


def test_a_stopped_command_goes_on_with_the_models_that_are_not_done(folder, capsys):
    Path("stop").touch()
    with pytest.raises(SystemExit, match="^130$"):
        advise("mine.py:Sides", "mine.py:Stops")
    assert "1 of 2 cells have ended, and are kept in mine.cells; the same command goes on" in capsys.readouterr().err
    n_calls = len(Path("calls.txt").read_text())
    assert not Path("mine.nc").exists()
    Path("stop").unlink()
    advise("mine.py:Sides", "mine.py:Stops")
    assert len(Path("calls.txt").read_text()) == n_calls
    first, again = (xr.open_dataset("mine.nc").isel(encoder=i, drop=True) for i in (0, 1))
    assert first.z.values.tolist() == again.z.values.tolist()  # the same copies, the same features


def test_a_stopped_command_goes_on_with_the_transformations_that_are_not_done(folder):
    advise("mine.py:StopsLater", out="whole.nc", names=NAMES)
    n_whole = len(Path("calls.txt").read_text())
    Path("calls.txt").write_text("")
    Path("stop").touch()
    with pytest.raises(SystemExit, match="^130$"):
        advise("mine.py:StopsLater", names=NAMES)
    (kept,) = Path("mine.cells").glob("*.training/*")
    assert sorted(path.name for path in kept.iterdir()) == ["blur.nc", "hue.nc"]
    Path("stop").unlink()
    Path("calls.txt").write_text("")
    advise("mine.py:StopsLater", names=NAMES)
    assert len(Path("calls.txt").read_text()) < n_whole  # the copies by blur are not encoded again
    whole, resumed = (xr.open_dataset(name).load().drop_attrs(deep=False) for name in ("whole.nc", "mine.nc"))
    xr.testing.assert_identical(whole, resumed)
    assert not kept.exists()


def test_a_model_that_fails_does_not_stop_the_others(drawing_folder, capsys):
    with pytest.raises(SystemExit) as ended:
        advise("mine.py:Fails", "mine.py:Sides")
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert "1 of 2 measurements failed; the first: ValueError: mine.py:Fails: " in said.err
    assert "no images, please" in said.err
    assert "mine.py:Fails: failed\n" in said.out
    assert "pretrain with: " in said.out.split("mine.py:Sides: ")[1]
    assert xr.open_dataset("mine.nc").status.values.tolist() == [2, 1]
    main(["page", "mine.nc"])
    page = Page(Path("mine.html").read_text())
    assert [row["encoder"] for row in page.table("state", "message")] == ["mine.py:Fails"]
    with pytest.raises(SystemExit):
        advise("mine.py:Fails", out="none.nc")
    main(["page", "none.nc"])
    assert "No model could be asked about the images of photos." in Path("none.html").read_text()
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["page", "mine.nc", "--images", "photos"])
    assert "--images is for cubes of invtransfer measure, and mine.nc is none" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["reproduce", "none.nc", "--cell", "encoder=mine.py:Fails"])
    assert "none.nc is a measurement: run its command again" in capsys.readouterr().err


def test_classes_with_one_image_are_left_out(folder, capsys):
    shutil.copytree("photos", "lone")
    (folder / "lone" / "new").mkdir()
    Image.new("RGB", (16, 16)).save("lone/new/0.png")
    with warnings.catch_warnings(action="always"):
        advise("mine.py:Sides", "--images", "lone", out="lone.nc")
    said = capsys.readouterr().err.splitlines()[0]
    expected = "lone holds 1 of 3 classes with one image only, which are left out: 'new'"
    assert said == f"invtransfer advise: warning: {folder / expected}"
    advise("mine.py:Sides")
    one, other = xr.load_dataset("lone.nc"), xr.load_dataset("mine.nc")
    assert one["class"].values.tolist() == ["left", "right"]
    assert one.z.values.tolist() == other.z.values.tolist()
    assert one.n_images.values.tolist() == other.n_images.values.tolist()


def test_of_many_images_a_random_choice_is_used(folder, capsys):
    advise("mine.py:Sides", "--most-images", "20")
    advise("mine.py:Sides", "--most-images", "20", "--seed", "1", out="other.nc")
    advise("mine.py:Sides", "--most-images", "60", out="all.nc")
    some, other, all_of_them = (xr.load_dataset(name) for name in ("mine.nc", "other.nc", "all.nc"))
    assert (some.n_images.item(), other.n_images.item(), all_of_them.n_images.item()) == (20, 20, 60)
    assert some.z.values.tolist() != other.z.values.tolist()
    main(["page", "mine.nc"])
    assert "--most-images 20" in (folder / "mine.html").read_text()


def test_files_of_arrays_with_labels(folder):
    images = load_images("photos", size=16)
    codes = (images.labels == "right").astype(int)
    np.savez("arrays.npz", images=np.asarray(images), labels=codes)
    one = advise_on_task(["mine.py:Sides"], "arrays.npz", "arrays.nc", transformations=["blur"], size=16, n_draws=3)
    assert one["class"].values.tolist() == ["0", "1"]
    other = advise_on_task(["mine.py:Sides"], "photos", "mine.nc", transformations=["blur"], size=16, n_draws=3)
    assert one.z.values.tolist() == other.z.values.tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", "photos/left"], "left holds images without classes, expected a folder of images for each class"),
        (["--images", "plain.npy"], "plain.npy holds images without classes"),
        (["--images", "one"], "one holds one class only, 'left', expected at least 2 classes"),
        (["--images", "lone"], "lone has 1 of 2 classes with at least 2 images, expected at least 2 such classes"),
        (["--images", "broken"], "new/1.png cannot be read as an image"),
        (["--images", "holidays"], "images is 'holidays', expected an existing folder or"),
        (["--transformations", "rotation"], "'rotation'"),
        (["--most-images", "3"], "most_images is 3, expected a whole number of at least 4"),
        (["--draws", "0"], "n_draws is 0, expected a whole number from 1 to 1000"),
        (["--size", "0"], "size is 0"),
        (["--layer", "conv"], "layer is 'conv', expected the name of a layer of Sides"),
        (["--out", "mine.txt"], "cannot write mine.txt: the name of a cube ends in .nc"),
        (["--out", "photos/mine.nc"], "it would lie among the images"),
        (["--out", "taken.nc"], "taken.png exists, but taken.nc does not: the figure would overwrite it"),
        (["--device", "gpu"], "device is 'gpu'"),
    ],
)
def test_bad_input_is_named_before_anything_is_measured(folder, capsys, arguments, message):
    (folder / "taken.png").write_bytes(b"precious")
    np.save("plain.npy", np.zeros((4, 16, 16, 3), np.uint8))
    shutil.copytree("photos/left", "one/left")
    shutil.copytree("one", "lone")
    shutil.copytree("photos", "broken")
    for name in ("lone", "broken"):
        (folder / name / "new").mkdir()
        Image.new("RGB", (16, 16)).save(f"{name}/new/0.png")
    (folder / "broken" / "new" / "1.png").write_bytes(b"no picture")
    given = ["advise", "mine.py:Sides", "--images", "photos", "--size", "16", "--out", "mine.nc", *arguments]
    with pytest.raises(SystemExit) as error:
        main(given)
    assert error.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.strip().splitlines()) == 1
    assert not list(folder.rglob("*.nc"))
    assert not list(folder.rglob("*.cells"))
    assert not Path("calls.txt").exists()


def test_other_settings_are_not_mixed(folder, capsys):
    advise("mine.py:Sides")
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["advise", "mine.py:Sides", "--images", "photos", "--size", "16", "--out", "mine.nc", "--draws", "3"])
    assert "mine.nc belongs to other settings (transformations differ)" in capsys.readouterr().err


def test_the_command_shows_how_much_of_a_model_is_done(folder, capsys):
    advise("mine.py:Sides", names=NAMES)
    assert f"/{len(NAMES)} [" in capsys.readouterr().err
    images = load_images("photos", size=16)
    InvarianceAdvisor(None, transformations=["hue"], n_draws=1, random_state=0).fit(images, images.labels)
    assert capsys.readouterr().err == ""  # in Python only where it is asked for


def test_cells_of_a_version_with_other_words_are_not_taken_over(folder, capsys, monkeypatch):
    monkeypatch.setattr("invtransfer.commands.task_advice.ADVICE", ("encourage", "keep", "unclear", "no matter"))
    advise("mine.py:Sides")
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit):
        advise("mine.py:Sides")
    assert "mine.nc belongs to other settings (words_of_advice differ)" in capsys.readouterr().err


def test_measure_points_to_the_advice_for_classes(folder, capsys):
    options = ["--size", "16", "--transformations", "h_flip", "invert", "--batch-size", "7"]
    main(["measure", "mine.py:Sides", "--images", "photos", "--out", "m.nc", *options, "--distance", "cosine"])
    *_, cube, line = capsys.readouterr().out.splitlines()
    assert cube == "cube    m.nc"
    words = shlex.split(line.partition(": ")[2])
    assert words[:2] == ["invtransfer", "advise"]
    assert sorted(words[2:]) == sorted(["mine.py:Sides", "--images", "photos", "--out", "m-advice.nc", *options])
    main(words[1:])
    assert xr.open_dataset("m-advice.nc").advice.sel(transformation="h_flip").item() in ("stay sensitive", "avoid")
    main(["measure", "mine.py:Sides", "--images", "photos/left", "--out", "l.nc", *options])
    assert "advise" not in capsys.readouterr().out.split("cube    l.nc")[1]


# the page


Z = {"hue": -0.5, "blur": 3.0, "rotate": -4.0, "h_flip": 5.0}  # try, encourage, avoid, encourage


def test_what_is_on_the_page():
    page = Page(make_advice_page(make_advice(Z), "mine.nc"))
    heads, *rows = page.tables[0]
    assert heads == ["transformation", "advice", "pretrain", "z", "sensitivity", "what to do"]
    assert [row[:5] for row in rows] == [
        ["h_flip", "encourage", "1", "5.00", "0.50"],
        ["blur", "encourage", "2", "3.00", "0.50"],
        ["hue", "try", "3", "-0.50", "0.50"],
        ["rotate", "avoid", "", "-4.00", "0.50"],
    ]
    assert rows[0][5].startswith("Make the encoder ignore it: ")
    assert page.texts["h2"] == ["What to do", "How to read it", "The evidence", "What was done", "How to repeat it"]
    assert page.texts["li"][0] == "vit: pretrain with h_flip, blur; less surely: hue."
    assert page.texts["figcaption"][:2] == [f"{name}: advice, those to encourage first" for name in ("vit", "resnet")]
    assert page.table("sensitivity", "encoder")[4] == {
        "transformation": "hue", "encoder": "resnet", "sensitivity": "0.50 (0.40 to 0.70)",
        "copies with other features": "1.00",
    }  # fmt: skip
    assert page.table("what the probe sees")[3] == {
        "what the probe sees": "features", "encoder": "resnet", "accuracy": "0.500 (0.400 to 0.700)",
        "largest class": "0.400", "clearly better than that": "yes",
    }  # fmt: skip
    assert len([one for one in page.tables if "relevant share" in one[0]]) == 4  # of two encoders and views
    assert page.table("class") == [{"class": "cat", "images": "12"}, {"class": "dog", "images": "18"}]
    assert page.texts["pre"] == [
        "invtransfer advise vit resnet --images 'my photos' --out mine.nc --transformations hue blur rotate h_flip"
        " --draws 4 --size 64 --pool auto --precision float32 --random-weights"
    ]
    (image,) = page.images
    assert "vit: pretrain with h_flip, blur; less surely: hue." in image["alt"]


def test_the_page_of_every_advice():
    page = Page(make_advice_page(make_all_advice(), "mine.nc"))
    assert [row[1] for row in page.tables[0][1:]] == sorted([*ADVICE, "stay sensitive"], key=ADVICE.index)
    assert page.texts["li"][0] == (
        "vit: pretrain with hue; less surely: blur. Let it stay sensitive to rotate, on which the label seems to"
        " depend. It hardly reacts to invert, on which the label seems to depend: one that does may be better."
    )
    # each is explained under "How to read it"
    assert [text.partition(":")[0] for text in page.texts["li"] if text.partition(":")[0] in ADVICE] == list(ADVICE)


def test_a_page_without_matplotlib_and_of_other_cubes(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    page = Page(make_advice_page(make_advice(Z)))
    assert page.images == []
    assert any("pip install 'invtransfer[plot]'" in text for text in page.texts["p"])
    with pytest.raises(ValueError, match="the cube has no variable 'sentence': it is not of invtransfer advise"):
        make_advice_page(make_advice(Z).drop_vars("sentence"))
    with pytest.raises(ValueError, match="the cube has no variable 'status'"):
        make_advice_page(make_advice(Z).drop_vars("status"))


# the figure


def test_what_is_in_the_figure():
    figure = plot_advice(make_advice(Z, failed=["resnet"]))
    gain, sensitivity = figure.axes  # none of the encoder that failed
    assert [label.get_text() for label in gain.get_yticklabels()] == ["h flip", "blur", "hue", "rotate"]
    points = [line for line in gain.get_lines() if len(line.get_xdata()) == 1]
    assert [line.get_xdata()[0] for line in points] == [5, 3, -0.5, -4]
    assert [line.get_ydata()[0] for line in points] == [0, 1, 2, 3]
    colours = [line.get_color() for line in points]
    assert colours[0] == colours[1]
    assert len(set(colours)) == 3
    assert {1.645, -1.645} <= {line.get_xdata()[0] for line in gain.get_lines()}
    assert sensitivity.get_lines()[0].get_xdata() == [0.5]
    assert gain.get_title(loc="left") == "vit"
    assert len(plot_advice(make_advice(Z)).axes) == 4


def test_every_advice_has_a_colour_and_a_marker_of_its_own():
    (legend,) = plot_advice(make_all_advice()).legends
    looks = {(line.get_color(), line.get_marker()) for line in legend.get_lines()}
    assert [text.get_text() for text in legend.get_texts()] == list(ADVICE)
    assert len(looks) == len(ADVICE)
    (legend,) = plot_advice(make_advice({"hue": 5.0})).legends
    assert [text.get_text() for text in legend.get_texts()] == ["encourage"]  # what does not occur is not explained


def test_what_the_figure_refuses():
    cube = make_advice(Z)
    for wrong, message in (
        (cube.drop_vars("advice"), "cube has no variable 'advice': it is not of invtransfer advise"),
        (cube.drop_vars("z"), "cube has no variable 'z'"),
        (cube.assign(advice=cube.z.expand_dims(seed=[0])), "'advice' over seed, .*, expected encoder, transformation"),
        (cube.assign(advice=xr.full_like(cube.advice, "perhaps")), "the advice is 'perhaps', expected one of:"),
    ):
        with pytest.raises(ValueError, match=message):
            plot_advice(wrong)
    with pytest.raises(TypeError, match="cube is of type dict"):
        plot_advice({})


def test_the_page_of_the_command_loads_no_cube_of_another_kind(folder, capsys):
    write(make_advice(Z), "a.nc")
    main(["page", "a.nc"])
    assert capsys.readouterr().out == "page    a.html\n"


def test_files_of_one_group_stay_together(folder, capsys):
    for path in sorted(Path("photos").rglob("*.png")):  # ten groups of three in each class
        path.rename(path.with_name(f"patient{path.parent.name[0]}{int(path.stem) // 3}-{path.stem}.png"))
    advise("mine.py:halves", "--groups", "patient[a-z][0-9]+")
    said = capsys.readouterr().out
    assert "classes apart in 60 images (20 groups) of " in said
    cube = xr.open_dataset("mine.nc").load()
    images = load_images("photos", size=16)
    groups = [path.name.split("-")[0] for path in images.files]
    advisor = InvarianceAdvisor(load_model("mine.py:halves"), transformations=["blur"], n_draws=3, random_state=0)
    advisor.fit(images, images.labels, groups)
    np.testing.assert_array_equal(cube.z[0], advisor.evidence_.z)
    assert int(cube.n_groups[0]) == 20
    page = make_advice_page(cube)
    assert "60 images (20 groups) of 2 classes" in page
    assert "--groups &#x27;patient[a-z][0-9]+&#x27;" in page or "--groups 'patient[a-z][0-9]+'" in page
    with pytest.raises(SystemExit):
        advise("mine.py:halves", "--groups", "patient(l[0-9]+)", out="other.nc")
    assert "groups is 'patient(l[0-9]+)', which does not match right/patientr0-00.png" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        advise("mine.py:halves", "--groups", "(", out="other.nc")
    assert "groups is '(', expected a regular expression: " in capsys.readouterr().err
