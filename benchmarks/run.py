"""Measure what the README claims of speed and memory; `make bench` runs it.

::

    python benchmarks/run.py              all but production, large, model-types, images and tuning
    python benchmarks/run.py run          make run (Airflow) against `run` (no Airflow)
    python benchmarks/run.py cold         from a clone of this repository to a deployed model, part by part
    python benchmarks/run.py ingest       ingest and validate against only reading the same files
    python benchmarks/run.py serving      the prediction API against `mlflow models serve` and an echo (needs wrk)
    python benchmarks/run.py shadow       the prediction API beside a challenger in the shadow against one without (wrk)
    python benchmarks/run.py production   constant load on two replicas while versions change and servers fail (Linux)
    python benchmarks/run.py score        the score stage against a bare predict_proba, and its memory
    python benchmarks/run.py monitor      the monitor stage against only reading the same columns, and its memory
    python benchmarks/run.py adopt        adopting a CSV file against only reading it, and its memory
    python benchmarks/run.py evaluate     a model measured on millions of rows against weighing each row in each draw
    python benchmarks/run.py backtest     a year through a live Airflow against the same without it
    python benchmarks/run.py large        one period of 1 and 10 million rows by each executor; Spark needs Java
    python benchmarks/run.py model-types  the model types: quality, seconds, sizes (needs PyTorch)
    python benchmarks/run.py images       digits by a pre-trained network and by their pixels (needs PyTorch)
    python benchmarks/run.py tuning       the project's tuning against other searches, FLAML and AutoGluon

What is compared runs side by side in one call, in turn, and is printed as ratios: machines are noisy, and a
second here is no second there. Everything is made in `build/bench`, which can be removed at any time.
"""

from __future__ import annotations

import argparse

import adopting
import airflow_overhead
import backtest
import cold_start
import evaluating
import images
import large
import model_types
import monitoring
import production
import scoring
import serving
import shadow
import throughput
import tuning
from projects import locked_versions, prepare_project
from report import describe_machine

PARTS = ["run", "cold", "ingest", "serving", "shadow", "score", "monitor", "adopt", "evaluate", "backtest"]
# These install gigabytes or take long, and run when they are asked for by name.
LARGE_PARTS = ["production", "large", "model-types", "images", "tuning"]


def main() -> None:
    """Read the command line and measure."""
    arguments = _parser().parse_args()
    versions = locked_versions("apache-airflow", "mlflow", "scikit-learn", "pandas", "pyarrow")
    print(describe_machine(versions), flush=True)
    for part in [arguments.what] if arguments.what else PARTS:
        _measure(part, arguments)


def _measure(part: str, arguments: argparse.Namespace) -> None:
    if part == "cold":
        cold_start.measure()
    elif part == "evaluate":
        evaluating.compare(arguments.evaluate_rows, arguments.resamples)
        evaluating.compare_holdouts(arguments.holdout_rows)
    elif part == "model-types":
        model_types.compare(arguments.model_type_rounds, arguments.model_types, on_tensorflow=arguments.tensorflow)
    elif part == "images":
        images.compare()
    else:
        _measure_project(part, arguments)


def _measure_project(part: str, arguments: argparse.Namespace) -> None:
    project = prepare_project()
    if part == "run":
        airflow_overhead.compare(project, arguments.pairs)
        if arguments.profile:
            airflow_overhead.profile(project)
    elif part == "ingest":
        for file_format in arguments.format:
            for rows in arguments.rows:
                throughput.compare(project, rows, file_format, arguments.rounds)
    elif part == "large":
        large.compare(project, arguments.large_rows, arguments.executors)
    elif part == "serving":
        serving.compare(project, arguments.connections, arguments.serving_rounds, arguments.seconds)
    elif part == "shadow":
        shadow.compare(project, arguments.connections, arguments.shares, arguments.serving_rounds, arguments.seconds)
    elif part == "production":
        production.measure(project, arguments.phase_seconds, arguments.rate)
    elif part == "score":
        scoring.compare(project, arguments.score_rows, arguments.score_rounds, arguments.rate_rows)
    elif part == "monitor":
        monitoring.compare(project, arguments.monitor_rows, arguments.monitor_rounds)
    elif part == "adopt":
        adopting.compare(project, arguments.adopt_rows, arguments.adopt_rounds)
    elif part == "backtest":
        backtest.compare(project, arguments.backtest_rounds, *arguments.span)
    elif part == "tuning":
        tuning.compare(project, arguments.tuning_seconds, arguments.seeds, arguments.tuning_only)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=PARTS + LARGE_PARTS, help="default: all but the large ones")
    run = parser.add_argument_group("run")
    run.add_argument("--pairs", type=int, default=5, help="counted pairs, after one that is not; default: %(default)s")
    run.add_argument("--profile", action="store_true", help="show as well where Airflow's seconds go")
    ingest = parser.add_argument_group("ingest")
    ingest.add_argument("--rows", type=int, nargs="+", default=[10**6, 10**7], help="default: 1 and 10 million")
    ingest.add_argument("--format", nargs="+", choices=["parquet", "csv.gz"], default=["parquet"], help="of the source")
    ingest.add_argument("--rounds", type=int, default=1, help="of all commands, in turn; default: %(default)s")
    period = parser.add_argument_group("large")
    period.add_argument("--large-rows", type=int, nargs="+", default=[10**6, 10**7], help="of the period")
    period.add_argument("--executors", nargs="+", choices=large.WAYS, default=[*large.WAYS], help="default: all")
    calls = parser.add_argument_group("serving")
    calls.add_argument("--connections", type=int, nargs="+", default=[1, 8, 64], help="default: 1, 8 and 64")
    calls.add_argument("--serving-rounds", type=int, default=3, help="of all servers, in turn; default: %(default)s")
    calls.add_argument("--seconds", type=int, default=4, help="of one measurement; default: %(default)s")
    calls.add_argument("--shares", type=float, nargs="+", default=[0.1, 1.0], help="of the shadow; default: 0.1 and 1")
    faults = parser.add_argument_group("production")
    faults.add_argument("--phase-seconds", type=float, default=60, help="of a phase at least; default: %(default)s")
    faults.add_argument("--rate", type=float, default=50, help="requests a second; default: %(default)s")
    score = parser.add_argument_group("score")
    score.add_argument("--score-rows", type=int, nargs="+", default=[10**6, 10**7], help="for the memory; 10**8 works")
    score.add_argument("--rate-rows", type=int, default=scoring.RATE_ROWS, help="for the rates; default: %(default)s")
    score.add_argument("--score-rounds", type=int, default=5, help="default: %(default)s")
    monitor = parser.add_argument_group("monitor")
    monitor.add_argument("--monitor-rows", type=int, nargs="+", default=[10**6, 10**7], help="of the period")
    monitor.add_argument("--monitor-rounds", type=int, default=3, help="of each size; default: %(default)s")
    adopt = parser.add_argument_group("adopt")
    adopt.add_argument("--adopt-rows", type=int, nargs="+", default=[500_000, 5_000_000], help="of the file")
    adopt.add_argument("--adopt-rounds", type=int, default=1, help="of each size; default: %(default)s")
    evaluate = parser.add_argument_group("evaluate")
    evaluate.add_argument("--evaluate-rows", type=int, nargs="+", default=[230_000, 2_300_000], help="held out")
    evaluate.add_argument("--resamples", type=int, default=1000, help="of the bootstrap; default: %(default)s")
    evaluate.add_argument("--holdout-rows", type=int, nargs="+", default=[200_000, 2_000_000], help="in parts")
    replay = parser.add_argument_group("backtest")
    replay.add_argument("--backtest-rounds", type=int, default=1, help="of both, in turn; default: %(default)s")
    replay.add_argument("--span", nargs=2, default=["2013-01", "2013-12"], help="first and last period")
    kinds = parser.add_argument_group("model-types")
    kinds.add_argument("--model-type-rounds", type=int, default=3, help="fits of each; default: %(default)s")
    kinds.add_argument("--model-types", nargs="+", choices=model_types.LOCKS, default=[], help="default: all")
    kinds.add_argument("--tensorflow", action="store_true", help="Keras on TensorFlow as well: 1.4 GB more")
    searches = parser.add_argument_group("tuning")
    searches.add_argument("--tuning-seconds", type=float, nargs="+", default=[60, 300], help="default: 60 and 300")
    searches.add_argument("--tuning-only", nargs="+", choices=tuning.TITLES, default=[], help="the others as they were")
    searches.add_argument("--seeds", type=int, default=3, help="how many; default: %(default)s")
    return parser


if __name__ == "__main__":
    main()
