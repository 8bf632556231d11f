"""A released version as another registry gets it: everything that is known of it, and its files."""

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from mlflow import MlflowClient
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from modelworks.data.files import file_sha256
from modelworks.errors import ReleaseError
from modelworks.registry.models import FILE, SIGNATURE, Models
from modelworks.registry.promotion import LedgerEntry, PromotedFrom
from modelworks.registry.signatures import Keys
from modelworks.settings import Settings


@dataclass(frozen=True)
class Origin:
    """A released version of a registry.

    Attributes
    ----------
    server : hash of the registry's address and the model's name
    release : entry of the ledger, as JSON
    candidate_sha256 : of the model that was fitted without the held-out rows
    tags : of the version
    params, metrics : of its run
    trials : of each model type, as the run was asked; "" where it does not say
    warnings : what a person has to know who decides about the promotion
    """

    promoted_from: PromotedFrom
    server: str
    release: dict[str, Any]
    candidate_sha256: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    trials: str
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The fields by name, as `json.dumps` takes them."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """The origin that `to_json` wrote."""
        return cls(**fields | {"promoted_from": PromotedFrom(**fields["promoted_from"])})

    @property
    def name(self) -> str:
        """The version and where it is, in words."""
        return f"version {self.promoted_from.version} of {self.promoted_from.environment}"

    def is_entry(self, entry: LedgerEntry) -> bool:
        """Whether an entry of another registry's ledger has released this very model."""
        there = entry.promoted_from
        ours = self.promoted_from
        return bool(
            there
            and entry.action == "deploy"
            and (there.version, there.run_id, there.sha256) == (ours.version, ours.run_id, ours.sha256)
        )


def hash_server(settings: Settings) -> str:
    """A hash of where a registered model is; equal where two environments share it."""
    return hashlib.sha256(f"{settings.tracking_address} {settings.registered_model}".encode()).hexdigest()[:16]


class Copies:
    """Files of models and runs, from one server to another: MLflow copies versions within one server only."""

    def __init__(self, client: MlflowClient, models: Models, settings: Settings) -> None:
        self._client = client
        self._models = models
        self._keys = Keys(settings)

    def download_model(self, model_uri: str, folder: Path) -> str:
        """All files of a model; returns the SHA-256 of the one that it is loaded from.

        Raises
        ------
        ReleaseError
            If that is not the file that was saved, or it is not signed by the key of the settings.
        """
        saved = self._client.get_logged_model(model_uri.removeprefix("models:/"))
        uri = self._client.tracking_uri
        artifacts = get_artifact_repository(saved.artifact_location, tracking_uri=uri, registry_uri=uri)
        folder.mkdir(parents=True)
        artifacts.download_artifacts("", dst_path=str(folder))  # type: ignore[no-untyped-call]
        noted = saved.tags.get("sha256", "")
        self.check_files(folder, noted, model_uri)
        return noted

    def check_files(self, folder: Path, sha256: str, name: str) -> None:
        """Make sure that the files of a model are those that were saved, and signed where the settings want that.

        Raises
        ------
        ReleaseError
            If they are not.
        """
        file, signature = folder / FILE, folder / SIGNATURE
        if not file.is_file() or file_sha256(file) != sha256:
            raise ReleaseError(f"{name}: {FILE} is not the file that was saved: its SHA-256 differs, or it is missing")
        if self._keys.verifies:
            self._keys.verify(file, signature if signature.is_file() else None, name)

    def upload_model(self, run_id: str, name: str, folder: Path) -> str:
        """Save the files of a model with a run, as they are, or find the copy that is there; returns its URI.

        Raises
        ------
        ReleaseError
            If the copy on the server is not the same file.
        """
        uri = self._models.save_files(run_id, name, folder)
        copied = self._models.sha256(uri)
        if copied != file_sha256(folder / FILE):
            raise ReleaseError(f"{uri}: run {run_id} has another model {name!r} already; start a new run")
        return uri

    def download_run(self, run_id: str, folder: Path) -> None:
        """The files that a run keeps beside its models."""
        folder.mkdir(parents=True)
        for each in self._client.list_artifacts(run_id):
            self._client.download_artifacts(run_id, each.path, str(folder))

    def upload_files(self, run_id: str, folder: Path, into: str) -> None:
        """Keep the files of a folder with a run, in a folder of its own."""
        self._client.log_artifacts(run_id, str(folder), into)

    def params(self, run_id: str) -> dict[str, str]:
        """Parameters of a run."""
        return dict(self._client.get_run(run_id).data.params)
