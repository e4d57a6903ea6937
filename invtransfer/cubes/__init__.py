"""From a grid of arguments to one labelled netCDF cube that survives kills. Loads no torch.

`cells` computes a cell and writes its file, `executors` says where, `running` goes over the grid, `assembly` puts
cells in their places, and `files` reads and writes netCDF. `provenance` and `records` say how the numbers came about,
`status` how far a run is. `merging`, `reproduction` and `export` work on finished cubes.

Names are loaded when they are first used, so a process that waits for its first call loads no xarray and no pandas.
"""

from importlib import import_module

_HOMES = {
    "export_csv": "export",
    "format_status": "status",
    "load_cube": "files",
    "make_cell": "assembly",
    "merge": "merging",
    "read": "files",
    "reproduce": "reproduction",
    "run_study": "running",
    "write": "files",
}
__all__ = [*_HOMES]


def __getattr__(name):
    """Load a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'invtransfer.cubes' has no attribute {name!r}")
    value = getattr(import_module(f"invtransfer.cubes.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    """List the public names, loaded or not."""
    return sorted({*globals(), *_HOMES})
