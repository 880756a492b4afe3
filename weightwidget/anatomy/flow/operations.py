"""Which of PyTorch's operations do what to channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from weightwidget.anatomy.flow import layer_rules as layers
from weightwidget.anatomy.flow import move_rules as moves
from weightwidget.anatomy.flow.calls import Call, name_of
from weightwidget.anatomy.flow.recorder import Recorder

Rule: TypeAlias = Callable[[Recorder, Call], None]
"""Gives what a call gave its labels."""

_UNCHANGED = """
    relu relu6 gelu silu mish elu selu celu leaky_relu rrelu sigmoid tanh hardswish hardsigmoid hardtanh
    softplus softsign logsigmoid tanhshrink hardshrink softshrink threshold dropout dropout1d dropout2d
    dropout3d alpha_dropout feature_dropout feature_alpha_dropout contiguous clone detach to float half bfloat16
    double type type_as exp expm1 log log1p abs neg square pow float_power sqrt rsqrt reciprocal clamp clip
    clamp_min clamp_max softmax log_softmax normalize cumsum nan_to_num masked_fill requires_grad erf sin cos
    round floor alias lift_fresh lift_fresh_copy _to_copy native_dropout __neg__ __pow__ __abs__
    _assert_tensor_metadata
"""
_ELEMENTWISE = """
    add sub subtract rsub mul multiply div divide true_divide maximum minimum where lerp addcmul addcdiv __add__
    __radd__ __iadd__ __sub__ __rsub__ __isub__ __mul__ __rmul__ __imul__ __truediv__ __rtruediv__ __itruediv__
    __div__
"""
_MOVE = """
    view reshape permute transpose flatten unflatten unsqueeze squeeze expand expand_as repeat tile
    repeat_interleave cat concat concatenate stack hstack vstack chunk split split_with_sizes tensor_split
    unbind unsafe_chunk unsafe_split narrow select slice __getitem__ movedim moveaxis swapaxes swapdims t T mT H
    mH roll flip view_as reshape_as pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle ravel
    broadcast_to adjoint _reshape_alias _unsafe_view expand_copy
"""
_POOL = """
    max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d
    adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d lp_pool1d lp_pool2d
    interpolate upsample upsample_nearest upsample_bilinear upsample_nearest2d upsample_bilinear2d pad
    boolean_dispatch fn max_pool2d_with_indices fractional_max_pool2d grid_sample grid_sampler
"""
_REDUCE = "mean sum amax amin max min std var logsumexp prod median nanmean nansum"


def _table() -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for names, rule in (
        (_UNCHANGED, moves.passes),
        (_ELEMENTWISE, moves.elementwise),
        (_MOVE, moves.move),
        (_POOL, moves.pool),
        (_REDUCE, moves.reduce),
        ("batch_norm instance_norm group_norm layer_norm rms_norm", layers.norm),
        ("lstm gru rnn_tanh rnn_relu", layers.recurrent_layer),
        ("lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell", layers.cell),
        ("matmul mm bmm __matmul__ __rmatmul__", layers.product),
        (" ".join(layers.CONVOLUTIONS), layers.convolution),
        ("linear", layers.linear),
        ("addmm", layers.addmm),
        ("prelu", layers.prelu),
        ("embedding embedding_bag", layers.embedding),
        ("multi_head_attention_forward", layers.multihead),
        ("scaled_dot_product_attention", layers.attention_product),
    ):
        rules |= dict.fromkeys(names.split(), rule)
    return rules


RULES: dict[str, Rule] = _table()
"""Rules by the name of the operation."""


def rule_for(func: Callable[..., Any]) -> Rule | None:
    """The rule of an operation; None if nothing is known of it."""
    return RULES.get(name_of(func))
