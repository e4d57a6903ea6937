import numpy as np
import pytest

from invtransfer import SensitivityScorer
from invtransfer.randomness import derive_generator, derive_seed


def test_streams_and_indices_are_independent():
    draws = [derive_generator(*key).random(1000) for key in [(0, "a", 0), (0, "a", 1), (0, "b", 0), (1, "a", 0)]]
    correlations = np.corrcoef(draws)[np.triu_indices(4, 1)]
    assert np.abs(correlations).max() < 4 / np.sqrt(1000)
    assert (derive_generator(0, "a", 1).random(1000) == draws[1]).all()


def test_seeds():
    assert derive_seed(5, "probing") == derive_seed(5, "probing") != derive_seed(6, "probing")
    assert derive_seed(5, "probing") != derive_seed(5, "sensitivity")
    assert derive_seed(None, "probing") != derive_seed(None, "probing")
    generator = np.random.RandomState(0)  # noqa: NPY002
    assert derive_seed(generator, "probing") != derive_seed(generator, "probing")


@pytest.mark.parametrize("wrong", [-1, 2**32, 1.5, "0", np.random.default_rng(0)])
def test_wrong_seeds_are_named(images, wrong):
    message = r"^random_state is .*, expected an int from 0 to 2\*\*32 - 1, a RandomState or None$"
    with pytest.raises(ValueError, match=message):
        derive_seed(wrong, "probing")
    with pytest.raises(ValueError, match=message):
        SensitivityScorer(random_state=wrong).fit(images)


def test_no_seed_does_not_touch_the_global_generator():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    derive_seed(None, "probing")
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
