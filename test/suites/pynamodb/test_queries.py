"""Queries, scans, counts, pages, indexes, batches, rate limits."""

import pytest
from pynamodb.attributes import DiscriminatorAttribute, NumberAttribute, UnicodeAttribute, BinaryAttribute
from pynamodb.exceptions import QueryError, TableError
from pynamodb.indexes import (
    AllProjection,
    GlobalSecondaryIndex,
    IncludeProjection,
    KeysOnlyProjection,
    LocalSecondaryIndex,
)
from pynamodb.models import Model


class ByViews(LocalSecondaryIndex):
    class Meta:
        index_name = "by-views"
        projection = AllProjection()

    forum = UnicodeAttribute(hash_key=True)
    views = NumberAttribute(range_key=True)


class ByAuthor(GlobalSecondaryIndex):
    class Meta:
        index_name = "by-author"
        projection = IncludeProjection(["views"])
        read_capacity_units = 1
        write_capacity_units = 1

    author = UnicodeAttribute(hash_key=True)
    thread = UnicodeAttribute(range_key=True)


class ByMood(GlobalSecondaryIndex):
    class Meta:
        projection = KeysOnlyProjection()
        read_capacity_units = 1
        write_capacity_units = 1

    mood = UnicodeAttribute(hash_key=True)


class Thread(Model):
    class Meta:
        table_name = "threads"
        read_capacity_units = 5
        write_capacity_units = 5

    forum = UnicodeAttribute(hash_key=True)
    thread = UnicodeAttribute(range_key=True)
    views = NumberAttribute(default=0)
    author = UnicodeAttribute(null=True)
    mood = UnicodeAttribute(null=True)
    text = UnicodeAttribute(null=True)
    by_views = ByViews()
    by_author = ByAuthor()
    by_mood = ByMood()


@pytest.fixture
def threads(table):
    table(Thread)
    with Thread.batch_write() as batch:
        for forum in ("a", "b"):
            for i in range(30):
                batch.save(Thread(forum, f"t{i:02d}", views=(i * 7) % 30, author=f"u{i % 3}",
                                  mood="glad" if i % 10 == 0 else None, text="x" * i))
    return Thread


def names(items):
    return [i.thread for i in items]


def test_query(threads):
    assert names(Thread.query("a")) == [f"t{i:02d}" for i in range(30)]
    assert names(Thread.query("nobody")) == []
    t = Thread.thread
    assert names(Thread.query("a", t == "t07")) == ["t07"]
    assert names(Thread.query("a", t < "t02")) == ["t00", "t01"]
    assert names(Thread.query("a", t <= "t02")) == ["t00", "t01", "t02"]
    assert names(Thread.query("a", t > "t27")) == ["t28", "t29"]
    assert names(Thread.query("a", t >= "t28")) == ["t28", "t29"]
    assert names(Thread.query("a", t.between("t03", "t05"))) == ["t03", "t04", "t05"]
    assert names(Thread.query("a", t.startswith("t1"))) == [f"t1{i}" for i in range(10)]
    assert names(Thread.query("a", t.startswith("t1"), scan_index_forward=False, limit=2)) == ["t19", "t18"]
    assert names(Thread.query("a", filter_condition=Thread.views == 7)) == ["t01"]
    assert names(Thread.query("a", t > "t05", Thread.author.is_in("u1") & (Thread.views > 20), consistent_read=True)) == [
        f"t{i:02d}" for i in range(6, 30) if i % 3 == 1 and (i * 7) % 30 > 20]
    only = next(Thread.query("a", attributes_to_get=["thread"]))
    assert only.thread == "t00" and only.text is None and only.author is None


def test_query_pages(threads):
    query = Thread.query("a", page_size=7)
    assert len(list(query)) == 30
    assert query.total_count == 30 and query.page_iter.total_scanned_count == 30
    assert query.last_evaluated_key is None

    # Stop in the middle and go on from the key.
    first = Thread.query("a", limit=10, page_size=4)
    got = names(first)
    assert first.last_evaluated_key == {"forum": {"S": "a"}, "thread": {"S": "t09"}}
    rest = Thread.query("a", last_evaluated_key=first.last_evaluated_key)
    assert got + names(rest) == [f"t{i:02d}" for i in range(30)]

    # A filter that leaves pages empty.
    filtered = Thread.query("a", filter_condition=Thread.views == 22, page_size=3)
    assert names(filtered) == ["t16"]
    assert filtered.page_iter.total_scanned_count == 30

    # Of an index, the key holds the table's key too.
    indexed = Thread.by_author.query("u1", limit=3, page_size=3)
    list(indexed)
    assert set(indexed.last_evaluated_key) == {"author", "thread", "forum"}
    again = Thread.by_author.query("u1", last_evaluated_key=indexed.last_evaluated_key)
    assert len(list(again)) == 20 - 3


def test_query_of_large_items(table):
    table(Thread)
    for i in range(12):
        Thread("big", f"t{i:02d}", text="x" * 200_000).save()
    query = Thread.query("big")
    first = [next(query) for _ in range(6)]
    assert names(first) == [f"t{i:02d}" for i in range(6)]
    assert query.page_iter.last_evaluated_key == {"forum": {"S": "big"}, "thread": {"S": "t05"}}  # 1 MB is a page
    assert len(list(query)) == 6


def test_scan(threads):
    everything = {(f, f"t{i:02d}") for f in ("a", "b") for i in range(30)}
    assert {(t.forum, t.thread) for t in Thread.scan()} == everything
    assert {(t.forum, t.thread) for t in Thread.scan(page_size=4)} == everything
    segments = [[(t.forum, t.thread) for t in Thread.scan(segment=s, total_segments=4, page_size=5)] for s in range(4)]
    flat = [k for s in segments for k in s]
    assert len(flat) == 60 and set(flat) == everything
    assert len(list(Thread.scan(limit=13))) == 13
    assert sorted(names(Thread.scan(Thread.thread.startswith("t2") & (Thread.forum == "b")))) == [f"t2{i}" for i in range(10)]
    assert all(t.text is None for t in Thread.scan(attributes_to_get=["forum", "thread"]))
    scan = Thread.scan(page_size=10)
    some = [next(scan) for _ in range(10)]
    rest = list(Thread.scan(last_evaluated_key=scan.last_evaluated_key, consistent_read=True))
    assert len(some) + len(rest) == 60


def test_counts(threads):
    assert Thread.count() == 60
    assert Thread.count("a") == 30
    assert Thread.count("a", Thread.thread >= "t20") == 10
    assert Thread.count("a", filter_condition=Thread.views < 5) == 5
    assert Thread.by_author.count("u0") == 20
    assert Thread.by_author.count("u0", Thread.thread < "t10") == 8
    assert Thread.by_views.count("a", Thread.views >= 25, consistent_read=True) == 5
    assert Thread.count("a", limit=4) == 30  # the mapper goes on, four at a time


def test_local_index(threads):
    ascending = [t.views for t in Thread.by_views.query("a")]
    assert ascending == sorted(ascending) and len(ascending) == 30
    assert [t.views for t in Thread.by_views.query("a", Thread.views.between(3, 6), consistent_read=True)] == [3, 4, 5, 6]
    top = next(Thread.by_views.query("a", scan_index_forward=False, limit=1))
    assert top.views == 29 and top.author == "u2"  # 17 * 7 % 30 == 29
    assert len(list(Thread.by_views.scan())) == 60


def test_global_index(threads):
    got = list(Thread.by_author.query("u2", Thread.thread.startswith("t2")))
    assert [(t.thread, t.views) for t in got if t.forum == "a"] == [("t20", 20), ("t23", 11), ("t26", 2), ("t29", 23)]
    assert all(t.text is None for t in got)  # not projected
    assert len(list(Thread.by_author.query("u2", filter_condition=Thread.views > 20))) == 2 * sum(
        1 for i in range(30) if i % 3 == 2 and (i * 7) % 30 > 20)
    with pytest.raises(QueryError) as e:
        next(Thread.by_author.query("u2", consistent_read=True))
    assert e.value.cause_response_code == "ValidationException"
    assert e.value.cause_response_message == "Consistent reads are not supported on global secondary indexes"
    with pytest.raises(QueryError) as e:
        list(Thread.by_author.query("u2", attributes_to_get=["text"]))
    assert e.value.cause_response_message == (
        "One or more parameter values were invalid: Global secondary index by-author does not project [text]")


def test_sparse_index(threads):
    assert {(t.forum, t.thread) for t in Thread.by_mood.query("glad")} == {(f, t) for f in "ab" for t in ("t00", "t10", "t20")}
    assert len(list(Thread.by_mood.scan())) == 6
    item = Thread.get("a", "t10")
    item.update([Thread.mood.remove()])
    Thread.get("a", "t11").update([Thread.mood.set("glad")])
    assert {t.thread for t in Thread.by_mood.query("glad") if t.forum == "a"} == {"t00", "t11", "t20"}
    described = {i["IndexName"]: i for i in Thread.describe_table()["GlobalSecondaryIndexes"]}
    assert set(described) == {"by-author", "by_mood"}
    assert described["by_mood"]["ItemCount"] == 6
    assert described["by-author"]["Projection"] == {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["views"]}


def test_batches(table):
    table(Thread)
    with Thread.batch_write() as batch:  # more than one request holds
        for i in range(120):
            batch.save(Thread("a", f"t{i:03d}", views=i))
    assert Thread.count() == 120
    keys = [("a", f"t{i:03d}") for i in range(0, 240)]  # half of them are not there
    assert sorted(t.views for t in Thread.batch_get(keys)) == list(range(120))
    only = list(Thread.batch_get([("a", "t001")], consistent_read=True, attributes_to_get=["views"]))
    assert [(t.views, t.author) for t in only] == [(1, None)]
    with Thread.batch_write() as batch:
        for i in range(100):
            batch.delete(Thread("a", f"t{i:03d}"))
        batch.save(Thread("b", "x"))
    assert Thread.count() == 21
    batch = Thread.batch_write(auto_commit=False)
    for i in range(25):
        batch.save(Thread("c", f"{i}"))
    with pytest.raises(ValueError):
        batch.save(Thread("c", "one too many"))
    batch.commit()
    assert Thread.count("c") == 25


def test_batch_get_larger_than_an_answer(table):
    class Blob(Model):
        class Meta:
            table_name = "blobs"
            billing_mode = "PAY_PER_REQUEST"

        id = NumberAttribute(hash_key=True)
        data = BinaryAttribute(legacy_encoding=False)

    table(Blob)
    for i in range(50):
        Blob(i, data=bytes([i]) * 380_000).save()
    # 19 MB: AWS answers at most 16 MB at once, and the mapper asks for the rest.
    assert sorted(b.id for b in Blob.batch_get(range(50))) == list(range(50))


def test_rate_limit(threads):
    assert len(list(Thread.query("a", rate_limit=1000, page_size=10))) == 30
    assert len(list(Thread.scan(rate_limit=1000, page_size=10))) == 60
    assert Thread.count("a", rate_limit=1000) == 30


def test_children_share_an_index(table):
    class ByName(GlobalSecondaryIndex):
        class Meta:
            index_name = "by_name"
            projection = AllProjection()

        name = UnicodeAttribute(hash_key=True)

    class Parent(Model, discriminator="parent"):
        class Meta:
            table_name = "family"
            billing_mode = "PAY_PER_REQUEST"

        id = UnicodeAttribute(hash_key=True)
        kind = DiscriminatorAttribute()

    class One(Parent, discriminator="one"):
        by_name = ByName()
        name = UnicodeAttribute()

    class Two(Parent, discriminator="two"):
        by_name = ByName()
        name = UnicodeAttribute()

    table(Parent)
    One("1", name="n").save()
    Two("2", name="n").save()
    assert [type(x) for x in One.by_name.query("n")] == [One]
    assert [type(x) for x in Two.by_name.query("n")] == [Two]


def test_conflicting_indexes(table):
    class Text(GlobalSecondaryIndex):
        class Meta:
            index_name = "text"
            projection = AllProjection()

        key = UnicodeAttribute(hash_key=True)

    class Number(GlobalSecondaryIndex):
        class Meta:
            index_name = "number"
            projection = AllProjection()

        key = NumberAttribute(hash_key=True)

    class Both(Model):
        class Meta:
            table_name = "both"
            billing_mode = "PAY_PER_REQUEST"

        id = UnicodeAttribute(hash_key=True)
        text = Text()
        number = Number()

    with pytest.raises(TableError) as e:
        table(Both)
    assert e.value.cause_response_code == "ValidationException"
