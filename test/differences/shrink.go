package differences

import (
	"context"
	"fmt"
	"slices"
)

// Shrink leaves out requests before, and members of, the one at which an episode
// goes wrong, as long as the last request is still answered differently, without an
// explanation. It returns what is left, the last request being the one.
func Shrink(ctx context.Context, o Options, d *Difference) ([]*Request, *Difference, error) {
	client, account := newClient(), 900
	left := requests(o.Seed, d.Episode, o.Features)[:d.Index+1]
	fails := func(requests []*Request) (*Difference, error) {
		account++ // each time another, in which no table was seen
		p := newPlayer(o.Millstream, o.Others[0], account, client, newReport(o.Features))
		p.mine.salt, p.other.salt = fmt.Sprint(account), fmt.Sprint(account)
		found, err := p.play(ctx, requests)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if f.Index == len(requests)-1 && len(f.Classes) == 0 {
				return f, nil
			}
		}
		return nil, nil
	}
	last, err := fails(left)
	if err != nil || last == nil {
		return left, last, err
	}
	for size := len(left) / 2; size > 0; size /= 2 {
		for at := 0; at+size < len(left); {
			shorter := slices.Concat(left[:at], left[at+size:])
			if found, err := fails(shorter); err != nil {
				return left, last, err
			} else if found != nil {
				left, last = shorter, found
				continue
			}
			at += size
		}
	}
	for again := true; again; {
		again = false
		for _, smaller := range smaller(left[len(left)-1]) {
			tried := append(slices.Clone(left[:len(left)-1]), smaller)
			if found, err := fails(tried); err != nil {
				return left, last, err
			} else if found != nil {
				left, last, again = tried, found, true
				break
			}
		}
	}
	return left, last, nil
}

// smaller returns the request with one member less, once for each, two levels deep.
func smaller(r *Request) []*Request {
	var out []*Request
	for _, name := range names(r.Body) {
		less := *r
		less.Body = copyTree(r.Body).(object)
		delete(less.Body, name)
		out = append(out, &less)
		if inner, ok := r.Body[name].(object); ok {
			for _, member := range names(inner) {
				less := *r
				less.Body = copyTree(r.Body).(object)
				delete(less.Body[name].(object), member)
				out = append(out, &less)
			}
		}
	}
	return out
}
