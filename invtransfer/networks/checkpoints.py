"""The state of a training in a file, from which it goes on after a kill as if nothing had happened."""

import hashlib
import os
import re
import time
import warnings

import numpy as np
import torch

from invtransfer.storage import DamagedFileError, check_writable, read_arrays, remove_leftovers, write_arrays

FORMAT = 1  # another number for another state or loop of training: older files are then foreign
CONTENT = "state of a training"
DIGEST = "sha256:"
BLOCK_BYTES = 2**24  # copied at once for a digest
SHARE = 20  # writing waits until this many times the seconds of the last write have passed


class Checkpoint:
    """Keep the state of a training in a file, and go on from it.

    Parameters
    ----------
    path : path-like
        Of the file, of one training at a time; its folder is made if need be. What a killed training left half-written
        beside it is removed.
    network : torch.nn.Module
        That is trained, with its initial weights.
    optimizer : torch.optim.Optimizer
        Of its parameters, before the first step.
    generator : torch.Generator
        Of the order of the samples.
    fingerprint : dict
        As of `fingerprint_training`: what the training must agree in with that of the file.

    Raises
    ------
    TypeError
        If `path` is no path.
    OSError
        If the file cannot be written.

    Notes
    -----
    The state are the weights and buffers of the network, those of the best epoch so far, the state of the optimizer,
    the history, and the random state of `generator` and of torch's global generators, which dropout reads. What a
    module keeps elsewhere, such as a counter in an attribute, starts anew. The file holds arrays and JSON, no code.

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
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"checkpoint is {path!r}, expected the path of a file or None")
        check_writable(path)
        remove_leftovers(path)
        self.path = path
        self.network = network
        self.optimizer = optimizer
        self.generator = generator
        self.fingerprint = fingerprint
        self._written = -np.inf  # when, in seconds of the monotonic clock
        self._cost = 0.0  # seconds that it took

    def is_due(self):
        """Tell whether enough time has passed that writing costs at most a twentieth of it; at first it has."""
        return time.monotonic() - self._written >= SHARE * self._cost

    def save(self, history, best_weights):
        """Write the state after an epoch. A disk that is full is a warning: it must not end a training.

        Parameters
        ----------
        history : dict
            Of the epochs so far.
        best_weights : dict of str to torch.Tensor, or None
            The network's weights after its best epoch.
        """
        start = time.monotonic()
        tensors = {f"network/{name}": value for name, value in _weights(self.network).items()}
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
        """Put network, optimizer and generators into the state of the file, if there is one that is whole.

        Returns
        -------
        history : dict or None
            Of the epochs that the file has; None: there is no file, or, with a warning, a damaged one. All is as it
            was, then.
        best_weights : dict of str to torch.Tensor, or None
            The network's weights after its best epoch.

        Raises
        ------
        ValueError
            If the file belongs to another training, or is none of a training.
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
        """Make all tensors first, in the memory layout of an undisturbed training, and then change the state."""
        weights, parameters = _weights(self.network), self.optimizer.param_groups[0]["params"]
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
        for name, value in restored.items():
            weights[name].copy_(value)
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": state})
        for name, (_, set_state) in self._random_states().items():
            set_state(random[name])
        return history, best or None

    def _random_states(self):
        """Return how the state of each generator is read and set."""
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


def _weights(network):
    """Return weights and buffers, those too that `state_dict` leaves out; to change them is to change the network."""
    return network.state_dict() | dict(network.named_buffers())


def _device(network):
    return next(network.parameters()).device


def _like(tensor, array):
    """Return an array's values, on the device and in the memory layout of a tensor: another layout rounds otherwise."""
    if array.shape != tensor.shape:
        raise ValueError(f"an array has shape {array.shape}, expected {tuple(tensor.shape)}")
    return torch.empty_like(tensor).copy_(torch.from_numpy(array))


def fingerprint_training(network, generator, data, settings):
    """Name all that decides the numbers of a training, which must be the same to go on with it.

    Parameters
    ----------
    network : torch.nn.Module
        With its initial weights, where it is trained.
    generator : torch.Generator
        Of the order of the samples, before it was used.
    data : dict of str to ndarray or None
        Images and labels.
    settings : dict of str to str, int or float
        Such as the learning rate.

    Returns
    -------
    fingerprint : dict of str to str, int, float or None
        The settings as they are, and SHA-256 digests of the data, of the initial weights, of the network's layers and
        of the generator's state; kind and model of the device and, of a CPU, the number of threads, on which roundings
        depend; versions of torch and NumPy.

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
        "initial weights": _digest(*(value.cpu().numpy() for value in _weights(network).values())),
        "random state": _digest(generator.get_state().numpy()),
        **{name: None if array is None else _digest(array) for name, array in data.items()},
    }


def _digest(*arrays):
    """Return the digest of dtypes, shapes and values, whatever their layout in memory."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        for block in np.array_split(array, 1 + array.nbytes // BLOCK_BYTES) if array.ndim else [array]:
            digest.update(block.tobytes())
    return DIGEST + digest.hexdigest()
