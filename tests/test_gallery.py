"""The figures of the data."""

import sys

import numpy as np
import pytest
import study_runs
from PIL import Image

from invtransfer.paper import images_with_objects
from invtransfer.paper.images_with_objects import make_combined

pytest.importorskip("matplotlib")
LEFT, MARGIN, LINE, GAP = 14 + 104, 14, 22, 4  # pixels, in all figures
COMBINED = {"dataset": "transforms2d", "data": "", "folder": "procedural", "n_objects": 10, "seed": 1}


gallery = study_runs.load("gallery")


def run(*arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["gallery.py", "--preset", "smoke", *map(str, arguments)])
        gallery.main()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def read(path, left, top, side, times):
    """Read an image of side x side pixels from a figure; each is a block of equal ones."""
    pixels = np.asarray(Image.open(path).convert("RGB"))[top : top + side * times, left : left + side * times]
    blocks = pixels.reshape(side, times, side, times, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()
    return blocks[:, 0, :, 0]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """Make all figures once, where there is no CIFAR."""
    out = tmp_path_factory.mktemp("smoke") / "gallery.png"
    run("--data", out.parent, "--out", out)
    return out


def test_smoke_makes_all_figures(smoke):
    words = ("-classes", "-combined", "-overview", "-patterns", "")
    assert names(smoke.parent) == [f"gallery{word}.png" for word in words]
    for path in smoke.parent.iterdir():
        assert path.stat().st_size < 300_000


@pytest.mark.parametrize(("name", "top"), [("gallery", MARGIN + 2 * LINE), ("gallery-overview", MARGIN + LINE)])
def test_images_are_crisp(smoke, name, top):
    first = read(smoke.with_stem(name), LEFT, top, 32, 2)
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 50


def test_figure_6_shows_the_images_of_the_study(smoke):
    rows = [
        ("images alone", "random"),
        ("images with objects", "random"),
        ("images with objects", (21, 2)),
        ("objects alone", "random"),
        ("objects alone", (21, 2)),
    ]
    tops = [58, 180, 280, 402, 502]  # a row takes 32 * 3 + 4 pixels, a heading 22, the first one 14 + 2 * 22
    for (task, position), top in zip(rows, tops, strict=True):
        X, _ = make_combined(task, position=position, **COMBINED)[0].sample(10)
        for column, image in enumerate(X):
            shown = read(smoke.with_stem("gallery-combined"), LEFT + column * 100, top, 32, 3)
            np.testing.assert_array_equal(shown, image)


def test_columns_of_figure_6_share_their_object():
    images, _, object_names = gallery.make_combinations("transforms2d", "", "procedural", seed=1)
    assert [len(strip) for strip in images.values()] == [10] * 5
    source = make_combined("objects on images", position="random", **COMBINED)[0]
    assert object_names == [source.class_names[label] for label in source.sample(10)[1]]
    for position in ("random", "fixed"):  # what differs from the photograph is what is not black, but for a few pixels
        changed = (images["objects on images", position] != images["images alone", "random"]).any(axis=-1)
        not_black = (images["objects alone", position] > 0).any(axis=-1)
        assert ((changed != not_black).sum(axis=(1, 2)) < 0.15 * changed.sum(axis=(1, 2))).all()


def test_images_of_a_set_have_the_draws_of_its_members():
    make_source, class_names = gallery.object_sources("procedural", 32, seed=1)
    panels, chosen = gallery.make_overview(make_source, class_names, seed=1)
    assert {images.shape for images in panels.values()} == {(4, 1, 32, 32, 3), (4, 3, 32, 32, 3)}
    assert len(set(chosen)) == 4
    hue, pair = (make_source(0, names).sample(20)[0] for names in (["hue"], ["hue", "h_flip"]))
    flipped = make_source(0, ["h_flip"]).sample(20)[0] != make_source(0, ()).sample(20)[0]
    alike = ~flipped.any(axis=(1, 2, 3))
    assert 0 < alike.sum() < 20
    np.testing.assert_array_equal((hue == pair).all(axis=(1, 2, 3)), alike)


def test_random_patterns_are_not_blurred():
    make_source, class_names = gallery.object_sources("random", 32, seed=1)
    X, _ = make_source(3, ()).sample(2)
    centre = X[:, 5:27, 5:27]  # 22 of 32 pixels: one pattern, on other backgrounds
    assert (centre[0] == centre[1]).all()
    assert (X[0] != X[1])[:5].mean() > 0.9
    assert abs(centre.std() - np.sqrt((256**2 - 1) / 12)) < 4  # of uniform levels
    assert len(class_names) == 61


def test_a_missing_cifar_is_said(tmp_path, capsys):
    *_, dataset, title = gallery.photograph_sources("transforms2d", str(tmp_path), seed=1)
    assert (dataset, title) == ("transforms2d", "stand-in for CIFAR-10, which was not there")
    output = capsys.readouterr().out
    assert output.startswith("CIFAR-10 is not there; in Figures 6 and 15 a stand-in takes its place")
    assert "python data/fetch.py cifar10" in output


@pytest.mark.parametrize(("dataset", "n_classes"), [("cifar10", 10), ("cifar100", 100)])
def test_photographs(dataset, n_classes, tmp_path, monkeypatch, capsys):
    images = np.random.default_rng(0).integers(256, size=(10 * n_classes, 32, 32, 3), dtype=np.uint8)
    part = images, np.tile(np.arange(n_classes), 10)
    monkeypatch.setattr(images_with_objects, "load_cifar", lambda *_: (part, part))
    monkeypatch.setattr(gallery, "cifar100_classes", lambda folder: tuple(f"class_{i}" for i in range(100)))
    data = tmp_path / "sets"  # of this test alone: what is read is kept
    if dataset == "cifar10":  # to draw 100 classes takes longer, and is nothing else
        run("--dataset", dataset, "--objects", "random", "--data", data, "--out", tmp_path / "all.png")
        assert len(names(tmp_path)) == 5
        assert "stand-in" not in capsys.readouterr().out
    make_source, class_names, _, title = gallery.photograph_sources(dataset, str(data), seed=1)
    assert title == {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}[dataset]
    X, y = make_source(7, ()).sample(1)
    assert y == [7]
    assert (X[0] == images[7::n_classes]).all(axis=(1, 2, 3)).any()
    assert len(class_names) == n_classes


def test_random_objects_and_small_images(tmp_path):
    run("--objects", "random", "--image-size", 20, "--data", tmp_path, "--out", tmp_path / "a.png")
    pattern = read(tmp_path / "a.png", LEFT, MARGIN + 2 * LINE, 20, 4)
    assert len(np.unique(pattern.reshape(-1, 3), axis=0)) > 390  # of 400 random pixels


def test_own_objects_backgrounds_and_sizes(tmp_path):
    folder = tmp_path / "own"
    for i, name in enumerate(("disc", "measuring_cup")):
        (folder / "foregrounds" / name).mkdir(parents=True)
        Image.new("RGBA", (64, 64), (200, 40 * i, 0, 255)).save(folder / "foregrounds" / name / "1.png")
    (folder / "backgrounds").mkdir()
    Image.new("RGB", (64, 64), (1, 2, 3)).save(folder / "backgrounds" / "1.png")
    out = tmp_path / "figures" / "own.png"
    run("--objects", folder, "--image-size", 48, "--data", tmp_path, "--out", out)
    assert len(names(out.parent)) == 5
    image = read(out, LEFT, MARGIN + 2 * LINE, 48, 2)
    assert image[0, 0].tolist() == [1, 2, 3]
    assert image[24, 24].tolist() in ([200, 0, 0], [200, 40, 0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "gallery.pdf"], "--out is gallery.pdf, expected a name that ends in .png"),
        (["--dataset", "cifar10", "--image-size", "64"], "--image-size is for --dataset transforms2d: CIFAR's images"),
        (["--seed", "-1"], "--seed is -1"),
        (["--dataset", "cifar10", "--data", "nowhere"], "which holds neither cifar-10-batches-py nor cifar-10"),
        (["--dataset", "cifar100", "--data", "nowhere"], "cifar-100-python/train is missing"),
        (["--objects", "nowhere", "--data", "nowhere"], "source is 'nowhere', expected"),
    ],
)
def test_errors_name_the_argument(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        run("--out", "gallery.png", *arguments)
    assert message in capsys.readouterr().err
    assert names(tmp_path) == []
