"""Disks that fail: what tests of files share."""

import builtins
import os
from pathlib import Path


class _Unreadable:
    def __init__(self, file, number):
        self._file, self._number = file, number

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def __getattr__(self, name):
        return getattr(self._file, name)

    def read(self, *size):
        raise OSError(self._number, os.strerror(self._number))


def fail_on_disk(monkeypatch, path, number, when="opening"):
    """Make the system refuse to open a file, or to read it once it is open, with an error of this number."""
    whole = builtins.open

    def fail(file, *arguments, **more):
        if not isinstance(file, int) and Path(os.fsdecode(file)).name == Path(path).name:
            if when == "opening":
                raise OSError(number, os.strerror(number), os.fspath(file))
            return _Unreadable(whole(file, *arguments, **more), number)
        return whole(file, *arguments, **more)

    monkeypatch.setattr(builtins, "open", fail)
