"""What somebody may have meant who wrote a name that there is not."""

from collections.abc import Iterable


def meant(word: str, known: Iterable[str]) -> str:
    """`did you mean 'max_retries'?`, for a word like one that is known, in whatever case it is written; else all that there are."""
    names = list(known)
    near = nearest(word, names)
    if near is not None:
        return f"did you mean {near!r}?"
    return f"there are {', '.join(names)}" if len(names) > 1 else f"there is {names[0]}" if names else "there is none"


def nearest(word: str, names: Iterable[str], cutoff: float = 0.7) -> str | None:
    """The one of these names that is most like a word, if any is. cutoff: how much, 1 for the same letters."""
    from difflib import get_close_matches

    plain = {_plain(name): name for name in names}
    near = get_close_matches(_plain(word), plain, n=1, cutoff=cutoff)
    return plain[near[0]] if near else None


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
