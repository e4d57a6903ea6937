"""Arrays in files: .npy, .npz and HDF5, which stay on the disk unless they are compressed."""

import os
import struct
import zipfile

import numpy as np

from invtransfer.images.files import naming

HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf")
ARRAY_SUFFIXES = (".npy", ".npz", *HDF5_SUFFIXES)


def open_arrays(path):
    """Return the arrays of a file by their names.

    Parameters
    ----------
    path : Path
        File with one of `ARRAY_SUFFIXES`.

    Returns
    -------
    arrays : dict of str to array
        Mapped into memory; read into it from a compressed .npz. Those of HDF5 are read when they are indexed.

    Raises
    ------
    OSError
        If the file cannot be read. The error names it.
    ImportError
        If the file is HDF5, and h5py is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "two.npz"
    >>> np.savez(path, images=np.zeros((2, 8, 8, 3)), labels=[0, 1])
    >>> {name: array.shape for name, array in open_arrays(path).items()}
    {'images': (2, 8, 8, 3), 'labels': (2,)}
    """
    suffix = path.suffix.lower()
    if suffix in HDF5_SUFFIXES:
        return _open_hdf5(path)
    with naming(path, OSError, "arrays"):
        if suffix == ".npz":
            if not zipfile.is_zipfile(path):  # numpy would take it for a pickle
                raise ValueError("it is no .npz file, but something else of this name")
            return _map_archive(path)
        return {path.stem: np.load(path, mmap_mode="r")}


def _map_archive(path):
    """Return the arrays of an .npz file, mapped into memory; compressed ones are read into memory."""
    with np.load(path) as archive, zipfile.ZipFile(path) as members:
        stored = {
            member.filename: member for member in members.infolist() if member.compress_type == zipfile.ZIP_STORED
        }
        mapped = {name: _map_member(path, stored.get(f"{name}.npy")) for name in archive.files}
        return {name: archive[name] if array is None else array for name, array in mapped.items()}


def _map_member(path, member):
    """Map the array of one member of an archive into memory; return None if that cannot be."""
    if member is None:
        return None
    with open(path, "rb") as file:
        file.seek(member.header_offset)
        lengths = struct.unpack("<HH", file.read(30)[26:])  # of the name and of what follows it
        file.seek(sum(lengths), os.SEEK_CUR)
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            return None
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = read(file)
        if dtype.hasobject or not shape or 0 in shape:
            return None
        return np.memmap(path, dtype, "r", file.tell(), shape, "F" if is_fortran else "C")


def _open_hdf5(path):
    """Return the arrays of an HDF5 file, which stay on the disk."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"data is the file {path}, and reading HDF5 needs h5py: pip install h5py") from error
    arrays = {}

    def add(name, item):
        if isinstance(item, h5py.Dataset):
            arrays[name] = item

    with naming(path, OSError, "arrays"):
        h5py.File(path, "r").visititems(add)
    return arrays
