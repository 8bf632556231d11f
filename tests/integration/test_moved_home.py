"""A project that was moved, copied or restored: its models are found, and nothing is written elsewhere."""

import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest

from flights import FLIGHTS, PACKAGE, enter_home
from modelworks import stages
from modelworks.errors import ConfigError
from modelworks.project import check_environment
from modelworks.registry.relocation import repair_locations
from modelworks.registry.tracker import Tracker
from modelworks.settings import Settings, load_settings
from modelworks.state.status import read_status
from releases import copy_home, find_champion, release_flights, run_file


@pytest.fixture
def moved(released: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A project with two releases, moved to a folder whose name wants quoting; the former folder is gone."""
    folder = tmp_path_factory.mktemp("a b") / "it's moved"
    shutil.move(released, folder)
    enter_home(folder, monkeypatch)
    return load_settings()


def texts_of(settings: Settings) -> Iterator[str]:
    """All text in MLflow's database."""
    with closing(sqlite3.connect(settings.local_store_file)) as database:
        yield from database.iterdump()


def test_moved_project_finds_its_models_and_goes_on(moved: Settings, released: Path) -> None:
    found = read_status(FLIGHTS, moved).champion
    assert found
    assert found.version == "2"
    assert stages.score(FLIGHTS, moved, "2013-07").rows > 1000
    assert "equal in all" in stages.reproduce(FLIGHTS, moved, "2").summary
    stages.rollback(FLIGHTS, moved, reason="to see that it works")
    assert find_champion(moved) == "1"
    assert release_flights("third") == "3"
    assert run_file(moved, "3", "verdict.json").is_relative_to(moved.home)
    assert not released.exists()
    assert not any(str(released) in line for line in texts_of(moved))


def test_copy_beside_itself_goes_on_with_its_own_models(
    released: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.stat().st_mtime_ns for path in released.rglob("*") if path.is_file()}
    copy = tmp_path_factory.mktemp("copy")
    copy_home(released, copy, monkeypatch)
    assert release_flights("third") == "3"
    assert {path: path.stat().st_mtime_ns for path in released.rglob("*") if path.is_file()} == before
    enter_home(released, monkeypatch)
    assert find_champion(load_settings()) == "2"
    assert release_flights("another third") == "3"
    assert not any(str(copy) in line for line in texts_of(load_settings()))


def test_repair_is_made_once_and_names_the_former_folder(
    moved: Settings, released: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert repair_locations(moved) == (released / "var" / "mlflow" / "artifacts").as_uri()
    assert "the project was moved: " in caplog.text
    assert repair_locations(moved) is None


def test_nothing_is_repaired_where_there_is_no_store_or_a_server(project: Path, tmp_path: Path) -> None:
    settings = load_settings(project)
    settings.local_store_file.unlink()
    assert repair_locations(settings) is None
    assert not settings.local_store_file.exists()
    on_a_server = load_settings(project, {"tracking": {"uri": "http://127.0.0.1:1"}})
    assert repair_locations(on_a_server) is None
    Tracker(FLIGHTS, settings)


def test_code_of_another_folder_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    check_environment(project)
    other = ModuleType(PACKAGE)
    other.__file__ = str(tmp_path / "former" / "src" / PACKAGE / "__init__.py")
    monkeypatch.setitem(sys.modules, PACKAGE, other)
    with pytest.raises(ConfigError, match=r"is imported from .*former/src/\w+, and not from .*`make setup` makes one"):
        check_environment(project)
