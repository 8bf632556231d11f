"""Release gates: from the evaluation of a candidate to a verdict."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from modelworks.checks import Check
from modelworks.contract import Contract
from modelworks.evaluation.fairness import find_uncertain, judge_fairness
from modelworks.evaluation.holdout import HoldoutEvaluation
from modelworks.evaluation.limits import find_fairness_limits, find_limits
from modelworks.evaluation.metrics import Report
from modelworks.project import ReleaseGate
from modelworks.settings import Evaluation, Gates
from modelworks.targets import Target
from modelworks.wording import count

log = logging.getLogger(__name__)

NO_CHAMPION = "there is no champion yet"
NAMED_SLICES = 3  # the worst ones; all are in the evaluation's report


def judge(contract: Contract, report: Report, gates: Gates, settings: Evaluation) -> list[Check]:
    """The engine's own gates, each with its figures."""
    target = contract.target
    return [
        _beats_baseline(target, report, gates),
        *_judge_metrics(target, report, gates),
        _not_worse_than_champion(target, report, gates),
        *_no_slice_worse(report, gates, settings),
        *judge_fairness(report.fairness, find_fairness_limits(contract, gates)),
    ]


def run_release_gates(release_gates: Sequence[ReleaseGate], evaluation: HoldoutEvaluation) -> list[Check]:
    """The project's own gates; one that raises, or returns no `Check`, has failed under the name of its function."""
    return [_run_release_gate(gate, evaluation) for gate in release_gates]


def find_warnings(contract: Contract, report: Report, gates: Gates, settings: Evaluation) -> list[str]:
    """Remarks for a person who may have to approve an accepted model; they stop nothing by themselves.

    A floor is passed by the estimate; here the far end of its interval counts, and a loss on a slice counts
    although the interval includes none.
    """
    target, overall = contract.target, report.gain_over_champion
    warnings = []
    if overall is None:
        warnings.append("this is the first release: there is no champion to compare with")
    elif overall.value < 0:
        warnings.append(f"{target.loss_name} is above the champion's: gain over the champion {overall}")
    warnings += _find_reached_limits(target, report, gates)
    warnings += find_uncertain(report.fairness, find_fairness_limits(contract, gates))
    for each in report.slices:
        gain = each.gain_over_champion
        is_judged = gain is not None and each.rows >= settings.min_slice_rows
        # Where the whole interval is below 0 the gate refuses the model, and names the slice.
        if gain and is_judged and gain.value < -gates.max_slice_loss_over_champion and gain.high >= 0:
            warnings.append(f"{each.name}: {target.loss_name} is above the champion's: gain over the champion {gain}")
    return warnings


def _beats_baseline(target: Target, report: Report, gates: Gates) -> Check:
    gain, limit = report.gain_over_baseline, gates.min_gain_over_baseline
    passed = gain.low > limit
    detail = f"gain over the baseline in {target.loss_name}: {gain}, the whole interval has to be above {limit:.3f}"
    detail += f"; baseline of {report.baseline}" if report.baseline else ""
    return Check("beats the baseline", passed, detail if passed else f"{detail}; {_advise(report)}")


def _advise(report: Report) -> str:
    """What to change where a model is not distinguishable from the baseline."""
    if report.gain_over_baseline.value > 0:
        return (
            f"it is better by its estimate, and {report.rows:,} held-out rows are too few to be sure: hold out more "
            "([training] holdout), or gather more data"
        )
    return (
        "either the features do not predict the target, or the model overfits: look at permutation_importance.png, "
        "add features that are known at prediction time, regularize it by [model.parameters] (such as a higher "
        "min_samples_leaf, a lower max_iter or learning_rate), or gather more data"
    )


def _judge_metrics(target: Target, report: Report, gates: Gates) -> list[Check]:
    """Whether each metric keeps its limits, by its estimate."""
    checks = []
    for name, limits in find_limits(target, gates).items():
        found = report.metrics[name]
        if limits.min is not None:
            detail = f"{found}, at least {limits.min:.3f} required"
            checks.append(Check(f"{name} floor", found.value >= limits.min, detail))
        if limits.max is not None:
            detail = f"{found}, at most {limits.max:.3f} required"
            is_within = found.value <= limits.max
            if name == target.headline:
                detail = f"{name} {detail}: above it, a feature probably holds the outcome"
                checks.append(Check("no leak", is_within, detail))
            else:
                checks.append(Check(f"{name} ceiling", is_within, detail))
    return checks


def _find_reached_limits(target: Target, report: Report, gates: Gates) -> list[str]:
    """The limits that an interval reaches beyond, in words; the ceiling against leaks is judged by its estimate."""
    found = []
    for name, limits in find_limits(target, gates).items():
        estimate = report.metrics[name]
        if limits.min is not None and estimate.low < limits.min:
            found.append(f"{name} {estimate}: the interval reaches below the floor of {limits.min:.3f}")
        if limits.max is not None and name != target.headline and estimate.high > limits.max:
            found.append(f"{name} {estimate}: the interval reaches above the ceiling of {limits.max:.3f}")
    return found


def _not_worse_than_champion(target: Target, report: Report, gates: Gates) -> Check:
    """Whether the lower end of the paired interval stays above the margin."""
    name, gain, limit = "not worse than the champion", report.gain_over_champion, 0 - gates.max_loss_over_champion
    if gain is None:
        return Check(name, True, NO_CHAMPION)
    detail = (
        f"gain over the champion in {target.loss_name} on the same rows: {gain}, "
        f"the whole interval has to be above {limit:.3f}"
    )
    return Check(name, gain.low >= limit, detail)


def _no_slice_worse(report: Report, gates: Gates, settings: Evaluation) -> list[Check]:
    """Whether no slice loses by more than the margin.

    Of many slices some are worse by chance, so the interval of one that counts has to lie below 0 as well.
    """
    if report.gain_over_champion is None:
        return []
    margin = gates.max_slice_loss_over_champion
    judged = [
        (each.name, each.gain_over_champion)
        for each in report.slices
        if each.rows >= settings.min_slice_rows and each.gain_over_champion
    ]
    worse = sorted((gain.value, f"{name}: {gain}") for name, gain in judged if gain.value < -margin and gain.high < 0)
    more = f"; and {len(worse) - NAMED_SLICES} more" if len(worse) > NAMED_SLICES else ""
    worst = f"gain over the champion by slice: {'; '.join(text for _, text in worse[:NAMED_SLICES])}{more}"
    detail = worst if worse else f"none of {count(len(judged), 'slice')} worse by more than {margin:.3f}"
    return [Check("no slice worse than the champion", not worse, detail)]


def _read_own(evaluation: HoldoutEvaluation, columns: Sequence[str] | None, at: np.ndarray | None) -> pd.DataFrame:
    """Held-out rows in a frame of a gate's own: what it adds to it reaches no other."""
    if at is not None:
        return evaluation.read(columns, at)
    found = evaluation.rows if columns is None else evaluation.select(columns)
    return found.copy(deep=False)


def _run_release_gate(gate: ReleaseGate, evaluation: HoldoutEvaluation) -> Check:
    name = getattr(gate, "__name__", repr(gate))
    try:
        check = gate(replace(evaluation, read=partial(_read_own, evaluation)))
    except Exception as error:
        log.exception("release gate %s raised", name)
        return Check(name, False, f"the release gate {name} raised {type(error).__name__}: {error}")
    if not isinstance(check, Check):
        return Check(name, False, f"the release gate {name} returned {type(check).__name__}, not a Check")
    return check
