"""The study of advice about photographs: its grid, its cell, its claims and its figure."""

import inspect
from functools import partial

import numpy as np
import pytest
import study_runs
import xarray as xr
from matplotlib.text import Text
from study_runs import verdicts, with_seeds

from invtransfer import TRANSFORMATIONS, InvarianceAdvisor
from invtransfer.cubes.cells import cell_id

study = study_runs.load("real_advice")
ALL = list(TRANSFORMATIONS)


def make_cube(sign=1.0):
    """A cube in which copies gain on other images as the advisor says, or the opposite."""
    z = xr.DataArray(np.linspace(3.0, -3.0, 18), {"transformation": ALL}, ["transformation"])
    z = with_seeds(z).expand_dims(network=["trained"])
    cube = xr.Dataset({"z": z, "held_out_gain": sign * z / 100, "advised": (z > 1).astype("int8")})
    cube["accuracy"] = z.isel(transformation=0, drop=True) * 0 + 0.75
    return cube.assign_attrs(title="a title")


def test_cube(tmp_path, monkeypatch):
    asked = ["h_flip", "hue", "blur"]  # of the 18, so that a run takes seconds
    monkeypatch.setattr(study, "TRANSFORMATIONS", {name: TRANSFORMATIONS[name] for name in asked})
    monkeypatch.setattr(study, "InvarianceAdvisor", partial(InvarianceAdvisor, transformations=asked))
    cube = study_runs.run(study, tmp_path, "--n-labelled 20 --n-test 20")
    own = dict.fromkeys(("held_out_gain", "z", "sensitivity", "advised"), ("transformation",)) | {"accuracy": ()}
    study_runs.check_cube(cube, {"network": ["random"], "seed": [0], "transformation": asked}, own)


@pytest.mark.parametrize(("preset", "n_cells"), [("smoke", 1), ("quick", 3), ("overnight", 10), ("paper", 10)])
def test_grid(preset, n_cells):
    settings = study.STUDY.settings(preset)
    assert settings.keys() == study.PRESETS["paper"].keys()
    cells, coordinates = study.make_grid(settings)
    assert list(coordinates) == ["network", "seed"]
    assert len(cells) == n_cells == len({cell_id(arguments) for _, arguments in cells})
    for place, arguments in cells:
        assert {name: arguments[name] for name in place} == place
        inspect.signature(study.cell).bind(folder="", **arguments)


def test_estimate():
    # 300 images and 2 copies for each of 18, by the advisor and by the probe; 2,000 others; 20 ms each
    settings = study.make_grid(study.STUDY.settings("quick"))[0][0][1]
    assert study.estimate(**settings) == pytest.approx((2 * 300 * 37 + 2_000) * 0.02)
    assert study.estimate(**settings | {"size": 192}) == pytest.approx(4 * (2 * 300 * 37 + 2_000) * 0.02)


def test_images_are_enlarged():
    X = np.tile(np.arange(0, 240, 60, dtype=np.uint8)[:, None, None], (1, 1, 4, 4, 3)).reshape(4, 4, 4, 3)[:1]
    large = study.enlarge(X, 8)
    assert (large.shape, large.dtype) == ((1, 8, 8, 3), np.uint8)
    assert large.mean() == pytest.approx(X.mean(), abs=1)


def test_claims():
    assert verdicts(study.find_claims(make_cube())) == "++"
    assert verdicts(study.find_claims(make_cube(-1.0))) == "--"
    agreement, gain = study.find_claims(make_cube())
    assert agreement.numbers.startswith("1.000")
    # 6 of 18 have z > 1: 3, 2.647, ... 1.235, mean 2.118; the other 12 have -1.059
    assert gain.numbers.startswith("0.021 against -0.011")


def test_table_and_figure():
    cube = make_cube()
    assert "trained: accuracy on other images without copies 0.750 (n = 3 seeds)" in study.format_results(cube)
    texts = {text.get_text() for text in study.STUDY.figure(cube).findobj(Text)}
    assert {*ALL, "trained", "gain of the advisor's probe (standard errors)"} <= texts
