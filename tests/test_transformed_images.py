import numpy as np
import pytest

from invtransfer import TRANSFORMATIONS, TransformedImages
from invtransfer.sources.transformed_images import transform_whole
from invtransfer.transformations import get_transformations


def test_float_images_stay_float(images):
    X, X_twin = TransformedImages(images / 255, transformations=["hue"]).twins(10)
    assert X.dtype == X_twin.dtype == np.float32
    uint8 = TransformedImages(images, transformations=["hue"]).sample(10)[0]
    assert np.abs(X * 255 - uint8).max() <= 0.501


def test_images_come_round_again_in_new_draws(images):
    X, y = TransformedImages(images, np.arange(40) * 10, ["rotate"]).sample(80)
    assert (y == np.tile(np.arange(40) * 10, 2)).all()
    assert (X[:40] != X[40:]).any()
    plain, _ = TransformedImages(images).sample(80)
    assert (plain[:40] == images).all()
    assert (plain[40:] == images).all()


def test_labels_of_another_length_are_named(images):
    with pytest.raises(ValueError, match=r"labels has shape \(3,\), expected \(40,\): one label per image"):
        TransformedImages(images, [1, 2, 3])


def test_read_only_images_of_one_pixel_are_transformed():
    X = np.full((3, 1, 1, 3), 100, "uint8")
    X.flags.writeable = False
    changed = transform_whole(X, [TRANSFORMATIONS["brightness"]], np.arange(3), random_state=0)
    assert changed.shape == X.shape


def test_what_was_checked_makes_the_same_source(images):
    chosen = get_transformations(["hue", "blur"])
    X, y = TransformedImages.from_checked(images, chosen, random_state=3).sample(50)
    X_checked, y_checked = TransformedImages(images, None, chosen, random_state=3).sample(50)
    assert (X_checked == X).all()
    assert (y == y_checked).all()
