"""What people read, in Markdown, written from the facts of a run and nothing else."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from . import schema, task
from .checks import Check
from .evaluation import Report
from .intervals import BLOCKS
from .validation import MonthFacts


@dataclass(frozen=True)
class Lineage:
    """Where a model comes from."""

    run_id: str
    pipeline_run: str
    features: list[str]
    months: list[str]
    held_out: str
    trained_on: str
    rows: int
    data_digest: str
    contract_version: str
    config_digest: str
    code_commit: str
    unlabelled: int = 0


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table whose columns line up in plain text as well."""
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in (header, *rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(header))]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in cells]
    lines = [f"| {' | '.join(row)} |" for row in padded]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def count_rows(rows: int, unlabelled: int) -> str:
    """Rows that were learned from or measured, and those that could not be."""
    return f"{rows:,} rows" + (f" ({unlabelled:,} without a label left out)" if unlabelled else "")


def without_secrets(text: str) -> str:
    """A text whose addresses name no user and no password, for everyone to read."""
    return re.sub(r"://[^\s/:@]*(:[^\s@]*)?@", "://", text)


def checks_table(checks: Iterable[Check]) -> str:
    """A verdict, a check a line."""
    return table(["check", "result", "figures"], [[check.name, check.label, check.detail] for check in checks])


def validation_report(months: dict[str, tuple[MonthFacts, list[Check]]]) -> str:
    """Rows, nulls and checks of every month of the run."""
    overview = table(
        ["month", "rows", "quarantined", "unlabelled", "checks passed"],
        [
            [
                month,
                *(f"{count:,}" for count in (facts.rows, facts.quarantined, facts.unlabelled)),
                f"{sum(c.passed for c in checks)} of {len(checks)}",
            ]
            for month, (facts, checks) in months.items()
        ],
    )
    remarks = [
        f"- {month}, {check.name}: {check.label}: {check.detail}"
        for month, (_, checks) in months.items()
        for check in checks
        if not check.passed
    ]
    nullable = [name for name, column in schema.SCHEMA.columns.items() if column.nullable]
    nulls = table(
        ["column", *months],
        [[name, *(f"{facts.null_fraction.get(name, 0):.1%}" for facts, _ in months.values())] for name in nullable],
    )
    details = "\n\n".join(f"### {month}\n\n{checks_table(checks)}" for month, (_, checks) in months.items())
    return (
        f"# Validation report\n\nContract version {schema.version()}.\n\n{overview}\n\n"
        f"## What to look at\n\n{chr(10).join(remarks) or 'Nothing.'}\n\n"
        f"## Share of nulls\n\n{nulls}\n\n## Checks by month\n\n{details}\n"
    )


def metrics_table(report: Report) -> str:
    """Figures with their intervals, the model's own first."""
    rows = [[name, estimate] for name, estimate in report.metrics.items()]
    rows.append([f"{task.LOSS}, baseline alone", f"{report.baseline_loss:.3f}"])
    rows.append([f"{task.LOSS} against the baseline", report.loss_over_baseline])
    if report.loss_over_champion:
        rows.append([f"{task.LOSS} against the champion", report.loss_over_champion])
    return table(["metric", "value [interval]"], rows)


def approval_request(
    report: Report, checks: list[Check], warnings: list[str], champion: str | None, links: dict[str, str]
) -> str:
    """What a person sees who is asked whether an accepted model shall be released.

    Parameters
    ----------
    champion : its version, if there is one
    links : addresses in MLflow, or where there is no server a description, by what they show
    """
    look_at = "\n".join(f"- {warning}" for warning in warnings) or "Nothing: every check passed without a remark."
    linked = [f"[{name}]({to})" if to.startswith("http") else f"{name}: {to}" for name, to in links.items()]
    figures = table(["metric", "value [interval]"], report.metrics.items())
    return (
        f"Measured on {count_rows(report.rows, report.unlabelled)}, {report.blocks} {BLOCKS}. "
        f"In MLflow: {', '.join(linked)}.\n\n"
        f"## To look at\n\n{look_at}\n\n## Champion and challenger\n\n{comparison_table(report, champion)}\n\n"
        f"## Verdict\n\n{checks_table(checks)}\n\n## Figures\n\n{figures}\n\n"
        f"## By slice\n\n{slices_table(report)}\n"
    )


def comparison_table(report: Report, champion: str | None) -> str:
    """The model against what it would replace and against the baseline, in loss on the same rows."""
    own = report.loss
    others = {"the baseline": report.loss_over_baseline}
    if report.loss_over_champion:
        others = {f"champion: version {champion}": report.loss_over_champion, **others}
    return table(
        ["", task.LOSS_NAME, "challenger minus it [interval]"],
        [
            ["challenger: this model", own, ""],
            *([name, f"{own.value - loss.value:.3f}", loss] for name, loss in others.items()),
        ],
    )


def slices_table(report: Report) -> str:
    """Each slice's rows, rates and loss, against the champion where there is one."""
    header = ["slice", "rows", task.OBSERVED, task.EXPECTED, task.LOSS_NAME]
    rows = [
        [each.name, f"{each.rows:,}", f"{each.observed:.3f}", f"{each.expected:.3f}", f"{each.loss:.3f}"]
        for each in report.slices
    ]
    if report.loss_over_champion:
        header.append("minus the champion's")
        rows = [[*row, str(each.loss_over_champion or "")] for row, each in zip(rows, report.slices, strict=True)]
    return table(header, rows)


def model_card(model_name: str, version: str, report: Report, checks: list[Check], lineage: Lineage) -> str:
    """Data, use, quality, limits and lineage of one version."""
    features = table(
        ["feature", "meaning", "unit"],
        [
            [name, schema.SCHEMA.columns[name].description, (schema.SCHEMA.columns[name].metadata or {})["unit"]]
            for name in lineage.features
        ],
    )
    origin = table(
        ["", ""],
        [
            ["MLflow run", lineage.run_id],
            ["pipeline run", lineage.pipeline_run],
            ["data digest", lineage.data_digest],
            ["contract version", lineage.contract_version],
            ["configuration digest", lineage.config_digest],
            ["code commit", lineage.code_commit],
        ],
    )
    return f"""# {model_name}, version {version}

## Intended use

{task.PURPOSE}, from what is known beforehand.
It ranks and informs; it does not explain causes, and says nothing of data outside the contract.

## Data

{count_rows(lineage.rows, lineage.unlabelled)}, months {lineage.months[0]} to {lineage.months[-1]}.

{features}

## Quality

Measured on {count_rows(report.rows, report.unlabelled)} of {lineage.held_out} ({report.blocks} {BLOCKS},
{task.OBSERVED} {report.observed:.3g}), by a model that was trained on {lineage.trained_on} only. The released model
was then fitted again on all rows, the held-out ones included, with the same settings; none are left that it has not
seen, and these figures stay those of the held-out ones. Intervals: bootstrap by {BLOCKS}.

{metrics_table(report)}

{checks_table(checks)}

## By slice

{slices_table(report)}

## Limits

- The figures are of {lineage.held_out}; months differ by more than the intervals of one show.
- Slices with few rows vary by chance.
- Categories that the training data do not have are treated as missing.

## Lineage

{origin}
"""
