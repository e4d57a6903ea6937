"""What a caller has switched on in torch, and that must change neither our images nor our numbers."""

from contextlib import ExitStack, contextmanager

import torch

AUTOCAST = ("cpu", "cuda", "mps", "xpu")  # types of device


@contextmanager
def usual_torch(device="cpu", dtype=torch.float32):
    """Compute in a block, or in a function that this decorates, as torch does if nothing was switched on.

    Autocast and inference mode are off, gradients are on, and products of float32 matrices are not rounded to shorter
    numbers. Afterwards all is as it was.

    Parameters
    ----------
    device : torch.device or str
        Device of new tensors if the caller has set another one. A caller who set none has new tensors on the CPU.
    dtype : torch.dtype
        Default dtype.

    Examples
    --------
    >>> with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), usual_torch():
    ...     product = torch.ones(2, 2, requires_grad=True) @ torch.ones(2, 2)
    >>> product.dtype, product.requires_grad
    (torch.float32, True)
    """
    before, precision = torch.get_default_dtype(), torch.get_float32_matmul_precision()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in AUTOCAST:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type not in ("cpu", torch.device(device).type):
            stack.enter_context(torch.device(device))  # only then, because it slows every call down
        if before != dtype:  # only then, because all threads share it
            stack.callback(torch.set_default_dtype, before)
            torch.set_default_dtype(dtype)
        if precision != "highest":
            stack.callback(torch.set_float32_matmul_precision, precision)
            torch.set_float32_matmul_precision("highest")
        yield
