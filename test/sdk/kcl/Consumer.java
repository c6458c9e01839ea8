import com.amazonaws.auth.AWSStaticCredentialsProvider;
import com.amazonaws.auth.BasicAWSCredentials;
import com.amazonaws.client.builder.AwsClientBuilder.EndpointConfiguration;
import com.amazonaws.services.dynamodbv2.AmazonDynamoDBClientBuilder;
import com.amazonaws.services.dynamodbv2.AmazonDynamoDBStreamsClientBuilder;
import com.amazonaws.services.dynamodbv2.streamsadapter.AmazonDynamoDBStreamsAdapterClient;
import com.amazonaws.services.dynamodbv2.streamsadapter.StreamsWorkerFactory;
import com.amazonaws.services.dynamodbv2.streamsadapter.model.RecordAdapter;
import com.amazonaws.services.kinesis.clientlibrary.interfaces.v2.IRecordProcessor;
import com.amazonaws.services.kinesis.clientlibrary.lib.worker.InitialPositionInStream;
import com.amazonaws.services.kinesis.clientlibrary.lib.worker.KinesisClientLibConfiguration;
import com.amazonaws.services.kinesis.clientlibrary.lib.worker.ShutdownReason;
import com.amazonaws.services.kinesis.clientlibrary.lib.worker.Worker;
import com.amazonaws.services.kinesis.clientlibrary.types.InitializationInput;
import com.amazonaws.services.kinesis.clientlibrary.types.ProcessRecordsInput;
import com.amazonaws.services.kinesis.clientlibrary.types.ShutdownInput;
import com.amazonaws.services.kinesis.metrics.impl.NullMetricsFactory;
import java.util.concurrent.Executors;

/**
 * A consumer as its authors' guide shows one: a worker of the Kinesis Client Library, with its leases in a DynamoDB
 * table, over the DynamoDB Streams adapter. It prints a line for each record, "key n sequence-number", before it
 * checkpoints, and ends well when its standard input does.
 *
 * Arguments: endpoint, stream ARN, name of the application (and of its lease table), name of the worker. AWS_SECRET_ACCESS_KEY is that of the key test.
 */
public class Consumer implements IRecordProcessor {
    private String shard;

    public static void main(String[] args) throws Exception {
        EndpointConfiguration endpoint = new EndpointConfiguration(args[0], "us-east-1");
        AWSStaticCredentialsProvider credentials = new AWSStaticCredentialsProvider(new BasicAWSCredentials("test", System.getenv("AWS_SECRET_ACCESS_KEY")));
        var streams = AmazonDynamoDBStreamsClientBuilder.standard().withEndpointConfiguration(endpoint).withCredentials(credentials).build();
        var leases = AmazonDynamoDBClientBuilder.standard().withEndpointConfiguration(endpoint).withCredentials(credentials).build();
        KinesisClientLibConfiguration config = new KinesisClientLibConfiguration(args[2], args[1], credentials, args[3])
                .withInitialPositionInStream(InitialPositionInStream.TRIM_HORIZON)
                .withMaxRecords(1000)
                .withIdleTimeBetweenReadsInMillis(20)
                .withIdleMillisBetweenCalls(20)
                .withParentShardPollIntervalMillis(100)
                .withShardSyncIntervalMillis(500)
                .withTaskBackoffTimeMillis(100)
                .withFailoverTimeMillis(3000)
                .withCleanupLeasesUponShardCompletion(true)
                .withMetricsLevel("NONE");
        Worker worker = StreamsWorkerFactory.createDynamoDbStreamsWorker(
                Consumer::new, config, new AmazonDynamoDBStreamsAdapterClient(streams), leases, new NullMetricsFactory(), Executors.newCachedThreadPool());
        Thread running = new Thread(worker);
        running.start();
        while (System.in.read() >= 0) {
            // Only the end means something.
        }
        worker.startGracefulShutdown().get();
        running.join();
        System.exit(0); // the clients' threads live on
    }

    @Override
    public void initialize(InitializationInput input) {
        shard = input.getShardId();
    }

    @Override
    public void processRecords(ProcessRecordsInput input) {
        StringBuilder lines = new StringBuilder();
        for (var record : input.getRecords()) {
            var change = ((RecordAdapter) record).getInternalObject().getDynamodb();
            lines.append(change.getNewImage().get("pk").getS()).append(' ').append(change.getNewImage().get("n").getN())
                    .append(' ').append(change.getSequenceNumber()).append('\n');
        }
        synchronized (System.out) {
            System.out.print(lines);
            System.out.flush();
        }
        try {
            input.getCheckpointer().checkpoint();
        } catch (Exception e) {
            throw new IllegalStateException("checkpoint of " + shard, e);
        }
    }

    @Override
    public void shutdown(ShutdownInput input) {
        if (input.getShutdownReason() != ShutdownReason.TERMINATE) {
            return;
        }
        try {
            input.getCheckpointer().checkpoint(); // the shard has ended: its children may be read
        } catch (Exception e) {
            throw new IllegalStateException("last checkpoint of " + shard, e);
        }
    }
}
