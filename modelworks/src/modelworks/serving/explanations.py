"""Explanations of the model that answers: made ready when the first one is asked for, and computed by the worker."""

import asyncio
from concurrent.futures import Executor

from modelworks.data import frames
from modelworks.data.columnar import Columns
from modelworks.errors import ExplanationError
from modelworks.models.explanations import Explainer, Explanation
from modelworks.project import Project
from modelworks.serving.champion import Served
from modelworks.serving.problems import Refusal


class Explanations:
    """Explains rows by the model that is served.

    Parameters
    ----------
    worker : of one thread, so that one explainer is made of a model
    """

    def __init__(self, project: Project, worker: Executor) -> None:
        self._project = project
        self._worker = worker
        self._latest: tuple[Served, Explainer] | None = None

    async def explain(self, served: Served, rows: Columns) -> Explanation:
        """The contributions of each row.

        Raises
        ------
        Refusal
            If the model cannot be explained (422).
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, self._explain, served, rows)
        except ExplanationError as error:
            raise Refusal(422, ("explain", str(error))) from None

    def _explain(self, served: Served, rows: Columns) -> Explanation:
        if self._latest is None or self._latest[0] is not served:
            self._latest = served, Explainer(self._project, served.model)
        names = list(served.model.feature_names_in_)
        return self._latest[1].explain(frames.from_columns(self._project.contract, rows, names))
