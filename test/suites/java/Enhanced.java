import java.net.URI;
import java.time.Instant;
import java.util.*;
import java.util.stream.*;
import software.amazon.awssdk.auth.credentials.*;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.enhanced.dynamodb.*;
import software.amazon.awssdk.enhanced.dynamodb.extensions.annotations.*;
import software.amazon.awssdk.enhanced.dynamodb.mapper.annotations.*;
import software.amazon.awssdk.enhanced.dynamodb.model.*;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.ConditionalCheckFailedException;
import software.amazon.awssdk.services.dynamodb.model.ReturnConsumedCapacity;
import software.amazon.awssdk.services.dynamodb.model.ReturnValue;
import software.amazon.awssdk.services.dynamodb.model.ReturnValuesOnConditionCheckFailure;
import software.amazon.awssdk.services.dynamodb.model.TransactionCanceledException;

// The enhanced client of the SDK 2 for Java.
class Enhanced {
    @DynamoDbBean
    public static class Person {
        private String family, city, name;
        private Integer age, hits;
        private Set<String> tags;
        private List<String> phones;
        private Map<String, String> notes;
        private Instant seen;
        private SdkBytes raw;
        private Long version;

        @DynamoDbPartitionKey public String getFamily() { return family; }
        public void setFamily(String v) { family = v; }
        @DynamoDbSortKey @DynamoDbSecondarySortKey(indexNames = {"byCity"}) public String getName() { return name; }
        public void setName(String v) { name = v; }
        @DynamoDbSecondaryPartitionKey(indexNames = {"byCity"}) public String getCity() { return city; }
        public void setCity(String v) { city = v; }
        @DynamoDbSecondarySortKey(indexNames = {"byAge"}) public Integer getAge() { return age; }
        public void setAge(Integer v) { age = v; }
        @DynamoDbAtomicCounter public Integer getHits() { return hits; }
        public void setHits(Integer v) { hits = v; }
        public Set<String> getTags() { return tags; }
        public void setTags(Set<String> v) { tags = v; }
        public List<String> getPhones() { return phones; }
        public void setPhones(List<String> v) { phones = v; }
        public Map<String, String> getNotes() { return notes; }
        public void setNotes(Map<String, String> v) { notes = v; }
        @DynamoDbAttribute("s") public Instant getSeen() { return seen; }
        public void setSeen(Instant v) { seen = v; }
        public SdkBytes getRaw() { return raw; }
        public void setRaw(SdkBytes v) { raw = v; }
        @DynamoDbVersionAttribute public Long getVersion() { return version; }
        public void setVersion(Long v) { version = v; }

        static Person of(String family, String name) {
            Person p = new Person();
            p.family = family;
            p.name = name;
            return p;
        }
    }

    static Key key(String family, String name) { return Key.builder().partitionValue(family).sortValue(name).build(); }
    static AttributeValue n(Number v) { return AttributeValue.fromN(v.toString()); }

    static void run() throws Exception {
        DynamoDbClient low = DynamoDbClient.builder().endpointOverride(URI.create(Mapper.ENDPOINT)).region(Region.US_EAST_1)
            .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create(System.getenv("AWS_ACCESS_KEY_ID"), System.getenv("AWS_SECRET_ACCESS_KEY")))).build();
        DynamoDbEnhancedClient client = DynamoDbEnhancedClient.builder().dynamoDbClient(low)
            .extensions(software.amazon.awssdk.enhanced.dynamodb.extensions.VersionedRecordExtension.builder().build(),
                software.amazon.awssdk.enhanced.dynamodb.extensions.AtomicCounterExtension.builder().build()).build();
        // Batches take no conditions, so not the extension of versions either.
        DynamoDbEnhancedClient bare = DynamoDbEnhancedClient.builder().dynamoDbClient(low).extensions(List.of()).build();
        DynamoDbTable<Person> unversioned = bare.table("java-people", TableSchema.fromBean(Person.class));
        DynamoDbTable<Person> table = client.table("java-people", TableSchema.fromBean(Person.class));

        Mapper.scenario("enhanced: a table", () -> {
            table.createTable();
            low.waiter().waitUntilTableExists(b -> b.tableName("java-people"));
            var d = table.describeTable().table();
            Mapper.equal(d.globalSecondaryIndexes().get(0).indexName(), "byCity");
            Mapper.equal(d.localSecondaryIndexes().get(0).indexName(), "byAge");
        });
        Mapper.scenario("enhanced: items", () -> {
            Person p = Person.of("items", "ann");
            p.setAge(30); p.setCity("x"); p.setTags(Set.of("a")); p.setPhones(List.of("1", "")); p.setNotes(Map.of("k", "v"));
            p.setSeen(Instant.ofEpochSecond(1700000000L, 5)); p.setRaw(SdkBytes.fromByteArray(new byte[] {0, -1}));
            table.putItem(p);
            Person got = table.getItem(r -> r.key(key("items", "ann")).consistentRead(true));
            Mapper.equal(List.of(got.getAge(), got.getTags(), got.getPhones(), got.getNotes(), got.getSeen(), got.getRaw(), got.getVersion(), got.getHits()),
                List.of(30, Set.of("a"), List.of("1", ""), Map.of("k", "v"), Instant.ofEpochSecond(1700000000L, 5), p.getRaw(), 1L, 0));
            got.setAge(31);
            Person updated = table.updateItem(got);
            Mapper.equal(List.of(updated.getAge(), updated.getVersion(), updated.getHits()), List.of(31, 2L, 1));
            Mapper.fails(ConditionalCheckFailedException.class, () -> table.putItem(Person.of("items", "ann")));
            Person sparse = Person.of("items", "ann");
            sparse.setVersion(2L); sparse.setCity("y");
            updated = table.updateItem(UpdateItemEnhancedRequest.builder(Person.class).item(sparse).ignoreNullsMode(IgnoreNullsMode.SCALAR_ONLY).build());
            Mapper.equal(List.of(updated.getAge(), updated.getCity(), updated.getHits()), List.of(31, "y", 2));
            var failed = Mapper.fails(ConditionalCheckFailedException.class, () -> table.deleteItem(r -> r.key(key("items", "ann"))
                .conditionExpression(Expression.builder().expression("age = :a").putExpressionValue(":a", n(99)).build())
                .returnValuesOnConditionCheckFailure(ReturnValuesOnConditionCheckFailure.ALL_OLD)));
            Mapper.equal(failed.item().get("age"), n(31));
            var response = table.deleteItemWithResponse(DeleteItemEnhancedRequest.builder().key(key("items", "ann")).returnConsumedCapacity(ReturnConsumedCapacity.TOTAL).build());
            Mapper.equal(response.attributes().getAge(), 31);
            Mapper.equal(response.consumedCapacity().capacityUnits(), 3.0);
            Mapper.equal(table.getItem(key("items", "ann")), null);
        });
        Mapper.scenario("enhanced: queries, scans, batches", () -> {
            for (int i = 0; i < 60; i += 20) {
                var batch = WriteBatch.builder(Person.class).mappedTableResource(unversioned);
                for (int j = i; j < i + 20; j++) {
                    Person p = Person.of("many", String.format("%02d", j));
                    p.setAge((j * 7) % 60);
                    if (j % 3 == 0) p.setCity("c");
                    batch.addPutItem(p);
                }
                Mapper.equal(bare.batchWriteItem(b -> b.addWriteBatch(batch.build())).unprocessedPutItemsForTable(unversioned).size(), 0);
            }
            var family = QueryConditional.keyEqualTo(Key.builder().partitionValue("many").build());
            Mapper.equal(table.query(r -> r.queryConditional(family).limit(7)).items().stream().count(), 60L);
            Mapper.equal(table.query(QueryConditional.sortBeginsWith(key("many", "1"))).items().stream().count(), 10L);
            Mapper.equal(table.query(QueryConditional.sortBetween(key("many", "03"), key("many", "05"))).items().stream().map(Person::getName).collect(Collectors.toList()), List.of("03", "04", "05"));
            Mapper.equal(table.query(r -> r.queryConditional(QueryConditional.sortGreaterThan(key("many", "57"))).scanIndexForward(false)).items().stream().map(Person::getName).collect(Collectors.toList()), List.of("59", "58"));
            Mapper.equal(table.query(r -> r.queryConditional(family).filterExpression(Expression.builder().expression("age < :a").putExpressionValue(":a", n(5)).build()).attributesToProject("name")).items().stream().count(), 5L);
            var byAge = table.index("byAge").query(QueryConditional.sortLessThan(Key.builder().partitionValue("many").sortValue(3).build()));
            Mapper.equal(byAge.stream().flatMap(p -> p.items().stream()).map(Person::getAge).collect(Collectors.toList()), List.of(0, 1, 2));
            Mapper.equal(table.index("byCity").query(QueryConditional.keyEqualTo(Key.builder().partitionValue("c").build())).stream().mapToLong(p -> p.items().size()).sum(), 20L);
            Mapper.equal(table.scan(r -> r.limit(9)).items().stream().count(), 60L);
            Mapper.equal(table.index("byCity").scan().stream().mapToLong(p -> p.items().size()).sum(), 20L);
            var reads = ReadBatch.builder(Person.class).mappedTableResource(table);
            for (int i = 0; i < 100; i++) reads.addGetItem(key("many", String.format("%02d", i)));
            Mapper.equal(client.batchGetItem(b -> b.addReadBatch(reads.build())).resultsForTable(table).stream().count(), 60L);
        });
        Mapper.scenario("enhanced: transactions", () -> {
            table.putItem(Person.of("tx", "a"));
            Expression absent = Expression.builder().expression("attribute_not_exists(#f)").putExpressionName("#f", "family").build();
            client.transactWriteItems(TransactWriteItemsEnhancedRequest.builder()
                .addPutItem(table, Person.of("tx", "b"))
                .addUpdateItem(table, table.getItem(key("tx", "a")))
                .addConditionCheck(table, ConditionCheck.builder().key(key("tx", "c")).conditionExpression(absent).build()).build());
            var got = client.transactGetItems(b -> b.addGetItem(table, key("tx", "a")).addGetItem(table, key("tx", "b")).addGetItem(table, key("tx", "c")));
            Mapper.equal(got.stream().map(d -> d.getItem(table)).map(p -> p == null ? null : p.getVersion()).collect(Collectors.toList()), Arrays.asList(2L, 1L, null));
            var e = Mapper.fails(TransactionCanceledException.class, () -> client.transactWriteItems(TransactWriteItemsEnhancedRequest.builder()
                .addDeleteItem(table, key("tx", "a"))
                .addConditionCheck(table, ConditionCheck.builder().key(key("tx", "b")).conditionExpression(absent).build()).build()));
            Mapper.equal(e.cancellationReasons().stream().map(r -> r.code()).collect(Collectors.toList()), List.of("None", "ConditionalCheckFailed"));
        });
        Mapper.scenario("enhanced: the table goes", () -> {
            table.deleteTable();
            low.waiter().waitUntilTableNotExists(b -> b.tableName("java-people"));
        });
    }
}
