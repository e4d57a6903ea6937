"""The 18 transformations against arithmetic, PIL, torchvision, scipy and colorsys, and what all of them promise."""

import colorsys
import pickle
import re
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage
from torchvision.transforms import functional as vision

from invtransfer import transformations
from invtransfer.transformations import (
    TRANSFORMATIONS,
    Transformation,
    apply_transformations,
    corruption,
    geometric,
    get_transformations,
    photometric,
    to_tensors,
)

# Two float32 implementations of the same sum; sampling positions of about 16 px carry an error of about 2e-6 px.
SAME = 2e-5
# PIL rounds or truncates to 8 bits, some functions twice.
ROUNDED = 1.01 / 255
ROUNDED_TWICE = 2.01 / 255

NAMES = list(TRANSFORMATIONS)
PHOTOMETRIC = [name for name, t in TRANSFORMATIONS.items() if t.category == "photometric"]
SWITCHED = ["v_flip", "h_flip", "grayscale", "posterize", "invert", "sharpen"]
SWITCHED += ["noise", "pixelate", "elastic", "erasing"]
SIZES = [(1, 1), (1, 7), (7, 1), (2, 2), (5, 3), (33, 47)]

IDENTITY = {
    "rotate": {"angle": torch.zeros(4)},
    "scale": {"factor": torch.ones(4)},
    "shear": {"angles": torch.zeros(4, 2)},
    "hue": {"shift": torch.zeros(4)},
    "brightness": {"factor": torch.ones(4)},
    "blur": {"sigma": torch.zeros(4)},
    "contrast": {"factor": torch.ones(4)},
}


def whole_images(n=4, height=32, width=32, seed=0):
    """Smooth clouds of colour with a hard-edged rectangle and disc, in steps of 1/255."""
    rng = np.random.default_rng(seed)
    clouds = ndimage.gaussian_filter(rng.standard_normal((n, 3, height, width)), (0, 0, 3, 3), mode="wrap")
    images = 0.5 + 0.25 * clouds / (clouds.std() + 1e-9)
    y, x = np.mgrid[:height, :width]
    images[:, 0, height // 5 : height // 2, width // 6 : width // 2] = 0.9
    images[:, 1:, np.hypot(y - 0.6 * height, x - 0.6 * width) < height / 5] = 0.1
    return torch.from_numpy(np.round(255 * images.clip(0, 1)) / 255).float()


def objects(n=4, height=32, width=32, seed=0):
    """The same colours with the alpha of a soft-edged disc left of and above the centre; noise where invisible."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    distance = np.hypot((y - 0.45 * height) / height, (x - 0.4 * width) / width)
    alpha = np.round(255 * np.clip((0.3 - distance) * 12, 0, 1)) / 255
    images = np.empty((n, 4, height, width))
    images[:, :3] = whole_images(n, height, width, seed).numpy()
    images[:, 3] = alpha
    invisible = np.broadcast_to(alpha == 0, (n, 3, height, width))
    images[:, :3][invisible] = np.round(255 * rng.random(invisible.sum())) / 255
    return torch.from_numpy(images).float()


CONTENT = {"whole": whole_images, "object": objects}


def premultiplied(images):
    """Colour times alpha, and alpha: what is seen of an object. Whole images as they are."""
    images = np.asarray(images).astype(np.float64)
    if images.shape[1] == 4:
        images[:, :3] *= images[:, 3:]
    return images


def assert_seen_alike(images, expected, tolerance=SAME):
    np.testing.assert_allclose(premultiplied(images), premultiplied(expected), rtol=0, atol=tolerance)


def to_pil(image):
    return Image.fromarray(np.round(255 * image.permute(1, 2, 0).numpy()).astype(np.uint8))


def from_pil(images):
    return torch.from_numpy(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2) / 255.0


def with_pil(function, images, *rows):
    """Call `function` on the colours of each image as PIL sees it, keeping alpha."""
    changed = [function(to_pil(image[:3]), *values) for image, *values in zip(images, *rows, strict=True)]
    return torch.cat([from_pil(changed), images[:, 3:]], dim=1)


def draw(name, n=4, height=32, width=32, seed=0):
    """Parameters of which, where that is a matter of chance, some rows are applied and some not."""
    generator = np.random.default_rng(seed)
    parameters = TRANSFORMATIONS[name].draw(n, generator, (height, width))
    return to_tensors(parameters)


# Geometric


def test_translate_moves_the_box_of_an_object():
    # Two visible pixels side by side in a 3 x 4 image: 3 places in x and 3 in y. x = 0.5 is place floor(0.5 * 3) = 1,
    # y = 0.99 place floor(0.99 * 3) = 2.
    images = torch.zeros(1, 4, 3, 4)
    images[0, :, 0, 2] = 0.25
    images[0, :, 0, 3] = 0.75
    moved = geometric.translate(images, torch.tensor([[0.5, 0.99]]))
    expected = torch.zeros(3, 4)
    expected[2, 1], expected[2, 2] = 0.25, 0.75
    assert torch.equal(moved, expected.expand(1, 4, 3, 4))


def test_translate_of_a_whole_image_goes_up_to_30_percent():
    # A side of 10 shifts by -3 to 3: position 0 is -3, 0.5 is 0 and 1 is 3. Black comes in.
    row = torch.arange(1, 11) / 10.0
    images = row.expand(3, 3, 1, 10)
    moved = geometric.translate(images, torch.tensor([[0.0, 0.5], [0.5, 0.5], [1.0, 0.5]]))[:, 0, 0]
    np.testing.assert_allclose(moved[0], [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 0, 0, 0])
    np.testing.assert_allclose(moved[1], row)
    np.testing.assert_allclose(moved[2], [0, 0, 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])


@pytest.mark.parametrize("size", [(32, 32), (33, 47)])
def test_translate_agrees_with_pil(size):
    images = objects(20, *size)
    position = torch.from_numpy(np.random.default_rng(0).random((20, 2), dtype=np.float32))
    moved = geometric.translate(images, position)
    for image, result, (u, v) in zip(images, moved, position.tolist(), strict=True):
        picture = to_pil(image)
        left, top, right, bottom = picture.getchannel("A").getbbox()
        frame = Image.new("RGBA", picture.size)
        corner = (int(u * (size[1] - right + left + 1)), int(v * (size[0] - bottom + top + 1)))
        frame.paste(picture.crop((left, top, right, bottom)), corner)
        assert_seen_alike(result[None], from_pil([frame]), 1e-6)


def test_translate_reaches_all_places_alike():
    # A box of 2 in a row of 6 has 5 places; each gets a fifth of evenly spread positions.
    images = torch.zeros(1000, 4, 1, 6)
    images[:, :, :, 4:] = 1
    position = torch.stack([(torch.arange(1000) + 0.5) / 1000, torch.zeros(1000)], dim=1)
    left = geometric.translate(images, position)[:, 3, 0].argmax(1)
    assert torch.bincount(left).tolist() == [200] * 5


def test_translate_leaves_an_invisible_object_alone():
    images = torch.rand(2, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    images[:, 3] = 0
    assert torch.equal(geometric.translate(images, torch.tensor([[0.0, 0.0], [1.0, 1.0]])), images)


def test_rotate_is_counter_clockwise():
    # 1 2      2 4
    # 3 4  ->  1 3 at 90 degrees
    images = torch.tensor([[0.1, 0.2], [0.3, 0.4]]).expand(1, 3, 2, 2)
    turned = geometric.rotate(images, torch.tensor([90.0]))
    np.testing.assert_allclose(turned[0, 0], [[0.2, 0.4], [0.1, 0.3]], atol=1e-6)


ANGLES = [30.0, 123.0, 250.0, 359.0]
FACTORS = [0.4, 0.55, 0.8, 1.3]
SHEARS = [[50.0, 0.0], [0.0, -50.0], [35.0, 20.0], [-45.0, 40.0]]


@pytest.mark.parametrize("size", [(32, 32), (33, 47)])
@pytest.mark.parametrize("name", ["rotate", "scale", "shear"])
def test_affine_agrees_with_torchvision(name, size):
    images = whole_images(4, *size)
    values = {"rotate": ANGLES, "scale": FACTORS, "shear": SHEARS}[name]
    expected = []
    for image, value in zip(images, values, strict=True):
        arguments = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}
        # torchvision's affine turns clockwise.
        arguments["angle" if name == "rotate" else name] = -value if name == "rotate" else value
        expected.append(vision.affine(image, interpolation=vision.InterpolationMode.BILINEAR, **arguments))
        if name == "rotate":
            turned = vision.rotate(image, value, interpolation=vision.InterpolationMode.BILINEAR)
            torch.testing.assert_close(turned, expected[-1], rtol=0, atol=SAME)
    changed = getattr(geometric, name)(images, torch.tensor(values))
    # torchvision rounds the matrix and then the grid differently: 1e-5 px times the hardest edge.
    torch.testing.assert_close(changed, torch.stack(expected), rtol=0, atol=1e-4)


def inverse_matrix(name, value):
    """The 2 x 2 matrix from result to source, x first, worked out by numpy from the forward one."""
    if name == "rotate":
        c, s = np.cos(np.deg2rad(value)), np.sin(np.deg2rad(value))
        forward = np.array([[c, s], [-s, c]])
    elif name == "scale":
        forward = np.array([[value, 0], [0, value]])
    else:
        x, y = np.tan(np.deg2rad(value))
        forward = np.array([[1, 0], [-y, 1]]) @ np.array([[1, -x], [0, 1]])
    return np.linalg.inv(forward)


@pytest.mark.parametrize("size", [(32, 32), (33, 47)])
@pytest.mark.parametrize("kind", ["whole", "object"])
@pytest.mark.parametrize("name", ["rotate", "scale", "shear"])
def test_affine_agrees_with_scipy(name, kind, size):
    images = CONTENT[kind](4, *size)
    values = {"rotate": ANGLES, "scale": FACTORS, "shear": SHEARS}[name]
    changed = premultiplied(getattr(geometric, name)(images, torch.tensor(values)))
    centre = (np.array(size) - 1) / 2
    for result, source, value in zip(changed, premultiplied(images), values, strict=True):
        matrix = inverse_matrix(name, value)[::-1, ::-1]
        offset = centre - matrix @ centre
        expected = [ndimage.affine_transform(c, matrix, offset, order=1, mode="grid-constant") for c in source]
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["rotate", "scale", "shear"])
def test_affine_on_objects_agrees_with_pil(name):
    # PIL resamples RGBA with premultiplied alpha, in 8 bits on the way there and back.
    images = objects(4)
    values = {"rotate": ANGLES, "scale": FACTORS[:3] + [1.0], "shear": SHEARS}[name]
    expected = []
    for image, value in zip(images, values, strict=True):
        matrix = inverse_matrix(name, value)
        offset = 16 - matrix @ [16, 16]
        data = [*matrix[0], offset[0], *matrix[1], offset[1]]
        expected.append(to_pil(image).transform((32, 32), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR))
    changed = getattr(geometric, name)(images, torch.tensor(values))
    assert_seen_alike(changed, from_pil(expected), 3 / 255)


@pytest.mark.parametrize(("name", "axis"), [("v_flip", 2), ("h_flip", 3)])
@pytest.mark.parametrize("kind", ["whole", "object"])
def test_flips_agree_with_numpy(name, axis, kind):
    images = CONTENT[kind](3, 5, 8)
    flipped = getattr(geometric, name)(images, torch.tensor([True, False, True]))
    expected = images.numpy().copy()
    expected[[0, 2]] = np.flip(expected[[0, 2]], axis)
    np.testing.assert_array_equal(flipped, expected)


@pytest.mark.parametrize("name", ["rotate", "scale", "shear", "blur", "pixelate", "elastic", "sharpen"])
def test_invisible_colours_do_not_show(name):
    # The same object with black, white and noise where it is invisible.
    images = objects(1).repeat(3, 1, 1, 1)
    invisible = (images[0, 3] == 0).expand(3, 32, 32)
    images[1, :3][invisible] = 0
    images[2, :3][invisible] = 1
    parameters = {key: value[:1].expand(3, *value.shape[1:]) for key, value in draw(name, seed=3).items()}
    if "applied" in parameters:
        parameters = {**parameters, "applied": torch.ones(3, dtype=torch.bool)}
    seen = premultiplied(TRANSFORMATIONS[name].apply(images, **parameters))
    np.testing.assert_allclose(seen[1], seen[0], atol=1e-6)
    np.testing.assert_allclose(seen[2], seen[0], atol=1e-6)


@pytest.mark.parametrize("name", ["rotate", "scale", "shear", "blur", "pixelate", "elastic"])
def test_an_object_of_one_colour_keeps_it(name):
    # No fringe: whatever is visible afterwards is as orange as before.
    images = objects(4)
    orange = torch.tensor([1.0, 0.6, 0.2]).view(3, 1, 1)
    images[:, :3] = torch.where(images[:, 3:] > 0, orange, 0.0)
    changed = TRANSFORMATIONS[name].apply(images, **draw(name, seed=3))
    visible = changed[:, 3] > 1e-3
    np.testing.assert_allclose(
        changed[:, :3].movedim(1, 3)[visible], orange.view(1, 3).expand(visible.sum(), 3), atol=1e-4
    )


# Photometric


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


# Corruption


def test_blur_agrees_with_torchvision():
    images = whole_images(4)
    sigma = [0.1, 0.5, 1.0, 1.5]
    expected = [vision.gaussian_blur(image, [7, 7], [s, s]) for image, s in zip(images, sigma, strict=True)]
    torch.testing.assert_close(corruption.blur(images, torch.tensor(sigma)), torch.stack(expected), rtol=0, atol=SAME)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 64), (64, 100)])
@pytest.mark.parametrize("kind", ["whole", "object"])
def test_blur_agrees_with_scipy(kind, size):
    # Of a 7-px kernel at 32 px, the nearest odd kernels at 33 and 64 px (7.2 and 14) are 7 and 13 px.
    images = CONTENT[kind](2, *size)
    radius, pixel = {32: (3, 1), 33: (3, 33 / 32), 64: (6, 2)}[size[0]]
    blurred = premultiplied(corruption.blur(images, torch.tensor([0.6, 1.4])))
    for result, source, sigma in zip(blurred, premultiplied(images), [0.6, 1.4], strict=True):
        expected = ndimage.gaussian_filter(source, sigma * pixel, radius=radius, mode="mirror", axes=(1, 2))
        np.testing.assert_allclose(result, expected, rtol=0, atol=SAME)


@pytest.mark.parametrize("kind", ["whole", "object"])
def test_noise_agrees_with_numpy(kind):
    images = CONTENT[kind](4)
    parameters = draw("noise", seed=1)
    assert 0 < parameters["applied"].sum() < 4
    expected = images.numpy().copy()
    added = np.clip(parameters["field"].numpy(), 0, 1) * parameters["applied"].numpy()[:, None, None, None]
    expected[:, :3] = np.clip(expected[:, :3] + added, 0, 1)
    np.testing.assert_allclose(corruption.noise(images, **parameters), expected, atol=1e-7)


def test_noise_by_hand():
    # 0.5 - 2 -> nothing is taken away; 0.5 + 0.3 = 0.8; 0.5 + 3 -> 1.
    images = torch.full((1, 3, 1, 1), 0.5)
    noisy = corruption.noise(images, torch.tensor([True]), torch.tensor([-2.0, 0.3, 3.0]).view(1, 3, 1, 1))
    np.testing.assert_allclose(noisy.flatten(), [0.5, 0.8, 1.0], atol=1e-6)


@pytest.mark.parametrize("size", [(32, 32), (10, 14)])
@pytest.mark.parametrize("kind", ["whole", "object"])
def test_pixelate_agrees_with_pil(kind, size):
    images = CONTENT[kind](3, *size)
    applied = torch.tensor([True, False, True])
    changed = corruption.pixelate(images, applied)
    assert torch.equal(changed[1], images[1])
    half = (size[1] // 2, size[0] // 2)
    pictures = [to_pil(image).resize(half, Image.Resampling.BOX) for image in images[applied]]
    expected = from_pil([picture.resize(size[::-1], Image.Resampling.NEAREST) for picture in pictures])
    assert_seen_alike(changed[applied], expected, ROUNDED if kind == "whole" else ROUNDED_TWICE)


def test_pixelate_of_odd_sizes():
    # 1 2 3      mean(1, 2, 4, 5) = 3   mean(3, 6) = 4.5
    # 4 5 6
    # 7 8 9      mean(7, 8) = 7.5       9
    images = (torch.arange(1, 10) / 10.0).view(3, 3).expand(1, 3, 3, 3)
    coarse = corruption.pixelate(images, torch.tensor([True]))[0, 2] * 10
    np.testing.assert_allclose(coarse, [[3, 3, 4.5], [3, 3, 4.5], [7.5, 7.5, 9]], atol=1e-5)


def test_elastic_agrees_with_torchvision():
    images = whole_images(4)
    parameters = draw("elastic", seed=1)
    applied = parameters["applied"]
    assert 0 < applied.sum() < 4
    changed = corruption.elastic(images, **parameters)
    assert torch.equal(changed[~applied], images[~applied])
    smooth = vision.gaussian_blur(parameters["field"], [41, 41], [5.0, 5.0]) * 150 / 32
    expected = [
        vision.elastic_transform(image[None], displacement.permute(1, 2, 0)[None])
        for image, displacement in zip(images[applied], smooth[applied], strict=True)
    ]
    # The smoothed field is multiplied by 75, and so is its rounding.
    torch.testing.assert_close(changed[applied], torch.cat(expected), rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 48)])
@pytest.mark.parametrize("kind", ["whole", "object"])
def test_elastic_agrees_with_scipy(kind, size):
    images = CONTENT[kind](2, *size)
    field = 2 * np.random.default_rng(0).random((2, 2, *size), dtype=np.float32) - 1
    applied = torch.tensor([True, True])
    changed = premultiplied(corruption.elastic(images, applied, torch.from_numpy(field)))
    pixel = min(size) / 32
    smooth = ndimage.gaussian_filter(field, 5 * pixel, radius=int(20 * pixel), mode="mirror", axes=(2, 3))
    displacement = 75 * pixel**2 * smooth[:, ::-1]
    for result, source, shift in zip(changed, premultiplied(images), displacement, strict=True):
        where = np.indices(size) + shift
        expected = [ndimage.map_coordinates(c, where, order=1, mode="grid-constant") for c in source]
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("side", "pixels"), [(32, 2.4), (64, 4.8)])
def test_elastic_displaces_in_proportion_to_the_image(side, pixels):
    # A ramp from 0 to 1 shows where each pixel has looked. Away from the borders, where zeros come in.
    ramp = (torch.arange(side) / side).expand(100, 3, side, side)
    generator = np.random.default_rng(0)
    field = torch.from_numpy(2 * generator.random((100, 2, side, side), dtype=np.float32) - 1)
    changed = corruption.elastic(ramp, torch.ones(100, dtype=torch.bool), field)
    middle = slice(side // 3, -side // 3)
    displacement = side * (changed - ramp)[..., middle, middle]
    assert displacement.square().mean().sqrt() == pytest.approx(pixels, rel=0.1)


@pytest.mark.parametrize(("size", "side"), [((32, 32), 14), ((33, 47), 14), ((64, 64), 28), ((5, 3), 1)])
@pytest.mark.parametrize("kind", ["whole", "object"])
def test_erase_agrees_with_torchvision(kind, size, side):
    images = CONTENT[kind](4, *size)
    applied = torch.tensor([True, False, True, True])
    position = torch.tensor([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0], [0.61, 0.27]])
    changed = corruption.erase(images, applied, position)
    assert torch.equal(changed[1], images[1])
    for i in (0, 2, 3):
        places = np.array([size[1] - side + 1, size[0] - side + 1])
        left, top = np.minimum(position[i].numpy() * places, places - 1).astype(int)
        assert torch.equal(changed[i], vision.erase(images[i], top, left, side, side, torch.tensor(0.0)))


def test_contrast_agrees_with_pil():
    images = whole_images(4)
    factor = [0.0, 0.4, 1.3, 2.0]
    expected = with_pil(lambda image, f: ImageEnhance.Contrast(image).enhance(f), images, factor)
    # PIL rounds the grey values and their mean, then the blend.
    changed = corruption.contrast(images, torch.tensor(factor))
    torch.testing.assert_close(changed, expected, rtol=0, atol=ROUNDED_TWICE)


def test_contrast_on_objects_agrees_with_numpy():
    images = objects(4).double().numpy()
    factor = np.array([0.0, 0.4, 1.3, 2.0])
    expected = images.copy()
    for image, f in zip(expected, factor, strict=True):
        mean = np.average(np.tensordot([0.299, 0.587, 0.114], image[:3], 1), weights=image[3])
        image[:3] = np.clip(mean + f * (image[:3] - mean), 0, 1)
    changed = corruption.contrast(objects(4), torch.from_numpy(factor).float())
    np.testing.assert_allclose(changed, expected, rtol=0, atol=SAME)


def test_contrast_by_hand():
    # Greys 0.2 and 0.6, alpha 1 and 1/3: mean (0.2 + 0.2) / (4/3) = 0.3. Twice the distance: 0.1 and 0.9.
    images = torch.tensor([0.2, 0.6]).repeat(1, 4, 1, 1)
    images[0, 3, 0] = torch.tensor([1.0, 1 / 3])
    np.testing.assert_allclose(corruption.contrast(images, torch.tensor([2.0]))[0, 1, 0], [0.1, 0.9], atol=1e-6)


# What all promise


@pytest.mark.parametrize("kind", ["whole", "object"])
@pytest.mark.parametrize("name", [name for name in NAMES if name != "translate"])
def test_identity_parameters_change_nothing(name, kind):
    images = CONTENT[kind](4)
    parameters = IDENTITY.get(name) or {**draw(name), "applied": torch.zeros(4, dtype=torch.bool)}
    assert_seen_alike(TRANSFORMATIONS[name].apply(images, **parameters), images, 2e-6)


def test_identity_of_translate():
    assert torch.equal(geometric.translate(whole_images(), torch.full((4, 2), 0.5)), whole_images())


@pytest.mark.parametrize("kind", ["whole", "object"])
@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_its_images_one_by_one(name, kind):
    images = CONTENT[kind](6)
    parameters = draw(name, 6)
    changed = TRANSFORMATIONS[name].apply(images, **parameters)
    for i in range(6):
        alone = TRANSFORMATIONS[name].apply(images[i : i + 1], **{k: v[i : i + 1] for k, v in parameters.items()})
        # Matrix products and sums may add in another order.
        assert_seen_alike(alone, changed[i : i + 1], SAME)


@pytest.mark.parametrize("kind", ["whole", "object"])
@pytest.mark.parametrize("name", NAMES)
def test_the_argument_is_not_changed_and_a_replay_is_equal(name, kind):
    images = CONTENT[kind](6)
    parameters = draw(name, 6)
    before, drawn = images.clone(), {k: v.clone() for k, v in parameters.items()}
    once = TRANSFORMATIONS[name].apply(images, **parameters)
    twice = TRANSFORMATIONS[name].apply(images, **draw(name, 6))
    assert torch.equal(images, before)
    assert all(torch.equal(parameters[k], drawn[k]) for k in drawn)
    assert torch.equal(once, twice)
    assert not torch.equal(once, images)


@pytest.mark.parametrize("kind", ["whole", "object"])
@pytest.mark.parametrize("name", NAMES)
def test_memory_layout_does_not_matter(name, kind):
    images = CONTENT[kind](4)
    parameters = draw(name)
    permuted = images.contiguous(memory_format=torch.channels_last)
    changed = TRANSFORMATIONS[name].apply(permuted, **parameters)
    assert_seen_alike(changed, TRANSFORMATIONS[name].apply(images, **parameters))


@pytest.mark.parametrize("n", [0, 1, 5])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [3, 4])
def test_any_size_works(channels, size, n):
    images = torch.rand(n, channels, *size, generator=torch.Generator().manual_seed(0))
    for name in NAMES:
        changed = TRANSFORMATIONS[name].apply(images, **draw(name, n, *size))
        assert changed.shape == images.shape, name
        assert changed.dtype == torch.float32, name
        assert torch.all((changed >= 0) & (changed <= 1)), name  # false for NaN too


@pytest.mark.parametrize("name", NAMES)
def test_hard_images_stay_in_range(name):
    # Pure black and white, alpha from 0 to next to nothing to 1.
    generator = torch.Generator().manual_seed(0)
    images = (torch.rand(64, 4, 9, 9, generator=generator) > 0.5).float()
    images[:, 3] *= torch.rand(64, 1, 9, generator=generator) ** 20
    changed = TRANSFORMATIONS[name].apply(images, **draw(name, 64, 9, 9))
    assert torch.all((changed >= 0) & (changed <= 1))


@pytest.mark.parametrize("name", [*PHOTOMETRIC, "noise", "contrast"])
def test_alpha_is_untouched(name):
    images = objects(6)
    assert torch.equal(TRANSFORMATIONS[name].apply(images, **draw(name, 6))[:, 3], images[:, 3])


@pytest.mark.parametrize("name", NAMES)
def test_an_invisible_object_stays_invisible(name):
    images = torch.zeros(6, 4, 9, 9)
    assert torch.count_nonzero(TRANSFORMATIONS[name].apply(images, **draw(name, 6, 9, 9))[:, 3]) == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", ["whole", "object"])
@pytest.mark.parametrize("name", NAMES)
def test_cuda_agrees_with_cpu(name, kind):
    images = CONTENT[kind](6)
    parameters = TRANSFORMATIONS[name].draw(6, np.random.default_rng(0), (32, 32))
    chosen = [TRANSFORMATIONS[name]]
    on_cpu = apply_transformations(images, chosen, [parameters])
    on_cuda = apply_transformations(images.cuda(), chosen, [parameters])
    assert on_cuda.is_cuda
    assert_seen_alike(on_cuda.cpu(), on_cpu, 1e-4)


# Draws


@pytest.mark.parametrize(
    ("name", "parameter", "low", "high", "columns"),
    [
        ("translate", "position", 0, 1, 2),
        ("rotate", "angle", 0, 360, 1),
        ("scale", "factor", 0.4, 1, 1),
        ("shear", "angles", -50, 50, 2),
        ("hue", "shift", -0.5, 0.5, 1),
        ("brightness", "factor", 0, 2, 1),
        ("blur", "sigma", 0.1, 1.5, 1),
        ("erasing", "position", 0, 1, 2),
        ("contrast", "factor", 0, 2, 1),
    ],
)
def test_draws_are_uniform_in_the_range_of_the_paper(name, parameter, low, high, columns):
    values = TRANSFORMATIONS[name].draw(20_000, np.random.default_rng(0), (32, 32))[parameter]
    assert values.dtype == np.float32
    assert values.shape == ((20_000,) if columns == 1 else (20_000, columns))
    shares = (values.reshape(20_000, columns) - low) / (high - low)
    assert shares.min() > -1e-6
    assert shares.max() < 1 + 1e-6
    # Each tenth of the range holds 2,000 draws, with a standard deviation of 42.
    for column in shares.T:
        assert np.histogram(column, 10, (0, 1))[0] == pytest.approx(2000, abs=5 * 42)
    assert columns == 1 or abs(np.corrcoef(shares.T)[0, 1]) < 0.03


@pytest.mark.parametrize("name", SWITCHED)
def test_half_of_the_images_are_changed(name):
    applied = TRANSFORMATIONS[name].draw(20_000, np.random.default_rng(0), (1, 1))["applied"]
    assert applied.dtype == bool
    # The standard deviation of the mean of 20,000 is 0.0035.
    assert applied.mean() == pytest.approx(0.5, abs=5 * 0.0035)


@pytest.mark.parametrize(("name", "channels"), [("noise", 3), ("elastic", 2)])
def test_fields_are_drawn_where_they_are_applied(name, channels):
    parameters = TRANSFORMATIONS[name].draw(200, np.random.default_rng(0), (8, 12))
    assert parameters["field"].shape == (200, channels, 8, 12)
    assert parameters["field"].dtype == np.float32
    assert not parameters["field"][~parameters["applied"]].any()
    drawn = parameters["field"][parameters["applied"]]
    # About 20,000 numbers: the mean of normal ones is within 0.04 of 0. Uniform in [-1, 1] has variance 1/3.
    assert drawn.mean() == pytest.approx(0, abs=0.04)
    assert drawn.var() == pytest.approx({"noise": 1, "elastic": 1 / 3}[name], rel=0.05)
    assert name == "noise" or np.abs(drawn).max() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_draws_depend_on_the_generator_alone(name):
    one = TRANSFORMATIONS[name].draw(7, np.random.default_rng(3), (8, 8))
    np.random.default_rng().random(10)
    same = TRANSFORMATIONS[name].draw(7, np.random.default_rng(3), (8, 8))
    other = TRANSFORMATIONS[name].draw(7, np.random.default_rng(4), (8, 8))
    assert all(len(values) == 7 for values in one.values())
    assert all(np.array_equal(one[key], same[key]) for key in one)
    assert not all(np.array_equal(one[key], other[key]) for key in one)


# The table and the doors


def test_the_table_is_the_paper_s():
    expected = {
        "geometric": "translate rotate scale shear v_flip h_flip",
        "photometric": "hue brightness grayscale posterize invert sharpen",
        "corruption": "blur noise pixelate elastic erasing contrast",
    }
    assert " ".join(NAMES) == " ".join(expected.values())
    for category, names in expected.items():
        assert all(TRANSFORMATIONS[name].category == category for name in names.split())
    assert all(transformation.name == name for name, transformation in TRANSFORMATIONS.items())


def test_the_table_of_the_docstring_is_that_of_the_code():
    table = transformations.__doc__.split("\n\n")[1].splitlines()[3:-1]
    for line, (name, transformation) in zip(table, TRANSFORMATIONS.items(), strict=True):
        cells = re.split("  +", line)
        assert cells[:2] == [name, transformation.category]
        assert float(cells[-1]) == (0.5 if "applied" in draw(name) else 1)
        for limits in getattr(transformation.draw, "keywords", {}).values():
            low, high = np.ravel(limits)[:2]
            assert f"{low:g} to {high:g}" in cells[3]


@pytest.mark.parametrize("name", NAMES)
def test_transformations_survive_pickling(name):
    copy = pickle.loads(pickle.dumps(TRANSFORMATIONS[name]))
    drawn = copy.draw(4, np.random.default_rng(0), (32, 32))
    images = objects(4)
    expected = TRANSFORMATIONS[name].apply(images, **draw(name))
    assert torch.equal(copy.apply(images, **to_tensors(drawn)), expected)


def test_apply_in_the_order_given():
    # 0.8 inverted is 0.2, and half of it 0.1; half of 0.8 is 0.4, inverted 0.6.
    images = torch.full((1, 3, 1, 1), 0.8)
    invert, brightness = get_transformations(["invert", "brightness"])
    inverted, halved = {"applied": np.array([True])}, {"factor": np.array([0.5], dtype=np.float32)}
    one = apply_transformations(images, [invert, brightness], [inverted, halved])
    other = apply_transformations(images, [brightness, invert], [halved, inverted])
    np.testing.assert_allclose(one, torch.full((1, 3, 1, 1), 0.1), atol=1e-6)
    np.testing.assert_allclose(other, torch.full((1, 3, 1, 1), 0.6), atol=1e-6)


@pytest.mark.parametrize("n", [0, 1, 300])
def test_apply_in_blocks_is_apply(n):
    # More than the 64 images that are worked on at a time.
    images = objects(300)[:n]
    chosen = get_transformations(["translate", "hue", "noise"])
    generator = np.random.default_rng(0)
    parameters = [transformation.draw(n, generator, (32, 32)) for transformation in chosen]
    expected = images
    for transformation, drawn in zip(chosen, parameters, strict=True):
        expected = transformation.apply(expected, **to_tensors(drawn))
    assert torch.equal(apply_transformations(images, chosen, parameters), expected)


def test_apply_nothing_is_a_copy():
    images = objects()
    copy = apply_transformations(images, (), [])
    assert torch.equal(copy, images)
    assert copy.data_ptr() != images.data_ptr()


def test_get_transformations_accepts_names_and_one_s_own():
    gentle = Transformation("gentle", "geometric", partial(dict), geometric.rotate)
    chosen = get_transformations(iter(["blur", gentle, TRANSFORMATIONS["hue"]]))
    assert chosen == (TRANSFORMATIONS["blur"], gentle, TRANSFORMATIONS["hue"])
    assert get_transformations([]) == ()
    assert get_transformations(TRANSFORMATIONS) == tuple(TRANSFORMATIONS.values())


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (
            "rotate",
            TypeError,
            r"transformations is the string 'rotate', expected a list of names, such as \['rotate'\]",
        ),
        (None, TypeError, r"transformations is None, expected a list of names or Transformation objects"),
        (TRANSFORMATIONS["hue"], TypeError, r"transformations is Transformation\(name='hue'.*expected a list"),
        (["hue", 3], TypeError, r"transformations holds 3, expected names or Transformation objects"),
        (
            ["rotat"],
            ValueError,
            r"transformations holds 'rotat', .* did you mean 'rotate'\? Known are: translate, .* con",
        ),
        (["xyz"], ValueError, r"transformations holds 'xyz', which is not a known name\. Known are: translate, rotate"),
        (["hue", "blur", "hue"], ValueError, r"transformations holds 'hue' 2 times, expected each name once"),
        (["hue", TRANSFORMATIONS["hue"]], ValueError, r"transformations holds 'hue' 2 times, expected each name once"),
    ],
)
def test_get_transformations_says_what_is_wrong(names, error, message):
    with pytest.raises(error, match=message):
        get_transformations(names)


def test_apply_transformations_says_what_is_wrong():
    with pytest.raises(ValueError, match="parameters has 0 entries, expected 1: one per transformation"):
        apply_transformations(objects(), [TRANSFORMATIONS["hue"]], [])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": None}, "name is None, expected a string"),
        ({"category": 3}, "category is 3, expected a string"),
        ({"draw": "uniform"}, "draw is 'uniform', expected a function"),
        ({"apply": None}, "apply is None, expected a function"),
    ],
)
def test_transformations_of_your_own_are_checked(changed, message):
    rotate = TRANSFORMATIONS["rotate"]
    given = {"name": "own", "category": "own", "draw": rotate.draw, "apply": rotate.apply}
    with pytest.raises(TypeError, match=message):
        Transformation(**given | changed)


def test_a_single_number_is_no_list_of_transformations():
    with pytest.raises(TypeError, match=r"transformations is array\(2\), expected a list of names"):
        get_transformations(np.array(2))
