"""Executors that compute cells: in this process, in other processes, or on a dask cluster."""

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import warnings
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue

from tqdm import tqdm

N_ATTEMPTS = 3  # how often a call is tried if its process dies each time
CONNECT_SECONDS = 30  # how long to wait for a scheduler to answer
GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg", "/dev/nvmap")  # NVIDIA, AMD, Windows' Linux, Jetson
UNGUARDED = 'each process runs the main program again, so it has to begin its work under: if __name__ == "__main__":'


class WorkerLostError(RuntimeError):
    """The process that made a call died each time the call was tried."""


class NotImportableError(ValueError):
    """A function that other processes are to call cannot be imported there."""


def check_importable(function):
    """Raise an error if other processes cannot import a function, as far as this process can tell.

    Parameters
    ----------
    function : callable
        The function, or a `functools.partial` of it.

    Raises
    ------
    NotImportableError
        If it is a lambda or inside another function, or of a program that is not a file, such as a notebook; or if this
        is another process, which runs the main program for the first time.

    Examples
    --------
    >>> check_importable(len)
    >>> check_importable(lambda: 1)
    Traceback (most recent call last):
    ...
    invtransfer.cubes.executors.NotImportableError: <lambda> cannot be imported by other processes (...): ...
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # as multiprocessing itself asks
        raise NotImportableError(UNGUARDED)
    inner = function
    while isinstance(inner, partial):
        inner = inner.func
    name = getattr(inner, "__qualname__", type(inner).__qualname__)
    cause = None
    if getattr(inner, "__module__", None) == "__main__" and not _is_main_a_file():
        reason = "it was defined in a notebook, in an interpreter or in python -c, which is not a file"
    else:
        try:
            pickle.dumps(function)
            return
        except Exception as error:  # PicklingError, AttributeError, TypeError, and whatever an argument raises
            reason, cause = str(error), error
    raise NotImportableError(_format_not_importable(name, reason)) from cause


def _is_main_a_file():
    """Tell whether a new process can run the main program again, by the rules of multiprocessing."""
    main = sys.modules["__main__"]
    if getattr(getattr(main, "__spec__", None), "name", None) is not None:
        return True
    file = getattr(main, "__file__", None)
    return file is not None and os.path.exists(file) and os.path.splitext(os.path.basename(file))[0] != "ipython"


def _format_not_importable(name, reason):
    return (
        f"{name} cannot be imported by other processes ({reason}): define it at the top level of a file of its own and"
        " import it from there, or compute in this process, with jobs=1"
    )


def _load_and_call(call):
    """Make a pickled call in this process; what cannot be loaded is an error, where it would kill a worker."""
    try:
        function, args, kwargs = pickle.loads(call)
    except Exception as error:  # AttributeError, ImportError, and whatever the import of a module raises
        raise NotImportableError(_format_not_importable("the function", f"{type(error).__name__}: {error}")) from error
    try:
        return function(*args, **kwargs)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # the other process could not load it, and would take this one for dead
            raise RuntimeError(f"{type(error).__name__}: {error}") from None
        raise


class SerialExecutor(Executor):
    """Make each call immediately, in this process.

    Examples
    --------
    >>> SerialExecutor().submit(max, 1, 2).result()
    2
    """

    def submit(self, function, /, *args, **kwargs):
        """Make a call and return the finished `Future` with its result or exception."""
        future = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class ProcessExecutor(Executor):
    """Make calls in several processes, each of which may die without losing another's call.

    If one process of a `ProcessPoolExecutor` dies, the whole pool breaks and does not tell which call was to blame.
    Here each process is a pool of its own, and a call whose process dies is tried again in a new one.

    Parameters
    ----------
    jobs : int
        Number of processes. Each is started when it is first needed.
    gpus : sequence of str
        Values of ``CUDA_VISIBLE_DEVICES`` that the processes get in turn. If empty, they inherit this process's value.

    Examples
    --------
    >>> with ProcessExecutor(2) as executor:
    ...     list(executor.map(abs, [-1, -2, -3]))
    [1, 2, 3]
    """

    def __init__(self, jobs, gpus=()):
        self._threads = ThreadPoolExecutor(jobs)  # each thread waits for one process
        self._workers = [_Worker(gpus[number % len(gpus)] if gpus else None) for number in range(jobs)]
        self._free = SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)
        self._cancelled = False

    def submit(self, function, /, *args, **kwargs):
        """Queue a call and return its `Future`, which raises `WorkerLostError` if its process died three times."""
        return self._threads.submit(self._call, function, args, kwargs)

    def _call(self, function, args, kwargs):
        worker = self._free.get()
        try:
            call, started = pickle.dumps((function, args, kwargs)), False
            for _ in range(N_ATTEMPTS):
                if self._cancelled:
                    break
                try:
                    worker.start()
                    started = True
                    if self._cancelled:  # while it started
                        break
                    return worker.pool.submit(_load_and_call, call).result()
                except BrokenProcessPool:
                    worker.stop()
            if not started and not self._cancelled:
                raise NotImportableError(f"{N_ATTEMPTS} processes died as they started: {UNGUARDED}")
            raise WorkerLostError(f"its process died {N_ATTEMPTS} times: killed, or out of memory")
        finally:
            self._free.put(worker)

    def shutdown(self, wait=True, *, cancel_futures=False):
        """End the processes: after their calls, or immediately if `cancel_futures` is true."""
        if cancel_futures:
            self._cancelled = True
            for worker in self._workers:
                worker.kill()
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        for worker in self._workers:
            worker.stop(wait)

    def __exit__(self, kind, error, trace):
        """Wait for all calls, or drop them after an error."""
        self.shutdown(cancel_futures=kind is not None)
        return False


class _Worker:
    """One process, which is started when it is needed, and again after it has died."""

    def __init__(self, gpu):
        self.pool, self._gpu, self._pid = None, gpu, None

    def start(self):
        if self.pool is None:
            spawn = multiprocessing.get_context("spawn")
            self.pool = ProcessPoolExecutor(1, spawn, initializer=_start_worker, initargs=(self._gpu,))
            self._pid = self.pool.submit(os.getpid).result()

    def stop(self, wait=True):
        if self.pool is not None:
            self.pool.shutdown(wait)
        self.pool, self._pid = None, None

    def kill(self):
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, getattr(signal, "SIGKILL", signal.SIGTERM))


def _start_worker(gpu):
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # early enough: CUDA reads it when it is first used
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and ends the workers
    tqdm.set_lock(threading.RLock())  # the default lock is a system semaphore, which a killed worker would leak
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    """End this process when its parent has ended in any way: nothing would collect its results."""
    multiprocessing.parent_process().join()
    os._exit(1)


def default_jobs():
    """Return the default number of processes: one per GPU, or one per CPU core if there is no GPU.

    Returns
    -------
    jobs : int
    """
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return _count_gpus() or n_cores


def find_gpus():
    """Return the GPUs of this machine as ``CUDA_VISIBLE_DEVICES`` names them.

    Returns
    -------
    gpus : list of str
    """
    n_gpus, visible = _count_gpus(), os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",") if n_gpus and visible else [str(number) for number in range(n_gpus)]


def _count_gpus():
    if sys.platform == "linux" and not any(map(os.path.exists, GPU_DEVICES)):
        return 0
    import torch  # takes seconds to load, so only where there may be a GPU

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def open_executor(jobs=None, scheduler=None):
    """Open the executor that computes cells.

    Parameters
    ----------
    jobs : int or None
        Number of processes on this machine. 1 computes in this process; None stands for `default_jobs`.
    scheduler : str or None
        If given, a dask.distributed cluster computes the cells: the address of its scheduler, such as
        "tcp://host:8786", the scheduler's JSON file, or "local" for a new cluster of `jobs` processes on this machine.

    Returns
    -------
    executor : context manager that returns a concurrent.futures.Executor
        At the end of its block it waits for all calls; if the block raises, it drops them.

    Raises
    ------
    ModuleNotFoundError
        On entering the block, if `scheduler` is given but dask.distributed is not installed.
    OSError
        On entering the block, if no scheduler answers there, or its JSON file does not exist.

    Examples
    --------
    >>> with open_executor(jobs=1) as executor:
    ...     executor.submit(max, 1, 2).result()
    2
    """
    jobs = jobs or default_jobs()
    if scheduler is not None:
        return _open_dask(jobs, scheduler)
    return SerialExecutor() if jobs == 1 else ProcessExecutor(jobs, find_gpus())


@contextmanager
def _open_dask(jobs, scheduler):
    try:
        import dask
        from distributed import Client, LocalCluster
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"scheduler is {scheduler!r}, which needs dask.distributed: pip install 'invtransfer[distributed]'"
        ) from error
    with contextlib.ExitStack() as stack:
        if scheduler == "local":
            stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": N_ATTEMPTS - 1}))
            options = {"memory_limit": 0, "dashboard_address": None}  # a limit would kill workers that exceed it
            server = {"dashboard_address": "127.0.0.1:0"}  # any free port: without it, the scheduler takes port 8787
            cluster = LocalCluster(jobs, threads_per_worker=1, scheduler_kwargs=server, **options)
            where = {"address": stack.enter_context(cluster)}
        elif scheduler.endswith(".json"):
            if not os.path.exists(scheduler):
                raise FileNotFoundError(f"scheduler is {scheduler!r}, but there is no such file")
            where = {"scheduler_file": scheduler}
        else:
            where = {"address": scheduler}
        try:
            client = stack.enter_context(Client(**where, timeout=CONNECT_SECONDS))
        except (OSError, ValueError, TypeError) as error:
            raise OSError(f"scheduler is {scheduler!r}, but none answers there: {error}") from error
        if scheduler == "local":
            _pin_gpus(client)
        _check_threads(client)
        yield client.get_executor(pure=False)


def _pin_gpus(client):
    """Give each worker of a local cluster a GPU of its own, also a worker that replaces one that died."""
    from distributed import WorkerPlugin

    gpus = find_gpus()

    class PinGPU(WorkerPlugin):
        def setup(self, worker):
            os.environ["CUDA_VISIBLE_DEVICES"] = gpus[worker.name % len(gpus)]

    if gpus:
        client.register_plugin(PinGPU())


def _check_threads(client):
    """Warn if workers have threads that stay idle: each worker computes one cell at a time."""
    n_threads = [worker["nthreads"] for worker in client.scheduler_info(n_workers=-1)["workers"].values()]
    if max(n_threads, default=1) > 1:
        warnings.warn(
            f"workers of the cluster have up to {max(n_threads)} threads, but each computes one cell at a time: start"
            " more workers with one thread each (dask worker --nthreads 1)",
            stacklevel=4,
        )
