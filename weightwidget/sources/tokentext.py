"""Tokens as a person reads them: plain text without control characters."""

from __future__ import annotations

from weightwidget.sources.names import visible

LONGEST = 80
"""Characters of a token that are shown."""

SPACE = "␣"
"""Stands for a space at either end of a token, where it would not be seen."""


def readable(raw: str, byte_level: bool = False) -> str:
    r"""A token as a person reads it.

    Parameters
    ----------
    raw
        As the tokenizer spells it.
    byte_level
        Whether it is written in the alphabet of byte-level BPE. Bytes that are no UTF-8 are shown as ``\xe2``.
    """
    text = raw
    if byte_level and all(sign in _BYTES for sign in raw):
        text = bytes(_BYTES[sign] for sign in raw).decode("utf-8", "backslashreplace")
    elif not byte_level:
        text = raw.replace("▁", " ")  # SentencePiece's space
    shortened = len(text) > LONGEST
    text = visible(text[:LONGEST])
    bare = text.strip(" ")
    start = len(text) - len(text.lstrip(" "))
    ends = text if not bare else None
    if ends is not None:
        return SPACE * len(ends) + ("…" if shortened else "")
    end = len(text) - start - len(bare)
    return SPACE * start + bare + SPACE * end + ("…" if shortened else "")


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's alphabet: printable bytes stand for themselves, the others for what follows U+0100, in order."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = (byte for byte in range(256) if byte not in printable)
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


_BYTES = _byte_alphabet()
