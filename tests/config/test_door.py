"""The way to the ledger's database that does without SQLAlchemy, and leads where SQLAlchemy's leads."""

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from config.database import database_url
from config.door import find_door
from config.errors import InvalidSettings
from config.postgresql import address_in
from config.settings import load_settings
from config.sqlite import file_of
from tests.examples import examples


def as_sqlalchemy_reads(url: str) -> dict[str, str]:
    dialect: Any = PGDialect_psycopg
    words, arguments = dialect().create_connect_args(database_url(load_settings({"DATABASE_URL": url})))
    assert words in ([], [""])
    return {name: str(value) for name, value in arguments.items()}


words = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters="\x7f"), max_size=8)
spelled = words | words.map(quote)
passwords = st.just("") | spelled.map(lambda word: f":{word}")
people = st.just("") | st.tuples(spelled, passwords, st.just("@")).map("".join)
schemes = st.sampled_from(["postgres://", "postgresql://", "postgresql+psycopg://"])
hosts = st.sampled_from(["", "db", "db.example", "127.0.0.1", "[::1]", "a,b"])
ports = st.sampled_from(["", ":5432"])
ends = st.sampled_from(["", "/", "/ledger", "/my%20ledger", "/ledger?sslmode=require", "/l?sslmode=a&options=-c%20x"])


@examples(200)
@given(url=st.tuples(schemes, people, hosts, ports, ends).map("".join))
def test_a_postgresql_url_leads_where_sqlalchemy_would_go_or_is_left_to_it(url: str) -> None:
    try:
        expected = as_sqlalchemy_reads(url)
    except InvalidSettings:
        return
    assert address_in(url) in (expected, None)


@pytest.mark.parametrize(
    "url",
    ["postgres://me:p%40ss@db.example:5433/hookline?sslmode=require", "postgresql://hookline@127.0.0.1:5432/ledger"],
)
def test_a_usual_postgresql_url_needs_no_sqlalchemy(url: str) -> None:
    assert address_in(url) == as_sqlalchemy_reads(url)


@pytest.mark.parametrize(
    "url", ["sqlite:////var/lib/ledger.db", "sqlite:///here.db", "sqlite:///a b.db", "sqlite:///a%20b.db"]
)
def test_a_file_is_the_one_that_sqlalchemy_would_open(url: str) -> None:
    settings = load_settings({"DATABASE_URL": url})
    assert str(file_of(settings)) == database_url(settings).database


@pytest.mark.parametrize(
    "environ",
    [
        {"DATABASE_URL": "sqlite:///file:x?mode=ro&uri=true"},
        {"DATABASE_URL": "sqlite://"},
        {"DATABASE_URL": "mysql://db/x"},
        {"DATABASE_URL": "nonsense"},
        {"DATABASE_URL": "postgresql://one,two/ledger"},
        {"DATABASE_URL": "postgresql://db:http/ledger"},
        {"DATABASE_URL": "postgresql://db:0/ledger"},
        {"DATABASE_URL": "postgresql://db/ledger?sslmode=disable&sslmode=prefer"},
        {"DATABASE_URL": "postgresql://db/ledger?autocommit=false"},
    ],
)
def test_what_is_out_of_the_way_is_left_to_sqlalchemy(environ: dict[str, Any]) -> None:
    assert find_door(load_settings(environ)) is None
