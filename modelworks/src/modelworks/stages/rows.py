"""The rows that a model is trained on, and those that it is measured on."""

from dataclasses import dataclass

import pandas as pd

from modelworks.data import partitions, sampling, splits
from modelworks.data.execution import is_shared, map_parts
from modelworks.data.partitions import Dataset, Partition
from modelworks.errors import ContractError, ReleaseError
from modelworks.progress import track
from modelworks.project import Project
from modelworks.settings import Settings
from modelworks.wording import count


@dataclass(frozen=True)
class TrainingRows:
    """The labelled rows of a dataset without the held-out ones.

    Attributes
    ----------
    unlabelled : rows that were left out since their target is unknown
    training, holdout : the periods of the rows, and those that the held-out rows are in; without time, the same ones
    """

    frame: pd.DataFrame
    unlabelled: int
    training: Dataset
    holdout: Dataset


def split_dataset(project: Project, settings: Settings, dataset: Dataset) -> tuple[Dataset, Dataset]:
    """The periods to train on, and the newest, which only `evaluate` reads; without time, all periods for both.

    Raises
    ------
    ContractError
        If there is no period to train on.
    """
    if not project.contract.time:
        return dataset, dataset
    n_held_out = splits.holdout_periods(project.contract, settings.training)
    earlier, newest = dataset.partitions[:-n_held_out], dataset.partitions[-n_held_out:]
    if not earlier:
        raise ContractError(
            f"{dataset.uri}: {count(len(newest), 'period')} only, {newest[0].period} to {newest[-1].period}, and "
            f"[training] holdout = {n_held_out}; there is none to train on"
        )
    return partitions.save_dataset(settings.storage_uri, earlier), partitions.save_dataset(settings.storage_uri, newest)


def read_rows(
    project: Project,
    settings: Settings,
    dataset: Dataset,
    *,
    held_out: bool | None = None,
    columns: list[str] | None = None,
) -> tuple[pd.DataFrame, int]:
    """The labelled rows of a dataset, at most about `[training] max_rows`; and how many had no label.

    Parameters
    ----------
    held_out : read the held-out rows, or the others; without effect where periods are held out. None: read both
    columns : key, group and target among them; None: all
    """
    selection = splits.choose_rows(project.contract, settings.training, dataset.rows, held_out=held_out)
    parts = sampling.list_parts(project.contract, selection, dataset.partitions, columns)
    if selection.sample < 1 and is_shared(settings.compute, len(parts)):
        taken = sampling.join(map_parts(sampling.sample_part, parts, settings.compute, "reading"))
    else:  # to send all rows from one process to another costs more than to read them
        samples = (sample for part in parts for sample in sampling.read_samples(part))
        taken = sampling.join(list(track(samples, "reading", "rows", dataset.rows, size=lambda each: each.of_rows)))
    return taken.frame, taken.unlabelled


def read_training_rows(project: Project, settings: Settings, dataset: Dataset) -> TrainingRows:
    """The labelled rows to train on.

    Raises
    ------
    ContractError
        If there is no period to train on, or so few of the held-out rows are labelled that no model could be measured.
    """
    training, holdout = split_dataset(project, settings, dataset)
    for partition in holdout.partitions:
        check_labelled(settings, partition)
    frame, unlabelled = read_rows(project, settings, training, held_out=False)
    return TrainingRows(frame, unlabelled, training, holdout)


def check_same_run(tags: dict[str, str], settings: Settings, dataset: Dataset) -> None:
    """Make sure that a run that is continued has the settings and the data that it began with.

    Raises
    ------
    ReleaseError
        If it has not.
    """
    same_settings = tags["config_digest"] == settings.digest
    same_data = tags.get("data_digest", dataset.digest) == dataset.digest
    if not (same_settings and same_data):
        changed = "the data" if same_settings else "[training], [model] or [tuning]"
        raise ReleaseError(f"this run began before {changed} changed, and its model is of that time; start a new run")


def check_labelled(settings: Settings, holdout: Partition) -> None:
    """Make sure that enough of a period's outcomes are known to measure a model on it.

    Raises
    ------
    ContractError
        If too few are.
    """
    rows, wanted = holdout.rows, settings.labels.min_labelled_fraction
    labelled = rows - holdout.facts.get("unlabelled", 0)
    if labelled < wanted * rows:
        uri = settings.labels.uri.replace("{period}", holdout.period)
        raise ContractError(
            f"period {holdout.period}: {labelled:,} of {rows:,} rows have a label, too few to measure a model on it "
            f"([labels] min_labelled_fraction = {wanted}); run again when its labels are there"
            + (f", in {settings.absolute(uri)}" if uri else "")
            + "; or hold out an earlier period, by --period or [labels] delay_periods"
        )
