"""What is known of a challenger: the counts of the API, both models on logged rows, and the move that follows."""

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from modelworks.data import files
from modelworks.data.filesystems import open_filesystem
from modelworks.monitoring.rollout_policy import Decision, Situation, decide
from modelworks.monitoring.traffic import Traffic, read_traffic
from modelworks.project import Project
from modelworks.registry import rollouts
from modelworks.registry.rollouts import RolloutStep
from modelworks.registry.tracker import Tracker
from modelworks.settings import Settings
from modelworks.stages.replay import Replayed, replay


def judge(project: Project, settings: Settings, tracker: Tracker, steps: Sequence[RolloutStep]) -> Decision:
    """The move that follows the last step; the comparison is kept in the storage."""
    last = steps[-1]
    began = next(step for step in steps if step.sequence == last.rollout)
    at = datetime.now(UTC)
    folder = rollouts.folder_of(settings, last)
    traffic = read_traffic(folder, [last.number])
    traffic.champion = read_traffic(folder, range(last.number + 1)).champion
    replayed = replay(project, settings, tracker, last, datetime.fromisoformat(began.at))
    if replayed:
        _keep(settings, last, at, replayed, traffic)
    situation = Situation(
        share=last.share,
        is_last=last.number + 1 >= len(settings.rollout.shares(last.release)),
        minutes=(at - datetime.fromisoformat(last.at)).total_seconds() / 60,
        hours=rollouts.hours_of(steps, at),
        traffic=traffic,
        compared=replayed.in_step if replayed else 0,
        comparison=replayed.comparison if replayed else None,
    )
    return decide(situation, settings.rollout, settings.evaluation.interval_level)


def read_comparison(settings: Settings, step: RolloutStep) -> dict[str, Any] | None:
    """The last comparison of a rollout, as JSON; None before the first."""
    fs, path = open_filesystem(_comparison_file(settings, step))
    with suppress(FileNotFoundError):
        return dict(json.loads(fs.cat_file(path)))
    return None


def _keep(settings: Settings, step: RolloutStep, at: datetime, replayed: Replayed, traffic: Traffic) -> None:
    content = {
        "at": at.isoformat(timespec="seconds"),
        "version": step.version,
        "champion": step.champion,
        "step": step.number,
        "share": step.share,
        "comparison": replayed.comparison.to_json(),
        "traffic": traffic.to_json(),
    }
    files.replace_at(_comparison_file(settings, step), json.dumps(content, indent=1).encode())


def _comparison_file(settings: Settings, step: RolloutStep) -> str:
    return f"{rollouts.folder_of(settings, step)}/comparison.json"
