"""The stages as steps of a workflow engine that passes values as text and files: Kubeflow Pipelines, Argo, Tekton.

A step prints its facts as JSON, as the stage by hand does. All steps of a run have its `--run-name`, an empty value
counts as none, and what a later step takes is written to the file `--output` as well. Once `compare` has ended a run,
its later steps do nothing and succeed.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from modelworks.cli.environments import WithEnvironment
from modelworks.cli.options import DatasetUri, load, print_json
from modelworks.errors import ConfigError, ReleaseError

if TYPE_CHECKING:
    from modelworks.project import Project
    from modelworks.settings import Settings

app = typer.Typer(
    cls=WithEnvironment,
    no_args_is_help=True,
    help="Run a stage as a step of a workflow engine: values are text and files, an empty one counts as none.",
)


def _check_name(name: str) -> str:
    """Refuse a name that several runs would share."""
    if not name or "{{" in name:
        raise ConfigError(
            f"--run-name {name!r}: not a run's name; the workflow engine has to fill in the id of its run"
        )
    return name


RunName = Annotated[
    str, typer.Option("--run-name", callback=_check_name, help="Name of the run, the same for all of its steps.")
]
By = Annotated[str, typer.Option(help="Who or what started the run.", show_default="the user of this computer")]
Reason = Annotated[str, typer.Option(help="Why; logged in the ledger.")]
Switch = Literal["true", "false"]
TrialsText = Annotated[
    str, typer.Option("--trials", help="Trials of each model type; 0: no tuning.", show_default="[tuning] trials")
]
Output = Annotated[
    Path | None, typer.Option("--output", help="File to write the URI of the dataset to, which the next step takes.")
]


@app.command()
def ingest(
    period: Annotated[str, typer.Option(help="Newest period.", show_default="the last with labels")] = "",
    refresh: Annotated[
        Switch, typer.Option(help="Ingest a changed source as a new version of its period.", case_sensitive=False)
    ] = "false",
    output: Output = None,
) -> None:
    """Bring the periods of the window into storage, as they are."""
    from modelworks import stages

    facts = stages.ingest(*load(), period or None, refresh=_is_on(refresh))
    _print(facts.to_json(), output)


@app.command()
def validate(dataset: DatasetUri, run_name: RunName, reason: Reason = "", by: By = "", output: Output = None) -> None:
    """Quarantine the rows that break the contract, and judge each period."""
    from modelworks import stages

    facts = stages.validate(*load(), dataset, run_name, by=by or None, reason=reason)
    _print(facts.to_json(), output)


@app.command()
def compare(
    dataset: DatasetUri,
    run_name: RunName,
    trials: TrialsText = "",
    force: Annotated[
        Switch,
        typer.Option(
            help="Go on even if a version has the same data, code and settings.",
            case_sensitive=False,
        ),
    ] = "false",
) -> None:
    """End the run if a version was trained from exactly this data, code and settings."""
    from modelworks import stages

    n_trials = _read_trials(trials)
    _print(stages.compare(*load(), dataset, run_name, n_trials, force=_is_on(force)).to_json())


@app.command()
def tune(dataset: DatasetUri, run_name: RunName, trials: TrialsText = "") -> None:
    r"""Tune each model type, where `--trials` or \[tuning] asks for it."""
    from modelworks import stages
    from modelworks.models.model_type import model_types_to_tune

    project, settings = load()
    if _has_ended(project, settings, run_name):
        return
    n_trials = _read_trials(trials)
    wanted = model_types_to_tune(project, settings, n_trials)
    tuned = [stages.tune(project, settings, dataset, run_name, each, n_trials).to_json() for each in wanted]
    _print({"tuned": tuned, "summary": "; ".join(each["summary"] for each in tuned) or "no tuning is asked for"})


@app.command()
def train(dataset: DatasetUri, run_name: RunName) -> None:
    """Fit the candidate on all periods but those held out."""
    from modelworks import stages

    project, settings = load()
    if not _has_ended(project, settings, run_name):
        _print(stages.train(project, settings, dataset, run_name).to_json())


@app.command()
def evaluate(run_name: RunName) -> None:
    """Measure the candidate on the held-out rows and judge it; a refused one fails the step."""
    from modelworks import stages

    project, settings = load()
    if not _has_ended(project, settings, run_name):
        _print(stages.evaluate(project, settings, _find(project, settings, run_name)).to_json())


@app.command()
def deploy(run_name: RunName, by: By = "") -> None:
    """Register the accepted model and make it the champion; without an approval that is asked for, the step fails."""
    from modelworks import stages

    project, settings = load()
    if not _has_ended(project, settings, run_name):
        run_id = _find(project, settings, run_name)
        _print(stages.deploy(project, settings, run_id, by=by or None).to_json())


def _print(facts: dict[str, Any], output: Path | None = None) -> None:
    print_json(facts)
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(facts["dataset_uri"], encoding="utf-8")


def _is_on(switch: str) -> bool:
    return switch == "true"


def _read_trials(text: str) -> int | None:
    if text and not text.isdecimal():
        raise ConfigError(f"--trials {text!r}: not a number, such as 20; 0: no tuning, empty: [tuning] trials")
    return int(text) if text else None


def _has_ended(project: "Project", settings: "Settings", run_name: str) -> bool:
    """Whether `compare` has ended the run, which is then printed in place of a stage's facts."""
    from modelworks.state.status import find_unchanged

    unchanged = find_unchanged(project, settings, run_name)
    if unchanged:
        why = f"version {unchanged} was trained from exactly this data, code and settings"
        _print({"unchanged": unchanged, "summary": f"nothing to do: {why}"})
    return bool(unchanged)


def _find(project: "Project", settings: "Settings", run_name: str) -> str:
    from modelworks.registry.tracker import Tracker

    run_id = Tracker(project, settings).runs.find(run_name)
    if run_id is None:
        raise ReleaseError(f"--run-name {run_name}: no such run; the step `validate` opens it")
    return run_id
