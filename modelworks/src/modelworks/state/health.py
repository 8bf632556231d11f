"""What the state of the project means, and what to do next: one condition, by fixed precedence."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from modelworks.monitoring import records
from modelworks.monitoring.records import Record
from modelworks.registry.runs import TrackedRun
from modelworks.reporting.status_line import Level, StatusLine
from modelworks.stages.common import ACCEPTED, PENDING, REFUSED, REJECTED
from modelworks.state.status import State
from modelworks.state.words import shorten
from modelworks.wording import count

Condition = Literal[
    "registry_differs",
    "waiting_for_approval",
    "refused",
    "failed",
    "no_champion",
    "calibration_drift",
    "drifting",
    "healthy",
]

WORDS: dict[Condition, tuple[str, Level]] = {
    "registry_differs": ("Registry differs from the ledger", "bad"),
    "waiting_for_approval": ("Waiting for approval", "waiting"),
    "refused": ("Last training run refused", "bad"),
    "failed": ("Last training run failed", "bad"),
    "no_champion": ("No champion yet", "waiting"),
    "calibration_drift": ("Calibration drift", "bad"),
    "drifting": ("Drifting", "warning"),
    "healthy": ("Healthy", "good"),
}
"""Word and level of each condition, the one that takes precedence first: what blocks a release, then what is served."""


@dataclass(frozen=True)
class Finding:
    """One condition that holds, why, and what to do next."""

    condition: Condition
    reason: str
    action: str


@dataclass(frozen=True)
class Health:
    """The condition of the project.

    Attributes
    ----------
    finding : the most urgent
    also : the others, by precedence
    """

    finding: Finding
    also: tuple[Finding, ...] = ()

    @property
    def line(self) -> StatusLine:
        """For people."""
        word, level = WORDS[self.finding.condition]
        notes = tuple(f"{WORDS[each.condition][0]}: {each.reason}" for each in self.also)
        return StatusLine(level, word, self.finding.reason, self.finding.action, notes)

    def to_json(self) -> dict[str, Any]:
        """The health as `json.dumps` takes it."""
        word, level = WORDS[self.finding.condition]
        return {**asdict(self.finding), "word": word, "level": level, "also": [asdict(each) for each in self.also]}


def assess(state: State) -> Health:
    """The condition of the project; it reads nothing."""
    found = [
        _registry_differs(state),
        _waiting_for_approval(state),
        _last_run(state),
        _no_champion(state),
        _calibration_drift(state),
        _drifting(state),
    ]
    findings = [each for each in found if each] or [_healthy(state)]
    return Health(findings[0], tuple(findings[1:]))


def _registry_differs(state: State) -> Finding | None:
    """The ledger is the truth."""
    last = state.ledger[-1] if state.ledger else None
    by_ledger, by_alias = last.to_version if last else None, state.registry_champion
    if by_alias == by_ledger:
        return None
    reason = (
        f"The champion is version {by_ledger or 'none'} by the ledger, and version {by_alias or 'none'} by the "
        "registry's alias: it was moved by hand, released from another storage, or a release was cut short"
    )
    if last is None:
        action = "set [storage] uri to the storage with the ledger, or remove the alias in MLflow's registry"
    elif by_alias in {None, last.from_version}:
        action = f"the next training run moves the alias to version {by_ledger}: `make run`"
    else:
        action = f"move the alias back to version {by_ledger} in MLflow's registry; until then training runs fail"
    return Finding("registry_differs", reason, action)


def _waiting_for_approval(state: State) -> Finding | None:
    run = next((each for each in state.runs if _is_waiting(each, state)), None)
    if run is None:
        return None
    reason = f"the gates accepted the model of {run.name or run.run_id}, and a person has to agree to its release"
    return Finding("waiting_for_approval", reason, "read its run, then answer: `approve` or `reject`, or in Airflow")


def _is_waiting(run: TrackedRun, state: State) -> bool:
    """Whether an answer would still be taken: no other champion was released since the comparison."""
    tags, champion = run.tags, state.status.champion
    is_open = tags.get("verdict") == ACCEPTED and tags.get("approval") == PENDING and "model_version" not in tags
    compared_with = tags.get("compared_with")
    is_current = compared_with is None or compared_with == (champion.version if champion else "none")
    return is_open and is_current and run.status not in {"FAILED", "KILLED"}


def _last_run(state: State) -> Finding | None:
    """Whether the last training run was refused, or broke off."""
    run = next((each for each in state.runs if not _had_no_verdict(each)), None)
    if run is None or "model_version" in run.tags:
        return None
    stays = "; the champion stays" if state.status.champion else ""
    name = run.name or run.run_id
    if run.tags.get("verdict") == REFUSED:
        reason = f"{name}: {shorten(run.tags.get('refusal', ''))}{stays}"
        return Finding("refused", reason, "improve the data, the features or the model, then `make run`")
    if run.status == "FAILED" and run.tags.get("approval") != REJECTED:
        return Finding("failed", f"{name} broke off{stays}", "read its error in the log, fix it, then `make run`")
    return None


def _had_no_verdict(run: TrackedRun) -> bool:
    """Whether a run tuned only, or found nothing new to train from: what came before it still holds."""
    return run.status == "FINISHED" and not {"verdict", "model_version"} & run.tags.keys()


def _no_champion(state: State) -> Finding | None:
    if state.status.champion:
        return None
    return Finding("no_champion", "nothing has been released", "`make run` trains and releases the first model")


def _calibration_drift(state: State) -> Finding | None:
    """Whether the calibration of the champion's predictions drifted in the newest period that was measured."""
    own = [each for each in records.latest_performance(state.records).values() if serves(state, each.model_version)]
    measured = [each for each in own if each.figures]
    if not measured or not measured[-1].is_alarm:
        return None
    last = measured[-1]
    drifted = f" by {last.figures.calibration_drift}" if last.figures and last.figures.calibration_drift else ""
    reason = f"the calibration of version {last.model_version} drifted{drifted} in {last.period}"
    return Finding("calibration_drift", reason, _retrain(state))


def _drifting(state: State) -> Finding | None:
    """Whether the newest period that was compared with the champion's training data has drifted."""
    compared = [each for each in state.records if each.drift and serves(state, each.champion)]
    if not compared or not compared[-1].drift_alarm:
        return None
    last = compared[-1]
    drifted = [each.column for each in last.drift if each.drifted]
    first = f", {drifted[0]} most" if drifted else ""
    reason = f"{len(drifted)} of {count(len(last.drift), 'column')} drifted in {last.period}{first}"
    return Finding("drifting", reason, _retrain(state))


def serves(state: State, version: str | None) -> bool:
    """Whether a version is the champion."""
    champion = state.status.champion
    return champion is not None and champion.version == version


def _last_request(state: State) -> Record | None:
    """The last request to replace the present champion."""
    request = records.last_request(state.records)
    return request if request and serves(state, request.champion) else None


def _retrain(state: State) -> str:
    """What to do about an alarm: nothing where a run acts on it already."""
    request = _last_request(state)
    if request is None:
        return "no new model was requested ([retraining] in pipeline.toml): `make run` trains one"
    if name := state.claims.get(request.sequence):
        return f"run {name} trains a new model: wait for it"
    return f"a new model was requested in {request.period}: the training DAG takes the request, or `make run`"


def _healthy(state: State) -> Finding:
    champion = state.status.champion
    assert champion  # else there were a finding
    seen = f"no alarm in {state.records[-1].period}" if state.records else "no period has been monitored yet"
    action = "nothing to do; monitoring looks at the next period when its data come"
    if _last_request(state):
        action = _retrain(state)
    elif state.rollout and state.rollout.in_force:
        action = f"{state.rollout.summary}: Airflow moves it, or `rollout watch`"
    return Finding("healthy", f"version {champion.version} serves; {seen}", action)
