import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression

from invtransfer.objects import Objects, load_backgrounds, load_objects

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture
def three():
    images = np.zeros((3, 2, 2, 4), np.uint8)
    images[:, ..., 0] = np.array([10, 20, 30])[:, None, None]
    return Objects(images, ("apple", "car", "cat"))


@pytest.fixture
def folder(tmp_path):
    """Three categories, whose first files are red (PNG), green (JPEG), and blue above transparent (WebP)."""
    for category, name, image in (
        ("b", "a10.png", Image.new("RGBA", (16, 16), (*RED, 255))),
        ("b", "a2.png", Image.new("RGBA", (16, 16), (*GREEN, 255))),  # "a10" sorts before "a2"
        ("a", "one.JPG", Image.new("RGB", (16, 8), GREEN)),
        ("c", "one.webp", Image.new("RGBA", (16, 16))),
        ("c", ".a.png", Image.new("RGBA", (16, 16), (*RED, 255))),
    ):
        (tmp_path / "foregrounds" / category).mkdir(parents=True, exist_ok=True)
        if name == "one.webp":
            image.paste((*BLUE, 255), (0, 0, 16, 8))
        path = tmp_path / "foregrounds" / category / name
        image.save(path, **({"lossless": True} if path.suffix == ".webp" else {}))
    (tmp_path / "foregrounds" / ".hidden").mkdir()
    (tmp_path / "foregrounds" / "licence.txt").write_text("")
    (tmp_path / "foregrounds" / "a" / "0.txt").write_text("")
    backgrounds = tmp_path / "backgrounds"
    backgrounds.mkdir()
    for name, size in (("wide.png", (24, 16)), ("tall.webp", (16, 24))):
        image = Image.new("RGB", size, RED)  # red is cropped away
        image.paste(BLUE, (0, 0, 16, 16))
        image.paste(GREEN, (0, 0, 16, 8))
        image.save(backgrounds / name, **({"lossless": True} if name.endswith("webp") else {}))
    (backgrounds / ".hidden.png").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("key", "reds"),
    [
        (slice(1, None), [20, 30]),
        ([2, 0], [30, 10]),
        (np.array([-1, 1]), [30, 20]),
        (np.array([True, False, True]), [10, 30]),
        ([False, True, False], [20]),
        (["cat", "apple"], [30, 10]),
        (np.array(["car"]), [20]),
        (("cat", "car"), [30, 20]),
        ("car", [20]),
        (2, [30]),
        (np.int64(-3), [10]),
    ],
)
def test_selection(three, key, reds):
    some = three[key]
    assert isinstance(some, Objects)
    assert some.images[:, 0, 0, 0].tolist() == reds
    assert some.names == tuple({10: "apple", 20: "car", 30: "cat"}[red] for red in reds)
    assert len(some) == len(reds)


def test_iteration_gives_objects_of_one(three):
    assert [each.names for each in three] == [("apple",), ("car",), ("cat",)]


def test_repr(three):
    assert repr(three) == "Objects(3 objects of 2 x 2 pixels: apple, car, cat)"
    assert repr(three["car"]) == "Objects(1 object of 2 x 2 pixels: car)"


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        ("aple", KeyError, "no object has the name 'aple'; did you mean 'apple'?"),
        (["car", "zzz"], KeyError, "no object has the name 'zzz'; expected one of apple, car, cat"),
        (3, IndexError, "index 3 is out of range, expected -3 to 2"),
        ([0, -4], IndexError, "index -4 is out of range, expected -3 to 2"),
        ([True, False], IndexError, "mask has length 2, expected the number of objects, 3"),
        (1.0, IndexError, "key is 1.0, expected a slice, or ints, names or booleans in one dimension"),
        ([[0, 1]], IndexError, r"key is \[\[0, 1\]\], expected a slice"),
        ([1, 1], ValueError, "names holds 'car' more than once, expected each name once"),
        ([], ValueError, r"images has shape \(0, 2, 2, 4\), .* at least one object"),
        (slice(3, 9), ValueError, r"images has shape \(0, 2, 2, 4\), .* at least one object"),
    ],
)
def test_bad_selection(three, key, error, message):
    with pytest.raises(error, match=message):
        three[key]


@pytest.mark.parametrize(
    ("images", "names", "error", "message"),
    [
        ([[1]], ["a"], TypeError, "images has type list, expected a numpy array"),
        (np.zeros((1, 2, 2, 4)), ["a"], ValueError, "images has dtype float64, expected uint8"),
        (np.zeros((1, 2, 2, 3), "u1"), ["a"], ValueError, r"images has shape \(1, 2, 2, 3\), expected \(n_objects, "),
        (np.zeros((1, 2, 3, 4), "u1"), ["a"], ValueError, r"images has shape \(1, 2, 3, 4\), expected \(n_objects, "),
        (np.zeros((1, 2, 2, 4), "u1"), ["a", "b"], ValueError, "names has length 2, expected that of images, 1"),
        (np.zeros((1, 2, 2, 4), "u1"), [3], TypeError, r"names is \[3\], expected a sequence of strings"),
        (np.zeros((1, 2, 2, 4), "u1"), "a", TypeError, "names is 'a', expected a sequence of strings"),
        (np.zeros((2, 2, 2, 4), "u1"), ["a", "a"], ValueError, "names holds 'a' more than once"),
    ],
)
def test_bad_objects(images, names, error, message):
    with pytest.raises(error, match=message):
        Objects(images, names)


def test_procedural():
    objects = load_objects("procedural", size=32)
    assert objects.images.shape == (61, 32, 32, 4)
    objects.images[:] = 0  # a copy of the caller's own
    assert load_objects("procedural", size=32).images.any()


def test_random_patterns_are_uniform_opaque_and_seeded():
    first, same = load_objects("random", 22), load_objects("random", size=22, random_state=0)
    np.testing.assert_array_equal(first.images, same.images)
    assert (first.images[..., 3] == 255).all()
    # 61 x 22 x 22 x 3 = 88,572 values, about 346 in each of the 256 bins, with a standard deviation of about 19.
    counts = np.bincount(first.images[..., :3].ravel(), minlength=256)
    assert abs(counts - 346).max() < 5 * 19
    assert (load_objects("random", 22, random_state=1).images != first.images).any()
    assert len(np.unique(first.images.reshape(61, -1), axis=0)) == 61


def test_folder_of_objects(folder):
    objects = load_objects(folder, size=16)
    assert objects.names == ("a", "b", "c")
    a, b, c = objects.images
    assert (b == (*RED, 255)).all()  # a10.png, unchanged
    assert (a[:4, :, 3] == 0).all()  # 16 x 8 pixels are padded to rows 4 to 11
    assert (a[12:, :, 3] == 0).all()
    assert (a[4:12, :, 3] == 255).all()
    assert abs(a[4:12, :, :3].astype(int) - GREEN).max() < 4  # JPEG
    assert (c[:8] == (*BLUE, 255)).all()
    assert (c[8:, :, 3] == 0).all()


def test_folder_is_resized_with_colours_weighted_by_alpha(folder):
    images = load_objects(str(folder), size=8).images
    edge = images[2][images[2][..., 3] > 0]
    assert (edge[:, :3] == BLUE).all()  # black from the transparent half does not bleed in


def test_folder_of_backgrounds(folder):
    backgrounds = load_backgrounds(folder, size=16)
    assert backgrounds.shape == (2, 16, 16, 3)
    assert (backgrounds[:, :8] == GREEN).all()
    assert (backgrounds[:, 8:] == BLUE).all()
    small = load_backgrounds(folder, size=8)
    assert (small[:, :3] == GREEN).all()
    assert (small[:, 5:] == BLUE).all()


def test_grey_and_palette_files(folder):
    path = folder / "foregrounds" / "b"
    Image.new("L", (8, 8), 100).save(path / "a0.png")
    assert (load_objects(folder, size=8)["b"].images == (100, 100, 100, 255)).all()
    Image.new("RGBA", (8, 8), (255, 0, 0, 255)).quantize(4).save(path / "a0.png")
    assert (load_objects(folder, size=8)["b"].images == (255, 0, 0, 255)).all()


def test_photographs_are_turned_upright(folder):
    """EXIF's orientation 8: what is stored stands upright after a quarter turn to the left, the right half on top."""
    stored = Image.new("RGB", (32, 16), BLUE)
    stored.paste(RED, (0, 0, 16, 16))  # the square that is cropped if nobody turns it
    exif = Image.Exif()
    exif[0x0112] = 8
    stored.save(folder / "backgrounds" / "a.jpg", exif=exif, quality=100)
    first = load_backgrounds(folder, size=16)[0].astype(int)
    assert abs(first[:12] - BLUE).max() < 8  # JPEG blurs the seam below


@pytest.mark.parametrize("load", [load_objects, load_backgrounds])
@pytest.mark.parametrize(
    ("size", "error"), [(7, ValueError), (1025, ValueError), (True, TypeError), (32.0, TypeError), ("32", TypeError)]
)
def test_bad_size(load, size, error):
    with pytest.raises(error, match=rf"size is {size!r}, expected an int in \[8, 1024\]"):
        load(size=size)


def test_numpy_int_is_an_int():
    assert load_objects("random", size=np.int64(8)).images.shape[1] == 8


def test_bad_arguments():
    with pytest.raises(TypeError, match="source has type int, expected a str or a path"):
        load_objects(3)
    with pytest.raises(TypeError, match="source has type NoneType, expected a str or a path"):
        load_backgrounds(None)
    with pytest.raises(ValueError, match="random_state is -1, expected an int of at least 0"):
        load_objects("random", random_state=-1)
    with pytest.raises(TypeError, match="random_state is None, expected an int of at least 0"):
        load_objects("random", random_state=None)


def test_no_such_folder(tmp_path):
    with pytest.raises(
        FileNotFoundError, match='source is \'procedral\', expected "procedural", "random" or an existing'
    ):
        load_objects("procedral")
    with pytest.raises(FileNotFoundError, match="source is 'random', expected \"procedural\" or an existing folder"):
        load_backgrounds("random")


def test_wrong_layout(tmp_path):
    with pytest.raises(ValueError, match="expected foregrounds/<category> in it, found nothing"):
        load_objects(tmp_path)
    (tmp_path / "apple").mkdir()
    with pytest.raises(ValueError, match="expected backgrounds/<name> in it, found apple"):
        load_backgrounds(tmp_path)
    (tmp_path / "foregrounds").mkdir()
    (tmp_path / "backgrounds").mkdir()
    with pytest.raises(ValueError, match="source has no category in .*foregrounds, expected foregrounds/<category>"):
        load_objects(tmp_path)
    with pytest.raises(ValueError, match="backgrounds has no image, expected .png, .jpg, .jpeg, .webp, found nothing"):
        load_backgrounds(tmp_path)


def test_empty_category(folder):
    (folder / "foregrounds" / "empty").mkdir()
    (folder / "foregrounds" / "empty" / "note.txt").write_text("")
    with pytest.raises(ValueError, match="empty has no image, expected .png, .jpg, .jpeg, .webp, found note.txt"):
        load_objects(folder)


def test_broken_files(folder):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for name in ("b.png", "b.jpg", "b.webp"):
        path = folder / "backgrounds" / name
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(OSError, match=rf"{name} cannot be read as an image: "):
            load_backgrounds(folder)
        path.unlink()
    (folder / "foregrounds" / "b" / "a0.png").write_text("no image")
    with pytest.raises(OSError, match="a0.png cannot be read as an image: cannot identify"):
        load_objects(folder)


def test_sixteen_bits_are_refused(folder):
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(folder / "backgrounds" / "a.png")
    with pytest.raises(OSError, match="a.png cannot be read as an image: mode is I;16, expected 8 bits per channel"):
        load_backgrounds(folder)


def test_objects_are_told_apart_by_a_linear_model():
    """Objects of 22 px in the middle of 32 px backgrounds, 40 for training and 10 others for the test of each."""
    objects, backgrounds = load_objects(size=22).images, load_backgrounds(size=32).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(backgrounds))

    def paste(some, n):
        rows = np.random.default_rng(1).choice(some, (len(objects), n))
        images = backgrounds[rows].copy()  # (61, n, 32, 32, 3)
        colours, alpha = objects[:, None, ..., :3], objects[:, None, ..., 3:] / np.float32(255)
        images[:, :, 5:27, 5:27] += alpha * (colours - images[:, :, 5:27, 5:27])
        return images.reshape(len(objects) * n, -1) / 255 - 0.5, np.repeat(np.arange(len(objects)), n)

    model = LogisticRegression(tol=1e-3).fit(*paste(order[:600], 40))
    assert model.score(*paste(order[600:], 10)) > 0.99


def test_names_that_are_no_sequence():
    with pytest.raises(TypeError, match="names is 3, expected a sequence of strings"):
        Objects(np.zeros((1, 2, 2, 4), np.uint8), 3)


@pytest.mark.parametrize(
    "side", [10_000, 100_000]
)  # of the one Pillow warns, at the other it raises an error of its own
def test_files_that_ask_for_too_many_pixels(tmp_path, side):
    file = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)), (b"IDAT", b""), (b"IEND", b"")):
        file += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    (tmp_path / "backgrounds").mkdir()
    (tmp_path / "backgrounds" / "a.png").write_bytes(file)
    with pytest.raises(OSError, match=r"a.png cannot be read as an image: Image size \(\d+ pixels\) exceeds limit"):
        load_backgrounds(tmp_path)


def test_keys_that_numpy_would_change_or_refuse(objects):
    import torch

    with pytest.raises(KeyError, match="no object has the name .*star"):
        objects["star\0"]
    for key in (torch.zeros(2, requires_grad=True), [[0], [0, 1]]):
        with pytest.raises(IndexError, match="expected a slice, or ints, names or booleans"):
            objects[key]
