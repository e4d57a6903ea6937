"""Targets of test_fuzzing.py: for every public callable what to call it with, and what must be true of the result.

A target is a function of hypothesis' `draw`, under the names that it covers; `call` judges what comes out. Most
arguments are drawn by the name of their parameter, which means the same in the whole package, see `ARGUMENTS`. To add a
target, write it; test_fuzzing.py says which are missing.
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
    checked_images,
    cubes,
    damaged,
    images,
    labels,
    layouts,
    limit,
    names,
    odd,
    odd_arrays,
    random_states,
    seeds,
    spoil,
    tensors,
)
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from synthetic_profiles import make_pictures, make_profile
from torch import nn

import invtransfer
from invtransfer import analysis, randomness
from invtransfer.analysis import claims
from invtransfer.networks import architectures as networks
from invtransfer.networks import devices, optimizers, training
from invtransfer.pages import layout
from invtransfer.paper import datasets, distribution_shift, grids, images_with_objects, inputs, tasks
from invtransfer.sources import pasting
from invtransfer.transformations import TRANSFORMATIONS, apply_transformations

NOT_FUZZED = {  # why -> names, and modules, of which only what a package exports has targets
    "a tuple": ["CifarSizes", "Whitening"],
    "takes the cube of one study": [
        "invtransfer.pages.studies", "is_whole", "make_study_page", "make_speed_page",
        "format_advised_pretraining", "format_fine_tuning", "format_invariance",
        "plot_depth", "plot_fine_tuning", "plot_invariance_transfer",
        "plot_irrelevant_features", "plot_mismatch", "plot_relevance",
        "plot_advised_pretraining", "plot_real_advice",
    ],
    "takes the cube of one command": ["make_advice_page", "plot_advice"],
    "command lines, and what timings compare with": [
        "main", "invtransfer.commands.measuring", "invtransfer.commands.models_and_images",
        "invtransfer.commands.task_advice",
        "invtransfer.paper.benchmarks", "invtransfer.paper.command_line", "invtransfer.paper.one_by_one",
    ],
    "runs processes, or reads what they leave": [
        "run_study", "format_status", "invtransfer.cubes.cells", "invtransfer.cubes.executors",
        "invtransfer.cubes.records", "invtransfer.cubes.running", "invtransfer.cubes.status",
    ],
    "called by functions that have targets": [
        "invtransfer.pages.layout", "invtransfer.pages.measure_command", "invtransfer.pages.origins",
        "invtransfer.pages.advice", "invtransfer.pages.profile_tables", "invtransfer.pages.profiles",
        "format_advised", "format_advised_in",
        "check_repeats", "encode_plain", "measure_twins", "invtransfer.estimators.pairs", "count_at_once",
        "warn_of_few", "warn_of_equal_features", "describe_encoders",
        "check_no_label_missing", "find_module", "forget_fit", "list_advised", "order_advice", "shorten_repeated",
        "format_accuracies", "correlate", "describe_accuracies", "describe_others", "encode_checked", "unwrap",
        "has_value", "say", "choose_transformations",
        "check_no_paths", "SourceLoader", "arrange_profile", "find_depths", "make_whitenings", "put_feature_last",
        "select_last_layer",
        "sensitivity_intervals", "fit_scaler", "hint_of_one_hot", "seeded_global_generators",
        "invtransfer.estimators.profiles", "invtransfer.transformations.strength",
        "invtransfer.analysis.checks", "invtransfer.encoders.heads", "invtransfer.encoders.libraries",
        "invtransfer.networks.checkpoints", "invtransfer.networks.optimizers", "invtransfer.networks.weights",
        "invtransfer.objects.folders",
        "invtransfer.images.arrays", "invtransfer.images.conversion", "invtransfer.images.datasets",
        "invtransfer.images.files",
        "invtransfer.plots.axes", "invtransfer.plots.panels", "invtransfer.plots.profiles",
        "invtransfer.published.joins", "invtransfer.published.tables",
    ],
    "abstract; estimators have its methods": [
        "invtransfer.estimators.frozen", "invtransfer.estimators.network_classifier",
    ],
    "draws what the package made, and takes nothing from outside": [
        "invtransfer.objects.drawing", "invtransfer.objects.landscapes", "invtransfer.objects.things",
        "invtransfer.plots.gallery",
    ],
    "applied through TRANSFORMATIONS": [
        "invtransfer.transformations.corruption", "invtransfer.transformations.draws",
        "invtransfer.transformations.geometric", "invtransfer.transformations.photometric",
    ],
}  # fmt: skip
TARGETS = {}  # name of a callable -> its target
LONG = "a" * 1_000  # more than names of files may be
DEEP = "[" * 100_000 + "]" * 100_000  # more than parsers of JSON nest


def target(*covered, methods=(), cost=1):
    """Register a target of callables and their methods; `cost` is how many times fewer inputs it gets if it is slow."""

    def register(function):
        for name in (*covered, *(f"{name}.{method}" for name in covered for method in methods)):
            assert name not in TARGETS, f"{name} has two targets"
            TARGETS[name] = function
        function.cost = cost
        return function

    return register


def check(covered, /, cost=1, **how):
    """Register a check of the result of one call; its further parameters are arguments that the call got."""

    def register(function):
        @target(covered, cost=cost)
        def one_call(draw):
            result, given = call_drawn(draw, covered, **how)
            function(result, **{name: given[name] for name in list(inspect.signature(function).parameters)[1:]})

        one_call.__name__ = covered
        return one_call

    return register


def call_drawn(draw, covered, /, *, spoiled=False, keep=(), again=True, changes=(), **special):
    """Call a public callable; return the result and the arguments.

    There is one for each parameter that `special` or `ARGUMENTS` has: drawn, or taken as it is if it is no strategy. If
    `spoiled`, some of them, but for those in `keep`, are anything.
    """
    chosen = ARGUMENTS | special
    chosen = {name: chosen[name] for name in inspect.signature(public(covered)).parameters if name in chosen}
    given = {name: draw(one) if isinstance(one, st.SearchStrategy) else one for name, one in chosen.items()}
    given = spoil(draw, given, keep) if spoiled else given
    again = again and isinstance(given.get("random_state", 0), int)
    return call(public(covered), **given, again=again, changes=changes), given


@functools.cache
def public_callables():
    """Return the public functions and classes of all modules, and the public methods of classes, by name."""
    found, left_out = {}, {name for several in NOT_FUZZED.values() for name in several}
    for module in pkgutil.walk_packages(invtransfer.__path__, "invtransfer."):
        if module.name == "invtransfer.__main__":
            continue
        members = vars(import_module(module.name))
        for name, thing in members.items():
            home = getattr(thing, "__module__", None)
            exported = name in members.get("__all__", ())
            ours = exported if home != module.name else module.name not in left_out and not name.startswith("_")
            if callable(thing) and ours and name not in left_out:
                assert found.get(name, thing) is thing, f"two modules have {name}: {home}, {found[name].__module__}"
                found |= _with_methods(name, thing)
    return found


def _with_methods(name, thing):
    """Return a callable and its methods by name; exceptions and abstract classes have no targets."""
    if not inspect.isclass(thing):
        return {name: thing}
    if issubclass(thing, Exception) or inspect.isabstract(thing):
        return {}
    ours = {
        f"{name}.{method}": function
        for method, function in inspect.getmembers(thing, inspect.isfunction)
        if not method.startswith("_") and function.__module__.startswith("invtransfer")
    }
    return {name: thing} | ours


def public(name):
    """Return a public callable of the package by its name, whichever module it is in."""
    return public_callables()[name]


# inputs that targets share


ROTATE = TRANSFORMATIONS["rotate"]
CHOSEN = st.lists(
    st.sampled_from([*TRANSFORMATIONS, ROTATE]), max_size=3, unique_by=lambda one: getattr(one, "name", one)
)


@functools.cache
def few_objects():
    return invtransfer.load_objects("procedural", size=16)[:8]


@st.composite
def flat_images(draw, n, side=8):
    """Draw images as rows, in [0, 1] or of any range."""
    X = draw(images(n=(n, n), height=(side, side)))
    factor = 1 if X.dtype == np.float16 else draw(st.sampled_from([1, 1, -40.0, 1e6]))
    return draw(layouts((X * factor).reshape(n, -1)))


def labelled(draw):
    """Draw a data set of 40 images of 4 classes, all of which have some for validation."""
    return draw(checked_images(n=(40, 40), height=(8, 8))), np.arange(40) % 4


@contextlib.contextmanager
def folder_of(files):
    """Make a folder of files, by their paths; None makes a folder."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(exist_ok=True) if data is None else path.write_bytes(data)
        yield folder


def paths_like(path):
    """Draw a path, most often the given one, and else one where no such file can be."""
    return st.sampled_from([path] * 5 + [Path(path).parent, f"{path}-nothing", "", "\x00", LONG])


def _returning(function):
    module = nn.Identity()
    module.forward = function
    return module


MODULES = {
    "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.ReLU(inplace=True), nn.Linear(4, 3)),
    "convolution": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1)
    ),
    "nothing": nn.Identity,
    "large images alone": lambda: nn.Sequential(nn.Conv2d(3, 2, 9), nn.Flatten()),
    "a dict": lambda: _returning(lambda X: {"features": X}),
    "nan": lambda: _returning(lambda X: X.flatten(1) * float("nan")),
    "scalar": lambda: _returning(torch.sum),
}


def tiny_module(kind="linear"):
    """Return a module of a few weights, from images of 8 x 8; the same at each call."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return MODULES[kind]()


SOME_MODULE = st.sampled_from(list(MODULES)).map(tiny_module)


@functools.cache
def fitted(kind):
    X = np.random.default_rng(0).integers(256, size=(12, 8, 8, 3), dtype=np.uint8)
    options = {"epochs": 1, "batch_size": 6, "random_state": 0, "device": "cpu"}
    if kind == "pca":
        return PCA(2).fit(X.reshape(12, -1).astype(float))
    if kind == "pipeline":
        return make_pipeline(FunctionTransformer(lambda X: X / 255.0), PCA(2)).fit(X.reshape(12, -1))
    if kind == "tuner":
        estimator = invtransfer.FineTuner(fitted("module"), **options)
    elif kind == "module":
        estimator = invtransfer.InvariantPretrainer(tiny_module(), **options)
    else:
        estimator = invtransfer.InvariantPretrainer("resnet18", width=0.0625, **options | {"epochs": 0})
    return estimator.fit(X, np.arange(12) % 3)


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


ENCODERS = st.sampled_from(GOOD_ENCODERS * 6 + BAD_ENCODERS).map(lambda make: make())
PARTS = st.sampled_from(["0", "-1", "features", "last_hidden_state", "feature_maps", "é"])
LAYERS = st.sampled_from(["[features]", "0[0]", *[None] * 8, "", "0", "1", "3", "no such layer"])


SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | names()
VALUES = st.recursive(SCALARS, lambda one: st.lists(one, max_size=3) | st.dictionaries(names(), one, max_size=3))
SETTINGS = st.dictionaries(names(), VALUES, max_size=4)


@st.composite
def assembled(draw):
    """Draw a small cube as a study writes it."""
    values = st.lists(st.floats(), min_size=2, max_size=3)
    over = values.map(lambda values: xr.Dataset({"accuracy": ("transformation", values)}))
    constant = [None, xr.Dataset(), xr.Dataset(attrs={"message": "why"}), xr.Dataset({"accuracy": 1.0})]
    kinds = [
        st.sampled_from([*constant, xr.Dataset({"accuracy": 3, "count": np.int8(3)}), xr.Dataset({"accuracy": True})]),
        st.builds(lambda accuracy: xr.Dataset({"accuracy": accuracy}), st.floats()),
        names().map(lambda word: xr.Dataset({"word": word})),
        over,
        over.map(lambda cell: cell.assign_coords(transformation=["rotate", "blur", "hue"][: cell.accuracy.size])),
    ]
    some = st.sampled_from(constant) if draw(st.booleans()) else st.one_of(kinds)
    factors = draw(st.sampled_from([["a", "b"], ["b"], ["c", "a"]]))
    coordinates = {"factor": factors, "seed": [0, 1], "level": ("factor", [f"of {one}" for one in factors])}
    factors = [*factors, "nowhere"] if draw(st.integers(0, 9)) == 0 else factors
    points = [{"factor": factor, "seed": seed} for factor in factors for seed in (0, 1)]
    cells = [draw(some) for _ in points]
    assert len(call(public("align"), cells)) == len(cells)
    cube = call(public("assemble"), points, cells, coordinates, again=True)
    wrong = st.sampled_from(["{}"] * 9 + ["[]", '{"a": 1}', "", "[" * 100_000, 3])
    texts = wrong if draw(st.integers(0, 3)) == 0 else st.just("{}")
    return cube.assign_attrs(settings=draw(texts), versions=draw(texts), title="A title")


FACTORS = [("width", "1"), ("width", "2"), ("n_samples", "1000"), ("n_samples", "50000"), ("architecture", "vit"),
           ("class_relation", "disjoint"), ("class_relation", "same"), ("reference", "untrained")]  # fmt: skip


@st.composite
def accuracies(draw, relations=(["same", "disjoint"],), **others):
    """Draw accuracies of a study over factors."""
    chosen = draw(st.lists(st.sampled_from(FACTORS), max_size=6, unique=True))
    dims = {"factor": ["=".join(one) for one in chosen], "relation": draw(st.sampled_from(relations))}
    return draw(cubes(dims | {"seed": None} | others)).assign_coords(
        factor_name=("factor", np.array([name for name, _ in chosen], dtype=str)),
        level=("factor", np.array([level for _, level in chosen], dtype=str)),
    )


@st.composite
def factor_cubes(draw):
    accuracy = draw(accuracies(relations=(["same", "disjoint"], ["same"]), seed=list(range(draw(st.integers(1, 6))))))
    accuracy = accuracy.where(np.isfinite(accuracy))  # no figure has to show an infinite accuracy
    named, shape = list(accuracy.dims), list(accuracy.shape)
    cube = xr.Dataset({"transfer_accuracy": accuracy, "source_accuracy": accuracy})
    generator = np.random.default_rng(draw(seeds()))
    cube["sensitivity"] = ([*named, "transformation"], generator.random([*shape, 2]))
    cube["source_transformation"] = ([*named, "transformation"], generator.integers(-1, 2, [*shape, 2]).astype(np.int8))
    cube["status"] = (named, generator.integers(0, 3, shape).astype(np.int8))
    cube["cell"] = (named, generator.integers(0, 9, shape).astype(str))
    cube = cube.assign_coords(transformation=["rotate", "blur"])
    return cube.assign_attrs(draw(st.dictionaries(st.just("title"), names())))


@st.composite
def mutated(draw, thing, kinds=object):
    """Draw an array or dataset that lacks something, has too much, or has it under another name."""
    how = draw(st.sampled_from(["nothing", "nothing", "drop", "isel", "rename", "coordinate", "twice", "type", "odd"]))
    if how == "odd":
        return draw(odd().filter(lambda one: isinstance(one, kinds)))
    some = [*thing.coords, *getattr(thing, "data_vars", ())]
    if how == "drop" and some:
        return thing.drop_vars(draw(st.sampled_from(some)))
    if how == "type" and isinstance(thing, xr.DataArray) and np.isfinite(thing).all():
        types = ["float32", "int64", "bool", "complex64", "U3", "object"]
        return thing.clip(-1, 1).astype(draw(st.sampled_from(types)))
    if not thing.dims:
        return thing
    dim = draw(st.sampled_from(list(thing.dims)))
    n = thing.sizes[dim]
    if how == "rename":
        return thing.rename({dim: draw(st.sampled_from(["other", "seed ", "a b"]))})
    if how == "coordinate":
        ways = [np.arange(n), np.full(n, "same"), np.arange(n) / 3, np.full(n, True), np.full(n, "é", object)]
        return thing.assign_coords({dim: draw(st.sampled_from(ways))})
    if how == "isel" and n:
        return thing.isel({dim: draw(st.sampled_from([0, [0], [], slice(None, None, -1)]))})
    if how == "twice" and n:
        return xr.concat([thing, thing], dim, **({"data_vars": "all"} if isinstance(thing, xr.Dataset) else {}))
    return thing


def arrays_over(dims):
    """Draw an array over dimensions, to which something may have happened."""
    return cubes(dims).flatmap(mutated)


ARGUMENTS = {  # name of a parameter -> what is drawn for it, if a target has nothing else
    "C": st.sampled_from([100.0, 1e-10, 1e10]),
    "availability": st.sampled_from([1.0, 1, 0.5, 0]),
    "backgrounds": st.sampled_from([None, "random"]) | images(),
    "batch_size": st.sampled_from([2, 4, 512, 10**12]),
    "class_relation": st.sampled_from(tasks.CLASS_RELATIONS),
    "distance": st.sampled_from([*["euclidean"] * 3, "cosine", "mahalanobis", "no such distance"]),
    "interactions": st.sampled_from([*[None] * 4, "all", [("rotate", "hue")], [("hue",)], ["rotate"], "some"]),
    "layers": st.sampled_from([*[None] * 5, "blocks", ["0"], ["0", "1"], ["", "0"], [], "no such layers"]),
    "probe": st.none(),
    "strengths": st.sampled_from([*[None] * 4, [1], [0.25, 1.0], (0.5,), [1.0, 0.5], [0.0], [], 0.5]),
    "correlation": st.sampled_from([0.0, 0, 0.5, 1]),
    "encoder": ENCODERS,
    "epochs": st.sampled_from([0, 1, 1, 2]),
    "image_shape": st.sampled_from([None, None, (8, 8, 3), (4, 16, 3), [8, 8, 3]]),
    "image_size": st.sampled_from([2, 8, 9]),
    "label": st.sampled_from(["image", "object"]),
    "layer": LAYERS,
    "learning_rate": st.sampled_from([1e-3, 1e-3, 1e30]),
    "max_iter": st.sampled_from([1, 20]),
    "n_columns": st.sampled_from([None, 1, 2, 9]),
    "n_pairs": st.sampled_from([2, 3, 8]),
    "name": names(),
    "objects": st.integers(1, 8).map(lambda n: few_objects()[:n]),
    "optimizer": st.sampled_from(optimizers.OPTIMIZERS),
    "pool": st.sampled_from([*["auto"] * 4, "class", "mean", "flatten", "no such pooling"]),
    "precision": st.sampled_from(devices.PRECISIONS),
    "random_state": seeds(),
    "scale": st.sampled_from([0.55, 1, 1e-9]),
    "schedule": st.sampled_from(training.SCHEDULES),
    "seed": seeds(),
    "solver": st.sampled_from(["lbfgs", "lbfgs", "adam"]),
    "twins": st.sampled_from(["drawn", "drawn", "clean", "no such twins"]),
    "transformations": CHOSEN,
    "weight_decay": st.sampled_from([0.0, 1e-2]),
}


# the image contract


@check("check_images", X=images() | images() | odd_arrays() | odd())
def check_images(checked, X):
    assert checked.ndim == 4
    assert checked.shape[3] == 3
    assert checked.size
    assert checked.dtype in (np.uint8, np.float32)
    assert checked.dtype == np.uint8 or (checked.min() >= 0 and checked.max() <= 1)
    if isinstance(X, np.ndarray) and X.dtype == np.uint8:
        assert np.shares_memory(checked, X)


@check("check_labels", y=labels(4) | odd(), n_samples=4)
def check_labels(y):
    assert y.shape == (4,)


@check("check_count", value=st.integers(-5, 12) | odd(), low=st.integers(-3, 3), high=st.none() | st.integers(3, 9))
def check_count(n, low, high):
    assert type(n) is int
    assert low <= n <= (math.inf if high is None else high)


@check(
    "check_image_shape", image_shape=st.just((8, 8, 3)) | st.lists(st.integers(-1, 9), max_size=4).map(tuple) | odd()
)
def check_image_shape(_, image_shape):
    height, width, n_channels = image_shape
    assert min(height, width) >= 1
    assert n_channels == 3


@target("validate_input", "validate_validation", "check_range")
def validate_input(draw):
    estimator = invtransfer.FrozenFeatureProbe(image_shape=draw(st.sampled_from([None, (8, 8, 3), (4, 4, 3)])))
    X = draw(images(n=(4, 4), height=(8, 8)) | flat_images(4) | odd())
    X, y = call(public("validate_input"), estimator, X, draw(labels(4) | odd()), reset=True, changes=(0,))
    assert X.ndim == 4
    assert len(X) == len(y)
    estimator.classes_ = np.unique(y)
    call(public("check_range"), estimator, X.dtype, reset=False)
    X_val = draw(images(n=(4, 4), height=(8, 8)) | flat_images(4) | odd())
    y_val = draw(labels(4) | st.just(y) | odd())
    X_val, codes = call(public("validate_validation"), estimator, X_val, y_val)
    if X_val is not None:
        assert X_val.shape[1:] == X.shape[1:]
        assert (estimator.classes_[codes] == np.asarray(y_val)).all()


@check(
    "to_tensor",
    X=checked_images() | checked_images(n_channels=1) | flat_images(2).filter(lambda X: X.dtype != np.float16),
    device="cpu",
)
def to_tensor(tensor, X):
    assert tensor.dtype == torch.float32
    assert tuple(tensor.shape) == (X.shape if X.ndim == 2 else (len(X), X.shape[3], *X.shape[1:3]))
    assert X.dtype != np.uint8 or 0 <= tensor.min() <= tensor.max() <= 1


# randomness and transformations


@target("derive_generator", "derive_seed")
def derive(draw):
    seed, stream, index = draw(st.integers(0, 2**80)), draw(names()), draw(st.integers(0, 2**62))
    one, two = (call(randomness.derive_generator, seed, stream, index) for _ in range(2))
    assert one.random() == two.random()
    derived, _ = call_drawn(draw, "derive_seed", random_state=random_states() | odd(), stage=stream)
    assert 0 <= derived < 2**32


@target("apply_transformations", "to_tensors")
def apply_all(draw):
    X = draw(tensors(n=(0, 5)))
    chosen = draw(st.lists(st.sampled_from(list(TRANSFORMATIONS.values())), max_size=4))
    generator, shape = np.random.default_rng(draw(seeds())), tuple(X.shape[2:])
    drawn = [call(one.draw, len(X), generator, shape, changes=(1,)) for one in chosen]
    for one in drawn:
        assert {len(values) for values in one.values()} == {len(X)}
        assert all(torch.is_tensor(value) for value in call(public("to_tensors"), one).values())
    _assert_images_like(call(apply_transformations, X, chosen, drawn, again=True), X)
    for one, parameters in zip(chosen, drawn, strict=True):
        _assert_images_like(call(one.apply, X, **public("to_tensors")(parameters), again=True), X)


EXTREMES = {
    "angle": (-1e4, 1e4), "factor": (0.0, 100.0), "angles": (-89.0, 89.0), "shift": (-5.0, 5.0), "sigma": (0.0, 30.0),
    "position": (0.0, 1.0),
}  # fmt: skip


@target("TRANSFORMATIONS")
def apply_extremes(draw):
    name = draw(st.sampled_from(list(TRANSFORMATIONS)))
    one, X = TRANSFORMATIONS[name], draw(tensors())
    parameters = one.draw(len(X), np.random.default_rng(draw(seeds())), tuple(X.shape[2:]))
    for key, values in parameters.items():
        if key == "applied":
            parameters[key] = np.full(len(X), draw(st.booleans()))
        elif key != "seed" and draw(st.booleans()):
            low, high = EXTREMES[key]
            low = 0.01 if name == "scale" else low
            parameters[key] = np.full_like(values, draw(st.sampled_from([low, high]) | st.floats(low, high)))
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
    pixels = images(n=(n, n), height=(side, side), width=(side, side), n_channels=4, dtypes=("uint8",))
    unique = st.lists(names(), min_size=n, max_size=n, unique=True).map(tuple)
    made, _ = call_drawn(draw, "Objects", spoiled=True, again=False, images=pixels | odd_arrays(), names=unique)
    assert len(made) == len(made.names) == len(made.images)
    assert str(len(made)) in call(made.__repr__)
    key = draw(
        st.integers(-5, 5) | st.slices(len(made)) | st.sampled_from(made.names) | odd()
        | st.lists(st.sampled_from(made.names)) | st.lists(st.booleans(), max_size=4)
        | st.lists(st.integers(-5, 5)).map(np.array)
    )  # fmt: skip
    chosen = call(made.__getitem__, key)
    assert set(chosen.names) <= set(made.names)
    if isinstance(key, str):
        assert chosen.names == (key,)


def picture(width, height, mode="RGBA", suffix="PNG"):
    file = io.BytesIO()
    array = np.random.default_rng(width).integers(256, size=(height, width, len(mode)), dtype=np.uint8)
    Image.fromarray(array).save(file, suffix)
    return file.getvalue()


def bomb(side):
    """Return a PNG file whose header asks for more than anyone has, with a valid checksum."""
    header = struct.pack(">4sIIBBBBB", b"IHDR", side, side, 8, 6, 0, 0, 0)
    valid = picture(1, 1)
    return valid[:12] + header + struct.pack(">I", zlib.crc32(header)) + valid[33:]


@st.composite
def picture_files(draw):
    suffix = draw(st.sampled_from(["PNG", "JPEG", "WEBP"]))
    data = picture(draw(st.integers(1, 20)), draw(st.integers(1, 20)), "RGB" if suffix == "JPEG" else "RGBA", suffix)
    data = draw(st.just(data) | damaged(data) | damaged(data) | st.sampled_from([bomb(2**31 - 1), bomb(10_000)]))
    return draw(st.sampled_from([f".{suffix.lower()}", ".png", ".JPG", ".txt"])), data


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


@target("load_objects", "load_backgrounds", "load_objects_and_backgrounds", "identify_objects", "find_objects")
def pictures(draw):
    files = draw(picture_folders())
    if draw(st.booleans()):
        record = json.dumps({"data_set": draw(names())}).encode()
        wrong = st.sampled_from([DEEP.encode(), b"[]", b"{}", b"1", b'{"data_set": []}', None])
        files["SOURCE.json"] = draw(st.just(record) | damaged(record) | wrong)
    makers = {"load_objects": 4, "load_backgrounds": 3}  # numbers of channels
    name = draw(st.sampled_from([*makers, "load_objects_and_backgrounds", "identify_objects", "find_objects"]))
    with folder_of(files) as folder:
        places = paths_like(folder) | st.sampled_from(["procedural", "random", Path(folder), f"{folder}/foregrounds"])
        where = dict.fromkeys(["source", "folder", "objects"], places)
        loaded, given = call_drawn(
            draw, name, spoiled=name in makers, **where, size=st.sampled_from([8, 9, np.int64(8)])
        )
    if name in makers:
        pixels = getattr(loaded, "images", loaded)
        assert pixels.shape[1:] == (given["size"], given["size"], makers[name])
        assert pixels.dtype == np.uint8
    elif name == "load_objects_and_backgrounds":
        found, backgrounds = loaded
        assert len(found)
        assert backgrounds is None or backgrounds.dtype == np.uint8


@target("load_images", "ImageCollection", "ImageCollection.subset")
def own_images(draw):
    X = draw(images(dtypes=("uint8", "float32", "float64")))
    listed = [Image.fromarray(image) for image in X] if X.dtype == np.uint8 else X.tolist()
    data = st.sampled_from([X, list(X), listed, torch.from_numpy(X.copy()), [*X, *listed]]) | odd() | odd_arrays()
    size = draw(st.sampled_from([None, 1, 7, np.int64(8)]))
    with folder_of(draw(picture_folders())) as folder:
        places = paths_like(folder) | st.sampled_from([f"{folder}/foregrounds", Path(folder, "backgrounds")])
        loaded, given = call_drawn(draw, "load_images", spoiled=True, keep=["data"], data=data | places, size=size)
        with contextlib.suppress(OSError, ValueError):  # of pictures that are read now
            pixels = loaded[:]
            assert pixels.shape == loaded.shape
            assert pixels.dtype == loaded.dtype
            assert given["size"] is None or pixels.shape[1:3] == (given["size"], given["size"])
            assert pixels.dtype == np.uint8 or (pixels.min() >= 0 and pixels.max() <= 1)
        rows = draw(st.lists(st.integers(-2, 3), max_size=3) | odd())
        part = call(loaded.subset, rows)
        assert part.shape[1:] == loaded.shape[1:]
    if given["data"] is X:
        again = call(public("ImageCollection"), X, size=given["size"])
        assert (again[:] == pixels).all()


# pasting and sources


@target("place_objects", "centred_box", "shift", "paste", "write_pixels")
def pasting_in_a_row(draw):
    n, share = draw(st.integers(1, 3)), draw(st.floats(0.01, 1.0))
    height, width, given_side = (draw(st.integers(1, 12)) for _ in range(3))
    left, top, side = call(pasting.centred_box, (height, width), share)
    assert 0 <= left <= left + side <= width
    assert 0 <= top <= top + side <= height
    pixels = draw(images(n=(n, n), height=(given_side, given_side), n_channels=4, dtypes=("uint8",)))
    size = draw(st.sampled_from([(height, width), height]))
    placed = torch.from_numpy(call(pasting.place_objects, pixels, size, share, again=True))
    assert placed.shape[:2] == (n, 4)
    assert 0 <= placed.min() <= placed.max() <= 1
    height, width = placed.shape[2:]
    generator = np.random.default_rng(draw(seeds()))
    offsets = generator.integers([1 - width, 1 - height], [width, height], (n, 2))
    shifted = call(pasting.shift, placed, offsets, again=True)
    assert shifted.shape == placed.shape
    below = draw(checked_images(n=(n, n), height=(height, height), width=(width, width)))
    below = below.transpose(0, 3, 1, 2).copy()
    pasted = call(pasting.paste, shifted, below, again=True)
    assert pasted.shape == (n, height, width, 3)
    assert pasted.dtype == below.dtype
    assert pasted.dtype == np.uint8 or 0 <= pasted.min() <= pasted.max() <= 1 + 1e-6
    out = np.zeros_like(pasted)
    call(pasting.paste, shifted, below, out, changes=(2,))
    call(pasting.write_pixels, torch.from_numpy(below).float(), out, changes=(1,))
    assert (out == below.transpose(0, 2, 3, 1)).all()


@target("Transforms2D", methods=("sample", "twins"))
def transforms_2d(draw):
    _use_source(draw, "Transforms2D")


@target("TransformedImages", methods=("sample", "twins"))
def transformed_images(draw):
    _use_source(draw, "TransformedImages")


@target("ObjectsOnImages", methods=("sample", "twins"))
def objects_on_images(draw):
    _use_source(draw, "ObjectsOnImages")


def _use_source(draw, kind):
    """Make a source, sample, and make twins, as anyone could ask for it."""
    X = draw(images())
    corner = (X.shape[2] - 1, X.shape[1] - 1)
    source, _ = call_drawn(
        draw, kind, spoiled=True, again=False, images=X, labels=st.none() | labels(len(X)),
        position=st.sampled_from(["random", (0, 0), corner, [0, 0], (-1, 0), (0.5, 0)]),
        random_state=seeds() | st.just(2**70),
    )  # fmt: skip
    assert kind in call(source.__repr__)
    given = {
        "n": draw(st.sampled_from([1, 2, 5, 300 if source.image_shape[0] < 9 else 7])),
        "start": draw(st.sampled_from([0, 0, 1, 254, 10**15])),
        "transformations": draw(st.none() | CHOSEN),
    }
    with contextlib.suppress(Refused):
        given = spoil(draw, given)
        X, y = call(source.sample, **given, again=True)
        assert X.shape == (given["n"], *source.image_shape)
        assert X.dtype == source.dtype
        assert len(y) == given["n"]
        assert X.dtype == np.uint8 or (np.isfinite(X).all() and X.min() >= 0 and X.max() <= 1 + 1e-6)
        last, label = call(source.sample, 1, given["start"] + given["n"] - 1, given["transformations"])
        assert (last[0] == X[-1]).all()
        assert label[0] == y[-1]
    if kind == "ObjectsOnImages":
        given["changed"] = draw(st.sampled_from([None, "object", "image"]))
    given = spoil(draw, given)
    X, X_twin = call(source.twins, **given, again=True)
    assert X.shape == X_twin.shape == (given["n"], *source.image_shape)
    if given["transformations"] is not None and not len(given["transformations"]) and not given.get("changed"):
        assert (X_twin == X).all()


@target("draw_rows", "draw_in_parts", "transform_whole")
def rows_of_sources(draw):
    X = draw(checked_images())
    indices = np.array(draw(st.lists(st.integers(0, 2**40), min_size=len(X), max_size=len(X))))
    given = {"random_state": draw(st.integers(0, 2**70)), "twin": draw(st.booleans())}
    chosen = draw(st.lists(st.sampled_from(list(TRANSFORMATIONS.values())), max_size=3))
    changed = call(public("transform_whole"), X, chosen, indices, **given, again=True)
    assert changed.shape == X.shape
    assert changed.dtype == X.dtype
    for one in chosen:
        rows = call(public("draw_rows"), one, indices, X.shape[1:3], **given, again=True)
        assert all(len(values) == len(X) for values in rows.values())
    shape = draw(st.sampled_from([(1, 1), (32, 32), (4096, 4096)]))
    parts = [np.arange(len(X))[rows] for rows, _ in call(public("draw_in_parts"), [], indices, shape, **given)]
    assert np.concatenate(parts).tolist() == list(range(len(X)))


# encoders


@target("twin_sensitivity")
def twin_sensitivity(draw):
    X = draw(images(n=(2, 6), height=(8, 8)))
    X_twin = draw(st.just(X) | images(n=(len(X), len(X)), height=(8, 8)))
    (sensitivity, low, high), given = call_drawn(draw, "twin_sensitivity", spoiled=True, X=X, X_twin=X_twin)
    assert math.isnan(sensitivity) or sensitivity >= 0
    assert math.isnan(low) or low <= sensitivity <= high
    assert math.isnan(sensitivity) or sensitivity == 0 or given["X"] is not given["X_twin"]


@target(
    "distances", "sensitivity_interval", "compare_within_blocks", "mean_random_distance", "count_effective_pairs",
    "participation_ratio", "leave_one_out", "make_whitening", "variance_moments", "normalized_variance",
)  # fmt: skip
def statistics(draw):
    n = draw(st.integers(2, 9))
    generator = np.random.default_rng(draw(seeds()))
    scale = draw(st.sampled_from([0.0, 1e-30, 1.0, 1e18]))
    Z, Z_other = (generator.normal(size=(n, 3)).astype(np.float32) * scale for _ in range(2))
    whitening = call(public("make_whitening"), Z, again=True)
    assert np.isfinite(whitening.apply(np.eye(3))).all()
    if draw(st.booleans()):
        Z, Z_other = whitening.apply(Z), whitening.apply(Z_other)
    distance = draw(st.sampled_from(["euclidean", "euclidean", "cosine", "mahalanobis"]))
    measured = call(public("distances"), Z, Z_other, distance, again=True)
    assert (measured >= 0).all()
    between, nearer = call(public("compare_within_blocks"), Z, Z_other, distance, again=True)
    assert ((nearer >= 0) & (nearer <= 1)).all()
    assert between.min() * (1 - 1e-9) <= call(public("mean_random_distance"), between) <= between.max() * (1 + 1e-9)
    sensitivity, low, high = call(public("sensitivity_interval"), measured, between, again=True)
    assert math.isnan(low) or 0 <= low <= sensitivity <= high
    without = call(public("leave_one_out"), measured, between, again=True)
    assert math.isnan(low) or not measured.any() or without.min() <= sensitivity * (1 + 1e-9)
    moments = call(public("variance_moments"), Z, Z_other, again=True)
    variance = call(public("normalized_variance"), moments, n)
    assert math.isnan(variance) or variance >= 0
    assert 0 <= call(public("count_effective_pairs"), measured) <= n * (1 + 1e-9)
    ratio = call(public("participation_ratio"), Z)
    assert math.isnan(ratio) or 1 - 1e-9 <= ratio <= 3 * (1 + 1e-9)


@target("h_score", "log_evidence", "nearest_correct")
def scores_of_features(draw):
    n = draw(st.integers(2, 12))
    values = (
        np.random.default_rng(draw(seeds())).normal(size=(n, draw(st.integers(1, 15)))).round(draw(st.integers(0, 3)))
    )
    Z = draw(layouts(values * draw(st.sampled_from([0.0, 1e-300, 1.0, 1e18]))) | odd())
    y = draw(labels(n) | odd())
    with contextlib.suppress(Refused):
        assert 0 <= call(public("h_score"), Z, y, again=True) <= len(np.unique(y)) - 1 + 1e-9
    with contextlib.suppress(Refused):
        assert math.isfinite(call(public("log_evidence"), Z, y, again=True))
    correct = call(public("nearest_correct"), Z, y, draw(st.sampled_from([1, 2, 5]) | odd()), again=True)
    assert correct.shape == (len(Z),)


@target(
    "balanced_interval", "bootstrap_means", "choose_kept", "deal_into_folds", "jackknife_deviations",
    "jackknife_half_width", "share_above", "share_first",
)  # fmt: skip
def resamples(draw):
    codes = np.array([0, 0, *draw(st.lists(st.sampled_from([0, 1, 1]), max_size=12))])
    codes = np.append(codes, [1, 1])
    n, seed = len(codes), draw(seeds())
    groups = call(public("deal_into_folds"), codes, draw(st.integers(1, 5)), np.random.default_rng(seed), changes=(2,))
    assert np.ptp(np.bincount(groups)) <= 1
    kept = call(public("choose_kept"), codes, draw(st.integers(1, 12)), np.random.default_rng(seed), changes=(2,))
    assert all(set(codes[rows]) == {0, 1} for rows in kept)
    values = np.random.default_rng(seed).integers(3, size=(n, 3)) * draw(st.sampled_from([0.0, 1.0, 1e300]))
    means = np.array([values[rows].mean(axis=0) for rows in kept])
    deviations = call(public("jackknife_deviations"), means, kept, again=True)
    with np.errstate(over="ignore"):
        assert (call(public("jackknife_half_width"), np.minimum(deviations, 1e100), n - 2) >= 0).all()
    resampled = call(public("bootstrap_means"), values, 9, np.random.default_rng(seed), changes=(2,))
    np.testing.assert_allclose(call(public("share_first"), resampled, again=True).sum(), 1)
    rng = np.random.default_rng(seed)
    value, low, high = call(public("balanced_interval"), values > 1, codes, 9, rng, changes=(3,))
    assert ((low >= 0) & (low <= high) & (high <= 1) & (value >= 0) & (value <= 1)).all()
    above, below = (
        call(public("share_above"), *two) for two in ((resampled, resampled[::-1]), (resampled[::-1], resampled))
    )
    np.testing.assert_allclose(above + below, 1)


@target("CrossValidatedProbe", methods=("compare",))
def cross_validated_probe(draw):
    n_classes, n = draw(st.integers(2, 4)), draw(st.integers(2, 6))
    codes = np.tile(np.arange(n_classes), n)
    generator = np.random.default_rng(draw(seeds()))
    values = generator.normal(size=(3, len(codes), draw(st.integers(1, 5)))).round(draw(st.integers(0, 3)))
    copies = (values * draw(st.sampled_from([0.0, 1e-30, 1.0, 1e9]))).astype(np.float32)
    copies[0] *= draw(st.sampled_from([0, 1]))
    folds, scale = np.arange(len(codes)) // n_classes % 2, draw(st.booleans())
    probe = call(public("CrossValidatedProbe"), copies[0], codes, folds, generator, scale=scale, changes=(3,))
    assert np.isfinite(probe.errors).all()
    measured = call(probe.compare, copies[1:], again=True)
    for name, one in measured.items():
        assert one.shape == codes.shape
        assert name in ("explained", "relevant") or np.isfinite(one).all()
    for name in ("consistent", "correct_transformed", "retained"):
        assert ((measured[name] >= 0) & (measured[name] <= 1)).all()


@target(
    "mean_interval", "ratio_interval", "share_interval", "share_difference_interval", "combine_gains",
    "is_better_than_chance",
)  # fmt: skip
def intervals_over_images(draw):
    n = draw(st.integers(2, 9))
    numbers = hnp.arrays(np.float64, n, elements=st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0]))
    values, by = draw(numbers), draw(numbers)
    holes = values.copy()
    holes[draw(st.integers(0, n - 1))] = np.nan
    for found in (
        call(public("mean_interval"), values, again=True), call(public("mean_interval"), holes, again=True),
        call(public("ratio_interval"), holes, by, again=True), call(public("ratio_interval"), values, by, again=True),
    ):  # fmt: skip
        assert np.isnan(found).all() or found[1] <= found[0] <= found[2]
    groups = draw(st.none() | st.permutations(np.arange(n) % max(2, n // 2)).map(np.array))
    call(public("ratio_interval"), holes, by, groups, again=True)
    z, n_effective = call(public("combine_gains"), [values, by][: draw(st.integers(1, 2))], groups, again=True)
    assert math.isfinite(z)
    assert n_effective > 0
    correct = (values > 0).astype(float)
    chance = draw(st.floats(0.01, 0.99))
    assert call(public("is_better_than_chance"), correct, chance, groups, again=True) in (True, False)
    shares = draw(st.just(correct) | hnp.arrays(np.float64, n, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])))
    share, low, high = call(public("share_interval"), shares, groups, again=True)
    assert 0 <= low <= share <= high <= 1
    assert low < high
    difference, low, high = call(public("share_difference_interval"), correct - (by > 0), groups, again=True)
    assert -1 <= low <= difference <= high <= 1
    assert low < high


@target("find_pixel_range", "to_images", "to_pixels")
def rows_as_images(draw):
    n = draw(st.integers(1, 4))
    if draw(st.booleans()):
        X = draw(checked_images(n=(n, n), height=(8, 8)))
    else:
        X = draw(hnp.arrays(np.float64, (n, 1, 5, 1), elements=st.floats(-1e6, 1e6, width=32)))
    pixel_range = call(public("find_pixel_range"), X, again=True)
    grey = call(public("to_images"), X, pixel_range, again=True)
    assert grey.shape[3] == 3
    if X.shape[3] == 1:
        assert ((grey >= 0) & (grey <= 1)).all()
        back = call(public("to_pixels"), grey, pixel_range, again=True)
        np.testing.assert_allclose(back, X, atol=1e-6 * (abs(X).max() + pixel_range[1]))


@target("decide", "choose_advised")
def advice(draw):
    n = draw(st.integers(1, 9))
    usable = np.array(draw(st.sampled_from([[True], [False], [True, False], [False, False], [True, True]])))
    numbers = st.floats(-20, 20) | st.just(math.nan)
    over = {"z": 1, "sensitivity": 1, "sensitivity_high": 1, "different": 1, "retained": 2, "retained_high": 2,
            "accuracy_gain": 2, "consistency": 2, "affinity": 2}  # fmt: skip
    dims = "transformation", "view"
    evidence = xr.Dataset(
        coords={dims[0]: [f"one {i}" for i in range(n)], dims[1]: ["pixels", "features"][-len(usable) :]}
    )
    for name, n_dims in over.items():
        evidence[name] = dims[:n_dims], draw(hnp.arrays(np.float64, (n, len(usable))[:n_dims], elements=numbers))
    evidence["usable"] = "view", usable
    evidence["accuracy"] = "view", draw(hnp.arrays(np.float64, len(usable), elements=st.floats(0, 1) | st.just(1.0)))
    evidence["n_effective"] = xr.full_like(evidence.z, draw(st.floats(1, 10**6)))
    table = call(public("decide"), evidence, again=True)
    assert sorted(table.index) == sorted(evidence.transformation.values)
    assert usable.any() or table.advice.isin(["unknown", "already ignored"]).all()
    advised = call(public("choose_advised"), table, again=True)
    assert len(advised) <= 6
    assert table.loc[advised].advice.isin(["encourage", "try"]).all()


@check("encode", spoiled=True, keep=["X"], X=checked_images(height=(8, 8)), batch_size=st.sampled_from([1, 2, 128]))
def encode(Z, X):
    assert Z.shape[0] == len(X)
    assert Z.ndim == 2
    assert Z.dtype == np.float32
    assert np.isfinite(Z).all()


@target(
    "open_encoder",
    "columns_of",
    "describe_features",
    "describe_layers",
    "device_of",
    "encode_pieces",
    "gets_raw_pixels",
    "measure_given",
    "choose_batch_size",
    "choose_size",
    "check_inference",
    "warn_if_features_vary",
)
def pieces(draw):
    opened, given = call_drawn(draw, "open_encoder", spoiled=True, again=False)
    X = draw(checked_images(height=(8, 8)))
    cut = draw(st.integers(1, len(X)))
    some = [("a", X[:cut]), ("b", X[cut:])]
    whole = call(public("encode"), opened, X, batch_size=4)  # first, because pieces are refused when they are asked for
    encoded = list(call(public("encode_pieces"), opened, some, draw(st.sampled_from([1, 4]))))
    assert [key for key, _ in encoded] == ["a", "b"]
    pieces = np.concatenate([Z for _, Z in encoded])
    assert np.allclose(pieces, whole, atol=1e-5 * np.abs(whole).max())  # batches of other sizes may round otherwise
    assert call(public("device_of"), opened).type == "cpu"
    assert call(public("gets_raw_pixels"), opened) == call(public("gets_raw_pixels"), given["encoder"])
    assert isinstance(call(public("describe_features"), opened), str) == isinstance(given["encoder"], nn.Module)
    n_layers = len(call(public("columns_of"), opened))
    assert len(call(public("describe_layers"), opened).get("layer", (0, [0]))[1]) == n_layers
    distances, _ = call(public("measure_given"), opened, X, X[::-1])
    assert (distances >= 0).all()
    size = draw(st.tuples(st.integers(1, 5_000), st.integers(1, 5_000)))
    assert 1 <= call(public("choose_batch_size"), size) <= 128
    assert call(public("choose_size"), opened, size) == call(public("choose_batch_size"), size)
    call(public("warn_if_features_vary"), opened, X)  # none of ENCODERS is random
    call(public("check_inference"), draw(st.none() | st.integers(-1, 9)), draw(ARGUMENTS["precision"] | names()))


TENSORS = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(lambda shape: torch.ones(2, *shape))
OUTPUTS = st.recursive(
    TENSORS | st.none() | names(),
    lambda one: (
        st.lists(one, max_size=3).flatmap(lambda some: st.sampled_from([some, tuple(some)]))
        | st.dictionaries(PARTS, one, max_size=3)
    ),
    max_leaves=6,
)


@target("find_feature", "parts_of", "take_part", "pool_places", "check_pool")
def parts(draw):
    output, pool = draw(OUTPUTS), draw(ARGUMENTS["pool"])
    call(public("check_pool"), pool)
    assert isinstance(call(public("find_feature"), output, pool), str | None)
    assert all(part is not None for part in (call(public("parts_of"), output) or {}).values())
    chosen = draw(st.lists(PARTS, max_size=2))
    part, chosen = call(public("take_part"), output, chosen, pool)
    assert isinstance(part, torch.Tensor)
    image_size = draw(st.tuples(st.integers(1, 64), st.integers(1, 64)))
    features, how = call(public("pool_places"), part, pool, image_size, draw(st.integers(0, 5)), again=True)
    assert features.ndim == 2
    assert len(features) == 2
    assert isinstance(how, str)


@target("first_weight")
def first_weight(draw):
    assert call(public("first_weight"), draw(SOME_MODULE)).is_floating_point()


@target("usual_torch")
def usual_torch(draw):
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    with public("usual_torch")(draw(st.sampled_from(["cpu", torch.device("cpu")])), dtype):
        assert torch.ones(1).dtype == dtype
    assert torch.get_default_dtype() == torch.float32


@target(
    "LayerFeatures", "LayerFeatures.forward", "LayerFeatures.at", "LayerFeatures.pool_output", "LayerFeatures.run",
    "ManyLayers", "ManyLayers.forward", "find_blocks",
)  # fmt: skip
def layer_features(draw):
    module = draw(SOME_MODULE).eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    blocks = call(public("find_blocks"), module, again=True)
    assert set(blocks) <= {name for name, _ in module.named_modules()}
    features, _ = call_drawn(draw, draw(st.sampled_from(["LayerFeatures", "ManyLayers"])), module=module, again=False)
    # of a shape that a layer does not take, and ours
    with contextlib.suppress(RuntimeError, ValueError), torch.no_grad():
        features(torch.zeros(2, 3, 12, 12))
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in module.modules())
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


@target("uncompiled")
def uncompiled(draw):
    module = draw(SOME_MODULE)
    with public("uncompiled")(module):
        assert isinstance(module, nn.Module)


@target("explain_failure")
def explain_failure(draw):
    error = draw(st.sampled_from([RuntimeError("a\nb"), AssertionError(), None]))

    def fail():
        with public("explain_failure")(draw(st.sampled_from([nn.ReLU(), len])), (8, 8, 3)):
            if error is not None:
                raise error

    fail.__doc__ = inspect.getdoc(public("explain_failure"))
    call(fail)
    assert error is None


@target("compute_outputs", "apply_in_batches")
def compute_outputs(draw):
    module = tiny_module(draw(st.sampled_from(["linear", "convolution"]))).train(draw(st.booleans()))
    given = {"network": module, "X": draw(checked_images(height=(8, 8))), "batch_size": st.sampled_from([1, 3, 128])}
    before = module.training
    outputs, _ = call_drawn(draw, "compute_outputs", **given)
    assert len(outputs) == len(given["X"])
    assert outputs.dtype == np.float32
    assert module.training == before


# networks and their training


@target("resnet18", "resnet50", "densenet121", "vgg11", "vit", cost=4)
def backbones(draw):
    sides = st.sampled_from([1, 2, 7, 8, 16, 17, 32])
    shape = draw(st.tuples(sides, sides, st.sampled_from([1, 3])))
    with torch.device("meta"):
        builder = public(draw(st.sampled_from(list(networks.NETWORKS))))
        backbone, n_features = call(builder, shape, draw(st.sampled_from([1e-9, 0.0625, 0.1])))
        assert backbone.eval()(torch.zeros(2, shape[2], *shape[:2])).shape == (2, n_features)


@target("build_network", "initialise", cost=2)
def build_network(draw):
    network = draw(st.sampled_from(["resnet18", "vgg11", "vit"]) | SOME_MODULE)
    width = st.sampled_from([0.0625, 1e-9, 17] if isinstance(network, str) else [1.0, 17])
    shape, n_classes = draw(st.sampled_from([(8, 8, 3), (8, 8, 1), (1, 1, 3), (32, 32, 3)])), draw(st.integers(1, 4))
    generator = torch.Generator().manual_seed(draw(seeds()))
    built, _ = call_drawn(
        draw, "build_network", spoiled=True, keep=["n_classes", "image_shape", "generator"], again=False,
        network=network, n_classes=n_classes, image_shape=shape, width=width, generator=generator,
        layer=LAYERS | st.sampled_from(["stem", "pool.1", "block1"]),
    )  # fmt: skip
    assert built.eval()(torch.zeros(2, shape[2], *shape[:2])).shape == (2, n_classes)
    try:
        call(networks.initialise, built, generator, changes=(0,))
    except Refused:
        assert isinstance(network, nn.Module)
    assert all(torch.isfinite(value).all() for value in built.parameters())


@target("SelfAttention.attend")
@target(
    "Normalise", "ResidualBlock", "DenseLayer", "SelfAttention", "TransformerLayer", "VisionTransformer",
    methods=("forward",),
)  # fmt: skip
def network_parts(draw):
    X, n_out, stride = draw(tensors(n_channels=(3,))), draw(st.integers(3, 4)), draw(st.integers(1, 2))
    tokens = X.flatten(2).repeat(1, 1, 8)[:, :, :8]
    strided = [-(-side // stride) for side in X.shape[2:]]
    convolution = nn.Conv2d(3, n_out, 3, stride=stride, padding=1)
    # name: arguments to make it, input, and shape of the output
    parts = {
        "Normalise": (([0.1, 0.2, 0.3], [0.5, 1.0, 2.0]), X, X.shape),
        "ResidualBlock": ((convolution, 3, n_out, stride), X, (len(X), n_out, *strided)),
        "DenseLayer": ((3, 2), X, (len(X), 5, *X.shape[2:])),
        "SelfAttention": ((8, 2), tokens, tokens.shape),
        "TransformerLayer": ((8, 2), tokens, tokens.shape),
        "VisionTransformer": (((16, 8, 3), 8, 2, 1), torch.zeros(len(X), 3, 16, 8), (len(X), 8)),
    }
    name = draw(st.sampled_from(list(parts)))
    arguments, given, shape = parts[name]
    with torch.random.fork_rng([]), torch.no_grad():
        module = public(name)(*arguments).eval()
        assert tuple(call(module.forward, given, again=True).shape) == tuple(shape)


@target("resolve_device", "resolve_precision")
def resolve(draw):
    known = ["auto", "cpu", "cuda", "cuda:99", "cpu:7", "mps", "meta", "xpu", "vulkan", "cuda:-1", torch.device("cpu")]
    device = call(devices.resolve_device, draw(st.sampled_from(known) | odd()))
    assert isinstance(device, torch.device)
    assert torch.zeros(2, device=device).sum().item() == 0
    precision = call(devices.resolve_precision, draw(ARGUMENTS["precision"] | odd()), device)
    assert precision in ("float32", "bfloat16")


@check(
    "learning_rate_factor", schedule=ARGUMENTS["schedule"] | odd(), step=st.integers(0, 99),
    n_steps=st.integers(100, 1000), steps_per_epoch=st.integers(1, 50),
)  # fmt: skip
def learning_rate_factor(factor):
    assert 0 < factor <= 1


@target("train")
def train(draw):
    X = draw(checked_images(n=(2, 9), height=(8, 8)))
    y = np.arange(len(X)) % 3
    validation = (X, y) if draw(st.booleans()) else (None, None)
    module = tiny_module()
    history, given = call_drawn(
        draw, "train", changes=(0,), again=False, spoiled=True,
        keep=["network", "X", "y", "X_val", "y_val", "epochs", "batch_size", "generator", "renew"],
        network=module, X=X, y=y, X_val=validation[0], y_val=validation[1], device=DEVICES,
        learning_rate=st.sampled_from([1e-3, 1, 1e30, 1e-300, 1e300]), weight_decay=st.sampled_from([0, 0.1, 1e30]),
        generator=torch.Generator().manual_seed(0), renew=st.sampled_from([None, lambda epoch: X]),
    )  # fmt: skip
    assert len(history["loss"]) == given["epochs"]
    assert np.isfinite(history["loss"]).all()
    assert not module.training
    assert -1 <= history["best_epoch"] < max(1, given["epochs"])


@target("seconds_per_image", "project_seconds", cost=20)
def seconds(draw):
    cell = {"architecture": draw(st.sampled_from(["resnet18", "vgg11"])), "width": 0.0625, "batch_size": 2}
    training, encoding = call(public("seconds_per_image"), *cell.values())
    assert encoding > 0
    assert training > 0
    n_trained, n_encoded = (draw(st.integers(0, 10**9)) for _ in range(2))
    assert call(public("project_seconds"), n_trained, n_encoded, **cell, seed=0) >= 0


# estimators


DEVICES = st.sampled_from(["cpu", "cpu", "cpu", "auto", "meta", "cuda:99"])
OF_TRAINING = {  # parameters of estimators that train a network, beyond ARGUMENTS
    "device": DEVICES, "random_state": random_states(),
    "twins": st.sampled_from(["drawn", "drawn", "clean", "no such twins"]),
    "transformations": st.just(()) | st.none() | CHOSEN,
}  # fmt: skip
OF_NETWORKS = ("fit", "transform", "predict_proba", "predict", "module", "opened")


def use(draw, name, validated=True, **how):
    """Make an estimator, and call its methods before and after a fit, with images of that shape and with others."""
    estimator, _ = call_drawn(draw, name, spoiled=True, again=False, **how)
    n = draw(st.sampled_from([6, 6, 7, 9, 2, 1]))
    y = draw(labels(n, n_classes=(1, 3) if draw(st.integers(0, 5)) == 0 else (2, 3)))
    X = draw(images(n=(n, n), height=(8, 8)) | images(n=(n, n), height=(8, 8)) | flat_images(n))
    data = {"X": X, "y": y}
    if validated and draw(st.integers(0, 2)) == 0:
        data |= {"X_val": draw(images(n=(3, 3), height=(8, 8))), "y_val": np.asarray(y)[[0, -1, 0]]}
    data = spoil(draw, data) if draw(st.booleans()) else data
    X = data["X"] if draw(st.booleans()) else draw(images(height=(8, 8)) | odd() | flat_images(2))
    if draw(st.integers(0, 5)) == 0:
        _try(draw, estimator, X, data["y"])
    call(estimator.fit, **data)
    assert estimator.n_features_in_ == np.prod(estimator.image_shape_)
    _try(draw, estimator, X, data["y"])
    return estimator


def _try(draw, estimator, X, y):
    known = ("transform", "predict_proba", "predict", "score", "module", "opened", "get_feature_names_out")
    for name in [name for name in known if hasattr(estimator, name)]:
        with contextlib.suppress(Refused):
            method = getattr(estimator, name)
            if name == "module":
                assert isinstance(call(method), nn.Module)
            elif name == "opened":
                assert type(call(method)) is type(estimator)
            elif name == "get_feature_names_out":
                assert all(isinstance(one, str) for one in call(method))
            elif name == "score":
                assert isinstance(call(method, X, draw(odd()) if draw(st.integers(0, 3)) == 0 else y), float)
            else:
                result = call(method, X, again=True)
                assert len(result) == len(X)
                if name == "predict_proba":
                    assert np.isfinite(result).all()
                    np.testing.assert_allclose(result.sum(axis=1), 1, atol=1e-6)
                elif name == "predict":
                    assert np.isin(result, estimator.classes_).all()
                elif not isinstance(estimator, invtransfer.SensitivityScorer):
                    assert np.isfinite(result).all()


@target("InvariantPretrainer", methods=OF_NETWORKS)
def pretrainer(draw):
    network = draw(st.just("resnet18") | SOME_MODULE | st.just("linear").map(tiny_module))
    width = 0.0625 if isinstance(network, str) else 1.0
    use(draw, "InvariantPretrainer", keep=["width"], network=network, width=width, **OF_TRAINING)


@target("FineTuner", methods=OF_NETWORKS)
def tuner(draw):
    probe = invtransfer.FrozenFeatureProbe(solver=draw(ARGUMENTS["solver"]), epochs=2, max_iter=20)
    use(draw, "FineTuner", probe=st.sampled_from([None, probe]), **OF_TRAINING)


@target("FrozenFeatureProbe", methods=("fit", "predict_proba", "predict"))
def probe(draw):
    how = {"epochs": st.sampled_from([1, 2]), "batch_size": st.sampled_from([None, 1, 3, 10**12])}
    use(draw, "FrozenFeatureProbe", random_state=random_states(), **how)


@functools.cache
def some_ranking():
    X = np.random.default_rng(0).integers(256, size=(12, 8, 8, 3), dtype=np.uint8)
    names = ["rotate", "hue"]
    values = xr.DataArray(np.eye(2), {"encoder": ["a", "b"], "transformation": names}, ["encoder", "transformation"])
    encoders = {"a": None, "b": lambda X: X.mean(axis=(1, 2))}
    return invtransfer.rank_encoders(encoders, X, np.arange(12) % 3, sensitivity=values, n_resamples=9, random_state=0)


@check("format_ranking", ranking=st.deferred(lambda: mutated(some_ranking())) | odd())
def format_ranking(text):
    assert text.startswith("value")


@target("rank_encoders", cost=3)
def ranking(draw):
    n = draw(st.sampled_from([5, 12]))
    encoders = st.dictionaries(st.sampled_from(["a", "b", "é"]), ENCODERS, min_size=1, max_size=2)
    sensitivity = st.none() | arrays_over({"encoder": ["a", "b", "é"], "transformation": ["hue", "rotate"]})
    found, _ = call_drawn(
        draw, "rank_encoders", spoiled=True, encoders=encoders, X=images(n=(n, n), height=(8, 8)),
        y=labels(n) | st.just(np.arange(n) % 2), n_folds=st.sampled_from([2, 5, 10**9]),
        n_resamples=st.sampled_from([2, 9]), sensitivity=sensitivity, batch_size=st.sampled_from([None, 2, 64]),
        needed=st.none() | st.lists(st.sampled_from(["hue", "rotate"]), max_size=2),
    )  # fmt: skip
    np.testing.assert_allclose(found["first"].sum("encoder"), 1)
    assert (found.interval[..., 0] <= found.interval[..., 1]).all()
    assert call(public("format_ranking"), found)


@check("check_encoders", encoders=st.dictionaries(names(), st.none(), max_size=3) | odd(), name=names())
def check_encoders(_, encoders):
    assert all(isinstance(name, str) for name in encoders)
    assert len(encoders)


@target("InvarianceAdvisor.fit", "InvarianceAdvisor", "format_advice", cost=2)
def advisor(draw):
    assert public("InvarianceAdvisor") is invtransfer.InvarianceAdvisor
    how = {"transformations": CHOSEN, "random_state": random_states(), "n_draws": st.sampled_from([1, 2, 0])}
    how |= {"n_folds": st.sampled_from([2, 5, 10**9]), "batch_size": st.sampled_from([None, 1, 3])}
    estimator = use(draw, "InvarianceAdvisor", validated=False, **how)
    assert set(estimator.advised_) <= set(estimator.advice_.index)
    assert call(public("format_advice"), estimator, again=True).startswith("advice from")


@target("SensitivityScorer", methods=("fit", "transform", "score", "get_feature_names_out", "make_twins"))
def scorer(draw):
    how = {"transformations": CHOSEN | st.none(), "random_state": random_states()}
    if draw(st.booleans()):
        source = call(invtransfer.Transforms2D, few_objects(), draw(CHOSEN), image_size=8)
        estimator, _ = call_drawn(draw, "SensitivityScorer", spoiled=True, again=False, **how)
        call(estimator.fit, source)
        assert call(estimator.score, source, again=True) is not None
        name = draw(st.sampled_from(estimator.sensitivity_.transformation.values.tolist()) | odd())
        images, twins = call(estimator.make_twins, source, name)
        assert images[0].shape == twins[-1].shape == (8, 8, 3)
    else:
        estimator = use(draw, "SensitivityScorer", validated=False, **how)
    assert (estimator.sensitivity_.fillna(0) >= 0).all()
    assert "transformation" in estimator.sensitivity_.dims
    assert len(estimator.get_feature_names_out()) == estimator.sensitivity_.size


# tasks


@target("draw_transformations", "draw_classes")
def draw_tasks(draw):
    drawn = call(tasks.draw_transformations, draw(st.integers(0, 2**70)), again=True)
    assert not set(drawn["same"]) & set(drawn["disjoint"])
    counts = {"n_classes": st.integers(1, 9), "n_available": st.integers(0, 20)}
    result, _ = call_drawn(draw, "draw_classes", spoiled=True, keep=["n_available", "seed"], **counts)
    for classes in result:
        assert len(set(classes.tolist())) == len(classes)
        assert len(classes)


@target("objects_task", "images_task", "combined_task")
def make_tasks_of_data(draw):
    name = draw(st.sampled_from(["objects_task", "images_task", "combined_task"]))
    parts, _ = call_drawn(
        draw, name, spoiled=name == "combined_task", keep=["objects", "training", "test", "random_state"], again=False,
        objects=few_objects(), training=labelled(draw), test=labelled(draw), random_state=st.integers(0, 2**40),
        classes=st.lists(st.integers(0, 7), min_size=1, unique=True), backgrounds=st.sampled_from([None, "random"]),
        task=st.sampled_from([*images_with_objects.TASKS]), position=st.sampled_from(["random", (0, 0)]),
    )  # fmt: skip
    assert len(parts) == 3
    for part in parts:
        X, y = part.sample(3)
        assert len(X) == len(y) == 3


# files


@target("load_cifar10", "load_cifar100", "cifar100_classes", "load_cifar")
def load_cifar(draw):
    folders = ["cifar-10-batches-py", "cifar-10-batches-bin", "cifar-100-python"]
    within = ["data_batch_1", "data_batch_1.bin", "test_batch", "test_batch.bin", "train", "test", "meta"]
    valid = pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [0, 1]}, protocol=2)
    paths = st.builds("{}/{}".format, st.sampled_from(folders), st.sampled_from(within))
    contents = st.none() | st.just(bytes(3073 * 2)) | st.binary(max_size=99) | damaged(valid)
    files = draw(st.dictionaries(paths, contents, max_size=4))
    if draw(st.integers(0, 5)) == 0:
        files = {draw(st.sampled_from(folders)): b"a file"}
    name = draw(st.sampled_from(["load_cifar10", "load_cifar100", "cifar100_classes", "load_cifar"]))
    with folder_of(files) as folder:
        call_drawn(
            draw, name, spoiled=name != "load_cifar", again=False, split=st.sampled_from(["train", "test"]),
            root=st.sampled_from([folder, Path(folder), "nowhere"]), folder=paths_like(folder),
            dataset=st.sampled_from(["cifar10", "cifar100", "svhn", ""]),
        )  # fmt: skip
    raise AssertionError("none of these files has the official checksum")


@target("assemble", "align", "write", "read", "load_cube", cost=2)
def write_and_read(draw):
    with folder_of({}) as folder:
        path = draw(st.sampled_from([f"{folder}/cube.nc", Path(folder, "é 🦆.nc")]))
        dataset = draw(assembled() | factor_cubes())
        call(public("write"), dataset, path)
        again = call(public("read"), path, again=True)
        xr.testing.assert_equal(again, dataset)
        assert again.attrs == dataset.attrs
        Path(path).write_bytes(draw(damaged(Path(path).read_bytes())))
        dataset = call(public(draw(st.sampled_from(["read", "load_cube"]))), draw(paths_like(path)))
        assert isinstance(dataset, xr.Dataset)


JSON = names() | st.sampled_from(["{}", "[1, 2]", "[" * 100_000, DEEP, "3", "NaN", "null", 3, b"{}"])


@st.composite
def changed(draw, tree):
    """Draw JSON of which one part is another, missing, or too much."""
    part = tree = copy.deepcopy(tree)
    while True:
        key = draw(st.sampled_from(list(part) if isinstance(part, dict) else range(len(part))))
        if not (isinstance(part[key], (dict, list)) and part[key] and draw(st.integers(0, 3))):
            break
        part = part[key]
    odd_json = st.sampled_from([
        None, True, -1, 0, 1, 3, 10**12, 2**63, -0.5, 1e300, math.nan, math.inf, "", "resnet18", "vgg11", "cuda:99",
        "layer1", "é" * 99, [], {}, [[]], {"tuple": [8, 8, 3]}, {"tuple": 3}, [8, 8, 3], [10**9, 10**9, 3],
        [1, 1, 3], [8, 8, 1],
    ])  # fmt: skip
    how = draw(st.sampled_from(["other", "other", "other", "missing", "more"]))
    if how == "missing":
        del part[key]
    else:
        part[draw(names()) if how == "more" and isinstance(part, dict) else key] = draw(odd_json)
    return tree


@target("save_encoder")
def save_encoder(draw):
    with folder_of({}) as folder:
        path = draw(st.sampled_from([f"{folder}/encoder.npz", Path(folder, "é/🦆")]))
        kind = draw(st.sampled_from(["resnet18", "module"]))
        call(public("save_encoder"), draw(st.just(fitted(kind)) | ENCODERS | odd()), path)
        assert Path(path).exists()


@functools.cache
def saved(kind):
    with folder_of({}) as folder:
        public("save_encoder")(fitted(kind), f"{folder}/encoder.npz")
        return Path(folder, "encoder.npz").read_bytes()


@target("load_encoder")
def load_encoder(draw):
    kind = draw(st.sampled_from(["resnet18", "module", "tuner"]))
    right = None if kind == "resnet18" else tiny_module()
    network = draw(st.sampled_from([right] * 4 + [None, tiny_module("convolution")]))
    with folder_of({"encoder.npz": saved(kind)}) as folder:
        path = Path(folder, "encoder.npz")
        how = draw(st.sampled_from(["as it is", "bytes", "description", "description", "arrays", "network"]))
        arrays, description = public("read_arrays")(path)
        if how == "bytes":
            path.write_bytes(draw(damaged(saved(kind))))
        elif how == "description":
            public("write_arrays")(path, arrays, draw(changed(description)))
        elif how == "arrays":
            arrays[draw(st.sampled_from(list(arrays)))] = draw(odd_arrays().filter(lambda one: not one.dtype.hasobject))
            public("write_arrays")(path, arrays, description)
        elif how == "network":
            network = draw(odd())
        encoder = call(public("load_encoder"), draw(paths_like(path)), network)
        if encoder.image_shape_ == (8, 8, 3):
            X = np.zeros((2, 8, 8, 3), np.uint8)
            assert np.isfinite(encoder.transform(X)).all()
            assert len(encoder.predict_proba(X)[0]) == len(encoder.classes_)
            assert set(encoder.predict(X)) <= set(encoder.classes_.tolist())


MINE = b"""
from torch import nn
def make(): return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
def needs(argument): return make()
def fails(): raise KeyError
module, value = make(), 3
"""


@target("load_model", cost=4)
def load_model(draw):
    with folder_of({"mine.py": MINE, "encoder.npz": saved("resnet18"), "own.npz": saved("module")}) as folder:
        files = ["mine.py:make", "mine.py:module", "encoder.npz"] * 2
        files += ["mine.py:needs", "mine.py:fails", "mine.py:value", "mine.py:é", "mine.py", "own.npz", "none.py:make"]
        ours = st.sampled_from(files).map(lambda name: f"{folder}/{name}"), st.sampled_from(["default"] * 5 + [None])
        names = ["torchvision:squeezenet1_1"] * 3 + [
            "torchvision:🦆",
            "timm:🦆",
            "hf:./🦆",
            "hf:",
            LONG,
            f"hf:./{LONG}",
        ]
        theirs = st.sampled_from(names) | odd(), st.none() | odd()  # not the default, which is a download
        name, weights = map(draw, draw(st.sampled_from([ours, ours, theirs])))
        size, seed = draw(st.sampled_from([None, None, 8, 33]) | odd()), draw(seeds())
        model = call(public("load_model"), name, weights=weights, size=size, random_state=seed)
        assert not any(module.training for module in model.modules())
        assert size is None or model.preprocessing.size == (size, size)


@target("Preprocessing", methods=("forward", "at_size", "extra_repr", "output_size"))
@target("Preprocessed", methods=("forward",))
@target("find_image_method", "layer_behind", "model_behind", "name_of", "size_behind_preprocessing")
def preprocessing(draw):
    sides = st.tuples(st.integers(1, 9), st.integers(1, 9))
    made, given = call_drawn(
        draw, "Preprocessing", size=st.none() | sides, resize=st.none() | st.integers(1, 9) | sides,
        mean=st.just((0.5, 0.4, 0.3)), std=st.just((0.2, 0.2, 0.1)),
        interpolation=st.sampled_from(["nearest", "bilinear", "bicubic"]), again=False,
    )  # fmt: skip
    size = given["size"]
    if draw(st.booleans()):
        side = draw(st.integers(1, 20))
        made, size = call(made.at_size, side), (side, side)
    assert made.description in repr(made)
    dtype = draw(st.sampled_from([torch.uint8, torch.float16, torch.float32, torch.float64]))
    shape = 2, 3, *draw(sides)
    X = (255 * torch.rand(shape, generator=torch.Generator().manual_seed(0))).to(torch.uint8)
    X = X if dtype == torch.uint8 else (X / 255).to(dtype)
    seen = call(made, X)
    assert seen.dtype == (torch.float32 if dtype == torch.uint8 else dtype)
    assert size is None or seen.shape[2:] == size
    assert seen.shape[2:] == call(made.output_size, shape[2:])
    assert seen.isfinite().all()
    model = nn.Flatten()
    whole = call(public("Preprocessed"), made, model)
    assert torch.equal(call(whole, X), seen.flatten(1))
    assert call(public("model_behind"), whole) is model
    assert call(public("layer_behind"), whole, draw(st.sampled_from(["", "model"]))) == ""
    assert call(public("name_of"), whole) == "Flatten"
    assert call(public("find_image_method"), whole) is None
    assert call(public("size_behind_preprocessing"), whole, shape[2:]) == seen.shape[2:]


@target("plant")
def plant(draw):
    X = np.array(draw(images(dtypes=["uint8"])), order="C")
    name = draw(st.sampled_from(["hue", "rotate", "h_flip", "blur"]))
    shown, y = call(public("plant"), name, X, draw(st.integers(0, 2**32)))
    assert shown.shape == X.shape
    assert shown.dtype == np.uint8
    assert len(y) == len(X)


@target("write_arrays", "read_arrays")
def arrays(draw):
    with folder_of({}) as folder:
        path = draw(st.sampled_from([f"{folder}/a.npz", Path(folder, "é 🦆")]))
        given = draw(st.dictionaries(st.text(max_size=6), odd_arrays(), max_size=3))
        description = draw(SETTINGS)
        call(public("write_arrays"), path, given, description)
        read, described = call(public("read_arrays"), path)
        assert list(read) == list(given)
        assert repr(described) == repr(json.loads(json.dumps(description, sort_keys=True)))
        for name, array in given.items():
            assert read[name].dtype == array.dtype
            assert read[name].tobytes() == array.tobytes()
        Path(path).write_bytes(draw(damaged(Path(path).read_bytes())))
        read, described = call(public("read_arrays"), draw(paths_like(path)))
        assert isinstance(described, dict)


@target("replacing", "remove_leftovers", "check_writable", "read_file")
def paths(draw):
    with folder_of({"file": b"old"}) as folder:
        known = [f"{folder}/file", f"{folder}/new", f"{folder}/a/b/c", folder, f"{folder}/file/below", f"{folder}/[x]*",
                 f"{folder}/{LONG}", Path(folder, "🦆")]  # fmt: skip
        path = draw(st.sampled_from(known))
        with contextlib.suppress(Refused):
            assert call(public("read_file"), path) == b"old"
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


@target("merge")
def merge(draw):
    parts = [draw(assembled()) for _ in range(draw(st.integers(0, 3)))]
    if parts and draw(st.integers(0, 2)) == 0:
        parts[-1] = draw(mutated(parts[-1], xr.Dataset))
    cube, notes = call(public("merge"), parts, [f"{i}.nc" for i in range(len(parts))])
    assert all(isinstance(note, str) for note in notes)
    assert (cube.status == 1).sum() >= max(int((part.status == 1).sum()) for part in parts)


@target("tabulate", "export_csv")
def tables(draw):
    cube = draw(assembled() | factor_cubes())
    if draw(st.booleans()):
        cube = draw(mutated(cube, xr.Dataset))
    made = call(public("tabulate"), cube, draw(names()))
    assert list(made)[-1].endswith("-columns")
    with folder_of({}) as folder:
        paths = call(public("export_csv"), cube, folder, "cube", overwrite=draw(st.booleans()))
        assert all(path.exists() for path in paths)


@target("find_kind")
def kind_of_cube(draw):
    cube = draw(mutated(draw(assembled() | factor_cubes()), xr.Dataset))
    cube = cube.assign_attrs(draw(st.dictionaries(st.sampled_from(["study", "command", "settings"]), names() | odd())))
    assert call(public("find_kind"), cube) in (
        "study", "own study", "measurement", "advice", "timings", "profile", None,
    )  # fmt: skip


@target("find_place", "reproduce")
def reproduction(draw):
    points, cells = [{"factor": "a", "seed": 0}, {"factor": "a", "seed": 1}], [xr.Dataset({"accuracy": 0.5}), None]
    cube = public("assemble")(points, cells, {"factor": ["a"], "seed": [0, 1]})
    if draw(st.booleans()):
        texts = st.sampled_from(["{}", "[]", "", "[" * 100_000, '{"a": 1}', "[0]", '[{"threads": 1}]', "null"])
        cube = cube.assign({name: ("seed", [draw(texts)] * 2) for name in ("arguments", "part", "cell")})
        cube["origin"] = ("seed", [draw(st.sampled_from([0, 1, -1])), 0])
        cube = cube.assign_attrs(origins=draw(texts | names() | st.just(3)))
    if draw(st.integers(0, 3)) == 0:
        cube = draw(mutated(cube, xr.Dataset))
    places = [{"seed": "0"}, {"seed": "1"}, {}, {"factor": "a", "seed": "0"}, {"seed": "7"}, {"x": "0"}]
    place, given = call_drawn(draw, "find_place", cube=cube, labels=st.sampled_from(places))
    assert set(place) == set(cube.status.dims)
    text, identical = call(public("reproduce"), **given, function=lambda **_: xr.Dataset({"accuracy": 0.5}))
    assert text.startswith("the cell at ")
    assert identical in (True, False)


# analysis, claims, comparison and plots


@target("fill_relations", "count_once")
def fill_relations(draw):
    values = draw(accuracies(relations=(["same"], ["disjoint"], ["same", "disjoint"], [])))
    cube = values.to_dataset(name="transfer_accuracy")
    cube["status"] = xr.ones_like(values, dtype=np.int8)
    cube["cell"] = xr.full_like(values, "c", dtype=object)
    filled = call(analysis.fill_relations, cube)
    once = call(analysis.count_once, filled.transfer_accuracy, filled.cell, again=True)
    assert once.notnull().sum() <= filled.transfer_accuracy.notnull().sum()
    filled = call(analysis.fill_relations, draw(mutated(cube)), again=True)
    assert filled.relation.values.tolist() == ["same", "disjoint"]


@target("claim", "count_seeds", "format_claims", "describe_claims", "adjust", "claims_of_parts", "Claim")
def claim(draw):
    one, two = (draw(cubes({"seed": None})) for _ in range(2))
    given = {
        "text": draw(names()),
        "first": one,
        "sign": draw(st.sampled_from(["<", ">", "="])),
        "second": draw(st.sampled_from([two, two, 0.5, 1])),
        "margin": draw(st.sampled_from([0.0, 0.1])),
    }
    made = call(claims.claim, **spoil(draw, given, keep=["text"]), again=True)
    assert made.verdict in claims.VERDICTS
    assert type(made.p_value) is float
    counted = {"text": made.text, "happened": one, "least": draw(st.sampled_from([0.0, 0.9, 1]))}
    assert call(claims.count_seeds, **spoil(draw, counted, keep=["text"]), again=True).verdict in claims.VERDICTS
    several = [made, made][: draw(st.integers(0, 2))]
    assert call(claims.format_claims, several).startswith("claims: ")
    json.dumps(call(claims.describe_claims, several), allow_nan=False)
    p_values = draw(st.lists(st.sampled_from([0.0, 0.02, 0.5, 1.0, np.nan]), max_size=4))
    adjusted = call(claims.adjust, [call(claims.Claim, "", "", "held", p) for p in p_values])
    np.testing.assert_equal(np.isnan(adjusted), np.isnan(p_values))
    assert all(p <= adjusted_p <= 1 for p, adjusted_p in zip(p_values, adjusted, strict=True) if p == p)
    found = call(claims.claims_of_parts, draw(cubes({"kind": ["a", "b"], "seed": None})), "kind", lambda part: [made])
    assert [each.text for each in found] == [f"{kind}: {made.text}" for kind in "ab"]


PUBLISHED = Path(__file__).parent.parent / "data" / "published"
PAPER = {
    "dataset": "transforms2d", "objects": "transforms2d", "class_relation": "disjoint", "architecture": "resnet18",
    "n_samples": 50_000, "epochs": 50, "n_pairs": 10_000, "vit_schedule": "cosine",
    "levels": {
        "class_relation": ["disjoint", "same"], "n_samples": [1_000, 50_000], "architecture": ["resnet18", "vit"],
    },
}  # fmt: skip
GRIDS = {
    "mismatch": {"transfer_accuracy": {
        "architecture": ["resnet18", "vit"], "n_pretraining_transformations": [1, 2],
        "n_target_transformations": [1, 3], "seed": None,
    }},
    "irrelevant_features": {
        "transfer_accuracy": {
            "position": ["fixed"], "pretraining": ["images alone", "objects alone"], "target": ["images alone"],
            "seed": [0, 1],
        },
        "sensitivity": {
            "position": ["fixed"], "pretraining": ["images alone", "objects alone"], "changed": ["image", "object"],
            "seed": [0, 1],
        },
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
        tuned = [{}, {"n_tuning": [200]}, {"n_tuning": [200, 2000]}, {"n_tuning": [5]}]
        others = draw(st.sampled_from(tuned if kind == "differences" else [{}]))
        cube = draw(accuracies((["same", "disjoint"], ["same"]), **others)).to_dataset(name="transfer_accuracy")
    texts = [json.dumps(PAPER | {"epochs": draw(st.sampled_from([50, 6, None]))}), json.dumps(PAPER)]
    if draw(st.integers(0, 3)) == 0:
        texts[draw(st.integers(0, 1))] = draw(JSON | changed(PAPER).map(json.dumps))
    return cube.assign_attrs(dict(zip(("settings", "paper_settings"), texts, strict=True)))


@target("compare_to_published", "format_comparison", "plot_comparison", cost=2)
def comparison(draw):
    kind = draw(st.sampled_from(["factors", "differences", *GRIDS]))
    cube = draw(study_cubes(kind))
    if draw(st.booleans()):
        cube = draw(mutated(cube))
    text = (PUBLISHED / f"{kind}.csv").read_bytes()
    with folder_of({"csv": draw(st.just(text) | st.just(text) | damaged(text))}) as folder:
        path = Path(folder, draw(st.sampled_from(["csv"] * 6 + ["csv", "."])))
        ignore = draw(st.sampled_from(["all", (), ["epochs"], "epochs", "nothing"]) | odd())
        compared = call(public("compare_to_published"), cube, path, ignore)
    matches = {"compared", "other settings", "not in the cube", "not done", "not published"}
    assert set(np.unique(compared["match"])) <= matches
    assert (compared.difference.notnull() <= (compared["match"] == "compared")).all()
    assert isinstance(call(public("format_comparison"), compared, again=True), str)
    if draw(st.integers(0, 3)) == 0:
        assert call(public("plot_comparison"), compared).axes


@target("make_page", "check_page", "write_page")
def page(draw):
    table = layout.Table(
        draw(names()), draw(st.lists(names(), max_size=3)), draw(st.lists(st.lists(names()), max_size=2))
    )
    parts = st.lists(names() | st.lists(names(), max_size=2) | st.builds(layout.Verbatim, names()) | st.just(table))
    sections = draw(st.lists(st.tuples(names(), parts), max_size=2))
    text = call(public("make_page"), draw(names()), draw(names()), sections, again=True)
    assert text.count("<script>") == 1
    with folder_of({"notes.html": draw(st.sampled_from([b"precious", layout.MARK.encode()]))}) as folder:
        path = Path(folder, draw(st.sampled_from(["a.html", "notes.html", "a.txt", "", LONG + ".html"])))
        call(public("check_page"), path)
        call(public("write_page"), text, path)
        call(public("check_page"), path)  # our own page may be replaced


@target("make_profile_page", cost=4)
def profile_page(draw):
    sizes = {"encoder": 2, "model": 2, "layer": 3, "transformation": 2, "strength": 2, "image": 2}
    dims = draw(st.lists(st.sampled_from(sorted(sizes)), unique=True))
    over = {dim: [f"{dim}{i}" for i in range(sizes[dim])] for dim in dims}
    profile = xr.Dataset({"sensitivity": draw(cubes({**over, "transformation": ["hue", "<b>$\\x$"]}))})
    for name in draw(st.lists(st.sampled_from(["sensitivity_low", "abx", "nothing"]), unique=True)):
        profile[name] = draw(cubes({"transformation": profile.transformation.values.tolist()}))
    if draw(st.booleans()):
        profile["status"] = ("transformation", draw(st.sampled_from([[0, 2], [1, 1], [1, 2]])))
    texts = {"settings": JSON | SETTINGS.map(json.dumps), "origins": JSON | st.just("[]"), "date_created": names()}
    profile = profile.assign_attrs(draw(st.fixed_dictionaries({}, optional=texts)))
    text = call(public("make_profile_page"), profile, draw(names()), again=True)
    assert text.count("<script>") == 1


@target("draw_curves", "draw_matrices", cost=2)
def draw_figures(draw):
    from matplotlib.figure import Figure

    panel = draw(st.sampled_from([None, "panel"]))
    dims = {"x": None, "line": None, "seed": None} | ({"panel": None} if panel else {})
    of_both = {"figure": Figure(), "values": draw(arrays_over(dims)), "panel": panel}
    special = {
        "draw_curves": {
            "x": "x", "line": "line", "references": st.none() | st.dictionaries(st.just("é"), cubes({"seed": None})),
            "x_label": "x", "y_label": "y", "limits": st.sampled_from([None, (0, 1), (-1, 1), (None, 2)]),
            "line_label": st.sampled_from([None, "of"]),
        },
        "draw_matrices": {
            "rows": "x", "columns": "line", "label": "of", "limits": st.sampled_from([None, None, (0, 1), (-1, 1)]),
        },
    }  # fmt: skip
    name = draw(st.sampled_from(list(special)))
    keep = ["figure", "values", "x_label", "y_label", "label"]
    panels, given = call_drawn(draw, name, spoiled=True, keep=keep, again=False, **of_both, **special[name])
    assert len(panels) == (given["values"].sizes["panel"] if given["panel"] else 1)


@st.composite
def profiles(draw, needs):
    """Draw profiles with what is needed and some other dimensions, some of whose values are missing or infinite."""
    some = st.integers(1, 3)
    n_layers, n_strengths = (draw(some if dim in needs else st.none() | some) for dim in ("layer", "strength"))
    profile = make_profile(
        draw(st.none() | some), n_layers, draw(st.integers(2, 4)), n_strengths, 5 if "image" in needs else None,
        interactions="then" in needs, unlike=draw(st.booleans()), encoder=draw(st.sampled_from(["encoder", "model"])),
        seed=draw(seeds()),
    )  # fmt: skip
    name = draw(st.sampled_from([name for name, values in profile.data_vars.items() if values.dtype.kind == "f"]))
    place = tuple(draw(st.integers(0, n - 1)) for n in profile[name].shape)
    profile[name].values[place] = draw(st.sampled_from([np.nan, np.inf, 0, -1, 1e30]))
    return draw(mutated(profile))


@target("plot_layers", "plot_depths", "plot_doses", "plot_measurement", "plot_interactions", "plot_affected", cost=2)
def figures_of_profiles(draw):
    plots = {
        "plot_layers": "layer", "plot_depths": "layer", "plot_doses": "strength", "plot_measurement": None,
        "plot_interactions": "then", "plot_affected": "image",
    }  # fmt: skip
    name = draw(st.sampled_from(list(plots)))
    profile = draw(profiles([plots[name]]))
    given = {"plot_measurement": {"cube": profile}}.get(name, {"profile": profile})
    if name == "plot_doses":
        given["layer"] = draw(st.sampled_from([None, None, 0, "layer1.0"]) | odd())
    if name == "plot_affected":
        pictures = dict(zip(("images", "twins"), make_pictures(5), strict=True))
        given |= pictures | {"transformation": draw(st.sampled_from(["translate"] * 3) | odd())}
        given |= {"n": draw(st.integers(1, 4)), "labels": draw(st.sampled_from([None, list("aabbc")]) | odd())}
        optional = st.sampled_from(["n", "labels", "images", "twins", "encoder", "layer", "strength", None, None])
        spoiled = draw(optional)
        given |= {spoiled: draw(odd() | odd_arrays())} if spoiled else {}
    figure = call(public(name), **given)
    assert figure.axes
    if draw(st.integers(0, 3)) == 0:
        with limit():
            figure.savefig(io.BytesIO(), dpi=30)


# the protocol


CELL = {
    "seeds": 2, "n_classes": 2, "n_samples": 8, "width": 0.0625, "epochs": 1, "batch_size": 4, "solver": "lbfgs",
    "learning_rate": 1e-3, "schedule": "constant", "weight_decay": 0.0, "n_validation": 4, "n_probe": 8,
    "n_test": 4, "n_pairs": 4, "architecture": "resnet18", "adam_epochs": 2, "adam_learning_rate": 1e-3,
    "vit_schedule": "cosine", "class_relation": "disjoint", "dataset": "transforms2d",
}  # fmt: skip


@target("cell_arguments", "factor_grid", "factor_coordinates", "full_grid", "count_training_images")
def grids_of_cells(draw):
    choices = {
        "architecture": ["resnet18", "vit"], "n_samples": [1, 8, 10**9], "class_relation": tasks.CLASS_RELATIONS,
        "n_probe": [1, 2, 10**9],
    }  # fmt: skip
    chosen = draw(st.lists(st.sampled_from(list(choices)), unique=True))
    levels = {name: draw(st.lists(st.sampled_from(choices[name]), max_size=3, unique=True)) for name in chosen}
    given = CELL | {
        "levels": levels,
        "n_classes": draw(st.sampled_from([1, 2, 5])),
        "solver": draw(ARGUMENTS["solver"]),
    }
    given["dataset"] = draw(st.sampled_from(["transforms2d", *datasets.CIFAR]))
    places, coordinates = call(grids.factor_grid, given, draw(st.sampled_from([(), grids.REFERENCES])), again=True)
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


@target("find_task_data", "find_transfer_data", "check_available", "Inputs", "make_tasks", "count_available")
def find_and_make(draw):
    dataset = draw(st.sampled_from(["transforms2d", "cifar10", "cifar100"]))
    objects = draw(st.sampled_from([None, "random", "procedural", "nowhere", "\x00"]))
    data, n_classes = draw(st.sampled_from(["nowhere", Path("nowhere")])), draw(st.integers(1, 40))
    given = {"objects": objects, "data": data, "dataset": dataset, "n_classes": n_classes}
    inputs_there = call(inputs.find_task_data, **given)
    assert isinstance(inputs_there.identity, dict)
    sizes = {name: draw(st.sampled_from([1, 40, 10**9])) for name in ("n_test", "n_pairs")}
    with contextlib.suppress(Refused):
        call(inputs.check_available, sizes, {"n_test": 40, "n_pairs": 40}, draw(names()))
    with contextlib.suppress(Refused):
        call(inputs.find_transfer_data, **given, **sizes, n_samples=8, n_validation=4, n_probe=40, levels={})
    (source, aim), _ = call_drawn(
        draw, "make_tasks", **inputs_there.where, dataset=dataset, again=False,
        class_relation=st.sampled_from([*tasks.CLASS_RELATIONS, "other"]), n_classes=st.sampled_from([2, 3, 40]),
        relation=st.sampled_from(["same", "disjoint", "none", "other"]),
    )  # fmt: skip
    assert len(source) == len(aim) == 3
    assert call(tasks.count_available, source[0], 10**9) == 10**9


@target("Transformation.always", "Transformation.at", "Transformation.weaken")
def always(draw):
    transformation = call(draw(st.sampled_from([*TRANSFORMATIONS.values()])).always)
    transformation = call(transformation.at, draw(st.floats(0, 1) | odd()))
    steps = call(transformation.weaken, transformation.draw, transformation.apply, draw(st.floats(0, 1)))
    assert all(map(callable, steps))
    drawn = transformation.draw(draw(st.integers(1, 9)), np.random.default_rng(draw(seeds())), (8, 9))
    assert np.all(drawn.get("applied", True))


@target("sample_training", "sample_task", "share_seen", "keep_known", "mark_used", "divide_images")
def training_data(draw):
    source = tasks.images_task(labelled(draw), labelled(draw), [0, 1], draw(CHOSEN), 0)
    (X, y, X_val, y_val), chosen = call(tasks.sample_training, source, draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    assert set(y_val) <= set(y)
    assert len(X) == len(y)
    sizes = draw(st.lists(st.integers(1, 4), min_size=3, max_size=3))
    assert [len(y) for _, y in call(tasks.sample_task, source, *sizes)] == sizes
    assert call(tasks.mark_used, ["hue", "blur"], source).shape == (2,)
    assert set(call(tasks.keep_known, (X_val, y_val), np.array([0]))[1]) <= {0}
    assert call(tasks.share_seen, X_val, X_val) == 1
    assert len(call(tasks.divide_images, labelled(draw), labelled(draw), [0, 1], draw(seeds()))) == 3


@target("Study", methods=("settings", "bind", "check_claims"))
def studies(draw):
    presets_there = {"quick": {"seeds": 1, "levels": {}, "dataset": "a"}}
    study, _ = call_drawn(
        draw, "Study", again=False, name=st.sampled_from(["toys", "toys", "Toys!", "", 3]), title="", description="",
        folder="", presets=st.sampled_from([presets_there, presets_there, {}, {"quick": {}}, None]),
        find=lambda *, objects, data, dataset: inputs.Inputs({}, "", {}), cell=st.sampled_from([dict, 3]),
        grid=dict, estimate=dict, table=str, figure=str,
    )  # fmt: skip
    assert call(study.settings, "quick", draw(st.sampled_from([None, "b"])))["seeds"] == 1
    assert call(study.check_claims, xr.Dataset())[1] == ""
    call(study.bind, draw(st.sampled_from([{"dataset": "a"}, {}, {"other": 3}])))


@target("load_study")
def load_study(draw):
    name = draw(st.sampled_from(["toys.py", "toys.txt", "é.py"]))
    with folder_of({name: draw(st.sampled_from([b"", b"STUDY = 3", b"STUDY = (", b"1 / 0"]))}) as folder:
        call(public("load_study"), draw(paths_like(Path(folder, name))))
    raise AssertionError("none of these files holds a study")


@target("find_shifted", "make_kind", "make_shifted", cost=4)
def shifted(draw):
    evaluated_on = st.lists(st.sampled_from(distribution_shift.EVALUATED_ON), max_size=3)
    with contextlib.suppress(Refused):
        levels = st.fixed_dictionaries({"evaluated_on": evaluated_on})
        call_drawn(draw, "find_shifted", objects=None, data="nowhere", n_classes=st.integers(1, 40), levels=levels)
    where = {"folder": "procedural", "n_classes": draw(st.sampled_from([1, 2, 20])), "seed": draw(st.integers(0, 9))}
    kind = draw(st.sampled_from(["image", "random"]))
    parts, others = call(public("make_kind"), kind, **where)
    names = draw(st.lists(st.sampled_from(distribution_shift.EVALUATED_ON[:3]), max_size=3))
    there = {"parts": parts, "others": others, "data": "nowhere", "n_images": 4}
    made = call(public("make_shifted"), names, kind, **there, **where)
    assert [part.sample(1)[0].ndim for part in [*parts, *made]] == [4] * (3 + len(names))


@target(
    "load_labelled_images", "make_combined", "measure_combined", "count_encoded", "find_images_with_objects",
    "pretrain", cost=20,
)  # fmt: skip
def combined(draw):
    given = {"data": "nowhere", "dataset": draw(st.sampled_from(["transforms2d", "cifar10", "other"]))}
    given |= {"n_objects": draw(st.sampled_from([2, 10, 99]))}
    sizes = {"n_probe": 30, "n_validation": 4, "n_test": 4, "n_pairs": 4}
    with contextlib.suppress(Refused):
        more = sizes | {"n_samples": 8, "n_test": draw(st.sampled_from([4, 10**9]))}
        levels = {"correlation": [draw(st.floats(-1, 2))]}
        call(images_with_objects.find_images_with_objects, objects=None, levels=levels, **given, **more)
    given |= {"folder": "procedural", "seed": 0}
    targets = {name: call(images_with_objects.make_combined, name, **given) for name in images_with_objects.TASKS}
    special = CELL | {"epochs": st.integers(0, 1), "source": targets[draw(st.sampled_from(list(targets)))]}
    (encoder, measured), _ = call_drawn(draw, "pretrain", again=False, **special)
    assert all(0 <= value <= 1 for _, value, _ in measured.values())
    encoder = draw(st.sampled_from([None, encoder]))
    measured = call(images_with_objects.measure_combined, encoder, targets, seed=0, solver="lbfgs", **sizes)
    assert measured.sensitivity.dims == ("changed",)
    assert call(images_with_objects.count_encoded, 2, epochs=1, **sizes) > 0
    (images_there, _), _ = call(images_with_objects.load_labelled_images, "transforms2d", "")
    assert images_there.dtype == np.uint8


@target(
    "format_means", "select_factor", "drop_references", "stack_encoders",
    "target_sensitivity", "compare_with_exact", "change_by_mismatch", "rank_correlation",
)  # fmt: skip
def of_studies(draw):
    accuracy = draw(accuracies())
    cube = accuracy.to_dataset(name="accuracy")
    names_there = analysis.drop_references(cube).factor_name.values.tolist()
    assert "reference" not in names_there
    for name in names_there:
        assert name in call(analysis.select_factor, cube, name).dims
    if cube.sizes["factor"]:
        stacked = call(analysis.stack_encoders, accuracy)
        assert call(analysis.format_means, {"accuracy": stacked}, "encoder").startswith(" ")
    numbers = {"n_pretraining_transformations": [1, 2], "n_target_transformations": [1, 2], "seed": None}
    accuracy = draw(cubes(numbers))
    more, fewer = call(analysis.compare_with_exact, accuracy)
    assert "n_surplus" in call(analysis.change_by_mismatch, accuracy).dims
    assert not (more.notnull() & fewer.notnull()).any()
    assert call(analysis.rank_correlation, draw(cubes({"level": [0, 1, 2], "seed": None})), "level").dims == ("seed",)


@st.composite
def pair_distances(draw, **dims):
    """Draw distances between twins, and between others, over dimensions and images."""
    dims = dims | {"image": list(range(draw(st.sampled_from([1, 2, 3, 5, 9]))))}
    generator = np.random.default_rng(draw(seeds()))
    own, random = generator.exponential(size=(2, *map(len, dims.values())))
    own[generator.random(own.shape) < draw(st.sampled_from([0, 0, 0.5, 1]))] = draw(st.sampled_from([0, 0, np.nan]))
    random *= draw(st.sampled_from([1, 1, 0]))
    return [draw(mutated(xr.DataArray(values, dims)).filter(is_small)) for values in (own, random)]


def is_small(thing):
    return not isinstance(thing, xr.DataArray) or thing.size < 10_000


@target("compare_sensitivities", "slope_at_zero", "strength_of_half", "interactions", "adjust_p_values")
def of_profiles(draw):
    strengths = draw(st.sampled_from([[0.1, 0.5, 1.0], [1.0], [0.5, 0.5], [0.0, 1.0], []]))
    with contextlib.suppress(Refused):
        own, random = draw(pair_distances(strength=strengths))
        found = call(analysis.slope_at_zero, own, random, again=True)
        assert not (found.low > found.high).any()
    with contextlib.suppress(Refused):
        changed, _ = draw(pair_distances(strength=strengths))
        numbers = isinstance(changed, xr.DataArray) and changed.dtype.kind == "f"
        share = changed.clip(0, draw(st.sampled_from([1, 2]))) if numbers else changed
        found = call(analysis.strength_of_half, share, again=True)
        assert (np.isnan(found) | ((found > 0) & (found <= 1))).all()
    names = ["rotate", "blur", "hue"]
    with contextlib.suppress(Refused):
        own, random = draw(pair_distances(transformation=names))
        along = draw(st.sampled_from(["transformation"] * 4 + ["image", "layer"]) | odd())
        reference = draw(st.sampled_from([*names, "hu"]) | odd())
        found = call(analysis.compare_sensitivities, own, random, along, reference, again=True)
        assert ((found.low <= found.difference) | np.isnan(found.low)).all()
        assert ((found.p_value <= found.p_adjusted) | np.isnan(found.p_value)).all()
        call(analysis.adjust_p_values, found.p_value.values)
    with contextlib.suppress(Refused):
        own, random = draw(pair_distances(transformation=names))
        both = draw(pair_distances(transformation=names[:2], then=draw(st.sampled_from([names, ["hue"], ["hu"], []]))))
        found = call(analysis.interactions, own, random, *both, again=True)
        assert set(found.kind.values.ravel()) <= {"", "covering", "additive", "amplifying", "unclear"}


# results of one call each, of which the ordinary tests say more


KNOWN = st.sampled_from([*TRANSFORMATIONS, *TRANSFORMATIONS.values()])
FEATURES = hnp.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=st.floats(-3, 3, width=32))
LABELS = st.sampled_from([np.array(["b", "a"]), np.arange(9), np.zeros(3), np.array([0.5, 1.5]), np.array([True])])
DIMENSIONS = {
    "pretraining_transformation": st.sampled_from([["rotate", "blur", "none"], ["untrained", "none"], ["hue"], []]),
    "transformation": st.sampled_from([["rotate", "blur"], [], ["noise"]]), "seed": st.none(),
}  # fmt: skip
KINDS = {"trained_on": st.just(["image", "random"]), "evaluated_on": st.just(["mild_ood", "in_distribution"])}
SENSITIVITIES, WITH_KINDS = st.fixed_dictionaries(DIMENSIONS), st.fixed_dictionaries(DIMENSIONS | KINDS)
PROBE = invtransfer.FrozenFeatureProbe(max_iter=5000)
ROWS_OF_FEATURES = st.sampled_from([[[0.0], [4.0], [5.0]], [[0.0, 1.0], [1.0, 0.0], [2.0, 0.0]]])
CONVOLUTIONS = st.builds(nn.Conv2d, st.just(3), st.just(2), st.just(3), stride=st.integers(1, 4), padding=st.just(1))
STRIDED = st.builds(nn.Sequential, CONVOLUTIONS, st.just(nn.AdaptiveAvgPool2d(1)))
ANY_ARRAY = st.sampled_from([np.array([0.0, np.nan]), np.array([-0.0, 1]), np.arange(2), np.array(["a", "é"]), 3, ""])
CELLS = st.dictionaries(st.text(min_size=1), st.tuples(st.just(()), st.floats(), names()), max_size=3)
ROWS = st.lists(st.lists(names(), min_size=2, max_size=2), min_size=1, max_size=3)
ORIGINS = st.lists(st.fixed_dictionaries({"threads": st.integers(1, 99), "device": names()}), max_size=2)
RESULTS = {  # name -> type of the result, or what is true of it, and how to call it
    "Transformation": (lambda made: repr(made.name) in repr(made), {
        "spoiled": True, "category": "geometric", "draw": ROTATE.draw, "apply": ROTATE.apply,
    }),
    "channel_statistics": (lambda result: (result[0] >= 0).all() and (result[0] <= 1).all() and (result[1] > 0).all(), {
        "X": checked_images(),
    }),
    "as_array": (np.ndarray, {"values": odd() | odd_arrays(), "name": "values"}),
    "shape_of": (tuple, {"value": odd() | odd_arrays()}),
    "check_study_cube": (type(None), {"cube": assembled() | factor_cubes()}),
    "decorrelate": (lambda matrix: np.isfinite(matrix).all(), {"Z": FEATURES, "ridge": st.sampled_from([0.1, 1e-6])}),
    "decorrelate_leading": (callable, {
        "Z": FEATURES, "ridge": st.sampled_from([0.1, 1e-6]), "n_leading": st.sampled_from([1, 2048]),
    }),
    "expand_path": (Path, {"path": names() | st.binary(max_size=9) | odd(), "name": "path"}),
    "format_error": (lambda text: "\n" not in text, {
        "error": st.builds(ValueError, names()) | st.builds(OSError, st.integers(1, 40), names(), names() | st.none()),
    }),
    "format_printable": (str, {"text": names(), "stream": st.builds(io.StringIO)}),
    "factor_contrasts": (lambda contrasts: contrasts.dims == ("factor_name", "contrast", "seed"), {
        "accuracy": accuracies().flatmap(mutated),
    }),
    "find_classes": (tuple, {"y": LABELS}),
    "find_repeated_classes": (lambda found: len(found[0]) == len(found[2]) > 3, {"y": LABELS}),
    "check_groups": (lambda codes: codes is None or len(codes) == 4, {
        "groups": LABELS | odd(), "n_samples": st.just(4),
    }),
    "count_images": (str, {"cube": st.just(xr.Dataset({"n_images": ("encoder", [4])}))}),
    "count_per_class": (lambda counts: counts.sum() > 0, {
        "codes": st.just(np.array([0, 1, 1])), "groups": st.none() | st.just(np.array([0, 0, 1])),
    }),
    "deal_groups": (lambda folds: len(folds) == 6, {
        "codes": st.just(np.arange(6) % 2), "n_folds": st.just(2), "seed": st.integers(0, 9),
        "groups": st.just(np.arange(6) // 2),
    }),
    "warn_of_copies": (type(None), {"images": ROWS_OF_FEATURES, "name": names()}),
    "find_device": (str, {}),
    "find_origin": (dict, {"threads": st.integers(1, 99)}),
    "fold_standardisation": (nn.Linear, {"probe": st.builds(PROBE.fit, ROWS_OF_FEATURES, st.just([0, 1, 1]))}),
    "format_json": (str, {"value": SETTINGS}),
    "format_mean": (str, {"values": arrays_over({"seed": None}), "sign": st.sampled_from(["", "+"])}),
    "format_place": (str, {"labels": st.dictionaries(names(), names() | st.integers() | st.floats(), max_size=3)}),
    "format_spread": (lambda text: "seed" in text, {"n_seeds": st.integers(1, 10**9)}),
    "format_table": (str, {"rows": ROWS}),
    "get_transformations": (tuple, {"names": st.lists(KNOWN | KNOWN | KNOWN | odd(), max_size=3) | odd()}),
    "have_same_bits": (bool, {"one": ANY_ARRAY, "other": ANY_ARRAY}),
    "invariance_by_relation": (lambda means: means.relation.values.tolist()[:3] == ["same", "other", "none"], {
        "sensitivity": SENSITIVITIES.flatmap(cubes).flatmap(mutated),
    }),
    "make_attributes": (dict, {"again": False, "settings": SETTINGS, "origins": ORIGINS}),
    "make_cell": (xr.Dataset, {"variables": CELLS}),
    "make_presets": (lambda made: list(made) == ["smoke", "quick", "overnight", "paper"], {
        "more": SETTINGS, "leave_out": st.sampled_from([(), ["epochs"], ["none"]]),
    }),
    "official_dataset": (lambda dataset: dataset.base_folder, {"name": st.sampled_from(["CIFAR10", "CIFAR100"])}),
    "on_cifar": (dict, {"leave_out": st.sampled_from([(), ["n_classes"]]), "levels": SETTINGS}),
    "paired_contrast": (lambda difference: "factor" not in difference.dims, {
        "spoiled": True, "keep": ["values"], "values": arrays_over({"seed": None, "factor": ["a", "b"]}),
        "dim": st.sampled_from(["factor", "seed", "x"]), "first": "a", "second": st.sampled_from(["b", "c"]),
    }),
    "plot_factors": (lambda figure: figure.axes, {"cost": 4, "cube": factor_cubes()}),
    "prepare_backgrounds": (lambda prepared: prepared is None or prepared.dtype == np.uint8, {
        "backgrounds": images() | st.sampled_from([None, "random", "procedural"]) | odd(), "size": st.integers(1, 12),
    }),
    "parse_json": ((dict, list), {"text": JSON, "kind": st.sampled_from([dict, list, (dict, list)])}),
    "spillover": (xr.DataArray, {"sensitivity": SENSITIVITIES.flatmap(cubes).flatmap(mutated)}),
    "spillover_in_distribution": ((xr.DataArray, type(None)), {"sensitivity": WITH_KINDS.flatmap(cubes)}),
    "strides_beyond_input": (bool, {"network": STRIDED, "X": checked_images()}),
    "summarise": (lambda summary: set(summary) == {"mean", "std", "low", "high", "n"} and (summary["n"] >= 0).all(), {
        "values": arrays_over({"seed": None, "factor": None}),
        "dim": st.sampled_from(["seed", "seed", "factor", "nothing"]),
    }),
    "variance_explained": (lambda shares: shares.share.dims == ("factor_name", "component"), {
        "spoiled": True, "keep": ["accuracy"], "accuracy": accuracies().flatmap(mutated),
        "n_resamples": st.sampled_from([2, 50]),
    }),
    "versions": (lambda found: "numpy" in found, {}),
}  # fmt: skip


def check_result(name, expected, how):
    @check(name, **how)
    def is_as_expected(result):
        right = isinstance(result, expected) if isinstance(expected, (type, tuple)) else expected(result)
        assert right, f"{name} returned {result!r:.400}"


for name, (expected, how) in RESULTS.items():
    check_result(name, expected, how)
