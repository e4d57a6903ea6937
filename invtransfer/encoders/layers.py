"""Features of one layer of a torch module."""

import contextlib
import difflib

import torch
from torch import nn


class LayerFeatures(nn.Module):
    """A module that gives what one layer of another module computes, flattened to one row per image.

    Parameters
    ----------
    module : torch.nn.Module
        From images to anything. It is not copied, and nothing is left on it after a forward pass.
    layer : str or None
        Name of a layer in ``module.named_modules()``, whose output is given; "" is the module itself. None: what goes
        into the last linear layer, if the last layer that has weights is one, as the head of a classifier is (dropout
        or softmax after it do not matter); else the output of the module.

    Attributes
    ----------
    description : str
        Which it is: "input of fc", "output of layer3", "output of the module".

    Raises
    ------
    TypeError
        If a layer inside of a module made by ``torch.jit`` is asked for.
    ValueError
        If there is no such layer; or, in a forward pass, if it is not reached or its output is no tensor.

    Notes
    -----
    The last layer is the last one in ``module.named_modules()``, which lists layers in the order of their making. Of a
    layer that runs more than once in a forward pass, the last run counts. If the head of a module was taken off before,
    and the layer below it is linear, too, that one counts as the head: then give "".

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

        def keep_input(_, args, kwargs):
            seen.append(args[0] if args else kwargs["input"])

        def keep_output(_, args, output):
            # copied, because a layer that follows may work in place
            seen.append(output.clone() if isinstance(output, torch.Tensor) else output)

        # only for the time of this pass: a module with hooks of ours in it could not be pickled
        if self._takes_input:
            handle = layer.register_forward_pre_hook(keep_input, with_kwargs=True)
        else:
            handle = layer.register_forward_hook(keep_output)
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
    """Return the name of the last layer with weights of its own if that is a linear one, else None."""
    layers = dict(module.named_modules())
    # LayerFeatures has said already what its features are: a head inside of it is not in use
    closed = tuple(f"{name}." if name else "" for name, layer in layers.items() if isinstance(layer, LayerFeatures))
    last = None
    for name, layer in layers.items():
        if next(layer.parameters(recurse=False), None) is not None:
            last = name
    return last if last is not None and isinstance(layers[last], nn.Linear) and not last.startswith(closed) else None


def describe_layer(encoder, layer):
    """Say which layer of an encoder gives the features.

    Parameters
    ----------
    encoder : object
        As for `encode`.
    layer : str or None
        As for `encode`.

    Returns
    -------
    description : str or None
        Such as "input of fc", see `LayerFeatures`; None if `encoder` is no torch module.

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
    """Say which images a person's module failed on, where it says no more than that some numbers disagree.

    Parameters
    ----------
    module : torch.nn.Module
        Whose forward pass is in the block.
    image_shape : tuple of int
        (height, width, n_channels) of the images.

    Raises
    ------
    ValueError
        If the block raises RuntimeError or AssertionError, as layers do that images of this shape do not fit. Running
        out of memory is left as it is.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError) as error:
        if "memory" in str(error):  # as the CPU's allocator says it
            raise
        module = module.module if isinstance(module, LayerFeatures) else module
        shape = " x ".join(map(str, image_shape))
        reason = " ".join(str(error).split())
        raise ValueError(f"{type(module).__name__} fails on images of {shape}: {reason}") from error
