"""What a stage returns: small facts that the next stage, the DAGs and the command line read.

Each has a JSON form, in which it passes from one process to the next, and a `summary`, the sentence shown to people.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Facts:
    """Base of all facts."""

    def to_json(self) -> dict[str, Any]:
        """The fields by name, as `json.dumps` takes them."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The facts that `to_json` wrote.

        Raises
        ------
        TypeError
            If a field is missing, or there is one that these facts do not have.
        """
        return cls(**fields)


@dataclass(frozen=True)
class Result(Facts):
    """Facts of a stage that is done; `summary` says in a sentence what it did."""

    summary: str


@dataclass(frozen=True, kw_only=True)
class Ingested(Result):
    """A raw dataset; `period` is its newest."""

    dataset_uri: str
    period: str


@dataclass(frozen=True, kw_only=True)
class Validated(Result):
    """A clean dataset of `rows` rows, after `quarantined` rows were set aside; `period` is its newest."""

    dataset_uri: str
    period: str
    run_id: str
    rows: int
    quarantined: int


@dataclass(frozen=True, kw_only=True)
class Compared(Result):
    """Whether there is anything new to train from.

    Attributes
    ----------
    unchanged : released version of the same data, code and settings, for which the run ends; None: it goes on
    """

    run_id: str
    dataset_uri: str
    unchanged: str | None


@dataclass(frozen=True, kw_only=True)
class Tuned(Result):
    """How many trials of a model type are finished."""

    model_type: str
    trials: int


@dataclass(frozen=True, kw_only=True)
class Leaderboard(Result):
    """The models that were measured.

    Attributes
    ----------
    leaderboard : the table in Markdown
    chosen : name of the trial whose model `train` would fit
    """

    run_id: str
    leaderboard: str
    chosen: str


@dataclass(frozen=True, kw_only=True)
class Trained(Result):
    """The run that holds the candidate."""

    run_id: str


@dataclass(frozen=True, kw_only=True)
class FoundPromoted(Result):
    """A version of another environment, by its number in this one; None if it is not here yet."""

    version: str | None


@dataclass(frozen=True, kw_only=True)
class Promoted(Result):
    """The run that holds the copy of another environment's version."""

    run_id: str


@dataclass(frozen=True, kw_only=True)
class Evaluated(Result):
    """An accepted candidate.

    Attributes
    ----------
    asks_for_approval : whether a person has to agree before it is released
    question, about : what that person is asked, and the figures in Markdown
    """

    run_id: str
    asks_for_approval: bool
    question: str
    about: str


@dataclass(frozen=True, kw_only=True)
class Approved(Result):
    """A person agreed to the release of the run's model."""

    run_id: str


@dataclass(frozen=True, kw_only=True)
class Deployed(Result):
    """A new champion; `period` is the newest clean one, the first that it scores."""

    run_id: str
    period: str
    version: str


@dataclass(frozen=True, kw_only=True)
class RolledBack(Result):
    """An earlier version is the champion again."""

    version: str


@dataclass(frozen=True, kw_only=True)
class RolloutFacts(Result):
    """Where a rollout stands.

    Attributes
    ----------
    move : "wait", "ask" (for `rollout promote`), "advance", "promote", "take_back", "stop", or "none" without a rollout
    share : of the requests that the challenger answers; 0: it is in the shadow, or the rollout has ended
    rollout : number of its first step
    """

    move: str
    version: str | None
    champion: str | None
    share: float
    rollout: int | None
    has_ended: bool = True


@dataclass(frozen=True, kw_only=True)
class Reproduced(Result):
    """A version was trained again and predicts the same; `changed` lists what differs and does not matter."""

    version: str
    changed: list[str]


@dataclass(frozen=True, kw_only=True)
class Scored(Result):
    """Scores of a period; `decisions` counts the rows of each class, and is empty where the target is a number."""

    period: str
    model_version: str
    scores_uri: str
    rows: int
    decisions: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Monitored(Result):
    """Findings about a period.

    Attributes
    ----------
    report : link to the page
    retrain : whether a new model is wanted and no run has claimed the request
    reason : for or against a new model
    """

    period: str
    run_id: str
    report: str
    alarms: list[str]
    retrain: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class RetrainingRequest(Facts):
    """A request for a new model that a training run has claimed; `period` is the newest to train on."""

    period: str
    reason: str
