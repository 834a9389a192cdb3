"""Many payments fail in a minute: a handful of messages tell of all, at most one a second, in flat memory."""

import json
import logging
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

from tests.cli.dev.waiting import descendants
from tests.system.parcel import Parcel, make_parcel
from tests.system.sender import Sender
from tests.system.service import Service
from tests.system.slack_stand_in import FINANCE, SlackStandIn

MANY = int(os.environ.get("HOOKLINE_STORM", "300"))
# Ten thousand have been tried, and may be tried again.

HANDFUL = 15
GROWTH_MIB = 48.0

FOLDED = re.compile(r"^TEST: ([\d,]+) failed payments, ([\d,]+) customers, ")

log = logging.getLogger(__name__)


def make_failure(number: int) -> Parcel:
    """Make a payment that failed, of one of 38 customers."""
    error = "data.object.last_payment_error"
    own = (f"data.object.id=pi_{number}", f"data.object.latest_charge=ch_{number}", f"{error}.charge=ch_{number}")
    customer = f"data.object.customer=cus_{number % 38}"
    return make_parcel("stripe", "payment_intent.payment_failed", *own, customer)


def memory_mib(pids: Iterable[int]) -> float:
    """Give what these processes hold of memory."""
    held = [re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE) for pid in pids]
    return sum(int(each[1]) for each in held if each is not None) / 1024


def test_a_storm_is_a_handful_of_messages_that_tell_of_every_payment(
    service: Service, sender: Sender, slack: SlackStandIn
) -> None:
    service.start()
    sender.send_all([make_failure(-number) for number in range(1, 4)])
    service.wait_until_idle()
    workers = descendants(service["worker"].pid)
    before_mib, first, began = memory_mib(workers), len(slack.posts), time.monotonic()

    sender.send_all([make_failure(number) for number in range(MANY)])
    sent_s = time.monotonic() - began
    service.wait_until_idle(timeout_s=90)

    took_s, grown_mib = time.monotonic() - began, memory_mib(workers) - before_mib
    posts = slack.posts[first:]
    told = [int(found[1].replace(",", "")) for post in posts if (found := FOLDED.match(post.text))]
    single = [post for post in posts if post.key.startswith("stripe/")]
    calls = [call for call in slack.calls if call.arguments.get("channel") in {FINANCE, "C0QKFINAN1"}]
    log.info("%s sent in %.1f s, told in %.1f s: %s messages", MANY, sent_s, took_s, len(posts))
    log.info("%s calls of Slack, memory grew by %.1f MiB", len(calls), grown_mib)
    assert sum(told) + len(single) == MANY
    assert len(posts) <= HANDFUL
    assert slack.too_fast == 0
    assert service.ledger.column("SELECT DISTINCT state FROM effects") == ["sent"]
    assert service.ledger.column("SELECT count(*) FROM payments") == [MANY + 3]
    assert grown_mib < GROWTH_MIB
    texts = [json.loads(each)["text"] for each in service.ledger.column("SELECT message FROM effects WHERE amount > 0")]
    assert len(texts) == MANY + 3
