"""Inner loops as LLVM's vectors, in which the counting of bins and the sums run side by side.

Loops that LLVM vectorises by itself cannot count bins at the same time, and two loops one after the other take twice
as long: counting waits for the stores, sums for the arithmetic. So the loop is put down here in vectors of sixteen
lanes, which LLVM maps to whatever the processor has.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16

"""Weights that are worked on at once."""

FETCHED = 2048
"""Bytes that memory is fetched ahead where weights lie one after the other."""

RESULTS = ("s1", "s2", "s3", "s4", "l1", "zeros", "low", "high")
"""What a loop adds to. Loops over narrow types change the last two only: the rest follows from the counts."""

_FLOAT, _DOUBLE = ir.FloatType(), ir.DoubleType()
_SHORT, _INT, _LONG = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_FLOATS, _DOUBLES, _INTS = (ir.VectorType(kind, LANES) for kind in (_FLOAT, _DOUBLE, _INT))
_SHORTS = ir.VectorType(_SHORT, LANES)
# Never nnan or ninf: weights that are not finite must show in the sums.
_LOOSE = ("reassoc", "contract", "nsz", "arcp")


class _Loop:
    """A loop over the chunks of sixteen columns of some rows, with values that live from chunk to chunk."""

    def __init__(self, builder: Any, chunks: Any) -> None:
        self.b = builder
        self._before = builder.block
        self._body = builder.function.append_basic_block("chunk")
        self._after = builder.function.append_basic_block("after")
        builder.cbranch(builder.icmp_signed(">", chunks, _LONG(0)), self._body, self._after)
        builder.position_at_end(self._body)
        self._chunks = chunks
        self.number = builder.phi(_LONG)
        self.number.add_incoming(_LONG(0), self._before)
        self._first: dict[str, tuple[Any, Any]] = {}
        self.now: dict[str, Any] = {}

    def carry(self, name: str, kind: ir.VectorType, start: float) -> None:
        """Let a value live from chunk to chunk; `now` holds it."""
        initial = ir.Constant(kind, [start] * LANES)
        node = self.b.phi(kind)
        node.add_incoming(initial, self._before)
        self._first[name] = (node, initial)
        self.now[name] = node

    def add(self, name: str, term: Any) -> None:
        """Add to a carried value."""
        self.now[name] = self.b.fadd(self.now[name], term, flags=_LOOSE)

    def reach(self, name: str, values: Any, sign: str) -> None:
        """Let a carried value become another where that is beyond it; NaN never is."""
        known = self.now[name]
        self.now[name] = self.b.select(self.b.fcmp_ordered(sign, values, known), values, known)

    def end(self) -> dict[str, Any]:
        """Close the loop, and give the carried values after it."""
        b, last = self.b, self.b.block
        following = b.add(self.number, _LONG(1))
        self.number.add_incoming(following, last)
        for name, (node, _) in self._first.items():
            node.add_incoming(self.now[name], last)
        b.cbranch(b.icmp_signed("<", following, self._chunks), self._body, self._after)
        b.position_at_end(self._after)
        found = {}
        for name, (_, initial) in self._first.items():
            found[name] = b.phi(initial.type)
            found[name].add_incoming(initial, self._before)
            found[name].add_incoming(self.now[name], last)
        return found


def everywhere(builder: Any, value: Any, kind: ir.VectorType) -> Any:
    """One value in every lane."""
    nothing = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(nothing, value, _INT(0))
    return builder.shuffle_vector(first, nothing, ir.Constant(_INTS, [0] * LANES))


def _at(builder: Any, address: Any, kind: ir.Type) -> Any:
    return builder.inttoptr(address, kind.as_pointer())


def _count(builder: Any, tables: tuple[Any, Any], codes: Any, first: int, step: int) -> None:
    """Count sixteen codes. Neighbours go to different tables, for a bin that was just stored is slow to load."""
    for lane in range(LANES):
        code = builder.load(builder.gep(codes, [_LONG(first + step * lane)]), align=2)
        place = builder.gep(tables[lane % 2], [builder.zext(code, _LONG)])
        builder.store(builder.add(builder.load(place), _INT(1)), place)


class _Columns:
    """What is gathered of each column: the sum of squares, smallest and largest."""

    def __init__(self, loop: _Loop, squares: Any, low: Any, high: Any, kind: ir.Type) -> None:
        b = self.b = loop.b
        at = b.mul(loop.number, _LONG(LANES))
        width = 4 if kind is _FLOAT else 8
        vector = ir.VectorType(kind, LANES)
        self._places = [
            (b.bitcast(b.gep(data, [at]), vectors.as_pointer()), size)
            for data, vectors, size in ((squares, _DOUBLES, 8), (low, vector, width), (high, vector, width))
        ]
        self.squares, self.low, self.high = (b.load(place, align=size) for place, size in self._places)

    def take(self, values: Any, squares: Any) -> None:
        b = self.b
        # Comparisons with NaN say no, and so it never gets in.
        self.low = b.select(b.fcmp_ordered("<", values, self.low), values, self.low)
        self.high = b.select(b.fcmp_ordered(">", values, self.high), values, self.high)
        self.squares = b.fadd(self.squares, squares, flags=_LOOSE)

    def store(self) -> None:
        for value, (place, size) in zip((self.squares, self.low, self.high), self._places, strict=True):
            self.b.store(value, place, align=size)


def _row_loop(rows: int) -> Any:
    """Make the loop over some rows at a time; see `four_rows`."""

    def type_rows(
        _typing: Any, x: Any, _row: Any, _chunks: Any, _ahead: Any, shift: Any, scale: Any, tables: Any, *_places: Any
    ) -> Any:
        moved, summed = shift != types.none, x.dtype in (types.float32, types.float64) and tables != types.none
        halves, double = x.dtype == types.uint16, x.dtype == types.float64
        element, size = (_DOUBLE, 8) if double else (_FLOAT, 2 if halves else 4)
        vector = ir.VectorType(element, LANES)

        def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
            weights, rows2, squares, low, high, found = (
                _array(context, b, signature, args, k) for k in (0, 7, 8, 9, 10, 11)
            )
            stride = b.extract_value(weights.strides, 0)
            start = b.add(b.ptrtoint(weights.data, _LONG), b.mul(args[1], stride))
            pair: Any = None
            if tables != types.none:
                counted = _array(context, b, signature, args, 6)
                pair = (counted.data, b.gep(counted.data, [b.extract_value(counted.shape, 1)]))
            shifts, scales = (everywhere(b, args[k], _DOUBLES) if moved else None for k in (4, 5))
            rounded = None
            if moved:
                with b.goto_entry_block():
                    rounded = b.alloca(_FLOATS)
                    rounded.align = 64
            loop = _Loop(b, args[2])
            squared = [f"row{row}" for row in range(rows)]
            sums = ("s1", "s2", "s3", "s4", "l1") if moved else ("s1", "s3", "s4", "l1")  # else s2 is what rows come to
            for name in (*(sums if summed else ()), *squared):
                loop.carry(name, _DOUBLES, 0.0)
            if summed:
                loop.carry("zeros", _INTS, 0)
            loop.carry("low", vector, float("inf"))
            loop.carry("high", vector, float("-inf"))
            columns = _Columns(loop, squares.data, low.data, high.data, element)
            offset = b.mul(loop.number, _LONG(LANES * size))
            for row in range(rows):
                address = b.add(b.add(start, b.mul(stride, _LONG(row))), offset)
                raw = _load(b, address, halves, vector, size)
                fetch(b, b.add(address, args[3]))
                x = raw if double else b.fpext(raw, _DOUBLES)
                d, y = (b.fmul(b.fsub(x, shifts), scales), b.fmul(x, scales)) if moved else (x, x)
                y2 = b.fmul(y, y)
                loop.add(f"row{row}", y2)
                columns.take(raw, y2)
                if summed:
                    _add_powers(loop, raw, x, d, b.fmul(d, d) if moved else y2)
                if halves:
                    _count(b, pair, _at(b, address, _SHORT), 0, 1)
                elif summed and moved:
                    b.store(b.fptrunc(d, _FLOATS), rounded)
                    _count(b, pair, b.bitcast(rounded, _SHORT.as_pointer()), 1, 2)
                elif summed:
                    _count(b, pair, _at(b, address, _SHORT), 1, 2)  # the upper half of each
            columns.store()
            loop.reach("low", columns.low, "<")
            loop.reach("high", columns.high, ">")
            ended = loop.end()
            _add_results(b, found.data, ended, double)
            for row in range(rows):
                b.store(_sum(b, ended[f"row{row}"]), b.gep(rows2.data, [b.add(args[1], _LONG(row))]))
            return context.get_dummy_value()

        arguments = (x, types.int64, types.int64, types.int64, shift, scale, tables, *_places)
        return types.void(*arguments), generate

    return type_rows


def _add_powers(loop: _Loop, raw: Any, x: Any, d: Any, d2: Any) -> None:
    """Add weights to the sums: as they are stored, in float64, shifted and scaled, and the squares of that."""
    b = loop.b
    null = b.fcmp_ordered("==", raw, ir.Constant(raw.type, [0.0] * LANES))
    loop.now["zeros"] = b.sub(loop.now["zeros"], b.sext(null, _INTS))
    kind = ir.FunctionType(_DOUBLES, [_DOUBLES])
    magnitude = cgutils.get_or_insert_function(b.module, kind, f"llvm.fabs.v{LANES}f64")
    loop.add("l1", b.call(magnitude, [x]))
    loop.add("s1", d)
    if "s2" in loop.now:
        loop.add("s2", d2)
    loop.add("s3", b.fmul(d2, d, flags=_LOOSE))
    loop.add("s4", b.fmul(d2, d2, flags=_LOOSE))


def _add_results(b: Any, found: Any, ended: dict[str, Any], double: bool) -> None:
    """Add what a loop carried to `RESULTS`."""
    for name in RESULTS[:6]:
        if name in ended:
            values = b.uitofp(ended[name], _DOUBLES) if name == "zeros" else ended[name]
            place = b.gep(found, [_LONG(RESULTS.index(name))])
            b.store(b.fadd(b.load(place), _sum(b, values)), place)
    for name, sign in (("low", "<"), ("high", ">")):
        place = b.gep(found, [_LONG(RESULTS.index(name))])
        value, known = _furthest(b, ended[name], sign), b.load(place)
        value = value if double else b.fpext(value, _DOUBLE)
        b.store(b.select(b.fcmp_ordered(sign, value, known), value, known), place)


def fetch(b: Any, address: Any) -> None:
    """Have memory brought near that is wanted soon; that there is any is not required."""
    kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer(), _INT, _INT, _INT])
    prefetch = cgutils.get_or_insert_function(b.module, kind, "llvm.prefetch.p0i8")
    b.call(prefetch, [_at(b, address, ir.IntType(8)), _INT(0), _INT(3), _INT(1)])


def _load(b: Any, address: Any, halves: bool, vector: Any, size: int) -> Any:
    if not halves:
        return b.load(_at(b, address, vector), align=size)
    lower = b.zext(b.load(_at(b, address, _SHORTS), align=size), _INTS)
    return b.bitcast(b.shl(lower, ir.Constant(_INTS, [16] * LANES)), _FLOATS)


@intrinsic  # type: ignore[untyped-decorator]
def four_rows(
    typing: Any, x: Any, row: Any, chunks: Any, ahead: Any, shift: Any, scale: Any, tables: Any, rows2: Any,
    squares: Any, low: Any, high: Any, found: Any,
) -> Any:  # fmt: skip
    """Gather the first `chunks` times sixteen columns of four rows: bins or patterns, power sums, rows, columns.

    Parameters
    ----------
    x
        float32 or float64, or uint16 for the patterns of bfloat16; (rows, columns), its rows without gaps.
    row
        The first of the four.
    ahead
        How many bytes from there memory is fetched that is wanted soon.
    shift, scale
        What the weights are moved by before they are summed and counted; None for neither. float64 needs them.
    tables
        Two tables of counts, uint32 (2, 65536): of patterns, or of the upper halves of float32. None counts and sums
        nothing, for float32 that stands for narrower types: only rows and columns are gathered.
    rows2
        Gets the sum of squares of each row, float64.
    squares, low, high
        Of the columns: sums of squares in float64, and smallest and largest in the type of the weights, which leave
        NaN out.
    found
        `RESULTS` so far, float64. Smallest and largest are those of `low` and `high`.
    """
    return _row_loop(4)(typing, x, row, chunks, ahead, shift, scale, tables, rows2, squares, low, high, found)


@intrinsic  # type: ignore[untyped-decorator]
def two_rows(
    typing: Any, x: Any, row: Any, chunks: Any, ahead: Any, shift: Any, scale: Any, tables: Any, rows2: Any,
    squares: Any, low: Any, high: Any, found: Any,
) -> Any:  # fmt: skip
    """Gather two rows; see `four_rows`."""
    return _row_loop(2)(typing, x, row, chunks, ahead, shift, scale, tables, rows2, squares, low, high, found)


@intrinsic  # type: ignore[untyped-decorator]
def one_row(
    typing: Any, x: Any, row: Any, chunks: Any, ahead: Any, shift: Any, scale: Any, tables: Any, rows2: Any,
    squares: Any, low: Any, high: Any, found: Any,
) -> Any:  # fmt: skip
    """Gather one row; see `four_rows`."""
    return _row_loop(1)(typing, x, row, chunks, ahead, shift, scale, tables, rows2, squares, low, high, found)


@intrinsic  # type: ignore[untyped-decorator]
def stretch(_typing: Any, x: Any, first: Any, chunks: Any, tables: Any, found: Any) -> Any:  # noqa: ARG001
    """Gather `chunks` times sixteen weights that lie one after the other: bins or patterns, power sums, extremes.

    Parameters
    ----------
    x
        float32, or uint16 for the patterns of bfloat16; (elements,), without gaps.
    first
        The first weight.
    tables, found
        See `four_rows`. Of patterns, only the extremes are found beside the counts.
    """
    halves = x.dtype == types.uint16
    size, vector = (2 if halves else 4), _FLOATS

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        weights, counted, found = (_array(context, b, signature, args, k) for k in (0, 3, 4))
        pair = (counted.data, b.gep(counted.data, [b.extract_value(counted.shape, 1)]))
        start = b.add(b.ptrtoint(weights.data, _LONG), b.mul(args[1], _LONG(size)))
        loop = _Loop(b, args[2])
        for name in () if halves else ("s1", "s2", "s3", "s4", "l1"):
            loop.carry(name, _DOUBLES, 0.0)
        if not halves:
            loop.carry("zeros", _INTS, 0)
        loop.carry("low", vector, float("inf"))
        loop.carry("high", vector, float("-inf"))
        address = b.add(start, b.mul(loop.number, _LONG(LANES * size)))
        raw = _load(b, address, halves, vector, size)
        fetch(b, b.add(address, _LONG(FETCHED)))
        loop.reach("low", raw, "<")
        loop.reach("high", raw, ">")
        if not halves:
            x = b.fpext(raw, _DOUBLES)
            _add_powers(loop, raw, x, x, b.fmul(x, x))
        _count(b, pair, _at(b, address, _SHORT), 0 if halves else 1, 1 if halves else 2)
        ended = loop.end()
        _add_results(b, found.data, ended, double=False)
        return context.get_dummy_value()

    return types.void(x, types.int64, types.int64, tables, found), generate


@intrinsic  # type: ignore[untyped-decorator]
def cell_ends(_typing: Any, lows: Any, highs: Any, first: Any, end: Any, out: Any) -> Any:  # noqa: ARG001
    """Smallest of `lows` and largest of `highs` from `first` to `end`, none of them NaN, into the float64 `out`.

    Up to fifteen places after the end are read, and ignored.
    """
    double = lows.dtype == types.float64
    element, size = (_DOUBLE, 8) if double else (_FLOAT, 4)
    vector = ir.VectorType(element, LANES)

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        ends = (("low", 0, "<", float("inf")), ("high", 1, ">", float("-inf")))
        target = _array(context, b, signature, args, 4).data
        count = b.sub(args[3], args[2])
        places = {
            name: b.gep(_array(context, b, signature, args, number).data, [args[2]]) for name, number, _, _ in ends
        }
        loop = _Loop(b, b.sdiv(count, _LONG(LANES)))
        for name, _, _, start in ends:
            loop.carry(name, vector, start)
        for name, _, sign, _ in ends:
            at = b.gep(places[name], [b.mul(loop.number, _LONG(LANES))])
            loop.reach(name, b.load(b.bitcast(at, vector.as_pointer()), align=size), sign)
        found = loop.end()
        # What is left over, in as many lanes.
        done = b.mul(b.sdiv(count, _LONG(LANES)), _LONG(LANES))
        left = everywhere(b, b.trunc(b.sub(count, done), _INT), _INTS)
        inside = b.icmp_signed("<", ir.Constant(_INTS, list(range(LANES))), left)
        for number, (name, _, sign, start) in enumerate(ends):
            values = b.load(b.bitcast(b.gep(places[name], [done]), vector.as_pointer()), align=size)
            values = b.select(inside, values, ir.Constant(vector, [start] * LANES))
            values = b.select(b.fcmp_ordered(sign, values, found[name]), values, found[name])
            value = _furthest(b, values, sign)
            b.store(value if double else b.fpext(value, _DOUBLE), b.gep(target, [_LONG(number)]))
        return context.get_dummy_value()

    return types.void(lows, highs, types.int64, types.int64, out), generate


@intrinsic  # type: ignore[untyped-decorator]
def any_counts(_typing: Any, tables: Any, first: Any) -> Any:  # noqa: ARG001
    """Whether any of sixteen codes from the `first` on, uint16, was counted in `tables`, uint32 (2, codes)."""

    def generate(context: Any, b: Any, signature: Any, args: Any) -> Any:
        counted = _array(context, b, signature, args, 0)
        place = b.zext(args[1], _LONG)
        other = b.add(place, b.extract_value(counted.shape, 1))
        one, two = (b.bitcast(b.gep(counted.data, [at]), _INTS.as_pointer()) for at in (place, other))
        either = b.or_(b.load(one, align=4), b.load(two, align=4))
        kind = ir.FunctionType(_INT, [_INTS])
        reduce = cgutils.get_or_insert_function(b.module, kind, f"llvm.vector.reduce.or.v{LANES}i32")
        return b.icmp_unsigned("!=", b.call(reduce, [either]), _INT(0))

    return types.boolean(tables, types.uint16), generate


def _sum(b: Any, values: Any) -> Any:
    """Sum of the lanes."""
    kind = ir.FunctionType(_DOUBLE, [_DOUBLE, _DOUBLES])
    add = cgutils.get_or_insert_function(b.module, kind, f"llvm.vector.reduce.fadd.v{LANES}f64")
    return b.call(add, [_DOUBLE(0.0), values], fastmath=_LOOSE)


def _furthest(b: Any, values: Any, sign: str) -> Any:
    """Smallest (<) or largest (>) of the lanes."""
    step = LANES // 2
    while step:
        order = ir.Constant(_INTS, [(lane + step) % LANES for lane in range(LANES)])
        other = b.shuffle_vector(values, values, order)
        values = b.select(b.fcmp_ordered(sign, other, values), other, values)
        step //= 2
    return b.extract_element(values, _INT(0))


def _array(context: Any, b: Any, signature: Any, args: Any, number: int) -> Any:
    return context.make_array(signature.args[number])(context, b, args[number])
