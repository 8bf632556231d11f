"""Steps that take long show how far they are, in each of the places where people look."""

import io
import json
import re
import time
from contextvars import copy_context
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from commands import run_python
from flights import FLIGHTS
from modelworks import progress, stages
from modelworks.models import pipeline
from modelworks.progress import LogLines, Progress, use_display
from modelworks.reporting.console import StageLines
from modelworks.settings import Settings, load_settings
from modelworks.stages.common import log


class Kept:
    """Keeps the last progress of each step."""

    interval_s = 0.0

    def __init__(self) -> None:
        self.steps: dict[str, Progress] = {}

    def show(self, step: object, progress: Progress) -> None:
        self.steps[progress.what] = progress

    def end(self, step: object) -> None:
        pass


@pytest.fixture
def kept() -> Kept:
    return Kept()


def in_context(display: Kept, run) -> None:
    """Call with a display that is used by nobody else."""
    copy_context().run(lambda: (use_display(display), run()))


def train_and_release(settings: Settings) -> None:
    raw = stages.ingest(FLIGHTS, settings, None)
    clean = stages.validate(FLIGHTS, settings, raw.dataset_uri, "run")
    stages.tune(FLIGHTS, settings, clean.dataset_uri, "run", "linear", 1)
    stages.tune(FLIGHTS, settings, clean.dataset_uri, "run", "boosting", 1)
    trained = stages.train(FLIGHTS, settings, clean.dataset_uri, "run")
    stages.deploy(FLIGHTS, settings, stages.evaluate(FLIGHTS, settings, trained.run_id).run_id)


def test_every_long_step_counts_all_that_it_does(project: Path, kept: Kept) -> None:
    settings = load_settings()

    def run() -> None:
        train_and_release(settings)
        stages.score(FLIGHTS, settings)
        stages.monitor(FLIGHTS, settings, "monitoring")

    in_context(kept, run)
    rows = {each: stages.newest_clean(settings, each).rows for each in ("2013-06", "2013-07")}
    for period, count in rows.items():
        for what in ("ingesting", "validating"):
            assert kept.steps[f"{what} {period}"].done == count
    assert kept.steps["scoring 2013-07"].done == kept.steps["scoring 2013-07"].total == rows["2013-07"]
    assert kept.steps["bootstrap"].done == 1 + settings.evaluation.bootstrap_resamples
    assert kept.steps["linear 0"].done == settings.tuning.folds
    assert {"validating", "reading", "slices of carrier"} <= set(kept.steps)
    assert [what for what, found in kept.steps.items() if found.total is not None and found.done > found.total] == []


def test_a_slow_fit_has_lines_in_the_log(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, shown, fit = load_settings(), io.StringIO(), pipeline.fit

    def fit_slowly(*arguments: object) -> object:
        while "fitting boosting" not in shown.getvalue():
            time.sleep(0.01)
        return fit(*arguments)

    monkeypatch.setattr(pipeline, "fit", fit_slowly)
    monkeypatch.setattr(progress, "LogLines", partial(LogLines, 0.1))
    monkeypatch.setattr(log, "handlers", [StageLines(Console(file=shown, width=200))])
    monkeypatch.setattr(log, "level", 20)
    clean = stages.validate(FLIGHTS, settings, stages.ingest(FLIGHTS, settings, None).dataset_uri, "run")
    stages.train(FLIGHTS, settings, clean.dataset_uri, "run")
    rows = clean.rows - stages.newest_clean(settings).rows
    assert re.search(rf"train     \.\.\. fitting boosting to {rows:,} rows: \d+ s", shown.getvalue())


def test_a_command_without_a_terminal_has_lines_on_standard_error(released: Path) -> None:
    program = (
        "import modelworks.reporting.progress as progress\n"
        "progress.console_display = lambda console: progress.ConsoleLines(console, 0.0)\n"
        "from modelworks.cli import main\n"
        "main()\n"
    )
    done = run_python("-c", program, "score", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    rows = f"{facts['rows']:,}"
    line = rf"(?m)^  \.\.\. scoring {facts['period']}: {rows} of {rows} rows \(100%\), \d+ s$"
    assert re.search(line, done.stderr)
