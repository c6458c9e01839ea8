// What became of records: what each trigger has made of one, and which calls have failed.
import { html, useEffect } from './vendor/htm-preact.js';
import { own } from './api.js';
import { useAsked, Problem } from './parts.js';
import { clock, keyText } from './values.js';

// mark says how a record stands with a trigger: a sign, a word and how bad that is.
const marks = {
  taken: ['✓', 'taken', 'ok'], 'filtered out': ['–', 'filtered out', 'dim'], skipped: ['–', 'skipped', 'dim'], ended: ['✓', 'passed', 'dim'], waits: ['…', 'waits', 'dim'],
  fails: ['✗', 'fails, and is tried again', 'badt'], held: ['✗', 'held', 'warnt'], telling: ['✗', 'given up, the destination is to be told', 'warnt'], parked: ['✗', 'parked', 'warnt'],
  dropped: ['✗', 'dropped', 'badt'], destination: ['✗', 'given up, the destination was told', 'warnt'], removed: ['✗', 'removed before it was read', 'badt'],
};
const unsettled = new Set(['waits', 'fails', 'held', 'telling']);

// Passed lists which triggers a record of a table's stream has passed, and how; while some have not it asks again. but: a trigger of which all is said.
export function Passed({ table, number, but }) {
  const asked = useAsked(() => own('passed', { table, number }), [table, number]);
  const list = (asked.value?.triggers ?? []).filter((o) => o.uuid !== but), waits = list.some((o) => unsettled.has(o.outcome));
  useEffect(() => {
    if (!waits) return undefined;
    const timer = setInterval(() => { if (!document.hidden) asked.reload(); }, 2000);
    return () => clearInterval(timer);
  }, [waits, table, number]);
  if (asked.error) return html`<${Problem} error=${asked.error} />`;
  if (!asked.value) return html`<p class="dim">Asking the triggers …</p>`;
  if (list.length === 0) return but ? null : html`<p class="dim">No trigger reads this table.</p>`;
  return html`<ul class="passed" aria-label="what the triggers have made of it"><li class="dim">What ${but ? 'other' : 'its'} triggers have made of it:</li>${list.map((o) => {
    const [sign, word, level] = marks[o.outcome] ?? ['?', o.outcome, 'dim'], aside = ['held', 'telling', 'parked'].includes(o.outcome);
    return html`<li key=${o.uuid}><a class="mono" href=${(aside ? '#/parked/' : '#/trigger/') + o.uuid}>${o.function}</a> <span class=${level}>${sign} ${word}</span>
      ${o.attempts > 0 && html` <span class="dim">${o.attempts === 1 ? '1 attempt' : o.attempts + ' attempts'}</span>`} <span class="mono dim">${[o.reason, o.error].filter(Boolean).join(': ')}</span></li>`;
  })}</ul>`;
}

export const verdict = (v) => `${v.failed} failed${v.attempt ? `, attempt ${v.attempt}${v.of ? ` of ${v.of}` : ''}` : ''}: ${v.then}${v.retryAt ? ' at ' + clock(v.retryAt) : ''}`;

// Failures lists calls of a trigger that have failed. of: only those that are about a record, by its number; again: ask anew when it changes.
export function Failures({ t, of, again }) {
  const asked = useAsked(() => own(`triggers/${t.uuid}/failures`), [t.uuid, of, again]);
  const list = (asked.value?.failures ?? []).filter((f) => !of || f.sequenceNumber === of);
  if (asked.error) return html`<${Problem} error=${asked.error} />`;
  if (list.length === 0) return of ? null : html`<p class="dim">${asked.value ? 'None since the server started.' : 'Asking the server …'}</p>`;
  return html`<table aria-label="calls that failed"><thead><tr><th>At</th>${!of && html`<th>Item</th>`}<th>What followed</th><th>Error</th><th>Log</th></tr></thead><tbody>${list.map((f) => html`<tr key=${f.at + f.requestId}><td>${clock(f.at)}</td>
    ${!of && html`<td class="mono">${keyText(f.keys) || f.sequenceNumber}</td>`}<td>${verdict(f)}</td><td class="mono">${f.error}</td><td class="mono">${f.requestId && html`<a href=${`#/function/${encodeURIComponent(t.function)}/${f.requestId}`} title=${f.requestId}>${f.requestId.slice(0, 8)}</a>`}</td></tr>`)}</tbody></table>`;
}

// Notes are what people have dropped and given up of a trigger's.
export const Notes = ({ t }) => (t.notes ?? []).length > 0 && html`<h2>Dropped and given up by people</h2><ul class="passed">${[...t.notes].reverse().map((n) => html`<li key=${n.at}>${clock(n.at)}: ${n.records} ${n.what}${n.reason ? html`: <span>${n.reason}</span>` : html` <span class="dim">without a reason</span>`}</li>`)}</ul>`;
