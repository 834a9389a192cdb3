"""GitHub's objects, as far as the alerts need them."""

from handlers.reading import Name, Shape, Words


class HeadRepository(Shape):
    """Where the code of a run came from."""

    id: int


class Repository(Shape):
    """The repository that an event is about."""

    id: int
    full_name: str
    default_branch: str


class Commit(Shape):
    """What was built."""

    message: Words = None


class Run(Shape):
    """One run of a workflow. `head_repository` is null when a fork has been deleted."""

    id: int
    run_attempt: int = 1
    name: Words = None
    head_branch: str | None
    head_sha: Name
    head_commit: Commit | None = None
    head_repository: HeadRepository | None
    conclusion: Name | None
    html_url: str


class WorkflowRun(Shape):
    """A `workflow_run` event."""

    repository: Repository
    workflow_run: Run


class Secret(Shape):
    """A secret that was found; never the secret itself."""

    number: int
    secret_type: Name
    secret_type_display_name: Words = None
    validity: Words = None
    html_url: Words = None
    updated_at: Words = None


class SecretScanningAlert(Shape):
    """A `secret_scanning_alert` event."""

    action: Name
    repository: Repository
    alert: Secret


class Package(Shape):
    """Something that is depended on."""

    ecosystem: Name
    name: str


class Dependency(Shape):
    """Where it is depended on."""

    package: Package
    manifest_path: Words = None


class Advisory(Shape):
    """What is wrong with it."""

    ghsa_id: Name
    cve_id: Name | None = None
    summary: Words = None
    severity: Name


class FixedIn(Shape):
    """The first version without the fault."""

    identifier: Words = None


class Vulnerability(Shape):
    """Which versions are at fault."""

    first_patched_version: FixedIn | None = None


class Vulnerable(Shape):
    """A dependency with a known fault."""

    number: int
    dependency: Dependency
    security_advisory: Advisory
    security_vulnerability: Vulnerability | None = None
    html_url: Words = None
    updated_at: Words = None


class DependabotAlert(Shape):
    """A `dependabot_alert` event."""

    action: Name
    repository: Repository
    alert: Vulnerable
