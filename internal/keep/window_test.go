package keep

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/export"
	"github.com/millstreamdb/millstream/internal/request"
)

type image map[string]map[string]string

// windowLine is a line of a data file.
type windowLine struct {
	Metadata           map[string]map[string]string
	Keys               image
	OldImage, NewImage image
}

// window exports what was changed in a stretch of time, and returns the export with its lines by key.
func (w *world) window(from, to time.Time, view string) (*Export, map[string]windowLine) {
	w.t.Helper()
	w.objects = map[string][]byte{}
	body := fmt.Sprintf(`{"TableArn":%q,"S3Bucket":"bucket","S3Prefix":"p","ExportType":"INCREMENTAL_EXPORT","IncrementalExportSpecification":{"ExportFromTime":%.3f,"ExportToTime":%.3f,"ExportViewType":%q}}`,
		scope.TableARN("tab"), float64(from.UnixMilli())/1000, float64(to.UnixMilli())/1000, view)
	e, err := w.s.ExportTableToPointInTime(w.t.Context(), scope, decoded(w, request.DecodeExportTableToPointInTime, body))
	if err != nil {
		w.t.Fatal(err)
	}
	for e.Status == InProgress {
		time.Sleep(time.Second)
		e = get(w.s, w.s.exports, e.ARN)
	}
	if e.Status != Completed {
		w.t.Fatalf("%+v", e)
	}
	folder := export.Folder("p", e.ID)
	files, err := export.ParseManifest(w.objects[folder+export.FilesJSON])
	if err != nil {
		w.t.Fatal(err)
	}
	lines := map[string]windowLine{}
	for _, f := range files {
		content := w.objects[f.Key]
		if !strings.HasPrefix(f.Key, "p/AWSDynamoDB/data/") || export.Sum(content) != f.MD5Checksum {
			w.t.Errorf("%+v", f)
		}
		gz, err := gzip.NewReader(bytes.NewReader(content))
		if err != nil {
			w.t.Fatal(err)
		}
		for scan := bufio.NewScanner(gz); scan.Scan(); {
			var l windowLine
			if err := json.Unmarshal(scan.Bytes(), &l); err != nil {
				w.t.Fatal(err)
			}
			key := l.Keys["pk"]["S"]
			if _, twice := lines[key]; twice || len(l.Keys) != 1 {
				w.t.Errorf("%s: %v", key, l)
			}
			lines[key] = l
		}
	}
	var summary map[string]any
	if err := json.Unmarshal(w.objects[folder+export.SummaryJSON], &summary); err != nil {
		w.t.Fatal(err)
	}
	for name, want := range map[string]any{
		"version": "2023-08-01", "exportType": "INCREMENTAL_EXPORT", "outputView": view, "exportFromTime": export.Time(from), "exportToTime": export.Time(to), "itemCount": float64(len(lines)),
		"manifestFilesS3Key": folder + export.FilesJSON, "outputFormat": "DYNAMODB_JSON",
	} {
		if summary[name] != want {
			w.t.Errorf("%s is %v, want %v", name, summary[name], want)
		}
	}
	if _, there := summary["exportTime"]; there || e.Items != int64(len(lines)) {
		w.t.Errorf("%v, %+v", summary, e)
	}
	return e, lines
}

// TestIncrementalExports: of each stretch of time, with whatever was written before and after it, each item that was changed in it has what it was before and
// after, and no other is there.
func TestIncrementalExports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.recovering(0)
		stop := w.run(w.s.RunSaves)
		r := rand.New(rand.NewPCG(1, 2))
		type write struct {
			at    time.Time
			key   string
			value string // empty: it was removed
		}
		var history []write
		for range 600 {
			time.Sleep(time.Duration(1+r.IntN(20)) * time.Second)
			h := write{time.Now(), fmt.Sprint(r.IntN(250)), fmt.Sprint(r.IntN(1000))}
			var err error
			if r.IntN(3) == 0 {
				h.value = ""
				_, err = w.db.DeleteItem(t.Context(), scope, decoded(w, request.DecodeDeleteItem, fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":%q}}}`, h.key)))
			} else {
				_, err = w.db.PutItem(t.Context(), scope, decoded(w, request.DecodePutItem, fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":%q},"text":{"S":%q},"v":{"S":%q}}}`, h.key, strings.Repeat(h.key, 50*(len(h.key)-1)), h.value)))
			}
			if err != nil {
				t.Fatal(err)
			}
			history = append(history, h)
		}
		time.Sleep(time.Second)
		for n := range 12 {
			from := history[r.IntN(len(history)/2)].at // it is in it
			to := from.Add(shortestWindow + time.Duration(r.IntN(3600))*time.Second)
			if n < 6 { // up to a write, which is not in it
				for _, h := range history {
					if h.at.Sub(from) >= shortestWindow {
						to = h.at
						break
					}
				}
			}
			if to.After(time.Now()) {
				to = time.Now().Truncate(time.Millisecond)
			}
			before, after, last := map[string]string{}, map[string]string{}, map[string]time.Time{}
			for _, h := range history {
				if h.at.Before(from) {
					before[h.key] = h.value
				}
				if h.at.Before(to) {
					if !h.at.Before(from) && after[h.key] != h.value {
						last[h.key] = h.at
					}
					after[h.key] = h.value
				}
			}
			view := []string{"NEW_AND_OLD_IMAGES", "NEW_IMAGE"}[n%2]
			_, lines := w.window(from, to, view)
			for key, at := range last {
				l, there := lines[key]
				delete(lines, key)
				old, now := before[key], after[key]
				if there != (old != "" || now != "") {
					t.Errorf("%d: %s is there: %v; it was %q and became %q", n, key, there, old, now)
				}
				if !there {
					continue
				}
				if view == "NEW_IMAGE" {
					old = ""
				}
				if l.OldImage["v"]["S"] != old || l.NewImage["v"]["S"] != now || l.Keys["pk"]["S"] != key || l.Metadata["WriteTimestampMicros"]["N"] != fmt.Sprint(at.UnixMilli()*1000) {
					t.Errorf("%d: %v; it was %q and became %q at %s", n, l, old, now, at)
				}
			}
			if len(lines) > 0 {
				t.Errorf("%d: not changed: %v", n, lines)
			}
		}
		refused := func(want, spec string) {
			t.Helper()
			q, err := request.DecodeExportTableToPointInTime([]byte(`{"TableArn":"` + scope.TableARN("tab") + `","S3Bucket":"bucket"` + spec + `}`))
			if err == nil {
				_, err = w.s.ExportTableToPointInTime(t.Context(), scope, q)
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", spec, err, want)
			}
		}
		at := func(d time.Duration) string { return fmt.Sprint(time.Now().Add(d).Unix()) }
		inc := func(spec string) string {
			return `,"ExportType":"INCREMENTAL_EXPORT","IncrementalExportSpecification":{` + spec + `}`
		}
		refused("Difference between export period", inc(`"ExportFromTime":`+at(-20*time.Second)+`,"ExportToTime":`+at(-time.Second)))
		refused("Difference between export period", inc(`"ExportFromTime":`+at(-25*time.Hour)))
		refused("Export Time is in the future", inc(`"ExportFromTime":`+at(-time.Hour)+`,"ExportToTime":`+at(time.Hour)))
		refused("Export Time is invalid", inc(`"ExportFromTime":`+at(-23*time.Hour)))
		refused("ExportFromTime must be specified", `,"ExportType":"INCREMENTAL_EXPORT"`)
		refused("IncrementalExportSpecification can only", `,"IncrementalExportSpecification":{"ExportFromTime":1}`)
		refused("ExportTime cannot be", inc(`"ExportFromTime":`+at(-time.Hour))+`,"ExportTime":`+at(-time.Hour))
		if err := w.recover(false); err != nil {
			t.Fatal(err)
		}
		refused("Point in time recovery is not enabled", inc(`"ExportFromTime":`+at(-time.Hour)))
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestWindowFromTheEarliestGoesOnElsewhere: an export of all that the log has is made in a folder that has not what was kept for it, too.
func TestWindowFromTheEarliestGoesOnElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		w.recovering(10)
		d, err := w.db.DescribeContinuousBackups(t.Context(), scope, decoded(w, request.DecodeDescribeContinuousBackups, `{"TableName":"tab"}`))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		e, err := w.s.ExportTableToPointInTime(t.Context(), scope, decoded(w, request.DecodeExportTableToPointInTime, fmt.Sprintf(
			`{"TableArn":%q,"S3Bucket":"bucket","ExportType":"INCREMENTAL_EXPORT","IncrementalExportSpecification":{"ExportFromTime":%.3f}}`, scope.TableARN("tab"), float64(d.Earliest.UnixMilli())/1000)))
		if err == nil {
			err = w.store.Thaw(frozenName(e.ID))
		}
		if err != nil {
			t.Fatal(err)
		}
		w.close()
		w.openAgain()
		w.put = func(string) error { return nil }
		stop := w.run(w.s.RunSaves)
		time.Sleep(time.Minute)
		if e = get(w.s, w.s.exports, e.ARN); e.Status != Completed || e.Items != 10 {
			t.Errorf("%+v: %s", e, w.log.String())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
