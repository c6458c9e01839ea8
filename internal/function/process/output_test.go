package process

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/function/logs"
	"github.com/millstreamdb/millstream/internal/schema"
)

// TestEveryLineIsKeptOrCounted prints more than a log takes, cut into pieces
// anywhere: what is kept are whole lines in order, what is not is counted, and the
// tail is the end of all that was printed.
func TestEveryLineIsKeptOrCounted(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 0))
		now := time.Unix(0, 0)
		var kept []string
		dropped := 0
		sink, err := logs.Open("", func() time.Time { return now }, func(lines []logs.Line) {
			for _, l := range lines {
				var n int
				if _, err := fmt.Sscanf(l.Text, "[%d lines dropped", &n); err == nil {
					dropped += n
				} else {
					kept = append(kept, l.Text)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		p, err := newPipe()
		if err != nil {
			t.Fatal(err)
		}
		w := p.w
		o, err := newOutput(sink.Log(schema.Scope{Account: "000000000000", Region: "us-east-1"}, "f"), p)
		if err != nil {
			t.Fatal(err)
		}
		w.Close()
		var all bytes.Buffer
		total := 0
		for all.Len() < 3<<20 {
			length := random.IntN(200)
			if random.IntN(300) == 0 {
				length = logs.MaxLine * (1 + random.IntN(3))
			}
			fmt.Fprintf(&all, "%d %s\n", total, strings.Repeat("x", length))
			total++
		}
		for rest := all.Bytes(); len(rest) > 0; {
			n := min(len(rest), 1+random.IntN(len(o.buf)))
			o.take(rest[:n])
			rest = rest[n:]
			now = now.Add(time.Duration(random.IntN(8)) * time.Millisecond)
		}
		now = now.Add(time.Minute)
		end := strings.Repeat("the end is short lines\n", 1000)
		total += 1000
		o.take([]byte(end))
		all.WriteString(end)
		if len(kept)+dropped != total {
			t.Errorf("seed %d: %d lines kept and %d dropped of %d", seed, len(kept), dropped, total)
		}
		if dropped == 0 || len(kept) < 1000 {
			t.Errorf("seed %d: %d lines kept and %d dropped: this shows nothing", seed, len(kept), dropped)
		}
		from := all.Bytes()
		for _, l := range kept {
			l, isCut := strings.CutSuffix(l, " [line cut]")
			if !isCut {
				l += "\n"
			}
			i := bytes.Index(from, []byte(l))
			if i < 0 || i > 0 && from[i-1] != '\n' {
				t.Fatalf("seed %d: %.40q is no line, or out of order", seed, l)
			}
			from = from[i+len(l)-1:]
		}
		if want := all.Bytes()[all.Len()-tailLimit:]; !bytes.Equal(o.end(nil, true), want) {
			t.Errorf("seed %d: the tail is not the end of what was printed", seed)
		}
		o.close()
		if err := sink.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// frame is a log event as a runtime client writes it.
func frame(kind uint32, text string) []byte {
	b := binary.BigEndian.AppendUint32(nil, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
	b = binary.BigEndian.AppendUint64(b, 1)
	return append(b, text...)
}

// TestFramesAmongLines prints lines and frames in turns, cut into pieces anywhere: each frame is one
// event, and all stand in the order in which they were printed. Text that only looks like a frame stays
// text.
func TestFramesAmongLines(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		var got, want []string
		sink, err := logs.Open("", time.Now, func(lines []logs.Line) {
			for _, l := range lines {
				got = append(got, l.Text)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		p, err := newPipe()
		if err != nil {
			t.Fatal(err)
		}
		w := p.w
		o, err := newOutput(sink.Log(schema.Scope{Account: "000000000000", Region: "us-east-1"}, "f"), p)
		if err != nil {
			t.Fatal(err)
		}
		w.Close()
		var all []byte
		for i := range 200 {
			text := fmt.Sprintf("%d %s", i, strings.Repeat("å¥\xa5\x5a ", random.IntN(4)))
			switch random.IntN(4) {
			case 0:
				text += "\n  second line"
				all = append(all, frame(0xa55a0003|uint32(random.IntN(7))<<2, text+"\n")...)
			case 1:
				all = append(all, frame(0xa55a0002, text)...)
			case 2:
				text += "\xa5\x5a\x00\x04"
				fallthrough
			default:
				all = append(append(all, text...), '\n')
			}
			want = append(want, text)
		}
		for rest := all; len(rest) > 0; {
			n := min(len(rest), 1+random.IntN(60))
			o.take(rest[:n])
			rest = rest[n:]
		}
		if tail := o.end(nil, true); !slices.Equal(got, want) || !bytes.HasSuffix(tail, []byte(want[len(want)-1]+"\n")) {
			t.Fatalf("seed %d: %q\nwant %q\ntail %q", seed, got, want, tail)
		}
		o.close()
		if err := sink.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
