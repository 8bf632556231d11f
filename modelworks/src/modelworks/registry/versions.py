"""Versions of the registered model, and the aliases that name some of them."""

from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from modelworks.errors import ReleaseError
from modelworks.settings import Settings

CHAMPION = "champion"
PREVIOUS = "previous"
CHALLENGER = "challenger"
MODEL_URI = "model_uri"
"""Tag that holds the URI of a version's model."""


@dataclass(frozen=True)
class Version:
    """A version of the registered model with its tags."""

    version: str
    run_id: str
    model_uri: str
    created_at_ms: int
    tags: dict[str, str]


class Versions:
    """Versions of the model that `settings.registered_model` names."""

    def __init__(self, client: MlflowClient, settings: Settings) -> None:
        self._client = client
        self._name = settings.registered_model
        self._uri = settings.tracking_uri

    def register(self, run_id: str, model_uri: str, description: str, tags: dict[str, str]) -> Version:
        """Make a version of a model, or find the one that the run has made already."""
        self._create_model()
        if not self._numbers_of(run_id):
            made = self._client.create_model_version(
                self._name,
                source=self._source_of(model_uri),
                run_id=run_id,
                tags={**tags, MODEL_URI: model_uri},
                description=description,
                model_id=model_uri.removeprefix("models:/"),
            )
            # Another process may have made one for the same run at the same moment: the oldest stays.
            if int(made.version) != self._numbers_of(run_id)[0]:
                self._client.delete_model_version(self._name, str(made.version))
        return self.get(str(self._numbers_of(run_id)[0]))

    def get(self, version: str) -> Version:
        """A version by its number.

        Raises
        ------
        ReleaseError
            If the registry has no version of that number.
        """
        try:
            found = self._client.get_model_version(self._name, version)
        except MlflowException:
            raise ReleaseError(
                f"model {self._name!r} has no version {version} at {self._uri}; "
                "was it deleted, or does MLFLOW_TRACKING_URI point elsewhere?"
            ) from None
        return Version(
            version=str(found.version),
            run_id=str(found.run_id),
            model_uri=found.tags.get(MODEL_URI, str(found.source)),
            created_at_ms=found.creation_timestamp,
            tags=dict(found.tags),
        )

    def find_alias(self, alias: str) -> Version | None:
        """The version that an alias points to, if any."""
        try:
            found = self._client.get_model_version_by_alias(self._name, alias)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
        return self.get(str(found.version))

    def move_alias(self, alias: str, version: str) -> None:
        """Let an alias point to a version."""
        self._client.set_registered_model_alias(self._name, alias, version)

    def remove_alias(self, alias: str) -> None:
        """Let an alias point to nothing."""
        self._client.delete_registered_model_alias(self._name, alias)

    def _create_model(self) -> None:
        try:
            self._client.create_registered_model(self._name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _source_of(self, model_uri: str) -> str:
        """The model's location as the registry stores it.

        A server resolves a `models:/` URI itself. A file store would resolve it at MLflow's process-wide tracking
        URI, so it is given the folder.
        """
        if self._uri.startswith("http"):
            return model_uri
        return str(self._client.get_logged_model(model_uri.removeprefix("models:/")).artifact_location)

    def _numbers_of(self, run_id: str) -> list[int]:
        found = self._client.search_model_versions(f"name = '{self._name}' AND run_id = '{run_id}'")
        return sorted(int(each.version) for each in found)
