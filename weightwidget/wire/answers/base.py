"""What all answers need: where weights are looked up, the job that is worked on, the fields of a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from weightwidget.anatomy.anatomy import Anatomy
from weightwidget.anatomy.axes import SEPARATOR
from weightwidget.detail.pyramid import Pyramid
from weightwidget.sources.base import TensorRef
from weightwidget.sources.parts import PARTS, is_magnitude
from weightwidget.sources.tokenizers import TokenStrings
from weightwidget.summary.cancel import Cancelled
from weightwidget.summary.record import TensorSummary

Buffers: TypeAlias = list[bytes]
Answer: TypeAlias = tuple[dict[str, Any], Buffers]
Request: TypeAlias = Mapping[str, Any]


class Weights(Protocol):
    """What the handlers need of an explorer."""

    @property
    def anatomy(self) -> Anatomy:
        """What the axes of the tensors mean, and which tensors make a layer."""

    @property
    def strings(self) -> TokenStrings:
        """The strings of tokens."""

    def ref(self, path: str) -> TensorRef | None:
        """The tensor of that name, or block of that path; None if there is none."""

    def record(self, path: str) -> TensorSummary | None:
        """The record of the tensor, module or block of that path, None while it is not summarised."""


@dataclass(frozen=True)
class Job:
    """A request that is being answered.

    Attributes
    ----------
    cancelled
        Asked now and then; once it says yes, raise `Cancelled` (see `check`).
    report
        Takes the share that is done, 0 to 1; for what takes longer than a second.
    pyramid
        Levels of detail that are kept from one request to the next; None to keep none.
    """

    cancelled: Callable[[], bool] = lambda: False
    report: Callable[[float], None] = lambda _share: None
    pyramid: Pyramid | None = None

    def check(self) -> None:
        """Raise `Cancelled` if nobody waits for the answer any more."""
        if self.cancelled():
            raise Cancelled


Handler: TypeAlias = Callable[[Weights, Request, Job], Answer]


class MissingFieldError(ValueError):
    """A request that lacks a field."""


def field(request: Request, name: str) -> Any:
    """A field of a request.

    Raises
    ------
    MissingFieldError
        If it is not there.
    """
    try:
        return request[name]
    except KeyError:
        raise MissingFieldError(f"the request {request.get('kind')!r} lacks the field {name!r}") from None


def tensor(weights: Weights, path: str, *, magnitudes: bool = False) -> TensorRef:
    """The tensor of that name, or block of that path.

    Parameters
    ----------
    weights
        Where it is looked up.
    path
        What it is called.
    magnitudes
        Whether the magnitudes of a complex one will do.

    Raises
    ------
    KeyError
        If there is none.
    ValueError
        If it is complex and its magnitudes will not do.
    """
    ref = weights.ref(path)
    if ref is None:
        raise KeyError(f"there is no tensor {path!r}")
    if is_magnitude(ref) and not magnitudes:
        parts = " or ".join(repr(f"{path}{SEPARATOR}{part}") for part in PARTS)
        raise ValueError(f"{path!r} is complex: choose its real or imaginary part, {parts}")
    return ref


def record(weights: Weights, path: str) -> TensorSummary:
    """The record of the tensor, module or block of that path.

    Raises
    ------
    KeyError
        If it is not summarised yet.
    """
    found = weights.record(path)
    if found is None:
        raise KeyError(f"{path!r} is not summarised yet; wait until the scan has come there")
    return found


def value_range(request: Request) -> tuple[float, float] | None:
    """The interval that a request asks for, its lower end first; None if it gives none."""
    given = request.get("range")
    if given is None:
        return None
    low, high = (float(value) for value in given)
    return (low, high) if low <= high else (high, low)
