"""How much of many architectures the rules know: ``python -m tests.anatomy.coverage`` prints a table."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn

from tests.anatomy.architectures import CONFIGS, PLAIN, build
from weightwidget import Anatomy, open_weights


@dataclass
class Coverage:
    """Shares of a model's parameters, each tied weight counted once; buffers are not counted.

    Attributes
    ----------
    parameters
        How many there are.
    certain, guessed, unknown
        Shares, together 1.
    open
        Names and shapes of the parameters that are guessed or unknown.
    """

    parameters: int = 0
    certain: float = 0.0
    guessed: float = 0.0
    unknown: float = 0.0
    open: list[str] = field(default_factory=list)


def coverage(model: nn.Module) -> Coverage:
    """How much is known of a model."""
    source = open_weights(model)
    anatomy = Anatomy(source)
    counts = {"certain": 0, "guessed": 0, "unknown": 0}
    found = Coverage()
    for name, ref in source.tensors.items():
        if ref.shared_with is None and ref.role not in ("buffer", "mask"):
            axes = anatomy[name]
            state = "unknown" if not axes.known else "certain" if axes.certain else "guessed"
            counts[state] += ref.numel
            if state != "certain":
                found.open.append(f"{name} {ref.shape} {state}")
    found.parameters = sum(counts.values())
    found.certain, found.guessed, found.unknown = (count / found.parameters for count in counts.values())
    return found


def model_of(name: str) -> nn.Module:
    """A small model: of transformers, without values, or a plain one."""
    return build(name) if name in CONFIGS else PLAIN[name]()


def main() -> None:
    """Print the table."""
    print(f"{'architecture':32}{'parameters':>12}{'certain':>10}{'guessed':>10}{'unknown':>10}")
    for name in (*CONFIGS, *PLAIN):
        found = coverage(model_of(name))
        shares = "".join(f"{100 * share:9.1f}%" for share in (found.certain, found.guessed, found.unknown))
        print(f"{name:32}{found.parameters:12,}{shares}")
        for line in found.open:
            print(f"    {line}")


if __name__ == "__main__":
    main()
