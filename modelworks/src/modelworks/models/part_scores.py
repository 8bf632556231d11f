"""Scores of the parts of a period, each read and written where the work is done."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from modelworks.data.manifests import Part
from modelworks.data.parts import new_part, read_part_batches
from modelworks.data.shipping import Shipped, receive
from modelworks.models import scoring
from modelworks.progress import track
from modelworks.project import Project

CHUNK_ROWS = 50_000  # predicted at once: larger chunks leave the processor's caches, and cost memory


@dataclass(frozen=True)
class PartToScore:
    """A part of clean rows.

    Attributes
    ----------
    shipped : project and model
    folder, part : where the rows are
    scores : URI of the folder for the scores
    """

    where: str
    shipped: Shipped
    period: str
    folder: str
    part: Part
    version: str
    threshold: float
    threads: int
    scores: str = ""


@dataclass(frozen=True)
class ScoredPart:
    """Scores of a part, how often each class was decided for, and the sum of `Target.expected`."""

    part: Part
    decisions: Counter[str]
    expected: float


def score_part(rows: PartToScore) -> ScoredPart:
    """Write the scores of a part."""
    project: Project = receive(rows.shipped)[0]
    decisions, expected = Counter[str](), 0.0
    with new_part() as writer:
        for scores in score_rows(rows):
            expected += float(project.contract.target.expected(project.contract.target.from_columns(scores)).sum())
            if "decision" in scores:
                decisions.update({str(name): count for name, count in scores["decision"].value_counts().items()})
            writer.write(scores)
        return ScoredPart(writer.store(rows.scores), decisions, expected)


def score_rows(rows: PartToScore) -> Iterator[pd.DataFrame]:
    """The score of each row of a part, batch by batch."""
    project, model = receive(rows.shipped)
    batches = read_part_batches(rows.folder, rows.part, scoring.columns(project, model), CHUNK_ROWS)
    frames = (pa.Table.from_batches([batch]).to_pandas() for batch in batches)
    scores = scoring.score_batches(project, frames, model, rows.version, rows.threshold, rows.threads)
    return track(scores, f"scoring {rows.period}", "rows", rows.part.rows, size=len)
