// Package admin answers /_millstream/v1, Millstream's own protocol: what its
// command line, console and test helpers need and AWS's protocols do not show.
//
// It decodes, asks the rooms and encodes; it has no rule of its own.
// The door in front of it (package server) keeps web pages out, which is why every
// request that is not a GET carries the header X-Millstream: 1.
//
// # Protocol
//
// All paths are below /_millstream/v1/. Answers are JSON documents; those of tail
// and logs are streams of JSON documents, one a line (application/x-ndjson),
// written as things happen. An empty line there says only that the server is still
// alive. region= and account= say in which scope a name is looked up; the server's
// own are used otherwise.
//
//	GET  version    {"version","go","protocol":1}
//	GET  status     Status
//	GET  tail       ?table=NAME or ?stream=ARN, &from=latest (default) or horizon:
//	                {"shard":"...","record":{...}}, the record as a Lambda event has it
//	GET  triggers   {"triggers":[Trigger...]} of all accounts and regions
//	GET  triggers/UUID     Trigger, with its shards
//	GET  logs       ?function=NAME (all of the scope when absent) &lines=N (default 100)
//	                &follow=1: LogLine
//	GET  shards     ?table=NAME or ?stream=ARN: Shards
//	POST shards/split  ?table=NAME, &shard=ID (in two) or &into=N: Shards as they then are
//	GET  parked     ?trigger=UUID, &kind=held, telling or parked, &key=KEY, &id=ID, &after=TIME, &before=TIME,
//	                &limit=N, &from=NEXT: AsideRecords
//	GET  parked/record     ?trigger=UUID&id=ID: AsideRecord, whole
//	POST parked/redrive    ?trigger=UUID, what chooses parked records as above, &function=NAME, &rate=N, &limit=N:
//	                Redriven, once all have been handed over
//	POST parked/drop       ?trigger=UUID, what chooses parked records as above: Redriven
//	POST settle     ?timeout=30s: waits until every enabled trigger has passed the head
//	                that its stream has now: {"settled":true,"waitedMs":3}, or after the
//	                timeout {"settled":false,"waitedMs":30000,"behind":[Trigger...]}
//	POST invoke     ?function=NAME, the body is the event: Invocation
//	GET  code/HASH  the zip of a function, which GetFunction's Code.Location names
//
// A failure is {"error":{"code","message"}}, with a status of 4xx or 5xx; once a
// stream has begun it is its last line.
package admin
