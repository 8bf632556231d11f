"""Policies to compare: settings that differ from the configured ones."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelworks.backtest.perturbation import Perturbation
from modelworks.errors import ConfigError
from modelworks.evaluation.limits import ALL_METRICS
from modelworks.settings import Settings, load_settings
from modelworks.settings.loading import Overrides

NEVER = {
    "retraining.calibration_alarms": "0",
    "retraining.drift_alarms": "0",
    "retraining.every_periods": "0",
}
OPEN_GATES = {
    **{f"gates.metrics.{name}": '{"min": null, "max": null}' for name in sorted(ALL_METRICS)},
    "gates.fairness.columns": "[]",
    "gates.min_gain_over_baseline": "-1000",
    "gates.max_loss_over_champion": "1000",
    "gates.max_slice_loss_over_champion": "1000",
}
ALWAYS = "always"
KNOWN = {
    "configured": {},
    "frozen": NEVER,
    "alarms": {**NEVER, "retraining.calibration_alarms": "1"},
    "each-period": {"retraining.every_periods": "1"},
    ALWAYS: {"retraining.every_periods": "1", **OPEN_GATES},
}
MEANINGS = {
    "configured": "as pipeline.toml has it",
    "frozen": "the first model stays",
    "alarms": "a new model after calibration drift only",
    "each-period": "a new model each period, if it passes the gates",
    ALWAYS: "a new model each period, and no gate",
}
SETTING = re.compile(r"([a-z]\w*(?:\.[a-z]\w*)+)=(.+)")


@dataclass(frozen=True)
class Policy:
    """A name and the settings that differ from the configured ones.

    Attributes
    ----------
    settings : texts by names such as `retraining.every_periods`
    change : of one of the periods, when it arrives
    has_own_gates : whether the project's own release gates apply
    """

    name: str
    settings: Mapping[str, str]
    change: Perturbation | None = None
    has_own_gates: bool = True

    @property
    def folder(self) -> str:
        """A name for its folder."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")[:60]

    @property
    def overrides(self) -> Overrides:
        """The settings as `load_settings` takes them."""
        overrides: dict[str, dict[str, Any]] = {}
        for name, text in self.settings.items():
            section, *tables, key = name.split(".")
            values = overrides.setdefault(section, {})
            for table in tables:
                values = values.setdefault(table, {})
            values[key] = _parse_value(name, text)
        return overrides


def _parse_value(name: str, text: str) -> Any:
    """A list or a table from its JSON; any other text is converted to its setting's type when settings are loaded."""
    if not text.startswith(("[", "{")):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(f"policy: {name}={text}: not valid JSON: {error}") from None


def parse_policy(text: str) -> Policy:
    """A policy by its name, or by settings: `retraining.every_periods=1,training.window=3`; or both, joined by `+`.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    settings: dict[str, str] = {}
    for part in (parts := text.split("+")):
        settings |= KNOWN[part] if part in KNOWN else _parse_settings(text, part)
    return Policy(text, settings, has_own_gates=ALWAYS not in parts)


def list_alternatives(settings: Settings) -> list[str]:
    """Names of the known policies, without one that only repeats the configured settings."""
    return [name for name in KNOWN if load_settings(settings.home, parse_policy(name).overrides) != settings]


def _parse_settings(policy: str, text: str) -> dict[str, str]:
    found = {setting: SETTING.fullmatch(setting.strip()) for setting in text.split(",")}
    for setting, match in found.items():
        if not match:
            raise ConfigError(
                f"policy {policy!r}: {setting!r} is neither one of {', '.join(KNOWN)} nor a setting such as "
                "retraining.every_periods=1"
            )
    return {match[1]: match[2] for match in found.values() if match}


def describe(name: str) -> str:
    """The meaning of a policy, for people."""
    return ", ".join(MEANINGS.get(part, "with these settings") for part in name.split("+"))
