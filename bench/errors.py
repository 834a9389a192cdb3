"""What can come of a benchmark instead of a number."""


class Skipped(Exception):
    """This machine lacks something that the benchmark needs. The text says what."""


class CheckFailed(Exception):
    """What was measured did not do what it was measured for: the number would be worth nothing."""
