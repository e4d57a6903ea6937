"""Labels that are a transformation, and an encoder of random weights, for tests of the advice."""

import numpy as np
import torch
from torch import nn

from invtransfer import Transforms2D, load_objects
from invtransfer.paper import planted_labels
from invtransfer.transformations import TRANSFORMATIONS


def plant(name, n, seed, image_size=32):
    """Make images of 4 objects, and labels that say how each image was transformed; the object says nothing."""
    objects = load_objects("procedural", size=32)[:4]
    X, _ = Transforms2D(objects, [], image_size=image_size, random_state=seed).sample(n)
    return planted_labels.plant(name, X, seed)


def make_network(seed=0):
    """Make a network of random weights, from images to 256 features, which ignores nothing."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        layers = nn.Conv2d(3, 32, 5, 2), nn.ReLU(), nn.Conv2d(32, 64, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(2)
        return nn.Sequential(*layers, nn.Flatten())


class Mirrored(nn.Module):
    """The mean of a network's features of images and of their mirror images, which are the same for both."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        return (self.network(images) + self.network(images.flip(3))) / 2


def draw_target(n, seed, n_transformations=3):
    """Make images of 10 objects that vary by transformations, drawn by the seed; return these as well."""
    chosen = np.random.default_rng(seed).permutation(list(TRANSFORMATIONS))[:n_transformations].tolist()
    objects = load_objects("procedural", size=32)
    rows = np.random.default_rng(seed + 1).permutation(len(objects))[:10]
    return *Transforms2D(objects[rows], chosen, random_state=seed).sample(n), chosen
