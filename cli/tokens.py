"""Make, list and end tokens for the HTTP API of this service."""

import os
import re
import time
from contextlib import closing
from typing import Annotated

import typer

from cli.errors import NotDone
from cli.hands import by_whoever
from cli.ledger_door import looking, writing
from cli.moment import AGO, UNIT_S
from cli.options import Json
from cli.remote.api import ask, is_remote, open_api
from cli.show import Column, View, note, print_json, print_table, write

# ruff: noqa: PLC0415  # SQLAlchemy is imported by the commands that need it; see ledger_door

SCOPES = ("read", "payload", "replay", "admin")

COLUMNS = (
    Column("id"),
    Column("name", elastic=True),
    Column("state"),
    Column("created_at"),
    Column("expires_at"),
    Column("begins", extra=True),
    Column("scopes", elastic=True),
)

tokens_app = typer.Typer(no_args_is_help=True, help="Make and end tokens for the HTTP API, which is off without one.")


def _age(text: str) -> float:
    match = AGO.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a time such as 30d or 12h")
    age_s = float(int(match[1]) * UNIT_S[match[2]])
    if not age_s:
        raise typer.BadParameter(f"{text!r} is no time at all: the token would be good for nothing")
    return age_s


@tokens_app.command("create")
def create_token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who will use it. It stands in the audit log.")],
    scope: Annotated[
        list[str],
        typer.Option(
            metavar="SCOPE",
            help="read, payload (bodies, headers), replay (and retry, dismiss), admin. May be repeated.",
        ),
    ],
    expires: Annotated[
        float | None, typer.Option(parser=_age, metavar="TIME", help="How long it is good: 30d, 12h. [until revoked]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a token for the HTTP API, and show it: nobody can show it again.

    With the first one the API opens, at /api/v1 of the web process.

    Examples:
      hookline tokens create ann --scope read --scope payload --scope replay --expires 30d
      HOOKLINE_TOKEN=hkl_... hookline --url https://hooks.example.com events list
    """
    from ledger import tokens

    wrong = [each for each in scope if each not in SCOPES]
    if wrong:
        raise typer.BadParameter(f"{wrong[0]!r} is not a scope: there are {', '.join(SCOPES)}")
    if not re.fullmatch(tokens.NAME, name):
        raise typer.BadParameter(f"{name!r} cannot be a name: a letter, then letters, digits and . _ @ -, 100 at most")
    if expires is not None and not 0 < expires <= tokens.MAX_AGE_S:
        raise typer.BadParameter("--expires must be some time, and ten years at most")
    made = _make(name, scope, expires)
    if as_json:
        print_json([made])
        return
    note(f"token {made['id']} of {name}, for {', '.join(made['scopes'])}; keep it, it is shown this once:")
    write(f"{made['token']}\n")


@tokens_app.command("list")
def list_tokens(as_json: Json = False) -> None:
    """List tokens, newest first; not the tokens themselves, which are kept nowhere.

    Examples:
      hookline tokens list
    """
    from ledger.views.tokens import list_tokens

    if is_remote(os.environ):
        found = ask(os.environ, "/tokens")["tokens"]
    else:
        with looking(os.environ) as db:
            found = list_tokens(db, now=time.time())
    if as_json:
        print_json(found)
    else:
        rows = [{**view, "scopes": ", ".join(view["scopes"])} for view in found]
        print_table(rows, COLUMNS)
        if not rows:
            note("no tokens yet: the HTTP API is off")


@tokens_app.command("revoke")
def revoke_token(
    token: Annotated[str, typer.Argument(metavar="ID", help="A token's id or name.")],
    as_json: Json = False,
) -> None:
    """End a token, at once.

    Examples:
      hookline tokens revoke ann
    """
    view = _revoke(token)
    if view is None:
        raise NotDone(f"there is no token {token or repr(token)}")
    if as_json:
        print_json([view])
    else:
        write(f"token {view['id']} of {view['name']} is revoked\n")


def _make(name: str, scopes: list[str], expires_in_s: float | None) -> View:
    """Make a token; give what is kept of it, and itself."""
    from ledger import tokens

    if is_remote(os.environ):
        with closing(open_api(os.environ)) as api:
            return api.post("/tokens", name=name, scopes=scopes, expires_in_s=expires_in_s)
    now = time.time()
    try:
        with writing(os.environ) as db:
            made, token = tokens.make_token(
                db,
                name=name,
                scopes={tokens.Scope(each) for each in scopes},
                expires_at=None if expires_in_s is None else now + expires_in_s,
                by=by_whoever(),
                now=now,
            )
    except tokens.NameTaken as error:
        raise NotDone(str(error)) from None
    return made | {"token": token}


def _revoke(address: str) -> View | None:
    """End a token, by its id or its name; None: there is none."""
    from ledger import tokens

    if is_remote(os.environ):
        with closing(open_api(os.environ)) as api:
            known = {str(each[key]): each["id"] for key in ("id", "name") for each in api.get("/tokens")["tokens"]}
            return api.delete(f"/tokens/{known[address]}") if address in known else None
    with writing(os.environ) as db:
        token_id = tokens.find_token(db, address)
        return None if token_id is None else tokens.revoke_token(db, token_id, by=by_whoever(), now=time.time())
