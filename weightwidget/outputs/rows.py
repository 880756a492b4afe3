"""Which rows of the layer tree are shown where only so many fit.

Only what is opened is looked at: the whole tree (`weightwidget.summary.tree`) would take longer than the picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import TypeAlias

from weightwidget.summary.tree import MAX_DEPTH


@dataclass
class Row:
    """A row of the tree.

    Attributes
    ----------
    path
        Full name of the tensor or module; empty for rows that only count.
    label
        What the row says.
    depth
        Levels below the top.
    names
        The tensors in it; of a tensor, its own name.
    is_tensor
        Whether it is a tensor's row.
    children
        Rows below it, None while it is closed.
    left_out
        Number of rows that this one stands for, if it only counts.
    """

    path: str
    label: str
    depth: int
    names: Sequence[str]
    is_tensor: bool
    children: list[Row] | None = None
    left_out: int = 0
    _level: int = field(default=0, repr=False)

    def stands_for(self, path: str) -> bool:
        """Whether it is the row of that path: its own, or of a module that has no row apart from it."""
        if self.path == path or self.left_out:
            return self.path == path and not self.left_out
        return self.path.startswith(path + ".") and len(path) > len(self.path) - len(self.label)

    def walk(self) -> Iterator[Row]:
        """Yield the row and all that are open below it."""
        yield self
        for child in self.children or ():
            yield from child.walk()


Known: TypeAlias = dict[str, list[Row]]
"""What is below modules, by path: looked up once for all pictures of a model."""


def choose_rows(names: Sequence[str], selected: str, limit: int, known: Known | None = None) -> list[Row]:
    """Choose the rows that show most of a model.

    What is selected is always there. Then modules are opened level by level, as long as all their rows fit.

    Parameters
    ----------
    names
        Of all tensors, in the model's order.
    selected
        Path of a tensor or module.
    limit
        Number of rows, at least 3.
    known
        Kept from one call to the next for the same names, it saves time.

    Returns
    -------
    list of Row
        In the order of the tree; modules whose ``children`` are None are closed.
    """
    root = Row("", "", -1, names, False)
    known = {} if known is None else known
    used = _open_selected(root, selected, limit, known)
    level = [row for row in root.walk() if row.children is None and not row.is_tensor and not row.left_out]
    while level:
        below = []
        for row in sorted(level, key=lambda row: row.depth):
            found = _below(row, known)
            if used + len(found) <= limit:
                row.children = [copy(child) for child in found]
                used += len(found)
                below += [child for child in row.children if not child.is_tensor]
        level = below
    if 0 < used <= limit // 2:
        _open_in_part(root, limit - used, known)
    rows = list(root.walk())[1:]
    if len(rows) <= limit:
        return rows
    # A deep path: the rows around the selected one.
    at = next((place for place, row in enumerate(rows) if row.stands_for(selected)), 0)
    start = max(0, min(at - limit // 2, len(rows) - limit))
    return rows[start : start + limit]


def _open_in_part(root: Row, room: int, known: Known) -> None:
    """Open the largest closed module, of which not all rows fit: better some than none."""
    closed = [row for row in root.walk() if row.children is None and not row.is_tensor and not row.left_out]
    if closed:
        row = max(closed, key=lambda row: len(row.names))
        row.children, _ = _around(_below(row, known), 0, max(3, room))


def _open_selected(root: Row, selected: str, limit: int, known: Known) -> int:
    """Open what is around the selected row, and give the number of rows then."""
    row, used = root, 0
    while True:
        found = _below(row, known)
        at = next((place for place, child in enumerate(found) if _holds(child, selected)), None)
        levels_below = 0 if at is None else selected[len(found[at].path) :].count(".")
        room = max(3, limit - used - 3 * levels_below)
        if len(found) > room:
            found, shown_at = _around(found, at or 0, room)
            at = None if at is None else shown_at
        row.children = [copy(child) for child in found]
        used += len(found)
        if at is None or found[at].is_tensor or found[at].stands_for(selected):
            return used
        row = row.children[at]


def _holds(row: Row, selected: str) -> bool:
    if not selected:
        return False
    return row.stands_for(selected) or (not row.is_tensor and selected.startswith(row.path + "."))


def _around(rows: list[Row], at: int, room: int) -> tuple[list[Row], int]:
    """So many of the rows, that one among them; rows that count stand for the others."""
    keep = room - 2
    start = max(0, min(at - keep // 2, len(rows) - keep))
    end = start + keep
    if start <= 1:  # no row to say that one is missing
        start, end = 0, room - 1
    elif end >= len(rows) - 1:
        start, end = len(rows) - room + 1, len(rows)
    before, after = rows[:start], rows[end:]
    found = [_counting(before)] if before else []
    found += rows[start:end]
    if after:
        found.append(_counting(after))
    return found, at - start + bool(before)


def _counting(rows: list[Row]) -> Row:
    return Row("", f"… {len(rows)} more", rows[0].depth, (), False, left_out=len(rows))


def _below(row: Row, known: Known) -> list[Row]:
    """The rows right below a module, each with its tensors, not to be changed."""
    found = known.get(row.path)
    if found is None:
        found = known[row.path] = _split(row)
    return found


def _split(row: Row) -> list[Row]:
    """Make the rows right below a module. Modules of one child are one row with it."""
    groups: dict[tuple[str, bool], list[str]] = {}
    group: list[str] = []
    inside: str | None = None  # what most names begin with that follow one another
    for name in row.names:
        if inside is not None and name.startswith(inside):
            group.append(name)
            continue
        path = _next(name, row)
        group = groups.setdefault((path or name, path is None), [])
        group.append(name)
        inside = f"{path}." if path else None
    return [_merged(row, path, names, is_tensor) for (path, is_tensor), names in groups.items()]


def _next(name: str, row: Row) -> str | None:
    """Path of the module right below a row that holds the tensor; None if the row holds it itself."""
    if row._level >= MAX_DEPTH - 1:
        return None
    # A leading dot opens no level, as in `weightwidget.summary.tree.ancestors`.
    at = name.find(".", len(row.path) + 1) if row.path else name.find(".", 1)
    return name[:at] if at > 0 else None


def _merged(parent: Row, path: str, names: list[str], is_tensor: bool) -> Row:
    child = Row(path, "", parent.depth + 1, names, is_tensor, _level=parent._level + 1)
    while not child.is_tensor:
        following = _next(names[0], child)
        if following is None:
            if len(names) > 1:
                break
            child.path, child.is_tensor = names[0], True
        elif all(name.startswith(following + ".") for name in names):
            child.path = following
            child._level += 1
        else:
            break
    child.label = child.path[len(parent.path) + 1 :] if parent.path else child.path
    return child
