"""The stages on the command line, without Airflow."""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .errors import PipelineError, StackError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, help=__doc__)

Month = Annotated[
    str | None, typer.Option(help="Newest month, which is held out, as YYYY-MM.", show_default="the last with labels")
]
Refresh = Annotated[bool, typer.Option(help="Take a source that changed as a new version of its month.")]
DatasetUri = Annotated[str, typer.Option("--dataset", help="URI that the stage before printed.")]
PipelineRun = Annotated[
    str | None, typer.Option("--run-name", help="Name of the pipeline run; the same name is one MLflow run.")
]
RunId = Annotated[str, typer.Option("--run", help="MLflow run that `train` printed.")]
Answer = Annotated[
    bool | None, typer.Option("--approve/--reject", help="Answer beforehand, where a person has to agree.")
]
Reason = Annotated[str, typer.Option(help="Why; goes into the ledger.")]
WaitingRun = Annotated[
    str | None, typer.Option("--run", help="Airflow's or MLflow's run.", show_default="the one that waits")
]
AnswerReason = Annotated[
    str, typer.Option("--reason", help="Why; goes on the record with your name.", prompt="Why", show_default=False)
]
Trials = Annotated[
    int | None,
    typer.Option(min=0, help="Models to try of each family; 0: no search.", show_default="[search] trials"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print stable JSON for programs.")]
Verbose = Annotated[bool, typer.Option(help="Show all that is logged.")]


@app.callback()
def _configure(verbose: Verbose = False) -> None:
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, stream=sys.stderr)
    if not verbose:
        from .console import hide_stages

        hide_stages()


@app.command()
def run(
    month: Month = None,
    refresh: Refresh = False,
    run_name: PipelineRun = None,
    reason: Reason = "",
    answer: Answer = None,
    trials: Trials = None,
) -> None:
    """Run all stages, ingest to deploy, and end with a summary."""
    from . import families, stages, status
    from .config import load_settings
    from .console import ANSWER_VARIABLE, ask_for_approval, new_console, print_run, show_stages

    if answer is not None:
        os.environ[ANSWER_VARIABLE] = "approve" if answer else "reject"

    console = new_console()
    show_stages(console)
    pipeline_run = run_name or _new_name()
    raw = stages.ingest(month, refresh=refresh)
    clean = stages.validate(raw["dataset_uri"], pipeline_run, reason=reason)
    for family in families.to_search(load_settings(), trials):
        stages.search(clean["dataset_uri"], pipeline_run, family, trials)
    trained = stages.train(clean["dataset_uri"], pipeline_run)
    try:
        evaluated = stages.evaluate(trained["run_id"])
        if evaluated["asks_for_approval"]:
            given = ask_for_approval(evaluated["question"], evaluated["about"])
            stages.approve(trained["run_id"], given.approved, by=given.by, reason=given.reason)
        stages.deploy(trained["run_id"], reason=reason)
    finally:
        if summary := status.find_run(load_settings(), pipeline_run):
            print_run(console, summary)


@app.command()
def search(
    trials: Annotated[int, typer.Option(min=1, help="Models to try of each family.")] = 20,
    month: Month = None,
    run_name: PipelineRun = None,
) -> None:
    """Try other models than [model], release nothing, and tell which would be taken and how to keep it.

    Once more with the same settings, data and code it goes on where it was, after a kill as well.
    """
    from . import families, lineage, stages
    from .config import load_settings
    from .console import new_console, print_markdown, show_stages

    console = new_console()
    show_stages(console)
    settings = load_settings()
    wanted = families.to_search(settings, trials)
    raw = stages.ingest(month)
    data, code = Path(raw["dataset_uri"]).stem, lineage.code_sha256(settings.home)
    pipeline_run = run_name or f"search__{settings.digest[:10]}_{data[:10]}_{code[:10]}"
    clean = stages.validate(raw["dataset_uri"], pipeline_run)
    for family in wanted:
        stages.search(clean["dataset_uri"], pipeline_run, family, trials)
    found = stages.leaderboard(clean["dataset_uri"], pipeline_run)
    print_markdown(console, found["leaderboard"])


@app.command()
def ingest(month: Month = None, refresh: Refresh = False) -> None:
    """Bring the months of the window into storage, as they are."""
    from . import stages

    _print(stages.ingest(month, refresh=refresh))


@app.command()
def validate(dataset: DatasetUri, run_name: PipelineRun = None, reason: Reason = "") -> None:
    """Set aside the rows that break the contract, and judge each month."""
    from . import stages

    _print(stages.validate(dataset, run_name or _new_name(), reason=reason))


@app.command()
def train(dataset: DatasetUri, run_name: PipelineRun = None) -> None:
    """Fit the candidate on all months but the newest."""
    from . import stages

    _print(stages.train(dataset, run_name or _new_name()))


@app.command()
def evaluate(run: RunId) -> None:
    """Measure the candidate on the held-out month and judge it."""
    from . import stages

    _print(stages.evaluate(run))


@app.command()
def deploy(run: RunId, reason: Reason = "") -> None:
    """Register the accepted model and make it the champion."""
    from . import stages

    _print(stages.deploy(run, reason=reason))


@app.command()
def score(
    month: Annotated[str | None, typer.Option(help="As YYYY-MM.", show_default="the newest clean one")] = None,
    as_json: AsJson = False,
) -> None:
    """Score a clean month with the champion; what is scored already is found."""
    from . import stages

    facts = stages.score(month)
    if as_json:
        _print(facts)
    else:
        print(f"{facts['result']}\n{facts['scores_uri']}")


@app.command()
def monitor(
    month: Annotated[str | None, typer.Option(help="As YYYY-MM.", show_default="the newest clean one")] = None,
) -> None:
    """Look for drift and decay in a clean month; a month that was monitored with these rows is found."""
    from . import stages

    _print(stages.monitor(_new_name(), month))


@app.command()
def year(
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="To compare with pipeline.toml: frozen, always, settings such as "
            "'retraining.every_months=1,training.window_months=3', or several joined by +. May be repeated; "
            "configured: with nothing else.",
            show_default="frozen and always",
        ),
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="The configured policy on a live Airflow.")] = False,
    first: Annotated[str | None, typer.Option("--from", help="First month.", show_default="11 before the last")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last month.", show_default="the source's last")] = None,
) -> None:
    """Live through a year of the source again, month by month: what would have been served, by which policy."""
    from .config import load_settings
    from .console import new_console
    from .replay import year as replaying

    settings, console = load_settings(), new_console()
    months = replaying.choose_months(settings, first, last)
    outcomes = replaying.replay_year(settings, console, policy or ["frozen", "always"], months, live)
    span = replaying.span_served(outcomes, settings.retraining.first_after_months)
    replaying.print_comparison(console, outcomes, span)
    for file in replaying.write_pages(settings.home / "var" / "year", outcomes, span):
        console.print(f"  {file}", soft_wrap=True)


@app.command("simulate-drift")
def simulate_drift(
    month: Annotated[str, typer.Argument(help="Month that arrives changed, as YYYY-MM.")],
    column: Annotated[str, typer.Option(help="Of the contract; the target, to change the labels.")],
    shift: Annotated[float | None, typer.Option(help="Add it.")] = None,
    scale: Annotated[float | None, typer.Option(help="Multiply by it.")] = None,
    constant: Annotated[float | None, typer.Option(help="Set all values to it.")] = None,
    nulls: Annotated[float | None, typer.Option(help="Empty this share of the rows.")] = None,
    shuffle: Annotated[float | None, typer.Option(help="Shuffle this share of the rows among themselves.")] = None,
    flip: Annotated[float | None, typer.Option(help="Turn this share of the labels into their contrary.")] = None,
    policy: Annotated[str, typer.Option(help="As for `year`.")] = "configured",
) -> None:
    """Let a month arrive changed, in a world of its own, and see which alarms it raises and what follows."""
    from .config import load_settings
    from .console import new_console
    from .errors import ConfigError
    from .replay import year as replaying
    from .replay.perturbation import Perturbation

    kinds = {"shift": shift, "scale": scale, "constant": constant, "nulls": nulls, "shuffle": shuffle, "flip": flip}
    given = [(kind, amount) for kind, amount in kinds.items() if amount is not None]
    if len(given) != 1:
        raise ConfigError(f"one change is wanted, by one of --{', --'.join(kinds)}")
    settings, console = load_settings(), new_console()
    change = Perturbation(month, column, given[0][0], given[0][1])  # type: ignore[arg-type]
    replaying.print_months(console, replaying.simulate(settings, console, change, policy))


@app.command()
def approve(run: WaitingRun = None, reason: AnswerReason = "") -> None:
    """Agree to the release of a model that waits for a person."""
    from .config import load_settings
    from .stack import live

    print(live.answer(load_settings(), True, run, reason))


@app.command()
def reject(run: WaitingRun = None, reason: AnswerReason = "") -> None:
    """Refuse the release of a model that waits for a person; the champion stays."""
    from .config import load_settings
    from .stack import live

    print(live.answer(load_settings(), False, run, reason))


@app.command()
def rollback(
    to: Annotated[str | None, typer.Option(help="Version to go back to.", show_default="the one before")] = None,
    reason: Annotated[
        str,
        typer.Option(help="Why; goes into the ledger.", prompt="Why", show_default=False),
    ] = "",
) -> None:
    """Make a version that was released before the champion again, once it has been loaded and tried."""
    from .config import load_settings
    from .stack import live

    print(live.rollback(load_settings(), to, reason))


@app.command()
def history(as_json: AsJson = False) -> None:
    """Show every move of the champion: when, what, by whom and why."""
    from .config import load_settings
    from .console import new_console, print_ledger
    from .status import read_status

    ledger = read_status(load_settings())["ledger"]
    if as_json:
        print(json.dumps(ledger, indent=1))
    elif ledger:
        print_ledger(new_console(), ledger)
    else:
        print("Nothing has been released yet; `make run` trains and releases the first model.")


@app.command()
def reproduce(version: Annotated[str, typer.Argument(help="Version to train again.")]) -> None:
    """Train a version again from what was recorded of it, and compare the predictions."""
    from . import stages

    print(stages.reproduce(version)["result"])


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show the processes of `up`, the champion, its figures, the data and the latest releases."""
    from .config import load_settings
    from .console import new_console, print_processes, print_status
    from .stack.processes import read_processes
    from .status import read_status

    settings = load_settings()
    processes = read_processes(settings)
    if as_json:
        print(json.dumps({**read_status(settings), "processes": processes}, indent=1))
    else:
        console = new_console()
        print_processes(console, processes)
        print_status(console, read_status(settings))


@app.command()
def report(
    to: Annotated[Path | None, typer.Option(help="File to write.", show_default="var/report.html")] = None,
) -> None:
    """Write the state as one HTML page: champion, figures over time, drift, decisions, releases, runs and data."""
    from . import state_report
    from .config import load_settings

    settings = load_settings()
    file = to or settings.home / "var" / "report.html"
    state_report.write_report(settings, file)
    print(file)


@app.command()
def up() -> None:
    """Start Airflow, MLflow and the prediction API in the background, and wait until they are healthy."""
    from .config import load_settings
    from .console import new_console
    from .stack import lifecycle

    lifecycle.up(load_settings(), new_console())


@app.command()
def down() -> None:
    """Stop everything that `up` has started."""
    from .config import load_settings
    from .console import new_console
    from .stack import lifecycle

    lifecycle.down(load_settings(), new_console())


@app.command()
def logs(
    process: Annotated[str | None, typer.Argument(help="Only this one's, such as mlflow.")] = None,
    lines: Annotated[int, typer.Option(help="So many of the last lines of each.", min=0)] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written; Ctrl-C ends it.")] = False,
) -> None:
    """Show what the processes of `up` have written."""
    from .config import load_settings
    from .stack.processes import log_files

    files = log_files(load_settings(), process)
    os.execvp("tail", ["tail", "-n", str(lines), *(["-F"] if follow else []), *map(str, files)])  # noqa: S606


@app.command()
def trigger(month: Month = None, refresh: Refresh = False, reason: Reason = "", trials: Trials = None) -> None:
    """Start the training DAG on the Airflow of `up`, and follow it to its end."""
    from . import status
    from .config import load_settings
    from .console import new_console, print_run
    from .stack import live
    from .stack.airflow_api import AirflowApi

    settings, console = load_settings(), new_console()
    conf = {"month": month, "refresh": refresh, "reason": reason, "trials": trials}
    run_id, state = live.trigger(AirflowApi(settings), console, conf)
    if summary := status.find_run(settings, run_id, settings.mlflow_url):
        print_run(console, summary)
    if state != "success":
        raise StackError(f"run {run_id}: {state}")


@app.command()
def adopt(
    table: Annotated[
        str, typer.Argument(help="CSV or Parquet file; a path, s3://, https://, ...", metavar="PATH_OR_URI")
    ],
    target: Annotated[str, typer.Option(help="Column to predict.", show_default=False)],
    time: Annotated[
        list[str] | None,
        typer.Option(
            help="When a row happened: one column, or its parts year, month, day, hour, minute, or date and time."
        ),
    ] = None,
    key: Annotated[list[str] | None, typer.Option(help="Columns that tell rows apart.")] = None,
    group: Annotated[
        str, typer.Option(help="Rows with the same value are held out together.", show_default=False)
    ] = "",
    outcome: Annotated[list[str] | None, typer.Option(help="Columns that are known only afterwards.")] = None,
    feature: Annotated[
        list[str] | None, typer.Option(help="Columns that are features, whatever they look like.")
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option(help="Columns that are categories, though they are numbers.")
    ] = None,
    task: Annotated[
        Literal["auto", "binary", "multiclass", "regression"], typer.Option(help="What kind of target it is.")
    ] = "auto",
    yes: Annotated[bool, typer.Option("--yes", help="Take what is proposed; nothing is asked.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over what is not committed.")] = False,
) -> None:
    """Make any table this project's data: infer the contract, show it, and write all that follows from it."""
    from . import adoption
    from .console import new_console

    lists = [time, key, outcome, feature, text]
    times, keys, outcomes, features, texts = (each or [] for each in lists)
    choices = adoption.Choices(target, times, keys, group, outcomes, features, texts, task, yes, force)
    adoption.adopt(table, choices, new_console())


@app.command("import")
def import_file(
    file: Annotated[str, typer.Argument(help="CSV or Parquet file, with the columns of the adopted one.")],
    month: Annotated[
        str | None, typer.Option(help="In which it came, as YYYY-MM; only for rows without a time.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Write over months that are there.")] = False,
) -> None:
    """Convert a further file as `adopt` has converted the first."""
    from . import adoption
    from .console import new_console

    adoption.import_file(file, month, replace, new_console())


def main() -> None:
    """Run a command; whatever goes wrong is one message and exit status 1."""
    try:
        app()
    except PipelineError as error:
        sys.exit(f"error: {error}")
    except Exception as error:
        if logging.getLogger().isEnabledFor(logging.INFO):
            raise
        sys.exit(f"error: {type(error).__name__}: {error} (--verbose before the command shows where)")


def _print(facts: dict[str, Any]) -> None:
    print(json.dumps(facts, indent=1))


def _new_name() -> str:
    return f"cli__{datetime.now(UTC).isoformat(timespec='milliseconds')}"
