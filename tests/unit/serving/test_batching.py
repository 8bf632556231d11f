import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from modelworks.data.columnar import Columns
from modelworks.serving.batching import BATCH_ROWS, LOOP_ROWS, MicroBatcher


class Recorder:
    """Predicts a tenth of each row's number for one model, and its negative for another."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def predict(self, model: str, rows: Columns) -> np.ndarray:
        if 13 in rows["x"]:
            raise ValueError("thirteen")
        self.calls.append((model, len(rows)))
        sign = 1 if model == "one" else -1
        return np.array([sign * x / 10 for x in rows["x"]])


def to_rows(*values: int) -> Columns:
    return Columns({"x": values}, len(values))


def ask(*requests: tuple[str, list[int]]) -> tuple[Recorder, list[object]]:
    """All requests at once."""

    async def gather() -> list[object]:
        with ThreadPoolExecutor(1) as worker:
            batcher = MicroBatcher(recorder.predict, worker, worker, lambda rows: None)
            tasks = [batcher.predict(model, to_rows(*values)) for model, values in requests]
            return await asyncio.gather(*tasks, return_exceptions=True)

    recorder = Recorder()
    return recorder, asyncio.run(gather())


def test_requests_of_one_moment_are_predicted_together_and_each_gets_its_own() -> None:
    recorder, answers = ask(*[("one", [at, at + 1]) for at in range(20, 60)])
    assert sum(rows for _, rows in recorder.calls) == 80
    assert len(recorder.calls) <= 2
    for at, answer in zip(range(20, 60), answers, strict=True):
        np.testing.assert_allclose(answer, [at / 10, (at + 1) / 10])


def test_a_batch_is_of_one_model() -> None:
    _, answers = ask(("one", [1]), ("other", [2]), ("one", [3]))
    assert [float(answer[0]) for answer in answers] == [0.1, -0.2, 0.3]


def test_what_cannot_be_predicted_fails_alone() -> None:
    _, answers = ask(("one", [1]), ("one", [13]), ("one", [3]))
    assert [type(answer) for answer in answers] == [np.ndarray, ValueError, np.ndarray]


@pytest.mark.parametrize("count", [LOOP_ROWS, LOOP_ROWS + 1, BATCH_ROWS, BATCH_ROWS + 1])
def test_large_request_goes_in_one_piece(count: int) -> None:
    recorder, [answer] = ask(("one", [1] * count))
    assert recorder.calls == [("one", count)]
    assert len(answer) == count


def test_crowd_is_cut_into_batches_of_bounded_size() -> None:
    recorder, answers = ask(*[("one", [1] * 100)] * 10)
    assert max(rows for _, rows in recorder.calls) <= BATCH_ROWS
    assert [len(answer) for answer in answers] == [100] * 10


def test_lone_request_is_answered_without_a_turn_of_the_loop_and_a_crowd_after_it_is_collected() -> None:
    async def gather() -> None:
        with ThreadPoolExecutor(1) as worker:
            batcher = MicroBatcher(recorder.predict, worker, worker, lambda rows: None)
            for _ in range(2):
                with pytest.raises(StopIteration) as ended:
                    batcher.predict("one", to_rows(1)).send(None)
                assert ended.value.value.tolist() == [0.1]
                await asyncio.sleep(0)
            # The first comes alone, as far as anybody can know; those who came with it are collected.
            await asyncio.gather(*(batcher.predict("one", to_rows(1)) for _ in range(8)))
            await asyncio.gather(*(batcher.predict("one", to_rows(1)) for _ in range(7)))

    recorder = Recorder()
    asyncio.run(gather())
    assert [rows for _, rows in recorder.calls] == [1, 1, 1, 7, 7]


def test_large_requests_are_predicted_by_a_thread_and_of_those_that_came_meanwhile_only_the_wrong_one_fails() -> None:
    many = [1] * (LOOP_ROWS + 1)
    recorder, answers = ask(*[("one", many)] * 3, ("one", [13, *many]), ("other", many), ("one", many))
    assert [type(answer) for answer in answers] == [np.ndarray] * 3 + [ValueError] + [np.ndarray] * 2
    assert answers[4].tolist() == [-0.1] * len(many)
    assert recorder.calls[-2:] == [("other", len(many)), ("one", len(many))]


def test_event_loop_answers_a_single_row_while_the_thread_predicts_many() -> None:
    released = threading.Event()

    def predict(model: str, rows: Columns) -> np.ndarray:
        assert len(rows) == 1 or released.wait(20)
        return np.zeros(len(rows))

    async def gather() -> None:
        with ThreadPoolExecutor(1) as thread, ThreadPoolExecutor(1) as worker:
            batcher = MicroBatcher(predict, thread, worker, lambda rows: None)
            many = [asyncio.create_task(batcher.predict("one", to_rows(*[1] * 100))) for _ in range(3)]
            await asyncio.sleep(0.05)
            assert len(await batcher.predict("one", to_rows(1))) == 1
            assert not any(each.done() for each in many)
            released.set()
            assert [len(each) for each in await asyncio.gather(*many)] == [100] * 3

    asyncio.run(gather())
