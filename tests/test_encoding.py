import copy
import pickle
import re
import warnings

import numpy as np
import pytest
import torch
import torchvision
from describing import encode_and_describe
from estimator_checks import digest
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import nn

from invtransfer import InvariantPretrainer
from invtransfer.encoders.encoding import encode, open_encoder
from invtransfer.encoders.layers import LayerFeatures
from invtransfer.estimators.inputs import check_encoders
from invtransfer.networks.inference import compute_outputs, first_weight


def small_network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(2))


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
        (lambda X: 1.0, "encoder returned a value of type float, expected one array or tensor with one row per image"),
        (
            lambda X: (X.mean((1, 2)), X[:, 0, 0]),
            "encoder returned a value of type tuple, expected one array or tensor",
        ),
        (lambda X: {"features": X.mean((1, 2))}, "encoder returned a value of type dict, expected one array or tensor"),
        (lambda X: None, "encoder returned a value of type NoneType, expected one array or tensor with one row per im"),
        (lambda X: X[:, 0, 0, 0], r"encoder returned shape \(40,\) for 40 images, expected \(40, n_features\)"),
        (lambda X: np.where(X[:, 0, 0] == X[3, 0, 0], np.nan, 1.0), "NaN or infinity for .* the first is image"),
        (lambda X: np.full((len(X), 1), np.inf), "encoder returned NaN or infinity for 40 of 40 images"),
        (lambda X: np.full((len(X), 1), 1e300), "encoder returned NaN or infinity for 40 of 40 images"),  # as float32
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
        encode(StandardScaler(), images)


def test_images_of_another_shape_are_not_cut_anew(images):
    encoder = InvariantPretrainer(width=0.0625, epochs=1, random_state=0).fit(images, np.arange(40) % 2)
    with pytest.raises(ValueError, match=r"X has images of shape \(8, 32, 3\), expected \(16, 16, 3\)"):
        encode(encoder, images.reshape(40, 8, 32, 3))


def test_two_arrays_for_two_images_are_no_features(images):
    with pytest.raises(ValueError, match="encoder returned a value of type tuple"):
        encode(lambda X: (X.mean((1, 2)), X.mean((1, 2))), images[:2], batch_size=2)


AS_GIVEN = (
    r"; a function receives the images as they are given, NumPy arrays of shape \(n, 16, 16, 3\), uint8 or float: give"
    " a torch module itself, rather than its forward or a function that calls it$"
)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (small_network().forward, r"forward fails on images of 16 x 16 x 3: conv2d\(\) received an .*\)" + AS_GIVEN),
        (lambda X: small_network()(X), "<lambda> fails on images of 16 x 16 x 3: conv2d.* received .*" + AS_GIVEN),
        (lambda X: small_network()(torch.from_numpy(X)), "<lambda> fails on images of 16 x 16 x 3: .*" + AS_GIVEN),
        (lambda X: small_network()(X.float()), ".*: 'numpy.ndarray' object has no attribute 'float'" + AS_GIVEN),
        (lambda X, size: X, ".* missing 1 required positional argument: 'size'" + AS_GIVEN),
    ],
)
def test_functions_that_take_arrays_for_tensors_are_told_what_they_get(images, function, message):
    with pytest.raises(ValueError, match=f"^the function {message}"):
        encode(function, images)


def test_running_out_of_memory_is_no_fault_of_a_function(images):
    def hungry(X):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")

    with pytest.raises(RuntimeError, match="DefaultCPUAllocator"):
        encode(hungry, images)


class Net(nn.Module):
    """Two linear layers; one that is never called, one that gives two tensors, one that runs twice, one in place."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3)
        self.relu = nn.ReLU(inplace=True)
        self.unused = nn.Linear(2, 2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.hidden = nn.Linear(4, 6)
        self.lstm = nn.LSTM(6, 6)
        self.fc = nn.Linear(6, 2)
        self.softmax = nn.Softmax(dim=1)

    def forward(self, images):
        hidden = self.relu(self.hidden(self.pool(self.relu(self.conv(images))).flatten(1)))
        self.lstm(hidden)
        return self.softmax(self.fc(input=hidden))


def tensor(images):
    return torch.from_numpy(images.copy()).permute(0, 3, 1, 2).float() / 255


@pytest.mark.parametrize(
    ("layer", "description", "n_features"),
    [
        (None, "input of fc", 6),
        ("", "output of the module", 2),
        ("fc", "output of fc", 2),
        ("hidden", "output of hidden", 6),
        ("relu", "output of relu", 6),
        ("conv", "output of conv, mean over places", 4),
        ("lstm[0]", "output of lstm (0)", 6),
    ],
)
def test_features_of_each_layer(images, layer, description, n_features):
    net = Net()
    x = tensor(images)
    with torch.no_grad():
        conv = net.conv(x)
        hidden = net.hidden(conv.relu().mean(dim=(2, 3)))
        expected = {None: hidden.relu(), "": net(x), "fc": net.fc(hidden.relu()), "hidden": hidden}
        expected |= {"relu": hidden.relu(), "conv": conv.mean((2, 3)), "lstm[0]": net.lstm(hidden.relu())[0]}
    Z, place = encode_and_describe(net, images, 40, layer=layer)
    assert place == description
    assert Z.shape == (40, n_features)
    assert np.allclose(Z, expected[layer], atol=1e-5)  # the ReLU after them works in place, but on a copy
    if layer in ("conv", "hidden"):
        assert (Z < 0).any()


def torchvision_vit():
    return torchvision.models.VisionTransformer(32, 8, 1, 2, 16, 16)


@pytest.mark.parametrize(
    ("build", "head", "n_features"),
    [
        (torchvision.models.resnet18, "fc", 512),
        (torchvision.models.mobilenet_v3_small, "classifier.3", 1024),
        (torchvision.models.densenet121, "classifier", 1024),
        (torchvision_vit, "heads.head", 16),
    ],
)
def test_features_of_torchvisions_are_those_without_their_head(build, head, n_features):
    X = np.random.default_rng(0).integers(256, size=(3, 32, 32, 3), dtype=np.uint8)
    module = build().eval()
    if build is torchvision_vit:  # as made, its head is all zeros
        nn.init.normal_(module.heads.head.weight)
    logits, (Z, place) = encode(module, X, 3, layer=""), encode_and_describe(module, X, 3)
    assert place == f"input of {head}"
    assert Z.shape == (3, n_features)
    layer = module.get_submodule(head)
    with torch.no_grad():
        assert np.allclose(logits, layer(torch.from_numpy(Z)).numpy(), atol=1e-4)
    owner, _, name = head.rpartition(".")
    setattr(module.get_submodule(owner), name, nn.Identity())
    assert (encode(module, X, 3, layer="") == Z).all()


@pytest.mark.parametrize("last", [nn.Identity(), nn.Dropout(), nn.Softmax(dim=1), nn.Sequential(nn.ReLU())])
def test_layers_without_weights_after_the_head_do_not_matter(images, last):
    body = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten()]
    Z = encode(nn.Sequential(*body, nn.Linear(4 * 14 * 14, 2), last), images)
    assert (encode(nn.Sequential(*body), images) == Z).all()


def test_of_a_module_without_its_head_a_linear_layer_below_counts_as_one(images):
    module = nn.Sequential(nn.Flatten(), nn.Linear(768, 5), nn.ReLU(), nn.Identity())  # was a second linear layer
    assert encode(module, images).shape == (40, 768)
    assert encode(module, images, layer="").shape == (40, 5)


def test_a_module_that_does_not_end_in_a_linear_layer_gives_its_output(images):
    module = nn.Sequential(nn.Flatten(), nn.Linear(16 * 16 * 3, 4), nn.BatchNorm1d(4))
    assert (encode(module, images) == encode(module, images, layer="")).all()
    for encoder, place in ((module, "output of the module"), (nn.Flatten(), "output of the module"), (None, None)):
        assert encode_and_describe(encoder, images)[1] == place


def test_a_layer_inside_of_a_layers_features_is_not_their_head(images):
    inner = LayerFeatures(Net(), "hidden")
    for module, place in ((inner, "output of hidden"), (nn.Sequential(nn.Identity(), inner), "output of the module")):
        assert encode_and_describe(module, images)[1] == place
        assert (encode(module, images) == encode(Net(), images, layer="hidden")).all()
    assert encode_and_describe(nn.Sequential(inner, nn.Linear(6, 2)), images)[1] == "input of 1"


def test_a_layer_with_two_names_is_found_by_both(images):
    module = nn.Sequential(nn.Flatten(), nn.Linear(768, 768))
    module.append(module[1])
    assert np.allclose(encode(module, images, layer="1"), encode(module, images, layer="2"))


def test_nothing_is_left_on_the_module(images):
    net = Net()
    before = digest(net)
    for layer in (None, "conv", ""):
        features = LayerFeatures(net, layer)
        compute_outputs(features, images)
        with pytest.raises(RuntimeError):
            features(torch.zeros(2, 5, 4, 4))  # five channels: a forward pass that fails
        hooks = [hook for part in net.modules() for hook in (*part._forward_hooks, *part._forward_pre_hooks)]
        assert hooks == []
        for other in (copy.deepcopy(features), pickle.loads(pickle.dumps(features))):
            assert (compute_outputs(other, images) == compute_outputs(features, images)).all()
    assert digest(net) == before


def test_gradients_go_through_the_features(images):
    net = Net()
    LayerFeatures(net)(tensor(images)).sum().backward()
    assert net.hidden.weight.grad.isfinite().all()
    assert net.fc.weight.grad is None


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            "hiden",
            r"layer is 'hiden', expected the name of a layer of Net \(nearest: hidden\), '' for its output, or None",
        ),
        ("xyz", r"layer is 'xyz', expected .* \(nearest: conv, relu, unused, pool, hidden, lstm, fc, softmax\)"),
        (3, "layer is 3, expected the name of a layer of Net"),
        (
            "unused",
            "layer 'unused' of Net is not reached by its forward pass: name another layer, or '' for its output",
        ),
        (
            "lstm",
            r"the output of lstm \(Net\) is of type tuple, expected a tensor: .*: \[0\] \(128, 6\), \[1\] tuple",
        ),
    ],
)
def test_bad_layers_are_named(images, layer, message):
    with pytest.raises(ValueError, match=message):
        encode(Net(), images, layer=layer)


def test_a_module_that_returns_no_tensor(images):
    class Two(nn.Module):
        def forward(self, images):
            return images, images

    with pytest.raises(ValueError, match=r"the output of the module \(Two\) is of type tuple, expected a tensor"):
        encode(Two(), images)


@pytest.mark.parametrize("encoder", [None, PCA(2), np.mean])
def test_only_torch_modules_have_layers(images, encoder):
    with pytest.raises(
        ValueError, match="layer is 'fc', expected None: encoder is of type .*, which is no torch module"
    ):
        encode(encoder, images, layer="fc")


@pytest.mark.parametrize("make", [torch.jit.script, lambda module: torch.jit.trace(module, torch.zeros(1, 3, 8, 8))])
@pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated, but people have such files
def test_modules_of_torch_jit_have_an_output_and_no_layers(make):
    module = nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.ReLU(), nn.Linear(5, 2)).eval()
    X = np.random.default_rng(0).integers(256, size=(10, 8, 8, 3), dtype=np.uint8)
    np.testing.assert_allclose(encode(make(module), X, layer=""), encode(module, X, layer=""), atol=1e-6)
    for layer in (None, "1"):
        with pytest.raises(TypeError, match=r"layer is .*, expected '' .its output. for a module made by torch.jit"):
            encode(make(module), X, layer=layer)


def test_running_out_of_memory_is_no_fault_of_the_images():
    class Hungry(nn.Module):
        def forward(self, images):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")

    with pytest.raises(RuntimeError, match="DefaultCPUAllocator"):
        encode(Hungry(), np.zeros((2, 8, 8, 3), dtype=np.uint8))


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, 10**12])
def test_batches_that_cannot_be_are_refused(batch_size):
    with pytest.raises(ValueError, match=r"batch_size is -?\d+.*, expected a whole number from 1 to 65536"):
        encode(None, np.zeros((2, 8, 8, 3), dtype=np.uint8), batch_size)


def test_full_batches_of_images_in_reverse_order():
    X = np.random.default_rng(0).integers(256, size=(256, 2, 2, 3), dtype=np.uint8)
    assert (encode(nn.Flatten(), X[::-1]) == encode(nn.Flatten(), X)[::-1]).all()


def test_the_input_of_a_head_that_is_pooled_already_is_not_pooled_in_silence(images):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    assert encode(module, images, pool="flatten").shape == (40, 4)
    for pool in ("mean", "class"):
        with pytest.raises(ValueError, match=f"the input of 3 .* has neither tokens nor places: pool is '{pool}'"):
            encode(module, images, pool=pool)
    assert encode(module, images, layer="0", pool="mean").shape == (40, 4)


def test_a_head_that_is_bypassed_is_found_with_one_image():
    class Bypassed(nn.Module):
        def __init__(self):
            super().__init__()
            self.skip, self.head = nn.Linear(12, 4), nn.Linear(12, 4)

        def forward(self, images):
            return self.head(images.flatten(1)) + self.skip(images.flatten(1))

    images = np.random.default_rng(0).integers(256, size=(3, 2, 2, 3), dtype=np.uint8)
    for batch_size in (1, 2, 4):
        with pytest.raises(ValueError, match="head, the last layer with weights of Bypassed, is not the only way"):
            encode(Bypassed(), images, batch_size)


def test_a_batch_normalisation_that_stays_in_training_mode_is_not_trained():
    class Training(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm2d(3)

        def forward(self, images):
            self.norm.training = True
            return self.norm(images)

    module, images = Training(), np.random.default_rng(0).integers(256, size=(5, 4, 4, 3), dtype=np.uint8)
    before = copy.deepcopy(module.state_dict())
    encode(module, images)
    for name, values in module.state_dict().items():
        assert torch.equal(values, before[name]), name


def test_buffers_are_what_they_were():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("n_calls", torch.zeros(()))
            self.register_buffer("mean", torch.ones(3))

        def forward(self, images):
            self.n_calls += 1
            self.mean = 0.9 * self.mean + 0.1 * images.mean(dim=(0, 2, 3))  # another tensor
            return images.mean(dim=(2, 3))

    module = Counting()
    encode(module, np.random.default_rng(0).integers(256, size=(5, 4, 4, 3), dtype=np.uint8))
    assert (module.n_calls, module.mean.tolist()) == (0, [1, 1, 1])


def test_a_cache_that_grows_stays_large(images):
    class Caching(nn.Module):
        def __init__(self):
            super().__init__()
            self.n_cached = 0
            self.register_buffer("cached", torch.zeros(0), persistent=False)

        def forward(self, images):
            rows = images.flatten(1)
            if rows.shape[1] > self.n_cached:
                self.n_cached = rows.shape[1]
                self.register_buffer("cached", torch.arange(float(self.n_cached)), persistent=False)
            return rows + self.cached[: rows.shape[1]]

    module = Caching()
    assert (encode(module, images) == encode(module, images)).all()


def test_arrays_on_a_disk_are_read_piece_by_piece(images):
    class OnDisk:
        shape, dtype, most = (12_000, 32, 32, 3), np.dtype(np.uint8), 0

        def __len__(self):
            return 12_000

        def __getitem__(self, rows):
            n = len(range(12_000)[rows])
            self.most = max(self.most, n)
            return np.zeros((n, 32, 32, 3), np.uint8)

        def __array__(self, *_, **__):
            raise AssertionError("all of it is read")

    X = OnDisk()
    encode(lambda X: X.mean(axis=(1, 2)), X)
    assert X.most < 6_000
    seen = []
    encode(lambda X: seen.append(X.dtype) or X.mean(axis=(1, 2)), images / 255)
    assert seen == [np.float64]


def test_a_quantised_network_has_features(images):
    observed = torch.ao.quantization.QuantWrapper(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten()))
    observed.qconfig = torch.ao.quantization.default_qconfig
    with warnings.catch_warnings(action="ignore"):  # of torch 2.10 and later, that it will go
        prepared = torch.ao.quantization.prepare(observed.eval())
        prepared(torch.rand(8, 3, 16, 16))
        quantised = torch.ao.quantization.convert(prepared)
    of_layer, output = (encode(quantised, images, layer=layer) for layer in ("module.2", ""))
    np.testing.assert_allclose(of_layer, output, atol=1e-6)
    assert len(np.unique(of_layer)) > 10


def test_images_that_are_none_are_refused(images):
    for X in (images.astype(int), images.astype("uint16"), images.astype("float32"), images > 128):
        with pytest.raises(ValueError, match="^X (has dtype|holds floats)"):
            encode(nn.Flatten(), X)
    assert (encode(nn.Flatten(), images.tolist()) == encode(nn.Flatten(), images)).all()  # ints of Python are counts


def test_the_dtype_of_a_network_is_one_in_which_torch_computes():
    module = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    module.register_buffer("scale", torch.ones(1).to(torch.float8_e4m3fn))
    module.register_parameter("stored", nn.Parameter(torch.ones(1).to(torch.float8_e5m2), requires_grad=False))
    assert first_weight(module).dtype == torch.float32


def test_weights_without_values_are_named(images):
    with torch.device("meta"):
        module = nn.Sequential(nn.Flatten(), nn.Linear(768, 2))
    with pytest.raises(ValueError, match="weights of the encoder have no values, because they are on the device meta"):
        encode(module, images)


@pytest.mark.parametrize(
    "convert",
    [sparse.csr_matrix, lambda Z: list(torch.tensor(Z, requires_grad=True)), lambda Z: torch.from_numpy(Z).to_sparse()],
    ids=["sparse matrix", "list of tensors", "sparse tensor"],
)
def test_rows_in_any_form(images, convert):
    def encoder(X):
        return X.mean(axis=(1, 2))

    np.testing.assert_array_equal(encode(lambda X: convert(encoder(X)), images), encode(encoder, images))


def test_a_generator_is_no_array(images):
    with pytest.raises(ValueError, match="encoder returned a value of type generator, expected one array or tensor"):
        encode(lambda X: (image.mean() for image in X), images)


def test_tensors_and_sparse_outputs():
    images = np.random.default_rng(0).integers(256, size=(5, 4, 4, 3), dtype=np.uint8)
    expected = encode(nn.Flatten(), images)
    assert (encode(nn.Flatten(), torch.from_numpy(images)) == expected).all()
    with pytest.raises(ValueError, match=r"^X has shape \(5, 48\), expected"):
        encode(nn.Flatten(), torch.zeros(5, 48))
    encoder = OneHotEncoder(handle_unknown="ignore").fit(images.reshape(5, -1))
    assert encode(encoder, images).shape == (5, encoder.transform(images.reshape(5, -1)).shape[1])


def test_outputs_that_are_written_into_the_same_tensor():
    shared = torch.empty(4, 3)

    def encoder(X):
        shared[: len(X)] = torch.from_numpy(X.mean(axis=(1, 2)))
        return shared[: len(X)]

    images = np.random.default_rng(0).integers(256, size=(11, 4, 4, 3), dtype=np.uint8)
    np.testing.assert_allclose(encode(encoder, images, batch_size=4), images.mean(axis=(1, 2)), rtol=1e-6)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ("torchvision:resnet18", r"of type str, .*: invtransfer.load_model\('torchvision:resnet18'\) gives a model"),
        (nn.Linear(2, 2).state_dict(), "of type OrderedDict, .*: load a state_dict into its module"),
        ({"one": nn.Flatten()}, "of type dict, .*: give one encoder at a time"),
        (make_pipeline(StandardScaler(), LogisticRegression()), r".*: leave out its last step, encoder\[:-1\]"),
    ],
)
def test_what_is_often_taken_for_an_encoder(encoder, message):
    with pytest.raises(TypeError, match=f"^encoder is {message}"):
        open_encoder(encoder)


def test_a_module_of_grey_images_is_told_how_it_gets_them():
    module, images = (
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 2)),
        np.zeros((2, 8, 8, 3), np.uint8),
    )
    hint = "; put a conversion in front, torch.nn.Sequential(torchvision.transforms.Grayscale(), model)"
    with pytest.raises(ValueError, match=f"^Sequential fails on images of 8 x 8 x 3: .*{re.escape(hint)}$"):
        encode(module, images)
    converted = nn.Sequential(torchvision.transforms.Grayscale(), module)
    images[0] = 255, 0, 0  # red, whose grey is 0.2989
    assert encode(converted, images, layer="0", pool="flatten")[:, 0] == pytest.approx([0.2989, 0], abs=1e-4)
    assert encode(converted, images).shape == (2, 144)
    with pytest.raises(ValueError, match="; perhaps it is made for images of another size$"):
        encode(nn.Sequential(nn.Flatten(), nn.Linear(7, 2)), images)


def test_a_module_that_takes_more_than_images():
    class Two(nn.Module):
        def forward(self, images, meta):
            return images.mean((2, 3)) + meta

    with pytest.raises(ValueError, match="missing 1 required .* 'meta'; wrap it in a module that takes the images"):
        encode(Two(), np.zeros((2, 8, 8, 3), np.uint8))


def test_a_state_dict_is_no_dict_of_encoders():
    with pytest.raises(TypeError, match="^encoder is the state_dict of a module, expected a dict of encoders: load it"):
        check_encoders(nn.Linear(2, 2).state_dict(), "encoder")
