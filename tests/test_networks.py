import numpy as np
import pytest
import torch
from torchvision.models import resnet18 as torchvision_resnet18

from invtransfer.networks import build_network, initialise


def build(**arguments):
    return build_network("resnet18", 10, generator=torch.Generator().manual_seed(0), **arguments)


def test_number_of_weights_is_the_papers():
    # Appendix B.1's CIFAR ResNet-18 has 11.17 M; torchvision's differs by its 7 x 7 stem and its head for 1000 classes
    ours = sum(weight.numel() for weight in build().parameters())
    theirs = sum(weight.numel() for weight in torchvision_resnet18(num_classes=10).parameters())
    assert ours == theirs - 64 * 3 * 7 * 7 + 64 * 3 * 3 * 3 == 11_173_962


def test_it_computes_what_torchvisions_does_with_the_same_weights():
    network = build(width=1.0).eval()
    reference = torchvision_resnet18(num_classes=10).eval()
    reference.conv1 = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    reference.maxpool = torch.nn.Identity()
    # both list their weights in the order of computation, but for the shortcut, which comes last in both blocks
    values = [value for name, value in network.state_dict().items() if not name.startswith("normalise")]
    names = list(reference.state_dict())
    reference.load_state_dict(dict(zip(names, values, strict=True)))
    X = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(network(X), reference(X), atol=1e-4)


@pytest.mark.parametrize(("width", "n_features"), [(0.125, 64), (0.25, 128), (0.01, 5)])
def test_width_scales_the_features(width, n_features):
    network = build(width=width)
    assert network.head.in_features == n_features
    assert network(torch.rand(2, 3, 24, 17)).shape == (2, 10)


def test_one_generator_decides_all_weights():
    state = torch.random.get_rng_state()
    one, same = build(width=0.125), build(width=0.125)
    other = build_network("resnet18", 10, width=0.125, generator=torch.Generator().manual_seed(1))
    assert (torch.random.get_rng_state() == state).all()
    for name, value in one.state_dict().items():
        assert (value == same.state_dict()[name]).all()
    assert (one.head.weight != other.head.weight).any()


def test_weights_are_drawn_as_torch_draws_them():
    layer = torch.nn.Linear(400, 300)
    std = layer.weight.std().item()  # torch's own default
    initialise(layer, torch.Generator().manual_seed(0))
    assert layer.weight.std().item() == pytest.approx(std, rel=0.02)
    assert layer.weight.abs().max().item() <= 1 / np.sqrt(400)


def test_images_are_normalised():
    network = build(width=0.125, mean=[0.5, 0.5, 0.5], std=[0.25, 0.5, 1.0])
    assert network.normalise(torch.ones(1, 3, 1, 1)).flatten().tolist() == [2.0, 1.0, 0.5]


@pytest.mark.parametrize(
    ("name", "width", "message"),
    [
        ("resnet19", 1.0, r"network is 'resnet19', expected one of: resnet18 \(nearest: resnet18\)"),
        ("x", 1.0, "network is 'x', expected one of: resnet18$"),
        ("resnet18", 0, "width is 0, expected a number above 0 and up to 16"),
        ("resnet18", -1.0, "width is -1.0, expected"),
        ("resnet18", 1e6, "width is 1000000.0, expected"),
        ("resnet18", float("nan"), "width is nan, expected"),
    ],
)
def test_bad_arguments_are_named(name, width, message):
    with pytest.raises(ValueError, match=message):
        build_network(name, 10, width=width)


def test_gradients_of_narrow_networks_are_right_whatever_the_threads():
    # oneDNN's gradient of strided 1 x 1 convolutions of few channels writes out of bounds: we have none of those
    network = build(width=0.0625)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d) and module.kernel_size == (1, 1):
            assert module.stride == (1, 1)
    X = torch.rand(31, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    reference = build(width=0.0625).double()  # float64 does not go through oneDNN
    reference(X.double()).square().mean().backward()
    expected = torch.cat([weight.grad.flatten() for weight in reference.parameters()])
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        network = build(width=0.0625).to(memory_format=torch.channels_last)
        network(X).square().mean().backward()
        gradient = torch.cat([weight.grad.flatten() for weight in network.parameters()])
        assert (gradient - expected).abs().max() < 1e-4 * expected.abs().max()
    torch.set_num_threads(before)
