"""Recurrent layers: LSTM, GRU and plain RNN as PyTorch and Keras lay them out, and single cells of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from weightwidget.anatomy.axes import Axes, Split, equal_split
from weightwidget.anatomy.found import Found
from weightwidget.anatomy.layers import RecurrentLayer
from weightwidget.sources.base import ModuleInfo, TensorRef, WeightSource

Cell: TypeAlias = Literal["LSTM", "GRU", "RNN"]

TORCH_GATES: dict[Cell, tuple[str, ...]] = {"LSTM": ("i", "f", "g", "o"), "GRU": ("r", "z", "n"), "RNN": ("h",)}
"""Blocks of the rows of PyTorch's weights, in stored order."""

KERAS_GATES: dict[Cell, tuple[str, ...]] = {"LSTM": ("i", "f", "c", "o"), "GRU": ("z", "r", "h"), "RNN": ("h",)}
"""Blocks of the columns of Keras's kernels, in stored order."""

_CELLS: dict[str, Cell] = {
    "LSTM": "LSTM",
    "GRU": "GRU",
    "RNN": "RNN",
    "SimpleRNN": "RNN",
    "LSTMCell": "LSTM",
    "GRUCell": "GRU",
    "RNNCell": "RNN",
    "SimpleRNNCell": "RNN",
}
"""Cell by class name."""

_MODES: dict[str, Cell] = {"LSTM": "LSTM", "GRU": "GRU", "RNN_TANH": "RNN", "RNN_RELU": "RNN"}
"""Cell by the `mode` of ``torch.nn.RNNBase``, which classes derived from PyTorch's keep."""

_BY_RATIO: dict[int, Cell] = {4: "LSTM", 3: "GRU", 1: "RNN"}
"""Cell by the number of gates, where no class tells."""

Gate: TypeAlias = tuple[Split, ...]


def recurrent_layers(source: WeightSource, found: Found) -> None:
    """Find recurrent layers by the names of their weights; their classes or, without one, shapes tell the cell.

    Adds the layers, in the model's order, and the meaning of their tensors' axes. What other rules have named stays.
    """
    place = {name: number for number, name in enumerate(source.tensors)}
    layers = [layer for parts in _torch_parts(source) if (layer := _torch_layer(source, found, parts)) is not None]
    layers += [layer for container in _keras_containers(source) if (layer := _keras_layer(source, found, container))]
    known = {layer.recurrent for layer in found.recurrent}
    found.recurrent += [layer for layer in layers if layer.recurrent not in known]
    found.recurrent.sort(key=lambda layer: place.get(layer.recurrent, len(place)))


def _name_axes(found: Found, ref: TensorRef | None, axes: Axes) -> None:
    if ref is not None and len(ref.shape) == len(axes.names):
        found.axes.setdefault(ref.name, axes)


# -- PyTorch ------------------------------------------------------------------------------------------------------

_TORCH_NAME = re.compile(
    r"(?:(?P<path>.*?)\.)??(?P<parametrized>parametrizations\.)?(?P<kind>weight|bias)_(?P<side>ih|hh|hr)"
    r"(?:_l(?P<layer>\d{1,4})(?P<reverse>_reverse)?)?"
    r"(?P<variant>_orig|_mask|_raw|_v|\.original|\.original1)?"
)
"""``lstm.weight_ih_l0_reverse``, and what masks (`_orig`), weight norm (`_v`) and parametrizations leave of it."""


@dataclass
class _Parts:
    """Tensors of one layer and direction of a module, by ``"weight_ih"``, ``"bias_hh"``, ...

    Attributes
    ----------
    path, layer, reverse
        Of the layer.
    tensors
        The weights that are stored; of masked and parametrized ones those that the others are computed from.
    masks
        Their masks.
    computed
        Whether the layer computes weights from the stored ones.
    """

    path: str
    layer: int
    reverse: bool
    tensors: dict[str, TensorRef] = field(default_factory=dict)
    masks: dict[str, TensorRef] = field(default_factory=dict)
    computed: bool = False


def _torch_parts(source: WeightSource) -> list[_Parts]:
    layers: dict[tuple[str, int, bool], _Parts] = {}
    for ref in source.tensors.values():
        match = _TORCH_NAME.fullmatch(ref.name)
        if match is None:
            continue
        # parametrizations.weight_ih_l0.original is a parametrized weight, weight_ih_l0.original is not.
        variant = match["variant"] or ""
        if variant.startswith(".") != bool(match["parametrized"]):
            continue
        key = match["path"] or "", int(match["layer"] or 0), bool(match["reverse"])
        parts = layers.setdefault(key, _Parts(*key))
        part = f"{match['kind']}_{match['side']}"
        if variant == "_mask":
            parts.masks[part] = ref
        elif part not in parts.tensors or not variant:
            parts.tensors[part] = ref
            parts.computed |= bool(variant)
    return list(layers.values())


def _torch_layer(source: WeightSource, found: Found, parts: _Parts) -> RecurrentLayer | None:
    wide, square = parts.tensors.get("weight_ih"), parts.tensors.get("weight_hh")
    projection = parts.tensors.get("weight_hr")
    if wide is None or square is None or len(wide.shape) != 2 or len(square.shape) != 2:
        return None
    if projection is not None and len(projection.shape) != 2:
        return None
    rows, state = square.shape
    hidden = projection.shape[1] if projection is not None else state
    info = source.modules.get(parts.path)
    cell = _cell_of(info)
    certain = cell is not None
    if cell is None and hidden and rows % hidden == 0:
        cell = _BY_RATIO.get(rows // hidden)
    if cell is None:
        return None
    gates = TORCH_GATES[cell]
    if hidden < 1 or rows != len(gates) * hidden or wide.shape[0] != rows:
        return None
    if projection is not None and projection.shape[0] != state:
        return None
    why = _why("torch.nn.", info, cell, certain)
    split, row_name = _gate_split(0, gates, rows)
    read = "hidden" if projection is None else "projected"

    def matrix(columns: str) -> Axes:
        return Axes((row_name, columns), "recurrent", certain, why, output=0, input=1, splits=split)

    meanings = {"weight_ih": matrix("in"), "weight_hh": matrix(read)}
    meanings["weight_hr"] = Axes(("projected", "hidden"), "recurrent", certain, why, output=0, input=1)
    vector = Axes((row_name,), "recurrent", certain, why, output=0, splits=split)
    for side in ("ih", "hh"):
        bias = parts.tensors.get(f"bias_{side}")
        if bias is not None and bias.shape == (rows,):
            meanings[f"bias_{side}"] = vector
    for part, axes in meanings.items():
        _name_axes(found, parts.tensors.get(part), axes)
        _name_axes(found, parts.masks.get(part), axes)
    biases = {side: parts.tensors[f"bias_{side}"].name for side in ("ih", "hh") if f"bias_{side}" in meanings}
    return RecurrentLayer(
        path=parts.path,
        kind=cell,
        layer=parts.layer,
        reverse=parts.reverse,
        gates=gates,
        hidden=hidden,
        inputs=wide.shape[1],
        input=wide.name,
        recurrent=square.name,
        input_bias=biases.get("ih"),
        recurrent_bias=biases.get("hh"),
        projection=projection.name if projection is not None else None,
        certain=certain,
        why=why + ("; the stored weights, before their mask or parametrization" if parts.computed else ""),
    )


def _cell_of(info: ModuleInfo | None) -> Cell | None:
    if info is None:
        return None
    return _CELLS.get(info.kind) or _MODES.get(str(info.hyper.get("mode")))


def _why(package: str, info: ModuleInfo | None, cell: Cell, certain: bool) -> str:
    if certain and info is not None:
        name = info.kind.removeprefix("Parametrized")
        return (
            f"{package}{name}" if name in _CELLS else f"{info.kind}, mode {info.hyper.get('mode')} of torch.nn.RNNBase"
        )
    gates = len(TORCH_GATES[cell])
    library = "PyTorch" if package.startswith("torch") else "Keras"
    many = f"{gates} gates" if gates > 1 else "a single block"
    return f"guessed: {library}'s names, and the shapes have {many}, as {_article(cell)} has"


def _article(cell: Cell) -> str:
    return {"LSTM": "an LSTM", "GRU": "a GRU", "RNN": "a plain RNN"}[cell]


def _gate_split(axis: int, gates: tuple[str, ...], length: int) -> tuple[Gate, str]:
    """The split into gates, and the name of the axis. A plain RNN's single block is not divided."""
    if len(gates) == 1:
        return (), "hidden"
    return (equal_split(axis, "gate", gates, length),), "(gate hidden)"


# -- Keras --------------------------------------------------------------------------------------------------------

_KERAS_LEAF = re.compile(r"(?:(?P<path>.*)\.)?recurrent_kernel(?P<suffix>:0)?")

_CONV_LSTM = re.compile(r"ConvLSTM[123]D(Cell)?")


@dataclass(frozen=True)
class _Container:
    """Path of a module that has a recurrent kernel, and what the names of its tensors end in."""

    path: str
    suffix: str

    def tensor(self, source: WeightSource, leaf: str) -> TensorRef | None:
        return source.tensors.get(f"{self.path}.{leaf}{self.suffix}" if self.path else f"{leaf}{self.suffix}")


def _keras_containers(source: WeightSource) -> Iterator[_Container]:
    for name in source.tensors:
        match = _KERAS_LEAF.fullmatch(name)
        if match is not None:
            yield _Container(match["path"] or "", match["suffix"] or "")


def _keras_layer(source: WeightSource, found: Found, container: _Container) -> RecurrentLayer | None:
    wide, square = container.tensor(source, "kernel"), container.tensor(source, "recurrent_kernel")
    if wide is None or square is None:
        return None
    if len(square.shape) > 2:
        _conv_lstm(source, found, container, wide, square)
        return None
    if len(square.shape) != 2 or len(wide.shape) != 2:
        return None
    units, columns = square.shape
    info = next((info for info in _around(source, container.path) if _cell_of(info)), None)
    cell = _cell_of(info)
    certain = cell is not None
    if cell is None and units and columns % units == 0:
        cell = _BY_RATIO.get(columns // units)
    if cell is None:
        return None
    gates = KERAS_GATES[cell]
    if units < 1 or columns != len(gates) * units or wide.shape[1] != columns:
        return None
    why = _why("keras.layers.", info, cell, certain)
    split, column_name = _gate_split(1, gates, columns)

    def matrix(rows: str) -> Axes:
        return Axes((rows, column_name), "recurrent", certain, why, output=1, input=0, splits=split)

    _name_axes(found, wide, matrix("in"))
    _name_axes(found, square, matrix("hidden"))
    bias = container.tensor(source, "bias")
    both = bias is not None and cell == "GRU" and bias.shape == (2, columns)
    if bias is not None and both:
        # reset_after: the reset gate scales the recurrent product together with its bias, so that there are two.
        halves = equal_split(0, "source", ("input", "recurrent"), 2, split)
        names = ("source", column_name)
        _name_axes(found, bias, Axes(names, "recurrent", certain, why, output=1, splits=(halves,)))
    elif bias is not None and bias.shape == (columns,):
        along = tuple(replace(one, axis=0) for one in split)
        _name_axes(found, bias, Axes((column_name,), "recurrent", certain, why, output=0, splits=along))
    else:
        bias = None
    path, reverse = _keras_path(source, container.path)
    return RecurrentLayer(
        path=path,
        kind=cell,
        layer=0,
        reverse=reverse,
        gates=gates,
        hidden=units,
        inputs=wide.shape[0],
        input=wide.name,
        recurrent=square.name,
        input_bias=bias.name if bias is not None else None,
        recurrent_bias=bias.name if bias is not None and both else None,
        layout="keras",
        certain=certain,
        why=why,
    )


def _around(source: WeightSource, path: str) -> Iterator[ModuleInfo]:
    """The module of that path, and up to two around it: a cell, its layer, the layer's wrapper."""
    for _ in range(3):
        info = source.modules.get(path)
        if info is not None:
            yield info
        if not path:
            return
        path = path.rpartition(".")[0]


def _keras_path(source: WeightSource, path: str) -> tuple[str, bool]:
    """The layer around a cell or, of one direction of a ``Bidirectional``, that; and whether it runs backwards."""
    info = source.modules.get(path)
    reverse = bool(info is not None and info.hyper.get("go_backwards"))
    parent, _, leaf = path.rpartition(".")
    around = source.modules.get(parent)
    is_cell = leaf == "cell" or leaf.endswith("_cell") or (info is not None and info.kind.endswith("Cell"))
    if is_cell and parent and (around is None or around.kind == "" or _cell_of(around) is not None):
        reverse |= bool(around is not None and around.hyper.get("go_backwards"))
        path = parent
        parent, _, leaf = path.rpartition(".")
    if leaf.startswith(("forward_", "backward_")):
        return parent, leaf.startswith("backward_")
    return path, reverse


def _conv_lstm(source: WeightSource, found: Found, container: _Container, wide: TensorRef, square: TensorRef) -> None:
    """keras.layers.ConvLSTM: kernels (window..., in, 4 * filters). Its blocks have names; it is no matrix."""
    info = next((info for info in _around(source, container.path) if _CONV_LSTM.fullmatch(info.kind)), None)
    ndim = len(square.shape)
    filters, columns = square.shape[-2:]
    gates = KERAS_GATES["LSTM"]
    if columns != len(gates) * filters or len(wide.shape) != ndim or wide.shape[-1] != columns or ndim > 5:
        return
    certain = info is not None
    why = f"keras.layers.{info.kind}" if info else "guessed: Keras's names, and the shapes are those of a ConvLSTM"
    window = ("kd", "kh", "kw")[-(ndim - 2) :] if ndim > 3 else ("k",)
    split = (equal_split(ndim - 1, "gate", gates, columns),)
    for ref, read in ((wide, "in"), (square, "hidden")):
        names = (*window, read, "(gate filter)")
        spatial = tuple(range(ndim - 2))
        axes = Axes(names, "recurrent", certain, why, output=ndim - 1, input=ndim - 2, spatial=spatial, splits=split)
        _name_axes(found, ref, axes)
    along = (replace(split[0], axis=0),)
    bias = container.tensor(source, "bias")
    if bias is not None and bias.shape == (columns,):
        _name_axes(found, bias, Axes(("(gate filter)",), "recurrent", certain, why, output=0, splits=along))
