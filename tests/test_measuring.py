"""The command ``invtransfer measure``: models and images of a person's own."""

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from invtransfer import SensitivityScorer, load_images, load_model, measuring
from invtransfer.__main__ import main
from invtransfer.measuring import measure_models

MODELS = """
import torch
from torch import nn

class Colours(nn.Module):
    def forward(self, images):
        return images.mean(dim=(2, 3))

def colours():
    return Colours()

def pixels():
    return nn.Flatten()

class Fails(nn.Module):
    def forward(self, images):
        if (images[:, 0] == images[:, 1]).all():
            raise RuntimeError("no grey images, please")
        return images.mean(dim=(2, 3))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
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


def measure(*arguments):
    main(["measure", *arguments, "--images", "photos", "--size", "16", "--out", "mine.nc"])


def test_the_numbers_are_those_of_the_scorer(folder, capsys):
    names = ["invert", "h_flip", "hue"]
    measure("mine.py:colours", "mine.py:pixels", "--transformations", *names)
    cube = xr.open_dataset("mine.nc")
    images = load_images("photos", size=16)
    for name in ("colours", "pixels"):
        model = load_model(f"mine.py:{name}")
        monitored = SensitivityScorer(model, layer="", transformations=names, twins="clean", random_state=0).fit(images)
        measured = cube.sel(model=f"mine.py:{name}")
        assert measured.sensitivity.values[0] == pytest.approx(monitored.sensitivity_.values[0], rel=1e-5)  # draws none
        assert measured.sensitivity.values == pytest.approx(monitored.sensitivity_.values, abs=0.2)
        assert (measured.sensitivity_low < measured.sensitivity_high).all()
    flips = cube.sensitivity.sel(transformation="h_flip").values
    assert flips[0] < 1e-3 < 0.5 < flips[1]
    assert (cube.different == 1).all()
    assert cube.sizes == {"model": 2, "transformation": 3, "image": 12}
    assert all({"units", "long_name"} <= cube[name].attrs.keys() for name in cube.data_vars)
    said = capsys.readouterr().out
    assert "of 12 images of photos, brought to 16 x 16" in said
    assert "mine.py:colours: size as it is, no normalisation; features: output of the module" in said
    assert (folder / "mine.png").stat().st_size > 10_000


def test_what_is_measured_is_not_measured_again(folder, monkeypatch):
    measured = []
    measure_cell = measuring.measure_cell

    def spy(**arguments):
        measured.append((arguments["model"], arguments["transformation"]))
        return measure_cell(**arguments)

    monkeypatch.setattr(measuring, "measure_cell", spy)
    measure("mine.py:colours", "--transformations", "invert")
    measure("mine.py:colours", "mine.py:pixels", "--transformations", "invert", "hue")
    assert len(measured) == len(set(measured)) == 4
    with pytest.raises(SystemExit):
        measure("mine.py:colours", "--transformations", "invert")  # the cube has more
    (folder / "mine.py").write_text(MODELS + "\n# another model\n")
    with pytest.raises(SystemExit):  # nothing of the first model is replaced
        measure("mine.py:colours", "--transformations", "invert", "--pairs", "5")
    assert len(measured) == 4


def test_a_model_that_fails_does_not_stop_the_others(folder, capsys):
    with pytest.raises(SystemExit):
        measure("mine.py:Fails", "mine.py:colours", "--transformations", "grayscale", "invert")
    cube = xr.open_dataset("mine.nc").sel(transformation="grayscale")
    assert cube.status.values.tolist() == [2, 1]
    said = capsys.readouterr()
    assert "no grey images, please" in said.err
    assert "1 of 4 measurements failed" in said.err
    assert "-" in said.out.split("grayscale")[1].splitlines()[0]


def test_images_as_they_are_are_encoded_once_for_a_model(folder, monkeypatch):
    n_encoded = []
    encode_pieces = measuring.encode_plain.__globals__["encode_pieces"]

    def spy(encoder, pieces, **options):
        for key, images in pieces:
            n_encoded.append(len(images))
            yield from encode_pieces(encoder, [(key, images)], **options)

    monkeypatch.setitem(measuring.encode_plain.__globals__, "encode_pieces", spy)
    measure("mine.py:colours", "--transformations", "invert", "hue", "noise")
    assert sum(n_encoded) == 12 * 4


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
        (["mine.py:colours", "--pairs", "1"], "pairs is 1, expected a whole number of at least 2"),
        (["mine.py:colours", "--size", "0"], "size is 0, expected a whole number from 1 to 4096"),
        (["mine.py:colours", "--device", "gpu"], "device is 'gpu'"),
        (["mine.py:colours", "--images", "holidays"], "holidays"),
        (["mine.py:colours", "--layer", "conv"], "layer is 'model.conv'"),
    ],
)
def test_bad_input_is_named_before_anything_is_measured(folder, capsys, arguments, message):
    with pytest.raises(SystemExit) as error:
        main(["measure", "--images", "photos", "--size", "16", "--out", "mine.nc", *arguments])
    assert error.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.strip().splitlines()) == 1
    assert not (folder / "mine.nc").exists()


def test_the_call_takes_what_the_command_takes(folder):
    cube = measure_models(["mine.py:pixels"], "photos", "mine.nc", transformations=["blur"], size=16, batch_size=3)
    assert cube.sensitivity.item() > 0
