"""Streams depend on their names, not on who drew before."""

from pipeline.core.seeds import stream, stream_seed


def test_streams_with_the_same_name_agree_and_others_differ() -> None:
    first = stream(7, "trial", 3).random(4)
    stream(7, "split").random(100)
    assert (stream(7, "trial", 3).random(4) == first).all()
    assert (stream(7, "trial", 4).random(4) != first).any()
    assert (stream(8, "trial", 3).random(4) != first).any()


def test_integer_seeds_fit_31_bits() -> None:
    assert all(0 <= stream_seed(7, "s", i) < 2**31 for i in range(100))
