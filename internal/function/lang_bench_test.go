package function

import "testing"

// BenchmarkWarmInvokeLanguages measures one call of a warm process in Node.js and Python.
func BenchmarkWarmInvokeLanguages(b *testing.B) {
	for runtime, code := range map[string]entry{
		"nodejs22.x": js("index.js", `exports.handler = async (event) => event`),
		"nodejs24.x": js("index.js", `exports.handler = async (event) => event`),
		"python3.13": js("index.py", "def handler(event, context):\n    return event\n"),
	} {
		b.Run(runtime, func(b *testing.B) {
			s := open(b, Options{Concurrency: 1})
			create(b, s, createRequest("f", runtime, "index.handler", makeZip(b, code)))
			invoke := func() {
				out, err := s.Invoke(b.Context(), scope, Invocation{Name: "f", Payload: []byte(`{"text":"x"}`), Trusted: true})
				if err != nil || out.FunctionError != "" {
					b.Fatalf("%v %s", err, out.Payload)
				}
			}
			for range 200 {
				invoke()
			}
			for b.Loop() {
				invoke()
			}
		})
	}
}
