"""The low-level API: Connection and TableConnection."""

import pytest
from pynamodb.connection import Connection, TableConnection
from pynamodb.exceptions import PutError, TableError
from pynamodb.expressions.condition import BeginsWith, NotExists
from pynamodb.expressions.operand import Path, Value

from conftest import ENDPOINT

SCHEMA = dict(
    read_capacity_units=1,
    write_capacity_units=1,
    attribute_definitions=[
        {"attribute_name": "forum", "attribute_type": "S"},
        {"attribute_name": "thread", "attribute_type": "S"},
        {"attribute_name": "other", "attribute_type": "S"},
    ],
    key_schema=[{"attribute_name": "forum", "key_type": "HASH"}, {"attribute_name": "thread", "key_type": "RANGE"}],
    global_secondary_indexes=[{
        "index_name": "by-other",
        "key_schema": [{"AttributeName": "other", "KeyType": "HASH"}],
        "projection": {"ProjectionType": "KEYS_ONLY"},
        "provisioned_throughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
    }],
    local_secondary_indexes=[{
        "index_name": "local-other",
        "key_schema": [{"AttributeName": "forum", "KeyType": "HASH"}, {"AttributeName": "other", "KeyType": "RANGE"}],
        "projection": {"ProjectionType": "KEYS_ONLY"},
    }],
    tags={"a": "b"},
)


def through(conn, table):
    """Lets one scenario speak to a Connection, which is told the table, or a TableConnection, which knows it."""
    return lambda operation, *args, **kwargs: getattr(conn, operation)(*table, *args, **kwargs)


@pytest.mark.parametrize("kind", ["connection", "table"])
def test_everything(kind):
    name = f"low-level-{kind}"
    if kind == "connection":
        call = through(Connection(host=ENDPOINT), (name,))
    else:
        call = through(TableConnection(name, host=ENDPOINT), ())
    call("create_table", **SCHEMA)
    with pytest.raises(TableError) as e:
        call("create_table", **SCHEMA)
    assert e.value.cause_response_code == "ResourceInUseException"
    assert call("describe_table")["TableStatus"] == "ACTIVE"
    call("update_table", read_capacity_units=2, write_capacity_units=2)
    assert call("describe_table")["ProvisionedThroughput"]["ReadCapacityUnits"] == 2
    call("update_table", global_secondary_index_updates=[
        {"index_name": "by-other", "read_capacity_units": 4, "write_capacity_units": 3}])
    assert call("describe_table")["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]["ReadCapacityUnits"] == 4
    call("update_time_to_live", "until")

    put = call("put_item", "h", range_key="r", attributes={"foo": {"S": "bar"}}, condition=NotExists(Path("forum")),
               return_consumed_capacity="TOTAL", return_values="ALL_OLD", return_item_collection_metrics="SIZE")
    assert put["ConsumedCapacity"] == {"TableName": name, "CapacityUnits": 1.0}
    assert put["ItemCollectionMetrics"]["ItemCollectionKey"] == {"forum": {"S": "h"}}
    assert "Attributes" not in put
    with pytest.raises(PutError):
        call("put_item", "h", range_key="r", condition=NotExists(Path("forum")))
    assert call("get_item", "h", range_key="r", consistent_read=True)["Item"] == {
        "forum": {"S": "h"}, "thread": {"S": "r"}, "foo": {"S": "bar"}}
    assert call("get_item", "h", range_key="r", attributes_to_get=["foo"])["Item"] == {"foo": {"S": "bar"}}
    updated = call("update_item", "h", range_key="r", actions=[Path("foo").set("baz"), Path("n").add(1)],
                   return_values="UPDATED_NEW", return_consumed_capacity="INDEXES")
    assert updated["Attributes"] == {"foo": {"S": "baz"}, "n": {"N": "1"}}
    assert updated["ConsumedCapacity"]["Table"] == {"CapacityUnits": 1.0}
    assert call("update_item", "h", range_key="r", actions=[Path("n").set(2)], return_values="UPDATED_OLD")["Attributes"] == {
        "n": {"N": "1"}}
    gone = call("delete_item", "h", range_key="r", return_values="ALL_OLD", condition=Path("n") == 2)
    assert gone["Attributes"]["foo"] == {"S": "baz"}
    assert "Item" not in call("get_item", "h", range_key="r")

    items = [{"forum": "f", "thread": f"t{i}", "other": f"o{i % 2}"} for i in range(10)]
    wrote = call("batch_write_item", put_items=items, return_consumed_capacity="TOTAL", return_item_collection_metrics="SIZE")
    assert wrote["UnprocessedItems"] == {}
    assert wrote["ConsumedCapacity"] == [{"TableName": name, "CapacityUnits": 30.0}]
    keys = [{"forum": "f", "thread": f"t{i}"} for i in range(11)]
    got = call("batch_get_item", keys, consistent_read=True, return_consumed_capacity="TOTAL", attributes_to_get=["thread"])
    assert sorted(i["thread"]["S"] for i in got["Responses"][name]) == [f"t{i}" for i in range(10)]
    assert got["ConsumedCapacity"] == [{"TableName": name, "CapacityUnits": 11.0}]

    page = call("query", "f", range_key_condition=BeginsWith(Path("thread"), Value("t")), limit=4, scan_index_forward=False)
    assert [i["thread"]["S"] for i in page["Items"]] == ["t9", "t8", "t7", "t6"]
    page = call("query", "f", exclusive_start_key=page["LastEvaluatedKey"], limit=4, scan_index_forward=False)
    assert [i["thread"]["S"] for i in page["Items"]] == ["t5", "t4", "t3", "t2"]
    page = call("query", "f", select="COUNT", return_consumed_capacity="TOTAL")
    assert (page["Count"], page["ScannedCount"], "Items" in page) == (10, 10, False)
    assert call("query", "o1", index_name="by-other")["Count"] == 5
    assert call("query", "f", index_name="local-other", range_key_condition=Path("other") == "o0", consistent_read=True)["Count"] == 5
    assert call("scan", filter_condition=Path("other") == "o1", return_consumed_capacity="TOTAL")["Count"] == 5
    parts = [call("scan", segment=s, total_segments=3)["Count"] for s in range(3)]
    assert sum(parts) == 10
    assert call("scan", index_name="by-other", limit=3)["ScannedCount"] == 3

    call("batch_write_item", delete_items=[{"forum": "f", "thread": f"t{i}"} for i in range(10)])
    assert call("scan")["Count"] == 0
    call("delete_table")


def test_list_tables():
    conn = Connection(host=ENDPOINT)
    for i in range(5):
        conn.create_table(f"list-{i}", read_capacity_units=1, write_capacity_units=1,
                          attribute_definitions=[{"attribute_name": "id", "attribute_type": "B"}],
                          key_schema=[{"attribute_name": "id", "key_type": "HASH"}])
    page = conn.list_tables(exclusive_start_table_name="list-", limit=3)
    assert page["TableNames"] == ["list-0", "list-1", "list-2"] and page["LastEvaluatedTableName"] == "list-2"
    page = conn.list_tables(exclusive_start_table_name="list-2", limit=2)
    assert page["TableNames"] == ["list-3", "list-4"]
    for i in range(5):
        conn.delete_table(f"list-{i}")
