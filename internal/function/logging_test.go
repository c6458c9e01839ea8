package function

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// With LogFormat JSON every line of a log is an object, a function's own and the platform's, and what is
// below the levels is not there.
func TestJSONLogs(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	node := makeZip(t, js("index.js", `exports.handler = async () => { console.info('low'); console.warn('high %d', 1); process.stdout.write('{"level":"info","message":"raw low"}\n{"level":"error","message":"raw high"}\n') }`))
	python := makeZip(t, js("app.py", "import logging\ndef handler(event, context):\n    logging.info('low')\n    logging.warning('high %d', 1)\n    print('{\"level\":\"info\",\"message\":\"raw low\"}\\n{\"level\":\"error\",\"message\":\"raw high\"}')\n"))
	for _, c := range []struct {
		name, runtime, handler, program string
		code                            []byte
		logging                         LoggingConfig
		want                            []string // type or message, in order
	}{
		{"node-warn", "nodejs22.x", "index.handler", "node", node, LoggingConfig{LogFormat: "JSON", ApplicationLogLevel: "WARN", SystemLogLevel: "WARN"}, []string{"high 1", "raw high"}},
		{"node-default", "nodejs24.x", "index.handler", "node", node, LoggingConfig{LogFormat: "JSON"},
			[]string{"platform.initStart", "platform.start", "low", "high 1", "raw low", "raw high", "platform.report"}},
		{"node-debug", "nodejs22.x", "index.handler", "node", node, LoggingConfig{LogFormat: "JSON", ApplicationLogLevel: "FATAL", SystemLogLevel: "DEBUG"},
			[]string{"platform.initStart", "platform.start", "platform.runtimeDone", "platform.report"}},
		{"python-warn", "python3.13", "app.handler", "python3", python, LoggingConfig{LogFormat: "JSON", ApplicationLogLevel: "WARN", SystemLogLevel: "WARN"}, []string{"high 1", "raw high"}},
		{"python-default", "python3.13", "app.handler", "python3", python, LoggingConfig{LogFormat: "JSON"},
			[]string{"platform.initStart", "platform.start", "low", "high 1", "raw low", "raw high", "platform.report"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := exec.LookPath(c.program); err != nil {
				t.Skip(err)
			}
			t.Parallel()
			r := createRequest(c.name, c.runtime, c.handler, c.code)
			r.LoggingConfig = &c.logging
			create(t, s, r)
			out := do(t, s, c.name, m{})
			var got []string
			for line := range strings.Lines(string(out.LogTail)) {
				var d struct {
					Type, Message, Timestamp, RequestID string
				}
				if err := json.Unmarshal([]byte(line), &d); err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				if d.Message != "" && !strings.HasPrefix(d.Message, "raw") && (d.Timestamp == "" || d.RequestID != out.RequestID) {
					t.Errorf("%q has not the time and the request", line)
				}
				got = append(got, d.Type+d.Message)
			}
			if strings.Join(got, ", ") != strings.Join(c.want, ", ") {
				t.Errorf("logged %q, want %q", got, c.want)
			}
		})
	}
}

// Levels that cannot be kept are refused, and those left out are AWS's.
func TestLogLevels(t *testing.T) {
	s := open(t, Options{})
	r := createRequest("f", "provided.al2023", "x", goZip(t))
	for text, l := range map[string]LoggingConfig{
		"Value 'LOUD' at 'loggingConfig.applicationLogLevel' failed to satisfy constraint: Member must satisfy enum value set: [TRACE, DEBUG, INFO, WARN, ERROR, FATAL]": {LogFormat: "JSON", ApplicationLogLevel: "LOUD"},
		"Value 'ERROR' at 'loggingConfig.systemLogLevel' failed to satisfy constraint: Member must satisfy enum value set: [DEBUG, INFO, WARN]":                          {LogFormat: "JSON", SystemLogLevel: "ERROR"},
		"can only be set when LogFormat is JSON": {LogFormat: "Text", SystemLogLevel: "WARN"},
	} {
		r.LoggingConfig = &l
		if _, err := s.Create(scope, r); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: %v, want %s", l, err, text)
		}
	}
	r.LoggingConfig = &LoggingConfig{LogFormat: "JSON"}
	if c := create(t, s, r); c.LoggingConfig.ApplicationLogLevel != "INFO" || c.LoggingConfig.SystemLogLevel != "INFO" {
		t.Errorf("the levels are %+v", c.LoggingConfig)
	}
	// What an update does not give stays, but levels, where it gives a format.
	for _, c := range []struct{ given, want LoggingConfig }{
		{LoggingConfig{ApplicationLogLevel: "DEBUG"}, LoggingConfig{"JSON", "DEBUG", "INFO", "/aws/lambda/f"}},
		{LoggingConfig{LogGroup: "/mine"}, LoggingConfig{"JSON", "DEBUG", "INFO", "/mine"}},
		{LoggingConfig{LogFormat: "JSON", SystemLogLevel: "WARN"}, LoggingConfig{"JSON", "INFO", "WARN", "/mine"}},
		{LoggingConfig{LogFormat: "Text"}, LoggingConfig{"Text", "", "", "/mine"}},
	} {
		if is, err := s.UpdateConfiguration(scope, "f", UpdateConfigurationRequest{Settings: Settings{LoggingConfig: &c.given}}); err != nil || is.LoggingConfig != c.want {
			t.Errorf("%+v: %+v %v", c.given, is.LoggingConfig, err)
		}
	}
}
