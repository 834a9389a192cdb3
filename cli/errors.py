"""Why a command could not do what it was asked."""


class NotDone(Exception):
    """Something failed or was not found. The text says what, and what to do."""


class Gone(NotDone):
    """What was asked for is not there, or not any more. Others may well be."""


class ReaderGone(Exception):
    """Whoever read our output has enough, as `head` does. Nothing is wrong."""


class Disconnected(NotDone):
    """The ledger, or the service that has it, does not answer at the moment. Asking again can help."""
