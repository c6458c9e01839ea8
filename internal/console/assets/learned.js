// What functions write to, learned from what happens: for a moment now and then the server is asked to tell of each write, which costs
// it something while it lasts.
import { lines } from './api.js';
import { tablesOf } from './trees.js';

const listens = 2000, pauses = 20000;
export const writes = new Map(); // function → Set of tables and queues

let started = false;
export function learn() {
  if (started) return;
  started = true;
  (async () => {
    for (;;) {
      if (!document.hidden) {
        const by = new Map(); // call → tables, until the call has ended and says of which function it was
        const end = new AbortController();
        const timer = setTimeout(() => end.abort(), listens);
        try {
          await lines('activity', null, end.signal, (e) => {
            if (e.kind === 'write' && e.by && e.status < 300) {
              const to = by.get(e.by) ?? new Set();
              tablesOf(e.body).forEach((t) => to.add(t));
              by.set(e.by, to);
            }
            if (e.kind === 'call' && by.has(e.id)) {
              const known = writes.get(e.name) ?? new Set();
              by.get(e.id).forEach((t) => known.add(t));
              writes.set(e.name, known);
              by.delete(e.id);
            }
          });
        } catch { /* the time was up, or the server is down */ }
        clearTimeout(timer);
      }
      await new Promise((r) => setTimeout(r, pauses));
    }
  })();
}
