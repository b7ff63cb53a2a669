"""`python -m blaxel_jobs.cli` is `blaxel-jobs`."""

from . import main

main()
