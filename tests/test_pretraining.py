import hashlib
import pickle

import numpy as np
import pytest
import torch
import torchvision
from estimator_checks import assert_all_pass
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from torch import nn

from invtransfer import FrozenFeatureProbe, InvariantPretrainer, TransformedImages
from invtransfer.estimators.pretraining import channel_statistics

QUICK = {"width": 0.0625, "epochs": 6, "batch_size": 32, "learning_rate": 1e-2, "precision": "float32"}


@pytest.fixture(scope="module")
def fitted(source):
    return InvariantPretrainer(**QUICK, schedule="one-cycle", random_state=0).fit(*source.sample(200))


@pytest.mark.filterwarnings("default")
def test_the_whole_suite_of_scikit_learn_passes():
    assert_all_pass(InvariantPretrainer(**(QUICK | {"epochs": 5}), random_state=0), n_checks=59)


def test_it_learns_and_generalises(fitted, source):
    # chance is 0.2, and the binomial error of 200 images at most 0.035; six seeds gave 0.64 +- 0.07
    assert fitted.score(*source.sample(200, start=1000)) > 0.35
    assert fitted.transform(source.sample(3)[0]).shape == (3, 32)
    assert fitted.transform(source.sample(3)[0]).dtype == np.float32


def test_refitting_gives_the_same_weights(fitted, source):
    again = clone(fitted).fit(*source.sample(200))
    assert all((again.weights_[name] == value).all() for name, value in fitted.weights_.items())


def test_random_state_decides(source):
    data = source.sample(64)
    first, second = (InvariantPretrainer(width=0.0625, epochs=1, random_state=i).fit(*data).weights_ for i in (0, 1))
    assert any((first[name] != second[name]).any() for name in first)


def test_no_global_generator_is_read_or_written(source):
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    InvariantPretrainer(width=0.0625, epochs=1, transformations=["noise"], random_state=0).fit(*source.sample(64))
    assert (torch.random.get_rng_state() == torch_state).all()
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


def test_labels_of_any_kind(source):
    X, y = source.sample(64)
    names = np.array(["e", "d", "c", "b", "a"])[y]
    encoder = InvariantPretrainer(width=0.0625, epochs=1, random_state=0).fit(X, names)
    assert encoder.classes_.tolist() == ["a", "b", "c", "d", "e"]
    assert set(encoder.predict(X)) <= set("abcde")
    assert np.allclose(encoder.predict_proba(X).sum(axis=1), 1)


def test_flattened_images_are_the_same_images(fitted, source):
    X, y = source.sample(20)
    assert (fitted.transform(X.reshape(20, -1)) == fitted.transform(X)).all()
    X, y = source.sample(64)
    shapes = ({}, {"image_shape": (16, 16, 3)})
    four, two = (
        InvariantPretrainer(width=0.0625, epochs=1, random_state=0, **shape).fit(
            X if not shape else X.reshape(64, -1), y
        )
        for shape in shapes
    )
    assert all((four.weights_[name] == two.weights_[name]).all() for name in four.weights_)


def test_uint8_and_float_images_give_the_same_features(fitted, source):
    X, _ = source.sample(20)
    assert np.allclose(fitted.transform(X), fitted.transform(X / 255.0), atol=1e-4)


def test_batch_composition_changes_no_feature(fitted, source):
    X, _ = source.sample(200)
    assert (fitted.transform(X[150:153]) == fitted.transform(X)[150:153]).all()


def test_a_pickle_holds_arrays_and_works(fitted, source):
    X, _ = source.sample(10)
    data = pickle.dumps(fitted)
    assert all(isinstance(value, np.ndarray) for value in fitted.weights_.values())
    assert b"torch" not in data
    assert (pickle.loads(data).transform(X) == fitted.transform(X)).all()


def test_the_module_is_a_copy(fitted, source):
    X, _ = source.sample(10)
    before = fitted.transform(X)
    module = fitted.module()
    with torch.no_grad():
        for weight in module.parameters():
            weight.zero_()
    assert (fitted.transform(X) == before).all()
    # the module computes what transform does: images in, features out
    tensor = torch.from_numpy(X).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        assert np.allclose(fitted.module()[:2](tensor).numpy(), before, atol=1e-4)


def test_the_best_validation_epoch_is_kept(source):
    X_val, y_val = source.sample(100, start=5000)
    encoder = InvariantPretrainer(width=0.0625, epochs=4, batch_size=32, learning_rate=0.02, random_state=0)
    encoder.fit(*source.sample(200), X_val, y_val)
    accuracies = encoder.history_["val_accuracy"]
    assert encoder.history_["best_epoch"] == np.argmax(accuracies)
    # in another layout of memory the logits round otherwise, which may decide one image of 100
    assert encoder.score(X_val, y_val) == pytest.approx(max(accuracies), abs=0.015)


def test_transformations_are_drawn_anew_each_epoch(images, monkeypatch):
    starts = []
    sample = TransformedImages.sample

    def spy(self, n, start=0):
        starts.append((n, start, [t.name for t in self.transformations]))
        return sample(self, n, start)

    monkeypatch.setattr(TransformedImages, "sample", spy)
    InvariantPretrainer(width=0.0625, epochs=3, transformations=["hue"], random_state=0).fit(images, np.arange(40) % 2)
    assert starts == [(40, 0, ["hue"]), (40, 40, ["hue"]), (40, 80, ["hue"])]


def test_channel_statistics_are_numpys(images):
    mean, std = channel_statistics(images, block=7)
    assert np.allclose(mean, (images / 255).mean(axis=(0, 1, 2)))
    assert np.allclose(std, (images / 255).std(axis=(0, 1, 2)))


def bad(name, value, message):
    return pytest.param({name: value}, message, id=f"{name}={value}")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        bad("network", "resnet", r"network is 'resnet', expected a torch module or one of: .* \(nearest: resnet"),
        bad("network", "vgg11", r"network 'vgg11' cannot take images of 16 x 16 pixels: it halves them 5 times"),
        bad("layer", "stage5", r"layer is 'stage5', expected the name of a layer of Sequential \(nearest: stage"),
        bad("epochs", -1, "epochs is -1, expected a whole number of at least 0"),
        bad("batch_size", 1, "batch_size is 1, expected a whole number of at least 2"),
        bad("image_shape", (16, 16), r"image_shape is \(16, 16\), expected \(height, width, 3\), whole numbers"),
        bad("width", -1, "width is -1, expected a number above 0"),
        bad("schedule", "lineal", "schedule is 'lineal', expected one of: constant, one-cycle"),
        bad("precision", "half", "precision is 'half', expected one of: auto, float32, bfloat16"),
        bad("device", "gpu", "device is 'gpu', expected 'auto', 'cpu' or a device"),
        bad("learning_rate", 0, "learning_rate is 0, expected a number above 0"),
        bad("learning_rate", np.nan, "learning_rate is nan, expected a number above 0"),
        bad("weight_decay", -1, "weight_decay is -1, expected a number of at least 0"),
        bad("image_shape", (8, 8, 3), r"X has images of shape \(16, 16, 3\), expected \(8, 8, 3\)"),
    ],
)
def test_bad_parameters_are_named(source, parameters, message):
    X, y = source.sample(20)
    with pytest.raises(ValueError, match=message):
        InvariantPretrainer(**({"width": 0.0625, "epochs": 1} | parameters)).fit(X, y)


def test_bad_data_are_named(fitted, source):
    X, y = source.sample(20)
    encoder = InvariantPretrainer(width=0.0625, epochs=1)
    with pytest.raises(ValueError, match="y holds one class only, 7, expected at least 2 classes"):
        encoder.fit(X, np.full(20, 7))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        encoder.fit(X, y[:5])
    with pytest.raises(ValueError, match="y_val is None, expected validation images and their labels, or neither"):
        encoder.fit(X, y, X)
    with pytest.raises(ValueError, match=r"y_val holds labels that y does not: \[9\]"):
        encoder.fit(X, y, X, np.full(20, 9))
    with pytest.raises(ValueError, match=r"X has images of shape \(8, 16, 3\), expected \(16, 16, 3\)"):
        fitted.transform(X[:, :8])
    with pytest.raises(NotFittedError):
        encoder.transform(X)
    with pytest.raises(ValueError, match="transformations.*images"):
        InvariantPretrainer(width=0.0625, epochs=1, transformations=["hue"]).fit(
            np.random.default_rng(0).normal(size=(20, 8)), y
        )


@pytest.mark.parametrize(("name", "width"), [("resnet50", 0.03125), ("densenet121", 0.17), ("vit", 0.125)])
def test_other_networks(source, name, width):
    X, y = source.sample(24)
    encoder = InvariantPretrainer(name, width=width, epochs=1, batch_size=12, random_state=0).fit(X, y)
    Z = encoder.transform(X)
    assert Z.shape == (24, encoder.module().head.in_features)
    assert encoder.layer_ == "output of the module"
    again = pickle.loads(pickle.dumps(encoder))
    assert (again.transform(X) == Z).all()
    assert (clone(encoder).fit(X, y).transform(X) == Z).all()


def test_a_layer_of_a_named_network(source):
    X, y = source.sample(64)
    encoder = InvariantPretrainer(width=0.125, layer="stage3", epochs=1, random_state=0).fit(X, y)
    assert encoder.layer_ == "output of stage3"
    assert encoder.transform(X).shape == (64, 32 * 4 * 4)
    assert len(encoder.get_feature_names_out()) == 32 * 4 * 4
    module = encoder.module()
    tensor = torch.from_numpy(X).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():  # by hand: the first four parts of the backbone
        by_hand = module.backbone.module[:4](module.normalise(tensor)).flatten(1)
        assert np.allclose(encoder.transform(X), by_hand, atol=1e-4)
        assert np.allclose(encoder.predict_proba(X), module.head(by_hand).softmax(dim=1), atol=1e-4)
    assert b"torch" not in pickle.dumps(encoder)


class Own(nn.Module):
    """A classifier with all that may get lost: dropout, a buffer that is not saved, a plain tensor, a frozen layer."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 5, 2)
        self.norm = nn.BatchNorm2d(16)
        self.frozen = nn.Sequential(nn.Conv2d(16, 16, 1), nn.BatchNorm2d(16)).requires_grad_(False)
        self.dropout = nn.Dropout(0.1)
        self.fc = nn.Linear(16, 1000)
        self.register_buffer("scale", torch.tensor([2.0]), persistent=False)
        self.offset = torch.tensor([3.0])

    def forward(self, images):
        features = self.frozen(self.norm(self.conv(images)).relu()).amax(dim=(2, 3))
        return self.fc(self.dropout(features * self.scale + self.offset))


def own(kind=Own):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind()


def digest(module):
    return hashlib.sha256(b"".join(v.numpy().tobytes() for v in module.state_dict().values())).hexdigest()


@pytest.fixture(scope="module")
def fitted_own(source):
    parameters = {"epochs": 20, "batch_size": 32, "learning_rate": 1e-2, "weight_decay": 1e-4}
    return InvariantPretrainer(own(), **parameters, precision="float32", random_state=0).fit(*source.sample(400))


def test_an_own_module_is_trained_from_its_weights(fitted_own, source):
    # chance is log 5 = 1.61; eight seeds gave 1.50 +- 0.03
    assert fitted_own.history_["loss"][-1] < np.log(5)
    assert fitted_own.layer_ == "input of fc"
    assert fitted_own.transform(source.sample(3)[0]).shape == (3, 16)
    assert fitted_own.get_feature_names_out().tolist()[0] == "invariantpretrainer0"
    given = own().state_dict()
    weights = {name.removeprefix("backbone.module."): value for name, value in fitted_own.weights_.items()}
    assert digest(fitted_own.network) == digest(own())  # the module given is as it was
    assert fitted_own.network.training
    assert all(weight.grad is None for weight in fitted_own.network.parameters())
    assert (weights["conv.weight"] != given["conv.weight"].numpy()).all()
    for name in ("frozen.0.weight", "frozen.0.bias", "fc.weight"):  # the old head is not in use
        assert (weights[name] == given[name].numpy()).all()
    assert weights["head.weight"].shape == (5, 16)


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


def test_an_own_module_is_pickled_cloned_and_given_back(fitted_own, source):
    X, _ = source.sample(20)
    Z, probabilities = fitted_own.transform(X), fitted_own.predict_proba(X)
    again = pickle.loads(pickle.dumps(fitted_own))
    assert (again.transform(X) == Z).all()
    assert (again.predict_proba(X) == probabilities).all()
    assert all(isinstance(value, np.ndarray) for value in fitted_own.weights_.values())
    tensor = torch.from_numpy(X).permute(0, 3, 1, 2).float() / 255
    module = fitted_own.module()
    with torch.no_grad():
        assert np.allclose(module[:2](tensor), Z, atol=1e-4)
        assert np.allclose(module(tensor).softmax(dim=1), probabilities, atol=1e-4)
        assert not module.backbone.module.frozen[0].weight.requires_grad
        assert module.backbone.module.conv.weight.requires_grad
        for weight in module.parameters():
            weight.zero_()
    assert (fitted_own.transform(X) == Z).all()
    twin = clone(fitted_own)
    assert twin.network is not fitted_own.network
    assert digest(twin.network) == digest(fitted_own.network)
    # what becomes of the module given, later, is nothing to the estimator
    again.network.fc, again.network.scale = nn.Identity(), torch.zeros(1)
    assert (again.set_params(network="vit", layer="norm").transform(X) == Z).all()


def test_random_state_decides_dropout_and_head_of_an_own_module(source):
    X, y = source.sample(64)

    def fit(random_state, global_seed):
        with torch.random.fork_rng():
            torch.manual_seed(global_seed)
            before = torch.random.get_rng_state()
            encoder = InvariantPretrainer(own(), epochs=2, batch_size=32, random_state=random_state).fit(X, y)
            assert (torch.random.get_rng_state() == before).all()
        return encoder.weights_

    one, same, other = fit(0, 1), fit(0, 2), fit(1, 1)
    assert all((one[name] == same[name]).all() for name in one)
    assert (one["head.weight"] != other["head.weight"]).all()


def test_the_layer_of_an_own_module(source):
    X, y = source.sample(40)
    for layer, description, n_features in (("conv", "output of conv", 16 * 6 * 6), ("", "output of the module", 1000)):
        encoder = InvariantPretrainer(own(), layer=layer, epochs=1, random_state=0).fit(X, y)
        assert encoder.layer_ == description
        assert encoder.transform(X).shape == (40, n_features)


def torchvision_vit():
    return torchvision.models.VisionTransformer(16, 8, 1, 2, 16, 16)


@pytest.mark.parametrize(("kind", "n_features"), [(torchvision_vit, 16), (torchvision.models.mobilenet_v3_small, 1024)])
def test_torchvisions_modules(source, kind, n_features):
    X, y = source.sample(32)
    module = own(kind)
    encoder = InvariantPretrainer(module, epochs=1, batch_size=16, random_state=0).fit(X, y)
    assert digest(module) == digest(own(kind))
    assert encoder.transform(X).shape == (32, n_features)
    reference = encoder.module().backbone.module  # by hand: its last linear layer replaced by nothing
    head = encoder.layer_.removeprefix("input of ")
    owner, _, name = head.rpartition(".")
    setattr(reference.get_submodule(owner), name, nn.Identity())
    mean, std = channel_statistics(X)
    tensor = torch.from_numpy((X / 255.0 - mean) / std).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        assert np.allclose(encoder.transform(X), reference(tensor), atol=1e-3)


def test_bad_modules_are_named(source):
    X, y = source.sample(20)
    with pytest.raises(TypeError, match="network is the class Own, expected an instance of it"):
        InvariantPretrainer(Own).fit(X, y)
    with pytest.raises(ValueError, match="width is 0.5, expected 1.0: network is a module, Own, whose layers"):
        InvariantPretrainer(own(), width=0.5).fit(X, y)
    with pytest.raises(ValueError, match=r"layer is 'cnov', expected the name of a layer of Own \(nearest: conv\)"):
        InvariantPretrainer(own(), layer="cnov").fit(X, y)


def test_a_module_of_another_precision_is_trained_in_float32(source):
    X, y = source.sample(20)
    encoder = InvariantPretrainer(own().double(), epochs=1, random_state=0).fit(X, y)
    assert encoder.transform(X).dtype == np.float32
    assert encoder.weights_["backbone.module.conv.weight"].dtype == np.float32


def test_frozen_layers_stay_as_they_are_statistics_included(source):
    X, y = source.sample(40)
    module = own()
    encoder = InvariantPretrainer(module, epochs=2, batch_size=10, random_state=0).fit(X, y)
    before, after = module.state_dict(), encoder.weights_
    for name, value in before.items():
        same = np.array_equal(after[f"backbone.module.{name}"], value.numpy())
        assert same == (name.startswith(("frozen", "fc"))), name  # the head is another one


def test_images_that_a_module_cannot_take_are_named(source):
    X, y = source.sample(20)
    module = nn.Sequential(nn.Flatten(), nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    message = r"^Sequential fails on images of 16 x 16 x 3: (addmm: )?mat1 and mat2 shapes cannot be multiplied"
    with pytest.raises(ValueError, match=message):
        InvariantPretrainer(module).fit(X, y)
    with pytest.raises(ValueError, match=message):
        FrozenFeatureProbe(module).fit(X, y)
