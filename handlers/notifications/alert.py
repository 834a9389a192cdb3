"""One alert: a title, some facts, a link. Any text may go in; what comes out is harmless and within Slack's limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from config.rules import Rule
from handlers.context import Context
from handlers.notifications import blocks
from handlers.notifications.blocks import Block
from handlers.notifications.harmless import escape, mrkdwn
from handlers.payments.money import Money
from ledger.effects import About
from ledger.event import Event


@dataclass(frozen=True, slots=True)
class Link:
    """Where to go from an alert."""

    label: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What to tell a team.

    Attributes:
        title: what happened and how much it is about, in one line.
        facts: up to ten, by label; those without a value are left out.
        link: where to see more; left out if it is not a plain https address.
        kind: which rule is for it (`config.rules.KINDS`); without one it is always posted, to the channel that is said.
        money: what it is about, for the rule and for sums.
        customer: who it is about, for those who count them.
        code: the reason, as the provider has it.

    """

    title: str
    facts: Mapping[str, str | int | None] = field(default_factory=dict)
    link: Link | None = None
    kind: str | None = None
    money: Money | None = None
    customer: str | None = None
    code: str | None = None

    def post(self, event: Event, ctx: Context, *, key: str, channel: str | None = None) -> None:
        """Plan the alert, once for ever under `key` (see `handlers.notifications.keys`), if its rule wants it."""
        if self.kind is None:
            ctx.plan(event, key=key, channel=channel or ctx.channels.engineering, message=self.message(event, None))
            return
        rule = ctx.rules.by_kind[self.kind]
        if is_wanted(rule, self.money):
            ctx.plan(
                event,
                key=key,
                channel=rule.channel,
                message=self.message(event, rule),
                held_until=ctx.rules.due_at(rule, ctx.now),
                about=about(rule, livemode=event.livemode, money=self.money, customer=self.customer, code=self.code),
                of_text=True,
            )

    def message(self, event: Event, rule: Rule | None) -> dict[str, Any]:
        """Lay it out: a line of text, for phones and screen readers, and Slack's blocks."""
        title, known = titled(self.title, livemode=event.livemode), harmless_facts(self.facts)
        told = {"text": _in_one_line(title, known), "blocks": self._blocks(event, title, known)}
        return named(called(told, rule), self.link, who=self.facts.get("Customer"))

    def _blocks(self, event: Event, title: str, known: list[tuple[str, str]]) -> list[Block]:
        """Lay the alert out in Slack's blocks."""
        made: list[Block] = [blocks.header(title)]
        if known:
            made.append(blocks.fields(known))
        link = blocks.link(self.link.url, self.link.label) if self.link else None
        if link is not None:
            made.append(blocks.mrkdwn_section(link))
        made.append(_origin(event))
        return made


def _in_one_line(title: str, known: list[tuple[str, str]]) -> str:
    """Write what a phone shows, and what a screen reader reads."""
    return " | ".join([mrkdwn(title), *(f"{escape(label)}: {value}" for label, value in known)])


def titled(title: str, *, livemode: bool | None) -> str:
    """Say in a title that no real money is meant."""
    return f"TEST: {title}" if livemode is False else title


def harmless_facts(facts: Mapping[str, str | int | None]) -> list[tuple[str, str]]:
    """Make facts harmless, without those that are not known."""
    harmless = [(label, mrkdwn(str(value))) for label, value in facts.items() if value is not None]
    return [(label, value) for label, value in harmless if value]


def is_wanted(rule: Rule, money: Money | None) -> bool:
    """Say whether a rule wants something of this amount to be told."""
    return rule.post and (not rule.at_least or money is None or rule.wants(money.units, money.currency))


def about(
    rule: Rule,
    *,
    livemode: bool | None,
    money: Money | None,
    customer: str | None,
    code: str | None,
) -> About:
    """Say what a message is about, for storms: test money never mixes with real money."""
    mode = {True: "live", False: "test", None: "any"}[livemode]
    return About(
        alike=f"{rule.kind}/{mode}",
        fold_at=rule.fold_at,
        amount=None if money is None else money.amount,
        currency=None if money is None else money.currency.lower(),
        customer=customer,
        reason=code,
    )


def called(message: dict[str, Any], rule: Rule | None) -> dict[str, Any]:
    """Call whom the rule says. Slack notifies them when the message is posted, and not when it is changed."""
    if rule is None or rule.mention is None:
        return message
    first, *rest = message["blocks"]
    text = f"{rule.mention} {message['text']}"
    return {**message, "text": text, "blocks": [first, blocks.mrkdwn_section(rule.mention), *rest]}


def named(message: dict[str, Any], link: Link | None, *, who: str | int | None) -> dict[str, Any]:
    """Keep the address, and who it is about, beside the message, for the list of a storm."""
    known = {} if who in (None, UNKNOWN) else {WHO: str(who)}
    if link is None:
        return {**message, **known}
    return {**message, "link": link.url, "name": link.url.rstrip("/").rpartition("/")[2], **known}


WHO, UNKNOWN = "who", "unknown"


def _origin(event: Event) -> Block:
    parts = [f"Hookline event {event.id}", event.external_id, event.type, event.account]
    where = " · ".join(part for part in parts if part)
    return blocks.context(where) if event.livemode is not False else blocks.context(where, TEST_MODE)


TEST_MODE = "TEST mode: no real money"
