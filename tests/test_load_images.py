"""Images of people's own: what load_images takes, what becomes of it, and that all estimators take the result."""

import pickle
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.model_selection import cross_val_score
from torch import nn
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
)
from torchvision import datasets, transforms

from invtransfer import (
    FineTuner,
    FrozenFeatureProbe,
    InvariantPretrainer,
    ObjectsOnImages,
    SensitivityScorer,
    TransformedImages,
    Transforms2D,
    load_images,
    twin_sensitivity,
)
from invtransfer.images import collection as collections
from invtransfer.images.conversion import to_image

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
NFC, NFD = "caf\u00e9", "cafe\u0301"


def save(path, picture=RED, size=(8, 8), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", size, picture) if isinstance(picture, tuple) else picture
    picture.save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path):
    """Write six images of three classes, whose files say what they are: red, green and blue."""
    for name, colour in {"b": GREEN, "a": RED, "c": BLUE}.items():
        for i in range(2):
            save(tmp_path / name / f"{i}.png", colour)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "a" / ".0.png").write_text("")
    (tmp_path / "a" / "notes.txt").write_text("")
    (tmp_path / "licence.txt").write_text("")
    return tmp_path


@pytest.fixture
def files(images, tmp_path):
    """Write the forty random images, in the order of their numbers."""
    for i, image in enumerate(images):
        save(tmp_path / f"{i:02}.png", Image.fromarray(image))
    return tmp_path


# folders


def test_folders_are_classes(folder):
    loaded = load_images(str(folder))
    assert loaded.labels.tolist() == ["a", "a", "b", "b", "c", "c"]
    assert loaded.class_names == ("a", "b", "c")
    assert loaded.shape == (6, 8, 8, 3)
    assert np.asarray(loaded)[:, 0, 0].tolist() == [[*RED]] * 2 + [[*GREEN]] * 2 + [[*BLUE]] * 2
    assert repr(loaded) == "ImageCollection(6 images of 8 x 8, uint8, 3 classes)"


def test_flat_folders_have_no_labels(folder):
    loaded = load_images(folder / "b")
    assert (len(loaded), loaded.labels, loaded.class_names) == (2, None, None)


def test_damaged_files_are_left_out_if_asked(folder):
    """A class of damaged files alone is none; what a disk cannot read is no damage of a file."""
    for place in ("a/0.png", "c/0.png", "c/1.png"):
        (folder / place).write_bytes((folder / place).read_bytes()[:40])
    with pytest.raises(OSError, match="a/0.png cannot be read as an image: .*; skip_unreadable=True .* leaves such"):
        load_images(folder)
    with pytest.warns(UserWarning, match="holds 6 images, of which 3 cannot .* the first: .*a/0.png cannot") as caught:
        loaded = load_images(folder, skip_unreadable=True)
    assert caught[0].filename == __file__
    assert loaded.labels.tolist() == ["a", "b", "b"]
    assert loaded.class_names == ("a", "b")
    assert [path.name for path in loaded.files] == ["1.png", "0.png", "1.png"]
    paths = [folder / "a" / "0.png", folder / "b" / "0.png", np.zeros((8, 8, 3), np.uint8)]
    with pytest.warns(UserWarning, match="holds 3 images, of which 1 cannot"):
        assert len(load_images(paths, skip_unreadable=True)) == 2
    with pytest.raises(ValueError, match="data holds 2 files, none of which can be read; the first: .*c/0.png"):
        load_images(folder / "c", skip_unreadable=True)
    with pytest.raises(FileNotFoundError, match="nowhere.png"):
        load_images([folder / "b" / "0.png", folder / "nowhere.png"], skip_unreadable=True)


def test_images_of_kinds_that_are_not_read_are_counted(folder):
    for place in ("x.psd", "a/1.HEIC", "a/2.heic", "c/0.avif", "c/film.mpg", "c/notes.pdf"):
        (folder / place).write_text("")
    with pytest.warns(UserWarning, match=r"holds images of .* left out: 1 .avif, 2 .heic, 1 .psd; convert") as caught:
        assert len(load_images(folder)) == 6
    assert [one.filename for one in caught] == [__file__]
    with pytest.warns(UserWarning, match=r"left out: 2 .heic; convert"):
        assert len(load_images(folder / "a")) == 2
    (folder / "d").mkdir()
    (folder / "d" / "1.heic").write_text("")
    for wrong in (folder, folder / "d"):
        with pytest.raises(ValueError, match="d has no image, expected .png, .*, found 1.heic"):
            load_images(wrong)


@pytest.mark.parametrize("suffix", [".jfif", ".ppm", ".pgm", ".pbm"])
def test_kinds_with_other_names(tmp_path, suffix):
    picture = Image.new({".pgm": "L", ".pbm": "1"}.get(suffix, "RGB"), (8, 8))
    save(tmp_path / f"a{suffix}", picture)
    assert (load_images(tmp_path)[0] == 0).all()


def test_home_is_expanded(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    assert len(load_images("~/b")) == 2
    names = sorted(path.name for path in (folder / "b").iterdir())[:2]
    assert len(load_images([f"~/b/{name}" for name in names], size=8)) == 2


@pytest.mark.parametrize("place", ["c/9.png", "d", "a/0.jpg"])
def test_links_that_lead_nowhere_are_named(folder, place):
    (folder / place).symlink_to(folder / "gone" / "x.png")
    with pytest.raises(FileNotFoundError, match=f"{place} is a link to .*gone/x.png, where nothing is"):
        load_images(folder)


def test_links_that_lead_somewhere_are_followed(folder, tmp_path_factory):
    elsewhere = save(tmp_path_factory.mktemp("elsewhere") / "x.png").parent
    (folder / "d").symlink_to(elsewhere)
    (folder / "c" / "x.png").symlink_to(elsewhere / "x.png")
    assert load_images(folder).labels.tolist() == ["a", "a", "b", "b", "c", "c", "c", "d"]


def test_names_are_as_typed_and_sorted_alike_on_every_disk(tmp_path):
    """In form D, "cafe" and an accent sort before "cafz"; in form C, the accented letter sorts after z."""
    for form in (NFC, NFD):
        for name in (form, "cafz"):
            save(tmp_path / form / name / f"{form}.png")
        loaded = load_images(tmp_path / form)
        assert loaded.class_names == ("cafz", NFC)
        assert loaded.labels.tolist() == ["cafz", NFC]


def test_names_that_look_the_same_are_refused(tmp_path):
    save(tmp_path / NFC / "a.png")
    save(tmp_path / NFD / "a.png")
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this disk has one form")
    with pytest.raises(ValueError, match=f"holds '{NFC}' twice, in two forms of Unicode"):
        load_images(tmp_path)


def test_folders_without_images_and_folders_beside_images_are_named(folder):
    save(folder / "x.png")
    with pytest.raises(ValueError, match="holds image files and the folders a, b, c, expected a folder of each"):
        load_images(folder)
    (folder / "x.png").unlink()
    (folder / "empty" / "deeper").mkdir(parents=True)
    with pytest.raises(ValueError, match="empty has no image, expected .png, .*, found deeper"):
        load_images(folder)
    with pytest.raises(ValueError, match="deeper has no image, expected .png"):
        load_images(folder / "empty" / "deeper")
    with pytest.raises(FileNotFoundError, match="data is .*nowhere', expected an existing folder or file of arrays"):
        load_images(folder / "nowhere")
    with pytest.raises(ValueError, match="data is the file .*0.png, expected a folder of images, or arrays in .npy"):
        load_images(folder / "a" / "0.png")


def test_one_damaged_file_is_named_when_it_is_read(files):
    path = files / "07.png"
    path.write_bytes(path.read_bytes()[:300])
    loaded = load_images(files, size=16)
    assert len(loaded[:7]) == 7
    with pytest.raises(OSError, match=f"{path} cannot be read as an image: "):
        loaded[3:20]


def test_errors_of_the_disk_stay_what_they_are(files):
    loaded = load_images(files)
    (files / "03.png").unlink()
    with pytest.raises(FileNotFoundError, match="No such file or directory: '.*03.png'"):
        loaded[:5]


def test_files_of_several_sizes_are_named_at_once(files):
    path = save(files / "99.png", size=(20, 16))
    with pytest.raises(
        ValueError,
        match=f"such as .*00.png of 16 x 16 pixels and {path} of 20 x 16: load_images.data, size=224. brings all to",
    ):
        load_images(files)
    assert load_images(files, size=16).shape == (41, 16, 16, 3)


def test_a_file_that_stands_upright_only_after_its_orientation_is_named(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path / "a.jpg", size=(20, 16))
    save(tmp_path / "b.jpg", size=(20, 16), exif=exif)
    loaded = load_images(tmp_path)
    with pytest.raises(ValueError, match=r"b.jpg has size 20 x 16, expected 16 x 20, as .*a.jpg: load_images\(data"):
        loaded[:]


# one size, one mode


@pytest.mark.parametrize("shape", [(37, 61), (61, 37), (32, 32), (200, 90), (9, 33), (33, 8)])
def test_sizes_are_those_of_torchvision(shape):
    """Resize the shorter side, crop the centre; equal but for the rounding between torchvision's two passes."""
    picture = Image.fromarray(np.random.default_rng(0).integers(256, size=(*shape, 3), dtype=np.uint8))
    expected = np.asarray(transforms.Compose([transforms.Resize(32), transforms.CenterCrop(32)])(picture))
    found = to_image(picture, size=32)
    assert found.shape == (32, 32, 3)
    assert np.abs(found.astype(int) - expected).max() <= 1
    floats = to_image(np.asarray(picture) / 255, size=32)
    assert floats.dtype == np.float32
    assert np.abs(floats * 255 - expected).max() <= 1.5  # Pillow rounds twice, after rows and after columns


def test_a_long_thin_picture_is_not_resized_as_a_whole():
    assert to_image(Image.new("L", (200_000, 1), 7), size=64)[0, 0].tolist() == [7, 7, 7]  # 12.8 million wide


def test_centres_are_cut_out():
    """A picture of 30 x 10, in thirds red, green and blue, is green in the centre."""
    picture = np.repeat(np.array([[RED, GREEN, BLUE]], np.uint8), 10, axis=1).repeat(10, axis=0)
    assert (to_image(picture, size=10) == GREEN).all()


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (Image.new("L", (8, 8), 100), (100, 100, 100)),
        (Image.new("1", (8, 8), 1), (255, 255, 255)),
        (Image.new("RGBA", (8, 8), (255, 0, 0, 51)), (255, 204, 204)),  # a fifth of red on white
        (Image.new("LA", (8, 8), (0, 0)), (255, 255, 255)),
        (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), RED),
        (Image.new("RGBA", (8, 8), (0, 0, 255, 255)).quantize(4), BLUE),
        (np.full((8, 8), 9, np.uint8), (9, 9, 9)),
        (np.full((8, 8, 1), 9, np.uint8), (9, 9, 9)),
        (np.full((8, 8, 4), [255, 0, 0, 51], np.uint8), (255, 204, 204)),
        (np.full((8, 8, 4), [1, 0, 0, 0.2]), (1, 0.8, 0.8)),
        (np.full((3, 8, 8), np.reshape(RED, (3, 1, 1)), np.uint8), RED),
        (torch.full((1, 8, 8), 0.25), (0.25, 0.25, 0.25)),
        (torch.full((8, 8, 3), 0.5, dtype=torch.bfloat16, requires_grad=True), (0.5, 0.5, 0.5)),
        ([[[1, 2, 3]] * 8] * 8, (1, 2, 3)),
    ],
)
@pytest.mark.parametrize("size", [None, 4])
def test_pictures_of_every_kind_become_rgb(picture, expected, size):
    image = to_image(picture, size)
    assert image.shape == ((8, 8, 3) if size is None else (4, 4, 3))
    assert image.dtype == (np.uint8 if isinstance(expected[0], int) and image.max() > 1 else np.float32)
    assert image.astype(float) == pytest.approx(np.broadcast_to(expected, image.shape), abs=1e-6)


def test_files_are_upright_with_transparency_on_white(tmp_path):
    """EXIF's orientation 8: what is stored stands upright after a quarter turn to the left, the right half on top."""
    stored = Image.new("RGBA", (16, 16), BLUE)
    stored.paste((0, 0, 0, 0), (0, 0, 8, 16))
    exif = Image.Exif()
    exif[0x0112] = 8
    save(tmp_path / "a.png", stored, exif=exif)
    image = load_images(tmp_path)[0]
    assert (image[:8] == BLUE).all()
    assert (image[8:] == 255).all()


def test_sixteen_bits_are_refused_by_name(tmp_path):
    save(tmp_path / "a.png", Image.fromarray(np.zeros((8, 8), np.uint16)))
    with pytest.raises(OSError, match="a.png cannot be read as an image: mode is I;16, expected 8 bits per channel"):
        load_images(tmp_path)
    with pytest.raises(ValueError, match=r"data\[0\] cannot be read as an image: it has dtype uint16, expected uint8"):
        load_images([np.zeros((8, 8), np.uint16)])


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (torch.zeros(3, 9, 3), r"it has shape \(3, 9, 3\), where the channels may be the first dimension or the last"),
        (np.zeros((4, 9, 1)), r"it has shape \(4, 9, 1\), where the channels may be the first"),
        (np.zeros((9, 9, 2)), r"it has shape \(9, 9, 2\), expected 1, 3 or 4 channels, first or last"),
        (np.zeros((2, 9, 9, 3)), r"it has shape \(2, 9, 9, 3\), expected an image: \(height, width\)"),
        (np.zeros((0, 9, 3)), r"it has shape \(0, 9, 3\), expected an image"),
        (np.full((9, 9, 3), 1.5), r"it holds floats from 1.5 to 1.5, expected \[0, 1\]: divide by 255, or leave out a"),
        (np.full((9, 9, 3), np.nan), r"it holds NaN or infinity, expected floats in \[0, 1\]"),
        (np.zeros((9, 9, 3), "int64"), r"it has dtype int64, expected uint8"),
        ([[[256, 0, 0]]], r"it has dtype int64, expected uint8 \(0 to 255\)"),
        (None, r"it has shape \(\), expected an image"),
    ],
)
def test_what_is_no_image_is_named(picture, message):
    with pytest.raises(ValueError, match=rf"data\[1\] cannot be read as an image: {message}"):
        load_images([np.zeros((9, 9, 3)), picture])[1]


def test_arrays_of_few_pixels_have_their_channels_last():
    assert to_image(np.zeros((3, 1, 3), np.uint8)).shape == (3, 1, 3)


# lists and arrays


def test_lists_of_many_kinds(images, tmp_path):
    path = save(tmp_path / "a.png", Image.fromarray(images[0]))
    kinds = [
        images[0],
        Image.fromarray(images[0]),
        images[0].tolist(),
        torch.from_numpy(images[0].copy()),
        path,
        str(path),
    ]
    loaded = load_images(kinds)
    assert (loaded[:] == images[0]).all()
    assert loaded.labels is None
    mixed = load_images([images[0], images[1] / 255])
    with pytest.raises(ValueError, match=r"data\[1\] has dtype float32, expected uint8, as data\[0\]$"):
        mixed[1]


@pytest.mark.parametrize(
    "convert",
    [
        pd.Series,
        lambda paths: pd.Series(map(str, paths), index=[7, 8]),
        lambda paths: pd.Series(map(str, paths), dtype="string"),
        lambda paths: pd.Series([Image.open(path) for path in paths]),
        lambda paths: np.array([str(path) for path in paths]),
        lambda paths: np.array(paths, dtype=object),
    ],
)
def test_columns_of_tables_are_lists(files, images, convert):
    loaded = load_images(convert(sorted(files.iterdir())[:2]))
    assert (loaded[:] == images[:2]).all()


def test_tables_are_told_from_their_columns(files):
    table = pd.DataFrame({"path": sorted(map(str, files.iterdir())), "y": 0})
    with pytest.raises(TypeError, match=r"data is a DataFrame of path, y: give its column of paths, such as data\['pa"):
        load_images(table)
    assert len(load_images(table["path"])) == 40
    with pytest.raises(ValueError, match=r"data has shape \(40,\), expected \(n_images, height, width, channels\)"):
        load_images(table["y"])


@pytest.mark.parametrize("convert", [list, pd.Series, np.array, lambda paths: [*map(Path, paths)]])
def test_paths_where_images_are_expected_are_named(convert):
    paths, message = convert(["a.png", "b.png"]), "X holds paths, such as 'a.png', expected images: invtransfer.load_im"
    for use in (FrozenFeatureProbe(mean_colours).fit, lambda X, y: SensitivityScorer(mean_colours).fit(X)):
        with pytest.raises(ValueError, match=f"^{message}"):
            use(paths, [0, 1])
    with pytest.raises(ValueError, match=message.replace("X", "images")):
        TransformedImages(paths)


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 3, 1, 2)])
def test_arrays_and_tensors_in_memory(images, axes):
    array = images.transpose(axes)
    for given in (array, torch.from_numpy(array.copy())):
        assert (np.asarray(load_images(given)) == images).all()
    with pytest.raises(ValueError, match=r"data has shape \(16, 16, 3\), expected .*: one image is data\[None\]"):
        load_images(images[0])
    with pytest.raises(
        ValueError, match=r"data has shape \(40, 16, 16\), expected .*: grey images are data\[..., None\]"
    ):
        load_images(images[..., 0])


def write_npy(path, images, labels):
    np.save(path / "x.npy", images)
    return path / "x.npy"


def write_npz(path, images, labels):
    np.savez(path / "x.npz", images=images, y=labels, note=np.zeros(3))
    return path / "x.npz"


def write_compressed(path, images, labels):
    np.savez_compressed(path / "x.npz", images=images, y=labels)
    return path / "x.npz"


def write_hdf5(path, images, labels):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path / "x.h5", "w") as file:
        file.create_dataset("train/images", data=images, chunks=(1, 16, 16, 3), compression="gzip")
        file["train/y"] = labels
    return path / "x.h5"


@pytest.mark.parametrize("write", [write_npy, write_npz, write_compressed, write_hdf5])
@pytest.mark.parametrize("convert", [lambda X: X, np.asfortranarray, lambda X: (X / 255).astype(np.float32)])
def test_files_of_arrays(tmp_path, images, write, convert):
    labels, expected = np.arange(40) * 2, convert(images)
    loaded = load_images(write(tmp_path, expected, labels))
    assert loaded.dtype == expected.dtype
    assert (np.asarray(loaded) == expected).all()
    assert (loaded[[5, 3, 3]] == expected[[5, 3, 3]]).all()
    assert loaded.labels is None if write is write_npy else (loaded.labels == labels).all()


def test_labels_of_another_length_are_named(tmp_path, images):
    with pytest.raises(ValueError, match=r"x.npz: y has shape \(39,\), expected \(40,\): one label per image"):
        load_images(write_npz(tmp_path, images, np.arange(39)))


def test_what_is_called_an_archive_and_is_none(tmp_path):
    (tmp_path / "x.npz").write_text("no archive")
    with pytest.raises(OSError, match="x.npz cannot be read as arrays: it is no .npz file, but something else"):
        load_images(tmp_path / "x.npz")


def test_names_of_classes_as_bytes(tmp_path, images):
    names = np.array(["Käfer", "moth"] * 20)
    assert load_images(write_npz(tmp_path, images, np.char.encode(names, "utf-8"))).labels.tolist() == names.tolist()


@pytest.mark.parametrize("write", [write_npy, write_npz])
def test_arrays_in_files_are_mapped(tmp_path, images, write):
    assert isinstance(load_images(write(tmp_path, images, np.arange(40)))._pictures, np.memmap)


def test_files_of_several_or_damaged_arrays_are_named(tmp_path, images):
    np.savez(tmp_path / "x.npz", train=images, test=images[:3])
    with pytest.raises(
        ValueError, match=r"x.npz holds train \(40, 16, 16, 3\), test \(3, 16, 16, 3\), expected one array"
    ):
        load_images(tmp_path / "x.npz")
    for name in ("y.npz", "y.npy"):
        (tmp_path / name).write_bytes(b"nothing")
        with pytest.raises(OSError, match=f"{name} cannot be read as arrays"):
            load_images(tmp_path / name)
    np.save(tmp_path / "z.npy", np.array([{"code": 1}]), allow_pickle=True)
    with pytest.raises(OSError, match="z.npy cannot be read"):
        load_images(tmp_path / "z.npy")


def test_hdf5_says_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "x.h5").write_bytes(b"")
    with pytest.raises(ImportError, match="x.h5, and reading HDF5 needs h5py: pip install h5py"):
        load_images(tmp_path / "x.h5")


# data sets


class Pairs(Dataset):
    """Images and labels, which counts how often it is read."""

    def __init__(self, images, change=lambda image: image, label=lambda i: i % 4):
        self.images, self.change, self.label, self.read = images, change, label, []

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        self.read.append(i)
        return self.change(self.images[i]), self.label(i)


CHANGES = {
    "array": lambda image: image,
    "PIL": Image.fromarray,
    "channels first": lambda image: torch.from_numpy(image.transpose(2, 0, 1).copy()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_data_sets_of_torch(images, change):
    data = Pairs(images, change)
    for given in (data, DataLoader(data, batch_size=7, shuffle=True), load_images(data)):
        loaded = load_images(given)
        assert (np.asarray(loaded) == images).all()
        assert (loaded.labels == np.arange(40) % 4).all()
    part = load_images(Subset(data, [7, 2]))
    assert (part[:] == images[[7, 2]]).all()
    assert part.labels.tolist() == [3, 2]
    joined = load_images(ConcatDataset([data, data]))
    assert joined.labels.tolist() == [*range(4)] * 20


def test_data_sets_are_read_as_they_are_needed(images):
    data = Pairs(images)
    loaded = load_images(data)
    data.read.clear()
    assert (loaded[30:33] == images[30:33]).all()
    assert (loaded[31:34] == images[31:34]).all()
    assert data.read == [30, 31, 32, 33]  # what was read is kept


def test_images_alone_have_no_labels(images):
    unlabelled = Pairs(images, label=lambda i: None)
    for data in (TensorDataset(torch.from_numpy(images.copy())), unlabelled, Subset(unlabelled, range(40))):
        loaded = load_images(data)
        assert loaded.labels is None
        assert (loaded[:] == images).all()


def test_a_list_of_images_with_their_labels_is_a_data_set(images):
    loaded = load_images([(image, name) for image, name in zip(images[:3], "aba", strict=True)])
    assert (loaded[:] == images[:3]).all()
    assert loaded.labels.tolist() == ["a", "b", "a"]
    with pytest.raises(ValueError, match="data holds pairs of a path and a label: give the paths alone"):
        load_images([("a.png", 0), ("b.png", 1)])


def test_floats_of_to_tensor_are_images(images):
    loaded = load_images(Pairs(images, transforms.Compose([Image.fromarray, transforms.ToTensor()])))
    assert loaded.dtype == np.float32
    assert np.allclose(loaded[:] * 255, images, atol=1e-4)


def test_random_transforms_are_refused(images):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"data\[0\] is another image when it is read again: leave random transforms"):
        load_images(Pairs(images, lambda image: image ^ rng.integers(256, dtype=np.uint8)))


def test_entries_that_are_no_images_are_named(images):
    with pytest.raises(
        ValueError, match=r"data\[0\] cannot be read as an image: it is a tuple of 3, expected an image"
    ):
        load_images(TensorDataset(*[torch.zeros(5, 8, 8, 3)] * 3))

    def broken(image):
        if image is not images[9] and (image == images[9]).all():
            raise RuntimeError("no connection")
        return image

    loaded = load_images(Pairs(images, broken))
    with pytest.raises(ValueError, match=r"^data\[9\] cannot be read as an image: no connection$"):
        loaded[:20]
    boxes = load_images(Pairs(images, label=lambda i: [1, 2]))
    with pytest.raises(ValueError, match=r"data\[0\] has a label of type list, expected one number or name per image"):
        boxes.labels  # noqa: B018


class Entries(Dataset):
    """Entries that are made when they are asked for."""

    def __init__(self, make):
        self.make = make

    def __len__(self):
        return 8

    def __getitem__(self, i):
        return self.make(i)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (lambda i: 1 // (i - 6), r"^data\[6\] cannot be read as an image and its label: integer division or modulo by"),
        (lambda i: [0] * i, r"^data\[0\] has a label of type list, expected one number or name"),
        (lambda i: {"boxes": []}, r"^data\[0\] has a label of type dict, expected one number or name"),
        (lambda i: torch.eye(8)[i], r"^data\[0\] has a label of type Tensor, expected one number or"),
    ],
)
def test_labels_that_cannot_be_read_are_named(images, label, message):
    for make in (lambda i: (images[i], label(i)), lambda i: {"image": images[i], "label": label(i)}):
        loaded = load_images(Entries(make))
        with pytest.raises(ValueError, match=message):
            loaded.labels  # noqa: B018


def test_an_entry_without_a_label_is_named(images):
    for loaded in (
        load_images(Entries(lambda i: (images[i], i)[: 1 + (i < 5)])),
        load_images(Entries(lambda i: {"image": images[i]} | ({"target": i} if i < 5 else {}))),
    ):
        with pytest.raises(
            ValueError, match=r"^data\[5\] cannot be read as an image and its label: it has no label, as"
        ):
            loaded.labels  # noqa: B018


@pytest.mark.parametrize("name", ["label", "labels", "target", "targets"])
def test_entries_that_are_dicts_have_labels(images, name):
    loaded = load_images(Entries(lambda i: {"image": images[i], name: i % 2, "id": 7}))
    assert loaded.labels.tolist() == [0, 1] * 4
    both = load_images(Entries(lambda i: {"image": images[i], "target": 9, "label": i}))
    assert both.labels.tolist() == [*range(8)]
    assert load_images(Entries(lambda i: {"image": images[i], "id": 7})).labels is None
    assert load_images(Entries(lambda i: (images[i], np.array(i)))).labels.tolist() == [*range(8)]


def test_loaders_that_show_something_else_are_refused(images):
    data = Pairs(images)
    some = SubsetRandomSampler([1, 2])
    for loader, name in (
        (DataLoader(data, sampler=some), "SubsetRandomSampler"),
        (DataLoader(data, batch_sampler=BatchSampler(some, 2, False)), "SubsetRandomSampler"),
        (DataLoader(data, batch_sampler=[[0], [1]]), "list"),
    ):
        with pytest.raises(ValueError, match=f"data is a DataLoader that chooses with {name}, expected one that shows"):
            load_images(loader)


def test_a_first_image_of_0_and_1_is_warned_of(tmp_path):
    mask = np.ones((32, 32, 3), np.uint8)
    save(tmp_path / "a.png", Image.fromarray(mask))
    for given in (mask[None], [mask], tmp_path, TensorDataset(torch.from_numpy(mask[None]))):
        with pytest.warns(UserWarning, match="^the first image of data has dtype uint8 and no value above 1") as caught:
            loaded = load_images(given)
        assert [one.filename for one in caught] == [__file__]
        assert len(TransformedImages(loaded, transformations=["hue"]).sample(1)[0]) == 1
    load_images([mask / 1, mask * 0])


class Stream(IterableDataset):
    def __iter__(self):
        return iter([])


@pytest.mark.parametrize("data", [Stream(), DataLoader(Stream()), iter([]), (i for i in [])])
def test_what_has_no_index_is_refused(data):
    with pytest.raises(ValueError, match=r"cannot be asked for the i-th: read as many as fit into memory with list\("):
        load_images(data)


@pytest.mark.parametrize("transform", [None, lambda label: label + 10])
def test_labels_of_torchvision_are_not_read_from_the_images(tmp_path, transform, monkeypatch):
    for name in "aabbcc":
        save(tmp_path / name / f"{len(list(tmp_path.rglob('*.png')))}.png")
    data = datasets.ImageFolder(tmp_path, target_transform=transform)
    loaded = load_images(data)
    assert loaded.class_names == ("a", "b", "c")
    if transform is None:
        monkeypatch.setattr(data, "loader", None)
    assert loaded.labels.tolist() == [0, 0, 1, 1, 2, 2] if transform is None else [10, 10, 11, 11, 12, 12]


LABELS = ("label", "labels", "target")


class Table:
    """What is needed of a data set of Hugging Face's."""

    def __init__(self, columns, names=None):
        self.columns, self.column_names, self.read = columns, list(columns), 0
        self.features = {name: type("Feature", (), {"names": names} if name in LABELS else {})() for name in columns}

    def __len__(self):
        return len(next(iter(self.columns.values())))

    def __getitem__(self, key):
        if isinstance(key, str):
            return list(self.columns[key])
        self.read += 1
        return {name: values[key] for name, values in self.columns.items()}


@pytest.mark.parametrize(("image", "label"), [("image", "label"), ("img", "labels"), ("image", "target")])
def test_tables_with_columns(images, image, label):
    pictures = [Image.fromarray(one) for one in images]
    data = Table({"id": range(40), image: pictures, label: [i % 2 for i in range(40)]}, ["cat", "dog"])
    loaded = load_images(data)
    n_read = data.read
    assert loaded.labels.tolist() == [0, 1] * 20
    assert loaded.class_names == ("cat", "dog")
    assert data.read == n_read  # labels need no images
    assert (loaded[:] == images).all()
    assert load_images(Table({image: pictures})).labels is None


def test_tables_without_images_and_their_parts_are_named(images):
    with pytest.raises(ValueError, match="it has the columns photo, label, expected 'image' or 'img' among them"):
        load_images(Table({"photo": list(images), "label": range(40)}))
    with pytest.raises(
        TypeError, match=r"data is a dict of train, test: give one of its parts, such as data\['train'\]"
    ):
        load_images({"train": [], "test": []})


@pytest.mark.parametrize("data", [None, 3, len])
def test_what_holds_no_images_is_refused(data):
    with pytest.raises(
        TypeError, match="data is of type .*, expected a path, an array, a list of pictures, or a data set"
    ):
        load_images(data)


def test_nothing_is_refused():
    with pytest.raises(ValueError, match="data holds no image"):
        load_images([])
    with pytest.raises(ValueError, match="size is 0, expected a whole number from 1 to 4096"):
        load_images([], size=0)


# the collection


KEYS = [
    3, -1, np.int64(2), slice(5), slice(30, 5, -7), [3, 3, 0], np.array([1, 39]), np.arange(40) % 7 == 0, slice(0, 0),
    ..., (4, ...), ([1, 2], ...), (slice(3), 0), (slice(None), slice(None), slice(None, None, -1)), (0, 1, 2, 0),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_a_collection_is_indexed_as_an_array(files, images, key):
    loaded = load_images(files)
    found = loaded[key]
    assert isinstance(found, (np.ndarray, np.uint8))
    assert found.shape == images[key].shape
    assert (found == images[key]).all()


def test_a_collection_has_what_an_array_has(files, images):
    loaded = load_images(files)
    assert (loaded.shape, loaded.ndim, loaded.dtype, len(loaded)) == (images.shape, 4, images.dtype, 40)
    assert all((one == image).all() for one, image in zip(loaded, images, strict=True))
    assert np.asarray(loaded, dtype=float).dtype == float
    for wrong in (40, [[0]], "a", None):
        with pytest.raises(IndexError):
            loaded[wrong]
    with pytest.raises(ValueError, match="cannot be had without a copy"):
        np.array(loaded, copy=False)


def test_results_can_be_changed(files, images):
    loaded = load_images(files)
    loaded[0:2][:] = 0
    assert (loaded[0:2] == images[0:2]).all()


def test_subsets_have_their_labels(folder):
    loaded = load_images(folder)
    part = loaded.subset([5, 0]).subset(slice(None, None, -1))
    assert part.labels.tolist() == ["a", "c"]
    assert part.shape == (2, 8, 8, 3)
    assert part[:, 0, 0].tolist() == [[*RED], [*BLUE]]
    assert part._kept is loaded._kept
    assert loaded.subset(loaded.labels == "b").class_names == ("a", "b", "c")
    with pytest.raises(ValueError, match="which leaves no image"):
        loaded.subset([])


@pytest.mark.parametrize("room", [0, 5, 1000])
def test_no_more_is_kept_than_there_is_room_for(files, images, room, monkeypatch):
    monkeypatch.setattr(collections, "KEPT_BYTES", room * 16 * 16 * 3 + 1)
    loaded = load_images(files)
    assert (loaded[:30] == images[:30]).all()
    assert (loaded[5:] == images[5:]).all()
    assert len(loaded._kept) == min(room, 40)
    assert sum(image.nbytes for image in loaded._kept.values()) <= collections.KEPT_BYTES
    again = pickle.loads(pickle.dumps(loaded))
    assert not again._kept
    assert (again[:] == images).all()


# where images go


def mean_colours(X):
    return X.mean(axis=(1, 2))


SCORER = {"transformations": ["hue", "rotate"], "n_pairs": 20, "random_state": 0}


def test_sources_take_collections(files, images, objects):
    loaded, y = load_images(files), np.arange(40)
    for first, second in (
        (TransformedImages(loaded, y, ["hue"]), TransformedImages(images, y, ["hue"])),
        (ObjectsOnImages(objects, loaded, y, ["hue"]), ObjectsOnImages(objects, images, y, ["hue"])),
        (Transforms2D(objects, backgrounds=loaded), Transforms2D(objects, backgrounds=images)),
    ):
        for one, other in zip(first.sample(70, start=20), second.sample(70, start=20), strict=True):
            assert (one == other).all()
        for one, other in zip(first.twins(9), second.twins(9), strict=True):
            assert (one == other).all()


def test_a_source_reads_what_it_shows(images):
    data = Pairs(images)
    source = TransformedImages(load_images(data), transformations=["hue"])
    data.read.clear()
    source.sample(3, start=45)
    assert data.read == [5, 6, 7]


@pytest.mark.parametrize("kind", ["files", "PIL", "nested", "floats"])
def test_estimators_take_collections_and_lists(files, images, kind):
    y = np.arange(40) % 2
    X = {
        "files": lambda: load_images(files),
        "PIL": lambda: [Image.fromarray(image) for image in images],
        "nested": images.tolist,
        "floats": lambda: load_images(images / 255),
    }[kind]()
    images = images / 255 if kind == "floats" else images
    network = nn.Sequential(nn.Conv2d(3, 4, 5, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 2))
    options = {"epochs": 1, "batch_size": 20, "random_state": 0}
    for estimator in (
        FrozenFeatureProbe(mean_colours),
        FrozenFeatureProbe(),
        InvariantPretrainer(network, transformations=["hue"], **options),
        FineTuner(InvariantPretrainer(network, **options).fit(images, y), epochs=1, random_state=0),
    ):
        expected = estimator.fit(images, y).predict_proba(images)
        assert (estimator.fit(X, y).predict_proba(X) == expected).all()
        assert estimator.n_features_in_ == 16 * 16 * 3
    scorer, other = SensitivityScorer(mean_colours, **SCORER), SensitivityScorer(mean_colours, **SCORER)
    assert (scorer.fit(X).sensitivity_ == other.fit(images).sensitivity_).all()
    assert (scorer.transform(X) == other.transform(images)).all()
    assert scorer.score(X) == other.score(images)
    turned = images[:, ::-1]
    assert twin_sensitivity(mean_colours, X, turned) == twin_sensitivity(mean_colours, images, turned)


def test_checkpoints_know_a_collection_by_its_images(files, images, tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoints") / "state"
    estimator = InvariantPretrainer("resnet18", width=0.0625, epochs=1, random_state=0, checkpoint=path)
    y = np.arange(40) % 2
    first = estimator.fit(images, y).predict_proba(images)
    assert (estimator.fit(load_images(files), y).predict_proba(images) == first).all()


def test_estimators_check_labels_and_shapes_of_collections(files, images):
    loaded, y = load_images(files), np.arange(40) % 2
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[40, 39\]"):
        FrozenFeatureProbe(mean_colours).fit(loaded, y[1:])
    probe = FrozenFeatureProbe(mean_colours).fit(images, y)
    with pytest.raises(ValueError, match=r"X has images of shape \(8, 8, 3\), expected \(16, 16, 3\)"):
        probe.predict(load_images(files, size=8))


def test_collections_are_cross_validated(files, images):
    y = np.arange(40) % 2
    scores = [cross_val_score(FrozenFeatureProbe(mean_colours), X, y, cv=2) for X in (load_images(files), images)]
    assert (scores[0] == scores[1]).all()


def test_pictures_in_lists_are_converted_as_files_are(images):
    y = np.arange(40) % 2
    grey = [Image.fromarray(image).convert("L") for image in images]
    clear = [Image.new("RGBA", (16, 16)) for _ in images]
    assert FrozenFeatureProbe(mean_colours).fit(grey, y).image_shape_ == (16, 16, 3)
    source = TransformedImages(clear)
    assert (source.sample(3)[0] == 255).all()
    with pytest.raises(ValueError, match=r"^X\[1\] cannot be read as an image: mode is I, expected 8 bits"):
        FrozenFeatureProbe(mean_colours).fit([grey[0], Image.new("I", (16, 16))], [0, 1])


@pytest.mark.parametrize("wrong", [-1, 256])
def test_numbers_in_nested_lists_are_levels(images, wrong):
    listed = images[:2].tolist()
    assert (TransformedImages(listed).sample(2)[0] == images[:2]).all()
    listed[1][0][0][0] = wrong
    with pytest.raises(ValueError, match="images has dtype int64, expected uint8"):
        TransformedImages(listed)
    with pytest.raises(ValueError, match="images has dtype int64, expected uint8"):  # arrays have a dtype of their own
        TransformedImages(list(images.astype(np.int64)))


def test_threads_that_read_more_than_is_kept_get_what_they_ask_for(tmp_path, monkeypatch):
    from concurrent.futures import ThreadPoolExecutor

    from invtransfer.images import collection

    for i in range(40):
        Image.new("RGB", (8, 8), (i, i, i)).save(tmp_path / f"{i:02}.png")
    monkeypatch.setattr(collection, "KEPT_BYTES", 10 * 8 * 8 * 3)
    images = load_images(tmp_path)
    asked = [np.random.default_rng(seed).permutation(40)[:15] for seed in range(60)]
    with ThreadPoolExecutor(4) as pool:
        for rows, X in zip(asked, pool.map(images.__getitem__, asked), strict=True):
            assert (rows[:, None, None, None] == X).all()
    assert len(images._kept) <= 10 + 4
    assert [path.name for path in images.subset([3, 1]).files] == ["03.png", "01.png"]
    assert load_images(X).files is None


@pytest.mark.parametrize(("kind", "n_channels"), [(2, 3), (6, 4), (4, 2)])
def test_colours_of_sixteen_bits_are_refused_rather_than_cut(tmp_path, kind, n_channels):
    """PIL reads such files with the upper 8 bits alone, as images that are nearly black if they have 12."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + struct.pack(f">{n_channels}H", *[4_095] * n_channels) * 8 for _ in range(8))
    parts = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 16, kind, 0, 0, 0)), chunk(b"IDAT", zlib.compress(rows))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b""))
    with pytest.raises(OSError, match=r"a.png cannot be read as an image: mode is \w+ of 16 bits, expected 8 bits per"):
        load_images(tmp_path)[0]


@pytest.mark.parametrize(("levels", "mode"), [(255, None), (256, "RGB of 16 bits"), (65_535, "RGB of 16 bits")])
@pytest.mark.parametrize("kind", ["P3", "P6"])  # as text, as bytes
def test_ppm_of_sixteen_bits_is_refused(tmp_path, levels, mode, kind):
    rows = b"9 9 9" if kind == "P3" else b"\0\t" * 3 if levels > 255 else b"\t\t\t"
    (tmp_path / "a.ppm").write_bytes(f"{kind} 1 1 {levels}\n".encode() + rows)
    if mode is None:
        assert (load_images(tmp_path)[0] == 9).all()
        return
    with pytest.raises(OSError, match=f"a.ppm cannot be read as an image: mode is {mode}, expected 8 bits per channel"):
        load_images(tmp_path)


def test_folders_inside_those_of_classes_are_not_left_out(tmp_path):
    for name in ("cat", "cat/more", "dog"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "1.png")
    with pytest.raises(ValueError, match="cat holds images and the folders more, expected images alone in the folder"):
        load_images(tmp_path)


def test_labels_in_a_column_and_several_that_might_be_labels(tmp_path):
    X = np.zeros((4, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "x.npz", images=X, labels=np.arange(4)[:, None])  # as Keras has those of CIFAR
    assert load_images(tmp_path / "x.npz").labels.tolist() == [0, 1, 2, 3]
    np.savez(tmp_path / "y.npz", images=X, a=np.arange(4), b=np.arange(4))
    with pytest.raises(
        ValueError, match="y.npz holds a and b of 4 values each, expected labels in one of them: call it"
    ):
        load_images(tmp_path / "y.npz")
    np.savez(tmp_path / "z.npz", images=X, patient=[7, 7, 8, 8], y=np.arange(4))  # one of them says what it is
    assert load_images(tmp_path / "z.npz").labels.tolist() == [0, 1, 2, 3]
    np.savez(tmp_path / "p.npz", images=X, patient=[7, 7, 8, 8])
    with pytest.warns(
        UserWarning, match="p.npz: takes 'patient' for labels; call it 'label' if it holds them"
    ) as caught:
        load_images(tmp_path / "p.npz")
    assert caught[0].filename == __file__
    np.savez(tmp_path / "grey.npz", images=X[..., 0], y=np.arange(4))
    with pytest.raises(ValueError, match=r"y \(4,\), expected one array of .*: save grey images as array\[..., None\]"):
        load_images(tmp_path / "grey.npz")


@pytest.mark.parametrize("key", [(..., 0), ([0, 1], [0, 1]), (), None, (0, [1])])
def test_indices_that_would_mean_something_else_for_an_array_are_refused(files, key):
    with pytest.raises(IndexError, match="which images come first, as an int, a slice or several numbers"):
        load_images(files, size=16)[key]
