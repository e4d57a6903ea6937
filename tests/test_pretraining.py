import pickle
import warnings

import numpy as np
import pytest
import torch
import torchvision
from estimator_checks import Own, digest, outputs, own
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from torch import nn

from invtransfer import (
    FineTuner,
    FrozenFeatureProbe,
    InvariantPretrainer,
    TransformedImages,
    load_encoder,
    load_model,
    save_encoder,
)
from invtransfer.encoders.preprocessing import Preprocessing
from invtransfer.estimators.pretraining import channel_statistics

SETTINGS = {"batch_size": 32, "learning_rate": 1e-2, "precision": "float32", "random_state": 0}


def test_it_learns_and_generalises(source):
    fitted = InvariantPretrainer(width=0.0625, epochs=6, schedule="one-cycle", **SETTINGS).fit(*source.sample(400))
    # chance is 0.2; eight seeds gave 0.75 +- 0.04 with torch 2.6, and 0.76 +- 0.04 with 2.14
    assert fitted.score(*source.sample(400, start=1000)) > 0.55
    assert fitted.transform(source.sample(3)[0]).shape == (3, 32)
    assert fitted.transform(source.sample(3)[0]).dtype == np.float32


def test_transformations_are_drawn_anew_each_epoch(images, monkeypatch):
    starts = []
    sample = TransformedImages.sample

    def spy(self, n, start=0):
        starts.append((n, start, [t.name for t in self.transformations]))
        return sample(self, n, start)

    monkeypatch.setattr(TransformedImages, "sample", spy)
    InvariantPretrainer(width=0.0625, epochs=3, transformations=["hue"], random_state=0).fit(images, np.arange(40) % 2)
    assert starts == [(40, 0, ["hue"]), (40, 40, ["hue"]), (40, 80, ["hue"])]


def test_a_loss_far_above_that_of_guessing_is_warned_of(images):
    encoder = InvariantPretrainer(width=0.0625, epochs=2, learning_rate=1e6, random_state=0)
    with pytest.warns(
        UserWarning, match="where guessing has 0.693: training has diverged, lower learning_rate=1000000.0"
    ):
        encoder.fit(images, np.arange(40) % 2)


def test_channel_statistics_are_numpys(images, monkeypatch):
    monkeypatch.setattr("invtransfer.estimators.pretraining.PIXELS_AT_ONCE", 7 * images[0, ..., 0].size)
    mean, std = channel_statistics(images)
    assert np.allclose(mean, (images / 255).mean(axis=(0, 1, 2)))
    assert np.allclose(std, (images / 255).std(axis=(0, 1, 2)))


@pytest.mark.parametrize(("name", "width"), [("resnet50", 0.03125), ("densenet121", 0.17), ("vit", 0.125)])
def test_other_networks(source, name, width):
    X, y = source.sample(16)
    encoder = InvariantPretrainer(name, width=width, epochs=1, batch_size=8, random_state=0).fit(X, y)
    Z = encoder.transform(X)
    assert Z.shape == (16, encoder.module().head.in_features)
    assert encoder.layer_ == "output of the module"
    again = pickle.loads(pickle.dumps(encoder))
    assert (again.transform(X) == Z).all()
    assert (clone(encoder).fit(X, y).transform(X) == Z).all()


def test_a_layer_of_a_named_network(source):
    X, y = source.sample(64)
    encoder = InvariantPretrainer(width=0.125, layer="stage3", epochs=1, random_state=0).fit(X, y)
    assert encoder.layer_ == "output of stage3, mean over places"
    assert encoder.transform(X).shape == (64, 32)
    assert len(encoder.get_feature_names_out()) == 32
    module = encoder.module()  # by hand: the first four parts of the backbone
    by_hand = nn.Sequential(module.normalise, *module.backbone.module[:4], nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert np.allclose(encoder.transform(X), outputs(by_hand, X), atol=1e-4)
    by_hand = nn.Sequential(by_hand, module.head, nn.Softmax(dim=1))
    assert np.allclose(encoder.predict_proba(X), outputs(by_hand, X), atol=1e-4)
    assert b"torch" not in pickle.dumps(encoder)


@pytest.fixture(scope="module")
def fitted_own(source):
    return InvariantPretrainer(own(), epochs=20, weight_decay=1e-4, **SETTINGS).fit(*source.sample(400))


def test_an_own_module_is_trained_from_its_weights(fitted_own, source):
    # chance is log 5 = 1.61; eight seeds gave 1.50 +- 0.03
    assert fitted_own.history_["loss"][-1] < np.log(5)
    assert fitted_own.layer_ == "input of fc"
    assert fitted_own.transform(source.sample(3)[0]).shape == (3, 16)
    assert fitted_own.get_feature_names_out().tolist()[0] == "invariantpretrainer0"
    assert digest(fitted_own.network) == digest(own())  # the module given is as it was
    assert fitted_own.network.training
    assert all(weight.grad is None for weight in fitted_own.network.parameters())
    assert fitted_own.weights_["head.weight"].shape == (5, 16)


def test_no_epochs_leave_an_own_module_as_it_is(source):
    X, y = source.sample(20)
    encoder = InvariantPretrainer(own(), epochs=0, random_state=0).fit(X, y)
    weights = {name.removeprefix("backbone.module."): value for name, value in encoder.weights_.items()}
    assert all((weights[name] == value.numpy()).all() for name, value in own().state_dict().items())
    # images reach it normalised: by hand
    images = torch.from_numpy(X).permute(0, 3, 1, 2) / 255.0
    mean, std = images.mean(dim=(0, 2, 3), keepdim=True), images.std(dim=(0, 2, 3), keepdim=True, correction=0)
    reference = own().eval()
    reference.fc = nn.Identity()
    with torch.no_grad():
        assert np.allclose(encoder.transform(X), reference((images - mean) / std), atol=1e-4)


def test_a_model_that_would_normalise_twice(images):
    images, y = images[:8], np.arange(8) % 2
    model = load_model("torchvision:shufflenet_v2_x0_5", weights=None, size=32, random_state=0)
    with pytest.warns(UserWarning, match="network has a preprocessing that normalises images, and InvariantPretrainer"):
        InvariantPretrainer(model, epochs=0, random_state=0).fit(images, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        InvariantPretrainer(model.model, epochs=0, random_state=0).fit(images, y)
        InvariantPretrainer(nn.Sequential(Preprocessing(), model.model), epochs=0, random_state=0).fit(images, y)


def test_the_layer_of_an_own_module(source):
    X, y = source.sample(40)
    pooled = "output of conv, mean over places"
    for layer, description, n_features in (("conv", pooled, 16), ("", "output of the module", 1000)):
        encoder = InvariantPretrainer(own(), layer=layer, epochs=1, random_state=0).fit(X, y)
        assert encoder.layer_ == description
        assert encoder.transform(X).shape == (40, n_features)


def torchvision_vit():
    return torchvision.models.VisionTransformer(16, 8, 1, 2, 16, 16)


@pytest.mark.parametrize(("kind", "n_features"), [(torchvision_vit, 16), (torchvision.models.mobilenet_v3_small, 1024)])
def test_torchvisions_modules(source, kind, n_features):
    X, y = source.sample(16)
    module = own(kind)
    encoder = InvariantPretrainer(module, epochs=1, batch_size=8, random_state=0).fit(X, y)
    assert digest(module) == digest(own(kind))
    assert encoder.transform(X).shape == (16, n_features)
    reference = encoder.module().backbone.module  # by hand: its last linear layer replaced by nothing
    head = encoder.layer_.removeprefix("input of ")
    owner, _, name = head.rpartition(".")
    setattr(reference.get_submodule(owner), name, nn.Identity())
    reference = nn.Sequential(encoder.module().normalise, reference)
    assert np.allclose(encoder.transform(X), outputs(reference.eval(), X), atol=1e-3)


def test_bad_networks_and_rows_of_pixels_are_named(source):
    X, y = source.sample(20)
    for network, layer, message in (
        ("resnet", None, r"network is 'resnet', expected a torch module or one of: .* \(nearest: resnet"),
        (own(), "cnov", r"layer is 'cnov', expected the name of a layer of Own \(nearest: conv\)"),
    ):
        with pytest.raises(ValueError, match=message):
            InvariantPretrainer(network, layer=layer).fit(X, y)
    with pytest.raises(TypeError, match="network is the class Own, expected an instance of it"):
        InvariantPretrainer(Own).fit(X, y)
    with pytest.raises(ValueError, match="transformations.*images"):
        InvariantPretrainer(width=0.0625, epochs=1, transformations=["hue"]).fit(X.reshape(20, -1) / 255, y)


def test_a_module_of_another_precision_is_trained_in_float32(source):
    X, y = source.sample(20)
    encoder = InvariantPretrainer(own().double(), epochs=1, random_state=0).fit(X, y)
    assert encoder.transform(X).dtype == np.float32
    assert encoder.weights_["backbone.module.conv.weight"].dtype == np.float32


def test_frozen_layers_stay_as_they_are_statistics_included(fitted_own):
    for name, value in own().state_dict().items():
        same = np.array_equal(fitted_own.weights_[f"backbone.module.{name}"], value.numpy())
        assert same == (name.startswith(("frozen", "fc"))), name  # the head is another one


def test_an_own_module_is_cloned_and_given_back(fitted_own, source):
    module = fitted_own.module().backbone.module
    assert not module.frozen[0].weight.requires_grad
    assert module.conv.weight.requires_grad
    twin = clone(fitted_own)
    assert twin.network is not fitted_own.network
    assert digest(twin.network) == digest(fitted_own.network)
    # what becomes of the module given, later, is nothing to the estimator
    X, _ = source.sample(20)
    again = pickle.loads(pickle.dumps(fitted_own))
    again.network.fc, again.network.scale = nn.Identity(), torch.zeros(1)
    assert (again.set_params(network="vit", layer="norm").transform(X) == fitted_own.transform(X)).all()


def test_images_that_a_module_cannot_take_are_named(source):
    X, y = source.sample(20)
    module = nn.Sequential(nn.Flatten(), nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    message = r"^Sequential fails on images of 16 x 16 x 3: (addmm: )?mat1 and mat2 shapes cannot be multiplied"
    with pytest.raises(ValueError, match=message):
        InvariantPretrainer(module).fit(X, y)
    with pytest.raises(ValueError, match=message):
        FrozenFeatureProbe(module).fit(X, y)


class Masked(nn.Module):
    """A network with a buffer of infinities, as masks of attention are."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mask", torch.triu(torch.full((4, 4), -torch.inf), 1))
        self.linear = nn.Linear(192, 4)

    def forward(self, images):
        return self.linear(images.flatten(1)) @ self.mask.softmax(1)


def small_task(n=20):
    X = np.random.default_rng(0).integers(256, size=(n, 8, 8, 3), dtype=np.uint8)
    return X, np.arange(n) % 2


def test_infinities_that_were_there_before_are_no_fault_of_training(tmp_path):
    X, y = small_task()
    encoder = InvariantPretrainer(Masked(), epochs=1, batch_size=10, random_state=0).fit(X, y)
    save_encoder(encoder, tmp_path / "encoder.npz")
    loaded = load_encoder(tmp_path / "encoder.npz", network=Masked())
    np.testing.assert_array_equal(loaded.transform(X), encoder.transform(X))
    with pytest.raises(ValueError, match="lower learning_rate"):
        InvariantPretrainer(Masked(), epochs=3, batch_size=10, learning_rate=1e38, random_state=0).fit(X, y)


@pytest.mark.parametrize("make", [
    lambda: InvariantPretrainer(nn.Flatten(), epochs=1, batch_size=10, random_state=0),
    lambda: FineTuner(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), epochs=1, batch_size=10, random_state=0),
])  # fmt: skip
def test_a_fit_that_fails_leaves_no_mixture_of_two(make):
    X, y = small_task()
    estimator = make().fit(X, np.array(["cat", "dog"])[y])
    estimator.set_params(learning_rate=1e38, epochs=5)
    with pytest.raises(ValueError, match="lower learning_rate"):
        estimator.fit(X, np.array(["x", "y"])[y])
    with pytest.raises(NotFittedError):
        estimator.predict(X)


def test_rows_of_pixels_have_the_range_of_their_values_whatever_their_dtype():
    X, y = small_task(60)
    rows = X.reshape(len(X), -1)
    probe = FrozenFeatureProbe(nn.Flatten()).fit(rows, y)
    expected = probe.predict_proba(rows)
    for dtype in (int, float, np.float32):
        np.testing.assert_allclose(probe.predict_proba(rows.astype(dtype)), expected, rtol=1e-5)


def test_a_name_of_a_library_is_no_network_but_gives_a_module():
    message = (
        r"network is 'torchvision:resnet18', .*; invtransfer.load_model\('torchvision:resnet18'\).model is a module"
    )
    with pytest.raises(ValueError, match=message):
        InvariantPretrainer("torchvision:resnet18").fit(np.zeros((4, 8, 8, 3), np.uint8), [0, 1, 0, 1])
