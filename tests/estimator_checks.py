"""What tests of estimators share: scikit-learn's suite of checks, the smallest networks, and what they compute."""

import hashlib

import numpy as np
import torch
from sklearn.utils.estimator_checks import check_estimator
from torch import nn


def assert_all_pass(estimator, n_checks):
    """Assert that no check fails, and that at least `n_checks` pass.

    Later versions of scikit-learn may add checks, and skip the one of the array API if that is switched off.
    """
    results = check_estimator(estimator, on_skip=None)
    assert [result["check_name"] for result in results if result["status"] in ("failed", "xfail")] == []
    assert sum(result["status"] == "passed" for result in results) >= n_checks
    assert {r["check_name"] for r in results if r["status"] == "skipped"} <= {"check_array_api_input"}


class Own(nn.Module):
    """A classifier with all that may get lost: dropout, a buffer that is not saved, a plain tensor, a frozen layer."""

    def __init__(self, n=16):
        super().__init__()
        self.conv = nn.Conv2d(3, n, 5, 2)
        self.norm = nn.BatchNorm2d(n)
        self.frozen = nn.Sequential(nn.Conv2d(n, n, 1), nn.BatchNorm2d(n)).requires_grad_(False)
        self.dropout = nn.Dropout(0.1)
        self.fc = nn.Linear(n, 1000)
        self.register_buffer("scale", torch.tensor([2.0]), persistent=False)
        self.offset = torch.tensor([3.0])

    def forward(self, images):
        features = self.frozen(self.norm(self.conv(images)).relu()).amax(dim=(2, 3))
        return self.fc(self.dropout(features * self.scale + self.offset))


class Narrow(nn.Sequential):
    """A classifier of 16 x 16 pixels that learns as much as a narrow ResNet-18 in a tenth of its time."""

    def __init__(self):
        first = [nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU()]
        second = [nn.Conv2d(16, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten()]
        super().__init__(*first, *second, nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 2))


def smallest(image_shape, width):
    """Build a backbone that can stand for a named one where it does not matter which: it takes any images, and learns.

    Its first layer sees all pixels at once, so that a step takes a twentieth of the time of a narrow ResNet-18's.
    """
    height, width, n_channels = image_shape
    return nn.Sequential(nn.Conv2d(n_channels, 16, (height, width)), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten()), 16


def own(kind=Own, seed=0, **sizes):
    """Make a module whose weights are decided by the seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return kind(**sizes)


def digest(weights):
    """Return a checksum of the weights of a module, or of those in a dictionary."""
    weights = weights.state_dict() if isinstance(weights, nn.Module) else weights
    return hashlib.sha256(b"".join(np.asarray(value).tobytes() for value in weights.values())).hexdigest()


def outputs(module, X):
    """Return what a module makes of uint8 images, computed by hand."""
    with torch.no_grad():
        return module(torch.from_numpy(X).permute(0, 3, 1, 2).float() / 255).numpy()
