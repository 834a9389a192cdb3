"""The pages that `payments get` and `payments summary` show."""

from collections.abc import Iterator

from cli.show import Column, Line, Part, View, cell, clean, long_time, print_lines, print_table
from ledger.shown import rfc3339

# ruff: noqa: PLC0415  # Babel is imported by the commands that need it; see ledger_door

LABEL_CHARS = 23
# As long as the longest, and two.
INDENT = "  "

HEADING = frozenset({"id", "kind", "state", "related", "contested_by", "history"})
SUMS = ("taken", "failed", "refunded", "disputed", "paid_out")
MONEY = frozenset(
    {"amount", "amount_received", "amount_refunded", "amount_captured", "amount_paid", "amount_remaining"}
    | {"amount_overpaid", "amount_reversed", "amount_releasable"}
)


MADE = "refunded, disputed (without inquiries): made in this time; the rest: came there in it"
REACHED = "all that came to its state in this time, whenever it was made:"
SETTLED = "fees, net: of so many charges and disputes whose settlement Stripe told of"


def print_object(view: View) -> None:
    """Print all that is known of an object, and how it came where it is."""
    print_lines(_object(view))


def _object(view: View) -> Iterator[Line]:
    yield [
        Part(f"{view['kind'].replace('_', ' ')} {clean(view['id'])}", "bold"),
        Part("  "),
        cell("state", view["state"]),
    ]
    for name, value in view.items():
        if name not in HEADING and value is not None:
            yield [Part(f"{INDENT}{name.replace('_', ' '):<{LABEL_CHARS}}"), Part(clean(_fact(name, value, view)))]
    for each in view["related"]:
        amount = _fact("amount", each["amount"], each) if each["amount"] is not None else ""
        yield [
            Part(f"{INDENT}{each['kind'].replace('_', ' '):<{LABEL_CHARS}}"),
            Part(f"{clean(each['id'])}  "),
            cell("state", each["state"]),
            Part(f"  {amount}" if amount else ""),
        ]
    if view["contested_by"]:
        yield []
        yield [Part(f"nothing tells which of these came last: {', '.join(map(clean, view['contested_by']))}", "red")]
    if view["history"]:
        yield []
        yield [Part("history", "bold")]
    for told in view["history"]:
        yield from _told(told, view)


def _told(told: View, view: View) -> Iterator[Line]:
    late = Part("  came late", "dim") if told["late"] else Part("")
    yield [
        Part(f"{INDENT}{long_time(told['created_at'])}  {clean(told['type'])}  "),
        Part(clean(told["event"]), "dim"),
        late,
    ]
    for name, (before, after) in told["changes"].items():
        was = f"{_fact(name, before, view)} → " if before is not None else ""
        now = _fact(name, after, view) if after is not None else "none"
        yield [Part(f"{INDENT}{INDENT}{name.replace('_', ' ')}: {clean(f'{was}{now}')}")]


def _fact(name: str, value: object, view: View) -> str:
    from handlers.payments.money import display
    from handlers.payments.views import TIMES

    currency = view.get("settled_currency") if name in ("fee", "net") else view.get("currency")
    if isinstance(value, int) and currency and (name in MONEY or name in ("fee", "net")):
        return display(value, currency)
    if name in TIMES and isinstance(value, int):
        return long_time(rfc3339(value))
    if isinstance(value, str) and (name in TIMES or name == "reached_at"):
        return long_time(value)
    if isinstance(value, dict):
        return ", ".join(display(amount, code) for code, amount in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)


def print_summary(found: View, *, named: bool = False) -> None:
    """Print the sums of one mode and account: by currency, by state, and why payments failed.

    Our own account is `named` where there are others beside it; another one always is.
    """
    whose = found.get("account") or ("our own account" if named else "")
    mode = ", ".join(each for each in ("live" if found["livemode"] else "test mode", clean(whose)) if each)
    span = f"from {long_time(found['since'])} to {long_time(found['until'])}"
    print_lines([[Part(mode, "bold"), Part(f"  {span}")]])
    print_lines([[Part(each, "dim")] for each in (MADE, *([SETTLED] if _settled(found) else []))])
    print_table([*_money(found)], _columns("currency", "what", "number", "amount"), nothing="no money moved")
    print_lines([[], [Part(REACHED, "dim")]])
    print_table([*_states(found)], _columns("kind", "state", "number", "amount"), nothing="nothing came about")
    if found["failure_codes"]:
        print_lines([[]])
        print_table([*_codes(found)], _columns("failure_code", "number", "share"), nothing="")


def _settled(found: View) -> bool:
    return any(each["settled"]["count"] for each in found["by_currency"])


def _columns(*names: str) -> list[Column]:
    return [Column(name) for name in names]


def _money(found: View) -> Iterator[View]:
    from handlers.payments.money import display

    # A line each, because side by side they are too wide for a terminal, and an amount must not be cut.
    for each in found["by_currency"]:
        sums = {name.replace("_", " "): (each[name]["count"], each[name]["amount"]) for name in SUMS}
        sums |= {name: (each["settled"]["count"], each[name] or 0) for name in ("fees", "net")}
        for what, (number, amount) in sums.items():
            if number:
                currency = each["currency"]
                yield {"currency": currency, "what": what, "number": number, "amount": display(amount, currency)}


def _states(found: View) -> Iterator[View]:
    from handlers.payments.money import display

    for each in found["by_state"]:
        known = each["currency"] and each["amount"] is not None
        amount = display(each["amount"], each["currency"]) if known else None
        yield {"kind": each["kind"], "state": each["state"], "number": each["count"], "amount": amount}


def _codes(found: View) -> Iterator[View]:
    total = sum(each["count"] for each in found["failure_codes"])
    for each in found["failure_codes"]:
        share = f"{100 * each['count'] / total:.0f} %"
        yield {"failure_code": each["code"], "number": each["count"], "share": share}
