"""The parameters that the 18 transformations draw."""

import numpy as np
import pytest

from invtransfer.transformations import TRANSFORMATIONS
from invtransfer.transformations.draws import normal_fields, uniform_fields

NAMES = list(TRANSFORMATIONS)
SWITCHED = ["v_flip", "h_flip", "grayscale", "posterize", "invert", "sharpen"]
SWITCHED += ["noise", "pixelate", "elastic", "erasing"]


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


@pytest.mark.parametrize(("make", "variance"), [(normal_fields, 1), (uniform_fields, 1 / 3)])
def test_fields(make, variance):
    seeds = range(200)
    fields = make(seeds, (2, 8, 12))
    assert (fields.shape, fields.dtype) == ((200, 2, 8, 12), np.float32)
    # 38,400 numbers: the mean of normal ones is within 0.03 of 0. Uniform in [-1, 1] has variance 1/3.
    assert fields.mean() == pytest.approx(0, abs=0.03)
    assert fields.var() == pytest.approx(variance, rel=0.05)
    assert make is normal_fields or np.abs(fields).max() <= 1
    correlations = np.corrcoef(fields.reshape(200, -1))[np.triu_indices(200, 1)]
    assert correlations.std() == pytest.approx(1 / np.sqrt(192), rel=0.05)  # as of independent fields
    np.testing.assert_array_equal(make([seeds[7]], (2, 8, 12))[0], fields[7])


@pytest.mark.parametrize("name", NAMES)
def test_draws_depend_on_the_generator_alone(name):
    one = TRANSFORMATIONS[name].draw(7, np.random.default_rng(3), (8, 8))
    np.random.default_rng().random(10)
    same = TRANSFORMATIONS[name].draw(7, np.random.default_rng(3), (8, 8))
    other = TRANSFORMATIONS[name].draw(7, np.random.default_rng(4), (8, 8))
    assert all(len(values) == 7 for values in one.values())
    assert all(np.array_equal(one[key], same[key]) for key in one)
    assert not all(np.array_equal(one[key], other[key]) for key in one)
