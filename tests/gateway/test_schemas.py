"""The OpenAPI document, and every operation of it with made-up input against a bot that trades."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from openmm._fast.tape import Record
from openmm.control.access import Scope
from openmm.control.actions import ACTIONS
from openmm.control.audit import Audit
from openmm.gateway.refusals import ANSWERS
from openmm.gateway.schemas import document, path_of
from openmm.journal import Journal, read_command
from tests.control.running import running_bot, until
from tests.gateway.serving import BOT, World, add, gateway, home_of

SOAK = os.environ.get("OPENMM_SOAK") == "1"
EXAMPLES = 200 if SOAK else 5
CALL_S = 30.0
DOCUMENT = document("0", tuple(ACTIONS.values()))
# Started by hand they would run bots beside the tests; `stop` comes last, for it ends the bot.
ORDER = sorted(
    (name for name in ACTIONS if name not in ("create", "start")), key=lambda name: name == "stop"
)
CHECKS = [
    not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
    checks.response_headers_conformance, checks.response_schema_conformance,
]  # fmt: skip


def test_document_names_every_action_once_with_its_arguments() -> None:
    seen = Counter(
        one["operationId"] for path in DOCUMENT["paths"].values() for one in path.values()
    )
    assert set(seen.values()) == {1}
    previews = {f"{name}_preview" for name, action in ACTIONS.items() if action.previewed}
    assert set(seen) == {*ACTIONS, *previews, "readyz"}
    for name, action in ACTIONS.items():
        method = "post" if action.writes else "get"
        told = DOCUMENT["paths"][path_of(action)][method]
        if action.writes:
            body = told["requestBody"]["content"]["application/json"]["schema"]
            names = {*(one.name for one in action.params)}
            assert set(body["properties"]) == names | ({"preview"} if action.previewed else set())
        else:
            takes = {one["name"] for one in told["parameters"]} if "parameters" in told else set()
            names = {one.name for one in action.params} | ({"bot"} if action.bot else set())
            assert takes == names, name
        assert {int(status) for status in told["responses"]} == {200, *(a.status for a in ANSWERS)}


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("schemas")
    home = home_of(folder)
    scopes = [scope for scope in Scope if scope is not Scope.START]
    token = add(home, "fuzzer", *scopes)
    with running_bot(folder, BOT), gateway(home, "--no-dashboard", "--no-alerts") as served:
        yield World(home, served, token, token, token)


def test_no_operation_fails_hangs_or_changes_anything_unaudited(
    fuzzed: World, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    statuses: Counter[int] = Counter()
    slowest_s = 0.0
    told = {"Authorization": f"Bearer {fuzzed.operator}"}

    def call(case: Any) -> None:
        nonlocal slowest_s
        began_s = time.monotonic()
        response = case.call(
            base_url=fuzzed.gateway.url, headers=told, timeout=CALL_S, allow_redirects=False
        )
        slowest_s = max(slowest_s, time.monotonic() - began_s)
        statuses[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    def preview(case: Any) -> None:
        """Call with the token of its own preview where there is one, to get behind it."""
        if isinstance(case.body, dict):
            shown = httpx.post(
                f"{fuzzed.gateway.url}{case.formatted_path}/preview",
                json={k: v for k, v in case.body.items() if k != "preview"}, headers=told,
                timeout=CALL_S,
            )  # fmt: skip
            if shown.status_code == 200:
                case.body["preview"] = shown.json()["preview"]
        call(case)

    def drive(operation: Any, use: Any, mode: GenerationMode, fixed: dict[str, str]) -> None:
        @settings(
            max_examples=EXAMPLES, deadline=None, database=None, derandomize=not SOAK,
            phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode, path_parameters=fixed or None))
        def run(case: Any) -> None:
            use(case)

        run()

    operations = {}
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operations[found.ok().definition.raw["operationId"]] = found.ok()
    for name in ORDER:
        action = ACTIONS[name]
        fixed = {"bot": BOT} if action.bot else {}
        if action.previewed:
            drive(operations[f"{name}_preview"], call, GenerationMode.POSITIVE, fixed)
            drive(operations[f"{name}_preview"], call, GenerationMode.NEGATIVE, {})
        if action.params or action.bot:
            drive(operations[name], call, GenerationMode.NEGATIVE, {})
        drive(
            operations[name], preview if action.previewed else call, GenerationMode.POSITIVE, fixed
        )

    (bot,) = fuzzed.home.bots()
    until(lambda: bot.holder_pid() is None, "the bot to end after its stop")
    (journal,) = bot.journal.iterdir()
    taken = Counter(
        one.command.lower()
        for one in (
            read_command(r.payload) for r in Journal(journal) if r.kind == Record.REC_COMMAND
        )
        if one.verdict == "done"
    )
    audited = Counter(
        one["action"] for one in Audit(fuzzed.home.audit).newest() if one["verdict"] == "asked"
    )
    assert Audit(fuzzed.home.audit).verify().problem == ""
    assert taken
    assert {name: count for name, count in taken.items() if count > audited[name]} == {}
    assert statuses[200] > len(ORDER)
    assert slowest_s < CALL_S
    with capsys.disabled():
        print(
            f"\n{statuses.total()} calls, {dict(sorted(statuses.items()))}, slowest "
            f"{slowest_s * 1e3:.0f} ms; changes taken {dict(taken)}"
        )
