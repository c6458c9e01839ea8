package main

import "testing"

func TestByteSize(t *testing.T) {
	for text, want := range map[string]struct {
		n     int64
		shown string
	}{
		"0": {0, "0B"}, "1000": {1000, "1000B"}, "4096": {4096, "4KB"}, "10GB": {10 << 30, "10GB"}, "10GiB": {10 << 30, "10GB"},
		"500m": {500 << 20, "500MB"}, "1T": {1 << 40, "1TB"}, " 2 kB ": {2048, "2KB"}, "7B": {7, "7B"},
	} {
		var b byteSize
		if err := b.Set(text); err != nil || int64(b) != want.n || b.String() != want.shown {
			t.Errorf("%q: %v, %d, %s; want %d, %s", text, err, b, b.String(), want.n, want.shown)
		}
	}
	for _, text := range []string{"", "B", "-1", "1.5GB", "9000000T", "10GG", "10TG", "10I", "ten"} {
		var b byteSize
		if err := b.Set(text); err == nil {
			t.Errorf("%q is taken for %d", text, b)
		}
	}
}
