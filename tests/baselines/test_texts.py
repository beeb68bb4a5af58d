"""The support vector machine of texts: what it reads, what it learns, and that its probabilities mean something."""

import numpy as np
import pytest

from pipeline.baselines import baseline_probabilities
from pipeline.baselines.texts import _best_factor, _hold_out, readable
from pipeline.core.contracts import DatasetCard, ImageInputs, TextInputs
from pipeline.core.settings import EvaluateSettings
from pipeline.evaluation import judge_for
from tests.evaluation.test_judges import NO_ROWS, card

TEXT = TextInputs(length=5, vocabulary=("not", "good", "goods", "bad", "film", "plot"))
SETTINGS = EvaluateSettings(baselines=("constant", "ngram_svm"), resamples=100)


def texts(n: int, seed: int, flipped: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return texts whose class is told by the order "not good" or "good not" alone; a share has the wrong class."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    x = rng.integers(5, 8, size=(n, 5))
    at = rng.integers(4, size=n)
    x[np.arange(n), at], x[np.arange(n), at + 1] = np.where(y == 1, 2, 3), np.where(y == 1, 3, 2)
    return x.astype(np.int32), np.where(rng.random(n) < flipped, 1 - y, y)


def svm(train: tuple[np.ndarray, np.ndarray], x: np.ndarray, classes: int = 2, seed: int = 7) -> np.ndarray:
    return baseline_probabilities("ngram_svm", TEXT, train, x, classes, seed)


def test_it_reads_pairs_of_words() -> None:
    x, y = texts(200, 1)
    assert (svm(texts(400, 0), x).argmax(1) == y).mean() > 0.98
    counts = baseline_probabilities("logistic_regression", TEXT, texts(400, 0), x, 2, 7)
    assert (counts.argmax(1) == y).mean() < 0.7


def test_it_reads_letters_inside_words() -> None:
    """`goods` was never seen; its letters are those of `good`."""
    train = np.array([[3, 6, 7, 6, 7], [5, 6, 7, 6, 7]] * 30, np.int32)
    p = svm((train, np.array([0, 1] * 30)), np.array([[4, 6, 7, 6, 7]], np.int32))
    assert p[0, 0] > 0.6


def test_its_probabilities_are_as_sure_as_it_is_right() -> None:
    x, y = texts(2000, 1, flipped=0.2)
    p = svm(texts(2000, 0, flipped=0.2), x)
    assert p.sum(1) == pytest.approx(np.ones(2000))
    assert p.max(1).mean() == pytest.approx((p.argmax(1) == y).mean(), abs=0.05)
    assert -np.log(p[np.arange(2000), y]).mean() < 0.55  # that of the truth is 0.50, of a coin 0.69


def test_the_factor_is_the_one_of_lowest_log_loss() -> None:
    """Margins ±1 that are right in four of five rows: softmax(f · [1, 0]) is 0.8 at f = ln 4."""
    margins = np.tile([1.0, 0.0], (500, 1))
    loss, factor = _best_factor(margins, (np.arange(500) % 5 == 0).astype(np.int64), None)
    assert factor == pytest.approx(np.log(4), rel=1e-3)
    assert loss == pytest.approx(-(0.8 * np.log(0.8) + 0.2 * np.log(0.2)), rel=1e-4)


def test_classes_that_nobody_has_get_nothing_and_a_class_of_one_row_is_fitted() -> None:
    x, y = texts(60, 0)
    y[0] = 3
    kept, held = _hold_out(y, np.random.default_rng(0))
    assert sorted([*kept, *held]) == list(range(60))
    assert len(held) == 12
    assert 0 in kept
    p = svm((x, y), x, classes=5)
    assert p[:, [2, 4]].max() == 0
    assert (p[:, 3] > 0).all()
    assert svm((x[:3], np.array([2, 2, 2])), x[:2], classes=3).tolist() == [[0, 0, 1]] * 2


def test_the_seed_decides_everything() -> None:
    x, _ = texts(20, 1)
    assert (svm(texts(100, 0, 0.1), x) == svm(texts(100, 0, 0.1), x)).all()


def test_words_and_pieces_are_put_together_again() -> None:
    assert readable(TEXT, np.array([[2, 1, 6, 0, 0]])) == ["not \ufffd film"]
    pieces = TextInputs(length=4, vocabulary=("\u2581go", "od", "\u2581film"))
    assert readable(pieces, np.array([[2, 3, 4, 0]])) == [" good film"]


def test_only_texts_with_classes_have_it() -> None:
    x, y = texts(100, 0)
    described: DatasetCard = card(inputs=TEXT, classes=("a", "b"), task="binary")
    judge = judge_for(described, SETTINGS, 7, y, NO_ROWS, x)
    name, p = judge.baseline("ngram_svm", (x, y), x) or ("", np.zeros(0))
    assert name == "ngram_svm"
    assert judge.gain(np.eye(2)[y], p, name).value == pytest.approx(1 - (p.argmax(1) == y).mean())
    image = ImageInputs(channels=1, height=2, width=2, mean=(0.5,), std=(0.5,))
    other = judge_for(card(inputs=image, classes=("a", "b"), task="binary"), SETTINGS, 7, y, NO_ROWS, x)
    assert other.baseline("ngram_svm", (x, y), x) is None
    held = judge_for(card(inputs=TEXT, task="multilabel"), SETTINGS, 7, np.eye(2)[y], NO_ROWS, x)
    assert held.baseline("ngram_svm", (x, np.eye(2)[y]), x) is None
