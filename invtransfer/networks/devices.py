"""The device on which networks are trained, and the number format of the training."""

import torch
from torch import nn

from invtransfer.networks.inference import compute_outputs

PRECISIONS = ("auto", "float32", "bfloat16")


def resolve_device(device):
    """Return the torch device with a given name.

    Parameters
    ----------
    device : str or torch.device
        "auto" (a GPU if there is one, else the CPU), or any device that torch knows.

    Returns
    -------
    device : torch.device

    Raises
    ------
    ValueError
        If torch does not know the name, does not find the device, or cannot compute on it ("meta").

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    given = device
    if isinstance(device, str) and device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        if not isinstance(device, str | torch.device) or torch.device(device).type == "meta":
            raise TypeError("it computes nothing")
        device = torch.device(device)
        torch.empty(0, device=device)
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        reason = "torch knows no such device" if reason.startswith("Expected one of") else reason  # it lists twenty
        raise ValueError(
            f"device is {given!r}, expected 'auto', 'cpu', 'cuda', or another that torch finds: {reason}"
        ) from error
    return device


def resolve_precision(precision, device, network=None):
    """Return the number format in which a network is trained.

    Parameters
    ----------
    precision : str
        "float32", "bfloat16", or "auto", which is bfloat16 where `device` computes it in hardware and it is not slower
        for that network.
    device : torch.device
        Device on which the training runs.
    network : torch.nn.Module or None
        Network that is trained. None: one without grouped or dilated convolutions.

    Returns
    -------
    precision : str
        "float32" or "bfloat16".

    Raises
    ------
    ValueError
        If `precision` is not one of the three.

    Notes
    -----
    Nothing is timed, so that a machine always gives the same numbers. A CPU supports bfloat16 if it has AVX512-BF16 or
    AMX instructions. Grouped and dilated convolutions are slow in bfloat16 on a CPU (pytorch issue 183815), so "auto"
    is float32 there for networks that have more of them than linear layers. Measured with AVX512-BF16, training in
    bfloat16 is 0.94 to 1.5 times as fast as in float32 for ResNets, DenseNets and VGGs of width 0.0625 to 0.25, 1.6 to
    2.4 for the ViT, 2.2 for torchvision's ConvNeXt (18 grouped convolutions, 37 linear layers), but 0.45 to 0.58 for
    EfficientNet, ShuffleNet and MobileNet, which get float32.

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
        in_hardware = any(getattr(torch.cpu, name, bool)() for name in names) and not _is_slow_in_bfloat16(network)
    else:
        in_hardware = False
    return "bfloat16" if in_hardware else "float32"


def _is_slow_in_bfloat16(network):
    """Tell whether a network has more grouped or dilated convolutions than linear layers."""
    modules = [] if network is None else list(network.modules())
    convolutions = [module for module in modules if isinstance(module, nn.modules.conv._ConvNd)]
    slow = [module for module in convolutions if module.groups > 1 or max(module.dilation) > 1]
    return len(slow) > sum(isinstance(module, nn.Linear) for module in modules)


def strides_beyond_input(network, X):
    """Tell whether the stride of a convolution is larger than the height or width of its input.

    Parameters
    ----------
    network : torch.nn.Module
        Network on any device. Its mode is not changed.
    X : ndarray of shape (n_samples, height, width, n_channels)
        Images, of which the first is used.

    Returns
    -------
    beyond : bool

    Notes
    -----
    On a CPU, the bfloat16 gradients of the weights of such a convolution are uninitialised memory, sometimes NaN (as of
    torch 2.15); in float32 they are right. It happens with images smaller than those a network is made for.

    Examples
    --------
    >>> import numpy as np
    >>> network = nn.Conv2d(3, 4, 3, stride=2, padding=1)
    >>> [strides_beyond_input(network, np.zeros((1, side, side, 3), dtype="uint8")) for side in (1, 2)]
    [True, False]
    """
    found = []

    def look(module, arguments, named):
        given = arguments[0] if arguments else named["input"]
        found.append(any(side < step for side, step in zip(given.shape[-2:], module.stride, strict=True)))

    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    handles = [module.register_forward_pre_hook(look, with_kwargs=True) for module in convolutions]
    try:
        compute_outputs(network, X[:1], batch_size=1)
    finally:
        for handle in handles:
            handle.remove()
    return any(found)
