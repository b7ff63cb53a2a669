"""A server in this process, on a real socket."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from blaxel_jobs.engine import Engine
from blaxel_jobs.server.app import create_app
from blaxel_jobs.server.serve import HttpServer, bind, url_of
from blaxel_jobs.system import new_key
from tests.pace import PATIENCE


@contextmanager
def serving(engine: Engine) -> Iterator[str]:
    """The engine behind a server in a thread; the value is its URL."""
    ready = threading.Event()
    with bind("127.0.0.1", 0) as bound:
        server = HttpServer(create_app(engine, version="1", new_id=new_key), bound, on_ready=ready.set)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            assert ready.wait(PATIENCE)
            yield url_of(bound)
        finally:
            server.stop()
            thread.join()
