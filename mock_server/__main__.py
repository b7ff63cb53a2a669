"""`python -m mock_server`: the mock for programs in any language."""

import gc
import sys


def main() -> int:
    """The exit code."""
    # All that is loaded stays: to look for garbage in it, while it is loaded and later, is a twelfth of the start.
    gc.disable()
    from .process import run

    gc.freeze()
    gc.enable()
    return run()


if __name__ == "__main__":
    sys.exit(main())
