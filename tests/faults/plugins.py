"""Handlers that only the harness has: they fail in every way that a handler can. They are added under handlers/."""

FAILING = '''
"""Fails as its event's type says."""

import os
import threading
import time

from handlers.errors import GiveUp
from handlers.router import handler


@handler(source="stripe", types=["poison.raises"], queue="default")
def raises(event, ctx):
    raise ValueError("always")


@handler(source="stripe", types=["poison.gives_up"], queue="default")
def gives_up(event, ctx):
    raise GiveUp("never")


@handler(source="stripe", types=["poison.hangs"], queue="default")
def hangs(event, ctx):
    while True:
        time.sleep(0.1)


@handler(source="stripe", types=["poison.kills"], queue="default")
def kills(event, ctx):
    os.kill(os.getpid(), 9)


@handler(source="stripe", types=["poison.hungry"], queue="default")
def hungry(event, ctx):
    bytearray(64 * 1024**3)


@handler(source="stripe", types=["loses.thread"], queue="notifications")
def loses_thread(event, ctx):
    path = os.path.join(os.environ["HOOKLINE_DATA_DIR"], f"lost-{ctx.delivery_id}")
    if not os.path.exists(path):
        open(path, "wb").close()
        threading.Thread(target=lambda: 1 / 0).start()
        time.sleep(5)


@handler(source="stripe", types=["stumbles"], queue="payments")
def stumbles(event, ctx):
    with open(os.path.join(os.environ["HOOKLINE_DATA_DIR"], f"stumbled-{ctx.delivery_id}"), "ab") as file:
        file.write(b"x")
        if file.tell() < 3:
            raise ValueError("not yet")
'''

NEW_KIND = '''
"""What version N+1 also does."""

from handlers.router import handler


@handler(source="stripe", types=["new.kind"], queue="default")
def new_kind(event, ctx):
    pass
'''

NEW_MIGRATION = '''
"""What version N+1 also keeps."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{down_revision}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("new_in_n_plus_1", sa.Text()))


def downgrade() -> None:
    op.drop_column("events", "new_in_n_plus_1")
'''
