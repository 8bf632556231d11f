"""The page of the data, from the rows that were counted to one HTML file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from modelworks.contract import Contract
from modelworks.data import files
from modelworks.errors import PipelineError
from modelworks.explore import plots, sections
from modelworks.explore.columns import ShownKind
from modelworks.explore.relations import Relation, bin_column, features_of, relate, target_limits
from modelworks.explore.rows import Explored, Table, read_table
from modelworks.explore.suspects import find_suspects
from modelworks.project import Project
from modelworks.reporting.html import html_page
from modelworks.settings import Settings

SHOWN_COLUMNS = 40


def write_page(project: Project, settings: Settings, explored: Explored, file: Path) -> None:
    """Read the rows and write the page; a reader sees the old page or the new one, never a part.

    Raises
    ------
    PipelineError
        If the file cannot be written, a partition is damaged, or there is no row.
    """
    page = to_html(project, settings, explored, read_table(project, settings, explored))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        files.replace_file(file, page.encode())
    except OSError as error:
        raise PipelineError(f"{file}: cannot be written: {error.strerror}; name another file with --to") from None


def to_html(project: Project, settings: Settings, explored: Explored, table: Table) -> str:
    """The page."""
    contract, counts, sample = project.contract, table.counts, table.sample
    features = features_of(contract, table.kinds, sample)
    related = relate(contract, features, sample)
    max_increase = settings.validation.max_null_fraction_increase
    suspects = find_suspects(contract, counts, sample, features, related, max_increase)
    strongest = [each.column for each in related]
    ordered = [*strongest, *(name for name in features if name not in strongest)][:SHOWN_COLUMNS]
    shown = {f"column-{at}": name for at, name in enumerate(ordered, 1)}
    figures = _draw(contract, table, related)
    small = _draw_columns(contract, table, {figure: (name, features[name]) for figure, name in shown.items()})
    text = [
        sections.introduce(contract, settings, explored, table),
        sections.suspicious(suspects),
        sections.target(contract, table, figures),
        sections.relations(contract, related, figures),
        sections.missing(contract, table, figures),
        sections.columns(contract, table, shown, len(features)),
    ]
    return html_page(f"{settings.name}{settings.within}: the data", "\n\n".join(text), figures | small)


def _draw(contract: Contract, table: Table, related: Sequence[Relation]) -> dict[str, Figure]:
    """The figures of the table as a whole; those that would be empty are left out."""
    counts, figures = table.counts, {}
    if counts.by_period.labelled and not contract.target.is_binary:
        encoded = contract.target.encode(table.sample[contract.target.column])
        figures[sections.DISTRIBUTION] = plots.draw_distribution(contract, encoded, counts.by_period)
    if len(counts.by_period.means()) > 1:
        figures[sections.TARGET] = plots.draw_target(contract.target, counts)
    if related:
        figures[sections.RELATIONS] = plots.draw_relations(contract.target, related)
    if gaps := {name: each for name, each in counts.columns.items() if each.n_missing}:
        figures[sections.MISSING] = plots.draw_missing(gaps, counts.periods)
    return figures


def _draw_columns(contract: Contract, table: Table, shown: Mapping[str, tuple[str, ShownKind]]) -> dict[str, Figure]:
    """A small figure of each feature."""
    target, counts = contract.target, table.counts
    encoded = target.encode(table.sample[target.column])
    overall, series = counts.by_period.mean(), plots.choose_series(target, counts.by_period)
    binned = {figure: bin_column(target, kind, table.sample[name], encoded) for figure, (name, kind) in shown.items()}
    limits = target_limits(target, list(binned.values()), series)
    return {
        figure: plots.draw_column(
            contract, name, binned[figure], dict(zip(series, overall[series], strict=True)), limits
        )
        for figure, (name, _) in shown.items()
    }
