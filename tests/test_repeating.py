"""Encoders whose features are random, or depend on the other images of a batch, are warned of."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn

from invtransfer import FineTuner, FrozenFeatureProbe, InvarianceAdvisor, SensitivityScorer, twin_sensitivity
from invtransfer.encoders.encoding import open_encoder
from invtransfer.encoders.repeating import warn_if_features_vary

Y = np.arange(40) % 2
RANDOM, BATCH = "gives different features for the same images each time", "depend on the other images in its batch"
OPTIONS = {"transformations": ["h_flip"], "random_state": 0}


class Net(nn.Module):
    """A convolution, and something behind it."""

    def __init__(self, behind):
        super().__init__()
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            self.conv = nn.Conv2d(3, 8, 3)
        self.behind = behind

    def forward(self, images):
        return self.behind(self.conv(images)).mean((2, 3))


def dropout(maps):
    return nn.functional.dropout(maps, 0.2)  # without training=self.training


def sample(maps):
    return maps + 0.3 * torch.randn_like(maps[:, :, :1, :1])


def normalise(maps):
    return nn.functional.batch_norm(maps, None, None, training=True).relu()


def in_training_mode(images):
    maps = nn.Dropout()(torch.from_numpy(images.reshape(len(images), -1)).float())
    return maps.numpy()


VARYING = [(Net(dropout), RANDOM), (Net(sample), RANDOM), (Net(normalise), BATCH), (in_training_mode, RANDOM)]
STEADY = [
    Net(nn.ReLU()), Net(nn.Dropout()), Net(nn.BatchNorm2d(8)), Net(nn.ReLU()).bfloat16(), Net(nn.ReLU()).half(),
    Net(lambda maps: 0 * maps + 3), lambda X: X.mean(axis=(1, 2)), lambda X: np.ones((len(X), 2)), None,
]  # fmt: skip


@pytest.mark.parametrize(("encoder", "message"), VARYING)
@pytest.mark.parametrize("batch_size", [None, 2, 4, 100])
def test_features_that_vary_are_warned_of(images, encoder, message, batch_size):
    with pytest.warns(UserWarning, match=message) as warned:
        warn_if_features_vary(open_encoder(encoder), images, "mine", batch_size)
    assert len(warned) == 1
    assert "encoder 'mine', Net" in str(warned[0].message) or encoder is in_training_mode


def test_one_layer_of_many_is_enough(images):
    network = nn.Sequential(nn.Conv2d(3, 100, 3), nn.ReLU(), Net(lambda maps: 1e-3 * dropout(maps)))
    network[2].conv = nn.Conv2d(100, 4, 3)
    with pytest.warns(UserWarning, match=f"the encoder Sequential {RANDOM}"):
        warn_if_features_vary(open_encoder(network, layers=["0", "2"]), images)


@pytest.mark.parametrize("encoder", STEADY)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_others_are_not(images, encoder, precision):
    alike = images // 64 + 100  # of which features differ little
    for X in (images, images[:1], images[:2], alike, np.zeros_like(images)):
        warn_if_features_vary(open_encoder(encoder), X, precision=precision)


def test_an_image_alone_in_its_batch_has_no_others(images):
    warn_if_features_vary(open_encoder(Net(normalise)), images, batch_size=1)


def test_fitted_transformers_are_not_asked(images):
    class Random(PCA):
        def transform(self, X):
            raise AssertionError("it was asked")

    warn_if_features_vary(Random(2).fit(images.reshape(40, -1)), images)


def test_features_are_computed_twice_and_of_few_images(images):
    n_seen = []
    warn_if_features_vary(lambda X: n_seen.append(len(X)) or X.mean(axis=(1, 2)), images)
    assert n_seen == [8, 8]


@pytest.mark.parametrize(
    "fit",
    [
        lambda encoder, X: SensitivityScorer(encoder, **OPTIONS).fit(X),
        lambda encoder, X: SensitivityScorer(encoder, distance="mahalanobis", **OPTIONS).fit(X),
        lambda encoder, X: SensitivityScorer(encoder, layers=["conv", ""], **OPTIONS).fit(X),
        lambda encoder, X: SensitivityScorer({"random": encoder, "pixels": None}, **OPTIONS).fit(X),
        lambda encoder, X: twin_sensitivity(encoder, X, 255 - X),
        lambda encoder, X: InvarianceAdvisor(encoder, n_draws=1, **OPTIONS).fit(X, Y),
        lambda encoder, X: FrozenFeatureProbe(encoder).fit(X, Y),
        lambda encoder, X: FineTuner(encoder, epochs=0, random_state=0).fit(X, Y),
    ],
)
def test_whatever_is_measured_warns_once(images, fit):
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        fit(Net(dropout), images)
    assert [RANDOM in str(one.message) for one in warned].count(True) == 1


def test_the_warning_names_the_encoder(images):
    with pytest.warns(UserWarning, match=f"encoder 'random', Net {RANDOM}: dropout or sampling"):
        SensitivityScorer({"random": Net(dropout), "pixels": None}, **OPTIONS).fit(images)
    with pytest.warns(UserWarning, match=r"the encoder in_training_mode gives .* \(call eval\(\) on the model"):
        twin_sensitivity(in_training_mode, images, 255 - images)
