package lambda

import (
	"net/http"

	"github.com/millstreamdb/millstream/internal/awserr"
)

// unused are operations of features that make no sense on one machine, or are not there
// yet. What asks about them is answered as AWS answers who does not use them; what would turn
// them on is refused, with the reason.
var unused = map[string]operation{
	"POST 2020-04-22/code-signing-configs":               refused("CreateCodeSigningConfig", noSigning),
	"GET 2020-04-22/code-signing-configs":                answered("ListCodeSigningConfigs", noSigning, object{"CodeSigningConfigs": []int{}}),
	"GET 2020-04-22/code-signing-configs/{}":             missing("GetCodeSigningConfig", noSigning, signingMissing),
	"PUT 2020-04-22/code-signing-configs/{}":             missing("UpdateCodeSigningConfig", noSigning, signingMissing),
	"DELETE 2020-04-22/code-signing-configs/{}":          missing("DeleteCodeSigningConfig", noSigning, signingMissing),
	"GET 2020-04-22/code-signing-configs/{}/functions":   missing("ListFunctionsByCodeSigningConfig", noSigning, signingMissing),
	"GET 2020-06-30/functions/{}/code-signing-config":    {name: "GetFunctionCodeSigningConfig", why: noSigning, answered: true, serve: codeSigning},
	"DELETE 2020-06-30/functions/{}/code-signing-config": {name: "DeleteFunctionCodeSigningConfig", why: noSigning, answered: true, serve: deleteCodeSigning},
	"PUT 2020-06-30/functions/{}/code-signing-config":    refused("PutFunctionCodeSigningConfig", noSigning),

	"POST 2025-11-30/capacity-providers":                     refused("CreateCapacityProvider", noCapacity),
	"GET 2025-11-30/capacity-providers":                      answered("ListCapacityProviders", noCapacity, object{"CapacityProviders": []int{}}),
	"GET 2025-11-30/capacity-providers/{}":                   missing("GetCapacityProvider", noCapacity, notThere),
	"PUT 2025-11-30/capacity-providers/{}":                   missing("UpdateCapacityProvider", noCapacity, notThere),
	"DELETE 2025-11-30/capacity-providers/{}":                missing("DeleteCapacityProvider", noCapacity, notThere),
	"GET 2025-11-30/capacity-providers/{}/function-versions": missing("ListFunctionVersionsByCapacityProvider", noCapacity, notThere),
	"GET 2025-11-30/functions/{}/function-scaling-config": ofFunction("GetFunctionScalingConfig", noCapacity, http.StatusOK, func(arn string) any {
		return object{"FunctionArn": arn}
	}),
	"PUT 2025-11-30/functions/{}/function-scaling-config": refused("PutFunctionScalingConfig", noCapacity),

	"GET 2025-12-01/functions/{}/durable-executions":           ofFunction("ListDurableExecutionsByFunction", noDurable, http.StatusOK, func(string) any { return object{"DurableExecutions": []int{}} }),
	"GET 2025-12-01/durable-executions/{}":                     missing("GetDurableExecution", noDurable, notThere),
	"GET 2025-12-01/durable-executions/{}/history":             missing("GetDurableExecutionHistory", noDurable, notThere),
	"GET 2025-12-01/durable-executions/{}/state":               missing("GetDurableExecutionState", noDurable, notThere),
	"POST 2025-12-01/durable-executions/{}/checkpoint":         missing("CheckpointDurableExecution", noDurable, notThere),
	"POST 2025-12-01/durable-executions/{}/stop":               missing("StopDurableExecution", noDurable, notThere),
	"POST 2025-12-01/durable-execution-callbacks/{}/succeed":   missing("SendDurableExecutionCallbackSuccess", noDurable, notThere),
	"POST 2025-12-01/durable-execution-callbacks/{}/fail":      missing("SendDurableExecutionCallbackFailure", noDurable, notThere),
	"POST 2025-12-01/durable-execution-callbacks/{}/heartbeat": missing("SendDurableExecutionCallbackHeartbeat", noDurable, notThere),
}

// The reasons, for the answers and for docs/operations.md.
const (
	noSigning  = "no signatures of code are verified here"
	noCapacity = "functions run on this machine, not on EC2 instances"
	noDurable  = "durable executions are not emulated: DurableConfig is refused when a function is made, so there are none"
)

// refused is an operation that would turn its feature on.
func refused(name, why string) operation {
	return operation{name: name, why: why, serve: func(*call, http.ResponseWriter) error {
		return awserr.LambdaInvalidParameter(name + " is not supported: " + why + ".")
	}}
}

// answered is one that lists what there is none of.
func answered(name, why string, document any) operation {
	return operation{name: name, why: why, answered: true, serve: func(_ *call, w http.ResponseWriter) error {
		return answer(w, http.StatusOK, document, nil)
	}}
}

// missing is one about a thing that cannot be there.
func missing(name, why string, text func(id string) string) operation {
	return operation{name: name, why: why, answered: true, serve: func(c *call, _ http.ResponseWriter) error {
		return awserr.LambdaNotFound(text(c.parts[0]))
	}}
}

// ofFunction is one about a function that does not use the feature.
func ofFunction(name, why string, status int, document func(arn string) any) operation {
	return operation{name: name, why: why, answered: true, serve: func(c *call, w http.ResponseWriter) error {
		conf, err := c.h.functions.Configuration(c.scope, c.name(), c.qualifier())
		return answer(w, status, document(conf.FunctionArn), err)
	}}
}

// codeSigning shows what CreateFunction was given.
func codeSigning(c *call, w http.ResponseWriter) error {
	name, config, err := c.h.functions.CodeSigning(c.scope, c.name())
	if config == "" {
		return answer(w, http.StatusOK, struct{}{}, err)
	}
	return answer(w, http.StatusOK, object{"CodeSigningConfigArn": config, "FunctionName": name}, err)
}

func deleteCodeSigning(c *call, w http.ResponseWriter) error {
	return answer(w, http.StatusNoContent, nil, c.h.functions.DeleteCodeSigning(c.scope, c.name()))
}

func signingMissing(arn string) string {
	return "The Lambda code signing configuration " + arn + " can not be found."
}

func notThere(string) string { return "The resource you requested does not exist." }
