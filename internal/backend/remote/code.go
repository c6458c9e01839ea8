package remote

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Packages of code are bytes by the hash of them, in pieces that fit into rows. The manifest is written last. A row for each, all under one key, is the list of them; it
// comes before everything else of a package, and goes behind it. A node looks now and then which packages no definition names. It notes when it first saw that, and
// a day later removes those that still nobody names: it reads which rows a package has, writes into the list that they are going, on the condition that nobody has written
// there since, and removes them, each in the version that it has seen.
//
// Who stores a package writes its row of the list before and after. So a removal that had not begun before does not begin, and what it may still remove later are
// versions that were there when it began: where the list says that a package is going, all of it is written anew. Whoever removes or stores may be slow, die, or
// be doubled by another at any place. That a definition is stored later than its package is what the day is for.
const (
	blobsKey     = "codes" // the list, by hash
	blobPrefix   = "code#"
	blobManifest = "manifest"
	blobPiece    = 270_000 // 360,000 as text; an item has 400 KB at most
)

type manifestRow struct {
	Pieces int `json:"pieces"`
	Size   int `json:"size"`
}

// blobRow is a package in the list.
type blobRow struct {
	Unnamed int64 `json:"unnamed,omitempty"` // when it was first seen that no definition names it, in seconds since 1970
	Going   bool  `json:"going,omitempty"`   // its removal has begun
}

// unnamedFor is how long nobody may name a package before it is removed.
const unnamedFor = 24 * time.Hour

func pieceKey(i int) string { return fmt.Sprintf("%05d", i) }

// firstVersion is that of a row whose key may have had others: nothing that is on its way for one of these fits it.
func firstVersion() uint64 { return 1 + rand.Uint64N(1<<50) }

// PutBlob stores bytes under their hash, unless they are there.
func (b *Backend) PutBlob(ctx context.Context, hash string, data []byte) error {
	for {
		began := time.Now()
		listed, going, err := b.listBlob(ctx, hash)
		if err != nil {
			return err
		}
		key := blobPrefix + hash
		if anew := going && !b.bugs.trusts; !anew {
			there, err := b.get(ctx, b.control, key, blobManifest)
			if err != nil || there != nil {
				return err
			}
		}
		m := manifestRow{Pieces: (len(data) + blobPiece - 1) / blobPiece, Size: len(data)}
		if err := each(numbersTo(m.Pieces), func(i int) error {
			piece := data[i*blobPiece : min((i+1)*blobPiece, len(data))]
			return b.putPiece(ctx, key, pieceKey(i), base64.StdEncoding.EncodeToString(piece), going)
		}); err != nil {
			return err
		}
		if err := b.putPiece(ctx, key, blobManifest, encode(m), going); err != nil {
			return err
		}
		_, err = b.put(ctx, b.control, Row{P: listed.P, S: listed.S, Data: encode(blobRow{})}, listed.V)
		if refused := (*Refused)(nil); !errors.As(err, &refused) {
			return err
		}
		// Another stores it, too, or a removal has begun meanwhile: then some of it may be gone.
		if err := b.awaitBlob(ctx, hash, 2*time.Since(began)+blobSlack); err != nil {
			return err
		}
	}
}

// blobSlack is how much longer than twice its own time a node waits for another that stores the same package.
const blobSlack = 2 * time.Second

// awaitBlob returns once nobody seems to be storing a package anew: to begin again beside somebody who does would have that one's last write refused, and so on in turn.
// Who began later than this node ends about as much later; who shows nothing for most is gone.
func (b *Backend) awaitBlob(ctx context.Context, hash string, most time.Duration) error {
	var seen uint64
	since := time.Now()
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		r, err := b.get(ctx, b.control, blobsKey, hash)
		if err != nil || r == nil {
			return err
		}
		var at blobRow
		if err := decode(r, &at); err != nil {
			return err
		}
		if r.V != seen {
			seen, since = r.V, time.Now()
		}
		if !at.Going || at.Unnamed != 0 || time.Since(since) >= most { // it is there; who wrote last is one who removes; or has died
			return nil
		}
		b.sleep(ctx, wait, nil)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// listBlob notes that a package is wanted, and returns its row of the list. going: its removal has begun, so that what is there of it is not to be relied on.
func (b *Backend) listBlob(ctx context.Context, hash string) (listed Row, going bool, err error) {
	v := uint64(0)
	for {
		row := Row{P: blobsKey, S: hash, Data: encode(blobRow{Going: going})}
		if v == 0 {
			row.V = firstVersion()
		}
		listed, err := b.put(ctx, b.control, row, v)
		refused, is := errors.AsType[*Refused](err)
		if !is {
			return listed, going, err
		}
		if v, going = 0, false; refused.Now != nil {
			var now blobRow
			if err := decode(refused.Now, &now); err != nil {
				return listed, false, err
			}
			v, going = refused.Now.V, now.Going
		}
	}
}

// putPiece stores a row of a package, unless there is one. anew: also in the place of that, under another version.
func (b *Backend) putPiece(ctx context.Context, key, s, text string, anew bool) error {
	row, v := Row{P: key, S: s, Data: text}, uint64(0)
	for {
		if v == 0 {
			row.V = firstVersion()
		}
		_, err := b.put(ctx, b.control, row, v)
		refused, is := errors.AsType[*Refused](err)
		switch {
		case !is:
			return err
		case refused.Now == nil:
			v = 0
		case !anew:
			return nil // another has put the same
		default:
			v = refused.Now.V
		}
	}
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
	return data, each(numbersTo(m.Pieces), func(i int) error {
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

// Chosen reports whether a thing that one node alone need do is this one's. More than one may believe that for a while.
func (b *Backend) Chosen(what string) bool {
	id, sure := b.Self()
	return sure && best(what, b.Lately()) == id
}

// SweepBlobs looks once which packages no document names, and removes those that none has named for a day. names says which a document does; with an
// error nothing is removed. Any number of nodes may do it at once.
func (b *Backend) SweepBlobs(ctx context.Context, now time.Time, names func(Document) ([]string, error)) (removed int, err error) {
	nodes, err := b.Nodes(ctx)
	if err != nil {
		return 0, err
	}
	if slices.ContainsFunc(nodes, func(n NodeInfo) bool { return n.Lives && n.Knows < 2 }) {
		return 0, nil // it would store a definition over what is being removed
	}
	listed, err := b.query(ctx, b.control, blobsKey, "") // before what names them
	if err != nil {
		return 0, err
	}
	documents, err := b.Documents(ctx)
	if err != nil {
		return 0, err
	}
	named := map[string]bool{}
	for _, d := range documents {
		if d.Body == nil {
			continue
		}
		hashes, err := names(d)
		if err != nil {
			return 0, err
		}
		for _, h := range hashes {
			named[h] = true
		}
	}
	for i := range listed {
		r := &listed[i]
		was := named[r.S]
		delete(named, r.S)
		gone, err := b.sweepBlob(ctx, r, was, now)
		if err != nil {
			return removed, err
		}
		if gone {
			removed++
		}
	}
	for hash := range named { // of before there was a list
		if hash == "" {
			continue
		}
		_, err := b.put(ctx, b.control, Row{P: blobsKey, S: hash, V: firstVersion(), Data: encode(blobRow{})}, 0)
		if refused := (*Refused)(nil); err != nil && !errors.As(err, &refused) {
			return removed, err
		}
	}
	return removed, nil
}

// sweepBlob goes on with one package. A write that is refused says that somebody else has something to do with it: the next look tells.
func (b *Backend) sweepBlob(ctx context.Context, r *Row, named bool, now time.Time) (gone bool, err error) {
	var at blobRow
	if err := decode(r, &at); err != nil {
		return false, err
	}
	next := at
	switch {
	case named && (at.Going || at.Unnamed == 0): // whoever stores it anew says when it is there
		return false, nil
	case named:
		next.Unnamed = 0
	case at.Unnamed == 0:
		next.Unnamed = now.Unix()
	case now.Sub(time.Unix(at.Unnamed, 0)) < unnamedFor:
		return false, nil
	default:
		next.Going = true
	}
	removes := next.Going && at.Unnamed != 0
	var pieces []Row
	if removes { // before the row: who stores it anew after that writes all of these
		err := b.eachRow(ctx, b.control, blobPrefix+r.S, func(rows []Row) error {
			pieces = append(pieces, rows...)
			return nil
		})
		if err != nil {
			return false, err
		}
	}
	mine, err := b.put(ctx, b.control, Row{P: r.P, S: r.S, Data: encode(next)}, r.V)
	if refused := (*Refused)(nil); errors.As(err, &refused) {
		return false, nil
	}
	if err != nil || !removes {
		return false, err
	}
	slices.SortFunc(pieces, func(a, c Row) int { return -strings.Compare(a.S, c.S) }) // the manifest first
	for i := range pieces {
		if b.bugs.unversioned {
			pieces[i].V = 0
		}
		if err := b.removeAt(ctx, b.control, &pieces[i]); err != nil {
			return false, err
		}
	}
	return true, b.removeAt(ctx, b.control, &mine)
}
