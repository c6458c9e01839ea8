package app

import "testing"

func TestShareDescriptors(t *testing.T) {
	for _, c := range []struct {
		limit uint64
		want  descriptors
	}{
		{256, descriptors{64, 32}},
		{1024, descriptors{256, 272}},
		{20000, descriptors{1000, 8192}},
		{1 << 40, descriptors{1000, 8192}},
		{64, descriptors{32, 8}},
	} {
		if got := shareDescriptors(c.limit); got != c.want {
			t.Errorf("%d: %+v, want %+v", c.limit, got, c.want)
		}
		if got := shareDescriptors(c.limit); c.limit >= 256 && uint64(got.storeFiles+2*got.connections+keptDescriptors) > c.limit {
			t.Errorf("%d: %+v is more than there is", c.limit, got)
		}
	}
}
