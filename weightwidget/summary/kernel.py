"""One tensor in, its record out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext

import torch

from weightwidget.sources.base import TensorRef, dtype_name, torch_dtype
from weightwidget.sources.parts import is_complex, magnitude
from weightwidget.summary.blocks import BLOCK
from weightwidget.summary.cancel import Cancelled
from weightwidget.summary.parts import PIECE, Box, Gathering, Measured, Part, Plan, cut
from weightwidget.summary.record import TensorSummary
from weightwidget.summary.sketch import SMALL
from weightwidget.summary.small import measure_small
from weightwidget.summary.streaming import Rounds, measure, plan_of
from weightwidget.summary.threads import one_thread

__all__ = ["summarize_tensor", "unreadable"]

_FLOAT8 = tuple(
    getattr(torch, name)
    for name in ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu")
    if hasattr(torch, name)
)
_REAL = {
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.bool,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.uint8,
    torch.uint16,
    torch.uint32,
    torch.uint64,
    *_FLOAT8,
}


def summarize_tensor(
    ref: TensorRef,
    kind: str = "",
    thumbnail: int = 64,
    cancelled: Callable[[], bool] | None = None,
    advance: Callable[[int], None] | None = None,
    norms: bool = True,
) -> TensorSummary:
    """Summarise one tensor in one pass over its memory.

    The tensor is not changed and not copied as a whole; what is needed beside it is bounded by a block, its
    row and column norms and the record itself. Torch's threads are not used and not touched.

    Parameters
    ----------
    ref
        The tensor.
    kind
        Class of the module that owns it.
    thumbnail
        Largest side of its picture, in cells (vectors: eight times as long); 0 for none.
    cancelled
        Asked between blocks.
    advance
        Told the number of elements after every block.
    norms
        Whether those of rows and columns are wanted, see `TensorSummary.row_norms`.

    Returns
    -------
    TensorSummary
        With `error` set if the type or layout has no numbers to summarise (sparse, quantised, meta). Of complex
        tensors, the record of their magnitudes.

    Raises
    ------
    Cancelled
        If `cancelled` said yes.
    """
    if cancelled is not None and cancelled():
        raise Cancelled
    work = Work(ref, kind, thumbnail, norms=norms)
    boxes = work.boxes
    # Worth a thread's start only where there are blocks enough.
    with one_thread() if ref.numel > 4 * BLOCK else nullcontext():
        while boxes:
            again: list[Box] = []
            for box in boxes:
                again = work.take(work.measure(box, cancelled or _never, advance or _ignore))
            boxes = again
    assert work.record is not None, "all boxes were measured"
    return work.record


in_turn = threading.Lock()
"""Held for short work that is all Python: threads that fight for Python's own lock take three times as long."""

DEVICE_PIECE = 1 << 32
"""Bytes of a box on an accelerator, which needs no second thread."""


class Work:
    """The summary of one tensor, in boxes that any thread may measure.

    Parameters
    ----------
    ref, kind, thumbnail, norms
        See `summarize_tensor`.
    piece
        About how many bytes a box has.

    Attributes
    ----------
    record
        The result, once it is there.
    boxes
        What is to be measured.
    """

    def __init__(
        self, ref: TensorRef, kind: str = "", thumbnail: int = 64, piece: int | None = None, norms: bool = True
    ) -> None:
        self.ref, self._kind = ref, kind
        self.record: TensorSummary | None = None
        self.boxes: list[Box] = []
        self._whole: torch.Tensor | None = None
        reason = _unsuitable(ref)
        if reason:
            self.record = unreadable(ref, kind, reason)
            return
        # Complex weights have no order: what is measured is how large they are.
        self._values = ref = magnitude(ref) if is_complex(ref) else ref
        small = ref.numel <= SMALL
        self._whole = ref.read() if small or _in_memory(ref) else None
        reason = _unsuitable_tensor(ref.read(_corner(ref.shape)) if self._whole is None else self._whole)
        if reason:
            self.record = unreadable(ref, kind, reason)
        elif small and self._whole is not None:
            values = self._whole if _in_memory(ref) else self._whole.clone()  # read before others are held up
            with in_turn:
                self.record = record_of(self.ref, kind, measure_small(values, thumbnail, norms))
        else:
            with in_turn if _in_memory(ref) else nullcontext():
                self._rounds = Rounds(plan_of(ref, thumbnail, self._whole, norms))
            on_device = self._whole is not None and self._whole.device.type != "cpu"
            size = DEVICE_PIECE if on_device else piece or PIECE
            self.boxes = list(cut(ref.shape, size // torch_dtype(ref.dtype).itemsize))
            self._gathering = Gathering(self.plan, self.boxes)

    @property
    def plan(self) -> Plan:
        """What those who measure agree on, in this round."""
        return self._rounds.plan

    def measure(self, box: Box, cancelled: Callable[[], bool], advance: Callable[[int], None]) -> Part:
        """Measure a box; several threads may do so at a time."""
        return measure(self._values, self.plan, box, self._whole, cancelled, advance)

    def take(self, part: Part) -> list[Box]:
        """Take what was measured; one thread at a time.

        Returns
        -------
        list of Box
            What is to be measured once more; as a rule nothing.
        """
        with in_turn:
            if not self._gathering.add(part):
                return []
            found = self._rounds.judge(self._gathering.whole)
            if found is None:
                self._gathering = Gathering(self.plan, self.boxes)
                return self.boxes
            self.record = record_of(self.ref, self._kind, found)
            self._whole = None
            return []


def record_of(ref: TensorRef, kind: str, found: Measured) -> TensorSummary:
    """Record of a tensor, of what was found in it."""
    return TensorSummary(
        name=ref.name,
        shape=ref.shape,
        dtype=ref.dtype,
        kind=kind,
        role=ref.role,
        count=ref.numel,
        nbytes=ref.nbytes,
        nan=found.nan,
        posinf=found.posinf,
        neginf=found.neginf,
        zeros=found.zeros,
        min=found.low,
        max=found.high,
        argmin=_index(found.argmin, ref.shape),
        argmax=_index(found.argmax, ref.shape),
        moments=found.moments,
        sketch=found.sketch,
        row_norms=found.row_norms,
        column_norms=found.column_norms,
        thumbnail=found.thumbnail,
        shared_with=ref.shared_with,
        part="magnitude" if is_complex(ref) else "",
    )


def unreadable(ref: TensorRef, kind: str, reason: str) -> TensorSummary:
    """Record of a tensor that could not be summarised, with the reason."""
    try:
        nbytes = ref.nbytes
    except ValueError:  # a type that this version of torch does not know
        nbytes = 0
    return TensorSummary(
        name=ref.name,
        shape=ref.shape,
        dtype=ref.dtype,
        kind=kind,
        role=ref.role,
        count=ref.numel,
        nbytes=nbytes,
        shared_with=ref.shared_with,
        error=reason,
    )


def _unsuitable(ref: TensorRef) -> str:
    """Why a tensor has no numbers to summarise, as far as its description tells; empty if it has."""
    if ref.device == "meta":
        return "the tensor is on the meta device: it has a shape but no values. Load the weights first."
    dtype = getattr(torch, ref.dtype, None)
    if not isinstance(dtype, torch.dtype):
        return f"torch {torch.__version__} has no type {ref.dtype}: a newer torch may read it."
    return _unsuitable_type(dtype)


def _unsuitable_type(dtype: torch.dtype) -> str:
    if dtype_name(dtype).startswith(("qint", "quint")):
        return "quantised weights are summarised after .dequantize()."
    if dtype not in _REAL and not dtype.is_complex:  # of which the magnitudes are summarised
        return f"weights of type {dtype_name(dtype)} cannot be read as numbers: convert them to float32 first."
    return ""


def _unsuitable_tensor(tensor: torch.Tensor) -> str:
    if tensor.layout != torch.strided:
        return "sparse weights are summarised after .to_dense()."
    if tensor.device.type == "meta":
        return "the tensor is on the meta device: it has a shape but no values. Load the weights first."
    return _unsuitable_type(tensor.dtype)


def _in_memory(ref: TensorRef) -> bool:
    """Whether reading the whole tensor gives a view of what is in memory anyhow."""
    return ref.device != "file"


def _corner(shape: tuple[int, ...]) -> tuple[int | slice, ...]:
    """Index of the first element, as a tensor of one axis."""
    return (*(0 for _ in shape[1:]), slice(0, 1))


def _index(flat: int | None, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    if flat is None:
        return None
    index: list[int] = []
    for size in reversed(shape):
        flat, at = divmod(flat, size)
        index.append(at)
    return tuple(reversed(index))


def _never() -> bool:
    return False


def _ignore(_: int) -> None:
    return None
