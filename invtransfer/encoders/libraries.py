"""Models of torchvision, timm and transformers, by their names there, and what they expect to be done with images."""

import contextlib
import difflib
import importlib
import math
import os
import tempfile
import warnings
from pathlib import Path
from urllib.parse import urlparse

import torch

from invtransfer.encoders.preprocessing import Preprocessing
from invtransfer.networks.training import seeded_global_generators
from invtransfer.surroundings import usual_torch

INTERPOLATIONS = {0: "nearest", 1: "bicubic", 2: "bilinear", 3: "bicubic"}  # PIL's numbers; 1 is Lanczos, see below
HARMLESS = {"do_convert_rgb", "do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_reduce_labels"}


def load_torchvision(name, *, weights, size, seed):
    """Load a classifier of torchvision.

    Parameters
    ----------
    name : str
        Name of the model, such as "resnet50".
    weights : str or None
        Name of its weights, such as "IMAGENET1K_V1"; "default"; or None for random ones.
    size : int or None
        Height and width of what the model gets, in pixels; None: those of its weights.
    seed : int
        Seed of random weights.

    Returns
    -------
    model : torch.nn.Module
    preprocessing : Preprocessing

    Raises
    ------
    ImportError
        If torchvision is missing or does not fit the installed torch.
    OSError
        If the weights cannot be downloaded or read.
    ValueError
        If there is no such model, or there are no such weights.

    Examples
    --------
    >>> model, preprocessing = load_torchvision("resnet18", weights=None, size=64, seed=0)
    >>> preprocessing.description
    'shorter side 73 (bilinear), centre 64 x 64, mean (0.485, 0.456, 0.406), std (0.229, 0.224, 0.225)'
    """
    models = _import("torchvision.models")
    _check_name(name, models.list_models(module=models), "torchvision")
    known = models.get_model_weights(name)
    if weights not in (None, "default", *known.__members__):
        raise ValueError(
            f"weights is {weights!r}, expected 'default', None or one of: {', '.join(one.name for one in known)}"
        )
    chosen = known.DEFAULT if weights in (None, "default") else known[weights]
    path = Path(torch.hub.get_dir(), "checkpoints", Path(urlparse(chosen.url).path).name)
    remedy = f"they are looked for in {path}, else downloaded: put the file from {chosen.url} there"
    with _explaining(f"the weights {chosen.name} of torchvision:{name}", remedy, weights), _building(seed):
        model = models.get_model(name, weights=None if weights is None else chosen)
    transform = chosen.transforms()
    return model, _at_size(
        Preprocessing(
            size=tuple(transform.crop_size * 2)[:2], resize=transform.resize_size[0],
            mean=transform.mean, std=transform.std, interpolation=transform.interpolation.value,
        ),
        size,
    )  # fmt: skip


def load_timm(name, *, weights, size, seed):
    """Load a model of timm.

    Parameters
    ----------
    name : str
        Name of the model, also with the tag of its weights, such as "resnet50.a1_in1k"; "hf-hub:owner/name"; or the
        path of a folder with a config.json, such as "./folder".
    weights : str or None
        "default", or None for random ones.
    size : int or None
        Height and width of what the model gets, in pixels; None: those of its configuration.
    seed : int
        Seed of random weights.

    Returns
    -------
    model : torch.nn.Module
    preprocessing : Preprocessing

    Raises
    ------
    ImportError
        If timm is missing.
    OSError
        If the weights cannot be downloaded or read.
    ValueError
        If there is no such model, or there are no such weights, or the model cannot take images of this size.
    """
    timm = _import("timm")
    _check_weights(weights, "a tag is part of the name, such as timm:resnet50.a1_in1k")
    folder = _find_folder(name, "timm")
    if folder is not None:
        source, remedy = f"local-dir:{folder}", None
    elif ":" in name:
        source, remedy = name, _hub_remedy("timm", name.partition(":")[2])
    else:
        source, config = name, _find_configuration(timm, name)
        if weights is not None and not config.has_weights:
            raise ValueError(f"timm has no weights of {name!r}, expected weights=None or a model that has some")
        remedy = _hub_remedy("timm", config.hf_hub_id) if config.hf_hub_id else f"they are downloaded from {config.url}"
    with _explaining(f"{_part(weights)} of timm:{name}", remedy, weights), _building(seed):
        model = timm.create_model(source, pretrained=weights is not None)
    with _explaining(f"timm:{name}"):
        preprocessing = read_data_config(timm.data.resolve_data_config({}, model=model))
    if size is not None and hasattr(model, "set_input_size"):  # a model that has a weight for each position
        try:
            model.set_input_size(img_size=(size, size))
            with torch.no_grad():
                model.eval()(torch.zeros(1, 3, size, size))  # some sizes are refused here only
        except Exception as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"size is {size}, which timm:{name} cannot take: {reason}") from error
    return model, _at_size(preprocessing, size)


def load_hf(name, *, weights, size, seed):
    """Load a model of transformers, without a head, or the model of images that is part of it.

    Parameters
    ----------
    name : str
        Name on the Hugging Face hub, such as "facebook/dinov2-small"; or the path of a folder that `save_pretrained`
        wrote, such as "./folder".
    weights : str or None
        "default", or None for random ones.
    size : int or None
        Height and width of what the model gets, in pixels; None: those of its image processor.
    seed : int
        Seed of random weights.

    Returns
    -------
    model : torch.nn.Module
    preprocessing : Preprocessing

    Raises
    ------
    ImportError
        If transformers is missing.
    OSError
        If weights or configuration cannot be downloaded or read.
    ValueError
        If it is not a model of images, or its image processor does something that `Preprocessing` does not do.

    Warns
    -----
    UserWarning
        If the file lacks some of the weights, which then are random.
    """
    transformers = _import("transformers")
    _check_weights(weights, "a model of the hub has one set of weights")
    folder = _find_folder(name, "hf")
    source = name if folder is None else str(folder)
    remedy = _hub_remedy("hf", name) if folder is None else None
    missing = []
    with _explaining(f"{_part(weights)} of hf:{name}", remedy, weights), _building(seed):
        config = transformers.AutoConfig.from_pretrained(source, trust_remote_code=False)
        if weights is None:
            model = transformers.AutoModel.from_config(config, trust_remote_code=False)
        else:
            model, loaded = transformers.AutoModel.from_pretrained(
                source, config=config, trust_remote_code=False, output_loading_info=True
            )
            missing = sorted(loaded["missing_keys"])
        processor, side = _load_image_processor(transformers, source, folder, config)
    with _explaining(f"hf:{name}"):
        model = _find_vision_model(model).float()
        preprocessing = read_image_processor(processor.to_dict())
    if missing and all(key.startswith("pooler.") for key in missing):
        model.pooler = None  # as the checkpoints of classifiers are, which have no pooler: a random one is no feature
    elif missing:
        warnings.warn(
            f"the file of hf:{name} lacks {len(missing)} weights, which are random: {', '.join(missing[:5])}",
            stacklevel=3,
        )
    return model, _at_size(preprocessing, side if size is None else size)


def read_data_config(config):
    """Make the preprocessing that a data configuration of timm asks for.

    Parameters
    ----------
    config : dict
        Result of ``timm.data.resolve_data_config``.

    Returns
    -------
    preprocessing : Preprocessing

    Raises
    ------
    ValueError
        If images are padded instead of cropped, cropped to rectangles, or have another number of channels than 3.

    Examples
    --------
    >>> config = {"input_size": (3, 224, 224), "crop_pct": 0.9, "crop_mode": "center", "interpolation": "bicubic"}
    >>> read_data_config(config | {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}).description
    'shorter side 248 (bicubic), centre 224 x 224, mean (0.5, 0.5, 0.5), std (0.5, 0.5, 0.5)'
    """
    channels, *size = config["input_size"]
    sides = tuple(math.floor(side / config["crop_pct"]) for side in size)
    squashed = config["crop_mode"] == "squash"
    if channels != 3 or not (squashed or (config["crop_mode"] == "center" and size[0] == size[1])):
        raise ValueError(
            f"the model takes {channels} x {size[0]} x {size[1]} with crop_mode={config['crop_mode']!r}, expected 3"
            " channels, and a square or crop_mode='squash': build it in a Python file of your own"
        )
    return Preprocessing(
        size=tuple(size), resize=sides if squashed else sides[0], mean=config["mean"], std=config["std"],
        interpolation=config["interpolation"],
    )  # fmt: skip


def read_image_processor(settings):
    """Make the preprocessing that an image processor of transformers asks for.

    Parameters
    ----------
    settings : dict
        Result of its ``to_dict()``; this is what preprocessor_config.json holds, with default values filled in.

    Returns
    -------
    preprocessing : Preprocessing

    Raises
    ------
    ValueError
        If the image processor does something that `Preprocessing` does not do.

    Notes
    -----
    Lanczos interpolation is replaced by bicubic, as in the library's own image processors for tensors.

    Examples
    --------
    >>> settings = {"do_resize": True, "size": {"shortest_edge": 256}, "resample": 3, "do_rescale": True,
    ...             "rescale_factor": 1 / 255, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}}
    >>> read_image_processor(settings).description
    'shorter side 256 (bicubic), centre 224 x 224, no normalisation added'
    """
    odd = sorted(name for name, value in settings.items() if name.startswith("do_") and value)
    odd = [name for name in odd if name not in HARMLESS]
    odd += [name for name in ("include_top", "rescale_offset") if settings.get(name)]
    if odd:
        raise ValueError(f"the image processor has {', '.join(odd)}, which is not supported")
    size = resize = None
    interpolation = "bilinear"
    if settings.get("do_resize"):
        resample = settings.get("resample", 2)
        if resample not in INTERPOLATIONS:
            raise ValueError(f"the image processor has resample={resample}, expected one of: 0, 1, 2, 3")
        interpolation = INTERPOLATIONS[resample]
        resize = _read_sides(settings.get("size"), "size")
    if settings.get("do_center_crop"):
        size = _read_sides(settings.get("crop_size"), "crop_size")
        size = (size, size) if isinstance(size, int) else size
    if resize is not None and settings.get("crop_pct") is not None:
        resize, size = _enlarge(resize, size, settings["crop_pct"])
    if isinstance(resize, tuple) and size is None:
        size = resize
    scale = 255 * settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale") else 255
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if settings.get("do_normalize"):
        mean, std = settings["image_mean"], settings["image_std"]
    return Preprocessing(
        size=size, resize=resize, interpolation=interpolation,
        mean=[_unscale(value, scale) for value in mean], std=[_unscale(value, scale) for value in std],
    )  # fmt: skip


def _unscale(value, scale):
    """Return a mean or standard deviation of values in [0, 1], given that of values in [0, `scale`]."""
    return value if math.isclose(scale, 1) else value / scale


def _read_sides(sides, name):
    """Return the length of the shorter side, or height and width."""
    sides = dict(sides) if isinstance(sides, dict) else {"given": sides}
    sides = {key: value for key, value in sides.items() if value is not None}
    if set(sides) == {"shortest_edge"}:
        return int(sides["shortest_edge"])
    if set(sides) == {"height", "width"}:
        return int(sides["height"]), int(sides["width"])
    raise ValueError(f"the image processor has {name}={sides}, expected shortest_edge, or height and width")


def _enlarge(resize, size, share):
    """Resize to more than is cut out, which is this share of it; ConvNeXt squashes large images instead of that."""
    if not isinstance(resize, int):
        return tuple(int(side / share) for side in resize), size or resize
    if size is not None:
        return int(resize / share), size
    return (int(resize / share), (resize, resize)) if resize < 384 else ((resize, resize), (resize, resize))


def _at_size(preprocessing, size):
    return preprocessing if size is None else preprocessing.at_size(size)


def _import(name):
    package = name.partition(".")[0]
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if package == "torchvision" or error.name != package:
            raise ImportError(f"{package} cannot be imported: {error}") from error
        raise ImportError(f"{package} is missing: pip install 'invtransfer[models]'") from error
    except (ImportError, RuntimeError) as error:  # "operator torchvision::nms does not exist": built for another torch
        raise ImportError(f"{package} cannot be imported, install it again with torch: {error}") from error


def _check_name(name, names, library):
    if name not in names:
        nearest = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
        raise ValueError(
            f"name is '{library}:{name}', but {library} has no such model"
            f" (nearest: {', '.join(nearest) or 'none is similar'})"
        )


def _check_weights(weights, hint):
    if weights not in (None, "default"):
        raise ValueError(f"weights is {weights!r}, expected 'default' or None: {hint}")


def _find_configuration(timm, name):
    """Return the configuration of timm's weights; the part of the name behind a dot is their tag."""
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        _check_name(name, timm.list_models() + timm.list_models(pretrained=True), "timm")
    try:
        return timm.get_pretrained_cfg(name, allow_unregistered=False)
    except RuntimeError as error:
        tags = [known.partition(".")[2] for known in timm.list_models(f"{architecture}.*", pretrained=True)]
        raise ValueError(
            f"name is 'timm:{name}', but timm's {architecture} has no weights {tag!r}, expected one of:"
            f" {', '.join(tags)}"
        ) from error


def _find_folder(name, library):
    """Return the folder that a name is the path of, or None if it is the name of a model."""
    path = Path(os.path.expanduser(name))
    if name.startswith(("hf-hub:", "hf_hub:")) or not (name.startswith((".", "~")) or len(path.parts) > 1):
        return None
    if path.is_dir():
        return path
    if name.startswith((".", "~")) or path.is_absolute() or library == "timm" or len(path.parts) != 2:
        hub = "timm:hf-hub:owner/name" if library == "timm" else "hf:owner/name"
        raise FileNotFoundError(
            f"name is '{library}:{name}', but there is no such folder, expected one with a config.json, or {hub}"
        )
    return None


def _hub_remedy(library, repository):
    cache = importlib.import_module("huggingface_hub.constants").HF_HUB_CACHE
    return (
        f"they are looked for in {cache}, else downloaded from huggingface.co/{repository}: run"
        f" 'hf download {repository} --local-dir folder' where there is a connection, and load {library}:./folder"
    )


def _part(weights):
    return "the configuration" if weights is None else "the weights"


@contextlib.contextmanager
def _explaining(what, remedy=None, weights=None):
    """Say what could not be loaded, and how to get it if there is a remedy, in place of errors for developers."""
    try:
        yield
    except (ImportError, MemoryError):
        raise
    except Exception as error:  # pickle, safetensors and the libraries of the web raise many kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        kind = OSError if isinstance(error, OSError) or type(error).__module__.startswith("http") else ValueError
        more = "" if remedy is None else f" ({remedy}{'' if weights is None else '; weights=None gives random ones'})"
        raise kind(f"cannot load {what}: {reason[:400]}{more}") from error


@contextlib.contextmanager
def _building(seed):
    """Let random weights come from a seed, and nothing else from what is switched on outside."""
    with usual_torch(), seeded_global_generators(seed, torch.device("cpu")):
        yield


def _find_vision_model(model):
    """Return the part of a model that takes images alone, which of most is all of it."""
    if model.main_input_name == "pixel_values":
        return model
    if hasattr(model, "vision_model"):
        return model.vision_model
    raise ValueError(f"it is a {type(model).__name__}, which takes {model.main_input_name}, expected a model of images")


def _load_image_processor(transformers, source, folder, config):
    """Return the image processor, and the size of images if it does not know it.

    A folder without its file gets the default one for this kind of model. On the hub, its absence may be a connection
    that fails, so that it is an error.
    """
    names = ("preprocessor_config.json", "processor_config.json")
    if folder is None or any((folder / name).exists() for name in names):
        return transformers.AutoImageProcessor.from_pretrained(source, trust_remote_code=False), None
    with tempfile.TemporaryDirectory() as empty:
        config.save_pretrained(empty)
        Path(empty, names[0]).write_text("{}")
        try:
            processor = transformers.AutoImageProcessor.from_pretrained(empty, trust_remote_code=False)
        except Exception as error:
            raise ValueError(f"it has no {names[0]}, and there is none for a {type(config).__name__}") from error
    side = getattr(getattr(config, "vision_config", config), "image_size", None)
    return processor, max(side) if isinstance(side, (list, tuple)) else side
