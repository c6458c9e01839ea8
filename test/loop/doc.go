// Package loop tests the whole loop in one process: tables, streams, the
// trigger engine and its local backend over one store, on disks that crash. It
// holds no code of the product.
//
// A round is a chain of lives of one database, drawn from a seed. In each life
// writers, control operations and functions that succeed, fail, dawdle, hang or
// are not there run at once; at a moment of chance the disk is copied as a crash
// would leave it, and the next life begins from the copy. The last life is left to
// settle. Everything that anybody was told is noted with the order in which it was
// told, and judged against the log that the last life holds.
//
// Everything runs in testing/synctest bubbles: waits cost nothing, and "at once"
// means in the same instant of fake time.
package loop
