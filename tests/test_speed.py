"""The benchmark: its cube, its ratios, and that what it compares does the same."""

import io
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest
import study_runs
import torch
from PIL import Image

from invtransfer import TRANSFORMATIONS, Transforms2D, load_objects
from invtransfer.cubes.files import read
from invtransfer.sources.pasting import place_objects

speed = study_runs.load("speed")
MEASURED = ["rotate", "grayscale", "blur"]  # of the 18, so that a run takes seconds
SMALLER = {  # than the smoke preset
    "n_images": 32, "n_pairs": 16, "n_train": 32, "n_test": 64, "n_empty": 2, "n_training": 1, "n_images_each": 16,
    "n_images_step": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    """Run a small study in this process, as starting others is what takes long; n images take 5,000 n bytes there."""
    out, output = tmp_path_factory.mktemp("speed") / "speed.nc", io.StringIO()
    run_study = speed.run_study
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(io.StringIO()):
        patch.setattr(sys, "argv", ["speed.py", "--preset", "smoke", "--out", str(out)])
        patch.setattr(speed, "BATCH", 16)
        patch.setattr(speed, "TRANSFORMATIONS", {name: TRANSFORMATIONS[name] for name in MEASURED})
        patch.setattr(speed, "NETWORKS", ["vgg11"])
        patch.setattr(speed, "ProcessPoolExecutor", lambda n, context: ThreadPoolExecutor(n))
        patch.setattr(speed, "hold", lambda n, threads: (5_000 * n, 6_000 * n))
        patch.setitem(speed.PRESETS, "smoke", speed.PRESETS["smoke"] | SMALLER)
        patch.setattr(speed, "run_study", lambda *arguments, jobs, **more: run_study(*arguments, jobs=1, **more))
        speed.main()
    assert "not judged" in output.getvalue()
    return read(out)


def test_cube_explains_itself(cube):
    assert all({"units", "long_name"} <= cube[name].attrs.keys() for name in cube.variables)
    assert json.loads(cube.attrs["settings"])["preset"] == "smoke"
    assert cube.image_time.dims == ("transformation", "implementation", "repetition")
    assert cube.transformation.values.tolist() == MEASURED
    assert cube.value.notnull().sum() >= cube.sizes["measure"] - 1  # accuracies may all be equal


def test_ratios_follow_from_the_times(cube):
    ours, theirs = cube.image_time.median("repetition").mean("transformation").values
    assert cube.value[0] == pytest.approx(theirs / ours)
    assert cube.target[0] == 8
    # an image has 32 * 32 * 3 bytes
    assert cube.value[1:3].values.tolist() == pytest.approx([5_000 / 3_072, 6_000 / 3_072])


def test_memory_is_the_most_that_was_held():
    made, trained = speed.hold(16, torch.get_num_threads())
    assert 1e8 < made < 1.01 * trained < 1e11  # the kernel's counter is exact to some pages


def test_baseline_covers_the_transformations():
    assert speed.ALWAYS.keys() | speed.SOMETIMES.keys() == TRANSFORMATIONS.keys()
    assert not speed.ALWAYS.keys() & speed.SOMETIMES.keys()


@pytest.mark.parametrize("name", ["v_flip", "h_flip", "grayscale", "posterize", "invert", "pixelate"])
def test_baseline_shows_the_same(name):
    placed = place_objects(load_objects(size=64).images[:20], 32)
    levels = np.round(placed * 255).astype(np.uint8)
    changed = [
        speed.SOMETIMES[name](Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))), None) for image in levels
    ]
    backgrounds = np.full((20, 32, 32, 3), 100, dtype=np.uint8)
    theirs = []
    for image, background in zip(changed, backgrounds, strict=True):
        pasted = Image.fromarray(background)
        pasted.paste(image, mask=image)
        theirs.append(np.asarray(pasted))
    objects = torch.from_numpy(levels / np.float32(255))
    shown = TRANSFORMATIONS[name].apply(objects, applied=torch.ones(20, dtype=torch.bool)).numpy().transpose(0, 2, 3, 1)
    ours = backgrounds + (255 * shown[..., :3] - backgrounds) * shown[..., 3:]
    # PIL rounds to 8 bits, twice: by less than half a level on average.
    assert np.abs(ours - theirs).mean() < 0.5


def test_both_end_with_the_same_tensors():
    objects = load_objects(size=64)
    source = Transforms2D(objects, image_size=32, random_state=0)
    X, _ = source.sample(130)
    ours = torch.cat(speed.make_in_batches(source, 130))
    expected = (torch.from_numpy(X).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
    assert torch.allclose(ours, expected, atol=1e-6)
    pil = [Image.fromarray(image).convert("RGBA") for image in X[:1]]  # opaque: the background does not show
    theirs = speed.make_one_by_one("rotate", 2, pil, [Image.fromarray(X[1])], Still())
    assert torch.allclose(torch.cat(theirs), expected[:1].expand(2, -1, -1, -1), atol=1e-6)


class Still:
    """Draws nothing but the least."""

    def integers(self, high):
        return 0

    def uniform(self, low, high):
        return low


def test_more_jobs_are_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["speed.py", "--jobs", "2"])
    with pytest.raises(SystemExit, match="2"):
        speed.main()
    assert "--jobs is 2, expected 1" in capsys.readouterr().err
