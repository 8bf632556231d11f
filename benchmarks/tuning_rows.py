"""Models by the project's own means on the flights; run in the project's environment, prints JSON.

::

    python tuning_rows.py prepare FOLDER        ingest and validate, then write rows to train on and of the last period
    python tuning_rows.py WHAT SEED SECONDS     WHAT: default, tune or halving
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import process_time
from typing import Any

import optuna  # type: ignore[import-not-found]
import pandas as pd  # type: ignore[import-untyped]
from sklearn.experimental import enable_halving_search_cv  # type: ignore[import-not-found]  # noqa: F401
from sklearn.model_selection import HalvingRandomSearchCV  # type: ignore[import-not-found]

from measure_model_type import load_rows, prepare
from modelworks import load_project, load_settings
from modelworks.models import derived, pipeline
from modelworks.models.model_type import model_types_to_tune
from modelworks.models.tuning import folds
from modelworks.models.tuning.choice import choose
from modelworks.models.tuning.tune import tune_model_type
from modelworks.settings import Tuning

FACTOR = 3
N_RUNGS = 3
MAX_TRIALS = 10**6  # only the seconds end a search

settings = load_settings()
project = load_project(settings.home)
contract, target = project.contract, project.contract.target


def write(folder: Path) -> None:
    """The project's own features and the target, as Parquet: what differs is the tuning, not the columns."""
    train, test = load_rows()
    found = derived.derive(project, train, settings.training)
    features = found.features
    step = pipeline.make_column_encoder(project, features, settings.model, settings.training, found.kinds)
    step.fit(found.frame[features])
    for name, frame in (("learned", train), ("measured", test)):
        rows = derived.derive(project, frame, settings.training).frame
        numbers = pd.DataFrame(step.transform(rows[features]), columns=step.get_feature_names_out())
        texts = {each: rows[each].to_numpy() for each in step.texts}
        encoded = target.encode(frame[target.column]).astype("int64")
        numbers.assign(**texts, target=encoded).to_parquet(folder / f"{name}.parquet")


def fit_default(frame: Any, seed: int, _: float) -> tuple[Any, str]:
    """[model] as it is, which takes the seconds that it takes."""
    return pipeline.fit(project, frame, _training(seed), settings.model), ""


def fit_tuned(frame: Any, seed: int, seconds: float) -> tuple[Any, str]:
    """What the project's tuning chooses: its model types have equal parts of what is left, the simplest first."""
    wanted = model_types_to_tune(project, settings, MAX_TRIALS)
    names = sorted(wanted, key=lambda name: project.find_model_type(name).complexity)
    rows = folds.arrange(project, frame, settings.tuning, settings.training, settings.source.period)
    done, started = [], process_time()
    for at, name in enumerate(names):
        left = (seconds - (process_time() - started)) / (len(names) - at)
        budget = Tuning(trials=MAX_TRIALS, seconds=max(int(left), 1))
        done += tune_model_type(project, rows, name, settings.model, _training(seed), budget, [], lambda _: None)
    default = next(each for each in done if each.model_type == settings.model.type and each.number == 0)
    choice = choose(project, done, default, settings.tuning, seed)
    return pipeline.fit(project, frame, _training(seed), choice.model), f"{len(done)} trials, {choice.trial.name}"


def fit_halving(frame: Any, seed: int, seconds: float) -> tuple[Any, str]:
    """The best of boosting by successive halving, on more and more rows of the same folds.

    So many candidates are drawn that they would fill the seconds, if each took as long as the default.
    """
    rows = folds.arrange(project, frame, settings.tuning, settings.training, settings.source.period)
    found = derived.derive(project, frame, settings.training)
    started = process_time()
    # What one candidate takes on average; fewer and fewer of them come to a rung with more rows.
    each = sum(
        _time_folds(frame, rows.folds, seed, FACTOR**rung) / FACTOR ** (N_RUNGS - 1 - rung) for rung in range(N_RUNGS)
    )
    left = seconds - (process_time() - started)
    n_candidates = max(int(left / each), FACTOR ** (N_RUNGS - 1))
    halving = HalvingRandomSearchCV(
        pipeline.build_model(project, found.features, settings.model, _training(seed), found.kinds),
        _draw_candidates(n_candidates, seed),
        n_candidates=n_candidates,
        factor=FACTOR,
        min_resources=len(frame) // FACTOR ** (N_RUNGS - 1),
        cv=[(fold.train, fold.test) for fold in rows.folds],
        scoring="neg_log_loss",
        random_state=seed,
    ).fit(found.frame[found.features], target.encode(frame[target.column]).astype("int64"))
    return halving.best_estimator_, f"{n_candidates} candidates"


def _time_folds(frame: Any, all_folds: list[Any], seed: int, step: int) -> float:
    """CPU seconds of the default on each `step`-th row of the folds."""
    started = process_time()
    for fold in all_folds:
        model = pipeline.fit(project, frame.iloc[fold.train[::step]], _training(seed), settings.model)
        pipeline.predict(project, model, frame.iloc[fold.test[::step]])
    return process_time() - started


def _draw_candidates(count: int, seed: int) -> list[dict[str, list[Any]]]:
    """The model type's own search space, drawn at random."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    drawn = [project.find_model_type("boosting").search_space(study.ask()) for _ in range(count)]
    return [{f"estimator__{name}": [value] for name, value in each.items()} for each in drawn]


def _training(seed: int) -> Any:
    return settings.training.model_copy(update={"seed": seed})


FITS = {"default": fit_default, "tune": fit_tuned, "halving": fit_halving}


def main() -> None:
    """Do what the first word says."""
    if sys.argv[1] == "prepare":
        prepare()
        write(Path(sys.argv[2]))
        return
    what, seed, seconds = sys.argv[1:]
    train, test = load_rows()
    with pipeline.limit_threads(settings.training):
        started = process_time()
        model, note = FITS[what](train, int(seed), float(seconds))
        took = process_time() - started
        rows = derived.derive(project, test, settings.training).frame if what == "halving" else test
        prediction = pipeline.predict(project, model, rows)
        losses = target.row_losses(target.encode(test[target.column]), prediction)
    print(json.dumps({"log_loss": float(losses.mean()), "cpu_s": took, "note": note}))


if __name__ == "__main__":
    main()
