"""JSON from a file of unknown origin: every value is asked for by its type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_LARGEST = 2**80
"""Beyond every count of weights and bytes."""


class EntryError(ValueError):
    """A value that is missing or of another type."""


class Entry:
    """An object of a JSON file.

    Parameters
    ----------
    values
        What `json` made of it.
    what
        What a person calls it, for messages.

    Raises
    ------
    EntryError
        Here and from all methods: if a value is not of the type that is asked for.
    """

    def __init__(self, values: Any, what: str) -> None:
        if not isinstance(values, dict):
            raise EntryError(f"{what} is no set of named values")
        self.values: Mapping[str, Any] = values
        self.what = what

    def text(self, key: str, default: str | None = "") -> str:
        """A text; the default where there is none, if that is not None."""
        value = self.values.get(key, default)
        if not isinstance(value, str):
            raise EntryError(f"{key!r} of {self.what} is no text")
        return value

    def entries(self, key: str, what: str) -> list[Entry]:
        """A list of objects."""
        return [Entry(value, what) for value in self._list(key)]

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; none where it is missing."""
        found = self._list(key)
        if not all(isinstance(value, str) for value in found):
            raise EntryError(f"{key!r} of {self.what} has what is no text")
        return tuple(found)

    def sizes(self, key: str, length: int | None = None) -> tuple[int, ...]:
        """A list of whole numbers from 0 on, of that length if one is given; none where it is missing."""
        found = self._list(key)
        if not all(is_size(value) for value in found) or length not in (None, len(found)):
            wanted = "whole numbers from 0 on" if length is None else f"{length} whole numbers from 0 on"
            raise EntryError(f"{key!r} of {self.what} is no list of {wanted}")
        return tuple(found)

    def place(self, key: str) -> tuple[int, ...] | None:
        """Like `sizes`, but None where it is missing."""
        return self.sizes(key) if key in self.values else None

    def rows(self, key: str) -> list[Sequence[Any]]:
        """A list of lists; none where it is missing."""
        found = self._list(key)
        if not all(isinstance(value, list) for value in found):
            raise EntryError(f"{key!r} of {self.what} is no list of lists")
        return found

    def _list(self, key: str) -> list[Any]:
        value = self.values.get(key, [])
        if not isinstance(value, list):
            raise EntryError(f"{key!r} of {self.what} is no list")
        return value


def is_size(value: Any) -> bool:
    """Whether a value is a whole number from 0 on, within what may be counted."""
    return type(value) is int and 0 <= value < _LARGEST
