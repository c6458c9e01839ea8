"""A trigger's function with Powertools: batch, idempotency, parser, tracer, metrics, logger, and X-Ray's SDK below the tracer."""
import os

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent_function
from aws_lambda_powertools.utilities.parser import BaseModel, parse
from aws_lambda_powertools.utilities.parser.models import DynamoDBStreamRecordModel

tracer = Tracer(service="orders")
logger = Logger(service="orders")
metrics = Metrics(namespace="Tools", service="orders")
processor = BatchProcessor(event_type=EventType.DynamoDBStreams)
config = IdempotencyConfig(event_key_jmespath="id")
seen = set()


class Order(BaseModel):
    pk: str
    amount: int


@idempotent_function(data_keyword_argument="order", config=config, persistence_store=DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY"]))
def charge(order):
    logger.info("charged", extra={"order": order["id"], "amount": order["amount"]})
    metrics.add_metric(name="Charged", unit=MetricUnit.Count, value=1)
    return {"charged": order["id"]}


@tracer.capture_method
def handle(record):
    raw = parse(event=record.raw_event, model=DynamoDBStreamRecordModel)
    image = raw.dynamodb.NewImage
    order = parse(event={"pk": image["pk"], "amount": int(image["amount"])}, model=Order)
    if order.pk == "late" and order.pk not in seen:
        seen.add(order.pk)
        raise ValueError("not yet")
    charge(order={"id": order.pk.removesuffix("-again"), "amount": order.amount})


@metrics.log_metrics
@tracer.capture_lambda_handler
@logger.inject_lambda_context
def handler(event, context):
    return process_partial_response(event=event, record_handler=handle, processor=processor, context=context)
