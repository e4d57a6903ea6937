"""Every public callable returns a result or raises a documented exception, in time, whatever it is called with.

The ordinary suite draws the same few inputs for each target every time. The long run draws ten thousand new ones:

    pytest -m fuzz tests/test_fuzzing.py
"""

import math
import sys
import time
from collections import Counter
from contextlib import suppress

import pytest
from fuzz_targets import TARGETS, public_callables
from fuzzed_inputs import LIMIT, Hang, Refused, limit
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

# Random images and few pairs: what is warned of is asserted in test_sensitivity.py.
pytestmark = pytest.mark.filterwarnings("ignore:the sensitivity to .* rests on fewer than:UserWarning")
FEW, MANY = 4, 10_000  # inputs for each target in the ordinary suite; for all targets together in the long run
COUNTED = Counter()  # name of a target -> number of inputs that it got


def fuzz(target, n, **options):
    """Give a target n inputs, or as many as there are, and count them."""

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
    assert sorted(public_callables().keys() - TARGETS.keys()) == []


def test_every_target_covers_a_public_callable():
    assert sorted(TARGETS.keys() - public_callables().keys() - {"TRANSFORMATIONS"}) == []


@pytest.mark.parametrize("name", TARGETS_BY_NAME)
def test_a_few_inputs(name):
    target = TARGETS_BY_NAME[name]
    # a failing input is not made smaller here: the long run does that
    fuzz(target, max(1, FEW // target.cost), derandomize=True, phases=(Phase.generate,))
    assert COUNTED[name] >= 1


@pytest.mark.fuzz
@pytest.mark.parametrize("name", TARGETS_BY_NAME)
def test_many_inputs(name):
    target = TARGETS_BY_NAME[name]
    shares = sum(1 / target.cost for target in TARGETS_BY_NAME.values())
    fuzz(target, math.ceil(1.1 * MANY / shares / target.cost))  # 1.1: some targets run out of inputs


@pytest.mark.fuzz
def test_there_were_ten_thousand(capfd):
    if COUNTED.keys() != TARGETS_BY_NAME.keys():
        pytest.skip(f"only {len(COUNTED)} of {len(TARGETS_BY_NAME)} targets have run")
    with capfd.disabled():
        print(f"\n{COUNTED.total():,} inputs of {len(COUNTED)} targets", file=sys.__stderr__)
    assert COUNTED.total() >= MANY


def test_a_hang_is_found():
    with pytest.raises(Hang), limit(0.1):
        time.sleep(LIMIT)
