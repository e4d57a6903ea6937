"""Fitted encoders in files of arrays and JSON. A stranger's file can hold a bad network, but no code that runs."""

import inspect
import math
import re
from functools import partial
from reprlib import repr as shorten

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from invtransfer.encoders.classifier import build_network
from invtransfer.encoders.encoding import unwrap
from invtransfer.estimators.inputs import check_image_shape
from invtransfer.estimators.pretraining import InvariantPretrainer
from invtransfer.estimators.probing import FrozenFeatureProbe
from invtransfer.estimators.tuning import FineTuner
from invtransfer.networks.architectures import NETWORKS
from invtransfer.networks.weights import assign_weights, read_weights
from invtransfer.storage import DamagedFileError, check_writable, expand_path, read_arrays, write_arrays
from invtransfer.transformations import TRANSFORMATIONS, get_transformations

FORMAT = 1
PIXELS = "pixels"  # name of the network of a FineTuner without an encoder
MAX_VALUES = 2**24  # largest number of values of an image, because a file must not ask for endless memory
NUMBER, SEQUENCE, NONE = (int, float), (list, tuple, type(None)), type(None)
ESTIMATORS = {"InvariantPretrainer": InvariantPretrainer, "FineTuner": FineTuner}
STATE = {"layer": str, "image_shape": list, "history": dict, "n_iter": int}  # attributes, whose names end in "_"
ENCODER = {"estimator": str, "parameters": dict, "recipe": dict} | STATE | {"labels_are_objects": bool}
KINDS = {  # types of the values in the JSON objects of a file
    "the file": {"content": str, "format": int, "module": (str, NONE), "encoder": dict},
    "recipe": {"network": (str, NONE), "width": NUMBER, "layer": (str, NONE), "pool": str},
    "InvariantPretrainer": ENCODER | {"network": (str, NONE)},
    "FineTuner": ENCODER | {"encoder": (str, dict, NONE), "probe": (dict, NONE)},
}
NOT_PARAMETERS = {"network", "encoder", "probe", "checkpoint"}  # saved in another way or, like `checkpoint`, not at all
OPTIONAL = {  # types of the parameters that may be None
    "layer": (str, NONE), "transformations": SEQUENCE, "image_shape": SEQUENCE, "batch_size": (int, NONE),
    "random_state": (int, NONE),
}  # fmt: skip


def save_encoder(encoder, path):
    """Save a fitted encoder in a file of arrays and JSON which, unlike a pickle, cannot hold code.

    Parameters
    ----------
    encoder : InvariantPretrainer or FineTuner
        Fitted encoder, also inside a `sklearn.frozen.FrozenEstimator`, which is not kept.
    path : path-like
        Where the file is written. An existing file is replaced; a missing folder is created.

    Raises
    ------
    TypeError
        If `encoder` is of another type. For a torch module, save its ``state_dict()`` with `torch.save`.
    NotFittedError
        If `encoder` is not fitted.
    ValueError
        If a transformation is not one of `TRANSFORMATIONS`, or a parameter or label is of a type that JSON and arrays
        cannot hold.
    OSError
        If the file cannot be written.

    See Also
    --------
    load_encoder : Load the file; its notes say what is not restored.

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
    encoder, path, arrays = unwrap(encoder), expand_path(path), {}
    description = {"content": "encoder", "format": FORMAT, "encoder": _describe(encoder, arrays, "")}
    module = _own_module(encoder)
    description["module"] = None if module is None else type(module).__name__
    check_writable(path)
    write_arrays(path, arrays, description)


def _describe(encoder, arrays, prefix):
    """Return the part of an encoder that is kept as JSON, and add the rest to `arrays`."""
    if type(encoder) not in ESTIMATORS.values():
        raise TypeError(f"encoder is {_format_type(encoder)}, expected a fitted InvariantPretrainer or FineTuner")
    check_is_fitted(encoder)
    if math.prod(encoder.image_shape_) > MAX_VALUES:
        raise ValueError(f"encoder takes images of shape {encoder.image_shape_}, expected at most {MAX_VALUES} values")
    arrays |= {f"{prefix}weights/{name}": value for name, value in encoder.weights_.items()}
    arrays[f"{prefix}classes"] = _plain_labels(encoder.classes_)
    description = {
        "estimator": type(encoder).__name__,
        "parameters": _describe_parameters(encoder),
        "recipe": _recipe(encoder),
        "labels_are_objects": encoder.classes_.dtype == object,
    } | {name: getattr(encoder, f"{name}_") for name in STATE}
    if isinstance(encoder, InvariantPretrainer):
        return description | {"network": None if isinstance(encoder.network, nn.Module) else str(encoder.network)}
    probe = None if encoder.probe is None else _describe_parameters(encoder.probe)
    tuned = unwrap(encoder.encoder)
    if tuned is None or isinstance(tuned, nn.Module):
        original = None if tuned is None else "module"
    else:
        original = _describe(tuned, arrays, f"{prefix}encoder/")
    return description | {"encoder": original, "probe": probe}


def _plain_labels(classes):
    if classes.dtype == object and all(isinstance(label, str) for label in classes):
        return classes.astype(str)
    if classes.dtype.kind not in "biufUS":
        raise ValueError(f"classes_ are of dtype {classes.dtype}, expected numbers or strings, which a file can hold")
    return classes


def _recipe(encoder):
    """Return the arguments that build the network again; "network" is None for a module, which no file holds."""
    made = encoder._architecture
    if isinstance(made, dict):
        recipe = {"network": str(made["network"]), "width": float(made["width"]), "layer": made["layer"]}
        return recipe | {"pool": "auto"}
    taken = made.backbone
    network = PIXELS if isinstance(taken.module, nn.Flatten) else None
    return {"network": network, "width": 1.0, "layer": taken.layer, "pool": taken.pool}


def _own_module(encoder):
    """Return the person's own module that is needed to load an encoder, or None."""
    given = encoder.network if isinstance(encoder, InvariantPretrainer) else unwrap(encoder.encoder)
    if isinstance(given, nn.Module):
        return given
    if _recipe(encoder)["network"] is None:
        return encoder._architecture.backbone.module
    return _own_module(given) if type(given) in ESTIMATORS.values() else None


def _describe_parameters(estimator):
    values = {name: getattr(estimator, name) for name in _parameter_kinds(type(estimator))}
    chosen = values.get("transformations")
    if chosen is not None:
        get_transformations(chosen)
        names = [_known_name(transformation) for transformation in chosen]
        values["transformations"] = tuple(names) if isinstance(chosen, tuple) else names
    values = {name: _plain_value(value) for name, value in values.items()}
    _check_parameters(values, type(estimator))
    return {name: {"tuple": list(value)} if isinstance(value, tuple) else value for name, value in values.items()}


def _rebuild_parameters(values, estimator):
    values = {
        name: tuple(value["tuple"]) if isinstance(value, dict) and isinstance(value.get("tuple"), list) else value
        for name, value in values.items()
    }
    _check_parameters(values, estimator)
    return values


def _check_parameters(values, estimator):
    """Raise an error if parameters cannot be kept in a file; `fit` checks later whether they make sense."""
    _check_kinds(values, _parameter_kinds(estimator), "parameters")
    if values.get("image_shape") is not None:
        check_image_shape(values["image_shape"])
    names = values.get("transformations") or ()
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"transformations is {shorten(names)}, expected names")
    get_transformations(names)


def _parameter_kinds(estimator):
    """Return the types of the parameters that a file holds, which those of the defaults show."""
    defaults = {name: parameter.default for name, parameter in inspect.signature(estimator).parameters.items()}
    kinds = {name: {float: NUMBER, bool: int}.get(type(value), type(value)) for name, value in defaults.items()}
    return {name: OPTIONAL.get(name, kind) for name, kind in kinds.items() if name not in NOT_PARAMETERS}


def _plain_value(value):
    """Return the value of a parameter as JSON can hold it; a RandomState, which it cannot hold, becomes None."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain_value, value))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.device):
        return str(value)
    return None if isinstance(value, np.random.RandomState) else value


def _known_name(transformation):
    """Return the name of a transformation of `TRANSFORMATIONS`; another would be loaded as the one of that name."""
    name = getattr(transformation, "name", transformation)
    known = TRANSFORMATIONS.get(name)
    if transformation == name or (known is not None and _parts(transformation) == _parts(known)):
        return name
    raise ValueError(
        f"transformations holds {transformation!r} of your own, expected those of TRANSFORMATIONS: a file without code"
        " cannot hold it; set_params(transformations=()) leaves it out, which changes nothing but a further fit"
    )


def _parts(transformation):
    """Return the parts of a transformation, which are equal for a copy, unlike its partial functions."""
    functions = transformation.draw, transformation.apply
    return [(f.func, f.args, f.keywords) if isinstance(f, partial) else f for f in functions]


def load_encoder(path, network=None):
    """Load an encoder from a file of `save_encoder`. No code in the file is run, whoever made it.

    Parameters
    ----------
    path : path-like
        File to read.
    network : torch.nn.Module or None
        Module with the same layers, needed if the encoder was made from a module of your own. A copy of it gets the
        weights of the file. None: the encoder has one of the named networks, which is built anew.

    Returns
    -------
    encoder : InvariantPretrainer or FineTuner
        Fitted encoder. Its features and predictions are those of the saved one, on the same machine bit for bit.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    OSError
        If the file cannot be read, or is a folder.
    TypeError
        If `network` is not a module.
    ValueError
        If `network` does not fit the weights in the file, is missing, or is not needed.
    DamagedFileError
        If the file is cut short, was changed, or does not hold an encoder.

    See Also
    --------
    save_encoder : Write the file.

    Notes
    -----
    Parameters are restored, with these exceptions. A RandomState given as `random_state` becomes None, and so does
    `checkpoint`. Transformations are restored by name. A torch module that was given as `network`, or as `encoder` of a
    `FineTuner`, is replaced by the `network` given here. A `FineTuner` gets back the encoder from which it was tuned,
    so that it can be fitted again, but not `probe_`: fit a `FrozenFeatureProbe` on that encoder. Settings made by
    `set_output` or `set_fit_request` and names of columns are not restored.

    The file holds the tensors that the ``state_dict()`` of your own module holds. Everything else, such as dropout
    rates and which weights require gradients, is that of `network`.

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
        raise TypeError(f"network is {_format_type(network)}, expected a torch module or None")
    path = expand_path(path)
    arrays, description = read_arrays(path)
    try:
        _check_kinds(description, KINDS["the file"], "the file")
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
    except Exception as error:  # torch and NumPy raise errors of many types
        reason = " ".join(str(error).split())
        if network is not None:
            raise ValueError(f"network, of type {type(network).__name__}, does not fit {path}: {reason}") from error
        raise DamagedFileError(f"{path} cannot be loaded as an encoder: {reason}") from error


def _rebuild(description, arrays, prefix, network):
    """Make the encoder from its description and the arrays whose names begin with `prefix`."""
    estimator = description.get("estimator")
    if estimator not in ESTIMATORS:
        raise ValueError(f"estimator is {shorten(estimator)}, expected one of: {', '.join(ESTIMATORS)}")
    _check_kinds(description, KINDS[estimator], estimator)
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
            probe = FrozenFeatureProbe(**_rebuild_parameters({"pool": "auto"} | probe, FrozenFeatureProbe))
        encoder = FineTuner(original, probe=probe, **parameters)
    encoder.classes_ = _check_labels(arrays.get(f"{prefix}classes"), description["labels_are_objects"])
    encoder.image_shape_ = _check_shape(description["image_shape"])
    encoder.n_features_in_ = math.prod(encoder.image_shape_)
    encoder.history_, encoder.n_iter_ = _check_history(description), description["n_iter"]
    recipe = {"pool": "auto"} | description["recipe"]  # which older files do not have
    _check_kinds(recipe, KINDS["recipe"], "recipe")
    trained = _make_network(recipe, network, len(encoder.classes_), encoder.image_shape_)
    start = f"{prefix}weights/"
    _load_weights(trained, {name.removeprefix(start): a for name, a in arrays.items() if name.startswith(start)})
    encoder._keep(trained, recipe if recipe["network"] in NETWORKS else None)
    if encoder.layer_ not in (description["layer"], _name_in_model(description["layer"])):
        raise ValueError(f"its features are the {shorten(description['layer'])}, not the {encoder.layer_}")
    return encoder


def _name_in_model(layer):
    """Return where features are taken, as earlier files say it of models of `load_model`: "input of model.fc"."""
    return re.sub(r"\bof model(?=$|[ ,])", "of the module", re.sub(r"\bof model\.", "of ", layer or ""))


def _check_given(network):
    if network is None:
        raise ValueError("a part of the encoder is a person's own module, which the file does not hold")
    return network


def _make_network(recipe, network, n_classes, image_shape):
    """Build the network of a recipe, without memory for new weights, because the file decides how many there are."""
    name, layer, pool = (recipe[name] for name in ("network", "layer", "pool"))
    if name in NETWORKS:
        return build_network(name, n_classes, image_shape=image_shape, width=recipe["width"], layer=layer)
    if name not in (None, PIXELS):
        raise ValueError(f"network is {shorten(name)}, expected one of: {', '.join(NETWORKS)}")
    module = nn.Flatten() if name == PIXELS else _check_given(network)
    return build_network(module, n_classes, image_shape=image_shape, layer=layer, pool=pool)


def _load_weights(network, arrays):
    """Load arrays as the weights of a network; names, shapes and dtypes must be the same, and all weights finite."""
    state = read_weights(network)
    if set(state) != set(arrays):
        only = [sorted(set(state) - set(arrays))[:3], sorted(set(arrays) - set(state))[:3]]
        raise ValueError(f"the weights {only[0]} are in the network only, and {only[1]} in the file only")
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    weights = {name for name, _ in network.named_parameters(remove_duplicate=False)}
    for name, tensor in tensors.items():
        there, here = (f"{tuple(one.shape)}, {one.dtype}," for one in (tensor, state[name]))
        if there != here:
            raise ValueError(f"{name} has shape {there} in the file and {here} in the network")
        if name in weights and not torch.isfinite(tensor).all():  # a buffer may be a mask of infinities
            raise ValueError(f"{name} holds NaN or infinity")
    assign_weights(network, tensors)


def _check_kinds(values, kinds, what):
    """Raise an error unless a JSON object has exactly the given names, with values of the given types."""
    if not isinstance(values, dict) or set(values) != set(kinds):
        raise ValueError(f"{what} has {shorten(values)}, expected values of: {', '.join(kinds)}")
    for name, kind in kinds.items():
        if not isinstance(values[name], kind):
            raise ValueError(f"{name} is {shorten(values[name])}, expected {_format_kind(kind)}")


def _format_type(value):
    return f"the class {value.__name__}" if isinstance(value, type) else f"of type {type(value).__name__}"


def _format_kind(kind):
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return " or ".join("None" if one is NONE else one.__name__ for one in kinds)


def _check_labels(classes, are_objects):
    if classes is None or classes.ndim != 1 or len(classes) < 2 or classes.dtype.kind not in "biufUS":
        raise ValueError("classes are not at least 2 numbers or strings")
    classes = classes.astype(object) if are_objects and classes.dtype.kind == "U" else classes
    if not np.array_equal(np.unique(classes), classes) or not classes.tolist():  # raises if they are not text
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
