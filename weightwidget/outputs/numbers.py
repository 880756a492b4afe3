"""Numbers as a practitioner reads them: few digits, thin spaces in thousands, a real minus sign.

The same rules as `js/src/draw/format.ts`, so that a picture says what the live view says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

THIN = "\u2009"
MINUS = "\u2212"
UNKNOWN = "…"


def number(value: float, digits: int = 4) -> str:
    """A weight or statistic with some significant digits: ``0.0554``, ``−3.2e−7``, ``1 234``."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else f"{MINUS}Inf"
    if value == 0:
        return "0"
    exponential = f"{value:.{max(0, digits - 1)}e}"
    size = abs(float(exponential))  # rounded first: 9999.99 has five digits before the point once it is
    if size >= 1e6 or size < 1e-4:
        mantissa, _, exponent = exponential.partition("e")
        text = f"{_trimmed(mantissa)}e{int(exponent)}"
    elif size >= 10**digits:
        text = f"{value:,.0f}".replace(",", THIN)
    else:
        places = digits - 1 - math.floor(math.log10(size) + 1e-12)
        text = f"{value:.{max(0, places)}f}"
        if value == int(value):
            text = _trimmed(text)
    return text.replace("-", MINUS)


def to_step(value: float, step: float) -> str:
    """A number to the place that a step needs, for values that stand on a grid: ``0.15`` for steps of 0.01."""
    if value == 0 or not math.isfinite(value) or not step > 0:
        return number(value)
    place = math.floor(math.log10(step) + 1e-9)
    if abs(value) >= 1e6 or abs(value) < 1e-4:
        digits = min(15, max(0, math.floor(math.log10(abs(value)) + 1e-9) - place))
        mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
        return f"{_trimmed(mantissa)}e{int(exponent)}".replace("-", MINUS)
    text = f"{value:,.{min(20, max(0, -place))}f}"
    return "0" if float(text.replace(",", "")) == 0 else text.replace(",", THIN).replace("-", MINUS)


def count(value: float) -> str:
    """A whole number, exact: ``22 713 216``."""
    return f"{round(value):,}".replace(",", THIN).replace("-", MINUS) if math.isfinite(value) else "–"


def short(value: float) -> str:
    """A whole number in little room: ``22.7M``, ``147k``, ``384``."""
    for unit, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit * 0.9995:
            scaled = value / unit
            return f"{scaled:.0f}{suffix}" if scaled >= 99.95 else f"{_trimmed(_precise(scaled, 3))}{suffix}"
    return f"{value:.0f}"


def share(value: float) -> str:
    """A share as a percentage that never claims 0 % or 100 % when it is not: ``0.82 %``, ``<0.01 %``."""
    if not math.isfinite(value):
        return "–"
    percent = value * 100
    if percent == 0:
        return f"0{THIN}%"
    if percent < 0.01:
        return f"<0.01{THIN}%"
    if 99.99 < percent < 100:
        return f">99.99{THIN}%"
    return f"{_trimmed(_precise(percent, 4 if percent >= 10 else 3))}{THIN}%"


def size(nbytes: float) -> str:
    """A size in bytes, decimal units: ``90.9 MB``."""
    for unit, suffix in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if nbytes >= unit * 0.9995:
            return f"{_precise(nbytes / unit, 3)}{THIN}{suffix}"
    return f"{nbytes:.0f}{THIN}B"


def shape(sizes: Sequence[int]) -> str:
    """A shape: ``384 × 1 536``; ``scalar`` for none."""
    return " × ".join(count(n) for n in sizes) or "scalar"


def plain(text: str) -> str:
    """A formatted number with signs that any terminal has: a hyphen for a minus, commas in thousands."""
    text = re.sub(rf"(?<=[0-9]){THIN}(?=[0-9])", ",", text)
    return text.replace(THIN, " ").replace(MINUS, "-").replace(" × ", "x").replace("–", "-")


def _precise(value: float, digits: int) -> str:
    """A positive number below a million with so many significant digits, never as an exponential."""
    rounded = float(f"{value:.{digits - 1}e}")
    return f"{value:.{max(0, digits - 1 - math.floor(math.log10(rounded) + 1e-12))}f}"


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
