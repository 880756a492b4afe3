"""Residual streams of transformers: one dimension through embeddings, norms, attention, feed-forward layers and head.

A stack is a run of numbered blocks with attention in them. Everything in and around it whose inputs or outputs are as
many as the stream has dimensions is attached to the stream, by what it does in the block. Where the blocks are of a
class that is known to be built so, that is certain; else names and sizes are a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from weightwidget.anatomy.flow.attention import attach_heads
from weightwidget.anatomy.flow.ports import Layer, Orders, Port, read, write
from weightwidget.anatomy.flow.sorting import in_network_order
from weightwidget.anatomy.flow.spaces import Labels
from weightwidget.anatomy.flow.wiring import Wiring
from weightwidget.sources.base import WeightSource

if TYPE_CHECKING:
    from weightwidget.anatomy.anatomy import Anatomy

KNOWN = re.compile(
    r"TransformerEncoderLayer|TransformerDecoderLayer"
    r"|(Bert|Roberta|XLMRoberta|Camembert|Electra|MPNet|ViT|DeiT|Data2VecText|Ernie|XLMRobertaXL|Splinter)(Layer|Block)"
    r"|TransformerBlock|(GPT2|GPTJ|GPTBigCode|GPTNeo|CodeGen|Bloom|Mpt)Block|GPTNeoXLayer|PhiDecoderLayer|FalconDecoderLayer"
    r"|(Llama|Mistral|Mixtral|Qwen2|Qwen2Moe|Qwen3|Qwen3Moe|Gemma|Gemma2|Gemma3|Olmo|Olmo2|StableLm|Starcoder2|Cohere|Phi3"
    r"|Granite|SmolLM3|OPT|XGLM|Dbrx|Persimmon|OlmoE)DecoderLayer"
    r"|(Bart|MBart|Marian|Pegasus|Whisper|M2M100|CLIP|Siglip|BlenderbotSmall|Blenderbot|Speech2Text)(Encoder|Decoder)?Layer"
    r"|CLIPEncoderLayer|SiglipEncoderLayer|T5Block|MT5Block|UMT5Block|LongT5Block|DistilBertBlock"
)
"""Blocks that add what they compute to a stream, in PyTorch and transformers."""

_READS = re.compile(
    r"(^|[._])(q|k|v|q_proj|k_proj|v_proj|query|key|value|to_q|to_k|to_v|q_lin|k_lin|v_lin|c_attn|qkv|qkv_proj|Wqkv"
    r"|query_key_value|in_proj|self_attn|attn|fc|fc1|fc_in|c_fc|lin1|linear1|up|up_proj|gate_proj|gate_up_proj|w1|w3|wi|wi_0"
    r"|wi_1|dense_h_to_4h|intermediate\.dense|gate|router|pooler\.dense)$"
)
_WRITES = re.compile(
    r"(^|[._])(o|o_proj|out_proj|to_out\.0|to_out|out_lin|c_proj|proj|projection|output\.dense|attention\.dense"
    r"|self_attention\.dense|fc2|fc_out|lin2|linear2|down|down_proj|w2|wo|dense_4h_to_h)$"
)
_ASKS = re.compile(
    r"(^|[._])(q|q_proj|query|to_q|q_lin|wq|c_attn|qkv|qkv_proj|Wqkv|query_key_value|(self_)?attn|self_attention)$"
)
"""What computes queries, in modules that nothing else tells to be attention layers."""
_MEETS = re.compile(r"(^|[._])(q|k|q_proj|k_proj|query|key|to_q|to_k|q_lin|k_lin|wq|wk)$")
"""Queries and keys, which no later layer reads."""
_CROSS = re.compile(r"cross_?att|crossattention|encoder_attn|EncDecAttention|multihead_attn|encdec")
_NUMBER = re.compile(r"(?:^|\.)(\d+)(?=\.|$)")


@dataclass
class Stack:
    """Blocks that share a stream."""

    prefix: str
    width: int
    certain: bool
    why: str
    stream: Labels
    blocks: set[str] = field(default_factory=set)


def attach_streams(
    source: WeightSource, anatomy: Anatomy, layers: list[Layer], wiring: Wiring, orders: dict[str, float]
) -> set[str]:
    """Attach layers to the residual streams, and heads to each other.

    Sorts `layers`, and `orders`, into the order in which they work.

    Returns
    -------
    set of str
        Paths of the layers that are dealt with: the order of modules is no further guide to them.
    """
    stacks = _stacks(source, anatomy, layers, wiring)
    if not stacks:
        attach_heads(anatomy.attention, source, wiring, orders)
        return set()
    stacks.sort(key=lambda stack: "decoder" in stack.prefix)  # in files the decoder comes first, by the alphabet
    block_of = {layer.path: _stack_of(layer.path, stacks) for layer in layers}
    layers[:] = in_network_order(source, layers, stacks, block_of)
    _reorder(layers, orders)
    attach_heads(anatomy.attention, source, wiring, orders)
    done: set[str] = set()
    roles = _projections(anatomy)
    before: Stack | None = None  # the stack that was gone through last
    inside: Stack | None = None
    between: list[Layer] = []
    for layer in layers:
        stack = block_of[layer.path]
        if stack is None:
            between.append(layer)
            continue
        if stack is not inside:
            _around(between, inside, stack, wiring, orders, done)
            between, before, inside = [], inside, stack
        done.add(layer.path)
        _in_block(layer, stack, before, roles, wiring, orders)
    _around(between, inside, None, wiring, orders, done)
    widening = _widening(layers, block_of)
    for layer in layers:
        stack = block_of[layer.path]
        if stack is not None and not layer.linked and not layer.through and layer.form != "expert" and layer.reads:
            _link_inner(layer, stack, widening, wiring, orders)
    return done


def _reorder(layers: Sequence[Layer], orders: dict[str, float]) -> None:
    """Number tensors anew, in the order of their layers."""
    place = float(len(orders))
    for layer in layers:
        names = [port.ref.name for port in (*layer.writes, *layer.reads)]
        for cell in layer.recurrent:
            names += [cell.input, cell.recurrent]
            names += [name for name in (cell.input_bias, cell.recurrent_bias, cell.projection) if name]
        for name in sorted(set(names), key=orders.__getitem__):
            orders[name] = place
            place += 1


def _stacks(source: WeightSource, anatomy: Anatomy, layers: Sequence[Layer], wiring: Wiring) -> list[Stack]:
    """Find the stacks by their attention layers."""
    by_path = {layer.path: layer for layer in layers}
    stacks: dict[tuple[str, int], Stack] = {}
    asking = _asking(anatomy, by_path)
    blocks = _blocks(source, list(asking))
    for path, layer in asking.items():
        block, width = blocks.get(path), layer.inputs
        if block is None or not width:
            continue
        prefix = block.rpartition(".")[0]
        stack = stacks.get((prefix, width))
        if stack is None:
            kind = getattr(source.modules.get(block), "kind", "")
            certain = bool(KNOWN.fullmatch(kind))
            why = f"residual stream: {kind}" if certain else "guessed: names and sizes are those of a transformer"
            name = f"residual stream of {prefix}" if prefix else "residual stream"
            stack = stacks[prefix, width] = Stack(prefix, width, certain, why, wiring.space(width, name))
        stack.blocks.add(block)
    # A block without a layer of the stream's width is none.
    return [stack for stack in stacks.values() if any(layer.inputs == stack.width for layer in by_path.values())]


def _asking(anatomy: Anatomy, by_path: Mapping[str, Layer]) -> dict[str, Layer]:
    """The layer that computes the queries of each attention layer, by its path; else by the names of layers."""
    found = {}
    for attention in anatomy.attention:
        tensor = attention.query.tensor if attention.query else ""
        layer = by_path.get(tensor.rpartition(".")[0]) or by_path.get(tensor)
        if layer is not None:
            found[attention.path] = layer
    if found:
        return found
    return {path: layer for path, layer in by_path.items() if layer.form != "norm" and _ASKS.search(path)}


def _blocks(source: WeightSource, paths: Sequence[str]) -> dict[str, str]:
    """The block that each attention layer lies in: the innermost numbered module.

    If that has neighbours without attention, it is the one around it: T5 numbers the parts of its blocks, too.
    """
    numbered = {path: [path[: match.end()] for match in _NUMBER.finditer(path)] for path in paths}
    attending = {block for blocks in numbered.values() for block in blocks}
    neighbours: dict[str, set[str]] = {}
    for name in source.tensors:
        for match in _NUMBER.finditer(name):
            block = name[: match.end()]
            neighbours.setdefault(block.rpartition(".")[0], set()).add(block)
    found = {}
    for path, blocks in numbered.items():
        if not blocks:
            continue
        inner = blocks[-1]
        is_part = len(blocks) > 1 and not neighbours[inner.rpartition(".")[0]] <= attending
        found[path] = blocks[-2] if is_part else inner
    return found


def _stack_of(path: str, stacks: Sequence[Stack]) -> Stack | None:
    for stack in stacks:
        start = f"{stack.prefix}." if stack.prefix else ""
        if path.startswith(start):
            number = path[len(start) :].partition(".")[0]
            if f"{start}{number}" in stack.blocks:
                return stack
    return None


def _projections(anatomy: Anatomy) -> dict[str, str]:
    """What the modules of attention layers do with the stream, by path."""
    roles: dict[str, str] = {}
    for attention in anatomy.attention:
        for name in ("query", "key", "value", "output"):
            blocks = attention.projection(name)
            if blocks is not None:
                role = "writes" if name == "output" else "reads"
                # A module with several matrices has a layer for each, called by the tensor's name.
                roles[blocks.tensor.rpartition(".")[0]] = roles[blocks.tensor] = role
    return roles


def _in_block(
    layer: Layer, stack: Stack, before: Stack | None, roles: dict[str, str], wiring: Wiring, orders: Orders
) -> None:
    """Attach a layer of a block to the stream."""
    width = stack.width
    if layer.through:
        if layer.inputs == width:
            read(layer, wiring, orders, stack.stream, stack.certain, stack.why)
        return
    reads, writes = layer.inputs == width, layer.size == width
    if reads and writes:
        known = roles.get(layer.path) or (
            "reads" if _READS.search(layer.path) else "writes" if _WRITES.search(layer.path) else ""
        )
        reads, writes = known == "reads", known == "writes"
    if reads:
        cross = _CROSS.search(layer.path) is not None
        if (
            cross
            and re.search(r"(^|[._])(k|v|key|value)([._]|$)", layer.path.rpartition(".")[2])
            and before is not None
        ):
            if before.width == layer.inputs:
                read(layer, wiring, orders, before.stream, stack.certain, f"{stack.why}; reads the encoder")
            return
        if cross and layer.kind == "MultiheadAttention":
            _read_both(layer, stack, before, wiring, orders)
            return
        read(layer, wiring, orders, stack.stream, stack.certain, stack.why)
    elif writes:
        write(layer, wiring, orders, stack.stream, stack.certain, stack.why)


def _read_both(layer: Layer, stack: Stack, before: Stack | None, wiring: Wiring, orders: Orders) -> None:
    """PyTorch's cross-attention: queries read the decoder's stream, keys and values the encoder's output."""
    layer.linked = True
    port = layer.reads[0]
    if port.ref.shape[0] != 3 * stack.width:
        return
    other = before.stream if before is not None and before.width == stack.width else np.full(stack.width, -1)
    wiring.attach(
        port.ref.name,
        port.axis,
        "reads",
        np.concatenate([stack.stream, other, other]),
        orders[port.ref.name],
        certain=stack.certain,
        why=stack.why,
        groups=3,
        across=0,
    )


def _around(
    between: Sequence[Layer],
    left: Stack | None,
    right: Stack | None,
    wiring: Wiring,
    orders: Orders,
    done: set[str],
) -> None:
    """Attach what lies before, between and after the stacks: embeddings, final norms, heads."""
    stack, state = left, left.stream if left is not None else None
    for layer in between:
        certain = stack is not None and stack.certain
        starts = (
            right is not None
            and not layer.through
            and layer.size == right.width
            and (layer.form == "embedding" or layer.inputs != right.width)
            and (state is None or left is None or layer.form in ("embedding", "conv"))
        )
        if right is not None and starts:
            write(layer, wiring, orders, right.stream, right.certain, right.why)
            stack, state = right, right.stream
            done.add(layer.path)
            continue
        if state is None and right is not None and layer.through and layer.inputs == right.width:
            stack, state = right, right.stream  # a norm of embeddings that are found later
            certain = right.certain
        if state is None or stack is None or layer.inputs != len(state) or layer.linked:
            continue
        is_stream = state is stack.stream
        why = stack.why if is_stream else f"guessed: comes after, and has as many inputs ({len(state)})"
        read(layer, wiring, orders, state, certain and is_stream, why)
        done.add(layer.path)
        if layer.through or layer.size != len(state):
            continue
        # As many outputs as inputs, such as a pooler: what follows reads these.
        _write_own(layer, wiring, orders)
        state = layer.outputs


def _write_own(layer: Layer, wiring: Wiring, orders: Orders) -> None:
    if layer.outputs is None:
        write(layer, wiring, orders, wiring.space(layer.size), layer.certain, layer.why)


def _widening(layers: Sequence[Layer], block_of: Mapping[str, Stack | None]) -> dict[str, list[Layer]]:
    """Layers that read the stream and may be the first half of a feed-forward layer, by every module they lie in."""
    found: dict[str, list[Layer]] = {}
    for layer in layers:
        stack = block_of[layer.path]
        if stack is None or layer.through or layer.form == "expert" or layer.inputs != stack.width:
            continue
        if layer.outputs is stack.stream or _MEETS.search(layer.path) or not layer.writes:
            continue
        path = layer.path
        while path and path not in stack.blocks:
            path = path.rpartition(".")[0]
            found.setdefault(path, []).append(layer)
    return found


def _link_inner(
    layer: Layer, stack: Stack, widening: Mapping[str, list[Layer]], wiring: Wiring, orders: Orders
) -> None:
    """Link the second half of a feed-forward layer to the first: to what widens the stream, nearest in the tree."""
    if not layer.inputs or wiring.covers(*_axis(layer.reads[0])):
        return
    path = layer.path
    while path and path not in stack.blocks:
        path = path.rpartition(".")[0]
        wide = [
            other
            for other in widening.get(path, [])
            if other is not layer
            and other.size in (layer.inputs, 2 * layer.inputs)
            and not wiring.covers(*_axis(other.writes[0]))
        ]
        if not wide:
            continue
        units = wiring.space(layer.inputs, f"intermediate units of {path}")
        for other in wide:
            times = other.size // layer.inputs
            why = stack.why.replace("residual stream", "feed-forward layer") if stack.certain else stack.why
            labels = units if times == 1 else np.tile(units, 2)  # gate and up in one tensor
            certain = stack.certain and (times == 1 or "gate_up" in other.path)
            write(other, wiring, orders, labels, certain, why)
        read(layer, wiring, orders, units, stack.certain, "reads what the first layer computes")
        return


def _axis(port: Port) -> tuple[str, int]:
    return port.ref.name, port.axis
