"""SIGTERM of the web process under load: what it has begun to read is answered, and every 2xx is on disk."""

import signal
import socket
from contextlib import ExitStack, closing

from tests.system.parcel import Parcel, make_payment
from tests.system.sender import Sender
from tests.system.service import Service

IN_FLIGHT = 20
GRACE_S = 10.0
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
        return b"".join(iter(lambda: self.connection.recv(4096), b""))


def test_sigterm_of_the_web_process_under_load_answers_what_is_in_flight(service: Service, sender: Sender) -> None:
    service.start("valkey", "web")
    with ExitStack() as stack, sender.load(make_payment, at_once=10) as load:
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
