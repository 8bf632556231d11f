"""Score: a clean month by the champion."""

from collections import Counter
from collections.abc import Iterator

import pandas as pd
from sklearn.pipeline import Pipeline

from .. import releases, scoring, storage, task
from ..config import Settings, load_settings
from ..errors import NoChampionError
from ..storage import Partition
from ..tracking import Tracker, Version
from .common import Facts, newest_clean, stage

NAMED_CLASSES = 5


@stage
def score(month: str | None = None) -> Facts:
    """Score a clean month, by default the newest, with the champion; scores that are there are found.

    Raises
    ------
    NoChampionError
        If nothing has been released yet.
    PartitionError
        If there is no such month, or it is damaged.
    """
    settings = load_settings()
    tracker = Tracker(settings)
    champion = releases.find_champion(tracker, releases.settle(settings, tracker))
    if champion is None:
        raise NoChampionError("no champion yet to score with; `make run` trains and releases the first")
    clean = newest_clean(settings, month)
    scores, found = find_scores(settings, clean, champion), "found"
    if scores is None:
        scores, found = _write_scores(settings, clean, champion, releases.load_version(tracker, champion)), "scored"
    decisions = scores.facts["decisions"]
    told = f"{task.EXPECTED} {scores.facts['expected']:.4g}"
    return {
        "month": clean.month,
        "model_version": champion.version,
        "scores_uri": f"{scores.uri}/{scores.file}",
        "rows": scores.rows,
        "decisions": decisions,
        "result": f"{clean.month}: {scores.rows:,} rows {found}, by version {champion.version}; "
        + "; ".join([told, *_tell(decisions)]),
    }


def _tell(decisions: dict[str, int]) -> list[str]:
    """How often each class was decided for, the most frequent first; nothing where the target is a number."""
    named = [f"{count:,} of {name}" for name, count in list(decisions.items())[:NAMED_CLASSES]]
    others = len(decisions) - len(named)
    return [f"decisions: {', '.join(named)}" + (f" and of {others} other classes" if others else "")] if named else []


def find_scores(settings: Settings, clean: Partition, champion: Version) -> Partition | None:
    """The scores of these very rows by the champion, if they have been written."""
    wanted = _score_facts(settings, champion)
    for scores in storage.find_partitions(settings.storage_uri, "scores", clean.month):
        if scores.source_sha256 == clean.sha256 and wanted.items() <= scores.facts.items():
            return scores
    return None


def score_batches(settings: Settings, clean: Partition, champion: Version, model: Pipeline) -> Iterator[pd.DataFrame]:
    """What the champion says of each row, batch by batch."""
    batches = storage.read_batches(clean, scoring.columns(model), scoring.CHUNK_ROWS)
    threshold, threads = settings.serving.decision_threshold, settings.training.threads
    return scoring.score_batches(batches, model, champion.version, threshold, threads)


def _write_scores(settings: Settings, clean: Partition, champion: Version, model: Pipeline) -> Partition:
    decisions, expected = Counter[str](), 0.0
    with storage.new_partition(settings.storage_uri, "scores", clean.month) as writer:
        for scores in score_batches(settings, clean, champion, model):
            expected += float(task.expect(task.from_columns(scores)).sum())
            if "decision" in scores:
                decisions.update({str(name): count for name, count in scores["decision"].value_counts().items()})
            writer.write(scores)
        return writer.publish(
            source=clean.uri,
            source_sha256=clean.sha256,
            contract_version=clean.contract_version,
            **_score_facts(settings, champion),
            decisions=dict(decisions.most_common()),
            expected=expected / max(writer.rows, 1),
        )


def _score_facts(settings: Settings, champion: Version) -> Facts:
    """What scores of the same rows depend on; versions count anew in each registry, so the model is named as well."""
    return {
        "model_version": champion.version,
        "model_uri": champion.model_uri,
        "decision_threshold": settings.serving.decision_threshold,
    }
