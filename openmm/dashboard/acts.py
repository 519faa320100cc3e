"""What can be done from a page: confirmed brakes, and everything else by a preview first."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, final

from nicegui import ui

from openmm.control.access import Client, Scope
from openmm.control.actions import ACTIONS
from openmm.dashboard import words
from openmm.dashboard.calls import Calls
from openmm.dashboard.parts import Field, Text, button, dialog, table, why_not
from openmm.errors import OpenMMError
from openmm.risk.limits import TIGHTENED

TOLD: Final = {
    "pause": "Quotes are withdrawn until you resume.",
    "halt": "Every order is cancelled. It stays halted, restarts included, until you resume it.",
    "stop": "Every order is cancelled, it is proven that none is open, and the process ends.",
    "cancel": "Every live order is cancelled. The bot quotes on: its ladder may come back at once.",
    "resume": "It quotes again.",
    "flatten": "Every order is cancelled, then only orders that bring the inventory to its target "
    "are placed, post-only. After that the bot pauses.",
    "undo": "The last change of parameters is taken back.",
    "start": "The bot is started as its file has it.",
}  # fmt: skip
KEYS: Final = (
    ("H", "halt"), ("P", "pause"), ("R", "resume"), ("C", "cancel all"), ("F", "flatten"),
    ("O", "order by hand"), ("E", "change parameters"), ("U", "undo the last change"),
    ("T", "colours: as the system, light, dark"), ("G", "all bots"), ("?", "this list"),
    ("← →", "between tabs"), ("Enter", "on a row: the order's life and why"),
    ("Esc", "closes a dialog"),
)  # fmt: skip


@final
class Acts:
    """The buttons of one bot's page for one client."""

    def __init__(self, calls: Calls, client: Client, bot: str, again: Callable[[], None]) -> None:
        self._calls = calls
        self._client = client
        self._bot = bot
        self._again = again  # what the page does after something was done
        self._at = ui.context.client  # where notes are shown, whatever dialog has closed

    def buttons(self) -> None:
        """Put the buttons on the page."""
        for label, deed, scope, act in (
            ("Pause", "pause", Scope.BRAKE, self._brake("pause", "Pause")),
            ("Resume", "resume", Scope.RESUME, self._previewed("resume", "Resume")),
            ("Cancel all", "cancel", Scope.BRAKE,
             self._brake("cancel", "Cancel all", {"order": "all"})),
            ("Flatten", "flatten", Scope.TRADE, self._previewed("flatten", "Flatten")),
            ("Order", "place", Scope.TRADE, self.place),
            ("Parameters", "set", Scope.SET, self.parameters),
            ("Undo", "undo", Scope.SET, self._previewed("undo", "Undo")),
            ("Start", "start", Scope.START, self._previewed("start", "Start")),
            ("Stop", "stop", Scope.BRAKE, self._brake("stop", "Stop")),
        ):  # fmt: skip
            button(label, act, deed=deed, why_not=why_not(self._client, scope))
        button(
            "HALT", self._brake("halt", "Halt"), "halt", deed="halt",
            why_not=why_not(self._client, Scope.BRAKE), title="cancel everything (H)",
        )  # fmt: skip
        if len(self._client.scopes) < len(Scope):
            Text("span", f"{self._client.name} may {', '.join(sorted(self._client.scopes))}", "dim")

    # ------------------------------------------------------------------ brakes

    def _brake(
        self, action: str, label: str, args: Mapping[str, Any] | None = None
    ) -> Callable[[], None]:
        return lambda: self.brake(action, label, args or {})

    def brake(self, action: str, label: str, args: Mapping[str, Any]) -> None:
        """Ask once, then do what lowers risk."""
        key = secrets.token_hex(16)  # one a dialog: a second click does nothing twice
        one = args.get("order", "all") != "all"
        takes_reason = any(param.name == "reason" for param in ACTIONS[action].params)
        title = f"{label} {args['order']}?" if one else f"{label} {self._bot}?"
        with dialog(title) as shown:
            Text("h2", title)
            told = "The order is cancelled; a level of the ladder may come back." if one else ""
            Text("p", told or TOLD[action])
            reason = Field("reason, for the journal", hint="optional") if takes_reason else None
            wrong = Text("p", "", "wrong")
            wrong.props["role"] = "alert"

            async def go() -> None:
                sent = {"bot": self._bot, **args}
                if reason is not None:
                    sent["reason"] = reason.value
                confirm.props["disabled"] = True
                confirm.update()
                try:
                    await self._calls.write(self._client, action, sent, key)
                except OpenMMError as error:
                    wrong.text = said(error)
                    confirm.props["disabled"] = False
                    confirm.update()
                    return
                shown.close()
                self._done(f"{label}: done")

            with ui.element("div").classes("foot"):
                button("Back", shown.close)
                confirm = button(label, go, "halt" if action in ("halt", "stop") else "main")
                confirm.props["autofocus"] = True
                confirm.props["data-confirm"] = action

    # ------------------------------------------------------------------ previews

    def _previewed(self, action: str, label: str) -> Callable[[], Awaitable[None]]:
        async def act() -> None:
            with dialog(f"{label} {self._bot}") as shown:
                Text("h2", f"{label} {self._bot}")
                Text("p", TOLD[action])
                body = ui.element("div").classes("said")
                body.style("display:grid;gap:10px")
            await self._preview(action, label, {"bot": self._bot}, shown, body)

        return act

    async def _preview(
        self, action: str, label: str, args: Mapping[str, Any], shown: ui.dialog,
        body: ui.element, again: Callable[[], Awaitable[None]] | None = None,
    ) -> None:  # fmt: skip
        """Show what an action would change, and the button that does it.

        Args:
            again: shows a new preview, of what was typed since.
        """
        try:
            told = await self._calls.preview(self._client, action, args)
        except OpenMMError as error:
            if body.is_deleted:
                return
            body.clear()
            with body:
                Text("p", said(error), "wrong").props["role"] = "alert"
                with ui.element("div").classes("foot"):
                    button("Close", shown.close)
                    if again is not None:
                        button("Preview again", again).props["data-preview"] = action
            return
        if body.is_deleted:
            return  # closed meanwhile
        key = secrets.token_hex(16)
        body.clear()
        with body:
            content(told)
            wrong = Text("p", "", "wrong")
            wrong.props["role"] = "alert"

            async def go() -> None:
                confirm.props["disabled"] = True
                confirm.update()
                try:
                    done = await self._calls.write(
                        self._client, action, args, key, str(told["preview"])
                    )
                except OpenMMError as error:
                    wrong.text = said(error)
                    return
                shown.close()
                self._done(f"{label}: done", done)

            def late() -> None:
                confirm.props["disabled"] = True
                confirm.update()
                wrong.text = "This preview is over: look at a new one."

            with ui.element("div").classes("foot"):
                Text("span", f"valid for {told['expires_s']} s", "dim")
                button("Back", shown.close)
                if again is not None:
                    button("Preview again", again).props["data-preview"] = action
                confirm = button(label, go, "main")
                confirm.props["data-confirm"] = action
                ui.timer(float(told["expires_s"]), late, once=True)
        # Not in this context: what was clicked to come here may be gone with the old content.
        body.client.run_javascript(f"getHtmlElement({confirm.id})?.focus()")

    def place(self) -> None:
        """Ask for an order by hand, show it, place it."""
        with dialog("Order by hand") as shown:
            Text("h2", "Order by hand")
            Text("p", "Post-only, through every check of the ladder's own orders.", "dim")
            with ui.element("div").classes("fields"):
                side = Choice("side", ("buy", "sell"))
                qty = Field("quantity", hint="of the base asset", first=True)
                price = Field("price", hint="in the quote asset")
            body = ui.element("div").classes("said").style("display:grid;gap:10px")

            async def look() -> None:
                args = {
                    "bot": self._bot, "side": side.value, "qty": qty.value.strip(),
                    "price": price.value.strip(),
                }  # fmt: skip
                await self._preview("place", "Place order", args, shown, body, look)

            with body, ui.element("div").classes("foot"):
                button("Back", shown.close)
                button("Preview", look, "main").props["data-preview"] = "place"

    async def parameters(self) -> None:
        """Show what is in force, take changes, show what they would do, apply them."""
        try:
            told = await self._calls.read(self._client, "config", {"bot": self._bot}, 0.0)
        except OpenMMError as error:
            ui.notify(said(error), type="warning")
            return
        values: Mapping[str, Any] = told.get("config", {})
        with dialog("Parameters", "broad") as shown:
            Text("h2", f"Parameters of {self._bot}")
            Text("p", "Limits can only be tightened. Nothing changes before you have seen it.",
                 "dim")  # fmt: skip
            fields: dict[str, Field] = {}
            for section, allowed in (("strategy", None), ("risk", TIGHTENED)):
                keys = [
                    one for one in values
                    if one.startswith(f"{section}.")
                    and (allowed is None or one.removeprefix("risk.") in allowed)
                ]  # fmt: skip
                if not keys:
                    continue
                Text("h3", section)
                with ui.element("div").classes("fields"):
                    for name in keys:
                        short = name.removeprefix(f"{section}.")
                        if short in FIXED:
                            continue
                        value = str(values[name])
                        fields[name] = Field(short, "" if value == "-" else value)
            body = ui.element("div").classes("said").style("display:grid;gap:10px")

            async def look() -> None:
                changes = {
                    name: field.value.strip() for name, field in fields.items() if field.changed
                }
                if not changes:
                    ui.notify("nothing was changed", type="warning")
                    return
                args = {"bot": self._bot, "changes": changes}
                await self._preview("set", "Apply", args, shown, body, look)

            with body, ui.element("div").classes("foot"):
                button("Back", shown.close)
                button("Preview", look, "main").props["data-preview"] = "set"

    def keys(self) -> None:
        """List the keys of the keyboard."""
        with dialog("Keys") as shown:
            Text("h2", "Keys")
            with ui.element("div").classes("keys"):
                for key, what in KEYS:
                    Text("kbd", key)
                    Text("span", what)
            with ui.element("div").classes("foot"):
                button("Close", shown.close)

    def _done(self, text: str, result: Mapping[str, Any] | None = None) -> None:
        note = str((result or {}).get("note") or "")
        with self._at:
            ui.notify(f"{text}. {note}" if note else text, type="positive", timeout=2500)
        self._again()


# Of a strategy: what a bot is started anew for.
FIXED: Final = frozenset({"kind", "class", "params"})


@final
class Choice:
    """A labelled choice between a few words."""

    def __init__(self, label: str, words_of: tuple[str, ...]) -> None:
        self.value = words_of[0]
        self._allowed = words_of
        with ui.element("div").classes("field"):
            name = Text("label", label)
            box = ui.element("select")
            name.props["for"] = f"c{box.id}"
            box.props["aria-label"] = label
            with box:
                for word in words_of:
                    Text("option", word).props["value"] = word
            box.on("change", self._chosen, js_handler="(event) => emit(event.target.value)")

    def _chosen(self, event: Any) -> None:
        if event.args in self._allowed:
            self.value = event.args


def content(told: Mapping[str, Any]) -> None:
    """Show a preview: what changes, the ladder before and after, what to think of."""
    diff = told.get("diff") or []
    if diff:
        table(
            ("what", ">before", ">after"),
            [
                [str(one["key"]), [shown(one["before"]), "dim"], [shown(one["after"]), "ours"]]
                for one in diff
            ],
        )  # fmt: skip
    else:
        Text("p", "nothing changes")
    ladder = told.get("ladder")
    if ladder:
        with ui.element("div").classes("compare"):
            for side in ("before", "after"):
                with ui.element("div"):
                    Text("h3", f"ladder {side}")
                    rows = rungs(ladder.get(side) or {})
                    table((">price", ">quantity"), rows)
    needs = {
        k: v
        for k, v in (told.get("needs") or {}).items()
        if v not in (None, "", {}) and k != "scope"
    }
    if needs:
        Text("p", "needs: " + ", ".join(f"{k} {shown(v)}" for k, v in needs.items()), "dim")
    for warning in told.get("warnings") or []:
        Text("p", f"⚠ {warning}", "warned")


def rungs(ladder: Mapping[str, Any]) -> list[list[Any]]:
    """Return a ladder's rows from the highest ask down to the lowest bid."""
    rows = []
    for side, tone in (("asks", "sell"), ("bids", "buy")):
        found = sorted(ladder.get(side) or [], key=lambda one: float(one["price"]), reverse=True)
        rows += [[[words.number(one["price"]), tone], words.number(one["qty"])] for one in found]
    return rows


def shown(value: Any) -> str:
    """Write a value of a preview."""
    return words.NONE if value is None else str(value)


def said(error: OpenMMError) -> str:
    """Return an error for people: what it is, what to do, its word."""
    hint = getattr(error, "hint", "")
    code = getattr(error, "code", "")
    text = str(error)
    if hint and hint not in text:
        text += f" — {hint}"
    return f"{text} ({code})" if code and f"{code}" not in text else text
