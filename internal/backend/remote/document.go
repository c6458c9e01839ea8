package remote

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
)

// Document is a definition that is not a mapping's, such as a function's: the backend knows its key and nothing of its body.
type Document struct {
	Key     string
	Body    []byte // JSON; nil: there is none, and there may have been
	Version uint64 // of the row
}

type documentRow struct {
	Body    json.RawMessage `json:"body,omitempty"`
	Deleted bool            `json:"deleted,omitempty"`
}

func document(r *Row) (Document, error) {
	var d documentRow
	err := decode(r, &d)
	return Document{Key: r.S, Body: d.Body, Version: r.V}, err
}

// Documents returns all documents, also those that were removed: their versions count on.
func (b *Backend) Documents(ctx context.Context) (all []Document, err error) {
	rows, err := b.query(ctx, b.control, definitionKey, "")
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if strings.HasPrefix(rows[i].S, mappingPrefix) {
			continue
		}
		d, err := document(&rows[i])
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// PutDocument stores a document in the place of the one with its version (0: where there is none), and tells the other nodes. A nil body
// removes it. It returns the new version, or backend.ErrStale.
func (b *Backend) PutDocument(ctx context.Context, d Document) (uint64, error) {
	r, err := b.put(ctx, b.control, Row{P: definitionKey, S: d.Key, Data: encode(documentRow{Body: d.Body, Deleted: d.Body == nil})}, d.Version)
	if refused := (*Refused)(nil); errors.As(err, &refused) {
		b.poke()
		return 0, backend.ErrStale
	}
	if err != nil {
		return 0, err
	}
	return r.V, b.announce(ctx)
}

// agreeWait bounds Agree. A node that was killed counts as one that lives for a lease.
const agreeWait = 5 * time.Second

// Agree returns when every other node that lives has applied all that was changed before, or after five seconds.
func (b *Backend) Agree(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, agreeWait)
	defer cancel()
	r, err := b.get(ctx, b.bell, clusterKey, revisionKey)
	if err != nil || r == nil {
		return
	}
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		nodes, err := b.Nodes(ctx)
		if err != nil {
			return
		}
		behind := false
		for _, n := range nodes {
			behind = behind || n.Lives && !n.Here && n.Revision < r.V
		}
		if !behind {
			return
		}
		b.sleep(ctx, wait, nil)
		if ctx.Err() != nil {
			b.o.Log.Warn("a change was answered before every node had it: one of them is slow or gone", "after", agreeWait)
			return
		}
	}
}

// Blobs are bytes by the hash of them, in pieces that fit into rows. The manifest is written last.
const (
	blobPrefix   = "code#"
	blobManifest = "manifest"
	blobPiece    = 270_000 // 360,000 as text; an item has 400 KB at most
)

type manifestRow struct {
	Pieces int `json:"pieces"`
	Size   int `json:"size"`
}

func pieceKey(i int) string { return fmt.Sprintf("%05d", i) }

// PutBlob stores bytes under their hash, unless they are there.
func (b *Backend) PutBlob(ctx context.Context, hash string, data []byte) error {
	key := blobPrefix + hash
	there, err := b.get(ctx, b.control, key, blobManifest)
	if err != nil || there != nil {
		return err
	}
	m := manifestRow{Pieces: (len(data) + blobPiece - 1) / blobPiece, Size: len(data)}
	pieces := make([]int, m.Pieces)
	for i := range pieces {
		pieces[i] = i
	}
	put := func(s, text string) error {
		_, err := b.put(ctx, b.control, Row{P: key, S: s, Data: text}, 0)
		if refused := (*Refused)(nil); errors.As(err, &refused) {
			return nil // another has put the same
		}
		return err
	}
	if err := each(pieces, func(i int) error {
		piece := data[i*blobPiece : min((i+1)*blobPiece, len(data))]
		return put(pieceKey(i), base64.StdEncoding.EncodeToString(piece))
	}); err != nil {
		return err
	}
	return put(blobManifest, encode(m))
}

// ErrNoBlob: nothing is stored under this hash.
var ErrNoBlob = errors.New("remote: there is no code of this hash in the control table")

// Blob reads bytes by their hash. Whoever asks compares them with it.
func (b *Backend) Blob(ctx context.Context, hash string) ([]byte, error) {
	key := blobPrefix + hash
	there, err := b.get(ctx, b.control, key, blobManifest)
	if err != nil {
		return nil, err
	}
	if there == nil {
		return nil, ErrNoBlob
	}
	var m manifestRow
	if err := decode(there, &m); err != nil {
		return nil, err
	}
	data := make([]byte, m.Size)
	pieces := make([]int, m.Pieces)
	for i := range pieces {
		pieces[i] = i
	}
	return data, each(pieces, func(i int) error {
		r, err := b.get(ctx, b.control, key, pieceKey(i))
		if err != nil {
			return err
		}
		if r == nil || i*blobPiece > len(data) {
			return ErrNoBlob
		}
		piece, err := base64.StdEncoding.DecodeString(r.Data)
		if err == nil && copy(data[i*blobPiece:], piece) != len(piece) {
			err = ErrNoBlob
		}
		return err
	})
}
