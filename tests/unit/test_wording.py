import pytest

from modelworks.wording import count, shorten


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 periods"), (1, "1 period"), (2, "2 periods"), (12345, "12,345 periods")]
)
def test_one_thing_is_singular_and_large_numbers_are_grouped(number: int, said: str) -> None:
    assert count(number, "period") == said


def test_long_list_of_names_ends_with_how_many_more_there_are() -> None:
    assert shorten(["a", "b"]) == "'a', 'b'"
    assert shorten(list("abcdefg")) == "'a', 'b', 'c', 'd', 'e' and 2 more"
