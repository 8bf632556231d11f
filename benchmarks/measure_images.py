"""Ways to read the digits of the image example; run in the project's environment, prints a table in Markdown."""

from __future__ import annotations

from time import process_time
from typing import Any

from flight_delays import schema, stages, storage, task, training  # type: ignore[import-not-found]
from flight_delays.config import Model, load_settings  # type: ignore[import-not-found]
from flight_delays.intervals import BlockBootstrap, number_blocks  # type: ignore[import-not-found]
from flight_delays.stages.rows import read_rows, read_training_rows  # type: ignore[import-not-found]

settings = load_settings()

BOOSTING = {"family": "boosting", "min_samples_leaf": 20, "l2_regularization": 5.0}
WAYS: dict[str, dict[str, Any]] = {
    "network, linear (the default)": {},
    "network, boosting": BOOSTING,
    "pixels, linear": {"encoder": "pixels"},
    "pixels, boosting": {"encoder": "pixels", **BOOSTING},
}
HEADER = ["model", "rows learned from", "log loss", "accuracy", "fit, CPU s"]


def load_rows() -> tuple[Any, Any]:
    """Rows to learn from, and those that are held out."""
    dataset = storage.load_dataset(stages.validate(stages.ingest()["dataset_uri"], "bench")["dataset_uri"])
    learned, _, _, holdout = read_training_rows(settings, dataset)
    return learned, read_rows(settings, holdout, held_out=True)[0]


def measure(model: Model, learned: Any, measured: Any) -> list[str]:
    """Figures of a model that has learned from some rows."""
    with training.limit_threads(settings.training):
        started = process_time()
        fitted = training.fit(learned, settings.training, model)
        seconds = process_time() - started
        prediction = training.predict(fitted, measured)
    target = task.code(measured[schema.TARGET])
    losses = BlockBootstrap(number_blocks(measured)[0], 1000, 0.95, 0).mean(task.row_losses(target, prediction))
    accuracy = (prediction.argmax(axis=1) == target).mean()
    told = f"{losses.value:.3f} [{losses.low:.3f}, {losses.high:.3f}]"
    return [f"{len(learned):,}", told, f"{accuracy:.3f}", f"{seconds:.1f}"]


def main() -> None:
    """Each way on all rows, and on so few that what was learned elsewhere should tell."""
    learned, measured = load_rows()
    shuffled = learned.sample(frac=1, random_state=0)
    print(f"{len(measured):,} rows held out; in brackets 95 % intervals\n")
    for cells in (HEADER, ["---", *["---:"] * (len(HEADER) - 1)]):
        print(f"| {' | '.join(cells)} |")
    for rows in (len(shuffled), 300, 100):
        for name, changed in WAYS.items():
            model = settings.model.model_copy(update=changed)
            print(f"| {' | '.join([name, *measure(model, shuffled.head(rows), measured)])} |", flush=True)


if __name__ == "__main__":
    main()
