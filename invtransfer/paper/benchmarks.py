"""What the scripts share that measure speed: turns of what is compared, ratios, targets, and the command line."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from invtransfer.cubes.files import write
from invtransfer.cubes.provenance import find_origin, make_attributes
from invtransfer.paper.command_line import exit_on_error, make_parser
from invtransfer.storage import check_writable, say

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
VERDICTS = ("missed", "met", "not_judged")


def alternate(functions, repetitions, description=None):
    """Time functions in turn, A B A B, after one round that does not count.

    Parameters
    ----------
    functions : list of callable
        Functions without arguments.
    repetitions : int
        Number of rounds that count.
    description : str or None
        Name of the progress bar. None: no bar.

    Returns
    -------
    seconds : ndarray of shape (n_functions, repetitions)

    Examples
    --------
    >>> alternate([lambda: None, lambda: time.sleep(0.01)], 3).shape
    (2, 3)
    """
    seconds = np.empty((len(functions), repetitions))
    for function in functions:
        function()
    for repetition in tqdm(range(repetitions), desc=description, disable=description is None):
        for row, function in enumerate(functions):
            start = time.perf_counter()
            function()
            seconds[row, repetition] = time.perf_counter() - start
    return seconds


def run_forward(model, images, n):
    """Compute the outputs of `n` images, a batch of the same ones again and again.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode.
    images : tensor of shape (batch_size, 3, height, width)
        The batch.
    n : int
        Number of images.

    Examples
    --------
    >>> run_forward(torch.nn.Flatten(), torch.zeros(4, 3, 8, 8), 10)
    """
    with torch.inference_mode():
        for start in range(0, n, len(images)):
            model(images[: n - start])


def find_best_batch(model, side):
    """Find the size of a batch with which a forward pass is fastest per image.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode.
    side : int
        Height and width of the images in pixels.

    Returns
    -------
    images : tensor of shape (batch_size, 3, side, side)
        Random images, as many as the best of eight sizes from 1 to 128.

    Examples
    --------
    >>> find_best_batch(torch.nn.Flatten(), 8).shape[1:]
    torch.Size([3, 8, 8])
    """
    seconds = {}
    for size in BATCH_SIZES:
        images = torch.rand(size, 3, side, side, generator=torch.Generator().manual_seed(0))
        run_forward(model, images, size)
        start = time.perf_counter()
        run_forward(model, images, max(size, 32))
        seconds[size] = (time.perf_counter() - start) / max(size, 32)
    return torch.rand(min(seconds, key=seconds.get), 3, side, side, generator=torch.Generator().manual_seed(0))


def peak_bytes():
    """Return the most memory that this process has held so far, in bytes.

    Examples
    --------
    >>> peak_bytes() > 1e6
    True
    """
    try:
        # ru_maxrss of a new process begins with what the process that started it has held; this does not.
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource  # not on Windows

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def ratio(slow, quick):
    """Compute how many times as fast something is.

    Parameters
    ----------
    slow, quick : xarray.DataArray over "repetition" and perhaps other dimensions
        Seconds of the two.

    Returns
    -------
    value, low, high : float
        Median over repetitions of the ratio of times, averaged over other dimensions; its least and its largest.

    Examples
    --------
    >>> slow, quick = xr.DataArray([4.0, 6.0, 5.0], dims="repetition"), xr.DataArray([1.0, 2.0, 2.0], dims="repetition")
    >>> ratio(slow, quick)
    (3.0, 2.5, 4.0)
    """
    others = [dim for dim in slow.dims if dim != "repetition"]
    single = slow.mean(others) / quick.mean(others)
    return float(single.median()), float(single.min()), float(single.max())


def spread(values, centre=np.median):
    """Return a centre of values, and the least and the largest of them.

    Parameters
    ----------
    values : array-like
        Values.
    centre : callable
        Function from the values to their centre.

    Returns
    -------
    value, low, high : float

    Examples
    --------
    >>> spread([3.0, 1.0, 2.0])
    (2.0, 1.0, 3.0)
    """
    values = np.asarray(values)
    return float(centre(values)), float(values.min()), float(values.max())


def make_cube(values, coordinates, texts=None):
    """Make a cube of what was measured.

    Parameters
    ----------
    values : dict of str to tuple of (dims, ndarray, unit, long_name)
        Variables.
    coordinates : dict of str to sequence
        Labels along each dimension.
    texts : dict of str to str
        What labels are, where their name does not say it.

    Returns
    -------
    cube : xarray.Dataset
    """
    cube = xr.Dataset(
        {name: (dims, data, {"long_name": text, "units": unit}) for name, (dims, data, unit, text) in values.items()},
        coords=coordinates,
    )
    for name in cube.coords:
        cube[name].attrs |= {"long_name": (texts or {}).get(name, name), "units": "1"}
    return cube


def judge(cube, rows, judged):
    """Add what is concluded to a cube, with targets and whether they are met.

    Parameters
    ----------
    cube : xarray.Dataset
        What was measured.
    rows : dict of str to tuple of (value, low, high, sense, target)
        By what is concluded; the sense is "at least" or "at most", which is about the magnitude.
    judged : bool
        Whether the run is large enough to be judged.

    Returns
    -------
    cube : xarray.Dataset
        With "value", "low", "high", "sense", "target" and "verdict" over "measure".

    Examples
    --------
    >>> judge(xr.Dataset(), {"speed": (9.0, 8.5, 9.5, "at least", 8.0)}, judged=True).verdict.item()
    1
    """
    value, low, high, sense, target = (np.array(column) for column in zip(*rows.values(), strict=True))
    met = np.where(sense == "at least", value >= target, np.abs(value) <= target)
    verdict = np.where(judged, met, VERDICTS.index("not_judged")).astype(np.int8)
    columns = {
        "value": (value, "median over repetitions of the ratio; of memory, one run; of accuracy, mean over seeds"),
        "low": (low, "smallest in one repetition or seed"),
        "high": (high, "largest in one repetition or seed"),
        "sense": (sense, "whether the value should be at least or (its magnitude) at most the target"),
        "target": (target, "what the value is judged by"),
        "verdict": (verdict, "whether the target is met"),
    }
    cube = cube.assign_coords(measure=("measure", list(rows), {"long_name": "what is compared", "units": "1"}))
    for name, (data, text) in columns.items():
        cube[name] = ("measure", data, {"long_name": text, "units": "1"})
    cube.verdict.attrs |= {"flag_values": np.arange(3, dtype=np.int8), "flag_meanings": " ".join(VERDICTS)}
    return cube


def format_measures(cube):
    """Format what was concluded as a table.

    Parameters
    ----------
    cube : xarray.Dataset
        As `judge` returns it.

    Returns
    -------
    text : str
        A line for each measure, with its spread, target and verdict.
    """
    width = max(map(len, cube.measure.values))
    lines = [f"{'':<{width}}{'value':>8}{'least to largest':>18}{'target':>16}  verdict"]
    for name in cube.measure.values:
        row = cube.sel(measure=name)
        between = "" if np.isnan(row.low) else f"{row.low:.2f} to {row.high:.2f}"
        target = f"{row.sense.item()} {row.target:.3g}"
        verdict = VERDICTS[int(row.verdict)].replace("_", " ")
        lines.append(f"{name:<{width}}{row.value:>8.2f}{between:>18}{target:>16}  {verdict}")
    return "\n".join(lines)


def main(description, presets, path, measure, conclude, *, title, table=None):
    """Run a script that measures speed from the command line.

    Parameters
    ----------
    description : str
        Docstring of the script.
    presets : dict of str to dict
        Settings by preset. All but "smoke" are judged.
    path : pathlib.Path
        Where the cube of "quick" goes; that of "smoke" goes beside it.
    measure : callable
        Function from the settings, of which "seeds" is a list, to the cube of what was measured.
    conclude : callable
        Function from the cube to rows, as `judge` takes them.
    title : str
        Title of the cube.
    table : callable or None
        Function from the cube to text that is printed before the measures.

    Raises
    ------
    SystemExit
        With code 2 and one line on standard error if the options are not valid.
    """
    parser = make_parser(description, presets)
    options = parser.parse_args()
    if options.jobs not in (None, 1):
        parser.error(f"--jobs is {options.jobs}, expected 1: what is timed must not run beside something else")
    settings = dict(presets[options.preset])
    seeds = list(range(options.seeds or settings["seeds"]))
    out = options.out or (path if options.preset == "quick" else path.with_stem(f"{path.stem}-{options.preset}"))
    with exit_on_error(parser):
        check_writable(out)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0  # mean number of busy processes, last minute
    if load > 0.5:
        say(f"{load:.1f} other processes have been busy in the last minute: do not trust the times", sys.stderr)
    torch.set_num_threads(options.threads)
    with threadpool_limits(options.threads):
        cube = measure(settings | {"seeds": seeds})
    cube = judge(cube, conclude(cube), judged=options.preset != "smoke")
    settings |= {"preset": options.preset, "seeds": len(seeds), "threads": options.threads}
    attributes = {"title": title, "script": path.stem, "load_average": load}
    attributes |= make_attributes(settings, [find_origin(options.threads)])
    write(cube.assign_attrs(attributes), out)
    for text in ([table(cube)] if table else []) + [format_measures(cube), f"cube: {out}"]:
        say(f"\n{text}")
