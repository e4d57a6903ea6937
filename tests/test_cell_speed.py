"""One cell against the released protocol: what is compared is the same task, and what is counted is said."""

import sys

import numpy as np
import pytest
import study_runs
import torch
from PIL import Image

from invtransfer.cubes.files import read

study = study_runs.load("cell_speed")


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    out = tmp_path_factory.mktemp("cell_speed") / "cube.nc"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["cell_speed.py", "--preset", "smoke", "--out", str(out)])
        study.main()
    return read(out)


def test_cube(cube):
    assert dict(cube.sizes) == {"protocol": 2, "seed": 1, "stage": 3, "transformation": 18}
    assert (cube.seconds > 0).all()
    for name, variable in cube.data_vars.items():
        assert {"units", "long_name"} <= variable.attrs.keys(), name
        assert np.isfinite(variable).all(), name
    assert ((cube.transfer_accuracy >= 0) & (cube.transfer_accuracy <= 1)).all()


def test_results_are_printed(cube, capsys):
    # 30 s against 3 s: ten times as fast
    seconds = cube.seconds.copy(data=np.array([[[1.0, 1, 1]], [[10, 10, 10]]]))
    study.print_results(cube.assign(seconds=seconds))
    lines = capsys.readouterr().out.splitlines()
    assert "  whole cell        3.00      30.0    10.0 (10.0 to 10.0)" in lines
    assert "nan" not in "".join(lines)  # one seed has no interval


def test_an_image_is_a_function_of_its_number():
    objects = [Image.new("RGBA", (32, 32), (255, 0, 0, 255)), Image.new("RGBA", (32, 32), (0, 255, 0, 255))]
    backgrounds = [Image.new("RGB", (32, 32))]
    first, again, twin = (
        study.OneByOne(objects, backgrounds, [0, 1], ["translate", "brightness"], 7, 30, twin)
        for twin in (False, False, True)
    )
    (X, y), (X_again, y_again), (X_twin, y_twin) = (
        map(list, zip(*[images[i] for i in range(len(images))], strict=True)) for images in (first, again, twin)
    )
    assert len(y) == 30
    assert set(map(int, y)) == {0, 1}
    assert y == y_again == y_twin
    assert torch.equal(torch.stack(X), torch.stack(X_again))
    assert not torch.equal(torch.stack(X), torch.stack(X_twin))


def test_the_sensitivity_of_batches_is_a_mean_of_ratios():
    # Features are the images. Twins of the first batch are 1 apart and others 2; of the second 1 and 4: 1/2 and 1/4
    class Points(torch.utils.data.Dataset):
        def __init__(self, values):
            self.values = values

        def __len__(self):
            return len(self.values)

        def __getitem__(self, i):
            return torch.tensor([float(self.values[i])]), 0

    first, second = Points([0.0, 3, 0, 5]), Points([1.0, 2, 1, 4])
    # batch of two: 0 to 2 and 3 to 1 are 2 and 2 apart; 0 to 4 and 5 to 1 are 4 and 4
    ratio = study.measure_sensitivity(first, second, torch.nn.Identity(), batch_size=2)
    assert ratio == pytest.approx((1 / 2 + 1 / 4) / 2)


def test_what_is_timed_runs_alone(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["cell_speed.py", "--jobs", "2"])
    with pytest.raises(SystemExit, match="2"):
        study.main()
    assert "what is timed must run alone, on one thread" in capsys.readouterr().err
