// What the server does, as trees: a request or a write from outside, the calls it made, what those wrote, and the triggers that fired.
// An event is told when it has ended, so what a call did comes before the call, and a fast call may come before the write that it is for.

// A tree that a function makes by writing to its own table has no end: what is deeper, or more, is a tree of its own.
const mostDeep = 12, mostNodes = 200;
const mostRoots = 300, mostWrites = 1000, mostWaiting = 1000, patience = 20000, soon = 2000;

export const tablesOf = (body) => itemsOf(body).map((i) => i.table).filter((t, i, all) => all.indexOf(t) === i);

// itemsOf are the tables, and the items or keys, that a write names.
export function itemsOf(body) {
  if (!body) return [];
  const one = (table, a) => ({ table, item: a.Item ?? a.Key });
  if (body.TableName) return [one(body.TableName, body)];
  if (body.QueueUrl) return [{ table: body.QueueUrl.split('/').pop() }];
  if (body.RequestItems) return Object.entries(body.RequestItems).flatMap(([table, all]) => (Array.isArray(all) ? all : []).map((r) => one(table, r.PutRequest ?? r.DeleteRequest ?? {})));
  return (body.TransactItems ?? []).flatMap((i) => Object.values(i).map((a) => one(a.TableName, a)));
}

// moment is a time to the nanosecond, as a text that sorts: times of one server have one zone.
const moment = (time) => time.replace(/(Z|[+-]\d\d:\d\d)$/, '');

const has = (item, keys) => item && Object.entries(keys).every(([name, v]) => Object.hasOwn(item, name) && JSON.stringify(item[name]) === JSON.stringify(v));

export class Trees {
  roots = []; // newest first
  byID = new Map(); // of requests and calls
  writes = []; // oldest first
  missed = 0; // events that came faster than they were read
  waiting = []; // events whose cause has not ended: {node, since}
  early = []; // calls that are trees of their own until the write that they are for has ended: {node, since}

  add(e, now) {
    if (e.kind === 'judged') {
      const of = this.byID.get(e.id);
      if (of) of.verdict = e.verdict;
      return;
    }
    if (e.kind === 'missed') {
      this.missed += e.records;
      return;
    }
    const node = { e, began: moment(e.began), kids: [], parent: null, items: e.kind === 'write' ? itemsOf(e.body) : [] };
    if (e.id) {
      this.byID.set(e.id, node);
      this.waiting = this.waiting.filter((w) => w.node.e.by !== e.id || (adopt(node, w.node) || this.root(w.node), false));
    }
    if (e.kind === 'write') {
      this.writes.push(node);
      if (this.writes.length > mostWrites) this.writes.shift();
      this.early = this.early.filter(({ node: call, since }) => now - since < soon && !call.gone && !(top(node) !== call && made(node, call.e.changes[0], call) && this.move(call, node)));
    }
    const parent = e.by ? this.byID.get(e.by) : e.changes?.length ? this.writeOf(e.changes[0], node) : undefined;
    if (parent && !top(parent).gone) adopt(parent, node) || this.root(node);
    else if (e.by && !parent) this.waiting.push({ node, since: now });
    else {
      this.root(node);
      if (!e.by && e.changes?.length) this.early.push({ node, since: now });
      if (this.early.length > mostWaiting) this.early.shift();
    }
    if (this.waiting.length > mostWaiting) this.root(this.waiting.shift().node);
  }

  // late makes trees of what has waited for its cause too long: that began before somebody looked.
  late(now) {
    while (this.waiting.length && now - this.waiting[0].since > patience) this.root(this.waiting.shift().node);
  }

  // move hangs a tree below the write that it is for.
  move(node, parent) {
    if (!adopt(parent, node)) return false;
    this.roots = this.roots.filter((r) => r !== node);
    return true;
  }

  root(node) {
    this.roots.unshift(node);
    if (this.roots.length > mostRoots) this.forget(this.roots.pop());
  }

  forget(node) {
    node.gone = true;
    if (this.byID.get(node.e.id) === node) this.byID.delete(node.e.id);
    node.kids.forEach((k) => this.forget(k));
  }

  // writeOf finds the newest write before a call that made a change, or sent a message.
  writeOf(change, call) {
    for (let i = this.writes.length - 1; i >= 0; i--) {
      const w = this.writes[i];
      if (top(w) === call) continue; // the call's own
      if (made(w, change, call)) return w;
    }
  }
}

// made: a write made a change, or sent a message, that a call is for.
const made = (w, change, call) => change.message ? w.e.sent?.includes(change.message)
  : w.e.status === 200 && w.began <= call.began && w.items.some((it) => it.table === change.table && has(it.item, change.keys ?? {}));

// adopt hangs a node below another, if there is room.
function adopt(parent, kid) {
  const above = top(parent);
  let deep = 0;
  for (let n = parent; n; n = n.parent) deep++;
  if (deep >= mostDeep || (above.size ?? 1) >= mostNodes) {
    parent.elsewhere = (parent.elsewhere ?? 0) + 1;
    return false;
  }
  above.size = (above.size ?? 1) + (kid.size ?? 1);
  kid.parent = parent;
  parent.kids.push(kid);
  return true;
}

function top(node) {
  while (node.parent) node = node.parent;
  return node;
}

export const failed = (node) => Boolean(node.e.error) || node.e.status >= 400 || node.e.failed?.length > 0;
export const some = (node, is) => is(node) || node.kids.some((k) => some(k, is));
