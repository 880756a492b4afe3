"""Runs live Keras layers and stores their weights, inputs and outputs: ``python keras_layers.py out.npz``.

In a process of its own, with the backend that the environment names.
"""

from __future__ import annotations

import json
import sys

import keras
import numpy as np

STEPS, INPUTS, UNITS = 5, 3, 4


def cases() -> dict[str, keras.layers.Layer]:
    layers = keras.layers
    return {
        "LSTM": layers.LSTM(UNITS, return_sequences=True),
        "LSTM without bias": layers.LSTM(UNITS, use_bias=False, return_sequences=True),
        "GRU reset_after": layers.GRU(UNITS, reset_after=True, return_sequences=True),
        "GRU reset before": layers.GRU(UNITS, reset_after=False, return_sequences=True),
        "SimpleRNN": layers.SimpleRNN(UNITS, return_sequences=True),
        "Bidirectional LSTM": layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True)),
        "Bidirectional GRU": layers.Bidirectional(layers.GRU(UNITS, return_sequences=True)),
    }


def main() -> None:
    generator = np.random.default_rng(0)
    out: dict[str, np.ndarray] = {}
    for case, layer in cases().items():
        inputs = generator.normal(size=(STEPS, INPUTS)).astype(np.float32)
        layer.build((1, STEPS, INPUTS))
        layer.set_weights([generator.normal(size=array.shape) for array in layer.get_weights()])
        directions = {"": layer}
        if isinstance(layer, keras.layers.Bidirectional):
            directions = {"forward_layer.": layer.forward_layer, "backward_layer.": layer.backward_layer}
        modules = {"rnn": type(layer).__name__}
        for prefix, one in directions.items():
            names = [variable.name for variable in one.weights]
            for name, array in zip(names, one.get_weights(), strict=True):
                out[f"{case}/weight:rnn.{prefix}cell.{name}"] = array
            path = f"rnn.{prefix}".removesuffix(".")
            modules[path] = type(one).__name__
            modules[f"{path}.cell"] = type(one.cell).__name__
        out[f"{case}/modules"] = np.array(json.dumps(modules))
        out[f"{case}/inputs"] = inputs
        out[f"{case}/outputs"] = keras.ops.convert_to_numpy(layer(inputs[None]))[0]
    np.savez(sys.argv[1], **out)


if __name__ == "__main__":
    main()
