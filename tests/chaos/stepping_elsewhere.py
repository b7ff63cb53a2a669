"""The handlers of `tests.chaos.stepping`, for workers far from the server."""

from blaxel_jobs import define_job
from tests.chaos.stepping import in_loop, in_thread

remote = define_job(name="remote", run=in_loop("worker"))
remote_in_thread = define_job(name="remote-in-thread", run=in_thread("worker"))
