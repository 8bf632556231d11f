"""Policies to compare: settings that differ from the configured ones."""

import re
from dataclasses import dataclass

from ..errors import ConfigError
from .perturbation import Perturbation

NEVER = {
    "retraining.on_decay": "never",
    "retraining.on_drift": "never",
    "retraining.every_months": "0",
}
OPEN_GATES = {
    "gates.min_roc_auc": "0",
    "gates.max_roc_auc": "1",
    "gates.min_r2": "-1000",
    "gates.max_r2": "1",
    "gates.max_bias": "1000",
    "gates.max_calibration_error": "1",
    "gates.min_gain_over_baseline": "-1000",
    "gates.max_loss_over_champion": "1000",
    "gates.max_slice_loss_over_champion": "1000",
}
KNOWN = {
    "configured": {},
    "frozen": NEVER,
    "always": {"retraining.every_months": "1", **OPEN_GATES},
}
MEANINGS = {
    "configured": "as pipeline.toml has it",
    "frozen": "the first model stays",
    "always": "a new model each month, and no gate",
}
SETTING = re.compile(r"([a-z_]+\.[a-z_]+)=(.+)")


@dataclass(frozen=True)
class Policy:
    """A name, the knobs that differ from `pipeline.toml`, and what happens to a month, if anything."""

    name: str
    overrides: dict[str, str]
    change: Perturbation | None = None

    @property
    def folder(self) -> str:
        """A name for its folder."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")[:60]


def parse_policy(text: str) -> Policy:
    """A policy by its name, or by settings: `retraining.every_months=1,training.window_months=3`; or both by `+`.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    overrides: dict[str, str] = {}
    for part in text.split("+"):
        if part in KNOWN:
            overrides |= KNOWN[part]
            continue
        for setting in part.split(","):
            if not (found := SETTING.fullmatch(setting.strip())):
                raise ConfigError(
                    f"policy {text!r}: {setting!r} is neither one of {', '.join(KNOWN)} nor a setting such as "
                    "retraining.every_months=1"
                )
            overrides[found[1]] = found[2]
    return Policy(text, overrides)


def describe(name: str) -> str:
    """What a policy means, in words; of settings, that they are some."""
    return ", ".join(MEANINGS.get(part, "with these settings") for part in name.split("+"))
