"""Models by the project's own means on the flights; run in the project's environment, prints JSON.

::

    python automl_rows.py prepare FOLDER        ingest and validate, then write rows to learn from and of the last month
    python automl_rows.py WHAT SEED SECONDS     WHAT: default, search or halving
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import process_time
from typing import Any

import optuna  # type: ignore[import-not-found]
import pandas as pd  # type: ignore[import-untyped]
from flight_delays import families, schema, task, training  # type: ignore[import-not-found]
from flight_delays.automl import trials  # type: ignore[import-not-found]
from flight_delays.automl.choice import choose  # type: ignore[import-not-found]
from flight_delays.config import Search, load_settings  # type: ignore[import-not-found]
from measure_family import load_rows, prepare
from sklearn.experimental import enable_halving_search_cv  # type: ignore[import-not-found]  # noqa: F401
from sklearn.model_selection import HalvingRandomSearchCV  # type: ignore[import-not-found]

FACTOR = 3
N_RUNGS = 3
MAX_TRIALS = 10**6  # only the seconds end a search

settings = load_settings()


def write(folder: Path) -> None:
    """The project's own features and the target, as Parquet: what differs is the search, not the columns."""
    learned, measured = load_rows()
    features = schema.select_features(settings.training.features)
    step = training.sort_features(features, settings.model, settings.training).fit(learned[features])
    for name, frame in (("learned", learned), ("measured", measured)):
        numbers = pd.DataFrame(step.transform(frame[features]), columns=step.get_feature_names_out())
        texts = {each: frame[each].to_numpy() for each in step.texts}
        target = task.code(frame[schema.TARGET]).astype("int64")
        numbers.assign(**texts, target=target).to_parquet(folder / f"{name}.parquet")


def fit_default(frame: Any, seed: int, _: float) -> tuple[Any, str]:
    """[model] as it is, which takes the seconds that it takes."""
    return training.fit(frame, _training(seed), settings.model), ""


def fit_search(frame: Any, seed: int, seconds: float) -> tuple[Any, str]:
    """What the project's search takes: its families have equal parts of what is left, the simplest first."""
    names = sorted(families.to_search(settings, MAX_TRIALS), key=lambda name: families.find(name).complexity)
    rows = trials.arrange(frame, settings.search)
    done, started = [], process_time()
    for at, name in enumerate(names):
        left = (seconds - (process_time() - started)) / (len(names) - at)
        budget = Search(trials=MAX_TRIALS, seconds=max(int(left), 1))
        default, is_own = trials.default_model(name, settings.model), name == settings.model.family
        done += trials.search_family(rows, default, _training(seed), budget, [], lambda _: None, is_own)
    default = next(each for each in done if each.family == settings.model.family and each.number == 0)
    choice = choose(done, default, settings.search, seed)
    return training.fit(frame, _training(seed), choice.model), f"{len(done)} trials, {choice.trial.name} is taken"


def fit_halving(frame: Any, seed: int, seconds: float) -> tuple[Any, str]:
    """The best of boosting by successive halving, on more and more rows of the same folds.

    So many candidates are drawn that they would fill the seconds, if each took as long as the default.
    """
    folds = trials.arrange(frame, settings.search).folds
    features = schema.select_features(settings.training.features)
    target = task.code(frame[schema.TARGET]).astype("int64")
    started = process_time()
    # What one candidate takes on average, of which ever fewer come to a rung with more rows.
    each = sum(
        _time_folds(frame, folds, seed, FACTOR**rung) / FACTOR ** (N_RUNGS - 1 - rung) for rung in range(N_RUNGS)
    )
    left = seconds - (process_time() - started)
    n_candidates = max(int(left / each), FACTOR ** (N_RUNGS - 1))
    halving = HalvingRandomSearchCV(
        training.build_model(features, settings.model, _training(seed)),
        _draw_candidates(n_candidates, seed),
        n_candidates=n_candidates,
        factor=FACTOR,
        min_resources=len(frame) // FACTOR ** (N_RUNGS - 1),
        cv=[(fold.learned, fold.measured) for fold in folds],
        scoring="neg_log_loss",
        random_state=seed,
    ).fit(frame[features], target)
    return halving.best_estimator_, f"{n_candidates} candidates"


def _time_folds(frame: Any, folds: list[Any], seed: int, step: int) -> float:
    """CPU seconds of the default on each `step`-th row of the folds."""
    started = process_time()
    for fold in folds:
        model = training.fit(frame.iloc[fold.learned[::step]], _training(seed), settings.model)
        training.predict(model, frame.iloc[fold.measured[::step]])
    return process_time() - started


def _draw_candidates(count: int, seed: int) -> list[dict[str, list[Any]]]:
    """The family's own space, drawn at random."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    drawn = [families.find("boosting").suggest(study.ask()) for _ in range(count)]
    return [{f"estimator__{name}": [value] for name, value in each.items()} for each in drawn]


def _training(seed: int) -> Any:
    return settings.training.model_copy(update={"seed": seed})


FITS = {"default": fit_default, "search": fit_search, "halving": fit_halving}


def main() -> None:
    """Do what the first word says."""
    if sys.argv[1] == "prepare":
        prepare()
        write(Path(sys.argv[2]))
        return
    what, seed, seconds = sys.argv[1:]
    learned, measured = load_rows()
    with training.limit_threads(settings.training):
        started = process_time()
        model, note = FITS[what](learned, int(seed), float(seconds))
        took = process_time() - started
        losses = task.row_losses(task.code(measured[schema.TARGET]), training.predict(model, measured))
    print(json.dumps({"log_loss": float(losses.mean()), "cpu_s": took, "note": note}))


if __name__ == "__main__":
    main()
