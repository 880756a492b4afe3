"""Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434): keys and values come from a small latent vector."""

from __future__ import annotations

from weightwidget.anatomy.axes import Split, equal_split, numbered
from weightwidget.anatomy.found import Found
from weightwidget.anatomy.layers import AttentionLayer, HeadBlocks
from weightwidget.anatomy.rules.heads import Naming, is_certain
from weightwidget.anatomy.rules.model import Model
from weightwidget.anatomy.rules.projections import find_output, layout_is_known
from weightwidget.sources.base import TensorRef


def latent_attention(model: Model, found: Found) -> None:
    """Find the layers by the names of their projections, and their sizes in the module or the configuration.

    A head's query has a part that meets the content and a part that is rotated by position; the layer that is added
    has the first, for only that is compared with keys of its own. Its inputs are the latent vectors.
    """
    known = {layer.path for layer in found.attention}
    for path, ref in model.matrices.items():
        container, _, last = path.rpartition(".")
        if last == "kv_b_proj" and container not in known:
            _add(model, found, container, ref)


def _add(model: Model, found: Found, container: str, pair: TensorRef) -> None:
    told = {**model.config(container), **model.info(container).hyper}
    keys = ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "kv_lora_rank")
    sizes = [told.get(key) for key in keys]
    if not all(type(size) is int and size > 0 for size in sizes):
        return
    content, rotated, value, latent = (int(size) for size in sizes if type(size) is int)
    heads, rest = divmod(pair.shape[0], content + value)
    prefix = f"{container}." if container else ""
    query = model.matrices.get(f"{prefix}q_b_proj") or model.matrices.get(f"{prefix}q_proj")
    if rest or query is None or query.shape[0] != heads * (content + rotated):
        return
    certain = layout_is_known(model, container)
    kind = model.info(container).kind or str(told.get("model_type", ""))
    why = f"latent attention of {kind}" if certain else "guessed from the names of the projections"
    naming = Naming(model, found, certain, why)
    naming.name(query, 0, "(head head_dim)", (_heads(heads, ("content", "rotary"), (content, rotated)),))
    naming.name(pair, 0, "(head kv head_dim)", (_heads(heads, ("k", "v"), (content, value)),))
    down = next((model.matrices.get(prefix + name) for name in ("kv_a_proj_with_mqa", "kv_a_proj")), None)
    if down is not None and down.shape[0] == latent + rotated:
        naming.name(down, 0, "(latent rotary)", (Split(0, "part", ("latent", "rotary"), (latent, rotated)),))
    path, out = find_output(model, container)
    output = naming.output(out, heads, value)
    step = content + value
    found.attention.append(
        AttentionLayer(
            path if output is not None else container,
            heads,
            heads,
            content,
            HeadBlocks(query.name, 0, 0, content + rotated, content, heads),
            HeadBlocks(pair.name, 0, 0, step, content, heads),
            HeadBlocks(pair.name, 0, content, step, value, heads),
            output,
            rotary=True,
            certain=certain and is_certain(found, query) and is_certain(found, pair),
            why=why,
        )
    )


def _heads(heads: int, labels: tuple[str, str], sizes: tuple[int, int]) -> Split:
    inner = Split(0, "part", labels, sizes)
    return equal_split(0, "head", numbered("head", heads), heads * sum(sizes), (inner,))
