"""The inner loop of tiles as LLVM's vectors: some rows of 64 columns, all that is wanted of them in one reading.

Left to itself LLVM gathers each column in memory and halves the columns in loops of their own, which takes twice as
long as the weights need to come from memory. Here all that is gathered stays in registers until it is pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped, unused-ignore]
from numba import types
from numba.extending import intrinsic

from weightwidget.summary.vectors import LANES, everywhere, fetch

ABREAST = 4
"""Vectors side by side: with three or four results each, what the registers of AVX-512 hold."""

STRIP = LANES * ABREAST
"""Columns of a strip."""

STRIP_LEVEL = STRIP.bit_length() - 1
"""Level at which a pixel is as wide as a strip."""

_FLOAT, _DOUBLE = ir.FloatType(), ir.DoubleType()
_SHORT, _INT, _LONG = (ir.IntType(bits) for bits in (16, 32, 64))
_FLOATS, _INTS, _SHORTS = (ir.VectorType(kind, LANES) for kind in (_FLOAT, _INT, _SHORT))
_DOUBLES = ir.VectorType(_DOUBLE, LANES)

Fold = Callable[[Any, Any, Any], Any]
Results = tuple[tuple[Any, float, Fold], ...]
"""Of each result its type, what it starts from, and its fold."""
Terms = Callable[[Any], list[Any]]
"""What is folded into the results of each weight."""


def _smaller(b: Any, x: Any, y: Any) -> Any:
    return b.select(b.fcmp_ordered("<", x, y), x, y)


def _larger(b: Any, x: Any, y: Any) -> Any:
    return b.select(b.fcmp_ordered(">", x, y), x, y)


def _plus(b: Any, x: Any, y: Any) -> Any:
    # With no flags: in whatever kernel, the same sums come in the same order.
    return b.fadd(x, y)


_RESULTS: Results = (
    (_FLOAT, float("inf"), _smaller),
    (_FLOAT, float("-inf"), _larger),
    (_DOUBLE, 0.0, _plus),
    (_DOUBLE, 0.0, _plus),
)
"""Smallest, largest, sum and sum of squares."""


@intrinsic  # type: ignore[untyped-decorator]
def strip(
    _typing: Any, flat: Any, at: Any, stride: Any, rows: Any, ahead: Any, level: Any, shift: Any,  # noqa: ARG001
    low: Any, high: Any, total: Any, square: Any, place: Any, begins: Any,  # noqa: ARG001
) -> Any:  # fmt: skip
    """Reduce some rows of a strip to pixels beside each other.

    Parameters
    ----------
    flat
        Memory of a matrix: float32, or uint16 for the bits of bfloat16.
    at, stride, rows
        Where the strip starts in it, elements from one row to the next, and how many rows (at least one).
    ahead
        Elements from each that is worked on to one that is wanted soon, and fetched. Rows are short streams side by
        side, which processors do not foresee.
    level
        A pixel is 2**level columns wide, at most `STRIP`.
    shift
        What weights are moved by before they are squared; sums are of the weights as they are.
    low, high, total, square
        Flat planes of pixels. No squares are summed where the last is None.
    place
        The first of the pixels in the planes.
    begins
        Whether the pixels begin here. Else they are added to.
    """

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        planes = [
            context.make_array(kind)(context, b, given).data
            for kind, given in zip(signature.args[7:11], args[7:11], strict=True)
            if kind != types.none
        ]
        moved = everywhere(b, args[6], _DOUBLES) if len(planes) == 4 else None

        def terms(x: Any) -> list[Any]:
            wide = b.fpext(x, _DOUBLES)
            if moved is None:
                return [x, x, wide]
            d = b.fsub(wide, moved)
            return [x, x, wide, b.fmul(d, d)]

        _reduce(
            b, context.make_array(flat)(context, b, args[0]), args[1:6], terms, planes, _RESULTS, args[11], args[12]
        )
        return context.get_dummy_value()

    whole, planes = types.int64, (low, high, total, square)
    return types.void(flat, *[whole] * 5, types.float64, *planes, whole, types.boolean), generate


@intrinsic  # type: ignore[untyped-decorator]
def count_strip(
    _typing: Any, flat: Any, at: Any, stride: Any, rows: Any, ahead: Any, level: Any,  # noqa: ARG001
    least: Any, most: Any, counts: Any, place: Any, begins: Any,  # noqa: ARG001
) -> Any:  # fmt: skip
    """Count weights from `least` to `most` under the pixels of a strip, in float32; else see `strip`."""

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        first, last = (everywhere(b, limit, _FLOATS) for limit in args[6:8])
        one, zero = (ir.Constant(_FLOATS, [number] * LANES) for number in (1.0, 0.0))

        def terms(x: Any) -> list[Any]:
            inside = b.and_(b.fcmp_ordered(">=", x, first), b.fcmp_ordered("<=", x, last))
            return [b.select(inside, one, zero)]

        planes = [context.make_array(signature.args[8])(context, b, args[8]).data]
        results = ((_FLOAT, 0.0, _plus),)
        _reduce(b, context.make_array(flat)(context, b, args[0]), args[1:6], terms, planes, results, args[9], args[10])
        return context.get_dummy_value()

    whole = types.int64
    return types.void(flat, *[whole] * 5, types.float32, types.float32, counts, whole, types.boolean), generate


def _reduce(
    b: Any, memory: Any, at: Any, terms: Terms, planes: list[Any], results: Results, place: Any, begins: Any
) -> None:
    """Gather the columns of a strip, fold them to pixels of the level asked for, and store these."""
    start, stride, rows, ahead, level = at
    results = results[: len(planes)]
    found = _rows(b, memory, start, stride, rows, ahead, terms, results)
    done = b.function.append_basic_block("done")
    for stage in range(STRIP_LEVEL + 1):
        here, more = b.function.append_basic_block("here"), b.function.append_basic_block("more")
        b.cbranch(b.icmp_signed("==", level, _LONG(stage)), here, more)
        b.position_at_end(here)
        with b.if_else(begins) as (new, known):
            for way, again in ((new, False), (known, True)):
                with way:
                    for plane, vectors, (_, _, fold) in zip(planes, found, results, strict=True):
                        _store(b, b.gep(plane, [place]), vectors, fold if again else None)
        b.branch(done)
        b.position_at_end(more)
        if stage < STRIP_LEVEL:
            found = [_halved(b, vectors, fold) for vectors, (_, _, fold) in zip(found, results, strict=True)]
    b.branch(done)
    b.position_at_end(done)


def _rows(
    b: Any, memory: Any, at: Any, stride: Any, rows: Any, ahead: Any, terms: Terms, results: Results
) -> list[list[Any]]:
    """Gather the columns of a strip row by row: for each result its vectors."""
    halves = memory.data.type.pointee == _SHORT
    size = 2 if halves else 4
    start = b.add(b.ptrtoint(memory.data, _LONG), b.mul(at, _LONG(size)))
    distance = b.mul(ahead, _LONG(size))
    before, body = b.block, b.function.append_basic_block("row")
    b.branch(body)
    b.position_at_end(body)
    number, address = b.phi(_LONG), b.phi(_LONG)
    nodes = [[b.phi(ir.VectorType(kind, LANES)) for _ in range(ABREAST)] for kind, _, _ in results]
    now = [list(vectors) for vectors in nodes]
    for k in range(ABREAST):
        here = b.add(address, _LONG(k * LANES * size))
        if k * LANES * size % 64 == 0:
            fetch(b, b.add(here, distance))
        for vectors, term, (_, _, fold) in zip(now, terms(_weights(b, here, halves)), results, strict=True):
            vectors[k] = fold(b, term, vectors[k])
    following = b.add(number, _LONG(1))
    below = b.add(address, b.mul(stride, _LONG(size)))
    for node, first, then in ((number, _LONG(0), following), (address, start, below)):
        node.add_incoming(first, before)
        node.add_incoming(then, body)
    for ends, vectors, (_, first, _) in zip(nodes, now, results, strict=True):
        for node, then in zip(ends, vectors, strict=True):
            node.add_incoming(ir.Constant(node.type, [first] * LANES), before)
            node.add_incoming(then, body)
    after = b.function.append_basic_block("after")
    b.cbranch(b.icmp_signed("<", following, rows), body, after)
    b.position_at_end(after)
    return now


def _weights(b: Any, address: Any, halves: bool) -> Any:
    if not halves:
        return b.load(b.inttoptr(address, _FLOATS.as_pointer()), align=4)
    upper = b.zext(b.load(b.inttoptr(address, _SHORTS.as_pointer()), align=2), _INTS)
    return b.bitcast(b.shl(upper, ir.Constant(_INTS, [16] * LANES)), _FLOATS)


def _halved(b: Any, vectors: list[Any], fold: Fold) -> list[Any]:
    """Fold neighbouring columns."""
    pairs = list(zip(vectors[::2], vectors[1::2], strict=True)) if len(vectors) > 1 else [(vectors[0], vectors[0])]
    size = vectors[0].type.count // (1 if len(vectors) > 1 else 2)
    folded = []
    for first, second in pairs:
        even, odd = (
            b.shuffle_vector(first, second, ir.Constant(ir.VectorType(_INT, size), list(range(one, 2 * size, 2))))
            for one in (0, 1)
        )
        folded.append(fold(b, even, odd))
    return folded


def _store(b: Any, target: Any, vectors: list[Any], fold: Fold | None) -> None:
    """Put columns into their pixels, folded with what these hold if there is a fold."""
    align = 4 if vectors[0].type.element == _FLOAT else 8
    for k, vector in enumerate(vectors):
        place = b.bitcast(b.gep(target, [_LONG(k * vector.type.count)]), vector.type.as_pointer())
        b.store(fold(b, b.load(place, align=align), vector) if fold else vector, place, align=align)
