/** Mixtures of experts: layer by expert. Mirrors weightwidget/wire/protocol/experts.py. */

// biome-ignore lint/suspicious/noEmptyInterface: filled in with the view
export interface ExpertsRequests {}
