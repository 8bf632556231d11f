"""Jobs that tests run on Spark. This file becomes a module of a project's package, which is sent to the workers.

    python -c "from flight_delays.jobs import main; main()" JOB FOLDER [URL]

Without a URL the job is a loop in this process.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from modelworks import Project, load_project, load_settings
from modelworks.data import partitions, validation
from modelworks.data.partitions import Partition
from modelworks.errors import ContractError

VERSION = "one"


def validate_period(item: tuple[Project, Partition, str]) -> list[object]:
    """The clean and the quarantined rows of a period, with some rows that break the contract, and its facts."""
    project, raw, storage_uri = item
    origin = {"source": raw.uri, "source_sha256": raw.sha256, "contract_version": project.contract.version}
    accumulator = validation.PeriodAccumulator(project.contract)
    with (
        partitions.new_partition(storage_uri, "clean", raw.period) as clean,
        partitions.new_partition(storage_uri, "quarantine", raw.period) as quarantine,
    ):
        for batch in partitions.read_batches(raw, rows=4_000):
            rows = batch.assign(distance=batch["distance"].where(batch.index % 1000 != 7, -1))
            duplicated = validation.find_duplicates(project.contract, rows)
            kept, rejected = validation.split_rows(project.contract, rows, duplicated, raw.period)
            clean.write(kept)
            quarantine.write(rejected)
            accumulator.add(kept, rejected)
        published = [quarantine.publish(**origin), clean.publish(**origin, **asdict(accumulator.facts()))]
    return [each.sha256 for each in published] + [asdict(accumulator.facts())]


def validate_slowly(item: tuple[Project, Partition, str]) -> list[object]:
    """The same, after time enough to kill the driver."""
    time.sleep(1)
    return validate_period(item)


def sleep(item: tuple[int, float]) -> list[object]:
    """The number of an item and the id of its process, after some time."""
    time.sleep(item[1])
    return [item[0], os.getpid()]


def refuse(number: int) -> int:
    """A number, or an error of the engine's own."""
    if number > 1:
        raise ContractError(f"part {number}: column 'carrier': 12 nulls, 0 allowed")
    return number


def die_once(folder: str) -> int:
    """The id of a process, the second that was asked; the first has killed itself."""
    if not (mark := Path(folder) / "killed").exists():
        mark.write_text(str(os.getpid()), encoding="utf-8")
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def square(number: int) -> int:
    """The square of a number."""
    return number * number


def report_version(_: int) -> list[str]:
    """What this module and the engine are, here."""
    import modelworks

    return [VERSION, str(modelworks.__file__), __file__]


def compare_trees(folder: Path, spark_url: str) -> list[object]:
    """XGBoost trained on Spark twice: once as the engine does it, and once by Spark's own model.

    Returns the rows, the greatest difference between the probabilities of the model that was taken over and those that
    Spark's model gives on the cluster, and whether both have the same trees, byte for byte.
    """
    import numpy as np
    import pyarrow as pa

    from modelworks.data.spark import rows_on_spark
    from modelworks.models import part_columns, spark_training
    from modelworks.models.types import _xgboost

    project, settings = load_project(Path.cwd()), load_settings(Path.cwd())
    found = partitions.find_partitions(str(folder), "clean", "2013-01")
    sample = partitions.read_partition(found[-1]).head(500)
    plan = spark_training.plan(project, settings, settings.model, sample, found, held_out=None)
    workers, columns = len(plan.tasks), [part_columns.FEATURES, part_columns.LABEL]
    table = pa.Table.from_batches([batch for task in plan.tasks for batch in part_columns.encode_parts(task)])
    matrix = np.stack(table[columns[0]].to_numpy())
    with rows_on_spark(part_columns.encode_parts, plan.tasks, part_columns.SCHEMA, spark_url) as rows:
        taken = plan.estimator.fit_on_spark(rows, *columns, matrix.shape[1], plan.tasks[0].classes, workers).estimator_
        unfitted = plan.estimator.with_types(matrix.shape[1])
        model = _xgboost.train_on_spark(unfitted, rows, *columns, workers)
        there = model.transform(rows).select("probability").collect()
    probability = np.array([row["probability"].toArray() for row in there])
    difference = np.abs(probability - taken.predict_proba(matrix)).max()
    is_same = model.get_booster().save_raw("ubj") == taken.get_booster().save_raw("ubj")
    return [len(matrix), workers, float(difference), bool(is_same)]


def jobs(folder: Path) -> dict[str, tuple[Callable[..., object], list[object]]]:
    """The function and the items of each job."""
    home = Path.cwd()
    project, settings = load_project(home), load_settings(home)
    raw = [
        partition
        for period in partitions.list_periods(settings.storage_uri, "raw")
        for partition in partitions.find_partitions(settings.storage_uri, "raw", period)
    ]
    periods: list[object] = [(project, partition, str(folder)) for partition in raw]
    return {
        "validate": (validate_period, periods),
        "validate-slowly": (validate_slowly, periods),
        "sleep": (sleep, [(number, (number * 7 % 4) / 2) for number in range(12)]),
        "refuse": (refuse, list(range(4))),
        "square": (square, [1, 2, 3]),
        "die": (die_once, [str(folder)]),
        "version": (report_version, [0, 1]),
    }


def main() -> None:
    """Print the results as JSON, or the error's class and text."""
    name, folder, *url = sys.argv[1:]
    if name == "compare-trees":
        print(json.dumps(compare_trees(Path(folder), url[0])))
        return
    function, items = jobs(Path(folder))[name]
    try:
        if url:
            from modelworks.data.spark import map_on_spark

            results = map_on_spark(function, items, url[0])
        else:
            results = [function(item) for item in items]
    except Exception as error:  # whatever arrives here is what the tests look at
        results = [type(error).__module__, type(error).__name__, str(error), *getattr(error, "__notes__", [])]
        print(json.dumps(results))
        sys.exit(1)
    print(json.dumps(results))
