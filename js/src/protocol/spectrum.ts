/** Singular values of a matrix. Mirrors weightwidget/wire/protocol/spectrum.py. */

// biome-ignore lint/suspicious/noEmptyInterface: filled in with the view
export interface SpectrumRequests {}
