"""Models by name: of a library, of a Python file, or of a file of `save_encoder`."""

import difflib
import importlib.util
import os
import pkgutil
import sys
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from invtransfer.encoders.libraries import load_hf, load_timm, load_torchvision
from invtransfer.encoders.preprocessing import Preprocessed, Preprocessing
from invtransfer.estimators.saving import load_encoder
from invtransfer.images.checks import check_count
from invtransfer.networks.training import seeded_global_generators
from invtransfer.randomness import derive_seed
from invtransfer.storage import DamagedFileError, SourceLoader

LIBRARIES = {"torchvision": load_torchvision, "timm": load_timm, "hf": load_hf}
FORMS = "torchvision:NAME, timm:NAME, hf:NAME, hf:./FOLDER, FILE.py:FUNCTION or FILE.npz"


def load_model(name, *, weights="default", size=None, random_state=0):
    """Load a model by name, with the preprocessing that it expects in front of it.

    Parameters
    ----------
    name : str or path-like
        One of:

        - "torchvision:resnet50", a classifier of torchvision;
        - "timm:vit_small_patch14_dinov2", a model of timm, also with the tag of its weights ("timm:resnet50.a1_in1k"),
          or from a folder ("timm:./folder");
        - "hf:facebook/dinov2-small", a model on the Hugging Face hub, or from a folder that `save_pretrained` wrote
          ("hf:./folder");
        - "mine.py:make_encoder", a module in a Python file, or a function without arguments that returns one; **the
          file is run**, with all the code in it;
        - "encoder.npz", a file of `save_encoder`, in which no code is run.
    weights : str or None
        "default": the trained weights, which the library downloads if they are not on the disk. None: random ones; only
        the configuration is needed. For torchvision also the name of weights, such as "IMAGENET1K_V1".
    size : int or None
        Height and width of what the model gets, in pixels. None: as its configuration says; a module of a Python file
        gets images as they are.
    random_state : int, RandomState or None
        Seed of random weights; those of a Python file are the same whenever it is loaded. torch's global generator
        stays as it is.

    Returns
    -------
    model : torch.nn.Sequential
        Module in evaluation mode; that of a library is on the CPU, with float32 weights. Its part `preprocessing` takes
        images of shape (n_samples, 3, height, width), floats in [0, 1] or uint8, and resizes and normalises them as its
        `description` says. Its part `model` is the model, in which layers have their names, such as "fc"
        ("model.fc" is known, too). The output is what the model gives.

    Raises
    ------
    TypeError
        If `name` is no text, or a Python file gives something that is not a torch module.
    ValueError
        If there is no such library, model, weights or function; if a Python file raises an error, images of `size` do
        not fit the model, or its preprocessing is not supported.
    FileNotFoundError
        If there is no such file or folder.
    OSError
        If the weights cannot be downloaded or read. The message says where they are looked for, and how to get them.
    DamagedFileError
        If a file of `save_encoder` was cut short or changed.
    ImportError
        If the library is missing: timm and transformers come with ``pip install 'invtransfer[models]'``.

    Warns
    -----
    UserWarning
        If the file of a model of the hub lacks some of the weights, which then are random.

    See Also
    --------
    load_encoder : The estimator in a file of `save_encoder`, whose `transform` gives the same features.

    Notes
    -----
    Sizes, crop, mean and standard deviation are those of torchvision's ``weights.transforms()``, timm's
    ``resolve_data_config`` or the image processor of transformers. A folder without preprocessor_config.json gets the
    default image processor for its kind of model, at the image size of its configuration. With random weights they
    are those of the default ones.

    Of models of images and texts, such as CLIP, it is the part `vision_model`, before the projection to the common
    space. A pooler that the file has no weights for is left out.

    Examples
    --------
    >>> import torch
    >>> model = load_model("torchvision:resnet18", weights=None, size=64)
    >>> model.preprocessing.description
    'shorter side 73 (bilinear), centre 64 x 64, mean (0.485, 0.456, 0.406), std (0.229, 0.224, 0.225)'
    >>> model(torch.rand(2, 3, 100, 120)).shape
    torch.Size([2, 1000])
    >>> load_model("torchvision:alexnut")
    Traceback (most recent call last):
    ...
    ValueError: name is 'torchvision:alexnut', but torchvision has no such model (nearest: alexnet, googlenet)
    """
    if not isinstance(name, (str, os.PathLike)) or not isinstance(os.fspath(name), str):
        raise TypeError(f"name is {name!r}, expected a text: {FORMS}")
    if weights is not None and not isinstance(weights, str):
        raise TypeError(f"weights is {weights!r}, expected 'default', None or the name of weights")
    size = None if size is None else check_count(size, "size", high=65_536)
    name = os.fspath(name)
    library, _, rest = name.partition(":")
    path, _, attribute = name.rpartition(":")
    if library in LIBRARIES and rest:
        seed = derive_seed(random_state, "weights of a model")
        model, preprocessing = LIBRARIES[library](rest, weights=weights, size=size, seed=seed)
    elif weights != "default" and (path.endswith(".py") or name.endswith(".npz")):
        raise ValueError(f"weights is {weights!r}, expected 'default': {name} has weights of its own")
    elif path.endswith(".py"):
        model = _load_attribute(Path(os.path.expanduser(path)), attribute)
        model = getattr(model, "_orig_mod", model)  # of torch.compile, whose layers cannot be watched
        preprocessing = Preprocessing() if size is None else Preprocessing(size=(size, size), resize=size)
    elif name.endswith(".npz"):
        model, preprocessing = _load_saved(Path(os.path.expanduser(name)), size)
    else:
        raise ValueError(f"name is {name!r}, expected {FORMS}{_hint(name, library)}")
    return Preprocessed(preprocessing, model).eval()


def _hint(name, library):
    if name.endswith(".py"):
        return ": say what in the file it is"
    nearest = difflib.get_close_matches(library.lower(), LIBRARIES, n=1)
    return f" (nearest: {nearest[0]}:)" if nearest else ""


def _load_saved(path, size):
    try:
        encoder = load_encoder(path)
    except DamagedFileError:
        raise
    except ValueError as error:  # made from a person's own module
        raise ValueError(
            f"{error}: in a Python file, return load_encoder({str(path)!r}, network=...).module() from a function"
        ) from error
    height, width, n_channels = encoder.image_shape_
    if n_channels != 3:
        raise ValueError(f"{path} holds an encoder of images of shape {encoder.image_shape_}, expected 3 channels")
    preprocessing = Preprocessing(size=(height, width), resize=height if height == width else (height, width))
    return encoder.module(), preprocessing if size is None else preprocessing.at_size(size)


def _load_attribute(path, name):
    """Run a Python file, and return the module that it has under a name, or that its function returns."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}, expected FILE.py:FUNCTION")
    seed = derive_seed(0, "weights of a model")  # random weights are the same whenever it is loaded
    with seeded_global_generators(seed, torch.device("cpu")), _running(path) as module:
        known = [one for one in vars(module) if not one.startswith("_")]
        if name not in vars(module):
            nearest = difflib.get_close_matches(name, known, n=3) or known
            raise ValueError(f"{path} has no {name!r} (nearest: {', '.join(nearest) or 'it has nothing'})")
        value = getattr(module, name)
        if isinstance(value, nn.Module) or not callable(value):
            what = f"{path}:{name} is of type"
        else:
            what = f"{path}:{name} returns an object of type"
            value = _try(value, f"{path}:{name} without arguments")
    if not isinstance(value, nn.Module):
        raise TypeError(f"{what} {type(value).__name__}, expected a torch.nn.Module, which may call it")
    return value


@contextmanager
def _running(path):
    """Run a Python file as a module, which finds the files beside it, as a script does.

    Nothing of it remains, so that its classes are pickled with their code, not by the name of a module that others
    lack. What it imports from beside it remains until a file of another folder has a module of that name.
    """
    spec = importlib.util.spec_from_file_location(path.name, path, loader=SourceLoader(path.name, str(path)))
    module = importlib.util.module_from_spec(spec)
    folder = str(path.parent.resolve())
    _forget_modules_of_others(path.parent.resolve())
    sys.path.insert(0, folder)
    sys.modules[path.name] = module  # where dataclasses look for their names
    try:
        _try(lambda: spec.loader.exec_module(module), path)
        yield module
    finally:
        sys.modules.pop(path.name, None)
        if folder in sys.path:
            sys.path.remove(folder)


def _forget_modules_of_others(folder):
    """Forget modules that hide those in a folder, if they come from where nothing could be imported from now.

    That is, from beside another file that was run.
    """
    known = {Path(one or os.curdir).resolve() for one in sys.path}
    beside = {module.name for module in pkgutil.iter_modules([str(folder)])}  # few of those that are loaded
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) if name in beside else None
        if not file or name in {__name__.partition(".")[0], "__main__"} or not find_module(name, folder):
            continue
        file = Path(file).resolve()
        origin = file.parent.parent if file.name == "__init__.py" else file.parent
        if origin != folder and origin not in known:
            for one in [one for one in sys.modules if one.partition(".")[0] == name]:
                del sys.modules[one]


def find_module(name, folder):
    """Find the file of a module beside a file that is run.

    Parameters
    ----------
    name : str
        Name of the module, without dots.
    folder : pathlib.Path
        Folder of the file that is run.

    Returns
    -------
    file : pathlib.Path or None
        None if there is no such module in the folder.
    """
    if "." in name:  # as of most of the modules that are loaded
        return None
    files = (folder / f"{name}.py", folder / name / "__init__.py")
    return next((file for file in files if file.is_file()), None)


def _try(function, what):
    """Call a function of a person's own; its error says what was run."""
    try:
        return function()
    except (Exception, SystemExit) as error:
        raise ValueError(f"running {what} raises {type(error).__name__}: {error}") from error
