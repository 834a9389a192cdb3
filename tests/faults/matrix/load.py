"""Too much, too large, too slow."""

import socket
import threading
from contextlib import ExitStack, closing
from statistics import quantiles

from tests.faults.fault import Matrix, Stage
from tests.faults.house import WEBS

matrix = Matrix()

MIB = 1024 * 1024
LARGE_BYTES = 24 * MIB
LARGE = 8

LORIS = 300

HERD_STORIES = 4_200
# About ten thousand webhooks.

HERD_S = 300.0


@matrix.fault(
    "large-bodies",
    f"{LARGE} bodies of {LARGE_BYTES // MIB} MiB at once: taken, or 503 when they are too many; small ones go on.",
    answers=("503", "timeout"),
)
def large_bodies(stage: Stage) -> None:
    stage.sending.burst(LARGE, padding_bytes=LARGE_BYTES)
    stage.sending.wait_for(60)


@matrix.fault("slow-loris", f"{LORIS} connections that send a byte a second: nobody else notices.")
def slow_loris(stage: Stage) -> None:
    ended = threading.Event()
    with ExitStack() as stack:
        connections = []
        for number in range(LORIS):
            port = stage.house.ports[WEBS[number % len(WEBS)]]
            connections.append(stack.enter_context(closing(socket.create_connection(("127.0.0.1", port)))))
        drip = threading.Thread(target=_drip, args=(connections, ended), name="loris")
        drip.start()
        stage.sending.wait_for(60)
        stage.instant(0.0, 3.0)
        ended.set()
        drip.join()


def _drip(connections: list[socket.socket], ended: threading.Event) -> None:
    text = b"POST /webhooks/stripe HTTP/1.1\r\nhost: hookline\r\nx-slow: "
    position = 0
    while not ended.wait(1.0):
        byte = text[position : position + 1] or b"x"
        position += 1
        for connection in connections:
            try:
                connection.send(byte)
            except OSError:  # it was closed on us, which is right
                continue


@matrix.fault(
    "thundering-herd",
    "Ten thousand webhooks that piled up at the senders, released at once: 503 for the excess, and all are taken.",
    answers=("503", "timeout", "reset"),
    stories_per_s=5,
    soak=False,
    heavy=True,
    takes_s=47,
)
def thundering_herd(stage: Stage) -> None:
    stage.sending.hold()
    stage.sending.burst(HERD_STORIES, at_once=400, kinds=("payment", "push", "mention", "button"))
    stage.sending.rate(0)
    stage.sending.release()
    stage.sending.wait_until_over(timeout_s=HERD_S)
    answers = stage.sending.facts.answers
    slow = quantiles([answer.took_s for answer in answers if answer.accepted], n=100)[98]
    span_s = max(answer.at for answer in answers) - min(answer.at for answer in answers)
    stage.remark(f"{len(answers) / span_s:.0f} answers a second, p99 {slow:.1f} s")
