"""Studies as they are run from the command line, in this process; what all of their tests look at."""

import importlib.util
import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from invtransfer import ObjectsOnImages
from invtransfer.cubes.files import read
from invtransfer.estimators import network_classifier as classification
from invtransfer.networks.inference import compute_outputs
from invtransfer.paper.datasets import load_pictures

STUDIES = Path(__file__).resolve().parent.parent / "studies"
PUBLISHED = STUDIES.parent / "data" / "published"
STATE = {"status", "message", "cell", "arguments", "part", "origin"}  # of every cube


@dataclass
class Run:
    study: ModuleType
    out: Path
    output: str
    error: str

    @property
    def cube(self):
        return read(self.out)


def load(name):
    """Return a study as a module of its own, whose names can be replaced."""
    spec = importlib.util.spec_from_file_location(name, STUDIES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def options(settings):
    """Return the options of the command line that make settings."""
    return [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def run(study, out, *arguments):
    """Run the smoke preset. Networks see no copies that fill up a batch: in half the time, they compute the same."""
    output, error = io.StringIO(), io.StringIO()
    words = [f"{study.__name__}.py", "--preset", "smoke", "--jobs", "1", "--out", out, *arguments]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(error):
        patch.setattr(sys, "argv", [str(word) for word in words])
        patch.setattr(
            classification, "compute_outputs", lambda network, X: compute_outputs(network, X, min(128, len(X)))
        )
        try:
            study.main()
        except SystemExit as end:
            end.add_note(error.getvalue())
            raise
    return Run(study, out, output.getvalue(), error.getvalue())


def run_part(whole, folder, *arguments):
    """Run a part of what has been run: all cells are there."""
    out = folder / "part.nc"
    if not out.with_suffix(".cells").exists():
        out.with_suffix(".cells").symlink_to(whole.out.with_suffix(".cells"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole.study, "cell", dict)  # whose results could not be written
        part = run(whole.study, out, *arguments)
    assert out.with_suffix(".png").exists()
    assert "the paper's pattern: " in part.output
    return part


def refusal(study, folder, *arguments):
    """Return the last line of what a study says that refuses its command line, and the number of lines."""
    with pytest.raises(SystemExit) as end:
        run(study, folder / "refused.nc", *arguments)
    assert end.value.code == 2
    assert list(folder.glob("refused*")) == []
    said = "\n".join(end.value.__notes__).splitlines()
    return said[-1], len(said)


def check_cube(cube, sizes, grid, own):
    """Check dimensions, and that every variable is there, explains itself and is complete.

    `grid` are the dimensions of cells, `own` the dimensions that variables have besides.
    """
    assert dict(cube.sizes) == sizes
    assert set(cube.data_vars) == set(own) | STATE
    for name, variable in cube.data_vars.items():
        assert variable.dims == (*grid, *own.get(name, ())), name
        assert variable.attrs["long_name"], name
        assert variable.attrs["units"] == "1", name
    assert len({variable.attrs["long_name"] for variable in cube.data_vars.values()}) == len(cube.data_vars)
    assert (cube.status == 1).all()
    assert (cube.message == "").all()
    for name, variable in cube.data_vars.items():
        if "accuracy" in name:
            assert ((variable >= 0) & (variable <= 1)).all(), name
        if name.startswith("sensitivity"):
            assert ((variable >= 0) & (variable < 5)).all(), name
        if name in ("transfer_accuracy", "sensitivity"):
            assert variable.std() > 0, name


def check_attributes(cube, study_settings, paper_settings):
    """Check that a cube says how its numbers came about."""
    assert set(cube.attrs) == {
        "title", "study", "Conventions", "settings", "paper_settings", "versions", "origins", "git_commit",
        "git_state", "hardware", "date_created", "references", "threads",
    }  # fmt: skip
    settings, paper = json.loads(cube.attrs["settings"]), json.loads(cube.attrs["paper_settings"])
    assert settings == json.loads(json.dumps(study_settings | {"objects": "procedural"}))
    assert paper == json.loads(json.dumps(paper_settings | {"objects": "tillspeicher/transforms_2d_base"}))
    assert settings.keys() == paper.keys() - {"seeds"}  # a run with more seeds contains one with fewer


def check_terminal(done, n_cells, n_claims):
    """Check what is said of the pattern and of files, and the figure."""
    lines = done.output.splitlines()
    patterns = [line for line in lines if line.startswith("the paper's pattern: ")]
    held = [line.split(": ", 1)[1].split() for line in patterns]
    assert [(words[1:3], words[3]) for words in held] == [(["of", str(n_claims)], "held")] * len(held)
    verdicts = [line.split()[0] for line in lines if line.startswith(("  held ", "  did not ", "  unknown "))]
    assert len(verdicts) == n_claims * len(held)
    assert verdicts.count("held") == sum(int(words[0]) for words in held)
    assert "nan" not in done.output
    files = [line for line in lines if not line.startswith("paper   ")]
    assert files[-2:] == [f"figure  {done.out.with_suffix('.png')}", f"cube    {done.out}"]
    for line in lines[lines.index(files[-1]) + 1 :]:  # the command that compares, where there is something published
        table = next(Path(word) for word in line.split() if word.endswith(".csv"))
        assert table.exists()
    assert f"{n_cells}/{n_cells}" in done.error
    with Image.open(done.out.with_suffix(".png")) as figure:
        assert min(figure.size) > 500
    return len(patterns)


def check_second_run(done, *arguments):
    """Check that a second run computes nothing, and says the same."""

    def files():
        return {path.name: path.stat().st_mtime_ns for path in done.out.with_suffix(".cells").glob("*.nc")}

    before, cube = files(), done.cube
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(done.study, "cell", dict)
        again = run(done.study, done.out, *arguments)
    assert files() == before
    assert again.output == done.output
    xr.testing.assert_identical(again.cube.drop_attrs(deep=False), cube.drop_attrs(deep=False))


def find_objects(X, plain, names, position):
    """Return which object each image shows at a position, by its pixels: its number among `names`, -1 if none.

    `plain` are the same images without objects.
    """
    objects = load_pictures("procedural")[0]
    objects = objects[[objects.names.index(name) for name in names]]
    pictures = []
    for brightness in (0, 255):
        image = np.full((1, *X.shape[1:]), brightness, np.uint8)
        source = ObjectsOnImages(objects, image, label="object", position=position)
        shown, numbers = source.sample(40 * len(objects))
        pictures.append(np.stack([shown[numbers == k][0] for k in range(len(objects))]).astype(float))
    black, white = pictures
    expected = [plain, *(dark + (bright - dark) / 255 * plain for dark, bright in zip(black, white, strict=True))]
    errors = np.stack([abs(X - each).max(axis=(1, 2, 3)) for each in expected])
    assert errors.min(axis=0).max() < 2  # levels of 256
    return errors.argmin(axis=0) - 1


def verdicts(claims):
    """Return whether each claim holds."""
    return [agrees for *_, agrees in claims]


def with_seeds(values, n=3, spread=0.01):
    """Repeat values for seeds that differ a little, and as much for all of them."""
    seeds = xr.DataArray(spread * (np.arange(n) - (n - 1) / 2), {"seed": np.arange(n)}, ["seed"])
    return (values + seeds).transpose(..., "seed")
