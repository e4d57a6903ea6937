"""What a person has switched on in torch, switched off while networks of our own are made, trained and used."""

from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def default_settings():
    """Give torch its default settings in a block or, as a decorator, in a function; afterwards they are as before.

    Yields
    ------
    None
        New tensors are float32 and on the CPU, gradients are computed (also within `torch.inference_mode`), products of
        float32 matrices are not rounded to shorter numbers, and autocast is off. Deterministic algorithms stay as they
        are, because on a CPU they give the same numbers.

    Examples
    --------
    >>> with torch.no_grad(), default_settings():
    ...     torch.is_grad_enabled()
    True
    """
    dtype, precision = torch.get_default_dtype(), torch.get_float32_matmul_precision()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        torch.set_default_dtype(torch.float32)
        stack.callback(torch.set_default_dtype, dtype)
        if precision != "highest":
            torch.set_float32_matmul_precision("highest")
            stack.callback(torch.set_float32_matmul_precision, precision)
        yield
