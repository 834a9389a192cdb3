"""Stripe, GitHub and Slack as one process of their own: they sign, wait as long as they wait, and retry as they retry.

Started by `tests.faults.sending`, told what to do by lines on its standard input, and believed by nobody: all that
the verdict uses is in its file, where each attempt is before it is made, and each answer before the next.

Time is compressed: what is hours at the providers is seconds here (BACKOFF_S). Their patience is not.

| | waits for an answer | tries again |
| --- | --- | --- |
| Stripe | 20 s | until a 2xx, for three days |
| GitHub | 10 s | never; an operator has it redelivered, with the same GUID |
| Slack | 3 s | three times |
"""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from time import time
from typing import Any

from cli.signing import sign_github, sign_slack, sign_stripe
from tests.faults.post import REFUSED, TIMEOUT, Reply, post
from tests.faults.record import Record
from tests.faults.stories import Story, any_story, push, special
from tests.system.parcel import Parcel

PATIENCE_S = {"stripe": 20.0, "github": 10.0, "slack": 3.0}

BACKOFF_S: Mapping[str, Sequence[float]] = {"stripe": (0.5, 1, 2, 4), "github": (), "slack": (0, 1.5, 4)}
# Stripe's last wait repeats. Slack's are "at once", one minute and five minutes.

REDELIVERY_S = 1.0
# Between the rounds of an operator who asks GitHub to deliver again what failed.

REST_S = 0.25
# Before the next instance when all refuse the connection: a balancer does not hammer either.

AGAIN, AT_ONCE, SHUFFLED = 0.08, 0.1, 0.35
# How often a webhook is sent again although it was taken, sent twice at once, and a story's webhooks out of order.

FRESH, CALM = 120, 0.25
# So many stories come at the rate that was asked for, all later ones at this part of it. What a fault needs is there by
# then; without it a busy machine would get the more to do, the longer it takes.

GAP_S = 0.15
# At most, between the webhooks of a story.


class Senders:
    """The providers of one house."""

    def __init__(self, *, ports: Sequence[int], record: Record, secrets: Mapping[str, str], seed: str) -> None:
        self._ports = ports
        self._record = record
        self._secrets = {source: [secret] for source, secret in secrets.items()}
        self._draw = Random(seed)  # noqa: S311  # repeats a run, guards nothing
        self._failed: list[Parcel] = []  # on GitHub's list, until it is redelivered
        self._stories: set[asyncio.Task[None]] = set()
        self._marks: list[asyncio.Task[None]] = []
        self._rate_per_s = 0.0
        self._fresh = 0  # stories until the rate goes down
        self._numbers = 0
        self._hasty = asyncio.Event()  # set: no more pauses between the webhooks of a story
        self._gate = asyncio.Event()  # not set: webhooks pile up
        self._gate.set()
        self._turns = asyncio.Semaphore(64)

    async def run(self, commands: asyncio.StreamReader) -> None:
        """Do what is said, until `stop`; then finish what was begun, and end. Without a harness, end at once."""
        stream = asyncio.create_task(self._stream())
        while (command := json.loads(await commands.readline() or b'{"do": "end"}'))["do"] != "stop":
            if command["do"] == "end":
                sys.exit("the harness is gone")
            self._obey(command)
        stream.cancel()
        self._hasty.set()
        self._gate.set()
        while self._stories:
            await asyncio.wait(self._stories)
        while self._failed:
            again, self._failed = self._failed, []
            await asyncio.gather(*(self._deliver(parcel) for parcel in again))
            await asyncio.sleep(REDELIVERY_S)

    def _obey(self, command: Mapping[str, Any]) -> None:
        match command["do"]:
            case "rate":
                self._rate_per_s, self._fresh = command["stories_per_s"], FRESH
            case "burst":
                stories = [self._make(command) for _ in range(command["stories"])]
                self._turns = asyncio.Semaphore(command.get("at_once", 64))
                for story in stories:
                    self._begin(story, copies=command.get("copies"), again=command.get("again", True))
            case "hold":
                self._gate.clear()
            case "release":
                self._gate.set()
            case "secrets":
                self._secrets = command["secrets"]
            case "mark":
                self._marks.append(asyncio.create_task(self._mark(command["number"], set(self._stories))))
            case other:
                raise AssertionError(other)

    def _make(self, command: Mapping[str, Any]) -> Story:
        if command.get("padding_bytes"):
            return push(self._draw, padding_bytes=command["padding_bytes"])
        if command.get("type"):
            return special(self._draw, type_=command["type"])
        return any_story(self._draw, command.get("kinds") or ())

    async def _stream(self) -> None:
        while True:
            rate_per_s = self._rate_per_s if self._fresh > 0 else self._rate_per_s * CALM
            if rate_per_s:
                self._begin(any_story(self._draw))
                self._fresh -= 1
            await asyncio.sleep(self._draw.expovariate(rate_per_s) if rate_per_s else 0.05)

    def _begin(self, story: Story, *, copies: Sequence[int] | None = None, again: bool = True) -> None:
        names = [(each.external_id, each.source) for each in story.webhooks]
        told = {"rows": story.rows, "keys": story.keys, "maybe": story.maybe}
        self._record.note({"what": "story", "kind": story.kind, "webhooks": names, **told})
        task = asyncio.create_task(self._tell(story, copies, again=again))
        self._stories.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._stories.discard(task)
        if not task.cancelled() and task.exception() is not None:  # a sender that fails proves nothing
            asyncio.get_running_loop().stop()

    async def _tell(self, story: Story, copies: Sequence[int] | None, *, again: bool) -> None:
        webhooks = list(story.webhooks)
        if self._draw.random() < SHUFFLED:
            self._draw.shuffle(webhooks)
        sending = []
        for webhook in webhooks:
            count = self._draw.randint(*copies) if copies else 1 + (self._draw.random() < AT_ONCE)
            sending.append(asyncio.create_task(self._send(webhook, count, again=again)))
            await self._pause(self._draw.uniform(0, GAP_S))
        await asyncio.gather(*sending)

    async def _mark(self, number: int, stories: "set[asyncio.Task[None]]") -> None:
        """Write down when all stories are over that had begun by now."""
        if stories:
            await asyncio.wait(stories)
        await self._record.write({"what": "mark", "number": number})

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._hasty.wait()
        except TimeoutError:
            return

    async def _send(self, webhook: Parcel, copies: int, *, again: bool) -> None:
        await asyncio.gather(*(self._deliver(webhook) for _ in range(copies)))
        if again and self._draw.random() < AGAIN:
            await self._pause(self._draw.uniform(0, 2))
            await self._deliver(webhook)

    async def _deliver(self, webhook: Parcel) -> None:
        """Deliver by the rules of its provider."""
        waits = BACKOFF_S[webhook.source]
        tries = 0
        while not await self._attempt(webhook):
            if webhook.source == "stripe":
                wait_s = waits[min(tries, len(waits) - 1)]
            elif tries < len(waits):
                wait_s = waits[tries]
            else:
                if webhook.source == "github":
                    self._failed.append(webhook)
                else:
                    await self._record.write({"what": "gave_up", "id": webhook.external_id})
                return
            tries += 1
            await asyncio.sleep(wait_s * self._draw.uniform(0.8, 1.2))

    async def _attempt(self, webhook: Parcel) -> bool:
        """Make one attempt, at one instance after another as long as nothing listens there."""
        await self._gate.wait()
        async with self._turns:
            ports = list(self._ports)
            self._draw.shuffle(ports)
            for port in ports:
                reply = await self._post(webhook, port)
                if reply.what != REFUSED:
                    return reply.what.startswith("2")
            await asyncio.sleep(REST_S)
            return False

    async def _post(self, webhook: Parcel, port: int) -> Reply:
        self._numbers += 1
        number, instance = self._numbers, self._ports.index(port) + 1
        headers = {**webhook.headers, **self._sign(webhook)}
        name = {"id": webhook.external_id, "n": number}
        await self._record.write({"what": "attempt", "to": instance, "at": time(), **name})
        clock = asyncio.get_running_loop().time
        began = clock()
        reply = await post(port, webhook.path, headers, webhook.body, timeout_s=PATIENCE_S[webhook.source])
        took_s = round(clock() - began, 4)
        await self._record.write(
            {"what": "answer", "answer": reply.what, "took_s": took_s, "at": time(), **name, **_receipt(reply)}
        )
        return reply

    def _sign(self, webhook: Parcel) -> dict[str, str]:
        secrets = self._secrets[webhook.source]
        if webhook.source == "github":
            return sign_github(webhook.body, secrets[0])
        if webhook.source == "slack":
            return sign_slack(webhook.body, secrets[0], time())
        # While one secret replaces another, Stripe signs with both.
        signed = [sign_stripe(webhook.body, secret, time())["stripe-signature"] for secret in secrets]
        return {"stripe-signature": ",".join([signed[0], *(each.partition(",")[2] for each in signed[1:])])}


def _receipt(reply: Reply) -> dict[str, Any]:
    if not reply.what.startswith("2") or not reply.body.startswith(b"{"):
        return {"text": reply.body[:200].decode("latin-1")} if reply.what not in {REFUSED, TIMEOUT} else {}
    said = json.loads(reply.body)
    return {"said": said.get("status"), "event": said.get("event")}


async def main() -> None:
    """Read the plan from the first line, and commands from the others."""
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    plan = json.loads(await commands.readline())
    with closing(Record(Path(plan["record"]))) as record:
        senders = Senders(ports=plan["ports"], record=record, secrets=plan["secrets"], seed=plan["seed"])
        await senders.run(commands)


if __name__ == "__main__":
    asyncio.run(main())
