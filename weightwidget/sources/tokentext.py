"""Tokens as a person reads them: plain text without control characters."""

from __future__ import annotations

import unicodedata

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
    text = escaped(text[:LONGEST])
    bare = text.strip(" ")
    start = len(text) - len(text.lstrip(" "))
    ends = text if not bare else None
    if ends is not None:
        return SPACE * len(ends) + ("…" if shortened else "")
    end = len(text) - start - len(bare)
    return SPACE * start + bare + SPACE * end + ("…" if shortened else "")


def escaped(text: str) -> str:
    """Text with what cannot be seen as escapes: control and formatting characters, odd spaces, lone surrogates."""
    return "".join(_escape(sign) if _unseen(sign) else sign for sign in text)


def _unseen(sign: str) -> bool:
    category = unicodedata.category(sign)
    return category[0] == "C" or category in ("Zl", "Zp") or (category == "Zs" and sign != " ")


_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escape(sign: str) -> str:
    code = ord(sign)
    if sign in _SHORT:
        return _SHORT[sign]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's alphabet: printable bytes stand for themselves, the others for what follows U+0100, in order."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = (byte for byte in range(256) if byte not in printable)
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


_BYTES = _byte_alphabet()
