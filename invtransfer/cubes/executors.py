"""Where cells are computed: here, in processes, or on a cluster, all of them a `concurrent.futures.Executor`."""

import contextlib
import multiprocessing
import os
import signal
import threading
import warnings
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from queue import SimpleQueue

import torch
from tqdm import tqdm

N_ATTEMPTS = 3  # of a call whose process dies each time
CONNECT_SECONDS = 30  # to wait for a scheduler


class WorkerLostError(RuntimeError):
    """The process that computed a call died, as often as it was tried."""


class SerialExecutor(Executor):
    """Make each call at once, in this process.

    Examples
    --------
    >>> SerialExecutor().submit(max, 1, 2).result()
    2
    """

    def submit(self, function, /, *args, **kwargs):
        """Make a call, and return the `Future` that holds its result or exception."""
        future = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class ProcessExecutor(Executor):
    """Make calls in processes, of which each can die without taking another's call with it.

    Python's own pool is lost as a whole when one of its processes dies, and cannot say whose call it was. Here every
    process is a pool of its own; a call whose process dies is tried again in a new one.

    Parameters
    ----------
    jobs : int
        Number of processes, each started when it is first needed.
    gpus : sequence of str
        What ``CUDA_VISIBLE_DEVICES`` is in them, in turn; empty: as here.

    Examples
    --------
    >>> with ProcessExecutor(2) as executor:
    ...     list(executor.map(abs, [-1, -2, -3]))
    [1, 2, 3]
    """

    def __init__(self, jobs, gpus=()):
        self._threads = ThreadPoolExecutor(jobs)  # of which each waits for one process
        self._workers = [_Worker(gpus[number % len(gpus)] if gpus else None) for number in range(jobs)]
        self._free = SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)
        self._cancelled = False

    def submit(self, function, /, *args, **kwargs):
        """Queue a call, and return its `Future`, which raises `WorkerLostError` if its process died three times."""
        return self._threads.submit(self._call, function, args, kwargs)

    def _call(self, function, args, kwargs):
        worker = self._free.get()
        try:
            for _ in range(N_ATTEMPTS):
                try:
                    worker.start()
                    if self._cancelled:
                        break
                    return worker.pool.submit(function, *args, **kwargs).result()
                except BrokenProcessPool:
                    worker.stop()
            raise WorkerLostError(f"its process died {N_ATTEMPTS} times: killed, or out of memory")
        finally:
            self._free.put(worker)

    def shutdown(self, wait=True, *, cancel_futures=False):
        """End the processes: when they are done, or at once if calls are cancelled."""
        if cancel_futures:
            self._cancelled = True
            for worker in self._workers:
                worker.kill()
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        for worker in self._workers:
            worker.stop(wait)

    def __exit__(self, kind, error, trace):
        """Wait for all calls, or drop them if there was an error."""
        self.shutdown(cancel_futures=kind is not None)
        return False


class _Worker:
    """One process, started when it is needed, and again when it has died."""

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
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # in time: CUDA reads it when it is first used
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends the workers
    tqdm.set_lock(threading.RLock())  # its own is a semaphore of the system, which a killed worker would leave
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    """End this process when its parent has ended, however it did: nobody would assemble what it computes."""
    multiprocessing.parent_process().join()
    os._exit(1)


def default_jobs():
    """Return how many processes compute cells if nobody says: one per GPU, or per CPU core where there is none.

    Returns
    -------
    jobs : int
    """
    if torch.cuda.is_available():
        return torch.cuda.device_count()
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def find_gpus():
    """Return the GPUs that there are, as ``CUDA_VISIBLE_DEVICES`` names them.

    Returns
    -------
    gpus : list of str
    """
    if not torch.cuda.is_available():
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",") if visible else [str(number) for number in range(torch.cuda.device_count())]


def open_executor(jobs=None, scheduler=None):
    """Open what computes cells.

    Parameters
    ----------
    jobs : int or None
        Number of processes on this machine; 1: this process itself. None: `default_jobs`.
    scheduler : str or None
        A dask.distributed cluster instead: the address of its scheduler, such as "tcp://host:8786", the scheduler's
        JSON file, or "local" for a new cluster of `jobs` processes on this machine.

    Returns
    -------
    executor : context manager that gives a concurrent.futures.Executor
        When its block ends, calls are waited for; if it raises, they are dropped.

    Raises
    ------
    ModuleNotFoundError
        When it is entered, if `scheduler` is given, but dask.distributed is not installed.
    OSError
        When it is entered, if no scheduler answers there, or there is no such file.

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
        where = {"scheduler_file": scheduler} if scheduler.endswith(".json") else {"address": scheduler}
        if scheduler == "local":
            # a worker's memory is not limited: the default kills those that hold more than their share
            stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": N_ATTEMPTS - 1}))
            where = LocalCluster(jobs, threads_per_worker=1, memory_limit=0, dashboard_address=None)
            where = {"address": stack.enter_context(where)}
        elif scheduler.endswith(".json") and not os.path.exists(scheduler):
            raise FileNotFoundError(f"scheduler is {scheduler!r}, but there is no such file")
        try:
            client = stack.enter_context(Client(**where, timeout=CONNECT_SECONDS))
        except (OSError, ValueError, TypeError) as error:
            raise OSError(f"scheduler is {scheduler!r}, but none answers there: {error}") from error
        if scheduler == "local":
            _pin_gpus(client)
        _check_threads(client)
        yield client.get_executor(pure=False)


def _pin_gpus(client):
    """Give each worker of a local cluster a GPU of its own, also one that takes the place of another."""
    from distributed import WorkerPlugin

    gpus = find_gpus()

    class PinGPU(WorkerPlugin):
        def setup(self, worker):
            os.environ["CUDA_VISIBLE_DEVICES"] = gpus[worker.name % len(gpus)]

    if gpus:
        client.register_plugin(PinGPU())


def _check_threads(client):
    """Say if workers wait for nothing: a worker computes one cell at a time, whatever threads it has."""
    n_threads = [worker["nthreads"] for worker in client.scheduler_info(n_workers=-1)["workers"].values()]
    if max(n_threads, default=1) > 1:
        warnings.warn(
            f"workers of the cluster have up to {max(n_threads)} threads, but each computes one cell at a time: start"
            " more workers with one thread each (dask worker --nthreads 1)",
            stacklevel=4,
        )
