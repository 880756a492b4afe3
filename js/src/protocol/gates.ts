/** The gates of a recurrent layer. Mirrors weightwidget/wire/protocol/gates.py. */

// biome-ignore lint/suspicious/noEmptyInterface: filled in with the view
export interface GatesRequests {}
