import numpy as np
import pytest
import torch

from invtransfer import TRANSFORMATIONS, ObjectsOnImages, TransformedImages, Transforms2D
from invtransfer.sources.blocks import BLOCK, draw_rows


@pytest.mark.parametrize("kind", ["objects", "images", "both"])
@pytest.mark.parametrize("names", [[], ["rotate", "noise", "elastic"], ["translate", "hue", "erasing"]])
def test_a_sample_depends_on_its_index_alone(kind, names, objects, images):
    def make():
        if kind == "objects":
            return Transforms2D(objects[:7], names, image_size=16, random_state=5)
        if kind == "both":
            shares = {"correlation": 0.5, "availability": 0.5}
            return ObjectsOnImages(objects[:7], images, np.arange(40) % 7, names, **shares, random_state=5)
        return TransformedImages(images, transformations=names, random_state=5)

    X, y = make().sample(2 * BLOCK + 30)
    for start, n in [(0, 10), (BLOCK - 3, 7), (100, 300), (2 * BLOCK, 30), (77, 1)]:
        X_part, y_part = make().sample(n, start=start)
        assert (X_part == X[start : start + n]).all()
        assert (y_part == y[start : start + n]).all()


def test_threads_do_not_change_a_pixel(objects):
    before = torch.get_num_threads()
    source = Transforms2D(objects[:7], list(TRANSFORMATIONS), random_state=1)
    try:
        torch.set_num_threads(1)
        one, _ = source.sample(300)
        torch.set_num_threads(2)
        two, _ = source.sample(300)
    finally:
        torch.set_num_threads(before)
    assert (one == two).all()


def test_no_global_generator_is_read_or_written(objects):
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    Transforms2D(objects[:7], list(TRANSFORMATIONS), random_state=1).sample(20)
    assert (torch.random.get_rng_state() == torch_state).all()
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


def test_first_twins_are_the_samples(source):
    X, X_twin = source.twins(20, start=250)
    assert (source.sample(20, start=250)[0] == X).all()
    assert (X_twin != X).any()


def test_rows_of_any_order():
    noise = TRANSFORMATIONS["noise"]
    indices = np.array([300, 2, 1000, 2])
    rows = draw_rows(noise, indices, (4, 4), random_state=0)
    for i, index in enumerate(indices):
        alone = draw_rows(noise, np.array([index]), (4, 4), random_state=0)
        assert all((rows[name][i] == alone[name][0]).all() for name in alone)


@pytest.mark.parametrize(
    ("n", "start", "message"),
    [
        (0, 0, "n is 0"),
        (-5, 0, "n is -5"),
        (3, -1, "start is -1"),
        (10**12, 0, "n is 1000000000000: that many images take 768,000,000,000,000 bytes, expected at most 1,099,"),
        (1, 2**63, "start is 9223372036854775808, expected a whole number from 0 to 4611686018427387904"),
    ],
)
def test_bad_numbers_of_samples_are_named(source, n, start, message):
    for method in (source.sample, source.twins):
        with pytest.raises(ValueError, match=message):
            method(n, start=start)


def test_counts_of_any_type_of_integer(objects):
    source = Transforms2D(objects[:5], ["hue"], image_size=8, random_state=0)
    X, y = source.sample(np.uint8(200), np.uint8(199))  # 199 + 200 is more than 255, and so is where the block ends
    expected, labels = source.sample(200, 199)
    np.testing.assert_array_equal(X, expected)
    np.testing.assert_array_equal(y, labels)
