"""The table of pipeline.toml about rollouts: how a new version meets live traffic before it is the champion."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator

from modelworks.settings.base import Fraction, Section

ReleaseMode = Literal["at_once", "shadow", "canary", "shadow_and_canary"]
Share = Annotated[float, Field(gt=0, le=1)]


class Rollout(Section):
    """How a new version meets live traffic before it is the champion."""

    release: ReleaseMode = "at_once"
    """What `deploy` does: "at_once" makes the version the champion; "shadow" compares it on live traffic first, without
    answers; "canary" lets it answer `steps` of the requests; "shadow_and_canary" does both."""
    steps: list[Share] = Field(default_factory=lambda: [0.05, 0.25, 1.0], min_length=1)
    """Shares of the requests that a canary answers, one after the other."""
    step_minutes: float = Field(30.0, ge=0)
    """Minutes that a step lasts at least."""
    min_requests: int = Field(500, ge=1)
    """Requests that the challenger answers in a step at least; in the shadow, rows that are compared."""
    max_hours: float = Field(72.0, gt=0)
    """Hours after which a rollout that is not decided is taken back."""
    promotion: Literal["automatic", "manual"] = "automatic"
    """After the last step: the version becomes the champion, or waits for `rollout promote`."""
    key_header: str = Field("", pattern=r"^[A-Za-z0-9-]*$")
    """Request header that names the caller, who always gets the same model; "": the contract's key of the first row."""
    timeout_s: float = Field(1.0, gt=0)
    """Seconds that an answer of the challenger may take; then the champion answers, and it counts as an error."""
    shadow_share: Fraction = 0.0
    """Share of the requests that a process beside the API predicts with the challenger as well; 0: logged requests are
    predicted later, at no cost to callers."""
    compared_rows: int = Field(20_000, ge=100)
    """The most logged rows, the newest, that both models are compared on."""
    max_error_fraction: Fraction = 0.01
    """Share of the challenger's requests that may fail; its whole interval above is a reason to take it back."""
    max_latency_ratio: float = Field(2.0, ge=1)
    """The challenger's 95th percentile of latency divided by the champion's; above is a reason to take it back."""
    latency_floor_ms: float = Field(25.0, ge=0)
    """Milliseconds that are never too slow."""
    max_changed_decisions: Fraction = 0.2
    """Share of the decisions that may differ; the whole interval above is a reason to take the challenger back."""
    max_prediction_difference: float = Field(0.1, ge=0)
    """Mean absolute difference of the predictions, in probability, or in standard deviations of a number; the whole
    interval above is a reason to take the challenger back."""
    max_loss_over_champion: float = Field(0.0, ge=0)
    """By how much the challenger's loss may be above the champion's where labels are there; the whole interval above
    is a reason to take it back."""

    @field_validator("steps")
    @classmethod
    def _steps_rise(cls, value: list[float]) -> list[float]:
        if any(later <= earlier for earlier, later in pairwise(value)):
            raise ValueError("each step has to be a larger share than the one before, such as [0.05, 0.25, 1.0]")
        return value

    def shares(self, release: ReleaseMode) -> list[float]:
        """The share of the requests that a challenger answers in each step; 0 is the shadow."""
        if release == "at_once":
            return []
        return [*([0.0] if release.startswith("shadow") else []), *(self.steps if release.endswith("canary") else [])]
