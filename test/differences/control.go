package differences

// The control plane, and the stream API.

func (g *gen) describe() *Request {
	t := g.table()
	r := &Request{Op: "DescribeTable", Body: object{"TableName": g.tableName(t)}}
	switch g.IntN(8) {
	case 0:
		r.Op, r.Body = "ListTables", object{}
		if g.chance(50) {
			r.Body["Limit"] = pick(g, 1, 2, 3, 100, 0, 101, -1)
		}
		if g.chance(50) {
			r.Body["ExclusiveStartTableName"] = pick(g, t.name, "t", "zzz", "ab", "!", "")
		}
	case 1:
		r.Op, r.Body = "DescribeLimits", object{}
	}
	return r
}

// updateTable changes what a table may change at any time.
func (g *gen) updateTable() *Request {
	t := g.table()
	body := object{"TableName": g.tableName(t)}
	for range 1 + g.IntN(5)/4 {
		switch g.IntN(6) {
		case 0:
			body["BillingMode"] = "PAY_PER_REQUEST"
		case 1:
			body["BillingMode"] = "PROVISIONED"
			if g.chance(80) {
				body["ProvisionedThroughput"] = object{"ReadCapacityUnits": 1 + g.IntN(9), "WriteCapacityUnits": 1 + g.IntN(9)}
			}
		case 2:
			body["ProvisionedThroughput"] = object{"ReadCapacityUnits": 1 + g.IntN(9), "WriteCapacityUnits": 1 + g.IntN(9)}
		case 3:
			body["DeletionProtectionEnabled"] = false
		case 4:
			if g.features.has(Streams) {
				spec := object{"StreamEnabled": g.chance(50)}
				if spec["StreamEnabled"] == true || g.chance(5) {
					spec["StreamViewType"] = pick(g, "NEW_AND_OLD_IMAGES", "KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE")
				}
				body["StreamSpecification"] = spec
			}
		case 5:
			body["AttributeDefinitions"] = list{object{"AttributeName": "pk", "AttributeType": t.types["pk"]}}
		}
	}
	return &Request{Op: "UpdateTable", Body: body}
}

// indexWalk adds an index to a table that has items, reads it and removes it. Its key
// is the table's, whose values are right for it.
func (g *gen) indexWalk() []*Request {
	t := g.table()
	describe := func() *Request {
		return &Request{Op: "DescribeTable", Body: object{"TableName": t.name}, Whole: settled}
	}
	update := func(updates object) *Request {
		return &Request{Op: "UpdateTable", Body: object{"TableName": t.name, "GlobalSecondaryIndexUpdates": list{updates},
			"AttributeDefinitions": list{object{"AttributeName": "pk", "AttributeType": t.types["pk"]}}}}
	}
	late := index{name: "late", hash: "pk", project: pick(g, "ALL", "KEYS_ONLY", "INCLUDE")}
	return []*Request{
		{Op: "UpdateTable", Body: object{"TableName": t.name, "BillingMode": "PAY_PER_REQUEST"}},
		update(object{"Create": late.create()}), describe(),
		{Op: "Scan", Body: object{"TableName": t.name, "IndexName": late.name}, Whole: allPages},
		{Op: "PutItem", Body: object{"TableName": t.name, "Item": g.item(t)}},
		{Op: "DeleteItem", Body: object{"TableName": t.name, "Key": g.key(t)}},
		{Op: "Query", Whole: allPages, Body: object{"TableName": t.name, "IndexName": late.name, "KeyConditionExpression": "pk = :p",
			"ExpressionAttributeValues": object{":p": g.keyValue(t.types["pk"])}}},
		update(object{"Delete": object{"IndexName": late.name}}), describe(),
	}
}

// recreate drops one table and makes another in its place; both requests are
// returned.
func (g *gen) recreate() []*Request {
	i := g.IntN(len(g.tables))
	old := g.tables[i]
	t := g.newShape()
	g.tables[i] = t
	return []*Request{
		{Op: "DeleteTable", Body: object{"TableName": old.name}},
		{Op: "DescribeTable", Body: object{"TableName": old.name}},
		{Op: "CreateTable", Body: t.create(g)},
		{Op: "DescribeTable", Body: object{"TableName": t.name}},
	}
}

func (g *gen) timeToLive() *Request {
	t := g.table()
	if g.chance(40) {
		return &Request{Op: "DescribeTimeToLive", Body: object{"TableName": g.tableName(t)}}
	}
	return &Request{Op: "UpdateTimeToLive", Body: object{
		"TableName":               g.tableName(t),
		"TimeToLiveSpecification": object{"Enabled": g.chance(60), "AttributeName": pick(g, "expires", "expires", "n", "")},
	}}
}

func (g *gen) tag() *Request {
	t := g.table()
	arn := ref("arn:" + t.name)
	switch g.IntN(3) {
	case 0:
		return &Request{Op: "ListTagsOfResource", Body: object{"ResourceArn": arn}}
	case 1:
		return &Request{Op: "UntagResource", Body: object{"ResourceArn": arn, "TagKeys": g.some([]string{"k1", "k2", "k3", "K1"}, func(t string) any { return t })}}
	}
	tags := g.some([]string{"k1", "k2", "k3", "K1"}, func(t string) any { return object{"Key": t, "Value": g.text()} })
	if g.chance(5) {
		tags = pick(g, list{}, append(tags, tags[0]), list{object{"Key": "aws:x", "Value": "v"}}, list{object{"Key": "", "Value": "v"}}, list{object{"Key": "a|b", "Value": "v"}})
	}
	return &Request{Op: "TagResource", Body: object{"ResourceArn": arn, "Tags": tags}}
}

// streams makes a walk through the stream of a table: its records are compared.
func (g *gen) streamWalk() []*Request {
	t := g.table()
	for _, other := range g.tables {
		if other.stream && g.chance(70) {
			t = other
		}
	}
	stream, shard := ref("stream:"+t.name), ref("shard:"+t.name)
	iterator := object{"StreamArn": stream, "ShardId": shard, "ShardIteratorType": pick(g, "TRIM_HORIZON", "TRIM_HORIZON", "LATEST")}
	records := object{"ShardIterator": ref("iterator:" + t.name)}
	if g.chance(30) {
		records["Limit"] = 1 + g.IntN(5)
	}
	return []*Request{
		{Op: "ListStreams", Streams: true, Body: object{"TableName": t.name}},
		{Op: "DescribeStream", Streams: true, Body: object{"StreamArn": stream}},
		{Op: "GetShardIterator", Streams: true, Body: iterator},
		{Op: "GetRecords", Streams: true, Body: records, Whole: allPages},
	}
}
