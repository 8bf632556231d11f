"""Test modules that one run collects have different names: pytest imports each by its name alone."""

from collections import Counter

import pytest

from flights import REPOSITORY


@pytest.mark.parametrize("together", [("unit", "integration"), ("template", "system")])
def test_modules_of_one_run_have_different_names(together: tuple[str, str]) -> None:
    names = Counter(file.name for folder in together for file in (REPOSITORY / "tests" / folder).rglob("test_*.py"))
    assert names.total() > 10
    assert [name for name, number in names.items() if number > 1] == []
