"""Cells, files and runs: from a grid of arguments to one labelled netCDF cube."""
