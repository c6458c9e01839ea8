package awsjson

import (
	"bytes"
	"time"
)

// answerRetry is when a caller is told to come back for whose answer there is no room.
const answerRetry = time.Second

// largest returns for how many bytes of answer an operation takes room before it runs: what it reads, as items and rendered,
// with what rendering leaves behind. 0: its answer is that of one item, and takes room when it is there. repeatable says that
// then it may be thrown away for lack of room, since the operation changes nothing.
//
// Few JSON texts are more than twice as large as what DynamoDB counts; those that are take more room once their size is known.
func largest(target, body []byte) (n int64, repeatable bool) {
	const page, largestItem = 1 << 20, 400 << 10
	_, operation, _ := bytes.Cut(target, []byte("."))
	switch string(operation) {
	case "GetItem":
		return 0, true
	case "Query", "Scan", "ExecuteStatement", "GetRecords":
		return 3 * page, false
	case "BatchGetItem":
		// A key has two braces at least.
		return min(3*16*page, int64(bytes.Count(body, []byte("{"))/2)*3*largestItem), false
	case "TransactGetItems", "ExecuteTransaction":
		return 3 * 4 * page, false
	case "BatchExecuteStatement":
		return 3 * 10 * page, false
	}
	return 0, false
}
