// Package nodes runs a server and three nodes over its tables (serve --tables) as processes, deploys to them with AWS's SDK, and kills and
// restarts them under writes.
package nodes
