package request

import (
	"strings"
	"testing"
)

func init() {
	decoders["ExecuteStatement"] = erased(DecodeExecuteStatement)
	decoders["BatchExecuteStatement"] = erased(DecodeBatchExecuteStatement)
	decoders["ExecuteTransaction"] = erased(DecodeExecuteTransaction)
}

func TestStatements(t *testing.T) {
	many := func(n int) string { return strings.Repeat(`{"Statement":"x"},`, n-1) + `{"Statement":"x"}` }
	checkRefusals(t, []refusal{
		{"ExecuteStatement", `{"Statement":"x"}`, ""},
		{"ExecuteStatement", `{}`, one + "Value null at 'statement' failed to satisfy constraint: Member must not be null"},
		{"ExecuteStatement", `{"Statement":""}`, one + "Value '' at 'statement' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"ExecuteStatement", `{"Statement":"` + strings.Repeat("x", 8193) + `"}`, one + "Value '" + strings.Repeat("x", 8193) + "' at 'statement' failed to satisfy constraint: Member must have length less than or equal to 8192"},
		{"ExecuteStatement", `{"Statement":"x","Parameters":[]}`, one + "Value '[]' at 'parameters' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"ExecuteStatement", `{"Statement":"x","Parameters":[{"N":"x"}]}`, validation + "The parameter cannot be converted to a numeric value: x"},
		{"ExecuteStatement", `{"Statement":"x","Limit":0}`, one + "Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"ExecuteStatement", `{"Statement":7}`, "SerializationException: NUMBER_VALUE cannot be converted to String"},
		{"BatchExecuteStatement", `{"Statements":[]}`, one + "Value '[]' at 'statements' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"BatchExecuteStatement", `{"Statements":[` + many(26) + `]}`, one + "Value '[...]' at 'statements' failed to satisfy constraint: Member must have length less than or equal to 25"},
		{"BatchExecuteStatement", `{"Statements":[{"Statement":"x","Parameters":[{"N":"x"}]}]}`, ""},
		{"ExecuteTransaction", `{"TransactStatements":[` + many(101) + `]}`, one + "Value '[...]' at 'transactStatements' failed to satisfy constraint: Member must have length less than or equal to 100"},
		{"ExecuteTransaction", `{"TransactStatements":[{"Statement":"x","Parameters":[{"N":"x"}]}]}`, ""},
		{"ExecuteStatement", `{"Statement":"","Parameters":[],"ReturnConsumedCapacity":"X","Limit":0,"ReturnValuesOnConditionCheckFailure":"X"}`, "ValidationException: 5 validation errors detected: " +
			"Value 'X' at 'returnValuesOnConditionCheckFailure' failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, NONE]; " +
			"Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1; " +
			"Value '' at 'statement' failed to satisfy constraint: Member must have length greater than or equal to 1; " +
			"Value 'X' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]; " +
			"Value '[]' at 'parameters' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"ExecuteTransaction", `{"TransactStatements":[{}]}`, one + "Value null at 'transactStatements.1.member.statement' failed to satisfy constraint: Member must not be null"},
	})
}
