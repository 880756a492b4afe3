/** Records of blocks. Mirrors weightwidget/wire/protocol/records.py. */

// biome-ignore lint/suspicious/noEmptyInterface: filled in with the view
export interface RecordsRequests {}
