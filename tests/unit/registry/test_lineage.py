"""Which code a model was made by, and which of its halves has changed since."""

import shutil
from pathlib import Path

import pytest

import modelworks
from modelworks.registry import lineage


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "src" / "own").mkdir(parents=True)
    (tmp_path / "dags").mkdir()
    (tmp_path / "src" / "own" / "features.py").write_text("A = 1", encoding="utf-8")
    (tmp_path / "dags" / "training.py").write_text("B = 1", encoding="utf-8")
    (tmp_path / "requirements.lock").write_text("numpy==2.4", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(("file", "text"), [("src/own/features.py", "A = 2"), ("dags/training.py", "B = 2")])
def test_code_of_the_project_is_its_own_files(home: Path, file: str, text: str) -> None:
    before, lock = lineage.project_sha256(home), lineage.lock_sha256(home)
    (home / file).write_text(text, encoding="utf-8")
    assert lineage.project_sha256(home) != before
    assert lineage.lock_sha256(home) == lock


def test_file_that_is_renamed_added_or_removed_is_other_code(home: Path) -> None:
    seen = {lineage.project_sha256(home)}
    (home / "src" / "own" / "features.py").rename(home / "src" / "own" / "columns.py")
    seen.add(lineage.project_sha256(home))
    (home / "src" / "own" / "empty.py").touch()
    seen.add(lineage.project_sha256(home))
    (home / "src" / "own" / "columns.py").unlink()
    seen.add(lineage.project_sha256(home))
    assert len(seen) == 4


def test_other_files_and_other_folders_are_no_code(home: Path, tmp_path: Path) -> None:
    before = lineage.project_sha256(home)
    (home / "src" / "own" / "__pycache__").mkdir()
    (home / "src" / "own" / "__pycache__" / "features.pyc").write_bytes(b"0")
    (home / "vendor").mkdir()
    (home / "vendor" / "engine.py").write_text("C = 1", encoding="utf-8")
    assert lineage.project_sha256(home) == before


def test_code_is_the_same_in_another_folder_and_behind_a_link(home: Path, tmp_path: Path) -> None:
    copy, linked = tmp_path / "copy", tmp_path / "linked"
    shutil.copytree(home / "src", copy / "src")
    shutil.copytree(home / "dags", copy / "dags")
    (linked / "src").mkdir(parents=True)
    (linked / "src" / "own").symlink_to(home / "src" / "own")
    (linked / "dags").symlink_to(home / "dags")
    hashes = {lineage.project_sha256(each) for each in (home, copy, linked)}
    assert len(hashes) == 1


def test_home_without_code_or_locks_says_so(tmp_path: Path) -> None:
    assert lineage.project_sha256(tmp_path) == lineage.lock_sha256(tmp_path) == "none"


def test_code_of_the_engine_is_every_file_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "modelworks"
    shutil.copytree(Path(modelworks.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    here = lineage.engine_sha256()
    monkeypatch.setattr(lineage, "ENGINE", copy)
    assert lineage.engine_sha256() == here
    with (copy / "evaluation" / "gates.py").open("a", encoding="utf-8") as file:
        file.write("# patched\n")
    assert lineage.engine_sha256() != here


def test_all_code_changes_with_each_half_and_the_lock(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {lineage.code_sha256(home)}
    (home / "requirements.lock").write_text("numpy==2.5", encoding="utf-8")
    seen.add(lineage.code_sha256(home))
    (home / "dags" / "training.py").write_text("B = 2", encoding="utf-8")
    seen.add(lineage.code_sha256(home))
    monkeypatch.setattr(lineage, "engine_sha256", lambda: "patched")
    seen.add(lineage.code_sha256(home))
    assert len(seen) == 4


def test_differences_name_each_part_with_then_and_now() -> None:
    then = {"project code": "a", "engine code": "b", "Python": "3.11.7"}
    now = {"project code": "a", "engine code": "c", "Python": "3.12.0", "lock": "d"}
    assert lineage.differences(then, now) == [
        "engine code: then b, now c",
        "Python: then 3.11.7, now 3.12.0",
        "lock: then None, now d",
    ]
