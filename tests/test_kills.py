"""What is lost when a run is killed, its disk is full, or another run is at the same cells: nothing that was finished.

Real processes and real signals. They are forked from one that has imported everything, so that most moments of their
short lives are moments of a run.
"""

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from multiprocessing import forkserver
from pathlib import Path

import pytest
import toy_studies
from toy_studies import big, counting, files, gated, lines, run, slow, toy

import invtransfer
from invtransfer.cubes.files import read
from invtransfer.cubes.status import format_status

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
STUDIES = Path(__file__).parent.parent / "studies"


@pytest.fixture(scope="module")
def fork():
    """Return the function that starts a call in a process of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["test_kills"])
    with pytest.MonkeyPatch.context() as patch:  # Python 3.11 does not tell the fork server where to import from
        folders = [str(Path(__file__).parent), str(Path(invtransfer.__file__).parent.parent)]
        patch.setenv("PYTHONPATH", os.pathsep.join([*folders, os.environ.get("PYTHONPATH", "")]))
        patch.setenv("SOURCE_DATE_EPOCH", "0")
        forkserver.ensure_running()
    started = []

    def start(function, *arguments, **more):
        process = context.Process(target=function, args=arguments, kwargs=more)
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()  # those that a failed test leaves behind


@pytest.fixture(autouse=True)
def same_date(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")


def run_toys(path, function, **more):
    os.environ["SOURCE_DATE_EPOCH"] = "0"
    run(path, function, **more)


def wait_for_two(path):
    """Wait until two runs are at cells."""
    for _ in range(6_000):  # a minute, however busy the machine is
        time.sleep(0.01)
        if (path.with_suffix(".cells") / "grid.json").exists() and "2 running" in format_status(path):
            return
    pytest.fail(format_status(path))


@pytest.mark.parametrize(("n", "n_steps"), [(3, 8), pytest.param(50, 60, marks=pytest.mark.slow)])
def test_kills_at_random_moments(fork, tmp_path, n, n_steps):
    """Cells of five steps, each step a checkpoint: a killed cell goes on, and a finished one is never touched again."""
    moments = random.Random(0)
    path, log, seen, n_kills = tmp_path / "cube.nc", tmp_path / "log", {}, 0
    more = {"folder": "", "log": str(log), "n_steps": n_steps, "seeds": tuple(range(4))}
    while n_kills < n:
        process = fork(run_toys, path, counting, **more)
        last = len(lines(log)) + moments.randint(1, 24)
        while process.exitcode is None and len(lines(log)) < last:
            process.join(0.002)  # steps are counted, not seconds, so that cells end however busy the machine is
        process.join(moments.uniform(0, 0.02))
        if process.exitcode is None:
            n_kills += 1
        process.kill()
        process.join()
        assert not path.exists(), "the study is too short for so many kills"
        there = files(path)
        assert {name: there.get(name) for name in seen} == seen
        seen = there
    assert any(name.endswith(".nc") for name in seen)  # cells had ended before the last kill
    process = fork(run_toys, path, counting, **more)
    process.join(120)
    assert process.exitcode == 0
    assert {name: files(path)[name] for name in seen} == seen

    undisturbed = tmp_path / "undisturbed.nc"
    run_toys(undisturbed, counting, **more | {"log": str(tmp_path / "another"), "seconds": 0})
    steps = lines(log)
    assert len(set(steps)) == 16 * n_steps
    assert len(steps) - len(set(steps)) <= n_kills  # at most the step that was under way is done again
    ours, theirs = (read(file).drop_vars(["arguments", "cell"]) for file in (path, undisturbed))
    assert ours.identical(theirs)
    assert not list(path.with_suffix(".cells").glob(".*.tmp"))
    assert not list(path.with_suffix(".cells").glob("*.training"))


def die_at(path, moment, log):
    """Run toys, and be killed when the third cell's file is about to take its place, or has just done so."""
    replace, n_calls = os.replace, []

    def replace_and_die(source, target):
        n_calls.append(str(target).endswith(".nc"))
        if moment == "before" and sum(n_calls) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)
        if moment == "after" and sum(n_calls) == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = replace_and_die
    run_toys(path, toy, log=log, seeds=(0,))


@pytest.mark.parametrize(("moment", "n_there"), [("before", 2), ("after", 3)])
def test_killed_around_the_renaming(fork, tmp_path, moment, n_there):
    path, log = tmp_path / "cube.nc", tmp_path / "log"
    process = fork(die_at, path, moment, str(log))
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    before = files(path)
    assert len(before) == n_there
    assert len(list(path.with_suffix(".cells").glob(".*.tmp"))) == 3 - n_there
    run_toys(path, toy, log=str(log), seeds=(0,))
    assert len(lines(log)) == 4 + (3 - n_there)
    assert {name: files(path)[name] for name in before} == before
    assert not list(path.with_suffix(".cells").glob(".*.tmp"))
    run_toys(tmp_path / "b.nc", toy, log=str(log), seeds=(0,))
    assert path.read_bytes() == (tmp_path / "b.nc").read_bytes()


def test_two_runs_at_the_same_cells(fork, tmp_path):
    path, log, gate = tmp_path / "cube.nc", tmp_path / "log", tmp_path / "gate"
    more = {"gate": str(gate), "log": str(log), "seeds": (0,)}
    processes = [fork(run_toys, path, gated, **more) for _ in range(2)]
    wait_for_two(path)
    gate.touch()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert len(lines(log)) == len(set(lines(log))) == 4  # each once
    assert format_status(path).splitlines()[1] == "cells      4: 4 done"
    whole = path.read_bytes()
    run_toys(path, gated, **more)
    assert path.read_bytes() == whole
    assert len(lines(log)) == 4


def test_one_of_two_runs_is_killed(fork, tmp_path):
    """The other leaves out the cell that the first holds, and computes it when the first is gone."""
    path, log, gate = tmp_path / "cube.nc", tmp_path / "log", tmp_path / "gate"
    more = {"gate": str(gate), "log": str(log), "seeds": (0,)}
    first = fork(run_toys, path, gated, **more)
    while not list(path.with_suffix(".cells").glob("*.lock")):
        time.sleep(0.01)
    second = fork(run_toys, path, gated, **more)
    wait_for_two(path)
    first.kill()
    gate.touch()
    second.join(60)
    assert second.exitcode == 0
    assert len(lines(log)) == len(set(lines(log))) == 4
    assert (read(path).status == 1).all()


def fill_disk(folder, log):
    """Run toys of 20 kB on a disk of 80 kB, make the disk larger, and go on."""
    path = Path(folder) / "cube.nc"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80k", "none", folder], check=True)
    try:
        run_toys(path, big, log=log)
    except OSError as error:
        message = str(error)
    before = files(path)
    subprocess.run(["mount", "-o", "remount,size=10m", folder], check=True)
    run_toys(path, big, log=log)
    after = files(path)
    print(json.dumps({
        "message": message, "n_there": len(before), "kept": all(after[name] == before[name] for name in before),
        "left": len(list(path.with_suffix(".cells").glob(".*.tmp"))), "cube": path.read_bytes().hex(),
    }))  # fmt: skip


def can_mount():
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="needs namespaces of Linux, for a disk of its own")
def test_full_disk(tmp_path):
    (tmp_path / "disk").mkdir()
    log = tmp_path / "log"
    code = f"import test_kills; test_kills.fill_disk({str(tmp_path / 'disk')!r}, {str(log)!r})"
    command = ["unshare", "-rm", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "cannot write" in found["message"]
    assert "No space left on device" in found["message"]
    assert f"{found['n_there']} of 8 cells have ended" in found["message"]
    assert "; the same command goes on" in found["message"]
    assert 1 <= found["n_there"] <= 3
    assert found["kept"]
    assert found["left"] == 0
    assert len(lines(log)) == 9  # that which could not be written was computed twice
    run_toys(tmp_path / "undisturbed.nc", big, log=str(log))
    assert bytes.fromhex(found["cube"]) == (tmp_path / "undisturbed.nc").read_bytes()


def limit_files(path, log):
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, -1))
    try:
        run_toys(path, big, log=log)
    except OSError as error:
        Path(log).write_text(str(error))


def test_file_that_may_not_grow(fork, tmp_path):
    """A limit on the size of files, as a quota sets it, needs no namespace."""
    process = fork(limit_files, tmp_path / "cube.nc", str(tmp_path / "message"))
    process.join(60)
    message = (tmp_path / "message").read_text()
    assert "cannot write" in message
    assert "File too large; 0 of 8 cells have ended; the same command goes on" in message
    assert not list((tmp_path / "cube.cells").glob(".*.tmp"))


def children(pid):
    """Return the processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_worker(pid):
    return "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc, to find the workers")
def test_a_worker_is_killed_and_the_parent_last(tmp_path):
    """A killed worker costs its own cell's time alone; workers whose parent is killed end by themselves."""
    path, log = tmp_path / "cube.nc", tmp_path / "log"
    bound = json.dumps({"seconds": 0.5, "log": str(log)})
    command = [sys.executable, toy_studies.__file__, str(path), "slow", '{"jobs": 2}', bound]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        killed = set()
        while not killed and process.poll() is None:
            time.sleep(0.05)
            for pid in children(process.pid):
                if lines(log) and is_worker(pid) and not killed:
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
        n_done = len(files(path))
        while len(files(path)) == n_done and process.poll() is None:
            time.sleep(0.05)
        process.kill()
        process.communicate(timeout=30)  # which waits for all that inherited the pipe
    assert killed
    before = files(path)
    assert before
    run_toys(path, partial(slow, seconds=0, log=str(log)))
    assert {name: files(path)[name] for name in before} == before
    assert (read(path).status == 1).all()


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(tmp_path):
    path, log = tmp_path / "cube.nc", tmp_path / "log"
    bound = json.dumps({"seconds": 0.5, "log": str(log)})
    # the interrupt may come between the opening of a file and its `with`, which leaves it to the garbage collector
    strict = ["-W", "error", "-W", "ignore::ResourceWarning"]
    command = [sys.executable, *strict, toy_studies.__file__, str(path), "slow", '{"jobs": 2}', bound]
    listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # also where these tests run in the background
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=listen
    ) as process:
        while not files(path):
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does
        _, error = process.communicate(timeout=30)  # which waits for all that inherited the pipes
    before = files(path)
    assert process.returncode == 130
    assert 1 <= len(before) <= 7
    folder = path.with_suffix(".cells")
    expected = f"interrupted: {len(before)} of 8 cells have ended, and are kept in {folder}; the same command goes on"
    assert error.rstrip().splitlines()[-1] == expected
    assert "Traceback" not in error
    assert not path.exists()
    done = lines(log)
    run_toys(path, partial(slow, seconds=0, log=str(log)))
    assert len(lines(log)) == len(done) + 8 - len(before)  # the others alone
    assert {name: files(path)[name] for name in before} == before


@pytest.mark.slow
def test_real_study_is_killed_at_random_moments(tmp_path):
    """A study's command, its processes and its training: the cube has the bytes of an undisturbed one."""
    moments, environment = random.Random(0), os.environ | {"SOURCE_DATE_EPOCH": "0"}
    command = [sys.executable, STUDIES / "mismatch.py", "--preset", "smoke", "--epochs", "24", "--jobs", "2", "--out"]
    start = time.monotonic()
    subprocess.run([*command, tmp_path / "whole.nc"], check=True, capture_output=True, env=environment)
    whole = time.monotonic() - start
    path, seen, n_kills = tmp_path / "cube.nc", {}, 0
    while not path.exists():
        with subprocess.Popen([*command, path], stderr=subprocess.DEVNULL, env=environment) as process:
            if n_kills < 20:
                try:
                    process.wait(whole * moments.uniform(0.15, 0.3))  # so that at least two do not get to the end
                except subprocess.TimeoutExpired:
                    n_kills += 1
                    process.kill()
        there = files(path)
        assert {name: there.get(name) for name in seen} == seen
        seen = there
    assert n_kills >= 2
    assert path.read_bytes() == (tmp_path / "whole.nc").read_bytes()
