"""The local MLflow store's database, which is made whole or not at all."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from modelworks.settings import Settings


@contextmanager
def whole_store(settings: Settings) -> Iterator[str]:
    """URI of the local store, or, where there is none yet, of a file that takes its place at the end of the block.

    MLflow's migrations of SQLite are no transaction: one that Ctrl-C ended could neither be finished nor repeated. Of
    two processes that make the store at once, the first one's is kept.
    """
    file = settings.local_store_file
    if file.exists():
        yield settings.local_store_uri
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield f"sqlite:///{unfinished}"
        with suppress(FileExistsError):
            os.link(unfinished, file)  # unlike a rename, a link fails where the name is taken
    finally:
        unfinished.unlink(missing_ok=True)
