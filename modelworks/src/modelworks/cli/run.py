"""Commands that run several stages."""

import gc
import os
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelworks.cli.options import (
    AsJson,
    Force,
    Period,
    Reason,
    Refresh,
    RunName,
    Trials,
    WithoutAirflow,
    load,
    new_run_name,
    open_console,
    print_json,
)
from modelworks.errors import ConfigError, PipelineError
from modelworks.settings import check_disk, explain_disk, written_folders

if TYPE_CHECKING:
    from rich.console import Console

    from modelworks.project import Project
    from modelworks.settings import Settings
    from modelworks.state.status import RunSummary

app = typer.Typer()
command = partial(app.command, rich_help_panel="Run")

Answer = Annotated[
    bool | None, typer.Option("--approve/--reject", help="The answer in advance, where a person has to approve.")
]


@command()
def run(
    period: Period = None,
    refresh: Refresh = False,
    force: Force = False,
    reason: Reason = "",
    answer: Answer = None,
    trials: Trials = None,
    without_airflow: WithoutAirflow = False,
    run_name: RunName = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show Airflow's log here, not in a file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the training DAG once, on Airflow in this process: ingest to deploy, and a summary.

    If a version was trained from exactly this data, code and settings, the run says so and ends.
    """
    from modelworks import stages
    from modelworks.models.model_type import model_types_to_tune
    from modelworks.registry.policy import check_policy
    from modelworks.reporting.console import ANSWER_VARIABLE, show_stages
    from modelworks.state.status import find_run, find_unchanged

    if run_name and not without_airflow:
        raise ConfigError("--run-name: Airflow names its runs; give it with --without-airflow")
    if answer is not None:
        os.environ[ANSWER_VARIABLE] = "approve" if answer else "reject"
    project, settings = load()
    # A wrong name, or a disk that is full, is refused before Airflow starts.
    check_policy(settings, code=True)
    check_disk(written_folders(settings))
    stages.check_settings(project, settings)
    model_types_to_tune(project, settings, trials)
    # A copy, since Airflow's log takes the place of both while the DAG runs.
    console = open_console(os.dup(2 if as_json else 1))
    if settings.environment:
        console.print(f"Environment {settings.environment}", style="bold")
    lines = show_stages(console)
    params = Params(period, refresh, trials, force, reason)
    if without_airflow:
        name = run_name or new_run_name()
        ended = _run_stages(project, settings, name, params)
    else:
        ended = _run_dag(settings, console, asdict(params), verbose)
    summary = find_run(project, settings, ended.run_name) if ended.is_evaluated else None
    unchanged = find_unchanged(project, settings, ended.run_name) if ended.succeeded and not summary else None
    if not ended.succeeded and (problem := explain_disk(written_folders(settings), ended.error or lines.failure)):
        ended = replace(ended, error=problem)
    if as_json:
        error = ended.error or lines.failure
        about = {"unchanged": unchanged, "run": summary.to_json() if summary else None}
        print_json({"succeeded": ended.succeeded, "error": error, **about})
    else:
        _print_end(console, ended, summary, unchanged)
    gc.freeze()  # searching Airflow's objects for garbage at the end of the process takes seconds
    raise typer.Exit(0 if ended.succeeded else 1)


@dataclass(frozen=True)
class Params:
    """What the trigger form of the training DAG asks for, by the names that it has there."""

    period: str | None
    refresh: bool
    trials: int | None
    force: bool
    reason: str


@dataclass(frozen=True)
class Ended:
    """How a run ended; `error` is what no stage's line has shown."""

    run_name: str
    succeeded: bool
    is_evaluated: bool
    error: str = ""
    log: str = ""


def _run_dag(settings: "Settings", console: "Console", params: dict[str, object], verbose: bool) -> Ended:
    from modelworks.airflow.run import run_once

    gc.disable()  # Airflow's start makes a great many objects that stay; searching them for garbage takes seconds
    console.print("Starting Airflow ...", style="dim")
    found = run_once(settings, params, verbose=verbose)
    log = f"; Airflow's log: {found.log_file}" if found.log_file else ""
    return Ended(found.run_name, found.succeeded, found.is_evaluated, found.error, log)


def _run_stages(project: "Project", settings: "Settings", name: str, params: Params) -> Ended:
    """Call the stages one after the other; the line of a stage names its error."""
    from modelworks import stages
    from modelworks.models.model_type import model_types_to_tune

    is_evaluated = False
    try:
        raw = stages.ingest(project, settings, params.period, refresh=params.refresh)
        dataset_uri = stages.validate(project, settings, raw.dataset_uri, name, reason=params.reason).dataset_uri
        if stages.compare(project, settings, dataset_uri, name, params.trials, force=params.force).unchanged:
            return Ended(name, True, False)
        for model_type in model_types_to_tune(project, settings, params.trials):
            stages.tune(project, settings, dataset_uri, name, model_type, params.trials)
        trained = stages.train(project, settings, dataset_uri, name)
        is_evaluated = True
        release(project, settings, trained.run_id, params.reason)
    except PipelineError:
        return Ended(name, False, is_evaluated)
    return Ended(name, True, is_evaluated)


def release(project: "Project", settings: "Settings", run_id: str, reason: str) -> str:
    """Evaluate, ask where a person has to approve, and deploy; returns the version."""
    from modelworks import stages
    from modelworks.reporting.console import ask_for_approval

    evaluated = stages.evaluate(project, settings, run_id)
    if evaluated.asks_for_approval:
        given = ask_for_approval(evaluated.question, evaluated.about)
        stages.approve(project, settings, run_id, given.approved, by=given.by, reason=given.reason)
    return stages.deploy(project, settings, run_id, reason=reason).version


def _print_end(console: "Console", ended: Ended, summary: "RunSummary | None", unchanged: str | None) -> None:
    """The summary, and what to do next."""
    from modelworks.state.printing import print_run, print_unchanged

    if summary:
        print_run(console, summary)
    elif unchanged:
        print_unchanged(console, unchanged)
    if ended.succeeded:
        console.print("\n  make status    the champion and its releases")
        console.print("  make up        Airflow, MLflow and the prediction API, in the background")
    elif ended.error:
        console.print(f"error: {ended.error}", markup=False, soft_wrap=True)
    if not ended.succeeded and ended.log:
        console.print(f"\nThe run failed{ended.log}", markup=False, soft_wrap=True)


@command()
def tune(
    trials: Annotated[int, typer.Option(min=1, help="Trials of each model type.")] = 20,
    period: Period = None,
    run_name: RunName = None,
    as_json: AsJson = False,
) -> None:
    """Tune the model types, release nothing, and print the leaderboard and how to keep the best.

    Run again with the same settings, data and code it continues, also after a kill.
    """
    from modelworks import stages
    from modelworks.models.model_type import model_types_to_tune
    from modelworks.registry.lineage import code_sha256
    from modelworks.reporting.console import print_markdown, show_stages

    (project, settings), console = load(), open_console(2 if as_json else 1)
    wanted = model_types_to_tune(project, settings, trials)
    show_stages(console)
    try:
        raw = stages.ingest(project, settings, period)
        data, code = Path(raw.dataset_uri).stem, code_sha256(settings.home)
        name = run_name or f"tune__{settings.digest[:10]}_{data[:10]}_{code[:10]}"
        clean = stages.validate(project, settings, raw.dataset_uri, name)
        for model_type in wanted:
            stages.tune(project, settings, clean.dataset_uri, name, model_type, trials)
        found = stages.leaderboard(project, settings, clean.dataset_uri, name)
    except PipelineError as error:
        if as_json:
            raise
        raise typer.Exit(1) from error  # the line of its stage names it
    if as_json:
        kept = ("name", "model_type", "number", "state", "loss", "fit_seconds", "model")
        trials_of_run = stages.find_trials(project, settings, found.run_id)
        measured = [{name: getattr(trial, name) for name in kept} for trial in trials_of_run]
        print_json({**found.to_json(), "trials": measured})
    else:
        print_markdown(console, found.leaderboard)


@command()
def backtest(
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="To compare with pipeline.toml: frozen, alarms, each-period, always, settings such as "
            "'retraining.every_periods=1,training.window=3', or several joined by +. May be repeated; "
            "configured: nothing else.",
            show_default="those that differ from pipeline.toml",
        ),
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", help="First period.", show_default="11 before the last")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last period.", show_default="the source's last")] = None,
    without_airflow: WithoutAirflow = False,
    as_json: AsJson = False,
) -> None:
    """Replay a year of the source period by period: the configured policy on a live Airflow, others beside it."""
    from modelworks.backtest import run
    from modelworks.backtest.comparison import compare, to_json
    from modelworks.backtest.policies import list_alternatives
    from modelworks.backtest.printing import print_comparison

    (project, settings), console = load(), open_console(2 if as_json else 1)
    periods = run.choose_periods(settings, first, last)
    policies = policy or list_alternatives(settings)
    outcomes = run.backtest(project, settings, console, policies, periods, is_live=not without_airflow)
    span = run.span_served(outcomes, settings.retraining.first_after_periods)
    compared = compare(outcomes, span, settings.evaluation, settings.training.seed)
    print_comparison(project, console, outcomes, span, compared)
    folder = settings.home / "var" / "backtest"
    for file in run.write_pages(project, folder, outcomes, span, compared, settings.within):
        console.print(f"  {file}", soft_wrap=True)
    if as_json:
        print_json(to_json(outcomes, compared))
