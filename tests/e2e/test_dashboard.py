"""The dashboard in a real browser, on a real gateway, over a bot that trades on the simulator."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct
from playwright.sync_api import Browser

from openmm._fast.checks import RiskState
from openmm.control import looks, records
from openmm.control.access import Scope
from openmm.control.home import Home
from openmm.control.views import look
from openmm.engine.rundir import RunDir, lock_bot
from openmm.telemetry import OwnLevel, TelemetrySnapshot, TelemetryWriter
from tests.control.running import until
from tests.e2e.browser import Visitor, chromium
from tests.e2e.programs import KEYS, bot_toml, simulator
from tests.gateway.serving import Gateway, add, gateway, home_of
from tests.test_telemetry import snapshot

BOT = "btc-grid"
EVIL = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
# Lively enough for fills within seconds; without fees, so that the ladder may stand close.
MARKET = (
    "--seed", "7", "--maker-fee", "0%", "--taker-fee", "0%", "--market", "half_spread_bps=2",
    "--market", "taker_share=0.35", "--market", "calm_volatility=0.15",
)  # fmt: skip
GRID = {
    'spread = "2bps"': 'spread = "4bps"\nvol_factor = "0.2"\nrequote_threshold = "0.5bps"',
    'order_amount = "0.01"': 'order_amount = "0.02"',
}
# Of one open page, in the gateway: budget 10 % of a core, here with room for a busy machine.
CORE_SHARE_MAX = 0.25


class World(Struct, frozen=True):
    """A host with a gateway and a bot that does not run yet."""

    home: Home
    gateway: Gateway
    operator: str
    viewer: str

    def page(self, bot: str = BOT) -> TelemetrySnapshot:
        """Return the bot's telemetry."""
        found = look(RunDir(self.home.root, bot), time.time_ns()).page
        assert found is not None
        return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run one browser for all."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Run a venue and a gateway; the bot is started from the page."""
    folder = tmp_path_factory.mktemp("dashboard")
    home = home_of(folder)
    operator, viewer = add(home, "operator", *Scope), add(home, "viewer")
    run_dir = RunDir(home.root, BOT).make()
    run_dir.lock.touch(0o600)
    with pytest.MonkeyPatch.context() as patch, simulator(*MARKET) as sim:
        for name, value in {**KEYS, "XDG_RUNTIME_DIR": str(folder)}.items():
            patch.setenv(name, value)
        file = bot_toml(folder, sim, name=BOT)
        text = file.read_text()
        for before, after in GRID.items():
            assert before in text
            text = text.replace(before, after)
        (home.root / f"{BOT}.toml").write_text(text)
        try:
            with gateway(home, "--no-alerts") as served:
                yield World(home, served, operator, viewer)
        finally:
            pid = run_dir.holder_pid()
            if pid is not None:
                os.kill(pid, 15)
                until(lambda: run_dir.holder_pid() is None, "the bot has ended")


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_session_from_login_to_undo(world: World, browser: Browser, tmp_path: Path) -> None:
    me = Visitor(browser)
    page = me.page
    me.log_in(world.gateway.url, f"/ui/bot/{BOT}", world.operator)

    # A bot that does not run says so, and is started.
    me.shows("state", "never ran")
    me.shoot(tmp_path, "stopped")
    page.click("[data-deed=start]")
    me.confirm("start")
    me.shows("state", "running")
    page.wait_for_selector("[data-rows=ladder] tr.own")
    assert me.text("pair") == world.page().instrument == "BTC/USD"

    # Fills arrive, and are those of the ledger.
    page.click("[data-tab=fills]")
    me.rows("fills", 3)
    booked = records.fills(world.home, BOT, time.time_ns(), limit=500)["fills"]
    known = {(one["client_id"], f"{float(one['price']):,.1f}", one["side"]) for one in booked}
    shown = me.cells("fills")
    assert {(row[9], row[2], row[1]) for row in shown} <= known
    before = world.page().counters.filled
    page.wait_for_function(
        "least => +document.querySelector('[data-k=n_filled]').textContent >= least", arg=before
    )
    assert before <= int(me.text("n_filled")) <= world.page().counters.filled

    # One of them tells its life and its reasons: read and clicked at once, rows move as fills come.
    order = page.evaluate(
        "() => { const row = [...document.querySelectorAll('[data-rows=fills] tr')].at(-1);"
        " const told = row.cells[9].innerText; row.click(); return told; }"
    )
    page.wait_for_selector(".drawer .act")
    told = page.locator(".drawer").inner_text()
    assert order in told
    assert "pending new → open" in told
    assert "reference" in told
    me.shoot(tmp_path, "order", whole=False)
    page.keyboard.press("Escape")
    page.wait_for_selector(".q-dialog", state="detached")

    # The spread is changed, after a look at what that does.
    page.keyboard.press("e")
    page.get_by_label("spread", exact=True).fill("1%")
    page.click("[data-preview=set]")
    page.wait_for_selector("[data-confirm=set]")
    assert page.get_by_label("spread", exact=True).input_value() == "1%"
    dialog = page.locator(".sheet").inner_text()
    for text in ("strategy.spread", "0.04%", "1%", "ladder before", "ladder after"):
        assert text in dialog
    me.shoot(tmp_path, "parameters", whole=False)
    me.confirm("set")
    assert in_force(world)["strategy.spread"] == "1%"

    # A limit that would be looser is refused, and says why.
    page.keyboard.press("e")
    page.get_by_label("max_inventory", exact=True).fill("5")
    page.click("[data-preview=set]")
    page.wait_for_selector(".sheet .wrong")
    assert "looser" in page.locator(".sheet .wrong").first.inner_text()
    page.keyboard.press("Escape")
    page.wait_for_selector(".q-dialog", state="detached")

    # Pause withdraws every order; resume asks first.
    page.keyboard.press("p")
    me.confirm("pause")
    me.shows("state", "paused")
    page.wait_for_selector("[data-rows=ladder] tr.own", state="detached")
    assert not world.page().own_bids
    page.keyboard.press("r")
    me.confirm("resume")
    me.shows("state", "running")

    # An order by hand is placed beside the ladder, and cancelled by its row.
    until(lambda: world.page().rate_level_milli < 135_000, "there is rate budget for it")
    price = f"{float(world.page().book_bids[-1].price_ticks * world.page().tick_size) * 0.97:.1f}"
    page.keyboard.press("o")
    page.get_by_label("quantity").fill("0.012")
    page.get_by_label("price", exact=True).fill(price)
    page.click("[data-preview=place]")
    me.confirm("place")
    page.click("[data-tab=orders]")
    mine = page.locator("[data-rows=orders] tr", has_text="operator")
    mine.wait_for()
    assert any(world.page().qty(one.qty_lots) * 1000 == 12 for one in world.page().own_bids), (
        "the engine has it"
    )
    mine.click()
    page.wait_for_selector(".drawer")
    page.get_by_role("button", name="Cancel this order").click()
    page.click("[data-confirm=cancel]")
    mine.wait_for(state="detached")
    page.keyboard.press("Escape")
    page.wait_for_selector(".q-dialog", state="detached")

    # Halt is one key and one more; it stays, and its reason is told to all.
    page.keyboard.press("h")
    page.get_by_label("reason, for the journal").fill(EVIL)
    me.shoot(tmp_path, "halt", whole=False)
    me.confirm("halt")
    me.shows("state", "halted")
    assert world.page().risk_state == RiskState.HALTED
    assert not world.page().own_asks
    page.keyboard.press("r")
    me.confirm("resume")
    me.shows("state", "running")

    # The change is taken back.
    page.keyboard.press("u")
    me.confirm("undo")
    assert in_force(world)["strategy.spread"] == "0.04%"

    # Who did what is there for all to see; what was typed is text.
    page.click("[data-tab=audit]")
    me.rows("audit", 8)
    told = page.locator("[data-rows=audit]").inner_text()
    assert EVIL in told
    for action in ("start", "set", "pause", "resume", "place", "cancel", "halt", "undo"):
        assert action in told
    assert "taken" not in page.title()

    # Flatten leaves nothing of the ladder: what is live only brings inventory home, and that as
    # long as the market takes; then it stands still.
    page.keyboard.press("f")
    me.confirm("flatten")
    until(lambda: not ladder(world.page()), "the ladder is withdrawn")
    page.click("[data-tab=orders]")
    page.wait_for_function(
        "![...document.querySelectorAll('[data-rows=orders] tr')]"
        ".some(row => row.cells[6].textContent === 'ladder')"
    )
    own = world.page()
    assert not (own.own_bids and own.own_asks)
    assert me.text("state").lower() in ("reducing", "paused")

    assert me.complaints == []
    assert {one.split("/")[2] for one in me.asked if not one.startswith("data:")} == {
        world.gateway.url.split("/")[2]
    }, "nothing is fetched from elsewhere"
    me.close()


def ladder(page: TelemetrySnapshot) -> list[OwnLevel]:
    """Return the live orders that are the ladder's."""
    return [one for one in (*page.own_bids, *page.own_asks) if not one.by_hand]


def in_force(world: World) -> dict[str, str]:
    """Return the values that the running bot has."""
    found: dict[str, str] = looks.config(world.home, BOT, time.time_ns())["config"]
    return found


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_pages_fit(world: World, browser: Browser, tmp_path: Path, scheme: str, size: str) -> None:
    me = Visitor(browser, size, scheme)
    me.log_in(world.gateway.url, "/ui/", world.operator)
    me.rows("bots")
    me.shoot(tmp_path, "fleet")
    assert me.fits()
    me.page.click(f"text={BOT}")
    me.page.wait_for_selector("[data-rows=ladder] tr.touch")
    me.page.wait_for_function("document.querySelectorAll('canvas').length === 4")
    assert me.fits()
    ground = me.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(13, 16, 20)") is (scheme == "dark")
    assert me.page.locator("[data-deed=halt]").is_visible()
    me.shoot(tmp_path, "bot")
    for tab in ("risk", "venues", "latency", "incidents"):
        me.page.click(f"[data-tab={tab}]")
        assert me.page.locator(f"#pane-{tab}").is_visible()
        me.shoot(tmp_path, f"bot-{tab}")
    assert me.fits()
    assert me.complaints == []
    me.close()


def test_open_page_costs_little(world: World, browser: Browser) -> None:
    me = Visitor(browser)
    me.log_in(world.gateway.url, f"/ui/bot/{BOT}", world.operator)
    me.page.wait_for_selector("[data-rows=ladder] tr.touch")
    began_s, used_s = time.monotonic(), cpu_s(world.gateway.pid)
    me.page.wait_for_timeout(4_000)
    share = (cpu_s(world.gateway.pid) - used_s) / (time.monotonic() - began_s)
    assert share < CORE_SHARE_MAX, f"{share:.1%} of a core"
    me.close()


def test_what_a_client_may_not_do_is_shown_with_its_reason(world: World, browser: Browser) -> None:
    me = Visitor(browser)
    me.log_in(world.gateway.url, f"/ui/bot/{BOT}", world.viewer)
    me.page.wait_for_selector("[data-rows=ladder] tr.touch")
    halt = me.page.locator("[data-deed=halt]")
    assert halt.is_disabled()
    assert halt.get_attribute("title") == "needs the scope brake; viewer has read"
    me.page.keyboard.press("h")
    assert me.page.locator(".q-dialog").count() == 0
    me.close()


def test_texts_of_others_are_texts_and_a_dead_engine_looks_dead(
    world: World, browser: Browser, tmp_path: Path
) -> None:
    run_dir = RunDir(world.home.root, "evil").make()
    made = snapshot(
        pid=os.getpid(), heartbeat_ns=time.time_ns(), bot="evil", incident=EVIL,
        risk_reason=EVIL, risk_state=int(RiskState.HALTED),
    )  # fmt: skip
    writer = TelemetryWriter(run_dir.page)
    lock = lock_bot(run_dir)
    me = Visitor(browser)
    try:
        writer.publish(made)
        me.log_in(world.gateway.url, "/ui/", world.operator)
        row = me.page.locator("[data-rows=bots] tr", has_text="evil")
        row.wait_for()
        assert EVIL in row.inner_text()
        me.page.goto(f"{world.gateway.url}/ui/bot/evil")
        me.shows("trouble", EVIL)
        # Its heartbeat stops: within seconds it is told, and what it said last is greyed.
        me.shows("state", "no heartbeat")
        assert "dead" in str(me.page.locator("body").get_attribute("class"))
        me.shoot(tmp_path, "dead")
        assert me.page.locator("img, [data-rows] script").count() == 0
        assert "taken" not in me.page.title()
        assert me.complaints == []
    finally:
        me.close()
        writer.close()
        lock.close()


def test_logged_out_page_ends(world: World, browser: Browser) -> None:
    me = Visitor(browser)
    me.log_in(world.gateway.url, "/ui/", world.viewer)
    me.rows("bots")
    me.page.click("#logout")
    me.page.wait_for_url("**/login")
    me.page.goto(f"{world.gateway.url}/ui/")
    assert "/login" in me.page.url
    me.close()


def test_lost_gateway_is_told(world: World, browser: Browser, tmp_path: Path) -> None:
    me = Visitor(browser)
    me.log_in(world.gateway.url, f"/ui/bot/{BOT}", world.operator)
    me.page.wait_for_selector("[data-rows=ladder] tr.touch")
    world.gateway.kill()
    me.page.wait_for_selector("body.lost")
    assert me.page.locator(".note.gone").is_visible()
    me.shoot(tmp_path, "lost")
    me.close()
    assert world.page().pid, "the bot runs on"
    assert RunDir(world.home.root, BOT).holder_pid() is not None
