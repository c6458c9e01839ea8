// Package backup holds tests of backups of a server under load, as an operator makes
// them: through the wire and the place, and back into a folder that opens.
package backup
