"""`hookline doctor`: looks at everything that Hookline needs, and says what is wrong and what to do about it.

One check is one small function that gives findings; one noun is one module. Whatever is broken, each check says so for
itself, in bounded time, and without a secret or a password in its text.
"""

from cli.options import Json


def doctor(as_json: Json = False) -> None:
    """Look at everything that Hookline needs, and say what is wrong and how to mend it.

    Settings, secrets, web process, ledger, broker, queue, clock, Slack: whatever
    of it is broken, the others are looked at all the same. It ends within 30 s.
    Run it with the service's environment, as the service's user. Exits 1 when
    something is a problem; warnings are for a person to judge.

    Examples:
      hookline doctor
      hookline doctor --json | jq 'select(.status != "ok")'
    """
    from cli.doctor.command import run_doctor  # noqa: PLC0415  # it needs all of the service; its help text does not

    run_doctor(as_json=as_json)
