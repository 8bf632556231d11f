"""Everything that can go wrong and has a remedy.

::

    PipelineError              one sentence: what is wrong, where, and what to do
    ├── ConfigError            a key of pipeline.toml or an environment variable
    │   └── WeightsError       pre-trained weights that are not there, or not those that a model was trained with
    ├── ContractError          columns or rows that break the data contract
    ├── SourceError            a source that is missing, empty or unreadable
    │   ├── NoRowsError        it has no file or no rows for a period
    │   └── SourceChangedError it has changed since the period was ingested
    ├── PartitionError         a stored partition that is missing or damaged
    ├── ComputeError           workers of `[compute]` that are killed again and again
    ├── QualityGateError       a model that may not be released
    ├── ReleaseError           a release that could not be carried out
    │   └── NoChampionError    nothing has been released yet
    ├── ExplanationError       a model whose predictions are no sum of contributions of its features
    ├── AdoptionError          a table that cannot be adopted
    ├── DiskError              a folder on a full disk, or one that may not be written to
    ├── MissingAnswerError     a question, and no terminal to ask it on; names the option that answers it
    └── StackError             a process of `make up` that does not start, or does not answer

A `PipelineError` is final: trying again changes nothing, so the DAGs do not retry it. Whatever else is
raised (a dropped connection, a full disk) may pass, and is retried.
"""


class PipelineError(Exception):
    """Base of all errors that a person has to resolve."""


class ConfigError(PipelineError):
    """A setting has a wrong name, type or value."""


class WeightsError(ConfigError):
    """Pre-trained weights are not there, cannot be read, or are not those that a model was trained with."""


class ContractError(PipelineError):
    """Data do not keep the contract."""


class SourceError(PipelineError):
    """A source, file or query, cannot be read as what the contract describes."""


class NoRowsError(SourceError):
    """A source has no file or no rows for a period; where `[source] gaps` allows that, the period is left out."""


class SourceChangedError(SourceError):
    """A source differs from the one that was ingested."""


class PartitionError(PipelineError):
    """A stored partition is missing or is not what its manifest says."""


class ComputeError(PipelineError):
    """Workers of `[compute]` are killed again and again."""


class QualityGateError(PipelineError):
    """A model failed at least one release check.

    Parameters
    ----------
    message : names each failed check with its figures
    summary : shown where the figures follow, such as in the line of a stage; by default the message
    """

    def __init__(self, message: str, summary: str = "") -> None:
        super().__init__(message)
        self.summary = summary or message


class ReleaseError(PipelineError):
    """A release could not be carried out; the champion is as it was."""


class NoChampionError(ReleaseError):
    """Nothing has been released yet, so there is no model to use."""


class ExplanationError(PipelineError):
    """A model's predictions are no sum of contributions of its features, or not one that the engine can verify."""


class AdoptionError(PipelineError):
    """A table cannot become the project's data."""


class DiskError(PipelineError):
    """A folder cannot be written to."""


class MissingAnswerError(PipelineError):
    """A command has a question, and there is no terminal to ask it on."""


class StackError(PipelineError):
    """A process of `make up` does not start, or does not answer."""
