"""Starts Millstream for a test and speaks its admin protocol: start, settle, the clock, stop.

As a pytest plugin it has the fixture ``millstream``; ``start`` works without pytest.
README.md shows how it is used.
"""

import atexit
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import urllib.error
import urllib.parse
import urllib.request

# The AWS services that a Millstream serves. Others go where they always went.
SERVICES = ("DYNAMODB", "DYNAMODB_STREAMS", "LAMBDA")
SOURCE = "github.com/millstreamdb/millstream/cmd/millstream@latest"
MAX_OUTPUT = 1 << 20  # characters of the server's output that are kept
STOP_LIMIT = 20  # seconds until a server that does not end is killed


class MillstreamError(Exception):
    """What Millstream refused, or was not ready for in time."""


def _program(env):
    """Finds the program: MILLSTREAM_BIN, that of the package millstream, `millstream` on the PATH, or Go, which builds it into
    the user's cache."""
    if env.get("MILLSTREAM_BIN"):
        return env["MILLSTREAM_BIN"]
    beside = shutil.which("millstream", path=sysconfig.get_path("scripts"))
    if beside:
        return beside
    path = env.get("PATH", "")
    found = shutil.which("millstream", path=path)
    if found:
        return found
    go = shutil.which("go", path=path)
    if not go:
        raise MillstreamError("millstream was not found: set MILLSTREAM_BIN to the program, put it on the PATH, or install Go")
    cache = pathlib.Path(env.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    gobin = cache / "millstream" / "bin"
    built = subprocess.run([go, "install", SOURCE], env={**env, "GOBIN": str(gobin)}, capture_output=True, text=True)
    if built.returncode != 0:
        raise MillstreamError(f"go install {SOURCE}: {built.stderr}")
    return str(gobin / "millstream")


def _trouble(t):
    """Says why a trigger is behind: the error of what blocks it. A call that succeeded may have named records that failed,
    so its last result is no answer."""
    blocked = [shard.get("blocked") for shard in t.get("shards", [])] + [t.get("setAside", {}).get("blocked")]
    for b in filter(None, blocked):
        on = f" on {json.dumps(b['keys'], separators=(',', ':'))}" if b.get("keys") else ""
        return f"{b['attempts']} attempts{on}: {b['error']}"
    if t.get("error"):  # of a queue
        return t["error"]
    return "under way" if t["lastResult"] == "OK" else t["lastResult"]


def _duration(d):
    """A time span as the protocol writes it: a timedelta, a number of seconds, or a text such as '20m'."""
    if isinstance(d, datetime.timedelta):
        d = d.total_seconds()
    return d if isinstance(d, str) else f"{d:.9f}s"


def start(clock="real", template=None, data=None, region="us-east-1", args=(), env=None, cwd=None, print=False):
    """Starts a server and returns it once it answers and has deployed the template, if there is one.

    clock: 'manual' has time stand still until `advance`. data: a folder; by default everything is in memory.
    args: further arguments of `millstream serve`. env: variables beside the process's own. print: show what the
    server and its functions print.
    """
    return Millstream(clock, template, data, region, args, {**os.environ, **(env or {})}, cwd, print)


class Millstream:
    """A running server. As a context manager it stops at the end."""

    def __init__(self, clock, template, data, region, args, env, cwd, show):
        command = [_program(env), "serve", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--region", region, "--clock", clock]
        command += ["--data", str(data)] if data else ["--in-memory"]
        command += ["--template", str(template)] if template else []
        self.region, self.endpoint, self.http_endpoint = region, None, None
        #: the end of what the server and its functions have printed
        self.output = ""
        self._show, self._template, self._lock = show, template, threading.Lock()
        self._settled = threading.Event()  # it has started, or ended
        self._process = subprocess.Popen(
            [*command, *args], env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            encoding="utf-8", errors="replace")
        atexit.register(self._process.kill)
        self._readers = [threading.Thread(target=f, args=(p,), daemon=True) for f, p in (
            (self._read_greeting, self._process.stdout), (self._read, self._process.stderr))]
        for reader in self._readers:
            reader.start()
        self._settled.wait()
        if self.endpoint is None:
            self.stop()
            raise MillstreamError(f"millstream did not start:\n{self.output}")

    def _read(self, pipe):
        for line in pipe:
            self._take(line)

    def _read_greeting(self, pipe):
        text, last = "", r"^Deployed .*\n" if self._template else r"AWS_DEFAULT_REGION=\S+\n"
        for line in pipe:
            self._take(line)
            if self.endpoint is None:
                text += line
                if re.search(last, text, re.MULTILINE):
                    self.http_endpoint = re.search(r"HTTP APIs.*: (\S+)", text).group(1)
                    self.endpoint = re.search(r"AWS_ENDPOINT_URL=(\S+)", text).group(1)
                    self._settled.set()
        self._settled.set()

    def _take(self, line):
        with self._lock:
            self.output = (self.output + line)[-MAX_OUTPUT:]
        if self._show:
            sys.stderr.write(line)

    @property
    def config(self):
        """What boto3 takes: boto3.client('dynamodb', **server.config)."""
        return {"endpoint_url": self.endpoint, "region_name": self.region, "aws_access_key_id": "local", "aws_secret_access_key": "local"}

    @property
    def env(self):
        """Variables by which every AWS SDK and the AWS CLI find the server."""
        return {
            **{"AWS_ENDPOINT_URL_" + s: self.endpoint for s in SERVICES}, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region, "MILLSTREAM_ENDPOINT": self.endpoint}

    def settle(self, timeout="30s"):
        """Waits until every trigger has handled what has been written so far."""
        s = self.admin("POST", "settle", timeout=_duration(timeout))
        if not s["settled"]:
            behind = [f"{t['function']} on {t['table'] or t.get('queue')} by {t['lagRecords']} records ({_trouble(t)})" for t in s.get("behind", [])]
            why = "while time stands still (advance moves it)" if s.get("timeStands") else f"after {timeout}"
            raise MillstreamError(f"not settled {why}; behind are: {', '.join(behind)}")

    def now(self):
        """The server's time, in UTC."""
        return _time(self.admin("GET", "clock")["now"])

    def advance(self, by, timeout="30s"):
        """Moves a manual clock on; returns the new time when everything that was due has been done."""
        a = self.admin("POST", "clock/advance", by=_duration(by), timeout=_duration(timeout))
        if not a["quiet"]:
            raise MillstreamError(f"functions have not answered within {timeout}; the clock stands at {a['now']}, {a['advancedMs']} ms on")
        return _time(a["now"])

    def admin(self, method, name, **query):
        """Makes a request of the admin protocol and returns its document."""
        url = f"{self.endpoint}/_millstream/v1/{name}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(url, method=method, headers={"X-Millstream": "1"})
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as response:
                return json.load(response)
        except urllib.error.HTTPError as e:
            document = json.load(e)
            raise MillstreamError(document.get("error", document).get("message", str(e))) from None

    def stop(self):
        """Ends the server; what it held in memory is gone."""
        atexit.unregister(self._process.kill)
        self._process.terminate()
        try:
            self._process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for reader in self._readers:
            reader.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def _time(text):
    seconds, _, fraction = text.rstrip("Z").partition(".")
    return datetime.datetime.fromisoformat(f"{seconds}.{fraction[:6]:0<6}+00:00")


try:
    import pytest
except ImportError:
    pass
else:

    def pytest_configure(config):
        config.addinivalue_line("markers", "millstream(**options): how the fixture `millstream` starts its server")

    @pytest.fixture
    def millstream(request, monkeypatch):
        """A server of the test's own. The marker ``millstream`` gives the options of `start`; clients made without an endpoint find it."""
        marker = request.node.get_closest_marker("millstream")
        with start(**(marker.kwargs if marker else {})) as server:
            for name, value in server.env.items():
                monkeypatch.setenv(name, value)
            yield server
