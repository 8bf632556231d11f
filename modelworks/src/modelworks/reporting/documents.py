"""Documents about a run, in Markdown: validation report, request for approval, model card."""

from collections.abc import Iterable
from dataclasses import dataclass

from modelworks.checks import Check
from modelworks.contract import Contract
from modelworks.data.validation import PeriodFacts
from modelworks.evaluation.bootstrap import Estimate
from modelworks.evaluation.directions import better
from modelworks.evaluation.metrics import Report
from modelworks.reporting.fairness import fairness_section
from modelworks.reporting.markdown import count_rows, table

METRICS_HEADER = ["metric", "value [interval]", "better"]

CheckedPeriods = dict[str, tuple[PeriodFacts, list[Check]]]
"""Facts and checks of each period."""


@dataclass(frozen=True)
class Lineage:
    """Where a model comes from.

    Attributes
    ----------
    held_out, trained_on : periods, in words
    rows : on which the released model was fitted, `unlabelled` ones left out
    trained_by : what has fitted it, if not one process
    """

    run_id: str
    pipeline_run: str
    features: list[str]
    periods: list[str]
    held_out: str
    trained_on: str
    rows: int
    data_digest: str
    contract_version: str
    config_digest: str
    code_commit: str
    unlabelled: int = 0
    trained_by: str = ""


def checks_table(checks: Iterable[Check]) -> str:
    """A verdict, a check a line."""
    return table(["check", "result", "figures"], [[check.name, check.label, check.detail] for check in checks])


def validation_report(contract: Contract, periods: CheckedPeriods, within: str = "") -> str:
    """Rows, nulls and checks of every period of the run.

    Parameters
    ----------
    within : the environment, as titles name it
    """
    details = "\n\n".join(f"### {period}\n\n{checks_table(checks)}" for period, (_, checks) in periods.items())
    return (
        f"# Validation report{within}\n\nContract version {contract.version}.\n\n{_periods_table(periods)}\n\n"
        f"## What to look at\n\n{_remarks(periods) or 'Nothing.'}\n\n"
        f"## Share of nulls\n\n{_nulls_table(contract, periods)}\n\n## Checks by period\n\n{details}\n"
    )


def _periods_table(periods: CheckedPeriods) -> str:
    rows = [
        [
            period,
            *(f"{count:,}" for count in (facts.rows, facts.quarantined, facts.unlabelled)),
            f"{sum(check.passed for check in checks)} of {len(checks)}",
        ]
        for period, (facts, checks) in periods.items()
    ]
    return table(["period", "rows", "quarantined", "unlabelled", "checks passed"], rows)


def _remarks(periods: CheckedPeriods) -> str:
    return "\n".join(
        f"- {period}, {check.name}: {check.label}: {check.detail}"
        for period, (_, checks) in periods.items()
        for check in checks
        if not check.passed
    )


def _nulls_table(contract: Contract, periods: CheckedPeriods) -> str:
    nullable = [name for name, column in contract.columns.items() if column.nullable]
    rows = [[name, *(f"{facts.null_fraction.get(name, 0):.1%}" for facts, _ in periods.values())] for name in nullable]
    return table(["column", *periods], rows)


def metrics_table(contract: Contract, report: Report) -> str:
    """Metrics with their intervals and directions, the model's own first."""
    gains = {"gain_over_baseline": report.gain_over_baseline}
    if report.gain_over_champion:
        gains["gain_over_champion"] = report.gain_over_champion
    of = f"baseline of {report.baseline}" if report.baseline else "baseline alone"
    baseline = f"{contract.target.loss}, {of}", f"{report.baseline_loss:.3f}", better(contract.target.loss)
    return table(METRICS_HEADER, [*_metric_rows(report.metrics), baseline, *_metric_rows(gains)])


def _metric_rows(metrics: dict[str, Estimate]) -> list[tuple[str, object, str]]:
    return [(name, estimate, better(name)) for name, estimate in metrics.items()]


def approval_request(
    contract: Contract,
    report: Report,
    checks: list[Check],
    warnings: list[str],
    champion: str | None,
    links: dict[str, str],
) -> str:
    """What a person reads who decides whether an accepted model is released.

    Parameters
    ----------
    champion : its version, if there is one
    links : addresses in MLflow by what they show; a description where there is no server
    """
    look_at = "\n".join(f"- {warning}" for warning in warnings) or "Nothing: every check passed without a remark."
    linked = [f"[{name}]({to})" if to.startswith("http") else f"{name}: {to}" for name, to in links.items()]
    figures = table(METRICS_HEADER, _metric_rows(report.metrics))
    return (
        f"Measured on {count_rows(report.rows, report.unlabelled)}, {report.blocks} {contract.block_unit}. "
        f"In MLflow: {', '.join(linked)}.\n\n"
        f"## To look at\n\n{look_at}\n\n"
        f"## Champion and challenger\n\n{comparison_table(contract, report, champion)}\n\n"
        f"## Verdict\n\n{checks_table(checks)}\n\n## Figures\n\n{figures}\n\n"
        f"{fairness_section(report.fairness)}"
        f"## By slice\n\n{slices_table(contract, report)}\n"
    )


def comparison_table(contract: Contract, report: Report, champion: str | None) -> str:
    """Loss of the model on the same rows as the champion that it would replace, and as the baseline."""
    own = report.metrics[contract.target.loss]
    others = {f"the baseline, of {report.baseline}" if report.baseline else "the baseline": report.gain_over_baseline}
    if report.gain_over_champion:
        others = {f"champion: version {champion}": report.gain_over_champion, **others}
    return table(
        ["", contract.target.loss_name, "gain of the challenger over it [interval]"],
        [
            ["challenger: this model", own, ""],
            *([name, f"{own.value + gain.value:.3f}", gain] for name, gain in others.items()),
        ],
    )


def slices_table(contract: Contract, report: Report) -> str:
    """Each slice's rows, rates and loss, against the champion where there is one."""
    header = ["slice", "rows", contract.target.observed_name, contract.target.expected_name, contract.target.loss_name]
    rows = [
        [each.name, f"{each.rows:,}", f"{each.observed:.3f}", f"{each.expected:.3f}", f"{each.loss:.3f}"]
        for each in report.slices
    ]
    if report.gain_over_champion:
        header.append("gain over the champion")
        rows = [[*row, str(each.gain_over_champion or "")] for row, each in zip(rows, report.slices, strict=True)]
    return table(header, rows)


def model_card(
    contract: Contract, model_name: str, version: str, report: Report, checks: list[Check], lineage: Lineage
) -> str:
    """Data, use, quality, limits and lineage of one version."""
    return f"""# {model_name}, version {version}

## Intended use

{contract.purpose}, from what is known at prediction time.
It ranks and informs; it does not explain causes, and does not apply to data outside the contract.

## Data

{count_rows(lineage.rows, lineage.unlabelled)}, periods {lineage.periods[0]} to {lineage.periods[-1]}.

{_features_table(contract, lineage.features)}

## Quality

Measured on {count_rows(report.rows, report.unlabelled)} of {lineage.held_out} ({report.blocks} {contract.block_unit},
{contract.target.observed_name} {report.observed:.3g}), by a candidate trained on {lineage.trained_on} only. The
released model is refitted on all rows, the held-out ones included, with the same settings; these figures stay those of
the hold-out. Intervals: bootstrap by {contract.block_unit}.

{metrics_table(contract, report)}

{checks_table(checks)}

## By slice

{slices_table(contract, report)}

{fairness_section(report.fairness)}## Limits

- The figures are of {lineage.held_out}; periods differ by more than the intervals of one show.
- Slices with few rows vary by chance.
- Categories that the training data do not have are treated as missing.

## Lineage

{_lineage_table(lineage)}
"""


def promoted_card(
    contract: Contract, title: str, there: str, report: Report, checks: list[Check], lineage: list[list[str]]
) -> str:
    """The model card of a version that was promoted: its own, and what was measured where it is now.

    Parameters
    ----------
    there : the card that it was released with; its figures are those of that environment
    lineage : rows of a table
    """
    return f"""# {title}

## Here

Measured on {count_rows(report.rows, report.unlabelled)}, {report.blocks} {contract.block_unit}.

{metrics_table(contract, report)}

{checks_table(checks)}

{slices_table(contract, report)}

{table(["", ""], lineage)}

## Where it comes from

The card with which it was released there follows as it is.

#{there.replace(f"{chr(10)}#", f"{chr(10)}##")}"""


def _features_table(contract: Contract, names: list[str]) -> str:
    rows = []
    for name in names:
        column = contract.columns.get(name)
        rows.append([name, column.description, column.unit] if column else [name, "derived, by features.py", ""])
    return table(["feature", "meaning", "unit"], rows)


def _lineage_table(lineage: Lineage) -> str:
    return table(
        ["", ""],
        [
            ["MLflow run", lineage.run_id],
            ["pipeline run", lineage.pipeline_run],
            ["data digest", lineage.data_digest],
            ["contract version", lineage.contract_version],
            ["configuration digest", lineage.config_digest],
            ["code commit", lineage.code_commit],
            *([["trained by", f"{lineage.trained_by}, all rows"]] if lineage.trained_by else []),
        ],
    )
