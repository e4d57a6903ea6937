"""Optimizers of the weights of a network: Adam, and Muon, which needs fewer steps."""

import math
from numbers import Real

import torch
from torch import nn

MOMENTUM = 0.9
ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the polynomial that moves singular values towards 1 (Jordan, 2024)
MATCHED_RMS = 0.2  # root mean square of an update relative to the learning rate, about that of Adam (Liu et al., 2025)


class Muon(torch.optim.Adam):
    """Take steps along orthogonalised momentum for matrices and convolutions, and those of Adam for all other weights.

    An update of a matrix has equal singular values, so that no direction of its inputs or outputs is learned much
    faster than the others. A convolution counts as a matrix of output channels x (input channels x kernel).

    Parameters
    ----------
    network : torch.nn.Module
        Network whose weights are optimised. Its last linear layer, the head of a classifier, is left to Adam, and so
        are biases, normalisations and whatever else does not have 2 or 4 dimensions.
    lr : float
        Learning rate of all weights. Updates of matrices are scaled to about the size of Adam's, so that learning
        rates that are good for Adam are good here (Liu et al., 2025).
    weight_decay : float
        Coefficient of the L2 penalty of all weights.

    References
    ----------
    Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; Liu et al., "Muon is Scalable for
    LLM Training", 2025.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2))
    >>> optimizer = Muon(network, lr=0.01)
    >>> [[tuple(weight.shape) for weight in group["params"]] for group in optimizer.param_groups]
    [[(4, 3, 3, 3)], [(4,), (2, 4), (2,)]]
    """

    def __init__(self, network, lr, weight_decay=0.0):
        head = [module.weight for module in network.modules() if isinstance(module, nn.Linear)][-1:]
        matrices, others = [], []
        for weight in network.parameters():
            is_matrix = weight.ndim in (2, 4) and not any(weight is last for last in head)
            (matrices if is_matrix else others).append(weight)
        groups = [{"params": matrices}, {"params": others}]
        fused = matrices[0].device.type in ("cpu", "cuda") if matrices else None
        super().__init__([group for group in groups if group["params"]], lr, weight_decay=weight_decay, fused=fused)
        self._matrices = matrices

    @torch.no_grad()
    def step(self):
        """Take a step against the gradients, and free those of the matrices."""
        settings = self.param_groups[0]
        updates = {}  # by the smaller side, so that those of many layers are orthogonalised together
        for weight in self._matrices:
            if weight.grad is None:
                continue
            gradient = weight.grad.add(weight, alpha=settings["weight_decay"])
            state = self.state[weight]
            if not state:  # the step is counted because Adam looks for it where a state is loaded
                state.update(step=torch.zeros(()), momentum=torch.zeros_like(weight))
            state["step"] += 1
            momentum = state["momentum"].mul_(MOMENTUM).add_(gradient)
            update = gradient.add_(momentum, alpha=MOMENTUM).flatten(1)  # Nesterov's
            updates.setdefault(min(update.shape), []).append((weight, update))
            weight.grad = None  # Adam skips it
        for layers in updates.values():
            orthogonal = orthogonalise([update for _, update in layers])
            for (weight, _), update in zip(layers, orthogonal, strict=True):
                scale = MATCHED_RMS * math.sqrt(max(update.shape))
                weight.sub_(update.reshape(weight.shape), alpha=settings["lr"] * scale)
        super().step()


def orthogonalise(matrices):
    """Move the singular values of matrices towards 1, by Newton-Schulz iterations.

    Parameters
    ----------
    matrices : list of torch.Tensor
        Matrices whose smaller side is the same, n.

    Returns
    -------
    orthogonal : list of torch.Tensor
        Matrices of the same shapes and singular vectors, with singular values of about 0.7 to 1.2; those below a
        hundredth of the matrix's norm can stay smaller.

    Examples
    --------
    >>> orthogonal, = orthogonalise([torch.tensor([[3.0, 0.0, 0.0], [0.0, 0.5, 0.0]])])
    >>> bool((orthogonal.diagonal() > 0.6).all()), bool((orthogonal.diagonal() < 1.3).all())
    (True, True)
    """
    wide = [matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T for matrix in matrices]
    # zeros on the right change neither the product with the transpose nor the other columns
    batch = wide[0].new_zeros(len(wide), wide[0].shape[0], max(matrix.shape[1] for matrix in wide))
    for padded, matrix in zip(batch, wide, strict=True):
        padded[:, : matrix.shape[1]] = matrix
    batch /= batch.norm(dim=(1, 2), keepdim=True) + 1e-7
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        products = batch @ batch.mT
        batch = a * batch + torch.baddbmm(products, products, products, beta=b, alpha=c) @ batch
    parts = [padded[:, : matrix.shape[1]] for padded, matrix in zip(batch, wide, strict=True)]
    return [
        part if matrix.shape[0] <= matrix.shape[1] else part.T for part, matrix in zip(parts, matrices, strict=True)
    ]


OPTIMIZERS = ("adam", "muon")


def check_positive(value, name):
    """Check a number that has to be above 0.

    Parameters
    ----------
    value : float
        The number.
    name : str
        Name of the argument, for the message.

    Raises
    ------
    ValueError
        If it is no finite number above 0.

    Examples
    --------
    >>> check_positive("1", "C")
    Traceback (most recent call last):
    ...
    ValueError: C is '1', expected a number above 0
    """
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < value < math.inf:
        raise ValueError(f"{name} is {value!r}, expected a number above 0")


def make_optimizer(name, network, learning_rate, weight_decay):
    """Return an optimizer of the weights of a network.

    Parameters
    ----------
    name : {"adam", "muon"}
        Adam, or `Muon`.
    network : torch.nn.Module
        Network, on the device on which it is trained.
    learning_rate : float
        Learning rate, above 0.
    weight_decay : float
        Coefficient of the L2 penalty, at least 0.

    Returns
    -------
    optimizer : torch.optim.Optimizer

    Raises
    ------
    ValueError
        If an argument is not as described.

    Examples
    --------
    >>> type(make_optimizer("muon", nn.Linear(2, 2), 1e-3, 0.0)).__name__
    'Muon'
    >>> make_optimizer("sgd", nn.Linear(2, 2), 1e-3, 0.0)
    Traceback (most recent call last):
    ...
    ValueError: optimizer is 'sgd', expected one of: adam, muon
    """
    if name not in OPTIMIZERS:
        raise ValueError(f"optimizer is {name!r}, expected one of: {', '.join(OPTIMIZERS)}")
    check_positive(learning_rate, "learning_rate")
    if not isinstance(weight_decay, Real) or not 0 <= weight_decay < math.inf:
        raise ValueError(f"weight_decay is {weight_decay!r}, expected a number of at least 0")
    if name == "muon":
        return Muon(network, learning_rate, weight_decay)
    fused = next(network.parameters()).device.type in ("cpu", "cuda")
    return torch.optim.Adam(network.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=fused)
