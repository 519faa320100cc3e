"""`/api/stream`: the state of the fleet or of single bots over a WebSocket, as it changes.

One reader for all who watch: each bot's page is read once a beat, however many follow it. What a
slow reader has not taken yet is replaced by what is newer; it gets the latest, not the history.

    client                                  server
    {"token": "…"}                          first, where no header could carry it
    {"subscribe": ["btc-grid"]}             {"topic": "btc-grid", "full": true, "data": {…}}
                                            {"topic": "btc-grid", "data": {changed keys}}
    {"subscribe": ["*"]}                    {"topic": "*", "full": true, "data": {bot: row}}
    {"unsubscribe": ["btc-grid"]}           {"topic": "*", "data": {…}, "gone": ["btc-grid"]}
    {"ping": 7}                             {"pong": 7}
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, final

import orjson
from fastapi import FastAPI
from starlette.websockets import WebSocket, WebSocketDisconnect

from openmm.control import looks
from openmm.control.access import Client
from openmm.control.door import Door
from openmm.errors import OpenMMError
from openmm.gateway.lanes import Lanes
from openmm.gateway.refusals import Refusal
from openmm.gateway.routes import in_lane
from openmm.gateway.sessions import COOKIE, Sessions
from openmm.gateway.shield import STREAM

FLEET: Final = "*"
BEAT_S: Final = 0.1
FIRST_S: Final = 5.0  # for the token
AGAIN_S: Final = 5.0  # between two looks at whether the client may still come in
STREAMS_MAX: Final = 64
CLIENT_STREAMS_MAX: Final = 8
TOPICS_MAX: Final = 32
MESSAGES_MAX: Final = 40  # of a client, within MESSAGES_S
MESSAGES_S: Final = 10.0
# These change with every look, and tell nothing that has happened.
RESTLESS: Final = frozenset({"heartbeat_age_ms", "uptime_s"})

State = Mapping[str, Any]
_LOG = logging.getLogger("openmm.gateway")


def read_states(door: Door, topics: frozenset[str], now_ns: int) -> dict[str, State]:
    """Return the state of each topic by the bots' pages alone; asks no bot, writes nothing."""
    found: dict[str, State] = {}
    if FLEET in topics:
        rows = looks.bots(door.home, now_ns)["bots"]
        found[FLEET] = {
            row["bot"]: {key: value for key, value in row.items() if key not in RESTLESS}
            for row in rows
        }
    for run_dir in door.home.bots():
        if run_dir.bot in topics:
            try:
                found[run_dir.bot] = looks.status_of(run_dir, now_ns)
            except OpenMMError as error:
                found[run_dir.bot] = {"bot": run_dir.bot, "running": None, "error": str(error)}
    return found


def changed(before: State | None, now: State) -> tuple[dict[str, Any], list[str]]:
    """Return what to send to one who knows `before`: new values, and keys that are gone."""
    if before is None:
        return dict(now), []
    news = {key: value for key, value in now.items() if before.get(key) != value}
    return news, [key for key in before if key not in now]


@final
class Hub:
    """Reads the bots while anybody watches; knows who watches."""

    def __init__(
        self, door: Door,
        read: Callable[[Door, frozenset[str], int], dict[str, State]] = read_states,
    ) -> None:  # fmt: skip
        self._door = door
        self._read = read
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="gateway-stream")
        self._task: asyncio.Task[None] | None = None
        self.streams: set[Stream] = set()
        self.states: dict[str, State] = {}
        self.clients: Counter[str] = Counter()

    def join(self, stream: Stream) -> None:
        """Let a stream watch.

        Raises:
            Refusal: there are too many.
        """
        name = stream.client.name
        if len(self.streams) >= STREAMS_MAX or self.clients[name] >= CLIENT_STREAMS_MAX:
            raise Refusal(
                429, "busy", f"{name} has {self.clients[name]} streams open, all together "
                f"{len(self.streams)}", "close one: a stream takes many subscriptions",
            )  # fmt: skip
        self.streams.add(stream)
        self.clients[name] += 1
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._beat())

    def leave(self, stream: Stream) -> None:
        """Let a stream go."""
        if stream in self.streams:
            self.streams.discard(stream)
            self.clients[stream.client.name] -= 1

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        while self.streams:
            began_s = loop.time()
            topics = frozenset().union(*(stream.topics for stream in self.streams))
            if topics:
                try:
                    self.states = await loop.run_in_executor(
                        self._pool, self._read, self._door, topics, time.time_ns()
                    )
                except (OpenMMError, OSError) as error:
                    _LOG.warning("the stream could not read the bots: %s", error)
                for stream in self.streams:
                    stream.wake()
            await asyncio.sleep(max(0.01, BEAT_S - (loop.time() - began_s)))

    async def close(self) -> None:
        """End every stream and the reading."""
        for stream in list(self.streams):
            stream.end(1012, "the gateway ends")
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._pool.shutdown(wait=False, cancel_futures=True)


@final
class Stream:
    """One WebSocket of one client."""

    def __init__(self, socket: WebSocket, client: Client, hub: Hub) -> None:
        self.client = client
        self.topics: set[str] = set()
        self._socket = socket
        self._hub = hub
        self._sent: dict[str, State] = {}
        self._replies: deque[dict[str, Any]] = deque(maxlen=MESSAGES_MAX)
        self._news = asyncio.Event()
        self._end: tuple[int, str] | None = None

    def wake(self) -> None:
        """Look whether there is news to send."""
        self._news.set()

    def end(self, code: int, reason: str) -> None:
        """Close it once what is being sent is sent."""
        self._end = self._end or (code, reason)
        self._news.set()

    def reply(self, message: dict[str, Any]) -> None:
        """Send an answer before the next news."""
        self._replies.append(message)
        self._news.set()

    def drop(self, topic: str) -> None:
        """Follow a topic no longer."""
        self.topics.discard(topic)
        self._sent.pop(topic, None)

    async def send(self) -> None:
        """Send until the end; awaits the reader, and skips what it was too slow for."""
        while self._end is None:
            await self._news.wait()
            self._news.clear()
            while self._replies:
                await self._put(self._replies.popleft())
            for topic in sorted(self.topics):
                if (frame := self._frame(topic)) is not None:
                    await self._put(frame)
        await self._socket.close(*self._end)

    def _frame(self, topic: str) -> dict[str, Any] | None:
        now = self._hub.states.get(topic)
        if now is None:
            return None  # not read yet, or its folder is gone
        if topic == FLEET:
            now = {name: row for name, row in now.items() if self.client.sees(name)}
        before = self._sent.get(topic)
        news, gone = changed(before, now)
        if before is not None and not gone and news.keys() <= RESTLESS:  # nothing happened
            return None
        self._sent[topic] = now
        frame: dict[str, Any] = {"topic": topic, "ts_ns": time.time_ns(), "data": news}
        if before is None:
            frame["full"] = True
        if gone:
            frame["gone"] = gone
        return frame

    async def _put(self, message: dict[str, Any]) -> None:
        await self._socket.send_text(orjson.dumps(message).decode())


def add_stream(app: FastAPI, door: Door, lanes: Lanes, hub: Hub) -> None:
    """Add the path of the stream."""

    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        try:
            client = getattr(socket.state, "client", None) or await _first(socket, door)
            made = Stream(socket, client, hub)
            hub.join(made)
        except Refusal as refusal:
            await socket.send_text(orjson.dumps(refusal.body).decode())
            await socket.close(4000 + refusal.status, refusal.code)
            return
        except WebSocketDisconnect:
            return
        sender = asyncio.ensure_future(made.send())
        hearer = asyncio.ensure_future(_hear(socket, made, door, lanes))
        guard = asyncio.ensure_future(_guard(made, door, partial(_stays, socket)))
        try:
            await asyncio.wait({sender, hearer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hub.leave(made)
            for task in (sender, hearer, guard):
                task.cancel()
            ended = await asyncio.gather(sender, hearer, guard, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception) and not isinstance(error, _GONE):
                raise error

    app.add_api_websocket_route(STREAM, stream)


# How a socket says that the other end is gone.
_GONE: Final = (WebSocketDisconnect, RuntimeError, OSError)


async def _first(socket: WebSocket, door: Door) -> Client:
    """Take the token from the first message."""
    try:
        async with asyncio.timeout(FIRST_S):
            told = _read(await socket.receive_text())
    except TimeoutError:
        raise Refusal(408, "too_slow", "no token came", "send it first") from None
    except KeyError:
        raise _bad("the first message is a text with the token") from None
    token = told.get("token")
    if not isinstance(token, str):
        raise Refusal(
            401, "unauthenticated", "no token was given",
            'send Authorization: Bearer TOKEN, or {"token": "…"} first',
        )  # fmt: skip
    try:
        return await asyncio.to_thread(door.authenticate, token)
    except OpenMMError:
        raise Refusal(
            401, "unauthenticated", "the token is not known", "openmm token add NAME makes one"
        ) from None


async def _hear(socket: WebSocket, stream: Stream, door: Door, lanes: Lanes) -> None:
    """Carry out what the client asks of its stream."""
    loop = asyncio.get_running_loop()
    times: deque[float] = deque(maxlen=MESSAGES_MAX)
    while True:
        try:
            text = await socket.receive_text()
        except KeyError:
            stream.end(1003, "texts only")
            return
        now_s = loop.time()
        if len(times) == MESSAGES_MAX and now_s - times[0] < MESSAGES_S:
            stream.end(4429, "too many messages")
            return
        times.append(now_s)
        try:
            await _asked(stream, _read(text), door, lanes)
        except Refusal as refusal:
            stream.reply(refusal.body)


async def _asked(stream: Stream, told: dict[str, Any], door: Door, lanes: Lanes) -> None:
    if unknown := set(told) - {"subscribe", "unsubscribe", "ping"}:
        raise _bad(f"a message has subscribe, unsubscribe or ping; got {sorted(unknown)[0][:40]!r}")
    if "ping" in told:
        stream.reply({"pong": told["ping"] if isinstance(told["ping"], int) else None})
    for topic in _topics(told, "unsubscribe"):
        stream.drop(topic)
    for topic in _topics(told, "subscribe"):
        if topic in stream.topics:
            continue
        if len(stream.topics) >= TOPICS_MAX:
            raise _bad(f"a stream follows at most {TOPICS_MAX} topics; * is every bot")
        # Once through the door: whether this client sees the bot, and a line of the audit.
        action, args = ("bots", {}) if topic == FLEET else ("status", {"bot": topic})
        call = partial(door.call, stream.client, action, args, surface="stream")
        await in_lane(lanes, "reads", stream.client, call)
        stream.topics.add(topic)
        stream.wake()


def _topics(told: dict[str, Any], word: str) -> list[str]:
    topics = told.get(word, [])
    if not isinstance(topics, list) or len(topics) > TOPICS_MAX:
        raise _bad(f"{word}: a list of at most {TOPICS_MAX} names of bots, or * for all")
    if not all(isinstance(one, str) and 0 < len(one) <= 32 for one in topics):
        raise _bad(f"{word}: names of bots, or * for all")
    return topics


def _stays(socket: WebSocket) -> bool:
    """Tell whether the session that a stream was opened in is still open; a token has none."""
    cookie = socket.cookies.get(COOKIE, "")
    if not cookie or "authorization" in socket.headers:
        return True
    sessions: Sessions = socket.app.state.sessions
    return sessions.lasts(cookie, time.monotonic())


async def _guard(stream: Stream, door: Door, stays: Callable[[], bool]) -> None:
    """End the stream of a client that was taken out of the file, or that logged out."""
    while stream.client.issued:
        await asyncio.sleep(AGAIN_S)
        if not stays():
            break
        try:
            known = await asyncio.to_thread(door.client, stream.client.name)
        except OpenMMError:
            break
        if known.issued != stream.client.issued:
            break
        stream.client = known
        for topic in [one for one in stream.topics if one != FLEET and not known.sees(one)]:
            stream.drop(topic)
    else:
        return
    stream.end(4401, "the token opens nothing any more")


def _read(text: str) -> dict[str, Any]:
    try:
        told = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _bad(f"the message is not JSON: {error.msg}") from None
    if not isinstance(told, dict):
        raise _bad("a message is a JSON object")
    return told


def _bad(message: str) -> Refusal:
    return Refusal(422, "bad_argument", message, "docs/gateway.md shows the messages")
