// Package console drives the console in a real browser, as a person would: by what is to be seen.
//
// It needs Chromium (CHROMIUM names it) and a Millstream (MILLSTREAM_BIN). CONSOLE_SHOTS names a folder for a picture of each page at two
// widths in both themes; AXE a file with axe-core, which is asked for what a screen reader would miss.
package console
