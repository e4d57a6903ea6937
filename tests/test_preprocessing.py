"""Resizing, cropping and normalising in front of a model, held against torchvision's transforms of PIL images."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from invtransfer.encoders.libraries import read_data_config, read_image_processor
from invtransfer.encoders.preprocessing import Preprocessing

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# far from black and white, where PIL cuts off what bicubic interpolation overshoots between its two passes
PHOTO = np.random.default_rng(0).integers(64, 192, size=(45, 64, 3), dtype=np.uint8)


def as_tensor(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("resize", "size"), [(30, 21), (80, 64), ((30, 20), (30, 20)), (21, 40)])
@pytest.mark.parametrize("photo", [PHOTO, PHOTO.transpose(1, 0, 2)], ids=["wide", "high"])
def test_what_torchvision_does_with_a_pil_image(photo, resize, size, interpolation):
    size = size if isinstance(size, tuple) else (size, size)
    reference = transforms.Compose(
        [
            transforms.Resize(resize, InterpolationMode(interpolation)),
            transforms.CenterCrop(size),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )(Image.fromarray(photo))
    ours = Preprocessing(size=size, resize=resize, mean=MEAN, std=STD, interpolation=interpolation)
    assert ours(as_tensor(photo)).shape == (1, 3, *size)
    # PIL rounds to 8 bits after each of two passes, each by at most half a level, which bicubic weights enlarge
    tolerance = 2 / 255 / min(STD)
    torch.testing.assert_close(ours(as_tensor(photo))[0], reference, atol=tolerance, rtol=0)


def test_nearest_takes_the_pixels_that_pil_takes():
    # centres at odd multiples of 45 / 32 and of 1, so that none is rounded to the other side of a border of pixels
    resized = Image.fromarray(PHOTO).resize((32, 16), Image.Resampling.NEAREST)
    ours = Preprocessing(resize=(16, 32), interpolation="nearest")(as_tensor(PHOTO))
    assert torch.equal(ours, as_tensor(resized) / 255)


def test_images_of_that_size_are_only_normalised():
    images = as_tensor(PHOTO[:, :45]).float() / 255
    assert torch.equal(Preprocessing(size=(45, 45), resize=45)(images), images)
    assert torch.equal(Preprocessing()(images), images)
    normalised = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))(torch.full((1, 3, 1, 1), 0.75))
    assert normalised.ravel().tolist() == [1, 1, 1]  # (0.75 - 0.5) / 0.25


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_images_keep_their_dtype(dtype):
    images = torch.rand(2, 3, 20, 30, generator=torch.Generator().manual_seed(0)).to(dtype)
    preprocessing = Preprocessing(size=(16, 16), resize=16, mean=MEAN, std=STD)
    assert preprocessing(images).dtype == dtype
    expected = preprocessing(images.float()).double()  # a half has 8 bits at least: values up to 2.7 are off by 0.01
    torch.testing.assert_close(preprocessing(images).double(), expected, atol=0.05, rtol=0)


def test_bicubic_stays_in_range():
    step = torch.zeros(1, 3, 8, 8)
    step[..., 4:] = 1
    resized = Preprocessing(resize=32, interpolation="bicubic")(step)
    assert (resized.min(), resized.max()) == (0, 1)


def test_smaller_images_get_a_black_border():
    assert Preprocessing(size=(2, 4))(torch.ones(1, 1, 3, 1))[0, 0].tolist() == [[0, 1, 0, 0], [0, 1, 0, 0]]


def test_another_size_shows_as_large_a_part():
    preprocessing = Preprocessing(size=(224, 224), resize=256, mean=MEAN, std=STD).at_size(112)
    assert (preprocessing.size, preprocessing.resize) == ((112, 112), 128)
    squashed = Preprocessing(size=(100, 200), resize=(110, 220)).at_size(50)
    assert (squashed.size, squashed.resize) == ((50, 50), (55, 55))
    assert Preprocessing(mean=MEAN, std=STD).at_size(50).resize == 50
    assert (preprocessing.mean, preprocessing.std) == (MEAN, STD)


def test_description():
    assert Preprocessing().description == "size as it is, no normalisation added"
    assert repr(Preprocessing(size=(8, 9), resize=(8, 9), mean=MEAN, std=STD, interpolation="bicubic")) == (
        "Preprocessing(resized to 8 x 9 (bicubic), centre 8 x 9, mean (0.485, 0.456, 0.406), std (0.229, 0.224, 0.225))"
    )


TIMM = {"input_size": (3, 224, 224), "crop_pct": 0.95, "crop_mode": "center", "interpolation": "bicubic"}
TIMM |= {"mean": MEAN, "std": STD}


def test_data_config_of_timm():
    preprocessing = read_data_config(TIMM)
    assert (preprocessing.resize, preprocessing.size) == (235, (224, 224))  # 224 / 0.95 = 235.8
    assert (preprocessing.mean, preprocessing.interpolation) == (MEAN, "bicubic")
    squashed = read_data_config(TIMM | {"input_size": (3, 90, 190), "crop_mode": "squash", "crop_pct": 1.0})
    assert (squashed.resize, squashed.size) == ((90, 190), (90, 190))


@pytest.mark.parametrize("change", [{"crop_mode": "border"}, {"input_size": (1, 8, 8)}, {"input_size": (3, 8, 9)}])
def test_data_config_that_is_not_supported(change):
    with pytest.raises(ValueError, match=r"the model takes \d x .*, expected 3 channels, and a square or"):
        read_data_config(TIMM | change)


HF = {"do_resize": True, "size": {"shortest_edge": 256}, "resample": 3, "do_rescale": True, "rescale_factor": 1 / 255}
HF |= {"do_normalize": True, "image_mean": MEAN, "image_std": STD}
CROP = {"do_center_crop": True, "crop_size": {"height": 224, "width": 220}}


@pytest.mark.parametrize(
    ("changes", "resize", "size"),
    [
        (CROP, 256, (224, 220)),
        ({}, 256, None),
        ({"size": {"height": 30, "width": 40}}, (30, 40), (30, 40)),
        ({"size": {"height": 30, "width": 40, "shortest_edge": None}} | CROP, (30, 40), (224, 220)),
        ({"do_resize": False} | CROP, None, (224, 220)),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, 256, (224, 224)),  # ConvNeXt: 224 / 0.875
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, (384, 384), (384, 384)),  # ConvNeXt does not crop these
        ({"crop_pct": 0.5} | CROP, 512, (224, 220)),
        ({"size": {"height": 30, "width": 40}, "crop_pct": 0.5}, (60, 80), (30, 40)),
    ],
)
def test_sizes_of_an_image_processor(changes, resize, size):
    preprocessing = read_image_processor(HF | changes)
    assert (preprocessing.resize, preprocessing.size) == (resize, size)


def test_normalisation_of_an_image_processor():
    assert read_image_processor(HF).mean == MEAN
    assert read_image_processor(HF | {"do_normalize": False}).std == (1, 1, 1)
    # values in [0, 2], from which 1 is subtracted, are those in [0, 1] less 0.5, times 2
    doubled = HF | {"rescale_factor": 2 / 255, "image_mean": [1, 1, 1], "image_std": [1, 1, 1]}
    assert (read_image_processor(doubled).mean, read_image_processor(doubled).std) == ((0.5,) * 3, (0.5,) * 3)
    levels = HF | {"do_rescale": False, "image_mean": [51] * 3, "image_std": [255] * 3}
    assert (read_image_processor(levels).mean, read_image_processor(levels).std) == ((0.2,) * 3, (1,) * 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"do_pad": True, "do_flip_channel_order": True}, "has do_flip_channel_order, do_pad, which is not supported"),
        ({"include_top": True}, "has include_top, which"),
        ({"resample": 4}, "has resample=4, expected one of: 0, 1, 2, 3"),
        ({"size": {"longest_edge": 512}}, r"has size=\{'longest_edge': 512\}, expected shortest_edge, or height and"),
        ({"do_center_crop": True}, "has crop_size="),
    ],
)
def test_image_processor_that_is_not_supported(change, message):
    with pytest.raises(ValueError, match=f"the image processor {message}"):
        read_image_processor(HF | change)
