"""Which rows the partial indexes hold: those that are still to do, or that somebody has to look at.

SQLite uses a partial index only where the query repeats its condition literally, so queries use these very texts.
"""

WAITING = "state IN ('pending', 'failed')"
QUEUED = "state = 'queued'"
RUNNING = "state = 'running'"
DEAD = "state = 'dead'"
DUE = "state IN ('planned', 'ambiguous')"
SENDING = "state = 'sending'"
LINE = "state IN ('planned', 'ambiguous') AND folded_into IS NULL"
FOLDED = "folded_into IS NOT NULL"
IN_A_THREAD = "parent IS NOT NULL"
OPEN = "state = 'open'"
FLAWED = "flaw IS NOT NULL"
