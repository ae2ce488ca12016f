"""Answers records in, results of items out: the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from pipeline.batches import Task
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings
from storage.database import StorageError, url_of
from storage.rows import Answered, Text
from storage.store import Store
from storage.tables import METADATA
from topics.messages import Begin, Done, Ended, Verdict
from topics.sources import Source
from topics.tasks import TaskCancelled, TaskCreated

pytestmark = pytest.mark.contract


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(batch_storage_path=tmp_path, database_url=database_url)


def said(session: str, offset: int, record: Any, char: int = 0, at: float = 5.0) -> Answered:
    return Answered(session, Source(offset, char), 0, at, record)


def done(text: str = "It costs 5.", why: Any = "ok", **fields: Any) -> Done:
    return Done(attempt=0, index=0, why=why, text=text, question="How much?", **fields)


def statuses(store: Store, run: str, count: int, missing: str = "pending") -> list[str]:
    return [item["status"] for item in store.items(run, range(count), missing)]


def test_the_tables_are_those_that_the_migrations_make(store: Store) -> None:
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_an_answer_is_the_result_of_its_item(store: Store) -> None:
    record = done(sources=[{"n": 1, "title": "prices"}], usage={"tokens": 3}, provider="local", timings={"total": 0.5})
    assert store.add([said("t/1", 7, record)]) == {"t"}
    store.add_texts([Text("t", 0, "Who?"), Text("t", 1, "How much?")])
    pending, answered = store.items("t", range(2), "pending")
    assert pending["text"] == "Who?" and pending["status"] == "pending" and pending["content"] is None
    assert answered["index"] == 1 and answered["text"] == "How much?" and answered["status"] == "completed"
    assert answered["content"] == "It costs 5." and answered["usage"] == {"tokens": 3}
    assert answered["sources"] == [{"n": 1, "title": "prices"}]
    assert answered["metadata"]["question_id"] == "t/1/7.0" and answered["metadata"]["provider"] == "local"


def test_records_that_are_read_again_change_nothing(store: Store) -> None:
    records = [said("t/0", 1, done()), said("t/1", 2, done(why="error", error="no"))]
    store.add(records)
    before = list(store.dump())
    store.add(records)
    assert list(store.dump()) == before
    assert store.counts("t") == (1, 1)


def test_an_item_that_is_answered_twice_has_one_result(store: Store) -> None:
    store.add([said("t/0", 1, done("first")), said("t/0", 9, done("second"))])
    assert store.counts("t") == (1, 0)
    assert store.items("t", range(1), "pending")[0]["content"] == "first"


def test_an_item_in_which_questions_were_looked_for_has_its_answers_in_order(store: Store) -> None:
    store.add([said("t/0", 1, done("one"), char=5), said("t/0", 1, done("two"), char=9)])
    assert statuses(store, "t", 1) == ["pending"]
    store.add([said("t/0", 2, Ended()), said("t/1", 3, Ended())])
    item, silent = store.items("t", range(2), "pending")
    assert [answer["content"] for answer in item["answers"]] == ["one", "two"]
    assert (item["status"], item["content"]) == ("completed", "one\n\ntwo")
    assert (silent["status"], silent["content"], silent["answers"]) == ("completed", "", [])
    assert store.counts("t") == (2, 0)


def test_an_item_of_which_a_part_failed_has_failed(store: Store) -> None:
    store.add([said("t/0", 1, Verdict(kind="failed", reason="too long"), char=4)])
    store.add([said("t/0", 1, done(), char=9), said("t/0", 2, Ended())])
    (item,) = store.items("t", range(1), "pending")
    assert (item["status"], item["error"], len(item["answers"])) == ("failed", "too long", 2)


def test_a_text_that_could_not_be_handled_is_a_failed_item(store: Store) -> None:
    store.add([said("t/0", 1, Verdict(kind="failed", reason="not JSON"))])
    (item,) = store.items("t", range(1), "pending")
    assert (item["status"], item["error"]) == ("failed", "not JSON")


def again(of: str, session: str, offset: int, record: Any, char: int = 0) -> Answered:
    """What came of a record that was sent again from the dead letters."""
    return said(session, offset, record, char)._replace(redrive_of=of)


def test_an_item_that_failed_is_completed_when_its_dead_letter_is_answered_after_all(store: Store) -> None:
    records = [said("t/0", 1, Verdict(kind="failed", reason="bug")), again("t/0/1.0", "t/0", 9, done("At last."))]
    store.add(records[:1])
    assert store.counts("t") == (0, 1)
    assert store.add(records[1:]) == {"t"}
    (item,) = store.items("t", range(1), "pending")
    assert (item["status"], item["content"], item["error"]) == ("completed", "At last.", None)
    assert item["metadata"]["redrive_of"] == "t/0/1.0"
    assert store.counts("t") == (1, 0)
    assert [answer["content"] for answer in store.answers("t", 0, 10)[0]] == ["At last."]
    before = list(store.dump())
    store.add(records)  # read again
    assert list(store.dump()) == before
    store.clear()
    store.add(records)  # built again
    assert list(store.dump()) == before


def test_an_item_whose_dead_letter_fails_again_stays_failed_until_that_one_is_mended(store: Store) -> None:
    store.add([said("t/0", 1, Verdict(kind="failed", reason="bug"))])
    store.add([again("t/0/1.0", "t/0", 9, Verdict(kind="failed", reason="still a bug"))])
    assert (store.counts("t"), store.items("t", range(1), "pending")[0]["error"]) == ((0, 1), "still a bug")
    store.add([again("t/0/9.0", "t/0", 12, done("At last."))])
    assert (store.counts("t"), store.items("t", range(1), "pending")[0]["content"]) == ((1, 0), "At last.")


def test_a_part_of_an_item_that_is_mended_completes_it_whether_its_end_was_read_before_or_after(store: Store) -> None:
    parts = [said("t/0", 1, Verdict(kind="failed", reason="bug"), char=4), said("t/0", 1, done("one"), char=9)]
    mended = again("t/0/1.4", "t/0", 9, done("two"), char=5)
    for order in ([*parts, said("t/0", 2, Ended()), mended], [*parts, mended, said("t/0", 10, Ended())]):
        store.clear()
        for record in order:
            store.add([record])
        (item,) = store.items("t", range(1), "pending")
        assert (item["status"], item["content"], item["error"]) == ("completed", "one\n\ntwo", None)
        assert store.counts("t") == (1, 0)


def test_a_part_that_is_no_question_the_second_time_is_no_failure_any_more(store: Store) -> None:
    store.add([said("t/0", 1, Verdict(kind="failed", reason="bug"), char=4), said("t/0", 2, Ended())])
    assert store.add([again("t/0/1.4", "t/0", 9, Verdict(kind="not_a_question"), char=5)]) == {"t"}
    assert (store.counts("t"), store.items("t", range(1), "pending")[0]["answers"]) == ((1, 0), [])


def test_a_record_without_a_key_takes_the_place_of_the_one_that_failed_in_another_session(store: Store) -> None:
    store.add([said("3.8", 8, Verdict(kind="failed", reason="bug"))])
    store.add([again("3.8/8.0", "3.20", 20, done("At last."))])
    assert [answer["content"] for answer in store.answers("unkeyed", 0, 10)[0]] == ["At last."]


def test_items_without_a_result_are_what_the_task_says(store: Store) -> None:
    store.add([said("t/1", 1, done())])
    assert statuses(store, "t", 3, "cancelled") == ["cancelled", "completed", "cancelled"]


def test_records_that_are_no_results_make_no_rows(store: Store) -> None:
    assert (
        store.add([said("t/0", 1, Begin(question="q", attempt=1)), said("t/0", 1, Verdict(kind="not_a_question"))])
        == set()
    )


def test_what_belongs_to_no_task_is_read_by_its_run_in_the_order_of_time(store: Store) -> None:
    store.add([said("call", 5, done("b"), at=2.0), said("call", 4, done("a"), at=1.0), said("3.8", 8, done("c"))])
    answers, total = store.answers("call", 0, 10)
    assert ([answer["content"] for answer in answers], total) == (["a", "b"], 2)
    assert store.answers("call", 1, 1)[0][0]["content"] == "b"
    assert store.answers("unkeyed", 0, 10)[0][0]["content"] == "c"
    assert store.answers("nobody", 0, 10) == ([], 0)


def test_texts_that_a_database_cannot_hold_are_kept_as_well_as_it_can(store: Store) -> None:
    store.add([said("t/0", 1, done("a\0b\U0001f600", usage={"x": "\0"}))])
    assert store.items("t", range(1), "pending")[0]["content"] == "a\ufffdb\U0001f600"


def test_a_task_is_replaced_by_what_is_known_later(store: Store) -> None:
    task = Task("t").take(TaskCreated(name="prices", created_at=1.0, total=2))
    store.put_task(task)
    store.put_task(task.take(TaskCancelled(at=2.0)))
    (row,) = dict(store.dump())["tasks"]
    assert (row["name"], row["status"], row["events"]["cancelled"]["at"]) == ("prices", "cancelled", 2.0)


def test_processes_that_start_at_the_same_time_find_the_same_tables(settings: Settings) -> None:
    failures: list[BaseException] = []

    def open_store() -> None:
        try:
            Store(settings).close()
        except BaseException as exc:  # noqa: BLE001 - carried over to the test's thread
            failures.append(exc)

    threads = [threading.Thread(target=open_store) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://host/name", "begins with mysql"),
        ("nonsense", "no address such as"),
        ("sqlite://", "begins with sqlite"),
    ],
)
def test_an_address_that_cannot_be_used_is_said(url: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        url_of(Settings(database_url=url))


def test_a_database_that_does_not_answer_is_said_without_its_password(tmp_path: Path) -> None:
    settings = Settings(database_url="postgres://me:secret@127.0.0.1:1/name?connect_timeout=2")
    with pytest.raises(StorageError, match="me:\\*\\*\\*@127.0.0.1:1") as caught:
        Store(settings)
    assert "secret" not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="BATCH_STORAGE_PATH"):
        Store(dataclasses.replace(Settings(), batch_storage_path=tmp_path / "file"))


def test_a_file_of_another_make_is_said(tmp_path: Path) -> None:
    (tmp_path / "results.db").write_bytes(b"not a database, but long enough to be taken for a header" * 20)
    with pytest.raises(StorageError, match="not a database"):
        Store(Settings(batch_storage_path=tmp_path))


def test_the_url_of_postgresql_may_be_written_as_providers_write_it() -> None:
    assert url_of(Settings(database_url="postgres://u@h/n")) == sa.make_url("postgresql+psycopg://u@h/n")
