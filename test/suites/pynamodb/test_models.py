"""Models: create, save, get, refresh, update, delete, conditions, update actions, versions, discriminators."""

from datetime import datetime, timedelta, timezone

import pytest
from pynamodb.attributes import (
    BinaryAttribute,
    BinarySetAttribute,
    BooleanAttribute,
    DiscriminatorAttribute,
    DynamicMapAttribute,
    JSONAttribute,
    ListAttribute,
    MapAttribute,
    NullAttribute,
    NumberAttribute,
    NumberSetAttribute,
    TTLAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
    UTCDateTimeAttribute,
    VersionAttribute,
)
from pynamodb.exceptions import (
    DeleteError,
    DoesNotExist,
    PutError,
    TableDoesNotExist,
    TableError,
    UpdateError,
)
from pynamodb.expressions.condition import size
from pynamodb.expressions.operand import Path
from pynamodb.models import Model

from conftest import ENDPOINT


class Address(MapAttribute):
    street = UnicodeAttribute()
    number = NumberAttribute(null=True)


class Everything(Model):
    class Meta:
        table_name = "everything"
        billing_mode = "PAY_PER_REQUEST"

    id = UnicodeAttribute(hash_key=True)
    at = NumberAttribute(range_key=True)
    text = UnicodeAttribute(null=True, attr_name="t")
    number = NumberAttribute(null=True)
    flag = BooleanAttribute(null=True)
    raw = BinaryAttribute(null=True, legacy_encoding=False)
    nothing = NullAttribute(null=True)
    when = UTCDateTimeAttribute(null=True)
    document = JSONAttribute(null=True)
    words = UnicodeSetAttribute(null=True)
    numbers = NumberSetAttribute(null=True)
    blobs = BinarySetAttribute(null=True, legacy_encoding=False)
    things = ListAttribute(null=True)
    address = Address(null=True)
    addresses = ListAttribute(of=Address, null=True)
    anything = DynamicMapAttribute(null=True)
    expires = TTLAttribute(null=True)


def test_every_attribute_comes_back(table):
    table(Everything)
    when = datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=timezone.utc)
    expires = datetime(2099, 1, 1, tzinfo=timezone.utc)
    item = Everything(
        "a", 1.5, text="grüße ☃", number=-12345678901234567890, flag=True, raw=b"\x00\xff", nothing=None,
        when=when, document={"a": [1, None, {"b": False}]}, words={"x", "y"}, numbers={1, 2.5, -3},
        blobs={b"\x00", b"\x01\x02"}, things=["a", 1, False, None, {"m": [2]}],
        address=Address(street="Elm", number=7), addresses=[Address(street="Oak"), Address(street="Ash", number=1)],
        anything=DynamicMapAttribute(free="form", deep={"er": 1}), expires=expires,
    )
    item.save()
    back = Everything.get("a", 1.5, consistent_read=True)
    theirs, mine = back.to_simple_dict(force=True), item.to_simple_dict(force=True)
    theirs["anything"].pop("attribute_values", None)  # the mapper's own trace in dynamic maps
    assert theirs == mine
    assert back.text == "grüße ☃"
    assert back.number == -12345678901234567890
    assert back.raw == b"\x00\xff"
    assert back.when == when
    assert back.document == {"a": [1, None, {"b": False}]}
    assert back.words == {"x", "y"}
    assert back.numbers == {1, 2.5, -3}
    assert back.blobs == {b"\x00", b"\x01\x02"}
    assert back.things == ["a", 1, False, None, {"m": [2]}]
    assert (back.address.street, back.address.number) == ("Elm", 7)
    assert [a.street for a in back.addresses] == ["Oak", "Ash"]
    assert back.anything.deep["er"] == 1
    assert back.expires == expires
    # What is stored has the mapper's own names of types.
    stored = back.to_dynamodb_dict()
    assert stored["t"] == {"S": "grüße ☃"} and "text" not in stored
    assert stored["at"] == {"N": "1.5"}


def test_empty_values(table):
    table(Everything)
    Everything("a", 0, text="", raw=b"", things=[], document={}).save()
    back = Everything.get("a", 0)
    assert back.text == "" and back.raw == b"" and back.things == []
    assert back.document == {}


def test_get_refresh_delete(table):
    table(Everything)
    Everything("a", 1, text="x", number=1).save()
    part = Everything.get("a", 1, attributes_to_get=["number"])
    assert part.number == 1 and part.text is None

    other = Everything.get("a", 1)
    Everything("a", 1, text="y").save()
    other.refresh(consistent_read=True)
    assert other.text == "y" and other.number is None

    other.delete()
    with pytest.raises(DoesNotExist):
        other.refresh()
    with pytest.raises(Everything.DoesNotExist):
        Everything.get("a", 1)
    other.delete()  # again: no error


def test_table_lifecycle(client):
    class Life(Model):
        class Meta:
            table_name = "life"
            host = ENDPOINT
            read_capacity_units = 3
            write_capacity_units = 2
            stream_view_type = "NEW_AND_OLD_IMAGES"
            tags = {"team": "mill"}

        id = UnicodeAttribute(hash_key=True)
        until = TTLAttribute(attr_name="u", default=timedelta(days=1))

    assert not Life.exists()
    with pytest.raises(TableDoesNotExist) as e:
        Life.describe_table()
    assert str(e.value) == "Table does not exist: `Requested resource not found: Table: life not found`"
    with pytest.raises(PutError) as e:
        Life("a").save()
    assert e.value.cause_response_code == "ResourceNotFoundException"
    assert e.value.cause_response_message == "Requested resource not found"
    Life.create_table(wait=True)
    assert Life.exists()
    d = Life.describe_table()
    assert d["TableStatus"] == "ACTIVE"
    assert d["ProvisionedThroughput"]["ReadCapacityUnits"] == 3
    assert d["ProvisionedThroughput"]["WriteCapacityUnits"] == 2
    assert d["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert d["LatestStreamArn"].endswith(d["LatestStreamLabel"])
    ttl = client.describe_time_to_live(TableName="life")["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "u"}
    assert client.list_tags_of_resource(ResourceArn=d["TableArn"])["Tags"] == [{"Key": "team", "Value": "mill"}]
    with pytest.raises(TableError) as e:
        Life.create_table(wait=True)  # the table is there already: only its time to live is asked for
    assert e.value.cause_response_message == "TimeToLive is already enabled"
    Life.create_table(wait=True, ignore_update_ttl_errors=True)
    Life("a").save()
    assert Life.describe_table()["ItemCount"] == 1
    Life.delete_table(wait=True)
    assert not Life.exists()


def test_conditions(table):
    table(Everything)
    item = Everything("a", 1, text="cat", number=5, flag=True, words={"x"}, things=[1, 2],
                      address=Address(street="Elm", number=7))
    item.save(Everything.id.does_not_exist())
    with pytest.raises(PutError) as e:
        item.save(Everything.id.does_not_exist())
    assert e.value.cause_response_code == "ConditionalCheckFailedException"
    assert e.value.cause_response_message == "The conditional request failed"

    true = [
        Everything.text == "cat", Everything.text != "dog", Everything.number < 6, Everything.number <= 5,
        Everything.number > 4, Everything.number >= 5, Everything.number.between(5, 6), Everything.text.is_in("dog", "cat"),
        Everything.text.exists(), Everything.raw.does_not_exist(), Everything.text.is_type(), Everything.text.startswith("ca"),
        Everything.text.contains("a"), Everything.words.contains("x"), Everything.address.street == "Elm",
        Everything.address["number"] == 7, Everything.things[1] == 2, Everything.flag == True,  # noqa: E712
        ~(Everything.number == 4), (Everything.number == 4) | (Everything.number == 5),
        (Everything.number == 5) & (Everything.text == "cat") & ~Everything.raw.exists(),
    ]
    true += [size(Everything.text) == 3, size(Everything.things) >= 2, size("words") < 2, Path("number") == 5,
             Path(["address", "street"]).startswith("E")]
    for condition in true:
        item.save(condition)
        with pytest.raises(PutError):
            item.save(~condition)
    with pytest.raises(DeleteError) as e:
        item.delete(Everything.number == 4)
    assert e.value.cause_response_code == "ConditionalCheckFailedException"
    item.delete(Everything.number == 5)
    assert Everything.count() == 0


def test_update_actions(table):
    table(Everything)
    item = Everything("a", 1, number=5, text="x", words={"a", "b"}, numbers={1}, things=["m"],
                      address=Address(street="Elm", number=7), flag=True)
    item.save()
    item.update(actions=[
        Everything.number.set(Everything.number + 10),
        Everything.text.set("y"),
        Everything.flag.remove(),
        Everything.words.delete({"a"}),
        Everything.numbers.add({2, 3}),
        Everything.things.set(Everything.things.append(["z"])),
        Everything.address.street.set("Oak"),
    ])
    assert item.number == 15 and item.text == "y" and item.flag is None and item.words == {"b"}
    assert item.numbers == {1, 2, 3} and item.things == ["m", "z"] and item.address.street == "Oak"
    item.update([Everything.things.set(Everything.things.prepend(["0"])), Everything.number.set(Everything.number - 5)])
    assert item.things == ["0", "m", "z"] and item.number == 10
    item.update([Everything.number.add(1.5), Everything.raw.set(Everything.raw | b"default"), Everything.things[1].remove()])
    assert item.number == 11.5 and item.raw == b"default" and item.things == ["0", "z"]
    item.update([Everything.raw.set(Everything.raw | b"other"), Everything.words.delete({"b"})])
    assert item.raw == b"default" and item.words is None
    item.update([Everything.number.set(100)], condition=Everything.text == "y")
    with pytest.raises(UpdateError) as e:
        item.update([Everything.number.set(0)], condition=Everything.text == "x")
    assert e.value.cause_response_code == "ConditionalCheckFailedException"
    assert Everything.get("a", 1).number == 100
    item.update([Everything.raw.set(b"\x00\xfb"), Everything.blobs.set({b"\xff", b"\x00"})])
    assert item.raw == b"\x00\xfb" and item.blobs == {b"\xff", b"\x00"}
    # An update makes an item that is not there.
    Everything("new", 1).update([Everything.number.add(3)])
    assert Everything.get("new", 1).number == 3
    with pytest.raises(UpdateError) as e:
        Everything("a", 1).update([Everything.raw.set(Path("t") + 1)])
    assert e.value.cause_response_code == "ValidationException"
    assert e.value.cause_response_message == "An operand in the update expression has an incorrect data type"


class Versioned(Model):
    class Meta:
        table_name = "versioned"
        billing_mode = "PAY_PER_REQUEST"

    id = UnicodeAttribute(hash_key=True)
    name = UnicodeAttribute(null=True)
    version = VersionAttribute()


def test_optimistic_locking(table):
    table(Versioned)
    mine = Versioned("a", name="first")
    mine.save()
    assert mine.version == 1
    theirs = Versioned.get("a")
    theirs.name = "second"
    theirs.save()
    assert theirs.version == 2
    mine.name = "late"
    for write in (mine.save, mine.delete, lambda: mine.update([Versioned.name.set("late")])):
        with pytest.raises((PutError, DeleteError, UpdateError)) as e:
            write()
        assert e.value.cause_response_code == "ConditionalCheckFailedException"
    mine.save(add_version_condition=False)
    mine.refresh()
    mine.update([Versioned.name.set("again")])
    assert Versioned.get("a").version == mine.version
    with pytest.raises(PutError):
        Versioned("a").save()  # a new object expects that there is none
    mine.delete()
    assert Versioned.count() == 0


class Animal(Model):
    class Meta:
        table_name = "animals"
        billing_mode = "PAY_PER_REQUEST"

    id = UnicodeAttribute(hash_key=True)
    kind = DiscriminatorAttribute()


class Cat(Animal, discriminator="cat"):
    lives = NumberAttribute(default=9)


class Lion(Cat, discriminator="lion"):
    pride = UnicodeAttribute()


class Dog(Animal, discriminator="dog"):
    trick = UnicodeAttribute()


def test_discriminators(table):
    table(Animal)
    for model in (Cat, Lion, Dog):
        model.Meta.host = Animal.Meta.host
    Cat("c").save()
    Lion("l", pride="p").save()
    Dog("d", trick="roll").save()
    assert {a.id: type(a) for a in Animal.scan()} == {"c": Cat, "l": Lion, "d": Dog}
    assert sorted(a.id for a in Cat.scan()) == ["c", "l"]  # and its subclasses
    assert [a.pride for a in Lion.scan()] == ["p"]
    assert isinstance(Animal.get("d"), Dog)


def test_defaults_and_null_checks(table):
    from pynamodb.exceptions import AttributeNullError

    class Defaults(Model):
        class Meta:
            table_name = "defaults"
            billing_mode = "PAY_PER_REQUEST"

        id = UnicodeAttribute(hash_key=True, default="generated")
        fresh = UnicodeAttribute(default_for_new=lambda: "new")
        must = UnicodeAttribute()

    table(Defaults)
    with pytest.raises(AttributeNullError):
        Defaults().save()
    Defaults(must="x").save()
    assert Defaults.get("generated").fresh == "new"


def test_signals(table):
    from pynamodb.signals import post_dynamodb_send, pre_dynamodb_send

    seen = []

    def before(sender, operation_name, table_name, req_uuid):
        seen.append(("pre", operation_name, table_name))

    def after(sender, operation_name, table_name, req_uuid):
        seen.append(("post", operation_name, table_name))

    table(Versioned)
    pre_dynamodb_send.connect(before)
    post_dynamodb_send.connect(after)
    Versioned("s").save()
    pre_dynamodb_send.disconnect(before)
    post_dynamodb_send.disconnect(after)
    assert seen == [("pre", "PutItem", "versioned"), ("post", "PutItem", "versioned")]
