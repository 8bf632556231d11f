"""Score: a clean period by the champion."""

import math
from collections import Counter
from typing import Any

from sklearn.pipeline import Pipeline

from modelworks.data import partitions
from modelworks.data.execution import is_shared, map_parts
from modelworks.data.partitions import Partition
from modelworks.data.shipping import Shipped, ship
from modelworks.errors import NoChampionError
from modelworks.models import part_scores, pipeline
from modelworks.models.part_scores import PartToScore
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
        scores_uri=scores.files[0] if len(scores.parts) == 1 else scores.uri,
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


def parts_to_score(
    settings: Settings, clean: Partition, champion: Version, shipped: Shipped, scores: str = ""
) -> list[PartToScore]:
    """The parts of a period, as `part_scores.score_part` takes them.

    Parameters
    ----------
    shipped : project and model
    scores : URI of the folder for the scores
    """
    compute, threshold = settings.compute, settings.evaluation.decision_threshold
    threads = 1 if is_shared(compute, len(clean.parts)) else settings.training.threads
    return [
        PartToScore(
            each.where, shipped, clean.period, clean.uri, each.part, champion.version, threshold, threads, scores
        )
        for each in clean.located
    ]


def _write_scores(
    project: Project, settings: Settings, clean: Partition, champion: Version, model: Pipeline
) -> Partition:
    decisions, expected = Counter[str](), []
    rows_per_part = settings.compute.rows_per_part
    with partitions.new_partition(settings.storage_uri, "scores", clean.period, rows_per_part) as writer:
        shipped = ship((project, model), writer.attempt, settings.compute, len(clean.parts))
        tasks = parts_to_score(settings, clean, champion, shipped, writer.attempt)
        for made in map_parts(part_scores.score_part, tasks, settings.compute, f"scoring {clean.period}"):
            writer.add(made.part)
            decisions.update(made.decisions)
            expected.append(made.expected)
        return writer.publish(
            source=clean.uri,
            source_sha256=clean.sha256,
            contract_version=clean.contract_version,
            **_score_facts(settings, champion),
            decisions=dict(sorted(decisions.items(), key=lambda each: (-each[1], each[0]))),
            # In the order of the parts, each summed in the order of its rows: the same for every executor.
            expected=math.fsum(expected) / max(writer.rows, 1),
        )


def _score_facts(settings: Settings, champion: Version) -> dict[str, Any]:
    """What scores of the same rows depend on; version numbers repeat in another registry, so the model is named too."""
    return {
        "model_version": champion.version,
        "model_uri": champion.model_uri,
        "decision_threshold": settings.evaluation.decision_threshold,
    }
