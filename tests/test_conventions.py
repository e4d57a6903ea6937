"""The contracts that hold for the whole package."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.utils.estimator_checks import check_estimator

import invtransfer
from invtransfer import FineTuner, FrozenFeatureProbe, InvariantPretrainer, SensitivityScorer

PACKAGE = Path(invtransfer.__file__).parent
ORDER = (
    "images", "randomness", "transformations", "drawing", "procedural_objects", "procedural_backgrounds",
    "objects", "pasting", "sources", "cifar", "datasets", "tasks", "storage", "encoding", "networks",
    "checkpoints", "training", "classification", "pretraining", "probing", "tuning", "saving", "sensitivity",
    "provenance", "cubes", "merging", "tables", "analysis", "claims", "protocol", "combined", "comparison", "plots",
    "cells", "executors", "progress", "running", "commands", "reproduction", "__main__",
)  # fmt: skip


@pytest.mark.parametrize(
    ("estimator", "n_checks"),
    [
        (InvariantPretrainer(width=0.0625, epochs=8, batch_size=32, learning_rate=1e-2, random_state=0), 59),
        (FrozenFeatureProbe(), 54),
        (FrozenFeatureProbe(solver="adam", epochs=50, batch_size=64, learning_rate=1e-2, random_state=0), 54),
        (FineTuner(None, epochs=5, batch_size=32, random_state=0), 59),
        (SensitivityScorer(n_pairs=50, random_state=0), 46),
    ],
    ids=["pretrainer", "probe-lbfgs", "probe-adam", "tuner", "scorer"],
)
@pytest.mark.filterwarnings("default")
def test_the_whole_suite_of_scikit_learn_passes(estimator, n_checks):
    results = check_estimator(estimator, on_skip=None)
    passed = [result for result in results if result["status"] == "passed"]
    assert [r["check_name"] for r in results if r["status"] in ("failed", "xfail")] == []
    # later versions of scikit-learn may add checks, and skip those of the array API if that is switched off
    assert len(passed) >= n_checks
    assert {r["check_name"] for r in results if r["status"] == "skipped"} <= {"check_array_api_input"}


@pytest.mark.parametrize("name", ORDER)
def test_imports_run_downward(name):
    files = [PACKAGE / f"{name}.py"] if (PACKAGE / f"{name}.py").exists() else list((PACKAGE / name).glob("*.py"))
    allowed = ORDER[: ORDER.index(name) + 1]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("invtransfer"):
                assert node.module.split(".")[1] in allowed, f"{file.name} imports {node.module}"


def test_every_module_has_its_place_in_the_order():
    assert sorted(ORDER) == sorted({path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
                                   - {"__init__", "__pycache__"})  # fmt: skip


WITHOUT_TORCH = ("storage", "provenance", "cubes", "merging", "tables", "analysis", "claims", "comparison", "plots")


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_what_reads_cubes_knows_no_torch(module):
    path = PACKAGE / f"{module}.py"
    for file in [path] if path.exists() else (PACKAGE / module).glob("*.py"):
        tree = ast.parse(file.read_text())
        imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        assert not any(name.split(".")[0] == "torch" for name in imported)


PUBLIC = [getattr(invtransfer, name) for name in invtransfer.__all__]


@pytest.mark.parametrize("thing", [thing for thing in PUBLIC if callable(thing)], ids=lambda thing: thing.__name__)
def test_public_docstrings_are_complete(thing):
    doc = inspect.getdoc(thing)
    assert ">>>" in doc
    assert "Parameters\n" in doc
    for name in inspect.signature(thing).parameters:
        assert re.search(rf"^{name}\b.* : |^{name},|, {name}\b.* : ", doc, re.MULTILINE), f"{name} is not documented"


@pytest.mark.parametrize("estimator", [InvariantPretrainer, FrozenFeatureProbe, FineTuner, SensitivityScorer])
def test_init_only_stores(estimator):
    values = {name: object() for name in inspect.signature(estimator).parameters}
    made = estimator(**values)
    assert vars(made) == values


def test_the_public_names_are_those_of_all():
    assert sorted(invtransfer.__all__) == sorted(n for n in vars(invtransfer) if n in invtransfer.__all__)


@pytest.mark.parametrize("word", ["augment", "TODO", "FIXME", "print("])
def test_words_that_are_not_ours(word):
    for path in PACKAGE.rglob("*.py"):
        if word == "print(" and path.name == "commands.py":  # what studies say on the terminal
            continue
        assert word not in path.read_text(), f"{word!r} in {path.name}"


def test_importing_the_package_needs_no_extra_and_no_torchvision():
    code = "import sys, invtransfer; print(sorted({'matplotlib', 'torchvision', 'distributed'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_example_of_the_design(objects):
    source = invtransfer.Transforms2D(objects[:5], transformations=["rotate", "blur", "posterize"], random_state=0)
    target = invtransfer.Transforms2D(objects[5:10], transformations=["rotate", "blur", "posterize"], random_state=1)
    encoder = InvariantPretrainer("resnet18", width=0.0625, epochs=1, random_state=0).fit(*source.sample(100))
    probe = FrozenFeatureProbe(encoder).fit(*target.sample(100))
    assert 0 <= probe.score(*target.sample(100, start=5_000)) <= 1
    scorer = SensitivityScorer(encoder, n_pairs=20, random_state=0).fit(target)
    assert scorer.sensitivity_.dims == ("transformation",)
    assert np.isfinite(scorer.sensitivity_).all()
