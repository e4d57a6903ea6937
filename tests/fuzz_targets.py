"""Targets of test_fuzzing.py: for every public callable what to call it with, and what must be true of the result.

A target is a function of hypothesis' `draw`, under the names that it covers; `call` judges what comes out. To add one,
write it; test_fuzzing.py says which are missing.
"""

import contextlib
import copy
import functools
import inspect
import io
import json
import math
import pickle
import pkgutil
import struct
import tempfile
import zlib
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from fuzzed_inputs import (
    Refused,
    call,
    cubes,
    damaged,
    images,
    labels,
    layouts,
    names,
    odd,
    odd_arrays,
    random_states,
    seeds,
    spoil,
    tensors,
)
from hypothesis import strategies as st
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

import invtransfer
from invtransfer import analysis, randomness
from invtransfer import images as doors
from invtransfer.encoders import encoding
from invtransfer.networks import architectures as networks
from invtransfer.networks import devices, training
from invtransfer.paper import claims, datasets, grids, images_with_objects, inputs, presets, tasks, timing
from invtransfer.published import compare_to_published, format_comparison
from invtransfer.sources import cifar, pasting
from invtransfer.transformations import TRANSFORMATIONS, Transformation, apply_transformations

NOT_FUZZED = {  # modules, of which only what a package exports has targets, and names
    "CifarSizes": "a tuple",
    "format_status": "reads what runs leave",
    "main": "command line of studies",
    "plot_fine_tuning": "takes the cube of one study",
    "plot_invariance_transfer": "takes the cube of one study",
    "plot_irrelevant_features": "takes the cube of one study",
    "plot_mismatch": "takes the cube of one study",
    "plot_relevance": "takes the cube of one study",
    "run_study": "runs processes",
    "invtransfer.analysis.checks": "called by functions of analysis",
    "invtransfer.cubes.cells": "runs processes",
    "invtransfer.cubes.executors": "runs processes",
    "invtransfer.cubes.records": "what runs leave",
    "invtransfer.cubes.running": "runs processes",
    "invtransfer.cubes.status": "reads what runs leave",
    "invtransfer.estimators.network_classifier": "abstract; two estimators have its methods",
    "invtransfer.networks.checkpoints": "part of training",
    "invtransfer.objects.drawing": "takes nothing from outside: draws the objects",
    "invtransfer.objects.folders": "read by load_objects and load_backgrounds",
    "invtransfer.objects.landscapes": "takes nothing from outside",
    "invtransfer.objects.things": "takes nothing from outside",
    "invtransfer.paper.command_line": "command line of studies",
    "invtransfer.plots.axes": "part of figures",
    "invtransfer.plots.panels": "part of figures",
    "invtransfer.published.joins": "part of a comparison",
    "invtransfer.published.tables": "part of a comparison",
    "invtransfer.transformations.corruption": "applied through TRANSFORMATIONS",
    "invtransfer.transformations.draws": "applied through TRANSFORMATIONS",
    "invtransfer.transformations.geometric": "applied through TRANSFORMATIONS",
    "invtransfer.transformations.photometric": "applied through TRANSFORMATIONS",
}
TARGETS = {}  # name of a callable -> its target
LONG = "a" * 1_000  # more than names of files may be
SHARED = {}  # name of a target -> the names that it covers


def target(*covered, cost=1):
    """Register a target; `cost` is how many times fewer inputs it gets, where one takes long."""

    def register(function):
        for name in covered:
            assert name not in TARGETS, f"{name} has two targets"
            TARGETS[name] = function
        function.cost = cost
        SHARED[function.__name__] = covered
        return function

    return register


@functools.cache
def public_callables():
    """Return the public functions and classes of all modules, and the public methods of classes, by name."""
    found = {}
    for module in pkgutil.walk_packages(invtransfer.__path__, "invtransfer."):
        if module.name == "invtransfer.__main__":
            continue
        members = vars(import_module(module.name))
        for name, thing in members.items():
            home = getattr(thing, "__module__", None)
            exported = name in members.get("__all__", ())
            ours = exported if home != module.name else module.name not in NOT_FUZZED and not name.startswith("_")
            if callable(thing) and ours and name not in NOT_FUZZED:
                assert found.get(name, thing) is thing, f"two modules have {name}: {home}, {found[name].__module__}"
                found |= _with_methods(name, thing)
    return found


def _with_methods(name, thing):
    """Return a callable and its methods by name; exceptions and abstract classes have no targets."""
    if not inspect.isclass(thing):
        return {name: thing}
    if issubclass(thing, Exception) or inspect.isabstract(thing):
        return {}
    functions = {method: inspect.getattr_static(thing, method) for method in dir(thing) if not method.startswith("_")}
    ours = {
        f"{name}.{method}": getattr(thing, method)
        for method, function in functions.items()
        if inspect.isfunction(function) and (function.__module__ or "").startswith("invtransfer")
    }
    return {name: thing} | ours


def public(name):
    """Return a public callable of the package by its name, whichever module it is in."""
    return public_callables()[name]


@functools.cache
def few_objects():
    return invtransfer.load_objects("procedural", size=16)[:8]


# the image contract


@target("check_images")
def check_images(draw):
    X = draw(st.one_of(images(), images(), odd_arrays(), odd()))
    checked = call(doors.check_images, X, draw(names()), again=True)
    assert checked.ndim == 4
    assert checked.shape[3] == 3
    assert checked.size
    assert checked.dtype in (np.uint8, np.float32)
    assert checked.dtype == np.uint8 or (checked.min() >= 0 and checked.max() <= 1)
    if isinstance(X, np.ndarray) and X.dtype == np.uint8:
        assert np.shares_memory(checked, X)


@target("check_labels")
def check_labels(draw):
    n = draw(st.integers(1, 5))
    y = draw(st.one_of(labels(n), odd()))
    assert call(doors.check_labels, y, n, draw(names())).shape == (n,)


@target("find_classes")
def find_classes(draw):
    y = draw(st.sampled_from([np.array(["b", "a"]), np.arange(9), np.zeros(3), np.array([0.5, 1.5]), np.array([True])]))
    classes, codes = call(public("find_classes"), y, again=True)
    np.testing.assert_array_equal(classes[codes], y)


@target("check_count")
def check_count(draw):
    low = draw(st.integers(-3, 3))
    high = draw(st.one_of(st.none(), st.integers(low, 9)))
    n = call(doors.check_count, draw(st.one_of(st.integers(-5, 12), odd())), draw(names()), low=low, high=high)
    assert type(n) is int
    assert low <= n <= (math.inf if high is None else high)


@target("check_image_shape")
def check_image_shape(draw):
    shape = draw(st.one_of(st.just((8, 8, 3)), st.lists(st.integers(-1, 9), max_size=4).map(tuple), odd()))
    call(doors.check_image_shape, shape)
    height, width, n_channels = shape
    assert min(height, width) >= 1
    assert n_channels == 3


@target("validate_input", "validate_validation")
def validate_input(draw):
    estimator = invtransfer.FrozenFeatureProbe(image_shape=draw(st.sampled_from([None, (8, 8, 3), (4, 4, 3)])))
    X = draw(st.sampled_from([None, images(n=(4, 4), height=(8, 8)), flat_images(4)]))
    X = draw(odd() if X is None else X)
    y = draw(st.one_of(labels(4), odd()))
    X, y = call(doors.validate_input, estimator, X, y, reset=True, changes=(0,))
    assert X.ndim == 4
    assert len(X) == len(y)
    estimator.classes_ = np.unique(y)
    X_val = draw(st.one_of(images(n=(4, 4), height=(8, 8)), flat_images(4), odd()))
    y_val = draw(st.one_of(labels(4), st.just(y), odd()))
    X_val, codes = call(doors.validate_validation, estimator, X_val, y_val)
    if X_val is not None:
        assert X_val.shape[1:] == X.shape[1:]
        assert (estimator.classes_[codes] == np.asarray(y_val)).all()


@st.composite
def flat_images(draw, n, side=8):
    """Draw images as rows, in [0, 1] or of any range."""
    X = draw(images(n=(n, n), height=(side, side)))
    factor = 1 if X.dtype == np.float16 else draw(st.sampled_from([1, 1, -40.0, 1e6]))
    return draw(layouts((X * factor).reshape(n, -1)))


@target("to_tensor")
def to_tensor(draw):
    X = draw(images(n_channels=draw(st.sampled_from([1, 3])), dtypes=("uint8", "float32", "float64")))
    flat = draw(st.booleans())
    tensor = call(doors.to_tensor, X.reshape(len(X), -1) if flat else X, again=True)
    assert tensor.dtype == torch.float32
    assert tuple(tensor.shape) == ((len(X), X[0].size) if flat else (len(X), X.shape[3], *X.shape[1:3]))
    assert tensor.min() >= 0
    assert tensor.max() <= 1


# randomness


@target("derive_generator", "derive_seed")
def derive(draw):
    seed, stream, index = draw(st.integers(0, 2**80)), draw(names()), draw(st.integers(0, 2**62))
    one, two = (call(randomness.derive_generator, seed, stream, index) for _ in range(2))
    assert one.random() == two.random()
    state = draw(st.one_of(random_states(), odd()))
    derived = call(randomness.derive_seed, state, stream, again=isinstance(state, int))
    assert 0 <= derived < 2**32


# transformations


@target("Transformation")
def transformation(draw):
    rotate = TRANSFORMATIONS["rotate"]
    given = {"name": draw(names()), "category": "geometric", "draw": rotate.draw, "apply": rotate.apply}
    made = call(Transformation, **spoil(draw, given))
    assert repr(made.name) in repr(made)


@target("get_transformations")
def get_transformations(draw):
    known = st.sampled_from([*TRANSFORMATIONS, *TRANSFORMATIONS.values()])
    chosen = draw(st.one_of(st.lists(known, max_size=3), st.lists(st.one_of(known, odd()), max_size=3), odd()))
    chosen = list(chosen) if isinstance(chosen, (set, tuple, range)) else chosen
    found = call(public("get_transformations"), chosen)
    assert len({one.name for one in found}) == len(found)


@target("apply_transformations", "to_tensors")
def apply_all(draw):
    X = draw(tensors(n=(0, 5)))
    chosen = [TRANSFORMATIONS[name] for name in draw(st.lists(st.sampled_from(list(TRANSFORMATIONS)), max_size=4))]
    generator, shape = np.random.default_rng(draw(seeds())), tuple(X.shape[2:])
    drawn = [call(one.draw, len(X), generator, shape, changes=(1,)) for one in chosen]
    for one in drawn:
        assert {len(values) for values in one.values()} == {len(X)}
        assert all(torch.is_tensor(value) for value in call(public("to_tensors"), one).values())
    if draw(st.booleans()):
        changed = call(apply_transformations, X, chosen, drawn, again=True)
        _assert_images_like(changed, X)
        assert not chosen or len(X) == 0 or changed.data_ptr() != X.data_ptr()
    for one, parameters in zip(chosen, drawn, strict=True):
        _assert_images_like(call(one.apply, X, **public("to_tensors")(parameters), again=True), X)
    with contextlib.suppress(Refused):
        call(apply_transformations, X, chosen, [*drawn, {}])
        raise AssertionError("one entry too many was taken")


EXTREMES = {
    "angle": (-1e4, 1e4), "factor": (0.0, 100.0), "angles": (-89.0, 89.0), "shift": (-5.0, 5.0), "sigma": (0.0, 30.0),
    "position": (0.0, 1.0), "field": (-8.0, 8.0),
}  # fmt: skip


@target("TRANSFORMATIONS")
def apply_extremes(draw):
    name = draw(st.sampled_from(list(TRANSFORMATIONS)))
    one, X = TRANSFORMATIONS[name], draw(tensors())
    parameters = one.draw(len(X), np.random.default_rng(draw(seeds())), tuple(X.shape[2:]))
    for key, values in parameters.items():
        if key == "applied":
            parameters[key] = np.full(len(X), draw(st.booleans()))
        elif draw(st.booleans()):
            low, high = EXTREMES[key]
            low = 0.01 if name == "scale" else -1.0 if name == "elastic" else low
            high = 1.0 if name == "elastic" else high
            parameters[key] = np.full_like(values, draw(st.one_of(st.sampled_from([low, high]), st.floats(low, high))))
    _assert_images_like(call(one.apply, X, **public("to_tensors")(parameters), again=True), X)


def _assert_images_like(changed, X):
    assert changed.shape == X.shape
    assert changed.dtype == torch.float32
    assert torch.isfinite(changed).all()
    assert not len(X) or (changed.min() >= 0 and changed.max() <= 1 + 1e-6)


# objects


@target("Objects")
def objects(draw):
    n, side = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    pixels = draw(images(n=(n, n), height=(side, side), n_channels=4, dtypes=("uint8",)))
    pixels = draw(st.one_of(st.just(pixels[:, :, :side]), odd_arrays()))
    given = {"images": pixels, "names": tuple(draw(st.lists(names(), min_size=n, max_size=n, unique=True)))}
    made = call(invtransfer.Objects, **spoil(draw, given))
    assert len(made) == len(made.names) == len(made.images)
    assert str(len(made)) in call(made.__repr__)
    key = draw(
        st.one_of(
            st.integers(-5, 5), st.slices(len(made)), st.sampled_from(made.names), odd(),
            st.lists(st.sampled_from(made.names)), st.lists(st.booleans(), max_size=4),
            st.lists(st.integers(-5, 5)).map(np.array),
        )
    )  # fmt: skip
    chosen = call(made.__getitem__, key)
    assert set(chosen.names) <= set(made.names)
    if isinstance(key, str):
        assert chosen.names == (key,)


def png(width, height, mode="RGBA", suffix="PNG"):
    file = io.BytesIO()
    array = np.random.default_rng(width).integers(256, size=(height, width, len(mode)), dtype=np.uint8)
    Image.fromarray(array).save(file, suffix)
    return file.getvalue()


def bomb(width=2**31 - 1, height=2**31 - 1):
    """Return a PNG file whose header asks for more than anyone has, with valid checksums."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")


@st.composite
def picture_files(draw):
    suffix = draw(st.sampled_from(["PNG", "JPEG", "WEBP"]))
    data = png(draw(st.integers(1, 20)), draw(st.integers(1, 20)), "RGB" if suffix == "JPEG" else "RGBA", suffix)
    data = draw(st.one_of(st.just(data), damaged(data), damaged(data), st.sampled_from([bomb(), bomb(10_000, 10_000)])))
    return draw(st.sampled_from([f".{suffix.lower()}", ".png", ".JPG", ".txt"])), data


@contextlib.contextmanager
def folder_of(files):
    """Make a folder of files, by their paths; None makes a folder."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(exist_ok=True) if data is None else path.write_bytes(data)
        yield folder


@st.composite
def picture_folders(draw):
    files = {}
    for i in range(draw(st.integers(0, 3))):
        suffix, data = draw(picture_files())
        files[f"foregrounds/{draw(st.sampled_from(['cup', 'é', '.hidden', 'a b']))}/{i}{suffix}"] = data
        suffix, data = draw(picture_files())
        files[f"backgrounds/{i}{suffix}"] = data
    if draw(st.booleans()):
        files[draw(st.sampled_from(["foregrounds", "backgrounds/x.png", "foregrounds/empty", "backgrounds"]))] = None
    if draw(st.integers(0, 4)) == 0:
        files = {name: data for name, data in files.items() if not name.startswith("foregrounds")}
        files["foregrounds"] = b"a file"
    return files


@target("load_objects", "load_backgrounds")
def load_objects_and_backgrounds_of_folders(draw):
    with folder_of(draw(picture_folders())) as folder:
        known = [folder, Path(folder), "procedural", "random", "nowhere", Path(folder, "foregrounds")]
        given = {"source": draw(st.sampled_from(known)), "size": draw(st.sampled_from([8, 9, 16, np.int64(8)]))}
        given = spoil(draw, given)
        if draw(st.booleans()):
            loaded = call(invtransfer.load_backgrounds, **given, again=True)
            assert loaded.shape[1:] == (given["size"], given["size"], 3)
            assert loaded.dtype == np.uint8
        else:
            given |= spoil(draw, {"random_state": draw(seeds())})
            loaded = call(invtransfer.load_objects, **given, again=True)
            assert loaded.images.shape[1:] == (given["size"], given["size"], 4)


@target("load_objects_and_backgrounds", "identify_objects", "find_objects")
def pictures(draw):
    files = draw(picture_folders())
    if draw(st.booleans()):
        record = json.dumps({"data_set": draw(names())}).encode()
        deep = b"[" * 100_000 + b"]" * 100_000
        files["SOURCE.json"] = draw(
            st.one_of(
                st.just(record), damaged(record), st.sampled_from([deep, b"[]", b"{}", b"1", b'{"data_set": []}', None])
            )
        )
    with folder_of(files) as folder:
        folder = draw(st.sampled_from([folder, folder, folder, "nowhere", "", "\x00", LONG, "procedural", "random"]))
        function = draw(st.sampled_from(["load_objects_and_backgrounds", "identify_objects", "find_objects"]))
        result = call(public(function), folder, again=True)
        if function == "load_objects_and_backgrounds":
            found, backgrounds = result
            assert len(found)
            assert backgrounds is None or backgrounds.dtype == np.uint8
        elif function == "identify_objects":
            assert isinstance(result, str)


# pasting


@target("place_objects", "centred_box", "shift", "paste", "write_pixels")
def pasting_in_a_row(draw):
    n, share = draw(st.integers(1, 3)), draw(st.floats(0.01, 1.0))
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    left, top, side = call(pasting.centred_box, (height, width), share)
    assert 0 <= left <= left + side <= width
    assert 0 <= top <= top + side <= height
    given_side = draw(st.integers(1, 9))
    pixels = draw(images(n=(n, n), height=(given_side, given_side), n_channels=4, dtypes=("uint8",)))
    size = draw(st.sampled_from([(height, width), height]))
    placed = torch.from_numpy(call(pasting.place_objects, pixels, size, share, again=True))
    assert placed.shape[:2] == (n, 4)
    assert placed.min() >= 0
    assert placed.max() <= 1
    height, width = placed.shape[2:]
    generator = np.random.default_rng(draw(seeds()))
    offsets = generator.integers([1 - width, 1 - height], [width, height], (n, 2))
    shifted = call(pasting.shift, placed, offsets, again=True)
    assert shifted.shape == placed.shape
    below = draw(images(n=(n, n), height=(height, height), width=(width, width), dtypes=("uint8", "float32")))
    below = below.transpose(0, 3, 1, 2).copy()
    pasted = call(pasting.paste, shifted, below, again=True)
    assert pasted.shape == (n, height, width, 3)
    assert pasted.dtype == below.dtype
    assert pasted.dtype == np.uint8 or 0 <= pasted.min() <= pasted.max() <= 1 + 1e-6
    out = np.zeros_like(pasted)
    call(pasting.paste, shifted, below, out, changes=(2,))
    assert (out == pasted).all()
    call(pasting.write_pixels, torch.from_numpy(below).float(), out, changes=(1,))
    assert (out == below.transpose(0, 2, 3, 1)).all()


@target("prepare_backgrounds")
def prepare_backgrounds(draw):
    backgrounds = draw(st.one_of(images(), st.sampled_from([None, "random", "procedural"]), odd()))
    size = draw(st.integers(1, 12))
    prepared = call(pasting.prepare_backgrounds, backgrounds, size, again=True)
    if prepared is not None:
        assert prepared.shape[1:] == (3, size, size)
        assert prepared.dtype == np.uint8


# sources


def chosen_transformations():
    return st.lists(st.sampled_from([*TRANSFORMATIONS, TRANSFORMATIONS["rotate"]]), max_size=3, unique_by=str)


@target("Transforms2D", "Transforms2D.sample", "Transforms2D.twins")
def transforms_2d(draw):
    given = {
        "objects": few_objects()[: draw(st.integers(1, 8))],
        "transformations": draw(chosen_transformations()),
        "backgrounds": draw(st.one_of(st.sampled_from([None, "random"]), images())),
        "image_size": draw(st.sampled_from([2, 8, 9])),
        "random_state": draw(st.one_of(seeds(), st.just(2**70))),
    }
    source = call(invtransfer.Transforms2D, **spoil(draw, given))
    _sample(draw, source)


@target("TransformedImages", "TransformedImages.sample", "TransformedImages.twins")
def transformed_images(draw):
    X = draw(images())
    given = {
        "images": X,
        "labels": draw(st.one_of(st.none(), labels(len(X)))),
        "transformations": draw(chosen_transformations()),
        "random_state": draw(seeds()),
    }
    source = call(invtransfer.TransformedImages, **spoil(draw, given))
    _sample(draw, source)


@target("ObjectsOnImages", "ObjectsOnImages.sample", "ObjectsOnImages.twins")
def objects_on_images(draw):
    X = draw(images())
    given = {
        "objects": few_objects()[: draw(st.integers(1, 8))],
        "images": X,
        "labels": draw(st.one_of(st.none(), labels(len(X)))),
        "transformations": draw(chosen_transformations()),
        "label": draw(st.sampled_from(["image", "object"])),
        "position": draw(
            st.sampled_from(["random", (0, 0), (X.shape[2] - 1, X.shape[1] - 1), [0, 0], (-1, 0), (0.5, 0)])
        ),
        "correlation": draw(st.sampled_from([0.0, 0, 0.5, 1])),
        "availability": draw(st.sampled_from([1.0, 1, 0.5, 0])),
        "scale": draw(st.sampled_from([0.55, 1, 1e-9])),
        "random_state": draw(seeds()),
    }
    source = call(invtransfer.ObjectsOnImages, **spoil(draw, given))
    _sample(draw, source)
    changed = draw(st.one_of(st.sampled_from([None, "object", "image"]), odd()))
    X, X_twin = call(source.twins, 3, changed=changed, again=True)
    assert X.shape == X_twin.shape == (3, *source.image_shape)


def _sample(draw, source):
    """Sample, and make twins, as anyone could ask for it."""
    assert type(source).__name__ in call(source.__repr__)
    given = {
        "n": draw(st.sampled_from([1, 2, 5, 300 if source.image_shape[0] < 9 else 7])),
        "start": draw(st.sampled_from([0, 0, 1, 254, 10**15])),
        "transformations": draw(st.one_of(st.none(), chosen_transformations())),
    }
    given = spoil(draw, given)
    with contextlib.suppress(Refused):
        X, y = call(source.sample, **given, again=True)
        assert X.shape == (given["n"], *source.image_shape)
        assert X.dtype == source.dtype
        assert len(y) == given["n"]
        assert X.dtype == np.uint8 or (np.isfinite(X).all() and X.min() >= 0 and X.max() <= 1 + 1e-6)
        last, label = call(source.sample, 1, given["start"] + given["n"] - 1, given["transformations"])
        assert (last[0] == X[-1]).all()
        assert label[0] == y[-1]
    given = spoil(draw, given)
    with contextlib.suppress(Refused):
        X, X_twin = call(source.twins, **given, again=True)
        assert X.shape == X_twin.shape == (given["n"], *source.image_shape)
        if given["transformations"] is not None and not len(given["transformations"]):
            assert (X_twin == X).all()


@target("draw_rows", "draw_in_parts", "transform_whole")
def rows_of_sources(draw):
    X = draw(images(dtypes=("uint8", "float32")))
    indices = np.array(draw(st.lists(st.integers(0, 2**40), min_size=len(X), max_size=len(X))))
    given = {"random_state": draw(st.integers(0, 2**70)), "twin": draw(st.booleans())}
    chosen = [TRANSFORMATIONS[name] for name in draw(st.lists(st.sampled_from(list(TRANSFORMATIONS)), max_size=3))]
    changed = call(public("transform_whole"), X, chosen, indices, **given, again=True)
    assert changed.shape == X.shape
    assert changed.dtype == X.dtype
    for one in chosen:
        rows = call(public("draw_rows"), one, indices, X.shape[1:3], **given, again=True)
        last = call(public("draw_rows"), one, indices[-1:], X.shape[1:3], **given)
        assert all((values[-1] == last[name][0]).all() for name, values in rows.items())
    shape = draw(st.sampled_from([(1, 1), (32, 32), (4096, 4096)]))
    parts = [np.arange(len(X))[rows] for rows, _ in call(public("draw_in_parts"), [], indices, shape, **given)]
    assert np.concatenate(parts).tolist() == list(range(len(X)))


# encoders


def tiny_module(kind="linear"):
    """Return a module of a few weights, from images of 8 x 8; the same at each call."""
    torch_state = torch.get_rng_state()
    torch.manual_seed(0)
    try:
        return {
            "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.ReLU(inplace=True), nn.Linear(4, 3)),
            "convolution": lambda: nn.Sequential(
                nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1)
            ),
            "nothing": nn.Identity,
            "large images alone": lambda: nn.Sequential(nn.Conv2d(3, 2, 9), nn.Flatten()),
            "a dict": lambda: _Returns(lambda X: {"features": X}),
            "nan": lambda: _Returns(lambda X: X.flatten(1) * float("nan")),
            "scalar": lambda: _Returns(torch.sum),
        }[kind]()
    finally:
        torch.set_rng_state(torch_state)


class _Returns(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, X):
        return self.function(X)


MODULES = ("linear", "convolution", "nothing", "large images alone", "a dict", "nan", "scalar")


@functools.cache
def fitted(kind, side=8):
    X = np.random.default_rng(0).integers(256, size=(12, side, side, 3), dtype=np.uint8)
    y = np.arange(12) % 3
    if kind == "pca":
        return PCA(2).fit(X.reshape(12, -1).astype(float))
    if kind == "pipeline":
        return make_pipeline(FunctionTransformer(lambda X: X / 255.0), PCA(2)).fit(X.reshape(12, -1))
    if kind == "tuner":
        return invtransfer.FineTuner(fitted("module"), epochs=1, batch_size=6, random_state=0, device="cpu").fit(X, y)
    if kind == "module":
        return invtransfer.InvariantPretrainer(tiny_module(), epochs=1, batch_size=6, random_state=0, device="cpu").fit(
            X, y
        )
    return invtransfer.InvariantPretrainer(
        "resnet18", width=0.0625, epochs=0, batch_size=6, random_state=0, device="cpu"
    ).fit(X, y)


GOOD_ENCODERS = (
    lambda: None, *(partial(fitted, kind) for kind in ("pca", "pipeline", "module", "resnet18")),
    *(partial(tiny_module, kind) for kind in ("linear", "convolution", "nothing")),
    lambda: (lambda X: X.mean(axis=(1, 2))), lambda: (lambda X: [[1, 2]] * len(X)), lambda: (lambda X: X > 0.5),
    lambda: (lambda X: torch.ones(len(X), 2, requires_grad=True)),
)  # fmt: skip
BAD_ENCODERS = (
    *(partial(tiny_module, kind) for kind in ("large images alone", "a dict", "nan", "scalar")),
    lambda: (lambda X: X[:1]), lambda: (lambda X: None), lambda: (lambda X: X * np.nan), lambda: (lambda X: "a"),
    lambda: (lambda X: np.full((len(X), 2), 1e300)), lambda: (lambda X: np.zeros((len(X), 0))),
    lambda: (lambda X: np.array([["a"]] * len(X))), lambda: invtransfer.InvariantPretrainer,
    invtransfer.FrozenFeatureProbe, invtransfer.InvariantPretrainer, PCA,
)  # fmt: skip


@st.composite
def encoders(draw):
    return draw(st.sampled_from(BAD_ENCODERS if draw(st.integers(0, 5)) == 0 else GOOD_ENCODERS))()


def layers():
    return st.sampled_from([*[None] * 8, "", "0", "1", "3", "no such layer"])


@target("twin_sensitivity")
def twin_sensitivity(draw):
    X = draw(images(n=(2, 6), height=(8, 8)))
    X_twin = draw(st.one_of(st.just(X), images(n=(len(X), len(X)), height=(8, 8))))
    given = {
        "encoder": draw(encoders()),
        "X": X,
        "X_twin": X_twin,
        "layer": draw(layers()),
        "random_state": draw(seeds()),
    }
    given = spoil(draw, given)
    sensitivity, low, high = call(invtransfer.twin_sensitivity, **given, again=isinstance(given["random_state"], int))
    assert math.isnan(sensitivity) or sensitivity >= 0
    assert math.isnan(low) or low <= sensitivity <= high
    assert math.isnan(sensitivity) or sensitivity == 0 or given["X"] is not given["X_twin"]


@target("distances", "sensitivity_interval")
def statistics(draw):
    n = draw(st.integers(2, 9))
    generator = np.random.default_rng(draw(seeds()))
    scale = draw(st.sampled_from([0.0, 1e-30, 1.0, 1e18]))
    Z, Z_other = (generator.normal(size=(n, 3)).astype(np.float32) * scale for _ in range(2))
    measured = call(public("distances"), Z, Z_other, again=True)
    assert (measured >= 0).all()
    partners = np.roll(np.arange(n), 1)
    between = call(public("distances"), Z, Z_other[partners])
    sensitivity, low, high = call(public("sensitivity_interval"), measured, between, partners, again=True)
    assert math.isnan(low) or 0 <= low <= sensitivity <= high


@target("encode", "describe_layer", "LayerFeatures", "LayerFeatures.forward")
def encode(draw):
    X = draw(images(height=(8, 8), dtypes=("uint8", "float32")))
    given = {
        "encoder": draw(encoders()),
        "X": X,
        "batch_size": draw(st.sampled_from([1, 2, 128])),
        "layer": draw(layers()),
    }
    given = spoil(draw, given, keep=["X"])
    encoder, layer = given["encoder"], given["layer"]
    with contextlib.suppress(Refused):
        Z = call(encoding.encode, **given, again=True)
        assert Z.shape[0] == len(X)
        assert Z.ndim == 2
        assert Z.dtype == np.float32
        assert np.isfinite(Z).all()
    with contextlib.suppress(Refused):
        described = call(public("describe_layer"), encoder, layer, again=True)
        assert (described is None) != isinstance(encoder, nn.Module)
    module = draw(st.sampled_from(MODULES).map(tiny_module))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    features = call(public("LayerFeatures"), module.eval(), layer)
    with (
        contextlib.suppress(RuntimeError, ValueError),
        torch.no_grad(),
    ):  # of a shape that a layer does not take, and ours
        features(torch.zeros(2, 3, 12, 12))
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in module.modules())
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items() if "running" not in name
               and "tracked" not in name)  # fmt: skip


@target("explain_failure")
def explain_failure(draw):
    error = draw(st.sampled_from([RuntimeError("a\nb"), AssertionError(), None]))

    def fail():
        with public("explain_failure")(nn.ReLU(), (8, 8, 3)):
            if error is not None:
                raise error

    fail.__doc__ = inspect.getdoc(public("explain_failure"))
    call(fail)
    assert error is None


@target("compute_outputs", "apply_in_batches")
def compute_outputs(draw):
    X = draw(images(height=(8, 8), dtypes=("uint8", "float32", "float64")))
    module = tiny_module(draw(st.sampled_from(["linear", "convolution"])))
    module.train(draw(st.booleans()))
    training = module.training
    outputs = call(public("compute_outputs"), module, X, draw(st.sampled_from([1, 3, 128])), again=True)
    assert len(outputs) == len(X)
    assert outputs.dtype == np.float32
    assert module.training == training


@target("clone_around_encoder")
def clone_around_encoder(draw):
    encoder = draw(encoders())
    probe = invtransfer.FrozenFeatureProbe(encoder, C=draw(st.floats()), layer=draw(layers()))
    twin = call(public("clone_around_encoder"), probe)
    assert twin is not probe
    assert twin.encoder is encoder


# networks


SHAPES = st.tuples(
    st.sampled_from([1, 2, 7, 8, 16, 17, 32]), st.sampled_from([1, 2, 8, 24, 32]), st.sampled_from([1, 3])
)


@target("resnet18", "resnet50", "densenet121", "vgg11", "vit", cost=4)
def backbones(draw):
    builder = public(f"{draw(st.sampled_from(list(networks.NETWORKS)))}")
    shape = draw(SHAPES)
    with torch.device("meta"):
        backbone, n_features = call(builder, shape, draw(st.sampled_from([1e-9, 0.0625, 0.1])))
        backbone.eval()
        assert backbone(torch.zeros(2, shape[2], *shape[:2])).shape == (2, n_features)


@target("build_network", "initialise", cost=2)
def build_network(draw):
    given = {
        "network": draw(
            st.one_of(st.sampled_from(["resnet18", "vgg11", "vit"]), st.sampled_from(MODULES).map(tiny_module))
        ),
        "width": draw(st.sampled_from([0.0625, 1.0, 1e-9, 17])),
        "layer": draw(st.one_of(layers(), st.sampled_from(["stem", "pool.1", "block1"]))),
    }
    given = spoil(draw, given)
    if isinstance(given["network"], str) and isinstance(given["width"], float) and given["width"] == 1.0:
        given["width"] = 0.0625
    shape = draw(st.sampled_from([(8, 8, 3), (8, 8, 1), (1, 1, 3), (32, 32, 3)]))
    generator = torch.Generator().manual_seed(draw(seeds()))
    n_classes = draw(st.integers(1, 4))
    network = call(public("build_network"), n_classes=n_classes, image_shape=shape, generator=generator, **given)
    assert network.eval()(torch.zeros(2, shape[2], *shape[:2])).shape == (2, n_classes)
    try:
        call(networks.initialise, network, generator, changes=(0,))
    except Refused:
        assert isinstance(given["network"], nn.Module)
    assert all(torch.isfinite(value).all() for value in network.parameters())


@target(
    "Normalise", "Normalise.forward", "ResidualBlock", "ResidualBlock.forward",
    "DenseLayer", "DenseLayer.forward", "SelfAttention", "SelfAttention.forward",
    "TransformerLayer", "TransformerLayer.forward", "VisionTransformer",
    "VisionTransformer.forward",
)  # fmt: skip
def network_parts(draw):
    X = draw(tensors(n_channels=(3,)))
    with torch.random.fork_rng([]), torch.no_grad():
        part = draw(st.sampled_from(["normalise", "residual", "dense", "attention", "layer", "vit"]))
        if part == "normalise":
            module = public("Normalise")([0.1, 0.2, 0.3], [0.5, 1.0, 2.0])
            shape = X.shape
        elif part == "residual":
            n_out, stride = draw(st.sampled_from([3, 4])), draw(st.sampled_from([1, 2]))
            residual = nn.Conv2d(3, n_out, 3, stride=stride, padding=1)
            module = networks.ResidualBlock(residual, 3, n_out, stride)
            shape = (len(X), n_out, *(-(-side // stride) for side in X.shape[2:]))
        elif part == "dense":
            module = networks.DenseLayer(3, 2)
            shape = (len(X), 5, *X.shape[2:])
        elif part == "vit":
            X = torch.zeros(len(X), 3, 16, 8)
            module = networks.VisionTransformer((16, 8, 3), 8, 2, n_layers=1)
            shape = (len(X), 8)
        else:
            X = X.flatten(2).repeat(1, 1, 8)[:, :, :8]
            module = {"attention": networks.SelfAttention, "layer": networks.TransformerLayer}[part](8, 2)
            shape = X.shape
        assert tuple(call(module.eval().forward, X, again=True).shape) == tuple(shape)


# training


@target("resolve_device", "resolve_precision")
def resolve(draw):
    known = ["auto", "cpu", "cuda", "cuda:99", "cpu:7", "mps", "meta", "xpu", "vulkan", "cuda:-1", torch.device("cpu")]
    device = call(devices.resolve_device, draw(st.one_of(st.sampled_from(known), odd())))
    assert isinstance(device, torch.device)
    assert torch.zeros(2, device=device).sum().item() == 0
    precision = call(devices.resolve_precision, draw(st.one_of(st.sampled_from(devices.PRECISIONS), odd())), device)
    assert precision in ("float32", "bfloat16")


@target("learning_rate_factor")
def learning_rate_factor(draw):
    n_steps = draw(st.integers(1, 1000))
    schedule = draw(st.one_of(st.sampled_from(training.SCHEDULES), st.sampled_from(training.SCHEDULES), odd()))
    factor = call(
        training.learning_rate_factor, schedule, draw(st.integers(0, n_steps - 1)), n_steps, draw(st.integers(1, 50))
    )
    assert 0 < factor <= 1


@target("strides_beyond_input")
def strides_beyond_input(draw):
    X = draw(images(dtypes=("uint8", "float32")))
    module = nn.Sequential(nn.Conv2d(3, 2, 3, stride=draw(st.integers(1, 4)), padding=1), nn.AdaptiveAvgPool2d(1))
    assert call(devices.strides_beyond_input, module, X, again=True) in (True, False)


@target("train")
def train(draw):
    X = draw(images(n=(2, 9), height=(8, 8), dtypes=("uint8", "float32")))
    given = {
        "epochs": draw(st.integers(0, 2)),
        "batch_size": draw(st.sampled_from([2, 4, 10**12])),
        "learning_rate": draw(st.sampled_from([1e-3, 1, 1e30, 1e-300, 1e300])),
        "schedule": draw(st.sampled_from(training.SCHEDULES)),
        "weight_decay": draw(st.sampled_from([0, 0.1, 1e30])),
        "precision": draw(st.sampled_from(devices.PRECISIONS)),
        "device": draw(st.sampled_from(["cpu", "cpu", "cpu", "auto", "meta", "cuda:99"])),
        "generator": torch.Generator().manual_seed(0),
    }
    given = spoil(draw, given, keep=["epochs", "batch_size", "generator"])
    if draw(st.booleans()):
        given |= {"X_val": X, "y_val": np.arange(len(X)) % 3}
    if draw(st.booleans()):
        given["renew"] = lambda epoch: X
    module = tiny_module()
    history = call(training.train, module, X, np.arange(len(X)) % 3, **given, changes=(0,))
    assert len(history["loss"]) == given["epochs"]
    assert np.isfinite(history["loss"]).all()
    assert not module.training
    assert -1 <= history["best_epoch"] < max(1, given["epochs"])


@target("seconds_per_image", "project_seconds", cost=20)
def seconds(draw):
    cell = {"architecture": draw(st.sampled_from(["resnet18", "vgg11"])), "width": 0.0625, "batch_size": 2}
    training, encoding = call(timing.seconds_per_image, *cell.values())
    assert encoding > 0
    assert training > 0
    assert call(timing.project_seconds, draw(st.integers(0, 10**9)), draw(st.integers(0, 10**9)), **cell, seed=0) >= 0


# estimators


def data(draw):
    n = draw(st.sampled_from([6, 6, 7, 9, 2, 1]))
    X = draw(st.one_of(images(n=(n, n), height=(8, 8)), images(n=(n, n), height=(8, 8)), flat_images(n)))
    given = {"X": X, "y": draw(labels(n, n_classes=(1, 3) if draw(st.integers(0, 5)) == 0 else (2, 3)))}
    if draw(st.integers(0, 2)) == 0:
        given |= {"X_val": draw(images(n=(3, 3), height=(8, 8))), "y_val": np.asarray(given["y"])[[0, -1, 0]]}
    return spoil(draw, given) if draw(st.booleans()) else given


def use(draw, estimator, given, methods):
    """Call the methods before and after a fit, which may be refused, with images of that shape and with others."""
    X = given["X"] if draw(st.booleans()) else draw(st.one_of(images(height=(8, 8)), odd(), flat_images(2)))
    if draw(st.integers(0, 5)) == 0:
        _try(draw, estimator, X, given["y"], methods)
    call(estimator.fit, **given)
    assert estimator.n_features_in_ == np.prod(estimator.image_shape_)
    _try(draw, estimator, X, given.get("y"), methods)
    again = pickle.loads(pickle.dumps(estimator)) if _can_be_pickled(estimator) else estimator
    for name in methods:
        if name in ("transform", "predict"):
            _assert_equal_outputs(call, estimator, again, name, given["X"])


def _can_be_pickled(estimator):
    try:
        pickle.dumps(estimator)
    except Exception:  # lambdas, and what a person gave
        return False
    return True


def _assert_equal_outputs(call, one, two, name, X):
    try:
        np.testing.assert_array_equal(call(getattr(one, name), X), call(getattr(two, name), X))
    except Refused:
        return


def _try(draw, estimator, X, y, methods):
    for name in methods:
        method = getattr(estimator, name)
        with contextlib.suppress(Refused):
            if name == "module":
                assert isinstance(call(method), nn.Module)
            elif name == "get_feature_names_out":
                assert all(isinstance(one, str) for one in call(method))
            elif name == "score":
                y = draw(odd()) if draw(st.integers(0, 3)) == 0 else y
                assert isinstance(call(method, X, y), float)
            else:
                result = call(method, X, again=True)
                assert len(result) == len(X)
                if name == "predict_proba":
                    assert np.isfinite(result).all()
                    np.testing.assert_allclose(result.sum(axis=1), 1, atol=1e-6)
                elif name == "predict":
                    assert np.isin(result, estimator.classes_).all()
                elif name == "transform" and not isinstance(estimator, invtransfer.SensitivityScorer):
                    assert np.isfinite(result).all()


def of_training(draw):
    """Draw the parameters of estimators that train a network."""
    return {
        "layer": draw(layers()),
        "transformations": draw(st.one_of(st.just(()), st.none(), chosen_transformations())),
        "epochs": draw(st.sampled_from([0, 1, 1, 2])),
        "batch_size": draw(st.sampled_from([2, 4, 512, 10**12])),
        "learning_rate": draw(st.sampled_from([1e-3, 1e-3, 1e30])),
        "schedule": draw(st.sampled_from(training.SCHEDULES)),
        "weight_decay": draw(st.sampled_from([0.0, 1e-2])),
        "precision": draw(st.sampled_from(devices.PRECISIONS)),
        "device": draw(st.sampled_from(["cpu", "cpu", "cpu", "cpu", "meta", "cuda:99"])),
        "image_shape": draw(st.sampled_from([None, None, (8, 8, 3), (4, 16, 3), [8, 8, 3]])),
        "random_state": draw(random_states()),
    }


OF_NETWORKS = ("transform", "predict_proba", "predict", "score", "module", "get_feature_names_out")


@target(
    "InvariantPretrainer", "InvariantPretrainer.fit",
    *(f"InvariantPretrainer.{name}" for name in ("transform", "predict_proba", "predict", "module")),
)  # fmt: skip
def pretrainer(draw):
    kinds = st.one_of(
        st.just("resnet18"), st.sampled_from(MODULES).map(tiny_module), st.just("linear").map(tiny_module)
    )
    given = {"network": draw(kinds), **of_training(draw)}
    given["width"] = 0.0625 if isinstance(given["network"], str) else 1.0
    estimator = call(invtransfer.InvariantPretrainer, **spoil(draw, given, keep=["width"]))
    use(draw, estimator, data(draw), OF_NETWORKS)


@target(
    "FineTuner", "FineTuner.fit",
    *(f"FineTuner.{name}" for name in ("transform", "predict_proba", "predict", "module")),
)  # fmt: skip
def tuner(draw):
    probe = invtransfer.FrozenFeatureProbe(solver=draw(st.sampled_from(["lbfgs", "adam"])), epochs=2, max_iter=20)
    given = {"encoder": draw(encoders()), "probe": draw(st.sampled_from([None, probe])), **of_training(draw)}
    estimator = call(invtransfer.FineTuner, **spoil(draw, given))
    use(draw, estimator, data(draw), OF_NETWORKS)


@target(
    "FrozenFeatureProbe", "FrozenFeatureProbe.fit", "FrozenFeatureProbe.predict_proba",
    "FrozenFeatureProbe.predict",
)  # fmt: skip
def probe(draw):
    given = {
        "encoder": draw(encoders()),
        "layer": draw(layers()),
        "solver": draw(st.sampled_from(["lbfgs", "lbfgs", "adam"])),
        "C": draw(st.sampled_from([100.0, 1e-10, 1e10])),
        "max_iter": draw(st.sampled_from([1, 20])),
        "epochs": draw(st.sampled_from([1, 2])),
        "batch_size": draw(st.sampled_from([None, 1, 3, 10**12])),
        "learning_rate": draw(st.sampled_from([1e-3, 1e30])),
        "image_shape": draw(st.sampled_from([None, None, (8, 8, 3)])),
        "random_state": draw(random_states()),
    }
    estimator = call(invtransfer.FrozenFeatureProbe, **spoil(draw, given))
    use(draw, estimator, data(draw), ("predict_proba", "predict", "score"))


@target(
    "SensitivityScorer", "SensitivityScorer.fit", "SensitivityScorer.transform",
    "SensitivityScorer.score", "SensitivityScorer.get_feature_names_out",
)  # fmt: skip
def scorer(draw):
    given = {
        "encoder": draw(encoders()),
        "layer": draw(layers()),
        "transformations": draw(st.one_of(chosen_transformations(), st.none())),
        "n_pairs": draw(st.sampled_from([2, 3, 8])),
        "image_shape": draw(st.sampled_from([None, None, (8, 8, 3)])),
        "random_state": draw(random_states()),
    }
    estimator = call(invtransfer.SensitivityScorer, **spoil(draw, given))
    given = data(draw)
    given = {"X": given["X"], "y": given["y"]}
    if draw(st.booleans()):
        given["X"] = call(invtransfer.Transforms2D, few_objects(), draw(chosen_transformations()), image_size=8)
    if isinstance(given["X"], invtransfer.Transforms2D):
        call(estimator.fit, given["X"])
        assert call(estimator.score, given["X"], again=True) is not None
    else:
        use(draw, estimator, given, ("transform", "score", "get_feature_names_out"))
    assert (estimator.sensitivity_.fillna(0) >= 0).all()
    assert estimator.sensitivity_.dims == ("transformation",)


@target("decorrelate", "channel_statistics", "fold_standardisation")
def parts_of_estimators(draw):
    n, m = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    Z = np.random.default_rng(draw(seeds())).normal(size=(n, m)).astype(np.float32) * draw(st.sampled_from([0, 1]))
    matrix = call(public("decorrelate"), Z, draw(st.sampled_from([0.1, 1e-6])), again=True)
    assert matrix.shape == (m, m)
    assert np.isfinite(matrix).all()
    X = draw(images(dtypes=("uint8", "float32")))
    mean, std = call(public("channel_statistics"), X, draw(st.sampled_from([1, 1024])), again=True)
    assert (mean >= 0).all()
    assert (mean <= 1).all()
    assert (std > 0).all()
    fitted_probe = invtransfer.FrozenFeatureProbe(max_iter=5000).fit([[0.0], [4.0], [5.0]], [0, 1, 1])
    head = call(public("fold_standardisation"), fitted_probe)
    assert torch.isfinite(head.weight).all()


# tasks


@target("draw_transformations", "draw_classes")
def draw_tasks(draw):
    drawn = call(tasks.draw_transformations, draw(st.integers(0, 2**70)), again=True)
    assert not set(drawn["same"]) & set(drawn["disjoint"])
    given = {
        "class_relation": draw(st.sampled_from(tasks.CLASS_RELATIONS)),
        "n_classes": draw(st.integers(1, 9)),
        "n_available": draw(st.integers(0, 20)),
    }
    source, aim = call(tasks.draw_classes, **spoil(draw, given, keep=["n_available"]), seed=draw(seeds()), again=True)
    for classes in (source, aim):
        assert len(set(classes.tolist())) == len(classes)
        assert len(classes)


def labelled(draw, dtypes=("uint8", "float32")):
    """Draw a data set of 40 images of 4 classes, all of which have some for validation."""
    X = draw(images(n=(40, 40), height=(8, 8), dtypes=dtypes))
    return X, np.arange(40) % 4


@target("objects_task", "images_task", "combined_task")
def make_tasks_of_data(draw):
    kind = draw(st.sampled_from(["objects", "images", "combined"]))
    chosen, seed = draw(chosen_transformations()), draw(st.integers(0, 2**40))
    if kind == "objects":
        classes = draw(st.lists(st.integers(0, 7), min_size=1, unique=True))
        parts = call(tasks.objects_task, few_objects(), classes, chosen, seed, draw(st.sampled_from([None, "random"])))
    elif kind == "images":
        classes = draw(st.lists(st.integers(0, 5), unique=True))
        parts = call(tasks.images_task, labelled(draw), labelled(draw), classes, chosen, seed)
    else:
        given = {
            "shown": draw(st.sampled_from(["C", "C+O", "O"])),
            "label": draw(st.sampled_from(["C", "O"])),
            "position": draw(st.sampled_from(["random", (0, 0)])),
            "correlation": draw(st.sampled_from([0.0, 0.5])),
            "availability": draw(st.sampled_from([1.0, 0.5])),
        }
        parts = call(
            images_with_objects.combined_task,
            few_objects(),
            labelled(draw),
            labelled(draw),
            **spoil(draw, given),
            random_state=seed,
        )
    assert len(parts) == 3
    for part in parts:
        X, y = part.sample(3)
        assert len(X) == len(y) == 3


# files


@target("load_cifar10", "load_cifar100", "cifar100_classes", "load_cifar")
def load_cifar(draw):
    folders = ["cifar-10-batches-py", "cifar-10-batches-bin", "cifar-100-python"]
    within = ["data_batch_1", "data_batch_1.bin", "test_batch", "test_batch.bin", "train", "test", "meta"]
    files = {}
    for _ in range(draw(st.integers(0, 4))):
        name = f"{draw(st.sampled_from(folders))}/{draw(st.sampled_from(within))}"
        valid = pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [0, 1]}, protocol=2)
        files[name] = draw(st.one_of(st.none(), st.just(bytes(3073 * 2)), st.binary(max_size=99), damaged(valid)))
    if draw(st.integers(0, 5)) == 0:
        files = {draw(st.sampled_from(folders)): b"a file"}
    with folder_of(files) as folder:
        given = {
            "root": draw(st.sampled_from([folder, Path(folder), "nowhere"])),
            "split": draw(st.sampled_from(["train", "test"])),
        }
        name = draw(st.sampled_from(["load_cifar10", "load_cifar100", "cifar100_classes", "load_cifar"]))
        if name == "load_cifar":
            dataset = draw(st.sampled_from(["cifar10", "cifar100", "svhn", ""]))
            call(datasets.load_cifar, dataset, draw(st.sampled_from([folder, "nowhere", "", "\x00", LONG])))
        elif name == "cifar100_classes":
            call(cifar.cifar100_classes, **spoil(draw, {"root": given["root"]}))
        else:
            call(public(name), **spoil(draw, given))
    raise AssertionError("none of these files has the official checksum")


@target("official_dataset")
def official_dataset(draw):
    assert call(cifar.official_dataset, draw(st.sampled_from(["CIFAR10", "CIFAR100"]))).base_folder


@st.composite
def datasets_to_write(draw):
    values = draw(cubes({"seed": None, "transformation": None}))
    dataset = values.to_dataset(name="accuracy").assign_attrs(title=draw(names()), n=draw(st.integers(0, 9)))
    if draw(st.booleans()):
        dataset["message"] = ("seed", np.array(["", "é", "a\nb"] * 3)[: dataset.sizes["seed"]])
        dataset["count"] = ("seed", np.arange(dataset.sizes["seed"], dtype=draw(st.sampled_from(["int8", "int64"]))))
    return dataset


@functools.cache
def written_cube():
    dataset = xr.Dataset(
        {"accuracy": (("factor", "seed"), [[0.5, 0.25], [1.0, np.nan]]), "message": ("factor", ["", "no"])},
        {"factor": ["a=1", "a=2"], "seed": [0, 1]},
        {"title": "A title", "settings": "{}"},
    )
    with tempfile.TemporaryDirectory() as folder:
        public("write")(dataset, f"{folder}/cube.nc")
        return Path(folder, "cube.nc").read_bytes()


@target("write", "read", "load_cube", cost=2)
def write_and_read(draw):
    with tempfile.TemporaryDirectory() as folder:
        path = draw(st.sampled_from([f"{folder}/cube.nc", Path(folder, "é 🦆.nc")]))
        if draw(st.booleans()):
            dataset = draw(datasets_to_write())
            call(public("write"), dataset, path)
            again = call(public("read"), path, again=True)
            xr.testing.assert_equal(again, dataset)
            assert again.attrs == dataset.attrs
        Path(path).write_bytes(
            draw(st.one_of(damaged(written_cube()), damaged(written_cube()), st.binary(max_size=99)))
        )
        path = draw(st.sampled_from([path, path, path, folder, f"{folder}/nothing", "", "\x00", LONG]))
        dataset = call(public(draw(st.sampled_from(["read", "load_cube"]))), path)
        assert isinstance(dataset, xr.Dataset)


@target("format_place")
def format_place(draw):
    labels = draw(st.dictionaries(names(), st.one_of(names(), st.integers(), st.floats()), max_size=3))
    assert call(public("format_place"), labels).count("=") >= len(labels)


@target("make_cell")
def make_cell(draw):
    variables = {
        name: ((), draw(st.floats()), draw(names())) for name in draw(st.lists(st.text(min_size=1), max_size=3))
    }
    assert set(call(public("make_cell"), variables).data_vars) == set(variables)


def settings():
    scalar = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), names())
    values = st.recursive(
        scalar, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names(), inner, max_size=3))
    )
    return st.dictionaries(names(), values, max_size=4)


@target("have_same_bits")
def have_same_bits(draw):
    arrays = st.sampled_from([np.array([0.0, np.nan]), np.array([-0.0, 1]), np.arange(2), np.array(["a", "é"]), 3, ""])
    one, other = draw(arrays), draw(arrays)
    assert call(public("have_same_bits"), one, other) == call(public("have_same_bits"), other, one)
    assert call(public("have_same_bits"), one, one)


@target("check_study_cube")
def check_study_cube(draw):
    call(public("check_study_cube"), draw(st.one_of(assembled(), datasets_to_write())), draw(names()))


@target("parse_json")
def parse_json(draw):
    deep = "[" * 100_000 + "]" * 100_000
    text = draw(st.one_of(names(), st.sampled_from(["{}", "[1, 2]", "[" * 100_000, deep, "3", None, 3, b"{}"])))
    kind = draw(st.sampled_from([dict, list, (dict, list)]))
    assert isinstance(call(public("parse_json"), text, draw(names()), kind), kind)


@target("format_json")
def format_json(draw):
    given = draw(settings())
    text = call(public("format_json"), given, again=True)
    assert text == call(public("format_json"), dict(reversed(given.items())))


@target("find_origin", "make_attributes", "versions", cost=4)
def provenance(draw):
    origins = [call(public("find_origin"), draw(st.integers(1, 99)), draw(names())) for _ in range(2)]
    attributes = call(public("make_attributes"), draw(settings()), origins[: draw(st.integers(0, 2))])
    assert all(isinstance(value, (str, int)) for value in attributes.values())
    assert "numpy" in call(public("versions"))


@functools.cache
def saved(kind):
    with tempfile.TemporaryDirectory() as folder:
        public("save_encoder")(fitted(kind), f"{folder}/encoder.npz")
        return Path(folder, "encoder.npz").read_bytes()


@st.composite
def changed(draw, tree):
    """Draw JSON of which one part is another, missing, or too much."""
    tree = copy.deepcopy(tree)
    part = tree
    while True:
        key = draw(st.sampled_from(list(part) if isinstance(part, dict) else range(len(part))))
        if isinstance(part[key], (dict, list)) and part[key] and draw(st.integers(0, 3)):
            part = part[key]
            continue
        break
    odd_json = st.sampled_from([
        None, True, -1, 0, 1, 3, 10**12, 2**63, -0.5, 1e300, math.nan, math.inf, "", "resnet18", "vgg11", "cuda:99",
        "layer1", "é" * 99, [], {}, [[]], {"tuple": [8, 8, 3]}, {"tuple": 3}, [8, 8, 3], [10**9, 10**9, 3],
        [1, 1, 3], [8, 8, 1],
    ])  # fmt: skip
    how = draw(st.sampled_from(["other", "other", "other", "missing", "more"]))
    if how == "missing":
        del part[key]
    elif how == "more" and isinstance(part, dict):
        part[draw(names())] = draw(odd_json)
    else:
        part[key] = draw(odd_json)
    return tree


@target("save_encoder", "load_encoder")
def saving(draw):
    save, load = public("save_encoder"), public("load_encoder")
    with tempfile.TemporaryDirectory() as folder:
        path = draw(st.sampled_from([f"{folder}/encoder.npz", Path(folder, "é/🦆")]))
        if draw(st.integers(0, 3)) == 0:
            kind = draw(st.sampled_from(["resnet18", "module"]))
            call(save, draw(st.one_of(st.just(fitted(kind)), encoders(), odd())), path)
            assert Path(path).exists()
            return
        kind = draw(st.sampled_from(["resnet18", "module", "tuner"]))
        network = draw(
            st.sampled_from([None if kind == "resnet18" else tiny_module()] * 4 + [None, tiny_module("convolution")])
        )
        path = f"{folder}/encoder.npz"
        Path(path).write_bytes(saved(kind))
        how = draw(st.sampled_from(["as it is", "bytes", "description", "description", "arrays", "network"]))
        if how == "bytes":
            Path(path).write_bytes(draw(damaged(saved(kind))))
        elif how in ("description", "arrays"):
            arrays, description = public("read_arrays")(path)
            if how == "description":
                description = draw(changed(description))
            else:
                name = draw(st.sampled_from(list(arrays)))
                arrays[name] = draw(odd_arrays().filter(lambda array: not array.dtype.hasobject))
            public("write_arrays")(path, arrays, description)
        elif how == "network":
            network = draw(odd())
        path = draw(st.sampled_from([path, path, path, path, folder, f"{folder}/nothing"]))
        encoder = call(load, path, network)
        X = np.zeros((2, *encoder.image_shape_), np.uint8)
        if encoder.image_shape_ == (8, 8, 3):
            assert np.isfinite(encoder.transform(X)).all()
            assert len(encoder.predict_proba(X)[0]) == len(encoder.classes_)
            assert set(encoder.predict(X)) <= set(encoder.classes_.tolist())


@target("assemble")
def assemble(draw):
    coordinates = {"factor": ["a", "b"], "seed": [0, 1, 2], "name": ("factor", ["x", "y"])}
    points, cells = [], []
    for factor in [*coordinates["factor"], *(["c"] if draw(st.integers(0, 9)) == 0 else [])]:
        for seed in coordinates["seed"]:
            points.append({"factor": factor, "seed": seed})
            kind = draw(
                st.sampled_from(["none", "failed", "accuracy", "accuracy", "more", "strings", "bools", "ints", "empty"])
            )
            cell = {
                "none": None,
                "failed": xr.Dataset(attrs={"message": "why"}),
                "empty": xr.Dataset(),
                "accuracy": xr.Dataset({"accuracy": draw(st.floats())}),
                "ints": xr.Dataset({"accuracy": 3, "count": np.int8(3)}),
                "strings": xr.Dataset({"word": draw(names())}),
                "bools": xr.Dataset({"accuracy": True}),
                "more": xr.Dataset(
                    {"accuracy": ("transformation", draw(st.lists(st.floats(), min_size=2, max_size=3)))}
                ),
            }[kind]
            if kind == "more" and draw(st.booleans()):
                cell = cell.assign_coords(transformation=["rotate", "blur", "hue"][: cell.sizes["transformation"]])
            cells.append(cell)
    cube = call(public("assemble"), points, cells, coordinates, again=True)
    assert cube.status.shape == (2, 3)
    with tempfile.TemporaryDirectory() as folder:
        call(public("write"), cube, f"{folder}/cube.nc")
        xr.testing.assert_equal(call(public("read"), f"{folder}/cube.nc"), cube)


@functools.cache
def written_arrays():
    with tempfile.TemporaryDirectory() as folder:
        public("write_arrays")(f"{folder}/a.npz", {"weight": np.eye(3), "name": np.array(["a", "b"])}, {"a": 1})
        return Path(folder, "a.npz").read_bytes()


@target("write_arrays", "read_arrays")
def arrays(draw):
    with tempfile.TemporaryDirectory() as folder:
        path = draw(st.sampled_from([f"{folder}/a.npz", Path(folder, "é 🦆")]))
        given = {draw(st.text(max_size=6)): draw(odd_arrays()) for _ in range(draw(st.integers(0, 3)))}
        description = draw(settings())
        with contextlib.suppress(Refused):
            call(public("write_arrays"), path, given, description)
            read, described = call(public("read_arrays"), path)
            assert list(read) == list(given)
            assert repr(described) == repr(json.loads(json.dumps(description, sort_keys=True)))
            for name, array in given.items():
                assert read[name].dtype == array.dtype
                assert read[name].tobytes() == array.tobytes()
        Path(path).write_bytes(draw(st.one_of(damaged(written_arrays()), st.binary(max_size=99))))
        path = draw(st.sampled_from([path, path, path, folder, f"{folder}/nothing", "", "\x00", LONG]))
        read, described = call(public("read_arrays"), path)
        assert isinstance(described, dict)


@target("replacing", "remove_leftovers", "check_writable")
def paths(draw):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "file").write_text("old")
        known = [f"{folder}/file", f"{folder}/new", f"{folder}/a/b/c", folder, f"{folder}/file/below", f"{folder}/[x]*",
                 f"{folder}/{LONG}", Path(folder, "🦆")]  # fmt: skip
        path = draw(st.sampled_from(known))
        call(public("check_writable"), path)

        def replace():
            with public("replacing")(path) as temporary:
                Path(temporary).write_text("new")

        replace.__doc__ = "Replace.\n\nRaises\n------\nOSError\n    The system's.\n"
        if len(Path(path).name) < 200:
            call(replace)
            assert Path(path).read_text() == "new"
            leftover = Path(path).parent / f".{Path(path).name}.abc.tmp"
            leftover.write_text("half")
            call(public("remove_leftovers"), path)
            assert not leftover.exists()
            assert Path(path).exists()


@st.composite
def assembled(draw):
    """Draw a small cube as a study writes it."""
    cells = [None, xr.Dataset(attrs={"message": "why"}), xr.Dataset({"accuracy": 0.5}), xr.Dataset({"accuracy": 1.0})]
    labels = draw(st.sampled_from([["a", "b"], ["b"], ["c", "a"]]))
    points = [{"factor": factor, "seed": seed} for factor in labels for seed in (0, 1)]
    chosen = [draw(st.sampled_from(cells)) for _ in points]
    cube = public("assemble")(points, chosen, {"factor": labels, "seed": [0, 1]})
    deep = "[" * 100_000
    texts = (
        st.sampled_from(["{}"] * 9 + ["[]", '{"a": 1}', "", deep, 3]) if draw(st.integers(0, 3)) == 0 else st.just("{}")
    )
    return cube.assign_attrs(settings=draw(texts), versions=draw(texts), title="A title")


@target("merge")
def merge(draw):
    parts = [draw(assembled()) for _ in range(draw(st.integers(0, 3)))]
    if parts and draw(st.integers(0, 2)) == 0:
        parts[-1] = draw(mutated(parts[-1]).filter(lambda part: isinstance(part, xr.Dataset)))
    cube, notes = call(public("merge"), parts, [f"{i}.nc" for i in range(len(parts))])
    assert all(isinstance(note, str) for note in notes)
    assert (cube.status == 1).sum() >= max(int((part.status == 1).sum()) for part in parts)


@target("tabulate", "export_csv")
def tables(draw):
    cube = draw(st.one_of(assembled(), datasets_to_write(), factor_cubes()))
    if draw(st.booleans()):
        cube = draw(mutated(cube).filter(lambda part: isinstance(part, xr.Dataset)))
    made = call(public("tabulate"), cube, draw(names()))
    assert list(made)[-1].endswith("-columns")
    with tempfile.TemporaryDirectory() as folder:
        paths = call(public("export_csv"), cube, folder, "cube", overwrite=draw(st.booleans()))
        assert all(path.exists() for path in paths)


@target("find_place", "reproduce")
def reproduction(draw):
    cube = public("assemble")(
        [{"factor": "a", "seed": 0}, {"factor": "a", "seed": 1}],
        [xr.Dataset({"accuracy": 0.5}), None],
        {"factor": ["a"], "seed": [0, 1]},
    )
    if draw(st.booleans()):
        texts = st.sampled_from(["{}", "[]", "", "[" * 100_000, '{"a": 1}', "[0]", '[{"threads": 1}]', "null"])
        cube = cube.assign({name: ("seed", [draw(texts)] * 2) for name in ("arguments", "part", "cell")})
        cube["origin"] = ("seed", [draw(st.sampled_from([0, 1, -1])), 0])
        cube = cube.assign_attrs(origins=draw(st.one_of(texts, names(), st.just(3))))
    cube = draw(mutated(cube)) if draw(st.integers(0, 3)) == 0 else cube
    labels = draw(
        st.sampled_from([{"seed": "0"}, {"seed": "1"}, {}, {"factor": "a", "seed": "0"}, {"seed": "7"}, {"x": "0"}])
    )
    if isinstance(cube, xr.Dataset):
        place = call(public("find_place"), cube, labels, again=True)
        assert set(place) == set(cube.status.dims)
        text, identical = call(public("reproduce"), cube, labels, lambda **arguments: xr.Dataset({"accuracy": 0.5}))
        assert text.startswith("the cell at ")
        assert identical in (True, False)


# analysis and claims


FACTORS = [("width", "1"), ("width", "2"), ("n_samples", "10"), ("n_samples", "1000"), ("reference", "untrained")]


@st.composite
def accuracies(draw, relations=("same", "disjoint"), seed_labels=None):
    """Draw accuracies of a study over factors."""
    chosen = draw(st.lists(st.sampled_from(FACTORS), max_size=5, unique=True))
    dims = {"factor": ["=".join(one) for one in chosen], "relation": list(relations)}
    values = draw(cubes(dims | {"seed": seed_labels}))
    return values.assign_coords(
        factor_name=("factor", np.array([name for name, _ in chosen], dtype=str)),
        level=("factor", np.array([level for _, level in chosen], dtype=str)),
    )


@st.composite
def mutated(draw, thing):
    """Draw an array or dataset that lacks something, has too much, or has it under another name."""
    how = draw(
        st.sampled_from(["nothing", "nothing", "drop", "isel", "rename", "coordinate", "duplicate", "type", "other"])
    )
    dims = list(thing.dims)
    dim = draw(st.sampled_from(dims)) if dims else None
    if how == "drop":
        some = [*thing.coords, *getattr(thing, "data_vars", ())]
        return thing.drop_vars(draw(st.sampled_from(some))) if some else thing
    if how == "isel" and dims and thing.sizes[dim]:
        return thing.isel({dim: draw(st.sampled_from([0, [0], [], slice(None, None, -1)]))})
    if how == "rename" and dims:
        return thing.rename({dim: draw(st.sampled_from(["other", "seed ", "a b"]))})
    if how == "coordinate" and dims:
        n = thing.sizes[dim]
        kinds = [np.arange(n), np.full(n, "same"), np.arange(n) / 3, np.full(n, True), np.full(n, "é", object)]
        return thing.assign_coords({dim: draw(st.sampled_from(kinds))})
    if how == "duplicate" and dims and thing.sizes[dim]:
        options = {"data_vars": "all"} if isinstance(thing, xr.Dataset) else {}
        return xr.concat([thing, thing], dim, **options)
    if how == "type":
        if isinstance(thing, xr.DataArray) and np.isfinite(thing).all():
            return thing.clip(-1, 1).astype(
                draw(st.sampled_from(["float32", "int64", "bool", "complex64", "U3", "object"]))
            )
        return thing
    if how == "other":
        return draw(odd())
    return thing


@target("summarise")
def summarise(draw):
    values = draw(mutated(draw(cubes({"seed": None, "factor": None}))))
    dim = draw(st.sampled_from(["seed", "seed", "factor", "nothing"]))
    summary = call(analysis.summarise, values, dim, again=True)
    assert set(summary) == {"mean", "std", "low", "high", "n"}
    assert dim not in summary.dims
    assert (summary["n"] >= 0).all()


@target("paired_contrast")
def paired_contrast(draw):
    values = draw(mutated(draw(cubes({"seed": None, "factor": ["a", "b"]}))))
    given = {
        "dim": draw(st.sampled_from(["factor", "seed", "x"])),
        "first": "a",
        "second": draw(st.sampled_from(["b", "c"])),
    }
    difference = call(analysis.paired_contrast, values, **spoil(draw, given), again=True)
    assert "factor" not in difference.dims


@target("fill_relations", "count_once")
def fill_relations(draw):
    values = draw(accuracies(draw(st.sampled_from([["same"], ["disjoint"], ["same", "disjoint"], []]))))
    cube = values.to_dataset(name="transfer_accuracy")
    cube["status"] = xr.ones_like(values, dtype=np.int8)
    cube["cell"] = xr.full_like(values, "c", dtype=object)
    filled = call(analysis.fill_relations, draw(mutated(cube)), again=True)
    assert filled.relation.values.tolist() == ["same", "disjoint"]
    filled = call(analysis.fill_relations, cube)
    once = call(analysis.count_once, filled.transfer_accuracy, filled.cell, again=True)
    assert once.notnull().sum() <= filled.transfer_accuracy.notnull().sum()


@target("factor_contrasts")
def factor_contrasts(draw):
    accuracy = draw(mutated(draw(accuracies())))
    contrasts = call(analysis.factor_contrasts, accuracy, again=True)
    assert contrasts.dims == ("factor_name", "contrast", "seed")
    assert "reference" not in contrasts.factor_name.values


@target("variance_explained")
def variance_explained(draw):
    given = {
        "accuracy": draw(mutated(draw(accuracies()))),
        "n_resamples": draw(st.sampled_from([2, 50])),
        "random_state": draw(seeds()),
    }
    given = spoil(draw, given, keep=["accuracy"])
    shares = call(analysis.variance_explained, **given, again=isinstance(given["random_state"], int))
    assert shares.share.dims == ("factor_name", "component")


@target("invariance_by_relation", "spillover")
def sensitivities(draw):
    values = draw(cubes({
        "pretraining_transformation": draw(
            st.sampled_from([["rotate", "blur", "none"], ["untrained", "none"], ["hue"], []])
        ),
        "transformation": draw(st.sampled_from([["rotate", "blur"], [], ["noise"]])), "seed": None,
    }))  # fmt: skip
    values = draw(mutated(values))
    with contextlib.suppress(Refused):
        means = call(analysis.invariance_by_relation, values, again=True)
        assert means.relation.values.tolist()[:3] == ["same", "other", "none"]
    change = call(analysis.spillover, values, again=True)
    assert change.dims == values.dims


@target("claim", "format_claims")
def claim(draw):
    one, two = (draw(cubes({"seed": None})) for _ in range(2))
    given = {
        "text": draw(names()),
        "first": one,
        "sign": draw(st.sampled_from(["<", ">"])),
        "second": draw(st.sampled_from([two, two, 0.5, 1])),
        "margin": draw(st.sampled_from([0.0, 0.1])),
    }
    made = call(claims.claim, **spoil(draw, given, keep=["text"]), again=True)
    assert made[2] in (True, False, None)
    assert type(made[2]) in (bool, type(None))
    lines = call(claims.format_claims, [made, made][: draw(st.integers(0, 2))])
    assert lines.startswith("the paper's pattern")


# comparison and plots


PUBLISHED = Path(__file__).parent.parent / "data" / "published"
PAPER = {
    "dataset": "transforms2d", "objects": "transforms2d", "class_relation": "disjoint", "architecture": "resnet18",
    "n_samples": 50_000, "epochs": 50, "n_pairs": 10_000, "vit_schedule": "cosine",
    "levels": {
        "class_relation": ["disjoint", "same"], "n_samples": [1_000, 50_000], "architecture": ["resnet18", "vit"],
    },
}  # fmt: skip
COMPARED = [("class_relation", "disjoint"), ("class_relation", "same"), ("n_samples", "1000"), ("n_samples", "50000"),
            ("architecture", "vit"), ("reference", "untrained")]  # fmt: skip
GRIDS = {
    "mismatch": {"transfer_accuracy": {
        "architecture": ["resnet18", "vit"], "n_pretraining_transformations": [1, 2],
        "n_target_transformations": [1, 3], "seed": None,
    }},
    "irrelevant_features": {
        "transfer_accuracy": {"position": ["fixed"], "pretraining": ["C/C", "O/O"], "target": ["C/C"], "seed": [0, 1]},
        "sensitivity": {"position": ["fixed"], "pretraining": ["C/C", "O/O"], "changed": ["C", "O"], "seed": [0, 1]},
    },
    "invariance_transfer": {"sensitivity": {
        "architecture": ["resnet18"], "trained_on": ["image", "random"], "evaluated_on": ["mild_ood", "cifar10"],
        "pretraining_transformation": ["rotate", "none"], "transformation": ["rotate", "blur"], "seed": None,
    }},
}  # fmt: skip


@st.composite
def study_cubes(draw, kind):
    if kind in GRIDS:
        cube = xr.Dataset({name: draw(cubes(dims)) for name, dims in GRIDS[kind].items()})
    else:
        chosen = draw(st.lists(st.sampled_from(COMPARED), max_size=6, unique=True))
        dims = {
            "factor": ["=".join(one) for one in chosen],
            "relation": draw(st.sampled_from([["same", "disjoint"], ["same"]])),
        }
        dims["seed"] = None
        if kind == "differences" and draw(st.booleans()):
            dims["n_tuning"] = draw(st.sampled_from([[200], [200, 2000], [5]]))
        cube = draw(cubes(dims)).to_dataset(name="transfer_accuracy")
        cube = cube.assign_coords(
            factor_name=("factor", np.array([name for name, _ in chosen], dtype=str)),
            level=("factor", np.array([level for _, level in chosen], dtype=str)),
        )
    ours = PAPER | {"epochs": draw(st.sampled_from([50, 6, None]))}
    texts = [json.dumps(ours), json.dumps(PAPER)]
    if draw(st.integers(0, 3)) == 0:
        deep = "[" * 100_000 + "]" * 100_000
        damage = st.sampled_from([
            "", "{}", "[]", "null", '{"dataset": []}', '{"levels": 3}', '{"levels": {"a": [[]]}}', deep, 3, "{", "NaN",
            '{"dataset": "transforms2d", "levels": {"n_samples": [null]}}',
        ])  # fmt: skip
        texts[draw(st.integers(0, 1))] = draw(st.one_of(damage, settings().map(json.dumps)))
    return cube.assign_attrs(dict(zip(("settings", "paper_settings"), texts, strict=True)))


@target("compare_to_published", "format_comparison",
        "plot_comparison", cost=2)  # fmt: skip
def comparison(draw):
    kind = draw(st.sampled_from(["factors", "differences", *GRIDS]))
    cube = draw(study_cubes(kind))
    if draw(st.booleans()):
        cube = draw(mutated(cube))
    text = (PUBLISHED / f"{kind}.csv").read_bytes()
    with folder_of({"csv": draw(st.one_of(st.just(text), st.just(text), damaged(text)))}) as folder:
        path = Path(folder, draw(st.sampled_from(["csv"] * 6 + ["csv", "."])))
        ignore = draw(st.one_of(st.sampled_from(["all", (), ["epochs"], "epochs", "nothing"]), odd()))
        compared = call(compare_to_published, cube, path, ignore)
    assert set(np.unique(compared["match"])) <= {
        "compared", "other settings", "not in the cube", "not done", "not published"
    }  # fmt: skip
    assert (compared.difference.notnull() <= (compared["match"] == "compared")).all()
    assert isinstance(call(format_comparison, compared, again=True), str)
    if draw(st.integers(0, 3)) == 0:
        figure = call(public("plot_comparison"), compared)
        assert figure.axes


@st.composite
def factor_cubes(draw):
    n_seeds = draw(st.integers(1, 6))
    accuracy = draw(accuracies(draw(st.sampled_from([["same", "disjoint"], ["same"]])), list(range(n_seeds))))
    named = list(accuracy.dims)
    cube = xr.Dataset({"transfer_accuracy": accuracy, "source_accuracy": accuracy})
    shape = list(accuracy.shape)
    generator = np.random.default_rng(draw(seeds()))
    cube["sensitivity"] = ([*named, "transformation"], generator.random([*shape, 2]))
    cube["source_transformation"] = ([*named, "transformation"], generator.integers(-1, 2, [*shape, 2]).astype(np.int8))
    cube["status"] = (named, generator.integers(0, 3, shape).astype(np.int8))
    cube["cell"] = (named, generator.integers(0, 9, shape).astype(str))
    return cube.assign_coords(transformation=["rotate", "blur"]).assign_attrs(
        draw(st.sampled_from([{}, {"title": "é 🦆"}]))
    )


@target("plot_factors", cost=4)
def plot_factors(draw):
    cube = draw(factor_cubes())
    assert call(public("plot_factors"), cube).axes


@target("draw_curves", "draw_matrices", cost=2)
def draw_figures(draw):
    from matplotlib.figure import Figure

    dims = {"x": None, "line": None, "seed": None}
    panel = draw(st.sampled_from([None, "panel"]))
    values = draw(mutated(draw(cubes(dims | ({"panel": None} if panel else {})))))
    low_high = draw(st.sampled_from([None, None, (0, 1), (-1, 1)]))
    figure = Figure()
    if draw(st.booleans()):
        reference = draw(cubes({"seed": None}))
        given = {
            "x": "x", "line": "line", "panel": panel, "references": draw(st.sampled_from([None, {}, {"é": reference}])),
            "x_label": "x", "y_label": "y", "limits": draw(st.sampled_from([low_high, (None, 2)])),
            "line_label": draw(st.sampled_from([None, "of"])), "n_columns": draw(st.sampled_from([None, 1, 2, 9])),
        }  # fmt: skip
        panels = call(public("draw_curves"), figure, values, **spoil(draw, given, keep=["x_label", "y_label"]))
    else:
        given = {
            "rows": "x", "columns": "line", "panel": panel, "label": "of", "limits": low_high,
            "annotate": draw(st.sampled_from([None, True, False])), "n_columns": draw(st.sampled_from([None, 1, 2, 9])),
        }  # fmt: skip
        panels = call(public("draw_matrices"), figure, values, **spoil(draw, given, keep=["label"]))
    assert len(panels) == (values.sizes["panel"] if panel else 1)


@target("format_spread")
def format_spread(draw):
    assert "seed" in call(public("format_spread"), draw(st.integers(1, 10**9)))


# the protocol


def cells():
    return {
        "seeds": 2, "n_classes": 2, "n_samples": 8, "width": 0.0625, "epochs": 1, "batch_size": 4, "solver": "lbfgs",
        "learning_rate": 1e-3, "schedule": "constant", "weight_decay": 0.0, "n_validation": 4, "n_probe": 8,
        "n_test": 4, "n_pairs": 4, "architecture": "resnet18", "adam_epochs": 2, "adam_learning_rate": 1e-3,
        "vit_schedule": "cosine", "class_relation": "disjoint", "dataset": "transforms2d",
    }  # fmt: skip


@target("cell_arguments", "factor_grid", "factor_coordinates", "full_grid", "count_training_images")
def grids_of_cells(draw):
    names_of_levels = ["architecture", "n_samples", "class_relation", "n_probe"]
    choices = {
        "architecture": ["resnet18", "vit"], "n_samples": [1, 8, 10**9], "class_relation": tasks.CLASS_RELATIONS,
        "n_probe": [1, 2, 10**9],
    }  # fmt: skip
    chosen_names = draw(st.lists(st.sampled_from(names_of_levels), unique=True))
    levels = {name: draw(st.lists(st.sampled_from(choices[name]), max_size=3, unique=True)) for name in chosen_names}
    datasets_there = ("transforms2d", *datasets.CIFAR)
    chosen = {"dataset": draw(st.sampled_from(datasets_there)), "solver": draw(st.sampled_from(["lbfgs", "adam"]))}
    chosen |= {"n_classes": draw(st.sampled_from([1, 2, 5]))}
    given = cells() | chosen | {"levels": levels}
    references = draw(st.sampled_from([(), grids.REFERENCES]))
    places, coordinates = call(grids.factor_grid, given, references, again=True)
    assert len(places) == len(coordinates["factor"]) * 2 * given["seeds"]
    for _, arguments in places[:3]:
        of_images = [arguments[name] for name in ("dataset", "class_relation", "n_classes", "n_samples")]
        assert call(tasks.count_training_images, *of_images) > 0
        assert not any(name.startswith("vit_") for name in arguments)
    arguments = call(grids.cell_arguments, given, **draw(st.sampled_from([{}, {"architecture": "vit"}])), again=True)
    assert "seeds" not in arguments
    assert len(call(grids.full_grid, levels, dict)[0]) == math.prod(map(len, levels.values()))
    factors = [(name, level) for name, one in levels.items() for level in one]
    assert len(call(grids.factor_coordinates, factors, seed=[0])["factor"]) == len(factors)


@target("make_presets", "on_cifar")
def presets_of_studies(draw):
    more = draw(settings())
    made = call(presets.make_presets, more, draw(st.lists(st.sampled_from(["epochs", "n_pairs", "none"]))), quick=more)
    assert list(made) == list(presets.PROTOCOL)
    levels = {"cifar10": {preset: draw(settings()) for preset in ("smoke", "quick")}}
    assert list(call(presets.on_cifar, levels)["cifar10"]) == ["smoke", "quick"]


@target("find_task_data", "find_transfer_data", "check_available", "Inputs", "make_tasks", "count_available")
def find_and_make(draw):
    dataset = draw(st.sampled_from(["transforms2d", "cifar10", "cifar100"]))
    objects = draw(st.sampled_from([None, "random", "procedural", "nowhere", "\x00"]))
    given = {"objects": objects, "data": draw(st.sampled_from(["nowhere", Path("nowhere")])), "dataset": dataset}
    given |= {"n_classes": draw(st.integers(1, 40))}
    inputs_there = call(inputs.find_task_data, **given)
    assert isinstance(inputs_there.identity, dict)
    sizes = draw(st.fixed_dictionaries({name: st.sampled_from([1, 40, 10**9]) for name in ("n_test", "n_pairs")}))
    with contextlib.suppress(Refused):
        call(inputs.check_available, sizes, {"n_test": 40, "n_pairs": 40}, draw(names()))
    with contextlib.suppress(Refused):
        call(inputs.find_transfer_data, **given, **sizes, n_samples=8, n_validation=4, n_probe=40, levels={})
    source, aim = call(
        tasks.make_tasks, **inputs_there.where, dataset=dataset,
        class_relation=draw(st.sampled_from([*tasks.CLASS_RELATIONS, "other"])),
        relation=draw(st.sampled_from(["same", "disjoint", "none", "other"])), seed=draw(seeds()),
        n_classes=draw(st.sampled_from([2, 3, 40])),
    )  # fmt: skip
    assert len(source) == len(aim) == 3
    assert call(tasks.count_available, source[0], 10**9) == 10**9


@target("sample_training", "keep_known", "mark_used", "divide_images")
def training_data(draw):
    source = tasks.images_task(labelled(draw), labelled(draw), [0, 1], draw(chosen_transformations()), 0)
    (X, y, X_val, y_val), chosen = call(tasks.sample_training, source, draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    assert set(y_val) <= set(y)
    assert len(X) == len(y)
    assert call(tasks.mark_used, ["hue", "blur"], source).shape == (2,)
    kept = call(tasks.keep_known, (X_val, y_val), np.array([0]))
    assert set(kept[1]) <= {0}
    assert len(call(tasks.divide_images, labelled(draw), labelled(draw), [0, 1], draw(seeds()))) == 3


@target("Study", "Study.settings", "Study.bind", "load_study")
def studies(draw):
    presets_there = {"quick": {"seeds": 1, "levels": {}, "dataset": "a"}}
    given = {
        "name": draw(st.sampled_from(["toys", "toys", "Toys!", "", 3])), "title": "", "description": "", "folder": "",
        "presets": draw(st.sampled_from([presets_there, presets_there, {}, {"quick": {}}, None])),
        "find": lambda *, objects, data, dataset: inputs.Inputs({}, "", {}), "cell": draw(st.sampled_from([dict, 3])),
        "grid": dict, "estimate": dict, "table": str, "figure": str,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, draw(st.sampled_from(["toys.py", "toys.txt", "é.py"])))
        path.write_text(draw(st.sampled_from(["", "STUDY = 3", "STUDY = (", "1 / 0"])))
        with contextlib.suppress(Refused):
            call(public("load_study"), draw(st.sampled_from([path, "nowhere", "", folder, "\x00", LONG])))
    study = call(public("Study"), **given)
    assert call(study.settings, "quick", draw(st.sampled_from([None, "b"])))["seeds"] == 1
    call(study.bind, draw(st.sampled_from([{"dataset": "a"}, {}, {"other": 3}])))


@target(
    "load_labelled_images", "make_combined", "measure_combined", "count_encoded", "find_images_with_objects", cost=20
)
def combined(draw):
    given = {"objects": None, "data": "nowhere", "dataset": draw(st.sampled_from(["transforms2d", "cifar10", "other"]))}
    given |= {"n_objects": draw(st.sampled_from([2, 10, 99])), "levels": {"correlation": [draw(st.floats(-1, 2))]}}
    given |= {
        "n_samples": 8,
        "n_probe": 8,
        "n_validation": 4,
        "n_test": draw(st.sampled_from([4, 10**9])),
        "n_pairs": 4,
    }
    with contextlib.suppress(Refused):
        call(images_with_objects.find_images_with_objects, **given)
    given = {name: given[name] for name in ("data", "dataset", "n_objects")} | {"folder": "procedural", "seed": 0}
    names_there = images_with_objects.TASKS
    targets = {name: call(images_with_objects.make_combined, name, **given) for name in names_there}
    sizes = {"n_probe": 30, "n_validation": 4, "n_test": 4, "n_pairs": 4}
    measured = call(images_with_objects.measure_combined, None, targets, seed=0, solver="lbfgs", **sizes)
    assert measured.sensitivity.dims == ("changed",)
    assert call(images_with_objects.count_encoded, 2, epochs=1, **sizes) > 0
    (images_there, _), _ = call(images_with_objects.load_labelled_images, "transforms2d", "")
    assert images_there.dtype == np.uint8


@target(
    "format_mean", "format_means", "format_table", "select_factor", "drop_references", "stack_encoders",
    "target_sensitivity", "compare_with_exact", "rank_correlation",
)  # fmt: skip
def of_studies(draw):
    accuracy = draw(accuracies())
    cube = accuracy.to_dataset(name="accuracy")
    if "seed" in cube.dims and "factor" in cube.dims:
        names_there = analysis.drop_references(cube).factor_name.values.tolist()
        assert "reference" not in names_there
        for name in names_there:
            assert name in call(analysis.select_factor, cube, name).dims
        if cube.sizes["factor"] and {"factor", "relation"} <= set(accuracy.dims):
            stacked = call(analysis.stack_encoders, accuracy)
            if cube.sizes["relation"]:
                assert call(analysis.format_means, {"accuracy": stacked}, "encoder").startswith(" ")
    one = draw(cubes({"seed": None}))
    assert isinstance(call(analysis.format_mean, draw(mutated(one)), draw(st.sampled_from(["", "+"]))), str)
    rows = draw(st.lists(st.lists(names(), min_size=2, max_size=2), min_size=1, max_size=3))
    assert isinstance(call(analysis.format_table, rows), str)
    numbers = {"n_pretraining_transformations": [1, 2], "n_target_transformations": [1, 2], "seed": None}
    more, fewer = call(analysis.compare_with_exact, draw(cubes(numbers)))
    assert not (more.notnull() & fewer.notnull()).any()
    assert call(analysis.rank_correlation, draw(cubes({"level": [0, 1, 2], "seed": None})), "level").dims == ("seed",)
