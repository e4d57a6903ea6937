"""Features of several layers of a torch module, from one forward pass."""

import re
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack

import torch
from torch import nn

from invtransfer.analysis.layers import FEATURE
from invtransfer.encoders.heads import find_head
from invtransfer.encoders.layers import LayerFeatures, name_of, uncompiled
from invtransfer.encoders.preprocessing import (
    find_image_method,
    layer_behind,
    model_behind,
    size_behind_preprocessing,
)

BLOCKS = "blocks"
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


class ManyLayers(nn.Module):
    """Return the features that several layers of another module compute, pooled as they come and side by side.

    Parameters
    ----------
    module : torch.nn.Module
        Module that takes images, as for `LayerFeatures`.
    layers : "blocks" or list of str
        Names of layers, each as for `LayerFeatures`. "blocks": those of `find_blocks` that a forward pass reaches, and
        "(feature)", what the module itself calls its feature. Of a layer that returns a tuple in which several tensors
        may be meant, the first one is taken.
    pool : {"auto", "class", "mean", "flatten"}
        As for `LayerFeatures`. With "blocks", a feature that has neither tokens nor places is taken as it is.

    Attributes
    ----------
    names : list of str
        Names of the layers in the order in which a forward pass is done with them; known after the first one, like what
        follows.
    columns : list of slice
        Where the features of each layer are among those that are returned.
    depths : list of float
        Share of the convolutions and linear layers (without a classifier's head) that have run when a layer is done.
    descriptions : list of str
        Where the features of each layer are taken, and how they are pooled.

    Raises
    ------
    TypeError, ValueError
        As for `LayerFeatures`; or if `layers` is a string but "blocks", is empty or names a layer twice; or, in a
        forward pass, if a layer is reached for some images only, or does not return one row per image.

    Notes
    -----
    If a layer runs more than once in a forward pass, the last run counts, which its description says.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 6, 3), nn.Flatten(), nn.Linear(96, 2))
    >>> features = ManyLayers(network, ["0", "1"])
    >>> features(torch.zeros(5, 3, 8, 8)).shape, features.columns
    (torch.Size([5, 10]), [slice(0, 4, None), slice(4, 10, None)])
    >>> features.depths, features.descriptions[0]
    ([0.5, 1.0], 'output of 0, mean over places')
    """

    def __init__(self, module, layers=BLOCKS, pool="auto"):
        super().__init__()
        module = getattr(module, "_orig_mod", module)  # of torch.compile, whose layers cannot be watched
        if isinstance(layers, str):
            if layers != BLOCKS:
                raise ValueError(f"layers is {layers!r}, expected 'blocks' or a list of names, such as [{layers!r}]")
            names = [*find_blocks(module), FEATURE]
        else:
            names = list(layers) if isinstance(layers, Iterable) else [layers]
            if not all(isinstance(name, str) for name in names):
                raise ValueError(f"layers is {layers!r}, expected 'blocks' or a list of names")
        if not names:
            raise ValueError("layers is empty, expected at least one name, or 'blocks'")
        names = [layer_behind(module, name) for name in names]
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ValueError(f"layers holds {twice[0]!r} more than once, expected each name once")
        self.module, self.layers, self.pool = module, layers if isinstance(layers, str) else names, pool
        wanted = {name: None if name == FEATURE else name for name in names}
        try:
            first = LayerFeatures(module, wanted[names[0]], pool)
            parts = {name: first.at(layer) for name, layer in wanted.items()}
        except ValueError as error:
            raise ValueError(re.sub("^layer is ", "layers holds ", str(error))) from error
        if isinstance(layers, str):
            parts[FEATURE].takes_rows = True
        # of these there is at most one, which runs the forward pass; the others are watched meanwhile
        direct = [name for name, part in parts.items() if part.runs_module]
        if len(direct) > 1:
            raise ValueError(f"layers holds {' and '.join(map(repr, direct))}, expected one part of the output only")
        self._direct = direct[0] if direct else None
        self._parts = parts  # a plain dict: their weights are those of the module
        self.names = self.columns = self.depths = self.descriptions = None

    def forward(self, images):
        """Return features of shape (n_samples, n_features of all layers), float32."""
        kept, runs, done = {}, Counter(), Counter()
        size = size_behind_preprocessing(self.module, images.shape[2:])
        runner = self._parts[next(iter(self._parts)) if self._direct is None else self._direct]
        runner.training = self.training  # it is no part of this module, which sets the mode of its parts

        def count(*_):
            if not runner.is_checking:
                done.update(["layers"])

        with uncompiled(self.module), ExitStack() as stack:
            if self.names is None:
                for layer in self._weighted():
                    stack.callback(layer.register_forward_hook(count).remove)
            for name, part in self._parts.items():
                if name == self._direct or (self.names is not None and name not in self.names):
                    continue

                def keep(_, given, output, name=name):
                    if runner.is_checking:
                        return
                    runs[name] += 1
                    # in order of the last run; copied, because a layer that follows may work in place
                    kept.pop(name, None)
                    kept[name] = self._pool(name, output, size).clone(), done["layers"]

                handle = part.watched.register_forward_hook(keep)
                stack.callback(handle.remove)
            if self._direct is None:
                runner.run(images)
            else:
                kept[self._direct] = runner(images), done["layers"]
        if self.names is None:
            self._describe(kept, runs, done["layers"])
        for name in self.names:
            if name not in kept:
                raise ValueError(
                    f"layers holds {name!r}, which the forward pass of {name_of(self.module)} reaches for some"
                    " images only: name the layers without it"
                )
            if len(kept[name][0]) != len(images):
                raise ValueError(
                    f"layers holds {name!r}, whose output has {len(kept[name][0])} rows for {len(images)} images: name"
                    " the layers without it"
                )
        return torch.cat([kept[name][0] for name in self.names], dim=1)

    def _pool(self, name, output, size):
        try:
            return self._parts[name].pool_output(output, size)
        except ValueError:
            if type(output) is not tuple or name.endswith("]"):  # a part that was named
                raise
            self._parts[name] = self._parts[name].at(f"{name}[0]")  # by convention, what goes on to the next block
            return self._parts[name].pool_output(output, size)

    def _weighted(self):
        """Return the convolutions and linear layers, but for the head."""
        model = model_behind(self.module)
        head = find_head(model, LayerFeatures)
        for name, layer in model.named_modules():
            weight = getattr(layer, "weight", None)
            if name != head and isinstance(weight, torch.Tensor) and weight.ndim > 1:
                yield layer

    def _describe(self, kept, runs, n_layers):
        missing = [name for name in self._parts if name not in kept]
        if missing and self.layers != BLOCKS:
            raise ValueError(
                f"layers holds {missing[0]!r}, which the forward pass of {name_of(self.module)} does not reach:"
                " name another layer"
            )
        sizes = [features.shape[1] for features, _ in kept.values()]
        ends = torch.tensor([0, *sizes]).cumsum(0).tolist()
        self.columns = [slice(*one) for one in zip(ends[:-1], ends[1:], strict=True)]
        self.depths = [count / n_layers if n_layers else 1.0 for _, count in kept.values()]
        self.descriptions = [
            self._parts[name].description + (f", last of {runs[name]} runs" if runs[name] > 1 else "") for name in kept
        ]
        self.names = list(kept)


def find_blocks(module):
    """Find the blocks of which a network is made: residual blocks, transformer layers, stages.

    Parameters
    ----------
    module : torch.nn.Module
        Network.

    Returns
    -------
    names : list of str
        Names of the parts with layers of their own that are of a type of which there are several; not those inside one
        another, nor ``nn.Sequential`` and the like. Of models of images and text, those of the part for images. Of
        networks without such parts, such as VGG: the convolutions and linear layers before the head.

    Examples
    --------
    >>> from torchvision.models import resnet18
    >>> find_blocks(resnet18())
    ['layer1.0', 'layer1.1', 'layer2.0', 'layer2.1', 'layer3.0', 'layer3.1', 'layer4.0', 'layer4.1']
    >>> find_blocks(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2)))
    ['0']
    """
    module = model_behind(module)  # in which layers have their names
    within = _find_image_part(module)
    parts = [(name, part) for name, part in module.named_modules() if name.startswith(within)]
    counts = Counter(type(part) for _, part in parts if _is_block(part))
    blocks = []
    for name, part in parts:  # what is inside a block comes after it, before anything else
        inside = blocks and name.startswith(f"{blocks[-1]}.")
        if name and not inside and counts[type(part)] > 1:
            blocks.append(name)
    if blocks:
        return blocks
    head = find_head(module, LayerFeatures)
    weights = {name: getattr(part, "weight", None) for name, part in module.named_modules()}
    return [
        name for name, w in weights.items() if isinstance(w, torch.Tensor) and w.ndim > 1 and name not in ("", head)
    ]


def _is_block(part):
    has_layers = next(part.children(), None) is not None
    # a normalisation with an activation inside has only vectors
    return type(part) not in CONTAINERS and has_layers and any(weight.ndim > 1 for weight in part.parameters())


def _find_image_part(module):
    """Return how the names begin that are in the part for images of a model of images and text; "" for other models."""
    if find_image_method(module):
        for name, _ in module.named_modules():
            if re.search("vision|visual|image", name.split(".")[-1]):
                return f"{name}."
    return ""
