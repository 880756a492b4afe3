"""The compiled kernels by name. Only `weightwidget.summary.compiling` imports this, in the background."""

from __future__ import annotations

from typing import Any

from numba import types

from weightwidget.summary.compiled_add import add, add_patterns
from weightwidget.summary.compiled_bare import add_bare, count_infinite
from weightwidget.summary.compiled_batch import measure_batch
from weightwidget.summary.compiled_ends import is_usual, take_counts, take_norms, take_picture

_f8, _i8, _u4 = types.float64, types.int64, types.uint32
_NONE = types.none
_REST = (
    *(_f8[::1], _f8[::1], _i8[::1], _i8[::1], _f8[:, ::1], _f8[:, ::1]),
    *(_f8[::1], _i8[::1], _f8[::1]),
)


_COUNTED = (_i8, _i8, _i8, _u4[:, ::1], *_REST)
_SUMMED = (_i8, _i8, _i8, _f8, _f8, _u4[:, ::1], *_REST)
_BARE = (_i8, _i8, _i8, _NONE, _NONE, _u4[:, ::1], *_REST)


_ALONE = (_i8, _u4[:, ::1], _f8[::1], _i8[::1])
_BATCH = (
    *(_i8[:, ::1], _i8[::1], _f8[:, ::1], _i8[:, ::1], _i8[::1], types.float32[::1]),
    *(_u4[::1], _u4[::1], _u4[:, ::1], types.Array(types.uint16, 1, "C", readonly=True), _f8[::1], _f8[::1]),
)


def _block(kind: Any) -> Any:
    return types.Array(kind, 2, "A", readonly=True)


def _constant(kind: Any) -> Any:
    return types.Array(kind, 1, "C", readonly=True)


SIGNATURES: dict[str, tuple[Any, Any]] = {
    "counts": (take_counts, (_u4[:, ::1], _constant(types.uint16), types.uint16[::1], _i8[::1])),
    "norms": (take_norms, (_f8[::1], _f8, types.float32[::1])),
    "picture": (take_picture, (_f8[:, ::1], _f8[:, ::1], types.float32[:, ::1])),
    "usual float32": (is_usual, (_block(types.float32), _i8, _i8, _f8, _f8)),
    "usual float64": (is_usual, (_block(types.float64), _i8, _i8, _f8, _f8)),
    "float32": (add, (_block(types.float32), *_BARE)),
    "bfloat16": (add, (_block(types.uint16), *_BARE)),
    "moved float32": (add, (_block(types.float32), *_SUMMED)),
    "float64": (add, (_block(types.float64), *_SUMMED)),
    "bare float32": (add_bare, (_constant(types.float32), *_ALONE)),
    "bare bfloat16": (add_bare, (_constant(types.uint16), *_ALONE)),
    "infinite": (count_infinite, (_u4[:, ::1], _i8[::1])),
    "batch float32": (measure_batch, (_constant(types.float32), *_BATCH)),
    "batch bfloat16": (measure_batch, (_constant(types.uint16), *_BATCH)),
    "16 bits": (add_patterns, (_block(types.uint16), _constant(types.float32), *_COUNTED)),
    "8 bits": (add_patterns, (_block(types.uint8), _constant(types.float32), *_COUNTED)),
}
"""The kernels by what they are for: the function, and the types of its arguments."""
