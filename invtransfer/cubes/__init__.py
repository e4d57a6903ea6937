"""From a grid of arguments to one labelled netCDF cube that survives kills. Loads no torch.

`cells` computes a cell and writes its file, `executors` says where, `running` goes over the grid, `assembly` puts
cells in their places, and `files` reads and writes netCDF. `provenance` and `records` say how the numbers came about,
`status` how far a run is. `merging`, `reproduction` and `export` work on finished cubes.
"""

from invtransfer.cubes.export import export_csv
from invtransfer.cubes.files import load_cube, read, write
from invtransfer.cubes.merging import merge
from invtransfer.cubes.reproduction import reproduce
from invtransfer.cubes.running import run_study
from invtransfer.cubes.status import format_status

__all__ = ["export_csv", "format_status", "load_cube", "merge", "read", "reproduce", "run_study", "write"]
