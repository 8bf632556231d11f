"""Explanations on the command line: rows as the API takes them, by the champion or another version."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from modelworks.data import frames
from modelworks.errors import ContractError, NoChampionError
from modelworks.models import pipeline
from modelworks.models.explanations import Explainer, Explanation
from modelworks.project import Project
from modelworks.registry import ledger
from modelworks.registry.tracker import Tracker
from modelworks.serving.file_forms import read_recipe
from modelworks.serving.payload import AnswerWriter, RequestReader, Rows
from modelworks.serving.problems import Refusal
from modelworks.settings import Settings


@dataclass(frozen=True)
class Explained:
    """Rows with their predictions and what these are made of.

    Attributes
    ----------
    predictions : as the API answers them
    values : of each feature, by row
    """

    model_version: str
    predictions: list[dict[str, Any]]
    explanation: Explanation
    values: Rows

    def to_json(self) -> dict[str, Any]:
        """The same as the API answers."""
        explanation = self.explanation.to_json()
        return {"model_version": self.model_version, "predictions": self.predictions, "explanation": explanation}


def explain_rows(project: Project, settings: Settings, file: Path | None, version: str | None) -> Explained:
    """Predict rows and explain the predictions.

    Parameters
    ----------
    file : JSON, a row or an array of them; None for the contract's example
    version : None for the champion

    Raises
    ------
    ContractError
        If the file cannot be read, or a row breaks the contract.
    NoChampionError
        If there is no champion, and no version is named.
    ExplanationError
        If the model's predictions are no sum of contributions of its features.
    """
    rows = _read_rows(project, settings, file)
    tracker = Tracker(project, settings)
    champion = ledger.find_champion(tracker, ledger.read_ledger(settings))
    found = tracker.versions.get(version) if version else champion
    if found is None:
        raise NoChampionError("nothing has been released yet, so there is no model to explain; `make run` releases one")
    model = ledger.load_version(project, tracker, found)
    frame = frames.to_frame(project.contract, rows, list(model.feature_names_in_))
    with pipeline.limit_threads(settings.training):
        explanation = Explainer(project, model).explain(frame)
        prediction = pipeline.predict(project, model, frame)
    writer = AnswerWriter(project.contract.target, settings.evaluation.decision_threshold)
    return Explained(
        model_version=found.version,
        predictions=writer.to_predictions(prediction, writer.decide(prediction)),
        explanation=explanation,
        values=rows,
    )


def _read_rows(project: Project, settings: Settings, file: Path | None) -> Rows:
    contract = project.contract
    try:
        body = file.read_bytes() if file else json.dumps(contract.example).encode()
        rows, _ = RequestReader(contract, settings.serving.max_rows, read_recipe(settings.home)).read(body)
    except OSError as error:
        raise ContractError(f"{file}: {error.strerror}; name a file of JSON with a row, or an array of rows") from None
    except Refusal as refusal:
        errors = "; ".join(f"{field}: {message}" for field, message in refusal.errors)
        raise ContractError(f"{file or 'the example of contract.py'}: {errors}") from None
    return rows


def print_explanation(console: Console, explained: Explained) -> None:
    """A table of each row, and of each class: the features by the size of their contribution."""
    explanation = explained.explanation
    for at, (prediction, values) in enumerate(zip(explained.predictions, explained.values, strict=True)):
        console.print()
        console.print(f"[bold]Row {at + 1}[/]      {_describe(prediction)}, by version {explained.model_version}")
        for output, name in enumerate(explanation.outputs):
            _print_parts(console, explanation, values, at, output, name)


def _print_parts(
    console: Console, explanation: Explanation, values: dict[str, Any], row: int, output: int, name: str
) -> None:
    contributions = explanation.contributions[row, :, output]
    unit = f"{explanation.unit}{f' of {name}' if name else ''}"
    table = Table("feature", "value", box=None, pad_edge=False, header_style="bold")
    table.add_column(unit, justify="right")
    table.add_row("base", "", f"{explanation.base[output]:+.4f}")
    for at in np.argsort(-np.abs(contributions), kind="stable"):
        feature = explanation.features[at]
        table.add_row(Text(feature), Text(str(values.get(feature, "derived"))), f"{contributions[at]:+.4f}")
    table.add_row("margin", "", f"{explanation.margin[row, output]:+.4f}")
    console.print(table)


def _describe(prediction: dict[str, Any]) -> str:
    if "prediction" in prediction:
        return f"prediction {prediction['prediction']:,.4g}"
    if "probability" in prediction:
        return f"probability {prediction['probability']:.4f}, decision {prediction['decision']}"
    return f"decision {prediction['decision']}"
