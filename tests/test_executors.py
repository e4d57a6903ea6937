"""Executors: this process, processes that may die, and a cluster on this machine."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import as_completed
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from invtransfer.cubes import executors
from invtransfer.cubes.executors import (
    NotImportableError,
    ProcessExecutor,
    SerialExecutor,
    WorkerLostError,
    check_importable,
    default_jobs,
    find_gpus,
    open_executor,
)


def die(log):
    with open(log, "a") as file:
        print(os.getpid(), file=file)
    os.kill(os.getpid(), signal.SIGKILL)


def look(name):
    return os.environ.get(name), os.getpid()


def test_serial_makes_calls_at_once_and_keeps_exceptions():
    future = SerialExecutor().submit(divmod, 7, 2)
    assert future.done()
    assert future.result() == (3, 1)
    assert isinstance(SerialExecutor().submit(divmod, 1, 0).exception(), ZeroDivisionError)
    with pytest.raises(KeyboardInterrupt):  # is for whoever waits
        SerialExecutor().submit(interrupt)


def interrupt():
    raise KeyboardInterrupt


def test_a_call_whose_process_dies_takes_no_other_with_it(tmp_path):
    with ProcessExecutor(2) as executor:
        lost = executor.submit(die, tmp_path / "lost")
        others = [executor.submit(abs, -i) for i in range(20)]
        with pytest.raises(WorkerLostError, match=r"^its process died 3 times: killed, or out of memory$"):
            lost.result()
        assert [future.result() for future in others] == list(range(20))
    assert len(set((tmp_path / "lost").read_text().split())) == 3


def test_processes_have_a_gpu_each_and_end_at_once_if_there_is_an_error():
    executor = ProcessExecutor(2, gpus=["3", "5"])
    seen = [executor.submit(look, "CUDA_VISIBLE_DEVICES") for _ in range(40)]
    found = {future.result() for future in as_completed(seen)}
    assert {gpu for gpu, _ in found} <= {"3", "5"}
    assert len(found) == len({process for _, process in found})  # one GPU each
    start = time.monotonic()
    executor.submit(time.sleep, 60)
    with pytest.raises(ZeroDivisionError), executor:
        raise ZeroDivisionError
    assert time.monotonic() - start < 30


def test_what_is_cancelled_starts_no_process_again(monkeypatch):
    starts, start = [], executors._Worker.start
    monkeypatch.setattr(executors._Worker, "start", lambda worker: (starts.append(worker), start(worker)))
    executor = ProcessExecutor(1)
    waiting = executor.submit(time.sleep, 60)
    while not starts or starts[0]._pid is None:
        time.sleep(0.05)
    executor.shutdown(cancel_futures=True)
    assert waiting.exception() is not None
    assert len(starts) == 1


def test_jobs_are_cores_without_a_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    assert default_jobs() == 3
    assert find_gpus() == []
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert default_jobs() == 7


def test_gpus_are_those_that_are_visible(monkeypatch):
    monkeypatch.setattr(executors, "GPU_DEVICES", [os.devnull])
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert default_jobs() == 2
    assert find_gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-8a")
    assert find_gpus() == ["4", "GPU-8a"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only torch knows whether there is a GPU")
def test_torch_is_loaded_neither_here_without_a_gpu_nor_in_processes():
    code = """if True:
        import sys
        from invtransfer.cubes import executors
        executors.GPU_DEVICES = []
        with executors.open_executor(2) as executor:
            print([executor.submit(eval, "'torch' in __import__('sys').modules").result(), "torch" in sys.modules])
    """
    printed = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert printed == "[False, False]\n"


@pytest.mark.parametrize(("jobs", "cores", "kind"), [(1, 8, "Serial"), (None, 1, "Serial"), (None, 8, "Process")])
def test_what_is_opened(monkeypatch, jobs, cores, kind):
    monkeypatch.setattr(executors, "default_jobs", lambda: cores)
    with open_executor(jobs) as executor:
        assert type(executor).__name__ == f"{kind}Executor"


def test_cluster_on_this_machine_needs_no_fixed_port():
    pytest.importorskip("distributed")
    with socket.socket() as dashboard:
        with suppress(OSError):  # somebody's dashboard has the port already
            dashboard.bind(("127.0.0.1", 8787))
            dashboard.listen()
        with open_executor(2, "local") as executor:
            assert executor.submit(divmod, 7, 2).result() == (3, 1)
            assert isinstance(executor.submit(divmod, 1, 0).exception(), ZeroDivisionError)


@pytest.mark.slow
def test_cluster_gives_a_call_up_whose_process_dies_three_times(tmp_path):
    pytest.importorskip("distributed")
    with open_executor(2, "local") as executor:
        lost = executor.submit(die, tmp_path / "lost")
        assert executor.submit(divmod, 7, 2).result() == (3, 1)
        assert lost.exception() is not None
    assert len(set((tmp_path / "lost").read_text().split())) == 3


@pytest.mark.parametrize(
    ("scheduler", "message"),
    [
        ("none.json", "scheduler is 'none.json', but there is no such file"),
        ("tcp://127.0.0.1:9", "scheduler is 'tcp://127.0.0.1:9', but none answers there"),
    ],
)
def test_scheduler_that_is_not_there(monkeypatch, scheduler, message):
    pytest.importorskip("distributed")
    monkeypatch.setattr(executors, "CONNECT_SECONDS", 0.2)
    with pytest.raises(OSError, match=message), open_executor(scheduler=scheduler):
        pass


def test_scheduler_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ModuleNotFoundError, match=r"which needs dask.distributed: pip install 'invtransfer\[distrib"):
        open_executor(scheduler="local").__enter__()


STUDY = """
import sys
from invtransfer.cubes import executors, run_study
executors.N_ATTEMPTS = 1

def cell(*, seed):
    import xarray as xr
    return xr.Dataset({"accuracy": ((), seed / 10)})

class Cell:
    def __call__(self, **labels):
        return cell(**labels)

def study(function):
    grid = [({"seed": 0}, {"seed": 0})]
    cube = run_study(function, grid, {"seed": [0]}, sys.argv[1], {}, title="t", jobs=2)
    print(cube.status.values.tolist(), cube.message.values.tolist())
"""
GUARD = "if __name__ == '__main__':\n    "


@pytest.mark.parametrize("how", ["-c", "stdin"])
def test_functions_of_notebooks(tmp_path, how):
    """What is typed into an interpreter is in no file that another process could import."""
    code = f"""{STUDY}
for function in (cell, Cell(), __import__("functools").partial(cell)):
    try:
        study(function)
    except executors.NotImportableError as error:
        print(error)
"""
    words = [sys.executable, *(["-c", code] if how == "-c" else ["-"]), str(tmp_path / "cube.nc")]
    done = subprocess.run(words, input=code, capture_output=True, text=True, check=False)
    said = re.findall(
        r"^([cC]ell) cannot be imported by other processes \(it was defined in a noteb", done.stdout, re.MULTILINE
    )
    assert said == ["cell", "Cell", "cell"]
    assert "memory" not in done.stdout + done.stderr
    assert not list(tmp_path.rglob("*.nc"))


@pytest.mark.parametrize("guard", ["", GUARD])
def test_scripts_have_to_guard_what_they_do(tmp_path, guard):
    (tmp_path / "script.py").write_text(f"{STUDY}{guard}study(cell)")
    words = [sys.executable, tmp_path / "script.py", tmp_path / "cube.nc"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if guard:
        assert done.stdout == "[1] ['']\n"
    else:
        assert 'it has to begin its work under: if __name__ == "__main__":' in done.stderr
        assert done.returncode == 1
        assert not list(tmp_path.rglob("*.nc"))


def test_what_only_this_process_can_load(tmp_path, monkeypatch):
    """A module that is gone, or that fails in another process, does not look like a process that was killed."""
    (tmp_path / "passing.py").write_text("def cell():\n    return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    from passing import cell

    (tmp_path / "passing.py").unlink()
    with (
        ProcessExecutor(1) as executor,
        pytest.raises(NotImportableError, match=r"\(ModuleNotFoundError: No module named 'passing'\): define it at"),
    ):
        executor.submit(cell).result()


def test_what_can_be_imported():
    def inner():
        pass

    for function in (look, partial(look, "a"), partial(partial(look), name="a"), len, Path):
        check_importable(function)
    for function, name in (
        (inner, "inner"),
        (lambda: 1, "<lambda>"),
        (partial(inner), "inner"),
        (partial(look, inner), "look"),
    ):
        with pytest.raises(NotImportableError, match=f"{name} cannot be imported by other processes"):
            check_importable(function)


class TwoArgumentsError(Exception):
    """It is pickled, but cannot be loaded again."""

    def __init__(self, text, more):
        super().__init__(text)


def raise_what_cannot_be_loaded():
    raise TwoArgumentsError("nothing but text", "more")


def test_an_error_that_cannot_be_loaded_is_told_in_words():
    with ProcessExecutor(1) as executor, pytest.raises(RuntimeError, match="TwoArgumentsError: nothing but text"):
        executor.submit(raise_what_cannot_be_loaded).result()
