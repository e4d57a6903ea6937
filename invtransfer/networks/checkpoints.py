"""The state of a training in a file, from which an interrupted training continues to the same weights."""

import hashlib
import math
import re
import time
import warnings

import numpy as np
import torch

from invtransfer.networks.weights import read_state, restore_state
from invtransfer.storage import (
    DamagedFileError,
    check_writable,
    expand_path,
    read_arrays,
    remove_leftovers,
    write_arrays,
)

FORMAT = 3  # changes with the state or the training loop, so that older files are refused
CONTENT = "state of a training"
DIGEST = "sha256:"
BLOCK_BYTES = 2**24  # size of the parts in which an array is copied for its digest
SHARE = 20  # the next write waits for this many times the duration of the last one


class Checkpoint:
    """Keep the state of a training in a file, and restore it.

    Parameters
    ----------
    path : path-like
        Where the file is written. A missing folder is created. Each training needs a file of its own. Half-written
        files that a killed training left beside it are removed.
    network : torch.nn.Module
        Network to be trained, with its initial weights.
    optimizer : torch.optim.Optimizer
        Optimizer of its parameters, before the first step.
    generator : torch.Generator
        Generator of the order of the samples.
    fingerprint : dict
        Result of `fingerprint_training`. A file with another fingerprint is refused.

    Raises
    ------
    TypeError
        If `path` is not a path.
    OSError
        If the file cannot be written.

    Notes
    -----
    The state consists of the weights and buffers of the network, those of the best epoch so far, the state of the
    optimizer, the history, and the random states of `generator` and of torch's global generators, which dropout reads.
    Other state of a module, such as a counter in an attribute, starts anew. The file holds arrays and JSON, no code.

    Examples
    --------
    >>> import tempfile
    >>> network = torch.nn.Linear(2, 2)
    >>> training = network, torch.optim.Adam(network.parameters()), torch.Generator()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Checkpoint(f"{folder}/state.npz", *training, {"epochs": 3}).save({"loss": [0.5]}, None)
    ...     Checkpoint(f"{folder}/state.npz", *training, {"epochs": 3}).restore()
    ({'loss': [0.5]}, None)
    """

    def __init__(self, path, network, optimizer, generator, fingerprint):
        path = expand_path(path, "checkpoint")
        check_writable(path)
        remove_leftovers(path)
        self.path = path
        self.network = network
        self.optimizer = optimizer
        self.generator = generator
        self.fingerprint = fingerprint
        self._written = -np.inf  # time of the last write, in seconds of the monotonic clock
        self._cost = 0.0  # duration of the last write, in seconds

    def is_due(self):
        """Tell whether it is time to write: always at first, then if writing takes at most a twentieth of the time."""
        return time.monotonic() - self._written >= SHARE * self._cost

    def save(self, history, best_weights):
        """Write the state after an epoch. A failure, such as a full disk, is a warning, and training continues.

        Parameters
        ----------
        history : dict
            History of the epochs so far.
        best_weights : dict of str to torch.Tensor, or None
            Weights of the network after its best epoch.
        """
        start = time.monotonic()
        tensors = {f"network/{name}": value for name, value in read_state(self.network).items()}
        tensors |= {f"best/{name}": value for name, value in (best_weights or {}).items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{key}": value for key, value in state.items()}
        for name, (get_state, _) in self._random_states().items():
            tensors[f"random/{name}"] = get_state()
        description = {"content": CONTENT, "fingerprint": self.fingerprint, "history": history}
        try:
            write_arrays(self.path, {name: value.cpu().numpy() for name, value in tensors.items()}, description)
        except OSError as error:
            warnings.warn(f"the training goes on, but checkpoint {self.path} was not written: {error}", stacklevel=3)
        self._written = time.monotonic()
        self._cost = self._written - start

    def restore(self):
        """Restore network, optimizer and generators from the file, if it exists and is whole.

        Returns
        -------
        history : dict or None
            History of the epochs that were trained. None: nothing was changed, because the file does not exist or, with
            a warning, because it is damaged.
        best_weights : dict of str to torch.Tensor, or None
            Weights of the network after its best epoch.

        Raises
        ------
        ValueError
            If the file belongs to another training, or does not hold the state of a training.
        OSError
            If the disk cannot be read, although the file is there.
        """
        try:
            arrays, description = read_arrays(self.path)
            self._check_origin(description)
            return self._restore(arrays, description)
        except FileNotFoundError:
            return None, None
        except DamagedFileError as error:
            warnings.warn(
                f"checkpoint {self.path} is damaged, the training starts from the beginning: {error}", stacklevel=3
            )
            return None, None

    def _check_origin(self, description):
        there, here = description.get("fingerprint"), self.fingerprint
        if description.get("content") != CONTENT or not isinstance(there, dict):
            raise ValueError(f"checkpoint {self.path} holds no state of a training: name another file")
        differences = [_contrast(name, there.get(name), here[name]) for name in here if there.get(name) != here[name]]
        if differences:
            raise ValueError(
                f"checkpoint {self.path} belongs to another training, which differs in {', '.join(differences)}: delete"
                " it to train from the beginning, or name another file"
            )

    def _restore(self, arrays, description):
        """Make all tensors first, in the memory layout of an uninterrupted training, and then change the state."""
        weights = read_state(self.network)
        parameters = [weight for group in self.optimizer.param_groups for weight in group["params"]]
        try:
            history = description["history"]
            restored = {name: _like(value, arrays[f"network/{name}"]) for name, value in weights.items()}
            best, state = {}, {}
            for name, array in arrays.items():
                kind, _, rest = name.partition("/")
                if kind == "best":
                    best[rest] = _like(weights[rest], array)
                elif kind == "optimizer":
                    index, _, key = rest.partition("/")
                    like = parameters[int(index)] if array.ndim else torch.zeros(())  # a moment, or the step
                    state.setdefault(int(index), {})[key] = _like(like, array)
            random = {name: torch.from_numpy(arrays[f"random/{name}"]) for name in self._random_states()}
        except (LookupError, TypeError, ValueError) as error:
            raise DamagedFileError(f"{self.path} lacks part of the state: {error}") from error
        restore_state(self.network, restored)
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": state})
        for name, (_, set_state) in self._random_states().items():
            set_state(random[name])
        return history, best or None

    def _random_states(self):
        """Return the functions that read and set the state of each generator."""
        states = {
            "order": (self.generator.get_state, self.generator.set_state),
            "cpu": (torch.random.get_rng_state, torch.random.set_rng_state),
        }
        device = _device(self.network)
        if device.type == "cuda":
            states["cuda"] = (
                lambda: torch.cuda.get_rng_state(device),
                lambda state: torch.cuda.set_rng_state(state, device),
            )
        return states


def _contrast(name, there, here):
    if any(str(value).startswith(DIGEST) for value in (there, here)):
        return name
    return f"{name} ({there!r} there, {here!r} here)"


def _device(network):
    return next(network.parameters()).device


def _like(tensor, array):
    """Return an array as a tensor with the device and memory layout of another; another layout rounds differently."""
    if array.shape != tensor.shape:
        raise ValueError(f"an array has shape {array.shape}, expected {tuple(tensor.shape)}")
    return torch.empty_like(tensor).copy_(torch.from_numpy(array))


def fingerprint_training(network, generator, data, settings):
    """Describe everything that decides the numbers of a training, and must be the same to continue it.

    Parameters
    ----------
    network : torch.nn.Module
        Network with its initial weights, on the device on which it is trained.
    generator : torch.Generator
        Generator of the order of the samples, in its state before the first epoch.
    data : dict of str to ndarray or None
        Images and labels.
    settings : dict of str to str, int or float
        Settings of the training, such as the learning rate.

    Returns
    -------
    fingerprint : dict of str to str, int, float or None
        The settings; SHA-256 digests of the data, the initial weights, the layers of the network and the state of the
        generator; and what roundings depend on: type and model of the device, number of threads of a CPU, versions of
        torch and NumPy.

    Examples
    --------
    >>> network = torch.nn.Linear(2, 2)
    >>> fingerprint = fingerprint_training(network, torch.Generator(), {"y": np.arange(3)}, {"epochs": 5})
    >>> sorted(fingerprint)
    ['NumPy', 'device', 'epochs', 'format', 'initial weights', 'layers', 'random state', 'threads', 'torch', 'y']
    >>> fingerprint["epochs"], fingerprint["y"][:20]
    (5, 'sha256:20475683d2d29')
    """
    device = _device(network)
    model = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    trained = [name for name, weight in network.named_parameters() if weight.requires_grad]
    layers = re.sub("0x[0-9a-f]+", "", f"{network} {trained}")  # without addresses in memory
    return settings | {
        "format": FORMAT,
        "device": f"{device.type} {model}",
        "threads": torch.get_num_threads() if device.type == "cpu" else None,
        "torch": str(torch.__version__),
        "NumPy": np.__version__,
        "layers": DIGEST + hashlib.sha256(layers.encode()).hexdigest(),
        "initial weights": _digest(*(value.cpu().numpy() for value in read_state(network).values())),
        "random state": _digest(generator.get_state().numpy()),
        **{name: None if array is None else _digest(array) for name, array in data.items()},
    }


def _digest(*arrays):
    """Return the digest of the dtypes, shapes and values of arrays, which does not depend on their memory layout."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        if array.ndim == 0:
            digest.update(array.tobytes())
            continue
        step = max(1, BLOCK_BYTES // max(1, math.prod(array.shape[1:]) * array.dtype.itemsize))
        for start in range(0, len(array), step):
            digest.update(array[start : start + step].tobytes())
    return DIGEST + digest.hexdigest()
