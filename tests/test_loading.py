import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from invtransfer.objects import load_backgrounds, load_objects


def test_procedural():
    objects = load_objects("procedural", size=32)
    assert objects.images.shape == (61, 32, 32, 4)
    objects.images[:] = 0  # a copy of the caller's own
    assert load_objects("procedural", size=32).images.any()


def test_random_patterns_are_uniform_opaque_and_seeded():
    first, same = load_objects("random", 22), load_objects("random", size=22, random_state=0)
    np.testing.assert_array_equal(first.images, same.images)
    assert (first.images[..., 3] == 255).all()
    # 61 x 22 x 22 x 3 = 88,572 values, about 346 in each of the 256 bins, with a standard deviation of about 19.
    counts = np.bincount(first.images[..., :3].ravel(), minlength=256)
    assert abs(counts - 346).max() < 5 * 19
    assert (load_objects("random", 22, random_state=1).images != first.images).any()
    assert len(np.unique(first.images.reshape(61, -1), axis=0)) == 61


@pytest.mark.parametrize("load", [load_objects, load_backgrounds])
@pytest.mark.parametrize(
    ("size", "error"), [(7, ValueError), (1025, ValueError), (True, TypeError), (32.0, TypeError), ("32", TypeError)]
)
def test_bad_size(load, size, error):
    with pytest.raises(error, match=rf"size is {size!r}, expected an int in \[8, 1024\]"):
        load(size=size)


def test_numpy_int_is_an_int():
    assert load_objects("random", size=np.int64(8)).images.shape[1] == 8


def test_bad_arguments():
    with pytest.raises(TypeError, match="source has type int, expected a str or a path"):
        load_objects(3)
    with pytest.raises(TypeError, match="source has type NoneType, expected a str or a path"):
        load_backgrounds(None)
    with pytest.raises(ValueError, match="random_state is -1, expected an int of at least 0"):
        load_objects("random", random_state=-1)
    with pytest.raises(TypeError, match="random_state is None, expected an int of at least 0"):
        load_objects("random", random_state=None)


def test_no_such_folder(tmp_path):
    with pytest.raises(
        FileNotFoundError, match='source is \'procedral\', expected "procedural", "random" or an existing'
    ):
        load_objects("procedral")
    with pytest.raises(FileNotFoundError, match="source is 'random', expected \"procedural\" or an existing folder"):
        load_backgrounds("random")


def test_objects_are_told_apart_by_a_linear_model():
    """Objects of 22 px in the middle of 32 px backgrounds, 40 for training and 10 others for the test of each."""
    objects, backgrounds = load_objects(size=22).images, load_backgrounds(size=32).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(backgrounds))

    def paste(some, n):
        rows = np.random.default_rng(1).choice(some, (len(objects), n))
        images = backgrounds[rows].copy()  # (61, n, 32, 32, 3)
        colours, alpha = objects[:, None, ..., :3], objects[:, None, ..., 3:] / np.float32(255)
        images[:, :, 5:27, 5:27] += alpha * (colours - images[:, :, 5:27, 5:27])
        return images.reshape(len(objects) * n, -1) / 255 - 0.5, np.repeat(np.arange(len(objects)), n)

    model = LogisticRegression(tol=1e-3).fit(*paste(order[:600], 40))
    assert model.score(*paste(order[600:], 10)) > 0.99
