"""A mapping of environment names in, one frozen tree of settings out."""

from __future__ import annotations

import dataclasses
import ssl
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigurationError, RagError
from pipeline.settings import Settings
from topics.catalog import Lane

pytestmark = pytest.mark.unit


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_env({}) == Settings()


def test_names_that_are_no_settings_are_passed_over() -> None:
    assert Settings.from_env({"PATH": "/bin", "port": "1", "_CHECK": "x"}) == Settings()


@pytest.mark.parametrize(
    ("env", "text", "value"),
    [
        ("PORT", " 9000 ", 9000),
        ("HANDLER_DEADLINE", "1.5", 1.5),
        ("QUESTION_TTL", "0", 0.0),
        ("DEBUG", "Yes", True),
        ("DEBUG", "off", False),
        ("DEBUG", "", False),
        ("LANE", "bulk", Lane.BULK),
        ("KNOWLEDGE_PATH", "/srv/knowledge", Path("/srv/knowledge")),
        ("RAG_PROVIDER", "openai", "openai"),
    ],
)
def test_a_value_is_read_as_the_type_of_its_setting(env: str, text: str, value: Any) -> None:
    found = getattr(Settings.from_env({env: text}), env.lower())
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("env", "text", "told"),
    [
        ("PORT", "http", "PORT='http' is not a whole number."),
        ("COMMIT_INTERVAL", "fast", "COMMIT_INTERVAL='fast' is not a number."),
        ("DEBUG", "maybe", "DEBUG='maybe' is not true or false."),
        ("LANE", "middle", "LANE='middle' is not one of: live, bulk."),
        ("ANSWERS_CONCURRENCY", "0", "ANSWERS_CONCURRENCY must be at least 1."),
        ("SENTENCE_MAX_CHARS", "-1", "SENTENCE_MAX_CHARS must be at least 1."),
        ("DRAIN_TIMEOUT", "0", "DRAIN_TIMEOUT must be above 0 seconds."),
        ("WS_PATH", "ws", "WS_PATH must start with a slash, not 'ws'."),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_the_name_of_its_variable(env: str, text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Settings.from_env({env: text})
    assert str(refused.value) == told
    assert isinstance(refused.value, RagError)


@pytest.mark.parametrize("env", ["HANDLER_DEADLINE", "COMMIT_INTERVAL", "DRAIN_TIMEOUT", "SENTENCE_MAX_SILENCE"])
def test_a_time_that_is_not_a_number_is_refused(env: str) -> None:
    with pytest.raises(ConfigurationError, match=env):
        Settings.from_env({env: "nan"})


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_that_no_machine_has_is_refused(port: str) -> None:
    with pytest.raises(ConfigurationError, match="PORT"):
        Settings.from_env({"PORT": port})


@given(
    st.builds(
        Settings,
        port=st.integers(0, 65535),
        debug=st.booleans(),
        lane=st.sampled_from(Lane),
        commit_interval=st.floats(0.001, 1e6),
        data_path=st.sampled_from([Path("data"), Path("/var/lib/rag")]),
        openai_model=st.sampled_from(["gpt-4o-mini", "qwen", ""]),
    )
)
def test_a_child_process_reads_the_settings_of_its_parent(settings: Settings) -> None:
    assert Settings.from_env(settings.environment()) == settings


def test_only_what_differs_from_the_defaults_is_handed_to_a_child() -> None:
    assert Settings().environment() == {}
    assert Settings(lane=Lane.BULK, debug=True).environment() == {"LANE": "bulk", "DEBUG": "True"}


def test_every_setting_says_what_it_is() -> None:
    for field in dataclasses.fields(Settings):
        assert field.metadata["help"].strip(), field.name


def test_a_plain_broker_needs_an_address_only() -> None:
    options = Settings(kafka_bootstrap_servers="a:1,b:2").kafka_client()
    assert options == {"bootstrap_servers": "a:1,b:2", "security_protocol": "PLAINTEXT"}


def test_sasl_over_tls_hands_over_the_credentials_and_a_context_that_checks_certificates() -> None:
    secured = Settings(kafka_security_protocol="SASL_SSL", kafka_sasl_username="u", kafka_sasl_password="p")
    options = secured.kafka_client()
    assert (options["sasl_mechanism"], options["sasl_plain_username"], options["sasl_plain_password"]) == (
        "PLAIN",
        "u",
        "p",
    )
    assert options["ssl_context"].verify_mode is ssl.CERT_REQUIRED


def test_the_embedded_broker_gets_short_fetch_waits() -> None:
    assert Settings(kafka_embedded=True).fetch_wait_ms == 10
    assert Settings().fetch_wait_ms >= 100
