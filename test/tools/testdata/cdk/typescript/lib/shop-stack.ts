import * as cdk from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { DynamoEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import { NodejsFunction } from 'aws-cdk-lib/aws-lambda-nodejs';
import { Construct } from 'constructs';

export class DataStack extends cdk.Stack {
  readonly orders: dynamodb.TableV2;

  constructor(scope: Construct, id: string, props?: cdk.StackProps) {
    super(scope, id, props);
    this.orders = new dynamodb.TableV2(this, 'Orders', {
      partitionKey: { name: 'id', type: dynamodb.AttributeType.STRING },
      dynamoStream: dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
      removalPolicy: cdk.RemovalPolicy.DESTROY,
    });
  }
}

interface WorkProps extends cdk.StackProps {
  orders: dynamodb.TableV2;
  greeting: string;
}

export class WorkStack extends cdk.Stack {
  constructor(scope: Construct, id: string, props: WorkProps) {
    super(scope, id, props);
    const note = new NodejsFunction(this, 'Note', {
      entry: 'note/note.ts',
      runtime: lambda.Runtime.NODEJS_20_X,
      timeout: cdk.Duration.seconds(60),
      environment: { GREETING: props.greeting },
    });
    note.addEventSource(new DynamoEventSource(props.orders, { startingPosition: lambda.StartingPosition.TRIM_HORIZON }));
    new cdk.CfnOutput(this, 'NoteName', { value: note.functionName });
  }
}
