package door

import (
	"bytes"
	"encoding/binary"
)

// Request is a request of the door's kind. All of it is valid until it is answered.
type Request struct {
	Host, Target, Authorization, Date, AcceptEncoding []byte
	Trace, Token                                      []byte // X-Amzn-Trace-Id and X-Amz-Security-Token; nil: none
	Body                                              []byte
	Peer                                              *Peer // who has sent it
	Held                                              *Held // by the handler, for the body

	head   []byte // whole, with the line of the request
	length int    // of the body
}

// Headers calls f with each header as it came, without blanks around the value, until f returns false.
func (r *Request) Headers(f func(name, value []byte) bool) {
	for rest := r.head[len(requestLine):]; len(rest) > 2; {
		line := rest[:bytes.IndexByte(rest, '\n')+1]
		rest = rest[len(line):]
		colon := bytes.IndexByte(line, ':')
		if !f(line[:colon], bytes.Trim(line[colon+1:len(line)-2], " ")) {
			return
		}
	}
}

// Length is the length of the body in bytes, which is known before the body is there.
func (r *Request) Length() int { return r.length }

// verdict is what a head turns out to be.
type verdict byte

const (
	more verdict = iota // not all of it is there yet
	ours                // a request of the door's kind
	over                // anything else: net/http decides what it is
)

const (
	requestLine = "POST / HTTP/1.1\r\n"
	bodyType    = "application/x-amz-json-1.0"
	targetStart = "DynamoDB"
	maxLength   = 16 << 20
)

// read reads the head at the beginning of in, n bytes. Only what is beyond doubt is ours: each line ends with CRLF, is made of
// printable ASCII, is not folded, and no line that matters is there twice. So this reading can be no other than net/http's, nor
// that of a proxy before it.
func (r *Request) read(in []byte) (n int, v verdict) {
	if len(in) < len(requestLine) {
		if string(in) == requestLine[:len(in)] {
			return 0, more
		}
		return 0, over
	}
	if string(in[:len(requestLine)]) != requestLine {
		return 0, over
	}
	*r = Request{length: -1}
	typed, at := false, len(requestLine)
	for {
		end := bytes.IndexByte(in[at:], '\n')
		if end < 0 {
			return 0, more
		}
		line := in[at : at+end]
		at += end + 1
		if len(line) == 0 || line[len(line)-1] != '\r' {
			return 0, over
		}
		line = line[:len(line)-1]
		if len(line) == 0 {
			break
		}
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 || !printable(line) || !isName(line[:colon]) {
			return 0, over
		}
		var field *[]byte
		value := bytes.Trim(line[colon+1:], " ")
		switch name := line[:colon]; len(name) {
		case 4:
			if is(name, "host") {
				field = &r.Host
			}
		case 6:
			if is(name, "expect") || is(name, "origin") {
				return 0, over
			}
		case 7:
			if is(name, "upgrade") || is(name, "trailer") {
				return 0, over
			}
		case 10:
			if is(name, "x-amz-date") {
				field = &r.Date
			} else if is(name, "connection") && !is(value, "keep-alive") {
				return 0, over
			}
		case 12:
			if is(name, "x-amz-target") {
				field = &r.Target
			} else if is(name, "content-type") {
				if typed || string(value) != bodyType {
					return 0, over
				}
				typed = true
			}
		case 13:
			if is(name, "authorization") {
				field = &r.Authorization
			}
		case 14:
			if is(name, "content-length") {
				if r.length >= 0 {
					return 0, over
				}
				if r.length = length(value); r.length <= 0 {
					return 0, over
				}
			} else if is(name, "sec-fetch-site") {
				return 0, over
			}
		case 15:
			if is(name, "accept-encoding") {
				field = &r.AcceptEncoding
			} else if is(name, "x-amzn-trace-id") {
				field = &r.Trace
			}
		case 16:
			if is(name, "content-encoding") {
				return 0, over
			}
		case 17:
			if is(name, "transfer-encoding") || is(name, "x-millstream-wait") { // who waits may leave, which the door does not notice
				return 0, over
			}
		case 20:
			if is(name, "x-amz-security-token") {
				field = &r.Token
			}
		}
		if field != nil {
			if *field != nil || len(value) == 0 {
				return 0, over
			}
			*field = value
		}
	}
	if r.Host == nil || r.Authorization == nil || r.Date == nil || !typed || r.length < 0 ||
		!bytes.HasPrefix(r.Target, []byte(targetStart)) || !isHost(r.Host) {
		return 0, over
	}
	r.head = in[:at]
	return at, ours
}

// length reads a Content-Length; -1 for what is no number of at most maxLength.
func length(value []byte) int {
	if len(value) == 0 || len(value) > 8 {
		return -1
	}
	n := 0
	for _, c := range value {
		if c < '0' || c > '9' {
			return -1
		}
		n = 10*n + int(c-'0')
	}
	if n > maxLength {
		return -1
	}
	return n
}

// is compares with a name in small letters, without regard to case.
func is(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i := range len(name) {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != name[i] {
			return false
		}
	}
	return true
}

// printable reports whether line is made of ' ' to '~' only.
func printable(line []byte) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for len(line) >= 8 { // eight at once: is a byte above 0x7e, or below 0x20?
		x := binary.LittleEndian.Uint64(line)
		if ((x+ones)|x|(x-0x20*ones))&highs != 0 {
			return false
		}
		line = line[8:]
	}
	for _, c := range line {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// nameBytes are those of names of headers that are read here; hostBytes those of hosts.
var nameBytes, hostBytes = set("-_"), set("-_.:[]")

func set(further string) (s [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" + further) {
		s[c] = true
	}
	return s
}

func isName(b []byte) bool { return all(b, &nameBytes) }
func isHost(b []byte) bool { return all(b, &hostBytes) }

func all(b []byte, s *[256]bool) bool {
	for _, c := range b {
		if !s[c] {
			return false
		}
	}
	return true
}
