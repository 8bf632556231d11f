"""Commands about models: the later stages by hand, scores, monitoring and releases."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from modelworks.cli.options import (
    AsJson,
    CleanPeriod,
    DatasetUri,
    Force,
    Reason,
    RunId,
    RunName,
    ask_reason,
    load,
    new_run_name,
    print_json,
    print_result,
)

app = typer.Typer()
stage_command = partial(app.command, rich_help_panel="Stages by hand")
serve_command = partial(app.command, rich_help_panel="Serve")
inspect_command = partial(app.command, rich_help_panel="Inspect")

WaitingRun = Annotated[
    str | None, typer.Option("--run", help="Airflow's or MLflow's run.", show_default="the one that waits")
]
AskedReason = Annotated[
    str | None,
    typer.Option("--reason", help="Why; goes on the record with your name.", show_default="asked at the terminal"),
]


@stage_command()
def train(dataset: DatasetUri, run_name: RunName = None, force: Force = False) -> None:
    """Fit the candidate on all periods but those held out, unless a version has the same data, code and settings."""
    from modelworks import stages

    (project, settings), name = load(), run_name or new_run_name()
    compared = stages.compare(project, settings, dataset, name, force=force)
    facts = compared if compared.unchanged else stages.train(project, settings, dataset, name)
    print_json(facts.to_json())


@stage_command()
def evaluate(run: RunId) -> None:
    """Measure the candidate on the held-out rows and judge it."""
    from modelworks import stages

    print_json(stages.evaluate(*load(), run).to_json())


@stage_command()
def deploy(run: RunId, reason: Reason = "") -> None:
    """Register the accepted model and make it the champion."""
    from modelworks import stages

    print_json(stages.deploy(*load(), run, reason=reason).to_json())


@serve_command()
def score(period: CleanPeriod = None, as_json: AsJson = False) -> None:
    """Score a clean period with the champion; a period that it has scored is not scored again."""
    from modelworks import stages

    facts = stages.score(*load(), period)
    print_result(facts, as_json, facts.scores_uri)


@inspect_command()
def monitor(period: CleanPeriod = None, as_json: AsJson = False) -> None:
    """Look for drift in a clean period; a period that was monitored with these rows is not monitored again."""
    from modelworks import stages

    facts = stages.monitor(*load(), new_run_name(), period)
    print_result(facts, as_json, facts.report)


@serve_command()
def approve(run: WaitingRun = None, reason: AskedReason = None) -> None:
    """Approve the release of a model that waits for a person."""
    _answer(True, run, ask_reason(reason, "approve"))


@serve_command()
def reject(run: WaitingRun = None, reason: AskedReason = None) -> None:
    """Reject the release of a model that waits for a person; the champion stays."""
    _answer(False, run, ask_reason(reason, "reject"))


def _answer(approved: bool, run: str | None, reason: str) -> None:
    from modelworks.stack import live

    print(live.answer(*load(), approved, run, reason))


@serve_command()
def rollback(
    to: Annotated[str | None, typer.Option(help="Version to roll back to.", show_default="the previous one")] = None,
    reason: AskedReason = None,
    as_json: AsJson = False,
) -> None:
    """Make an earlier version the champion again, after it is loaded and checked."""
    from modelworks import stages
    from modelworks.airflow.channels import send_rollback
    from modelworks.stack import live

    project, settings = load()
    reason = ask_reason(reason, "rollback", lambda: stages.describe_rollback(settings, to), is_target=True)
    facts, scored = live.rollback(project, settings, to, reason)
    send_rollback(settings, f"{facts.summary}: {reason}")
    print_result(facts, as_json, scored)


@inspect_command()
def explain(
    file: Annotated[
        Path | None,
        typer.Argument(help="JSON as the API takes it: a row, or an array.", show_default="the contract's example"),
    ] = None,
    version: Annotated[str | None, typer.Option(help="Of the model.", show_default="the champion")] = None,
    as_json: AsJson = False,
) -> None:
    """Show how much each feature of a row contributes to its prediction."""
    from modelworks.reporting.console import new_console
    from modelworks.serving.explain_rows import explain_rows, print_explanation

    explained = explain_rows(*load(), file, version)
    if as_json:
        print_json(explained.to_json())
    else:
        print_explanation(new_console(), explained)


@inspect_command()
def reproduce(version: Annotated[str, typer.Argument(help="Version to train again.")], as_json: AsJson = False) -> None:
    """Train a version again from its records, and compare the predictions of both."""
    from modelworks import stages

    print_result(stages.reproduce(*load(), version), as_json)
