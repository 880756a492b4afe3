/** The filters of a convolution. Mirrors weightwidget/wire/protocol/filters.py. */

// biome-ignore lint/suspicious/noEmptyInterface: filled in with the view
export interface FiltersRequests {}
