"""The photometric transformations against arithmetic, colorsys, PIL, torchvision and scipy."""

import colorsys

import numpy as np
import pytest
import torch
from PIL import ImageEnhance, ImageOps
from reference_images import CONTENT, ROUNDED, SAME, assert_seen_alike, objects, whole_images, with_pil
from scipy import ndimage
from torchvision.transforms import functional as vision

from invtransfer.transformations import photometric


@pytest.mark.parametrize("kind", ["whole", "object"])
def test_hue_agrees_with_colorsys(kind):
    images = CONTENT[kind](4, 12, 12)
    images[0, :3, :2] = torch.tensor([0.0, 0.5, 1.0]).repeat(4)  # black, grey and white
    images[1, 0] = images[1, 1]  # two colours alike
    shift = [0.5, -0.5, 0.2, -0.37]
    expected = images.numpy().copy()
    for i, y, x in np.ndindex(4, 12, 12):
        h, s, v = colorsys.rgb_to_hsv(*expected[i, :3, y, x].tolist())
        expected[i, :3, y, x] = colorsys.hsv_to_rgb((h + shift[i]) % 1, s, v)
    # An error of 1e-7 turns in the hue is 6e-7 in a colour.
    np.testing.assert_allclose(photometric.hue(images, torch.tensor(shift)), expected, rtol=0, atol=3e-6)


def test_hue_of_primary_colours():
    # A third of the circle: red to green, green to blue, blue to red. Half of it: to the complement.
    images = torch.eye(3).view(1, 3, 1, 3)
    np.testing.assert_allclose(photometric.hue(images, torch.tensor([1 / 3]))[0, :, 0], np.eye(3)[[2, 0, 1]], atol=1e-6)
    np.testing.assert_allclose(photometric.hue(images, torch.tensor([0.5]))[0, :, 0], 1 - np.eye(3), atol=1e-6)


@pytest.mark.parametrize("kind", ["whole", "object"])
def test_hue_agrees_with_torchvision(kind):
    images = CONTENT[kind](1)
    expected = vision.adjust_hue(images[:, :3], 0.3)
    torch.testing.assert_close(photometric.hue(images, torch.tensor([0.3]))[:, :3], expected, rtol=0, atol=SAME)


@pytest.mark.parametrize("kind", ["whole", "object"])
def test_brightness_agrees_with_pil(kind):
    images = CONTENT[kind](4)
    factor = [0.0, 0.4, 1.3, 2.0]
    expected = with_pil(lambda image, f: ImageEnhance.Brightness(image).enhance(f), images, factor)
    changed = photometric.brightness(images, torch.tensor(factor))
    torch.testing.assert_close(changed, expected, rtol=0, atol=ROUNDED)


def test_brightness_by_hand():
    # 0.6 x 1.5 = 0.9; 0.8 x 1.5 = 1.2, cut off at 1.
    images = torch.tensor([0.2, 0.6, 0.8]).view(1, 3, 1, 1)
    np.testing.assert_allclose(
        photometric.brightness(images, torch.tensor([1.5])).flatten(), [0.3, 0.9, 1.0], atol=1e-6
    )


@pytest.mark.parametrize("kind", ["whole", "object"])
@pytest.mark.parametrize(
    ("name", "reference", "tolerance"),
    [
        ("grayscale", lambda image: image.convert("L").convert("RGB"), ROUNDED),
        ("posterize", lambda image: ImageOps.posterize(image, 1), 1e-6),
        ("invert", ImageOps.invert, 1e-6),
    ],
)
def test_switched_colours_agree_with_pil(name, reference, tolerance, kind):
    images = CONTENT[kind](4)
    applied = torch.tensor([True, False, True, True])
    changed = getattr(photometric, name)(images, applied)
    torch.testing.assert_close(changed[applied], with_pil(reference, images[applied]), rtol=0, atol=tolerance)
    assert torch.equal(changed[~applied], images[~applied])


def test_grayscale_by_hand():
    # 0.299 x 1 + 0.587 x 0.5 + 0.114 x 0 = 0.5925
    grey = photometric.grayscale(torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1, 1), torch.tensor([True]))
    np.testing.assert_allclose(grey.flatten(), [0.5925] * 3, atol=1e-6)


def test_posterize_keeps_the_highest_of_8_bits():
    images = (torch.arange(256) / 255).expand(1, 3, 1, 256)
    expected = [(value & 0b1000_0000) / 255 for value in range(256)]
    np.testing.assert_allclose(photometric.posterize(images, torch.tensor([True]))[0, 0, 0], expected, atol=1e-7)


@pytest.mark.parametrize("size", [(32, 32), (2, 9), (3, 3), (33, 47)])
def test_sharpen_agrees_with_torchvision(size):
    images = whole_images(3, *size)
    changed = photometric.sharpen(images, torch.tensor([True, False, True]))
    expected = torch.stack([vision.adjust_sharpness(image, f) for image, f in zip(images, [7, 1, 7], strict=True)])
    # Rounding is multiplied by the factor.
    torch.testing.assert_close(changed, expected, rtol=0, atol=SAME)


def test_sharpen_agrees_with_pil():
    images = whole_images(3)
    expected = with_pil(lambda image: ImageEnhance.Sharpness(image).enhance(7.0), images)
    # PIL rounds the smoothed image, which the blend multiplies by 1 - 7.
    changed = photometric.sharpen(images, torch.tensor([True] * 3))
    torch.testing.assert_close(changed, expected, rtol=0, atol=(6 * 0.5 + 1.01) / 255)


def test_sharpen_on_objects_agrees_with_scipy():
    images = objects(2)
    kernel = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13
    expected = images.numpy().astype(np.float64)
    for image in expected:
        alpha = np.maximum(ndimage.convolve(image[3], kernel), 1e-12)
        for colour in image[:3]:
            smooth = ndimage.convolve(colour * image[3], kernel) / alpha
            colour[1:-1, 1:-1] = (7 * colour - 6 * smooth).clip(0, 1)[1:-1, 1:-1]
    assert_seen_alike(photometric.sharpen(images, torch.tensor([True, True])), expected)


def test_sharpen_by_hand():
    # The centre's smoothed value is (5 x 0.5 + 8 x 0.4) / 13 = 5.7 / 13; 7 x 0.5 - 6 x 5.7 / 13 = 0.86923.
    images = torch.full((1, 3, 3, 3), 0.4)
    images[..., 1, 1] = 0.5
    sharp = photometric.sharpen(images, torch.tensor([True]))
    assert sharp[0, 0, 1, 1] == pytest.approx(0.86923, abs=1e-5)
    sharp[..., 1, 1] = 0.5
    assert torch.equal(sharp, images)
