"""The fakes that the product ships: published event orders, faults by name, scripts, errors that a person can mend."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from ops.cli import app
from ops.fakes import FAULTS, Fakes, Reply, read_script, serving
from ops.ports import listen
from pipeline.errors import ConfigurationError

pytestmark = pytest.mark.contract

CHAT = {"model": "m", "messages": [{"role": "user", "content": "tax"}], "stream": True}
RESPONSES = {"model": "m", "input": "tax", "stream": True}
DIFY = {"query": "tax", "inputs": {}, "user": "s1", "response_mode": "streaming"}


async def said(fakes: Fakes, path: str, body: dict[str, Any]) -> str:
    async with serving(fakes) as url, httpx.AsyncClient(trust_env=False) as client:
        return (await client.post(url + path, json=body)).text


def kinds(stream: str, key: str) -> list[str]:
    events = [json.loads(data) for data in re.findall(r"data: (\{.*)", stream)]
    found = [event[key] for event in events]
    return [kind for at, kind in enumerate(found) if at == 0 or kind != found[at - 1]]


@pytest.mark.parametrize(
    ("kind", "order"),
    [
        ("chatbot", ["message", "message_end"]),
        ("agent", ["agent_thought", "agent_message", "message_end"]),
        ("new-agent", ["agent_thought", "agent_message", "message", "message_end"]),
        (
            "chatflow",
            ["workflow_started", "node_started", "node_finished", "reasoning_chunk", "message", "message_end"]
            + ["workflow_finished"],
        ),
    ],
)
async def test_dify_sends_the_events_of_each_kind_of_app_in_the_documented_order(kind: str, order: list[str]) -> None:
    fakes = Fakes({"*": [Reply("one two", kind=kind, reasoning="Hm.")]})
    assert kinds(await said(fakes, "/v1/chat-messages", DIFY), "event") == order


async def test_a_failing_chatflow_finishes_its_workflow_before_the_error() -> None:
    fakes = Fakes({"*": [Reply("one two", kind="chatflow", error_after=1)]})
    order = kinds(await said(fakes, "/v1/chat-messages", DIFY), "event")
    assert order[-2:] == ["workflow_finished", "error"]


async def test_responses_number_their_events_and_name_each_twice() -> None:
    stream = await said(Fakes(), "/v1/responses", RESPONSES)
    names, types = re.findall(r"event: (\S+)", stream), re.findall(r'"type": "(response\.[\w.]+)"', stream)
    assert names == types
    assert (names[0], names[-1]) == ("response.created", "response.completed")
    assert "[DONE]" not in stream


async def test_chat_completions_tell_the_usage_in_a_chunk_without_choices_to_those_who_ask() -> None:
    asked = {**CHAT, "stream_options": {"include_usage": True}}
    assert '"choices": [], "usage"' in await said(Fakes(), "/v1/chat/completions", asked)
    assert '"usage"' not in await said(Fakes(), "/v1/chat/completions", CHAT)


@pytest.mark.parametrize("name", ["401", "429", "429-retry-after", "500"])
async def test_a_question_can_ask_for_a_fault_by_name(name: str) -> None:
    async with serving(Fakes()) as url, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{url}/search", json={"q": f"fault:{name} and the tax?"})
    assert answer.status_code == FAULTS[name].status
    assert answer.headers.get("retry-after") == FAULTS[name].headers.get("retry-after")


async def test_a_script_is_taken_while_running_and_a_bad_one_is_refused_with_the_reason() -> None:
    async with serving(Fakes()) as url, httpx.AsyncClient(trust_env=False, base_url=url) as client:
        taken = await client.put("/script", json={"replies": {"tax": ["500", {"text": "Nineteen."}]}})
        answers = [await client.post("/v1/chat/completions", json={**CHAT, "stream": False}) for _ in range(2)]
        refused = await client.put("/script", json={"replies": {"*": [{"txet": "no"}]}})
        asked = (await client.get("/requests")).json()
    assert taken.status_code == 200
    assert [answer.status_code for answer in answers] == [500, 200]
    assert (refused.status_code, "txet" in refused.text) == (422, True)
    assert [(request["question"], request["call"]) for request in asked] == [("tax", 1), ("tax", 2)]


@pytest.mark.parametrize("script", [{}, [], {"replies": []}, {"replies": {"*": 3}}, {"replies": {"*": ["no-fault"]}}])
def test_a_script_of_another_form_is_refused(script: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"must look like|no fault 'no-fault'"):
        read_script(script)


def test_the_command_refuses_an_unknown_fault_and_a_taken_port() -> None:
    unknown = CliRunner().invoke(app, ["fakes", "--port", "0", "--fault", "flood"])
    assert "no fault 'flood'; there are 401, 429" in str(unknown.exception)
    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        busy = CliRunner().invoke(app, ["fakes", "--port", str(taken.getsockname()[1])])
    assert "is taken by another process" in str(busy.exception)
