"""The strings of tokens from what people have: a tokenizer, a list, a mapping, or a file beside the weights.

Files are JSON or text; nothing is unpickled or imported.
"""

from __future__ import annotations

import json
import os
import reprlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from weightwidget.sources.base import MissingWeightFileError, WeightFileError, displayable
from weightwidget.sources.vocabulary import Vocabulary

FILES = ("tokenizer.json", "vocab.json", "vocab.txt")
"""Looked for in a folder, in this order."""

LARGEST_FILE = 1 << 27
"""Larger files are not read: the largest vocabularies that people use take a quarter of it."""


class TokenStrings:
    """The strings of the tokens of one model: those given, else those beside its weights, read when first asked for.

    Parameters
    ----------
    obj
        The model, or the path of its weights.
    tokenizer
        Whatever `vocabulary_of` takes; None looks beside the weights.

    Attributes
    ----------
    given
        The tokenizer, as it was given.
    problem
        Why a file beside the weights could not be read, "" if nothing is wrong.

    Raises
    ------
    TypeError, WeightFileError
        As `vocabulary_of` does.
    """

    def __init__(self, obj: Any = None, tokenizer: Any = None) -> None:
        self.given = tokenizer
        self.problem = ""
        self._reading = threading.Lock()
        self._folder = _folder_of(obj)  # not the model itself: it need not outlive the explorer
        self._known = tokenizer is not None
        self._vocabulary = vocabulary_of(tokenizer) if tokenizer is not None else None

    def vocabulary(self) -> Vocabulary | None:
        """The strings, None if there are none."""
        with self._reading:  # several threads answer requests: one of them reads
            if not self._known:
                try:
                    self._vocabulary = _in_folder(self._folder)
                except WeightFileError as error:
                    self.problem = str(error)
                self._known = True
        return self._vocabulary


def vocabulary_of(obj: Any) -> Vocabulary:
    """Take the strings of tokens from what people have.

    Parameters
    ----------
    obj
        A tokenizer of ``transformers``, ``tokenizers``, ``sentencepiece`` or ``tiktoken``, or anything with
        ``convert_ids_to_tokens`` or ``decode``; a list of strings; a mapping of strings to numbers or the other way
        round; a path to ``tokenizer.json``, ``vocab.json``, ``vocab.txt`` or to a folder with one of them.

    Raises
    ------
    TypeError
        If it is nothing of these.
    WeightFileError
        If a file is missing or cannot be parsed.
    """
    if isinstance(obj, Vocabulary):
        return obj
    if isinstance(obj, (str, os.PathLike)):
        return _from_path(Path(obj).expanduser())
    if isinstance(obj, Mapping):
        return Vocabulary(_from_mapping(obj), "the mapping given")
    if isinstance(obj, Sequence) and not isinstance(obj, (bytes, bytearray)):
        return Vocabulary([_checked(token) for token in obj], "the list given")
    return _from_tokenizer(obj)


def _folder_of(obj: Any) -> Path | None:
    """The folder of a path, or the one that transformers loaded a model from."""
    if isinstance(obj, (str, os.PathLike)):
        path = Path(obj).expanduser()
        return path if path.is_dir() else path.parent
    place = getattr(obj, "name_or_path", None)
    if not isinstance(place, str) or not place:
        return None
    folder = Path(place).expanduser()
    return folder if folder.is_dir() else None


def _in_folder(folder: Path | None) -> Vocabulary | None:
    file = next((folder / name for name in FILES if (folder / name).is_file()), None) if folder else None
    return None if file is None else _from_file(file)


def _from_path(path: Path) -> Vocabulary:
    if path.is_dir():
        found = _in_folder(path)
        if found is None:
            raise MissingWeightFileError(f"{path}: the folder has none of {', '.join(FILES)}.")
        return found
    if not path.is_file():
        raise MissingWeightFileError(f"{path}: there is no such file.")
    return _from_file(path)


def _from_file(path: Path) -> Vocabulary:
    """Read a vocabulary: JSON, or text with a token a line."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise WeightFileError(f"{path}: the file is far too large for a vocabulary.")
        text = path.read_text("utf-8")
        if path.suffix.lower() != ".json":
            if text.count("\n") > _MOST:
                raise WeightFileError(f"{path}: the file has far too many lines for a vocabulary.")
            lines = text.removesuffix("\n").split("\n")
            return Vocabulary([line.removesuffix("\r") for line in lines], path.name)
        content = json.loads(text)
    except OSError as error:
        raise WeightFileError(f"{path}: the file cannot be opened: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, WeightFileError):
            raise
        raise WeightFileError(f"{path}: the vocabulary cannot be parsed: {error}.") from error
    try:
        return _from_json(content, path.name)
    except (TypeError, ValueError, LookupError, RecursionError) as error:
        raise WeightFileError(f"{path}: this is no vocabulary: {error}.") from error


def _from_json(content: Any, origin: str) -> Vocabulary:
    """A vocabulary from a ``tokenizer.json``, a mapping of tokens to numbers, or a list of tokens."""
    if isinstance(content, list):
        return Vocabulary([_checked(token) for token in content], origin)
    if not isinstance(content, dict):
        raise TypeError("it holds neither a mapping nor a list")
    model = content.get("model")
    if not isinstance(model, dict):
        return Vocabulary(_from_mapping(content), origin)
    vocabulary = model.get("vocab")
    numbered: dict[str, int] = {}
    if isinstance(vocabulary, dict):
        numbered.update(vocabulary)
    elif isinstance(vocabulary, list):  # Unigram: pairs of token and score
        numbered.update({_checked(pair[0]): place for place, pair in enumerate(vocabulary) if isinstance(pair, list)})
    else:
        raise TypeError("its model has no vocab")
    for added in content.get("added_tokens") or ():
        if isinstance(added, dict) and isinstance(added.get("content"), str) and isinstance(added.get("id"), int):
            numbered[added["content"]] = added["id"]
    kinds = _types_in(content.get("decoder")) | _types_in(content.get("pre_tokenizer"))
    return Vocabulary(_from_mapping(numbered), origin, "ByteLevel" in kinds)


def _types_in(part: Any) -> set[str]:
    """The types of a component of a ``tokenizer.json`` and of those inside it."""
    if isinstance(part, dict):
        own = {part["type"]} if isinstance(part.get("type"), str) else set()
        return own.union(*(_types_in(inner) for inner in part.values() if isinstance(inner, (dict, list))))
    return set().union(*(_types_in(inner) for inner in part)) if isinstance(part, list) else set()


_MOST = 1 << 24
"""Numbers of tokens that are taken for such; a list of more would only fill the memory."""


def _from_mapping(mapping: Mapping[Any, Any]) -> list[str | None]:
    """Strings by number, from a mapping of either to the other."""
    pairs: list[tuple[int, str]] = []
    for key, value in mapping.items():
        token, number = (key, value) if isinstance(key, str) and not isinstance(value, str) else (value, key)
        if isinstance(number, str) and number.isdecimal():  # JSON's keys are strings
            number = int(number)
        if isinstance(number, bool) or not isinstance(number, int) or not isinstance(token, (str, bytes)):
            told = reprlib.repr(key), reprlib.repr(value)  # which may be of any length
            raise TypeError(f"a vocabulary maps strings to numbers or numbers to strings, not {told[0]} to {told[1]}")
        if not 0 <= number < _MOST:
            raise ValueError(f"the token {reprlib.repr(token)} has the number {reprlib.repr(number)}")
        pairs.append((number, _checked(token)))
    tokens: list[str | None] = [None] * (1 + max((number for number, _ in pairs), default=-1))
    for number, token in pairs:
        tokens[number] = token
    return tokens


def _checked(token: Any) -> str:
    if isinstance(token, bytes):  # as tiktoken and some vocabularies have them
        return token.decode("utf-8", "backslashreplace")
    if not isinstance(token, str):
        raise TypeError(f"tokens are strings, not {type(token).__name__}")
    return displayable(token) if token else ""


def _from_tokenizer(obj: Any) -> Vocabulary:
    """Ask a tokenizer for the string of every number."""
    origin = type(obj).__name__
    size = _size_of(obj)
    if size is not None:
        for name in ("convert_ids_to_tokens", "id_to_token", "id_to_piece", "decode_single_token_bytes"):
            if callable(getattr(obj, name, None)):
                return Vocabulary(_asked(getattr(obj, name), range(size), single=True), origin)
        if callable(getattr(obj, "decode", None)):
            return Vocabulary(_asked(obj.decode, range(size), single=False), origin, False)
    raise TypeError(
        f"{origin} is no tokenizer: it needs convert_ids_to_tokens or decode, and a length. A list of strings, a "
        "mapping of strings to numbers, or the path of a tokenizer.json, vocab.json or vocab.txt will do, too."
    )


def _size_of(obj: Any) -> int | None:
    """Number of tokens of a tokenizer: also those added to it."""
    sizes: list[int] = []
    for name in ("__len__", "get_vocab_size", "n_vocab", "vocab_size", "get_piece_size"):
        found = getattr(obj, name, None)
        try:
            size = found() if callable(found) else found
        except (TypeError, NotImplementedError):
            continue
        if isinstance(size, int) and not isinstance(size, bool):
            sizes.append(size)
    return min(max(sizes), _MOST) if sizes else None


def _asked(ask: Callable[[Any], Any], numbers: Iterable[int], single: bool) -> list[str | None]:
    """Strings by number; None where the tokenizer has none."""
    tokens: list[str | None] = []
    for number in numbers:
        try:
            found = ask(number if single else [number])
        except (KeyError, IndexError, ValueError, OverflowError):
            found = None  # a gap in the numbering
        tokens.append(_checked(found) if isinstance(found, (str, bytes)) else None)
    return tokens
