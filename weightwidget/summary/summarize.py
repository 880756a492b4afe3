"""`summarize`: the summary of a whole model, by the package's own threads or by anybody's executor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any, cast

from weightwidget.sources.base import WeightSource
from weightwidget.sources.names import visible
from weightwidget.sources.saved import SavedSource
from weightwidget.sources.shards import is_spread_out
from weightwidget.summary.model import ModelSummary
from weightwidget.summary.record import TensorSummary, with_name
from weightwidget.summary.remote import entries_of, summarize_remotely
from weightwidget.summary.scan import Scan


def summarize(
    obj: Any,
    executor: Executor | None = None,
    progress: Callable[[float], None] | None = None,
    norms: bool = True,
) -> ModelSummary:
    """Summarise every tensor of a model in one pass over its memory.

    Of a model that is spread over several processes by ``torch.distributed`` (FSDP's ``fully_shard``, tensor
    parallelism, any DTensor), each process must call this: each measures what it holds, and all get the same summary.

    Parameters
    ----------
    obj
        A `WeightSource`, or whatever `weightwidget.open_weights` takes. Of a saved summary, that summary.
    executor
        Where to run: any ``concurrent.futures.Executor``, such as Dask's ``client.get_executor()``. By default threads
        of the package's own. What is sent names tensors and rows, and holds no weights: other processes and machines
        must find files under the same path, and tensors in memory can be summarised by threads only.
    progress
        Called now and then, from other threads, with the share that is done, 0 to 1.
    norms
        Whether the norms of rows and columns are wanted. Without them the scan is faster, `TensorSummary.row_norms` and
        `TensorSummary.column_norms` are None, and what is told of single rows and columns (dead or unusual channels,
        norms of filters) is left out or looked up in the weights when it is asked for.

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
        return _summarize_source(obj, executor, progress, norms)
    from weightwidget.sources import open_weights

    source = open_weights(obj)
    try:
        return _summarize_source(source, executor, progress, norms)
    finally:
        source.close()


def _summarize_source(
    source: WeightSource, executor: Executor | None, progress: Callable[[float], None] | None, norms: bool
) -> ModelSummary:
    if isinstance(source, SavedSource):
        return cast("ModelSummary", source.summary)
    if is_spread_out(source):
        if executor is not None:
            raise TypeError(
                "a model that is spread over several processes is summarised by them: leave the executor out"
            )
        from weightwidget.summary.sharded import summarize_shards  # needs torch.distributed

        return complete(source, summarize_shards(source, progress, norms))
    if executor is not None:
        return complete(source, summarize_remotely(entries_of(source), executor, progress, norms))
    scan = Scan(source, progress, norms=norms).start()
    try:
        scan.wait()
    except BaseException:  # the user's interrupt above all: the threads must not go on reading
        scan.cancel()
        scan.wait()
        raise
    if scan.status != "ready":
        raise RuntimeError(f"the scan of {visible(source.name)} {scan.status}; the log of weightwidget says why")
    return scan.summary()


def complete(source: WeightSource, found: Mapping[str, TensorSummary]) -> ModelSummary:
    """Summary of a source, of the records of its tensors: those of tied ones need not be among them."""
    kinds = {path: info.kind for path, info in source.modules.items()}
    tensors = {}
    for name, ref in source.tensors.items():
        if name in found:
            tensors[name] = found[name]
        else:
            first = ref.shared_with or name
            tensors[name] = with_name(found[first], name, kinds.get(ref.module, ""), ref.role, first)
    return ModelSummary(source.name, tensors, source.modules)
