"""What is loaded when it is first needed is loaded now: pytest parses what it imports, which CPython 3.11 cannot do in two threads
at once, and workers and servers run in threads here."""

from importlib import import_module
from pkgutil import walk_packages

from blaxel_jobs import client, worker

for package in (client, worker):
    for info in walk_packages(package.__path__, f"{package.__name__}."):
        if not info.name.endswith("__main__"):
            import_module(info.name)
