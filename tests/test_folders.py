import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from invtransfer.objects import Objects, load_backgrounds, load_objects

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


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
    with pytest.raises(
        ValueError, match="backgrounds has no image, expected .png, .jpg, .jpeg, .jfif, .webp, found nothing"
    ):
        load_backgrounds(tmp_path)


def test_empty_category(folder):
    (folder / "foregrounds" / "empty").mkdir()
    (folder / "foregrounds" / "empty" / "note.txt").write_text("")
    with pytest.raises(
        ValueError, match="empty has no image, expected .png, .jpg, .jpeg, .jfif, .webp, found note.txt"
    ):
        load_objects(folder)


def test_images_of_kinds_that_are_not_read_are_counted(folder):
    for place in ("foregrounds/a/0.heic", "foregrounds/b/a0.bmp", "backgrounds/a.avif"):
        (folder / place).write_text("")
    with pytest.warns(UserWarning, match=r"which are left out: 1 .bmp, 1 .heic; convert") as caught:
        assert load_objects(folder).names == ("a", "b", "c")
    with pytest.warns(UserWarning, match=r"which are left out: 1 .avif; convert"):
        assert len(load_backgrounds(folder)) == 2
    assert caught[0].filename == __file__


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


@pytest.mark.parametrize("place", ["foregrounds/d", "foregrounds/b/a0.png", "backgrounds/x.jpg"])
def test_links_that_lead_nowhere_are_named(folder, place):
    (folder / place).symlink_to(folder / "gone")
    load = load_backgrounds if place.startswith("backgrounds") else load_objects
    with pytest.raises(FileNotFoundError, match=f"{place} is a link to .*gone, where nothing is"):
        load(folder)


@pytest.mark.parametrize("on_disk", ["caf\u00e9", "cafe\u0301"])
@pytest.mark.parametrize("typed", ["caf\u00e9", "cafe\u0301"])
def test_categories_are_found_by_their_names_as_typed(folder, on_disk, typed):
    (folder / "foregrounds" / "a").rename(folder / "foregrounds" / on_disk)
    objects = load_objects(folder, size=16)
    assert objects.names == ("b", "c", "caf\u00e9")
    assert objects[typed].names == ("caf\u00e9",)
    assert Objects(objects.images, ("b", "c", on_disk))[[typed, "b"]].names == (on_disk, "b")


def test_transparent_backgrounds_are_put_on_white(folder):
    Image.new("RGBA", (16, 16), (0, 0, 0, 0)).save(folder / "backgrounds" / "a.png")
    assert (load_backgrounds(folder, size=16)[0] == 255).all()


def test_sixteen_bits_are_refused(folder):
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(folder / "backgrounds" / "a.png")
    with pytest.raises(OSError, match="a.png cannot be read as an image: mode is I;16, expected 8 bits per channel"):
        load_backgrounds(folder)


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


def test_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine" / "foregrounds" / "cat").mkdir(parents=True)
    (tmp_path / "mine" / "backgrounds").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "mine" / "foregrounds" / "cat" / "a.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "mine" / "backgrounds" / "a.png")
    assert load_objects("~/mine").names == ("cat",)
    assert len(load_backgrounds(Path("~/mine"))) == 1
