from pathlib import Path

import pytest

from modelworks.errors import DiskError
from modelworks.settings import check_disk, disk, explain_disk, explaining_disk

FULL = "no space left on its disk"


def test_folder_that_can_be_written_and_one_that_is_still_to_be_made_are_no_problem(tmp_path: Path) -> None:
    assert explain_disk([tmp_path, tmp_path / "var" / "mlflow"]) == ""
    check_disk([tmp_path])
    with explaining_disk([tmp_path]):
        pass


def test_full_disk_is_named_by_the_folder_that_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "FULL_BYTES", 2**62)
    with pytest.raises(DiskError, match=rf"^{tmp_path}/var: {FULL} \([\d,]+ KB free\); free some, then run the same"):
        check_disk([tmp_path / "var"])


@pytest.mark.parametrize(
    "said", ["[Errno 28] No space left on device: 'x'", "(sqlite3.OperationalError) database or disk is full"]
)
def test_what_a_library_says_of_a_full_disk_is_believed_where_there_is_room_again(tmp_path: Path, said: str) -> None:
    assert explain_disk([tmp_path], said).startswith(f"{tmp_path}: {FULL}")
    with pytest.raises(DiskError, match=FULL), explaining_disk([tmp_path]):
        raise OSError(said)


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), explaining_disk([tmp_path]):
        raise ConnectionResetError("dropped")
