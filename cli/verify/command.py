"""`hookline verify`: takes a captured request apart and says why its signature does not hold."""

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import NotDone
from cli.ledger_door import reading
from cli.moment import parse_moment
from cli.options import Json
from cli.show import Line, Part, clean, print_json, print_lines
from cli.verify.found_headers import Headers, NoHeaders, parse_headers
from cli.verify.keys import Key
from cli.verify.scheme import SCHEMES

if TYPE_CHECKING:
    from cli.verify.diagnosis import Captured, Diagnosis

# ruff: noqa: PLC0415  # the vendors' SDKs, settings and SQLAlchemy are imported when they are needed: `--help` starts without

STYLES = {"ok": "green", "fails": "bold red", "unknown": "yellow"}

NAME_CHARS = 10
RESULT_CHARS = 7


def verify(
    source: Annotated[str | None, typer.Option(metavar="NAME", help="stripe, github or slack.")] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SECRET",
            help="What to verify with; may be given several times; without it, what this shell or `hookline dev` has.",
        ),
    ] = None,
    headers: Annotated[
        str | None, typer.Option(metavar="FILE", help="The request's headers: a line each, or JSON; - reads stdin.")
    ] = None,
    body: Annotated[str | None, typer.Option(metavar="FILE", help="The request's raw body; - reads stdin.")] = None,
    request: Annotated[
        int | None, typer.Option(metavar="ID", help="A rejected request: its headers, and its time.")
    ] = None,
    event: Annotated[str | None, typer.Option(metavar="ID", help="A stored event: its raw body, and its time.")] = None,
    at: Annotated[
        float | None,
        typer.Option(parser=parse_moment, metavar="WHEN", help="Judge the timestamp as of then, not of now."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say why a signature holds or does not: which step fails, and the likely cause.

    It tries what usually goes wrong, and names it only if the signature then
    holds: another configured secret, one that was copied badly, a body that was
    parsed and written again, stripped, or encoded anew. Secrets are never shown.
    Exit status: 0 it verifies, 1 it does not, 2 wrong usage.

    Examples:
      hookline verify --source stripe --secret whsec_... --headers h.txt --body body.json
      hookline verify --request 17
      hookline verify --request 17 --body body.json
      hookline verify --event evt_1Qabc --headers h.txt
    """
    from cli.verify.diagnosis import diagnose

    _check_usage(source, headers, body, request, event)
    captured = _capture(source, headers, body, request, event, at)
    if captured.source not in SCHEMES:
        raise NotDone(f"how {captured.source} signs is not known here, only how {', '.join(SCHEMES)} do")
    diagnosis = diagnose(captured, _keys(captured.source, secret or [], os.environ))
    if as_json:
        print_json([_view(captured.source, diagnosis)])
    else:
        print_lines(_lines(diagnosis))
    if not diagnosis.verified:
        raise typer.Exit(1)


def _check_usage(
    source: str | None, headers: str | None, body: str | None, request: int | None, event: str | None
) -> None:
    if source is not None and source not in SCHEMES:
        raise typer.BadParameter(f"{source!r} is not a source: there are {', '.join(SCHEMES)}")
    if request is not None and (event is not None or headers is not None):
        raise typer.BadParameter("--request brings its own headers: leave --event and --headers out")
    if event is not None and body is not None:
        raise typer.BadParameter("--event brings its own body: leave --body out")
    if request is None and headers is None:
        kept = " (an event's signature is not kept)" if event is not None else ""
        raise typer.BadParameter(f"say what to verify: --headers FILE with the signature{kept}, or --request ID")
    if request is None and event is None and (source is None or body is None):
        raise typer.BadParameter("--headers wants --source and --body, or --event")
    if headers == body == "-":
        raise typer.BadParameter("only one of --headers and --body can be read from standard input")


def _capture(
    source: str | None, headers: str | None, body: str | None, request: int | None, event: str | None, at: float | None
) -> "Captured":
    from cli.verify.diagnosis import Captured

    if request is not None:
        return _of_request(request, source, None if body is None else _read(body), at)
    given = _read_headers(headers or "-")
    if event is not None:
        return _of_event(event, source, given, at)
    now = time.time() if at is None else at
    return Captured(source=source or "", headers=given, body=_read(body or "-"), received_at=now)


def _of_request(request_id: int, source: str | None, body: bytes | None, at: float | None) -> "Captured":
    from sqlalchemy import select

    from cli.verify.diagnosis import Captured
    from ledger.tables import requests

    with reading(os.environ) as db:
        row = db.execute(select(requests).where(requests.c.id == request_id)).first()
    if row is None:
        raise NotDone(f"there is no rejected request {request_id}; `hookline requests list` shows those that are kept")
    return Captured(
        source=source or row.source,
        headers=list(json.loads(row.headers).items()),
        body=body,
        received_at=row.received_at if at is None else at,
        body_sha256=row.body_sha256,
        clock=_clock("the request came in", at),
    )


def _of_event(address: str, source: str | None, headers: Headers, at: float | None) -> "Captured":
    from sqlalchemy import select

    from cli.verify.diagnosis import Captured
    from ledger.addresses import find_event
    from ledger.tables import events
    from ledger.views import get_body

    with reading(os.environ) as db:
        event_id = find_event(db, address)
        row = db.execute(select(events).where(events.c.id == event_id)).first()
        body = get_body(db, event_id)
    if row is None or body is None:  # it was pruned in this moment
        raise NotDone(f"there is no event {address}")
    if row.payload_pruned_at:
        raise NotDone(f"the payload of event {address} was pruned: there is nothing left to verify")
    now = row.received_at if at is None else at
    clock = _clock("the event came in", at)
    return Captured(source=source or row.source, headers=headers, body=body, received_at=now, clock=clock)


def _clock(when: str, at: float | None) -> str:
    return f"the time at which {when}" if at is None else "the time that --at says"


def _read(path: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise NotDone(f"{path} cannot be read: {error.strerror}") from None


def _read_headers(path: str) -> Headers:
    try:
        return parse_headers(_read(path).decode(errors="replace"))
    except NoHeaders:
        raise NotDone(f"{path} has no headers in it: a line each (Name: value), or a JSON object") from None


def _keys(source: str, given: list[str], environ: Mapping[str, str]) -> list[Key]:
    """Collect what to try: the secrets given, or those configured; and all others that are configured, to find it."""
    named = [Key(name="the secret given" if len(given) == 1 else f"secret {n} given", secret=each)
             for n, each in enumerate(given, 1)]  # fmt: skip
    mine = SCHEMES[source].variable
    configured = [
        Key(name=name, secret=each, given=not given and variable == mine)
        for variable, name, each in _configured(environ)
    ]
    keys = named + configured
    if not any(key.given for key in keys):
        raise typer.BadParameter(f"there is no secret to verify with: give --secret, or set {mine}")
    known = {key.secret for key in named}
    return [key for key in keys if key.given or key.secret not in known]


def _configured(environ: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """List variable, name and secret of all that this shell and `hookline dev` have."""
    from cli.dev.secrets import read_dev_secrets
    from config.settings import load_settings

    path = load_settings(environ).dev_secrets_path
    try:
        kept = read_dev_secrets(path)
    except (OSError, UnicodeDecodeError) as error:
        raise NotDone(f"{path} cannot be read ({error})") from None
    found = []
    for variable in (scheme.variable for scheme in SCHEMES.values()):
        where = "this shell" if variable in environ else path.name
        secrets = [each.strip() for each in environ.get(variable, kept.get(variable, "")).split(",") if each.strip()]
        for position, each in enumerate(secrets, 1):
            which = f"secret {position} of {variable}" if len(secrets) > 1 else variable
            found.append((variable, f"{which} ({where})", each))
    return found


def _view(source: str, diagnosis: "Diagnosis") -> dict[str, Any]:
    cause = diagnosis.cause
    return {
        "source": source,
        "verified": diagnosis.verified,
        "cause": cause.name if cause else None,
        "sentence": cause.sentence if cause else None,
        "mend": cause.mend if cause else None,
        "hints": list(diagnosis.hints),
        "steps": [{"step": step.name, "result": step.result, "detail": step.detail} for step in diagnosis.steps],
    }


def _lines(diagnosis: "Diagnosis") -> list[Line]:
    lines: list[Line] = [_verdict(diagnosis)]
    if diagnosis.cause:
        lines.append([Part(f"  to mend it: {diagnosis.cause.mend}")])
    lines += [[Part(f"  note: {hint}")] for hint in diagnosis.hints]
    lines.append([])
    for step in diagnosis.steps:
        result = Part(f"{step.result:<{RESULT_CHARS}}", STYLES[step.result])
        lines.append([Part(f"  {step.name:<{NAME_CHARS}}"), result, Part(f"  {clean(step.detail)}")])
    return lines


def _verdict(diagnosis: "Diagnosis") -> Line:
    if diagnosis.verified:
        return [Part("it verifies", "bold green")]
    if diagnosis.cause is None:
        return [Part("it cannot be said without the body: ", "bold yellow"), Part("the headers are in order")]
    return [Part("it does not verify: ", "bold red"), Part(clean(diagnosis.cause.sentence))]
