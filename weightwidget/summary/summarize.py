"""`summarize`: the summary of a whole model, by the package's own threads or by anybody's executor."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import Executor, Future, as_completed
from typing import Any, cast

from weightwidget.sources.base import TensorRef, WeightSource
from weightwidget.sources.names import visible
from weightwidget.sources.saved import SavedSource
from weightwidget.summary.kernel import summarize_tensor, unreadable
from weightwidget.summary.model import ModelSummary
from weightwidget.summary.record import TensorSummary, with_name
from weightwidget.summary.scan import Scan


def summarize(
    obj: Any, executor: Executor | None = None, progress: Callable[[float], None] | None = None
) -> ModelSummary:
    """Summarise every tensor of a model in one pass over its memory.

    Parameters
    ----------
    obj
        A `WeightSource`, or whatever `weightwidget.open_weights` takes. Of a saved summary, that summary.
    executor
        Where to run: any ``concurrent.futures.Executor``. By default threads of the package's own.
    progress
        Called now and then, from other threads, with the share that is done, 0 to 1.

    Returns
    -------
    ModelSummary
        The records of all tensors. Those that could not be read say why in `error`, see
        `ModelSummary.errors`.

    Raises
    ------
    TypeError
        If `obj` is nothing that can be opened, or the executor runs in other processes and the tensors
        cannot be sent there.
    WeightFileError
        If a file is missing, damaged or refused.
    """
    if isinstance(obj, WeightSource):
        return _summarize_source(obj, executor, progress)
    from weightwidget.sources import open_weights

    source = open_weights(obj)
    try:
        return _summarize_source(source, executor, progress)
    finally:
        source.close()


def _summarize_source(
    source: WeightSource, executor: Executor | None, progress: Callable[[float], None] | None
) -> ModelSummary:
    if isinstance(source, SavedSource):
        return cast("ModelSummary", source.summary)
    if executor is not None:
        return _on_executor(source, executor, progress)
    scan = Scan(source, progress).start()
    try:
        scan.wait()
    except BaseException:  # the user's interrupt above all: the threads must not go on reading
        scan.cancel()
        scan.wait()
        raise
    if scan.status != "ready":
        raise RuntimeError(f"the scan of {visible(source.name)} {scan.status}; the log of weightwidget says why")
    return scan.summary()


def _on_executor(source: WeightSource, executor: Executor, progress: Callable[[float], None] | None) -> ModelSummary:
    kinds = {path: info.kind for path, info in source.modules.items()}
    futures: dict[Future[TensorSummary], TensorRef] = {}
    for name, ref in source.tensors.items():
        if ref.shared_with is None or ref.shared_with == name or ref.shared_with not in source.tensors:
            futures[executor.submit(summarize_tensor, ref, kinds.get(ref.module, ""))] = ref
    found: dict[str, TensorSummary] = {}
    total = sum(ref.numel for ref in futures.values())
    done = 0
    try:
        for future in as_completed(futures):
            ref = futures[future]
            found[ref.name] = _result(future, ref, kinds.get(ref.module, ""))
            done += ref.numel
            if progress is not None:
                progress(done / total if total else 1.0)
    except BaseException:
        for future in futures:
            future.cancel()
        raise
    tensors = {}
    for name, ref in source.tensors.items():
        if name in found:
            tensors[name] = found[name]
        else:
            first = ref.shared_with or name
            tensors[name] = with_name(found[first], name, kinds.get(ref.module, ""), ref.role, first)
    return ModelSummary(source.name, tensors, source.modules)


def _result(future: Future[TensorSummary], ref: TensorRef, kind: str) -> TensorSummary:
    try:
        return future.result()
    except Exception as error:
        if isinstance(error, pickle.PicklingError) or "pickle" in str(error):
            raise TypeError(
                f"tensor {ref.name!r} cannot be sent to another process ({error}): use an executor of threads, or none"
            ) from error
        return unreadable(ref, kind, f"{type(error).__name__}: {error}")
