"""What a file is, told by its first bytes: people's files are often something else than their names say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from weightwidget.sources.base import WeightFileError

Kind = Literal["safetensors", "torch", "index", ""]

TORCH_SUFFIXES = frozenset({".pt", ".pth", ".bin", ".ckpt"})

# The first object of torch's format before 1.6: a pickled magic number.
_TORCH_LEGACY = re.compile(rb"\x80.\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19\.", re.DOTALL)

_FOREIGN = {
    ".h5": "load it with Keras and pass {w.path: w.numpy() for w in model.weights}",
    ".hdf5": "load it with Keras and pass {w.path: w.numpy() for w in model.weights}",
    ".keras": "load it with Keras and pass {w.path: w.numpy() for w in model.weights}",
    ".gguf": "read it with the gguf package and pass a dictionary of name to (dequantised) NumPy array",
    ".onnx": "pass {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}",
    ".npz": "pass dict(numpy.load(path))",
    ".npy": "pass {name: numpy.load(path, mmap_mode='r')}",
    ".msgpack": "restore it with Flax and pass the nested dictionary of NumPy arrays",
    ".pb": "load it with TensorFlow and pass a dictionary of name to NumPy array",
    ".tflite": "read it with TensorFlow and pass a dictionary of name to NumPy array",
    ".index": "read it with tf.train.load_checkpoint(prefix) and pass a dictionary of name to NumPy array",
}

_PICKLES = frozenset({".pkl", ".pickle", ".joblib", ".dill"})


def kind_of_file(path: Path) -> Kind:
    """Which reader a file is for.

    Raises
    ------
    WeightFileError
        If none is, or if the bytes show that the file is not what its name says; with the remedy.
    """
    suffix = path.suffix.lower()
    head = first_bytes(path)
    refuse_impostors(path, head)
    if suffix == ".safetensors":
        return "safetensors"
    if suffix == ".json":
        return "index"
    if (
        suffix in TORCH_SUFFIXES
        or _TORCH_LEGACY.match(head)
        or (head.startswith(b"PK\x03\x04") and suffix not in _FOREIGN)
    ):
        return "torch"
    if suffix in _FOREIGN:
        raise WeightFileError(f"{path}: {suffix} files are not supported yet. Meanwhile {_FOREIGN[suffix]}.")
    if suffix in _PICKLES or head[:1] == b"\x80":
        raise WeightFileError(
            f"{path}: a plain pickle can run any code when it is loaded, so it is not opened. If you trust "
            "it, load it yourself and pass the model, or its tensors in a dictionary."
        )
    if len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**32:
        return "safetensors"
    raise WeightFileError(
        f"{path}: this is not a kind of file that can be opened ({suffix or 'no'} suffix). Supported: "
        ".safetensors, a folder or .index.json of them, .pt, .pth, .bin, .ckpt."
    )


def first_bytes(path: Path) -> bytes:
    """Read the first 64 bytes of a file.

    Raises
    ------
    WeightFileError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError as error:
        raise WeightFileError(f"{path}: the file cannot be opened: {error.strerror}.") from error


def refuse_impostors(path: Path, head: bytes) -> None:
    """Name the usual things that lie where weights should.

    Raises
    ------
    WeightFileError
        If the file is empty, a Git LFS pointer, a web page, or another format under a wrong name.
    """
    if not head:
        raise WeightFileError(f"{path}: the file is empty (0 bytes). Download or save it again.")
    if head.startswith(b"version https://git-lfs"):
        raise WeightFileError(
            f"{path}: this is a Git LFS pointer, not the weights. Run `git lfs pull` in its repository."
        )
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise WeightFileError(
            f"{path}: this is a web page, not weights: the download went wrong. Download the file itself "
            "(a Hub address needs /resolve/ instead of /blob/)."
        )
    suffix = path.suffix.lower()
    if head.startswith(b"GGUF") and suffix != ".gguf":
        raise WeightFileError(f"{path}: this is a GGUF file, not {suffix}. Not supported yet: {_FOREIGN['.gguf']}.")
    if head.startswith(b"\x89HDF") and suffix not in {".h5", ".hdf5"}:
        raise WeightFileError(f"{path}: this is an HDF5 file, not {suffix}. Not supported yet: {_FOREIGN['.h5']}.")
    if suffix == ".safetensors" and (head.startswith(b"PK\x03\x04") or _TORCH_LEGACY.match(head)):
        raise WeightFileError(f"{path}: this is a PyTorch file, not safetensors. Rename it to end in .pt.")
    if suffix in TORCH_SUFFIXES and len(head) > 10 and head[8:10] in {b'{"', b"{}"}:
        raise WeightFileError(f"{path}: this is a safetensors file. Rename it to end in .safetensors.")
