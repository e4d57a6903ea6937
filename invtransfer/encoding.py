"""From images to features, whatever kind of encoder a person has."""

import contextlib
import difflib

import numpy as np
import torch
from sklearn.base import clone
from torch import nn

from invtransfer.images import check_count, to_tensor


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


def encode(encoder, X, batch_size=128, *, layer=None):
    """Compute the features of images with a frozen encoder.

    Parameters
    ----------
    encoder : torch.nn.Module, fitted estimator, callable or None
        One of:

        - a torch module that takes float images in [0, 1] of shape (n_samples, 3, height, width), and gives the
          features at `layer`; it runs where it is, in evaluation mode, and is left as it was;
        - a fitted scikit-learn transformer or pipeline with `transform`; it gets each image as one row;
        - a function from arrays of images, in the shape, dtype and range of `X`, to features;
        - None: the pixels themselves.
    X : ndarray of shape (n_samples, height, width, n_channels), uint8 or float
        Images.
    batch_size : int
        Images that a module or function sees at once. The last batch is filled up with copies of its first image, so
        that no feature depends on how many others are in its batch.
    layer : str or None
        Of a torch module: name of the layer whose output are the features, "" for the module's own output. None: what
        goes into its linear head if it ends in one, else its output. See `LayerFeatures`.

    Returns
    -------
    Z : ndarray of shape (n_samples, n_features), float32
        Features; further dimensions, such as those of a feature map, are flattened.

    Raises
    ------
    TypeError
        If `encoder` is none of these.
    ValueError
        If it returns another number of rows than there are images, no numbers, NaN or infinity; if there is no such
        layer, or a layer is named of what is no torch module; if a torch module cannot take images of that size; if
        `batch_size` is not from 1 to 65,536.

    Examples
    --------
    >>> import numpy as np
    >>> images = np.zeros((5, 8, 8, 3), dtype="uint8")
    >>> encode(lambda X: X.mean(axis=(1, 2)), images).shape
    (5, 3)
    """
    check_count(batch_size, "batch_size", high=65_536)
    if isinstance(encoder, type):
        raise TypeError(f"encoder is the class {encoder.__name__}, expected an instance of it")
    if layer is not None and not isinstance(encoder, nn.Module):
        raise ValueError(
            f"layer is {layer!r}, expected None: encoder is of type {type(encoder).__name__}, which is no torch module"
        )
    if encoder is None:
        outputs = X
    elif isinstance(encoder, nn.Module):
        with explain_failure(encoder, X.shape[1:]):
            outputs = compute_outputs(LayerFeatures(encoder, layer), X, batch_size)
    elif hasattr(encoder, "transform"):
        ours = hasattr(encoder, "image_shape_")  # it takes images, and says if they have another shape than its own
        outputs = encoder.transform(X if ours and X.shape[3] == 3 else X.reshape(len(X), -1))
    elif callable(encoder):
        outputs = np.concatenate([_call(encoder, *batch) for batch in _padded_batches(X, batch_size)])
    else:
        raise TypeError(
            f"encoder is of type {type(encoder).__name__}, expected a torch module, a fitted transformer,"
            " a function or None"
        )
    return _check_features(outputs, len(X))


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


def compute_outputs(network, X, batch_size=128):
    """Compute a network's output in evaluation mode, without gradients, in padded batches of one fixed size.

    Parameters
    ----------
    network : torch.nn.Module
        On any device; its mode (training or evaluation) is left as it was.
    X : ndarray of shape (n_samples, height, width, n_channels) or (n_samples, n_features)
        Images or features.
    batch_size : int
        Samples that are computed at once.

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
            return np.concatenate(
                [
                    _call(lambda batch: network(to_tensor(batch, device)), batch, n_kept)
                    for batch, n_kept in _padded_batches(X, batch_size)
                ]
            )
    finally:
        for module, mode in modes:
            module.training = mode


def _padded_batches(X, batch_size):
    """Yield batches of one size, and how many of their samples are not filling."""
    for start in range(0, len(X), batch_size):
        batch = X[start : start + batch_size]
        n_kept = len(batch)
        if n_kept < batch_size:
            batch = np.concatenate([batch, np.repeat(batch[:1], batch_size - n_kept, axis=0)])
        yield batch, n_kept


def _call(function, batch, n_kept):
    output = function(batch)
    if isinstance(output, torch.Tensor):
        output = output.detach().float().cpu().numpy()
    output = np.asarray(output)
    if output.ndim == 0 or len(output) != len(batch):
        raise ValueError(
            f"encoder returned shape {output.shape} for a batch of {len(batch)} images, expected one row per image"
        )
    return output[:n_kept]


def _check_features(outputs, n_samples):
    Z = np.asarray(outputs)
    if Z.ndim < 2 or len(Z) != n_samples:
        raise ValueError(f"encoder returned shape {Z.shape} for {n_samples} images, expected ({n_samples}, n_features)")
    if not (np.issubdtype(Z.dtype, np.number) or Z.dtype == bool) or np.iscomplexobj(Z):
        raise ValueError(f"encoder returned dtype {Z.dtype}, expected real numbers")
    with np.errstate(over="ignore"):  # what becomes infinite is named below
        Z = Z.reshape(n_samples, -1).astype(np.float32, copy=False)
    bad = ~np.isfinite(Z).all(axis=1)
    if bad.any():
        raise ValueError(
            f"encoder returned NaN or infinity for {bad.sum()} of {n_samples} images, the first is image {bad.argmax()}"
        )
    return Z


def clone_around_encoder(estimator):
    """Clone an estimator but keep its encoder, as it is: frozen, fitted, shared.

    Parameters
    ----------
    estimator : estimator
        With a parameter `encoder`.

    Returns
    -------
    clone : estimator
        Unfitted, with copies of all other parameters; a plain clone would forget what the encoder has learned.
    """
    parameters = estimator.get_params(deep=False)
    copies = {name: clone(value, safe=False) for name, value in parameters.items() if name != "encoder"}
    twin = type(estimator)(encoder=parameters["encoder"], **copies)
    for name in ("_metadata_request", "_sklearn_output_config"):  # set_fit_request, set_output: outlive a clone
        if name in vars(estimator):
            setattr(twin, name, vars(estimator)[name])
    return twin
