// The tables, and how many changes a second each has: the difference of two looks.
import { useRef, useEffect } from './vendor/htm-preact.js';
import { own } from './api.js';
import { useAsked } from './parts.js';

const every = 5000;

// useTables are the tables whose names have a text in them: {value: {tables, all, rates}, error}. rates are changes a second by name, once there were
// two looks. While the page is not looked at nothing is asked.
export function useTables(find = '', limit) {
  const before = useRef(new Map());
  const asked = useAsked(async () => {
    const a = await own('tables', { find, limit }), now = performance.now(), rates = {};
    for (const t of a.tables) {
      const was = before.current.get(t.name), n = t.changes ?? 0;
      if (t.stream && was && n >= was.n) rates[t.name] = (n - was.n) / ((now - was.at) / 1000);
      before.current.set(t.name, { at: now, n });
    }
    return { ...a, rates };
  }, [find, limit]);
  useEffect(() => {
    // The second look comes sooner, so that one need not wait for a rate.
    const again = () => { if (!document.hidden) asked.reload(); }, soon = setTimeout(again, 1500), timer = setInterval(again, every);
    return () => { clearTimeout(soon); clearInterval(timer); };
  }, [find, limit]);
  return asked;
}
