package differences

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Answer is what an endpoint said, made comparable: sets in order, and what every
// server makes up by itself (times, ids, accounts) replaced.
type Answer struct {
	Status  int
	Type    string // of an error, with its namespace
	Member  string // "message" or "Message", "" without either
	Message string
	Body    any // of a success, and an error's further members
}

// failed reports whether the answer is an error.
func (a *Answer) failed() bool { return a.Status != 200 }

// code is the error's type without its namespace.
func (a *Answer) code() string { return a.Type[strings.LastIndexByte(a.Type, '#')+1:] }

func (a *Answer) equal(b *Answer) bool {
	return a.Status == b.Status && a.Type == b.Type && a.Member == b.Member && a.Message == b.Message && bytes.Equal(encode(a.Body), encode(b.Body))
}

func (a *Answer) String() string {
	if a.failed() {
		text := strconv.Itoa(a.Status) + " " + a.Type + " " + a.Member + ": " + a.Message
		if a.Body != nil {
			text += " " + string(encode(a.Body))
		}
		return text
	}
	return strconv.Itoa(a.Status) + " " + string(encode(a.Body))
}

// newAnswer reads an answer as it came. raw is its tree before anything was masked,
// nil when the body is no JSON.
func newAnswer(r *Request, status int, body []byte) (answer *Answer, raw object) {
	answer = &Answer{Status: status}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&raw); err != nil {
		if len(body) > 0 {
			answer.Body = string(body)
		}
		return answer, nil
	}
	tree := canonical(copyTree(raw)).(object)
	if status != 200 {
		answer.Type, _ = tree["__type"].(string)
		for _, member := range []string{"message", "Message"} {
			if text, ok := tree[member].(string); ok {
				answer.Member, answer.Message = member, canonicalText(text)
				delete(tree, member)
			}
		}
		delete(tree, "__type")
		if len(tree) > 0 {
			answer.Body = tree
		}
		return answer, raw
	}
	order(r, tree)
	answer.Body = tree
	return answer, raw
}

// masked are members that each server fills in by itself.
var masked = map[string]bool{
	"CreationDateTime": true, "TableId": true, "LatestStreamLabel": true, "StreamLabel": true, "CreationRequestDateTime": true,
	"LastUpdateToPayPerRequestDateTime": true, "LastIncreaseDateTime": true, "LastDecreaseDateTime": true,
	"ShardId": true, "StartingSequenceNumber": true, "EndingSequenceNumber": true, "SequenceNumber": true, "eventID": true, "ShardIterator": true, "NextShardIterator": true,
	"ApproximateCreationDateTime": true, "NextToken": true, "awsRegion": true, "KMSMasterKeyArn": true,
}

var (
	arnOf   = regexp.MustCompile(`arn:aws:dynamodb:[a-z0-9-]*:[0-9]*:`)
	labelOf = regexp.MustCompile(`/stream/[0-9T:.-]+`)
)

func maskARN(text string) string {
	if !strings.Contains(text, "arn:aws:") {
		return text
	}
	return labelOf.ReplaceAllString(arnOf.ReplaceAllString(text, "arn:aws:dynamodb:R:A:"), "/stream/L")
}

// canonical puts sets in order, masks, and writes numbers of JSON one way.
func canonical(tree any) any {
	switch v := tree.(type) {
	case object:
		if len(v) == 1 {
			for name, member := range v {
				if elements, ok := member.(list); ok && (name == "SS" || name == "NS" || name == "BS") {
					return object{name: sorted(elements)}
				}
			}
		}
		for name, member := range v {
			if masked[name] && member != nil {
				if _, text := member.(object); !text {
					v[name] = "*"
					continue
				}
			}
			v[name] = canonical(member)
		}
		return v
	case list:
		for i, member := range v {
			v[i] = canonical(member)
		}
		return v
	case json.Number:
		if f, err := v.Float64(); err == nil {
			return f
		}
		return string(v)
	case string:
		return maskARN(v)
	}
	return tree
}

func sorted(l list) list {
	out := slices.Clone(l)
	slices.SortFunc(out, func(a, b any) int { return bytes.Compare(encode(a), encode(b)) })
	return out
}

// order sorts what an operation returns in no order.
func order(r *Request, tree object) {
	if items, ok := tree["Items"].(list); ok && r.anyOrder() {
		tree["Items"] = sorted(items)
	}
	if r.Op == "Scan" && r.Whole == onePage && tree["LastEvaluatedKey"] != nil {
		// A page of a scan that was mangled and means something yet: where it ends is
		// the server's own.
		tree["Items"], tree["LastEvaluatedKey"] = "*", "*"
	}
	if r.Op == "Scan" && r.Whole == onePage && r.Body["Segment"] != nil {
		// So is what is in a segment.
		tree["Items"], tree["Count"], tree["ScannedCount"] = "*", "*", "*"
	}
	switch r.Op {
	case "GetRecords":
		// Of a batch, each server has an order of its own; that of one item's is one.
		if records, ok := tree["Records"].(list); ok {
			slices.SortStableFunc(records, func(a, b any) int { return strings.Compare(keysOfRecord(a), keysOfRecord(b)) })
		}
	case "BatchGetItem":
		if responses, ok := tree["Responses"].(object); ok {
			for name, items := range responses {
				if items, ok := items.(list); ok {
					responses[name] = sorted(items)
				}
			}
		}
	case "ListTagsOfResource":
		if tags, ok := tree["Tags"].(list); ok {
			tree["Tags"] = sorted(tags)
		}
	}
	if capacity, ok := tree["ConsumedCapacity"].(list); ok {
		slices.SortFunc(capacity, func(a, b any) int { return strings.Compare(tableOf(a), tableOf(b)) })
	}
	for _, member := range []string{"Table", "TableDescription"} {
		if table, ok := tree[member].(object); ok {
			for _, part := range []string{"GlobalSecondaryIndexes", "LocalSecondaryIndexes"} {
				if l, ok := table[part].(list); ok {
					slices.SortFunc(l, func(a, b any) int { return strings.Compare(indexOf(a), indexOf(b)) })
				}
			}
		}
	}
}

func tableOf(capacity any) string {
	o, _ := capacity.(object)
	name, _ := o["TableName"].(string)
	return name
}

func indexOf(description any) string {
	o, _ := description.(object)
	name, _ := o["IndexName"].(string)
	return name
}

func keysOfRecord(record any) string {
	o, _ := record.(object)
	change, _ := o["dynamodb"].(object)
	return string(encode(plainNumbers(copyTree(change["Keys"]))))
}

var (
	aggregated = regexp.MustCompile(`^([0-9]+ validation errors? detected: )(.*)$`)
	projected  = regexp.MustCompile(`(does not project|filter attributes:) ?\[[^\[\]]*\]$`)
	unordered  = regexp.MustCompile(`\{[^{}]*\}|\[[A-Z_]+(?:, [A-Z_]+)+\]`)
)

// canonicalText puts what AWS lists in the order of a hash table in order: the
// violations of an aggregated error, keys in braces, the values of an enum.
func canonicalText(text string) string {
	text = projected.ReplaceAllStringFunc(maskARN(text), func(m string) string {
		parts := strings.Split(m[strings.IndexByte(m, '[')+1:len(m)-1], ", ")
		slices.Sort(parts)
		return m[:strings.IndexByte(m, '[')+1] + strings.Join(parts, ", ") + "]"
	})
	if m := aggregated.FindStringSubmatch(text); m != nil && strings.Contains(m[2], "; Value") {
		parts := strings.Split(m[2], "; ")
		slices.Sort(parts)
		text = m[1] + strings.Join(parts, "; ")
	}
	return unordered.ReplaceAllStringFunc(text, func(braces string) string {
		parts := strings.Split(braces[1:len(braces)-1], ",")
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		slices.Sort(parts)
		return braces[:1] + strings.Join(parts, ", ") + braces[len(braces)-1:]
	})
}

// remember keeps what later requests refer to.
func remember(memory object, r *Request, raw object) {
	keep := func(table object) {
		name, _ := table["TableName"].(string)
		if arn, ok := table["TableArn"].(string); ok {
			memory["arn:"+name] = arn
		}
		if arn, ok := table["LatestStreamArn"].(string); ok {
			memory["stream:"+name] = arn
		}
	}
	for _, member := range []string{"Table", "TableDescription"} {
		if table, ok := raw[member].(object); ok {
			keep(table)
		}
	}
	if description, ok := raw["StreamDescription"].(object); ok {
		if shards, ok := description["Shards"].(list); ok && len(shards) > 0 {
			if shard, ok := shards[len(shards)-1].(object); ok {
				name, _ := description["TableName"].(string)
				memory["shard:"+name] = shard["ShardId"]
			}
		}
	}
	for _, member := range []string{"ShardIterator", "NextShardIterator"} {
		if iterator, ok := raw[member].(string); ok {
			memory["iterator:"+r.table()] = iterator
		}
	}
	if token, ok := raw["NextToken"].(string); ok {
		memory["token"] = token
	}
	if r.Op == "Query" && r.Body["IndexName"] == nil {
		if last, ok := raw["LastEvaluatedKey"]; ok {
			name, _ := r.Body["TableName"].(string)
			memory["last:"+name] = last
		}
	}
}
