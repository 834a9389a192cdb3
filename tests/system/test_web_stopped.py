"""SIGTERM of web processes under load: what has reached one of them is answered, and every 2xx is on disk."""

import fcntl
import itertools
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from tests.servers.http import make_client
from tests.system.balancer import Balancer
from tests.system.conftest import MakeService
from tests.system.parcel import Parcel, make_parcel, make_payment
from tests.system.sender import Sender
from tests.system.service import Service

log = logging.getLogger(__name__)

IN_FLIGHT = 20
GRACE_S = 40.0
# Ten seconds are promised; a busy machine gets more.
ENDED = (0, -signal.SIGTERM)
# uvicorn ends itself with the signal when it has stopped.


class HalfSent:
    """A request of which the web process has the headers and not yet the body."""

    def __init__(self, service: Service, parcel: Parcel) -> None:
        self.parcel = parcel
        self.connection = socket.create_connection(("127.0.0.1", service.port), timeout=GRACE_S)
        headers = {**parcel.sign(), "host": "hookline", "content-length": str(len(parcel.body))}
        # "Continue" is the proof that it is being read, and not only in the kernel's queue.
        lines = [f"{name}: {value}" for name, value in {**headers, "expect": "100-continue"}.items()]
        self.connection.sendall("\r\n".join([f"POST {parcel.path} HTTP/1.1", *lines, "", ""]).encode())
        assert self.connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"

    def finish(self) -> bytes:
        """Send the body. Give the whole answer, to the end of the connection."""
        self.connection.sendall(self.parcel.body)
        return self.read()

    def read(self) -> bytes:
        """Give what is sent to the end of the connection."""
        return b"".join(iter(lambda: self.connection.recv(4096), b""))


def test_sigterm_of_the_web_process_under_load_answers_what_is_in_flight(service: Service, sender: Sender) -> None:
    service.start("valkey", "web")
    with ExitStack() as stack, sender.load(make_payment, at_once=10, pause_s=0.02) as load:
        load.wait_for_accepted(50)
        half_sent = [HalfSent(service, make_payment()) for _ in range(IN_FLIGHT)]
        for each in half_sent:
            stack.enter_context(closing(each.connection))

        service["web"].terminate()

        load.wait_for_refused(10)
        answers = [each.finish() for each in half_sent]
        assert service["web"].wait_for_end(timeout_s=GRACE_S) in ENDED

    assert {answer.partition(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 200 OK"}
    stored = service.ledger.external_ids()
    assert {each.parcel.external_id for each in half_sent} <= stored
    assert sender.record.accepted() <= stored
    assert {answer.status for answer in load.answers} == {200, None}
    assert service.ledger.is_sound()


def test_web_processes_that_end_in_turn_behind_a_balancer_leave_no_request_unanswered(
    service: Service, tmp_path: Path
) -> None:
    """Over connections that are kept, and over fresh ones, of which some are in the kernel's queue at SIGTERM."""
    service.start("valkey", "web", "web.2")
    balancer = Balancer([service.port_of("web"), service.port_of("web.2")], checks=False)
    balancer.start()
    sender, parcels = Sender(balancer.url, tmp_path / "sender.jsonl"), _kept_and_fresh()
    try:
        with sender.load(lambda: next(parcels), at_once=20, pause_s=0.4) as load:
            for name in ("web", "web.2"):
                load.wait_for_accepted(100)
                took_s = service[name].stop(timeout_s=GRACE_S)
                log.info("%s ended after %.1f s", name, took_s)
                load.wait_for_accepted(50)
                service.start(name)
            load.wait_for_accepted(50)
    finally:
        balancer.stop()

    assert {answer.status for answer in load.answers} == {200}
    assert sender.record.accepted() == service.ledger.external_ids()


def _kept_and_fresh() -> Iterator[Parcel]:
    for connection in itertools.cycle(["keep-alive", "close"]):
        yield make_parcel("stripe", "payment_intent.succeeded", headers={"connection": connection})


def test_an_idle_connection_is_answered_once_more_after_sigterm(service: Service) -> None:
    service.start("valkey", "web")
    parcel = make_payment()
    with make_client(service.url) as client:
        client.get("/healthz")
        service["web"].terminate()
        service.wait_for(lambda: "Shutting down" in service["web"].printed())
        answer = client.post(parcel.path, content=parcel.body, headers=parcel.sign())

    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert service["web"].wait_for_end(timeout_s=GRACE_S) in ENDED
    assert parcel.external_id in service.ledger.external_ids()


def test_who_drains_says_so_and_accepts_until_the_end(service_with: MakeService, tmp_path: Path) -> None:
    service = service_with(environ={"HOOKLINE_DRAIN_S": "60"})
    service.start("valkey", "web")
    sender = Sender(service.url, tmp_path / "sender.jsonl")

    service["web"].terminate()

    service.wait_for(lambda: not service.is_ready())
    assert sender.send(make_payment()).status == 200
    service["web"].terminate()  # a second time: it has waited long enough
    assert service["web"].wait_for_end(timeout_s=GRACE_S) in ENDED


def test_sigterm_ends_the_web_process_while_the_ledger_and_the_broker_hang(service: Service) -> None:
    """Who waits for a commit or has sent half a body is told to come again."""
    service.start("valkey", "web")
    os.kill(service["valkey"].pid, signal.SIGSTOP)
    half_sent, waits = HalfSent(service, make_payment()), HalfSent(service, make_payment())
    lock = Path(f"{service.ledger.path}.lock")
    with closing(half_sent.connection), closing(waits.connection), lock.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as if another process had stopped in the middle of a transaction
        answers: list[bytes] = []
        waiting = threading.Thread(target=lambda: answers.append(waits.finish()))
        waiting.start()

        took_s = service["web"].stop(timeout_s=GRACE_S)
        log.info("ended after %.1f s", took_s)

        waiting.join()
        answers.append(half_sent.read())
    assert {answer.partition(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 503 Service Unavailable"}
    assert service.ledger.external_ids() == set()
