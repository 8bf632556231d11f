"""The model that the API answers with: it follows the registry's champion, and serves on without the registry.

A new champion is loaded and checked on its sample while the old one answers; the switch is one assignment. A champion
that cannot be loaded, or that predicts differently than when it was made, is refused. `var/serving` holds a copy of the
last good one, for a restart while the registry is down.
"""

import json
import logging
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sklearn.pipeline import Pipeline

from modelworks.data.files import file_sha256, replace_file
from modelworks.errors import PipelineError, ReleaseError, WeightsError
from modelworks.models import pipeline
from modelworks.models.fast import Predictor, make_predictor
from modelworks.project import Project
from modelworks.registry import ledger
from modelworks.registry.files import SAMPLE_FILE
from modelworks.registry.models import read_model
from modelworks.registry.tracker import Tracker
from modelworks.registry.versions import CHAMPION, Version
from modelworks.serving.metrics import ApiMetrics
from modelworks.settings import Settings

logger = logging.getLogger(__name__)

FACTS_FILE = "champion.json"


@dataclass(frozen=True)
class Served:
    """A loaded model and what the API reports about it."""

    version: str
    run_id: str
    predictor: Predictor
    categories: dict[str, frozenset[str]]
    metrics: dict[str, float]
    holdout_period: str
    held_out: str
    since: str
    source: Literal["registry", "cache"]

    @property
    def model(self) -> Pipeline:
        """The pipeline, which explains what the predictor predicts."""
        return self.predictor.model


class ChampionFollower:
    """Keeps the champion loaded, by a thread that asks the registry every few seconds.

    Attributes
    ----------
    served : the model in force; None until one is loaded
    refused : version and reason of a champion that could not be loaded
    registry_error : why the registry did not answer the last request; "" if it did
    after_poll : called by the thread after each look
    """

    def __init__(self, project: Project, settings: Settings, metrics: ApiMetrics) -> None:
        self._project = project
        self.served: Served | None = None
        self.refused: tuple[str, str] | None = None
        self.registry_error = ""
        self.after_poll: Callable[[], None] = lambda: None
        self._settings = settings
        self._metrics = metrics
        self._cache = settings.home / "var" / "serving" / settings.registry
        self._tracker: Tracker | None = None
        self._is_final = False
        self._copy_error = ""
        self._stopping = threading.Event()
        # A registry that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._follow, name="champion", daemon=True)

    def start(self) -> None:
        """Follow the champion until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a registry that hangs is not waited for."""
        self._stopping.set()
        self._thread.join(timeout=2)

    def _follow(self) -> None:
        pipeline.limit_threads(self._settings.training)
        while not self._stopping.is_set():
            self.poll()
            self.after_poll()
            self._stopping.wait(self._settings.serving.champion_poll_s)

    def poll(self) -> None:
        """Ask the registry for the champion once, and switch to it if it is another one."""
        try:
            self._tracker = self._tracker or Tracker(self._project, self._settings)
            champion = self._tracker.versions.find_alias(CHAMPION)
        except Exception as error:  # the registry may fail in any way, and the loaded model serves on
            self._record_registry_error(error)
            self._serve_copy()
            return
        self._record_registry_error(None)
        if champion is None:
            return
        if self.served and (self.served.version, self.served.source) == (champion.version, "registry"):
            self.refused = None
            return
        self._switch_to(self._tracker, champion)

    def _switch_to(self, tracker: Tracker, version: Version) -> None:
        if self._is_final and self.refused and self.refused[0] == version.version:
            return
        try:
            served = self._load(tracker, version)
        except Exception as error:  # a model may fail in any way, and the loaded one serves on
            self._metrics.reload_failures.inc()
            reason = f"{type(error).__name__}: {error}"
            if self.refused != (version.version, reason):
                logger.error("version %s is refused: %s", version.version, reason)
            self.refused = (version.version, reason)
            # Connections and weights may come back; a bad model stays bad.
            self._is_final = isinstance(error, PipelineError) and not isinstance(error, WeightsError)
            self._serve_copy()
        else:
            self.refused = None
            self._serve(served)

    def _load(self, tracker: Tracker, version: Version) -> Served:
        with tempfile.TemporaryDirectory(prefix="champion-") as folder:
            file, facts = fetch(tracker, version, Path(folder))
            served = load_checked(self._project, file, facts, "registry")
            try:
                save_copy(self._cache, file, facts)
            except OSError as error:  # a full disk is no reason to refuse the model
                logger.warning("no copy of version %s in %s: %s", version.version, self._cache, error)
        return served

    def _serve_copy(self) -> None:
        if self.served or not (self._cache / FACTS_FILE).is_file():
            return
        try:
            self._serve(load_checked(self._project, *read_copy(self._cache), "cache"))
        except Exception as error:
            if str(error) != self._copy_error:
                logger.error("the copy in %s cannot be used: %s", self._cache, error)
            self._copy_error = str(error)

    def _serve(self, served: Served) -> None:
        self.served = served
        self._metrics.model.clear()
        self._metrics.model.labels(served.version, served.source).set(1)
        self._metrics.by_treelite.set(served.predictor.few is not None)
        logger.info("version %s serves, from the %s", served.version, served.source)
        if reason := served.predictor.reason:
            logger.warning("version %s: its estimator predicts few rows, not treelite: %s", served.version, reason)

    def _record_registry_error(self, error: Exception | None) -> None:
        message = str(error) if error else ""
        if error:
            self._metrics.registry_failures.inc()
            if not self.registry_error:
                logger.warning("%s does not name the champion: %s", self._settings.tracking_address, message)
        elif self.registry_error:
            logger.info("%s answers again", self._settings.tracking_address)
        self.registry_error = message


def fetch(tracker: Tracker, version: Version, folder: Path) -> tuple[Path, dict[str, Any]]:
    """The file of a version's model in a folder, and what the API reports and checks of it."""
    facts = {
        "version": version.version,
        "run_id": version.run_id,
        "metrics": tracker.runs.metrics(version.run_id),
        "holdout_period": version.tags.get("holdout_period", ""),
        "held_out": version.tags.get("measured_on") or version.tags.get("held_out", ""),
        "sample": tracker.runs.load_json(version.run_id, SAMPLE_FILE),
    }
    return tracker.models.fetch(version.model_uri, folder), facts


def load_checked(project: Project, file: Path, facts: dict[str, Any], source: Literal["registry", "cache"]) -> Served:
    """The model of a file, once it has predicted its sample as it did when it was made."""
    model = pipeline.skip_needless_encoding(read_model(project, file))
    ledger.check_sample(project, model, facts["sample"], facts["version"])
    return Served(
        version=facts["version"],
        run_id=facts["run_id"],
        predictor=make_predictor(project, model, facts["sample"]["rows"]),
        categories=pipeline.known_categories(model),
        metrics=facts["metrics"],
        holdout_period=facts["holdout_period"],
        held_out=facts["held_out"],
        since=datetime.now(UTC).isoformat(timespec="seconds"),
        source=source,
    )


def save_copy(folder: Path, file: Path, facts: dict[str, Any]) -> None:
    """Save a model file and its facts; a concurrent reader sees the old copy or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{file_sha256(file)}.skops"
    replace_file(folder / name, file.read_bytes())
    replace_file(folder / FACTS_FILE, json.dumps({**facts, "file": name}).encode())
    for other in folder.glob("*.skops"):
        if other.name != name:
            other.unlink(missing_ok=True)


def read_copy(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The file and the facts that `save_copy` saved.

    Raises
    ------
    ReleaseError
        If the file is not the one that was saved.
    """
    facts = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
    file = folder / facts["file"]
    if file_sha256(file) != file.stem:
        raise ReleaseError(f"{file}: damaged: its SHA-256 is not its name")
    return file, facts
