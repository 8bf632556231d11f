"""The tables of pipeline.toml about data: source, labels, storage, compute, schedule and validation."""

import re
from datetime import datetime, time
from itertools import pairwise
from typing import Annotated, Literal
from zoneinfo import available_timezones

from croniter import croniter
from pydantic import Field, field_validator, model_validator

from modelworks.calendar import CRONS, EXAMPLES, Frequency, count_between, find_frequency, first_day, period_of
from modelworks.settings.base import Fraction, Period, Section

CHECKED_RUNS = 40
# A parameter of a query, as SQLAlchemy finds it: `::` is a cast, and `\\:` is a colon.
BOUND = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")


class Source(Section):
    """Where the periods come from: files, a query of a SQL database, or the project's own source."""

    uri: str = ""
    """URI of the files, .csv, .csv.gz or .parquet, with {period} in it: a path, s3://, https://, ..."""
    query: str = ""
    """Rows of a SQL database in place of `uri`, with :start and :end of a period."""
    sql_connection: str = Field("", pattern=r"^[\w.-]*$", repr=False)
    """Airflow connection of the database; its URL may be in the variable `AIRFLOW_CONN_<NAME>`, which is a secret."""
    delimiter: str = Field(",", min_length=1, max_length=1)
    """Delimiter of CSV files."""
    null_values: list[str] = Field(default_factory=lambda: [""])
    """Texts in CSV files that mean "no value"."""
    period: Frequency = "month"
    """What a period is, written as 2024-02-29, 2024-W09 (ISO 8601), 2024-02, 2024-Q1 or 2024."""
    first: Period
    """The first period."""
    last: Period | Literal[""] = ""
    """The last period; "" if new ones keep coming."""
    gaps: bool = False
    """Whether periods may have no file or no rows: runs leave them out. If not, that is an error."""

    @model_validator(mode="after")
    def _periods_in_order(self) -> "Source":
        if self.uri and "{period}" not in self.uri:
            raise ValueError(f"uri {self.uri!r} has no {{period}} in it, such as data/flights-{{period}}.csv.gz")
        for name, value in (("first", self.first), ("last", self.last)):
            if value and find_frequency(value) != self.period:
                example = EXAMPLES[self.period]
                raise ValueError(
                    f'{name} {value!r} is no {self.period}, which period = "{self.period}" wants: {example}'
                )
        if self.last and self.last < self.first:
            raise ValueError(f"last {self.last} comes before first {self.first}")
        return self

    @model_validator(mode="after")
    def _is_not_both(self) -> "Source":
        if self.uri and self.query:
            raise ValueError('uri (files) and query (of a SQL database) exclude each other; set one of them to ""')
        if bool(self.query) != bool(self.sql_connection):
            raise ValueError("query and sql_connection belong together: set both for a SQL database, or neither")
        if self.query and set(BOUND.findall(self.query)) != {"start", "end"}:
            raise ValueError(
                "query has to have the parameters :start and :end, and no other, "
                "as in select * from flights where at >= :start and at < :end"
            )
        return self

    @property
    def connection_variable(self) -> str:
        """The environment variable that holds the database's URL, or Airflow's JSON of the connection."""
        return f"AIRFLOW_CONN_{self.sql_connection.upper()}"


class Labels(Section):
    """Outcomes that come later than their rows."""

    uri: str = ""
    """URI of files with key and outcomes, with {period} in it; "": outcomes are in the source."""
    delay_periods: int = Field(0, ge=0, le=120)
    """Periods from the end of a period until its outcomes are known; training holds out no newer one."""
    min_labelled_fraction: float = Field(0.9, gt=0, le=1)
    """Share of a period's rows that must have a label; with fewer, no model is measured on it."""

    @field_validator("uri")
    @classmethod
    def _is_one_a_period(cls, value: str) -> str:
        if value and "{period}" not in value:
            raise ValueError("no {period} in it, such as data/outcomes-{period}.csv; empty: outcomes are in the source")
        return value


class Storage(Section):
    """Where runs keep their data."""

    uri: str = Field("var/data", min_length=1)
    """URI of partitions, datasets and journals: a path, s3://, ..."""


class Compute(Section):
    """Where the rows of a period are worked on, part by part; the results are the same for every executor."""

    executor: Literal["local", "processes", "spark"] = "local"
    """"local": part after part; "processes": in `workers` processes of this machine; "spark": on a cluster."""
    workers: int = Field(0, ge=0)
    """Processes of "processes"; 0: as many as there are cores."""
    spark_url: str = ""
    """Where Spark is: `airflow://NAME` of a connection, `sc://host:15002` of a Connect server, `spark://host:7077` of a
    master, `yarn`, `k8s://...` or `local[2]`."""
    rows_per_part: int = Field(1_000_000, ge=1)
    """Rows of a file of a period; a period with more has several files, which are worked on at the same time."""

    @model_validator(mode="after")
    def _spark_has_an_address(self) -> "Compute":
        if self.executor == "spark" and not self.spark_url:
            raise ValueError('executor "spark" wants spark_url, such as sc://host:15002')
        return self


class Schedule(Section):
    """When Airflow ingests by itself."""

    cron: str = ""
    """When the previous period is complete and has arrived, as a cron expression; "": at the start of the next one."""
    timezone: str = "UTC"
    """Time zone of `cron`."""
    task_timeout_minutes: int = Field(60, ge=1)
    """Minutes that a task may take."""

    @field_validator("cron")
    @classmethod
    def _is_cron(cls, value: str) -> str:
        if value and not croniter.is_valid(value):
            raise ValueError("not a cron expression of five fields, such as '0 0 1 * *'")
        return value

    def check_period(self, frequency: Frequency, first: str, *, gaps: bool) -> None:
        """Make sure that `cron` runs once in each period; where there may be gaps, at most once.

        Raises
        ------
        ValueError
            If it runs more often, or leaves periods out.
        """
        if not self.cron:
            return
        ticks = croniter(self.cron, datetime.combine(first_day(first), time()), ret_type=datetime)
        periods = [period_of(next(ticks).date(), frequency) for _ in range(CHECKED_RUNS)]
        steps = [count_between(earlier, later) for earlier, later in pairwise(periods)]
        if 0 in steps or (max(steps) > 1 and not gaps):
            often = "more than once in a" if 0 in steps else "not in every"
            raise ValueError(
                f"[schedule] cron = {self.cron!r} runs {often} {frequency}, and [source] period is a {frequency}; "
                f"write it as {CRONS[frequency]!r}, or leave it out"
            )

    @field_validator("timezone")
    @classmethod
    def _is_timezone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("no time zone of that name; write it as UTC or Europe/Berlin")
        return value


class Validation(Section):
    """When a period is refused."""

    max_quarantined_fraction: Fraction = 0.01
    """Share of a period's rows that may break the contract."""
    max_row_count_change: Annotated[float, Field(gt=0)] = 0.5
    """Share by which the number of rows may differ from the median of the last three periods."""
    max_null_fraction_increase: Fraction = 0.25
    """By how much the share of nulls of any column may exceed the median of the last three periods."""
