import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from modelworks.data import code_archives, spark_worker
from modelworks.data.code_archives import CodeArchive
from modelworks.data.shipping import ship
from modelworks.settings import Compute

PROGRAM = """
import sys
from modelworks.data import spark_worker
code = {"lake": (sys.argv[1], sys.argv[2])}
print(spark_worker.find_other_code(code) or sys.modules["lake"].features.NAME)
"""


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """A package of a project, imported: `lake`, with `lake.features`, a data file and bytecode."""
    folder = tmp_path / "src" / "lake"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__pycache__" / "old.pyc").write_bytes(b"old")
    (folder / "__init__.py").write_text("from lake import features\n")
    (folder / "features.py").write_text("NAME = 'sent'\n\ndef add(rows):\n    return rows\n")
    (folder / "words.txt").write_text("one\n")
    monkeypatch.syspath_prepend(folder.parent)
    code_archives.archive.cache_clear()
    import lake

    yield lake
    for name in [name for name in sys.modules if name.partition(".")[0] == "lake"]:
        del sys.modules[name]


def names_in(archive: CodeArchive) -> list[str]:
    with zipfile.ZipFile(archive.path) as file:
        return file.namelist()


def test_package_that_a_function_is_of_is_sent_with_the_engine_and_without_installed_ones(lake) -> None:
    payload = pickle.dumps((lake.features.add, [zipfile.ZipFile, pytest.fixture]))
    engine, own = code_archives.find_code(payload)
    assert engine.package == "modelworks"
    assert {"modelworks/__init__.py", "modelworks/data/spark.py", "modelworks/py.typed"} <= set(names_in(engine))
    assert names_in(own) == ["lake/__init__.py", "lake/features.py", "lake/words.txt"]


def test_package_is_found_in_a_pickle_within_a_pickle(lake) -> None:
    within = pickle.dumps((lake.features.add, 1))
    assert [each.package for each in code_archives.find_code(pickle.dumps([within]))] == ["modelworks", "lake"]
    assert [each.package for each in code_archives.find_code(pickle.dumps([b"\x80 no pickle"]))] == ["modelworks"]


def test_package_of_what_lies_in_the_storage_is_sent_as_well(lake, tmp_path: Path) -> None:
    """A model and a project are stored once, and a task names only where."""
    shipped = ship([lake.features.add], str(tmp_path), Compute(executor="spark", spark_url="local[2]"), 2)
    payload = pickle.dumps((len, [shipped]))
    assert [each.package for each in code_archives.find_code(payload)] == ["modelworks", "lake"]


def test_same_code_gives_the_same_bytes_and_other_code_another_name(lake, tmp_path: Path) -> None:
    first = code_archives.archive("lake")
    content = first.path.read_bytes()
    code_archives.archive.cache_clear()
    assert code_archives.archive("lake") == first
    assert first.path.read_bytes() == content
    (tmp_path / "src" / "lake" / "features.py").write_text("NAME = 'other'\n")
    code_archives.archive.cache_clear()
    assert code_archives.archive("lake").path.name != first.path.name


def on_worker(archive: CodeArchive, sha256: str, *paths: Path) -> str:
    """What a worker with these paths finds."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, archive.path.name, sha256],
        env={"PYTHONPATH": ":".join([*map(str, paths), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_worker_imports_what_was_sent_and_not_its_own(lake, tmp_path: Path) -> None:
    archive = code_archives.archive("lake")
    (tmp_path / "own" / "lake").mkdir(parents=True)
    (tmp_path / "own" / "lake" / "__init__.py").write_text("raise ImportError('the own one')\n")
    assert on_worker(archive, archive.sha256, archive.path, tmp_path / "own") == "sent"
    assert on_worker(archive, archive.sha256, tmp_path / "own", archive.path) == "sent"


@pytest.mark.slow
def test_worker_refuses_code_that_is_missing_or_changed_or_of_elsewhere(lake, tmp_path: Path) -> None:
    archive = code_archives.archive("lake")
    assert on_worker(archive, archive.sha256) == f"{archive.path.name} has not arrived"
    changed = tmp_path / archive.path.name
    changed.write_bytes(archive.path.read_bytes() + b"\0")
    refusal = on_worker(archive, archive.sha256, changed)
    assert refusal.startswith(f"{archive.path.name} is not what was sent: its SHA-256 is ")
    assert refusal.endswith(f"and should be {archive.sha256[:12]}...")


def test_worker_that_has_imported_other_code_already_refuses(lake, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = code_archives.archive("lake")
    monkeypatch.syspath_prepend(str(archive.path))
    assert spark_worker.find_other_code({"lake": (archive.path.name, archive.sha256)}) == (
        f"lake is imported from {lake.__file__}, and not from {archive.path.name}, which was sent"
    )


def test_worker_refuses_other_versions_than_the_driver_s() -> None:
    import pandas as pd

    assert spark_worker.find_other_versions({"pandas": pd.__version__}) == ""
    assert spark_worker.find_other_versions({"pandas": "1.0"}).startswith(f"pandas is {pd.__version__} there and 1.0")
    assert spark_worker.find_other_versions({"no-such-package": "1.0"}).startswith("no-such-package is missing there")
