"""The page of a backtest: the loss that each policy served, and what happened in each period."""

from modelworks.backtest.comparison import Comparison, summarize
from modelworks.backtest.figure import draw_outcomes
from modelworks.backtest.outcome import Outcomes, PeriodOutcome, mean_loss
from modelworks.backtest.policies import describe
from modelworks.contract import Contract
from modelworks.evaluation.bootstrap import Estimate
from modelworks.reporting.html import html_page, to_png
from modelworks.reporting.markdown import plain, table

NONE = "-"
Span = tuple[str, str]
"""First and last of the periods whose losses are compared."""


def build_page(
    contract: Contract, outcomes: Outcomes, span: Span, title: str, compared: Comparison | None = None
) -> str:
    """A self-contained HTML page."""
    first = _show(next(iter(outcomes)))
    sections = [
        f"# {plain(title)}",
        _compare(contract, outcomes, span),
        _policies_table(contract, outcomes, span),
        *(_recommend(contract, compared) if compared else []),
        f"The picture: loss of served predictions period by period, and what happened under the policy {first}.",
        "![plot: outcomes](outcomes)",
        f"## Period by period\n\nUnder {first}, with the losses of the others beside its own.",
        _periods_table(contract, outcomes),
    ]
    return html_page(title, "\n\n".join(sections), {"outcomes": draw_outcomes(contract, outcomes)})


def draw_png(contract: Contract, outcomes: Outcomes) -> bytes:
    """The page's picture as a PNG file."""
    return to_png(draw_outcomes(contract, outcomes))


def _compare(contract: Contract, outcomes: Outcomes, span: Span) -> str:
    losses = {name: _loss(periods, span) for name, periods in outcomes.items()}
    name, own = next(iter(losses.items()))
    if own is None:
        return f"No predictions that {_show(name)} served from {span[0]} to {span[1]} could be measured."
    others = [
        f", {_show(each)} {loss:.3f} ({loss - own:+.3f})" for each, loss in losses.items() if loss and each != name
    ]
    target = contract.target
    return (
        f"{target.loss_name.capitalize()} of all rows served from {span[0]} to {span[1]}, in {target.loss_unit} per "
        f"row: **{_show(name)} {own:.3f}**{''.join(others)}. Lower is better."
    )


def _show(policy: str) -> str:
    """The name of a policy; a long list of settings gets spaces at which its line can break."""
    return plain(policy.replace(",", ", ").replace("+", " + "))


def _policies_table(contract: Contract, outcomes: Outcomes, span: Span) -> str:
    first, own = next((name, _loss(periods, span)) for name, periods in outcomes.items())
    rows = []
    for name, periods in outcomes.items():
        loss, within = _loss(periods, span), [each for each in periods if span[0] <= each.period <= span[1]]
        rows.append([
            _show(name),
            plain(describe(name)),
            f"{sum(each.loss is not None for each in within)} of {len(within)}",
            _cell(loss),
            NONE if loss is None or own is None or name == first else f"{loss - own:+.3f}",
            sum(bool(each.request) for each in periods),
            sum(each.status == "released" for each in periods),
            sum(each.status == "refused" for each in periods),
            sum(len(each.alarms) for each in periods),
        ])
    served, against = f"served {contract.target.loss_name}", f"above that of {_show(first)}"
    header = ["policy", "meaning", "periods measured", served, against]
    return table([*header, "models requested", "released", "refused", "alarms"], rows)


def _recommend(contract: Contract, compared: Comparison) -> list[str]:
    """The comparison on the same rows, and the policy that it supports."""
    names = {each.name: _show(each.name) for each in compared.policies}
    rows = [
        [
            f"**{names[each.name]}**" if each.name == compared.recommended else names[each.name],
            each.trainings,
            f"{each.loss:.4f}",
            NONE if each.name == compared.best else _interval(each.over_best),
            NONE if each.p_value is None else f"{each.p_value:.3f}",
            each.verdict,
        ]
        for each in sorted(compared.policies, key=lambda each: each.loss)
    ]
    header = [
        "policy",
        "trainings",
        f"{contract.target.loss_name} of the same rows",
        "minus the best's",
        "p",
        "verdict",
    ]
    return [
        f"## Which policy\n\n{summarize(contract, compared, names)}",
        table(header, rows),
        f"In brackets: {compared.level:.0%} intervals of the paired difference, {contract.block_unit} drawn. p of the "
        "hypothesis that a policy is as good as the best, corrected for the number of policies (model confidence set).",
    ]


def _interval(found: Estimate) -> str:
    return f"{found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


def _loss(periods: list[PeriodOutcome], span: Span) -> float | None:
    try:
        return mean_loss(periods, *span)
    except ValueError:
        return None


def _periods_table(contract: Contract, outcomes: Outcomes) -> str:
    losses = {name: {each.period: each.loss for each in periods} for name, periods in outcomes.items()}
    of_policies = [f"{contract.target.loss_name}, {_show(name)}" for name in outcomes]
    rows = [
        [
            each.period,
            f"v{plain(each.served_by)}" if each.served_by else NONE,
            f"{each.rows:,}" if each.rows else NONE,
            *(_cell(losses[name].get(each.period)) for name in outcomes),
            plain(", ".join(each.alarms)),
            plain(each.request),
            plain(each.result),
            plain("; ".join(each.incidents)),
        ]
        for each in next(iter(outcomes.values()))
    ]
    header = ["period", "served by", "rows", *of_policies]
    return table([*header, "alarms", "new model requested", "result", "unusual data"], rows)


def _cell(loss: float | None) -> str:
    return NONE if loss is None else f"{loss:.3f}"
