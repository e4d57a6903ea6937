"""Features of a layer of a torch module."""

import contextlib
import difflib

import torch
from torch import nn


class LayerFeatures(nn.Module):
    """Return the features that a layer of another module computes, flattened to one row per image.

    Parameters
    ----------
    module : torch.nn.Module
        Module that takes images. It is not copied, and a forward pass leaves no hooks on it.
    layer : str or None
        Layer whose output is taken as the features: a name listed by ``named_modules()``, or "" for the output of the
        module. None: the input of the last linear layer if that is the last layer with weights (the head of a
        classifier, also if dropout or softmax follow it), else the output of the module.

    Attributes
    ----------
    description : str
        Where the features are taken, such as "output of the module", "input of fc" or "output of layer3".

    Raises
    ------
    TypeError
        If a layer inside a module made by ``torch.jit`` is asked for.
    ValueError
        If there is no such layer; or, in a forward pass, if it is not reached or its output is not a tensor.

    Notes
    -----
    The last layer is the last one in ``module.named_modules()``, which lists layers in the order in which they were
    made. If a layer runs more than once in a forward pass, the last run counts. If the head of a module was removed and
    the layer below it is linear, that layer is taken for the head; with ``layer=""`` it is not.

    Examples
    --------
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2))
    >>> features = LayerFeatures(network)
    >>> features.description, features(torch.zeros(3, 3, 2, 2)).shape
    ('input of 3', torch.Size([3, 5]))
    >>> LayerFeatures(network, layer="")(torch.zeros(3, 3, 2, 2)).shape
    torch.Size([3, 2])
    """

    def __init__(self, module, layer=None):
        super().__init__()
        if isinstance(module, torch.jit.ScriptModule) and layer != "":
            raise TypeError(
                f"layer is {layer!r}, expected '' (its output) for a module made by torch.jit, whose layers cannot be"
                " reached: give the module that it was made from, or a version of it that returns the features"
            )
        self._takes_input = layer is None and (head := _find_head(module)) is not None
        self._layer = head if self._takes_input else "" if layer is None else layer
        names = [name for name, _ in module.named_modules(remove_duplicate=False)]
        if not isinstance(self._layer, str) or self._layer not in names:
            nearest = difflib.get_close_matches(str(layer), names, n=3) or [name for name, _ in module.named_children()]
            raise ValueError(
                f"layer is {layer!r}, expected the name of a layer of {type(module).__name__}"
                f" (nearest: {', '.join(nearest) or 'it has none'}), '' for its output, or None"
            )
        side = "input" if self._takes_input else "output"
        self.description = f"{side} of {self._layer or 'the module'}"
        self.module = module

    def forward(self, images):
        """Return features of shape (n_samples, n_features)."""
        if self._layer == "":
            return _flatten(self.module(images), self.description, self.module)
        seen = []
        layer = self.module.get_submodule(self._layer)

        def keep(_, args, kwargs, output):
            if self._takes_input:
                seen.append(args[0] if args else kwargs["input"])
            else:  # copied, because a layer that follows may work in place
                seen.append(output.clone() if isinstance(output, torch.Tensor) else output)

        # only during this pass, because a module with this hook could not be pickled
        handle = layer.register_forward_hook(keep, with_kwargs=True)
        try:
            self.module(images)
        finally:
            handle.remove()
        if not seen:
            raise ValueError(
                f"layer {self._layer!r} of {type(self.module).__name__} is not reached by its forward pass: name"
                " another layer, or '' for its output"
            )
        return _flatten(seen[-1], self.description, self.module)


def _flatten(output, description, module):
    if not isinstance(output, torch.Tensor):
        raise ValueError(
            f"the {description} ({type(module).__name__}) is of type {type(output).__name__}, expected a tensor: name"
            " another layer"
        )
    return output.flatten(1) if output.ndim > 2 else output


def _find_head(module):
    """Return the name of the last layer with weights of its own if that layer is linear, else None."""
    layers = dict(module.named_modules())
    # a head inside LayerFeatures is not in use, because LayerFeatures defines its own features
    closed = tuple(f"{name}." if name else "" for name, layer in layers.items() if isinstance(layer, LayerFeatures))
    last = None
    for name, layer in layers.items():
        if next(layer.parameters(recurse=False), None) is not None:
            last = name
    return last if last is not None and isinstance(layers[last], nn.Linear) and not last.startswith(closed) else None


def describe_layer(encoder, layer):
    """Describe where the features of an encoder are taken.

    Parameters
    ----------
    encoder : object
        Encoder, as for `encode`.
    layer : str or None
        Layer of a torch module, as for `encode`.

    Returns
    -------
    description : str or None
        Description such as "input of fc", see `LayerFeatures`; None if `encoder` is not a torch module.

    Raises
    ------
    TypeError, ValueError
        As `LayerFeatures`.

    Examples
    --------
    >>> describe_layer(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), None)
    'input of 1'
    """
    return LayerFeatures(encoder, layer).description if isinstance(encoder, nn.Module) else None


@contextlib.contextmanager
def explain_failure(module, image_shape):
    """Name the module and the shape of the images in the error of a forward pass, which names neither.

    Parameters
    ----------
    module : torch.nn.Module
        Module whose forward pass runs in the block.
    image_shape : tuple of int
        Shape (height, width, n_channels) of the images.

    Raises
    ------
    ValueError
        If the block raises RuntimeError or AssertionError, as layers do if the shape of the images does not fit. An
        error about memory is not changed.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError) as error:
        if "memory" in str(error):  # the CPU's allocator raises a RuntimeError
            raise
        module = module.module if isinstance(module, LayerFeatures) else module
        shape = " x ".join(map(str, image_shape))
        reason = " ".join(str(error).split())
        raise ValueError(f"{type(module).__name__} fails on images of {shape}: {reason}") from error
