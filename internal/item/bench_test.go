package item

import (
	"bytes"
	"fmt"
	"testing"
)

// kilobyte is an item of about 1 KiB as applications have them.
func kilobyte(tb testing.TB) []byte {
	var b bytes.Buffer
	b.WriteString(`{"pk":{"S":"customer#12345"},"sk":{"S":"order#2024-11-05T12:00:00Z"},"total":{"N":"129.95"},"paid":{"BOOL":true},` +
		`"tags":{"SS":["new","gift","express"]},"lines":{"L":[{"M":{"sku":{"S":"A-1"},"qty":{"N":"2"}}},{"M":{"sku":{"S":"B-7"},"qty":{"N":"1"}}}]}`)
	for i := range 4 {
		fmt.Fprintf(&b, `,"text%d":{"S":"%s"}`, i, bytes.Repeat([]byte("lorem ipsum "), 13))
	}
	b.WriteString("}")
	if b.Len() < 900 || b.Len() > 1150 {
		tb.Fatalf("the item has %d bytes", b.Len())
	}
	return b.Bytes()
}

func BenchmarkDecodeItem(b *testing.B) {
	text := kilobyte(b)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	var r Reader
	for b.Loop() {
		r.Reset(text)
		if _, invalid, err := r.Item(); invalid != nil || err != nil {
			b.Fatal(invalid, err)
		}
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	var r Reader
	r.Reset(kilobyte(b))
	it, _, _ := r.Item()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = it.AppendJSON(buf[:0])
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkJSONSize(b *testing.B) {
	var r Reader
	r.Reset(kilobyte(b))
	it, _, _ := r.Item()
	b.ReportAllocs()
	for b.Loop() {
		it.JSONSize()
	}
}

func BenchmarkGet(b *testing.B) {
	var r Reader
	r.Reset(kilobyte(b))
	it, _, _ := r.Item()
	b.ReportAllocs()
	for b.Loop() {
		if it.Get("text3") == nil {
			b.Fatal("absent")
		}
	}
}

func BenchmarkAppendNumber(b *testing.B) {
	text := []byte("-12345.678")
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = AppendNumber(buf[:0], text)
	}
}

func BenchmarkAdd(b *testing.B) {
	x, y := Number("12345.678"), Number("1")
	b.ReportAllocs()
	for b.Loop() {
		Add(x, y)
	}
}

func BenchmarkAppendKey(b *testing.B) {
	v := String("customer#12345")
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendKey(buf[:0], v)
	}
}

func BenchmarkSize(b *testing.B) {
	var r Reader
	r.Reset(kilobyte(b))
	it, _, _ := r.Item()
	b.ReportAllocs()
	for b.Loop() {
		it.Size()
	}
}
