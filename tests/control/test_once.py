"""Preview tokens and keys: used once, by whom they were made for, in every process."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from openmm.control.once import KEPT_NS, PREVIEW_NS, Once, bound_of
from openmm.errors import ControlError

ROOT = Path(__file__).resolve().parent.parent.parent
NOW = 1_800_000_000_000_000_000
BOUND = bound_of("set", {"bot": "btc", "changes": {"strategy.spread": "1%"}})


@pytest.fixture
def once(tmp_path: Path) -> Once:
    return Once(tmp_path / "once.sqlite")


def refused(
    once: Once, preview: str, *, client: str = "ann", key: str = "k", bound: str = BOUND,
    now_ns: int = NOW,
) -> str:  # fmt: skip
    with pytest.raises(ControlError) as caught:
        once.begin(client, key, bound, now_ns, preview)
    assert caught.value.hint
    return caught.value.code


def test_preview_token_is_good_once_for_what_it_was_made_for(once: Once) -> None:
    token = once.issue("ann", BOUND, "v7", NOW)
    assert stat.S_IMODE(once.path.stat().st_mode) == 0o600
    assert token.encode() not in once.path.read_bytes()
    assert refused(once, "") == "preview_required"
    assert refused(once, "pv_nonsense") == "preview_mismatch"
    assert refused(once, token, client="bob") == "preview_mismatch"
    assert refused(once, token, bound=bound_of("set", {"bot": "eth"})) == "preview_mismatch"
    assert refused(once, token, now_ns=NOW + PREVIEW_NS) == "preview_expired"
    assert refused(once, token, now_ns=NOW - 1) == "preview_expired"  # the clock was set back
    told = once.begin("ann", "k1", BOUND, NOW + PREVIEW_NS - 1, token)
    assert (told.first, told.version) == (True, "v7")
    assert refused(once, token, key="k2") == "preview_used"


def test_refused_beginning_leaves_the_key_free(once: Once) -> None:
    assert refused(once, "pv_nonsense", key="k") == "preview_mismatch"
    assert once.begin("ann", "k", BOUND, NOW).first


def test_key_told_again_gives_the_first_result(once: Once) -> None:
    assert once.begin("ann", "k", BOUND, NOW).first
    again = once.begin("ann", "k", BOUND, NOW + 1)
    assert (again.first, again.result, again.uncertain) == (False, None, False)
    once.done("ann", "k", {"bot": "btc"})
    assert once.begin("ann", "k", BOUND, NOW + 2).result == {"bot": "btc"}
    assert once.begin("bob", "k", BOUND, NOW).first  # each client has its own


def test_key_told_again_with_other_arguments_is_refused(once: Once) -> None:
    once.begin("ann", "k", BOUND, NOW)
    with pytest.raises(ControlError) as caught:
        once.begin("ann", "k", bound_of("set", {"bot": "eth"}), NOW)
    assert caught.value.code == "key_reused"


def test_refused_write_frees_its_key_and_an_uncertain_one_keeps_it(once: Once) -> None:
    once.begin("ann", "k", BOUND, NOW)
    once.undone("ann", "k")
    assert once.begin("ann", "k", BOUND, NOW).first
    once.uncertain("ann", "k")
    assert once.begin("ann", "k", BOUND, NOW).uncertain
    once.done("ann", "k", {})
    once.undone("ann", "k")  # what has a result stays
    assert once.begin("ann", "k", BOUND, NOW).result == {}


def test_result_too_long_to_keep_is_told_as_done(once: Once) -> None:
    once.begin("ann", "k", BOUND, NOW)
    once.done("ann", "k", {"x": "y" * (1 << 19)})
    result = once.begin("ann", "k", BOUND, NOW).result
    assert result is not None
    assert "too long" in result["note"]


def test_keys_are_forgotten_after_a_day(once: Once) -> None:
    once.begin("ann", "k", BOUND, NOW)
    assert once.begin("ann", "k", BOUND, NOW + KEPT_NS + 1).first


def test_keys_of_a_client_are_bounded(once: Once, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openmm.control.once.KEYS_MAX", 3)
    for number in range(6):
        once.begin("ann", f"k{number}", BOUND, NOW + number)
    assert not once.begin("ann", "k5", BOUND, NOW + 9).first
    assert once.begin("ann", "k0", BOUND, NOW + 9).first


def test_write_without_a_key_uses_its_token_up(once: Once) -> None:
    token = once.issue("ann", BOUND, "v7", NOW)
    assert once.take(token, "ann", BOUND, NOW).version == "v7"
    assert refused(once, token) == "preview_used"


def test_of_many_threads_one_uses_the_token(once: Once) -> None:
    token = once.issue("ann", BOUND, "", NOW)
    won: list[str] = []

    def use(key: str) -> None:
        try:
            won.append(key if Once(once.path).begin("ann", key, BOUND, NOW, token).first else "")
        except ControlError as error:
            if error.code != "preview_used":
                raise

    threads = [threading.Thread(target=use, args=(str(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_token_used_in_one_process_is_used_up_in_another(once: Once) -> None:
    token = once.issue("ann", BOUND, "", NOW)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from openmm.control.once import Once\n"
        "Once(Path(sys.argv[1])).begin('ann', 'k', sys.argv[2], int(sys.argv[3]), sys.argv[4])\n"
    )
    args = [str(once.path), BOUND, str(NOW), token]
    subprocess.run([sys.executable, "-c", code, *args], cwd=ROOT, check=True, timeout=60)
    assert refused(once, token, key="other") == "preview_used"


def test_database_that_cannot_be_written_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "once.sqlite").write_bytes(b"no database at all, but long enough to be read" * 9)
    with pytest.raises(OSError, match="not a database"):
        Once(tmp_path / "once.sqlite").issue("ann", BOUND, "", NOW)
    with pytest.raises(OSError, match="No such file"):
        Once(tmp_path / "none" / "once.sqlite").issue("ann", BOUND, "", NOW)
