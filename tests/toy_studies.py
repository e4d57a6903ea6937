"""Studies whose cells say where they belong: what the tests of running, in this process and in others, compute.

Run as a script, it is a study of 8 toys: python toy_studies.py CUBE.nc FUNCTION '{"jobs": 2}' '{"log": "calls"}'
"""

import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_info

from invtransfer.cubes import run_study

FACTORS, RELATIONS = ["a", "b"], ["same", "disjoint"]


def number(factor, relation, seed):
    """Factor in units, relation in tens, seed in hundreds: a permuted axis shows."""
    return FACTORS.index(factor) + 10 * RELATIONS.index(relation) + 100 * seed


def toy(*, factor, relation, seed, log=None):
    """Compute a number that says where it belongs; each call leaves a line in a file."""
    if log is not None:
        note(log, f"{factor} {relation} {seed}")
    return xr.Dataset({"accuracy": ((), float(number(factor, relation, seed)), {"units": "1", "long_name": "digits"})})


def shifted(**labels):
    return toy(**labels) + 1


def note(log, line):
    with open(log, "a") as file:
        file.write(line + "\n")


def lines(log):
    return sorted(log.read_text().splitlines()) if log.exists() else []


def files(path):
    """Tell what the files of the cells are: rewritten ones have another inode."""
    stats = {file.name: file.stat() for file in path.with_suffix(".cells").glob("[!.]*.nc")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


def slow(*, seconds, log, **labels):
    """Take some time, and leave a line when it is over."""
    time.sleep(seconds)
    return toy(log=log, **labels)


def gated(*, gate, log, **labels):
    """Wait until a file is there."""
    while not Path(gate).exists():
        time.sleep(0.01)
    return toy(log=log, **labels)


def big(*, log, **labels):
    """Compute 20 kB."""
    return toy(log=log, **labels).assign(more=("x", np.arange(2_500.0)))


def failing(*, factor, relation, seed, unless):
    if (factor, relation, seed) == ("b", "same", 1) and not Path(unless).exists():
        raise ZeroDivisionError("no samples")
    return toy(factor=factor, relation=relation, seed=seed)


def dying(*, factor, relation, seed, log, unless):
    """End the process without a word."""
    if (factor, relation, seed) == ("b", "same", 0) and not Path(unless).exists():
        note(log, "dies")
        os.kill(os.getpid(), signal.SIGKILL)
    return toy(factor=factor, relation=relation, seed=seed, log=log)


def sleeping(*, factor, relation, seed, started):
    Path(started).touch()
    time.sleep(120)


def interrupted(*, factor, relation, seed):
    if (factor, relation, seed) == ("b", "same", 0):
        raise KeyboardInterrupt
    return toy(factor=factor, relation=relation, seed=seed)


def counting(*, folder, log, checkpoints, n_steps=5, seconds=0.02, **labels):
    """Add up steps, of which the last is kept, so that a killed cell goes on; each step leaves a line."""
    state = Path(checkpoints) / "steps"
    done = int(state.read_text()) if state.exists() else 0
    for step in range(done, n_steps):
        time.sleep(seconds)
        note(log, f"{labels} step {step}")
        state.with_suffix(".new").write_text(str(step + 1))
        os.replace(state.with_suffix(".new"), state)
    return toy(**labels).assign(steps=((), float(n_steps)))


def loads_torch(**labels):
    """Tell whether torch is loaded where the cell is computed."""
    return toy(**labels).assign(torch=((), int("torch" in sys.modules)))


def thread_counts():
    import torch  # here, so that other toys are computed without it

    return [torch.get_num_threads()] + [pool["num_threads"] for pool in threadpool_info()]


def count_threads(*, factor, relation, seed):
    more = {"n_threads": ((), max(thread_counts())), "process": ((), os.getpid())}
    return toy(factor=factor, relation=relation, seed=seed).assign(more)


def out_of_memory(*, factor, relation, seed):
    if seed == 0:
        np.ones(2**60, np.int8)
    return toy(factor=factor, relation=relation, seed=seed)


def grid(factors=FACTORS, relations=RELATIONS, seeds=(0, 1), **more):
    points = [{"factor": f, "relation": r, "seed": s} for f in factors for r in relations for s in seeds]
    return (
        [(point, point | more) for point in points],
        {"factor": list(factors), "relation": list(relations), "seed": list(seeds)},
    )


def run(path, function=toy, settings=None, *, jobs=1, threads=1, options=None, **more):
    """Run a study of toys; `options` go to `run_study`, what else is given is the cells'."""
    return run_study(
        function, *grid(**more), path, settings or {"n": 1}, title="toys", jobs=jobs, threads=threads, **(options or {})
    )


if __name__ == "__main__":
    out, name, options, bound = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), json.loads(sys.argv[4])
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    run(out, partial(globals()[name], **bound), jobs=options.pop("jobs", 1), options=options)
