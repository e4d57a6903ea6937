import copy
import functools

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from invtransfer.encoders.classifier import build_network
from invtransfer.networks.architectures import NETWORKS, SelfAttention, initialise
from invtransfer.networks.devices import strides_beyond_input

# as narrow as shows every kind of layer, for tests of two CPU cores
NARROW = {"resnet18": 0.0625, "resnet50": 0.03125, "densenet121": 0.17, "vgg11": 0.0625, "vit": 0.25}


def build(name="resnet18", seed=0, **arguments):
    return build_network(name, 10, generator=torch.Generator().manual_seed(seed), **arguments)


@functools.cache
def narrow(name):
    """Return a narrow network, which tests share, so they leave it as it is."""
    return build(name, width=NARROW[name])


def random_images(n=2, side=32, seed=1):
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("resnet18", 11_173_962),
        ("resnet50", 23_520_842),
        ("densenet121", 1_000_618),
        ("vgg11", 9_231_114),
        # patches of 4 * 4 * 3 pixels to 384: 18,816 with bias; class token 384; 65 positions: 24,960;
        # 7 layers of: two norms 1,536; query, key and value 443,520; output 147,840; perceptron twice 147,840: 888,576;
        # norm 768; head 3,850
        ("vit", 18_816 + 384 + 24_960 + 7 * 888_576 + 768 + 3_850),
    ],
)
def test_number_of_weights_is_the_papers(name, count):
    assert sum(weight.numel() for weight in build_network(name, 10).parameters()) == count


def reference_resnet(builder):
    reference = builder(num_classes=10)
    reference.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    reference.maxpool = nn.Identity()
    return reference


def reference_densenet():
    reference = torchvision.models.DenseNet(12, (6, 12, 24, 16), 24, num_classes=10)
    reference.features.conv0 = nn.Conv2d(3, 24, 3, 1, 1, bias=False)
    for name in ("norm0", "relu0", "pool0"):
        setattr(reference.features, name, nn.Identity())
    return reference


def reference_vgg():
    return nn.Sequential(torchvision.models.vgg11_bn().features, nn.Flatten(), nn.Linear(512, 10))


def reference_vit():
    norm = functools.partial(nn.LayerNorm, eps=1e-5)  # torch's own eps, not torchvision's
    return torchvision.models.VisionTransformer(32, 4, 7, 8, 384, 384, num_classes=10, norm_layer=norm)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("resnet18", functools.partial(reference_resnet, torchvision.models.resnet18)),
        ("resnet50", functools.partial(reference_resnet, torchvision.models.resnet50)),
        ("densenet121", reference_densenet),
        ("vgg11", reference_vgg),
        ("vit", reference_vit),
    ],
)
def test_it_computes_what_torchvisions_does_with_the_same_weights(name, reference):
    network, side = build(name).train(), 32 if name in ("vgg11", "vit") else 16
    with torch.device("meta"):  # all of its weights are ours
        reference = reference()
    with torch.no_grad():
        network(random_images(8, side, seed=2))  # batch statistics that are not 0 and 1
        for weight in network.parameters():
            if weight.ndim == 1:  # as drawn, weights of norms are 1 and biases 0, whatever their order
                weight.add_(0.1 * torch.rand(weight.shape, generator=torch.Generator().manual_seed(weight.numel())))
    # both list their weights in the order of computation, but for the positions
    values = {key: value for key, value in network.state_dict().items() if not key.startswith("normalise")}
    if name == "vit":
        values = {key: values.pop(key) for key in list(values) if key != "backbone.positions"} | values
        positions = values.pop("backbone.positions")
        keys = list(values)
        values = {key: values[key] for key in keys[:3]} | {"positions": positions} | {k: values[k] for k in keys[3:]}
    keys = list(reference.state_dict())
    reference.load_state_dict(dict(zip(keys, values.values(), strict=True)), assign=True)
    images = random_images(2, side) * torch.tensor([0.1, 1.0])[:, None, None, None]
    with torch.no_grad():
        ours, expected = network.eval()(images), reference.eval()(images)
    assert torch.allclose(ours, expected, atol=1e-4)
    # untrained networks see little difference between images: that must be right, too
    assert (ours - expected).abs().max() < 0.01 * (expected[0] - expected[1]).abs().max()


@pytest.mark.parametrize(
    ("name", "width", "n_features"),
    [
        ("resnet18", 0.125, 64),
        ("resnet18", 0.25, 128),
        ("resnet18", 0.01, 5),
        ("resnet50", 0.0625, 128),  # 4 * 512 / 16
        ("densenet121", 0.25, 96),  # growth 3: 6, then (6 + 6 * 3) / 2 = 12, 24, 48, and 48 + 16 * 3
        ("vgg11", 0.125, 64),
        ("vit", 0.25, 96),  # two heads of 48
        ("vit", 0.01, 48),  # one at least
    ],
)
def test_width_scales_the_features(name, width, n_features):
    assert build(name, width=width).head.in_features == n_features
    backbone, number = NETWORKS[name](width=width)
    assert number == n_features
    assert backbone(random_images()).shape == (2, n_features)


@pytest.mark.parametrize("name", NETWORKS)
def test_one_generator_decides_all_weights(name):
    state = torch.random.get_rng_state()
    one, same, other = narrow(name), *(build(name, seed, width=NARROW[name]) for seed in (0, 1))
    assert (torch.random.get_rng_state() == state).all()
    weights, others = same.state_dict(), other.state_dict()
    for key, value in one.state_dict().items():
        assert (value == weights[key]).all()
    fixed = {key for key, value in one.named_parameters() if (value == others[key]).all()}
    norms = {key for key, value in one.named_parameters() if (value == value.flatten()[0]).all()}
    assert fixed == norms  # weights 1 and biases 0 of batch and layer norms; all others are random


@pytest.mark.parametrize("name", NETWORKS)
def test_no_weight_is_left_as_it_was(name):
    network = narrow(name)
    expected = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.no_grad():
        for values in (*network.backbone.parameters(), *network.backbone.buffers()):
            values.fill_(float("nan") if values.is_floating_point() else 7)
        network.head.weight.fill_(float("nan"))
        network.head.bias.fill_(float("nan"))
    generator = torch.Generator().manual_seed(0)
    initialise(network.backbone, generator)
    initialise(network.head, generator)
    assert all((value == expected[key]).all() for key, value in network.state_dict().items())


def test_layers_of_unknown_kinds_are_not_left_uninitialised():
    with pytest.raises(TypeError, match="cannot initialise a layer of type ConvTranspose2d"):
        initialise(nn.Sequential(nn.ConvTranspose2d(3, 3, 3)), torch.Generator())


def test_weights_are_drawn_as_torch_draws_them():
    layer = torch.nn.Linear(400, 300)
    std = layer.weight.std().item()  # torch's own default
    initialise(layer, torch.Generator().manual_seed(0))
    assert layer.weight.std().item() == pytest.approx(std, rel=0.02)
    assert layer.weight.abs().max().item() <= 1 / np.sqrt(400)


def test_images_are_normalised():
    network = build(width=0.125, mean=[0.5, 0.5, 0.5], std=[0.25, 0.5, 1.0])
    assert network.normalise(torch.ones(1, 3, 1, 1)).flatten().tolist() == [2.0, 1.0, 0.5]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_one_step_of_training_reaches_every_weight(name, precision):
    network = build(name, width=NARROW[name], image_shape=(40, 32, 3))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    before = [weight.detach().clone() for weight in network.parameters()]
    images, labels = torch.rand(8, 3, 40, 32, generator=torch.Generator().manual_seed(1)), torch.arange(8)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        logits = network(images)
    assert logits.shape == (8, 10)
    loss = nn.functional.cross_entropy(logits.float(), labels)
    loss.backward()
    for key, weight in network.named_parameters():
        assert weight.grad is not None, key
        assert weight.grad.isfinite().all(), key
        assert (weight.grad != 0).any(), key
    optimizer.step()
    assert all((old != new).any() for old, new in zip(before, network.parameters(), strict=True))


@pytest.mark.parametrize("name", NETWORKS)
def test_features_do_not_depend_on_the_rest_of_the_batch(name):
    backbone = narrow(name)[:-1].eval()
    images = random_images(6)
    with torch.no_grad():
        together, among_others = backbone(images), backbone(torch.cat([images[:2], 5 * images[2:] - 9]))
    assert torch.allclose(together[:2], among_others[:2], atol=1e-6)
    assert not torch.allclose(together[2:], among_others[2:], atol=1e-6)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
@pytest.mark.parametrize("image_shape", [(1, 5, 1), (24, 17, 3)])
def test_rows_of_pixels_and_odd_images(name, image_shape):
    height, width, channels = image_shape
    images = torch.rand(3, channels, height, width)
    assert build(name, width=NARROW[name], image_shape=image_shape)(images).shape == (3, 10)


@pytest.mark.parametrize(
    ("name", "width", "message"),
    [
        ("resnet19", 1.0, r"network is 'resnet19', expected a torch module or one of: resnet18, .*nearest: resnet18\)"),
        ("x", 1.0, "network is 'x', expected a torch module or one of: resnet18, resnet50, densenet121, vgg11, vit$"),
        (["resnet18"], 1.0, r"network is \['resnet18'\], expected a torch module or one of"),
        ("resnet18", 0, "width is 0, expected a number above 0 and up to 16"),
        ("resnet18", -1.0, "width is -1.0, expected"),
        ("resnet18", 1e6, "width is 1000000.0, expected"),
        ("resnet18", float("nan"), "width is nan, expected"),
        ("resnet18", "1", "width is '1', expected a number above 0 and up to 16"),
    ],
)
def test_bad_arguments_are_named(name, width, message):
    with pytest.raises(ValueError, match=message):
        build_network(name, 10, width=width)


@pytest.mark.parametrize(
    ("name", "image_shape", "message"),
    [
        ("vgg11", (16, 16, 3), "images of 16 x 16 pixels: it halves them 5 times, so each side must have at least 32"),
        ("vgg11", (64, 31, 3), "images of 64 x 31 pixels: it halves them 5 times"),
        (
            "densenet121",
            (7, 32, 3),
            "images of 7 x 32 pixels: it halves them 3 times, so each side must have at least 8",
        ),
        ("vit", (32, 28, 3), "images of 32 x 28 pixels: it cuts them .* each side must be a multiple of 8"),
        ("vit", (1, 8, 1), "images of 1 x 8 pixels"),
    ],
)
def test_images_of_a_size_that_a_network_cannot_take(name, image_shape, message):
    with pytest.raises(ValueError, match=f"network '{name}' cannot take {message}"):
        build_network(name, 10, image_shape=image_shape)


@pytest.mark.parametrize(("name", "side"), [("vgg11", 32), ("vgg11", 65), ("densenet121", 8), ("vit", 8), ("vit", 64)])
def test_the_smallest_and_odd_sizes_are_taken(name, side):
    network = build(name, width=NARROW[name], image_shape=(side, side, 3))
    assert network(random_images(2, side)).shape == (2, 10)


def relative_error(gradients, expected):
    gradients, expected = (torch.cat([g.flatten().double() for g in grads]) for grads in (gradients, expected))
    return ((gradients - expected).abs().max() / expected.abs().max()).item()


def test_gradients_of_narrow_networks_are_right_whatever_the_threads():
    X = random_images(31, 16)
    reference = build(width=0.0625).double()  # float64 does not go through oneDNN
    reference(X.double()).square().mean().backward()
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        network = build(width=0.0625).to(memory_format=torch.channels_last)
        network(X).square().mean().backward()
        both = ([weight.grad for weight in net.parameters()] for net in (network, reference))
        # through all layers float32 gave up to 3e-5 with eight seeds; what is out of bounds is wrong by any number
        assert relative_error(*both) < 1e-3
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_of_narrow_convolutions_are_right_whatever_the_threads(name):
    # oneDNN's gradient of strided 1 x 1 convolutions of few channels writes out of bounds: we have none of those. Each
    # convolution alone, because the gradient of a deep network changes by 1 % if its images change by 1e-7
    side = 32 if name == "vgg11" else 16
    network = build(name, width=NARROW[name], image_shape=(side, side, 3)).to(memory_format=torch.channels_last)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    inputs = {}

    def keep(module, args):
        inputs[module] = args[0].detach()

    assert all(module.kernel_size != (1, 1) or module.stride == (1, 1) for module in convolutions)
    handles = [module.register_forward_pre_hook(keep) for module in convolutions]
    network(random_images(31, side))
    for handle in handles:
        handle.remove()
    assert list(inputs) == convolutions
    before = torch.get_num_threads()
    kinds = {(module.kernel_size, module.out_channels, x.shape[2:]): (module, x) for module, x in inputs.items()}
    for convolution, x in kinds.values():
        twin = copy.deepcopy(convolution).double()
        x, x_twin = x.requires_grad_(), x.detach().double().requires_grad_()
        upstream = torch.randn(convolution(x).shape, generator=torch.Generator().manual_seed(0))
        expected = torch.autograd.grad(twin(x_twin), [x_twin, *twin.parameters()], upstream.double())
        for threads in (1, 2):
            torch.set_num_threads(threads)
            gradients = torch.autograd.grad(convolution(x), [x, *convolution.parameters()], upstream)
            for gradient, truth in zip(gradients, expected, strict=True):
                assert relative_error([gradient], [truth]) < 1e-4
    torch.set_num_threads(before)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout()
        self.fc = nn.Linear(5, 7)

    def forward(self, images):
        return self.fc(self.dropout(self.pool(self.conv(images)).flatten(1)))


@pytest.mark.parametrize(("layer", "n_features"), [(None, 5), ("fc", 7), ("", 7), ("conv", 5)])
def test_a_module_keeps_its_weights_under_a_new_head(layer, n_features):
    module, state = Net(), torch.random.get_rng_state()
    one, other = (build(module, seed, layer=layer, image_shape=(8, 6, 3)) for seed in (0, 1))
    assert (torch.random.get_rng_state() == state).all()
    assert one.head.in_features == n_features
    assert one(torch.rand(2, 3, 8, 6)).shape == (2, 10)
    for key, value in module.state_dict().items():
        assert (one.backbone.module.state_dict()[key] == value).all()
        assert one.backbone.module.state_dict()[key].data_ptr() != value.data_ptr()
    assert (one.head.weight != other.head.weight).all()
    assert one.training


def test_a_layer_of_a_named_network():
    network = build("resnet18", width=0.125, layer="stage2", image_shape=(8, 8, 3))
    assert network.head.in_features == 16
    whole = build("resnet18", width=0.125, image_shape=(8, 8, 3))
    images = random_images(2, 8)
    expected = whole.eval().backbone[:3](images).mean((2, 3))  # the same seed, so the same weights
    assert torch.allclose(network.eval().backbone(images), expected, atol=1e-6)
    with pytest.raises(
        ValueError, match=r"layer is 'stage9', expected the name of a layer of Sequential \(nearest: stage"
    ):
        build("resnet18", layer="stage9")


def test_bad_modules_are_named():
    with pytest.raises(ValueError, match="width is 0.5, expected 1.0: network is a module, Net, whose layers"):
        build_network(Net(), 10, width=0.5)
    with pytest.raises(TypeError, match="network is the class Net, expected an instance of it"):
        build_network(Net, 10)
    with pytest.raises(
        ValueError, match=r"the output of the module \(Sequential\) has shape \(2,\), expected one row per image"
    ):
        build_network(nn.Sequential(nn.Flatten(), nn.Linear(3072, 1), nn.BatchNorm1d(1), nn.Flatten(0)), 10)


def test_attention_is_torchs():
    attention = SelfAttention(12, 3)
    tokens = torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(0))
    query, key, value = attention.query_key_value(tokens).view(2, 5, 3, 3, 4).permute(2, 0, 3, 1, 4)
    gathered = nn.functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(2, 5, 12)
    torch.testing.assert_close(attention(tokens), attention.output(gathered), rtol=1e-5, atol=1e-6)


def test_strides_are_compared_with_inputs_that_are_given_by_name_or_alone():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(3, 4, 3, stride=2, padding=1)

        def forward(self, images):
            return torch.stack([self.convolution(input=one) for one in images])

    for side, beyond in ((1, True), (2, False)):
        assert strides_beyond_input(Named(), np.zeros((2, side, side, 3), np.uint8)) == beyond
