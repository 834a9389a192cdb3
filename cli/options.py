"""Options that several commands share, so that they are called and explained the same everywhere."""

from typing import Annotated

import typer

from cli.moment import parse_moment

DEFAULT_LIMIT = 20
MAX_LIMIT = 1_000_000

WHEN = "an age such as 30m, 24h, 7d, or a date such as 2026-11-01 (UTC)"

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
Source = Annotated[str | None, typer.Option(metavar="NAME", help="Only from this source: stripe, github or slack.")]
Type = Annotated[
    str | None,
    typer.Option("--type", metavar="TYPE", help="Only this type, as the provider spells it; * stands for anything."),
]
Since = Annotated[
    float | None,
    typer.Option(parser=parse_moment, metavar="WHEN", help=f"Only what came in since then: {WHEN}, or all."),
]
Until = Annotated[
    float | None, typer.Option(parser=parse_moment, metavar="WHEN", help="Only what came in before then.")
]
Account = Annotated[str | None, typer.Option(metavar="ID", help="Only of this connected account of Stripe's.")]
ExternalId = Annotated[
    str | None, typer.Option("--external-id", metavar="PREFIX", help="Only if the provider's id begins like this.")
]
Handler = Annotated[str | None, typer.Option(metavar="NAME", help="Only with a delivery for this handler.")]
Before = Annotated[
    str | None, typer.Option(metavar="ID", help="Only what comes after this one in the list: the next page.")
]
Limit = Annotated[
    int, typer.Option(min=1, max=MAX_LIMIT, metavar="N", help=f"The most rows to show, up to {MAX_LIMIT:,}.")
]
