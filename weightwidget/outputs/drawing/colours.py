"""Colours: the light theme of the live view, and its blue-red map. Mirrors `js/src/draw/colour.ts`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from weightwidget.summary.record import TensorSummary

Array = npt.NDArray[Any]
Rgb: TypeAlias = tuple[int, int, int]


def _rgb(text: str) -> Rgb:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


BACKGROUND = _rgb("#ffffff")
SOFT = _rgb("#f1f5f9")  # further from white than in the live view: Pillow takes nearer ones for the same
SELECTED = _rgb("#e6eefc")
BORDER = _rgb("#d9dfe7")
BORDER_SOFT = _rgb("#e9edf2")
TEXT = _rgb("#1b1f24")
TEXT_SOFT = _rgb("#5c6673")
MARK = _rgb("#98a5bd")
ACCENT = _rgb("#2f6fe0")
ERROR = _rgb("#b42318")
WARNING = _rgb("#b25e09")

NAN = _rgb("#e000c8")
POSINF = _rgb("#ffb000")
NEGINF = _rgb("#00d0ff")
ABOVE = _rgb("#5a0019")
BELOW = _rgb("#052a57")

_NEGATIVE = ("#f7f7f7", "#d1e5f0", "#92c5de", "#4393c3", "#2166ac")
_POSITIVE = ("#f7f7f7", "#fddbc7", "#f4a582", "#d6604d", "#b2182b")

_TO_CONE = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.793617785, -0.0040720468],
        [1.9779984951, -2.428592205, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.808675766],
    ]
)
_ROBUST = 1.5
"""How many times the 1 % to 99 % range the scale reaches, as in the live view."""


@lru_cache(maxsize=1)
def lut() -> npt.NDArray[np.uint8]:
    """256 colours from −1 to +1, shape (256, 3); steps that look equal (in Oklab) are equal."""
    at = (np.arange(256) - 127.5) / 127.5
    lab = np.where(at[:, None] < 0, _along(_NEGATIVE, np.abs(at)), _along(_POSITIVE, np.abs(at)))
    linear = np.clip(np.linalg.inv(_TO_CONE) @ (np.linalg.inv(_TO_LAB) @ lab.T) ** 3, 0, 1)
    channels = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    found: npt.NDArray[np.uint8] = np.round(255 * channels.T).astype(np.uint8)
    return found


def _along(stops: tuple[str, ...], at: Array) -> Array:
    channels = np.array([_rgb(stop) for stop in stops]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    points = np.cbrt(linear @ _TO_CONE.T) @ _TO_LAB.T
    place = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(at, place, points[:, axis]) for axis in range(3)], 1)


def robust_limit(record: TensorSummary, thumbnail: Array) -> tuple[float, str]:
    """The magnitude at the ends of the map, and in words how it came about: the live view's robust scale."""
    full = max(abs(record.min), abs(record.max)) if record.finite else 0.0
    if full == 0:
        return 1.0, "every finite weight is 0" if record.finite else "no finite weight"
    low, high = record.quantiles[0], record.quantiles[-1]
    inner = _ROBUST * max(abs(low), abs(high))
    if not inner > 0:
        return full, "± largest magnitude"
    sizes = np.abs(thumbnail[np.isfinite(thumbnail)])
    typical = 1.1 * float(np.sort(sizes)[sizes.size // 2]) if sizes.size else 0.0
    limit = min(full, max(inner, typical))
    if limit == full:
        return full, "± largest magnitude"
    return limit, "± a typical cell" if typical > inner else f"± {_ROBUST} × the 1 to 99 % range"


def paint(values: Array, limit: float) -> npt.NDArray[np.uint8]:
    """Colour values: shape (..., 3). What lies beyond the limit and what is not finite has colours of its own."""
    with np.errstate(invalid="ignore", over="ignore"):
        at = values.astype(np.float64) / limit
    finite = np.isfinite(values)
    place = np.clip(np.round(np.where(finite, np.clip(at, -1, 1), 0) * 127.5 + 127.5), 0, 255).astype(np.int64)
    out = lut()[place]
    slack = 1 + 1e-6  # rounding must not clip the very value that the limit was taken from
    out[finite & (at > slack)] = ABOVE
    out[finite & (at < -slack)] = BELOW
    out[np.isnan(values)] = NAN
    out[np.isposinf(values)] = POSINF
    out[np.isneginf(values)] = NEGINF
    return out


def palette() -> list[Rgb]:
    """At most 256 colours that everything drawn is made of or comes close to: a picture of them is a third the size.

    Those that mean something are in it exactly: the ends of the map, what lies beyond them and what is not finite.
    """
    flat = [BACKGROUND, SOFT, SELECTED, BORDER, BORDER_SOFT, MARK, NAN, POSINF, NEGINF, ABOVE, BELOW]
    on_map: list[Rgb] = [(int(r), int(g), int(b)) for r, g, b in lut()[np.linspace(0, 255, 150).round().astype(int)]]
    inks = [(BACKGROUND, TEXT, 24), (BACKGROUND, TEXT_SOFT, 24), (BACKGROUND, ACCENT, 10)]
    inks += [(SELECTED, TEXT, 10), (BACKGROUND, ERROR, 8), (SOFT, WARNING, 8)]
    return flat + on_map + [mixed for paper, ink, steps in inks for mixed in _mixed(paper, ink, steps)]


def _mixed(paper: Rgb, ink: Rgb, steps: int) -> list[Rgb]:
    """The colours between paper and ink at the edges of letters, and that of the ink."""
    part = np.arange(1, steps + 1)[:, None] / steps
    found = np.round(np.array(paper) + part * (np.array(ink) - np.array(paper))).astype(int)
    return [(int(r), int(g), int(b)) for r, g, b in found]
