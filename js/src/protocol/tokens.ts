/** The vectors of an embedding. Mirrors weightwidget/wire/protocol/tokens.py. */

// biome-ignore lint/suspicious/noEmptyInterface: filled in with the view
export interface TokensRequests {}
