"""How many deliveries a worker process runs a second, beside bare Dramatiq with an actor that does nothing."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import redis

from bench import requests
from bench.counts import Counts, counts
from bench.errors import CheckFailed
from bench.load import send_all
from bench.peers import bare
from bench.plan import Plan
from bench.progress import drain_rate
from bench.rounds import alternate
from bench.row import Row, Wanted
from bench.service import directory, hookline, valkey, worker_peer
from tests.system.service import Service, copy_checkout
from tests.system.slack_stand_in import SlackStandIn, Trouble

NAME = "drain"
TAKES_S = 60
BARE = "bare Dramatiq, empty actor"
TOGETHER = "deliveries a message"

WANTED = Wanted(text="≥ 5", ratio_at_least=5)

PAUSE_S = 3_600
LANES = 8
# Slack takes one message a second and channel. Here it asks at once for an hour's patience: what is measured is the
# worker, and not how fast a stand-in can be posted to.

HANDLER = Path(__file__).parent.parent / "handler.py"


def measure(plan: Plan) -> Iterator[Row]:
    """Measure with SQLite as the ledger."""
    figures = compare(plan, NAME, {})
    yield Row(
        name=NAME,
        what="deliveries/s (book row, effect, attempt, done), one worker of 8 threads",
        against=BARE,
        ours=figures["hookline"],
        theirs=figures["bare dramatiq"],
        wanted=WANTED,
        note=company(figures),
    )


def compare(plan: Plan, name: str, environ: Mapping[str, str]) -> dict[str, list[float]]:
    """Measure Hookline in this environment beside bare Dramatiq, with the same processes and threads."""
    with directory(plan.place, name) as place, ExitStack() as running:
        slack = _busy_slack(running)
        checkout = copy_checkout(place, {"bench_payments": HANDLER.read_text()})
        service = running.enter_context(
            hookline(place, "web", checkout=checkout, environ={**environ, **slack.environ}),
        )
        own, broker = running.enter_context(counts(service)), valkey(service)
        events = plan.sizes.drained_events
        together: list[float] = []
        contenders = {
            "hookline": lambda: _drain_hookline(place, service, own, events, together),
            "bare dramatiq": lambda: _drain_bare(place, service, broker, events),
        }
        return alternate(contenders, rounds=plan.rounds) | {TOGETHER: together}


def company(figures: Mapping[str, Sequence[float]]) -> str:
    """Say how many deliveries travelled together."""
    return f"filled over HTTP from 32 connections, which made {median(figures[TOGETHER]):.1f} deliveries a message"


def _busy_slack(running: ExitStack) -> SlackStandIn:
    slack = SlackStandIn()
    slack.trouble.extend(Trouble(status=429, retry_after_s=PAUSE_S) for _ in range(LANES))
    slack.start()
    running.callback(slack.stop)
    return slack


def _drain_hookline(place: Path, service: Service, own: Counts, events: int, together: list[float]) -> float:
    """Fill the queue through our web process, then start our worker and watch it."""
    before = own.attempts()
    batch = requests.prepare(place / "requests", requests.failed_payment(), events, forged=False)
    load = send_all(service.port, batch.file)
    load.check(forged_refused=False)
    together.append(events / max(1, int(valkey(service).hlen("hookline:payments.msgs"))))
    service.start("worker")
    try:
        rate = drain_rate(lambda: own.attempts() - before, events)
    finally:
        service["worker"].stop()
    _check(own, before + events)
    return rate


def _check(own: Counts, total: int) -> None:
    found = {
        "events": own.events(),
        "deliveries done": own.deliveries("done"),
        "attempts": own.attempts(),
        "payments": own.value("SELECT count(*) FROM payments"),
        # So many failed payments at once are told as one storm, in a message and a list that come on top.
        "effects": own.value("SELECT count(DISTINCT key) FROM effects WHERE key NOT LIKE 'storm/%'"),
    }
    wrong = {what: count for what, count in found.items() if count != total}
    if wrong:
        raise CheckFailed(f"there should be {total} of each: {wrong}")


def _drain_bare(place: Path, service: Service, broker: redis.Redis, messages: int) -> float:
    url = service.settings.resolved_redis_url
    peer = bare.make_broker(url)
    actor = bare.declare(peer)
    for number in range(messages):
        actor.send(number)
    key = f"dramatiq:{bare.QUEUE}.msgs"
    with worker_peer(place, "bench.peers.bare:setup", {"REDIS_URL": url}) as worker:
        rate = drain_rate(lambda: messages - int(broker.hlen(key)), messages)
        worker.stop()
    peer.close()
    return rate
