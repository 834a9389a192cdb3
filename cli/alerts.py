"""`hookline alerts`: check the rules, see what an event would post, post one message for a try."""

import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import NotDone
from cli.ledger_door import open_ledger, reading
from cli.options import Json
from cli.show import Column, View, clean, long_time, note, print_json, print_table, write
from ledger.shown import rfc3339

if TYPE_CHECKING:
    from config.rules import Rules
    from config.settings import Settings
    from handlers.rehearsal import Rehearsed
    from ledger.effects import Place
    from ledger.event import Event
    from ledger.store import Ledger

# ruff: noqa: PLC0415  # SQLAlchemy is imported by the commands that need it; see ledger_door

RULES = (Column("kind"), Column("channel"), Column("severity"), Column("special", elastic=True))

FOLDED = (
    Column("event_id"),
    Column("state"),
    Column("amount"),
    Column("customer", extra=True),
    Column("reason", extra=True),
    Column("text", elastic=True),
)

ADVICE: Mapping[str, str] = {
    "channel_not_found": "there is no such channel, or it is private and the app is not in it: /invite the app there",
    "not_in_channel": "/invite the app there, or give it the scope chat:write.public",
    "is_archived": "the channel is archived: unarchive it, or name another one",
    "restricted_action": "the workspace lets only some post there: ask its administrator",
    "missing_scope": "give the app the scope chat:write and install it again",
    "invalid_auth": "SLACK_BOT_TOKEN is no token of this workspace: copy it anew from OAuth & Permissions (xoxb-…)",
    "not_authed": "SLACK_BOT_TOKEN is no token of this workspace: copy it anew from OAuth & Permissions (xoxb-…)",
    "token_revoked": "the token was revoked: install the app again and copy its new token",
    "token_expired": "the token expired: copy a new one from OAuth & Permissions",
    "account_inactive": "the app was removed from the workspace: install it again and copy its new token",
    "not_allowed_token_type": "SLACK_BOT_TOKEN must be a bot token (xoxb-…)",
    "ratelimited": "Slack is busy with us: try again in a minute",
}
# By Slack's word (chat.postMessage's reference).

alerts_app = typer.Typer(no_args_is_help=True, help="Check the rules for alerts, and see what would be posted.")


@alerts_app.command("check")
def check(as_json: Json = False) -> None:
    """Check the rules (config/alerts.toml, or the file that HOOKLINE_ALERTS names), and show what they mean.

    Each mistake is named with its line. What is checked here is what worker and
    sweeper check when they start. docs/alerts.md says what each key means.

    Examples:
      hookline alerts check
      HOOKLINE_ALERTS=new.toml hookline alerts check
    """
    from config.errors import InvalidRules
    from config.rules import rules_of
    from config.settings import load_settings

    settings = load_settings(os.environ)
    try:
        rules = rules_of(settings)
    except InvalidRules as error:
        if as_json:
            print_json({"status": "refused", "problem": problem} for problem in error.problems)
        else:
            for problem in error.problems:
                note(f"hookline: {problem}")
        raise typer.Exit(1) from None
    views = list(_rule_views(rules))
    if as_json:
        print_json(views)
        return
    print_table(views, RULES, nothing="there are no rules")
    write("".join(f"{line}\n" for line in _other_rules(rules, settings)))


def _rule_views(rules: "Rules") -> Iterator[View]:
    from config.rules import describe

    for kind, channel, severity, special in describe(rules):
        yield {"kind": kind, "channel": channel, "severity": severity, "special": special}


def _other_rules(rules: "Rules", settings: "Settings") -> Iterator[str]:
    digest, quiet = rules.digest, rules.quiet_hours
    yield f"digest: {f'{digest.at:%H:%M} {digest.zone.key}, {digest.channel}' if digest.post else 'not posted'}"
    weekends = ", and all weekend" if quiet is not None and quiet.weekends else ""
    hours = "none" if quiet is None else f"{quiet.begin:%H:%M} to {quiet.end:%H:%M} {quiet.zone.key}{weekends}"
    yield f"quiet hours: {hours}"
    found = settings.hookline_alerts.is_file()
    yield f"the rules are fine ({settings.hookline_alerts if found else 'no file: everything is as usual'})"


@alerts_app.command("preview")
def preview(
    event: Annotated[str, typer.Argument(metavar="EVENT", help="An event's id, ours or the provider's.")],
    as_json: Json = False,
) -> None:
    """Show what a stored event would post by the rules as they are now. Nothing is posted and nothing is changed.

    As if nothing had been heard before of what it is about: its handlers are run
    for a try, and what they write is taken back. With --json, one message a line
    as Slack is sent it: its blocks can be pasted into Slack's Block Kit Builder.

    Examples:
      hookline alerts preview 42
      hookline alerts preview evt_1Qabc --json | jq '{blocks}'
    """
    from config.rules import rules_of
    from config.settings import load_settings

    settings = load_settings(os.environ)
    rules = rules_of(settings)
    with open_ledger(os.environ) as ledger:
        stored = _stored(ledger, event)
        told = _rehearse(ledger, stored, rules, settings)
        silent = "" if told else _why_nothing(ledger, stored, rules, settings)
    if as_json:
        print_json(view for each in told for view in _told_views(each))
    elif not told:
        note(f"it would post nothing: {silent}")
    else:
        write("\n".join(text for each in told for text in _told_texts(each)) + "\n")
    if any(each.error for each in told):
        raise typer.Exit(1)


def _stored(ledger: "Ledger", address: str) -> "Event":
    from ledger import views
    from ledger.addresses import find_event
    from ledger.claims import load_events

    with ledger.read() as db:
        event_id = find_event(db, address)
        found, view = load_events(db, [event_id]).get(event_id), views.get_event(db, event_id)
    if found is None or view is None:  # it was pruned in this moment
        raise NotDone(f"there is no event {address}")
    if view["payload_pruned_at"]:
        raise NotDone(f"the payload of event {address} was pruned {long_time(view['payload_pruned_at'])}")
    if view["state"] == "unparseable":
        raise NotDone(f"event {address} could not be read, so no handler sees it")
    return found


def _rehearse(ledger: "Ledger", event: "Event", rules: "Rules", settings: "Settings") -> "list[Rehearsed]":
    """Run the event's handlers for a try; give those that would tell something, or fail."""
    from cli.rehearsal import contexts
    from handlers.rehearsal import preview as rehearse
    from handlers.rehearsal import taken_back
    from handlers.router import load_router

    wanted = load_router().matching(event.source, event.type)
    with taken_back(ledger.write()) as db:
        done = list(rehearse(db, event, wanted, contexts(settings, rules)))
    return [each for each in done if each.told or each.error]


def _why_nothing(ledger: "Ledger", event: "Event", rules: "Rules", settings: "Settings") -> str:
    """Say whether a rule does not want what a handler tells, or no handler tells anything."""
    for kind, rule in rules.by_kind.items():
        lenient = replace(rules, by_kind={**rules.by_kind, kind: replace(rule, post=True, at_least={})})
        if _rehearse(ledger, event, lenient, settings):
            why = "it is under its at_least" if rule.post else "post is false"
            return f"the rule [alerts.{kind}] does not want it ({why})"
    return f"no handler tells anybody of it ({event.source} {event.type})"


def _told_views(done: "Rehearsed") -> Iterator[View]:
    if done.error:
        yield {"handler": done.handler, "error": done.error}
    for each in done.told:
        about = {"handler": done.handler, "key": each.key, "thread_of": each.parent}
        yield {**about, "not_before": rfc3339(each.not_before), "channel": each.channel, **each.message}


def _told_texts(done: "Rehearsed") -> Iterator[str]:
    from workers.console import draw

    if done.error:
        yield clean(f"{done.handler} would fail: {done.error}")
    for each in done.told:
        held = long_time(rfc3339(each.not_before))
        parts = [
            f"by {done.handler}",
            "in the thread of the message above" if each.parent else "",
            f"held by quiet hours until {held}" if held else "",
        ]
        yield draw(each.channel, each.message, foot=", ".join(part for part in parts if part))


@alerts_app.command("test")
def post_trial(
    channel: Annotated[
        str, typer.Argument(metavar="CHANNEL", help="finance, engineering, a name (#risk) or an id (C0…).")
    ],
    as_json: Json = False,
) -> None:
    """Post one harmless message to a channel with the configured token, or say precisely what is wrong.

    finance and engineering are the teams' channels, as SLACK_FINANCE_CHANNEL and
    SLACK_ENGINEERING_CHANNEL name them.

    Examples:
      hookline alerts test finance
      hookline alerts test '#risk'
      hookline alerts test C0123ABCD
    """
    from config.settings import load_settings
    from workers.post import AnswerLost, Busy, NotSent, make_slack

    settings = load_settings(os.environ)
    name = _channel(channel, settings)
    slack = make_slack(settings)
    if slack is None:
        raise NotDone("SLACK_BOT_TOKEN is unset: set it to the app's bot token (xoxb-…, scope chat:write)")
    try:
        place = slack.post(_trial(name))
    except Busy as error:
        raise NotDone(f"nothing was posted to {name}: {error}; try again then") from None
    except NotSent as error:
        raise NotDone(f"nothing was posted to {name}: {error}{_advice(str(error))}") from None
    except AnswerLost as error:
        raise NotDone(f"nobody knows whether it was posted: {error}. Look into {name}") from None
    _tell_place(name, place, team=channel if channel in _teams(settings) else None, as_json=as_json)


def _teams(settings: "Settings") -> Mapping[str, str]:
    from config.rules import ENGINEERING, FINANCE

    return {FINANCE: settings.slack_finance_channel, ENGINEERING: settings.slack_engineering_channel}


def _channel(said: str, settings: "Settings") -> str:
    from config.rules import CHANNEL

    said = _teams(settings).get(said, said)
    found = next((each for each in (said, f"#{said}") if CHANNEL.fullmatch(each)), None)
    if found is None:
        raise typer.BadParameter(f"{said!r} is neither a channel's name nor its id")
    return found


def _trial(channel: str) -> Any:  # noqa: ANN401  # an Effect, which is imported late
    from handlers.notifications import blocks
    from ledger.effects import Effect

    now = time.time()
    title = "Hookline can post here"
    words = "Somebody tried `hookline alerts test`. Nothing happened, and there is nothing to do."
    return Effect(
        id=0,
        event_id=0,
        key=f"hookline/trial/{secrets.token_hex(8)}",
        channel=channel,
        message={"text": title, "blocks": [blocks.header(title), blocks.mrkdwn_section(words)]},
        planned_at=now,
        attempts=1,
        failures=0,
        first_attempt_at=now,
        lost_answers=0,
    )


def _advice(error: str) -> str:
    code = error.rpartition(" ")[2]
    return f": {ADVICE[code]}" if code in ADVICE else ""


def _tell_place(channel: str, place: "Place", *, team: str | None, as_json: bool) -> None:
    if as_json:
        print_json([{"action": "test", "channel": channel, "channel_id": place.channel_id, "ts": place.ts}])
    else:
        whose = f", which SLACK_{team.upper()}_CHANNEL names" if team else ""
        write(f"posted to {channel} ({place.channel_id}){whose}\n")


@alerts_app.command("folded")
def folded(
    effect: Annotated[
        int, typer.Argument(metavar="ID", help="As the list in the thread of a storm's message says it.")
    ],
    as_json: Json = False,
) -> None:
    """List all alerts that were folded into one message.

    Their state is `sent` where that message told of them. Where Slack never took
    it, they are dead with it, and `hookline retry` of their events tells them again.

    Examples:
      hookline alerts folded 4711
      hookline alerts folded 4711 --json | jq .customer
    """
    from ledger.line import list_folded

    with reading(os.environ) as db:
        views = list_folded(db, effect)
    if as_json:
        print_json(views)
    else:
        print_table(_with_money(views), FOLDED, nothing=f"nothing was folded into effect {effect}")


@alerts_app.command("digest")
def show_digest(
    day: Annotated[
        datetime | None,
        typer.Option("--date", formats=["%Y-%m-%d"], metavar="DATE", help="Of this day; unset: of the latest one due."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what the digest of a day would say by what is known now. Nothing is posted and nothing is changed.

    A day is one on the clocks of the rules' time zone. The cases are those that
    are open now.

    Examples:
      hookline alerts digest
      hookline alerts digest --date 2026-11-01 --json | jq '{blocks}'
    """
    from config.rules import rules_of
    from config.settings import load_settings
    from handlers.notifications import digest
    from workers.console import draw

    rule, now = rules_of(load_settings(os.environ)).digest, time.time()
    of = rule.last_due(now).date() - timedelta(days=1) if day is None else day.date()
    if digest.midnight(of, rule.zone) >= now:
        raise typer.BadParameter(f"{of} has not begun yet ({rule.zone.key})", param_hint="--date")
    with reading(os.environ) as db:
        facts = digest.gather(db, day=of, zone=rule.zone, due_at=now, now=now)
    message = digest.message(facts, None)
    if as_json:
        print_json([{"day": of.isoformat(), "channel": rule.channel, **message}])
        return
    is_over = digest.midnight(of + timedelta(days=1), rule.zone) <= now
    parts = [
        "shown, not posted",
        "" if is_over else "the day is not over",
        "" if rule.post else "[digest] post = false",
    ]
    write(draw(rule.channel, message, foot=", ".join(part for part in parts if part)) + "\n")


def _with_money(views: Sequence[View]) -> list[View]:
    from handlers.payments.money import display

    return [
        {**view, "amount": display(view["amount"], view["currency"]) if view["currency"] else None} for view in views
    ]
