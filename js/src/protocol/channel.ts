/** A channel followed through the network. Mirrors weightwidget/wire/protocol/channel.py. */

// biome-ignore lint/suspicious/noEmptyInterface: filled in with the view
export interface ChannelRequests {}
