package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// columns is a table whose cells are separated by tabs, a line each. On a terminal it fits the width and loses nothing: its
// last column goes on below itself, and what does not fit beside the first columns stands below them.
type columns struct {
	out   io.Writer
	width int // 0: without an edge
	red   bool
	text  bytes.Buffer
	lost  map[int]bool // lines to be red
}

func newColumns(out io.Writer) *columns {
	c := newColumnsOf(out, widthOf(out))
	c.red, _ = colors("auto", out) // auto is a value that it knows
	return c
}

func newColumnsOf(out io.Writer, width int) *columns {
	return &columns{out: out, width: width, lost: map[int]bool{}}
}

func (c *columns) Write(p []byte) (int, error) { return c.text.Write(p) }

// failed has the line that was written last be red, where there are colours.
func (c *columns) failed() { c.lost[bytes.Count(c.text.Bytes(), []byte("\n"))-1] = true }

// between is the space between two columns, and below the indentation of those that stand below the first.
const (
	between = 2
	below   = 4
)

// Flush prints the table.
func (c *columns) Flush() error {
	var rows [][]string
	var widths []int
	for line := range strings.Lines(c.text.String()) {
		cells := strings.Split(strings.TrimRight(line, " \n"), "\t")
		rows = append(rows, cells)
		if len(cells) == 1 {
			continue // a line of its own, such as an empty one
		}
		for i, cell := range cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	breaks := c.breaks(widths)
	var b strings.Builder
	for i, cells := range rows {
		text := c.row(cells, widths, breaks)
		if c.red && c.lost[i] {
			text = "\x1b[31m" + strings.TrimSuffix(text, "\n") + "\x1b[0m\n"
		}
		b.WriteString(text)
	}
	c.text.Reset()
	clear(c.lost)
	_, err := io.WriteString(c.out, b.String())
	return err
}

// breaks reports before which columns a new line begins, since they do not fit beside those before.
func (c *columns) breaks(widths []int) map[int]bool {
	breaks := map[int]bool{}
	if c.width == 0 {
		return breaks
	}
	at := 0
	for i, w := range widths {
		if i == len(widths)-1 {
			w = min(w, narrow) // it can go on below itself
		}
		if i > 0 && at+w > c.width {
			breaks[i], at = true, below
		}
		at += w + between
	}
	return breaks
}

// narrow is what the last column needs to be read.
const narrow = 30

// row is a line of a table.
func (c *columns) row(cells []string, widths []int, breaks map[int]bool) string {
	var b strings.Builder
	at := 0
	for i, cell := range cells {
		if breaks[i] {
			trimmed := strings.TrimRight(b.String(), " ")
			b.Reset()
			b.WriteString(trimmed + "\n" + strings.Repeat(" ", below))
			at = below
		}
		if i == len(cells)-1 {
			b.WriteString(wrap(cell, c.width-at, at))
			break
		}
		pad := widths[i] - utf8.RuneCountInString(cell) + between
		b.WriteString(cell + strings.Repeat(" ", pad))
		at += widths[i] + between
	}
	return strings.TrimRight(b.String(), " ") + "\n"
}

// wrap breaks a text at its spaces into lines of so many characters, the later ones indented. A word that is longer is cut in two.
// Where there is no room to speak of, the text is left as it is.
func wrap(text string, room, indent int) string {
	const least = 10
	if room < least || utf8.RuneCountInString(text) <= room {
		return text
	}
	var b strings.Builder
	for rest := []rune(text); len(rest) > 0; {
		n := min(room, len(rest))
		if n < len(rest) {
			for i := n; i > room/2; i-- {
				if rest[i] == ' ' {
					n = i
					break
				}
			}
		}
		if b.Len() > 0 {
			b.WriteString("\n" + strings.Repeat(" ", indent))
		}
		b.WriteString(strings.TrimRight(string(rest[:n]), " "))
		rest = rest[n:]
		for len(rest) > 0 && rest[0] == ' ' {
			rest = rest[1:]
		}
	}
	return b.String()
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
