"""Knowledge searched and indexed from outside: over HTTP and by the commands."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from typer.testing import CliRunner

from gateway.app import create_app
from ops.cli import app
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings

pytestmark = pytest.mark.contract

KNOWLEDGE = Path(__file__).parent.parent / "data" / "knowledge"
QUESTION = "um so how many requests can we send on the team plan"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(knowledge_path=KNOWLEDGE, data_path=tmp_path, kafka_bootstrap_servers="127.0.0.1:1")


@pytest.fixture
async def http(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with calling(settings) as client:
        yield client


def calling(settings: Settings) -> httpx.AsyncClient:
    """A client of a gateway; these calls need no Kafka, so nothing of it is started."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(settings)), base_url="http://127.0.0.1")


async def test_a_search_gives_passages_best_first_with_where_they_stand(http: httpx.AsyncClient) -> None:
    await http.post("/api/knowledge/index")
    found = (await http.get("/api/knowledge/search", params={"q": QUESTION, "limit": 3})).json()
    assert (found["query"], found["found"]) == (QUESTION, True)
    assert 1 <= len(found["passages"]) <= 3
    best = found["passages"][0]
    assert best.keys() == {"n", "title", "heading", "file", "lines", "score", "text", "answers"}
    assert (best["n"], best["file"], best["heading"], best["answers"]) == (1, "en/plans.md", "Rate limits", True)
    assert "1,000" in best["text"]
    assert [one["score"] for one in found["passages"]] == sorted(one["score"] for one in found["passages"])[::-1]


async def test_a_search_for_something_else_says_that_nothing_answers(http: httpx.AsyncClient) -> None:
    await http.post("/api/knowledge/index")
    found = (await http.get("/api/knowledge/search", params={"q": "番茄炒蛋怎么做"})).json()
    assert found["found"] is False
    assert not any(one["answers"] for one in found["passages"])


async def test_indexing_reports_what_changed_and_what_was_left_out(http: httpx.AsyncClient, settings: Settings) -> None:
    first = (await http.post("/api/knowledge/index")).json()
    assert (first["added"], first["skipped"]) == (6, [])
    again = (await http.post("/api/knowledge/index")).json()
    assert (again["unchanged"], again["added"], again["passages"]) == (6, 0, first["passages"])


async def test_a_search_sees_what_was_indexed_since(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "bad.pdf").write_bytes(b"no")
    (docs / "a.md").write_text("# Fruit\n\nApples are red.", encoding="utf-8")
    async with calling(Settings(knowledge_path=docs, data_path=tmp_path / "data")) as http:
        [left_out] = (await http.post("/api/knowledge/index")).json()["skipped"]
        assert (left_out["name"], left_out["reason"]) == ("bad.pdf", "damaged, or no PDF")
        assert (await http.get("/api/knowledge/search", params={"q": "apples"})).json()["found"]
        (docs / "a.md").write_text("# Fruit\n\nPears are green.", encoding="utf-8")
        await http.post("/api/knowledge/index")
        [pears] = (await http.get("/api/knowledge/search", params={"q": "pears"})).json()["passages"]
        assert pears["text"] == "Pears are green."


async def test_without_an_index_or_documents_the_caller_hears_what_to_do(tmp_path: Path) -> None:
    async with calling(Settings(knowledge_path=tmp_path / "nowhere", data_path=tmp_path)) as http:
        search = await http.get("/api/knowledge/search", params={"q": QUESTION})
        index = await http.post("/api/knowledge/index")
    assert (search.status_code, search.json()["code"]) == (409, "NO_KNOWLEDGE")
    assert "POST /api/knowledge/index" in search.json()["detail"]
    assert (index.status_code, index.json()["code"]) == (409, "NO_KNOWLEDGE")
    assert "KNOWLEDGE_PATH" in index.json()["detail"]


@pytest.mark.parametrize(
    ("params", "code"),
    [({}, "INVALID_REQUEST"), ({"q": "  "}, "EMPTY_QUESTION"), ({"q": "a", "limit": 0}, "INVALID_REQUEST")],
)
async def test_a_bad_search_is_refused(http: httpx.AsyncClient, params: dict, code: str) -> None:
    response = await http.get("/api/knowledge/search", params=params)
    assert (response.status_code, response.json()["code"]) == (422, code)


async def test_the_keys_and_origins_of_the_gateway_hold_here_too(settings: Settings) -> None:
    async with calling(replace(settings, api_keys="k1")) as http:
        for method, path in (("POST", "/api/knowledge/index"), ("GET", f"/api/knowledge/search?q={quote(QUESTION)}")):
            foreign = {"X-API-Key": "k1", "Origin": "https://evil.example"}
            assert (await http.request(method, path)).status_code == 401
            assert (await http.request(method, path, headers=foreign)).status_code == 403
            assert (await http.request(method, path, headers={"X-API-Key": "k1"})).status_code == 200


@pytest.fixture
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_PATH", str(tmp_path))
    monkeypatch.setenv("KNOWLEDGE_PATH", str(KNOWLEDGE))


@pytest.mark.usefixtures("surroundings")
def test_the_command_shows_citations_and_quotes_and_as_json_an_object_a_passage() -> None:
    assert CliRunner().invoke(app, ["index"]).exit_code == 0
    shown = CliRunner().invoke(app, ["search", QUESTION, "--limit", "1"]).output
    assert shown.splitlines()[1].startswith("[1] Plans and limits > Rate limits (en/plans.md#L")
    assert "1,000" in shown
    lines = CliRunner().invoke(app, ["search", QUESTION, "--limit", "2", "--json"]).output.splitlines()
    assert [json.loads(line)["n"] for line in lines] == [1, 2]
    assert CliRunner().invoke(app, ["search", "番茄炒蛋怎么做"]).output.startswith("No answer found.")


@pytest.mark.usefixtures("surroundings")
def test_a_search_without_an_index_names_the_command_that_makes_one() -> None:
    result = CliRunner().invoke(app, ["search", QUESTION])
    assert isinstance(result.exception, ConfigurationError)
    assert "realtime-rag index" in str(result.exception)
