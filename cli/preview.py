"""What a command is about to do, shown before it asks whether to go on."""

import sys
from collections.abc import Iterator

import typer

from cli.errors import NotDone
from cli.show import View, note, print_json, write

# ruff: noqa: PLC0415  # what writes money is imported where there is some


def show(action: str, view: View, *, as_json: bool) -> None:
    """Show what would be done, as the whole answer of a `--dry-run`."""
    if as_json:
        print_json([{"action": action, "dry_run": True, **view}])
    else:
        write("".join(f"{line}\n" for line in lines(view)))


def ask(view: View, *, done: str, as_json: bool, yes: bool) -> None:
    """Show the preview, and let a person decide.

    Args:
        view: what would be done.
        done: what it is called when it is done: `nothing was …`.
        as_json: who reads the output is a program, which needs no preview.
        yes: it was decided already.

    Raises:
        NotDone: nobody said yes.

    """
    asks = not yes and sys.stdin.isatty()
    if asks or not as_json:
        for line in lines(view):
            note(line)
    if not (yes or asks):
        raise NotDone(f"nothing was {done}: say --yes to do it without being asked, or --dry-run to see what it means")
    if asks and not typer.confirm("Go on?", err=True):
        raise NotDone(f"nothing was {done}")


def lines(view: View) -> Iterator[str]:
    """Write a preview for people."""
    more = " (there are more: --limit, or a narrower filter, says which)" if view["more"] else ""
    yield f"{', '.join(_counts(view))}{more}"
    yield from (f"  {handler}: {number:,}" for handler, number in view.get("handlers", {}).items())
    if view.get("effects_recorded"):
        yield f"  effects of their own recorded already: {view['effects_recorded']:,}, skipped unless --again"
    if view["overtaken"]:
        yield f"  overtaken: {count(view['overtaken'], 'event')}, of whose objects the book knows something newer"
    for label, amounts in (("money", view["amounts"]), ("test money", view["test_amounts"])):
        if amounts:
            yield f"  {label}: {', '.join(_money(amount, currency) for currency, amount in amounts.items())}"
    if view["customers"]:
        yield f"  customers: {view['customers']:,}"
    if view.get("waiting"):
        yield f"  left alone, because they wait or run: {count(view['waiting'], 'delivery')}"
    if view.get("payload_pruned"):
        yield f"  left alone, because the payload was pruned: {count(view['payload_pruned'], 'event')}"


def _counts(view: View) -> Iterator[str]:
    yield count(view["events"], "event")
    if "deliveries_to_run" in view:
        yield f"{count(view['deliveries_to_run'], 'delivery')} to run"
    if "deliveries" in view:
        yield count(view["deliveries"], "delivery")
    if view.get("effects"):
        yield count(view["effects"], "dead effect")


def _money(amount: int, currency: str) -> str:
    from handlers.payments.money import Money

    return Money(amount, currency).display()


def count(number: int, noun: str) -> str:
    """Write a number of things."""
    many = noun[:-1] + "ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else many}"
