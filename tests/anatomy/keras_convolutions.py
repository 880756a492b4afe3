"""Runs live Keras convolutions and stores their kernels and answers: ``python keras_convolutions.py out.npz``.

In a process of its own, with the backend that the environment names.
"""

from __future__ import annotations

import json
import sys

import keras
import numpy as np

SIDE, INPUTS = 9, 4


def cases() -> dict[str, keras.layers.Layer]:
    layers = keras.layers
    return {
        "Conv1D": layers.Conv1D(6, 5, padding="same"),
        "Conv2D": layers.Conv2D(6, (3, 5), padding="same"),
        "Conv2D with groups": layers.Conv2D(6, (3, 5), groups=2, padding="same"),
        "Conv3D": layers.Conv3D(6, (3, 5, 3), padding="same"),
        "DepthwiseConv2D": layers.DepthwiseConv2D((3, 5), depth_multiplier=2, padding="same"),
        "Conv2DTranspose": layers.Conv2DTranspose(6, (3, 5), padding="same"),
    }


def main() -> None:
    generator = np.random.default_rng(0)
    out: dict[str, np.ndarray] = {}
    for case, layer in cases().items():
        kind = type(layer).__name__
        ndim = int(kind.removesuffix("Transpose")[-2])
        shape = (1, *[SIDE] * ndim, INPUTS)
        layer.build(shape)
        layer.set_weights([generator.normal(size=array.shape) for array in layer.get_weights()])
        kernel, bias = layer.get_weights()
        answers = []
        for channel in range(INPUTS):
            pixel = np.zeros(shape, np.float32)
            pixel[(0, *[SIDE // 2] * ndim, channel)] = 1.0
            answer = layer(pixel)
            answers.append(keras.ops.convert_to_numpy(answer)[0] - bias)
        out[f"{case}/kernel"] = kernel
        out[f"{case}/bias"] = bias
        out[f"{case}/answers"] = np.stack(answers)
        out[f"{case}/about"] = np.array(json.dumps({"kind": kind, "groups": int(getattr(layer, "groups", 1))}))
    np.savez(sys.argv[1], **out)


if __name__ == "__main__":
    main()
