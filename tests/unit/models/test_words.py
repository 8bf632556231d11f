"""Words of texts as numbers, and the linear model of them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from modelworks.errors import ConfigError
from modelworks.models.encoders.word_weights import WordClassifier, WordRegressor
from modelworks.models.encoders.words import WordEncoder, split_words

TEXTS = pd.Series(["Late again!", "late  AGAIN", "very happy", "Très happy", None, "", "very late"], dtype="str")


def test_words_are_of_lower_case_without_accents() -> None:
    assert split_words("Très TARD, 5 $!") == ["tres", "tard", "5", "$", "!"]


def test_same_words_have_the_same_numbers_and_a_null_has_none() -> None:
    encoded = WordEncoder(4).fit(TEXTS).transform(TEXTS)
    assert encoded.shape == (7, 4)
    assert encoded[0, :2].tolist() == encoded[1, :2].tolist()
    assert np.isnan(encoded).sum(axis=1).tolist() == [1, 2, 2, 2, 4, 4, 2]
    assert WordEncoder(2).fit(TEXTS).transform(pd.Series(["a b c d"])).shape == (1, 2)


def test_description_shows_words_that_are_new() -> None:
    encoder = WordEncoder(8).fit(TEXTS)
    found = encoder.embed(pd.Series(["late again", "cancelled again", "CANCELLED 12", None], dtype="str"))
    assert found[:3, 4].tolist() == [0.0, 0.5, 1.0]
    assert found[2, 2] == pytest.approx(2 / 12)
    assert found[2, 3] == pytest.approx(9 / 12)
    assert np.isnan(found[3]).all()


def make_texts(rows: int, seed: int) -> tuple[pd.Series, np.ndarray]:
    random = np.random.default_rng(seed)
    words = np.array(["late", "bag", "lost", "crew", "great", "happy", "flight", "seat", "food", "not"])
    chosen = [" ".join(random.choice(words, random.integers(3, 9))) for _ in range(rows)]
    score = [sum(word in {"great", "happy"} for word in text.split()) for text in chosen]
    return pd.Series(chosen, dtype="str"), (np.array(score) + random.normal(0, 0.5, rows) > 1).astype(int)


def test_probabilities_are_those_of_scikit_learn() -> None:
    texts, y = make_texts(300, 1)
    words = WordEncoder(16).fit(texts).transform(texts)
    ours = WordClassifier(16, l2_regularization=0.5).fit(words, y).predict_proba(words)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    matrix = vectorizer.fit_transform(texts)
    theirs = LogisticRegression(C=2.0, max_iter=2000).fit(matrix, y).predict_proba(matrix)
    assert np.allclose(ours, theirs, atol=1e-4)


def test_other_columns_gaps_and_several_texts_count() -> None:
    texts, y = make_texts(400, 2)
    random = np.random.default_rng(5)
    x = np.where(random.random(400) < 0.1, np.nan, random.random(400))
    target = (np.nan_to_num(x, nan=0.5) + y > 1).astype(int)
    encoder = WordEncoder(16).fit(texts)
    silent = np.full((400, 16), np.nan)
    matrix = np.column_stack([x, np.full(400, np.nan), silent, encoder.transform(texts)])
    model = WordClassifier(16, n_documents=2).fit(matrix, target)
    assert (model.predict(matrix) == target).mean() > 0.85
    # The same words in the other text are other terms.
    moved = np.column_stack([x, np.full(400, np.nan), encoder.transform(texts), silent])
    assert not np.allclose(model.predict_proba(moved), model.predict_proba(matrix))


def test_numbers_are_predicted() -> None:
    texts, _ = make_texts(500, 3)
    wanted = texts.str.count("great").to_numpy("float64")
    words = WordEncoder(16).fit(texts).transform(texts)
    found = WordRegressor(16).fit(words[:400], wanted[:400]).predict(words[400:])
    assert np.corrcoef(found, wanted[400:])[0, 1] > 0.8


def test_texts_without_a_word_in_common_are_fitted() -> None:
    texts = pd.Series(["a", "b", "c", None], dtype="str")
    words = WordEncoder(4).fit(texts).transform(texts)
    probability = WordClassifier(4).fit(words, np.array([0, 1, 0, 1])).predict_proba(words)
    assert probability[1, 1] > probability[0, 1]
    empty = np.full((4, 4), np.nan)
    assert np.allclose(WordClassifier(4).fit(empty, np.array([0, 1, 0, 1])).predict_proba(empty), 0.5)


def test_table_without_a_text_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a text, and no feature is one"):
        WordClassifier(4, n_documents=0).fit(np.zeros((4, 2)), np.array([0, 1, 0, 1]))
