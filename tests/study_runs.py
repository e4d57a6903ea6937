"""What the tests of the studies share: small runs, estimators that learn nothing, and the paper's numbers as cubes."""

import importlib.util
import inspect
import shlex
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from invtransfer import ObjectsOnImages, SensitivityScorer
from invtransfer.cubes.files import read
from invtransfer.encoders import encoding
from invtransfer.estimators import network_classifier
from invtransfer.networks.inference import compute_outputs
from invtransfer.paper import distribution_shift, images_with_objects, inputs, main, pretraining, timing
from invtransfer.paper.datasets import load_objects_and_backgrounds
from invtransfer.paper.presets import PROTOCOL

STUDIES = Path(__file__).resolve().parent.parent / "studies"
STATE = {"status", "message", "cell", "arguments", "part", "origin"}  # variables of every cube
CHECKPOINTS = Path("checkpoints")
PRETRAINING = {  # arguments of a cell
    "architecture": "vgg11", "width": 0.3, "epochs": 7, "batch_size": 11, "learning_rate": 0.02, "schedule": "cosine",
    "weight_decay": 0.4, "optimizer": "muon", "checkpoints": CHECKPOINTS,
}  # fmt: skip
PAPER_LEVELS = {  # of studies in which one factor varies at a time; on CIFAR, n_samples is of each class
    dataset: {
        "class_relation": ["subset", "disjoint", "same", "superset"],
        "architecture": ["resnet18", "resnet50", "densenet121", "vgg11", "vit"], "n_samples": n_samples,
    }
    for dataset, n_samples in (
        ("transforms2d", [1_000, 10_000, 50_000, 100_000, 500_000]), ("cifar10", [10, 50, 200, 1_000, 4_500]),
        ("cifar100", [10, 50, 100, 250, 500]),
    )
}  # fmt: skip
PAPER_ON_IMAGES = {name: value for name, value in PROTOCOL["paper"].items() if name != "n_classes"} | {
    "epochs": 200, "vit_epochs": 200, "adam_epochs": 100,  # Section 4.2 and Appendix C.3
    "n_objects": 10, "dataset": "cifar10",
    "n_samples": 45_000, "n_probe": 45_000, "n_validation": 5_000,  # CIFAR-10's 50,000, a tenth for validation
}  # fmt: skip
PROBING = {"solver": "adam", "adam_epochs": 3, "adam_learning_rate": 0.5}


def load(name):
    """Return the module of a study, in which names can be replaced."""
    spec = importlib.util.spec_from_file_location(name, STUDIES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compute_without_copies(network, X, batch_size=None, precision="float32"):
    """Compute the outputs of a network in batches that no copies fill up."""
    return compute_outputs(network, X, min(batch_size or 128, len(X)), precision)


def run(module, folder, options, measured=None):
    """Return the cube of a small run of the smoke preset, in which sensitivity to some transformations is measured.

    Networks see no copies that fill up a batch, which changes no number.
    """
    out = folder / "cube.nc"
    with pytest.MonkeyPatch.context() as patch:
        if measured:
            patch.setattr(module, "SensitivityScorer", partial(SensitivityScorer, transformations=measured))
        for module_of_ours in (network_classifier, encoding):
            patch.setattr(module_of_ours, "compute_outputs", compute_without_copies)
        main(module.STUDY, ["--preset", "smoke", "--jobs", "1", "--out", str(out), *shlex.split(options)])
    assert out.with_suffix(".png").exists()
    return read(out)


def check_cube(cube, labels, own):
    """Check labels, and that every variable is there, explains itself and is complete.

    `labels` are those along each dimension, of the grid first; `own` the dimensions that variables have besides it.
    """
    assert {dim: cube[dim].values.tolist() for dim in cube.dims} == labels
    assert set(cube.data_vars) == set(own) | STATE
    grid = tuple(labels)[: cube.status.ndim]
    for name, variable in cube.data_vars.items():
        assert variable.dims == (*grid, *own.get(name, ())), name
        assert variable.attrs["units"] == "1", name
        if "accuracy" in name:
            assert ((variable >= 0) & (variable <= 1)).all(), name
        if "sensitivity" in name:
            assert ((variable >= 0) & (variable < 5)).all(), name
        if name in ("transfer_accuracy", "sensitivity"):
            assert variable.std() > 0, name
    assert len({variable.attrs["long_name"] for variable in cube.data_vars.values()}) == len(cube.data_vars)
    assert (cube.status == 1).all()
    assert (cube.message == "").all()
    if "sensitivity_low" in cube:
        assert ((cube.sensitivity_low <= cube.sensitivity) & (cube.sensitivity <= cube.sensitivity_high)).all()


def check_presets(study, monkeypatch):
    """Check that presets have the same settings, that these fit the cell and the data, and words are valid choices."""
    cifar10 = [(np.broadcast_to(np.uint8(0), (n, 32, 32, 3)), np.arange(n) % 10) for n in (50_000, 10_000)]
    monkeypatch.setattr(inputs, "load_cifar", lambda *_: cifar10)
    monkeypatch.setattr(images_with_objects, "load_cifar", lambda *_: cifar10)
    monkeypatch.setattr(distribution_shift, "load_cifar", lambda *_: cifar10)
    for dataset in (None, *study.datasets):
        for preset in ("smoke", "quick", "overnight", "paper"):
            settings = study.settings(preset, dataset)
            assert settings.keys() == study.presets["paper"].keys()
            values = {name: [value] for name, value in settings.items()} | settings["levels"]
            words = [(name, word) for name, given in values.items() for word in given if isinstance(word, str)]
            assert all(word in study.choices[name] for name, word in words)
            where = study.find(objects=None, data="", **settings).where
            for _, arguments, *_ in study.grid(settings)[0]:
                inspect.signature(study.cell).bind(**where, **arguments)


def check_vit(cells, settings):
    """Check that ViT, and no other architecture, has its own learning rate, schedule, weight decay and epochs."""
    for _, arguments, *_ in cells:
        prefix = "vit_" if arguments["architecture"] == "vit" else ""
        for name in ("learning_rate", "schedule", "weight_decay"):
            assert arguments[name] == settings[prefix + name]
        assert arguments["epochs"] in (0, settings[f"{prefix}epochs"])


def count_images(module, monkeypatch, settings=None):
    """Return how many images the first cell is estimated to train on, and to encode; by default of the paper preset."""
    monkeypatch.setattr(timing, "project_seconds", lambda *counts, architecture, width, batch_size, **_: counts)
    return module.STUDY.estimate(**module.STUDY.grid(settings or module.STUDY.settings("paper"))[0][0][1])


def replace(module, monkeypatch, name, **attributes):
    """Replace an estimator in the module that uses it, and return the list of those that will be made.

    They learn nothing, and keep what they are given. The n-th accuracy of one is n tenths.
    """
    made = []

    class StandIn:
        def __init__(self, *arguments, **parameters):
            self.arguments, self.parameters, self.fitted, self.scored = arguments, parameters, [], []
            vars(self).update(attributes)
            made.append(self)

        def fit(self, *data):
            self.fitted.append(data)
            return self

        def transform(self, X):
            return X.mean(axis=(1, 2))

        def score(self, X, y):
            self.scored.append((X, y))
            return len(self.scored) / 10

    monkeypatch.setattr(module, name, StandIn)
    return made


def replace_pretrainer(monkeypatch):
    """Replace the estimator that every cell begins with, as `replace` does."""
    return replace(pretraining, monkeypatch, "InvariantPretrainer")


def check_encoder(encoder, seed, transformations=None):
    """Check that an encoder that stands in was made with `PRETRAINING`."""
    given = {name: value for name, value in PRETRAINING.items() if name not in ("architecture", "checkpoints")}
    given |= {"random_state": seed, "checkpoint": CHECKPOINTS / "pretraining.npz"}
    assert encoder.arguments == (PRETRAINING["architecture"],)
    names = [transformation.name for transformation in encoder.parameters.pop("transformations", ())]
    assert (encoder.parameters, names) == (given, list(transformations or ()))


def check_probe(probe, seed):
    """Check that a probe that stands in was made with `PROBING`."""
    assert probe.parameters == {"solver": "adam", "epochs": 3, "learning_rate": 0.5, "random_state": seed}


def compute_combined(module, monkeypatch, *, seed=1, **chosen):
    """Compute a cell of a study of images with objects; return its encoder, which learns nothing, and its targets."""
    measured = PROBING | {"n_probe": 9, "n_validation": 100, "n_test": 50, "n_pairs": 6}
    encoders, given = replace_pretrainer(monkeypatch), []

    def measure(*arguments, **more):
        given.append((*arguments, more))
        return xr.Dataset({"transfer_accuracy": 0.7})

    monkeypatch.setattr(images_with_objects, "measure_combined", measure)
    made = module.cell(
        folder="procedural", data="", dataset="transforms2d", n_objects=10, seed=seed, n_samples=600, **PRETRAINING,
        **measured, **chosen,
    )  # fmt: skip
    assert (made.transfer_accuracy, made.source_accuracy) == (0.7, 0.1)
    assert 0 <= made.source_seen <= 1
    (encoder,), ((probed, targets, more),) = encoders, given
    assert probed is encoder
    assert more == measured | {"seed": seed}
    check_encoder(encoder, seed)
    assert [len(part) for part in (*encoder.fitted[0], *encoder.scored[0])] == [600, 600, 100, 100, 50, 50]
    return encoder, targets


@cache
def draw_objects(names, position):
    """Return procedural objects on black, and on white: (n_objects, height, width, 3), as floats."""
    objects = load_objects_and_backgrounds("procedural")[0]
    objects = objects[[objects.names.index(name) for name in names]]
    pictures = []
    for brightness in (0, 255):
        image = np.full((1, 32, 32, 3), brightness, np.uint8)
        shown, numbers = ObjectsOnImages(objects, image, label="object", position=position).sample(40 * len(objects))
        pictures.append(np.stack([shown[numbers == k][0] for k in range(len(objects))]).astype(float))
    return pictures


def find_objects(X, plain, names, position):
    """Return which object each image shows at a position, by its pixels: its number among `names`, -1 if none.

    `plain` are the same images without objects.
    """
    black, white = draw_objects(tuple(names), position)
    expected = [plain, *(dark + (bright - dark) / 255 * plain for dark, bright in zip(black, white, strict=True))]
    errors = np.stack([abs(X - each).max(axis=(1, 2, 3)) for each in expected])
    assert errors.min(axis=0).max() < 2  # levels of 256
    return errors.argmin(axis=0) - 1


def verdicts(claims):
    """Return a sign for each claim: + held, ~ undecided, - contradicted, ? unknown."""
    signs = {"held": "+", "undecided": "~", "contradicted": "-", "unknown": "?"}
    return "".join(signs[each.verdict] for each in claims)


def with_seeds(values, n=3, spread=0.01):
    """Repeat values for seeds that differ a little, and as much for all of them.

    With the defaults the standard deviation is 0.01, and the interval 4.303 * 0.01 / sqrt(3) = 0.025 to each side.
    """
    seeds = xr.DataArray(spread * (np.arange(n) - (n - 1) / 2), {"seed": np.arange(n)}, ["seed"])
    return (values + seeds).transpose(..., "seed")


def published(table, variable, *dims, **chosen):
    """Return the paper's values of a variable as a cube holds them: over `dims`, and seeds that differ a little."""
    rows = pd.read_csv(STUDIES.parent / "data" / "published" / f"{table}.csv")
    for name, label in {"variable": variable, **chosen}.items():
        rows = rows[rows[name] == label]
    values = rows.set_index(list(dims))["value"].to_xarray()
    assert values.notnull().all()
    return with_seeds(values)
