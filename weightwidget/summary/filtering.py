"""Which tensors of a source pass the query and the facets. The front end applies the same rules (`js/src/query.ts`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from weightwidget.sources.base import WeightSource
from weightwidget.summary.query import Query, TensorTable, compile_query, within_facets
from weightwidget.summary.record import TensorSummary
from weightwidget.summary.table import statistic_columns
from weightwidget.summary.tree import ancestors


class TensorFilter:
    """The filter of one source.

    Parameters
    ----------
    source
        The weights. Only names, shapes, types and classes are read.
    """

    def __init__(self, source: WeightSource) -> None:
        self._refs = list(source.tensors.values())
        self._kinds = [
            [source.modules[path].kind for path in ancestors(ref.name) if path in source.modules] for ref in self._refs
        ]
        self._query = compile_query("")
        self._columns: dict[str, np.ndarray] = {}
        self._columns_of: list[TensorSummary | None] = []

    def error(self, query: str) -> str:
        """What is wrong with a query; empty if nothing is."""
        return self._compiled(query).error

    def visible(
        self, query: str, facets: Mapping[str, Sequence[float]], records: Mapping[str, TensorSummary]
    ) -> list[str]:
        """Names of the tensors that pass, in the model's order.

        Parameters
        ----------
        query
            Text of the filter language (`weightwidget.summary.query`).
        facets
            Range per statistic, ends included.
        records
            What is summarised so far. A statistic that is not known passes only ``!=``.
        """
        table = TensorTable(
            names=[ref.name for ref in self._refs],
            kinds=self._kinds,
            roles=[ref.role for ref in self._refs],
            dtypes=[ref.dtype for ref in self._refs],
            shapes=[ref.shape for ref in self._refs],
            columns=self._statistics(records),
        )
        passes = self._compiled(query).matches(table) & within_facets(table, facets)
        return [ref.name for ref, passed in zip(self._refs, passes, strict=True) if passed]

    def _compiled(self, query: str) -> Query:
        if self._query.text != query:
            self._query = compile_query(query)
        return self._query

    def _statistics(self, records: Mapping[str, TensorSummary]) -> dict[str, np.ndarray]:
        found = [records.get(ref.name) for ref in self._refs]
        if self._columns_of and all(a is b for a, b in zip(found, self._columns_of, strict=True)):
            return self._columns
        known = np.array([record is not None for record in found], bool)
        columns = {}
        for key, values in statistic_columns([record for record in found if record is not None]).items():
            columns[key] = np.full(len(found), np.nan)
            columns[key][known] = values
        # Known without a scan, and so they filter from the start, as in the front end.
        columns["count"] = np.array([ref.numel for ref in self._refs], np.float64)
        columns["bytes"] = np.array([ref.nbytes for ref in self._refs], np.float64)
        self._columns, self._columns_of = columns, found
        return columns
