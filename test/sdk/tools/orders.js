// A trigger's function with Powertools (batch, idempotency, parser, tracer, metrics, logger) on Middy, and X-Ray's SDK below
// the tracer.
const { BatchProcessor, EventType, processPartialResponse } = require('@aws-lambda-powertools/batch');
const { IdempotencyConfig, makeIdempotent } = require('@aws-lambda-powertools/idempotency');
const { DynamoDBPersistenceLayer } = require('@aws-lambda-powertools/idempotency/dynamodb');
const { Logger } = require('@aws-lambda-powertools/logger');
const { injectLambdaContext } = require('@aws-lambda-powertools/logger/middleware');
const { Metrics, MetricUnit } = require('@aws-lambda-powertools/metrics');
const { logMetrics } = require('@aws-lambda-powertools/metrics/middleware');
const { DynamoDBStreamRecord } = require('@aws-lambda-powertools/parser/schemas/dynamodb');
const { Tracer } = require('@aws-lambda-powertools/tracer');
const { captureLambdaHandler } = require('@aws-lambda-powertools/tracer/middleware');
const middy = require('@middy/core').default ?? require('@middy/core');
const { z } = require('zod');

const tracer = new Tracer({ serviceName: 'orders' });
const logger = new Logger({ serviceName: 'orders' });
const metrics = new Metrics({ namespace: 'Tools', serviceName: 'orders' });
const processor = new BatchProcessor(EventType.DynamoDBStreams);
const config = new IdempotencyConfig({ eventKeyJmesPath: 'id' });
const order = z.object({ pk: z.string(), amount: z.coerce.number() });
const seen = new Set();

const charge = makeIdempotent(async (o) => {
  logger.info('charged', { order: o.id, amount: o.amount });
  metrics.addMetric('Charged', MetricUnit.Count, 1);
  return { charged: o.id };
}, { persistenceStore: new DynamoDBPersistenceLayer({ tableName: process.env.IDEMPOTENCY }), config });

async function handle(record) {
  const image = DynamoDBStreamRecord.parse(record).dynamodb.NewImage;
  const o = order.parse(image);
  if (o.pk === 'late' && !seen.has(o.pk)) {
    seen.add(o.pk);
    throw new Error('not yet');
  }
  await charge({ id: o.pk.replace(/-again$/, ''), amount: o.amount });
}

exports.handler = middy((event, context) => {
  config.registerLambdaContext(context);
  return processPartialResponse(event, handle, processor, { context });
})
  .use(captureLambdaHandler(tracer))
  .use(logMetrics(metrics))
  .use(injectLambdaContext(logger));
