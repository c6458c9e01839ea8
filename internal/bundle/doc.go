// Package bundle builds functions from TypeScript and modern JavaScript, with esbuild as a library: no npm package and no
// other program is needed. Each entry point becomes one file for Node.js with all that it imports, and a source map beside
// it, by which Node.js names the lines of the source in errors.
//
// What holds:
//
//   - Types are not checked: esbuild removes them. `tsc --noEmit` is who checks.
//   - Nothing is written: the files of a build are returned.
//   - The same source in the same folder gives the same bytes.
//   - A build that fails names every file and line that is wrong.
//
// It imports no other room.
package bundle
