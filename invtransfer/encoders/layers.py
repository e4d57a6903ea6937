"""Features of a layer of a torch module."""

import contextlib
import copy
import dataclasses
import difflib
import inspect
import itertools
import re
from collections.abc import Mapping

import torch
from torch import nn

from invtransfer.encoders.heads import find_head, is_bypassed, is_of_head, logits_of
from invtransfer.encoders.outputs import check_pool, find_feature, parts_of, pool_places, take_part
from invtransfer.encoders.preprocessing import (
    find_image_method,
    layer_behind,
    model_behind,
    size_behind_preprocessing,
)
from invtransfer.networks.inference import first_weight

HINTS = {  # what torch says of images that do not fit -> what to do
    "to have 1 channels, but got 3": "put a conversion in front,"
    " torch.nn.Sequential(torchvision.transforms.Grayscale(), model)",
    "shapes cannot be multiplied": "perhaps it is made for images of another size",
}
CLASS_TOKENS = ("cls_token", "class_token", "class_embedding", "cls")  # names of parameters


class LayerFeatures(nn.Module):
    """Return the features that a layer of another module computes, pooled to one row per image.

    Parameters
    ----------
    module : torch.nn.Module
        Module that takes images. It is not copied, and a forward pass leaves no hooks on it. Its images are plain,
        contiguous copies in its own dtype.
    layer : str or None
        Layer whose output is taken as the features: a name listed by ``named_modules()`` (of a model of `load_model`:
        of the model behind its preprocessing), or "" for the output of the module. A part of an output that is a dict,
        tuple or list follows in brackets: "lstm[0]", "[last_hidden_state]". None: the part of the module's output that
        it calls its feature ("pooler_output", "image_embeds", "features", "embeddings", "last_hidden_state" or
        "feature_maps"); else the input of the last linear layer if that is the last layer with weights (the head of a
        classifier, also if dropout or softmax follow it); else the output.
    pool : {"auto", "class", "mean", "flatten"}
        How token sequences (n_samples, n_tokens, n_features) and maps (n_samples, n_features, height, width) become
        rows. "auto": as the module itself does, else the class token if it has one (a parameter that is called
        cls_token, class_token, class_embedding or cls), else the mean over tokens or places. "class": the first token.
        "mean": the mean over all tokens or places. "flatten": one long row.

    Attributes
    ----------
    description : str
        Where the features are taken and, after a forward pass, which part that is and how it is pooled, such as "input
        of fc", "output of layer3, mean over places" or "output of the module (pooler_output)".
    is_checking : bool
        Whether the module is running once more, so that what was taken for its head can be checked.
    takes_rows : bool
        Whether what goes into the head is taken as it is if it has neither tokens nor places, whatever `pool` is.

    Raises
    ------
    TypeError
        If a layer inside a module made by ``torch.jit`` or ``torch.export`` is asked for, or the module takes text.
    ValueError
        If there is no such layer, `pool` is not one of the four, or a layer has no weights yet; or, in a forward pass,
        if the layer is not reached, its output holds no tensor that can be told from others, what goes into the head
        cannot be pooled as `pool` says, or what was taken for the head is not the only way to the output of the module
        (of several tensors the logits, if they are called so, else the first).

    Notes
    -----
    The last layer is the last one in ``module.named_modules()``, which lists layers in the order in which they were
    made. If a layer runs more than once in a forward pass, the last run counts. If the head of a module was removed and
    the layer below it is linear, that layer is taken for the head; with ``layer=""`` it is not. Of models of images and
    text, `get_image_features` or `encode_image` is run.

    Examples
    --------
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2))
    >>> features = LayerFeatures(network)
    >>> features.description, features(torch.zeros(3, 3, 2, 2)).shape
    ('input of 3', torch.Size([3, 5]))
    >>> LayerFeatures(network, layer="")(torch.zeros(3, 3, 2, 2)).shape
    torch.Size([3, 2])
    >>> maps = LayerFeatures(nn.Conv2d(3, 4, 3))
    >>> maps(torch.zeros(3, 3, 8, 8)).shape, maps.description
    (torch.Size([3, 4]), 'output of the module, mean over places')
    """

    def __init__(self, module, layer=None, pool="auto"):
        super().__init__()
        check_pool(pool)
        layer = layer_behind(getattr(module, "_orig_mod", module), layer)
        made_by = _hides_layers(model_behind(module))
        if made_by and not (isinstance(layer, str) and layer.partition("[")[0] == ""):
            raise TypeError(
                f"layer is {layer!r}, expected '' (its output) for a module made by {made_by}, whose layers cannot be"
                " reached: give the module that it was made from, or a version of it that returns the features"
            )
        if not (isinstance(layer, str) and layer == ""):
            module = getattr(module, "_orig_mod", module)  # of torch.compile, whose layers cannot be watched
        self._method = find_image_method(model_behind(module))
        if self._method is None:
            _check_takes_images(model_behind(module))
        _check_weights(module)
        self.module, self.pool = module, pool
        self._n_prefix = _count_prefix_tokens(module)
        self._names = [name for name, _ in self._model.named_modules(remove_duplicate=False)]
        self._choose(layer)

    @property
    def _model(self):
        """The module without the preprocessing in front, in which layers have their names."""
        return model_behind(self.module)

    def at(self, layer):
        """Return the same for another layer of the module, which is not checked once more."""
        other = copy.copy(self)
        other._choose(layer)
        return other

    def _choose(self, layer):
        module, names = self._model, self._names
        head = find_head(module, LayerFeatures) if layer is None and self._method is None else None
        self._layer, self._parts, self._takes_input = head or "", (), head is not None
        if isinstance(layer, str) and layer not in names:
            self._layer, parts = re.fullmatch(r"([^\[]*)((?:\[[^\[\]]+\])*)|.*", layer, re.DOTALL).groups()
            self._parts = tuple(re.findall(r"\[([^\]]+)\]", parts or ""))
        elif layer is not None:
            self._layer = layer
        if not isinstance(self._layer, str) or self._layer not in names:
            nearest = difflib.get_close_matches(str(layer), names, n=3) or [name for name, _ in module.named_children()]
            raise ValueError(
                f"layer is {layer!r}, expected the name of a layer of {name_of(module)}"
                f" (nearest: {', '.join(nearest) or 'it has none'}), '' for its output, or None"
            )
        self.layer = layer
        self._place = f"{'input' if self._takes_input else 'output'} of {self._layer or self._method or 'the module'}"
        self.description = self._place
        self._is_checked = self.is_checking = self.takes_rows = False

    @property
    def runs_module(self):
        """Whether the features cannot be watched, since they are taken from what the module returns, or may be."""
        return self._layer == "" or self._takes_input

    @property
    def watched(self):
        """The layer whose output the features are taken from."""
        return self._model.get_submodule(self._layer)

    def run(self, images):
        """Return what the module returns for a copy of the images, which it may change in place."""
        return self._call(self._copy_images(images))

    def pool_output(self, output, image_size):
        """Return the features, of shape (n_samples, n_features), float32, that are in an output of the layer.

        Parameters
        ----------
        output : object
            What the layer returned.
        image_size : tuple of int
            (height, width) of what the model gets, in pixels.
        """
        return self._pool(output, self._place, image_size)

    def _copy_images(self, images):
        return images.to(first_weight(self.module).dtype, memory_format=torch.contiguous_format, copy=True)

    @property
    def _call(self):
        """What takes the images: the module, which may be a preprocessing and a model, or its method."""
        method = find_image_method(self.module)
        return self.module if method is None else getattr(self.module, method)

    def forward(self, images):
        """Return features of shape (n_samples, n_features), float32."""
        images = self._copy_images(images)
        size = size_behind_preprocessing(self.module, images.shape[2:])
        if self._layer == "":
            return self._pool(self._call(images), self._place, size)
        kept, check = {}, self._takes_input and not self._is_checked and not self.training

        def keep(_, args, kwargs, output):  # copied, because a layer that follows may work in place
            if self._takes_input:
                kept["input"] = _copy(args[0] if args else next(iter(kwargs.values())))
            if check or not self._takes_input:
                kept["output"] = _copy(output)

        given = images.clone() if check else None
        layer = self.watched
        with uncompiled(self.module):
            # only during this pass, because a module with this hook could not be pickled
            handle = layer.register_forward_hook(keep, with_kwargs=True)
            try:
                output = self._call(images)
            finally:
                handle.remove()
            if self._takes_input and find_feature(output, self.pool) is not None:
                return self._pool(output, "output of the module", size)
            if not kept:
                raise ValueError(
                    f"layer {self._layer!r} of {name_of(self.module)} is not reached by its forward pass: name"
                    " another layer, or '' for its output"
                )
            if check:
                self.is_checking = True
                try:
                    self._check_head(layer, given, kept, output)
                finally:
                    self.is_checking = False
        return self._pool(kept["input" if self._takes_input else "output"], self._place, size)

    def _check_head(self, head, images, kept, returned):
        """Raise an error if what seems to be the head is not the only way to the output, or the first part of it."""
        output, logits = logits_of(returned), kept["output"]
        comparable = isinstance(output, torch.Tensor) and isinstance(logits, torch.Tensor)
        # a module may return the features, too, in front of what its head makes of them
        known = comparable and any(torch.equal(output, one) for one in (logits, kept["input"]))
        known = known or (comparable and is_of_head(output, self.module, kept["input"]))
        if comparable and not known and is_bypassed(self._call, head, images, logits):
            parts = parts_of(returned)
            first, hint = (" the first part of", f" and '[{next(iter(parts))}]' a part of it") if parts else ("", "")
            raise ValueError(
                f"layer is None, expected the name of a layer: {self._layer}, the last layer with weights of"
                f" {name_of(self.module)}, is not the only way to{first} its output, so what goes into it need not be"
                f" the features; '' is the output{hint}"
            )
        self._is_checked = True

    def _pool(self, output, place, image_size):
        try:
            part, names = take_part(output, self._parts, self.pool, self._layer)
            part = part.dequantize() if part.is_quantized else part.to_dense() if part.layout != torch.strided else part
            if part.is_complex():
                raise ValueError(f"has dtype {part.dtype}, expected real numbers: take the absolute value, for example")
            # a half is too coarse for a sum over many places
            part = part if part.dtype == torch.float64 else part.float()
            is_row = place.startswith("input") and part.ndim == 2
            if is_row and self.pool in ("class", "mean") and not self.takes_rows:
                raise ValueError(
                    f"has neither tokens nor places: pool is {self.pool!r}, expected 'auto'; or name the layer whose"
                    " tokens or maps are to be pooled"
                )
            features, how = pool_places(part, self.pool, image_size, self._n_prefix)
            if features.ndim != 2:
                raise ValueError(f"has shape {tuple(features.shape)}, expected one row per image, (n_samples, ...)")
        except ValueError as error:
            raise ValueError(f"the {place} ({name_of(self.module)}) {error}") from error
        named = f" ({', '.join(names)})" if names else ""
        self.description = f"{place}{named}{', ' * bool(how)}{how}"
        return features.float()


def name_of(encoder):
    """Return the name of a module's class, without the preprocessing in front, or of a function, for messages.

    Parameters
    ----------
    encoder : torch.nn.Module or callable
        Any module or function.

    Returns
    -------
    name : str

    Examples
    --------
    >>> name_of(nn.Flatten()), name_of(len)
    ('Flatten', 'len')
    """
    model = model_behind(encoder)
    return getattr(model, "__name__", None) or type(model).__name__


def uncompiled(module):
    """Return a context in which no part of a module runs as compiled code, which does not call hooks.

    Parameters
    ----------
    module : torch.nn.Module
        Module that runs in the context.

    Returns
    -------
    context : context manager

    Examples
    --------
    >>> with uncompiled(nn.Linear(2, 1)):
    ...     pass
    """
    compiled = ("_compiled_call_impl", "_orig_mod")  # of module.compile() and torch.compile(module)
    if any(getattr(part, name, None) is not None for part in module.modules() for name in compiled):
        return torch.compiler.set_stance("force_eager")
    return contextlib.nullcontext()


def _copy(value):
    """Copy the tensors in a value that may have parts, such as the output of a layer."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, Mapping):
        return {name: _copy(one) for name, one in value.items()}
    if hasattr(value, "_make"):  # of named tuples
        return value._make(map(_copy, value))
    if isinstance(value, (list, tuple)):
        return [_copy(one) for one in value] if isinstance(value, list) else tuple(map(_copy, value))
    if dataclasses.is_dataclass(value):
        twin = copy.copy(value)
        names = {field.name for field in dataclasses.fields(value) if hasattr(value, field.name)}
        for name in names | getattr(value, "__dict__", {}).keys():
            object.__setattr__(twin, name, _copy(getattr(value, name)))  # it may be frozen
        return twin
    return value


def _hides_layers(module):
    """Name what made a module whose layers are no modules that are called, or return None."""
    if isinstance(module, torch.jit.ScriptModule):
        return "torch.jit"
    if isinstance(module, torch.fx.GraphModule) and next(module.parameters(), None) is not None:
        called = [module.get_submodule(node.target) for node in module.graph.nodes if node.op == "call_module"]
        if all(next(part.parameters(), None) is None for part in called):
            return "torch.export"
    return None


def _check_takes_images(module):
    """Raise an error if a module takes text first."""
    try:
        first = next(iter(inspect.signature(module.forward).parameters), None)
    except ValueError:  # of compiled functions, which have no signature
        return
    if first == "input_ids":
        names = [name for name, _ in module.named_modules() if re.search("vision|visual|image", name.split(".")[-1])]
        part = f", such as its part .{names[0]}" if names else ""
        raise TypeError(f"{name_of(module)} takes text (input_ids) first: give a module that takes images{part}")


def _check_weights(module):
    """Raise an error if a layer gets its weights, at random, in the first forward pass."""
    for name, weight in itertools.chain(module.named_parameters(), module.named_buffers()):
        if torch.nn.parameter.is_lazy(weight):
            raise ValueError(
                f"{name} of {name_of(module)} has no values before the first forward pass: run it on some images first"
            )


def _count_prefix_tokens(module):
    """Return how many tokens precede those of the places, the first of which is the class token, or 0."""
    counts = [getattr(part, "num_prefix_tokens", 0) for part in module.modules()]
    known = max((count for count in counts if isinstance(count, int)), default=0)
    has_token = any(name.split(".")[-1] in CLASS_TOKENS for name, _ in module.named_parameters())
    denied = any(getattr(part, "has_class_token", True) is False for part in module.modules())
    return max(known, 1) if has_token or (known and not denied) else 0


@contextlib.contextmanager
def explain_failure(encoder, image_shape):
    """Name the encoder and the shape of the images in the error of a forward pass, which names neither.

    Parameters
    ----------
    encoder : torch.nn.Module or callable
        Module whose forward pass runs in the block, or function that is called there.
    image_shape : tuple of int
        Shape (height, width, n_channels) of the images.

    Raises
    ------
    ValueError
        If the block raises RuntimeError or AssertionError, as layers do if the shape of the images does not fit, or
        TypeError because the module takes more than images. Of functions any TypeError or AttributeError, too, as when
        they take an array for a tensor. An error about memory is not changed.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError, TypeError, AttributeError) as error:
        is_module = isinstance(encoder, nn.Module)
        takes_more = isinstance(error, TypeError) and "required positional argument" in str(error)
        is_fault_inside = is_module and isinstance(error, (TypeError, AttributeError)) and not takes_more
        if "memory" in str(error) or is_fault_inside:  # the CPU's allocator raises a RuntimeError
            raise
        name = name_of(getattr(encoder, "module", encoder))  # of LayerFeatures and ManyLayers
        shape = " x ".join(map(str, image_shape))
        reason = " ".join(str(error).partition(", but expected one of:")[0].split())  # what follows are signatures
        if is_module and takes_more:
            hint = "; wrap it in a module that takes the images alone"
        elif is_module:
            hint = next((f"; {hint}" for words, hint in HINTS.items() if words in reason), "")
        else:
            name = f"the function {name}"
            hint = (
                "; a function receives the images as they are given, NumPy arrays of shape"
                f" (n, {', '.join(map(str, image_shape))}), uint8 or float: give a torch module itself, rather than its"
                " forward or a function that calls it"
            )
        raise ValueError(f"{name} fails on images of {shape}: {reason}{hint}") from error
