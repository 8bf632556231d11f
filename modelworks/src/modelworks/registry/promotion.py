"""A release: an entry of the ledger, the entry that a rollback goes to, and the checks before one is written."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from modelworks.errors import ReleaseError
from modelworks.models.model_type import EXACT
from modelworks.settings import ApprovalMode

PROMOTED_FROM = "promoted_from"
"""Tag of a run and of a version: what it is a copy of, as JSON."""


@dataclass(frozen=True)
class PromotedFrom:
    """The version of another registry that a version is a copy of.

    Attributes
    ----------
    environment, registry : where it was released
    sha256 : of the model's file, the same on both sides
    """

    environment: str
    registry: str
    version: str
    run_id: str
    sha256: str

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> "PromotedFrom | None":
        """What the tags of a run or a version say; None for what was trained here."""
        return cls(**json.loads(tags[PROMOTED_FROM])) if PROMOTED_FROM in tags else None


@dataclass(frozen=True)
class LedgerEntry:
    """One move of the champion. The newest entry is the truth; the registry's aliases follow it.

    Attributes
    ----------
    environment : in which it was made; None if none was chosen
    promoted_from : what the version is a copy of; None if it was trained for this registry
    """

    sequence: int
    at: str
    action: Literal["deploy", "rollback"]
    by: str
    reason: str
    from_version: str | None
    to_version: str
    run_id: str
    pipeline_run: str
    data_digest: str
    code_commit: str
    approved_by: str | None = None
    environment: str | None = None
    promoted_from: PromotedFrom | None = None

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "LedgerEntry":
        """The entry that `to_json` wrote."""
        if origin := fields.get("promoted_from"):
            fields = fields | {"promoted_from": PromotedFrom(**origin)}
        return cls(**fields)

    def to_json(self) -> dict[str, Any]:
        """The fields by name; environment and origin only where there is one."""
        optional = {"environment", "promoted_from"}
        return {name: value for name, value in asdict(self).items() if value is not None or name not in optional}


def check_same_predictions(
    expected: np.ndarray, served: np.ndarray, version: str, tolerance: float = EXACT, hint: str = ""
) -> None:
    """Compare the predictions of the trained model with those of the one that the registry gives back.

    Parameters
    ----------
    expected, served : of the same rows, as `modelworks.targets` describes predictions
    hint : what may have caused a difference

    Raises
    ------
    ReleaseError
        If any row differs by more than `tolerance`, of a value above 1 by more than this fraction of it.
    """
    difference = np.inf  # the shapes differ where one predicts for other classes than the other
    if expected.shape == served.shape:
        difference = float(np.max(np.abs(expected - served) / np.maximum(1, np.abs(expected))))
    if not difference <= tolerance:
        raise ReleaseError(
            f"version {version}: loaded from the registry it predicts differently, by up to {difference:.3g} "
            f"on {len(expected)} sample rows; the champion was not changed" + (f"; {hint}" if hint else "")
        )


def needs_approval(mode: ApprovalMode, warnings: list[str]) -> bool:
    """Whether a person has to agree to the release of an accepted model."""
    return mode == "always" or (mode == "on_warning" and bool(warnings))


def find_target(entries: list[LedgerEntry], version: str | None) -> LedgerEntry:
    """The release to go back to: that of `version`, or of the one before the version in force.

    Going back twice goes back two releases, and never forward to the version that was taken back.

    Raises
    ------
    ReleaseError
        If there is none, or the version was never released.
    """
    if not entries:
        raise ReleaseError("nothing has been released yet, so there is nothing to go back to")
    in_force = entries[-1].to_version
    releases = {entry.to_version: entry for entry in entries if entry.action == "deploy"}
    if version is None:
        version = releases[in_force].from_version
    if version is None:
        raise ReleaseError(f"version {in_force} is the first release, so there is nothing to go back to")
    if version == in_force:
        raise ReleaseError(f"version {version} is the champion already")
    if version not in releases:
        released = ", ".join(name for name in releases if name != in_force) or "none"
        raise ReleaseError(f"version {version} was never released, so it passed no gate; released before: {released}")
    return releases[version]


def find_entry(entries: list[LedgerEntry], run_id: str) -> LedgerEntry | None:
    """The release that a run has made already, if any."""
    return next((entry for entry in entries if entry.action == "deploy" and entry.run_id == run_id), None)
