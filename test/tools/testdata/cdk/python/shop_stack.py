from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk.aws_lambda_event_sources import DynamoEventSource
from constructs import Construct


class DataStack(Stack):
    def __init__(self, scope: Construct, construct_id: str, **kwargs) -> None:
        super().__init__(scope, construct_id, **kwargs)
        self.orders = dynamodb.Table(
            self, "Orders",
            partition_key=dynamodb.Attribute(name="id", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
            removal_policy=RemovalPolicy.DESTROY,
        )


class WorkStack(Stack):
    def __init__(self, scope: Construct, construct_id: str, *, orders: dynamodb.Table, greeting: str, **kwargs) -> None:
        super().__init__(scope, construct_id, **kwargs)
        note = lambda_.Function(
            self, "Note",
            code=lambda_.Code.from_asset("note"),
            handler="app.handler",
            runtime=lambda_.Runtime.PYTHON_3_13,
            timeout=Duration.seconds(60),
            environment={"GREETING": greeting},
        )
        note.add_event_source(DynamoEventSource(orders, starting_position=lambda_.StartingPosition.TRIM_HORIZON))
