"""Measured time of training and encoding, from which the time of a study is projected."""

import timeit
from functools import lru_cache

import numpy as np
import torch

from invtransfer.encoders.classifier import build_network
from invtransfer.networks.devices import resolve_device
from invtransfer.networks.inference import compute_outputs
from invtransfer.networks.training import train
from invtransfer.randomness import derive_generator


@lru_cache
def seconds_per_image(network, width, batch_size, image_shape=(32, 32, 3)):
    """Measure how long a network takes for one image on this machine.

    Parameters
    ----------
    network : str
        Name of the network, as for `build_network`.
    width : float
        Multiple of its standard numbers of channels.
    batch_size : int
        Number of images per step. Without a GPU at most 64 are measured, because larger batches take as long per image.
    image_shape : tuple of int
        Shape (height, width, n_channels) of the images.

    Returns
    -------
    training, encoding : float
        Seconds per image of a training step, and of a forward pass without gradients.

    Examples
    --------
    >>> training, encoding = seconds_per_image("resnet18", 0.0625, 32)
    >>> 0 < encoding < training
    True
    """
    device = resolve_device("auto")
    n = batch_size if device.type == "cuda" else min(batch_size, 64)
    generator = torch.Generator().manual_seed(0)
    module = build_network(network, 10, image_shape=image_shape, width=width, generator=generator)
    X, y = derive_generator(0, "timing").integers(256, size=(n, *image_shape), dtype=np.uint8), np.arange(n) % 10
    settings = {"epochs": 1, "batch_size": n, "learning_rate": 1e-3, "device": device, "precision": "auto"}

    def step():
        train(module, X, y, **settings, generator=generator)

    return _seconds(step) / n, _seconds(lambda: compute_outputs(module, X, batch_size=n)) / n


def _seconds(call):
    """Return the shortest duration of three calls, after one call to warm up."""
    return min(timeit.repeat(call, number=1, repeat=4)[1:])


def project_seconds(n_trained, n_encoded, *, architecture, width, batch_size, **_):
    """Project how long a cell takes here, from a measured training step and forward pass.

    The time to make images and to fit probes, which is much of a small cell and little of a large one, is left out.

    Parameters
    ----------
    n_trained, n_encoded : int
        Numbers of images that pass through training steps, and through the network without gradients.
    architecture : str
        Architecture of the encoder.
    width : float
        Width of the encoder.
    batch_size : int
        Images per training step.
    **_
        Further arguments of a cell, on which the time does not depend.

    Returns
    -------
    seconds : float
    """
    training, encoding = seconds_per_image(architecture, width, batch_size)
    return n_trained * training + n_encoded * encoding
