"""How long a cell takes until the tree is on the screen, in a real JupyterLab: ``python -m benchmarks.first_paint``.

Every run has a kernel of its own, with torch imported and the weights loaded, as it is in practice. The clock starts
when the cell is executed, which imports weightwidget, and stops when the browser has painted the tree's rows. The
kernels of Numba are on disk, or not, or not allowed: a first paint must not depend on them. What is compiled and what
the tests drive is of this clone: ``make bench`` builds it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from benchmarks.models import minilm_path
from benchmarks.side_by_side import ROUNDS, Row, row_of, table
from tests import servers
from tests.browser import chromium

SETUP = """
import os
os.environ["NUMBA_CACHE_DIR"] = {cache!r}
os.environ["WEIGHTWIDGET_NO_NUMBA"] = {switch!r}
import torch
{model}
print("loaded")
"""

MODELS = {
    "all-MiniLM-L6-v2": "from safetensors.torch import load_file; state = load_file({path!r})",
    "10⁹ bfloat16": "state = {{f'layer.{{k}}.weight': torch.zeros(2560, 2604, dtype=torch.bfloat16) + k "
    "for k in range(150)}}",
}

CELL = "from weightwidget import WeightExplorer\nWeightExplorer(state)"

PAINTED = """async () => {
    const start = performance.now();
    const rows = () => document.querySelectorAll(".jp-Notebook .weightwidget [role=treeitem]").length;
    const seen = new Promise((resolve) => {
        const look = () => rows() ? resolve() : requestAnimationFrame(look);
        look();
    });
    jupyterapp.commands.execute("notebook:run-cell");
    await seen;
    await new Promise(requestAnimationFrame);
    return performance.now() - start;
}"""


def paint(browser: Browser, address: str, root: Path, setup: str, number: int) -> float:
    """Seconds from running the cell to the painted tree, in a fresh kernel."""
    name = f"run-{number}.ipynb"
    servers.write_notebook(root / name, [setup, CELL])
    page = browser.new_page(viewport={"width": 1500, "height": 1000})
    page.goto(f"{address}/lab/tree/{name}?reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    page.wait_for_function(
        "() => jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'", timeout=60_000
    )
    page.evaluate("() => jupyterapp.commands.execute('notebook:run-cell-and-select-next')")
    page.get_by_text("loaded", exact=True).wait_for(timeout=60_000)
    page.wait_for_timeout(500)  # whatever the page and the kernel still have to do
    milliseconds = page.evaluate(PAINTED)
    page.evaluate("() => jupyterapp.serviceManager.sessions.shutdownAll()")
    page.close()
    return float(milliseconds) / 1000


def measure(rounds: int = min(ROUNDS, 3)) -> list[Row]:
    """Seconds to the first paint, of several models, the cases in turn."""
    path = minilm_path()
    models = {
        name: code.format(path=str(path)) for name, code in MODELS.items() if path is not None or "path" not in code
    }
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home = Path(folder)
        root = home / "root"
        root.mkdir()
        kept = home / "kept"
        compile_into(kept)
        port = servers.free_port()
        address = f"http://127.0.0.1:{port}"
        command = lab_command(home, root, port)
        browser = playwright.chromium.launch(executable_path=chromium.installed(), args=chromium.FLAGS)
        found: dict[tuple[str, str], list[float]] = {}
        with servers.serving(command, home, root, address):
            # The server's first page takes longer.
            paint(browser, address, root, SETUP.format(cache=str(kept), switch="0", model=models["10⁹ bfloat16"]), 0)
            number = 0
            for _ in range(rounds):
                for of, model in models.items():
                    for case in ("kernels on disk", "no kernels on disk", "Numba not allowed"):
                        number += 1
                        cache = str(kept if case == "kernels on disk" else home / f"empty-{number}")
                        setup = SETUP.format(cache=cache, switch=str(int(case == "Numba not allowed")), model=model)
                        found.setdefault((of, case), []).append(paint(browser, address, root, setup, number))
        browser.close()
    return [row_of(of, f"cell run to tree painted, {case}", times, "s") for (of, case), times in found.items()]


def compile_into(cache: Path) -> None:
    """Have the kernels compiled and kept in a folder."""
    code = "from benchmarks.scanning import KERNELS; from weightwidget.summary import fused; "
    code += "assert fused.KERNELS.load(KERNELS)"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"NUMBA_CACHE_DIR": str(cache)})


def lab_command(home: Path, root: Path, port: int) -> list[str]:
    """What starts a JupyterLab with this clone's extension."""
    extensions = home / "labextensions"
    extensions.mkdir()
    (extensions / "weightwidget").symlink_to(servers.ROOT / "weightwidget" / "labextension")
    return [
        *(sys.executable, "-m", "jupyter", "lab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"),
        *servers.JUPYTER_FLAGS,
        f"--ServerApp.root_dir={root}",
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.extension_manager=readonly",
        f"--LabApp.extra_labextensions_path={extensions}",
    ]


def main() -> None:
    """Print all rows."""
    print(table(measure()))


if __name__ == "__main__":
    main()
