"""The command `blaxel-jobs`."""

import os
import sys


def main() -> None:
    """Run the command line. A user's mistake is one line on stderr and exit code 2."""
    code = 1
    try:
        from .commands import run

        code = run(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except OSError as error:
        # A full disk, or a reader who has had enough. Python would fail once more when it empties the buffer at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0 if isinstance(error, BrokenPipeError) else code or 1
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "blaxel_jobs":
            raise
        extras = "cli,server" if "serve" in sys.argv[1:2] else "cli"
        code = _say(f"the command line needs {missing}; install it with: pip install 'blaxel-jobs[{extras}]'")
    sys.exit(code)


def _say(message: str) -> int:
    print(f"blaxel-jobs: {message}", file=sys.stderr)
    return 2
