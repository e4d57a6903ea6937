"""The one training loop, and the choice of device and precision that it runs on."""

import math
import time
from functools import lru_cache
from numbers import Real

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from invtransfer.checkpoints import Checkpoint, fingerprint_training
from invtransfer.encoding import compute_outputs
from invtransfer.images import to_tensor
from invtransfer.networks import build_network

SCHEDULES = ("constant", "one-cycle", "cosine", "linear")
PRECISIONS = ("auto", "float32", "bfloat16")


def resolve_device(device):
    """Return the torch device that `device` stands for.

    Parameters
    ----------
    device : str or torch.device
        "auto" is CUDA where there is a GPU, else the CPU; else any name that torch knows.

    Returns
    -------
    device : torch.device

    Raises
    ------
    ValueError
        If torch does not know the name, finds no such device, or computes nothing there ("meta").

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if isinstance(device, str) and device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        if not isinstance(device, str | torch.device) or torch.device(device).type == "meta":
            raise TypeError("it computes nothing")
        device = torch.device(device)
        torch.empty(0, device=device)
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device is {device!r}, expected 'auto', 'cpu' or a device that torch finds: {reason}"
        ) from error
    return device


def resolve_precision(precision, device):
    """Return the number format that convolutions are trained in.

    Parameters
    ----------
    precision : str
        "float32", "bfloat16", or "auto": bfloat16 where `device` computes it in hardware.
    device : torch.device
        Where the training runs.

    Returns
    -------
    precision : str
        "float32" or "bfloat16".

    Raises
    ------
    ValueError
        If it is none of the three.

    Notes
    -----
    Hardware support is asked for rather than timed, so that the same machine always gives the same numbers. On a CPU it
    means AVX512-BF16 or AMX instructions.

    Examples
    --------
    >>> resolve_precision("float32", torch.device("cpu"))
    'float32'
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}, expected one of: {', '.join(PRECISIONS)}")
    if precision != "auto":
        return precision
    if device.type == "cuda":
        in_hardware = torch.cuda.get_device_capability(device) >= (8, 0)
    elif device.type == "cpu":
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # not public; absent means no
        in_hardware = any(getattr(torch.cpu, name, bool)() for name in names)
    else:
        in_hardware = False
    return "bfloat16" if in_hardware else "float32"


def strides_beyond_input(network, X):
    """Tell whether a convolution of a network has a larger stride than its input has pixels.

    Parameters
    ----------
    network : torch.nn.Module
        On any device; its mode is left as it was.
    X : ndarray of shape (n_samples, height, width, n_channels)
        Images; one is enough.

    Returns
    -------
    beyond : bool

    Notes
    -----
    On a CPU, bfloat16 gradients of such a convolution's weights are uninitialised memory, now and then NaN, as of torch
    2.15; float32 is right. It happens with images that are smaller than a network is made for.

    Examples
    --------
    >>> network = nn.Conv2d(3, 4, 3, stride=2, padding=1)
    >>> [strides_beyond_input(network, np.zeros((1, side, side, 3), dtype="uint8")) for side in (1, 2)]
    [True, False]
    """
    found = []

    def look(module, arguments):
        found.append(any(side < step for side, step in zip(arguments[0].shape[2:], module.stride, strict=True)))

    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    handles = [module.register_forward_pre_hook(look) for module in convolutions]
    try:
        compute_outputs(network, X[:1], batch_size=1)
    finally:
        for handle in handles:
            handle.remove()
    return any(found)


def learning_rate_factor(schedule, step, n_steps, steps_per_epoch=1):
    """Return what the learning rate is multiplied by at one step.

    Parameters
    ----------
    schedule : str
        "constant"; "one-cycle": up linearly over the first fifth of the steps, then down linearly to 0; "cosine": up
        linearly over the first 5 epochs, but no more than a tenth of the steps, then down to 1 % along a cosine, the
        paper's schedule for the ViT; "linear": down linearly to 0 from the first step on, the paper's for fine-tuning.
    step, n_steps : int
        Number of the step, from 0, and of all steps.
    steps_per_epoch : int
        What an epoch is to "cosine".

    Returns
    -------
    factor : float

    Raises
    ------
    ValueError
        If there is no such schedule.

    Examples
    --------
    >>> [learning_rate_factor("one-cycle", step, 11) for step in (0, 1, 2, 6, 10)]
    [0.333..., 0.666..., 1.0, 0.5..., 0.11...]
    >>> [learning_rate_factor("cosine", step, 51) for step in (0, 4, 5, 50)]
    [0.166..., 0.833..., 1.0, 0.01]
    >>> [learning_rate_factor("linear", step, 4) for step in range(4)]
    [1.0, 0.75, 0.5, 0.25]
    """
    if schedule == "constant":
        return 1.0
    if schedule == "one-cycle":
        warm_up = round(0.2 * n_steps)
        return min((step + 1) / (warm_up + 1), (n_steps - step) / (n_steps - warm_up))
    if schedule == "cosine":
        warm_up = min(5 * steps_per_epoch, n_steps // 10)
        if step < warm_up:
            return (step + 1) / (warm_up + 1)
        progress = (step - warm_up) / max(1, n_steps - 1 - warm_up)
        return 0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2
    if schedule == "linear":
        return (n_steps - step) / n_steps
    raise ValueError(f"schedule is {schedule!r}, expected one of: {', '.join(SCHEDULES)}")


def train(
    network,
    X,
    y,
    *,
    X_val=None,
    y_val=None,
    epochs,
    batch_size,
    learning_rate,
    schedule="constant",
    weight_decay=0.0,
    precision="float32",
    generator,
    renew=None,
    checkpoint=None,
    verbose=False,
):
    """Minimise the cross-entropy with Adam, and keep the epoch with the best validation accuracy.

    Parameters
    ----------
    network : torch.nn.Module
        Trained in place, where it is; in evaluation mode afterwards.
    X : ndarray of shape (n_samples, height, width, n_channels) or (n_samples, n_features)
        Images or features. They stay as they are; only one batch at a time becomes float.
    y : ndarray of shape (n_samples,), int64
        Numbers of the classes.
    X_val, y_val : ndarray
        Validation data of the same kind; None: the last epoch is kept.
    epochs : int
        Passes over the data; 0 leaves the initial weights.
    batch_size : int
        Samples per step; an epoch is split into batches as equal as can be, none larger.
    learning_rate : float
        Of Adam, per step.
    schedule : str
        See `learning_rate_factor`.
    weight_decay : float
        L2 penalty of Adam.
    precision : str
        "float32" or "bfloat16" (autocast; weights stay float32).
    generator : torch.Generator
        Of the order of the samples.
    renew : callable
        From the number of an epoch to the `X` of that epoch, for transformations drawn anew; None: always `X`.
    checkpoint : path-like or None
        File that the state of training is written to, after the first epoch, the last, and those between at which that
        takes at most a twentieth of the time; if it is there, training goes on from it, to the same weights as if it
        had never stopped. None: no file.
    verbose : bool
        Show a progress bar on stderr.

    Returns
    -------
    history : dict
        "loss" and, with validation data, "val_accuracy": a list over epochs; "best_epoch": number, from 0, of the epoch
        whose weights are kept (-1: none).

    Raises
    ------
    ValueError
        If `learning_rate` or `weight_decay` is out of range, the loss or a weight becomes NaN or infinite, or
        `checkpoint` belongs to another training.
    TypeError
        If `checkpoint` is no path.
    OSError
        If `checkpoint` cannot be written.

    Notes
    -----
    With a checkpoint, `renew` is asked once more for the first epoch, whose images tell whether the file belongs to the
    same transformations. A damaged file is a warning, and training starts from the beginning. On a GPU some sums are
    made in an order that changes from run to run: there the weights are the same as far as training repeats itself.
    """
    if not isinstance(learning_rate, Real) or not 0 < learning_rate < math.inf:
        raise ValueError(f"learning_rate is {learning_rate!r}, expected a number above 0")
    if not isinstance(weight_decay, Real) or not 0 <= weight_decay < math.inf:
        raise ValueError(f"weight_decay is {weight_decay!r}, expected a number of at least 0")
    device = next(network.parameters()).device
    if device.type != "mps":
        network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(
        network.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=device.type in ("cpu", "cuda")
    )
    n_batches = math.ceil(len(X) / batch_size)
    n_steps = epochs * n_batches
    history = {"loss": [], "best_epoch": epochs - 1} | ({} if X_val is None else {"val_accuracy": []})
    best_weights = saved = None
    if checkpoint is not None:
        settings = {"epochs": epochs, "batch_size": batch_size, "learning_rate": float(learning_rate),
                    "schedule": schedule, "weight_decay": float(weight_decay), "precision": precision}  # fmt: skip
        data = {"X": X, "y": y, "X_val": X_val, "y_val": y_val}
        saved = _open_checkpoint(checkpoint, network, optimizer, generator, data, renew, settings)
        restored, best_weights = saved.restore()
        history = restored or history
    done = len(history["loss"])
    bar = tqdm(total=n_steps, initial=done * n_batches, desc="training", unit="step", disable=not verbose)
    for epoch in range(done, epochs):
        images = None  # let go of the last epoch's before the next are made
        images = X if renew is None else renew(epoch)
        steps = range(epoch * n_batches, (epoch + 1) * n_batches)
        rates = [learning_rate * learning_rate_factor(schedule, step, n_steps, n_batches) for step in steps]
        batches = torch.randperm(len(X), generator=generator).tensor_split(n_batches)
        mean_loss = _train_epoch(network, optimizer, images, y, batches, rates, precision, bar)
        if not math.isfinite(mean_loss):
            raise ValueError(
                f"the training loss became {mean_loss} in epoch {epoch + 1}: lower learning_rate={learning_rate}"
            )
        history["loss"].append(mean_loss)
        if X_val is not None:
            predictions = compute_outputs(network, X_val).argmax(axis=1)
            accuracy = float(np.mean(predictions == y_val))
            if accuracy > max(history["val_accuracy"], default=-1.0):
                history["best_epoch"] = epoch
                best_weights = {name: value.clone() for name, value in network.state_dict().items()}
            history["val_accuracy"].append(accuracy)
        bar.set_postfix(loss=f"{mean_loss:.3f}")
        if saved is not None and (saved.is_due() or epoch == epochs - 1):
            saved.save(history, best_weights)
    bar.close()
    if best_weights is not None:
        network.load_state_dict(best_weights)
    broken = [name for name, value in network.state_dict().items() if not torch.isfinite(value).all()]
    if broken:
        raise ValueError(f"{broken[0]} is not finite after training: lower learning_rate={learning_rate}")
    network.eval()
    return history


def _open_checkpoint(path, network, optimizer, generator, data, renew, settings):
    """Return the file of a training's state; the first epoch's images stand for the transformations."""
    data = data | {"transformations": None if renew is None else renew(0)}
    return Checkpoint(path, network, optimizer, generator, fingerprint_training(network, generator, data, settings))


def _train_epoch(network, optimizer, images, y, batches, rates, precision, bar):
    """Take one step per batch of indices, each at its learning rate, and return the mean loss."""
    device = next(network.parameters()).device
    labels = torch.from_numpy(y)
    network.train()
    _keep_frozen_statistics(network)
    losses = []
    for indices, rate in zip(batches, rates, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = to_tensor(images[indices.numpy()], device)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            logits = network(batch)
        loss = nn.functional.cross_entropy(logits.float(), labels[indices].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        bar.update()
    return torch.stack(losses).mean().item()


def _keep_frozen_statistics(network):
    """Leave batch norm whose weights are frozen in evaluation mode: its statistics would change otherwise."""
    for module in network.modules():
        weights = list(module.parameters(recurse=False))
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and weights:
            module.train(any(weight.requires_grad for weight in weights))


@lru_cache
def seconds_per_image(network, width, batch_size, image_shape=(32, 32, 3)):
    """Measure how long a network takes for one image here, to project how long a study will take.

    Parameters
    ----------
    network : str
        As for `build_network`.
    width : float
        Of the network.
    batch_size : int
        Images per step. Without a GPU at most 64 are measured: larger batches cost as much per image there.
    image_shape : tuple of int
        (height, width, n_channels).

    Returns
    -------
    training, encoding : float
        Seconds, one image's share of a training step and of a forward pass without gradients.

    Examples
    --------
    >>> training, encoding = seconds_per_image("resnet18", 0.0625, 32)
    >>> 0 < encoding < training
    True
    """
    device = resolve_device("auto")
    n = batch_size if device.type == "cuda" else min(batch_size, 64)
    generator = torch.Generator().manual_seed(0)
    module = build_network(network, 10, image_shape=image_shape, width=width, generator=generator).to(device)
    X, y = np.random.default_rng(0).integers(256, size=(n, *image_shape), dtype=np.uint8), np.arange(n) % 10
    precision = resolve_precision("auto", device)

    def step():
        train(module, X, y, epochs=1, batch_size=n, learning_rate=1e-3, precision=precision, generator=generator)

    return _seconds(step) / n, _seconds(lambda: compute_outputs(module, X, batch_size=n)) / n


def _seconds(call):
    """Return the shortest of three times that a call takes, after one to warm up."""
    times = []
    for _ in range(4):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times[1:])
