// Package console is the page for people: it keeps out who has no session, hands the page's questions on to the server as any client would
// ask them, and remembers a quarter of an hour of what triggers did, for the charts.
//
// It has no rule of its own and can do nothing that the command line cannot. What the page asks goes through the server's own handler:
// Millstream's protocol as the owner of the data, AWS's protocols signed with the owner's credentials.
//
// One gets in by a link with a token that is good once, and has a session then: a cookie that no script can read and that no other site's
// page sends. What changes anything must come from the page itself, by the Origin that a browser adds. The page may load nothing but what
// is embedded here (Content-Security-Policy), and shows everything that comes from data as text.
//
// The assets stand in the folder assets, as they are: nothing is built. assets/vendor has what was not written here, with its licences
// and checksums.
//
// It imports of the project only package admin/wire, which has the protocol's documents.
package console
