"""Workers over HTTP: the leases port over the contract's operations, and the process that serves it. Needs no extra.

    from blaxel_jobs.remote import RemoteWorker

    with RemoteWorker([my_job], base_url="http://127.0.0.1:8080", slots=16):
        ...

`python -m blaxel_jobs.worker` is the same as a command.
"""

from .leases import RemoteLeases
from .worker import RemoteWorker, run_worker

__all__ = ["RemoteLeases", "RemoteWorker", "run_worker"]
