"""Transactions: all four actions, cancellation reasons, tokens, versions, and reads."""

import uuid

import pytest
from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute, VersionAttribute
from pynamodb.connection import Connection
from pynamodb.constants import ALL_OLD
from pynamodb.exceptions import CancellationReason, DoesNotExist, InvalidStateError, TransactGetError, TransactWriteError
from pynamodb.expressions.operand import Path
from pynamodb.models import Model
from pynamodb.transactions import TransactGet, TransactWrite

from conftest import ENDPOINT

FAILED = CancellationReason(code="ConditionalCheckFailed", message="The conditional request failed")


class Account(Model):
    class Meta:
        table_name = "accounts"
        region = "us-east-1"
        billing_mode = "PAY_PER_REQUEST"

    id = NumberAttribute(hash_key=True)
    balance = NumberAttribute(default=0)
    active = BooleanAttribute(default=True)


class Entry(Model):
    class Meta:
        table_name = "entries"
        region = "us-east-1"
        billing_mode = "PAY_PER_REQUEST"

    account = NumberAttribute(hash_key=True)
    at = UnicodeAttribute(range_key=True)
    amount = NumberAttribute()


class Locked(Model):
    class Meta:
        table_name = "locked"
        region = "us-east-1"
        billing_mode = "PAY_PER_REQUEST"

    id = NumberAttribute(hash_key=True)
    name = UnicodeAttribute(null=True)
    version = VersionAttribute()


class Elsewhere(Model):
    class Meta:
        table_name = "elsewhere"
        region = "us-east-2"
        billing_mode = "PAY_PER_REQUEST"

    id = NumberAttribute(hash_key=True)


@pytest.fixture
def connection(table):
    for model in (Account, Entry, Locked, Elsewhere):
        table(model)
    return Connection(host=ENDPOINT, region="us-east-1")


def cancelled(e, *reasons):
    assert e.value.cause_response_code == "TransactionCanceledException"
    codes = ", ".join(r.code if r else "None" for r in reasons)
    assert e.value.cause_response_message == (
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]")
    assert e.value.cancellation_reasons == list(reasons)


def test_all_actions(connection):
    Account(1, balance=10).save()
    Account(2, balance=100).save()
    two = Account.get(2)
    with TransactWrite(connection=connection, return_consumed_capacity="TOTAL") as tx:
        tx.condition_check(Account, 1, condition=Account.balance == 10)
        tx.update(two, actions=[Account.balance.add(-50), Account.active.set(False)], condition=Account.balance >= 50)
        tx.save(Entry(1, "t1", amount=50), condition=Entry.account.does_not_exist())
        tx.save(Account(3))
        tx.delete(Entry(9, "never was"))
    two.refresh()
    assert (two.balance, two.active) == (50, False)
    assert Entry.get(1, "t1").amount == 50
    assert Account.get(3).balance == 0


def test_cancelled(connection):
    Account(1, balance=7).save()
    with pytest.raises(TransactWriteError) as e:
        with TransactWrite(connection=connection) as tx:
            tx.condition_check(Account, 99, condition=Account.id.exists())
            tx.save(Account(1), condition=Account.id.does_not_exist(), return_values=ALL_OLD)
            tx.save(Account(2), condition=Account.id.does_not_exist())
            tx.update(Account(3), [Account.balance.add(1)], condition=Account.balance > 0, return_values=ALL_OLD)
    # The mapper sends checks, deletes, puts and updates, in this order.
    cancelled(e, FAILED, CancellationReason(FAILED.code, FAILED.message, Account(1, balance=7).to_dynamodb_dict()), None, FAILED)
    with pytest.raises(DoesNotExist):
        Account.get(2)
    with pytest.raises(TransactWriteError) as e:
        with TransactWrite(connection=connection) as tx:
            tx.save(Account(5))
            tx.update(Account(1), [Path("active").add(1)])
    cancelled(e, None, CancellationReason("ValidationError", "An operand in the update expression has an incorrect data type"))


def test_one_item_twice(connection):
    with pytest.raises(TransactWriteError) as e:
        with TransactWrite(connection=connection) as tx:
            tx.condition_check(Account, 1, condition=Account.id.exists())
            tx.update(Account(1), [Account.balance.add(1)])
    assert e.value.cause_response_code == "ValidationException"
    assert e.value.cause_response_message == "Transaction request cannot include multiple operations on one item"


def test_tokens(connection):
    token = str(uuid.uuid4())
    for _ in range(2):  # the second is answered, not done
        with TransactWrite(connection=connection, client_request_token=token) as tx:
            tx.update(Account(1), [Account.balance.add(1)])
    assert Account.get(1).balance == 1
    with pytest.raises(TransactWriteError) as e:
        with TransactWrite(connection=connection, client_request_token=token) as tx:
            tx.update(Account(1), [Account.balance.add(2)])
    assert e.value.cause_response_code == "IdempotentParameterMismatchException"
    assert Account.get(1).balance == 1


def test_regions_share_no_tables(connection):
    with pytest.raises(TransactWriteError) as e:
        with TransactWrite(connection=connection) as tx:
            tx.save(Account(1))
            tx.save(Elsewhere(1))
    assert e.value.cause_response_code == "ResourceNotFoundException"
    Elsewhere(1).save()
    assert Elsewhere.get(1).id == 1
    with pytest.raises(DoesNotExist):
        Account.get(1)


def test_reads(connection):
    Account(1, balance=5).save()
    Entry(1, "t", amount=6).save()
    with TransactGet(connection=connection) as tx:
        account, entry, missing = tx.get(Account, 1), tx.get(Entry, 1, "t"), tx.get(Account, 404)
        with pytest.raises(InvalidStateError):
            account.get()
    assert (account.get().balance, entry.get().amount) == (5, 6)
    with pytest.raises(Account.DoesNotExist):
        missing.get()
    with pytest.raises(TransactGetError) as e:
        with TransactGet(connection=connection) as tx:
            tx.get(Account, 1)
            tx.get(Account, 1)
    assert e.value.cause_response_code == "ValidationException"


def test_hundred_items(connection):
    with TransactWrite(connection=connection) as tx:
        for i in range(100):
            tx.save(Account(i, balance=i))
    assert Account.count() == 100
    with TransactGet(connection=connection) as tx:
        got = [tx.get(Account, i) for i in range(100)]
    assert [g.get().balance for g in got] == list(range(100))
    with pytest.raises(TransactWriteError) as e:
        with TransactWrite(connection=connection) as tx:
            for i in range(101):
                tx.delete(Account(i))
    assert e.value.cause_response_code == "ValidationException"
    assert Account.count() == 100


def test_versions(connection):
    one, two, three = Locked(1), Locked(2, name="b"), Locked(3)
    for item in (one, two, three):
        item.save()
    stale = Locked.get(3)
    three.save()
    with TransactWrite(connection=connection) as tx:
        tx.condition_check(Locked, 1, condition=Locked.id.exists())
        tx.delete(two)
        tx.save(Locked(4))
        tx.update(three, [Locked.name.set("x")])
    assert (three.version, Locked.get(3).version, Locked.get(3).name, Locked.get(4).version) == (3, 3, "x", 1)
    for act in (lambda tx: tx.save(stale), lambda tx: tx.delete(stale), lambda tx: tx.update(stale, [Locked.name.set("y")])):
        with pytest.raises(TransactWriteError) as e:
            with TransactWrite(connection=connection) as tx:
                act(tx)
        cancelled(e, FAILED)
    assert stale.version == 1
    with TransactWrite(connection=connection) as tx:
        tx.update(stale, [Locked.name.set("last wins")], add_version_condition=False)
    assert Locked.get(3).version == 4
