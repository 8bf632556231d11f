"""Compare: look for a version of exactly this data, code and settings, released or rolled out; then the run ends."""

from dataclasses import dataclass
from typing import Any

from modelworks.data import partitions
from modelworks.errors import ReleaseError
from modelworks.project import Project
from modelworks.registry import ledger, lineage, rollouts
from modelworks.registry.files import RECIPE_FILE
from modelworks.registry.promotion import LedgerEntry
from modelworks.registry.rollouts import RolloutStep
from modelworks.registry.tracker import Tracker
from modelworks.settings import Settings
from modelworks.stages.common import GATES_DIGEST, UNCHANGED, run_tags, stage
from modelworks.stages.facts import Compared

TRIALS = "trials"
"""Tag of a run: trials of each model type."""


@dataclass(frozen=True)
class Origin:
    """Everything that a version comes from, and by what it was judged.

    Attributes
    ----------
    settings : digest of [training], [model] and [tuning]
    gates : digest of [gates], without the approval; None where its run does not say
    trials : of each model type, as the run was asked; None where its run does not say
    environment : code, lock, contract, Python, machine and packages
    """

    data: str
    settings: str
    gates: str | None
    trials: str | None
    environment: dict[str, str]

    def changes_since(self, then: "Origin") -> list[str]:
        """What differs from an earlier origin, in words; nothing: the same model and verdict would come of it."""
        parts = {
            "data": self.data != then.data,
            "[training], [model] or [tuning]": self.settings != then.settings,
            "[gates]": self.gates != then.gates,
            "trials": self.trials != then.trials,
        }
        names = [name for name, has_changed in parts.items() if has_changed]
        # A commit may have changed a page only; code is compared by its own digests.
        compared = {name: value for name, value in self.environment.items() if name != "code commit"}
        return names + [name for name, value in compared.items() if then.environment.get(name) != value]


@stage
def compare(
    project: Project,
    settings: Settings,
    dataset_uri: str,
    run_name: str,
    n_trials: int | None = None,
    *,
    force: bool = False,
) -> Compared:
    """Look for a version of exactly this data, code and settings, released or rolled out; then the run ends.

    Parameters
    ----------
    n_trials : overrides [tuning] trials
    force : go on even if there is one
    """
    tracker = Tracker(project, settings)
    dataset = partitions.load_dataset(dataset_uri)
    run_id = tracker.runs.open(run_name, dataset.periods[-1], run_tags(settings, None, ""))
    trials = str(settings.tuning.trials if n_trials is None else n_trials)
    environment = lineage.recipe(project, settings, settings.model)["environment"]
    now = Origin(dataset.digest, settings.digest, settings.gates_digest, trials, environment)
    entries = ledger.read_ledger(settings)
    released = {each.to_version: each for each in entries if each.action == "deploy" and each.run_id != run_id}
    # What traffic has taken back would be trained and rolled out again.
    rolled_out = {each.version: each for each in rollouts.read_steps(settings) if each.run_id != run_id}
    unreleased = {version: step for version, step in rolled_out.items() if version not in released}
    made: dict[str, LedgerEntry | RolloutStep] = {**unreleased, **released}
    changes = {version: now.changes_since(_read_origin(tracker, each)) for version, each in made.items()}
    same = next((version for version in reversed(changes) if not changes[version]), None)
    unchanged = None if force else same
    tracker.runs.set_tags(run_id, {TRIALS: trials, UNCHANGED: unchanged or ""})
    if unchanged:
        tracker.runs.end(run_id, "FINISHED")
    in_force = entries[-1].to_version if entries else None
    summary = _describe(same, in_force, changes.get(in_force or ""), force, was_released=same in released)
    return Compared(run_id=run_id, dataset_uri=dataset_uri, unchanged=unchanged, summary=summary)


def _read_origin(tracker: Tracker, entry: LedgerEntry | RolloutStep) -> Origin:
    """What a version comes from; a run that is gone, or was made by another engine, lacks parts of it."""
    try:
        tags: dict[str, Any] = tracker.runs.tags(entry.run_id)
        found = tracker.runs.find_json(entry.run_id, RECIPE_FILE, {})
    except ReleaseError:
        tags, found = {}, {}
    settings, gates = tags.get("config_digest", ""), tags.get(GATES_DIGEST)
    return Origin(entry.data_digest, settings, gates, tags.get(TRIALS), found.get("environment", {}))


def _describe(
    same: str | None, in_force: str | None, changes: list[str] | None, force: bool, *, was_released: bool
) -> str:
    """The outcome for people.

    Parameters
    ----------
    same : version of the same origin
    in_force : version that is the champion
    changes : since that one; None where it is this run's own
    was_released : whether the version of the same origin has been the champion; if not, it was only rolled out
    """
    if same:
        equal = f"version {same} was trained from exactly this data, code and settings"
        if force:
            return f"{equal}; trained again, since --force asks for it"
        if not was_released:
            return f"{equal}, and rolled out: see `rollout status`; `rollout start {same}` does it again"
        back = f"; it is not the champion now: `rollback --to {same}` makes it that again" if same != in_force else ""
        return f"{equal}: nothing new to release{back}"
    if in_force is None:
        return "nothing has been released yet"
    return f"since version {in_force} changed: {', '.join(changes)}" if changes else "released by this run already"
