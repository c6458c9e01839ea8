package schedule

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/outbox"
)

// free goes on with a disk that has so many bytes free.
func (w *world) free(bytes uint64) {
	now := w.clock.Wall()
	w.close()
	w.disk.Mem().TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: bytes, TotalBytes: 1 << 40})
	w.open(now)
}

func (w *world) refused(err error, code string) {
	w.t.Helper()
	var e *awserr.Error
	if !errors.As(err, &e) || e.Code != code {
		w.t.Errorf("got %v, want %s", err, code)
	}
}

// TestNearlyFullDisk: on a disk that is nearly full nothing new starts or is made, and what is owed waits without an attempt, until there is room.
func TestNearlyFullDisk(t *testing.T) {
	w := newWorld(t)
	retries := 1
	d := definition("owed", "at(2030-01-01T00:01:00)")
	d.Targets[0].RetryAttempts = &retries
	owed := w.create(d)
	later := w.create(definition("later", "at(2030-01-01T00:02:00)"))
	_, err := w.s.PutRule(Definition{Scope: testScope, Name: "r", Expression: "rate(1 hour)"})
	w.must(err)
	attempts := 0
	w.fail = func(*outbox.Delivery) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if attempts++; attempts == 1 {
			return errBusy
		}
		return nil
	}
	w.advance(30 * time.Second)
	w.free(200 << 20)
	_, err = w.s.Create(definition("new", "rate(1 minute)"))
	w.refused(err, "InternalServerException")
	_, err = w.s.CreateGroup(testScope, "g", nil, "")
	w.refused(err, "InternalServerException")
	_, err = w.s.PutRule(Definition{Scope: testScope, Name: "new", Expression: "rate(1 hour)"})
	w.refused(err, "InternalException")
	w.must(w.s.EnableRule(testScope, "r", false))
	w.free(100 << 20)
	w.advance(5 * time.Minute)
	if attempts != 1 {
		t.Error(attempts, " attempts were made on a full disk")
	}
	w.free(1 << 39)
	w.advance(time.Second)
	w.expect(function, owed, "2030-01-01T00:01:00Z")
	w.expect(function, later, "2030-01-01T00:02:00Z")
}

// TestSameRequestAgain: a client that creates the same again with its token gets the same answer, also after a restart; any other is refused.
func TestSameRequestAgain(t *testing.T) {
	w := newWorld(t)
	d := definition("s", "rate(1 hour)")
	d.Token = "t"
	want := w.create(d)
	tags := map[string]string{"a": "b"}
	group, err := w.s.CreateGroup(testScope, "g", tags, "t")
	w.must(err)
	w.close()
	w.open(begin.Add(time.Minute))
	if got := w.create(d); got != want {
		t.Error("answered with ", got)
	}
	if got, err := w.s.CreateGroup(testScope, "g", tags, "t"); err != nil || got != group {
		t.Error("answered with ", got, err)
	}
	for _, change := range []func(*Definition){
		func(d *Definition) { d.Token = "" }, func(d *Definition) { d.Token = "u" }, func(d *Definition) { d.Expression = "rate(2 hours)" },
	} {
		other := d
		change(&other)
		_, err := w.s.Create(other)
		w.refused(err, "ConflictException")
	}
	_, err = w.s.CreateGroup(testScope, "g", nil, "t")
	w.refused(err, "ConflictException")
	_, err = w.s.CreateGroup(testScope, DefaultGroup, nil, "")
	w.refused(err, "ConflictException")
	w.advance(0)
	w.expect(function, want, "2030-01-01T00:00:30Z")
}

// TestLengths: AWS's limits of lengths hold.
func TestLengths(t *testing.T) {
	w := newWorld(t)
	for member, set := range map[string]func(*Definition, string){
		"scheduleExpression": func(d *Definition, long string) {
			d.Expression = "cron(0 0 ? * 3#1" + strings.Repeat(",3#1", len(long)) + " *)"
		},
		"scheduleExpressionTimezone":          func(d *Definition, long string) { d.Timezone = long },
		"kmsKeyArn":                           func(d *Definition, long string) { d.KeyARN = long },
		"clientToken":                         func(d *Definition, long string) { d.Token = long },
		"target.arn":                          func(d *Definition, long string) { d.Targets[0].ARN = long },
		"target.roleArn":                      func(d *Definition, long string) { d.Targets[0].RoleARN = long },
		"target.deadLetterConfig.arn":         func(d *Definition, long string) { d.Targets[0].DeadLetter = long },
		"target.sqsParameters.messageGroupId": func(d *Definition, long string) { d.Targets[0].GroupID = long },
	} {
		d := definition("s", "rate(1 hour)")
		set(&d, strings.Repeat("x", 2049))
		if _, err := w.s.Create(d); err == nil || !strings.Contains(err.Error(), "at '"+member+"' failed to satisfy constraint: Member must have length less than or equal to ") {
			t.Errorf("%s: %.300v", member, err)
		}
	}
}

// TestBatchesOfLargeInputs: what starts at one moment is no batch without bounds, and all of it starts.
func TestBatchesOfLargeInputs(t *testing.T) {
	w := newWorld(t)
	input := `"` + strings.Repeat("<aws.scheduler.schedule-arn>", 20_000) + `"`
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		d := definition(name, "at(2030-01-01T00:01:00)")
		d.Targets[0].Input = &input
		w.create(d)
	}
	w.advance(time.Minute)
	if got := w.got(function); len(got) != 8 {
		t.Error(len(got), " schedules have started")
	}
}
