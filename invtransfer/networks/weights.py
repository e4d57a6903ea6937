"""Reading the weights of a network, and giving it others."""

import torch
from torch import nn


def read_weights(network):
    """Return the tensors that the ``state_dict()`` of a network holds.

    Parameters
    ----------
    network : torch.nn.Module

    Returns
    -------
    weights : dict of str to torch.Tensor
        Parameters and buffers. The extra state that some modules keep beside them is left out.

    Examples
    --------
    >>> {name: tuple(weight.shape) for name, weight in read_weights(nn.Linear(3, 2)).items()}
    {'weight': (2, 3), 'bias': (2,)}
    """
    return {name: value for name, value in network.state_dict().items() if isinstance(value, torch.Tensor)}


def read_state(network):
    """Return all tensors that decide what a network computes: its weights, and buffers that `read_weights` lacks.

    Parameters
    ----------
    network : torch.nn.Module

    Returns
    -------
    state : dict of str to torch.Tensor
        Parameters and buffers, also those that a module does not keep in its ``state_dict()``.

    Examples
    --------
    >>> layer = nn.Linear(3, 2, bias=False)
    >>> layer.register_buffer("mean", torch.zeros(3), persistent=False)
    >>> list(read_state(layer))
    ['weight', 'mean']
    """
    return read_weights(network) | dict(network.named_buffers(remove_duplicate=False))


@torch.no_grad()
def restore_state(network, state):
    """Give a network back what `read_state` returned, in place.

    Parameters
    ----------
    network : torch.nn.Module
    state : dict of str to torch.Tensor
        A tensor for each of `read_state`, with its shape.

    Examples
    --------
    >>> layer = nn.Linear(2, 1, bias=False)
    >>> restore_state(layer, {"weight": torch.ones(1, 2)})
    >>> layer.weight.tolist()
    [[1.0, 1.0]]
    """
    for name, value in read_state(network).items():
        if not torch.equal(value, state[name]):  # one that is expanded is a constant, and cannot be written to
            value.copy_(state[name])


def assign_weights(network, weights):
    """Replace the weights of a network by other tensors; weights that its layers share stay shared.

    ``load_state_dict(weights, assign=True)`` gives each layer a parameter of its own, and what was one weight would
    become two.

    Parameters
    ----------
    network : torch.nn.Module
    weights : dict of str to torch.Tensor
        A tensor for each that `read_weights` returns, with its shape.

    Raises
    ------
    ValueError
        If two tensors differ that are one weight in the network.

    Examples
    --------
    >>> layers = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    >>> layers[1].weight = layers[0].weight
    >>> assign_weights(layers, {"0.weight": torch.eye(2), "1.weight": torch.eye(2)})
    >>> layers[1].weight is layers[0].weight
    True
    """
    state, first = {}, {}
    for name, value in network.state_dict(keep_vars=True).items():
        if not isinstance(value, torch.Tensor):  # extra state
            state[name] = value
            continue
        known = first.setdefault(id(value), name)
        if known == name:
            own = weights[name]
            state[name] = nn.Parameter(own, value.requires_grad) if isinstance(value, nn.Parameter) else own
        elif weights[name].is_meta or torch.equal(weights[name], weights[known]):
            state[name] = state[known]
        else:
            raise ValueError(f"{known} and {name} differ, but are one weight, which layers of the network share")
    network.load_state_dict(state, assign=True)
