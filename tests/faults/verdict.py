"""The verdict: do the senders, the ledger, the book and Slack tell one and the same story? A pure function.

Each clause is a generator of complaints; no complaint, no fault. `tests/faults/test_verdict.py` proves of each that
it can fail.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from tests.faults.books import Books
from tests.faults.record import Answer, Facts

DELIVERY_OVER = frozenset({"done", "dead", "dismissed"})
EFFECT_OVER = frozenset({"sent", "kept", "dead"})

STORM = "storm/"
# How the key of a message begins that tells of many alerts: it is nobody's fact.

COUNT = re.compile(r"(\d[\d,]*) ")
# What such a message says first: how many it tells of.

REPEAT = "This may be a repeat"
# What Hookline writes under a message that may be there already.


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What is not as usual in a run.

    Attributes:
        answers: what may come instead of a 2xx: statuses, `refused`, `reset`, `timeout`.
        states: by handler, the state that its deliveries end in; `done` where nothing is said.

    """

    answers: Collection[str] = ()
    states: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Post:
    """A message that is in Slack."""

    key: str
    says: str

    @property
    def marked(self) -> bool:
        """Whether it says itself that it may be a repeat."""
        return REPEAT in self.says


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that a verdict is made of.

    Attributes:
        facts: from the senders' files.
        answers: those of the run that is judged; `facts` may go further back.
        books: from the ledger, when nothing moved any more.
        posts: what Slack has, in the order in which it came.
        expected: what is not as usual.

    """

    facts: Facts
    answers: Sequence[Answer]
    books: Books
    posts: Sequence[Post]
    expected: Expected = field(default_factory=Expected)


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is not as it must be."""

    clause: str
    what: str


Clause = Callable[[Evidence], Iterator[str]]


def judge(evidence: Evidence) -> list[Complaint]:
    """Give all complaints; none is the verdict that everybody wants."""
    return [Complaint(name, what) for name, clause in CLAUSES.items() for what in clause(evidence)]


def _accepted_is_stored(evidence: Evidence) -> Iterator[str]:
    stored = {(event["source"], event["external_id"]) for event in evidence.books.events}
    for each in evidence.facts.sent.values():
        if each.accepted and (each.source, each.external_id) not in stored:
            yield f"{each.source} {each.external_id} was answered 2xx and is not there"


def _stored_was_sent(evidence: Evidence) -> Iterator[str]:
    for event in evidence.books.events:
        sent = evidence.facts.sent.get(event["external_id"])
        if sent is None or sent.source != event["source"] or not sent.attempts:
            yield f"{event['source']} {event['external_id']} is there and nobody sent it"
        elif event["flaw"]:
            yield f"{event['external_id']} is kept as unparseable: {event['flaw']}"


def _one_event_each(evidence: Evidence) -> Iterator[str]:
    counted = Counter((event["source"], event["external_id"]) for event in evidence.books.events)
    for (source, name), count in counted.items():
        if count > 1:
            yield f"{source} {name} is there {count} times"


def _taken_in_the_end(evidence: Evidence) -> Iterator[str]:
    for each in evidence.facts.sent.values():
        if not each.accepted and not each.gave_up:
            yield f"{each.source} {each.external_id} was sent {each.attempts} times and never answered 2xx"


def _receipts_agree(evidence: Evidence) -> Iterator[str]:
    ids = {event["external_id"]: event["id"] for event in evidence.books.events}
    for each in evidence.facts.sent.values():
        named = {answer.event for answer in each.answers if answer.event is not None}
        if named - {ids.get(each.external_id)}:
            yield f"{each.external_id} is event {ids.get(each.external_id)} and was answered {sorted(named)}"
        firsts = sum(answer.said == "accepted" for answer in each.answers)
        if firsts > 1:
            yield f"{each.external_id} was answered `accepted` {firsts} times"


def _nothing_waits(evidence: Evidence) -> Iterator[str]:
    states = evidence.expected.states
    for delivery in evidence.books.deliveries:
        wanted = states.get(delivery["handler"], "done")
        if delivery["state"] != wanted:
            yield (
                f"delivery {delivery['id']} ({delivery['handler']}) is {delivery['state']} and not {wanted}: "
                f"{delivery['last_error']}"
            )


def _sums_are_right(evidence: Evidence) -> Iterator[str]:
    counted = Counter(delivery["state"] for delivery in evidence.books.deliveries)
    unknown = counted.keys() - DELIVERY_OVER - {"pending", "queued", "running", "failed"}
    if unknown:
        yield f"deliveries in states that there are not: {sorted(unknown)}"
    events = {event["id"] for event in evidence.books.events}
    for row in [*evidence.books.deliveries, *evidence.books.effects]:
        if row["event_id"] not in events:
            yield f"{row['id']} belongs to event {row['event_id']}, which is not there"
    pairs = Counter((delivery["event_id"], delivery["handler"]) for delivery in evidence.books.deliveries)
    for (event, name), count in pairs.items():
        if count > 1:
            yield f"event {event} goes {count} times to {name}"


def _book_is_right(evidence: Evidence) -> Iterator[str]:
    is_ = {(row["table"], row["id"]): row for row in evidence.books.book}
    must = {(row["table"], row["id"]): row for row in evidence.facts.rows}
    for place in is_.keys() - must.keys():
        yield f"{' '.join(place)} is in the book and nobody told of it"
    for place, row in must.items():
        found = is_.get(place)
        if found is None:
            yield f"{' '.join(place)} is missing in the book"
        else:
            wrong = {name: found[name] for name, value in row.items() if found[name] != value}
            if wrong:
                yield f"{' '.join(place)} says {wrong} instead of { {name: row[name] for name in wrong} }"


def _effects_are_the_facts(evidence: Evidence) -> Iterator[str]:
    planned = Counter(effect["key"] for effect in evidence.books.effects)
    for key, count in planned.items():
        if count > 1:
            yield f"{key} is planned {count} times"
    told = {key for key in planned if not key.startswith(STORM)}
    for key in told - set(evidence.facts.keys):
        if not any(fnmatchcase(key, pattern) for pattern in evidence.facts.maybe):
            yield f"{key} is told and did not happen"
    for key in set(evidence.facts.keys) - planned.keys():
        yield f"{key} happened and is not told"
    for effect in evidence.books.effects:
        if effect["state"] != "sent":
            yield f"{effect['key']} is {effect['state']}: {effect['last_error']}"


def _every_effect_is_posted(evidence: Evidence) -> Iterator[str]:
    posted = {post.key for post in evidence.posts}
    keys = {effect["id"]: effect["key"] for effect in evidence.books.effects}
    for effect in evidence.books.effects:
        told_in = keys.get(effect["folded_into"], effect["key"])
        if effect["state"] == "sent" and told_in not in posted:
            yield f"{effect['key']} is called sent and is not in Slack"
    for key in posted - {effect["key"] for effect in evidence.books.effects}:
        yield f"{key} is in Slack and nobody planned it"


def _storms_count_right(evidence: Evidence) -> Iterator[str]:
    folded = Counter(each["folded_into"] for each in evidence.books.effects if not each["parent"])
    says = {post.key: post.says for post in evidence.posts}
    # A case that a storm told of and that has changed since has a message of its own now; the storm did tell of it.
    apart = {each["parent"] for each in evidence.books.effects if each["parent"] and each["folded_into"] is None}
    left = sum(not parent.startswith(STORM) for parent in apart)
    for effect in evidence.books.effects:
        if not effect["key"].startswith(STORM) or effect["parent"]:
            continue
        count, said = folded[effect["id"]], COUNT.search(says.get(effect["key"], ""))
        if said is None or not count <= int(said[1].replace(",", "")) <= count + left:
            yield f"{effect['key']} tells of {count} and says something else"


def _doubles_are_marked(evidence: Evidence) -> Iterator[str]:
    lost = {effect["key"]: effect["lost_answers"] for effect in evidence.books.effects}
    by_key: dict[str, list[Post]] = defaultdict(list)
    for post in evidence.posts:
        by_key[post.key].append(post)
    for key, posts in by_key.items():
        repeats = posts[1:]
        if len(repeats) > lost.get(key, 0):
            yield f"{key} was posted {len(posts)} times, with {lost.get(key, 0)} answers lost"
        if not all(post.marked for post in repeats):
            yield f"{key} was posted again and does not say so"


def _answers_are_expected(evidence: Evidence) -> Iterator[str]:
    strange = Counter(answer.what for answer in evidence.answers if not answer.accepted)
    for what, count in strange.items():
        if what not in evidence.expected.answers:
            yield f"{count} answers were {what}"


def _files_are_sound(evidence: Evidence) -> Iterator[str]:
    yield from evidence.books.flaws


CLAUSES: Mapping[str, Clause] = {
    "answered 2xx is stored": _accepted_is_stored,
    "stored was sent": _stored_was_sent,
    "one event each": _one_event_each,
    "taken in the end": _taken_in_the_end,
    "receipts agree": _receipts_agree,
    "nothing waits": _nothing_waits,
    "sums are right": _sums_are_right,
    "the book is right": _book_is_right,
    "effects are the facts": _effects_are_the_facts,
    "every effect is posted": _every_effect_is_posted,
    "storms count right": _storms_count_right,
    "doubles are marked": _doubles_are_marked,
    "answers are expected": _answers_are_expected,
    "files are sound": _files_are_sound,
}


def doubles(posts: Sequence[Post]) -> dict[str, int]:
    """Count the messages of each key that is in Slack more than once."""
    counted = Counter(post.key for post in posts)
    return {key: count for key, count in counted.items() if count > 1}
