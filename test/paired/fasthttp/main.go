// Command fasthttp answers every request with the same bytes, by fasthttp: what a server could do that does nothing. It is a module of its own, so
// that Millstream does not depend on it.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"strings"

	"github.com/valyala/fasthttp"
)

func main() {
	size := flag.Int("bytes", 1100, "of an answer's body")
	flag.Parse()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	body := []byte(strings.Repeat("x", *size))
	fmt.Printf("fasthttp serves http://%s\n", listener.Addr())
	log.Fatal(fasthttp.Serve(listener, func(ctx *fasthttp.RequestCtx) {
		ctx.SetContentType("application/x-amz-json-1.0")
		ctx.SetBody(body)
	}))
}
