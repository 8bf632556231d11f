"""Categories of a request that the model has not seen."""

from collections.abc import Mapping

from modelworks.data.columnar import Columns
from modelworks.serving.problems import MAX_ERRORS, Refusal, name_field

MAX_NAMED = 250  # known categories in a message


def check_categories(rows: Columns, known: Mapping[str, frozenset[str]], is_many: bool) -> None:
    """Refuse categories that the model has not seen in training.

    Parameters
    ----------
    known : categories of the model, by column

    Raises
    ------
    Refusal
        With the known ones in its message (422).
    """
    errors = []
    for name, values in known.items():
        if not (new := {*rows[name]} - values - {None}):
            continue
        unseen = [(at, value) for at, value in enumerate(rows[name]) if value in new]
        for at, value in unseen[:MAX_ERRORS]:
            message = f"{value!r} is unknown to the model, which knows {_list_some(values)}"
            errors.append((name_field(at, name, is_many), message))
    if errors:
        raise Refusal(422, *errors[:MAX_ERRORS])


def _list_some(values: frozenset[str]) -> str:
    named = ", ".join(sorted(values)[:MAX_NAMED])
    return named if len(values) <= MAX_NAMED else f"{named} and {len(values) - MAX_NAMED:,} more"
