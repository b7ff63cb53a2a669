"""The lock file by which a process knows that it is the only one."""

import os
from pathlib import Path

import pytest

from blaxel_jobs.engine.boot import Boot


def test_the_first_is_alone_and_others_are_not(tmp_path: Path) -> None:
    first, second = Boot(tmp_path / "lock"), Boot(tmp_path / "lock")
    with first.enter() as alone:
        assert alone
    with second.enter() as alone:
        assert not alone
    first.leave()
    second.leave()
    with first.enter() as alone:
        assert alone
    first.leave()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_who_fails_at_the_start_is_out_again(tmp_path: Path, error: type[BaseException]) -> None:
    boot = Boot(tmp_path / "lock")
    with pytest.raises(error), boot.enter():
        raise error
    with boot.enter() as alone:
        assert alone
    boot.leave()


def test_the_file_is_for_who_the_umask_lets_in(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        with Boot(tmp_path / "lock").enter():
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o664
