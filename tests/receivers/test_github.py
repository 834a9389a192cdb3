"""GitHub: which requests are GitHub's, what their events are called, and which headers are believed."""

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest

from handlers.router import load_router
from ledger.event import FORM, JSON
from receivers.provider import Headers, Incoming, Rejected, Request
from receivers.providers.github import PROVIDERS, SHAPES, read, verify

SECRET = "It's a Secret to Everybody"
GUID = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
HOOK = "292430182"
BODY = b'{"zen":"Keep it logically awesome.","hook_id":1,"hook":{"type":"Repository"}}'

REPOSITORY = {"full_name": "octo/hello", "owner": {"login": "octo"}}

# The least that each event's body holds, after GitHub's documentation and octokit/webhooks' payload-schemas.
BODIES: dict[str, dict[str, Any]] = {
    "check_run": {"action": "completed", "check_run": {"id": 1}},
    "check_suite": {"action": "completed", "check_suite": {"id": 1}},
    "code_scanning_alert": {
        "action": "created",
        "alert": {"number": 1, "rule": {"id": "js/xss"}, "tool": {"name": "CodeQL"}},
        "ref": "refs/heads/main",
        "commit_oid": "c0ffee",
    },
    "commit_comment": {"action": "created", "comment": {"id": 1, "commit_id": "c0ffee"}},
    "create": {"ref": "v1", "ref_type": "tag", "master_branch": "main", "description": None, "pusher_type": "user"},
    "delete": {"ref": "v1", "ref_type": "tag", "pusher_type": "user"},
    "dependabot_alert": {
        "action": "created",
        "alert": {"number": 1, "dependency": {"scope": None}, "security_advisory": {"ghsa_id": "GHSA-1"}},
    },
    "deployment": {"action": "created", "deployment": {"id": 1}, "workflow": None, "workflow_run": None},
    "deployment_status": {
        "action": "created",
        "deployment_status": {"id": 1},
        "deployment": {"id": 1},
        "check_run": {"id": 1},
        "workflow": None,
        "workflow_run": {"id": 1},
    },
    "discussion": {"action": "created", "discussion": {"number": 1}},
    "discussion_comment": {"action": "created", "discussion": {"number": 1}, "comment": {"id": 1}},
    "fork": {"forkee": {"id": 1}},
    "issue_comment": {"action": "created", "issue": {"number": 1}, "comment": {"id": 1}},
    "issues": {"action": "opened", "issue": {"number": 1}},
    "label": {"action": "created", "label": {"id": 1}},
    "member": {"action": "added", "member": {"login": "mona"}},
    "milestone": {"action": "created", "milestone": {"number": 1}},
    "ping": {"zen": "Design for failure.", "hook_id": 1, "hook": {"type": "Repository"}},
    "public": {},
    "pull_request": {"action": "opened", "number": 1, "pull_request": {"number": 1}},
    "pull_request_review": {"action": "submitted", "pull_request": {"number": 1}, "review": {"id": 1}},
    "pull_request_review_comment": {
        "action": "created",
        "pull_request": {"number": 1},
        "comment": {"id": 1, "commit_id": "c0ffee"},
    },
    "pull_request_review_thread": {"action": "resolved", "pull_request": {"number": 1}, "thread": {"comments": []}},
    "push": {"ref": "refs/heads/main", "before": "0", "after": "c0ffee", "commits": [], "head_commit": None},
    "release": {"action": "published", "release": {"id": 1}},
    "repository": {"action": "publicized"},
    "repository_dispatch": {"action": "deploy", "branch": "main", "client_payload": None},
    "secret_scanning_alert": {"action": "created", "alert": {"number": 1, "secret_type": "stripe_api_key"}},
    "secret_scanning_alert_location": {
        "action": "created",
        "alert": {"number": 1, "secret_type": "stripe_api_key"},
        "location": {"type": "commit"},
    },
    "star": {"action": "deleted", "starred_at": None},
    "status": {"sha": "c0ffee", "state": "failure", "context": "ci", "branches": []},
    "team": {"action": "created", "team": {"id": 1}},
    "membership": {"action": "added", "member": {"login": "mona"}, "team": {"id": 1}, "scope": "team"},
    "watch": {"action": "started"},
    "workflow_job": {"action": "completed", "workflow_job": {"id": 1}, "deployment": {"id": 1}},
    "workflow_run": {"action": "completed", "workflow_run": {"id": 1}, "workflow": {"id": 1}},
}
BODIES = {event: {**body, "repository": REPOSITORY} for event, body in BODIES.items()} | {
    "organization": {"action": "member_added", "membership": {"role": "member"}, "organization": {"login": "octo"}},
    "installation": {"action": "created", "installation": {"id": 1, "account": {"login": "octo"}}},
}
# What events have that are not in the table, but whose bodies may be sent under the name of one that is.
OTHER_BODIES: dict[str, dict[str, Any]] = {
    "branch_protection_rule": {"action": "deleted", "rule": {"id": 1}},
    "deploy_key": {"action": "created", "key": {"id": 1}},
    "deployment_review": {
        "action": "requested",
        "environment": "production",
        "since": "2026-01-01T00:00:00Z",
        "workflow_run": {"id": 1},
        "workflow_job_run": {"id": 1},
        "reviewers": [],
    },
    "gollum": {"pages": []},
    "page_build": {"id": 1, "build": {"status": "built"}},
}
OTHER_BODIES = {event: {**body, "repository": REPOSITORY} for event, body in OTHER_BODIES.items()}

# (sent, claimed): bodies whose keys do not tell them apart, so that their `action`, which is signed, has to: they get
# types like `watch.publicized`, `public.started` or `deployment.completed`, which no handler knows. The one that gets
# a type that exists is a repository's creation or deletion as `star.created` or `star.deleted`.
ALIKE = {("workflow_job", "deployment")} | {
    (sent, claimed)
    for sent in ("public", "repository", "watch")
    for claimed in ("public", "repository", "star", "watch")
    if sent != claimed
}


def sign(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def header(*values: str) -> Headers:
    return Headers([(b"x-hub-signature-256", value.encode("latin-1")) for value in values])


def refusal(headers: Headers, body: bytes = BODY, secrets: tuple[str, ...] = (SECRET,)) -> str:
    with pytest.raises(Rejected) as caught:
        verify(headers, body, secrets, 0)
    assert caught.value.status == 401
    return caught.value.reason


def request(
    body: bytes | dict[str, Any],
    *events: str,
    guids: tuple[str, ...] = (GUID,),
    hook: str = HOOK,
    content_type: str = JSON,
) -> Request:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = [(b"x-github-event", event) for event in events] + [(b"x-github-delivery", guid) for guid in guids]
    return Request(
        headers=Headers([(name, value.encode("latin-1")) for name, value in [*named, (b"x-github-hook-id", hook)]]),
        content_type=content_type,
        body=raw,
        body_sha256=hashlib.sha256(raw).hexdigest(),
    )


# signatures


def test_githubs_own_example_verifies() -> None:
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert verify(header(f"sha256={digest}"), b"Hello, World!", [SECRET], 0) == 0


def test_the_position_says_which_secret_signed() -> None:
    assert verify(header(sign(BODY)), BODY, ["another-secret-123", SECRET], 0) == 1


def test_a_blank_secret_signs_nothing() -> None:
    assert refusal(header(sign(BODY, "")), secrets=("", " ")) == "signature_mismatch"


def test_a_changed_body_is_refused() -> None:
    assert refusal(header(sign(BODY)), body=BODY + b"\n") == "signature_mismatch"


def test_an_empty_body_can_be_signed() -> None:
    assert verify(header(sign(b"")), b"", [SECRET], 0) == 0


def test_a_body_that_is_not_utf8_can_be_signed() -> None:
    assert verify(header(sign(b"\xff")), b"\xff", [SECRET], 0) == 0


def test_a_signature_ages_never_because_github_signs_no_time() -> None:
    assert verify(header(sign(BODY)), BODY, [SECRET], 4e9) == 0


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ((), "signature_missing"),
        (("",), "signature_missing"),
        ((sign(BODY), sign(BODY)), "header_repeated"),
        ((f"{sign(BODY)},{sign(BODY)}",), "signature_malformed"),
        ((sign(BODY).upper(),), "signature_malformed"),
        ((sign(BODY).removeprefix("sha256="),), "signature_malformed"),
        ((sign(BODY).replace("sha256", "sha1"),), "signature_malformed"),
        ((sign(BODY)[:-1],), "signature_malformed"),
        ((sign(BODY) + "0",), "signature_malformed"),
        ((sign(BODY) + "\n",), "signature_malformed"),
        ((" " + sign(BODY),), "signature_malformed"),
        (("sha256=",), "signature_malformed"),
        (("sha256=" + "é" * 64,), "signature_malformed"),
        (("sha256=" + "0" * 64,), "signature_mismatch"),
    ],
)
def test_a_signature_that_github_would_not_write_is_refused(values: tuple[str, ...], reason: str) -> None:
    assert refusal(header(*values)) == reason


# names


def test_an_event_is_named_by_hook_guid_and_body() -> None:
    asked = request(BODIES["workflow_run"], "workflow_run")
    assert read(asked) == Incoming(
        external_id=GUID,
        dedupe_key=f"{HOOK}:{GUID}:{asked.body_sha256}",
        type="workflow_run.completed",
        account="octo",
    )


def test_an_event_without_action_has_the_events_name_as_its_type() -> None:
    assert read(request(BODIES["push"], "push")).type == "push"


def test_another_body_under_the_same_guid_is_another_event() -> None:
    first, second = (read(request({**BODIES["push"], "after": sha}, "push")) for sha in ("1", "2"))
    assert first.external_id == second.external_id
    assert first.dedupe_key != second.dedupe_key


@pytest.mark.parametrize("guids", [(), ("",), ("a b",), ("x" * 256,), (GUID, GUID)])
def test_without_one_fit_guid_the_body_is_the_identity(guids: tuple[str, ...]) -> None:
    asked = request(BODIES["push"], "push", guids=guids)
    incoming = read(asked)
    assert incoming.external_id == incoming.dedupe_key == f"sha256:{asked.body_sha256}"
    assert incoming.flaw is None


def test_the_longest_identity_fits_its_column() -> None:
    incoming = read(request(BODIES["push"], "push", guids=("g" * 255,), hook="h" * 255))
    assert len(incoming.dedupe_key) <= 600


def test_the_account_is_the_organization_before_the_repositorys_owner() -> None:
    assert read(request(BODIES["push"] | {"organization": {"login": "acme"}}, "push")).account == "acme"
    assert read(request(BODIES["push"] | {"organization": {"login": 5}}, "push")).account == "octo"
    assert read(request(BODIES["push"] | {"repository": []}, "push")).account is None


def test_an_action_that_is_no_name_does_not_get_into_the_type() -> None:
    custom = BODIES["repository_dispatch"]
    assert read(request(custom | {"action": "deploy now"}, "repository_dispatch")).type == "repository_dispatch"
    assert read(request(custom | {"action": "x" * 250}, "repository_dispatch")).type == "repository_dispatch"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"action":NaN}', b"[" * 200_000])
def test_a_signed_body_that_cannot_be_read_is_kept_under_its_guid_with_the_reason(body: bytes) -> None:
    incoming = read(request(body, "push"))
    assert incoming.external_id == GUID
    assert incoming.type == "push"
    assert incoming.flaw
    assert incoming.flaw.startswith("not ")


# forms


def test_a_form_is_read_like_json() -> None:
    body = urlencode({"payload": json.dumps(BODIES["ping"])}).encode()
    incoming = read(request(body, "ping", content_type=FORM))
    assert (incoming.type, incoming.account, incoming.flaw) == ("ping", "octo", None)


def test_a_form_without_payload_is_flawed() -> None:
    assert read(request(b"zen=1&hook=2", "ping", content_type=FORM)).flaw


def test_a_signed_json_body_sent_again_as_a_form_cannot_smuggle_a_payload_in_an_issues_title() -> None:
    forged = json.dumps(BODIES["workflow_run"])
    genuine = BODIES["issues"] | {"issue": {"number": 1, "title": f"a=&payload={quote_plus(forged)}&b="}}
    body = b'{"a=1":1,' + json.dumps(genuine).encode()[1:]
    assert read(request(body, "workflow_run", content_type=FORM)).flaw


# headers that nobody signed


@pytest.mark.parametrize("event", sorted(BODIES))
def test_every_known_events_own_body_fits(event: str) -> None:
    assert read(request(BODIES[event], event)).flaw is None


def test_every_event_in_the_table_has_an_example_here() -> None:
    assert set(SHAPES) == set(BODIES)


def test_no_body_fits_another_known_event_unless_its_own_action_tells_them_apart() -> None:
    bodies = BODIES | OTHER_BODIES
    pairs = {
        (sent, claimed)
        for sent in bodies
        for claimed in BODIES
        if sent != claimed and read(request(bodies[sent], claimed)).flaw is None
    }
    assert pairs == ALIKE


def test_a_dispatch_whose_action_someone_made_up_cannot_pose_as_another_event() -> None:
    dispatch = BODIES["repository_dispatch"] | {"action": "publicized", "client_payload": {"workflow_run": {"id": 1}}}
    assert [event for event in BODIES if not read(request(dispatch, event)).flaw] == ["repository_dispatch"]


@pytest.mark.parametrize(
    ("sent", "claimed", "flaw"),
    [
        ("ping", "push", "not the body of push: it has no ref"),
        ("pull_request", "issues", "not the body of issues: it has no issue"),
        ("issue_comment", "issues", "not the body of issues: it has comment"),
        ("pull_request_review", "pull_request", "not the body of pull_request: it has no number"),
        ("secret_scanning_alert", "dependabot_alert", "not the body of dependabot_alert: it has no alert.dependency"),
    ],
)
def test_a_body_under_another_events_name_is_kept_and_says_what_gave_it_away(
    sent: str, claimed: str, flaw: str
) -> None:
    assert read(request(BODIES[sent], claimed)).flaw == flaw


def test_an_event_that_is_not_known_passes() -> None:
    incoming = read(request({"action": "created"}, "quantum_leap"))
    assert (incoming.type, incoming.flaw) == ("quantum_leap.created", None)


@pytest.mark.parametrize("events", [(), ("",), ("push", "push"), ("PUSH",), ("pu sh",), ("p\xfcsh",), ("x" * 65,)])
def test_without_one_fit_event_header_the_event_is_flawed_and_unknown(events: tuple[str, ...]) -> None:
    incoming = read(request(BODIES["push"], *events))
    assert incoming.type == "unknown"
    assert incoming.flaw == "no X-GitHub-Event header, or more than one, or not an event's name"


def test_every_event_that_a_handler_acts_on_has_a_known_shape() -> None:
    handled = {
        event_type.partition(".")[0]
        for handler in load_router().by_name.values()
        if handler.source == "github"
        for event_type in handler.types
    }
    assert handled
    assert handled <= SHAPES.keys()


def test_an_event_header_with_a_dot_cannot_pose_as_event_and_action() -> None:
    incoming = read(request(BODIES["push"], "workflow_run.completed"))
    assert incoming.type == "unknown"
    assert incoming.flaw


def test_github_is_one_path_with_json_and_forms_up_to_25_mib() -> None:
    (provider,) = PROVIDERS
    assert (provider.path, provider.secret_variable) == ("/webhooks/github", "GITHUB_WEBHOOK_SECRET")
    assert provider.max_body_bytes == 26_214_400
    assert provider.content_types == {"application/json", "application/x-www-form-urlencoded"}
