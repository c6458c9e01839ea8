package sigv4

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
)

// Names in the place of a body's hash that say that the body comes in pieces, each with its signature; the second has one
// for its trailers too.
// (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html, sigv4-streaming-trailers.html)
const (
	SignedPieces        = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	SignedPiecesTrailer = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
)

// Pieces verifies the pieces of one body, in their order: each signature covers the one before, the first that of the
// request. One goroutine uses it at a time.
type Pieces struct {
	key         *Key
	date, scope string
	before      [2 * sha256.Size]byte
	// Trailer: a signature of the trailers follows the last piece.
	Trailer bool
}

// Begin has p verify what follows a request whose signature matched by k. It does nothing unless the request's payload is one
// of the two names. Before Begin no signature matches.
func (p *Pieces) Begin(k *Key, r *Request, signature string) {
	if (r.Payload != SignedPieces && r.Payload != SignedPiecesTrailer) || len(signature) != len(p.before) {
		return
	}
	p.key, p.date, p.scope, p.Trailer = k, r.Date, r.Scope, r.Payload == SignedPiecesTrailer
	copy(p.before[:], signature)
}

// Piece reports whether signature is that of the next piece, whose SHA-256 is sum. The last piece is empty.
func (p *Pieces) Piece(sum [sha256.Size]byte, signature string) bool {
	text := p.text(Algorithm + "-PAYLOAD")
	text = append(append(text, EmptyPayload...), '\n')
	return p.matches(hex.AppendEncode(text, sum[:]), signature)
}

// Trailers reports whether signature is that of the trailers, whose lines, each "name:value\n", have the SHA-256 sum.
func (p *Pieces) Trailers(sum [sha256.Size]byte, signature string) bool {
	return p.matches(hex.AppendEncode(p.text(Algorithm+"-TRAILER"), sum[:]), signature)
}

// text is the beginning of what is signed.
func (p *Pieces) text(what string) []byte {
	text := make([]byte, 0, 512)
	for _, line := range [...]string{what, p.date, p.scope, string(p.before[:])} {
		text = append(append(text, line...), '\n')
	}
	return text
}

func (p *Pieces) matches(text []byte, signature string) bool {
	if p.key == nil {
		return false
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	want := s.hmac(p.key[:], text)
	hex.Encode(p.before[:], want[:])
	return subtle.ConstantTimeCompare(p.before[:], []byte(signature)) == 1
}

type piecesKey struct{}

// WithPieces has a request's context carry p, from who verifies the request to who reads its body.
func WithPieces(ctx context.Context, p *Pieces) context.Context {
	return context.WithValue(ctx, piecesKey{}, p)
}

// PiecesOf is what WithPieces has put there; nil: nothing.
func PiecesOf(ctx context.Context) *Pieces {
	p, _ := ctx.Value(piecesKey{}).(*Pieces)
	return p
}
