"""Data that are there and large enough, and those that are not."""

import pytest

from invtransfer.paper import inputs
from invtransfer.paper.inputs import find_objects, find_task_data, find_transfer_data
from invtransfer.paper.presets import CIFAR_PROTOCOL, PROTOCOL

DATASETS = ("transforms2d", *CIFAR_PROTOCOL)


@pytest.fixture(autouse=True)
def cifar_is_there(monkeypatch):
    monkeypatch.setattr(inputs, "load_cifar", lambda dataset, folder: None)


def check_sizes(settings):
    find_transfer_data(objects=None, data="somewhere", **settings)


PAPER = {name: PROTOCOL["paper"] | sizes["paper"] | {"dataset": name} for name, sizes in CIFAR_PROTOCOL.items()}


@pytest.mark.parametrize(
    ("name", "largest", "there"),
    [
        ("n_probe", 22_500, "22500 images of 5 classes"),
        ("n_test", 5_000, "5000 images of 5 classes"),
        ("n_pairs", 5_000, "5000 images of 5 classes"),
        ("n_samples", 5_000, "5000 images of each class"),
        ("n_validation", 2_500, "2500 images of 5 classes"),
    ],
)
def test_sizes_that_cifar_cannot_fill_are_refused(name, largest, there):
    settings = PAPER["cifar10"] | {"levels": {}}
    check_sizes(settings | {name: largest})
    message = f"{name} is {largest + 1}, but there are only {there} for it"
    with pytest.raises(ValueError, match=message):
        check_sizes(settings | {name: largest + 1})
    if name in ("n_samples", "n_probe"):  # which may vary
        check_sizes(settings | {"levels": {name: [100, largest]}})
        with pytest.raises(ValueError, match=message):
            check_sizes(settings | {"levels": {name: [largest + 1, 100]}})
    check_sizes(settings | {"dataset": "transforms2d", name: 10**9})  # objects have no end


@pytest.mark.parametrize("dataset", DATASETS)
def test_fewer_probe_samples_than_classes_are_refused(dataset):
    settings = PROTOCOL["smoke"] | {"dataset": dataset, "n_classes": 4, "n_probe": 50, "levels": {}}
    check_sizes(settings | {"n_probe": 4})
    message = "n_probe is 3, expected at least one sample of each of 4 classes"
    for too_few in ({"n_probe": 3}, {"levels": {"n_probe": [128, 3]}}):
        with pytest.raises(ValueError, match=message):
            check_sizes(settings | too_few)


@pytest.mark.parametrize("dataset", CIFAR_PROTOCOL)
@pytest.mark.parametrize("preset", PROTOCOL)
def test_no_size_asks_for_more_than_there_is(dataset, preset):
    differing = CIFAR_PROTOCOL[dataset][preset]
    check_sizes(PROTOCOL[preset] | differing | {"dataset": dataset, "levels": {}})


def test_objects_and_their_name(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "identify_objects", lambda folder: f"{folder} 0123")
    assert find_objects() == ({"folder": "procedural"}, "", {"objects": "procedural 0123"})
    folder = str(tmp_path / "emoji")
    assert find_objects(folder) == ({"folder": folder}, "emoji", {"objects": f"{folder} 0123"})


def test_task_data():
    assert find_task_data(objects=None, data="sets", n_classes=4, dataset="cifar10") == ({"folder": "sets"}, "", {})
    assert find_task_data(objects=None, data="sets", n_classes=4).where == {"folder": "procedural"}
    with pytest.raises(ValueError, match="^--objects is for --dataset transforms2d$"):
        find_task_data(objects="emoji", data="sets", n_classes=4, dataset="cifar10")
    with pytest.raises(ValueError, match="^n_classes is 31: source and target need 62 classes, there are 61$"):
        find_task_data(objects=None, data="sets", n_classes=31)
    with pytest.raises(FileNotFoundError, match="none"):
        find_task_data(objects="none", data="sets", n_classes=4)


def test_folders_are_expanded_once(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(inputs, "identify_objects", lambda folder: folder)
    assert find_objects("~/emoji").where == {"folder": f"{tmp_path}/emoji"}
    assert find_objects("./random").where == {"folder": "./random"}  # not the patterns
    monkeypatch.setattr(inputs, "load_cifar", lambda dataset, folder: None)
    found = find_task_data(objects=None, data="~/sets", n_classes=4, dataset="cifar100")
    assert found.where == {"folder": f"{tmp_path}/sets"}
