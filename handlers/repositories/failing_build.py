"""Tells the engineers that a workflow fails on the default branch. Broken branches are their authors' own business."""

from handlers.context import Context
from handlers.notifications.alert import Alert, Link
from handlers.notifications.keys import github_key
from handlers.reading import read
from handlers.repositories.shapes import Repository, Run, WorkflowRun
from handlers.router import handler
from ledger.event import Event

FAILURES = {"failure": "failed", "startup_failure": "could not start", "timed_out": "timed out"}

SHA_CHARS = 7
# As GitHub shows them.


@handler(source="github", types=["workflow_run.completed"], queue="default")
def failing_build(event: Event, ctx: Context) -> None:
    """Tell each failed attempt of a run once."""
    body = read(event, WorkflowRun)
    run, repository = body.workflow_run, body.repository
    if run.conclusion not in FAILURES or not _on_default_branch(run, repository):
        return
    alert = Alert(
        title=f"Build {FAILURES[run.conclusion]} on {run.head_branch}: {repository.full_name}",
        facts={
            "Workflow": run.name,
            "Commit": f"{run.head_sha[:SHA_CHARS]} {_subject(run)}",
            "Attempt": str(run.run_attempt),
        },
        link=Link("Open the run", run.html_url),
        kind="failing_build",
    )
    key = github_key("failing_build", repository.id, run.id, run.run_attempt)
    alert.post(event, ctx, key=key)


def _on_default_branch(run: Run, repository: Repository) -> bool:
    # A fork's branch may be called main as well.
    own = run.head_repository is not None and run.head_repository.id == repository.id
    return own and run.head_branch == repository.default_branch


def _subject(run: Run) -> str:
    message = (run.head_commit.message if run.head_commit else None) or ""
    return message.partition("\n")[0]
