import numpy as np

from invtransfer.objects.landscapes import draw_backgrounds


def test_number_and_type():
    images = draw_backgrounds(32)
    assert images.shape == (867, 32, 32, 3)
    assert images.dtype == np.uint8
    assert not images.flags.writeable


def test_drawing_again_gives_the_same():
    first = draw_backgrounds(16)
    draw_backgrounds.cache_clear()
    np.testing.assert_array_equal(draw_backgrounds(16), first)


def test_same_picture_at_two_sizes():
    large = draw_backgrounds(32).astype(float).reshape(867, 16, 2, 16, 2, 3).mean((2, 4))
    difference = abs(large - draw_backgrounds(16)).mean((1, 2, 3))
    assert difference.mean() < 3  # of 255
    assert difference.max() < 10


def test_pictures_are_varied():
    """A picture's nearest neighbour is farther than the picture is from itself at another size."""
    flat = draw_backgrounds(16).reshape(867, -1).astype(np.float32)
    square = (flat**2).sum(1)
    distance = np.maximum(square[:, None] + square - 2 * flat @ flat.T, 0) / flat.shape[1]
    np.fill_diagonal(distance, np.inf)
    assert np.sqrt(distance.min(1)).min() > 4
    assert np.median(np.sqrt(distance.min(1))) > 12


def test_colours_use_the_range():
    images = draw_backgrounds(32)
    assert (np.quantile(images, 0.02, axis=(0, 1, 2)) < 60).all()
    assert (np.quantile(images, 0.98, axis=(0, 1, 2)) > 200).all()
    assert images.std((1, 2, 3)).min() > 4  # no empty picture


def test_the_sky_is_above():
    brightness = draw_backgrounds(32).mean((0, 2, 3))
    assert brightness[:10].mean() > brightness[-10:].mean() + 20
