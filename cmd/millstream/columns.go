package main

import (
	"bytes"
	"io"
	"os"
	"text/tabwriter"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// columns is a table whose cells are separated by tabs. On a terminal its lines are cut at the edge, since a table whose
// lines are wrapped cannot be read; to a file or a pipe they go whole.
type columns struct {
	out   io.Writer
	width int // 0: without an edge
	text  bytes.Buffer
	tabs  *tabwriter.Writer
}

func newColumns(out io.Writer) *columns { return newColumnsOf(out, widthOf(out)) }

func newColumnsOf(out io.Writer, width int) *columns {
	c := &columns{out: out, width: width}
	c.tabs = tabwriter.NewWriter(&c.text, 0, 0, 2, ' ', 0)
	return c
}

func (c *columns) Write(p []byte) (int, error) { return c.tabs.Write(p) }

// Flush prints the table.
func (c *columns) Flush() error {
	if err := c.tabs.Flush(); err != nil {
		return err
	}
	for line := range bytes.Lines(c.text.Bytes()) {
		if _, err := io.WriteString(c.out, cutTo(string(bytes.TrimRight(line, " \n")), c.width)+"\n"); err != nil {
			return err
		}
	}
	c.text.Reset()
	return nil
}

// cutTo cuts a line that has more characters than width; 0: it never does.
func cutTo(line string, width int) string {
	if width == 0 || utf8.RuneCountInString(line) <= width {
		return line
	}
	return string([]rune(line)[:width-1]) + "…"
}

// widthOf is the width of a terminal in characters; 0 when out is none.
func widthOf(out io.Writer) int {
	file, ok := out.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col < 20 {
		return 0
	}
	return int(size.Col)
}

// short is a UUID's beginning where the whole would not fit: commands take beginnings.
func (c *columns) short(uuid string) string {
	const roomy = 120
	if c.width > 0 && c.width < roomy && len(uuid) == 36 {
		return uuid[:8]
	}
	return uuid
}
