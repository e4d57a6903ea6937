"""Encoders in files of arrays and JSON: what a stranger sends can be a bad network, but it cannot run code."""

import inspect
import math
from collections import OrderedDict
from functools import partial
from reprlib import repr as shorten

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from invtransfer.encoders.classifier import Normalise, build_network
from invtransfer.encoders.layers import LayerFeatures
from invtransfer.estimators.pretraining import InvariantPretrainer
from invtransfer.estimators.probing import FrozenFeatureProbe
from invtransfer.estimators.tuning import FineTuner
from invtransfer.images import check_image_shape
from invtransfer.networks.architectures import NETWORKS
from invtransfer.storage import DamagedFileError, check_writable, read_arrays, write_arrays
from invtransfer.transformations import TRANSFORMATIONS, get_transformations

FORMAT = 1
ESTIMATORS = {"InvariantPretrainer": InvariantPretrainer, "FineTuner": FineTuner}
PIXELS = "pixels"  # the network of a FineTuner of no encoder
MAX_VALUES = 2**24  # of an image; a file that asks for more asks for too much memory
NUMBER, NONE = (int, float), type(None)
PARAMETERS = {  # what they may be in a file; others are kept apart or, like `checkpoint`, not at all
    "width": NUMBER, "layer": (str, NONE), "transformations": (list, tuple, NONE), "epochs": int,
    "batch_size": (int, NONE), "learning_rate": NUMBER, "schedule": str, "weight_decay": NUMBER, "precision": str,
    "device": str, "image_shape": (list, tuple, NONE), "random_state": (int, NONE), "verbose": int, "solver": str,
    "C": NUMBER, "max_iter": int,
}  # fmt: skip
FILE = {"content": str, "format": int, "module": (str, NONE), "encoder": dict}
RECIPE = {"network": (str, NONE), "width": NUMBER, "layer": (str, NONE)}
ENCODER = {
    "estimator": str, "parameters": dict, "recipe": dict, "layer": str, "image_shape": list, "history": dict,
    "n_iter": int, "labels_are_objects": bool,
}  # fmt: skip


def save_encoder(encoder, path):
    """Save a fitted encoder in one file of arrays and JSON, in which, unlike in a pickle, there is no code to be run.

    Parameters
    ----------
    encoder : InvariantPretrainer or FineTuner
        Fitted.
    path : path-like
        Of the file, which is replaced if it is there; its folder is made if need be.

    Raises
    ------
    TypeError
        If `encoder` is of another kind; for a torch module, `torch.save` its ``state_dict()``.
    NotFittedError
        If it is not fitted.
    ValueError
        If a transformation is not one of `TRANSFORMATIONS`, or a parameter or label is of a kind that JSON and arrays
        cannot hold.
    OSError
        If the file cannot be written.

    See Also
    --------
    load_encoder : The way back, and what does not come back.

    Examples
    --------
    >>> import tempfile
    >>> from invtransfer import InvariantPretrainer, Transforms2D, load_encoder, load_objects, save_encoder
    >>> X, y = Transforms2D(load_objects("procedural")[:4], random_state=0).sample(64)
    >>> encoder = InvariantPretrainer("resnet18", width=0.0625, epochs=1, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_encoder(encoder, f"{folder}/encoder.npz")
    ...     again = load_encoder(f"{folder}/encoder.npz")
    >>> bool((again.transform(X) == encoder.transform(X)).all())
    True
    """
    arrays = {}
    description = {"content": "encoder", "format": FORMAT, "encoder": _describe(encoder, arrays, "")}
    module = _own_module(encoder)
    description["module"] = None if module is None else type(module).__name__
    check_writable(path)
    write_arrays(path, arrays, description)


def _describe(encoder, arrays, prefix):
    """Return what JSON holds of an encoder, and put what it does not hold into `arrays`."""
    if type(encoder) not in ESTIMATORS.values():
        raise TypeError(f"encoder is {_say_type(encoder)}, expected a fitted InvariantPretrainer or FineTuner")
    check_is_fitted(encoder)
    if math.prod(encoder.image_shape_) > MAX_VALUES:
        raise ValueError(f"encoder takes images of shape {encoder.image_shape_}, expected at most {MAX_VALUES} values")
    arrays |= {f"{prefix}weights/{name}": value for name, value in encoder.weights_.items()}
    arrays[f"{prefix}classes"] = _plain_labels(encoder.classes_)
    description = {
        "estimator": type(encoder).__name__,
        "parameters": _describe_parameters(encoder),
        "recipe": _recipe(encoder),
        "layer": encoder.layer_,
        "image_shape": list(encoder.image_shape_),
        "history": encoder.history_,
        "n_iter": int(encoder.n_iter_),
        "labels_are_objects": encoder.classes_.dtype == object,
    }
    if isinstance(encoder, InvariantPretrainer):
        return description | {"network": None if isinstance(encoder.network, nn.Module) else str(encoder.network)}
    probe = None if encoder.probe is None else _describe_parameters(encoder.probe)
    if encoder.encoder is None or isinstance(encoder.encoder, nn.Module):
        original = None if encoder.encoder is None else "module"
    else:
        original = _describe(encoder.encoder, arrays, f"{prefix}encoder/")
    return description | {"encoder": original, "probe": probe}


def _plain_labels(classes):
    if classes.dtype == object and all(isinstance(label, str) for label in classes):
        return classes.astype(str)
    if classes.dtype.kind not in "biufUS":
        raise ValueError(f"classes_ are of dtype {classes.dtype}, expected numbers or strings, which a file can hold")
    return classes


def _recipe(encoder):
    """Return what a network is made of, of which a person's own module, None, is not in the file."""
    made = encoder._architecture
    if isinstance(made, dict):
        return {"network": str(made["network"]), "width": float(made["width"]), "layer": made["layer"]}
    side, _, name = encoder.layer_.partition(" of ")
    layer = None if side == "input" else "" if name == "the module" else name
    return {"network": PIXELS if isinstance(made.backbone.module, nn.Flatten) else None, "width": 1.0, "layer": layer}


def _own_module(encoder):
    """Return the module of a person's own that is needed to load an encoder, or None."""
    given = encoder.network if isinstance(encoder, InvariantPretrainer) else encoder.encoder
    if isinstance(given, nn.Module):
        return given
    if _recipe(encoder)["network"] is None:
        return encoder._architecture.backbone.module
    return _own_module(given) if type(given) in ESTIMATORS.values() else None


def _describe_parameters(estimator):
    parameters = {}
    for name in _plain_names(type(estimator)):
        value = getattr(estimator, name)
        if isinstance(value, np.random.RandomState):
            value = None
        elif isinstance(value, torch.device):
            value = str(value)
        elif name == "transformations" and value is not None:
            get_transformations(value)
            value = [_known_name(transformation) for transformation in value]
            value = tuple(value) if isinstance(estimator.transformations, tuple) else value
        elif isinstance(value, (list, tuple)):
            value = type(value)(item.item() if isinstance(item, np.generic) else item for item in value)
        elif isinstance(value, np.generic):
            value = value.item()
        _check_parameter(name, value)
        parameters[name] = {"tuple": list(value)} if isinstance(value, tuple) else value
    return parameters


def _plain_names(estimator):
    return [name for name in inspect.signature(estimator).parameters if name in PARAMETERS]


def _known_name(transformation):
    """Return the name of a transformation if it is the one known by that name: another would come back as that."""
    name = getattr(transformation, "name", transformation)
    known = TRANSFORMATIONS.get(name)
    if transformation == name or (known is not None and _parts(transformation) == _parts(known)):
        return name
    raise ValueError(
        f"transformations holds {transformation!r} of your own, expected those of TRANSFORMATIONS: a file without code"
        " cannot hold it; set_params(transformations=()) leaves it out, which changes nothing but a further fit"
    )


def _parts(transformation):
    """Return what a transformation is made of, so that copies are equal, which partial functions are not."""
    functions = transformation.draw, transformation.apply
    return [(f.func, f.args, f.keywords) if isinstance(f, partial) else f for f in functions]


def load_encoder(path, network=None):
    """Load an encoder that `save_encoder` saved, without running any code that the file may hold, whoever made it.

    Parameters
    ----------
    path : path-like
        Of the file.
    network : torch.nn.Module or None
        For an encoder that was made of a module of your own: a module of the same layers, whatever its weights. A copy
        gets those of the file. None: for named networks, which are built anew.

    Returns
    -------
    encoder : InvariantPretrainer or FineTuner
        Fitted: features and predictions are those of the encoder that was saved, on the same machine bit for bit.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If it cannot be read, or is a folder.
    TypeError
        If `network` is no module.
    ValueError
        If `network` does not fit the weights in the file, is missing, or is not needed.
    DamagedFileError
        If the file is cut short, was changed, or holds no encoder.

    See Also
    --------
    save_encoder : The way there.

    Notes
    -----
    Parameters come back, but: a `random_state` that is a RandomState, and `checkpoint`, come back as None;
    transformations by name; a torch module that was given as `network` or, to a `FineTuner`, as `encoder`, is the
    `network` given here. A `FineTuner` comes back with the encoder that it was tuned from, so that it can be fitted
    again, but without `probe_`: fit a `FrozenFeatureProbe` on that encoder. What was set by `set_output` or
    `set_fit_request`, and names of columns, do not come back, either.

    Of a module of your own, the file has what its ``state_dict()`` has. All else, such as rates of dropout and weights
    that require no gradient, is that of `network`.

    Examples
    --------
    >>> import tempfile
    >>> from torch import nn
    >>> from invtransfer import InvariantPretrainer, Transforms2D, load_encoder, load_objects, save_encoder
    >>> X, y = Transforms2D(load_objects("procedural")[:4], random_state=0).sample(64)
    >>> module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    >>> encoder = InvariantPretrainer(module, epochs=1, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_encoder(encoder, f"{folder}/encoder.npz")
    ...     again = load_encoder(f"{folder}/encoder.npz", network=module)
    >>> bool((again.transform(X) == encoder.transform(X)).all())
    True
    """
    if network is not None and not isinstance(network, nn.Module):
        raise TypeError(f"network is {_say_type(network)}, expected a torch module or None")
    arrays, description = read_arrays(path)
    try:
        _check_kinds(description, FILE, "the file")
        if (description["content"], description["format"]) != ("encoder", FORMAT):
            raise ValueError(f"it holds {shorten(description['content'])} of format {shorten(description['format'])}")
    except ValueError as error:
        raise DamagedFileError(f"{path} cannot be loaded as an encoder: {error}") from error
    module = description["module"]
    if module is not None and network is None:
        raise ValueError(
            f"network is None, expected a module of your own of type {shorten(module)}, whose weights {path} holds"
        )
    if module is None and network is not None:
        raise ValueError(f"network is of type {type(network).__name__}, expected None: {path} names its network itself")
    try:
        return _rebuild(description["encoder"], arrays, "", network)
    except Exception as error:  # torch and NumPy raise whatever fits what is wrong
        reason = " ".join(str(error).split())
        if network is not None:
            raise ValueError(f"network, of type {type(network).__name__}, does not fit {path}: {reason}") from error
        raise DamagedFileError(f"{path} cannot be loaded as an encoder: {reason}") from error


def _rebuild(description, arrays, prefix, network):
    """Make the encoder that a description and the arrays that begin with a prefix describe."""
    parts = {
        "InvariantPretrainer": {"network": (str, NONE)},
        "FineTuner": {"encoder": (str, dict, NONE), "probe": (dict, NONE)},
    }
    estimator = description.get("estimator")
    if estimator not in ESTIMATORS:
        raise ValueError(f"estimator is {shorten(estimator)}, expected one of: {', '.join(ESTIMATORS)}")
    _check_kinds(description, ENCODER | parts[estimator], estimator)
    parameters = _rebuild_parameters(description["parameters"], ESTIMATORS[estimator])
    if estimator == "InvariantPretrainer":
        name = description["network"]
        encoder = InvariantPretrainer(_check_given(network) if name is None else name, **parameters)
    else:
        original, probe = description["encoder"], description["probe"]
        if isinstance(original, dict):
            original = _rebuild(original, arrays, f"{prefix}encoder/", network)
        elif original is not None:
            original = _check_given(network)
        if probe is not None:
            probe = FrozenFeatureProbe(**_rebuild_parameters(probe, FrozenFeatureProbe))
        encoder = FineTuner(original, probe=probe, **parameters)
    encoder.classes_ = _check_labels(arrays.get(f"{prefix}classes"), description["labels_are_objects"])
    encoder.image_shape_ = _check_shape(description["image_shape"])
    encoder.n_features_in_ = math.prod(encoder.image_shape_)
    encoder.history_, encoder.n_iter_ = _check_history(description), description["n_iter"]
    recipe = description["recipe"]
    _check_kinds(recipe, RECIPE, "recipe")
    trained = _make_network(recipe, network, len(encoder.classes_), encoder.image_shape_)
    start = f"{prefix}weights/"
    _load_weights(trained, {name.removeprefix(start): a for name, a in arrays.items() if name.startswith(start)})
    encoder._keep(trained, recipe if recipe["network"] in NETWORKS else None)
    if encoder.layer_ != description["layer"]:
        raise ValueError(f"its features are the {shorten(description['layer'])}, not the {encoder.layer_}")
    return encoder


def _check_given(network):
    if network is None:
        raise ValueError("a part of it is a module of a person's own, of which it says nothing")
    return network


def _make_network(recipe, network, n_classes, image_shape):
    """Make a network, a named one without memory for its weights: how wide it is was decided by a file."""
    name, width, layer = recipe["network"], recipe["width"], recipe["layer"]
    if name is None:
        return build_network(_check_given(network), n_classes, image_shape=image_shape, layer=layer)
    if name not in NETWORKS and name != PIXELS:
        raise ValueError(f"network is {shorten(name)}, expected one of: {', '.join(NETWORKS)}")
    if not 0 < width <= 16:
        raise ValueError(f"width is {width!r}, expected a number above 0 and up to 16")
    height, width_in_pixels, n_channels = image_shape
    with torch.device("meta"):
        if name == PIXELS:
            backbone = LayerFeatures(nn.Flatten(), layer)
        else:
            backbone, n_features = NETWORKS[name](image_shape, width)
            backbone = backbone if layer is None else LayerFeatures(backbone, layer)
        if isinstance(backbone, LayerFeatures):
            n_features = backbone.eval()(torch.zeros(2, n_channels, height, width_in_pixels)).shape[1]
        normalise = Normalise([0.0] * n_channels, [1.0] * n_channels)
        return nn.Sequential(OrderedDict(normalise=normalise, backbone=backbone, head=nn.Linear(n_features, n_classes)))


def _load_weights(network, arrays):
    """Put arrays into a network if they are its weights by name, shape and dtype, and finite."""
    state = network.state_dict()
    if set(state) != set(arrays):
        only = [sorted(set(state) - set(arrays))[:3], sorted(set(arrays) - set(state))[:3]]
        raise ValueError(f"the weights {only[0]} are in the network only, and {only[1]} in the file only")
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    for name, tensor in tensors.items():
        there, here = (f"{tuple(one.shape)}, {one.dtype}," for one in (tensor, state[name]))
        if there != here:
            raise ValueError(f"{name} has shape {there} in the file and {here} in the network")
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} holds NaN or infinity")
    network.load_state_dict(tensors, assign=True)


def _check_kinds(values, kinds, what):
    """Say if a JSON object has not exactly the names and kinds of values that it should have."""
    if not isinstance(values, dict) or set(values) != set(kinds):
        raise ValueError(f"{what} has {shorten(values)}, expected values of: {', '.join(kinds)}")
    for name, kind in kinds.items():
        if not isinstance(values[name], kind):
            raise ValueError(f"{name} of {what} is {shorten(values[name])}, expected {_say_kind(kind)}")


def _say_type(value):
    return f"the class {value.__name__}" if isinstance(value, type) else f"of type {type(value).__name__}"


def _say_kind(kind):
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return " or ".join("None" if one is NONE else one.__name__ for one in kinds)


def _rebuild_parameters(values, estimator):
    _check_kinds(values, dict.fromkeys(_plain_names(estimator), object), "parameters")
    parameters = {}
    for name, value in values.items():
        if isinstance(value, dict) and set(value) == {"tuple"} and isinstance(value["tuple"], list):
            value = tuple(value["tuple"])
        _check_parameter(name, value)
        parameters[name] = value
    return parameters


def _check_parameter(name, value):
    """Say if a parameter cannot be kept in a file: what `fit` would refuse later is not looked at."""
    if not isinstance(value, PARAMETERS[name]):
        raise ValueError(f"{name} is {shorten(value)}, expected {_say_kind(PARAMETERS[name])}")
    if name == "image_shape" and value is not None:
        check_image_shape(value)
    if name == "transformations" and value is not None and not all(isinstance(item, str) for item in value):
        raise ValueError(f"transformations is {shorten(value)}, expected names")
    if name == "transformations" and value is not None:
        get_transformations(value)


def _check_labels(classes, are_objects):
    if classes is None or classes.ndim != 1 or len(classes) < 2 or classes.dtype.kind not in "biufUS":
        raise ValueError("classes are not at least 2 numbers or strings")
    classes = classes.astype(object) if are_objects and classes.dtype.kind == "U" else classes
    if not np.array_equal(np.unique(classes), classes) or not classes.tolist():  # which raises if no text is in them
        raise ValueError("classes are not sorted, or not different")
    return classes


def _check_shape(image_shape):
    whole = len(image_shape) == 3 and all(type(size) is int and size > 0 for size in image_shape)
    if not whole or image_shape[2] not in (1, 3) or math.prod(image_shape) > MAX_VALUES:
        raise ValueError(
            f"image_shape is {shorten(image_shape)}, expected (height, width, 1 or 3), at most {MAX_VALUES} values"
        )
    return tuple(image_shape)


def _check_history(description):
    history, n_iter = description["history"], description["n_iter"]
    curves = {"loss": list} | ({"val_accuracy": list} if "val_accuracy" in history else {})
    _check_kinds(history, curves | {"best_epoch": int}, "history")
    for name in curves:
        if len(history[name]) != n_iter or not all(isinstance(value, float) for value in history[name]):
            raise ValueError(f"{name} is {shorten(history[name])}, expected {shorten(n_iter)} numbers")
    if not -1 <= history["best_epoch"] < max(n_iter, 0):
        raise ValueError(f"best_epoch is {shorten(history['best_epoch'])}, expected a number below {shorten(n_iter)}")
    return history
