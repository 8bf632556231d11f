"""The rows that a model learns from, and those that it is measured on."""

import numpy as np
import pandas as pd

from .. import schema, split, storage
from ..config import Settings
from ..errors import ContractError, ReleaseError
from ..storage import Dataset, Partition


def split_dataset(settings: Settings, dataset: Dataset) -> tuple[Dataset, Dataset]:
    """The months to learn from, and the newest, which only `evaluate` reads; without time, all months for both.

    Raises
    ------
    ContractError
        If there is no month to learn from.
    """
    if not schema.TIME:
        return dataset, dataset
    n_held_out = settings.training.holdout_months
    earlier, newest = dataset.partitions[:-n_held_out], dataset.partitions[-n_held_out:]
    if not earlier:
        raise ContractError(
            f"{dataset.uri}: {len(newest)} months only, {newest[0].month} to {newest[-1].month}, and [training] "
            f"holdout_months = {n_held_out}; there is none to train on"
        )
    return storage.save_dataset(settings.storage_uri, earlier), storage.save_dataset(settings.storage_uri, newest)


def read_rows(settings: Settings, dataset: Dataset, *, held_out: bool | None = None) -> tuple[pd.DataFrame, int]:
    """The labelled rows of a dataset, of which no more than `[training] max_rows` are taken; and how many had no label.

    Parameters
    ----------
    held_out : take the rows that are held out, or the others; does nothing where months are held out. None: take both
    """
    max_rows, frames, unlabelled = settings.training.max_rows, [], 0
    for partition in dataset.partitions:
        for frame in storage.read_batches(partition):
            taken = np.ones(len(frame), bool)
            if held_out is not None and not schema.TIME:
                taken &= split.is_held_out(frame, settings.training.holdout_fraction) == held_out
            if 0 < max_rows < dataset.rows:
                taken &= split.is_sampled(frame, max_rows / dataset.rows)
            known = frame[schema.TARGET].notna().to_numpy()
            unlabelled += int((taken & ~known).sum())
            rows = taken & known
            frames.append(frame if rows.all() else frame[rows])
    return pd.concat(frames, ignore_index=True), unlabelled


def read_training_rows(settings: Settings, dataset: Dataset) -> tuple[pd.DataFrame, int, Dataset, Dataset]:
    """The labelled rows to learn from, how many had no label, and the months that were split: learned from, held out.

    Raises
    ------
    ContractError
        If there is no month to learn from, or so few of those held out are labelled that no model could be measured.
    """
    training_span, holdout = split_dataset(settings, dataset)
    for partition in holdout.partitions:
        check_labelled(settings, partition)
    frame, unlabelled = read_rows(settings, training_span, held_out=False)
    return frame, unlabelled, training_span, holdout


def check_same_run(tags: dict[str, str], settings: Settings, dataset: Dataset) -> None:
    """Make sure that a run that is taken up again has the settings and the data that it began with."""
    same_settings = tags["config_digest"] == settings.digest
    same_data = tags.get("data_digest", dataset.digest) == dataset.digest
    if not (same_settings and same_data):
        changed = "the data" if same_settings else "[training], [model] or [search]"
        raise ReleaseError(f"this run began before {changed} changed, and its model is of that time; start a new run")


def check_labelled(settings: Settings, holdout: Partition) -> None:
    """Make sure that so many of the month's outcomes are known that a model can be measured on it."""
    rows, wanted = holdout.rows, settings.labels.min_labelled_fraction
    labelled = rows - holdout.facts.get("unlabelled", 0)
    if labelled < wanted * rows:
        uri = settings.labels.uri.replace("{month}", holdout.month)
        raise ContractError(
            f"month {holdout.month}: {labelled:,} of {rows:,} rows have a label, too few to measure a model on it "
            f"([labels] min_labelled_fraction = {wanted}); run again when its labels are there"
            + (f", in {settings.absolute(uri)}" if uri else "")
            + "; or hold out an earlier month, by --month or [labels] delay_months"
        )
