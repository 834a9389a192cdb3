"""GitHub: every event of repositories, organizations and apps, signed as `sha256=<hex>` over the raw body.

Sources: docs.github.com, "Validating webhook deliveries" and "Webhook events and payloads"; octokit/webhooks,
`payload-schemas/api.github.com`, for which keys each event has.

Only the body is signed. Whoever holds one signed body can send it again under another event name, GUID, hook id or
content type, so what the headers say is checked against the body, and the body's hash is part of the identity.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.event import FORM, JSON, Unreadable
from receivers.outline import Outline
from receivers.provider import (
    MIB,
    UNKNOWN,
    Headers,
    Incoming,
    Provider,
    Rejected,
    Request,
    body_identity,
    flaw_text,
    is_name,
    read_payload_field,
    signing_secret,
)

SIGNATURE = b"x-hub-signature-256"

_SIGNATURE = re.compile(rb"sha256=[0-9a-f]{64}")

_EVENT = re.compile(r"[a-z0-9_]{1,64}")
# No dot: a header that says `workflow_run.completed` must not pass for the event and its action.


@dataclass(frozen=True, slots=True)
class _Shape:
    """What sets an event's body apart: dotted paths that hold something, and top-level keys that are not there.

    `lacks` names only what another event with the same keys and actions has. To forbid more would be to lose an
    event on the day when GitHub adds a key to it.
    """

    needs: tuple["_Path", ...]
    lacks: frozenset[str] = frozenset()


_Path = tuple[str, ...]


def _path(dotted: str) -> _Path:
    return tuple(dotted.split("."))


def _shape(*needs: str, lacks: str = "") -> _Shape:
    return _Shape(tuple(_path(dotted) for dotted in needs), frozenset(lacks.split()))


_SUBJECTS = (
    "alert blocked_user branch build check_run check_suite client_payload comment commits deployment "
    "deployment_status discussion forkee hook issue key label location member merge_group milestone package pages "
    "project pull_request ref release review rule sha team thread workflow_job workflow_run zen"
)
# What events are about. Bodies that are about the repository itself have none of these. `branch` and `client_payload`
# are repository_dispatch's, whose `action` anyone with write access makes up: it could say `publicized`.

SHAPES: Mapping[str, _Shape] = {
    "check_run": _shape("check_run", lacks="deployment_status"),
    "check_suite": _shape("check_suite"),
    "code_scanning_alert": _shape("alert.rule", "alert.tool"),
    "commit_comment": _shape("comment.commit_id", lacks="discussion issue pull_request"),
    "create": _shape("ref", "ref_type", "master_branch"),
    "delete": _shape("ref", "ref_type", lacks="master_branch"),
    "dependabot_alert": _shape("alert.dependency", "alert.security_advisory"),
    "deployment": _shape("deployment", lacks="deployment_status"),
    "deployment_status": _shape("deployment_status", "deployment"),
    "discussion": _shape("discussion", lacks="comment"),
    "discussion_comment": _shape("discussion", "comment"),
    "fork": _shape("forkee"),
    "installation": _shape("installation.account", lacks="repository"),
    "issue_comment": _shape("issue", "comment"),
    "issues": _shape("issue", lacks="comment pull_request"),
    "label": _shape("label", lacks="discussion issue pull_request"),
    "member": _shape("member", lacks="team"),
    "membership": _shape("member", "team"),
    "milestone": _shape("milestone", lacks="issue pull_request"),
    "organization": _shape("organization", lacks="blocked_user member repository team"),
    "ping": _shape("zen", "hook"),
    "public": _shape("repository", lacks=f"starred_at {_SUBJECTS}"),
    "pull_request": _shape("pull_request", "number", lacks="comment review thread"),
    "pull_request_review": _shape("pull_request", "review", lacks="comment thread"),
    "pull_request_review_comment": _shape("pull_request", "comment", lacks="review thread"),
    "pull_request_review_thread": _shape("pull_request", "thread", lacks="comment review"),
    "push": _shape("ref", "before", "after", "commits"),
    "release": _shape("release"),
    "repository": _shape("repository", lacks=f"starred_at {_SUBJECTS}"),
    "repository_dispatch": _shape("branch", "action"),
    "secret_scanning_alert": _shape("alert.secret_type", lacks="location"),
    "secret_scanning_alert_location": _shape("alert.secret_type", "location"),
    "star": _shape("repository", lacks=_SUBJECTS),
    "status": _shape("sha", "state", "context"),
    "team": _shape("team", lacks="member"),
    "watch": _shape("repository", lacks=f"starred_at {_SUBJECTS}"),
    "workflow_job": _shape("workflow_job"),
    "workflow_run": _shape("workflow_run", lacks="deployment_status since"),  # since: deployment_review has it
}
# An event that is not here passes as it is; one that a handler acts on belongs here.

_ANY_SHAPE = _Shape(())

_OWNERS = (_path("organization.login"), _path("repository.owner.login"))
_ACTION = _path("action")

OUTLINED_BYTES = 256 * 1024
# What is larger is read whole: long lists (a push's commits) cost an outline more than they cost a plain parser, in
# 25 MB 1.2 GB and 2.5 s instead of 60 MB and 0.4 s.

_OUTLINE = Outline(
    ".".join(path)
    for path in [
        _ACTION,
        *_OWNERS,
        *(path for shape in SHAPES.values() for path in (*shape.needs, *map(_path, shape.lacks))),
    ]
)
# All that we look at.


def verify(headers: Headers, body: bytes, secrets: Sequence[str], now: float) -> int:  # noqa: ARG001  # signs no time
    """Give the position of the secret that signed the request.

    Raises:
        Rejected: says why.

    """
    signature = headers.get(SIGNATURE)
    if not signature:
        raise Rejected("signature_missing")
    if not _SIGNATURE.fullmatch(signature):
        raise Rejected("signature_malformed")
    return signing_secret(secrets, lambda secret: hmac.compare_digest(_sign(secret, body), signature))


def read(request: Request) -> Incoming:
    """Name an event by hook, GUID and body. A redelivery has the same three (docs.github.com, "Redelivering")."""
    event = _claimed_event(request.headers)
    try:
        payload = _read_outline(request)
    except Unreadable as error:
        return _name(request, {}, event, flaw=str(error))
    return _name(request, payload, event, flaw=_misfit(event, payload))


def _sign(secret: str, body: bytes) -> bytes:
    return b"sha256=" + hmac.digest(secret.encode(), body, "sha256").hex().encode("ascii")


def _read_outline(request: Request) -> dict[str, Any]:
    """Read what we look at, and no less. Raises Unreadable."""
    if request.content_type == JSON and len(request.body) <= OUTLINED_BYTES:
        return _OUTLINE.read(request.body)
    return read_payload_field(request)


def _claimed_event(headers: Headers) -> str | None:
    event = headers.name(b"x-github-event")
    return event if event and _EVENT.fullmatch(event) else None


def _name(request: Request, payload: dict[str, Any], event: str | None, *, flaw: str | None) -> Incoming:
    guid = request.headers.name(b"x-github-delivery")
    return Incoming(
        external_id=guid or body_identity(request),
        dedupe_key=_identity(request, guid),
        type=_type(event, payload.get("action")),
        account=_account(payload),
        flaw=flaw_text(flaw) if flaw else None,
    )


def _identity(request: Request, guid: str | None) -> str:
    if guid is None:
        return body_identity(request)
    hook = request.headers.name(b"x-github-hook-id") or ""
    return f"{hook}:{guid}:{request.body_sha256}"


def _type(event: str | None, action: object) -> str:
    if event is None:
        return UNKNOWN
    dotted = f"{event}.{action}"
    return dotted if is_name(action) and is_name(dotted) else event


def _account(payload: dict[str, Any]) -> str | None:
    for path in _OWNERS:
        login = _at(payload, path)
        if is_name(login):
            return login
    return None


def _misfit(event: str | None, payload: dict[str, Any]) -> str | None:
    """Say why a body cannot be that of the event which the headers claim, or None if it can."""
    if event is None:
        return "no X-GitHub-Event header, or more than one, or not an event's name"
    shape = SHAPES.get(event, _ANY_SHAPE)
    for path in shape.needs:
        if _at(payload, path) is None:
            return f"not the body of {event}: it has no {'.'.join(path)}"
    alien = shape.lacks & payload.keys()
    return f"not the body of {event}: it has {min(alien)}" if alien else None


def _at(payload: dict[str, Any], path: _Path) -> object:
    """Follow a path; None where it leads nowhere."""
    value: object = payload
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


PROVIDERS = (
    Provider(
        source="github",
        path="/webhooks/github",
        secret_variable="GITHUB_WEBHOOK_SECRET",  # noqa: S106  # the variable's name
        signature_header=SIGNATURE,
        content_types=frozenset({JSON, FORM}),
        max_body_bytes=25 * MIB,
        verify=verify,
        read=read,
    ),
)
