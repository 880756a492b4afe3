"""One pass over all weights: the records, how they merge, the layer tree and the filter language."""
