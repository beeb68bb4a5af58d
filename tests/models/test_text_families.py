"""What text networks learn before any label is read, and the wide part, checked against scikit-learn's tf-idf."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import Tensor

from pipeline.attribution import Task, baseline_for, completeness
from pipeline.attribution.gradients import integrated_gradients
from pipeline.core.contracts import TextInputs
from pipeline.models import Network, build
from pipeline.models.sequence import TextStem
from pipeline.models.wide import Wide
from pipeline.models.word_vectors import (
    company,
    frequent_pairs,
    letter_grams,
    rarity,
    texts_with_word,
    training_texts,
    vectors_from,
    vectors_of,
    word_vectors,
)
from pipeline.training.data import Rows

WORDS = ("the", "film", "is", "good", "bad", "not", "a", "cat", "sat", "mat")
INPUTS = TextInputs(length=8, vocabulary=WORDS)
V = len(WORDS) + 2


def numbers(*texts: str) -> np.ndarray:
    """Return the texts as packed; '?' is a word that has no number."""
    x = np.zeros((len(texts), INPUTS.length), np.int32)
    for row, text in enumerate(texts):
        found = [WORDS.index(w) + 2 if w in WORDS else 1 for w in text.split()]
        x[row, : len(found)] = found
    return x


TEXTS = ("the film is good", "the film is bad", "a cat sat", "not a good film ?", "the mat is not bad", "a ? mat")
X = numbers(*TEXTS)


def rows_of(x: np.ndarray) -> Rows:
    return Rows(x, np.arange(len(x)) % 2, INPUTS, "cpu")


def started(architecture: dict[str, Any], seed: int = 1, x: np.ndarray = X) -> Network:
    torch.manual_seed(0)
    network = build(architecture, INPUTS, 3)
    network.start_from(rows_of(x), seed)
    return network.eval()


def with_weights(network: Network) -> Wide:
    """Return the wide part of the network, with weights as after training."""
    wide = network.stem.get_submodule("wide")
    assert isinstance(wide, Wide)
    with torch.no_grad():
        wide.table.weight.normal_(generator=torch.Generator().manual_seed(3))
    return wide


def tfidf(**settings: Any) -> tuple[TfidfVectorizer, np.ndarray]:
    reader = TfidfVectorizer(lowercase=False, **settings)
    return reader, reader.fit_transform([text.replace("?", "") for text in TEXTS]).toarray()


def test_words_and_pairs_weigh_what_tfidf_says() -> None:
    """Word 1 is no word of scikit-learn's, so texts without it are compared; pairs of one text alone do not count."""
    wide = with_weights(started({"kind": "bag", "width": 4}))
    with torch.no_grad():
        wide.table.weight[wide.words : wide.first_pair] = 0
        found = wide(*looked_up(torch.from_numpy(X).long())).sum(1)
    known = [i for i, text in enumerate(TEXTS) if "?" not in text]
    reader, _ = tfidf(token_pattern=r"\S+", ngram_range=(1, 2))
    kept = {pair: i for i, pair in enumerate(wide.pairs.tolist()) if pair < V * V}
    counted = reader.transform(TEXTS).toarray() / reader.idf_
    weights, used = np.zeros((len(reader.vocabulary_), 3)), np.zeros(len(reader.vocabulary_))
    for name, at in reader.vocabulary_.items():
        place = [WORDS.index(word) + 2 for word in name.split()]
        row = place[0] if len(place) == 1 else kept.get(place[0] * V + place[1], -1)
        if len(place) == 2 and row >= 0:
            row += wide.first_pair
        if row >= 0:
            weights[at], used[at] = wide.table.weight[row].detach().numpy(), reader.idf_[at]
    features = (counted > 0) * used
    expected = 3.0 * (features / np.linalg.norm(features, axis=1, keepdims=True)) @ weights
    np.testing.assert_allclose(found.numpy()[known], expected[known], rtol=1e-4, atol=1e-5)
    assert {(pair // V - 2, pair % V - 2) for pair in kept if pair % V > 1 and pair // V > 1} == {(0, 1), (1, 2)}


def looked_up(x_BL: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return x_BL, *x_BL.unique(return_inverse=True)


def test_letters_are_those_of_scikit_learn() -> None:
    """A word's n-grams, its rarity among texts, and what they add."""
    grams = letter_grams(WORDS)
    reader = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), lowercase=False)
    counts = reader.fit_transform([text.replace("?", "") for text in TEXTS])
    cut = reader.build_analyzer()
    for place, word in enumerate(WORDS):
        of_word = grams.flat[grams.starts[place + 2] : grams.starts[place + 3]]
        assert len(of_word) == len(cut(word))
        assert len(set(of_word)) == len(set(cut(word)))
    assert grams.kinds == len(reader.vocabulary_)
    holding = sorted(grams.texts(X.astype(np.int64)))
    assert holding == sorted(np.asarray((counts > 0).sum(0)).ravel())
    assert sorted(rarity(len(X), grams.texts(X.astype(np.int64)))) == pytest.approx(sorted(reader.idf_))


def test_what_the_letters_add_is_on_one_scale() -> None:
    """Equal weights: the sum over n-grams of idf / √(Σ idf²), whatever the text's length."""
    wide = with_weights(started({"kind": "bag", "width": 4}))
    with torch.no_grad():
        wide.table.weight.zero_()
        wide.table.weight[wide.words : wide.first_pair] = 1.0
        found = wide(*looked_up(torch.from_numpy(X[2:3]).long())).sum(1)
    grams = letter_grams(WORDS)
    idf = rarity(len(X), grams.texts(X.astype(np.int64)))
    of_text = np.concatenate([grams.flat[grams.starts[w] : grams.starts[w + 1]] for w in X[2, :3]])
    expected = 3.0 * idf[of_text].sum() / np.sqrt((idf[of_text] ** 2).sum())
    assert found[0].tolist() == pytest.approx([expected] * 3, rel=1e-4)


def test_pieces_of_words_keep_the_blank_of_their_name_alone() -> None:
    grams = letter_grams(("\u2581no", "t"))
    assert grams.starts.tolist() == [0, 0, 0, 3, 4]  # " n", "no", " no"; "t"


def test_a_pair_counts_for_its_later_word_and_once_per_text() -> None:
    x = numbers("a cat a cat", "a cat", "the film", "film the").astype(np.int64)
    pairs, texts = frequent_pairs(x, V, 10)
    assert pairs.tolist() == [(WORDS.index("a") + 2) * V + WORDS.index("cat") + 2]
    assert texts.tolist() == [2]
    assert texts_with_word(x, V)[[0, 1, 2, 8]].tolist() == [0, 0, 2, 2]


def test_of_too_many_pairs_the_most_frequent_stay() -> None:
    x = numbers("a cat", "a cat", "a cat", "the film", "the film").astype(np.int64)
    assert frequent_pairs(x, V, 1)[1].tolist() == [3]


def test_words_in_the_same_company_have_similar_vectors() -> None:
    """Two kinds of texts with words of their own; a word is nearer to its own kind than to the other."""
    rng = np.random.default_rng(0)
    kind = rng.integers(2, size=(300, 1))
    x = (2 + 5 * kind + rng.integers(5, size=(300, 8))).astype(np.int64)
    found = word_vectors(x, V, 2, 1)
    assert found.shape == (V, 2)
    assert (found[:2] == 0).all()
    assert found[2:].std() == pytest.approx(0.1, rel=0.05)
    direction = found[2:] / np.linalg.norm(found[2:], axis=1, keepdims=True)
    near = direction @ direction.T
    own = np.arange(10)[:, None] // 5 == np.arange(10) // 5
    assert near[own].min() > 0.9
    assert near[~own].max() < 0.1


@pytest.mark.parametrize("width", [3, 12, 40])
def test_vectors_are_the_leading_factors_of_the_mutual_information(width: int) -> None:
    """Up to the one scale of all: of a matrix of 60 words, also wider than its rank and than the words."""
    rng = np.random.default_rng(1)
    x = rng.integers(0, 40, size=(400, 9)) % rng.integers(8, 40, size=(400, 1)) + 1
    ppmi = company(x, 60)
    left, sizes, _ = np.linalg.svd(ppmi.toarray())
    rank = min(width, 60)
    exact = (left * sizes)[:, :rank] @ left[:, :rank].T
    found = vectors_of(ppmi, width, 5).astype(float)
    ours = found @ found.T
    assert found.shape == (60, width)
    assert ours / np.linalg.norm(ours) == pytest.approx(exact / np.linalg.norm(exact), abs=1e-3)


def test_texts_of_one_word_leave_the_vectors_at_random() -> None:
    x = numbers("the", "film", "?", "")
    assert (word_vectors(x.astype(np.int64), V, 4, 1) == 0).all()
    torch.manual_seed(0)
    stem = TextStem(INPUTS, 4)
    before = stem.embedding.weight.clone()
    stem.start_from(rows_of(x), 1)
    assert torch.equal(stem.embedding.weight, before)


@pytest.mark.parametrize("kind", ["bag", "textcnn", "rnn", "transformer", "cnn"])
def test_the_start_depends_on_rows_and_seed_alone(kind: str) -> None:
    first, again = started({"kind": kind, "width": 4}), started({"kind": kind, "width": 4})
    other = started({"kind": kind, "width": 4}, x=X[:4])
    weight = "stem.embedding.weight"
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in first.state_dict().items())
    assert not torch.equal(first.state_dict()[weight], other.state_dict()[weight])
    assert (first.state_dict()[weight][0] == 0).all()


def test_where_all_texts_are_read_every_seed_has_the_same_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of(X)
    assert np.array_equal(vectors_from(rows, V, 2, 1), vectors_from(rows, V, 2, 2))
    monkeypatch.setattr("pipeline.models.word_vectors._MOST_WORDS", 3 * INPUTS.length)
    drawn = [vectors_from(rows, V, 2, seed) for seed in range(1, 6)]
    assert not all(np.array_equal(drawn[0], other) for other in drawn[1:])


def test_vectors_can_start_at_random_and_without_the_wide_part() -> None:
    torch.manual_seed(0)
    plain = build({"kind": "bag", "width": 4, "vectors": False, "wide": False}, INPUTS, 3)
    before = plain.stem.get_parameter("embedding.weight").clone()
    plain.start_from(rows_of(X), 1)
    assert torch.equal(plain.stem.get_parameter("embedding.weight"), before)
    assert [name for name, _ in plain.named_parameters()] == ["stem.embedding.weight", "head.1.weight", "head.1.bias"]


def test_long_corpora_are_a_sample_and_the_same_one_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of(X)
    assert np.array_equal(training_texts(rows, 1), X)
    monkeypatch.setattr("pipeline.models.word_vectors._MOST_WORDS", 3 * INPUTS.length)
    sample = training_texts(rows, 1)
    assert len(sample) == 3
    assert np.array_equal(sample, training_texts(rows, 1))
    assert all((sample[i] == X).all(1).any() for i in range(3))


@pytest.mark.parametrize("kind", ["bag", "textcnn"])
def test_attributions_of_words_contain_the_wide_part(kind: str) -> None:
    """With vectors that say nothing, what is attributed is what each word added, less that of the unknown word."""
    network = started({"kind": kind, "width": 4})
    wide = with_weights(network)
    with torch.no_grad():
        network.stem.get_parameter("embedding.weight").zero_()
        x = torch.from_numpy(X)
        task = Task(network, INPUTS, x, network(x).argmax(1), baseline_for(INPUTS, x)[0])
        added = wide(*looked_up(x.long())) - wide(*looked_up(task.baseline.long()))
    expected = added.gather(2, task.target[:, None, None].expand(-1, x.shape[1], 1))[:, :, 0]
    found = integrated_gradients(task, 8)[0]
    np.testing.assert_allclose(found.values, expected.numpy(), atol=1e-4)
    assert completeness(task, found.values).max() < 1e-3
    assert (found.values[X == 0] == 0).all()


@pytest.mark.parametrize("kind", ["bag", "textcnn"])
def test_the_wide_part_starts_silent_and_padding_adds_nothing(kind: str) -> None:
    network = started({"kind": kind, "width": 4})
    x = torch.from_numpy(X).long()
    wide = network.stem.get_submodule("wide")
    with torch.no_grad():
        assert (wide(*looked_up(x)) == 0).all()
        with_weights(network)
        assert (wide(*looked_up(x))[x == 0] == 0).all()
        assert wide(*looked_up(torch.zeros_like(x))).abs().sum() == 0


def test_gradients_touch_the_rows_of_the_batch_alone() -> None:
    network = started({"kind": "bag", "width": 4}).train()
    network(torch.from_numpy(X[2:3]).long()).sum().backward()
    table = network.stem.get_parameter("wide.table.weight")
    embedding = network.stem.get_parameter("embedding.weight")
    assert table.grad is not None
    assert embedding.grad is not None
    assert table.grad.is_sparse
    assert embedding.grad.is_sparse
    words = set(embedding.grad.coalesce().indices()[0].tolist())
    assert words == {0, *X[2, :3].tolist()} or words == set(X[2, :3].tolist())
    grams = letter_grams(WORDS)
    own = {V + int(g) for w in X[2, :3] for g in grams.flat[grams.starts[w] : grams.starts[w + 1]]}
    touched = set(table.grad.coalesce().indices()[0].tolist())
    assert own | words <= touched | {0}
    assert touched <= own | words | {0}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "bag", "width": 0}, "width must be at least 1, wide_rate positive, dropout in [0, 1)"),
        ({"kind": "textcnn", "lengths": 0},
         "width, filters, shortest and lengths must be at least 1, dropout in [0, 1)"),
        ({"kind": "textcnn", "wide_rate": 0.0}, "wide_rate must be positive"),
    ],
)  # fmt: skip
def test_impossible_values_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(Exception, match=r"space\.architecture") as caught:
        build(fields, INPUTS, 2)
    assert str(caught.value) == f"space.architecture.{fields['kind']}: {message}"


def test_a_filter_sees_words_in_order_wherever_they_stand() -> None:
    network = started({"kind": "textcnn", "width": 4, "wide": False, "shortest": 2, "lengths": 1})
    with torch.no_grad():
        early, late, turned = network(torch.from_numpy(numbers("? ? not good ? ? ?", "? ? ? ? not good ?",
                                                               "? ? good not ? ? ?")).long())  # fmt: skip
    torch.testing.assert_close(early, late)
    assert (early - turned).abs().max() > 1e-4


def test_pairs_of_the_inputs_start_at_nothing() -> None:
    stem = TextStem(replace(INPUTS, pairs=7), 4)
    assert stem.pairs is not None
    assert (stem.pairs.weight == 0).all()
