"""The head of a classifier: its last linear layer, also inside adapters, parametrisations and quantised layers."""

import torch
from torch import nn

from invtransfer.encoders.outputs import parts_of

WRAPPED = ("base_layer", "original_module")  # what adapters (peft) call the layer to which they add


def find_head(module, closed=()):
    """Find the last layer with weights, if it is linear.

    Parameters
    ----------
    module : torch.nn.Module
        Module whose layers are listed in the order in which they were made.
    closed : tuple of type
        Types of modules that define their own features, so that a linear layer at their end is no head.

    Returns
    -------
    name : str or None
        Name of the head; None if the last layer with weights is not linear. Of a layer with an adapter, a
        parametrisation or packed weights it is the name of the whole.

    Examples
    --------
    >>> find_head(nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2), nn.Softmax(dim=1)))
    '3'
    """
    layers = dict(module.named_modules())
    last = None
    for name, layer in layers.items():
        if next(layer.parameters(recurse=False), None) is not None or _is_linear(layer):
            last = name
    if last is None:
        return None
    steps = last.split(".")
    above = [".".join(steps[:i]) for i in range(1, len(steps) + 1)]  # from the outside to the inside
    if isinstance(module, closed) or any(isinstance(layers.get(name), closed) for name in above):
        return None
    return next((name for name in above if name and _is_linear(layers.get(name))), None)


def _is_linear(layer):
    if isinstance(layer, nn.Linear):
        return True
    for name in WRAPPED:
        if isinstance(inner := getattr(layer, name, None), nn.Module):
            return _is_linear(inner)
    # quantised layers are of types of their own, and some have no parameters
    sized = all(isinstance(getattr(layer, name, None), int) for name in ("in_features", "out_features"))
    return sized and all(next(child.parameters(), None) is None for child in layer.children())


def logits_of(output):
    """Return the logits of an output that names them, as Hugging Face's do; else the first rows in it.

    Parameters
    ----------
    output : object
        Output of a module.

    Returns
    -------
    logits : torch.Tensor of at least two dimensions, or None
        None if there is no such tensor.

    Examples
    --------
    >>> one, other = torch.zeros(2, 1), torch.ones(2, 1)
    >>> logits_of({"loss": other, "logits": one}) is one, logits_of((2, [one], other)) is one, logits_of(2)
    (True, True, None)
    """
    if isinstance(output, torch.Tensor):
        return output if output.ndim > 1 else None
    parts = parts_of(output) or {}
    found = (logits_of(part) for part in ([parts["logits"]] if "logits" in parts else parts.values()))
    return next((part for part in found if part is not None), None)


def is_bypassed(run, head, images, expected):
    """Tell whether the logits of a module depend on the images in another way than through its head.

    Parameters
    ----------
    run : callable
        Function from images to the output of the module, in which there are logits, see `logits_of`.
    head : torch.nn.Module
        Layer of the module.
    images : torch.Tensor of shape (n, ...)
        Images, which are not changed.
    expected : torch.Tensor
        What the head gave for them.

    Returns
    -------
    bypassed : bool

    Notes
    -----
    The module runs once more, on few images that differ, but its head gives the same for all.
    """
    images = images[:4].clone()  # as few as show a difference
    images[1::2] = 1 - images[1::2]
    batches = [images] if len(images) > 1 else [images, 1 - images]
    handle = head.register_forward_hook(lambda module, given, output: expected[:1].expand_as(output).clone())
    try:
        with torch.no_grad():
            output = torch.cat([logits_of(run(batch)) for batch in batches])
    finally:
        handle.remove()
    return not torch.allclose(output, output[:1].expand_as(output), rtol=1e-4, atol=1e-6, equal_nan=True)


def is_of_head(output, module, features):
    """Tell whether an output is what some linear layer of a module makes of features: several heads may share them.

    Parameters
    ----------
    output : torch.Tensor
        Output of the module.
    module : torch.nn.Module
        The module.
    features : torch.Tensor of shape (n, n_features)
        What goes into one of its linear layers.

    Returns
    -------
    found : bool

    Examples
    --------
    >>> heads = nn.ModuleList([nn.Linear(3, 2), nn.Linear(3, 4)])
    >>> features = torch.rand(5, 3)
    >>> is_of_head(heads[0](features), heads, features), is_of_head(torch.rand(5, 2), heads, features)
    (True, False)
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear) and layer.in_features == features.shape[-1]:
            made = nn.functional.linear(features.to(layer.weight.dtype), layer.weight, layer.bias)
            if made.shape == output.shape and torch.allclose(made.float(), output.float(), rtol=1e-3, atol=1e-5):
                return True
    return False
