import logging

import pytest

from modelworks.stages.common import stage
from modelworks.stages.facts import Result

SQLITE = "(sqlite3.OperationalError) database or disk is full\n[SQL: INSERT INTO tags ...]"


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (OSError(SQLITE), "No space left on device"),
        (ValueError("no such column\n[SQL: ...]"), "no such column\n[SQL: ...]"),
    ],
)
def test_full_disk_is_named_without_the_statement_that_found_no_room(
    error: Exception, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    @stage
    def train() -> Result:
        raise error

    with caplog.at_level(logging.INFO), pytest.raises(type(error)):
        train()
    assert [record.result for record in caplog.records if record.event == "failed"] == [shown]
