"""What a person brings is left as it was, and what is switched on around a call changes nothing."""

import contextlib
import copy
import pickle

import numpy as np
import pytest
import torch
from describing import encode_and_describe
from estimator_checks import digest, smallest
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.ao.nn.quantized import dynamic

from invtransfer import (
    TRANSFORMATIONS,
    FineTuner,
    FrozenFeatureProbe,
    InvariantPretrainer,
    SensitivityScorer,
    TransformedImages,
    Transforms2D,
)
from invtransfer.encoders.encoding import encode
from invtransfer.encoders.layers import LayerFeatures
from invtransfer.networks.architectures import NETWORKS
from invtransfer.networks.inference import compute_outputs
from invtransfer.surroundings import usual_torch

IMAGES, Y = np.random.default_rng(0).integers(256, size=(40, 16, 16, 3), dtype=np.uint8), np.arange(40) % 2


def classifier(head=None):
    torch.manual_seed(0)
    body = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*body, nn.Linear(8, 5) if head is None else head).eval()


@contextlib.contextmanager
def switched(switch, value, back):
    switch(value)
    try:
        yield
    finally:
        switch(back)


SURROUNDINGS = {
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "double": lambda: switched(torch.set_default_dtype, torch.float64, torch.float32),
    "half": lambda: switched(torch.set_default_dtype, torch.float16, torch.float32),
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
    "deterministic": lambda: switched(torch.use_deterministic_algorithms, True, False),
    "device": lambda: torch.device("meta"),
}


@pytest.fixture(params=SURROUNDINGS)
def surroundings(request):
    return SURROUNDINGS[request.param]


def make_images(objects, images):
    sources = [Transforms2D(objects[:4], list(TRANSFORMATIONS), random_state=0)]
    for name in TRANSFORMATIONS:
        sources += [Transforms2D(objects[:4], [name], random_state=0)]
        sources += [TransformedImages(X, None, [name], random_state=0) for X in (images, (images / 255))]
    return [source.sample(10)[0] for source in sources]


@pytest.fixture(scope="module")
def made(objects, images):
    return make_images(objects, images)


def test_surroundings_do_not_change_images(objects, images, made, surroundings):
    with surroundings():
        again = make_images(objects, images)
    assert all((one == other).all() for one, other in zip(again, made, strict=True))


class Positions(nn.Module):
    """Add positions that are made anew in each pass."""

    def forward(self, x):
        return x + torch.linspace(0, 1, x.shape[-1], device=x.device)


def measure(images, module):
    options = {"epochs": 1, "batch_size": 20, "random_state": 0, "device": "cpu", "precision": "float32"}
    scorer = SensitivityScorer(module, transformations=["blur", "rotate"], n_pairs=20, random_state=0).fit(images)
    probe = FrozenFeatureProbe(module, solver="adam", epochs=2, random_state=0).fit(images, Y)
    pretrainer = InvariantPretrainer("resnet18", **options).fit(images, Y)
    own = InvariantPretrainer(module, **options).fit(images, Y)
    tuner = FineTuner(pretrainer, **options).fit(images, Y)
    return [
        scorer.sensitivity_.values, scorer.transform(images[:3]), probe.coef_, probe.predict_proba(images),
        *(estimator.predict_proba(images) for estimator in (pretrainer, own, tuner)),
    ]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def named_network():
    """Make the network with a name the smallest: which it is decides nothing here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "resnet18", smallest)
        yield


@pytest.fixture(scope="module")
def measured():
    return measure(IMAGES, nn.Sequential(Positions(), classifier()))


def test_surroundings_do_not_change_numbers(measured, surroundings):
    module = nn.Sequential(Positions(), classifier())  # a person's own, made before
    with surroundings():
        again = measure(IMAGES, module)
    for one, other in zip(again, measured, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_surroundings_are_as_they_were():
    with torch.inference_mode(), torch.autocast("cpu"), torch.device("meta"):
        with usual_torch(), contextlib.suppress(KeyError):
            assert torch.ones(2, requires_grad=True).device.type == "cpu"
            assert not torch.is_autocast_enabled("cpu")
            with usual_torch(dtype=torch.float64):
                assert torch.ones(1).dtype == torch.float64
            raise KeyError
        assert torch.is_inference_mode_enabled()
        assert torch.is_autocast_enabled("cpu")
        assert torch.ones(1).device.type == "meta"
    assert torch.get_default_dtype() == torch.float32
    with torch.device("meta"), usual_torch("meta"):  # the caller's own device, if the module is there
        assert torch.ones(1).device.type == "meta"


class Spoils(nn.Module):
    """Normalise in place, look at the layout, and keep the images."""

    def __init__(self, dtype=torch.float32):
        super().__init__()
        self.weight = nn.Parameter(torch.ones((), dtype=dtype))
        self.seen = []

    def forward(self, X):
        self.seen.append((X.dtype, X.is_contiguous(), torch.is_inference_mode_enabled(), torch.is_grad_enabled()))
        X.sub_(0.5).mul_(2)
        return X.view(len(X), -1) * self.weight


@pytest.mark.parametrize("shape", [(40, 16, 16, 3), (40, 1, 1, 3)])  # the second is contiguous in any order
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_a_module_gets_plain_copies_in_its_own_dtype(shape, dtype):
    images = np.random.default_rng(0).random(shape, dtype=np.float32)
    before, module = images.copy(), Spoils(dtype)
    Z = encode(module, images, 40)
    assert module.seen == [(dtype, True, False, False)]
    assert (images == before).all()
    assert Z.dtype == np.float32
    rounding = torch.finfo(dtype).eps
    np.testing.assert_allclose(Z, 2 * images.transpose(0, 3, 1, 2).reshape(40, -1) - 1, atol=4 * rounding + 1e-6)


def test_a_function_and_a_transformer_get_copies(images):
    X = (images / 255).astype(np.float32)
    before = X.copy()

    def spoil(batch):
        batch -= 0.5
        return batch.mean((1, 2))

    encode(spoil, X, 40)
    rows = X.reshape(40, -1).copy()
    encode(StandardScaler(copy=False).fit(rows.copy()), X)
    assert (before == X).all()


def test_networks_that_flatten_with_view_can_be_trained(images):
    class Views(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc1, self.fc2 = nn.Conv2d(3, 2, 5), nn.Linear(288, 4), nn.Linear(4, 2)

        def forward(self, x):
            x = self.conv(x)
            return self.fc2(torch.relu(self.fc1(x.view(len(x), -1))))

    options = {"epochs": 1, "batch_size": 20, "random_state": 0, "device": "cpu"}
    for estimator in (InvariantPretrainer(Views(), **options), FineTuner(Views(), **options)):
        assert estimator.fit(images, Y, images, Y).transform(images).shape == (40, 4)


class Caches(nn.Module):
    """Make positions in the first pass and keep them."""

    def __init__(self):
        super().__init__()
        self.conv, self.head, self.positions = nn.Conv2d(3, 4, 3), nn.Linear(4, 2), None

    def forward(self, x):
        x = self.conv(x)
        if self.positions is None:
            self.positions = torch.linspace(0, 1, x[0].numel()).view(x.shape[1:])
        return self.head((x * self.positions).mean((2, 3)))


def test_tensors_of_the_first_pass_can_be_trained_with(images):
    module = Caches()
    encode(module, images)
    module.train()(torch.rand(4, 3, 16, 16)).sum().backward()
    # validation between two epochs keeps them, too
    InvariantPretrainer(Caches(), epochs=2, batch_size=20, random_state=0, device="cpu").fit(images, Y, images, Y)


class Merges(nn.Linear):
    """Add an adapter to the weight in evaluation mode, as loralib does; rounded, it cannot be taken away again."""

    def __init__(self):
        super().__init__(8, 5)
        self.adapter, self.merged = nn.Parameter(torch.rand(5, 8) * 1e4), False

    def train(self, mode=True):
        super().train(mode)
        if mode == self.merged:
            self.weight.data += -self.adapter if mode else self.adapter
            self.merged = not mode
        return self


def test_modes_and_weights_are_as_they_were(images):
    module = classifier(Merges()).eval().train()
    module[1].eval()
    before, modes = digest(module), [part.training for part in module.modules()]
    Z = encode(module, images, layer="")
    assert digest(module) == before
    assert [part.training for part in module.modules()] == modes
    assert not module[5].merged
    again = encode(module.eval(), images, layer="")
    assert (again == Z).all()  # the first was in evaluation mode, too


def test_modes_are_as_they_were_after_an_error(images):
    module = nn.Sequential(nn.BatchNorm2d(5))
    with pytest.raises(ValueError, match="fails on images of 16 x 16 x 3"):
        encode(module, images)
    assert module.training
    assert module[0].training


class Adapter(nn.Module):
    """A linear layer with a low-rank adapter, as peft makes it, but for the name of the layer."""

    def __init__(self, name, base, rank=2, first=False):
        super().__init__()
        self.name = name
        if not first:
            self.add_module(name, base)
        self.lora_A = nn.ModuleDict({"default": nn.Linear(base.in_features, rank, bias=False)})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(rank, base.out_features, bias=False)})
        if first:
            self.add_module(name, base)

    def forward(self, x):
        return getattr(self, self.name)(x) + self.lora_B["default"](self.lora_A["default"](x))


class Saved(nn.Module):
    """A layer that peft trains in full: the original and the copy in use."""

    def __init__(self):
        super().__init__()
        self.original_module, self.modules_to_save = nn.Linear(8, 5), nn.ModuleDict({"default": nn.Linear(8, 5)})
        self.active = True

    def forward(self, x):
        return self.modules_to_save["default"](x) if self.active else self.original_module(x)


def switched_off(saved):
    saved.active = False
    return saved


class Ternary(nn.Module):
    """A quantised linear layer of a library's own, whose weights are no parameters."""

    def __init__(self):
        super().__init__()
        self.in_features, self.out_features = 8, 5
        self.register_buffer("packed", torch.arange(40).view(5, 8) % 3 - 1)

    def forward(self, x):
        return x @ self.packed.to(x.dtype).mT


HEADS = {
    "linear": lambda: nn.Linear(8, 5),
    "adapter": lambda: Adapter("base_layer", nn.Linear(8, 5)),
    "adapter made first": lambda: Adapter("base_layer", nn.Linear(8, 5), first=True),
    "adapter of a quantised layer": lambda: Adapter("base_layer", Ternary()),
    "saved": Saved,
    "original": lambda: switched_off(Saved()),
    "weight norm": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(8, 5, bias=False)),
    "spectral norm": lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(8, 5)),
    "quantised": Ternary,
    "dynamic": lambda: dynamic.Linear(8, 5),
    "with a softmax": lambda: nn.Sequential(nn.Linear(8, 5), nn.Dropout(), nn.Softmax(dim=1)),
}


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.filterwarnings("ignore")  # torch.ao is deprecated, but people have such layers
def test_the_head_is_found_through_what_is_wrapped_around_it(images, kind):
    module = classifier(HEADS[kind]())
    Z, place = encode_and_describe(module, images)
    assert place == f"input of 5{'.0' * (kind == 'with a softmax')}"
    assert (encode(module[:5], images) == Z).all()


class Sum(nn.Module):
    """Two linear layers side by side."""

    def __init__(self, hidden):
        super().__init__()
        self.short, self.long = nn.Linear(8, 5), nn.Sequential(nn.Linear(8, hidden), nn.ReLU(), nn.Linear(hidden, 5))

    def forward(self, x):
        return self.short(x) + self.long(x)


class Names(nn.Module):
    """Give the logits a name, as Hugging Face's classifiers do."""

    def forward(self, x):
        return {"loss": None, "logits": x}


@pytest.mark.parametrize("last", [None, nn.Softmax(dim=1), Names()])
@pytest.mark.parametrize("make", [lambda: Adapter("linear", nn.Linear(8, 5)), lambda: Sum(3)])
def test_what_is_no_head_is_not_guessed_to_be_one(images, make, last):
    module = classifier(make() if last is None else nn.Sequential(make(), last))
    with pytest.raises(ValueError, match="layer is None, .* is not the only way to (the first part of )?its output"):
        encode(module, images)
    with pytest.raises(ValueError, match="layer is None, .* is not the only way to (the first part of )?its output"):
        FineTuner(module, epochs=0, random_state=0).fit(images, Y)
    assert encode(module, images, layer="").shape == (40, 5)
    assert encode(module, images, layer="4").shape == (40, 8)


def test_weights_that_are_not_there_yet_are_not_drawn(images):
    module = nn.Sequential(nn.Flatten(), nn.LazyLinear(5), nn.ReLU(), nn.LazyLinear(2))
    for call in (lambda: encode(module, images), lambda: FineTuner(module, random_state=0).fit(images, Y)):
        with pytest.raises(ValueError, match=r"1.weight of Sequential has no values before the first forward pass"):
            call()
    assert isinstance(module[1], nn.LazyLinear)
    module(torch.zeros(1, 3, 16, 16))
    assert encode(module, images).shape == (40, 5)


def test_compiled_modules(images):
    expected = encode(classifier(), images)
    whole = torch.compile(classifier(), backend="eager")
    in_place, part = classifier(), classifier()
    in_place.compile(backend="eager")
    part[5].compile(backend="eager")
    for module in (whole, in_place, part):
        encode(module, images, layer="")  # compiles it
        Z, place = encode_and_describe(module, images)
        assert place == "input of 5"
        np.testing.assert_allclose(Z, expected, atol=1e-6)
        assert encode(module, images, layer="0").shape == (40, 8)
    tuner = FineTuner(whole, epochs=0, random_state=0, device="cpu").fit(images, Y)
    np.testing.assert_allclose(tuner.transform(images), expected, atol=1e-5)


def test_exported_modules_have_an_output_and_no_layers(images):
    module = classifier()
    batch = torch.export.Dim("batch", min=2, max=1024)
    exported = torch.export.export(module, (torch.zeros(8, 3, 16, 16),), dynamic_shapes=({0: batch},)).module()
    np.testing.assert_allclose(encode(exported, images, layer=""), encode(module, images, layer=""), atol=1e-6)
    for layer in (None, "5"):
        with pytest.raises(TypeError, match=r"layer is .*, expected '' .its output. for a module made by torch.export"):
            encode(exported, images, layer=layer)
    traced = torch.fx.symbolic_trace(module)
    assert encode_and_describe(traced, images)[1] == "input of 5"


def test_modules_without_parameters_are_where_their_buffers_are(images):
    module = nn.Sequential(nn.Flatten())
    module.register_buffer("mean", torch.zeros(1, dtype=torch.float64))
    assert encode(module, images).shape == (40, 768)


def test_features_can_be_copied_after_a_pass(images):
    features = LayerFeatures(classifier())
    Z = compute_outputs(features, images)
    for other in (copy.deepcopy(features), pickle.loads(pickle.dumps(features))):
        assert (compute_outputs(other, images) == Z).all()
        assert other.description == features.description
