"""Outputs of a network in evaluation mode, without gradients."""

import numpy as np
import torch

from invtransfer.images import to_tensor


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
    device = next(network.parameters(), torch.empty(0)).device
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.inference_mode():
            return apply_in_batches(lambda batch: network(to_tensor(batch, device)), X, batch_size)
    finally:
        for module, mode in modes:
            module.training = mode


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
