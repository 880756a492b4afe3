"""A picture to draw on: rectangles on whole pixels, and text in the one font that Pillow brings."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from weightwidget.outputs.drawing import colours
from weightwidget.outputs.drawing.colours import Rgb
from weightwidget.outputs.names import ELLIPSIS, visible
from weightwidget.outputs.numbers import MINUS, THIN

Anchor: TypeAlias = Literal["l", "m", "r"]

BODY = 12
"""Size of ordinary text."""

# Signs that the font lacks, and those that say the same.
_LIKE = str.maketrans({THIN: " ", "\u00d7": "x", "\u2013": "-"})

# The font has no minus, and its hyphen is too short for one: a line of this length, height and thickness.
_MINUS_WIDTH, _MINUS_UP, _MINUS_THICK = 0.5, 0.3, 0.1

_LONGEST = 400
"""Characters of a text that are looked at at all: none of this length fits anywhere."""


class Canvas:
    """A picture under way.

    Parameters
    ----------
    width, height
        In pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width, height), colours.BACKGROUND)
        self._draw = ImageDraw.Draw(self.image)

    def rect(self, x: float, y: float, width: float, height: float, colour: Rgb) -> None:
        """Fill a rectangle; one without area is nothing."""
        left, top, right, bottom = round(x), round(y), round(x + width), round(y + height)
        if right > left and bottom > top:
            self._draw.rectangle((left, top, right - 1, bottom - 1), fill=colour)

    def frame(self, x: int, y: int, width: int, height: int, colour: Rgb) -> None:
        """Draw a line around a rectangle, outside of it."""
        self._draw.rectangle((x - 1, y - 1, x + width, y + height), outline=colour)

    def triangle(
        self, x: float, y: float, way: Literal["right", "down", "left", "up"], colour: Rgb, size: int = 3
    ) -> None:
        """Draw a small triangle around a point."""
        s = size
        points = {
            "right": [(x - s / 2, y - s), (x - s / 2, y + s), (x + s / 2 + 1, y)],
            "left": [(x + s / 2, y - s), (x + s / 2, y + s), (x - s / 2 - 1, y)],
            "down": [(x - s, y - s / 2), (x + s, y - s / 2), (x, y + s / 2 + 1)],
            "up": [(x - s, y + s / 2), (x + s, y + s / 2), (x, y - s / 2 - 1)],
        }[way]
        self._draw.polygon(points, fill=colour)

    def line(self, points: list[tuple[float, float]], colour: Rgb) -> None:
        """Draw a thin line through points."""
        self._draw.line(points, fill=colour, width=1)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        colour: Rgb = colours.TEXT,
        anchor: Anchor = "l",
        size: int = BODY,
        bold: bool = False,
        most: float | None = None,
        keep: Literal["start", "end"] = "start",
    ) -> float:
        """Write a line and give its width.

        Parameters
        ----------
        x, y
            Of the left end, middle or right end (`anchor`) of the base line.
        text
            Whatever it holds, all of it shows: what the font lacks as an escape.
        most
            Width that it may take; an ellipsis says where some is missing.
        keep
            Which end then stays.
        """
        drawn = drawable(text, keep)
        if most is not None:
            drawn = fit(drawn, most, size, bold, keep)
        taken = width(drawn, size, bold)
        font = _font(size)
        at = round(x - {"l": 0.0, "m": 0.5, "r": 1.0}[anchor] * taken)
        for place, part in enumerate(drawn.split(MINUS)):
            if place:
                line = _minus(size)
                up = y - round(_MINUS_UP * size) - 1
                self.rect(at + 1, up, line - 1, max(1, round(_MINUS_THICK * size)), colour)
                at += line + 1
            if part:
                self._draw.text((at, y), part, fill=colour, font=font, anchor="ls")
                if bold:  # the font has one weight
                    self._draw.text((at + 0.5, y), part, fill=colour, font=font, anchor="ls")
                at += round(font.getlength(part))
        return taken

    def pixels(self, x: int, y: int, colour: npt.NDArray[np.uint8]) -> None:
        """Put an array of colours, shape (height, width, 3), at a place."""
        self.image.paste(Image.fromarray(np.ascontiguousarray(colour)), (x, y))

    def png(self) -> bytes:
        """Encode the picture."""
        out = io.BytesIO()
        self.image.quantize(palette=_palette(), dither=Image.Dither.NONE).save(out, "PNG", compress_level=6)
        return out.getvalue()


def drawable(text: str, keep: Literal["start", "end"] = "start") -> str:
    """The text in signs that the font has; the others as escapes."""
    if len(text) > _LONGEST:
        text = text[:_LONGEST] + ELLIPSIS if keep == "start" else ELLIPSIS + text[-_LONGEST:]
    text = visible(text.translate(_LIKE))
    if text.isascii():
        return text
    return "".join(sign if _has(sign) else sign.encode("unicode_escape").decode("ascii") for sign in text)


def width(drawn: str, size: int = BODY, bold: bool = False) -> float:
    """Width of a text that is drawable."""
    minuses = drawn.count(MINUS)
    return float(_font(size).getlength(drawn.replace(MINUS, ""))) + minuses * (_minus(size) + 1) + 0.5 * bold


def _minus(size: int) -> int:
    return round(_MINUS_WIDTH * size)


def fit(drawn: str, most: float, size: int, bold: bool, keep: Literal["start", "end"]) -> str:
    """As much of a text as has room, with an ellipsis where some is missing."""
    if width(drawn, size, bold) <= most:
        return drawn

    def cut(length: int) -> str:
        return drawn[:length] + ELLIPSIS if keep == "start" else ELLIPSIS + drawn[len(drawn) - length :]

    low, high = 0, len(drawn)
    while low < high:
        middle = (low + high + 1) // 2
        if width(cut(middle), size, bold) <= most:
            low = middle
        else:
            high = middle - 1
    return cut(low)


@lru_cache(maxsize=1)
def _palette() -> Image.Image:
    image = Image.new("P", (1, 1))
    image.putpalette([channel for colour in colours.palette() for channel in colour])
    return image


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("this Pillow was built without FreeType and cannot draw text: install Pillow's own wheel")
    # One sign after the other: nothing that is drawn needs more, and it is quicker.
    return font.font_variant(layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=4096)
def _has(sign: str) -> bool:
    if sign == MINUS:
        return True
    missing = _font(BODY).getmask("\uffff")
    mask = _font(BODY).getmask(sign)
    return mask.size != missing.size or bytes(mask) != bytes(missing)
