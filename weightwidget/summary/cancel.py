"""How work that is no longer wanted ends."""


class Cancelled(Exception):  # noqa: N818 - not an error: somebody asked for it
    """Raised by a computation whose `cancelled` callback said yes."""
