"""The model that the API answers with: it follows the registry's champion, and outlives the registry.

A new champion is loaded and tried on its sample beside the one that answers, and takes its place in one
assignment. One that cannot be loaded, or predicts otherwise than when it was made, is refused. A copy of the
last good one lies in `var/serving`, for a restart while the registry is away.
"""

import json
import logging
import tempfile
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sklearn.pipeline import Pipeline

from .. import releases, training
from ..config import Settings
from ..errors import PipelineError, ReleaseError, WeightsError
from ..storage import file_sha256, replace_file
from ..tracking import CHAMPION, Tracker, Version, read_model
from .metrics import ApiMetrics

logger = logging.getLogger(__name__)

FACTS_FILE = "champion.json"


@dataclass(frozen=True)
class Served:
    """A loaded model and what is told of it."""

    version: str
    run_id: str
    model: Pipeline
    categories: dict[str, frozenset[str]]
    metrics: dict[str, float]
    holdout_month: str
    held_out: str
    since: str
    source: Literal["registry", "cache"]


class ChampionFollower:
    """Keeps the champion loaded, by a thread that asks the registry every few seconds.

    Attributes
    ----------
    served : the model in force; None until one is loaded
    refused : version and reason of a champion that could not be taken up
    registry_error : why the registry did not answer the last question; "" if it did
    """

    def __init__(self, settings: Settings, metrics: ApiMetrics) -> None:
        self.served: Served | None = None
        self.refused: tuple[str, str] | None = None
        self.registry_error = ""
        self._settings = settings
        self._metrics = metrics
        self._cache = settings.home / "var" / "serving" / settings.registry
        self._tracker: Tracker | None = None
        self._is_final = False
        self._told_of_copy = ""
        self._stopping = threading.Event()
        # A registry that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._follow, name="champion", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=2)

    def _follow(self) -> None:
        training.limit_threads(self._settings.training)
        while not self._stopping.is_set():
            self.look()
            self._stopping.wait(self._settings.serving.champion_poll_s)

    def look(self) -> None:
        """Ask for the champion once, and take it up if it is another one."""
        try:
            self._tracker = self._tracker or Tracker(self._settings)
            champion = self._tracker.find_alias(CHAMPION)
        except Exception as error:  # whatever happens to the registry, the model in hand goes on serving
            self._note_registry_error(error)
            self._take_cached()
            return
        self._note_registry_error(None)
        if champion is None:
            return
        if self.served and (self.served.version, self.served.source) == (champion.version, "registry"):
            self.refused = None
            return
        self._take_up(self._tracker, champion)

    def _take_up(self, tracker: Tracker, version: Version) -> None:
        if self._is_final and self.refused and self.refused[0] == version.version:
            return
        try:
            served = self._load(tracker, version)
        except Exception as error:  # a model may fail in any way; none of them may stop the one that serves
            self._metrics.reload_failures.inc()
            reason = f"{type(error).__name__}: {error}"
            if self.refused != (version.version, reason):
                logger.error("version %s is refused: %s", version.version, reason)
            self.refused = (version.version, reason)
            # A dropped connection may come back, and so may weights; a bad model stays bad.
            self._is_final = isinstance(error, PipelineError) and not isinstance(error, WeightsError)
            self._take_cached()
        else:
            self.refused = None
            self._serve(served)

    def _load(self, tracker: Tracker, version: Version) -> Served:
        sample = tracker.load_json(version.run_id, releases.SAMPLE_FILE)
        facts = {
            "version": version.version,
            "run_id": version.run_id,
            "metrics": tracker.metrics(version.run_id),
            "holdout_month": version.tags.get("holdout_month", ""),
            "held_out": version.tags.get("held_out", ""),
            "sample": sample,
        }
        with tempfile.TemporaryDirectory(prefix="champion-") as folder:
            file = tracker.fetch_model(version.model_uri, Path(folder))
            served = _try_out(file, facts, "registry")
            try:
                save_copy(self._cache, file, facts)
            except OSError as error:  # a full disk is no reason to refuse a good model
                logger.warning("no copy of version %s in %s: %s", version.version, self._cache, error)
        return served

    def _take_cached(self) -> None:
        if self.served or not (self._cache / FACTS_FILE).is_file():
            return
        try:
            self._serve(_try_out(*read_copy(self._cache), "cache"))
        except Exception as error:
            if str(error) != self._told_of_copy:
                logger.error("the copy in %s cannot be used: %s", self._cache, error)
            self._told_of_copy = str(error)

    def _serve(self, served: Served) -> None:
        self.served = served
        self._metrics.model.clear()
        self._metrics.model.labels(served.version, served.source).set(1)
        logger.info("version %s serves, from the %s", served.version, served.source)

    def _note_registry_error(self, error: Exception | None) -> None:
        told = str(error) if error else ""
        if error:
            self._metrics.registry_failures.inc()
            if not self.registry_error:
                logger.warning("%s does not say who is champion: %s", self._settings.tracking_uri, told)
        elif self.registry_error:
            logger.info("%s answers again", self._settings.tracking_uri)
        self.registry_error = told


def _try_out(file: Path, facts: dict[str, Any], source: Literal["registry", "cache"]) -> Served:
    model = training.skip_needless_encoding(read_model(file))
    releases.check_sample(model, facts["sample"], facts["version"])
    return Served(
        version=facts["version"],
        run_id=facts["run_id"],
        model=model,
        categories=training.known_categories(model),
        metrics=facts["metrics"],
        holdout_month=facts["holdout_month"],
        held_out=facts["held_out"],
        since=datetime.now(UTC).isoformat(timespec="seconds"),
        source=source,
    )


def save_copy(folder: Path, file: Path, facts: dict[str, Any]) -> None:
    """Keep a model and its facts; whoever reads meanwhile sees the old copy or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{file_sha256(file)}.skops"
    replace_file(folder / name, file.read_bytes())
    replace_file(folder / FACTS_FILE, json.dumps({**facts, "file": name}).encode())
    for other in folder.glob("*.skops"):
        if other.name != name:
            other.unlink(missing_ok=True)


def read_copy(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The file and the facts that `save_copy` has kept.

    Raises
    ------
    ReleaseError
        If the file is not the one that was kept.
    """
    facts = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
    file = folder / facts["file"]
    if file_sha256(file) != file.stem:
        raise ReleaseError(f"{file}: damaged: its SHA-256 is not its name")
    return file, facts
