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
import itertools
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
from hypothesis.extra import numpy as hnp
from sklearn.base import BaseEstimator

import invtransfer
from invtransfer import storage
from invtransfer.objects import Objects

PACKAGE = Path(invtransfer.__file__).parent
LIMIT = 30  # seconds for one call: a thousand times what most take, as machines may be busy
OF_SCIKIT_LEARN = (ValueError, TypeError, sklearn.exceptions.NotFittedError)
WARNINGS_OF_SCIKIT_LEARN = (sklearn.exceptions.ConvergenceWarning, sklearn.exceptions.DataConversionWarning)
RAISE = dis.opmap["RAISE_VARARGS"]  # what a `raise` is compiled to
NAMES_ITSELF = (KeyError, OSError)  # Python's own messages name the key or the path
UNDERSTOOD = ("truth value of a", "embedded null byte")  # arrays in place of words, and impossible paths


class Refused(Exception):  # noqa: N818
    """A call raised an exception that its docstring names, so nothing is left to check."""


class Hang(BaseException):
    """A call takes too long; a BaseException, so that no `except Exception` catches it."""


# the judge


def call(function, /, *args, changes=(), again=False, **kwargs):
    """Return the result of a call; raise `Refused` if it raises what it may, and AssertionError if anything is wrong.

    The call must leave its arguments as they were, except at the positions in `changes`. With `again`, a second call
    must return the same.
    """
    before = [_fingerprint(value) for value in (*args, *kwargs.values())]
    generators = _global_generators()
    try:
        result = _call_once(function, args, kwargs)
        if again:
            once_more = _fingerprint(_call_once(function, args, kwargs))
            assert _fingerprint(result) == once_more, f"{_format_call(function, args, kwargs)} returned two results"
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
    except Hang as error:
        raise AssertionError(f"{_format_call(function, args, kwargs)} took more than {LIMIT} s") from error
    except Exception as error:
        if isinstance(error, allowed) and _is_deliberate(error):
            raise Refused from error
        why = "but not on purpose" if isinstance(error, allowed) else "which its docstring does not name"
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if str(PACKAGE) in frame.filename] or frames
        raise AssertionError(
            f"{_format_call(function, args, kwargs)} raised {type(error).__name__}, {why}: {error!s:.300}"
            f" ({ours[-1].name}: {ours[-1].line})"
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
def _read(doc):
    """Return the exceptions in the section "Raises" of a docstring, and the warnings that it names anywhere."""
    section = re.search(r"^Raises\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", doc, re.MULTILINE | re.DOTALL)
    names = re.findall(r"\w+", " ".join(re.findall(r"^\w.*$", section[1], re.MULTILINE))) if section else []
    assert all(map(_find, names)), f"exceptions that are not known are documented: {names}"
    harmless = map(_find, re.findall(r"\b\w+Warning\b", doc))
    return tuple(map(_find, names)), tuple(filter(None, harmless))


def _find(exception):
    places = (builtins, storage, sklearn.exceptions)
    return next((getattr(place, exception) for place in places if hasattr(place, exception)), None)


def documented(function):
    """Return the exceptions and the warnings that the docstring of a callable names."""
    function = getattr(function, "func", function)
    allowed, harmless = _read(inspect.getdoc(function) or "")
    if isinstance(getattr(function, "__self__", None), BaseEstimator):
        return allowed + OF_SCIKIT_LEARN, harmless + WARNINGS_OF_SCIKIT_LEARN
    return allowed, harmless


def _is_deliberate(error):
    """Return whether an exception comes from a ``raise`` of ours or of scikit-learn."""
    if isinstance(error, NAMES_ITSELF):
        return True
    if any(words in str(error) for words in UNDERSTOOD):
        return True
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    below_ours = itertools.takewhile(lambda file: not file.startswith(str(PACKAGE)), reversed(files))
    if any(f"{os.sep}sklearn{os.sep}" in file for file in below_ours):
        return True
    last = error.__traceback__
    while last.tb_next is not None:
        last = last.tb_next
    return files[-1].startswith(str(PACKAGE)) and last.tb_frame.f_code.co_code[last.tb_lasti] == RAISE


def _format_call(function, args, kwargs):
    words = [f"{value!r:.400}" for value in args] + [f"{name}={value!r:.400}" for name, value in kwargs.items()]
    return f"{getattr(function, '__qualname__', function)}({', '.join(words)})"


def _fingerprint(value, depth=0):
    """Return a value that differs if an argument was changed, or a second result is another than the first."""
    if isinstance(value, Objects):
        value = (value.images, value.names)
    if isinstance(value, torch.Tensor) and not value.is_meta:
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, repr(value) if value.dtype.hasobject else value.tobytes()
    if isinstance(value, xr.DataArray):
        return value.name, _fingerprint(value.to_dataset(name="__values__"))
    if isinstance(value, xr.Dataset):
        variables = {name: (v.dims, repr(v.attrs), _fingerprint(v.values)) for name, v in value.variables.items()}
        return repr(value.attrs), sorted(map(repr, value.coords)), variables
    if isinstance(value, (list, tuple)) and depth < 3:
        return type(value), [_fingerprint(one, depth + 1) for one in value]
    if isinstance(value, dict) and depth < 3:
        return {repr(key): _fingerprint(one, depth + 1) for key, one in value.items()}
    return repr(value) if isinstance(value, (str, int, float, Path)) else type(value)


def _global_generators():
    kind, keys, position, *_ = np.random.get_state()  # noqa: NPY002
    return kind, keys.tobytes(), position, torch.default_generator.get_state().numpy().tobytes()


# hostile inputs

ODD_VALUES = (
    None, True, False, ..., NotImplemented, 0, -1, 1, 2, 3, -(2**63), 10**12, 2**63 - 1, 2**63, 2**70, 10**30, 0.0,
    -0.0, 0.5, -1.5, 1e300, -1e-300, float("nan"), float("inf"), -float("inf"), 1j, "", " ", "rotate", "random", "auto",
    "\x00", "é", "日本語", "🦆", "a" * 5_000, "../..", "nan", "0", "-1", "{}", "%s", b"", b"rotate", b"\xff\x00", int,
    dict, ValueError, np.float32(0.5), np.int64(-3), np.uint8(200), np.bool_(True), np.str_("rotate"),
    np.datetime64("2024-01-01"), torch.nn.ReLU, len,
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
    """Draw arrays of any shape and dtype, which may hold NaN, infinities and extreme numbers."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    elements = {"object": odd_scalars(), "|V4": st.binary(max_size=4)}.get(str(dtype))
    return draw(layouts(draw(hnp.arrays(dtype, st.sampled_from(SHAPES), elements=elements))))


def odd_scalars():
    numbers = st.integers(-(2**70), 1) | st.floats()
    return st.sampled_from(ODD_VALUES) | numbers | st.text(max_size=8) | st.binary(max_size=8)


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


def layouts(array):
    """Draw the same values in another memory layout."""
    read_only = array.copy()
    read_only.flags.writeable = False
    ways = [array, read_only, np.asfortranarray(array)]
    if array.ndim and array.size:
        ways += [np.repeat(array, 2, axis=-1)[..., ::2], np.ascontiguousarray(array[::-1])[::-1]]
    return st.sampled_from(ways)


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


def checked_images(**options):
    """Draw images as they are behind the public door."""
    return images(**options, dtypes=("uint8", "float32"))


@st.composite
def tensors(draw, n=(1, 4), side=(1, 12), n_channels=(3, 4)):
    """Draw images as the tensors that transformations get."""
    array = draw(images(n, side, n_channels=draw(st.sampled_from(n_channels)), dtypes=("float32",))).transpose(
        0, 3, 1, 2
    )
    tensor = torch.from_numpy(array.copy())
    if draw(st.booleans()):
        tensor = tensor.round()
    if draw(st.booleans()):
        tensor[:, 3:] = 0.0  # fully transparent
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
    numbers = draw(hnp.arrays(int, n, elements=st.integers(0, draw(st.integers(*n_classes)) - 1)))
    numbers[:2] = [0, 1][:n]
    y = np.array(names)[numbers]
    return draw(st.sampled_from([y.tolist(), y.astype(object)]) | layouts(y))


def seeds():
    return st.one_of(st.integers(0, 9), st.sampled_from([2**31 - 1, 2**32 - 1]))


def random_states():
    return st.one_of(seeds(), st.none(), st.sampled_from([0, 1]).map(np.random.RandomState))


@st.composite
def damaged(draw, data):
    """Draw the given bytes, of which some are other ones, missing, or more."""
    start = draw(st.integers(0, len(data)))
    n_lost = draw(st.sampled_from([0, 1, 1, 1, 16, 64, len(data)]))
    n_new = draw(st.sampled_from([n_lost, n_lost, 0, 16])) if n_lost < 99 else 0
    return data[:start] + draw(st.binary(min_size=n_new, max_size=n_new)) + data[start + n_lost :]


def names(min_size=0, max_size=6):
    """Draw names of all sorts, without surrogates, which cannot be encoded."""
    return st.one_of(st.text(max_size=8), st.sampled_from(["", " ", "rotate", "日本語", "a/b", "🦆", "x" * 200]))


@st.composite
def cubes(draw, dims):
    """Draw an array over the given dimensions, with gaps and extreme values; those that are None get labels, too."""
    labels = {}
    for dim, given in dims.items():
        n = draw(st.integers(0, 3))
        kinds = [range(n), [f"{dim}{i}" for i in range(n)], [0.5 * i for i in range(n)], [str(10**i) for i in range(n)]]
        labels[dim] = list(draw(st.sampled_from(kinds))) if given is None else given
    elements = st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0, np.nan, np.nan, np.inf])
    values = draw(hnp.arrays(float, [len(values) for values in labels.values()], elements=elements))
    array = xr.DataArray(values * draw(st.sampled_from([1, 1, 1, -1, 1e150, 1e-200])), labels, list(labels))
    order = draw(st.permutations(list(labels)))
    return array.transpose(*order)
