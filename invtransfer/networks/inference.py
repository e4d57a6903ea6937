"""Outputs of a network in evaluation mode, without gradients."""

import itertools
from contextlib import contextmanager, suppress

import numpy as np
import torch
from torch import nn

from invtransfer.images import to_tensor
from invtransfer.surroundings import usual_torch


def compute_outputs(network, X, batch_size=128):
    """Compute the outputs of a network in evaluation mode, without gradients, in batches of a fixed size.

    Parameters
    ----------
    network : torch.nn.Module
        Network on any device. Its mode (training or evaluation) is not changed.
    X : ndarray of shape (n_samples, height, width, n_channels) or (n_samples, n_features)
        Images or features.
    batch_size : int
        Number of samples per batch. The last batch is padded with copies of its first sample.

    Returns
    -------
    outputs : ndarray of shape (n_samples, ...), float32
        One row per sample.
    """
    weight = first_weight(network)
    dtype = torch.float64 if weight.dtype == torch.float64 else torch.float32
    # Not in inference mode: a tensor that a module of the person's own keeps from this pass could not be trained with.
    with _evaluation_mode(network), usual_torch(weight.device, dtype), torch.no_grad():
        return apply_in_batches(lambda batch: network(to_tensor(batch, weight.device)), X, batch_size)


def first_weight(network):
    """Return the first weight of a network, which tells the device and dtype of its inputs.

    Parameters
    ----------
    network : torch.nn.Module
        Network, perhaps without weights.

    Returns
    -------
    weight : torch.Tensor
        First parameter or, if there is none, buffer of a floating-point type; else an empty float32 tensor on the CPU.

    Examples
    --------
    >>> first_weight(nn.Linear(2, 3).half()).dtype, first_weight(nn.Flatten()).dtype
    (torch.float16, torch.float32)
    """
    weights = itertools.chain(network.parameters(), network.buffers())
    none = torch.empty(0, dtype=torch.float32, device="cpu")
    return next((weight for weight in weights if weight.is_floating_point()), none)


@contextmanager
def _evaluation_mode(network):
    """Put a network into evaluation mode; afterwards its modes and weights are what they were."""
    modes = [(module, module.training) for module in network.modules()]
    # modules whose `train` does more than setting the mode; adapters add their weights to those of a layer
    switched = [module for module, mode in modes if mode and type(module).train is not nn.Module.train]
    weights = [weight for module in switched for weight in module.parameters(recurse=False)]
    before = [weight.detach().clone() for weight in weights]
    try:
        if any(mode for _, mode in modes):
            with suppress(NotImplementedError):  # of modules made by torch.export, which have one mode
                network.eval()
        yield
    finally:
        for module in switched:
            with suppress(NotImplementedError):
                module.train()
        for module, mode in modes:
            module.training = mode
        for weight, values in zip(weights, before, strict=True):
            weight.data.copy_(values)


def apply_in_batches(function, X, batch_size):
    """Apply a function to batches of a fixed size.

    Parameters
    ----------
    function : callable
        Function from a batch of samples to an array or tensor with one row per sample.
    X : ndarray of shape (n_samples, ...)
        Samples.
    batch_size : int
        Number of samples per batch. The last batch is padded with copies of its first sample.

    Returns
    -------
    outputs : ndarray of shape (n_samples, ...)
        One row per sample.

    Raises
    ------
    ValueError
        If the function does not return one row per sample.

    Examples
    --------
    >>> apply_in_batches(lambda batch: 10 * batch, np.arange(5), batch_size=2).tolist()
    [0, 10, 20, 30, 40]
    """
    outputs = []
    for start in range(0, len(X), batch_size):
        batch = X[start : start + batch_size]
        n_samples = len(batch)
        if n_samples < batch_size:
            batch = np.concatenate([batch, np.repeat(batch[:1], batch_size - n_samples, axis=0)])
        output = function(batch)
        if isinstance(output, torch.Tensor):
            output = output.detach().float().cpu().numpy()
        output = np.asarray(output)
        if output.ndim == 0 or len(output) != len(batch):
            raise ValueError(
                f"encoder returned shape {output.shape} for a batch of {len(batch)} images, expected one row per image"
            )
        outputs.append(output[:n_samples])
    return np.concatenate(outputs)
