package lane

import (
	"bytes"
	"encoding/json"
	"sort"

	"github.com/millstreamdb/millstream/internal/seqnum"
)

// verdict is what a function's answer says of a batch.
type verdict struct {
	// done is how many records at the head of the batch have ended: all for
	// success, none for failure of the whole, else the rest is tried again.
	done int
	// named counts the records that the answer names as failed.
	named  int
	state  []byte // of a tumbling window
	writes Writes // to be made when the records end
	err    string // why not all is done
}

// Writes are what an answer asks for beside its verdict, to be made when the records end.
type Writes struct {
	Items    []byte // a list in the form of TransactItems; nil for none
	Messages []byte // a list in the form of SendMessage requests; nil for none
}

func (w Writes) any() bool { return w.Items != nil || w.Messages != nil }

// sent are the records of a call, in the order of their numbers.
type sent interface {
	count() int
	seq(i int) seqnum.Num // of the record i, from 0
}

// judge reads the answer to records (reference event-source-mapping §6.1).
// report: ReportBatchItemFailures is on. windowed: the answer is to carry a window's state.
// exact: it may carry writes. When none of them holds, the answer is not looked at.
func judge(records sent, answer []byte, report, windowed, exact bool) verdict {
	if !report && !windowed && !exact {
		return verdict{done: records.count()}
	}
	return readAnswer(records, answer, report, windowed, exact)
}

//go:noinline
func readAnswer(records sent, answer []byte, report, windowed, exact bool) verdict {
	v := verdict{done: records.count()}
	answer = bytes.TrimSpace(answer)
	var members map[string]json.RawMessage
	switch {
	case len(answer) == 0:
	case !json.Valid(answer):
		return verdict{err: "the answer is not JSON"}
	case answer[0] == '{':
		_ = json.Unmarshal(answer, &members) // it is a valid object
	}
	if windowed {
		v.state = members["state"]
		if len(v.state) == 0 || v.state[0] != '{' {
			return verdict{err: "the answer has no state, which the calls of a tumbling window must return"}
		}
	}
	failures := bytes.TrimSpace(members["batchItemFailures"])
	if exact {
		w := Writes{listOf(members["transactItems"]), listOf(members["sendMessages"])}
		switch {
		case len(w.Items) > maxTransact:
			return verdict{err: "transactItems of the answer is too large: a transaction is of at most 100 writes and 4 MB"}
		case w.any() && listOf(failures) != nil:
			return verdict{err: "the answer has both " + w.name() + " and batchItemFailures"}
		}
		v.writes = w
	}
	if !report || len(failures) == 0 || string(failures) == "null" {
		return v
	}
	var items []map[string]json.RawMessage // and not a struct: the case of names counts
	if err := json.Unmarshal(failures, &items); err != nil {
		return verdict{err: "batchItemFailures of the answer is not a list of objects"}
	}
	if len(items) == 0 {
		return v
	}
	failed := map[int]bool{}
	why := "" // of the first that failed
	for _, it := range items {
		var id *string
		if err := json.Unmarshal(it["itemIdentifier"], &id); err != nil || id == nil {
			return verdict{err: "batchItemFailures of the answer has an item without a text as itemIdentifier"}
		}
		i, ok := indexOf(records, *id)
		if !ok {
			return verdict{err: "batchItemFailures of the answer names " + clip(*id) + ", which is no sequence number of the batch"}
		}
		failed[i] = true
		if i < v.done {
			v.done, why = i, reasonOf(it)
		}
	}
	v.named = len(failed)
	v.err = "the function reported " + records.seq(v.done).String() + " as failed" + why
	return v
}

// reasonOf is why an item failed, when its function says so in a member that AWS does not look at.
func reasonOf(item map[string]json.RawMessage) string {
	var text string
	if json.Unmarshal(item["error"], &text) != nil || text == "" {
		return ""
	}
	return ": " + clipError(text)
}

// maxTransact bounds the text of transactItems: 4 MB of items may be of twice the text, not more.
const maxTransact = 16 << 20

// name is the member of the answer that has writes.
func (w Writes) name() string {
	if w.Items != nil {
		return "transactItems"
	}
	return "sendMessages"
}

// listOf is a member's text, nil when it is absent, null or an empty list.
func listOf(member []byte) []byte {
	member = bytes.TrimSpace(member)
	if len(member) == 0 || string(member) == "null" || len(member) >= 2 && member[0] == '[' && len(bytes.TrimSpace(member[1:len(member)-1])) == 0 {
		return nil
	}
	return member
}

// indexOf finds the record with a sequence number.
func indexOf(records sent, text string) (int, bool) {
	want, err := seqnum.Parse(text)
	if err != nil {
		return 0, false
	}
	n := records.count()
	i := sort.Search(n, func(i int) bool { return !records.seq(i).Less(want) })
	return i, i < n && records.seq(i) == want
}

// clip bounds what of an answer goes to the log.
func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}
