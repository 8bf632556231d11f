"""The page of a year that was lived through again: what each policy served, and what happened month by month."""

from .. import task
from ..pages import html_page, plain, to_png
from ..reports import table
from .figure import draw_year
from .outcome import MonthOutcome, mean_loss
from .policies import describe

Outcomes = dict[str, list[MonthOutcome]]
"""What the months came to, by policy; the first is the one that the others are compared with."""

NONE = "-"


def build_page(outcomes: Outcomes, span: tuple[str, str], title: str) -> str:
    """A self-contained HTML page.

    Parameters
    ----------
    span : first and last month of those whose losses are compared
    """
    first = _show(next(iter(outcomes)))
    sections = [
        f"# {plain(title)}",
        _compare(outcomes, span),
        _policies_table(outcomes, span),
        f"The picture: what was served month by month, and what happened under the policy {first}.",
        "![plot: year](year)",
        f"## Month by month\n\nOf {first}, with the losses of the others beside its own.\n\n{_months_table(outcomes)}",
    ]
    return html_page(title, "\n\n".join(sections), {"year": draw_year(outcomes)})


def draw_png(outcomes: Outcomes) -> bytes:
    """The page's picture as a PNG file."""
    return to_png(draw_year(outcomes))


def _compare(outcomes: Outcomes, span: tuple[str, str]) -> str:
    losses = {name: _loss(months, span) for name, months in outcomes.items()}
    name, own = next(iter(losses.items()))
    if own is None:
        return f"Nothing that was served from {span[0]} to {span[1]} by {_show(name)} could be measured."
    others = [
        f", {_show(each)} {loss:.3f} ({loss - own:+.3f})" for each, loss in losses.items() if loss and each != name
    ]
    said = f"**{_show(name)} {own:.3f}**{''.join(others)}"
    loss = f"{task.LOSS_NAME.capitalize()} of all rows served from {span[0]} to {span[1]}, in {task.LOSS_UNIT} a row"
    return f"{loss}: {said}. Lower is better."


def _show(policy: str) -> str:
    """The name of a policy, which can be a long list of settings, such that its lines can break."""
    return plain(policy.replace(",", ", ").replace("+", " + "))


def _policies_table(outcomes: Outcomes, span: tuple[str, str]) -> str:
    first, own = next((name, _loss(months, span)) for name, months in outcomes.items())
    rows = []
    for name, months in outcomes.items():
        loss, within = _loss(months, span), [each for each in months if span[0] <= each.month <= span[1]]
        rows.append([
            _show(name),
            plain(describe(name)),
            f"{sum(each.loss is not None for each in within)} of {len(within)}",
            _cell(loss),
            NONE if loss is None or own is None or name == first else f"{loss - own:+.3f}",
            sum(bool(each.asked) for each in months),
            sum(each.version is not None for each in months),
            sum(each.outcome.startswith("refused") for each in months),
            sum(len(each.alarms) for each in months),
        ])
    header = ["policy", "meaning", "months measured", f"served {task.LOSS_NAME}", f"against {_show(first)}"]
    return table([*header, "asked for a model", "released", "refused", "alarms"], rows)


def _loss(months: list[MonthOutcome], span: tuple[str, str]) -> float | None:
    try:
        return mean_loss(months, *span)
    except ValueError:
        return None


def _months_table(outcomes: Outcomes) -> str:
    losses = {name: {each.month: each.loss for each in months} for name, months in outcomes.items()}
    header = ["month", "served by", "rows", *(f"{task.LOSS_NAME}, {_show(name)}" for name in outcomes)]
    rows = [
        [
            each.month,
            f"v{plain(each.served_by)}" if each.served_by else NONE,
            f"{each.rows:,}" if each.rows else NONE,
            *(_cell(losses[name].get(each.month)) for name in outcomes),
            plain(", ".join(each.alarms)),
            plain(each.asked),
            plain(each.outcome),
            plain("; ".join(each.incidents)),
        ]
        for each in next(iter(outcomes.values()))
    ]
    return table([*header, "alarms", "new model asked for", "what came of it", "unusual data"], rows)


def _cell(loss: float | None) -> str:
    return NONE if loss is None else f"{loss:.3f}"
