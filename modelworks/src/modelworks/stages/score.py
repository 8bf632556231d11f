"""Score: a clean period by the champion."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pandas as pd
from sklearn.pipeline import Pipeline

from modelworks.data import partitions
from modelworks.data.partitions import Partition
from modelworks.errors import NoChampionError
from modelworks.models import pipeline, scoring
from modelworks.progress import track
from modelworks.project import Project
from modelworks.registry import ledger
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import Version
from modelworks.settings import Settings
from modelworks.stages.common import newest_clean, stage
from modelworks.stages.facts import Scored
from modelworks.wording import count

NAMED_CLASSES = 5


@stage
def score(project: Project, settings: Settings, period: str | None = None) -> Scored:
    """Score a clean period, by default the newest, with the champion; scores that are there are found.

    Raises
    ------
    NoChampionError
        If nothing has been released yet.
    PartitionError
        If there is no such period, or it is damaged.
    """
    tracker = Tracker(project, settings)
    champion = ledger.find_champion(tracker, ledger.reconcile(settings, tracker))
    if champion is None:
        raise NoChampionError("no champion yet to score with; `make run` trains and releases the first")
    clean = newest_clean(settings, period)
    scores, done = find_scores(settings, clean, champion), "found"
    if scores is None:
        # Encoding codes a second time would take a tenth of the time of a score.
        model = pipeline.skip_needless_encoding(ledger.load_version(project, tracker, champion))
        scores, done = _write_scores(project, settings, clean, champion, model), "scored"
    counted = f"{clean.period}: {count(scores.rows, 'row')} {done}, by version {champion.version}"
    expected = f"{project.contract.target.expected_name} {scores.facts['expected']:.4g}"
    return Scored(
        period=clean.period,
        model_version=champion.version,
        scores_uri=f"{scores.uri}/{scores.file}",
        rows=scores.rows,
        decisions=scores.facts["decisions"],
        summary="; ".join([counted, expected, *_describe(scores.facts["decisions"])]),
    )


def _describe(decisions: dict[str, int]) -> list[str]:
    """How often each class was decided for, the most frequent first; nothing where the target is a number."""
    named = [f"{count:,} of {name}" for name, count in list(decisions.items())[:NAMED_CLASSES]]
    others = len(decisions) - len(named)
    return [f"decisions: {', '.join(named)}" + (f" and of {others} other classes" if others else "")] if named else []


def find_scores(settings: Settings, clean: Partition, champion: Version) -> Partition | None:
    """The scores of these very rows by the champion, if they have been written."""
    wanted = _score_facts(settings, champion)
    for scores in partitions.find_partitions(settings.storage_uri, "scores", clean.period):
        if scores.source_sha256 == clean.sha256 and wanted.items() <= scores.facts.items():
            return scores
    return None


def score_batches(
    project: Project, settings: Settings, clean: Partition, champion: Version, model: Pipeline
) -> Iterator[pd.DataFrame]:
    """The champion's score of each row, batch by batch."""
    batches = partitions.read_batches(clean, scoring.columns(project, model), scoring.CHUNK_ROWS)
    threshold, threads = settings.evaluation.decision_threshold, settings.training.threads
    scores = scoring.score_batches(project, batches, model, champion.version, threshold, threads)
    return track(scores, f"scoring {clean.period}", "rows", clean.rows, size=len)


def _write_scores(
    project: Project, settings: Settings, clean: Partition, champion: Version, model: Pipeline
) -> Partition:
    decisions, expected = Counter[str](), 0.0
    with partitions.new_partition(settings.storage_uri, "scores", clean.period) as writer:
        for scores in score_batches(project, settings, clean, champion, model):
            expected += float(project.contract.target.expected(project.contract.target.from_columns(scores)).sum())
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


def _score_facts(settings: Settings, champion: Version) -> dict[str, Any]:
    """What scores of the same rows depend on; version numbers repeat in another registry, so the model is named too."""
    return {
        "model_version": champion.version,
        "model_uri": champion.model_uri,
        "decision_threshold": settings.evaluation.decision_threshold,
    }
