"""Tasks whose broker is the server's queues. Results are files in the folder RESULTS."""
import os

from celery import Celery

app = Celery("tasks", broker="sqs://test:test@" + os.environ["AWS_ENDPOINT_URL"].removeprefix("http://"), backend="file://" + os.environ["RESULTS"])
app.conf.update(
    broker_transport_options={"region": "us-east-1", "is_secure": False, "visibility_timeout": 5, "wait_time_seconds": 5, "polling_interval": 0.1},
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
)


@app.task
def add(a, b):
    return a + b


@app.task(bind=True, max_retries=3)
def flaky(self, failures):
    if self.request.retries < failures:
        raise self.retry(countdown=0.2)
    return self.request.retries


@app.task
def hang(mark):
    """Hangs where it is called first, so that its worker can be killed meanwhile."""
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return "called again"
    os.read(os.pipe()[0], 1)
