"""A source as the rules look at it: tensors by module, masked and parametrized ones under their weight's name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weightwidget.anatomy.rules.base import LIBRARIES
from weightwidget.sources.base import ModuleInfo, TensorRef, WeightSource

KNOWN_FILES = frozenset(
    {
        *("bert", "roberta", "distilbert", "albert", "electra", "deberta", "deberta-v2", "longformer"),
        *("big_bird", "mpnet", "funnel", "esm", "xlm", "xlm-roberta", "camembert", "xlnet", "fnet", "layoutlm"),
        *("openai-gpt", "gpt2", "gpt_neo", "gpt_neox", "gptj", "gpt_bigcode", "codegen", "opt", "bloom"),
        *("falcon", "mpt", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi"),
        *("phi3", "glm4", "modernbert", "stablelm", "olmo", "olmo2", "cohere", "starcoder2", "granite"),
        *("persimmon", "nemotron", "smollm3", "biogpt", "xglm", "prophetnet", "mixtral", "qwen2_moe"),
        *("qwen3_moe", "olmoe", "phimoe", "granitemoe", "deepseek_v2", "deepseek_v3", "dbrx", "jamba"),
        *("switch_transformers", "mamba", "mamba2", "rwkv", "t5", "mt5", "bart", "mbart", "pegasus", "marian"),
        *("m2m_100", "whisper", "wav2vec2", "hubert", "audio-spectrogram-transformer", "vit", "deit", "beit"),
        *("dinov2", "swin", "swinv2", "convnext", "resnet", "mobilenet_v2", "detr", "clip", "siglip", "blip"),
        *("vilt"),
    }
)
"""Architectures of transformers whose names and configuration tell as much as their classes: the tests compare."""

_NO_MODULE = ModuleInfo("", "")

_BETWEEN = re.compile(r"(?:^|(?<=\.))(?:base_layer|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)(?:\.|$)")
"""Parts of paths that wrappers put between a module and its weights."""


@dataclass(frozen=True)
class Companion:
    """A tensor that a weight is computed from beside the one that stands for it: a mask, lengths, singular vectors.

    Attributes
    ----------
    ref
        The tensor.
    weight
        What stands for the weight; None if that was not found.
    what
        ``"mask"``, ``"magnitude"`` or ``"vector"``.
    """

    ref: TensorRef
    weight: TensorRef | None
    what: str


class Model:
    """What the rules look at.

    Parameters
    ----------
    source
        The weights.
    heads
        Number of heads, and of key and value heads, that was set by hand, by path of a module; ``""`` for all.

    Attributes
    ----------
    own
        Tensors by path of the module and last part of the name, as `weightwidget.anatomy.rules.base.ModuleView` has
        them.
    companions
        What belongs to masked and parametrized weights.
    matrices
        Weights of rank 2 and more by path of their module, wrappers left out; raw parameters by their own name.
    is_known_file
        Whether this is a file with the configuration of an architecture whose names are known to tell all.
    """

    def __init__(self, source: WeightSource, heads: Mapping[str, tuple[int, int | None]] | None = None) -> None:
        self.source = source
        self.heads = heads or {}
        self.own: dict[str, dict[str, TensorRef]] = {}
        self.companions: list[Companion] = []
        raw: dict[str, dict[str, TensorRef]] = {}
        parametrized: dict[tuple[str, str], dict[str, TensorRef]] = {}
        for name, ref in source.tensors.items():
            if "parametrizations." in name:
                path, _, rest = name.rpartition("parametrizations.")
                leaf, _, what = rest.partition(".")
                if what and (not path or path.endswith(".")):
                    parametrized.setdefault((path.removesuffix("."), leaf), {})[what] = ref
                    continue
            path, _, leaf = name.rpartition(".")
            raw.setdefault(path, {})[leaf] = ref
        for path, leaves in raw.items():
            self.own[path] = self._as_weights(leaves)
        for (path, leaf), parts in parametrized.items():
            self._add_parametrized(self.own.setdefault(path, {}), leaf, parts)
        self.matrices = {
            (logical if leaf in ("weight", "kernel") else f"{logical}.{leaf}" if logical else leaf): ref
            for path, leaves in self.own.items()
            for logical in (logical_path(path),)
            for leaf, ref in leaves.items()
            if len(ref.shape) > 1 and (logical or leaf not in ("weight", "kernel"))
        }
        self._configs = {path: info for path, info in source.modules.items() if "model_type" in info.hyper}
        self.is_known_file = set(source.modules) == {""} and source.modules[""].hyper.get("model_type") in KNOWN_FILES
        self._rotary = {
            self.config_path(path) for path, info in source.modules.items() if re.search("(?i)rope|rotary", info.kind)
        }

    def _as_weights(self, leaves: dict[str, TensorRef]) -> dict[str, TensorRef]:
        if not any(leaf.endswith(("_orig", "_g")) for leaf in leaves):
            return leaves
        found = dict(leaves)
        for leaf in leaves:
            stem, _, what = leaf.rpartition("_")
            beside = {"orig": ("mask", "u", "v"), "g": ("v",)}.get(what, ())
            if not beside or (what == "g" and f"{stem}_v" not in leaves):
                continue
            weight = found.pop(leaf) if what == "orig" else found.pop(f"{stem}_v")
            if what == "g":
                self.companions.append(Companion(found.pop(leaf), weight, "magnitude"))
            else:
                for other in beside:
                    part = found.pop(f"{stem}_{other}", None)
                    if part is not None:
                        self.companions.append(Companion(part, weight, "mask" if other == "mask" else "vector"))
            found[stem] = weight
        return found

    def _add_parametrized(self, leaves: dict[str, TensorRef], leaf: str, parts: dict[str, TensorRef]) -> None:
        originals = [ref for what, ref in parts.items() if what.startswith("original")]
        weight = max(originals, key=lambda ref: ref.numel, default=None)
        for what, ref in parts.items():
            if ref is not weight:
                kind = "magnitude" if what.startswith("original") else "mask" if "mask" in what else "vector"
                self.companions.append(Companion(ref, weight, kind))
        if weight is not None:
            leaves[leaf] = weight

    def beside(self, ref: TensorRef) -> Mapping[str, TensorRef]:
        """Tensors of the module whose weight a tensor is, by the last part of their names."""
        path = ref.name.partition(".parametrizations.")[0] if ".parametrizations." in ref.name else ref.module
        return self.own.get(path, {})

    def info(self, path: str) -> ModuleInfo:
        """Class and hyperparameters of a module; of an unknown one nothing."""
        return self.source.modules.get(path, _NO_MODULE)

    def trusted(self, path: str) -> bool:
        """Whether the class of a module is known, and of a library whose class names the rules know."""
        info = self.info(path)
        return bool(info.kind) and info.library in LIBRARIES

    def config_path(self, path: str) -> str | None:
        """Path of the nearest module around that has a configuration, None if there is none."""
        if not self._configs:
            return None
        while path not in self._configs:
            if not path:
                return None
            path = path.rpartition(".")[0]
        return path

    def config(self, path: str) -> Mapping[str, Any]:
        """The nearest configuration; in files, where there is one for all, with that of the part of the model first.

        What the configuration of the text model says is listed without its prefix, and so on.
        """
        found = self.config_path(path)
        if found is None:
            return {}
        hyper = self._configs[found].hyper
        part = "vision_config" if re.search(r"visi|visual|image", path) else "audio_config" if "audio" in path else ""
        for prefix in (part, "text_config"):
            inner = {key.partition(".")[2]: value for key, value in hyper.items() if key.startswith(f"{prefix}.")}
            if prefix and inner:
                return {**hyper, **inner}
        half = "decoder" if "decoder" in path.split(".") else "encoder"
        for key in (f"{half}_attention_heads", f"num_{half}_attention_heads"):
            if key in hyper:
                return {**hyper, "num_attention_heads": hyper[key]}
        return hyper

    def is_rotary(self, path: str) -> bool | None:
        """Whether positions rotate the queries and keys of an attention layer; None if that is not known."""
        own = self.info(path).hyper
        config = self.config(path)
        if self.config_path(path) in self._rotary or any("rotary" in key for key in own):
            return True
        if config.get("rotary_dim") or config.get("position_embedding_type") == "rotary":
            return True
        return False if self.info(path).library == "transformers" else None


def logical_path(path: str) -> str:
    """Path of a module without the parts that wrappers put in."""
    if "_" in path:
        path = _BETWEEN.sub("", path).removesuffix(".")
    return path.removesuffix(".linear")
