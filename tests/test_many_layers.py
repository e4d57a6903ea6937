"""Features of several layers from one forward pass."""

import copy
import dataclasses
import pickle
from collections import UserDict, namedtuple

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models

from invtransfer.encoders.classifier import build_network
from invtransfer.encoders.encoding import encode, open_encoder
from invtransfer.encoders.layers import LayerFeatures
from invtransfer.encoders.many_layers import FEATURE, ManyLayers, find_blocks
from invtransfer.encoders.preprocessing import Preprocessed, Preprocessing


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return x + self.conv(x)


class Network(nn.Module):
    """Two blocks, one of which runs twice, one that never runs, and a head."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block(), Block()])
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(3, 2)
        self.n_calls = 0

    def forward(self, x):
        self.n_calls += 1
        x = self.blocks[0](x)
        x = self.relu(x)  # changes the output of the block in place
        x = self.blocks[0](x)
        return self.head(self.blocks[2](x).mean((2, 3)))


@pytest.fixture
def network():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return Network().eval()


@pytest.fixture
def some_images():
    return torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_each_layer_is_what_it_is_alone(some_images):
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        network = models.resnet18().eval()
    together = ManyLayers(network)
    with torch.no_grad():
        Z = together(some_images)
        for name, columns in zip(together.names, together.columns, strict=True):
            alone = LayerFeatures(network, None if name == FEATURE else name)
            assert torch.equal(Z[:, columns], alone(some_images)), name
    assert together.names == [*find_blocks(network), FEATURE]
    assert together.descriptions[0] == "output of layer1.0, mean over places"
    assert together.descriptions[-1] == "input of fc"


@pytest.mark.parametrize("names", [["relu", ""], ["", "relu"], ["relu", "[0]"], ["blocks.0.conv", "relu", ""]])
def test_the_output_of_the_module_may_be_named_last(network, some_images, names):
    if "[0]" in names:
        network.forward = lambda x: (Network.forward(network, x),)
    together = ManyLayers(network, names)
    with torch.no_grad():
        Z = together(some_images)
        for name, columns in zip(together.names, together.columns, strict=True):
            assert torch.equal(Z[:, columns], LayerFeatures(network, name)(some_images)), name
    assert sorted(together.names) == sorted(names)


def test_depth_is_the_share_of_the_layers_that_have_run(some_images):
    # conv1, two blocks of 2 convolutions in layer1, and 3 + 2 in each of the other stages, with that of the shortcut
    together = ManyLayers(models.resnet18().eval())
    with torch.no_grad():
        together(some_images)
    done = np.array([3, 5, 8, 10, 13, 15, 18, 20, 20])  # of 20, without the head
    assert together.depths == pytest.approx(done / 20)


def test_blocks_that_do_not_run_are_left_out_and_the_last_run_counts(network, some_images):
    together = ManyLayers(network)
    with torch.no_grad():
        Z = together(some_images)
        assert network.n_calls == 1
        first = network.relu(network.blocks[0](some_images.clone()))
        second = network.blocks[0](first)
        last = network.blocks[2](second).mean((2, 3))
    assert together.names == ["blocks.0", "blocks.2", FEATURE]
    assert together.descriptions[0] == "output of blocks.0, mean over places, last of 2 runs"
    assert torch.equal(Z, torch.cat([second.mean((2, 3)), last, last], dim=1))
    assert together.depths == pytest.approx([2 / 3, 1, 1])


def test_what_a_later_layer_does_in_place_is_not_seen(some_images):
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.ReLU(inplace=True), nn.Linear(4, 2)).eval()
    nn.init.normal_(network[1].weight, generator=torch.Generator().manual_seed(0))  # of both signs
    with torch.no_grad():
        Z = ManyLayers(network, ["1"])(some_images)
        assert torch.equal(Z, network[1](some_images.flatten(1)))
    assert (Z < 0).any()


Named = namedtuple("Named", "maps more")


@dataclasses.dataclass(frozen=True)
class Data:
    maps: torch.Tensor


@pytest.mark.parametrize("make", [lambda x: Named(x, None), Data, lambda x: [x], lambda x: UserDict(maps=x)])
def test_what_a_later_layer_does_to_a_part_in_place_is_not_seen(make, some_images):
    class Parts(nn.Module):
        def forward(self, x):
            return make(x * 1)

    class Spoils(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts, self.fc = Parts(), nn.Linear(3, 2)

        def forward(self, x):
            output = self.parts(x)
            maps = output.maps if hasattr(output, "maps") else next(iter(output))
            maps = output[maps] if isinstance(maps, str) else maps
            return self.fc(maps.mul_(0).mean((2, 3)))

    features = LayerFeatures(Spoils(), "parts")(some_images)
    assert torch.allclose(features, some_images.mean((2, 3)))


def test_the_module_is_left_as_it_was(network, some_images):
    before = copy.deepcopy(network.state_dict())
    ManyLayers(network)(some_images)
    assert all(not part._forward_hooks for part in network.modules())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    pickle.loads(pickle.dumps(network))


def test_the_check_of_the_head_is_not_taken_for_a_run(some_images):
    class Softmaxed(Network):
        def forward(self, x):
            return super().forward(x).softmax(1)

    network = Softmaxed()
    together = ManyLayers(network).eval()
    with torch.no_grad():
        assert together(some_images).shape == (5, 9)
    assert network.n_calls == 2
    assert together.descriptions[0].endswith("last of 2 runs")
    assert together.depths == pytest.approx([2 / 3, 1, 1])


def test_a_head_that_is_bypassed_is_found_with_several_layers_too(some_images):
    class Bypassed(Network):
        def forward(self, x):
            return super().forward(x) + x.mean((2, 3))[:, :2]

    together = ManyLayers(Bypassed()).eval()
    for _ in range(2):
        with pytest.raises(ValueError, match="head, the last layer with weights of Bypassed, is not the only way"):
            together(some_images)
    assert ManyLayers(Bypassed(), ["blocks.0"]).eval()(some_images).shape == (5, 3)


def test_layers_that_run_for_some_images_only(network, some_images):
    class Sometimes(Network):
        def forward(self, x):
            return super().forward(self.blocks[1](x) if x.sum() > 0 else x)

    together = ManyLayers(Sometimes())
    assert together(some_images).shape == (5, 12)
    with pytest.raises(ValueError, match="layers holds 'blocks.1', which .* Sometimes reaches for some images only"):
        together(-some_images)


def test_layers_that_run_in_another_order_for_other_images(some_images):
    class Swapped(Network):
        def forward(self, x):
            first, second = self.blocks[:2] if x.sum() > 0 else self.blocks[1::-1]
            return second(first(x)).mean((2, 3))

    network = Swapped()
    together = ManyLayers(network, ["blocks.0", "blocks.1"])
    together(some_images)
    other = network.blocks[0](network.blocks[1](-some_images)).mean((2, 3))
    assert torch.equal(together(-some_images)[:, together.columns[0]], other)


def test_layers_whose_rows_are_no_images(some_images):
    windows = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(0, 1), nn.Flatten(), nn.Unflatten(0, (-1, 4)))
    with pytest.raises(ValueError, match="layers holds '2', whose output has 20 rows for 5 images"):
        ManyLayers(windows, ["0", "2"])(some_images)


@pytest.mark.parametrize("layers", [["0", "3"], ["0", ""]])
def test_layers_of_one_number_per_image(layers, some_images):
    squeezed = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.LazyLinear(1), nn.Flatten(0))
    squeezed(some_images)
    with pytest.raises(ValueError, match=r"has shape \(5,\), expected one row per image"):
        ManyLayers(squeezed, layers)(some_images)


def test_compiled_networks(some_images):
    network = models.resnet18().eval()
    with torch.no_grad():
        expected = ManyLayers(network)(some_images)
        assert torch.equal(ManyLayers(torch.compile(network))(some_images), expected)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "densenet121", "vgg11", "vit"])
def test_blocks_of_our_networks(name):
    network = build_network(name, 10, width=0.125, generator=torch.Generator().manual_seed(0)).eval()
    together = ManyLayers(network)
    with torch.no_grad():
        together(torch.zeros(2, 3, 32, 32))
    assert len(together.names) == {"resnet18": 9, "resnet50": 17, "densenet121": 59, "vgg11": 9, "vit": 8}[name]
    assert together.depths == sorted(together.depths)
    assert together.depths[-1] == 1
    assert together.descriptions[-1] == "input of head"


@pytest.mark.parametrize(
    ("name", "n_blocks", "some"),
    [
        ("swin_t", 15, "features.1.0"), ("convnext_tiny", 18, "features.5.8"), ("efficientnet_b0", 18, "features.4.1"),
        ("googlenet", 14, "inception4b"), ("vit_b_16", 12, "encoder.layers.encoder_layer_3"),
        ("alexnet", 7, "features.3"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:The default weight init:FutureWarning")
def test_blocks_of_torchvision_networks(name, n_blocks, some):
    options = {"init_weights": False} if name == "googlenet" else {}
    with torch.device("meta"):
        blocks = find_blocks(models.get_model(name, weights=None, **options))
    assert len(blocks) == n_blocks
    assert some in blocks


def test_a_wrapper_around_the_network_is_no_block():
    assert find_blocks(nn.Sequential(nn.Identity(), Network())) == ["1.blocks.0", "1.blocks.1", "1.blocks.2"]


def test_a_network_that_is_made_of_networks_of_its_type_is_no_block(some_images):
    class Nested(Block):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(super().forward(x))

    network = Nested(Nested(nn.Identity()))
    assert find_blocks(network) == ["inner"]
    assert ManyLayers(network)(some_images).shape == (5, 6)


def test_a_normalisation_with_an_activation_is_no_block():
    class NormAct(nn.BatchNorm2d):
        def __init__(self):
            super().__init__(3)
            self.act = nn.ReLU()

    assert find_blocks(nn.Sequential(NormAct(), Block(), NormAct(), Block())) == ["1", "3"]


def test_blocks_of_a_model_of_images_and_text_are_those_for_images(some_images):
    class Tower(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([Block(), Block()])

        def forward(self, x):
            return self.layers[1](self.layers[0](x))

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.text, self.visual = Tower(), Tower()

        def encode_image(self, x):
            return self.visual(x).mean((2, 3))

    assert find_blocks(Both()) == ["visual.layers.0", "visual.layers.1"]
    together = ManyLayers(Both())
    together(some_images)
    assert together.depths == [0.5, 1, 1]


def test_of_a_block_that_returns_several_tensors_the_first_is_taken(some_images):
    class Attentive(Block):
        def forward(self, x):
            return super().forward(x), x.flatten(2)

    class Chain(Network):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList([Attentive(), Attentive()])

        def forward(self, x):
            return self.head(self.blocks[1](self.blocks[0](x)[0])[0].mean((2, 3)))

    network = Chain().eval()
    together = ManyLayers(network, "blocks")
    for _ in range(2):
        Z = together(some_images)
        named = ManyLayers(network, ["blocks.0[0]", "blocks.1[0]"])(some_images)
        assert torch.equal(Z[:, :6], named)
    assert together.names == ["blocks.0", "blocks.1", FEATURE]
    assert together.descriptions[0] == "output of blocks.0 (0), mean over places"
    again = ManyLayers(network, together.names[:2])  # the names of the blocks are those of layers
    assert torch.equal(again(some_images), Z[:, :6])
    with pytest.raises(
        ValueError, match=r"the output of blocks.0 \(Chain\) is of type tuple, .* such as \"blocks.0\[0\]\""
    ):
        LayerFeatures(network, "blocks.0")(some_images)


@pytest.mark.parametrize("pool", ["class", "mean"])
def test_blocks_are_pooled_as_asked_and_a_feature_that_is_a_row_stays_one(pool, images):
    network = build_network("vit", 4, width=0.125, image_shape=(16, 16, 3), generator=torch.Generator())
    features = ManyLayers(network, "blocks", pool)
    encode(features, images)
    *blocks, last = features.descriptions
    assert {one.split(", ")[1] for one in blocks} == {{"class": "class token", "mean": "mean over tokens"}[pool]}
    assert last.startswith("input of")
    names = np.array(features.names[:2])  # of any kind of list
    assert ManyLayers(network, names).layers == names.tolist()
    with pytest.raises(ValueError, match="has neither tokens nor places"):
        encode(ManyLayers(network, [features.names[0], "(feature)"], pool), images)


def test_the_network_of_an_estimator_of_ours(images):
    from invtransfer import InvariantPretrainer

    y = np.arange(len(images)) % 2
    pretrainer = InvariantPretrainer("resnet18", width=0.0625, epochs=1, random_state=0).fit(images, y)
    together = open_encoder(pretrainer, layers="blocks")
    Z = encode(together, images)
    np.testing.assert_allclose(Z[:, together.columns[-1]], pretrainer.transform(images), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("layer1", r"layers is 'layer1', expected 'blocks' or a list of names, such as \['layer1'\]"),
        ([], "layers is empty, expected at least one name, or 'blocks'"),
        (["head", "head"], "layers holds 'head' more than once, expected each name once"),
        (["block.0"], r"layers holds 'block.0', expected .* of Network \(nearest: blocks.0, blocks.2, blocks.1\)"),
        (3, "layers is 3, expected 'blocks' or a list of names"),
        ([0, 1], r"layers is \[0, 1\], expected 'blocks' or a list of names"),
        (["", FEATURE], r"layers holds '' and '\(feature\)', expected one part of the output only"),
    ],
)
def test_layers_that_are_none(network, layers, message):
    with pytest.raises(ValueError, match=message):
        ManyLayers(network, layers)


def test_a_named_layer_that_does_not_run(network, some_images):
    with pytest.raises(ValueError, match="layers holds 'blocks.1', which the forward pass of Network does not reach"):
        ManyLayers(network, ["blocks.0", "blocks.1"])(some_images)


def test_layers_of_what_is_no_module():
    with pytest.raises(ValueError, match="layers is 'blocks', expected None: encoder is of type function"):
        open_encoder(lambda X: X, layers="blocks")
    with pytest.raises(ValueError, match="layer is 'head' and layers is 'blocks', expected one of them"):
        open_encoder(nn.Linear(2, 2), "head", layers="blocks")


def test_layers_of_a_loaded_model_are_called_as_in_the_model():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 6, 3), nn.Flatten(), nn.Linear(96, 2))
    whole, images = (
        Preprocessed(Preprocessing(mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.1)), model),
        torch.rand(2, 3, 8, 8),
    )
    feature = LayerFeatures(whole)
    feature(images)
    assert feature.description == "input of 3"
    blocks = ManyLayers(whole)
    blocks(images)
    assert (blocks.names, blocks.depths) == (["0", "1", "(feature)"], [0.5, 1.0, 1.0])
    for one, other in (("0", "model.0"), ("", "model")):  # names of the whole of both are known, too
        assert torch.equal(LayerFeatures(whole, one)(images), LayerFeatures(whole, other)(images))
        assert torch.equal(ManyLayers(whole, [one])(images), ManyLayers(whole, [other])(images))
    with pytest.raises(
        ValueError, match=r"layer is 'fc', expected the name of a layer of Sequential \(nearest: 0, 1, "
    ):
        LayerFeatures(whole, "fc")
    with pytest.raises(ValueError, match="layer is 'model.7', expected"):  # as it was typed
        LayerFeatures(whole, "model.7")
    with pytest.raises(ValueError, match="layers holds '0' more than once"):
        ManyLayers(whole, ["0", "model.0"])
    assert find_blocks(whole) == ["0", "1"]


def test_two_thousand_layers():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), *(nn.Linear(12, 12) for _ in range(2_000))).eval()
    together = ManyLayers(network)
    with torch.no_grad():
        Z = together(torch.rand(3, 3, 2, 2))
    # the last linear layer is the head, whose input is the feature
    assert Z.shape == (3, 2_000 * 12)
    assert len(together.names) == 2_000
