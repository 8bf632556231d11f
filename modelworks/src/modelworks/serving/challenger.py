"""The challenger of a rollout, loaded beside the champion; the registry's alias and the journal of steps say which."""

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

from modelworks.errors import PipelineError, WeightsError
from modelworks.project import Project
from modelworks.registry import rollouts
from modelworks.registry.rollouts import RolloutStep
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import CHALLENGER
from modelworks.serving.champion import Served, fetch, load_checked
from modelworks.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Challenger:
    """A loaded challenger and the step that is in force."""

    step: RolloutStep
    served: Served


class ChallengerFollower:
    """Keeps the challenger loaded while a rollout goes on.

    Attributes
    ----------
    current : None where there is none
    refused : version and reason of a challenger that could not be loaded
    """

    def __init__(self, project: Project, settings: Settings) -> None:
        self._project = project
        self._settings = settings
        self._tracker: Tracker | None = None
        self._is_final = False
        self._is_unknown = False
        self.current: Challenger | None = None
        self.refused: tuple[str, str] | None = None

    def poll(self) -> None:
        """Ask once which step is in force; while nothing answers, the last one is."""
        try:
            step = self._find_step()
        except Exception as error:  # registry and storage may fail in any way
            if not self._is_unknown:  # else an outage would fill the log, with a line at each look
                logger.warning("the step of the rollout is not known: %s", error)
            self._is_unknown = True
            return
        self._is_unknown = False
        if step is None:
            self.current, self.refused = None, None
        elif self.current and self.current.served.version == step.version:
            self.current = Challenger(step, self.current.served)
        else:
            self._load(step)

    def _find_step(self) -> RolloutStep | None:
        """The step in force; the storage is only asked while the alias names a challenger, or one is loaded."""
        self._tracker = self._tracker or Tracker(self._project, self._settings)
        if self.current is None and self._tracker.versions.find_alias(CHALLENGER) is None:
            return None
        step = rollouts.read_last_step(self._settings)
        return None if step is None or step.has_ended else step

    def _load(self, step: RolloutStep) -> None:
        if self._is_final and self.refused and self.refused[0] == step.version:
            return
        assert self._tracker
        self.current = None
        try:
            self.current = Challenger(step, load_version(self._project, self._tracker, step.version))
        except Exception as error:  # a model may fail in any way, and the champion answers alone
            reason = f"{type(error).__name__}: {error}"
            if self.refused != (step.version, reason):
                logger.error("challenger %s is refused: %s", step.version, reason)
            self.refused = step.version, reason
            self._is_final = isinstance(error, PipelineError) and not isinstance(error, WeightsError)
        else:
            self.refused = None
            logger.info("challenger %s is loaded", step.version)


def load_version(project: Project, tracker: Tracker, number: str) -> Served:
    """A version as the API serves it, checked as a champion is."""
    with tempfile.TemporaryDirectory(prefix="challenger-") as folder:
        file, facts = fetch(tracker, tracker.versions.get(number), Path(folder))
        return load_checked(project, file, facts, "registry")
