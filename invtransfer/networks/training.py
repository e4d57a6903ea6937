"""The training loop that all networks and probes share."""

import math
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from invtransfer.images.checks import to_tensor
from invtransfer.networks.checkpoints import Checkpoint, fingerprint_training
from invtransfer.networks.devices import resolve_device, resolve_precision, strides_beyond_input
from invtransfer.networks.inference import compute_outputs
from invtransfer.networks.optimizers import make_optimizer
from invtransfer.networks.weights import read_state, read_weights, restore_state
from invtransfer.surroundings import usual_torch

SCHEDULES = ("constant", "one-cycle", "cosine", "linear")


def learning_rate_factor(schedule, step, n_steps, steps_per_epoch=1):
    """Return the factor by which the learning rate is multiplied at one step.

    Parameters
    ----------
    schedule : str
        "constant"; "one-cycle", which rises linearly over the first fifth of the steps and then falls linearly to 0;
        "cosine", which rises linearly over 5 epochs, but at most a tenth of the steps, and then falls to 1 % along a
        cosine (the paper's schedule for the ViT); "linear", which falls linearly to 0 (the paper's for fine-tuning).
    step : int
        Number of the step, counted from 0.
    n_steps : int
        Number of steps of the whole training.
    steps_per_epoch : int
        Number of steps in an epoch, used by "cosine" only.

    Returns
    -------
    factor : float

    Raises
    ------
    ValueError
        If `schedule` is not one of the four.

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
    optimizer="adam",
    device="cpu",
    precision="float32",
    generator,
    renew=None,
    channels_last=True,
    checkpoint=None,
    verbose=False,
):
    """Train a network to minimise the cross-entropy, and keep the epoch with the best validation accuracy.

    Parameters
    ----------
    network : torch.nn.Module
        Network from images or features to logits. It is moved to `device`, trained in place, and left in evaluation
        mode.
    X : ndarray of shape (n_samples, height, width, n_channels) or (n_samples, n_features)
        Images or features, which are not changed. One batch at a time is converted to float.
    y : ndarray of shape (n_samples,), int64
        Class indices.
    X_val, y_val : ndarray or None
        Validation data of the same kind. None: the weights of the last epoch are kept.
    epochs : int
        Number of passes over the data; with 0 the initial weights are kept.
    batch_size : int
        Largest number of samples per step. An epoch is split into batches of nearly equal size.
    learning_rate : float
        Learning rate; its largest value if the schedule varies it.
    schedule : str
        Schedule of the learning rate, see `learning_rate_factor`.
    weight_decay : float
        Coefficient of the L2 penalty.
    optimizer : str
        "adam", or "muon" (see `Muon`).
    device : str or torch.device
        Device on which the network is trained: "auto" (a GPU if there is one, else the CPU), "cpu", "cuda", "cuda:1".
    precision : str
        Number format of the training: "float32", "bfloat16" (autocast; the weights stay float32), or "auto", which is
        bfloat16 where the hardware computes it. On a CPU, training is in float32 if the stride of a
        convolution exceeds its input (see `strides_beyond_input`).
    generator : torch.Generator
        Generator of the order of the samples. Its initial seed is that of torch's global generators during training,
        which dropout reads; they are restored afterwards.
    renew : callable or None
        Function from the number of an epoch to the `X` of that epoch, for transformations that are drawn anew. None:
        every epoch sees `X`.
    channels_last : bool
        Whether to keep the weights in channels-last memory layout, which convolutions prefer. A module that was not
        made for it may fail, since ``view`` takes tensors in the usual layout only.
    checkpoint : path-like or None
        File to which the state of training is written: after the first epoch, after the last, and in between as often
        as that takes at most a twentieth of the time. If the file exists, training continues from it and ends with the
        same weights as an uninterrupted training. None: no file.
    verbose : bool
        Whether to show a progress bar on stderr.

    Returns
    -------
    history : dict
        "loss", and "val_accuracy" if there are validation data: lists with one value per epoch. "best_epoch": number of
        the epoch whose weights are kept, counted from 0; -1 if no epoch was trained.

    Raises
    ------
    ValueError
        If `device`, `precision`, `learning_rate`, `schedule`, `weight_decay` or `optimizer` is not as described, a
        weight that is trained is not finite, the loss or a weight becomes NaN or infinite, or `checkpoint` belongs to
        another training.
    TypeError
        If `checkpoint` is not a path.
    OSError
        If `checkpoint` cannot be written.

    Notes
    -----
    With a checkpoint, `renew` is called once more for the first epoch: its images tell whether the file belongs to the
    same transformations. If the file is damaged, a warning is issued and training starts from the beginning. On a GPU,
    some sums are computed in an order that varies from run to run, so weights repeat only as far as training does.
    """
    device = resolve_device(device)
    precision = resolve_precision(precision, device, network)
    n_batches = math.ceil(len(X) / batch_size)
    n_steps = epochs * n_batches
    history = {"loss": [], "best_epoch": epochs - 1} | ({} if X_val is None else {"val_accuracy": []})
    best_weights = saved = None
    infinite = _find_infinite(network)  # such as a mask of attention
    for name, weight in network.named_parameters():
        if name in infinite and weight.requires_grad:
            raise ValueError(f"{name} of the network holds NaN or infinity already before training")
    with usual_torch(device), seeded_global_generators(generator.initial_seed(), device):
        network.to(device)
        if channels_last and device.type != "mps":
            network.to(memory_format=torch.channels_last)
        if precision == "bfloat16" and device.type == "cpu" and strides_beyond_input(network, X):
            precision = "float32"
        settings = {"epochs": epochs, "batch_size": batch_size, "schedule": schedule, "optimizer": optimizer,
                    "precision": precision}  # fmt: skip
        optimizer = make_optimizer(optimizer, network, learning_rate, weight_decay)
        settings |= {"learning_rate": float(learning_rate), "weight_decay": float(weight_decay)}
        if checkpoint is not None:
            data = {"X": X, "y": y, "X_val": X_val, "y_val": y_val}
            saved = _open_checkpoint(checkpoint, network, optimizer, generator, data, renew, settings)
            restored, best_weights = saved.restore()
            history = restored or history
        done = len(history["loss"])
        bar = tqdm(total=n_steps, initial=done * n_batches, desc="training", unit="step", disable=not verbose)
        for epoch in range(done, epochs):
            images = None  # frees the images of the last epoch before the next are made
            images = X if renew is None else renew(epoch)
            steps = range(epoch * n_batches, (epoch + 1) * n_batches)
            rates = [learning_rate * learning_rate_factor(schedule, step, n_steps, n_batches) for step in steps]
            mean_loss = _train_epoch(network, optimizer, images, y, generator, rates, precision, bar)
            if not math.isfinite(mean_loss):
                raise ValueError(f"the training loss became {mean_loss} in epoch {epoch + 1}: lower {learning_rate=!s}")
            history["loss"].append(mean_loss)
            bar.set_postfix(loss=f"{mean_loss:.3f}")
            if X_val is not None and _validate_epoch(network, X_val, y_val, history):
                best_weights = {name: value.clone() for name, value in read_state(network).items()}
            if saved is not None and (saved.is_due() or epoch == epochs - 1):
                saved.save(history, best_weights)
        bar.close()
    _finish(network, best_weights, learning_rate, infinite)
    return history


@contextmanager
def seeded_global_generators(seed, device):
    """Seed torch's global generators, which dropout and new layers read, and restore them afterwards.

    Parameters
    ----------
    seed : int
        Seed of the generator of the CPU, and of that of the device.
    device : torch.device
        Device whose generator is seeded, too.
    """
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.default_generator.manual_seed(seed)
        for device in devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def _open_checkpoint(path, network, optimizer, generator, data, renew, settings):
    """Open the file of the state of a training; the images of the first epoch represent the transformations."""
    data = data | {"transformations": None if renew is None else renew(0)}
    return Checkpoint(path, network, optimizer, generator, fingerprint_training(network, generator, data, settings))


def _train_epoch(network, optimizer, images, y, generator, rates, precision, bar):
    """Take one step at each learning rate, on batches that share the images at random, and return the mean loss."""
    device = next(network.parameters()).device
    labels = torch.from_numpy(y)
    network.train()
    _keep_frozen_statistics(network)
    losses = []
    batches = torch.randperm(len(y), generator=generator, device="cpu").tensor_split(len(rates))
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


def _validate_epoch(network, X_val, y_val, history):
    """Add the validation accuracy to the history, and tell whether this epoch is the best so far."""
    accuracy = float(np.mean(compute_outputs(network, X_val).argmax(axis=1) == y_val))
    best = accuracy > max(history["val_accuracy"], default=-1.0)
    if best:
        history["best_epoch"] = len(history["val_accuracy"])
    history["val_accuracy"].append(accuracy)
    return best


def _finish(network, best_weights, learning_rate, infinite):
    """Put the weights of the best epoch into a network in evaluation mode; what was finite before must still be so."""
    if best_weights is not None:
        restore_state(network, best_weights)
    broken = sorted(_find_infinite(network) - infinite)
    if broken:
        raise ValueError(f"{broken[0]} is not finite after training: lower learning_rate={learning_rate}")
    network.eval()


def _find_infinite(network):
    """Return the names of parameters and buffers that hold NaN or infinity."""
    return {name for name, value in read_weights(network).items() if not torch.isfinite(value).all()}


def _keep_frozen_statistics(network):
    """Put batch norm with frozen weights into evaluation mode, because its statistics would change otherwise."""
    for module in network.modules():
        weights = list(module.parameters(recurse=False))
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and weights:
            module.train(any(weight.requires_grad for weight in weights))
