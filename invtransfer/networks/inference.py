"""Outputs of a network in evaluation mode, without gradients."""

import itertools
import math
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager, suppress

import numpy as np
import torch
from scipy import sparse
from torch import nn

from invtransfer.images.checks import check_count, to_tensor
from invtransfer.surroundings import usual_torch

PRECISIONS = ("float32", "bfloat16", "float16")
COMPUTED = (torch.float32, torch.bfloat16, torch.float16, torch.float64)  # dtypes of weights that take such inputs


def compute_outputs(network, X, batch_size=None, precision="float32"):
    """Compute the outputs of a network in evaluation mode, without gradients, in batches of a fixed size.

    Parameters
    ----------
    network : torch.nn.Module
        Network on any device. Its mode (training or evaluation) is not changed.
    X : ndarray of shape (n_samples, height, width, n_channels) or (n_samples, n_features)
        Images or features.
    batch_size : int or None
        Number of samples per batch. The last batch is padded with copies of its first sample. None: of images by their
        size, see `choose_batch_size`; of features 128.
    precision : {"float32", "bfloat16", "float16"}
        Number format in which the network computes where it can choose (autocast).

    Returns
    -------
    outputs : ndarray of shape (n_samples, ...), float32
        One row per sample.

    Raises
    ------
    ValueError
        If there is no such `precision`, the network is on the device "meta", or it does not return one row per sample.
    """
    check_inference(batch_size, precision)
    weight = first_weight(network)
    if weight.is_meta:
        raise ValueError("the weights of the encoder have no values, because they are on the device meta: load them")
    if batch_size is None:
        batch_size = choose_batch_size(X.shape[1:3], weight.device) if X.ndim == 4 else 128
    dtype = torch.float64 if weight.dtype == torch.float64 else torch.float32
    # Not in inference mode: a tensor that a module of the person's own keeps from this pass could not be trained with.
    with ExitStack() as stack:
        for context in (_evaluation_mode(network), usual_torch(weight.device, dtype), torch.no_grad()):
            stack.enter_context(context)
        if precision != "float32":
            stack.enter_context(torch.autocast(weight.device.type, getattr(torch, precision)))
        return apply_in_batches(lambda batch: network(to_tensor(batch, weight.device)), X, batch_size)


def choose_batch_size(image_size, device="cpu"):
    """Choose how many images of a size are computed at once.

    Parameters
    ----------
    image_size : tuple of int
        (height, width).
    device : torch.device or str
        Device on which they are computed.

    Returns
    -------
    batch_size : int
        A power of two: on a CPU the largest with at most 2**19 pixels, since more do not stay in its caches, and at
        most 128; on other devices 16 times as many.

    Examples
    --------
    >>> [choose_batch_size((side, side)) for side in (32, 96, 224, 1024)], choose_batch_size((224, 224), "cuda")
    ([128, 32, 8, 1], 128)
    """
    fitting = max(1, 2**19 // math.prod(image_size))
    on_cpu = min(128, 2 ** (fitting.bit_length() - 1))
    return on_cpu if torch.device(device).type == "cpu" else 16 * on_cpu


def check_inference(batch_size, precision):
    """Check how a network is asked.

    Parameters
    ----------
    batch_size : int or None
        Number of images per call. None: by their size and the device.
    precision : str
        Number format, "float32", "bfloat16" or "float16".

    Raises
    ------
    ValueError
        If `batch_size` is not from 1 to 65,536, or `precision` none of these.

    Examples
    --------
    >>> check_inference(8, "int8")
    Traceback (most recent call last):
    ...
    ValueError: precision is 'int8', expected one of: float32, bfloat16, float16
    """
    if batch_size is not None:
        check_count(batch_size, "batch_size", high=65_536)
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}, expected one of: {', '.join(PRECISIONS)}")


def first_weight(network):
    """Return the first weight of a network, which tells the device and dtype of its inputs.

    Parameters
    ----------
    network : torch.nn.Module
        Network, perhaps without weights.

    Returns
    -------
    weight : torch.Tensor
        First parameter or, if there is none, buffer in which torch computes: of half to double precision, and not of a
        type that only stores, such as float8; else an empty float32 tensor on the CPU.

    Examples
    --------
    >>> first_weight(nn.Linear(2, 3).half()).dtype, first_weight(nn.Flatten()).dtype
    (torch.float16, torch.float32)
    """
    weights = itertools.chain(network.parameters(), network.buffers())
    none = torch.empty(0, dtype=torch.float32, device="cpu")
    return next((weight for weight in weights if weight.dtype in COMPUTED), none)


@contextmanager
def _evaluation_mode(network):
    """Put a network into evaluation mode; afterwards its modes, weights and persistent buffers are as before."""
    modes = [(module, module.training) for module in network.modules()]
    # modules whose `train` does more than setting the mode; adapters add their weights to those of a layer
    switched = [module for module, mode in modes if mode and type(module).train is not nn.Module.train]
    weights = [weight for module in switched for weight in module.parameters(recurse=False)]
    before = [weight.detach().clone() for weight in weights]
    # of normalisations that a person keeps in training mode, observers of quantisation, or modules that count; caches,
    # which modules may enlarge, are not part of their state
    buffers = [
        (module, name, buffer)
        for module, _ in modes
        for name, buffer in module.named_buffers(recurse=False)
        if name not in getattr(module, "_non_persistent_buffers_set", ())
    ]
    known = [buffer.detach().clone() for *_, buffer in buffers]
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
        for (module, name, buffer), values in zip(buffers, known, strict=True):
            with suppress(RuntimeError):  # of one whose elements share memory, into which nothing can be written
                buffer.data.copy_(values)
            now = None if isinstance(module, torch.jit.ScriptModule) else module._buffers.get(name)
            if now is not None and now is not buffer and now.shape == buffer.shape:
                setattr(module, name, buffer)  # the module had put another tensor in its place


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
        output = function(batch)  # and a copy, because it may fill the same array again
        kind, output = type(output).__name__, _densify(output)
        if output is None or isinstance(output, (Mapping, tuple)) or np.ndim(output) == 0:
            raise ValueError(
                f"encoder returned a value of type {kind}, expected one array or tensor with one row per image"
            )
        if isinstance(output, torch.Tensor):
            output = output.detach().to(torch.float32, copy=True)
        else:
            output = np.array(output)
        if len(output) != len(batch):
            raise ValueError(
                f"encoder returned shape {tuple(output.shape)} for a batch of {len(batch)} images, expected one row per"
                " image"
            )
        outputs.append(output[:n_samples])
        if len(outputs) > 1:  # one later: a GPU computes while the next batch is on its way to it
            outputs[-2] = _fetch(outputs[-2])
    outputs[-1] = _fetch(outputs[-1])
    return np.concatenate(outputs)


def _densify(output):
    """Return sparse rows, or a list of one tensor per image, as one array or tensor; anything else as it is."""
    if sparse.issparse(output):
        return output.toarray()
    if isinstance(output, list) and output and all(isinstance(row, torch.Tensor) for row in output):
        output = torch.stack(output)
    return output.to_dense() if isinstance(output, torch.Tensor) and output.layout != torch.strided else output


def _fetch(output):
    return output.cpu().numpy() if isinstance(output, torch.Tensor) else output
