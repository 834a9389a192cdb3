"""`hookline trigger`: post realistic, signed samples to the running service: one, many, or a whole story."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random, SystemRandom
from typing import Annotated, Any

import typer

from cli.errors import NotDone
from cli.options import Json
from cli.pace import Pace, parse_rate
from cli.posting import SECRET_VARIABLES, Answer, Post, open_post
from cli.sample import BadOverride, Sample, UnknownPath, UnknownSample, Webhook, freshen, has, list_samples, load_sample
from cli.scenario import SCENARIOS, find_scenario, tell
from cli.show import clean, print_json, write

STORY = "scenario:"
STORIES_OF = "stripe"

MAX_LINES = 20
# More answers than that are counted, not shown one by one.

MAX_COUNT = 1_000_000


Made = list[tuple[str, Webhook]]  # types and what to send, in order


@dataclass(frozen=True, slots=True)
class Wish:
    """What to send."""

    source: str
    type: str
    overrides: Sequence[str]
    additions: Sequence[str] = ()
    removals: Sequence[str] = ()

    def make(self) -> Made:
        """Make it, with ids that there never were.

        Raises:
            NotDone: there is no such sample, or no such place in it.

        """
        now, random = time.time(), SystemRandom()
        changes = [*self.overrides, *self.additions]
        try:
            if self.source == STORIES_OF and self.type.startswith(STORY):
                scenario = find_scenario(self.type.removeprefix(STORY))
                self._check([load_sample(self.source, step.type) for step in scenario.steps])
                return tell(scenario, changes, self.removals, now=now, random=random)
            sample = load_sample(self.source, self.type)
            self._check([sample])
            return [(self.type, freshen(sample, changes, self.removals, now=now, random=random))]
        except (UnknownSample, UnknownPath) as error:
            raise NotDone(str(error)) from None
        except BadOverride as error:
            raise typer.BadParameter(str(error), param_hint="--override") from None

    def _check(self, samples: Sequence[Sample]) -> None:
        """Make sure that what is changed or removed is there: a slip of the keyboard would change nothing, unseen."""
        for override in self.overrides:
            path = override.partition("=")[0]
            if "=" in override and path and not any(has(sample.payload, path) for sample in samples):
                raise UnknownPath(f"{path}: there is no such key in this sample; --add {override} puts it there")
        for path in self.removals:
            if not any(has(sample.payload, path) for sample in samples):
                raise UnknownPath(f"{path}: there is no such key in this sample")


def _complete_type(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a sample or a story, for the shell."""
    source = context.params.get("source") or ""
    return [type_ for type_, _ in _listed(source) if type_.startswith(incomplete)]


def _complete_source(incomplete: str) -> list[str]:
    return [source for source in SECRET_VARIABLES if source.startswith(incomplete)]


def trigger(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="stripe, github or slack. Without it, lists every sample.",
            autocompletion=_complete_source,
        ),
    ] = None,
    type_: Annotated[
        str | None,
        typer.Argument(
            metavar="TYPE",
            help="A sample's type, or scenario:NAME. Without it, lists the source's samples.",
            autocompletion=_complete_type,
        ),
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY.PATH=VALUE", help="Change the sample; may be given several times."),
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY.PATH=VALUE", help="Add to the sample what it does not have; likewise."),
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="KEY.PATH", help="Take out what the sample has; likewise.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=MAX_COUNT, metavar="N", help="Send so many, each with new ids.")] = 1,
    rate: Annotated[
        float | None, typer.Option(parser=parse_rate, metavar="N/s", help="At most so many a second.")
    ] = None,
    shuffle: Annotated[bool, typer.Option("--shuffle", help="Send what belongs to a scenario out of order.")] = False,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Shuffle the same way as the last time.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="Only list what there is.")] = False,
    as_json: Json = False,
) -> None:
    r"""Send signed sample webhooks to the running service, as their provider would.

    Every one has new ids and the time of now. They go to HOST and PORT, signed
    with the secret that is set in this shell, or the one `hookline dev` made. A
    scenario is a whole story: its events share their objects' ids, and end now.

    Examples:
      hookline trigger
      hookline trigger stripe
      hookline trigger stripe charge.dispute.created
      hookline trigger stripe scenario:dispute-lost
      hookline trigger stripe scenario:payment-refunded --shuffle --seed 7
      hookline trigger stripe payment_intent.payment_failed \
        --override data.object.amount=500 --override data.object.currency=jpy
      hookline trigger stripe payment_intent.succeeded --count 1000 --rate 50/s
      hookline trigger stripe payment_intent.payment_failed --remove data.object.customer
      hookline trigger github workflow_run.completed
      hookline trigger slack slash_command --override text=status
    """
    if source is not None and source not in SECRET_VARIABLES:
        raise typer.BadParameter(f"{source!r} is not a source: there are {', '.join(SECRET_VARIABLES)}")
    if source is None or type_ is None or list_:
        _list_samples([source] if source else list(SECRET_VARIABLES), as_json=as_json)
        return
    if seed is not None and not shuffle:
        raise typer.BadParameter("--seed says how to --shuffle")
    wish = Wish(source, type_, override or [], add or [], remove or [])
    order = list(range(len(wish.make())))  # what cannot be made is said before anybody is looked for
    if shuffle:
        if len(order) == 1:
            raise typer.BadParameter("--shuffle is for a scenario: this is one event")
        Random(seed).shuffle(order)  # noqa: S311  # an order, no secret
    with open_post(os.environ, source) as post:
        _send(post, wish, order, count=count, pace=Pace(rate), as_json=as_json)


def _listed(source: str) -> Iterator[tuple[str, str]]:
    """Give the samples of a source, then its stories with what they are about."""
    yield from ((type_, "") for type_ in list_samples(source))
    if source == STORIES_OF:
        yield from ((f"{STORY}{name}", scenario.about) for name, scenario in SCENARIOS.items())


def _list_samples(sources: Sequence[str], *, as_json: bool) -> None:
    listed = [(source, type_, about) for source in sources for type_, about in _listed(source)]
    if as_json:
        print_json(
            {"source": source, "type": type_} | ({"about": about} if about else {}) for source, type_, about in listed
        )
        return
    names = [type_ if len(sources) == 1 else f"{source} {type_}" for source, type_, _ in listed]
    chars = max((len(name) for name, (_, _, about) in zip(names, listed, strict=True) if about), default=0)
    write(
        "".join(f"{name:<{chars}}  {about}".rstrip() + "\n" for name, (_, _, about) in zip(names, listed, strict=True))
    )


def _send(post: Post, wish: Wish, order: Sequence[int], *, count: int, pace: Pace, as_json: bool) -> None:
    began, accepted = time.monotonic(), 0
    one_by_one = as_json or count * len(order) <= MAX_LINES
    for _ in range(count):
        made = wish.make()
        for type_, webhook in (made[number] for number in order):
            pace.wait()
            answer = post.send(webhook)
            if one_by_one:
                _tell(answer, wish.source, type_, as_json=as_json)
            if not answer.accepted:
                so_far = f" ({accepted:,} were accepted before)" if accepted else ""
                raise NotDone(f"{wish.source} {type_} was answered {answer.status}: {post.advice(answer)}{so_far}")
            accepted += 1
    if not one_by_one:
        took_s = time.monotonic() - began
        write(f"{wish.source} {wish.type}: {accepted:,} accepted in {took_s:.1f} s ({accepted / took_s:,.0f}/s)\n")


def _tell(answer: Answer, source: str, type_: str, *, as_json: bool) -> None:
    if as_json:
        print_json([{"source": source, "type": type_, "http_status": answer.status, **answer.body}])
    elif answer.accepted:
        write(f"{source} {type_}: {answer.status}{_said(answer.body)}\n")


def _said(body: Mapping[str, Any]) -> str:
    """Write what a 2xx says: a receipt, a text for Slack, a challenge, or nothing."""
    if "event" in body:
        return f" {body.get('status')}, event {body['event']}"
    lines = str(body.get("text") or body.get("challenge") or body.get("answer") or "").splitlines()
    before = "\n  " if len(lines) > 1 else " "
    return "".join(f"{before}{clean(line)}" for line in lines)
