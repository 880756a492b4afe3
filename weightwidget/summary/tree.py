"""From names of tensors to the tree of layers. Pure; `js/src/tree.ts` follows the same rules.

Names split at dots; the root is ``""``. A module that holds nothing but one other module is drawn as one row
with it (``encoder.layer``). Children keep the order in which they first appear. A path may name a tensor and
a module: both are in the tree. Runs of equal numbered siblings can be folded: see `Node.groups`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

MAX_DEPTH = 64
"""Levels below the root. The rest of a deeper name is one label: a hostile name cannot exhaust the memory."""

MIN_RUN = 3
"""Shortest run of equal siblings that counts as a group."""

_NUMBER = re.compile(r"[0-9]+")


@dataclass
class Node:
    """A module or a tensor in the tree.

    Attributes
    ----------
    path
        Full name; of merged modules, that of the deepest.
    label
        What the row says: the path without that of the parent row.
    kind
        ``"module"`` or ``"tensor"``.
    children
        In order of first appearance; empty for tensors.
    groups
        Runs ``(start, stop)`` within `children`: at least three neighbours with numbers for names whose
        subtrees have the same names, shapes and classes.
    """

    path: str
    label: str
    kind: Literal["module", "tensor"]
    children: list[Node] = field(default_factory=list)
    groups: list[tuple[int, int]] = field(default_factory=list)

    def walk(self) -> Iterator[Node]:
        """Yield the node and all below it, parents before children."""
        yield self
        for child in self.children:
            yield from child.walk()


def ancestors(path: str) -> tuple[str, ...]:
    """List the modules that contain a tensor or module, the root first; the last one owns it.

    The root itself, and a tensor whose name is empty, give ``("",)``.
    """
    found = [""]
    at = path.find(".")
    while at >= 0 and len(found) < MAX_DEPTH:
        if at > 0:  # a leading dot opens no level: the path before it is the root
            found.append(path[:at])
        at = path.find(".", at + 1)
    return tuple(found)


def members(names: Iterable[str]) -> dict[str, list[str]]:
    """List the tensors below every module, in the given order.

    Parameters
    ----------
    names
        Full names of tensors.

    Returns
    -------
    dict
        Path of a module to the names of the tensors in it, at any depth. The root comes first, then the
        modules in order of first appearance.
    """
    found: dict[str, list[str]] = {"": []}
    for name in names:
        for path in ancestors(name):
            found.setdefault(path, []).append(name)
    return found


def build_tree(
    names: Sequence[str],
    shapes: Mapping[str, Sequence[int]] | None = None,
    kinds: Mapping[str, str] | None = None,
) -> Node:
    """Arrange tensors as the tree that the front end draws.

    Parameters
    ----------
    names
        Full names of tensors, in the model's order. A repeated name counts once.
    shapes
        Shapes by name. Without them siblings are equal when their names are.
    kinds
        Classes of modules by path, where known.

    Returns
    -------
    Node
        The root.
    """
    shapes, kinds = shapes or {}, kinds or {}
    root = Node("", "", "module")
    modules = {"": root}
    for name in dict.fromkeys(names):
        owner = root
        for path in ancestors(name)[1:]:
            module = modules.get(path)
            if module is None:
                module = modules[path] = Node(path, _label(path, owner), "module")
                owner.children.append(module)
            owner = module
        owner.children.append(Node(name, _label(name, owner), "tensor"))
    _find_groups(root, shapes, kinds)
    _merge_chains(root)
    return root


def _label(path: str, parent: Node) -> str:
    return path[len(parent.path) + 1 :] if parent.path else path


def _find_groups(root: Node, shapes: Mapping[str, Sequence[int]], kinds: Mapping[str, str]) -> None:
    numbers: dict[tuple[object, ...], int] = {}

    def signature(node: Node) -> int:
        """Give a number that two nodes share exactly if they are alike but for their own names."""
        if node.kind == "tensor":
            content: tuple[object, ...] = ("tensor", tuple(shapes.get(node.path, ())))
        else:
            inner = [signature(child) for child in node.children]
            node.groups = _runs(node.children, inner)
            labels = tuple(child.label for child in node.children)
            content = ("module", kinds.get(node.path, ""), labels, tuple(inner))
        return numbers.setdefault(content, len(numbers))

    signature(root)


def _runs(children: Sequence[Node], signatures: Sequence[int]) -> list[tuple[int, int]]:
    found = []
    start = 0
    for stop in range(1, len(children) + 1):
        numbered = _NUMBER.fullmatch(children[start].label) is not None
        if (
            stop < len(children)
            and numbered
            and _NUMBER.fullmatch(children[stop].label)
            and signatures[stop] == signatures[start]
        ):
            continue
        if numbered and stop - start >= MIN_RUN:
            found.append((start, stop))
        start = stop
    return found


def _merge_chains(node: Node) -> None:
    for place, child in enumerate(node.children):
        label = child.label
        while len(child.children) == 1 and child.children[0].kind == "module":
            child = child.children[0]
            label = f"{label}.{child.label}"
        child.label = label
        node.children[place] = child
        _merge_chains(child)
