"""torch.nn.MultiheadAttention, whose class tells everything."""

from __future__ import annotations

from weightwidget.anatomy.axes import Axes, equal_split
from weightwidget.anatomy.found import Found
from weightwidget.anatomy.layers import AttentionLayer, HeadBlocks
from weightwidget.anatomy.rules.base import ModuleView, rule
from weightwidget.anatomy.rules.dense import bias
from weightwidget.anatomy.rules.heads import heads_split

QKV = ("q", "k", "v")
WHY = "torch.nn.MultiheadAttention"


@rule("MultiheadAttention")
def multihead_attention(module: ModuleView, found: Found) -> None:
    """in_proj_weight (3 d, d) holds q, k and v one after the other, each head by head.

    With keys or values of another width there are q_proj_weight (d, d), k_proj_weight (d, kdim) and v_proj_weight
    (d, vdim) instead.
    """
    heads, width = module.hyper.get("num_heads"), module.hyper.get("embed_dim")
    if type(heads) is not int or type(width) is not int or heads < 1 or width % heads:
        return
    size = width // heads
    split = heads_split(0, heads, size)
    qkv = equal_split(0, "qkv", QKV, 3 * width, (split,))
    blocks: dict[str, HeadBlocks] = {}
    fused = module.tensors.get("in_proj_weight")
    if fused is not None and fused.shape == (3 * width, width):
        names = ("(qkv head head_dim)", "in")
        found.axes[fused.name] = Axes(names, "attention", True, WHY, output=0, input=1, splits=(qkv,))
        blocks = {part: HeadBlocks(fused.name, 0, at * width, size, size, heads) for at, part in enumerate(QKV)}
    for part in QKV:
        ref = module.tensors.get(f"{part}_proj_weight")
        if ref is not None and ref.shape[:1] == (width,):
            found.axes[ref.name] = Axes(("(head head_dim)", "in"), "attention", True, WHY, 0, 1, splits=(split,))
            blocks[part] = HeadBlocks(ref.name, 0, 0, size, size, heads)
    offset = module.tensors.get("in_proj_bias")
    if offset is not None and offset.shape == (3 * width,):
        found.axes[offset.name] = Axes(("(qkv head head_dim)",), "bias", True, WHY, output=0, splits=(qkv,))
    for leaf in ("bias_k", "bias_v"):
        ref = module.tensors.get(leaf)
        if ref is not None and ref.shape[2:] == (width,):
            along = heads_split(2, heads, size)
            found.axes[ref.name] = Axes(
                ("batch", "token", "(head head_dim)"), "bias", True, WHY, output=2, splits=(along,)
            )
    if not blocks:
        return
    found.attention.append(
        AttentionLayer(
            module.path,
            heads,
            heads,
            size,
            blocks.get("q"),
            blocks.get("k"),
            blocks.get("v"),
            _output(module, found, heads, size),
            rotary=False,
            certain=True,
            why=WHY,
        )
    )


def _output(module: ModuleView, found: Found, heads: int, size: int) -> HeadBlocks | None:
    """Name the heads along the columns of out_proj, whose own class knows nothing of them."""
    for name in ("weight", "weight_orig", "parametrizations.weight.original", "base_layer.weight"):
        out = module.below(f"out_proj.{name}")
        if out is not None and out.shape == (heads * size, heads * size):
            names = ("out", "(head head_dim)")
            split = heads_split(1, heads, size)
            found.axes[out.name] = Axes(names, "attention", True, WHY, output=0, input=1, splits=(split,))
            second = module.below("out_proj.bias")
            if second is not None and len(second.shape) == 1:
                found.axes[second.name] = bias(WHY)
            return HeadBlocks(out.name, 1, 0, size, size, heads)
    return None
