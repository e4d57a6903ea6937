"""Valid and hostile inputs for test_fuzzing.py, and the judge of how a call ends.

A call may return its result, or raise an exception that its docstring lists under "Raises"; a method of an estimator
may also raise scikit-learn's own errors about arrays. The exception must be deliberate: it comes from a ``raise`` in
this package or in scikit-learn, and so has a message of its own, and not from whichever line failed first. A warning is
an error unless the docstring names it.

A function without "Raises" relies on inputs that were checked at the public door. It gets only what its docstring
describes, up to the limits of that, and must return a result.
"""

import builtins
import dis
import faulthandler
import functools
import inspect
import os
import re
import signal
import threading
import traceback
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import sklearn.exceptions
import torch
import xarray as xr
from hypothesis import strategies as st
from sklearn.base import BaseEstimator

import invtransfer
from invtransfer import storage
from invtransfer.objects import Objects

PACKAGE = Path(invtransfer.__file__).parent
LIMIT = 30  # seconds for one call: a thousand times what most take, as machines may be busy
OF_SCIKIT_LEARN = (ValueError, TypeError, sklearn.exceptions.NotFittedError)
RAISE = dis.opmap["RAISE_VARARGS"]  # what a `raise` is compiled to
NAMES_ITSELF = (KeyError, OSError)  # Python's own messages name the key or the path
UNDERSTOOD = ("truth value of a", "embedded null byte")  # arrays in place of words, and impossible paths


class Refused(Exception):  # noqa: N818
    """A call raised an exception that its docstring names, so nothing is left to check."""


class Hang(BaseException):
    """A call takes too long; a BaseException, so that no `except Exception` catches it."""


# the judge


def call(function, *args, changes=(), again=False, **kwargs):
    """Return the result of a call; raise `Refused` if it raises what it may, and AssertionError if anything is wrong.

    The call must leave its arguments as they were, except at the positions in `changes`. With `again`, a second call
    must return the same.
    """
    before = [_fingerprint(value) for value in (*args, *kwargs.values())]
    generators = _global_generators()
    try:
        result = _call_once(function, args, kwargs)
        if again:
            _assert_same(result, _call_once(function, args, kwargs), _format_call(function, args, kwargs))
        return result
    finally:
        for i, (old, value) in enumerate(zip(before, (*args, *kwargs.values()), strict=True)):
            if i not in changes:
                assert old == _fingerprint(value), f"{_format_call(function, args, kwargs)} changed argument {i}"
        assert generators == _global_generators(), f"{_format_call(function, args, kwargs)} used a global generator"


def _call_once(function, args, kwargs):
    allowed, harmless = documented(function)
    try:
        with limit(), warnings.catch_warnings():
            for category in harmless:
                warnings.simplefilter("ignore", category)
            return function(*args, **kwargs)
    except allowed as error:
        if not _is_deliberate(error):
            where = traceback.extract_tb(error.__traceback__)[-1]
            raise AssertionError(
                f"{_format_call(function, args, kwargs)} raised {type(error).__name__}, but not on purpose:"
                f" {error!s:.300} ({where.name}: {where.line})"
            ) from error
        raise Refused from error
    except Hang as error:
        raise AssertionError(f"{_format_call(function, args, kwargs)} took more than {LIMIT} s") from error
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if str(PACKAGE) in frame.filename]
        where = f" ({frames[-1].name}: {frames[-1].line})" if frames else ""
        raise AssertionError(
            f"{_format_call(function, args, kwargs)} raised {type(error).__name__}, which its docstring does not name:"
            f" {error!s:.300}{where}"
        ) from error


@contextmanager
def limit(seconds=LIMIT):
    """Raise `Hang` if the block takes longer; if it never returns to Python, end the process with a traceback."""
    alarm = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()

    def give_up(*_):
        raise Hang

    faulthandler.dump_traceback_later(3 * seconds, exit=True, file=_STDERR)
    if alarm:
        old = signal.signal(signal.SIGALRM, give_up)
        signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        if alarm:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, old)
        faulthandler.cancel_dump_traceback_later()


_STDERR = os.fdopen(os.dup(2), "w", closefd=False)  # pytest's own would be lost with the process


@functools.cache
def _documented(qualified, doc, is_estimator):
    names = []
    section = re.search(r"^Raises\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", doc, re.MULTILINE | re.DOTALL)
    for line in section[1].splitlines() if section else ():
        if line and not line.startswith(" "):
            names += [name.strip() for name in line.split(",")]
    found = {name: _exception(name) for name in names}
    assert all(found.values()), f"{qualified} documents exceptions that are not known: {found}"
    harmless = {name for name in re.findall(r"\b\w+Warning\b", doc) if _exception(name)}
    return tuple(found.values()) + OF_SCIKIT_LEARN * is_estimator, tuple(_exception(name) for name in harmless)


def _exception(name):
    places = (builtins, storage, sklearn.exceptions)
    return next((getattr(place, name) for place in places if hasattr(place, name)), None)


def documented(function):
    """Return the exceptions and the warnings that the docstring of a callable names."""
    function = getattr(function, "func", function)
    owner = getattr(function, "__self__", None)
    doc = inspect.getdoc(function) or ""
    is_estimator = isinstance(owner, BaseEstimator)
    if is_estimator:  # scikit-learn's own warnings
        doc += "\n\nWarns\n-----\nConvergenceWarning, DataConversionWarning\n"
    return _documented(getattr(function, "__qualname__", repr(function)), doc, is_estimator)


def has_raises(function):
    return bool(documented(function)[0])


def _is_deliberate(error):
    """Return whether an exception comes from a ``raise`` of ours or of scikit-learn."""
    if isinstance(error, NAMES_ITSELF):
        return True
    if any(words in str(error) for words in UNDERSTOOD):
        return True
    places = list(traceback.walk_tb(error.__traceback__))
    files = [frame.f_code.co_filename for frame, _ in places]
    if any(f"{os.sep}sklearn{os.sep}" in file for file in files[len(files) - _n_foreign(files) :]):
        return True
    last = error.__traceback__
    while last.tb_next is not None:
        last = last.tb_next
    return files[-1].startswith(str(PACKAGE)) and last.tb_frame.f_code.co_code[last.tb_lasti] == RAISE


def _n_foreign(files):
    """Return the number of frames below our last one."""
    return next((n for n, file in enumerate(reversed(files)) if file.startswith(str(PACKAGE))), len(files))


def _format_call(function, args, kwargs):
    words = [f"{value!r:.400}" for value in args] + [f"{name}={value!r:.400}" for name, value in kwargs.items()]
    return f"{getattr(function, '__qualname__', function)}({', '.join(words)})"


def _fingerprint(value, depth=0):
    """Return a value that differs if an argument was changed; None for kinds that nothing would change."""
    if isinstance(value, Objects):
        value = value.images
    if isinstance(value, torch.Tensor):
        return None if value.is_meta else value.detach().cpu().numpy().tobytes()
    if isinstance(value, np.ndarray):
        return repr(value) if value.dtype.hasobject else value.tobytes()
    if isinstance(value, xr.DataArray):
        value = value.to_dataset(name="__values__")
    if isinstance(value, xr.Dataset):
        return repr(value.attrs), {
            name: (v.dims, repr(v.attrs), _fingerprint(v.values)) for name, v in value.variables.items()
        }
    if isinstance(value, (list, tuple)) and len(value) < 20 and depth < 3:
        return [_fingerprint(one, depth + 1) for one in value]
    if isinstance(value, dict) and depth < 3:
        return {repr(key): _fingerprint(one, depth + 1) for key, one in value.items()}
    return None


def _global_generators():
    kind, keys, position, *_ = np.random.get_state()  # noqa: NPY002
    return kind, keys.tobytes(), position, torch.default_generator.get_state().numpy().tobytes()


def _assert_same(one, two, what):
    assert type(one) is type(two), what
    if isinstance(one, (tuple, list)):
        assert len(one) == len(two), what
        for first, second in zip(one, two, strict=True):
            _assert_same(first, second, what)
    elif isinstance(one, dict):
        _assert_same(list(one.values()), list(two.values()), what)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one.nan_to_num(), two.nan_to_num()), f"another result the second time: {what}"
    elif isinstance(one, np.ndarray):
        assert one.dtype == two.dtype, what
        np.testing.assert_array_equal(one, two, err_msg=what)
    elif isinstance(one, (xr.DataArray, xr.Dataset)):
        assert one.identical(two), f"another result the second time: {what}"
    elif isinstance(one, (str, int, float, type(None), Path)):
        assert one == two or (one != one and two != two), f"another result the second time: {what}"


# hostile inputs

HUGE = (10**12, 2**63 - 1, 2**63, 2**70, 10**30)
WORDS = (
    "",
    " ",
    "rotate",
    "random",
    "auto",
    "\x00",
    "é",
    "日本語",
    "🦆",
    "a" * 5_000,
    "../..",
    "nan",
    "0",
    "-1",
    "{}",
    "%s",
)
ODD_VALUES = (
    None, True, False, ..., NotImplemented, 0, -1, 1, 2, 3, -(2**63), *HUGE, 0.0, -0.0, 0.5, -1.5, 1e300, -1e-300,
    float("nan"), float("inf"), -float("inf"), 1j, *WORDS, b"", b"rotate", b"\xff\x00", int, dict, ValueError,
    np.float32(0.5), np.int64(-3), np.uint8(200), np.bool_(True), np.str_("rotate"), np.datetime64("2024-01-01"),
    torch.nn.ReLU, len,
)  # fmt: skip
ODD_MAKERS = (
    list, dict, set, tuple, object, lambda: (lambda *_: None), lambda: [[]], lambda: [[1], [1, 2]], lambda: {"a": 1},
    lambda: [None], lambda: ["rotate", "rotate"], lambda: ["rotate", 3], lambda: iter([1, 2]), lambda: (1,),
    lambda: (1, 2, 3), lambda: [0, 1] * 5, lambda: ["a", 1, None], lambda: (i for i in range(3)), lambda: {1, 2},
    lambda: range(3), lambda: slice(None), lambda: slice(0, 0), lambda: bytearray(3),
    lambda: memoryview(b"abc"), lambda: xr.DataArray([1.0, np.nan], dims="seed"), lambda: xr.DataArray(1.0),
    lambda: xr.Dataset(), lambda: xr.Dataset({"a": ("seed", [1, 2])}, {"seed": [0, 0]}), torch.nn.Identity,
    lambda: torch.nn.Linear(2, 2), lambda: torch.zeros(2, 3), lambda: torch.zeros(2, requires_grad=True),
    lambda: torch.zeros(4, 4, 4, 3, requires_grad=True), lambda: torch.zeros(2, device="meta"),
    lambda: Path("nowhere"), lambda: np.random.default_rng(0),
    lambda: np.random.RandomState(0), lambda: np.ma.masked_array([1, 2], [True, False]),
    lambda: _endless(),
)  # fmt: skip
DTYPES = (
    "uint8", "int8", "uint16", "int64", "uint64", "float16", "float32", "float64", "longdouble", "complex64", "bool",
    "U3", "S3", "object", "datetime64[s]", "timedelta64[s]", ">f4", ">i8", "V4", [("a", "f4"), ("b", "u1")],
)  # fmt: skip
SHAPES = (
    (), (0,), (1,), (4,), (0, 0), (1, 1), (4, 0), (4, 12), (4, 192), (8, 8, 3), (4, 8, 8), (0, 8, 8, 3), (4, 0, 8, 3),
    (4, 8, 8, 0), (4, 8, 8, 1), (4, 8, 8, 3), (4, 8, 8, 4), (4, 3, 8, 8), (1, 1, 1, 3), (1, 8, 8, 3), (2, 4, 8, 8, 3),
    (4, 9, 8, 3), (1,) * 32,
)  # fmt: skip


def _endless():
    value = []
    value.append(value)
    return value


@st.composite
def odd_arrays(draw, dtypes=DTYPES):
    """Draw arrays of any shape and dtype; those of floats may hold NaN, infinities and extreme numbers."""
    shape, dtype = draw(st.sampled_from(SHAPES)), np.dtype(draw(st.sampled_from(dtypes)))
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    values = generator.integers(0, 3, shape)
    if dtype.kind == "V" or dtype.kind in "mM":
        array = np.zeros(shape, dtype)
    else:
        array = np.asarray(values).astype(dtype)
    if dtype.kind in "fc" and array.size:
        worst = draw(st.sampled_from([0.5, 0, -1, 255, 1e-30, 6e4, np.nan, np.inf, -np.inf, None]))
        if worst is None:
            array = np.full(shape, np.finfo(dtype).max, dtype)
        else:
            array.flat[generator.integers(array.size)] = worst
    if dtype.kind == "O" and array.size:
        array.flat[0] = draw(odd_scalars())
    return draw(layouts(array))


def odd_scalars():
    return st.one_of(
        st.sampled_from(ODD_VALUES),
        st.integers(-(2**70), 1).filter(lambda n: n < 2),
        st.floats(),
        st.text(max_size=8),
        st.binary(max_size=8),
    )


def odd():
    """Draw anything."""
    return st.one_of(odd_scalars(), st.sampled_from(ODD_MAKERS).map(lambda make: make()), odd_arrays(DTYPES[:-2]))


def spoil(draw, arguments, keep=()):
    """Replace some arguments, most often none or one, by anything."""
    names = [name for name in arguments if name not in keep]
    n = draw(st.sampled_from([0, 0, 0, 1, 1, 2]))
    for name in draw(st.lists(st.sampled_from(names), min_size=n, max_size=n)) if names else ():
        arguments = arguments | {name: draw(odd())}
    return arguments


# valid inputs


@st.composite
def layouts(draw, array):
    """Draw another memory layout of the same values."""
    how = draw(st.sampled_from(["as it is", "read-only", "Fortran", "strided", "backward"]))
    if how == "read-only":
        array = array.copy()
        array.flags.writeable = False
    elif how == "Fortran":
        array = np.asfortranarray(array)
    elif how == "strided" and array.ndim and array.size:
        array = np.repeat(array, 2, axis=-1)[..., ::2]
    elif how == "backward" and array.ndim:
        array = np.ascontiguousarray(array[::-1])[::-1]
    return array


@st.composite
def images(draw, n=(1, 6), height=(1, 9), width=None, n_channels=3, dtypes=("uint8", "float32", "float64", "float16")):
    """Draw valid images."""
    shape = (draw(st.integers(*n)), draw(st.integers(*height)), draw(st.integers(*(width or height))), n_channels)
    dtype = draw(st.sampled_from(dtypes))
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    array = generator.integers(256, size=shape, dtype=np.uint8)
    constant = draw(st.sampled_from([None, None, None, 0, 255]))
    if constant is not None:
        array[:] = constant
    if dtype != "uint8":
        array = (array / 255).astype(dtype)
    return draw(layouts(array))


@st.composite
def tensors(draw, n=(1, 4), side=(1, 12), n_channels=(3, 4)):
    """Draw images as the tensors that transformations get."""
    shape = (
        draw(st.integers(*n)),
        draw(st.sampled_from(n_channels)),
        draw(st.integers(*side)),
        draw(st.integers(*side)),
    )
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    array = generator.random(shape, dtype=np.float32)
    if draw(st.booleans()):
        array = array.round()
    if draw(st.booleans()):
        array[:, 3:] = 0.0  # fully transparent
    tensor = torch.from_numpy(array)
    return tensor.to(memory_format=torch.channels_last) if draw(st.booleans()) else tensor


@st.composite
def labels(draw, n, n_classes=(2, 3)):
    """Draw n valid labels of some kind, of at least two classes if n allows."""
    names = draw(
        st.sampled_from([
            [0, 1, 2], [2, 0, 5], [-7, 3, 10**6], ["b", "a", "ü"], ["", " ", "x" * 50], [False, True, True],
            [0.0, 1.0, 2.0],
        ])
    )  # fmt: skip
    numbers = np.random.default_rng(draw(st.integers(0, 99))).integers(0, draw(st.integers(*n_classes)), n)
    numbers[:2] = [0, 1][:n]
    y = np.array(names)[numbers]
    how = draw(st.sampled_from(["array", "list", "object", "read-only"]))
    if how == "list":
        return y.tolist()
    if how == "object" and y.dtype.kind == "U":
        return y.astype(object)
    if how == "read-only":
        y.flags.writeable = False
    return y


def seeds():
    return st.one_of(st.integers(0, 9), st.sampled_from([2**31 - 1, 2**32 - 1]))


def random_states():
    return st.one_of(seeds(), st.none(), st.sampled_from([0, 1]).map(np.random.RandomState))


@st.composite
def damaged(draw, data):
    """Draw the given bytes with some bits flipped, cut or lengthened, or other bytes altogether."""
    how = draw(st.sampled_from(["flip", "flip", "cut", "grow", "swap", "other"]))
    data = bytearray(data)
    if how == "other" or not data:
        return draw(st.binary(max_size=300))
    if how == "cut":
        return bytes(data[: draw(st.integers(0, len(data) - 1))])
    if how == "grow":
        return bytes(data) + draw(st.binary(min_size=1, max_size=50))
    if how == "swap":
        start, length = draw(st.integers(0, len(data) - 1)), draw(st.integers(1, 64))
        data[start : start + length] = draw(st.binary(min_size=length, max_size=length))
        return bytes(data)
    for place in draw(st.lists(st.integers(0, len(data) - 1), min_size=1, max_size=4)):
        data[place] ^= 1 << draw(st.integers(0, 7))
    return bytes(data)


def names(min_size=0, max_size=6):
    """Draw names of all sorts, without surrogates, which cannot be encoded."""
    return st.one_of(st.text(max_size=8), st.sampled_from(["", " ", "rotate", "日本語", "a/b", "🦆", "x" * 200]))


@st.composite
def cubes(draw, dims, most=3, coordinates=True, dtype=float):
    """Draw an array over the given dimensions, with labels of some kind, gaps and extreme values."""
    labels = {}
    for dim, given in dims.items():
        if given is None:
            n = draw(st.integers(0, most))
            given = draw(st.sampled_from([
                list(range(n)), [f"{dim}{i}" for i in range(n)], [0.5 * i for i in range(n)],
                [str(10**i) for i in range(n)],
            ]))  # fmt: skip
        labels[dim] = given
    shape = [len(values) for values in labels.values()]
    values = np.random.default_rng(draw(st.integers(0, 99))).random(shape)
    how = draw(
        st.sampled_from(["random", "random", "constant", "huge", "tiny", "negative", "missing", "infinite", "whole"])
    )
    if how == "constant":
        values[:] = 0.5
    elif how == "huge":
        values *= 1e150
    elif how == "tiny":
        values *= 1e-200
    elif how == "negative":
        values = values - 1
    elif how == "missing":
        values[:] = np.nan
    elif how == "infinite" and values.size:
        values.flat[0] = np.inf
    elif how == "whole":
        values = values.round()
    if values.size and draw(st.booleans()):
        gaps = np.random.default_rng(draw(st.integers(0, 99))).random(shape) < draw(st.sampled_from([0.1, 0.5, 0.9]))
        values[gaps] = np.nan
    array = xr.DataArray(values.astype(dtype), labels if coordinates else None, list(labels))
    order = draw(st.permutations(list(labels)))
    return array.transpose(*order)
