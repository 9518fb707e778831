"""Huffman codes of small whole numbers."""

from __future__ import annotations

import struct

import numpy as np

from classical.errors import UsageError

MAX_LENGTH = 15
"""Bits of the longest code word: lengths are stored in 4 bits, and tables stay small."""
_HEAD = struct.Struct("<IHI")  # symbols, size of the alphabet, bytes of code words


def code_lengths(counts: np.ndarray) -> np.ndarray:
    """Bits of the code word of each symbol, at most `MAX_LENGTH`, for the shortest text.

    By package-merge (Larmore and Hirschberg, 1990): Huffman's code, where that has no longer word.

    Args:
        counts: of each symbol in the text, int64 [symbols]; at most 2**15 symbols.

    Returns:
        uint8 [symbols], 0 where a symbol does not occur.
    """
    used = np.flatnonzero(counts)
    lengths = np.zeros(len(counts), np.uint8)
    if len(used) == 1:
        lengths[used] = 1
        return lengths
    leaves = sorted((int(counts[symbol]), [int(symbol)]) for symbol in used)
    merged: list[tuple[int, list[int]]] = []
    for _ in range(MAX_LENGTH):
        packages = sorted([*leaves, *merged])
        merged = [
            (a[0] + b[0], a[1] + b[1]) for a, b in zip(packages[::2], packages[1::2], strict=False)
        ]
    for _, symbols in merged[: len(used) - 1]:
        np.add.at(lengths, symbols, 1)
    return lengths


def _code_words(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Symbols by length and then by size, and the canonical code word of each."""
    symbols = np.lexsort((np.arange(len(lengths)), lengths))
    symbols = symbols[lengths[symbols] > 0]
    words, word, length = [], 0, 0
    for symbol in symbols:
        word <<= int(lengths[symbol]) - length
        length = int(lengths[symbol])
        words.append(word)
        word += 1
    return symbols, np.array(words, np.int64)


def encode(text: np.ndarray) -> bytes:
    """A text with all that is needed to read it again: sizes, lengths of code words, code words.

    Args:
        text: whole numbers from 0, below 2**15.
    """
    counts = np.bincount(text)
    lengths = code_lengths(counts)
    symbols, words = _code_words(lengths)
    table = np.zeros(len(counts), np.int64)
    table[symbols] = words
    length, word = lengths[text].astype(np.int64), table[text]
    starts = np.cumsum(length) - length
    bits = np.zeros(int(length.sum()), np.uint8)
    for place in range(int(length.max(initial=0))):
        longer = length > place
        bits[starts[longer] + place] = word[longer] >> (length[longer] - 1 - place) & 1
    body = np.packbits(bits).tobytes()
    nibbles = np.pad(lengths, (0, len(lengths) % 2))
    head = _HEAD.pack(len(text), len(counts), len(body))
    return head + (nibbles[::2] | nibbles[1::2] << 4).tobytes() + body


def decode(data: bytes) -> tuple[np.ndarray, bytes]:
    """A text that `encode` wrote, int64, and the bytes behind it.

    Raises:
        UsageError: if the data were not written by it.
    """
    if len(data) < _HEAD.size:
        raise UsageError("a Huffman code ends before its head does")
    count, size, length = _HEAD.unpack_from(data)
    middle = _HEAD.size + (size + 1) // 2
    nibbles = np.frombuffer(data[_HEAD.size : middle], np.uint8)
    lengths = np.stack([nibbles & 15, nibbles >> 4], 1).reshape(-1)[:size]
    body, rest = data[middle : middle + length], data[middle + length :]
    if len(lengths) < size or len(body) < length or (count and not lengths.any()):
        raise UsageError("a Huffman code is shorter than its head says")
    return _read(body, count, lengths), rest


def _read(body: bytes, count: int, lengths: np.ndarray) -> np.ndarray:
    """Follows code words one by one, through tables of what each window of bits starts with."""
    if not count:
        return np.zeros(0, np.int64)
    longest = int(lengths.max())
    symbols, words = _code_words(lengths)
    of_window = np.full(2**longest, -1, np.int64)
    for symbol, word in zip(symbols, words, strict=True):
        free = longest - int(lengths[symbol])
        of_window[word << free : (word + 1) << free] = symbol
    bits = np.unpackbits(np.frombuffer(body, np.uint8))
    padded = np.concatenate([bits, np.zeros(longest, np.uint8)])
    windows = np.zeros(len(bits), np.int64)
    for place in range(longest):
        windows = windows << 1 | padded[place : place + len(bits)]
    found = of_window[windows]
    steps = np.where(found < 0, len(bits), lengths[found]).tolist()
    places, place = [], 0
    for _ in range(count):
        if place >= len(bits):
            raise UsageError("a Huffman code ends before its text does")
        places.append(place)
        place += steps[place]
    text = found[places]
    if (text < 0).any():
        raise UsageError("a Huffman code holds a word that is none")
    return text
