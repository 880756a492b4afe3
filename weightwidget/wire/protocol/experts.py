"""Mixtures of experts: layer by expert."""

from __future__ import annotations

from typing import Literal, TypedDict


class ExpertRouterRequest(TypedDict):
    """The rows of a router, one for each expert. ``axis``: along which the experts lie."""

    id: str
    kind: Literal["experts.router"]
    tensor: str
    axis: int


class ExpertRouterReply(TypedDict):
    """Buffers: float64 norms (experts,), float64 cosines (experts, experts); NaN where a row is zero."""

    id: str
    kind: Literal["experts.router"]
    experts: int


class ExpertSimilarityRequest(TypedDict):
    """Cosines between weights of one shape, by path: one role of all experts of a layer, 1,024 at most. Slow."""

    id: str
    kind: Literal["experts.similarity"]
    paths: list[str]


class ExpertSimilarityReply(TypedDict):
    """Buffer: float64 cosines (n, n); NaN for what is zero or not finite."""

    id: str
    kind: Literal["experts.similarity"]
    experts: int


class ExpertNoiseRequest(TypedDict):
    """Largest singular value against that of noise of the same size, by path; 1,024 at most. Slow."""

    id: str
    kind: Literal["experts.noise"]
    paths: list[str]


class ExpertNoiseReply(TypedDict):
    """Buffer: float64 ratios (n,); NaN where there is none."""

    id: str
    kind: Literal["experts.noise"]
    experts: int
