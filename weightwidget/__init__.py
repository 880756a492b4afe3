"""Look inside trained neural networks from a notebook.

``WeightExplorer(model)`` in a cell shows a layer tree linked to heatmap, histogram and filter panels.
"""

from weightwidget.anatomy.anatomy import Anatomy, axes
from weightwidget.anatomy.axes import Axes, Split
from weightwidget.anatomy.rules.custom import register_anatomy
from weightwidget.detail.spectrum import Spectrum, spectrum
from weightwidget.explorer import WeightExplorer
from weightwidget.sources import open_weights
from weightwidget.sources.base import WeightFileError
from weightwidget.summary import opening as _opening  # noqa: F401 - opens files of summaries
from weightwidget.summary.model import ModelSummary
from weightwidget.summary.record import TensorSummary
from weightwidget.summary.summarize import summarize

__version__ = "0.1.0"

__all__ = [
    "Anatomy",
    "Axes",
    "ModelSummary",
    "Spectrum",
    "Split",
    "TensorSummary",
    "WeightExplorer",
    "WeightFileError",
    "axes",
    "open_weights",
    "register_anatomy",
    "spectrum",
    "summarize",
]
