"""The order in which test files start."""

import pytest


def start_first(items: list[pytest.Item], files: list[str]) -> None:
    """Sort tests so that these files start first, the others in the order that they have.

    Of a long file that starts last, one worker would be busy while the others have nothing to do.
    """
    ranks = {name: rank for rank, name in enumerate(files)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))
