"""Run a function on every part of a period: in this process, in several, or on a Spark cluster.

The function is the same for every executor, and so are the results and their order. An item says which part to work on
and all that is needed for it; the function opens its own file, and returns little. What is large it stores itself.
"""

import logging
import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.util import Finalize
from typing import Any, TypeVar

import cloudpickle
import pyarrow as pa
from threadpoolctl import threadpool_limits

from modelworks.errors import ComputeError, ConfigError, PipelineError
from modelworks.progress import track
from modelworks.settings import Compute

MAX_LOSSES = 3
"""Times that a worker may be killed until the stage fails."""

log = logging.getLogger(__package__)

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Task:
    """A function and its item, as a worker gets them.

    Attributes
    ----------
    where : file and rows of the part, for errors
    pickled : both, by cloudpickle: rules and features of a project may be functions without a module of their own
    """

    where: str
    pickled: bytes


@dataclass(frozen=True)
class Outcome:
    """The result of a task, or its error: some executors would wrap an error that is raised."""

    result: Any = None
    error: BaseException | None = None


def map_parts(
    function: Callable[[Item], Result], items: Sequence[Item], compute: Compute, what: str = "working"
) -> list[Result]:
    """The result of each item, in order, whichever is done first.

    Parameters
    ----------
    items : a frozen dataclass each; `where`, if it has one, names file and rows of its part in errors
    what : for the progress

    Raises
    ------
    ComputeError
        If workers are killed again and again, or cannot be started.
    ConfigError
        If the executor is not installed.
    """
    if not is_shared(compute, len(items)):
        return [_unwrap(_run(function, item, _where(item))) for item in items]
    tasks = [Task(_where(item), cloudpickle.dumps((function, item))) for item in items]
    if compute.executor == "spark":
        return [_unwrap(outcome) for outcome in _map_on_spark(tasks, compute)]
    results = _map_in_processes(tasks, compute.workers or os.cpu_count() or 1)
    return list(track(results, what, "parts", len(tasks)))


def is_shared(compute: Compute, n_parts: int) -> bool:
    """Whether the parts are worked on by other processes; a single one is not."""
    return compute.executor != "local" and n_parts > 1


def run_task(task: Task) -> Outcome:
    """Run a task in a worker."""
    function, item = pickle.loads(task.pickled)  # noqa: S301 - written by the driver of this very run
    outcome = _run(function, item, task.where)
    return Outcome(outcome.result, _as_sendable(outcome.error)) if outcome.error else outcome


def _run(function: Callable[[Item], Result], item: Item, where: str) -> Outcome:
    try:
        return Outcome(function(item))
    except Exception as error:
        return Outcome(error=_locate(error, where))


def _locate(error: Exception, where: str) -> Exception:
    """The same error, which names the part."""
    if isinstance(error, PipelineError) and where:
        error.args = (f"{error} (in {where})", *error.args[1:])
    elif where:
        error.add_note(f"in {where}")
    return error


def _as_sendable(error: BaseException) -> BaseException:
    """The same error, or its words if it cannot be sent to another process."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - of this process itself
    except Exception:
        words = [f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])]
        return RuntimeError("; ".join(words))
    return error


def _where(item: object) -> str:
    return str(getattr(item, "where", ""))


def _unwrap(outcome: Outcome) -> Any:
    if outcome.error:
        raise outcome.error
    return outcome.result


def _map_on_spark(tasks: list[Task], compute: Compute) -> list[Outcome]:
    try:
        from modelworks.data.spark import map_on_spark
    except ImportError as error:
        raise ConfigError(
            f'[compute] executor = "spark": {error}; add the extra "spark" of modelworks to the dependencies in '
            "pyproject.toml, then make lock and make setup"
        ) from None
    found: list[Outcome] = map_on_spark(run_task, tasks, compute.spark_url)
    return found


_pools: dict[int, ProcessPoolExecutor] = {}
"""By number of workers. A pool lives as long as its process, since the workers' imports take seconds."""


def _map_in_processes(tasks: list[Task], workers: int) -> Iterator[Any]:
    """The results in order; a killed worker takes its pool with it, and what was not done is begun anew."""
    futures: dict[int, Future[Outcome]] = {}
    at = losses = 0
    try:
        while at < len(tasks):
            try:
                for number in range(at, len(tasks)):
                    if number not in futures:
                        futures[number] = _submit(tasks[number], workers)
                yield _unwrap(futures[at].result())
                at += 1
            except BrokenProcessPool as error:
                futures = {number: each for number, each in futures.items() if _is_whole(each)}
                losses += 1
                _pools.pop(workers).shutdown(cancel_futures=True)
                _check_losses(losses, tasks[at].where or "a part", error)
    finally:
        for each in futures.values():
            each.cancel()
        wait(futures.values())  # what runs still writes


def _is_whole(future: "Future[Outcome]") -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _check_losses(losses: int, where: str, error: BrokenProcessPool) -> None:
    log.warning("a worker ended or was not started in %s; what was not done begins anew: %s", where, error)
    if losses == MAX_LOSSES:
        raise ComputeError(
            f"a worker was killed or could not be started {losses} times, the last time in {where}: {error} "
            "If memory is short, lower [compute] workers or rows_per_part"
        )


def _submit(task: Task, workers: int) -> "Future[Outcome]":
    if workers not in _pools:
        # A forked process would inherit the locks of this one's threads, such as Arrow's.
        _pools[workers] = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _prepare_worker)
        # A process that multiprocessing has started waits for its children before it ends, and these for a pool's word.
        Finalize(None, _pools[workers].shutdown, exitpriority=100)  # before the queues of the pool are closed
    # The workers of some queues are daemons, which may have no children, as these would stay when a daemon is ended;
    # but ours end with their parent, however that ends.
    configuration = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    is_daemon = configuration.pop("daemon", None)
    try:
        return _pools[workers].submit(run_task, task)
    except OSError as error:  # a pool that breaks at this moment closes its queue under the worker that it starts
        raise BrokenProcessPool(f"{error}.") from error
    finally:
        if is_daemon is not None:
            configuration["daemon"] = is_daemon


def _prepare_worker() -> None:
    _use_one_core()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent is killed; a pool's worker would wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(1)


def _use_one_core() -> None:
    """Leave the other cores to the other workers."""
    pa.set_cpu_count(1)
    threadpool_limits(1)
