import numpy as np
import pytest
import torch

from invtransfer import TRANSFORMATIONS, Transforms2D
from invtransfer.objects import Objects
from invtransfer.sources.blocks import BLOCK, draw_rows
from invtransfer.sources.pasting import place_objects


def red_square(side=10):
    """One opaque red object that fills its image."""
    image = np.zeros((1, side, side, 4), dtype=np.uint8)
    image[..., 0] = image[..., 3] = 255
    return Objects(image, ("square",))


def test_an_object_is_scaled_to_seven_tenths_and_centred():
    # 0.7 * 20 = 14 pixels, so 3 pixels of background on each side: 14 * 14 = 196 red ones
    backgrounds = np.full((1, 20, 20, 3), 100, dtype=np.uint8)
    X, y = Transforms2D(red_square(), backgrounds=backgrounds, image_size=20).sample(3)
    red = (X == [255, 0, 0]).all(axis=3)
    assert red.sum(axis=(1, 2)).tolist() == [196] * 3
    assert red[0, 3:17, 3:17].all()
    assert (X[~red] == 100).all()
    assert y.tolist() == [0, 0, 0]


def test_sources_of_other_transformations_show_the_same_objects_on_the_same_backgrounds(objects):
    plain, y = Transforms2D(objects, random_state=2).sample(50)
    turned, y_turned = Transforms2D(objects, ["invert"], random_state=2).sample(50)
    assert (y == y_turned).all()
    assert (plain[:, 0] == turned[:, 0]).all()  # the topmost row is background
    assert (plain != turned).any()


def test_random_states_differ(objects):
    one, other = (Transforms2D(objects, random_state=seed).sample(50) for seed in (0, 1))
    assert (one[1] != other[1]).any()
    assert (one[0] != other[0]).any()


def test_objects_and_backgrounds_are_drawn_uniformly(objects):
    _, y = Transforms2D(objects[:10], image_size=4).sample(5000)
    counts = np.bincount(y, minlength=10)
    assert abs(counts - 500).max() < 4 * np.sqrt(450)  # binomial: std is sqrt(5000 * 0.1 * 0.9) = 21


def test_twins_differ_by_the_named_transformation_only(objects):
    source = Transforms2D(objects, ["rotate"], random_state=4)
    X, X_twin = source.twins(60, transformations=["grayscale"])
    plain, _ = source.sample(60, transformations=())
    grey, _ = source.sample(60, transformations=["grayscale"])
    assert (grey == X).all()
    same_as_plain = (plain == X).all(axis=(1, 2, 3))  # half of the draws do nothing
    assert 15 < same_as_plain.sum() < 45
    assert (X_twin != X).any(axis=(1, 2, 3)).sum() > 15
    assert (X[:, 0] == X_twin[:, 0]).all()


def test_twins_without_transformations_are_equal(objects):
    X, X_twin = Transforms2D(objects, random_state=4).twins(20)
    assert (X_twin == X).all()


def test_a_draw_can_be_replayed(objects):
    rotate = TRANSFORMATIONS["rotate"]
    source = Transforms2D(objects, ["rotate"], random_state=8)
    X, y = source.sample(5, start=BLOCK - 2)
    indices = np.arange(BLOCK - 2, BLOCK + 3)
    angles = draw_rows(rotate, indices, (32, 32), random_state=8)["angle"]
    placed = torch.from_numpy(place_objects(objects.images, 32))[torch.from_numpy(y)]
    turned = rotate.apply(placed, angle=torch.from_numpy(angles))
    opaque = (turned[:, 3] == 1).numpy()
    assert np.abs(X[opaque] - (turned[:, :3] * 255).round().permute(0, 2, 3, 1).numpy()[opaque]).max() == 0


def test_random_backgrounds_are_fresh_and_uniform():
    X, _ = Transforms2D(red_square(), backgrounds="random", image_size=20).sample(100)
    corner = X[:, 0, :].astype(float)
    assert corner.mean() == pytest.approx(127.5, abs=3)
    assert len(np.unique(corner.reshape(100, -1), axis=0)) == 100


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"objects": np.zeros((1, 8, 8, 4), "uint8")}, TypeError, "objects is of type ndarray, expected Objects"),
        ({"transformations": ["rotat"]}, ValueError, "rotat.*rotate"),
        ({"image_size": 0}, ValueError, "image_size is 0, expected a whole number from 2"),
        ({"random_state": -1}, ValueError, "random_state is -1, expected a whole number of at least 0"),
        ({"random_state": None}, ValueError, "random_state is None, expected a whole number"),
        ({"backgrounds": "procedral"}, ValueError, "backgrounds is 'procedral', expected images"),
        ({"backgrounds": np.zeros((3, 8, 8))}, ValueError, r"backgrounds has shape \(3, 8, 8\)"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        Transforms2D(**({"objects": red_square()} | arguments))
