"""The section of a document about fairness: rates by group, and how far they lie apart."""

from collections.abc import Sequence

from modelworks.evaluation.directions import better
from modelworks.evaluation.fairness import FairnessResult
from modelworks.reporting.markdown import plain, table
from modelworks.wording import count


def fairness_section(results: Sequence[FairnessResult]) -> str:
    """Tables for each column that fairness is measured by; empty without any."""
    if not results:
        return ""
    return "\n\n".join(["## Fairness", *(_describe(each) for each in results)]) + "\n\n"


def _describe(result: FairnessResult) -> str:
    left_out = ""
    if result.small_groups:
        small = f"{count(result.small_groups, 'group')} of fewer than [evaluation] min_slice_rows"
        left_out = f"Not compared: {small}, {count(result.small_rows, 'row')} in all.\n\n"
    rates = list(dict.fromkeys(rate for group in result.groups for rate in group.rates))
    rows = [
        [each.value, f"{each.rows:,}", *(f"{each.rates[rate]:.3f}" if rate in each.rates else "-" for rate in rates)]
        for each in result.groups
    ]
    disparities = [(name, estimate, better(name)) for name, estimate in result.disparities.items()]
    return (
        f"### By {plain(result.column)}\n\n{left_out}{table(['group', 'rows', *rates], rows)}\n\n"
        f"{table(['between the groups', 'value [interval]', 'better'], disparities)}"
    )
