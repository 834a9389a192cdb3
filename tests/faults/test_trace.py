"""The look into the system calls can fail: an answer that leaves before the disk has said yes is found."""

from pathlib import Path

from tests.faults.trace import Calls

SAFE = """
100 1.000000 read(23, "POST /webhooks/stripe HTTP/1.1\\r\\n"..., 256000) = 900 <0.00001>
101 1.010000 fdatasync(13)   = 0 <0.002000>
100 1.020000 write(23, "HTTP/1.1 200 OK\\r\\n"..., 127) = 127 <0.0001>
"""

INTERRUPTED = """
100 2.000000 read(23, "POST /webhooks/stripe HTTP/1.1\\r\\n"..., 256000) = 900 <0.00001>
101 2.010000 fdatasync(13 <unfinished ...>
101 2.030000 <... fdatasync resumed>)  = 0 <0.020000>
100 2.040000 write(23, "HTTP/1.1 200 OK\\r\\n"..., 127) = 127 <0.0001>
"""

TOO_EARLY = """
101 2.990000 fdatasync(13)   = 0 <0.002000>
100 3.000000 read(23, "POST /webhooks/stripe HTTP/1.1\\r\\n"..., 256000) = 900 <0.00001>
101 3.010000 fdatasync(13)   = 0 <0.050000>
100 3.020000 write(23, "HTTP/1.1 200 OK\\r\\n"..., 127) = 127 <0.0001>
"""


def test_an_answer_before_the_end_of_its_sync_is_found(tmp_path: Path) -> None:
    seen = tmp_path / "strace"
    seen.write_text(SAFE + INTERRUPTED + TOO_EARLY)
    calls = Calls(seen)

    safe = [calls.synced_between(each.began, each.answered) for each in calls.answers()]

    assert safe == [True, True, False]
