"""Whatever anyone calls the package with, nothing but a result or a documented exception comes out, and in time.

The ordinary suite draws a few inputs for every target, always the same. A person draws ten thousand, others each time:

    pytest -m fuzz tests/test_fuzzing.py
"""

import inspect
import math
import pkgutil
import sys
from collections import Counter
from contextlib import suppress
from importlib import import_module

import pytest
from fuzz_targets import TARGETS, public
from fuzzed_inputs import Hang, Refused, limit
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import invtransfer

FEW, MANY = 4, 10_000  # inputs of each target in the ordinary suite; of all targets in the long run
NOT_FUZZED = {
    "__main__": "command line, tested as a process",
    "commands": "command line of studies",
    "combined": "what two studies share",
    "running": "runs processes",
    "cells": "runs processes",
    "checkpoints": "part of training",
    "executors": "runs processes",
    "progress": "a bar on the terminal",
    "drawing": "takes nothing from outside: draws the objects",
    "procedural_objects": "takes nothing from outside",
    "procedural_backgrounds": "takes nothing from outside",
    "classification": "an abstract estimator, whose methods are those of InvariantPretrainer and FineTuner",
}
COUNTED = Counter()  # by name of target: inputs that it had


def public_names():
    """Return the names of all public callables, and of the public methods of classes that are ours."""
    names = set()
    for module in pkgutil.iter_modules(invtransfer.__path__):
        if module.name not in NOT_FUZZED:
            names |= set(_names_in(import_module(f"invtransfer.{module.name}")))
    for name in invtransfer.__all__:
        if callable(thing := getattr(invtransfer, name)):
            names |= set(_names_of(thing))
    return names


def _names_in(module):
    for name, thing in vars(module).items():
        exported = name in getattr(module, "__all__", [name])
        ours = getattr(thing, "__module__", "").startswith("invtransfer")
        here = hasattr(module, "__all__") or getattr(thing, "__module__", None) == module.__name__
        if exported and ours and here and callable(thing) and not name.startswith("_"):
            yield from _names_of(thing)


def _names_of(thing):
    """Yield the name of a callable and those of its methods; exceptions and what is abstract have none."""
    if inspect.isclass(thing) and (issubclass(thing, Exception) or inspect.isabstract(thing)):
        return
    name = f"{thing.__module__}.{thing.__qualname__}".removeprefix("invtransfer.")
    yield name
    for method in dir(thing) if inspect.isclass(thing) else ():
        function = inspect.getattr_static(thing, method)
        ours = getattr(function, "__module__", None) or ""
        if inspect.isfunction(function) and ours.startswith("invtransfer") and not method.startswith("_"):
            yield f"{name}.{method}"


def fuzz(target, n, **options):
    """Give a target n inputs, fewer if there are no more, and count them."""

    @settings(max_examples=n, deadline=None, suppress_health_check=list(HealthCheck), database=None, **options)
    @given(st.data())
    def one_input(data):
        COUNTED[target.__name__] += 1
        with suppress(Refused):
            target(data.draw)

    COUNTED[target.__name__] = 0
    one_input()


TARGETS_BY_NAME = {target.__name__: target for target in TARGETS.values()}


def test_every_public_callable_has_a_target():
    assert sorted(public_names() - TARGETS.keys()) == []


def test_every_target_is_of_something():
    assert sorted(TARGETS.keys() - public_names() - {"transformations.TRANSFORMATIONS"}) == []
    for name in TARGETS:
        assert public(name) is not None


@pytest.mark.parametrize("name", TARGETS_BY_NAME)
def test_a_few_inputs(name):
    target = TARGETS_BY_NAME[name]
    fuzz(
        target, max(1, FEW // target.cost), derandomize=True, phases=(Phase.generate,)
    )  # the long run finds the smallest
    assert COUNTED[name] >= 1


@pytest.mark.fuzz
@pytest.mark.parametrize("name", TARGETS_BY_NAME)
def test_many_inputs(name):
    target = TARGETS_BY_NAME[name]
    shares = sum(1 / target.cost for target in TARGETS_BY_NAME.values())
    fuzz(target, math.ceil(1.1 * MANY / shares / target.cost))  # 1.1: some targets have fewer inputs than that in all


@pytest.mark.fuzz
def test_there_were_ten_thousand(capfd):
    if COUNTED.keys() != TARGETS_BY_NAME.keys():
        pytest.skip(f"only {len(COUNTED)} of {len(TARGETS_BY_NAME)} targets have run")
    with capfd.disabled():
        print(f"\n{COUNTED.total():,} inputs of {len(COUNTED)} targets", file=sys.__stderr__)
    assert COUNTED.total() >= MANY


def test_a_hang_is_found():
    def hang():
        with limit(0.1):
            while True:
                pass

    with pytest.raises(Hang):
        hang()
