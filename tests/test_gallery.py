import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("matplotlib")
SCRIPT = Path(__file__).resolve().parent.parent / "studies" / "gallery.py"


@pytest.fixture
def run(monkeypatch):
    spec = importlib.util.spec_from_file_location("gallery", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["gallery.py", *map(str, arguments)])
        module.main()

    return run


def test_smoke_makes_both_figures(run, tmp_path):
    out = tmp_path / "gallery.png"
    run("--preset", "smoke", "--out", out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gallery-classes.png", "gallery.png"]
    pixels = np.asarray(Image.open(out).convert("RGB"))
    assert out.stat().st_size < 1_500_000
    # A pixel of a 32 x 32 image is a block of 2 x 2 equal pixels: where the first image begins, 14 + 104 from the left
    # and 14 + 22 from the top, and as large as it is, 64 x 64.
    image = pixels[36 : 36 + 64, 118 : 118 + 64]
    blocks = image.reshape(32, 2, 32, 2, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()
    assert len(np.unique(blocks[:, 0, :, 0].reshape(-1, 3), axis=0)) > 50


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "gallery.pdf"], "--out is gallery.pdf, expected a name that ends in .png"),
        (["--dataset", "cifar10", "--image-size", "64"], "--objects and --image-size are for --dataset transforms2d"),
    ],
)
def test_errors_name_the_argument(run, arguments, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        run(*arguments)
    assert message in capsys.readouterr().err


def test_other_objects_and_sizes(run, tmp_path):
    folder = tmp_path / "foregrounds"
    for i, name in enumerate(("disc", "square")):
        (folder / name).mkdir(parents=True)
        Image.new("RGBA", (64, 64), (200, 40 * i, 0, 255)).save(folder / name / "1.png")
    run("--preset", "smoke", "--objects", tmp_path, "--image-size", 48, "--out", tmp_path / "own.png")
    assert (tmp_path / "own-classes.png").exists()
