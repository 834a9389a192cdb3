"""The verdict can fail: for each clause, records that were tampered with make it fail and name the culprit."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.faults.books import Books
from tests.faults.record import Answer, read_facts
from tests.faults.verdict import CLAUSES, REPEAT, Evidence, Expected, Post, judge

PAID, BUILD, TALK, BACK = "evt_paid", "guid-of-a-build", "Ev_talk", "evt_back"
DISPUTE_KEY, BUILD_KEY = "stripe/dispute/-/test/du_1", "github/failing_build/1/2/1"
BACK_KEY, STORM_KEY = "stripe/refund/-/test/re_1", "storm/300"

Tamper = Callable[[Evidence], Evidence]


def _line(what: str, name: str, **more: object) -> dict[str, object]:
    return {"what": what, "id": name, "at": 1.0, **more}


def _story(kind: str, name: str, source: str, **more: object) -> dict[str, object]:
    return {"what": "story", "kind": kind, "webhooks": [[name, source]], "rows": [], "keys": [], "maybe": [], **more}


def _answer(name: str, answer: str, **more: object) -> dict[str, object]:
    return _line("answer", name, answer=answer, took_s=0.01, **more)


def honest() -> Evidence:
    """Four webhooks, one of them sent twice and one told in a storm: all was handled."""
    row = {"table": "disputes", "id": "du_1", "status": "won", "amount": 4900}
    facts = read_facts(
        [
            _story("dispute", PAID, "stripe", rows=[row], keys=[DISPUTE_KEY]),
            _line("attempt", PAID),
            _answer(PAID, "reset"),
            _line("attempt", PAID),
            _answer(PAID, "200", said="duplicate", event=1),
            _story("build", BUILD, "github", keys=[BUILD_KEY]),
            _line("attempt", BUILD),
            _answer(BUILD, "200", said="accepted", event=2),
            _story("mention", TALK, "slack"),
            _line("attempt", TALK),
            _answer(TALK, "503"),
            _line("gave_up", TALK),
            _story("refund", BACK, "stripe", keys=[BACK_KEY]),
            _line("attempt", BACK),
            _answer(BACK, "200", said="accepted", event=3),
        ],
    )
    return Evidence(
        facts=facts,
        answers=facts.answers,
        books=Books(
            events=[_event(1, "stripe", PAID), _event(2, "github", BUILD), _event(3, "stripe", BACK)],
            deliveries=[_delivery(1, "payments.dispute"), _delivery(2, "repositories.failing_build")],
            effects=[
                _effect(1, DISPUTE_KEY),
                _effect(2, BUILD_KEY, lost_answers=1),
                _effect(3, STORM_KEY),
                {**_effect(3, BACK_KEY), "id": 301, "folded_into": 300},
            ],
            book=[dict(row)],
        ),
        posts=[
            Post(DISPUTE_KEY, "won"),
            Post(BUILD_KEY, "failed"),
            Post(BUILD_KEY, f"failed. {REPEAT}"),
            Post(STORM_KEY, "1 refunds"),
        ],
        expected=Expected(answers={"reset", "503"}),
    )


def _event(number: int, source: str, name: str) -> dict[str, object]:
    return {"id": number, "source": source, "external_id": name, "flaw": None}


def _delivery(event: int, handler: str, state: str = "done") -> dict[str, object]:
    return {"id": event * 10, "event_id": event, "handler": handler, "state": state, "last_error": None}


def _effect(event: int, key: str, *, state: str = "sent", lost_answers: int = 0) -> dict[str, object]:
    return {
        "id": event * 100,
        "event_id": event,
        "key": key,
        "state": state,
        "lost_answers": lost_answers,
        "last_error": None,
        "folded_into": None,
        "parent": None,
    }


def _books(evidence: Evidence, **other: object) -> Evidence:
    return replace(evidence, books=replace(evidence.books, **other))  # type: ignore[arg-type]


def _without_event(evidence: Evidence) -> Evidence:
    return _books(evidence, events=evidence.books.events[1:], deliveries=[], effects=[])


def _with_stranger(evidence: Evidence) -> Evidence:
    return _books(evidence, events=[*evidence.books.events, _event(3, "stripe", "evt_stranger")])


def _with_flaw(evidence: Evidence) -> Evidence:
    first, *others = evidence.books.events
    return _books(evidence, events=[{**first, "flaw": "not JSON"}, *others])


def _with_twin(evidence: Evidence) -> Evidence:
    return _books(evidence, events=[*evidence.books.events, _event(3, "github", BUILD)])


def _never_taken(evidence: Evidence) -> Evidence:
    evidence.facts.sent[TALK].gave_up = False
    return evidence


def _with_another_receipt(evidence: Evidence) -> Evidence:
    evidence.facts.sent[PAID].answers.append(Answer(what="200", said="duplicate", event=7, took_s=0, at=0))
    return evidence


def _taken_twice(evidence: Evidence) -> Evidence:
    evidence.facts.sent[BUILD].answers.append(Answer(what="200", said="accepted", event=2, took_s=0, at=0))
    return evidence


def _waiting(evidence: Evidence) -> Evidence:
    return _books(evidence, deliveries=[_delivery(1, "payments.dispute", "queued")])


def _dead(evidence: Evidence) -> Evidence:
    return _books(evidence, deliveries=[_delivery(1, "payments.dispute", "dead")])


def _delivered_twice(evidence: Evidence) -> Evidence:
    return _books(evidence, deliveries=[*evidence.books.deliveries, _delivery(1, "payments.dispute")])


def _of_nobody(evidence: Evidence) -> Evidence:
    return _books(evidence, deliveries=[*evidence.books.deliveries, _delivery(9, "payments.dispute")])


def _with_another_row(evidence: Evidence) -> Evidence:
    return _books(evidence, book=[*evidence.books.book, {"table": "payments", "id": "pi_stranger"}])


def _without_row(evidence: Evidence) -> Evidence:
    return _books(evidence, book=[])


def _with_wrong_row(evidence: Evidence) -> Evidence:
    return _books(evidence, book=[{**evidence.books.book[0], "status": "under_review"}])


def _without_effect(evidence: Evidence) -> Evidence:
    return _books(evidence, effects=evidence.books.effects[1:])


def _with_another_effect(evidence: Evidence) -> Evidence:
    return _books(evidence, effects=[*evidence.books.effects, _effect(1, "stripe/dispute/-/test/du_other")])


def _unsent(evidence: Evidence) -> Evidence:
    return _books(evidence, effects=[_effect(1, DISPUTE_KEY, state="ambiguous"), *evidence.books.effects[1:]])


def _without_post(evidence: Evidence) -> Evidence:
    return replace(evidence, posts=evidence.posts[1:])


def _with_another_post(evidence: Evidence) -> Evidence:
    return replace(evidence, posts=[*evidence.posts, Post("stripe/dispute/-/test/du_other", "?")])


def _with_lost_storm(evidence: Evidence) -> Evidence:
    return replace(evidence, posts=evidence.posts[:3])


def _with_miscounted_storm(evidence: Evidence) -> Evidence:
    return replace(evidence, posts=[*evidence.posts[:3], Post(STORM_KEY, "2 refunds")])


def _with_unexplained_double(evidence: Evidence) -> Evidence:
    return replace(evidence, posts=[*evidence.posts, Post(DISPUTE_KEY, f"won. {REPEAT}")])


def _with_unmarked_double(evidence: Evidence) -> Evidence:
    return replace(evidence, posts=[*evidence.posts[:2], Post(BUILD_KEY, "failed")])


def _with_500(evidence: Evidence) -> Evidence:
    return replace(evidence, answers=[*evidence.answers, Answer(what="500", said=None, event=None, took_s=0, at=0)])


def _damaged(evidence: Evidence) -> Evidence:
    return _books(evidence, flaws=["row 7 missing from index ix_events_external_id"])


TAMPERED: list[tuple[str, Tamper, str]] = [
    ("answered 2xx is stored", _without_event, PAID),
    ("stored was sent", _with_stranger, "evt_stranger"),
    ("stored was sent", _with_flaw, PAID),
    ("one event each", _with_twin, BUILD),
    ("taken in the end", _never_taken, TALK),
    ("receipts agree", _with_another_receipt, PAID),
    ("receipts agree", _taken_twice, BUILD),
    ("nothing waits", _waiting, "payments.dispute"),
    ("nothing waits", _dead, "payments.dispute"),
    ("sums are right", _delivered_twice, "payments.dispute"),
    ("sums are right", _of_nobody, "event 9"),
    ("the book is right", _with_another_row, "pi_stranger"),
    ("the book is right", _without_row, "du_1"),
    ("the book is right", _with_wrong_row, "under_review"),
    ("effects are the facts", _without_effect, DISPUTE_KEY),
    ("effects are the facts", _with_another_effect, "du_other"),
    ("effects are the facts", _unsent, DISPUTE_KEY),
    ("every effect is posted", _without_post, DISPUTE_KEY),
    ("every effect is posted", _with_another_post, "du_other"),
    ("every effect is posted", _with_lost_storm, BACK_KEY),
    ("storms count right", _with_miscounted_storm, STORM_KEY),
    ("doubles are marked", _with_unexplained_double, DISPUTE_KEY),
    ("doubles are marked", _with_unmarked_double, BUILD_KEY),
    ("answers are expected", _with_500, "500"),
    ("files are sound", _damaged, "ix_events_external_id"),
]


def test_honest_records_have_no_complaint() -> None:
    assert judge(honest()) == []


@pytest.mark.parametrize(("clause", "tamper", "culprit"), TAMPERED, ids=[each[1].__name__ for each in TAMPERED])
def test_a_tampered_record_fails_its_clause_and_is_named(clause: str, tamper: Tamper, culprit: str) -> None:
    complaints = judge(tamper(honest()))

    assert any(each.clause == clause and culprit in each.what for each in complaints)


def test_every_clause_can_fail() -> None:
    assert {clause for clause, _, _ in TAMPERED} == CLAUSES.keys()


def test_what_is_expected_to_be_dead_must_be_dead() -> None:
    evidence = replace(honest(), expected=Expected(answers={"reset", "503"}, states={"payments.dispute": "dead"}))

    assert [each.clause for each in judge(evidence)] == ["nothing waits"]
