"""What all scenarios share: the server's address, and tables that go when their test ends."""

import os

import boto3
import pytest

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]


@pytest.fixture
def table():
    """Makes a model's table and removes it when the test ends."""
    made = []

    def make(model, **kwargs):
        model.Meta.host = ENDPOINT
        model.create_table(wait=True, **kwargs)
        made.append(model)
        return model

    yield make
    for model in made:
        if model.exists():
            model.delete_table(wait=True)


@pytest.fixture
def client():
    """The SDK itself, for what the mapper does not show."""
    return boto3.client("dynamodb")
