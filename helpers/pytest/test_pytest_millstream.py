"""Tests of the plugin, against the program that MILLSTREAM_BIN names."""

import datetime
import json
import os
import pathlib
import shutil
import urllib.request

import pytest

from pytest_millstream import MillstreamError, start

APP = pathlib.Path(__file__).parent / "testdata" / "template.yaml"


def dynamo(server, operation, **body):
    """A request as an SDK makes it."""
    request = urllib.request.Request(server.endpoint, json.dumps(body).encode(), {
        "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810." + operation, "X-Amz-Date": "20260101T000000Z",
        "Authorization": "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=00"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def logs(server):
    with urllib.request.urlopen(server.endpoint + "/_millstream/v1/logs?function=show&lines=100") as response:
        return [json.loads(line)["text"] for line in response if line.strip()]


@pytest.mark.millstream(template=APP, clock="manual")
def test_an_application_and_its_clock(millstream):
    assert millstream.endpoint.startswith("http://127.0.0.1:") and millstream.http_endpoint.startswith("http://127.0.0.1:")
    assert millstream.config == {
        "endpoint_url": millstream.endpoint, "region_name": "us-east-1", "aws_access_key_id": "local", "aws_secret_access_key": "local"}
    assert os.environ["AWS_ENDPOINT_URL_DYNAMODB"] == millstream.endpoint
    assert "AWS_ENDPOINT_URL_SQS" not in millstream.env
    before = millstream.now()
    dynamo(millstream, "PutItem", TableName="orders", Item={"id": {"S": "o-1"}})
    millstream.advance("4m58s")
    millstream.advance(0.5)
    with pytest.raises(MillstreamError, match=r"not settled while time stands still \(advance moves it\); behind are: show on orders by 1 records"):
        millstream.settle(timeout=0.05)
    now = millstream.advance(datetime.timedelta(seconds=1.5))
    assert now - before == datetime.timedelta(minutes=5)
    assert millstream.now() == now
    millstream.settle()
    assert any("seen o-1" in line for line in logs(millstream))
    with pytest.raises(MillstreamError, match="want a duration such as 20m"):
        millstream.advance("a while")


def test_settle_says_why_a_trigger_is_behind(tmp_path):
    folder = tmp_path / "fails"
    shutil.copytree(pathlib.Path(APP).parent, folder)
    template = folder / "template.yaml"
    template.write_text(template.read_text().replace("MaximumBatchingWindowInSeconds: 300", "FunctionResponseTypes: [ReportBatchItemFailures]"))
    for code in folder.rglob("app.py"):
        code.write_text(
            "def handler(event, context):\n"
            "    return {'batchItemFailures': [{'itemIdentifier': event['Records'][0]['dynamodb']['SequenceNumber']}]}\n")
    with start(template=str(template), clock="manual") as server:
        dynamo(server, "PutItem", TableName="orders", Item={"id": {"S": "o-1"}})
        server.advance("0s")
        with pytest.raises(MillstreamError, match=r'show on orders by 1 records \(1 attempts on \{"id":\{"S":"o-1"\}\}: the function reported \d+ as failed\)'):
            server.settle(timeout=0.05)


def test_a_server_with_a_folder_and_other_settings(tmp_path):
    for life in 1, 2:
        with start(data=tmp_path / "data", region="eu-west-1", args=["--log-level", "warn"]) as server:
            if life == 1:
                dynamo(server, "CreateTable", TableName="kept", BillingMode="PAY_PER_REQUEST",
                       AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}], KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])
            assert dynamo(server, "DescribeTable", TableName="kept")["Table"]["TableStatus"] == "ACTIVE"
            assert server.config["region_name"] == "eu-west-1"
            with pytest.raises(MillstreamError, match="The clock of this server goes by itself"):
                server.advance("1h")
            server.settle()
        with pytest.raises(OSError):
            server.now()


def test_a_server_that_does_not_start_says_why(tmp_path):
    with pytest.raises(MillstreamError, match='(?s)did not start:.*--log-level "loud"'):
        start(args=["--log-level", "loud"])
    with pytest.raises(MillstreamError, match=r"(?s)did not start:.*none\.yaml"):
        start(template=tmp_path / "none.yaml")
    with pytest.raises(OSError):
        start(env={"MILLSTREAM_BIN": str(tmp_path / "none")})
    with pytest.raises(MillstreamError, match="set MILLSTREAM_BIN"):
        start(env={"MILLSTREAM_BIN": "", "PATH": str(tmp_path)})


def test_the_program_is_found_on_the_path_and_built_by_go(tmp_path):
    program, said = os.environ["MILLSTREAM_BIN"], tmp_path / "said"

    def script(name, text):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("#!/bin/sh\n" + text)
        file.chmod(0o755)
        return file

    on_path = script("path/millstream", f"echo path >>'{said}'\nexec '{program}' \"$@\"\n")
    script("go/go", f"echo \"$@\" >>'{said}'\n/bin/mkdir -p \"$GOBIN\" && /bin/cp '{on_path}' \"$GOBIN\"\n")
    for folder, want in ("path", "path\n"), ("go", "install github.com/millstreamdb/millstream/cmd/millstream@latest\npath\n"):
        said.unlink(missing_ok=True)
        with start(env={"MILLSTREAM_BIN": "", "PATH": str(tmp_path / folder), "XDG_CACHE_HOME": str(tmp_path / "cache")}):
            pass
        assert said.read_text() == want
    script("go/go", "echo no network >&2\nexit 1\n")
    with pytest.raises(MillstreamError, match="go install .*: no network"):
        start(env={"MILLSTREAM_BIN": "", "PATH": str(tmp_path / "go")})
