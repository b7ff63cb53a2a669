import hashlib
from pathlib import Path

import pytest

from blaxel_jobs.errors import ConfigError
from blaxel_jobs.server.keys import SCOPES, Keyring, Principal, read_key, read_key_file

HEX = hashlib.sha256(b"hashed").hexdigest()


def test_a_file_of_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(
        f"# ours\n\nplain\n  spaced   workspace=team-a\tscopes=read,submit # comment\nsha256:{HEX} scopes=read,admin workspace=b\n"
    )
    keyring = Keyring(read_key_file(file))
    assert len(keyring) == 3
    assert keyring.find(b"plain") == Principal("default", SCOPES)
    assert keyring.find(b"spaced") == Principal("team-a", frozenset({"read", "submit"}))
    assert keyring.find(b"hashed") == Principal("b", SCOPES)
    for wrong in (b"", b"Plain", b"plain ", b"sha256:" + HEX.encode(), HEX.encode(), b"#"):
        assert keyring.find(wrong) is None


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("secret workspace", "word 2"),
        ("secret workspace=", "workspace"),
        ("secret workspace=a/b", "workspace"),
        ("secret scopes=", "scopes"),
        ("secret scopes=read,", "scopes"),
        ("secret scopes=root", "scopes"),
        ("secret scopes=read scopes=submit", "twice"),
        ("secret colour=red", "word 2"),
        ("sha256:secret", "64 hex digits"),
        (f"sha256:{HEX[:-1]}", "64 hex digits"),
        ("sécret", "printable ASCII"),
        ("first", "twice"),
    ],
)
def test_a_bad_line_is_named_and_the_key_is_not(tmp_path: Path, line: str, says: str) -> None:
    file = tmp_path / "keys"
    file.write_text(f"first\n{line}\n")
    with pytest.raises(ConfigError, match=says) as caught:
        read_key_file(file)
    assert f"{file}, line 2" in caught.value.message
    assert not any(word in caught.value.message for word in ("secret", "sécret", HEX[:-1], "first"))


def test_files_without_keys(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("# nothing\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, says in (("empty", "no key"), ("binary", "UTF-8"), ("missing", "cannot be read"), ("", "cannot be read")):
        with pytest.raises(ConfigError, match=says):
            read_key_file(tmp_path / name)


def test_a_key_is_not_shown() -> None:
    key = read_key("secret", "--api-key")
    assert "secret" not in repr(key)
    assert key.digest.hex() not in repr(key)
    with pytest.raises(ConfigError, match="--api-key: a key") as caught:
        read_key("se cret", "--api-key")
    assert "cret" not in caught.value.message
