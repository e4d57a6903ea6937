"""The command ``invtransfer measure``: models and images of a person's own."""

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from PIL import Image
from test_page import Page

from invtransfer import SensitivityScorer, load_cube, load_images, load_model
from invtransfer.__main__ import main
from invtransfer.analysis import compare_sensitivities
from invtransfer.commands import measuring
from invtransfer.commands.measuring import make_pairs, measure_models

MODELS = """
import torch
from torch import nn

SCALE = 1.0

class Colours(nn.Module):
    def forward(self, images):
        with open("calls.txt", "a") as file:
            file.write(".")
        return torch.cat([SCALE * images.mean(dim=(2, 3)), images.amin(dim=(2, 3))], dim=1)

class Weighted(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.load("weights.pt"))

    def forward(self, images):
        return self.weights * images.mean(dim=(2, 3))

def weighted():
    return Weighted()

number = 3

class Pair(nn.Module):
    def forward(self, images):
        return images.mean(dim=(2, 3)), images.amin(dim=(2, 3))

def pair():
    return Pair()

def same():
    return nn.Sequential(nn.Flatten(), nn.Linear(768, 2, bias=False), nn.Threshold(1e9, 0.0))

def maps():
    torch.manual_seed(0)
    return nn.Conv2d(3, 4, 3)

def colours():
    return Colours()

def deep():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3))

def pixels():
    return nn.Flatten()

class Random(nn.Module):
    def forward(self, images):
        return nn.functional.dropout(images.flatten(1))

class Fails(nn.Module):
    def forward(self, images):
        if (images[:, 0] == images[:, 1]).all():
            raise RuntimeError("no grey images, please")
        return images.mean(dim=(2, 3))
"""


@pytest.fixture
def drawing_folder(tmp_path, monkeypatch):
    """A folder with models and photographs, in which the commands run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MODELS)
    (tmp_path / "photos").mkdir()
    generator = np.random.default_rng(0)
    for i in range(12):
        height, width = generator.integers(20, 40, size=2)
        colours = generator.integers(256, size=(height // 4, width // 4, 3), dtype=np.uint8)
        Image.fromarray(colours).resize((width, height)).save(f"photos/{i:02}.png")
    return tmp_path


@pytest.fixture
def folder(drawing_folder, monkeypatch):
    """The same as if matplotlib was missing: to draw a figure takes longer than to measure these few images."""
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    return drawing_folder


def measure(*arguments):
    main(["measure", *arguments, "--images", "photos", "--size", "16", "--out", "mine.nc"])


def test_the_numbers_are_those_of_the_scorer(drawing_folder, capsys):
    names = ["invert", "h_flip", "hue"]
    measure("mine.py:colours", "mine.py:pixels", "--transformations", *names)
    cube = xr.open_dataset("mine.nc")
    images = load_images("photos", size=16)
    for name in ("colours", "pixels"):
        model = load_model(f"mine.py:{name}")
        monitored = SensitivityScorer(model, layer="", transformations=names, twins="clean", random_state=0).fit(images)
        measured = cube.sel(encoder=f"mine.py:{name}")
        assert measured.sensitivity.values == pytest.approx(monitored.sensitivity_.values, rel=1e-5)
        assert (measured.sensitivity_low < measured.sensitivity_high).all()
    flips = cube.sensitivity.sel(transformation="h_flip").values
    assert flips[0] < 1e-3 < 0.5 < flips[1]
    assert (cube.different == 1).all()
    assert cube.sizes == {"encoder": 2, "transformation": 3, "image": 12}
    assert all({"units", "long_name"} <= cube[name].attrs.keys() for name in cube.data_vars)
    said = capsys.readouterr().out
    assert "of 12 images of photos, brought to 16 x 16" in said
    assert "mine.py:colours: size as it is, no normalisation added; features: output of the module" in said
    assert (drawing_folder / "mine.png").stat().st_size > 10_000


def count_calls(folder):
    """Return how often the models of mine.py were called with images."""
    path = folder / "calls.txt"
    return len(path.read_text()) if path.exists() else 0


def test_what_is_measured_is_not_measured_again(folder):
    measure("mine.py:colours", "--transformations", "invert")
    first, n_calls = xr.open_dataset("mine.nc").load(), count_calls(folder)
    assert n_calls == 4  # a few images twice, images as they are, and inverted
    measure("mine.py:colours", "--transformations", "invert")
    assert count_calls(folder) == n_calls
    measure("mine.py:colours", "mine.py:pixels", "--transformations", "invert", "hue")
    assert count_calls(folder) == n_calls + 4  # for the hue
    both = xr.open_dataset("mine.nc").load()
    assert both.sel(encoder="mine.py:colours", transformation="invert").sensitivity == first.sensitivity.squeeze()
    with pytest.raises(SystemExit):
        measure("mine.py:colours", "--transformations", "invert")  # the cube has more


def test_another_model_of_the_same_name_is_measured_anew(folder):
    measure("mine.py:colours", "--transformations", "invert")
    first = xr.open_dataset("mine.nc").load().sensitivity.item()
    (folder / "mine.py").write_text(MODELS.replace("SCALE = 1.0", "SCALE = 0.1"))  # of the same size
    measure("mine.py:colours", "--transformations", "invert")
    assert xr.open_dataset("mine.nc").load().sensitivity.item() != first


def test_other_weights_of_the_same_code_are_measured_anew(folder):
    def save(seed):
        torch.save(torch.rand(3, generator=torch.Generator().manual_seed(seed)), "weights.pt")
        measure("mine.py:weighted", "--transformations", "invert")
        return xr.open_dataset("mine.nc").load().sensitivity.item()

    assert save(1) != save(2)


def test_weights_may_be_views_of_others(folder):
    source = "import torch\nfrom torch import nn\ndef make():\n    model = nn.Sequential(nn.Flatten())\n"
    views = "torch.arange(3).to(torch.complex64).conj()", "torch.ones(3, dtype=torch.complex64).conj().imag"
    adding = [f"    model.register_buffer('view{i}', {view})\n" for i, view in enumerate(views)]
    (folder / "mine.py").write_text(source + "".join(adding) + "    return model")
    measure("mine.py:make", "--transformations", "invert")
    assert xr.open_dataset("mine.nc").status.item() == 1


def test_what_has_the_same_weights_and_sizes_is_still_told_apart(folder):
    def measured():
        measure("mine.py:make", "--transformations", "blur")
        for name in ("net", "deeper"):  # a command is a new process
            sys.modules.pop(name, None)
        return load_cube("mine.nc").sensitivity.item()

    (folder / "mine.py").write_text("from net import make")
    net = "from pathlib import Path\nfrom torch import nn\nfrom deeper import pool\n"
    net += "stride = int(Path('stride').read_text())\n"
    net += "def make(): return nn.Sequential(pool(4, stride=stride), nn.Flatten())"
    (folder / "net.py").write_text(net)
    (folder / "stride").write_text("4")
    (folder / "deeper.py").write_text("from torch.nn import AvgPool2d as pool")
    for i in range(12):
        Image.open(f"photos/{i:02}.png").convert("RGB").save(f"photos/{i:02}.bmp")
        (folder / "photos" / f"{i:02}.png").unlink()
    found = [measured()]
    assert measured() == found[0]
    (folder / "stride").write_text("2")
    found.append(measured())
    (folder / "deeper.py").write_text("from torch.nn import MaxPool2d as pool")
    found.append(measured())
    (folder / "net.py").write_text(net.replace("nn.Flatten()", "nn.Flatten(2)"))
    found.append(measured())
    for i in range(12):
        picture = Image.open(f"photos/{i:02}.bmp")
        Image.eval(picture, lambda value: value * value // 255).save(f"photos/{i:02}.bmp")
    found.append(measured())
    assert len(set(found)) == 5


def test_other_images_are_not_mixed_with_the_first(folder, capsys):
    X = np.random.default_rng(0).integers(256, size=(9, 16, 16, 3), dtype=np.uint8)
    np.save("x.npy", X)
    arguments = ["measure", "mine.py:colours", "--transformations", "blur", "--size", "16", "--images"]
    main([*arguments, "x.npy", "--out", "x.nc"])
    np.save("x.npy", 255 - X)
    with pytest.raises(SystemExit):
        main([*arguments, "x.npy", "--out", "x.nc"])
    (folder / "photos" / ".DS_Store").write_text("ignored, as load_images does")
    measure("mine.py:colours", "--transformations", "invert")
    (folder / "photos" / ".DS_Store").unlink()
    measure("mine.py:colours", "--transformations", "invert")
    Image.new("RGB", (20, 20)).save("photos/new.png")
    capsys.readouterr()
    with pytest.raises(SystemExit):
        measure("mine.py:colours", "--transformations", "invert")
    assert "mine.nc belongs to other settings (images differ)" in capsys.readouterr().err


def test_a_transformation_that_changes_no_image_has_sensitivity_0(folder):
    for path in (folder / "photos").iterdir():
        Image.open(path).convert("L").save(path)
    measure("mine.py:colours", "--transformations", "grayscale", "invert")
    cube = xr.open_dataset("mine.nc")
    assert cube.sensitivity.sel(transformation="grayscale").item() < 1e-3  # grey images are rounded
    np.save(
        "grey.npy", np.repeat(np.arange(9, dtype=np.uint8)[:, None, None, None], 3, axis=3).repeat(16, 1).repeat(16, 2)
    )
    main(["measure", "mine.py:colours", "--images", "grey.npy", "--size", "16", "--out", "grey.nc", "--transformations",
          "h_flip"])  # fmt: skip
    assert xr.open_dataset("grey.nc").sensitivity.item() == 0


def test_pool_precision_and_random_weights_reach_the_model(folder):
    def sensitivity(model, *more):
        out = f"{len(list(folder.glob('*.nc')))}.nc"
        main(["measure", model, "--images", "photos", "--size", "16", "--out", out, "--transformations", "hue", *more])
        return xr.open_dataset(out).load()

    usual = sensitivity("mine.py:maps")
    flat = sensitivity("mine.py:maps", "--pool", "flatten")
    half = sensitivity("mine.py:maps", "--precision", "bfloat16")
    assert usual.features.item() == "output of the module, mean over places"
    assert flat.features.item() == "output of the module, flattened"
    assert len({one.sensitivity.item() for one in (usual, flat, half)}) == 3
    assert half.sensitivity.item() == pytest.approx(usual.sensitivity.item(), rel=0.1)
    one, other = (
        sensitivity("torchvision:shufflenet_v2_x0_5", "--random-weights", "--pairs", "6").sensitivity.item()
        for _ in range(2)
    )
    assert one == other


def test_a_model_that_fails_does_not_stop_the_others(drawing_folder, capsys):
    with pytest.raises(SystemExit):
        measure("mine.py:Fails", "mine.py:colours", "--transformations", "grayscale", "invert")
    cube = xr.open_dataset("mine.nc").sel(transformation="grayscale")
    assert cube.status.values.tolist() == [2, 1]
    said = capsys.readouterr()
    assert "no grey images, please" in said.err
    assert "1 of 4 measurements failed" in said.err
    assert "failed" in said.out.split("grayscale")[1].splitlines()[0]


@pytest.mark.filterwarnings("default")
def test_parts_of_outputs_and_equal_features(drawing_folder, capsys):
    cube = measure_models(["mine.py:pair"], "photos", "mine.nc", layer="[1]", transformations=["invert"], size=16)
    assert cube.features.item() == "output of the module (1)"
    main(["measure", "mine.py:same", "--layer", "", "--images", "photos", "--size", "16", "--out", "same.nc",
          "--transformations", "invert"])  # fmt: skip
    said = capsys.readouterr()
    assert "all features equal" in said.out
    assert "mine.py:same" in said.err.split("warning: ")[1]


@pytest.mark.filterwarnings("default")
def test_a_mean_that_rests_on_few_pairs_is_warned_of(folder, capsys):
    grey = np.repeat(np.arange(16, dtype=np.uint8) * 10, 48).reshape(16, 16, 3)
    for i in range(12):
        Image.fromarray(np.roll(grey, i, axis=0) + np.uint8(i)).save(f"photos/{i:02}.png")
    Image.fromarray(grey + np.array([0, 40, 0], np.uint8)).save("photos/00.png")  # the only one with a colour
    measure("mine.py:colours", "--transformations", "grayscale", "invert")
    assert "warning: the sensitivity to grayscale rests on fewer than 3 pairs of twins" in capsys.readouterr().err


def test_of_many_images_a_random_choice_is_measured(folder):
    measure("mine.py:colours", "--transformations", "invert", "--pairs", "5")
    chosen = xr.open_dataset("mine.nc").image.values
    assert len(set(chosen)) == 5
    assert chosen.max() > 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["torchvision:resnet81"], "torchvision has no such model (nearest: resnet18"),
        (["mine.py:colour"], "mine.py has no 'colour' (nearest: colours"),
        (["mine.py:colours", "--transformations", "rotation"], "'rotation'"),
        (["mine.py:colours", "--pairs", "1"], "n_pairs is 1, expected a whole number of at least 2"),
        (["mine.py:colours", "--size", "0"], "size is 0, expected a whole number from 1 to 4096"),
        (["mine.py:colours", "--device", "gpu"], "device is 'gpu'"),
        (
            ["mine.py:colours", "--images", "holidays"],
            "images is 'holidays', expected an existing folder or file of arrays",
        ),
        (["mine.py:colours", "--layer", "conv"], "layer is 'conv', expected the name of a layer of Colours"),
        (["mine.py:colours", "--out", "mine.txt"], "cannot write mine.txt: the name of a cube ends in .nc"),
        (["mine.py:colours", "--out", "photos/mine.nc"], "it would lie among the images"),
        (["mine.py:number"], "mine.py:number is of type int, expected a torch.nn.Module"),
        (["mine.py:colours", "--images", "broken"], "broken/2.png cannot be read as an image"),
        (["mine.py:colours", "--out", "taken.nc"], "taken.png exists, but taken.nc does not: the figure would"),
    ],
)
def test_bad_input_is_named_before_anything_is_measured(folder, capsys, arguments, message):
    (folder / "taken.png").write_bytes(b"precious")
    shutil.copytree("photos", "broken")
    (folder / "broken" / "2.png").write_bytes(b"no picture")
    with pytest.raises(SystemExit) as error:
        main(["measure", "--images", "photos", "--size", "16", "--out", "mine.nc", *arguments])
    assert error.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.strip().splitlines()) == 1
    assert not list(folder.rglob("*.nc"))
    assert not list(folder.rglob("*.cells"))
    assert (folder / "taken.png").read_bytes() == b"precious"


def test_the_call_takes_what_the_command_takes(folder):
    cube = measure_models(["mine.py:pixels"], "photos", "mine.nc", transformations=["blur"], size=16, batch_size=3)
    assert cube.sensitivity.item() > 0
    for wrong in ({"models": []}, {"transformations": []}):
        arguments = {"models": ["mine.py:pixels"], "images": "photos", "path": "none.nc"} | wrong
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} is empty, expected at least one"):
            measure_models(**arguments)


def test_layers_strengths_and_interactions_go_into_the_cube(folder, capsys):
    more = ("--layers", "blocks", "--strengths", "0.5", "1", "--interactions", "invert,hue")
    measure("mine.py:deep", "mine.py:maps", "--transformations", "invert", "hue", *more)
    cube = xr.open_dataset("mine.nc").load()
    assert cube.sensitivity.dims == ("encoder", "transformation", "layer", "strength")
    assert cube.layer.values.tolist() == ["0", "1", "(feature)"]
    assert not np.isnan(cube.sensitivity.sel(encoder="mine.py:deep")).any()
    assert np.isnan(cube.sensitivity.sel(encoder="mine.py:maps", layer=["0", "1"])).all()  # which has but one layer
    assert cube.depth.sel(encoder="mine.py:deep", transformation="hue").values[:3].tolist() == [0.5, 1, 1]
    assert cube.slope.dims == ("encoder", "transformation", "layer")
    assert set(cube.interaction.dims) == {"encoder", "transformation", "layer", "then"}
    assert np.isfinite(cube.interaction.sel(encoder="mine.py:deep", transformation="invert", then="hue", layer="1"))
    assert np.isnan(cube.interaction.sel(transformation="hue", then="hue")).all()
    scorer = SensitivityScorer(
        load_model("mine.py:deep"), layers=["model.0", "model.1"], transformations=["invert"], strengths=[0.5, 1],
        twins="clean", random_state=0,
    ).fit(load_images("photos", size=16))  # fmt: skip
    of_scorer = scorer.sensitivity_.sel(transformation="invert").values
    here = {"encoder": "mine.py:deep", "transformation": "invert", "layer": ["0", "1"]}
    np.testing.assert_allclose(cube.sensitivity.sel(here), of_scorer, rtol=1e-5)  # invert draws nothing
    assert all({"units", "long_name"} <= cube[name].attrs.keys() for name in cube.variables)
    assert cube.file.dims == ("image",)
    assert cube.file.values.tolist() == [f"{i:02}.png" for i in cube.image.values]
    said = capsys.readouterr().out
    main(["page", "mine.nc"])
    rows = Page(Path("mine.html").read_text()).table("encoder", "features")
    of_last = cube.features.sel(layer="(feature)", encoder="mine.py:deep").values.ravel()[0]
    assert [row["features"] for row in rows if row["encoder"] == "mine.py:deep"] == [of_last]
    last = cube.sensitivity.sel(encoder="mine.py:deep", transformation="hue", layer="(feature)", strength=1).item()
    assert f"{last:.3f}" in said
    assert "here: the last layer of each and the largest strength; the cube has all" in said
    # the other layers and strengths of a stopped command are not mixed with these
    with pytest.raises(SystemExit):
        measure("mine.py:deep", "--transformations", "invert", "--layers", "blocks")


def test_a_cell_more_when_interactions_are_asked_for_later(folder):
    names = ("--transformations", "invert", "hue")
    measure("mine.py:colours", *names)
    n_calls = count_calls(folder)
    measure("mine.py:colours", *names, "--interactions", "all")
    cube = xr.open_dataset("mine.nc")
    assert cube.kind.sel(transformation="invert", then="hue").item() != ""
    # a few images twice, and those of the first transformation only: as they are, alone and together with the second
    assert count_calls(folder) == n_calls + 4


@pytest.mark.filterwarnings("default")
def test_random_features_are_warned_of_by_name(folder, capsys):
    measure("mine.py:Random", "mine.py:pixels", "--transformations", "invert", "hue")
    warning = "measure: warning: encoder 'mine.py:Random', Random gives different features for the same images"
    said = capsys.readouterr().err
    assert said.count(warning) == said.count("warning") == 1


def test_interactions_that_a_cube_has_are_not_lost(folder, capsys):
    names = ("--transformations", "invert", "hue", "blur")
    measure("mine.py:colours", *names, "--interactions", "invert,hue", "invert,blur")
    before = (folder / "mine.nc").read_bytes()
    for later in ([], ["--interactions", "hue,invert"]):
        with pytest.raises(SystemExit):
            measure("mine.py:colours", *names, *later)
        message = "mine.nc holds the interactions invert,hue invert,blur, which this run does not have: ask for them,"
        assert message in capsys.readouterr().err
        assert (folder / "mine.nc").read_bytes() == before
    measure("mine.py:colours", *names, "--interactions", "all")  # more of them is no loss
    assert xr.open_dataset("mine.nc").kind.sel(transformation="hue", then="blur").item() != ""


def test_interactions_that_another_run_writes_meanwhile_are_not_lost(folder, monkeypatch):
    asked = {"models": ["mine.py:pixels"], "images": "photos", "path": "mine.nc", "size": 16}
    asked |= {"transformations": ["invert", "hue"]}
    measure_cell = measuring._Measurement.measure

    def be_overtaken(self, *arguments, **options):
        monkeypatch.setattr(measuring._Measurement, "measure", measure_cell)
        measure_models(**asked, interactions="all")
        return measure_cell(self, *arguments, **options)

    monkeypatch.setattr(measuring._Measurement, "measure", be_overtaken)
    with pytest.raises(ValueError, match="mine.nc holds the interactions invert,hue, which this run does not have"):
        measure_models(**asked)
    assert load_cube("mine.nc").kind.sel(transformation="invert", then="hue").item() != ""


def test_the_pairs_of_a_measurement_are_made_again(folder):
    measure("mine.py:pixels", "--transformations", "rotate", "noise", "--strengths", "0.25", "0.5", "--pairs", "5")
    cube = xr.open_dataset("mine.nc").load().isel(encoder=0)
    pairs, labels = make_pairs(cube, "photos")
    assert list(pairs) == ["rotate", "noise"]
    assert labels is None
    model = load_model("mine.py:pixels")
    for name, (images, twins) in pairs.items():
        first, second = (
            model(torch.tensor(np.stack(list(one))).permute(0, 3, 1, 2) / 255).flatten(1) for one in (images, twins)
        )
        own = torch.linalg.vector_norm(first - second, dim=1)
        np.testing.assert_allclose(own, cube.pair_distance.sel(transformation=name, strength=0.5), rtol=1e-4)


def test_the_seed_decides_which_images_are_shown_and_all_draws(folder):
    cubes = []
    for name, seed in (("a.nc", "1"), ("b.nc", "1"), ("c.nc", "2")):
        main(
            ["measure", "mine.py:pixels", "--images", "photos", "--size", "16", "--out", name, "--pairs", "5"]
            + ["--transformations", "rotate", "noise", "--seed", seed]
        )  # fmt: skip
        cubes.append(xr.open_dataset(name).load())
    first, again, other = (cube[["pair_distance", "sensitivity"]] for cube in cubes)
    xr.testing.assert_equal(first, again)
    assert first.image.values.tolist() != other.image.values.tolist()
    assert (first.sensitivity != other.sensitivity).all()
    pairs, _ = make_pairs(cubes[2].isel(encoder=0), "photos")
    own = [np.sqrt((((a - 0.0) - b) ** 2).sum()) / 255 for a, b in zip(*pairs["noise"], strict=True)]
    np.testing.assert_allclose(own, other.pair_distance.sel(transformation="noise")[0], rtol=1e-4)


@pytest.mark.filterwarnings("default")
def test_damaged_files_are_left_out_if_asked(folder, capsys):
    (folder / "photos" / "00.png").write_bytes(b"no picture")
    with pytest.raises(SystemExit):
        measure("mine.py:pixels", "--transformations", "hue")
    assert "photos/00.png cannot be read as an image" in capsys.readouterr().err
    measure("mine.py:pixels", "--transformations", "hue", "--skip-unreadable")
    assert "data holds 12 images, of which 1 cannot be read and are left out" in capsys.readouterr().err
    cube = xr.open_dataset("mine.nc").load()
    assert cube.sizes["image"] == 11
    assert "00.png" not in cube.file.values
    with pytest.warns(UserWarning, match="1 cannot be read"):
        pairs, _ = make_pairs(cube.isel(encoder=0), "photos")
    assert len(pairs["hue"][0]) == 11


@pytest.mark.filterwarnings("default")
def test_images_that_are_enlarged_are_warned_of(folder, capsys):
    command = ["measure", "mine.py:colours", "--images", "photos", "--transformations", "hue", "--out"]
    main([*command, "large.nc", "--size", "64"])
    warned = capsys.readouterr().err
    assert "warning: the first image has " in warned
    assert "pixels, and is blurred as it is enlarged to 64 x 64: a size of" in warned
    side = min(map(int, re.search(r"first image has (\d+) x (\d+) pixels", warned).groups()))
    assert f"a size of at most {side} does not enlarge it" in warned
    main([*command, "small.nc", "--size", str(side)])
    assert "enlarged" not in capsys.readouterr().err


def test_a_page_shows_the_images_that_are_moved_most(drawing_folder, capsys):
    pytest.importorskip("matplotlib")
    measure_models(["mine.py:pixels", "mine.py:colours"], "photos", "mine.nc", transformations=["hue"], size=16)
    main(["page", "mine.nc", "--images", "photos"])
    assert "photos: reading, and drawing those that each transformation moves most and least" in capsys.readouterr().out
    shown = Path("mine.html").read_text()
    assert shown.count("data:image/webp") == 2  # of each encoder; as such they take too much room in a drawing
    page = Page(shown)
    (row,) = [row for row in page.table("difference", "p, adjusted") if row["transformation"] == "hue"]
    cube = xr.open_dataset("mine.nc")
    found = compare_sensitivities(cube.pair_distance, cube.random_distance, "encoder", "mine.py:pixels")
    assert row["difference"].startswith(f"{found.difference.sel(transformation='hue').item():.3f} (")
    assert "Images that hue moves most and least, for mine.py:colours" in shown
    shutil.copytree("photos", "others")
    Image.new("RGB", (16, 16)).save("others/more.png")
    depth = str(Path(__file__).parents[1] / "data" / "cubes" / "depth.nc")
    for arguments, message in (
        (["mine.nc", "--images", "others"], "others holds other images than those that were measured, photos "),
        (["mine.nc", "--images", "nowhere"], "images is 'nowhere', expected an existing folder or file of arrays"),
        ([depth, "--images", "photos"], f"--images is for cubes of invtransfer measure, and {depth} is none"),
        (["mine.nc", "--study", "any.py"], "--study is for cubes of studies, and mine.nc is none"),
    ):
        with pytest.raises(SystemExit):
            main(["page", *arguments])
        assert message in capsys.readouterr().err
    assert Path("mine.html").read_text() == shown


def test_cubes_of_models_with_other_layers_merge(folder):
    more = ("--transformations", "invert", "hue", "--layers", "blocks", "--strengths", "1", "--interactions", "all")
    for name, models in {"deep": ["deep"], "maps": ["maps"], "both": ["deep", "maps"]}.items():
        models = [f"mine.py:{model}" for model in models]
        main(["measure", *models, *more, "--images", "photos", "--size", "16", "--out", f"{name}.nc"])
    both = xr.open_dataset("both.nc").load()
    for parts in (["deep.nc", "maps.nc"], ["both.nc", "maps.nc"]):  # also if a cube knows some of the cells
        main(["merge", *parts, "--out", "merged.nc"])
        merged = xr.open_dataset("merged.nc").load()
        assert merged.layer.values.tolist() == ["0", "1", "(feature)"]
        merged, expected = (one.drop_attrs(deep=False).transpose(*both.dims) for one in (merged, both))
        xr.testing.assert_identical(merged, expected)
        Path("merged.nc").unlink()


def test_the_page_of_models_that_all_failed_says_why(folder):
    with pytest.raises(SystemExit):
        measure("mine.py:Fails", "--transformations", "grayscale")
    main(["page", "mine.nc"])
    shown = Path("mine.html").read_text()
    assert "Nothing was measured." in shown
    assert "mine.py:Fails" in shown


def test_a_measurement_is_not_reproduced_cell_by_cell(folder, capsys):
    measure("mine.py:colours", "--transformations", "hue")
    with pytest.raises(SystemExit):
        main(["reproduce", "mine.nc", "--cell", "encoder=mine.py:colours,transformation=hue"])
    message = "mine.nc is a measurement: run its command again, with another --out, and compare"
    assert message in capsys.readouterr().err


def test_layers_are_called_as_in_the_model_and_may_be_called_as_in_messages(folder):
    for layer, out in (("0", "a.nc"), ("model.0", "b.nc")):
        main(["measure", "mine.py:deep", "--images", "photos", "--size", "16", "--transformations", "invert", "--layer",
              layer, "--out", out])  # fmt: skip
    one, other = (xr.open_dataset(out).load() for out in ("a.nc", "b.nc"))
    assert one.features.item() == other.features.item() == "output of 0, mean over places"
    assert one.sensitivity.item() == other.sensitivity.item()


def test_names_of_layers_that_are_not_there(folder, capsys):
    for wrong, message in (
        (
            ["--layers", "conv"],
            "mine.py:deep: layers holds 'conv', expected the name of a layer of Sequential (nearest: 0, 1)",
        ),
        (["--layers", "0", "--layer", "1"], "layer is '1' and layers is ['0'], expected one of them"),
        (["--strengths", "0"], "strengths is [0.0], expected numbers above 0 and up to 1"),
        (
            ["--interactions", "rotate+blur"],
            "--interactions has 'rotate+blur', expected pairs such as rotate,blur, or only all",
        ),
        (["--interactions", "rotate,blot"], "interactions holds 'blot', which is not among the transformations"),
    ):
        with pytest.raises(SystemExit):
            measure("mine.py:deep", *wrong)
        assert message in capsys.readouterr().err


def test_what_is_kept_for_all_transformations_changes_no_number(folder, monkeypatch):
    names = ("--transformations", "invert", "hue", "--distance", "mahalanobis")
    measure("mine.py:deep", *names)
    kept = xr.open_dataset("mine.nc").load()
    (folder / "mine.nc").unlink()
    shutil.rmtree("mine.cells")
    monkeypatch.setattr(measuring, "KEPT_BYTES", 0)
    measure("mine.py:deep", *names)
    anew = xr.open_dataset("mine.nc")
    np.testing.assert_array_equal(anew.pair_distance, kept.pair_distance)
    # one unit is the spread of the features: with few images, twins of 5 features are about sqrt(5) apart
    assert 0.2 < anew.pair_distance.mean() < 20
