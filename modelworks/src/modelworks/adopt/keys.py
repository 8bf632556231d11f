"""Columns that may identify a row."""

from modelworks.adopt.choices import Choices
from modelworks.adopt.column_profile import ColumnAccumulator
from modelworks.adopt.columns import ParsedColumns
from modelworks.adopt.conversion import convert
from modelworks.adopt.names import ID
from modelworks.adopt.profile import Profile
from modelworks.adopt.prose import is_prose

MAX_KEY, MAX_KEYS = 5, 3
MIN_DISTINCT_SHARE = 0.95


def propose_keys(profile: Profile, parsed: ParsedColumns, choices: Choices) -> list[list[str]]:
    """Sets of columns, in this order, that may identify each row; names of the contract."""
    if choices.key:
        return [[parsed.name_of(name) for name in choices.key]]
    excluded = {choices.target, *choices.outcomes, choices.group}

    def is_unique(accumulator: ColumnAccumulator) -> bool:
        counts = accumulator.counts
        return not accumulator.nulls and (counts is None or len(counts) >= MIN_DISTINCT_SHARE * profile.rows)

    columns = parsed.recipe.columns
    eligible = {each.sources[0] for each in columns if each.dtype in {"int64", "str"}} - excluded
    unique = [name for name in profile.columns if name in eligible and is_unique(profile.columns[name])]
    ids = [name for name in unique if ID.search(parsed.name_of(name))]
    texts = [
        each.sources[0]
        for each in columns
        if each.dtype == "str"
        and each.sources[0] in unique
        and each.sources[0] not in ids
        and not is_prose(profile.sample.column(each.sources[0]).to_pandas())
    ]
    found = [[parsed.name_of(name)] for name in (ids + texts)[:3]]
    if parsed.recipe.time:
        found += _keys_with_time(profile, parsed, eligible)
    return found


def _keys_with_time(profile: Profile, parsed: ParsedColumns, names: set[str]) -> list[list[str]]:
    """The time, and columns that make it unique in the sample: the fewest, and some more."""
    sample, _ = convert(profile.sample, parsed.recipe)
    candidates = sorted(parsed.name_of(name) for name in names if not profile.columns[name].nulls)
    # Texts and ids before quantities, which differ between rows by chance.
    candidates.sort(key=lambda name: parsed.recipe.find(name).dtype != "str" and not ID.search(name))
    key, found = [parsed.recipe.time], []
    while len(key) <= MAX_KEY:
        if not sample.duplicated(key).any():
            found.append(list(key))  # all rows may need more than the sample
        if not candidates:
            break
        best = min(candidates, key=lambda name: int(sample.duplicated([*key, name]).sum()))
        key.append(best)
        candidates.remove(best)
    return found[:MAX_KEYS]
