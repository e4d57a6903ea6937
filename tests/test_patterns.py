import numpy as np

from invtransfer.patterns import say_pattern


def test_pattern_counts_what_held():
    claims = [("one", "1 against 2", True), ("two", "3", False), ("three", "?", None), ("four", "5", np.True_)]
    assert say_pattern(claims).splitlines() == [
        "the paper's pattern: 2 of 4 held",
        "  held      one: 1 against 2",
        "  did not   two: 3",
        "  unknown   three: ?",
        "  held      four: 5",
    ]
    assert say_pattern([]) == "the paper's pattern: 0 of 0 held"
