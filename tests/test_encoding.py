import hashlib

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from invtransfer.encoding import compute_outputs, encode


def small_network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(2))


def digest(module):
    return hashlib.sha256(b"".join(v.numpy().tobytes() for v in module.state_dict().values())).hexdigest()


def test_a_module_sees_channels_first_floats_in_the_unit_interval(images):
    seen = []

    class Spy(nn.Module):
        def forward(self, X):
            seen.append(X)
            return X.mean(dim=(2, 3))

    Z = encode(Spy(), images)
    assert seen[0].shape[1:] == (3, 16, 16)
    assert seen[0].dtype == torch.float32
    assert 0.99 < seen[0].max() <= 1
    # the mean of each channel, by another way
    assert np.allclose(Z, images.mean(axis=(1, 2)) / 255, atol=1e-6)


def test_a_function_sees_images_as_they_are(images):
    seen = []
    encode(lambda X: seen.append(X) or X.reshape(len(X), -1), images)
    assert seen[0].dtype == np.uint8
    assert (seen[0][:40] == images).all()


def test_a_pipeline_sees_rows(images):
    pipeline = make_pipeline(StandardScaler(), PCA(3, random_state=0)).fit(images.reshape(40, -1))
    expected = pipeline.transform(images.reshape(40, -1))
    assert np.allclose(encode(pipeline, images), expected, atol=1e-3)


def test_no_encoder_means_pixels(images):
    assert (encode(None, images) == images.reshape(40, -1)).all()


def test_feature_maps_are_flattened(images):
    assert encode(small_network(), images).shape == (40, 4 * 2 * 2)


def test_frozen_is_frozen(images):
    module = small_network().train()
    before = digest(module)
    first, second = encode(module, images), encode(module, images)
    assert digest(module) == before
    assert module.training
    assert module[1].training
    assert (first == second).all()  # no dropout
    assert all(weight.grad is None for weight in module.parameters())


@pytest.mark.parametrize("batch_size", [1, 7, 40, 64])
def test_batch_size_changes_nothing_but_rounding(images, batch_size):
    module = small_network()
    assert np.allclose(compute_outputs(module, images, batch_size), compute_outputs(module, images), atol=1e-6)


def test_a_feature_does_not_depend_on_who_else_is_there(images):
    module = small_network()
    together = encode(module, images)
    assert (encode(module, images[5:8]) == together[5:8]).all()
    assert (encode(module, images[::-1])[::-1] == together).all()


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (
            lambda X: X[:2].mean(axis=(1, 2)),
            r"encoder returned shape \(2, 3\) for a batch of 128 images, expected one row",
        ),
        (lambda X: 1.0, "expected one row per image"),
        (lambda X: X[:, 0, 0, 0], r"encoder returned shape \(40,\) for 40 images, expected \(40, n_features\)"),
        (lambda X: np.where(X[:, 0, 0] == X[3, 0, 0], np.nan, 1.0), "NaN or infinity for .* the first is image"),
        (lambda X: np.full((len(X), 1), np.inf), "encoder returned NaN or infinity for 40 of 40 images"),
        (lambda X: np.full((len(X), 1), "a"), "encoder returned dtype <U1, expected real numbers"),
    ],
)
def test_bad_features_are_named(images, encoder, message):
    with pytest.raises(ValueError, match=message):
        encode(encoder, images)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [(5, "encoder is of type int, expected a torch module"), (PCA, "encoder is the class PCA, expected an instance")],
)
def test_other_kinds_of_encoders_are_refused(images, encoder, message):
    with pytest.raises(TypeError, match=message):
        encode(encoder, images)


def test_an_unfitted_encoder_says_so(images):
    with pytest.raises(NotFittedError):
        encode(PCA(2), images)


def test_images_of_another_shape_are_not_cut_anew(images):
    from invtransfer import InvariantPretrainer

    encoder = InvariantPretrainer(width=0.0625, epochs=1, random_state=0).fit(images, np.arange(40) % 2)
    with pytest.raises(ValueError, match=r"X has images of shape \(8, 32, 3\), expected \(16, 16, 3\)"):
        encode(encoder, images.reshape(40, 8, 32, 3))
