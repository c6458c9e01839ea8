package process

import (
	"encoding/json"
	"strings"
)

// level is how weighty a log event is.
type level int

const (
	levelTrace level = iota + 1
	levelDebug
	levelInfo
	levelWarn
	levelError
	levelFatal
)

var levels = map[string]level{
	"TRACE": levelTrace, "DEBUG": levelDebug, "INFO": levelInfo, "WARN": levelWarn, "WARNING": levelWarn,
	"ERROR": levelError, "FATAL": levelFatal, "CRITICAL": levelFatal,
}

// levelOf reads a level's name; what is none is INFO, which is AWS's default.
func levelOf(name string) level {
	if l, ok := levels[strings.ToUpper(name)]; ok {
		return l
	}
	return levelInfo
}

// levelFilter returns what tells whether a line that a function prints is logged under
// LogFormat JSON: objects with a level below lowest are not. Lines that are no objects, or
// have no level, are; runtimes that write frames filter those themselves.
func levelFilter(lowest level) func(line []byte) bool {
	return func(line []byte) bool {
		if len(line) < 2 || line[0] != '{' {
			return true
		}
		var d struct {
			Level *string `json:"level"`
		}
		return json.Unmarshal(line, &d) != nil || d.Level == nil || levelOf(*d.Level) >= lowest
	}
}
