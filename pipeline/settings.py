"""Settings of every process: one frozen tree built from a mapping of environment names to texts."""

from __future__ import annotations

import dataclasses
import math
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_type_hints

from pipeline.cascade import MODELS as QUESTION_MODELS
from pipeline.end_models import MODELS as SENTENCE_MODELS
from pipeline.errors import ConfigurationError
from pipeline.profiles import read_profile
from pipeline.sentences import Rules
from topics.catalog import Lane

_FROM_ZERO = ("provider_", "memory_", "openai_max", "question_ask_per")
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


def _setting(default: Any, help_text: str, *, secret: bool = False) -> Any:
    return dataclasses.field(default=default, repr=not secret, metadata={"help": help_text})


@dataclass(frozen=True)
class Settings:
    """Every field is the lower-case form of its environment name; its help is the line in the documentation."""

    host: str = _setting("127.0.0.1", "address the gateway and the stages' pages listen on")
    port: int = _setting(8000, "port of the gateway")
    ws_path: str = _setting("/ws/realtime-asr", "path of the WebSocket")
    app_name: str = _setting("realtime-rag", "name shown by the gateway")
    debug: bool = _setting(False, "log at debug level")
    log_level: str = _setting("INFO", "lowest level that is logged")
    api_keys: str = _setting("", "comma-separated keys that may use the gateway", secret=True)
    allow_unauthenticated: bool = _setting(False, "listen beyond loopback without API_KEYS")
    allowed_origins: str = _setting("", "comma-separated browser origins beside our own and loopback")
    kafka_bootstrap_servers: str = _setting("", "Kafka brokers, host:port,…; empty: an embedded broker is started")
    kafka_security_protocol: str = _setting("PLAINTEXT", "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
    kafka_sasl_mechanism: str = _setting("", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
    kafka_sasl_username: str = _setting("", "user name for SASL")
    kafka_sasl_password: str = _setting("", "password for SASL", secret=True)
    kafka_ssl_cafile: str = _setting("", "file with the certificates that we trust")
    kafka_replication: int = _setting(1, "copies of each partition; 3 in clusters")
    kafka_embedded: bool = _setting(False, "the broker is the embedded one: short fetch waits, no idempotent producer")
    topic_prefix: str = _setting("rag", "first word of every topic and group name")
    lane: Lane = _setting(Lane.LIVE, "live or bulk: the topics a stage works on")
    data_path: Path = _setting(Path("data"), "folder for the index and for what a worker remembers of itself")
    knowledge_path: Path = _setting(Path("knowledge"), "folder of documents that the local provider answers from")
    knowledge_dense: bool = _setting(False, "find documents by meaning too, with the extra local-dense")
    knowledge_dense_threads: int = _setting(1, "threads that read documents and questions for it")
    rag_provider: str = _setting(
        "local", "local, openai, context, dify, custom, serper, an installed one, or a chain: a,b"
    )
    openai_api_key: str = _setting("", "key of the openai provider", secret=True)
    openai_base_url: str = _setting("https://api.openai.com/v1", "address of an OpenAI-compatible server")
    openai_model: str = _setting("gpt-4o-mini", "model of the openai provider")
    openai_timeout: float = _setting(30.0, "seconds until its first event, and between two events")
    openai_api: str = _setting("chat", "chat (completions) or responses: the protocol of the openai provider")
    openai_system_prompt: str = _setting("", "instructions to the models of openai and context, instead of ours")
    openai_temperature: str = _setting("", "temperature for openai; empty: the model's own")
    openai_max_tokens: int = _setting(0, "longest answer of openai in tokens; 0: the model's own limit")
    context_api_key: str = _setting("", "key of the context provider", secret=True)
    context_base_url: str = _setting("", "address of the OpenAI-compatible context provider")
    context_model: str = _setting("", "model of the context provider; empty: the server's own choice")
    context_timeout: float = _setting(30.0, "seconds until its first event, and between two events")
    dify_api_key: str = _setting("", "key of the Dify app, app-…", secret=True)
    dify_base_url: str = _setting("https://api.dify.ai/v1", "address of Dify's API")
    dify_timeout: float = _setting(30.0, "seconds until its first event, and between two events; pings are none")
    dify_user: str = _setting("", "user in whose name all sessions ask; empty: each session is a user of its own")
    dify_conversation_id: str = _setting("", "conversation of DIFY_USER that new sessions go on with")
    custom_rag_api_url: str = _setting("", "address that takes the questions of the custom provider")
    custom_rag_api_key: str = _setting("", "its key, if it wants one", secret=True)
    custom_rag_timeout: float = _setting(30.0, "seconds until its first event, and between two events")
    custom_rag_answer_path: str = _setting(
        "answer,content,response,delta,text", "where its answers hold text: dotted paths, the first that is there"
    )
    custom_rag_sources_path: str = _setting("sources,metadata.sources", "where they hold sources")
    custom_rag_usage_path: str = _setting("usage,metadata.usage", "where they hold token counts")
    search_provider: str = _setting("", "serper: web search beside RAG_PROVIDER, or alone where that is none")
    search_routing: str = _setting(
        "keywords", "keywords (questions with words such as latest, news, 搜索), context, fallback, never"
    )
    serper_api_key: str = _setting("", "key of Serper", secret=True)
    serper_base_url: str = _setting("https://google.serper.dev", "address of Serper")
    serper_timeout: float = _setting(10.0, "seconds for a search")
    provider_first_piece: float = _setting(45.0, "seconds until an answer's first piece; 0: the timeouts alone")
    provider_deadline: float = _setting(0.0, "seconds for a whole answer of one provider; 0: HANDLER_DEADLINE alone")
    provider_breaker_failures: int = _setting(8, "failures in a row after which a provider is left alone; 0: never")
    provider_concurrency: int = _setting(0, "answers at once of each provider, all workers together; 0: no limit")
    provider_rate: int = _setting(0, "questions a minute to each provider, all workers together; 0: no limit")
    provider_tokens_per_hour: int = _setting(0, "tokens of each provider an hour, all workers together; 0: no limit")
    provider_cost_per_hour: float = _setting(0.0, "money of each provider an hour, all workers together; 0: no limit")
    provider_prices: str = _setting(
        "", "openai=0.15/0.6,openai:MODEL=2.5/10,serper=0.001: a million tokens in/out, or a question"
    )
    provider_live_share: float = _setting(0.8, "part of these limits that only the live lane may use, 0 to 1")
    memory_turns: int = _setting(3, "earlier questions of a session with their answers that go with a new one; 0: none")
    memory_seconds: float = _setting(900.0, "how far back a worker reads for these when it takes over a partition")
    memory_chars: int = _setting(1000, "characters of each earlier answer that go along")
    answers_concurrency: int = _setting(32, "answers that one worker streams at the same time")
    handler_deadline: float = _setting(60.0, "seconds a stage may work on one record")
    drain_timeout: float = _setting(20.0, "seconds a stopping stage gives to running answers")
    commit_interval: float = _setting(0.5, "seconds between commits")
    question_ttl: float = _setting(120.0, "seconds after which a queued live question is too old; 0: never")
    sentence_min_silence: float = _setting(0.5, "seconds of silence that may end a sentence that looks whole")
    sentence_max_silence: float = _setting(1.2, "seconds of silence that end any sentence")
    sentence_max_chars: int = _setting(400, "characters after which a sentence is cut")
    sentence_model: str = _setting("linear", "what cuts speech without marks: linear; onnx with the extra onnx")
    early_start: bool = _setting(
        False, "ask what interim chunks show to be a whole question at once; taken back if the final one differs"
    )
    question_profile: str = _setting("balanced", "who asks, and how sure to be: balanced, strict; speakers=A, …")
    question_model: str = _setting("linear", "what hears questions: linear; onnx, cascade with the extra onnx")
    question_ask_provider: str = _setting("", "provider that says yes or no where that model is unsure; empty: none")
    question_ask_timeout: float = _setting(1.5, "seconds that it may take; then the model's own verdict stands")
    question_ask_per_hour: int = _setting(
        200, "times an hour that it is asked, all workers of a lane together; 0: no limit"
    )
    batch_enabled: bool = _setting(True, "batch tasks: their REST calls, and the bulk lane's processes in `up`")
    batch_max_concurrent: int = _setting(5, "answers that one worker of the bulk lane asks for at the same time")
    batch_max_queue_size: int = _setting(1000, "batch tasks that may wait or run; above it a new one is refused")
    batch_storage_path: Path = _setting(Path("batch_results"), "folder of the SQLite file with the results")
    database_url: str = _setting(
        "", "where results go instead, such as postgresql://user:password@host/name", secret=True
    )
    stage_port: int = _setting(0, "port of a worker's /metrics, /health and /livez; 0: none, in `up` any")
    answers_pages: str = _setting("", "pages of answers workers elsewhere, http://host:port,…: /health shows providers")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings that a mapping such as `os.environ` names; the rest keep their defaults.

        Raises:
            ConfigurationError: a value is not of its setting's type or range.
        """
        kinds = get_type_hints(cls)
        names = {field.name: field.name.upper() for field in dataclasses.fields(cls)}
        given = {name: env for name, env in names.items() if env in environ}
        settings = cls(**{name: _read(env, environ[env], kinds[name]) for name, env in given.items()})
        settings._check()
        return settings

    def _check(self) -> None:
        names = [field.name for field in dataclasses.fields(self)]
        for name in (
            "answers_concurrency",
            "sentence_max_chars",
            "kafka_replication",
            "batch_max_concurrent",
            "batch_max_queue_size",
            "knowledge_dense_threads",
        ):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name.upper()} must be at least 1.")
        for name in ("handler_deadline", "commit_interval", "sentence_max_silence"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigurationError(f"{name.upper()} must be above 0 seconds.")
        for name in (name for name in names if name.startswith(_FROM_ZERO)):
            if not isinstance(getattr(self, name), str) and not getattr(self, name) >= 0:
                raise ConfigurationError(f"{name.upper()} must be at least 0.")
        if self.provider_live_share > 1:
            raise ConfigurationError("PROVIDER_LIVE_SHARE must be at most 1.")
        for name in (name for name in names if name.endswith("_timeout")):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigurationError(f"{name.upper()} must be above 0 seconds.")
        for name in ("port", "stage_port"):
            if not 0 <= getattr(self, name) <= 65535:
                raise ConfigurationError(f"{name.upper()} must be a port: 0 to 65535.")
        for name, models in (("question_model", QUESTION_MODELS), ("sentence_model", SENTENCE_MODELS)):
            if (given := getattr(self, name)) not in models:
                raise ConfigurationError(f"{name.upper()}={given!r} is not one of: {', '.join(models)}.")
        try:
            read_profile(self.question_profile)
        except ValueError as exc:
            raise ConfigurationError(f"QUESTION_PROFILE={self.question_profile!r}: {exc}") from exc
        if not self.ws_path.startswith("/"):
            raise ConfigurationError(f"WS_PATH must start with a slash, not {self.ws_path!r}.")

    def rules(self) -> Rules:
        """When a sentence ends, in sessions that ask for nothing else."""
        silences = (self.sentence_max_silence, self.sentence_min_silence)
        return Rules(*silences, self.sentence_max_chars, self.early_start, self.sentence_model)

    def kafka_client(self) -> dict[str, Any]:
        """Keyword arguments that all aiokafka clients share: where the brokers are and how to speak to them."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.kafka_bootstrap_servers,
            "security_protocol": self.kafka_security_protocol,
        }
        if "SASL" in self.kafka_security_protocol:
            options |= {
                "sasl_mechanism": self.kafka_sasl_mechanism or "PLAIN",
                "sasl_plain_username": self.kafka_sasl_username,
                "sasl_plain_password": self.kafka_sasl_password,
            }
        if "SSL" in self.kafka_security_protocol:
            options["ssl_context"] = ssl.create_default_context(cafile=self.kafka_ssl_cafile or None)
        return options

    @property
    def fetch_wait_ms(self) -> int:
        """How long a fetch may wait for data: the embedded broker sleeps half of it even when data comes."""
        return 10 if self.kafka_embedded else 500

    def environment(self) -> dict[str, str]:
        """The settings that differ from their defaults, as a mapping that `from_env` reads, for a child process."""
        defaults = Settings()
        pairs = ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        return {name.upper(): str(value) for name, value in pairs if value != getattr(defaults, name)}


def _read(env: str, text: str, kind: Any) -> Any:
    try:
        if kind is bool:
            return _boolean(text)
        return kind(text.strip())
    except ValueError as exc:
        raise ConfigurationError(f"{env}={text!r} is not {_describe(kind)}.") from exc


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(word)
    return word in _TRUE


def _describe(kind: Any) -> str:
    if kind is Lane:
        return "one of: " + ", ".join(Lane)
    return {int: "a whole number", float: "a number", bool: "true or false"}.get(kind, "a text")
