"""The order in which a transformer's layers work, which files and even modules do not always keep."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from weightwidget.anatomy.flow.ports import Layer
from weightwidget.sources.base import ModuleInfo, WeightSource

_EMBEDS = re.compile(r"emb|(^|[._])(wte|wpe|tok|pos|shared|patch|conv_proj|cls_token)([._]|$)", re.IGNORECASE)

# Places within a block. The first pattern that is found counts.
_PLACES: tuple[tuple[int, re.Pattern[str]], ...] = tuple(
    (place, re.compile(pattern))
    for place, pattern in (
        (45, r"cross_?att\w*_?(layer)?_?norm|encoder_attn_layer_norm"),
        (
            41,
            r"(encoder_attn|crossattention|EncDecAttention|multihead_attn|cross_attn)(\..*)?\.(q|query|q_proj|self\.query)$",
        ),
        (42, r"(encoder_attn|crossattention|EncDecAttention|cross_attn)\b"),
        (42, r"multihead_attn"),
        (10, r"(^|[._])(ln_?1|input_layernorm|layernorm_before|pre_attn_norm|attention_norm|attn_norm|layer_norm1)$"),
        (10, r"layer\.0\.layer_norm$"),
        (35, r"attention\.output\.LayerNorm|self_attn_layer_norm|sa_layer_norm"),
        (
            30,
            r"(attention\.output\.dense|attention\.dense|attn\.(c_proj|proj|out_proj)|self_attn\.(o_proj|out_proj|dense))$",
        ),
        (30, r"(SelfAttention\.o|attention\.(out_lin|out_proj|o_proj|wo))$"),
        (20, r"(^|[._])(q|query|q_proj|q_lin|wq|to_q)$"),
        (21, r"(^|[._])(k|key|k_proj|k_lin|wk|to_k)$"),
        (22, r"(^|[._])(v|value|v_proj|v_lin|wv|to_v)$"),
        (20, r"c_attn|qkv|query_key_value|attn$|attention$|in_proj$"),
        (
            48,
            r"(^|[._])(ln_?2|post_attention_layernorm|layernorm_after|ffn_norm|layer_norm2|pre_feedforward_layernorm)$",
        ),
        (48, r"layer\.[12]\.layer_norm$"),
        (75, r"output\.LayerNorm|output_layer_norm|final_layer_norm|post_feedforward_layernorm|ln_?3$"),
        (50, r"router|(^|[._])gate$"),
        (
            55,
            r"(^|[._])(gate_proj|gate_up_proj|w1|wi|wi_0|fc1|lin1|linear1|c_fc|fc|fc_in|dense_h_to_4h)$|intermediate\.dense$",
        ),
        (56, r"(^|[._])(up_proj|w3|wi_1)$"),
        (60, r"(^|[._])(down_proj|w2|wo|fc2|lin2|linear2|c_proj|fc_out|dense_4h_to_h|proj)$|output\.dense$"),
    )
)


class HasBlocks(Protocol):
    """What sorting needs to know of a stack of blocks."""

    @property
    def prefix(self) -> str:
        """Path before the blocks' numbers."""

    @property
    def blocks(self) -> set[str]:
        """Paths of the blocks."""


def in_network_order(
    source: WeightSource, layers: Sequence[Layer], stacks: Sequence[HasBlocks], block_of: Mapping[str, HasBlocks | None]
) -> list[Layer]:
    """Layers in the order in which they work.

    Parameters
    ----------
    source
        The weights. Of a live model the order of modules counts for what lies outside the blocks.
    layers
        In the source's order.
    stacks
        The stacks of blocks, in the order in which they work.
    block_of
        Stack of each layer, by path; None for those outside.
    """
    live = any(info.kind for info in source.modules.values())
    numbers = {id(stack): number for number, stack in enumerate(stacks)}
    ends = {id(stack): _span(layers, block_of, stack) for stack in stacks}

    def key(place: int) -> tuple[float, ...]:
        layer = layers[place]
        stack = block_of[layer.path]
        if stack is not None:
            start = f"{stack.prefix}." if stack.prefix else ""
            number, _, inside = layer.path[len(start) :].partition(".")
            block = source.modules.get(f"{start}{number}")
            return numbers[id(stack)], 1, int(number), _place(inside, block), place
        own = _nearest(layer.path, stacks, _EMBEDS.search(layer.path) is not None)
        if live:
            is_early = place < ends[id(own)][0] or (layer.through and _EMBEDS.search(layer.path))
            phase = 0 if is_early else 2
        else:
            phase = 0 if layer.form == "embedding" or _EMBEDS.search(layer.path) else 2
        # The norm comes after the embeddings, and before the head.
        late = layer.through if phase == 0 else not layer.through
        return numbers[id(own)], phase, 0, float(late), place

    return [layers[place] for place in sorted(range(len(layers)), key=key)]


def _span(layers: Sequence[Layer], block_of: Mapping[str, HasBlocks | None], stack: HasBlocks) -> tuple[int, int]:
    places = [place for place, layer in enumerate(layers) if block_of[layer.path] is stack]
    return (places[0], places[-1]) if places else (0, 0)


def _nearest(path: str, stacks: Sequence[HasBlocks], is_embedding: bool) -> HasBlocks:
    """The stack that a layer outside of all belongs to: the one that lies deepest around it."""

    def depth(stack: HasBlocks) -> int:
        parent = stack.prefix.rpartition(".")[0]
        return len(parent) + 1 if parent and path.startswith(f"{parent}.") else 0 if not parent else -1

    best = max(depth(stack) for stack in stacks)
    nearest = [stack for stack in stacks if depth(stack) == best]
    return nearest[0] if is_embedding else nearest[-1]


def _place(inside: str, block: ModuleInfo | None) -> float:
    """Place of a layer within its block."""
    if inside in ("norm1", "norm2", "norm3"):
        # PyTorch's blocks have their norms last unless they are told otherwise; others have them first.
        last = block is not None and block.hyper.get("norm_first") is False
        crossing = block is not None and "Decoder" in block.kind
        places = (35, 45 if crossing else 75, 75) if last else (10, 40 if crossing else 48, 48)
        return places[int(inside[-1]) - 1]
    return next((place for place, pattern in _PLACES if pattern.search(inside)), 49)
