/** The heads of attention layers. Mirrors weightwidget/wire/protocol/heads.py. */

// biome-ignore lint/suspicious/noEmptyInterface: filled in with the view
export interface HeadsRequests {}
