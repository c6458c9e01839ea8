// Package archive unpacks function packages. A zip comes from outside and is
// taken for hostile: sizes are counted on the real bytes, never believed from a
// header, every path is confined to the target folder, and only plain files,
// folders and symbolic links that stay inside are made.
//
// It also reads whom an executable was built for, so that a foreign one is refused
// when the function is made and not when it first runs.
package archive
