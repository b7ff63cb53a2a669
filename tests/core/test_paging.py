import pytest

from blaxel_jobs.core.paging import check_limit, read_cursor, write_cursor
from blaxel_jobs.errors import InvalidRequest


def test_a_cursor_says_where_to_go_on() -> None:
    assert read_cursor("executions default job", write_cursor("executions default job", 42)) == 42


@pytest.mark.parametrize("cursor", ["", "x", "!!!", "bnVsbA", "ä", write_cursor("another query", 42)])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="cursor") as caught:
        read_cursor("executions default job", cursor)
    assert caught.value.path == "cursor"


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_s1_20_a_limit_is_1_to_1000(limit: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_limit(limit)
    assert caught.value.path == "limit"
    assert [check_limit(None), check_limit(1), check_limit(1000)] == [100, 1, 1000]
