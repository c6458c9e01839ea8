package process

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/function/runner"
)

// The lines that Lambda itself writes into a function's log, as text or, with
// LogFormat JSON, as objects.

func (e *environment) initStart() []byte {
	s := &e.pool.spec
	if s.LogJSON {
		return e.event("platform.initStart", levelInfo, fmt.Sprintf(`{"initializationType":"on-demand","phase":"init","runtimeVersion":%q,"functionName":%q,"functionVersion":%q}`, s.Runtime, s.Name, s.Version))
	}
	return []byte("INIT_START Runtime Version: " + s.Runtime)
}

func (e *environment) initReport(status string) []byte {
	took := e.pool.host.opts.Now().Sub(e.spawned)
	if e.pool.spec.LogJSON {
		return e.event("platform.initReport", levelWarn, fmt.Sprintf(`{"initializationType":"on-demand","phase":"init","status":%q,"metrics":{"durationMs":%s}}`, word(status), ms(took)))
	}
	return []byte("INIT_REPORT Init Duration: " + ms(took) + " ms\tPhase: init\tStatus: " + status)
}

// extensionLines tell of each extension how far its init came.
func (e *environment) extensionLines() (lines [][]byte) {
	for _, x := range e.extensions.states() {
		if e.pool.spec.LogJSON {
			kind := ""
			if x.errorType != "" {
				kind = fmt.Sprintf(`,"errorType":%q`, x.errorType)
			}
			events := ""
			if len(x.events) > 0 {
				events = `"` + strings.Join(x.events, `","`) + `"`
			}
			lines = append(lines, e.event("platform.extension", levelInfo, fmt.Sprintf(`{"name":%s,"state":%q,"events":[%s]%s}`, runner.AppendJSONString(nil, x.name), x.state, events, kind)))
			continue
		}
		line := "EXTENSION\tName: " + x.name + "\tState: " + string(x.state) + "\tEvents: [" + strings.Join(x.events, ",") + "]"
		if x.errorType != "" {
			line += "\tError Type: " + x.errorType
		}
		lines = append(lines, []byte(line))
	}
	return lines
}

func (e *environment) startLine(inv *invocation) []byte {
	if e.pool.spec.LogJSON {
		return e.event("platform.start", levelInfo, fmt.Sprintf(`{"requestId":%q,"version":%q}`, inv.RequestID, e.pool.spec.Version))
	}
	return []byte("START RequestId: " + inv.RequestID + " Version: " + e.pool.spec.Version)
}

// endLines returns the lines after an invocation; status is empty for success.
func (e *environment) endLines(inv *invocation, status string) [][]byte {
	e.mu.Lock()
	initTime := e.initTime
	e.initTime = 0
	child := e.child
	e.mu.Unlock()
	took := e.pool.host.opts.Now().Sub(inv.started)
	billed := int64(math.Ceil(float64(took) / float64(time.Millisecond)))
	used := 0
	if child != nil { // nil: it did not come to be started
		used = child.memoryMB()
	}
	if e.pool.spec.LogJSON {
		initMs := ""
		if initTime > 0 {
			initMs = `,"initDurationMs":` + ms(initTime)
		}
		s, done, report := "success", levelDebug, levelInfo
		if status != "" {
			s, done, report = word(status), levelWarn, levelWarn
		}
		return [][]byte{
			e.event("platform.runtimeDone", done, fmt.Sprintf(`{"requestId":%q,"status":%q,"metrics":{"durationMs":%s}}`, inv.RequestID, s, ms(took))),
			e.event("platform.report", report, fmt.Sprintf(`{"requestId":%q,"status":%q,"metrics":{"durationMs":%s,"billedDurationMs":%d,"memorySizeMB":%d,"maxMemoryUsedMB":%d%s}}`,
				inv.RequestID, s, ms(took), billed, e.pool.spec.MemoryMB, used, initMs)),
		}
	}
	b := append(make([]byte, 0, 256), "REPORT RequestId: "...)
	b = append(b, inv.RequestID...)
	b = append(b, "\tDuration: "...)
	b = append(b, ms(took)...)
	b = append(b, " ms\tBilled Duration: "...)
	b = strconv.AppendInt(b, billed, 10)
	b = append(b, " ms\tMemory Size: "...)
	b = strconv.AppendInt(b, int64(e.pool.spec.MemoryMB), 10)
	b = append(b, " MB\tMax Memory Used: "...)
	b = strconv.AppendInt(b, int64(used), 10)
	b = append(b, " MB\t"...)
	if initTime > 0 {
		b = append(b, "Init Duration: "...)
		b = append(b, ms(initTime)...)
		b = append(b, " ms\t"...)
	}
	if status != "" {
		b = append(b, "Status: "...)
		b = append(b, status...)
	}
	return [][]byte{[]byte("END RequestId: " + inv.RequestID), b}
}

// event makes an object of a line, or nothing of one below the function's SystemLogLevel.
func (e *environment) event(kind string, l level, record string) []byte {
	if l < levelOf(e.pool.spec.SystemLevel) {
		return nil
	}
	now := e.pool.host.opts.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	return []byte(`{"time":"` + now + `","type":"` + kind + `","record":` + record + `}`)
}

// word returns the status before the text form's further fields.
func word(status string) string {
	for i := range status {
		if status[i] == '\t' {
			return status[:i]
		}
	}
	return status
}

func ms(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 2, 64)
}
