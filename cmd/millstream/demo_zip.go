package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"os"
)

// maxZip is how large a function's zip may be in CreateFunction, on AWS and here.
const maxZip = 50 << 20

// zipSelf returns a function's zip whose bootstrap is this program.
func zipSelf() ([]byte, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	program, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer program.Close()

	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	// Half the size in a fraction of a second; better compression would take longer
	// than the whole demo.
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	header.SetMode(0o755)
	w, err := z.CreateHeader(header)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(w, program); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	if buf.Len() > maxZip {
		return nil, fmt.Errorf("this program is %d MB zipped, and a function's zip may have 50: build it with -ldflags '-s -w'", buf.Len()>>20)
	}
	return buf.Bytes(), nil
}
