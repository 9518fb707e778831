"""Huffman codes: as short as the textbook's, within 15 bits, and back again."""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classical.errors import UsageError
from classical.quantization.huffman import MAX_LENGTH, code_lengths, decode, encode


def _textbook(counts: list[int]) -> int:
    """Bits of the whole text: the two rarest are joined until one is left."""
    heap = [count for count in counts if count]
    heapq.heapify(heap)
    bits = 0
    while len(heap) > 1:
        joined = heapq.heappop(heap) + heapq.heappop(heap)
        bits += joined
        heapq.heappush(heap, joined)
    return bits


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 200), min_size=1, max_size=40).filter(lambda c: sum(map(bool, c)) > 1)
)
def test_codes_are_as_short_as_they_can_be(counts: list[int]) -> None:
    lengths = code_lengths(np.array(counts)).astype(int)
    assert int(np.dot(counts, lengths)) == _textbook(counts)
    assert all((length > 0) == (count > 0) for length, count in zip(lengths, counts, strict=True))


def test_no_word_is_longer_than_the_limit() -> None:
    fibonacci = [1, 1]
    while len(fibonacci) < 30:
        fibonacci.append(sum(fibonacci[-2:]))
    lengths = code_lengths(np.array(fibonacci))
    assert lengths.max() == MAX_LENGTH
    assert sum(2.0 ** -lengths.astype(float)) == 1


@settings(deadline=None)
@given(st.lists(st.integers(0, 300), max_size=200), st.binary(max_size=5))
def test_texts_come_back(text: list[int], behind: bytes) -> None:
    found, rest = decode(encode(np.array(text, np.int64)) + behind)
    assert found.tolist() == text
    assert rest == behind


def test_a_frequent_symbol_takes_a_bit() -> None:
    text = np.zeros(8000, np.int64)
    text[::100] = 1 + np.arange(80) % 7
    assert len(encode(text)) < 1100


def test_broken_codes_are_refused() -> None:
    data = encode(np.arange(50) % 7)
    for end in range(len(data)):
        with pytest.raises(UsageError, match="a Huffman code"):
            decode(data[:end])
    with pytest.raises(UsageError, match="ends before its text does"):
        decode((99).to_bytes(4, "little") + data[4:])
