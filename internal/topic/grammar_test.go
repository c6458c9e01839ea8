package topic

import "testing"

// TestRecordedPolicyErrors holds what is said of filter policies to AWS's texts.
func TestRecordedPolicyErrors(t *testing.T) {
	at := func(text, source, column string) string {
		return "FilterPolicy: " + text + "\n at [Source: (String)\"" + source + "\"; line: 1, column: " + column + "]"
	}
	for _, c := range []struct{ policy, want string }{
		{`{"key": [["value"]]}`, at("Match value must be String, number, true, false, or null", `{\"key\":[[\"value\"]]}`, "10")},
		{`{"key": [{"wrong-operator": true}]}`, at("Unrecognized match type wrong-operator", `{\"key\":[{\"wrong-operator\":true}]}`, "31")},
		{`{"key": [{"suffix": "value", "prefix": "value2"}]}`, at("Only one key allowed in match expression", `{\"key\":[{\"suffix\":\"value\",\"prefix\":\"value2\"}]}`, "37")},
		{`{"key": []}`, at("Empty arrays are not allowed", `{\"key\":[]}`, "10")},
		{`{"key": [{"suffix": 100}]}`, at("suffix match pattern must be a string", `{\"key\":[{\"suffix\":100}]}`, "22")},
		{`{"key": [{"suffix": null}]}`, at("suffix match pattern must be a string", `{\"key\":[{\"suffix\":null}]}`, "23")},
		{`{"key": {"suffix": "value"}}`, at(`"suffix" must be an object or an array`, `{\"key\":{\"suffix\":\"value\"}}`, "19")},
		{`{"key": [{"suffix": []}]}`, at("suffix match pattern must be a string", `{\"key\":[{\"suffix\":[]}]}`, "20")},
		{`{"key": [{"cidr": ["bad-filter"]}]}`, at("prefix match pattern must be a string", `{\"key\":[{\"cidr\":[\"bad-filter\"]}]}`, "18")},
		{`{"key": [{"cidr": "bad-filter"}]}`, "FilterPolicy: Malformed CIDR, one '/' required"},
		{`{"key": [{"cidr": "bad-filter/64"}]}`, "FilterPolicy: Nonstandard IP address: bad-filter"},
		{`{"key": [{"cidr": "bad-/64filter"}]}`, "FilterPolicy: Malformed CIDR, mask bits must be an integer"},
		{`{"key": [{"cidr": "xxxx:db8:1234:1a00::/64"}]}`, "FilterPolicy: Nonstandard IP address: xxxx:db8:1234:1a00::"},
		{`{"key": [{"numeric": []}]}`, at("Invalid member in numeric match: ]", `{\"key\":[{\"numeric\":[]}]}`, "22")},
		{`{"key": [{"numeric": ["operator"]}]}`, at("Unrecognized numeric range operator: operator", `{\"key\":[{\"numeric\":[\"operator\"]}]}`, "32")},
		{`{"key": [{"numeric": [1, "<="]}]}`, at("Invalid member in numeric match: 1", `{\"key\":[{\"numeric\":[1,\"<=\"]}]}`, "22")},
		{`{"key": [{"numeric": ["=", "000"]}]}`, at("Value of equals must be numeric", `{\"key\":[{\"numeric\":[\"=\",\"000\"]}]}`, "26")},
		{`{"key": [{"numeric": [">="]}]}`, at("Value of >= must be numeric", `{\"key\":[{\"numeric\":[\">=\"]}]}`, "26")},
		{`{"key": [{"numeric": ["<", 100, ">", 10]}]}`, at("Too many elements in numeric expression", `{\"key\":[{\"numeric\":[\"<\",100,\">\",10]}]}`, "30")},
		{`{"key": [{"numeric": [">=", 1, ">", 2]}]}`, at("Bad numeric range operator: >", `{\"key\":[{\"numeric\":[\">=\",1,\">\",2]}]}`, "31")},
		{`{"key": [{"numeric": [">", 3, "<", 1]}]}`, at("Bottom must be less than top", `{\"key\":[{\"numeric\":[\">\",3,\"<\",1]}]}`, "33")},
		{`{"key": [{"numeric": [">", 20, "<="]}]}`, at("Value of <= must be numeric", `{\"key\":[{\"numeric\":[\">\",20,\"<=\"]}]}`, "33")},
		{`{"key": [{"numeric": [">", 20, 30]}]}`, at("Bad value in numeric range: 30", `{\"key\":[{\"numeric\":[\">\",20,30]}]}`, "30")},
		{`{"key": [{"numeric": [">", 20, "test"]}]}`, at("Bad numeric range operator: test", `{\"key\":[{\"numeric\":[\">\",20,\"test\"]}]}`, "34")},
		{`{"key": [{"numeric": [">", 20, "<", "30"]}]}`, at("Value of < must be numeric", `{\"key\":[{\"numeric\":[\">\",20,\"<\",\"30\"]}]}`, "33")},
		{`{"key": [{"numeric": [">", 20, "<", 30, "<", 50]}]}`, at("Too many terms in numeric range expression", `{\"key\":[{\"numeric\":[\">\",20,\"<\",30,\"<\",50]}]}`, "36")},
		{`{"key": [{"exists": null}]}`, at("exists match pattern must be either true or false.", `{\"key\":[{\"exists\":null}]}`, "23")},
		{`{"key": [{"exists": "no"}]}`, at("exists match pattern must be either true or false.", `{\"key\":[{\"exists\":\"no\"}]}`, "20")},
		{`{"key": [{"anything-but": {"wrong-operator": null}}]}`, at("Unsupported anything-but pattern: wrong-operator", `{\"key\":[{\"anything-but\":{\"wrong-operator\":null}}]}`, "47")},
		{`{"key": [{"anything-but": {"suffix": "test"}}]}`, at("Unsupported anything-but pattern: suffix", `{\"key\":[{\"anything-but\":{\"suffix\":\"test\"}}]}`, "36")},
		{`{"key": [{"anything-but": {"prefix": false}}]}`, at("prefix match pattern must be a string", `{\"key\":[{\"anything-but\":{\"prefix\":false}}]}`, "40")},
		{`{"a": ["x", 1, true, null, {"prefix": "x"}, {"anything-but": {"prefix": "t-"}}, {"anything-but": ["x", 1]}, {"anything-but": "x"}, {"numeric": ["=", 1]},
			{"numeric": [">", 0, "<=", 1.5e3]}, {"cidr": "10.0.0.0/8"}, {"exists": false}, {"equals-ignore-case": "x"}]}`, ""},
	} {
		got := ""
		if err := checkPolicy(c.policy, false); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.policy, got, c.want)
		}
	}
	if err := checkPolicy(`{"$or": [{"a": ["x"]}, {"b": {"c": [{"exists": true}]}}], "d": {"e": ["y"]}}`, true); err != nil {
		t.Error(err)
	}
}
