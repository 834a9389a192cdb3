"""How commands end that run until somebody ends them."""

import signal


class Ending:
    """What Ctrl-C and SIGTERM do: they interrupt, and are remembered, because Python drops what strikes a finalizer."""

    def __init__(self) -> None:
        self._asked_for = False

    def listen(self) -> None:
        """Take the signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._strike)

    def is_asked_for(self) -> bool:
        """Whether a signal came."""
        return self._asked_for

    def _strike(self, _number: int, _frame: object) -> None:
        self._asked_for = True
        raise KeyboardInterrupt
