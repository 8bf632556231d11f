"""A folder of any name has a path that libraries take as it is."""

from pathlib import Path

import pytest

from flights import TEMPLATE
from modelworks.errors import ConfigError
from modelworks.settings import HOME_VARIABLE, find_home, load_settings
from modelworks.settings import home as home_module
from modelworks.settings.home import name_safely, private_folder

MEANINGFUL = ["a%20b", "a?b", "a#b", "a::b", "it's", 'a"b', "a[b]", "a*b", "é", "a$b", "a" * 190]


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "private"
    monkeypatch.setattr(home_module, "private_folder", lambda: folder)
    folder.mkdir()
    return folder


@pytest.mark.parametrize("name", MEANINGFUL)
def test_folder_whose_name_means_something_is_reached_by_a_link(tmp_path: Path, private: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    link = name_safely(folder)
    assert (link.parent, link.resolve()) == (private, folder.resolve())
    assert name_safely(folder) == name_safely(link) == link
    assert name_safely(folder / "..").resolve() == tmp_path.resolve()


@pytest.mark.parametrize("name", ["plain", "with space", "-dash", "a,b+c=d@e~f", ".hidden"])
def test_other_folders_are_used_by_their_own_name(tmp_path: Path, private: Path, name: str) -> None:
    assert name_safely(tmp_path / name) == tmp_path / name
    assert not list(private.iterdir())


def test_settings_have_the_safe_name_of_the_home(
    tmp_path: Path, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "50% #1"
    (folder / "src").mkdir(parents=True)
    (folder / "pipeline.toml").write_text((TEMPLATE / "pipeline.toml").read_text(encoding="utf-8"), "utf-8")
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    monkeypatch.chdir(folder / "src")
    assert find_home() == folder
    assert not list(private.iterdir()), "a search changes nothing"
    link = load_settings().home
    assert (link.parent, link.resolve()) == (private, folder.resolve())
    monkeypatch.setenv(HOME_VARIABLE, str(link))
    assert load_settings().home == link


def test_link_to_a_folder_that_took_the_place_of_another_is_made_anew(tmp_path: Path, private: Path) -> None:
    folder = tmp_path / "a?b"
    folder.mkdir()
    link = name_safely(folder)
    link.unlink()
    link.symlink_to(tmp_path)
    assert name_safely(folder).resolve() == folder.resolve()


def test_private_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert private_folder().stat().st_mode & 0o777 == 0o700
    (tmp_path / "modelworks-0").mkdir(mode=0o755)
    monkeypatch.setattr(home_module, "Path", lambda _: tmp_path)
    monkeypatch.setattr(home_module.os, "getuid", lambda: 0)
    with pytest.raises(ConfigError, match="modelworks-0 is not a folder of ours alone; remove it"):
        private_folder()
