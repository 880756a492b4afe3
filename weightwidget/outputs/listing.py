"""What a kernel holds that `open_weights` takes: the list in JupyterLab's left panel.

The panel sends the text of this file to whatever kernel the notebook has, also to one without this package. So it
stands alone, needs only the standard library, and looks up torch and NumPy only where they are imported already.
Objects are looked at from the outside: no method of theirs is called, no property read, no tensor touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections import UserDict
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")
SUFFIXES = (".safetensors", *TORCH_SUFFIXES, ".index.json")

MIME = "application/vnd.weightwidget.listing"

MOST_MODELS = 500
MOST_ARRAYS = 200
MOST_SKIPPED = 50

MOST_NODES = 100_000
"""Tensors, modules and entries of an object that are counted; of more it is said that there are at least so many."""

LONGEST = 0.5
"""Seconds after which counting stops: the panel asks after every cell."""

LONGEST_NAME = 1000
LONGEST_PATH = 1000
MOST_FILES = 500

_PLAIN = frozenset({int, float, complex, bool, str, bytes, type(None)})
"""What people keep by the million in histories and vocabularies, and what holds no weights."""

_NOT_THE_USERS = frozenset({"In", "Out", "exit", "quit", "get_ipython"})

# Integers of these names in a state dict are no weights, as in `weightwidget.sources.base`.
_COUNTERS = frozenset({"num_batches_tracked", "position_ids", "step"})


class Listing:
    """Everything in a namespace that can be opened, as JSON.

    Parameters
    ----------
    namespace
        The user's.
    clock
        Seconds; for tests.
    """

    def __init__(self, namespace: dict[Any, Any], clock: Any = time.perf_counter) -> None:
        self.libraries = Libraries()
        self.budget = Budget(clock)
        self.items: list[dict[str, Any]] = []
        self.skipped: list[dict[str, str]] = []
        self.left_out = 0
        self._by_object: dict[int, dict[str, Any]] = {}
        self._arrays = 0
        for name, value in list(dict.items(namespace)):
            self._add(name, value)

    def _add(self, name: Any, value: Any) -> None:
        if type(name) is not str or name.startswith("_") or name in _NOT_THE_USERS:
            return
        known = self._by_object.get(id(value))
        if known is not None:
            known["aliases"].append(name)
            return
        try:
            found = self._look_at(value)
        except Exception as error:  # noqa: BLE001 - one odd object must not lose the others, and is listed
            self._skip(name, value, f"looking at it raised {text_of(type(error).__name__)}: {text_of(error)}")
            return
        if isinstance(found, str):
            self._skip(name, value, found)
        elif found is not None:
            self._list(name, value, found)

    def _list(self, name: str, value: Any, found: dict[str, Any]) -> None:
        is_array = found["kind"] == "array"
        full = self._arrays >= MOST_ARRAYS if is_array else len(self.items) - self._arrays >= MOST_MODELS
        if full or len(name) > LONGEST_NAME:
            self.left_out += 1
            return
        self._arrays += is_array
        item = {"name": name, "aliases": [], "type": class_name(value), "token": f"{id(value):x}", **found}
        self._by_object[id(value)] = item
        self.items.append(item)

    def _skip(self, name: str, value: Any, reason: str) -> None:
        if len(self.skipped) < MOST_SKIPPED:
            self.skipped.append({"name": name[:LONGEST_NAME], "type": class_name(value), "reason": reason})
        else:
            self.left_out += 1

    def _look_at(self, value: Any) -> dict[str, Any] | str | None:
        """What it is and how large; a reason where it only looks like something; None for anything else."""
        kind, libraries = type(value), self.libraries
        if is_a(kind, libraries.module):
            return self._count("module", value) or "it has neither parameters nor buffers"
        if is_a(kind, libraries.explorer):
            state = object.__getattribute__(value, "__dict__")
            if state.get("_closed"):
                return "a closed explorer"
            return self._count_refs("explorer", state["source"])
        if is_a(kind, libraries.source):
            return self._count_refs("source", value)
        if is_a(kind, libraries.tensor) or is_a(kind, libraries.array):
            return self._count("array", value)
        if issubclass(kind, str):
            return look_at_path(str.__str__(value))
        if kind in libraries.paths:
            return look_at_path(os.fspath(value))
        if contents(value) is not None:
            found = self._count("mapping", value)
            if found is None and self.budget.spent:
                return "too large to be looked through"
            return found
        if is_a(kind, libraries.npz):
            return size("mapping", 0, 0, 0, note="its arrays are read when it is opened", known=False)
        return None

    def _count(self, kind: str, value: Any) -> dict[str, Any] | None:
        count = Count(self.libraries, self.budget)
        count.walk(value)
        if not count.tensors and not count.notes:
            return None
        note = "; ".join(f"{text} ({number})" if number > 1 else text for text, number in count.notes.items())
        return size(kind, count.tensors, count.weights, count.bytes, count.dtypes, note, count.at_least)

    def _count_refs(self, kind: str, source: Any) -> dict[str, Any]:
        """Of this package's own sources: what they say of their tensors."""
        tensors = weights = nbytes = 0
        dtypes: dict[str, int] = {}
        self.budget.begin()
        for ref in source.tensors.values():
            if self.budget.over():
                break
            if ref.shared_with is not None:
                continue
            tensors += 1
            nbytes += ref.nbytes
            if not (ref.role == "buffer" and ref.dtype.startswith(("int", "uint", "bool"))):
                weights += ref.numel
                dtypes[ref.dtype] = dtypes.get(ref.dtype, 0) + ref.numel
        found = size(kind, tensors, weights, nbytes, dtypes, "", self.budget.spent)
        found["label"] = text_of(source.name)
        return found

    def __repr__(self) -> str:
        """JSON in ASCII: it survives whatever carries it, lone surrogates in names included."""
        return json.dumps(
            {"version": 1, "items": self.items, "skipped": self.skipped, "left_out": self.left_out},
            default=text_of,
        )

    def _repr_mimebundle_(self, **_kwargs: Any) -> dict[str, str]:
        return {MIME: repr(self)}


class Libraries:
    """Classes of the libraries that the kernel has imported; None for the others."""

    def __init__(self) -> None:
        self.module = class_of("torch.nn.modules.module", "Module")
        self.tensor = class_of("torch", "Tensor")
        self.strided = loaded("torch").get("strided")
        self.lazy = class_of("torch.nn.parameter", "UninitializedTensorMixin")
        self.array = class_of("numpy", "ndarray")
        self.npz = class_of("numpy.lib.npyio", "NpzFile") or class_of("numpy.lib._npyio_impl", "NpzFile")
        self.explorer = class_of("weightwidget.explorer", "WeightExplorer")
        self.source = class_of("weightwidget.sources.source", "ListedSource")
        # Not what is made from them: such paths may lie in a cloud.
        names = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
        self.paths = [path for path in (class_of("pathlib", name) for name in names) if path is not None]
        c = loaded("torch._C")
        # Subclasses of Tensor could otherwise run their own code when asked for a shape.
        self.plainly: Any = (
            c.get("DisableTorchFunctionSubclass") or c.get("DisableTorchFunction") or contextlib.nullcontext
        )


class Budget:
    """How much may be counted, so that a listing stays a moment's work."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.end = clock() + LONGEST
        self.begin()

    def begin(self) -> None:
        """Begin with another object."""
        self.nodes = 0
        self.spent = False

    def over(self) -> bool:
        """Count a node; whether that was one too many."""
        self.nodes += 1
        if self.nodes > MOST_NODES or (self.nodes % 256 == 1 and self.clock() > self.end):
            self.spent = True
        return self.spent


class Count:
    """Tensors, weights and bytes of an object; what is tied is counted once.

    Attributes
    ----------
    notes
        What could not be counted: how often each reason came.
    at_least
        Whether counting was cut short.
    """

    def __init__(self, libraries: Libraries, budget: Budget) -> None:
        self.libraries, self.budget = libraries, budget
        self.tensors = self.weights = self.bytes = 0
        self.dtypes: dict[str, int] = {}
        self.notes: dict[str, int] = {}
        self.at_least = False
        self._seen: set[Any] = set()

    def walk(self, root: Any) -> None:
        """Count all below an object, without recursion: people nest deeply."""
        self.budget.begin()
        stack: list[Iterator[tuple[Any, Any, bool]]] = [iter([("", root, False)])]
        with self.libraries.plainly():
            while stack:
                entry = next(stack[-1], None)
                if entry is None:
                    stack.pop()
                    continue
                if self.budget.over():
                    self.at_least = True
                    return
                below = self._visit(*entry)
                if below is not None:
                    stack.append(iter(below))

    def _visit(self, name: Any, value: Any, is_buffer: bool) -> Iterable[tuple[Any, Any, bool]] | None:
        """Count a tensor, or give what is below a container."""
        kind = type(value)
        if is_a(kind, self.libraries.tensor):
            self._tensor(name, value, is_buffer)
            return None
        if is_a(kind, self.libraries.array):
            self._array(value)
            return None
        if is_a(kind, self.libraries.module):
            return below_module(value) if self._first(id(value)) else None
        inside = contents(value)
        if inside is not None:
            return ((key, item, False) for key, item in inside) if self._first(id(value)) else None
        if issubclass(kind, (list, tuple)):
            return (("", item, False) for item in items_of(value)) if self._first(id(value)) else None
        return None

    def _first(self, key: Any) -> bool:
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def _tensor(self, name: Any, tensor: Any, is_buffer: bool) -> None:
        if not self._first(id(tensor)):
            return
        if is_a(type(tensor), self.libraries.lazy):
            self._note("not initialised yet: run one batch through the model")
            return
        cls = self.libraries.tensor
        if tensor.is_nested:
            self._note("a nested tensor without a single shape")
            return
        is_strided = tensor.layout is self.libraries.strided
        plain = is_strided and type(tensor).__torch_dispatch__ is cls.__torch_dispatch__
        weights = cls.numel(tensor)
        if plain and weights and not tensor.is_meta:
            place = (tensor.device, tensor.untyped_storage().data_ptr(), tensor.storage_offset())
            if not self._first((*place, tensor.dtype, tensor.shape, tensor.stride())):
                return
        elif not plain:
            self._note(f"{class_name(tensor)}: its size in memory is not what its shape says")
        dtype = str(tensor.dtype)[len("torch.") :]
        leaf = name.rpartition(".")[2].lower() if isinstance(name, str) else ""
        is_mask = leaf == "mask" or leaf.endswith("_mask")
        counter = dtype.startswith(("int", "uint", "bool")) and ((is_buffer and not is_mask) or leaf in _COUNTERS)
        self._add(0 if counter else weights, weights * cls.element_size(tensor), dtype)

    def _array(self, array: Any) -> None:
        if not self._first(id(array)):
            return
        cls = self.libraries.array
        dtype = cls.dtype.__get__(array)
        if dtype.kind in "OSUMmT" or dtype.names is not None:
            return  # text, dates, objects, records: no weights
        self._add(cls.size.__get__(array), cls.nbytes.__get__(array), str(dtype))

    def _add(self, weights: int, nbytes: int, dtype: str) -> None:
        self.tensors += 1
        self.weights += weights
        self.bytes += nbytes
        if weights:
            self.dtypes[dtype] = self.dtypes.get(dtype, 0) + weights

    def _note(self, text: str) -> None:
        self.notes[text] = self.notes.get(text, 0) + 1


def size(
    kind: str,
    tensors: int,
    weights: int,
    nbytes: int,
    dtypes: dict[str, int] | None = None,
    note: str = "",
    at_least: bool = False,
    known: bool = True,
) -> dict[str, Any]:
    """What is listed of every object. Sizes that are not known are None."""
    by_share = sorted((dtypes or {}).items(), key=lambda item: -item[1])
    return {
        "kind": kind,
        "tensors": tensors if known else None,
        "weights": weights if known else None,
        "bytes": nbytes if known else None,
        "dtypes": [dtype for dtype, _ in by_share],
        "note": note,
        "at_least": at_least,
    }


def below_module(module: Any) -> Iterator[tuple[Any, Any, bool]]:
    """Parameters, buffers and children of a module, from its dictionaries: its methods may be the user's own."""
    state = object.__getattribute__(module, "__dict__")
    if "_parameters" not in state:
        raise ValueError("it was never initialised: its class does not call super().__init__()")
    for group in ("_parameters", "_buffers", "_modules"):
        members = state.get(group)
        if members is None:
            continue
        # TorchScript's containers are no dictionaries.
        pairs = dict.items(members) if issubclass(type(members), dict) else members.items()
        for name, member in list(pairs):
            if member is not None:
                yield name, member, group == "_buffers"


def contents(value: Any) -> Iterable[tuple[Any, Any]] | None:
    """Entries of a mapping whose values lie in memory; None for anything else.

    Other mappings (of files, of the environment, lazy ones) would have to run code to give their values.
    """
    kind = type(value)
    if issubclass(kind, dict):
        return [pair for pair in dict.items(value) if type(pair[1]) not in _PLAIN]
    if kind is MappingProxyType:
        return list(value.items())
    inner = "data" if issubclass(kind, UserDict) else "_dict" if class_name(value) == "FrozenDict" else ""
    if inner and issubclass(kind, Mapping):
        held = object.__getattribute__(value, inner)
        return list(dict.items(held)) if issubclass(type(held), dict) else None
    return None


def items_of(value: Any) -> list[Any]:
    """Items of a list or tuple that may hold weights, whatever its class makes of iterating."""
    items: Iterator[Any] = list.__iter__(value) if issubclass(type(value), list) else tuple.__iter__(value)
    return [item for item in items if type(item) not in _PLAIN]


def look_at_path(path: str) -> dict[str, Any] | None:
    """A file or folder of weights; None for any other text."""
    if not 0 < len(path) <= LONGEST_PATH or any(sign in path for sign in "\n\r\0") or "://" in path:
        return None
    place = os.path.expanduser(path)  # noqa: PTH111 - pathlib may be a user's own
    found = None
    if os.path.isdir(place):  # noqa: PTH112
        sizes = weight_files(place)
        if sizes:
            note = f"{len(sizes)} files of weights" if len(sizes) > 1 else ""
            found = size("folder", 0, 0, sum(sizes), note=note, known=False)
            found["bytes"] = sum(sizes)
    elif path.lower().endswith(SUFFIXES) and os.path.isfile(place):  # noqa: PTH113
        found = size("file", 0, 0, 0, known=False)
        if not path.lower().endswith(".json"):
            found["bytes"] = os.stat(place).st_size  # noqa: PTH116
    if found is not None:
        found["label"] = path
        found["token"] = f"path:{path}"
    return found


def weight_files(folder: str) -> list[int]:
    """Sizes of the files of weights right in a folder; empty where it may not be looked into."""
    sizes = []
    try:
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                if number >= MOST_FILES:
                    break
                if entry.name.lower().endswith(SUFFIXES) and not entry.name.startswith(".") and entry.is_file():
                    sizes.append(entry.stat().st_size)
    except OSError:
        return []  # no folder of weights as far as anybody can tell
    return sizes


def loaded(module: str) -> dict[str, Any]:
    """Names of a module if it is imported. Never imports one, nor wakes a lazy one."""
    found = sys.modules.get(module)
    try:
        names = object.__getattribute__(found, "__dict__")
    except AttributeError:
        return {}
    return names if isinstance(names, dict) else {}


def class_of(module: str, name: str) -> Any:
    """A class of an imported module, else None."""
    found = loaded(module).get(name)
    return found if isinstance(found, type) else None


def is_a(kind: type, base: Any) -> bool:
    """Whether a class is made from another. `isinstance` would believe what objects say of their class."""
    return base is not None and type.__subclasscheck__(base, kind)


def class_name(value: Any) -> str:
    """Name of an object's class, whatever its metaclass says."""
    name: str = type.__dict__["__qualname__"].__get__(type(value))
    return name.rpartition("<locals>.")[2][:200]


def text_of(value: Any) -> str:
    """Text for a person, whatever the object makes of being asked for it."""
    try:
        return str(value)[:300]
    except Exception:  # noqa: BLE001 - whatever it raises, there is no text
        return f"({type(value).__name__} without a text)"
