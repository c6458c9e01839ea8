package table

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

// A client token makes a transaction happen once. Its row is in the batch of the
// transaction's writes, so it is there exactly when they are; only what succeeded
// has one. While a first request runs, the token is in the set of running ones,
// from before the row is looked for until the batch is durable; a second request
// meets it there, and later the row.
//
//	SpaceToken, 't', account, 00, region, 00, API (1), token    the row
//	SpaceToken, 'e', expiry in ms (8), what follows 't' above   nothing; for trimming
//
// A row is: version, digest (32), expiry in ms (8), then for each table the length of
// its name (1), the name, and the read units (4) that a replay is charged.

const (
	tokenRow     = 't'
	tokenExpiry  = 'e'
	tokenVersion = 1
	tokenHeader  = 1 + 32 + 8

	// tokenLife is how long a token is remembered after its transaction.
	tokenLife = 10 * time.Minute

	tokenTrimEvery = time.Minute
	tokenTrimPiece = 1000
)

var errToken = errors.New("table: the row of a client token is damaged")

// runningTokens are the suffixes of the tokens in use. Nobody waits in it.
type runningTokens struct {
	mu  sync.Mutex
	set map[string]struct{}
}

// begin reports false when the token is in use already.
func (r *runningTokens) begin(suffix []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, running := r.set[string(suffix)]; running {
		return false
	}
	if r.set == nil {
		r.set = map[string]struct{}{}
	}
	r.set[string(suffix)] = struct{}{}
	return true
}

func (r *runningTokens) end(suffix []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.set, string(suffix))
}

// token is the token of a transaction under way.
type token struct {
	suffix []byte
	digest [32]byte
}

func tokenSuffix(scope schema.Scope, t *request.ClientToken) []byte {
	s := append([]byte(scope.Account), 0)
	s = append(append(s, scope.Region...), 0, byte(t.API))
	return append(s, t.Text...)
}

func tokenKey(suffix []byte) []byte {
	return append([]byte{store.SpaceToken, tokenRow}, suffix...)
}

func tokenExpiryKey(ms int64, suffix []byte) []byte {
	k := binary.BigEndian.AppendUint64([]byte{store.SpaceToken, tokenExpiry}, uint64(ms))
	return append(k, suffix...)
}

// rows returns what is stored when the transaction ends now; reads are the units
// that a replay is charged.
func (t *token) rows(now time.Time, reads []tableUnits) []Row {
	expiry := now.Add(tokenLife).UnixMilli()
	v := append([]byte{tokenVersion}, t.digest[:]...)
	v = binary.BigEndian.AppendUint64(v, uint64(expiry))
	for _, r := range reads {
		v = append(v, byte(len(r.name))) // at most 255
		v = append(v, r.name...)
		v = binary.BigEndian.AppendUint32(v, uint32(r.table))
	}
	return []Row{{tokenKey(t.suffix), v}, {tokenExpiryKey(expiry, t.suffix), nil}}
}

// once runs a transaction unless its token has one already: then it answers what
// that one did.
func (db *DB) once(ctx context.Context, scope schema.Scope, r *request.TransactWriteItems, run func(*token) (*TransactWriteResult, error)) (*TransactWriteResult, error) {
	t := &token{suffix: tokenSuffix(scope, &r.Token), digest: r.Token.Digest}
	if !db.tokens.begin(t.suffix) {
		return nil, awserr.TokenInUse()
	}
	defer db.tokens.end(t.suffix)
	v, found, err := db.store.Get(nil, tokenKey(t.suffix))
	if err != nil {
		return nil, err
	}
	if !found {
		return run(t)
	}
	digest, expiry, reads, err := decodeToken(v)
	if err != nil {
		return nil, err
	}
	// A clock that has jumped forward makes no token expire: what is done twice
	// stays done twice.
	if now, ageing := db.streams.Clock().Now(); ageing && now.UnixMilli() >= expiry {
		return run(t)
	}
	if err := db.store.Barrier(ctx); err != nil {
		return nil, err
	}
	if digest != t.digest {
		return nil, awserr.TokenMismatch()
	}
	use := usage{kind: "Read", asked: r.ReturnConsumedCapacity, tables: reads}
	return &TransactWriteResult{Capacity: use.capacity()}, nil
}

func decodeToken(v []byte) (digest [32]byte, expiryMS int64, reads []tableUnits, err error) {
	if len(v) < tokenHeader || v[0] != tokenVersion {
		return digest, 0, nil, errToken
	}
	copy(digest[:], v[1:])
	expiryMS = int64(binary.BigEndian.Uint64(v[33:]))
	for v = v[tokenHeader:]; len(v) > 0; {
		n := 1 + int(v[0])
		if len(v) < n+4 {
			return digest, 0, nil, errToken
		}
		reads = append(reads, tableUnits{string(v[1:n]), writeUnits{table: float64(binary.BigEndian.Uint32(v[n:]))}})
		v = v[n+4:]
	}
	return digest, expiryMS, reads, nil
}

// TrimTokens is the worker that removes expired tokens. It returns when ctx is done
// or the store has failed.
func (db *DB) TrimTokens(ctx context.Context, log *slog.Logger) error {
	told := false
	return db.streams.Clock().Every(ctx, tokenTrimEvery, nil, func() error {
		now, ageing := db.streams.Clock().Now()
		if !ageing {
			return nil
		}
		n, err := db.trimTokens(now)
		if err := store.Spare(log, &told, "client tokens do not all expire", err); err != nil {
			return err
		}
		if n > 0 {
			log.Debug("removed expired client tokens", "tokens", n)
		}
		return nil
	})
}

// trimTokens removes the tokens that have expired by now, in pieces.
func (db *DB) trimTokens(now time.Time) (removed int, err error) {
	lower := []byte{store.SpaceToken, tokenExpiry}
	upper := tokenExpiryKey(now.UnixMilli()+1, nil)
	for {
		keys, err := db.rangeKeys(lower, upper, tokenTrimPiece)
		if err != nil || len(keys) == 0 {
			return removed, err
		}
		n, err := db.removeTokens(keys)
		if err != nil {
			return removed, err
		}
		removed += n
		lower = append(keys[len(keys)-1], 0)
	}
}

// rangeKeys returns the first n keys of a range.
func (db *DB) rangeKeys(lower, upper []byte, n int) (keys [][]byte, err error) {
	it, err := db.store.NewIter(lower, upper)
	if err != nil {
		return nil, err
	}
	defer it.Close()
	for ok := it.First(); ok && len(keys) < n; ok = it.Next() {
		keys = append(keys, bytes.Clone(it.Key()))
	}
	return keys, it.Close()
}

// removeTokens removes the tokens of expiry keys. A token that was used again
// since has a row that lives on; one that is in use now is left for the next round.
func (db *DB) removeTokens(keys [][]byte) (removed int, err error) {
	const prefix = 1 + 1 + 8
	b := db.store.NewBatch()
	defer b.Close()
	for _, key := range keys {
		suffix := key[prefix:]
		if !db.tokens.begin(suffix) {
			continue
		}
		defer db.tokens.end(suffix)
		v, found, err := db.store.Get(nil, tokenKey(suffix))
		if err != nil {
			return 0, err
		}
		if found {
			_, expiry, _, err := decodeToken(v)
			if err != nil {
				return 0, err
			}
			if bytes.Equal(tokenExpiryKey(expiry, suffix), key) {
				b.Delete(tokenKey(suffix))
				removed++
			}
		}
		b.Delete(key)
	}
	return removed, db.store.Write(b)
}
