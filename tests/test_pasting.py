import numpy as np
import pytest
import torch

from invtransfer.sources.pasting import centred_box, paste, place_objects, prepare_backgrounds, shift, write_pixels


def test_pasting_mixes_by_alpha():
    # alpha 0.4 of 1.0 over 200 / 255: 0.4 * 255 + 0.6 * 200 = 222
    objects = torch.tensor([1.0, 1.0, 1.0, 0.4]).view(1, 4, 1, 1)
    assert paste(objects, np.full((1, 3, 1, 1), 200, dtype=np.uint8)).tolist() == [[[[222, 222, 222]]]]


def test_pasting_on_floats_gives_floats_and_leaves_the_backgrounds():
    # alpha 0.25 of 1.0 over 0.5: 0.25 + 0.75 * 0.5 = 0.625
    objects = torch.tensor([1.0, 1.0, 1.0, 0.25]).view(1, 4, 1, 1)
    backgrounds = np.full((1, 3, 1, 1), 0.5, dtype=np.float32)
    pasted = paste(objects, backgrounds)
    assert pasted.dtype == np.float32
    assert pasted.tolist() == [[[[0.625, 0.625, 0.625]]]]
    assert (backgrounds == 0.5).all()


def test_pasting_writes_where_it_is_told(objects):
    backgrounds = np.random.default_rng(0).integers(256, size=(5, 3, 16, 16), dtype=np.uint8)
    placed = torch.from_numpy(place_objects(objects.images[:5], 16))
    out = np.zeros((7, 16, 16, 3), dtype=np.uint8)
    assert paste(placed, backgrounds, out=out[1:6]).base is out
    assert (out[1:6] == paste(placed, backgrounds)).all()
    assert not out[[0, 6]].any()


@pytest.mark.parametrize(
    ("size", "side", "left", "top", "pixels"),
    [
        (20, 0.7, 3, 3, 14),  # 0.7 * 20 = 14; (20 - 14) / 2 = 3
        (32, 0.7 * 0.55, 10, 10, 12),  # 12.32
        ((10, 16), 0.5, 5, 2, 5),  # of the smaller side; (16 - 5) // 2 = 5, (10 - 5) // 2 = 2
        (4, 0.01, 1, 1, 1),  # never less than a pixel
    ],
)
def test_objects_are_scaled_and_centred(size, side, left, top, pixels):
    height, width = np.broadcast_to(size, 2)
    assert centred_box((int(height), int(width)), side) == (left, top, pixels)
    placed = place_objects(np.full((2, 8, 8, 4), 255, dtype=np.uint8), size, side)
    expected = np.zeros((2, 4, height, width))
    expected[:, :, top : top + pixels, left : left + pixels] = 1
    assert (placed == expected).all()


def test_shifting_is_rolling_on_a_larger_canvas():
    objects = np.random.default_rng(0).random((40, 4, 5, 7), dtype=np.float32)
    offsets = np.stack(np.meshgrid(range(-4, 4), range(-2, 3)), axis=-1).reshape(-1, 2)
    padded = np.pad(objects, ((0, 0), (0, 0), (5, 5), (7, 7)))
    rolled = [np.roll(one, (down, right), (1, 2)) for one, (right, down) in zip(padded, offsets, strict=True)]
    before = objects.copy()
    assert (shift(torch.from_numpy(objects), offsets).numpy() == np.stack(rolled)[:, :, 5:-5, 7:-7]).all()
    assert (objects == before).all()


def test_pixels_are_written_with_the_channels_last():
    images = torch.arange(24.0).view(1, 3, 2, 4)
    out = np.empty((1, 2, 4, 3), dtype=np.uint8)
    write_pixels(images, out)
    assert (out == images.permute(0, 2, 3, 1).numpy()).all()


def test_backgrounds_are_resized_with_the_channels_first():
    # one row black, one white; floats are seen as levels: 0.2 * 255 = 51
    stripes = np.zeros((1, 2, 2, 3))
    stripes[:, 1] = 0.2
    prepared = prepare_backgrounds(stripes, 2)
    assert prepared.dtype == np.uint8
    assert prepared.tolist() == [[[[0, 0], [51, 51]]] * 3]
    assert prepare_backgrounds(stripes, 1).tolist() == [[[[26]]] * 3]  # the mean, 25.5, rounded
    assert prepare_backgrounds(None, 9).shape[1:] == (3, 9, 9)
    assert prepare_backgrounds("random", 9) is None


def test_bad_backgrounds_are_named():
    with pytest.raises(ValueError, match="backgrounds is 'procedral', expected images .*, 'random' or None"):
        prepare_backgrounds("procedral", 8)
    with pytest.raises(ValueError, match=r"backgrounds has shape \(3, 8, 8\)"):
        prepare_backgrounds(np.zeros((3, 8, 8)), 8)
