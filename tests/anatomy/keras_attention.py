"""Runs live Keras layers and stores their weights, inputs and outputs: ``python keras_attention.py out.npz``.

In a process of its own, with the backend that the environment names.
"""

from __future__ import annotations

import json
import sys

import keras
import numpy as np

TOKENS, WIDTH = 6, 10


def main() -> None:
    generator = np.random.default_rng(0)
    layers = keras.layers
    cases = {
        "attention": layers.MultiHeadAttention(3, 4, value_dim=5, name="mha"),
        "grouped": layers.GroupQueryAttention(4, 6, 2, name="mha"),
        "dense": layers.Dense(7, name="dense"),
        "einsum": layers.EinsumDense("abc,cd->abd", output_shape=(None, 7), bias_axes="d", name="einsum"),
        "norm": layers.LayerNormalization(name="norm"),
        "batch": layers.BatchNormalization(name="batch"),
    }
    out: dict[str, np.ndarray] = {}
    for case, layer in cases.items():
        inputs = generator.normal(size=(1, TOKENS, WIDTH)).astype(np.float32)
        arguments = (inputs, inputs) if layer.name == "mha" else (inputs,)
        layer(*arguments)
        layer.set_weights([generator.normal(size=array.shape) for array in layer.get_weights()])
        kinds: dict[str, tuple[str, dict[str, str]]] = {}
        for one in layer._flatten_layers():
            path = layer.name if one is layer else f"{layer.name}.{one.name}"
            equation = getattr(one, "equation", None)
            kinds[path] = type(one).__name__, {"equation": equation} if equation else {}
        for variable, array in zip(layer.weights, layer.get_weights(), strict=True):
            name = variable.path.replace("/", ".")
            name = name if name.startswith(layer.name) else f"{layer.name}.{name.partition('.')[2]}"
            out[f"{case}/weight:{name}"] = array
        out[f"{case}/modules"] = np.array(json.dumps(kinds))
        out[f"{case}/inputs"] = inputs
        out[f"{case}/outputs"] = keras.ops.convert_to_numpy(layer(*arguments))
    np.savez(sys.argv[1], **out)


if __name__ == "__main__":
    main()
