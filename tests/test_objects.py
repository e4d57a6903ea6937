import numpy as np
import pytest
import torch

from invtransfer.objects import Objects


@pytest.fixture
def three():
    images = np.zeros((3, 2, 2, 4), np.uint8)
    images[:, ..., 0] = np.array([10, 20, 30])[:, None, None]
    return Objects(images, ("apple", "car", "cat"))


@pytest.mark.parametrize(
    ("key", "reds"),
    [
        (slice(1, None), [20, 30]),
        ([2, 0], [30, 10]),
        (np.array([-1, 1]), [30, 20]),
        (np.array([True, False, True]), [10, 30]),
        ([False, True, False], [20]),
        (["cat", "apple"], [30, 10]),
        (np.array(["car"]), [20]),
        (("cat", "car"), [30, 20]),
        ("car", [20]),
        (2, [30]),
        (np.int64(-3), [10]),
    ],
)
def test_selection(three, key, reds):
    some = three[key]
    assert isinstance(some, Objects)
    assert some.images[:, 0, 0, 0].tolist() == reds
    assert some.names == tuple({10: "apple", 20: "car", 30: "cat"}[red] for red in reds)
    assert len(some) == len(reds)


def test_iteration_gives_objects_of_one(three):
    assert [each.names for each in three] == [("apple",), ("car",), ("cat",)]


def test_repr(three):
    assert repr(three) == "Objects(3 objects of 2 x 2 pixels: apple, car, cat)"
    assert repr(three["car"]) == "Objects(1 object of 2 x 2 pixels: car)"


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        ("aple", KeyError, "no object has the name 'aple'; did you mean 'apple'?"),
        (["car", "zzz"], KeyError, "no object has the name 'zzz'; expected one of apple, car, cat"),
        (3, IndexError, "index 3 is out of range, expected -3 to 2"),
        ([0, -4], IndexError, "index -4 is out of range, expected -3 to 2"),
        ([True, False], IndexError, "mask has length 2, expected the number of objects, 3"),
        (1.0, IndexError, "key is 1.0, expected a slice, or ints, names or booleans in one dimension"),
        ([[0, 1]], IndexError, r"key is \[\[0, 1\]\], expected a slice"),
        ([1, 1], ValueError, "names holds 'car' more than once, expected each name once"),
        ([], ValueError, r"images has shape \(0, 2, 2, 4\), .* at least one object"),
        (slice(3, 9), ValueError, r"images has shape \(0, 2, 2, 4\), .* at least one object"),
    ],
)
def test_bad_selection(three, key, error, message):
    with pytest.raises(error, match=message):
        three[key]


def test_keys_that_numpy_would_change_or_refuse(objects):
    with pytest.raises(KeyError, match="no object has the name .*star"):
        objects["star\0"]
    for key in (torch.zeros(2, requires_grad=True), [[0], [0, 1]]):
        with pytest.raises(IndexError, match="expected a slice, or ints, names or booleans"):
            objects[key]


@pytest.mark.parametrize(
    ("images", "names", "error", "message"),
    [
        ([[1]], ["a"], TypeError, "images has type list, expected a numpy array"),
        (np.zeros((1, 2, 2, 4)), ["a"], ValueError, "images has dtype float64, expected uint8"),
        (np.zeros((1, 2, 2, 3), "u1"), ["a"], ValueError, r"images has shape \(1, 2, 2, 3\), expected \(n_objects, "),
        (np.zeros((1, 2, 3, 4), "u1"), ["a"], ValueError, r"images has shape \(1, 2, 3, 4\), expected \(n_objects, "),
        (np.zeros((1, 2, 2, 4), "u1"), ["a", "b"], ValueError, "names has length 2, expected that of images, 1"),
        (np.zeros((1, 2, 2, 4), "u1"), [3], TypeError, r"names is \[3\], expected a sequence of strings"),
        (np.zeros((1, 2, 2, 4), "u1"), "a", TypeError, "names is 'a', expected a sequence of strings"),
        (np.zeros((1, 2, 2, 4), "u1"), 3, TypeError, "names is 3, expected a sequence of strings"),
        (np.zeros((1, 2, 2, 4), "u1"), np.array("a"), TypeError, "expected a sequence of strings"),
        (np.zeros((2, 2, 2, 4), "u1"), ["a", "a"], ValueError, "names holds 'a' more than once"),
    ],
)
def test_bad_objects(images, names, error, message):
    with pytest.raises(error, match=message):
        Objects(images, names)
