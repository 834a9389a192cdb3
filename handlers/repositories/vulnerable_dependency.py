"""Tells the engineers that something they depend on has a known fault."""

from handlers.context import Context
from handlers.notifications.alert import Alert, Link
from handlers.notifications.keys import github_key
from handlers.reading import read
from handlers.repositories.shapes import DependabotAlert, Vulnerable
from handlers.router import handler
from ledger.event import Event

TITLES = {
    "auto_reopened": "Vulnerable dependency is back",
    "created": "Vulnerable dependency",
    "reintroduced": "Vulnerable dependency is back",
    "reopened": "Vulnerable dependency is back",
}


@handler(source="github", types=[f"dependabot_alert.{action}" for action in TITLES], queue="default")
def vulnerable_dependency(event: Event, ctx: Context) -> None:
    """Tell each finding once, and once for each time that it comes back."""
    body = read(event, DependabotAlert)
    found, repository = body.alert, body.repository
    title = TITLES.get(body.action)
    if title is None:  # the type came in a header, which GitHub does not sign
        return
    package, advisory = found.dependency.package, found.security_advisory
    alert = Alert(
        title=f"{title} ({advisory.severity}): {package.name} in {repository.full_name}",
        facts={
            "Package": f"{package.name} ({package.ecosystem})",
            "Severity": advisory.severity,
            "What": advisory.summary,
            "Fixed in": _fixed_in(found),
            "Where": found.dependency.manifest_path,
            "Advisory": advisory.cve_id or advisory.ghsa_id,
        },
        link=Link("Open the alert", found.html_url) if found.html_url else None,
        kind="vulnerable_dependency",
    )
    again = None if body.action == "created" else found.updated_at
    key = github_key("vulnerable_dependency", repository.id, found.number, body.action, again)
    alert.post(event, ctx, key=key)


def _fixed_in(found: Vulnerable) -> str:
    vulnerability = found.security_vulnerability
    fixed = vulnerability.first_patched_version if vulnerability else None
    return (fixed.identifier if fixed else None) or "no fixed version yet"
