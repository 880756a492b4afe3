r"""The filter language: text to predicate. Pure; `js/src/query.ts` follows the same rules.

Terms are separated by spaces and must all hold. Case does not matter.

===================================  =====================================================================
``attention``                        the name contains it
``*.query.weight``                   the whole name fits: ``*`` any text (dots too), ``?`` one character,
                                     ``[ab]`` ``[a-c]`` ``[!a]`` one of these
``"a b"``                            the name contains it, special characters too; ``\"`` and ``\\`` inside
``name:...``                         as the bare word
``kind:Conv2d``                      class of the module that owns it, or of any around that; patterns work
``role:bias`` ``dtype:bf16``         exactly this role or stored type; patterns work
``shape:384x*``                      the shape as text fits; ``*`` crosses axes; ``shape:scalar``
``ndim=2``                           number of axes
``std>0.1`` ``sparsity>=50%``        a statistic compared by ``< <= > >= = !=``; ``%`` divides by 100,
``count>1M`` ``bytes>1MB``           ``k M G T`` multiply by powers of 1000, with a ``B`` too for bytes
``std:0.1..0.5`` ``std:..0.5``       a statistic within a range, ends included
``-term`` ``!term``                  not
``conv|fc`` ``kind:Conv2d|Linear``   either
===================================  =====================================================================

A term that is unfinished or wrong does not filter; `Query.error` says what is wrong with it.

Two numbers count as equal if they differ by less than a millionth: ``max<=0.001`` holds for the float32
nearest to 0.001, and rounding never makes the front end and Python disagree. Counts are compared exactly.

A statistic that is not known (NaN) is unequal to every number: it passes ``!=`` and fails every other
comparison, as in NumPy and pandas.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from weightwidget.summary.glob import Glob, compile_glob, fold
from weightwidget.summary.table import STATISTICS
from weightwidget.summary.terms import OPERATOR, Term, is_number_key, terms_of

Mask: TypeAlias = npt.NDArray[np.bool_]
Column: TypeAlias = npt.NDArray[np.float64]

TEXT_KEYS = ("name", "kind", "role", "dtype", "shape")
TOLERANCE = 1e-6

_EXACT = frozenset({"ndim", "zeros", "nan", "inf", "count", "bytes"})
_DTYPES = {
    "bf16": "bfloat16",
    "fp16": "float16",
    "f16": "float16",
    "half": "float16",
    "fp32": "float32",
    "f32": "float32",
    "float": "float32",
    "fp64": "float64",
    "f64": "float64",
    "double": "float64",
}
_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}

_KEYED = re.compile(rf"([a-z_][a-z0-9_]*)(:|{OPERATOR})")
_NUMBER = re.compile(r"([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?)(?:(%)|([kmgt]?)(b?))")
_SHAPE = re.compile(r"scalar|[0-9x*?]+")
_SAME = {"==": "=", "≤": "<=", "≥": ">=", "≠": "!="}


@dataclass(frozen=True)
class TensorTable:
    """What a query can ask about tensors, one entry a tensor in each.

    Attributes
    ----------
    names, roles, dtypes
        Full names, roles and stored types (``"float32"``).
    kinds
        Classes of the modules that contain the tensor, in any order.
    shapes
        Size of each axis, in elements.
    columns
        Statistics by key, float64; NaN where unknown. A missing column is unknown throughout.
    """

    names: Sequence[str]
    kinds: Sequence[Sequence[str]]
    roles: Sequence[str]
    dtypes: Sequence[str]
    shapes: Sequence[Sequence[int]]
    columns: Mapping[str, Column]


Predicate: TypeAlias = Callable[[TensorTable], Mask]


@dataclass(frozen=True)
class Query:
    """A compiled query.

    Attributes
    ----------
    text
        As it was written.
    error
        What is wrong with its first faulty term and what to do; empty if nothing is.
    """

    text: str
    error: str
    _predicates: tuple[Predicate, ...]

    def matches(self, tensors: TensorTable) -> Mask:
        """Tell which tensors pass.

        Returns
        -------
        numpy.ndarray
            bool, one entry a tensor. An empty query passes all.
        """
        passes = np.ones(len(tensors.names), bool)
        for predicate in self._predicates:
            passes &= predicate(tensors)
        return passes


class _FaultyTermError(Exception):
    """A term that does not filter; the message is for its writer."""


def compile_query(text: str) -> Query:
    """Compile a query. Never raises: what is wrong with it is in `Query.error`."""
    predicates: list[Predicate] = []
    errors: list[str] = []
    for term in terms_of(text):
        try:
            predicates.append(_compile_term(term))
        except _FaultyTermError as fault:  # noqa: PERF203 - a query has a handful of terms
            errors.append(f"“{_clip(term.raw)}”{fault}")
    return Query(text, errors[0] if errors else "", tuple(predicates))


def within_facets(tensors: TensorTable, facets: Mapping[str, Sequence[float]]) -> Mask:
    """Tell which tensors lie within all ranges ``{statistic: (low, high)}``, ends included; NaN does not."""
    passes = np.ones(len(tensors.names), bool)
    for key, (low, high) in facets.items():
        passes &= _in_range(_column(tensors, key), low, high, key in _EXACT)
    return passes


def quote(name: str) -> str:
    """Write the query that finds a text literally, whatever characters it has."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


# -- terms to predicates -------------------------------------------------------------------------------------


def _compile_term(term: Term) -> Predicate:
    if not term.closed:
        raise _FaultyTermError(' is not finished: close the quote with "')
    negated = False
    body = term
    while body.mask[:1] in ("-", "!"):
        negated = not negated
        body = body.cut(1)
    keyed = _KEYED.match(body.mask)
    if keyed:
        predicate = _compile_keyed(keyed[1], _SAME.get(keyed[2], keyed[2]), body.cut(keyed.end()))
    elif not body.text and '"' in term.raw:
        predicate = _all
    else:
        predicate = _compile_text("name", body, f": write what to leave out after the {term.raw[0]}")
    return _not(predicate) if negated else predicate


def _compile_keyed(key: str, operator: str, value: Term) -> Predicate:
    if key in TEXT_KEYS:
        if operator not in (":", "=", "!="):
            raise _FaultyTermError(f": {key} is text, not a number; write {key}:…")
        examples = {"kind": "Linear", "role": "bias", "dtype": "float32", "shape": "384x*", "name": "weight"}
        predicate = _compile_text(key, value, f" is not finished: write what to look for, as in {key}:{examples[key]}")
        return _not(predicate) if operator == "!=" else predicate
    if not is_number_key(key):
        raise _FaultyTermError(_unknown(key, operator))
    exact = key in _EXACT
    if operator == ":":
        ranges = [_range(key, part) for part in value.split("|")]
        return lambda tensors: _any(
            [_in_range(_column(tensors, key), low, high, exact) for low, high in ranges], len(tensors.names)
        )
    if not value.text:
        raise _FaultyTermError(f" is not finished: write a number after it, as in {key}{operator}{_example(key)}")
    number = _number(key, value.text)
    return lambda tensors: _compare(_column(tensors, key), operator, number, exact)


def _compile_text(key: str, value: Term, unfinished: str) -> Predicate:
    parts = [part for part in value.split("|") if part.text]
    if not parts:
        raise _FaultyTermError(unfinished if value.text == "" else " is not finished: write something beside the |")
    globs = [_text_glob(key, part) for part in parts]
    return lambda tensors: np.fromiter(
        (any(glob.matches(text) for text in texts for glob in globs) for texts in _texts(key, tensors)),
        bool,
        len(tensors.names),
    )


def _text_glob(key: str, part: Term) -> Glob:
    text, mask = part.text, part.mask
    if key == "dtype" and text in _DTYPES:
        text = mask = _DTYPES[text]
    elif key == "shape":
        text = mask = text.replace("×", "x").replace(",", "x")
        if not _SHAPE.fullmatch(text):
            raise _FaultyTermError(": a shape is written as 384x1536, with * for any; scalar for no axes")
    return compile_glob(text, mask, whole=key != "name")


def _texts(key: str, tensors: TensorTable) -> Sequence[Sequence[str]]:
    """List the folded texts of each tensor that a key looks at."""
    if key == "kind":
        return [[fold(kind) for kind in kinds if kind] for kinds in tensors.kinds]
    if key == "shape":
        return [["x".join(map(str, shape)) or "scalar"] for shape in tensors.shapes]
    column = {"name": tensors.names, "role": tensors.roles, "dtype": tensors.dtypes}[key]
    return [[fold(text)] for text in column]


def _range(key: str, part: Term) -> tuple[float, float]:
    if part.text in ("", ".."):
        raise _FaultyTermError(
            f" is not finished: write a range after it, as in {key}:{_example(key)}..{_example(key, True)}"
        )
    at = part.mask.find("..")
    if at < 0:
        number = _number(key, part.text)
        return number, number
    low_text, high_text = part.text[:at], part.text[at + 2 :]
    low = _number(key, low_text) if low_text else -np.inf
    high = _number(key, high_text) if high_text else np.inf
    if low > high:
        raise _FaultyTermError(f" holds for nothing: write the lower end first, {key}:{high_text}..{low_text}")
    return low, high


def _number(key: str, text: str) -> float:
    found = _NUMBER.fullmatch(text.replace("−", "-"))
    if not found:
        raise _FaultyTermError(f": “{_clip(text)}” is not a number; write one such as 0.1, 50% or 1M")
    digits, percent, unit, byte = found.groups()
    if byte and key != "bytes":
        raise _FaultyTermError(f": {key} is not in bytes; leave out the B")
    return float(digits) / 100 if percent else float(digits) * _UNITS[unit or ""]


# -- numbers -------------------------------------------------------------------------------------------------


def _column(tensors: TensorTable, key: str) -> Column:
    if key == "ndim":
        return np.array([len(shape) for shape in tensors.shapes], np.float64)
    column = tensors.columns.get(key)
    return np.full(len(tensors.names), np.nan) if column is None else np.asarray(column, np.float64)


def _equal(column: Column, number: float, exact: bool) -> Mask:
    equal: Mask = column == number
    if exact or not np.isfinite(number):
        return equal
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(column - number) <= TOLERANCE * np.maximum(np.abs(column), abs(number))
    within: Mask = near & np.isfinite(column)
    return equal | within


def _compare(column: Column, operator: str, number: float, exact: bool) -> Mask:
    equal = _equal(column, number, exact)
    if operator == "=":
        return equal
    if operator == "!=":
        return ~equal
    beyond = column < number if operator[0] == "<" else column > number
    return beyond | equal if operator.endswith("=") else beyond & ~equal


def _in_range(column: Column, low: float, high: float, exact: bool) -> Mask:
    return _compare(column, ">=", low, exact) & _compare(column, "<=", high, exact)


def _not(predicate: Predicate) -> Predicate:
    return lambda tensors: ~predicate(tensors)


def _all(tensors: TensorTable) -> Mask:
    return np.ones(len(tensors.names), bool)


def _any(masks: Sequence[Mask], length: int) -> Mask:
    return np.logical_or.reduce(masks) if masks else np.zeros(length, bool)


# -- messages ------------------------------------------------------------------------------------------------


def _example(key: str, upper: bool = False) -> str:
    if key == "ndim":
        return "4" if upper else "2"
    if key in _EXACT:
        return "1M" if upper else "1k"
    return "0.5" if upper else "0.1"


def _unknown(key: str, operator: str) -> str:
    known = [*STATISTICS, "ndim"] if operator != ":" else [*TEXT_KEYS, *STATISTICS, "ndim"]
    near = _nearest(key, known)
    what = "key" if operator == ":" else "statistic"
    remedy = f"did you mean {near}?" if near else f"there are {', '.join(known)}."
    return f": there is no {what} “{_clip(key)}”; {remedy} To look for this text in names, put it in quotes."


def _nearest(word: str, known: Sequence[str]) -> str:
    """Find the known word that begins like this one, else the one fewest edits away; "" if none is near."""
    if len(word) > 20:
        return ""
    for candidate in known:
        if len(word) > 2 and (candidate.startswith(word) or word.startswith(candidate)):
            return candidate
    distances = [_distance(word, candidate) for candidate in known]
    best = min(distances)
    return known[distances.index(best)] if best <= (1 if len(word) < 4 else 2) else ""


def _distance(a: str, b: str) -> int:
    """Count the edits between two words (Levenshtein)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        above = row
        row = [i + 1]
        for j, y in enumerate(b):
            row.append(min(above[j + 1] + 1, row[j] + 1, above[j] + (x != y)))
    return row[-1]


def _clip(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
