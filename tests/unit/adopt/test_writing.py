import os
import signal
from collections.abc import ItemsView
from pathlib import Path

from modelworks.adopt.writing import Change, apply


class PressesCtrlC(dict[str, Path]):
    """New files, between which somebody presses Ctrl-C."""

    def items(self) -> ItemsView[str, Path]:
        os.kill(os.getpid(), signal.SIGINT)
        return super().items()


def test_interrupt_waits_until_all_files_are_in_their_places(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text("old")
    (tmp_path / "ready").write_text("new")
    before = signal.getsignal(signal.SIGINT)
    apply(tmp_path, Change(PressesCtrlC({"data/new.csv": tmp_path / "ready"}), ["old.csv"]))
    assert [file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.csv")] == ["data/new.csv"]
    assert signal.getsignal(signal.SIGINT) is before
