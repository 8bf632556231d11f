"""The page of the data, written by the command, of real periods."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from commands import call
from flights import FLIGHTS
from modelworks.cli.app import app
from modelworks.data import partitions
from modelworks.data.partitions import Partition
from modelworks.errors import PartitionError, PipelineError, SourceError
from modelworks.settings import ENV_PREFIX, load_settings


def explore(*words: str) -> str:
    """The page that the command writes; the last line that it prints names the file."""
    shown = CliRunner().invoke(app, ["explore", *words], catch_exceptions=False)
    assert shown.exit_code == 0
    return Path(shown.stdout.splitlines()[-1]).read_text(encoding="utf-8")


def clean_of(period: str) -> Partition:
    return partitions.find_partitions(load_settings().storage_uri, "clean", period)[-1]


def flip_a_byte(partition: Partition) -> None:
    file = Path(partition.files[0])
    blob = bytearray(file.read_bytes())
    blob[len(blob) // 2] ^= 1
    file.write_bytes(blob)


def test_new_project_is_ingested_and_its_training_data_are_shown(project: Path) -> None:
    page = explore()
    rows = clean_of("2013-05").rows + clean_of("2013-06").rows
    assert (project / "var" / "explore.html").read_text(encoding="utf-8") == page
    assert f"<strong>Rows:</strong> {rows:,}, validated, of 2 periods, 2013-05 to 2013-06" in page
    assert "<strong>Held out:</strong> 2013-07; not shown, as only evaluation reads it" in page
    for section in ("Suspicious columns", "Target", "Relations with the target", "Missing values", "Columns"):
        assert f"<h2>{section}</h2>" in page
    frame = pd.concat([partitions.read_partition(clean_of(period)) for period in ("2013-05", "2013-06")])
    delayed = frame["delayed"].sum()
    assert re.search(rf"<tr>\n<td[^>]*>1</td>\n<td[^>]*>{delayed:,.0f}</td>\n<td[^>]*>{delayed / rows:.1%}</td>", page)
    assert re.search(r"<td>north_wind</td>\n<td>derived</td>", page)
    missing = f"{frame['wind_gust'].isna().mean():.0%}"
    assert f"<strong>wind_gust</strong> is missing in {missing} of the rows" in page


def test_page_loads_nothing_and_leaves_no_part_of_a_file(project: Path) -> None:
    page = explore("--to", str(project / "new" / "page.html"))
    assert re.findall(r"<(?:script|link|iframe|form)\b", page) == []
    assert re.findall(r'(?:src|href)="(?!data:|#)[^"]*', page) == []
    assert [each.name for each in (project / "new").iterdir()] == ["page.html"]


def test_second_look_ingests_nothing_and_a_period_chooses_what_is_held_out(project: Path) -> None:
    explore()
    before = {path: path.stat().st_mtime_ns for path in (project / "var" / "data").rglob("*")}
    page = explore("--period", "2013-06")
    assert "validated, of 2013-05<" in page
    assert "<strong>Held out:</strong> 2013-06;" in page
    assert {path: path.stat().st_mtime_ns for path in (project / "var" / "data").rglob("*")} == before


def test_held_out_period_is_not_even_read(project: Path) -> None:
    explore()
    flip_a_byte(clean_of("2013-07"))
    page = explore()
    assert "validated, of 2 periods, 2013-05 to 2013-06" in page
    flip_a_byte(clean_of("2013-06"))
    with pytest.raises(PartitionError, match=r"2013-06.*damaged"):
        explore()


def test_period_that_is_not_there_is_one_message(project: Path) -> None:
    for period, message in (
        ("2014-01", "period 2014-01: outside the source, which has 2013-05 to 2013-07"),
        ("June", "period 'June': not a month .*; write it as 2013-07"),
        ("2013-05", "there is no period before it to train on"),
    ):
        with pytest.raises(SourceError, match=message):
            explore("--period", period)
    assert not (project / "var" / "data").exists()


def test_source_without_its_files_is_one_message(project: Path) -> None:
    for file in (project / "data").iterdir():
        file.unlink()
    shown = call("explore")
    assert shown.returncode == 1
    assert "flights-2013-05.csv.gz: no such file" in shown.stdout + shown.stderr
    assert "Traceback" not in shown.stdout + shown.stderr


def test_page_that_cannot_be_written_is_one_message(project: Path) -> None:
    with pytest.raises(PipelineError, match=f"{project}/data: cannot be written: Is a directory; name another file"):
        explore("--to", str(project / "data"))


def test_periods_that_are_not_clean_yet_are_named(project: Path, monkeypatch) -> None:
    explore("--period", "2013-06")
    monkeypatch.setenv(f"{ENV_PREFIX}SOURCE__LAST", "2013-08")
    page = explore()
    assert "validated, of 2 periods, 2013-05 to 2013-06" in page
    assert "<strong>Not there:</strong> 2013-07: not ingested and validated under this contract yet" in page


def test_memory_does_not_grow_with_the_rows(project: Path) -> None:
    """In 900,000 rows more, the numbers alone would be 110 MB."""
    explore()
    settings, clean = load_settings(), clean_of("2013-05")
    peak_kib = {}
    for times in (20, 300):
        with partitions.new_partition(settings.storage_uri, "clean", "2013-05") as writer:
            frame = pd.concat([partitions.read_partition(clean)] * 20)
            for _ in range(times // 20):
                writer.write(frame)
            writer.publish(source="copied", source_sha256=str(times), contract_version=FLIGHTS.contract.version)
        program = """
import resource
from modelworks import load_project, load_settings
from modelworks.explore.rows import find_explored, read_table
settings = load_settings()
project = load_project(settings.home)
table = read_table(project, settings, find_explored(project, settings, "2013-06"))
print(table.counts.rows, len(table.sample), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
        command = [sys.executable, "-c", program]
        printed = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stdout.split()
        rows, sampled, peak_kib[times] = map(int, printed)
        assert rows == times * clean.rows
        assert 50_000 <= sampled < 100_000
    assert peak_kib[300] - peak_kib[20] < 50 * 1024, peak_kib
