"""The geometric transformations against arithmetic, PIL, torchvision, scipy and numpy."""

import numpy as np
import pytest
import torch
from PIL import Image
from reference_images import CONTENT, SAME, assert_seen_alike, from_pil, objects, premultiplied, to_pil, whole_images
from scipy import ndimage
from torchvision.transforms import functional as vision

from invtransfer.transformations import geometric


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


@pytest.mark.parametrize(("name", "axis"), [("v_flip", 2), ("h_flip", 3)])
@pytest.mark.parametrize("kind", ["whole", "object"])
def test_flips_agree_with_numpy(name, axis, kind):
    images = CONTENT[kind](3, 5, 8)
    flipped = getattr(geometric, name)(images, torch.tensor([True, False, True]))
    expected = images.numpy().copy()
    expected[[0, 2]] = np.flip(expected[[0, 2]], axis)
    np.testing.assert_array_equal(flipped, expected)


@pytest.mark.parametrize("kind", ["object", "whole image"])
def test_a_share_of_the_way_begins_where_the_image_is(kind):
    """An object away from the middle does not jump there first."""
    images = torch.zeros(1, 4 if kind == "object" else 3, 32, 32)
    images[0, :, 2:12, 3:9] = 1.0

    def corner(share):
        moved = geometric.translate(images, torch.tensor([[1.0, 0.9]]), share)
        return moved[0, -1].nonzero()[0].tolist()

    places = [corner(share) for share in (0.0, 0.01, 0.25, 0.5, 1.0)]
    assert places[:2] == [[2, 3], [2, 3]]
    assert places[-1] == corner(1.0)
    assert places == sorted(places)
    if kind == "object":
        assert places[3] == [11, 15]  # from (2, 3) half of the way to (20, 26)
