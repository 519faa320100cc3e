"""Replies to commands with a key: the same once more, bounded in number."""

from __future__ import annotations

import pytest

from openmm.engine.replies import Replies
from openmm.errors import CommandError


def test_told_again_gets_the_first_reply_and_anything_else_is_refused() -> None:
    replies = Replies()
    assert replies.find("a", "k", "pause", {}) is None
    replies.keep("a", "k", "pause", {}, {"state": "PAUSED"})
    assert replies.find("a", "k", "pause", {}) == {"state": "PAUSED", "repeated": True}
    assert replies.find("b", "k", "pause", {}) is None
    for name, args in (("halt", {}), ("pause", {"reason": "other"})):
        with pytest.raises(CommandError) as caught:
            replies.find("a", "k", name, args)
        assert caught.value.code == "key_reused"


def test_without_a_key_nothing_is_remembered() -> None:
    replies = Replies()
    replies.keep("a", "", "pause", {}, {"state": "PAUSED"})
    assert replies.find("a", "", "halt", {}) is None


def test_oldest_replies_go_first() -> None:
    replies = Replies(most=3)
    for number in range(5):
        replies.keep("a", f"k{number}", "pause", {}, {"number": number})
    assert [replies.find("a", f"k{number}", "pause", {}) is None for number in range(5)] == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_no_client_pushes_out_what_another_was_told() -> None:
    replies = Replies(most=3, clients=2)
    replies.keep("a", "k", "place", {}, {"seq": 1})
    for number in range(50):
        replies.keep("b", f"k{number}", "set", {}, {})
    assert replies.find("a", "k", "place", {}) == {"seq": 1, "repeated": True}
    replies.keep("c", "k", "set", {}, {})
    # The client that was silent longest makes room.
    assert replies.find("a", "k", "place", {}) is None
    assert replies.find("b", "k49", "set", {}) is not None
