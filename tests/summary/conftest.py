"""The three kernels, of which each must pass what all are tested for."""

from __future__ import annotations

import pytest

from weightwidget.summary import device, fused, streaming
from weightwidget.summary.compiling import SWITCH

KERNEL_NAMES = ("float32", "moved float32", "float64", "bfloat16", "16 bits", "8 bits")

OTHERS = (
    "usual float32",
    "usual float64",
    "batch float32",
    "batch bfloat16",
    "bare float32",
    "bare bfloat16",
    "infinite",
)


@pytest.fixture(params=["compiled", "torch", "device"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The kernel in use. That for accelerators takes tensors in memory for such on a device."""
    if request.param == "compiled":
        assert fused.KERNELS.load((*fused.ENDS, *OTHERS, *KERNEL_NAMES))
    else:
        monkeypatch.setenv(SWITCH, "1")
    if request.param == "device":
        monkeypatch.setattr(streaming, "on_device", lambda held: held is not None)
        monkeypatch.setattr(device, "DEVICE_BLOCK", 1 << 15)
        monkeypatch.setattr(device, "TABLES", 2)
    return request.param
