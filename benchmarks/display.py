"""What displaying an explorer costs beside the widget: ``python -m benchmarks.display``.

The picture, the page and the text are made each time that an explorer is the value of a cell.
"""

from __future__ import annotations

from benchmarks.models import experts, minilm_path
from benchmarks.side_by_side import ROUNDS, Row, row_of, table, timed
from weightwidget import WeightExplorer


def bundle(of: str, explorer: WeightExplorer, rounds: int = ROUNDS) -> list[Row]:
    """How long a display bundle takes, the first time and then, and how large its parts are."""
    times = [1000 * timed(explorer._repr_mimebundle_) for _ in range(rounds + 1)]
    data, _ = explorer._repr_mimebundle_()
    sizes = ", ".join(f"{mime} {len(data[mime]) / 1000:.0f} kB" for mime in ("text/html", "image/png", "text/plain"))
    return [row_of(of, "displayed first", times[:1], "ms"), row_of(of, "displayed again", times[1:], "ms", note=sizes)]


def measure() -> list[Row]:
    """A real transformer and a model of very many tensors, while it is scanned and after."""
    rows = []
    if (path := minilm_path()) is not None:
        rows += bundle("all-MiniLM-L6-v2", WeightExplorer(path).wait())
    state = experts()
    explorer = WeightExplorer(state, patience=0)
    rows += bundle(f"{len(state):,} tensors, scanning", explorer, min(ROUNDS, 3))
    return rows + bundle(f"{len(state):,} tensors", explorer.wait())


def main() -> None:
    """Print all rows."""
    print(table(measure()))


if __name__ == "__main__":
    main()
