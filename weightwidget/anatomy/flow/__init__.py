"""Links between layers: output row j of one is input column j of the next.

`links` finds them by what is known of the architecture and, as a guess, by the order of modules; `trace` by running
the model's own code on a copy without weights.
"""

from __future__ import annotations

from weightwidget.anatomy.flow.copying import TraceError
from weightwidget.anatomy.flow.links import links
from weightwidget.anatomy.flow.spaces import Flow, Member, Space
from weightwidget.anatomy.flow.tracing import trace

__all__ = ["Flow", "Member", "Space", "TraceError", "links", "trace"]
