"""The web processes are killed, stopped and restarted."""

import time
from random import Random

from tests.cli.dev.waiting import descendants
from tests.faults.fault import Matrix, Stage
from tests.faults.house import WEBS
from tests.faults.needs import Needs
from tests.faults.proxy import Way

matrix = Matrix()

KILLED = ("refused", "reset", "503", "timeout")
# What a sender sees of an instance that is gone; it then asks the other one. While several start at once on two cores,
# a commit may take longer than the 2 s after which the answer is 503.

CROWD = 25
# Stories that begin at once: about forty webhooks within some tenths of a second.

GRACE_S = 10.0
# SIGTERM to exit: what most process managers give before they kill.


@matrix.fault(
    "web-killed",
    "No 2xx without a row; a row without a 2xx is a duplicate when it is sent again; the other instance goes on.",
    answers=KILLED,
    stories_per_s=6,
    takes_s=45,
)
def web_killed(stage: Stage) -> None:
    for _ in range(3):
        _hit_a_crowd(stage)
        name = stage.draw.choice(WEBS)
        stage.control.kill(name)
        stage.house.start(name)
    _hit_a_crowd(stage)
    stage.control.kill_all(*WEBS)
    stage.house.start(*WEBS)


def _hit_a_crowd(stage: Stage) -> None:
    """Wait for an instant at which many requests are on their way; in between there need not be so many."""
    stage.sending.burst(CROWD)
    stage.instant(0.0, 0.4)


@matrix.fault(
    "writer-killed",
    "The process that writes for a web process is killed, then stopped: 503 to who waited; it is started again.",
    answers=("503", "timeout"),
    stories_per_s=6,
    takes_s=70,
)
def writer_killed(stage: Stage) -> None:
    for _ in range(3):
        _hit_a_crowd(stage)
        stage.control.kill_children(stage.draw.choice(WEBS))
        stage.sending.wait_for(10)
    (writer,) = descendants(stage.house[WEBS[0]].pid)
    stage.control.freeze(writer)
    stage.house.wait_for(lambda: writer not in descendants(stage.house[WEBS[0]].pid))
    stage.house.wait_until_ready(WEBS[0])


@matrix.fault(
    "web-killed-in-commit",
    "Killed between insert and commit, with a duplicate in the same batch: neither was answered, both are taken later.",
    answers=KILLED,
    stories_per_s=2,
    takes_s=32,
)
def web_killed_in_commit(stage: Stage) -> None:
    """Reach the point without a hook: another program holds a lock, so that what has been handed in cannot commit."""
    stage.sending.rate(0)
    stage.sending.wait_until_over()
    for round_ in range(2):
        before = stage.sending.count_attempts()
        with stage.house.database.locked():
            stage.sending.burst(5, copies=(3, 4), kinds=("payout", "dispute"))
            stage.house.wait_for(lambda before=before: stage.sending.count_attempts() >= before + 15)  # type: ignore[misc]
            stage.instant(0.1, 0.6)
            answered = stage.sending.count()
            stage.control.kill_all(*WEBS)
            stage.instant(0.1, 0.3)
        stage.claim(
            holds=stage.sending.count() == answered,
            what=f"round {round_ + 1}: something was answered 2xx while nothing could commit",
        )
        stage.house.start(*WEBS)


@matrix.fault(
    "web-restarted",
    "SIGTERM under load, one instance after the other: no request is reset, each instance is gone within 10 s.",
    answers=("refused", "503", "timeout"),
    stories_per_s=6,
    takes_s=32,
)
def web_restarted(stage: Stage) -> None:
    for name in WEBS:
        _hit_a_crowd(stage)
        took_s = stage.control.restart(name)
        stage.claim(holds=took_s < GRACE_S, what=f"{name} took {took_s:.1f} s to end")


@matrix.fault(
    "answers-to-senders-lost",
    "The event is stored and the 2xx does not arrive: the next try is a duplicate and changes nothing.",
    answers=("reset", "503"),
    needs=Needs(proxies=True),
    takes_s=10,
)
def answers_to_senders_lost(stage: Stage) -> None:
    proxies = [stage.house.proxies[name] for name in WEBS]
    with proxies[0].going(Way.LOSE, chance=0.3), proxies[1].going(Way.LOSE, chance=0.3):
        stage.sending.wait_for(20, lambda what: what == "reset")


@matrix.fault(
    "slow-network-to-senders",
    "Bytes that trickle, and connections that hang: the others are answered as if nothing were wrong.",
    answers=("timeout", "reset", "408", "503"),
    needs=Needs(proxies=True),
)
def slow_network(stage: Stage) -> None:
    name = stage.draw.choice(WEBS)
    with stage.house.proxies[name].going(Way.TRICKLE):
        stage.instant(1.0, 3.0)
    with stage.house.proxies[name].going(Way.STALL):
        stage.instant(3.5, 5.0)


@matrix.fault(
    "same-event-at-two-webs",
    "150 webhooks, each two to eight times at once at both instances: one row, every answer 2xx, one effect.",
)
def same_event(stage: Stage) -> None:
    stage.sending.rate(0)
    stage.sending.hold()
    stage.sending.burst(60, copies=(2, 8), at_once=64)
    time.sleep(1)
    stage.sending.release()
    stage.sending.wait_until_over()


@matrix.fault(
    "out-of-order",
    "Payments, refunds and disputes in any order, some twice: the book ends in the last state.",
    stories_per_s=20,
    takes_s=40,
)
def out_of_order(stage: Stage) -> None:
    stage.sending.burst(100, kinds=("payment", "refund", "dispute"))
    stage.sending.wait_for(250)


@matrix.fault(
    "secret-rotated",
    "New secret beside the old one, senders switch under load, old one removed: nothing is rejected.",
    answers=("refused", "503", "timeout"),
    stories_per_s=6,
    takes_s=40,
)
def secret_rotated(stage: Stage) -> None:
    house, old = stage.house, dict(stage.house.secrets)
    new = {variable: f"{secret}_{_suffix(stage.draw)}" for variable, secret in old.items()}
    both = {variable: f"{new[variable]},{old[variable]}" for variable in old}
    _deploy_secrets(stage, both)
    # Stripe signs with both for a while; GitHub and Slack switch from one request to the next.
    stage.sending.switch_secrets(
        {
            "stripe": [new["STRIPE_WEBHOOK_SECRET"], old["STRIPE_WEBHOOK_SECRET"]],
            "github": [new["GITHUB_WEBHOOK_SECRET"]],
            "slack": [new["SLACK_SIGNING_SECRET"]],
        },
    )
    stage.sending.wait_for(30)
    stage.sending.wait_until_over()
    _deploy_secrets(stage, new)
    stage.sending.wait_for(20)
    house.note("the old secrets are gone")


def _deploy_secrets(stage: Stage, secrets: dict[str, str]) -> None:
    stage.house.secrets = secrets
    for name in WEBS:
        stage.control.stop(name)
        stage.house.keeper.remake(name)
        stage.house.start(name)


def _suffix(draw: Random) -> str:
    return f"{draw.getrandbits(64):016x}"
