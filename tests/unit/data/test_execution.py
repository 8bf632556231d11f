"""One function on many parts: the same results, in order, by every executor."""

import errno
import multiprocessing
import multiprocessing.util
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from modelworks.data import execution
from modelworks.data.execution import map_parts
from modelworks.errors import ComputeError, ConfigError, ContractError
from modelworks.settings import Compute

pytestmark = pytest.mark.slow

LOCAL, ONE, TWO, THREE = (
    Compute(),
    Compute(executor="processes", workers=1),
    Compute(executor="processes", workers=2),
    Compute(executor="processes", workers=3),
)


@dataclass(frozen=True)
class Number:
    value: int
    folder: str = ""

    @property
    def where(self) -> str:
        return f"part {self.value}"


def square(item: Number) -> int:
    time.sleep(0.02 * (5 - item.value))  # the last is done first
    return item.value**2


def refuse_three(item: Number) -> int:
    if item.value == 3:
        raise ContractError("column 'temp': 12 nulls")
    if item.value == 4:
        raise ContractError("not the first")
    return item.value


def divide(item: Number) -> float:
    return 1 / (item.value - 2)


def die_once(item: Number) -> int:
    mark = Path(item.folder) / f"died-{item.value}"
    if item.value == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item.value


def die(item: Number) -> int:
    if multiprocessing.parent_process():
        os.kill(os.getpid(), signal.SIGKILL)
    return item.value


@pytest.mark.parametrize("compute", [LOCAL, ONE, TWO, THREE])
def test_results_are_in_the_order_of_the_items(compute: Compute) -> None:
    assert map_parts(square, [Number(each) for each in range(5)], compute) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize("compute", [LOCAL, TWO])
def test_function_without_a_module_can_be_mapped(compute: Compute) -> None:
    scale = 3
    assert map_parts(lambda item: scale * item.value, [Number(1), Number(2)], compute) == [3, 6]


@pytest.mark.parametrize("compute", [LOCAL, TWO])
def test_own_error_of_the_first_part_that_has_one_is_raised_as_itself_and_names_the_part(compute: Compute) -> None:
    with pytest.raises(ContractError, match=r"^column 'temp': 12 nulls \(in part 3\)$"):
        map_parts(refuse_three, [Number(each) for each in range(5)], compute)


@pytest.mark.parametrize("compute", [LOCAL, TWO])
def test_any_other_error_names_the_part_as_well(compute: Compute) -> None:
    with pytest.raises(ZeroDivisionError) as found:
        map_parts(divide, [Number(each) for each in range(5)], compute)
    assert found.value.__notes__ == ["in part 2"]


def test_killed_worker_is_replaced_and_its_part_done_again(tmp_path: Path) -> None:
    items = [Number(each, str(tmp_path)) for each in range(6)]
    assert map_parts(die_once, items, TWO) == [0, 1, 2, 3, 4, 5]
    assert (tmp_path / "died-2").exists()


def test_workers_that_are_killed_again_and_again_end_the_stage_with_one_message() -> None:
    with pytest.raises(ComputeError, match=r"killed .* 3 times, the last time in part 0: .* If memory is short, lower"):
        map_parts(die, [Number(0), Number(1)], TWO)
    assert map_parts(square, [Number(4), Number(3)], TWO) == [16, 9]


def test_pool_that_breaks_while_it_starts_a_worker_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "_pools", {})
    map_parts(square, [Number(4), Number(5)], THREE)
    execution._pools[3]._call_queue._reader.close()  # as the pool's own thread does once a worker was killed
    assert map_parts(square, [Number(each) for each in range(5)], THREE) == [0, 1, 4, 9, 16]


def _start_none(*_arguments: object) -> None:
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def test_worker_that_cannot_be_started_ends_the_stage_with_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "_pools", {})
    monkeypatch.setattr(multiprocessing.util, "spawnv_passfds", _start_none)  # what a limit of processes does
    with pytest.raises(ComputeError, match=r"could not be started 3 times.*temporarily unavailable\. If memory"):
        map_parts(square, [Number(0), Number(1)], TWO)


def _map_as_a_daemon(results: "multiprocessing.Queue[list[int]]") -> None:
    results.put(map_parts(square, [Number(4), Number(5)], TWO))


def test_processes_can_be_started_from_a_daemon_such_as_a_worker_of_a_queue() -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    daemon = context.Process(target=_map_as_a_daemon, args=(results,), daemon=True)
    daemon.start()
    daemon.join()
    assert results.get(timeout=60) == [16, 25]


DRIVER = """
import sys
sys.path[:0] = {path!r}
from modelworks.data.execution import map_parts
from modelworks.settings import Compute
from test_execution import Number, sign_and_wait

if __name__ == "__main__":
    map_parts(sign_and_wait, [Number(0, {folder!r}), Number(1, {folder!r})], Compute(executor="processes", workers=2))
"""


def sign_and_wait(item: Number) -> None:
    (Path(item.folder) / str(os.getpid())).touch()
    time.sleep(600)


def test_workers_end_with_their_driver_however_that_ends(tmp_path: Path) -> None:
    program = tmp_path / "driver.py"
    path = [str(Path(__file__).parent), *sys.path]
    workers = tmp_path / "workers"
    workers.mkdir()
    program.write_text(DRIVER.format(path=path, folder=str(workers)))
    driver = subprocess.Popen([sys.executable, str(program)])
    while driver.poll() is None and len(list(workers.iterdir())) < 2:
        time.sleep(0.1)
    driver.kill()
    driver.wait()
    pids = [int(each.name) for each in workers.iterdir()]
    assert len(pids) == 2
    until = time.monotonic() + 600
    while any(map(is_running, pids)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(is_running, pids))


def is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_spark_wants_an_address() -> None:
    with pytest.raises(ValueError, match="wants spark_url, such as sc://host:15002"):
        Compute(executor="spark")


def test_one_part_needs_no_cluster() -> None:
    assert map_parts(square, [Number(5)], Compute(executor="spark", spark_url="sc://127.0.0.1:1")) == [25]


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modelworks.data.spark", None)
    with pytest.raises(ConfigError, match=r'executor = "spark".*add the extra "spark"'):
        map_parts(square, [Number(1), Number(2)], Compute(executor="spark", spark_url="sc://127.0.0.1:1"))
