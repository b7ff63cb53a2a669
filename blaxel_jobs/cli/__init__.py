"""The command `blaxel-jobs`."""

import sys


def main() -> None:
    """Run the command line. A user's mistake is one line on stderr and exit code 2."""
    try:
        from .commands import run

        code = run(sys.argv[1:])
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "blaxel_jobs":
            raise
        code = _say(f"the command line needs {error.name}; install it with: pip install 'blaxel-jobs[cli,server]'")
    sys.exit(code)


def _say(message: str) -> int:
    print(f"blaxel-jobs: {message}", file=sys.stderr)
    return 2
