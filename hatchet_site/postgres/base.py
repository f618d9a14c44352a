"""Whether a kept connection can still be used, told without asking the server.

Django asks before the first query of each request, which costs programs a round trip each time. A server that
ends a connection says so, and what it said waits in the socket. One that vanished without a word would not
have answered the question either; the connection's own keep-alive notices it (`engine/config.py`).
"""

from __future__ import annotations

import select

import psycopg
from django.db.backends.postgresql import base
from psycopg.pq import ConnStatus
from psycopg.pq.abc import PGconn


class DatabaseWrapper(base.DatabaseWrapper):
    def is_usable(self) -> bool:
        if self.connection is None:
            return False
        pgconn: PGconn = self.connection.pgconn
        unread = select.poll()
        try:
            unread.register(pgconn.socket, select.POLLIN)
            while unread.poll(0):
                pgconn.consume_input()
        except psycopg.OperationalError:
            return False
        return pgconn.status == ConnStatus.OK
