// Which stack things belong to, as those who deployed them have told the server.
import { own } from './api.js';
import { useAsked } from './parts.js';

const kinds = [['EventSourceMapping', 'trigger'], ['Function', 'function'], ['Table', 'table'], ['Queue', 'queue']];

// useStacks are the names of stacks by what they have made: 'table orders' → 'shop'. Where they cannot be asked for there are none.
export function useStacks() {
  const asked = useAsked(async () => {
    const of = new Map();
    for (const s of (await own('deployments')).stacks) for (const r of s.resources) {
      const kind = kinds.find(([word]) => r.type.includes(word))?.[1];
      if (kind) of.set(`${kind} ${r.ref}`, s.name);
    }
    return of;
  }, []);
  return asked.value ?? new Map();
}

const stackOf = (stacks, t) => stacks.get('trigger ' + t.uuid) ?? stacks.get('function ' + t.function) ?? stacks.get(t.queue ? 'queue ' + t.queue : 'table ' + t.table) ?? '';

// groups are triggers by their stacks, in the order in which they are given; those of none come last.
export function groups(triggers, stacks) {
  const by = new Map();
  for (const t of triggers) {
    const name = stackOf(stacks, t);
    by.set(name, [...(by.get(name) ?? []), t]);
  }
  return [...by].map(([name, list]) => ({ name, list })).sort((a, b) => (a.name === '') - (b.name === ''));
}
