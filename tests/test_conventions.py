"""The contracts that hold for the whole package."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import invtransfer
from invtransfer import FineTuner, FrozenFeatureProbe, InvarianceAdvisor, InvariantPretrainer, SensitivityScorer

PACKAGE = Path(invtransfer.__file__).parent
GROUND = {"images", "randomness", "storage", "surroundings", "analysis", "transformations"}
MAY_IMPORT = {  # beside itself; a room is a module or folder of the package
    "images": set(), "randomness": set(), "storage": set(), "surroundings": set(), "analysis": set(),
    "transformations": {"randomness"},
    "objects": {"images", "randomness", "storage"},
    "sources": GROUND - {"analysis"} | {"objects"},
    "networks": {"images", "storage", "surroundings"},
    "encoders": {"images", "surroundings", "analysis", "networks"},
    "estimators": GROUND | {"sources", "networks", "encoders"},
    "cubes": {"storage"},
    "plots": {"analysis"},
    "pages": {"storage", "analysis", "cubes", "plots"},
    "published": {"storage", "analysis"},
    "paper": GROUND - {"surroundings"} | {"objects", "sources", "networks", "encoders", "estimators", "cubes"},
    "commands": GROUND - {"surroundings"} | {"sources", "networks", "encoders", "estimators", "cubes"},
    "__main__": {"storage", "analysis", "cubes", "plots", "pages", "published", "paper", "commands"},
}  # fmt: skip
WITHOUT_TORCH = {"analysis", "pages", "plots", "published"}


def imports_of(file):
    """Return the rooms of the package that a file imports, and the other packages."""
    tree = ast.parse(file.read_text())
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    ours = {name.split(".")[1] for name in names if name.startswith("invtransfer.")}
    return ours, {name.split(".")[0] for name in names}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_run_one_way(room):
    files = list((PACKAGE / room).rglob("*.py")) or [PACKAGE / f"{room}.py"]
    for file in files:
        ours, others = imports_of(file)
        assert ours <= MAY_IMPORT[room] | {room}, file
        assert room not in WITHOUT_TORCH or "torch" not in others, file


def test_every_room_has_its_rule():
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert rooms - {"__init__", "__pycache__"} == MAY_IMPORT.keys()


PUBLIC = [getattr(invtransfer, name) for name in invtransfer.__all__]


@pytest.mark.parametrize("thing", [thing for thing in PUBLIC if callable(thing)], ids=lambda thing: thing.__name__)
def test_public_docstrings_are_complete(thing):
    doc = inspect.getdoc(thing)
    assert ">>>" in doc
    assert "Parameters\n" in doc
    for name in inspect.signature(thing).parameters:
        assert re.search(rf"^{name}\b.* : |^{name},|, {name}\b.* : ", doc, re.MULTILINE), f"{name} is not documented"


@pytest.mark.parametrize(
    "estimator", [InvariantPretrainer, FrozenFeatureProbe, FineTuner, SensitivityScorer, InvarianceAdvisor]
)
def test_init_only_stores(estimator):
    values = {name: object() for name in inspect.signature(estimator).parameters}
    made = estimator(**values)
    assert vars(made) == values


@pytest.mark.parametrize("word", ["augment", "TODO", "FIXME", "print("])
def test_words_that_are_not_ours(word):
    for path in PACKAGE.rglob("*.py"):
        if word == "print(" and path.name == "command_line.py":  # what studies say on the terminal
            continue
        assert word not in path.read_text(), f"{word!r} in {path.name}"


def test_importing_the_package_needs_no_extra_and_no_torchvision():
    code = "import sys, invtransfer; print(sorted({'matplotlib', 'torchvision', 'distributed'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_example_of_the_design(objects):
    settings = {"transformations": ["rotate", "blur", "posterize"], "image_size": 16}
    source = invtransfer.Transforms2D(objects[:5], random_state=0, **settings)
    target = invtransfer.Transforms2D(objects[5:10], random_state=1, **settings)
    encoder = InvariantPretrainer("resnet18", width=0.0625, epochs=1, random_state=0).fit(*source.sample(40))
    probe = FrozenFeatureProbe(encoder).fit(*target.sample(40))
    assert 0 <= probe.score(*target.sample(40, start=5_000)) <= 1
    scorer = SensitivityScorer(encoder, n_pairs=20, random_state=0).fit(target)
    assert scorer.sensitivity_.dims == ("transformation",)
    assert np.isfinite(scorer.sensitivity_).all()


def test_random_numbers_come_from_named_streams():
    """Every generator is made in randomness.py; resampling takes a generator of the user's own, as numpy does."""
    made = {
        str(file.relative_to(PACKAGE)) for file in PACKAGE.rglob("*.py")
        for line in file.read_text().splitlines()
        if "default_rng(" in line and not line.lstrip().startswith((">>>", "..."))
    }  # fmt: skip
    assert made == {"randomness.py", "analysis/variance.py"}
