import json

import pytest
from PIL import Image

from invtransfer.paper import datasets
from invtransfer.paper.datasets import (
    CIFAR,
    OBJECT_SIZE,
    PAPER_OBJECTS,
    identify_objects,
    load_cifar,
    load_objects_and_backgrounds,
)


@pytest.fixture
def folder(tmp_path):
    """One red apple in a folder whose name claims more."""
    folder = tmp_path / "transforms2d"
    (folder / "foregrounds" / "apple").mkdir(parents=True)
    Image.new("RGBA", (8, 8), "red").save(folder / "foregrounds" / "apple" / "1.png")
    return folder


def add_background(folder):
    (folder / "backgrounds").mkdir()
    Image.new("RGB", (8, 8), "blue").save(folder / "backgrounds" / "1.jpg")
    load_objects_and_backgrounds.cache_clear()


def test_objects_are_read_once():
    objects, backgrounds = load_objects_and_backgrounds("procedural")
    assert objects.images.shape == (61, OBJECT_SIZE, OBJECT_SIZE, 4)
    assert backgrounds is None
    assert load_objects_and_backgrounds("procedural")[0] is objects


def test_random_patterns_are_read_at_the_size_at_which_they_are_pasted(tmp_path, monkeypatch):
    (tmp_path / "random" / "backgrounds").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)  # where a folder has the name of a collection
    objects, backgrounds = load_objects_and_backgrounds("random")
    assert objects.images.shape == (61, 22, 22, 4)  # 0.7 of 32
    assert backgrounds is None
    assert [identify_objects(name) for name in ("procedural", "random")] == ["procedural", "random"]


def test_objects_and_backgrounds_of_a_folder(folder):
    objects, backgrounds = load_objects_and_backgrounds(str(folder))
    assert objects.names == ("apple",)
    assert objects.images.shape == (1, OBJECT_SIZE, OBJECT_SIZE, 4)
    assert backgrounds is None
    add_background(folder)
    backgrounds = load_objects_and_backgrounds(str(folder))[1]
    assert len(backgrounds) == 1
    red, green, blue = backgrounds.mean(axis=(0, 1, 2))
    assert red < 10 > green  # of a JPEG
    assert blue > 245


def test_folder_that_is_not_there_is_named(tmp_path):
    for read in (load_objects_and_backgrounds, identify_objects):
        with pytest.raises(FileNotFoundError, match="none', expected"):
            read(str(tmp_path / "none"))


def test_both_parts_of_cifar_are_read_once(monkeypatch):
    calls = []

    def read(folder, split="train"):
        calls.append((folder, split))
        return f"images to {split}", f"labels to {split}"

    monkeypatch.setattr(datasets, "load_cifar10", read)
    for _ in range(2):
        training, test = load_cifar("cifar10", "stand-in for a folder")
        assert training == ("images to train", "labels to train")
        assert test == ("images to test", "labels to test")
    assert calls == [("stand-in for a folder", "train"), ("stand-in for a folder", "test")]


def test_sets_of_cifar():
    """50,000 images to train and 10,000 to test on, as many of each class."""
    for n_classes, n_train, n_test in CIFAR.values():
        assert (n_classes * n_train, n_classes * n_test) == (50_000, 10_000)
    assert {name: sizes.n_classes for name, sizes in CIFAR.items()} == {"cifar10": 10, "cifar100": 100}


@pytest.mark.parametrize("dataset", CIFAR)
def test_cifar_that_is_not_there_is_named(dataset, tmp_path):
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        load_cifar(dataset, str(tmp_path))
    with pytest.raises(KeyError, match="cifar1000"):
        load_cifar("cifar1000", str(tmp_path))


def test_own_objects_are_not_taken_for_the_authors(folder):
    ours = identify_objects(str(folder))
    assert ours.startswith("transforms2d ")  # that is only its name
    (folder / "SOURCE.json").write_text(json.dumps({"data_set": PAPER_OBJECTS}))
    assert identify_objects(str(folder)) == ours.replace("transforms2d", PAPER_OBJECTS)
    for text in ("{", "{}", "[]", "[" * 100_000):
        (folder / "SOURCE.json").write_text(text)
        with pytest.raises(ValueError, match=r"SOURCE.json is not as data/fetch.py writes it: fetch the set again"):
            identify_objects(str(folder))
    (folder / "SOURCE.json").unlink()
    add_background(folder)
    assert identify_objects(str(folder)).split()[1] != ours.split()[1]


def test_pixels_and_labels_identify_objects_but_not_where_they_lie(folder):
    ours = identify_objects(str(folder))
    moved = folder.parent / "elsewhere" / "transforms2d"
    moved.parent.mkdir()
    folder.rename(moved)
    assert identify_objects(str(moved)) == ours
    (moved / "foregrounds" / "apple").rename(moved / "foregrounds" / "pear")
    load_objects_and_backgrounds.cache_clear()
    pear = identify_objects(str(moved))
    Image.new("RGBA", (8, 8), "green").save(moved / "foregrounds" / "pear" / "1.png")
    load_objects_and_backgrounds.cache_clear()
    assert len({ours, pear, identify_objects(str(moved))}) == 3
    assert len(ours) == len(pear) == len("transforms2d ") + 12
