"""A bell beside Redis's queues, so that idle workers need not ask each queue many times a second.

Dramatiq's consumers poll: twenty times a second for an answer within 25 ms on average, with a script that Redis runs
each time. Here each message is followed by a word on a channel, and a consumer that found nothing waits for it. A word
that is lost costs no more than the wait until the next look.
"""

import threading
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress

import redis
import structlog
from dramatiq import Consumer, MessageProxy

CHANNEL = "bell"

HEARING_S = 0.5
# Between two looks at a queue whose bell can be heard.

DEAF_S = 0.05
# Between two looks while nothing is heard: the connection is gone, or this user of Redis may not use channels.

AGAIN_S = 1.0
# Between two attempts to listen.

log = structlog.get_logger()


class Bell:
    """Rings for queues, and wakes those who wait for one."""

    def __init__(self, client: redis.Redis, namespace: str, *, hearing_s: float = HEARING_S) -> None:
        """Take what is needed; `hearing_s` is how long a consumer that can hear waits at the most."""
        self._client = client
        self._channel = f"{namespace}:{CHANNEL}"
        self._hearing_s = hearing_s
        self._hears = False
        self._waiting: defaultdict[str, set[threading.Event]] = defaultdict(set)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def ring(self, queue_name: str) -> None:
        """Say that there is something in a queue. Never raises: the message is there, and will be found."""
        with suppress(redis.RedisError):
            self._client.publish(self._channel, queue_name)

    def listen(self, queue_name: str) -> threading.Event:
        """Give what is set each time the bell rings for this queue."""
        rung = threading.Event()
        self._waiting[queue_name].add(rung)
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="bell", daemon=True)
                self._thread.start()
        return rung

    def leave(self, queue_name: str, rung: threading.Event) -> None:
        """Stop waiting for it."""
        self._waiting[queue_name].discard(rung)

    def close(self) -> None:
        """Stop listening, soon."""
        self._closed.set()

    @property
    def patience_s(self) -> float:
        """How long to wait for the bell before the next look at the queue."""
        return self._hearing_s if self._hears else DEAF_S

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._hear()
            except (redis.RedisError, OSError, ValueError) as error:  # ValueError: the pool was told to disconnect
                log.debug("bell not heard", error=type(error).__name__)
            self._hears = False
            self._closed.wait(AGAIN_S)

    def _hear(self) -> None:
        with self._client.pubsub(ignore_subscribe_messages=True) as words:  # type: ignore[no-untyped-call]  # no annotations
            words.subscribe(self._channel)
            self._client.publish(self._channel, "")  # who may listen may not be allowed to ring
            while not self._closed.is_set():
                if word := words.get_message(timeout=AGAIN_S):
                    self._hears = True
                    self._wake(word["data"].decode(errors="replace"))

    def _wake(self, queue_name: str) -> None:
        for rung in tuple(self._waiting.get(queue_name, ())):
            rung.set()


class Attentive(Consumer):
    """A consumer that waits for the bell where the one it wraps would only sleep."""

    def __init__(self, consumer: Consumer, bell: Bell, queue_name: str, prefetch: int) -> None:
        self._consumer = consumer
        self._bell = bell
        self._queue_name = queue_name
        self._enough = prefetch // 2
        self._in_hand = 0
        self._rung = bell.listen(queue_name)

    def __next__(self) -> MessageProxy | None:
        self._rung.clear()  # before the look: what comes after it is heard
        message = next(self._consumer)
        if message is None:
            self._rung.wait(self._bell.patience_s)
        else:
            self._in_hand += 1
        return message

    def ack(self, message: MessageProxy) -> None:
        """Say that a message is done."""
        try:
            self._consumer.ack(message)
        finally:
            self._let_go()

    def nack(self, message: MessageProxy) -> None:
        """Reject a message."""
        try:
            self._consumer.nack(message)
        finally:
            self._let_go()

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Put messages back."""
        self._consumer.requeue(messages)

    def close(self) -> None:
        """Let go of the queue."""
        self._bell.leave(self._queue_name, self._rung)
        self._consumer.close()

    def _let_go(self) -> None:
        """Look again when there is room for more than a few: what waited for room has rung long ago."""
        self._in_hand -= 1
        if self._in_hand <= self._enough:
            self._rung.set()
