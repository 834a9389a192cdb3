"""Tells the engineers that a secret is in a repository. Never the secret itself."""

from handlers.context import Context
from handlers.notifications.alert import Alert, Link
from handlers.notifications.keys import github_key
from handlers.reading import read
from handlers.repositories.shapes import SecretScanningAlert
from handlers.router import handler
from ledger.event import Event

TITLES = {
    "created": "Secret found",
    "publicly_leaked": "Secret leaked to the public",
    "reopened": "Secret alert reopened",
}


@handler(source="github", types=[f"secret_scanning_alert.{action}" for action in TITLES], queue="default")
def leaked_secret(event: Event, ctx: Context) -> None:
    """Tell each finding once, and once for each time that it gets worse."""
    body = read(event, SecretScanningAlert)
    found, repository = body.alert, body.repository
    title = TITLES.get(body.action)
    if title is None:  # the type came in a header, which GitHub does not sign
        return
    kind = found.secret_type_display_name or found.secret_type
    alert = Alert(
        title=f"{title}: {kind} in {repository.full_name}",
        facts={"Kind": kind, "Still valid": found.validity, "Alert": f"#{found.number}"},
        link=Link("Open the alert", found.html_url) if found.html_url else None,
        kind="leaked_secret",
    )
    # An alert can be reopened more than once; it is created only once, whatever its later updates say.
    again = found.updated_at if body.action == "reopened" else None
    key = github_key("leaked_secret", repository.id, found.number, body.action, again)
    alert.post(event, ctx, key=key)
