"""Celery with the server's queues as its broker."""
import os
import signal
import subprocess
import sys
import tempfile
import time

import pytest

os.environ["RESULTS"] = tempfile.mkdtemp()

from celery import chain, group  # noqa: E402

import tasks  # noqa: E402

TIMEOUT = 60


@pytest.fixture
def start():
    workers = []

    def one():
        command = [sys.executable, "-B", "-m", "celery", "-A", "tasks", "worker", "--concurrency", "2", "--loglevel", "WARNING"]
        workers.append(subprocess.Popen(command, start_new_session=True))
        return workers[-1]

    yield one
    for w in workers:
        try:
            os.killpg(w.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        w.wait()


def test_tasks(start):
    start()
    assert tasks.add.delay(2, 3).get(timeout=TIMEOUT) == 5
    assert group(tasks.add.s(i, i) for i in range(100))().get(timeout=TIMEOUT) == [2 * i for i in range(100)]
    assert chain(tasks.add.s(1, 2), tasks.add.s(10)).apply_async().get(timeout=TIMEOUT) == 13
    assert tasks.flaky.delay(2).get(timeout=TIMEOUT) == 2
    assert tasks.add.delay("a" * 100_000, "b").get(timeout=TIMEOUT) == "a" * 100_000 + "b"
    sent = time.monotonic()
    assert tasks.add.apply_async((1, 1), countdown=2).get(timeout=TIMEOUT) == 2
    assert time.monotonic() - sent >= 2


def test_task_of_a_killed_worker(start, tmp_path):
    mark = str(tmp_path / "mark")
    first = start()
    result = tasks.hang.delay(mark)
    end = time.monotonic() + TIMEOUT
    while not os.path.exists(mark):
        assert time.monotonic() < end
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    start()
    assert result.get(timeout=TIMEOUT) == "called again"
