"""Whether texts are categories, codes or prose."""

import pandas as pd

from modelworks.models.encoders.words import split_words

MAX_DISTINCT_SHARE, FEW_CATEGORIES = 0.2, 50
"""Share of different texts above which they are no categories, unless there are few of them in all."""
MIN_WORDS, PROSE_ROWS = 2.0, 1000
"""Words of a text that other texts have as well, from which it is prose; looked for in so many rows."""


def count_distinct(values: pd.Series) -> tuple[int, float]:
    """How many values differ, and their share of those that are there."""
    known = values.dropna()
    distinct = known.nunique()
    return distinct, distinct / max(len(known), 1)


def is_prose(texts: pd.Series) -> bool:
    """Whether texts differ from row to row, and have words in common."""
    distinct, share = count_distinct(texts)
    if share <= MAX_DISTINCT_SHARE or distinct <= FEW_CATEGORIES:
        return False
    words = texts.dropna().head(PROSE_ROWS).map(split_words)
    counts = words.explode().value_counts()
    repeated = set(counts.index[counts > 1])
    return float(words.map(lambda each: sum(word in repeated for word in each)).mean()) >= MIN_WORDS
