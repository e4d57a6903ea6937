"""The corruptions against arithmetic, PIL, torchvision, scipy and numpy."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from reference_images import (
    CONTENT,
    ROUNDED,
    ROUNDED_TWICE,
    SAME,
    assert_seen_alike,
    draw,
    from_pil,
    objects,
    premultiplied,
    to_pil,
    whole_images,
    with_pil,
)
from scipy import ndimage
from torchvision.transforms import functional as vision

from invtransfer.transformations import corruption
from invtransfer.transformations.draws import normal_fields, uniform_fields


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
    field = normal_fields(parameters["seed"].tolist(), (3, 32, 32))
    added = np.clip(field, 0, 1) * parameters["applied"].numpy()[:, None, None, None]
    expected[:, :3] = np.clip(expected[:, :3] + added, 0, 1)
    np.testing.assert_allclose(corruption.noise(images, **parameters), expected, atol=1e-7)


def test_noise_by_hand():
    # 0.5 - 2 -> nothing is taken away; 0.5 + 0.3 = 0.8; 0.5 + 3 -> 1.
    images = torch.full((1, 3, 1, 1), 0.5)
    noisy = corruption.add_noise(images, torch.tensor([-2.0, 0.3, 3.0]).view(1, 3, 1, 1))
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
    field = torch.from_numpy(uniform_fields(parameters["seed"].tolist(), (2, 32, 32)))
    smooth = vision.gaussian_blur(field, [41, 41], [5.0, 5.0]) * 150 / 32
    expected = [
        vision.elastic_transform(image[None], displacement.permute(1, 2, 0)[None])
        for image, displacement in zip(images[applied], smooth[applied], strict=True)
    ]
    # Displacements differ by up to 0.005 px in x and in y, and neighbouring pixels by up to 1.
    torch.testing.assert_close(changed[applied], torch.cat(expected), rtol=0, atol=0.01)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 48)])
@pytest.mark.parametrize("kind", ["whole", "object"])
def test_elastic_agrees_with_scipy(kind, size):
    images = CONTENT[kind](2, *size)
    field = 2 * np.random.default_rng(0).random((2, 2, *size), dtype=np.float32) - 1
    changed = premultiplied(corruption.displace(images, torch.from_numpy(field)))
    pixel = min(size) / 32
    smooth = ndimage.gaussian_filter(field, 5 * pixel, radius=int(20 * pixel), mode="mirror", axes=(2, 3))
    displacement = 75 * pixel**2 * smooth[:, ::-1]
    for result, source, shift in zip(changed, premultiplied(images), displacement, strict=True):
        where = np.indices(size) + shift
        expected = [ndimage.map_coordinates(c, where, order=1, mode="grid-constant") for c in source]
        np.testing.assert_allclose(result, expected, rtol=0, atol=0.01 * pixel)


@pytest.mark.parametrize("size", [2, 3, 5, 32, 47, 224])
def test_displacements_are_smoothed_as_by_scipy(size):
    field = 2 * np.random.default_rng(0).random((20, size), dtype=np.float32) - 1
    pixel = size / 32
    smoothing, interpolation = corruption._smoothing_matrices(size, 5 * pixel)
    exact = ndimage.gaussian_filter1d(field.astype(float), 5 * pixel, radius=int(20 * pixel), mode="mirror", axis=1)
    # In two dimensions a displacement is 75 * pixel**2 times the field, smoothed in both. Smoothed in one it is
    # sqrt(2 * sqrt(pi) * 5 * pixel) = 4.2 * sqrt(pixel) times as large as in two, and so is its error.
    displaced = 75 * pixel**2 / (4.2 * np.sqrt(pixel)) * (field @ smoothing.T @ interpolation.T - exact)
    assert abs(displaced).max() < 0.005 * pixel


@pytest.mark.parametrize("size", [(5, 5), (3, 9), (9, 9), (11, 7), (32, 32)])
def test_no_bit_of_a_distorted_image_depends_on_the_others(size):
    images, seed = whole_images(6, *size), torch.arange(6)
    together = corruption.elastic(images, torch.ones(6, dtype=torch.bool), seed)
    for i in range(6):
        assert torch.equal(corruption.elastic(images[i : i + 1], torch.tensor([True]), seed[i : i + 1])[0], together[i])


@pytest.mark.parametrize(("side", "pixels"), [(32, 2.4), (64, 4.8)])
def test_elastic_displaces_in_proportion_to_the_image(side, pixels):
    # A ramp from 0 to 1 shows where each pixel has looked. Away from the borders, where zeros come in.
    ramp = (torch.arange(side) / side).expand(100, 3, side, side)
    generator = np.random.default_rng(0)
    field = torch.from_numpy(2 * generator.random((100, 2, side, side), dtype=np.float32) - 1)
    changed = corruption.displace(ramp, field)
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


@pytest.mark.parametrize(("size", "radius"), [(32, 3), (64, 6), (224, 21), (9, 8)])
def test_the_matrix_of_a_gaussian_is_that_filter_of_the_identity(size, radius):
    """Tap k at pixel i meets pixel j where the identity, mirrored at its ends and unfolded, is 1."""
    sigma = torch.tensor([0.0, 0.3, 1.5, 5.0])
    taps = torch.arange(-radius, radius + 1.0)
    weights = torch.exp(-0.5 * (taps / sigma.clamp(min=1e-3)[:, None]) ** 2)
    weights = weights / weights.sum(1, keepdim=True)
    mirrored = torch.nn.functional.pad(torch.eye(size), (radius, radius), mode="reflect")
    expected = torch.einsum("nk,jik->nij", weights, mirrored.unfold(1, 2 * radius + 1, 1))
    torch.testing.assert_close(corruption.gaussian_matrix(sigma, radius, size), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [1, 2, 5, 32])
def test_kernels_may_be_longer_than_the_image(size):
    """They are mirrored again and again, as SciPy does."""
    line = np.random.default_rng(0).random(size)
    matrix = corruption.gaussian_matrix(torch.tensor([20.0], dtype=torch.float64), 80, size)[0]
    expected = ndimage.gaussian_filter1d(line, 20.0, mode="mirror", truncate=4.0)
    assert (matrix.numpy() @ line) == pytest.approx(expected, abs=1e-9)
    smoothing, interpolation = corruption._smoothing_matrices(size, 20.0)
    assert (interpolation @ (smoothing @ line)) == pytest.approx(expected, abs=2e-3)
