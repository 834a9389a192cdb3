"""Look at replays: who ran what again, when and why, and what became of it."""

import os
from typing import Annotated

import typer

from cli.errors import NotDone
from cli.ledger_door import looking
from cli.options import DEFAULT_LIMIT, Json, Limit
from cli.preview import count
from cli.remote.api import ask, is_remote, open_api, place
from cli.show import Column, View, clean, long_time, print_json, print_table, write
from ledger.shown import rfc3339

# ruff: noqa: PLC0415  # what is elsewhere, or here, is imported by who needs it; see ledger_door

COLUMNS = (
    Column("id"),
    Column("created_at"),
    Column("who", elastic=True),
    Column("state"),
    Column("cursor"),
    Column("items"),
    Column("reason", elastic=True),
)

replays_app = typer.Typer(no_args_is_help=True, help="Look at replays: who, when, why, and what became of it.")


@replays_app.command("list")
def list_replays(limit: Limit = DEFAULT_LIMIT, as_json: Json = False) -> None:
    """List replays, newest first.

    Examples:
      hookline replays list
      hookline replay --resume 7          go on with one that is unfinished
    """
    if is_remote(os.environ):
        from cli.remote.looking import list_replays

        found = list_replays(open_api(os.environ), limit=limit)
    else:
        from ledger.views import replays

        with looking(os.environ) as db:
            found = replays.list_replays(db, limit=limit)
    if as_json:
        print_json(found)
    else:
        print_table(found, COLUMNS, nothing="no replays yet")


@replays_app.command("get")
def get_replay(
    replay: Annotated[int, typer.Argument(metavar="ID", help="A replay's id.")],
    as_json: Json = False,
) -> None:
    """Show one replay: who, when, why, what was chosen, and where its deliveries stand.

    Examples:
      hookline replays get 7
      hookline replays get 7 --json
    """
    view = _get(replay)
    if view is None:
        raise NotDone(f"there is no replay {replay}")
    if as_json:
        print_json([view])
        return
    facts = {
        "by": view["who"],
        "at": long_time(view["created_at"]),
        "reason": view["reason"],
        "chosen": ", ".join(_said(name, value) for name, value in view["chosen"].items()),
        "effects": "recorded ones are done again" if view["again"] else None,
        "set going": f"{view['started']:,} of {view['items']:,}, {view['left_alone']:,} left alone",
        "deliveries": ", ".join(f"{count:,} {state}" for state, count in view["deliveries"].items()),
        "go on with": None if view["state"] == "done" else f"hookline replay --resume {view['id']}",
    }
    write(f"replay {view['id']}  {view['state']}\n")
    write("".join(f"  {label:<12}{clean(text)}\n" for label, text in facts.items() if text))


def _get(replay_id: int) -> View | None:
    from ledger.views.replays import get_replay

    if is_remote(os.environ):
        return ask(os.environ, f"/replays/{place(replay_id)}")
    with looking(os.environ) as db:
        return get_replay(db, replay_id)


def _said(name: str, value: object) -> str:
    """Write what was chosen: a number with a point is a moment (Unix seconds), `ids` is how many were named."""
    if name == "ids" and isinstance(value, int):
        return f"{count(value, 'event')} by id"
    return f"{name} {long_time(rfc3339(value)) if isinstance(value, float) else value}"
