"""Everything that can go wrong and has a remedy.

::

    PipelineError              one sentence: what is wrong, where, and what to do
    ├── ConfigError            a key of pipeline.toml or an environment variable
    │   └── WeightsError       pre-trained weights that are not there, or not those that a model was trained with
    ├── ContractError          columns or rows that break the data contract
    ├── SourceError            a source that is missing, empty or unreadable
    │   └── SourceChangedError it is not what it was when the month was ingested
    ├── PartitionError         a stored partition that is missing or damaged
    ├── QualityGateError       a model that may not be released
    ├── ReleaseError           a release that could not be carried out
    │   └── NoChampionError    nothing has been released yet
    ├── AdoptionError          a table that cannot be adopted, or a question that nobody is there to answer
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


class SourceChangedError(SourceError):
    """A source differs from the one that was ingested."""


class PartitionError(PipelineError):
    """A stored partition is missing or is not what its manifest says."""


class QualityGateError(PipelineError):
    """A model failed at least one release check."""


class ReleaseError(PipelineError):
    """A release could not be carried out; the champion is as it was."""


class NoChampionError(ReleaseError):
    """Nothing has been released yet, so there is no model to use."""


class AdoptionError(PipelineError):
    """A table cannot become the project's data, or somebody has to decide first."""


class StackError(PipelineError):
    """A process of `make up` does not start, or does not answer."""
