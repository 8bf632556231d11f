from pathlib import Path

import pytest

from modelworks.registry.store import whole_store
from modelworks.settings import Settings

pytestmark = pytest.mark.slow


def path_of(uri: str) -> Path:
    return Path(uri.removeprefix("sqlite:///"))


@pytest.fixture
def empty(settings: Settings) -> Settings:
    """A project whose local store is not made yet."""
    settings.local_store_file.unlink()
    return settings


def files_of(settings: Settings) -> list[str]:
    return [file.name for file in settings.local_store_file.parent.glob("mlflow.db*")]


def test_store_is_there_when_it_is_whole(empty: Settings) -> None:
    with whole_store(empty) as uri:
        path_of(uri).write_text("whole")
        assert not empty.local_store_file.exists()
    assert empty.local_store_file.read_text() == "whole"
    assert files_of(empty) == ["mlflow.db"]
    with whole_store(empty) as uri:
        assert uri == empty.local_store_uri


def test_interrupt_leaves_no_half_of_a_store(empty: Settings) -> None:
    def begin() -> None:
        with whole_store(empty) as uri:
            path_of(uri).write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin()
    assert files_of(empty) == []


def test_of_two_that_are_made_at_once_the_first_is_kept(empty: Settings) -> None:
    with whole_store(empty) as slow:
        with whole_store(empty) as quick:
            path_of(quick).write_text("quick")
        path_of(slow).write_text("slow")
    assert empty.local_store_file.read_text() == "quick"
    assert files_of(empty) == ["mlflow.db"]
