import numpy as np
import pytest

from invtransfer.objects.drawing import Canvas
from invtransfer.objects.things import OBJECTS, draw_objects


@pytest.fixture(scope="module")
def sheets():
    """The drawings from which `draw_objects` makes images of up to 64 pixels."""
    sheets = {name: Canvas(256) for name in OBJECTS}
    for name, draw in OBJECTS.items():
        draw(sheets[name])
    return sheets


@pytest.fixture(scope="module")
def images(sheets):
    return np.stack([sheet.image(64) for sheet in sheets.values()])


@pytest.fixture(scope="module")
def masks(images):
    return images[..., 3] > 127


def test_sixty_one_objects_and_drawing_again_gives_the_same(sheets):
    images = draw_objects(32)
    assert len(OBJECTS) == 61
    assert images.shape == (61, 32, 32, 4)
    assert images.dtype == np.uint8
    assert not images.flags.writeable
    np.testing.assert_array_equal(images, [sheet.image(32) for sheet in sheets.values()])


def test_smallest_size():
    assert (draw_objects(8)[..., 3] > 127).sum((1, 2)).min() >= 6  # of 64 pixels


def test_objects_fill_the_square_and_are_centred(masks):
    for mask, name in zip(masks, OBJECTS, strict=True):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        spans = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
        assert 0.84 * 64 <= max(spans) <= 64, name
        assert abs(rows[0] + rows[-1] - 63) <= 9, name  # twice the distance of the middles
        assert abs(columns[0] + columns[-1] - 63) <= 9, name


def test_nothing_is_cut_off_at_the_border_of_the_sheet(sheets):
    for name, sheet in sheets.items():
        for edge in (np.s_[:1], np.s_[-1:], np.s_[:, :1], np.s_[:, -1:]):
            assert not sheet._alpha[edge].any(), name


def test_same_picture_at_two_sizes():
    large = draw_objects(96).astype(float)  # from a larger sheet than 32
    alpha = large[..., 3:] / 255
    large = np.concatenate([large[..., :3] * alpha, large[..., 3:]], 3).reshape(61, 32, 3, 32, 3, 4).mean((2, 4))
    small = draw_objects(32).astype(float)
    small[..., :3] *= small[..., 3:] / 255
    # The means of 3 x 3 pixels: another filter, so that edges differ a little.
    assert abs(large - small).mean((1, 2, 3)).max() < 4


def test_silhouettes_differ(masks):
    flat = masks.reshape(61, -1).astype(int)
    both = flat @ flat.T
    area = flat.sum(1)
    iou = (both / (area[:, None] + area - both))[np.triu_indices(61, 1)]
    assert iou.max() < 0.9
    assert (iou < 0.75).mean() > 0.98


def test_no_object_is_symmetric_in_colour(images):
    images = images.astype(float)
    images[..., :3] *= images[..., 3:] / 255
    for other in (images[:, :, ::-1], images[:, ::-1], np.rot90(images, axes=(1, 2))):
        assert abs(images - other).mean((1, 2, 3)).min() > 2
