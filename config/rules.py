"""What `config/alerts.toml` says: which alerts are posted, where, from what amount on, and when nobody is to be woken.

Every key has a default, so that a file may say only what is different, and no file at all is fine. What cannot be used
is refused with the number of its line.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from config.errors import InvalidRules
from config.settings import Settings

FINANCE, ENGINEERING = "finance", "engineering"

Severity = Literal["info", "warning", "critical"]

KINDS: Mapping[str, tuple[str, Severity]] = {
    "dispute": (FINANCE, "critical"),
    "failed_payout": (FINANCE, "critical"),
    "suspicious_payment": (FINANCE, "critical"),
    "failing_subscription": (FINANCE, "warning"),
    "failed_payment": (FINANCE, "warning"),
    "failed_refund": (FINANCE, "warning"),
    "refund": (FINANCE, "info"),
    "failing_build": (ENGINEERING, "warning"),
    "leaked_secret": (ENGINEERING, "critical"),
    "vulnerable_dependency": (ENGINEERING, "info"),
    "health": (ENGINEERING, "critical"),
}
# Every kind of alert: which team reads it, and how bad it is.

FOLD_AT: Mapping[Severity, int] = {"critical": 20, "warning": 10, "info": 10}
# How many alike become one message, unless the rule says so. With a message a second, ten keep a channel busy for ten
# seconds; what is critical has a deadline and buttons of its own, so it is worth waiting for a little longer.

MENTION = re.compile(r"<!(?:channel|here)>|<@[UW][A-Z0-9]{2,20}>|<!subteam\^S[A-Z0-9]{2,20}>", re.ASCII)
CHANNEL = re.compile(r"#[^\s<>&#]{1,80}|[CGD][A-Z0-9]{5,20}")

AMOUNT = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,3})?", re.ASCII)

TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")

SATURDAY = 5

HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?")
KEY = re.compile(r"\s*([\w.\"'-]+)\s*=")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _checked_currency(value: str) -> str:
    if not re.fullmatch(r"[a-z]{3}", value):
        raise ValueError(f"{value!r} is not a currency: three small letters, as Stripe spells it")
    return value


def _checked_amount(value: int | str) -> int | str:
    _amount(value)
    return value


_Currency = Annotated[str, AfterValidator(_checked_currency)]
_Amount = Annotated[int | str, AfterValidator(_checked_amount)]
# Checked one by one: what is wrong is then known with its key, and by that with its line.


class _Rule(_Table):
    post: bool = True
    channel: str | None = None
    mention: str | None = None
    severity: Severity | None = None
    fold_at: int | None = Field(default=None, ge=2, le=1_000)
    at_least: dict[_Currency, _Amount] = Field(default_factory=dict)

    @field_validator("channel")
    @classmethod
    def _is_a_channel(cls, value: str | None) -> str | None:
        return _checked_channel(value)

    @field_validator("mention")
    @classmethod
    def _is_a_mention(cls, value: str | None) -> str | None:
        if value is not None and not MENTION.fullmatch(value):
            raise ValueError("must be <!channel>, <!here>, <@U…> (a person's id) or <!subteam^S…> (a group's id)")
        return value


class _Quiet(_Table):
    begin: str = Field(alias="from")
    end: str = Field(alias="to")
    weekends: bool = False

    @field_validator("begin", "end")
    @classmethod
    def _is_a_time(cls, value: str) -> str:
        return _checked_time(value)


class _Digest(_Table):
    post: bool = True
    at: str = "08:00"
    channel: str | None = None

    @field_validator("at")
    @classmethod
    def _is_a_time(cls, value: str) -> str:
        return _checked_time(value)

    @field_validator("channel")
    @classmethod
    def _is_a_channel(cls, value: str | None) -> str | None:
        return _checked_channel(value)


class _Watch(_Table):
    oldest_delivery_s: int = Field(default=300, ge=10)
    silence_times: int = Field(default=4, ge=2)
    silence_at_least_s: int = Field(default=3_600, ge=60)
    signature_failures: int = Field(default=5, ge=1)


class _File(_Table):
    time_zone: str = "UTC"
    quiet_hours: _Quiet | None = None
    digest: _Digest = Field(default_factory=_Digest)
    watch: _Watch = Field(default_factory=_Watch)
    alerts: dict[str, _Rule] = Field(default_factory=dict)

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        _zone(value)
        return value

    @field_validator("alerts")
    @classmethod
    def _are_kinds(cls, value: dict[str, _Rule]) -> dict[str, _Rule]:
        for kind in value:
            if kind not in KINDS:
                raise ValueError(f"[alerts.{kind}] is not a kind of alert: there are {', '.join(KINDS)}")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is to be done with one kind of alert.

    Attributes:
        kind: see KINDS.
        post: whether anybody is told; what is not posted is in the ledger all the same.
        channel: Slack's name or id of it.
        mention: who is called by it, as Slack writes it (`<!here>`).
        severity: what is critical does not wait for the end of the quiet hours.
        fold_at: so many like it that wait for one channel become one message.
        at_least: by currency, in whole units, the least amount that is posted. Other currencies: any amount.

    """

    kind: str
    post: bool
    channel: str
    mention: str | None
    severity: Severity
    fold_at: int
    at_least: Mapping[str, Decimal]

    def wants(self, units: Decimal, currency: str) -> bool:
        """Say whether an amount (in whole units of its currency) is large enough to be posted."""
        return abs(units) >= self.at_least.get(currency.lower(), Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """When only what is critical is posted, on the clocks of a time zone.

    Attributes:
        begin, end: from and to; `begin` after `end` is a night.
        weekends: Saturday and Sunday are quiet all day.

    """

    begin: time
    end: time
    weekends: bool
    zone: ZoneInfo

    def until(self, now: float) -> float:
        """Say until when it is quiet (Unix seconds): `now`, if it is not."""
        moment = datetime.fromtimestamp(now, self.zone)
        for _ in range(8):  # a weekend between two nights has no more parts than this
            end = self._end_of(moment)
            if end is None:
                return max(now, moment.timestamp())
            moment = end
        return max(now, moment.timestamp())

    def _end_of(self, moment: datetime) -> datetime | None:
        if self.weekends and moment.weekday() >= SATURDAY:
            return _at(moment, time(0), days=1)
        clock = moment.time().replace(tzinfo=None)
        if self.begin <= self.end:
            return _at(moment, self.end) if self.begin <= clock < self.end else None
        if clock >= self.begin:
            return _at(moment, self.end, days=1)
        return _at(moment, self.end) if clock < self.end else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestRule:
    """When and where the day's figures are told."""

    post: bool
    at: time
    channel: str
    zone: ZoneInfo

    def last_due(self, now: float) -> datetime:
        """Give the latest moment at which a digest was due, on the clocks of its zone."""
        local = datetime.fromtimestamp(now, self.zone)
        today = _at(local, self.at)
        # Compared as moments: two datetimes of one zone are compared by their clocks, which go back once a year.
        return today if today.timestamp() <= now else _at(local, self.at, days=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRule:
    """From when on Hookline complains about itself and about its sources.

    Attributes:
        oldest_delivery_s: how long a delivery that is due may wait.
        silence_times: so many times its longest usual gap may a source be silent,
        silence_at_least_s: and so long in any case.
        signature_failures: so many requests with a wrong signature within ten minutes.

    """

    oldest_delivery_s: int = 300
    silence_times: int = 4
    silence_at_least_s: int = 3_600
    signature_failures: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All rules, each kind of alert with its own."""

    by_kind: Mapping[str, Rule]
    zone: ZoneInfo
    digest: DigestRule
    quiet_hours: QuietHours | None = None
    watch: WatchRule = field(default_factory=WatchRule)

    def due_at(self, rule: Rule, now: float) -> float:
        """Say when an alert may be posted: now, or when the quiet hours are over (Unix seconds)."""
        if self.quiet_hours is None or rule.severity == "critical":
            return now
        return self.quiet_hours.until(now)


def load_rules(path: Path | None, *, finance: str, engineering: str) -> Rules:
    """Read the file; without one, everything is as it usually is.

    Args:
        path: of the file, which need not be there.
        finance: the channel of alerts about money, where no rule names another.
        engineering: the channel of all others.

    Raises:
        InvalidRules: names the file, and each line that cannot be used.

    """
    text = _text(path)
    return _build(_parse(text, path), {FINANCE: finance, ENGINEERING: engineering})


def rules_of(settings: Settings) -> Rules:
    """Read the file that the settings name; the usual place may be empty, another one not.

    Raises:
        InvalidRules: as `load_rules` does.

    """
    path = settings.hookline_alerts
    if "hookline_alerts" in settings.model_fields_set and not path.is_file():
        raise InvalidRules([f"HOOKLINE_ALERTS: there is no file {path}"])
    return load_rules(path, finance=settings.slack_finance_channel, engineering=settings.slack_engineering_channel)


def _text(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRules([f"{path} cannot be read: {error}"]) from None


def _parse(text: str, path: Path | None) -> _File:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidRules([f"{path}: {error}"]) from None
    try:
        return _File.model_validate(table)
    except ValidationError as error:
        lines = _lines(text)
        sentences = [_sentence(path, lines, problem) for problem in error.errors()]
        raise InvalidRules(list(dict.fromkeys(sentences))) from None


def _sentence(path: Path | None, lines: Mapping[tuple[str, ...], int], problem: Any) -> str:  # noqa: ANN401  # pydantic's own dict
    place = tuple(str(part) for part in problem["loc"] if part != "[key]")  # of a key, pydantic says that it is one
    if "at_least" in place and place[-1] in {"int", "str"}:  # pydantic's names of what it tried
        place = place[:-1]
        message = "must be an amount: write 50 or '49.90', in whole units of the currency"
    else:
        message = _in_our_words(problem)
    if problem["loc"] == ("alerts",) and "[alerts." in message:  # the kind is in the sentence
        place = ("alerts", message.partition("[alerts.")[2].partition("]")[0])
    line = next((lines[place[:length]] for length in range(len(place), 0, -1) if place[:length] in lines), 1)
    return f"{path}, line {line}: {'.'.join(place)}: {message}"


def _in_our_words(problem: Any) -> str:  # noqa: ANN401  # pydantic's own dict
    said = str(problem["msg"]).removeprefix("Value error, ")
    words = {
        "extra_forbidden": "there is no such key",
        "missing": "is missing",
        "bool_type": "must be true or false",
        "int_type": "must be a whole number",
        "string_type": "must be a text, in quotes",
        "dict_type": "must be a table, as in [alerts.dispute]",
        "model_type": "must be a table, with keys of its own",
    }
    limits = problem.get("ctx", {})
    if problem["type"] == "literal_error":
        return f"must be {limits['expected']}"
    if problem["type"] in {"greater_than_equal", "less_than_equal"}:
        return f"must be {limits['ge']} or more" if "ge" in limits else f"must be {limits['le']} or less"
    return words.get(problem["type"], said)


def _lines(text: str) -> dict[tuple[str, ...], int]:
    """Find the line of each table and key: tomllib does not tell."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := HEADER.fullmatch(line):
            table = _path(header[1])
            found.setdefault(table, number)
        elif key := KEY.match(line):
            path = _path(key[1])
            for length in range(1, len(path) + 1):  # `refund.post = true` is the line of `refund`, too
                found.setdefault(table + path[:length], number)
    return found


def _path(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _build(file: _File, channels: Mapping[str, str]) -> Rules:
    zone = _zone(file.time_zone)
    quiet = file.quiet_hours
    return Rules(
        by_kind={kind: _rule(kind, file.alerts.get(kind) or _Rule(), channels) for kind in KINDS},
        zone=zone,
        digest=DigestRule(
            post=file.digest.post,
            at=_time(file.digest.at),
            channel=file.digest.channel or channels[FINANCE],
            zone=zone,
        ),
        quiet_hours=None if quiet is None else _quiet(quiet, zone),
        watch=WatchRule(**file.watch.model_dump()),
    )


def _quiet(said: _Quiet, zone: ZoneInfo) -> QuietHours:
    return QuietHours(begin=_time(said.begin), end=_time(said.end), weekends=said.weekends, zone=zone)


def _rule(kind: str, said: _Rule, channels: Mapping[str, str]) -> Rule:
    team, severity = KINDS[kind]
    return Rule(
        kind=kind,
        post=said.post,
        channel=said.channel or channels[team],
        mention=said.mention,
        severity=said.severity or severity,
        fold_at=said.fold_at or FOLD_AT[said.severity or severity],
        at_least={currency: _amount(amount) for currency, amount in said.at_least.items()},
    )


def _checked_channel(value: str | None) -> str | None:
    if value is not None and not CHANNEL.fullmatch(value):
        raise ValueError("must be a channel's name with its # (#finance) or its id (C0…)")
    return value


def _checked_time(value: str) -> str:
    _time(value)
    return value


def _time(value: str) -> time:
    found = TIME.fullmatch(value)
    if found is None:
        raise ValueError(f"{value!r} is not a time of day: write it as 08:30")
    return time(int(found[1]), int(found[2]))


def _amount(value: int | str) -> Decimal:
    if isinstance(value, str) and not AMOUNT.fullmatch(value):  # Decimal takes "1_0", "1e3" and digits of any script
        raise ValueError(f"{value!r} is not an amount: write 50 or '49.90', in whole units of the currency")
    amount = Decimal(value)
    if amount < 0:
        raise ValueError(f"{value!r} is not an amount: it must be zero or more")
    return amount


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone: write it as Europe/Berlin") from None


def _at(moment: datetime, clock: time, *, days: int = 0) -> datetime:
    """Give the same day, or one so many days later, at another time of its clocks.

    A time that the clocks leave out is the one after the gap; of a time that they show twice it is the first.
    """
    day = moment.date() + timedelta(days=days)
    wanted = datetime.combine(day, clock, moment.tzinfo)
    return datetime.fromtimestamp(wanted.timestamp(), moment.tzinfo)


def describe(rules: Rules) -> Iterator[tuple[str, str, str, str]]:
    """List each kind of alert with its channel, its severity and what else is special about it."""
    for kind, rule in rules.by_kind.items():
        special = [f"from {amount} {currency}" for currency, amount in rule.at_least.items()]
        special += [f"calls {rule.mention}"] if rule.mention else []
        yield kind, rule.channel if rule.post else "not posted", rule.severity, ", ".join(special)
