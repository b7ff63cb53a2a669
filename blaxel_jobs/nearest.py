"""What somebody may have meant who wrote a name that there is not."""

from collections.abc import Iterable


def meant(word: str, known: Iterable[str]) -> str:
    """`did you mean 'max_retries'?`, for a word like one that is known, in whatever case it is written; else all that there are."""
    from difflib import get_close_matches

    names = list(known)
    near = get_close_matches(_plain(word), [_plain(name) for name in names], n=1, cutoff=0.7)
    if near:
        return f"did you mean {next(name for name in names if _plain(name) == near[0])!r}?"
    return f"there are {', '.join(names)}" if len(names) > 1 else f"there is {names[0]}" if names else "there is none"


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
