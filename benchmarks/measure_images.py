"""Ways to read the digits of the image example; run in the project's environment, prints a table in Markdown."""

from __future__ import annotations

from time import process_time
from typing import Any

from measure_model_type import load_rows, prepare
from modelworks import load_project, load_settings
from modelworks.data.blocks import number_blocks
from modelworks.evaluation.bootstrap import BlockBootstrap
from modelworks.models import pipeline
from modelworks.settings import Model

settings = load_settings()
project = load_project(settings.home)

BOOSTING = {"type": "boosting", "min_samples_leaf": 20, "l2_regularization": 5.0}
WAYS: dict[str, dict[str, Any]] = {
    "network, linear (the default)": {},
    "network, boosting": BOOSTING,
    "pixels, linear": {"encoder": "pixels"},
    "pixels, boosting": {"encoder": "pixels", **BOOSTING},
}
HEADER = ["model", "rows trained on", "log loss", "accuracy", "fit, CPU s"]


def measure(model: Model, train: Any, test: Any) -> list[str]:
    """Figures of a model that is trained on some rows."""
    with pipeline.limit_threads(settings.training):
        started = process_time()
        fitted = pipeline.fit(project, train, settings.training, model)
        seconds = process_time() - started
        prediction = pipeline.predict(project, fitted, test)
    target = project.contract.target
    truth, blocks = target.encode(test[target.column]), number_blocks(project.contract, test)[0]
    losses = BlockBootstrap(blocks, 1000, 0.95, 0).mean(target.row_losses(truth, prediction))
    accuracy = (prediction.argmax(axis=1) == truth).mean()
    interval = f"{losses.value:.3f} [{losses.low:.3f}, {losses.high:.3f}]"
    return [f"{len(train):,}", interval, f"{accuracy:.3f}", f"{seconds:.1f}"]


def main() -> None:
    """Each way on all rows, and on so few that pre-training should show."""
    prepare()
    train, test = load_rows()
    shuffled = train.sample(frac=1, random_state=0)
    print(f"{len(test):,} rows held out; in brackets 95 % intervals\n")
    for cells in (HEADER, ["---", *["---:"] * (len(HEADER) - 1)]):
        print(f"| {' | '.join(cells)} |")
    for rows in (len(shuffled), 300, 100):
        for name, changed in WAYS.items():
            model = settings.model.model_copy(update=changed)
            print(f"| {' | '.join([name, *measure(model, shuffled.head(rows), test)])} |", flush=True)


if __name__ == "__main__":
    main()
