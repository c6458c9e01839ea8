package sigv4

import (
	"crypto/sha256"
	"strings"
	"testing"
)

// The two examples of AWS's documentation, and what is changed in them.
func TestPieces(t *testing.T) {
	key := NewKey("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1", "s3")
	sums := [][sha256.Size]byte{sha256.Sum256([]byte(strings.Repeat("a", 65536))), sha256.Sum256([]byte(strings.Repeat("a", 1024))), sha256.Sum256(nil)}
	for _, c := range []struct {
		payload, seed string
		signatures    [3]string
		trailer       string
	}{
		{SignedPieces, "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9", [3]string{
			"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
			"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
			"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
		}, ""},
		{SignedPiecesTrailer, "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e", [3]string{
			"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
			"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
			"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
		}, "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"},
	} {
		begin := func() *Pieces {
			p := &Pieces{}
			p.Begin(&key, &Request{Payload: c.payload, Date: "20130524T000000Z", Scope: "20130524/us-east-1/s3/aws4_request"}, c.seed)
			if p.Trailer != (c.trailer != "") {
				t.Fatalf("%s: %+v", c.payload, p)
			}
			return p
		}
		p := begin()
		for i, sum := range sums {
			if !p.Piece(sum, c.signatures[i]) {
				t.Fatalf("%s: piece %d does not match", c.payload, i)
			}
		}
		lines := sha256.Sum256([]byte("x-amz-checksum-crc32c:sOO8/Q==\n"))
		if c.trailer != "" && !p.Trailers(lines, c.trailer) {
			t.Errorf("%s: the trailers do not match", c.payload)
		}
		if c.trailer != "" && p.Trailers(lines, c.trailer) {
			t.Errorf("%s: the trailers match twice", c.payload)
		}
		if begin().Piece(sums[1], c.signatures[0]) || begin().Piece(sums[1], c.signatures[1]) || begin().Piece(sums[0], "") {
			t.Errorf("%s: other bytes, a piece out of order, or no signature matches", c.payload)
		}
	}
	p := &Pieces{}
	p.Begin(&key, &Request{Payload: UnsignedPayload}, strings.Repeat("0", 64))
	if p.Piece(sums[2], "") || p.Piece(sums[2], strings.Repeat("0", 64)) {
		t.Error("without a request a piece matches")
	}
}
