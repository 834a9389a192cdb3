"""A filter in a statement of SQLAlchemy's: for who looks in order to change something."""

from sqlalchemy import ColumnElement, and_, text

from ledger import views
from ledger.views import Filter


def event_conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    """Say what an event must be like, but for its state. The statement must be of the table `events`, by this name."""
    return [and_(text(clause.text).bindparams(**clause.values)) for clause in views.event_conditions(wanted)]
