// Small parts that pages share.
import { html, useState, useEffect } from './vendor/htm-preact.js';
import { diff, clock, keyText, bytes, span } from './values.js';
import { writeItem } from './plain.js';

// useAsked asks once for each key, and again on reload(): {value, error, busy, reload}.
export function useAsked(ask, keys = []) {
  const [at, set] = useState({ busy: true });
  const [n, again] = useState(0);
  useEffect(() => {
    let gone = false;
    set((s) => ({ ...s, busy: true }));
    ask().then((value) => gone || set({ value }), (error) => gone || set({ error }));
    return () => { gone = true; };
  }, [...keys, n]);
  return { ...at, reload: () => again((k) => k + 1) };
}

export const Problem = ({ error }) => error ? html`<p class="problem" role="alert">${error.code ? html`<b>${error.code}</b> ` : ''}${error.message}</p>` : null;

// Act is a button that does something with the server, once at a time, and tells what came of it. ask: what to confirm first; reason: run is
// given a text, which people read later, that one may type then.
export function Act({ children, run, ask, reason, done, primary, danger, disabled, label }) {
  const [at, set] = useState({});
  const [why, say] = useState('');
  const go = async () => {
    set({ busy: true });
    try {
      const said = await run(why.trim());
      say('');
      set({ said });
      done?.();
    } catch (error) { set({ error }); }
  };
  if (at.sure) {
    return html`<span class="sure" role="group" aria-label="confirm">${at.sure} ${reason && html`<input aria-label="reason" maxlength="200" placeholder="reason, for those who ask later" value=${why} onInput=${(e) => say(e.target.value)} />`}<button class=${danger ? 'danger' : 'pri'} onClick=${go}>Yes</button> <button onClick=${() => set({})}>No</button></span>`;
  }
  const start = async () => {
    if (!ask) return go();
    set({ busy: true });
    try { set({ sure: typeof ask === 'function' ? await ask() : ask }); } catch (error) { set({ error }); }
  };
  return html`<span class="act"><button class=${primary ? 'pri' : danger ? 'danger' : ''} disabled=${disabled || at.busy} aria-label=${label} onClick=${start}>${at.busy ? '…' : children}</button>
    ${at.error && html`<span class="badt" role="alert"> ${at.error.message}</span>`}${typeof at.said === 'string' && html`<span class="dim" role="status"> ${at.said}</span>`}</span>`;
}

// Diff shows an item before and after a change: side by side where there is room and both are there, one below the other else.
export function Diff({ before, after }) {
  const lines = diff(writeItem(before), writeItem(after)), cells = [];
  const line = (mark, text, again) => html`<div class=${mark === '-' ? 'del' : mark === '+' ? 'add' : again ? 'again' : ''} aria-hidden=${again}><span class="mark">${mark === '-' ? '−' : mark}</span> ${text}</div>`;
  if (!before || !after) return html`<div class="diff" role="group" aria-label="the change">${lines.map(([mark, text]) => line(mark, text))}</div>`;
  for (let i = 0; i < lines.length;) {
    const runs = { '-': [], '+': [] };
    for (; i < lines.length && lines[i][0] !== ' '; i++) runs[lines[i][0]].push(lines[i]);
    for (let n = 0; n < Math.max(runs['-'].length, runs['+'].length); n++) {
      for (const mark of '-+') cells.push(runs[mark][n] ? line(...runs[mark][n]) : html`<div class="again"></div>`);
    }
    if (i < lines.length) cells.push(line(...lines[i]), line(' ', lines[i++][1], true));
  }
  return html`<div class="diff two" role="group" aria-label="the change">${cells}</div>`;
}

// Change shows a record of a stream as a Lambda event carries it.
export function Change({ record }) {
  const d = record?.dynamodb;
  if (!d) return html`<pre class="mono">${JSON.stringify(record, null, 2)}</pre>`;
  return html`<p class="dim">${record.eventName} ${keyText(d.Keys)} · ${clock(d.ApproximateCreationDateTime * 1000)} · ${bytes(d.SizeBytes ?? 0)}
    ${record.userIdentity ? ' · removed by time to live' : ''}</p>
    ${d.OldImage || d.NewImage ? html`<${Diff} before=${d.OldImage} after=${d.NewImage} />` : html`<p class="dim">The stream carries keys only.</p>`}`;
}

// Chart draws points [ms, value] over a quarter of an hour, or over what there is when that is less, but a minute at least.
export function Chart({ points, label, unit = String, tone = 'water', small }) {
  const w = small ? 120 : 420, h = small ? 30 : 110, now = points.length ? points[points.length - 1][0] : 0;
  const start = points.length ? Math.max(now - 15 * 60 * 1000, Math.min(points[0][0], now - 60 * 1000)) : 0;
  const top = Math.max(1e-9, ...points.map((p) => p[1]));
  const x = (t) => Math.max(0, (t - start) / (now - start || 1)) * w, y = (v) => h - 2 - v / top * (h - 4);
  // As many points as there are places; of those that fall together the highest counts, since a peak is what one looks for.
  const places = new Map();
  for (const [t, v] of points) { const k = Math.round(x(t)); places.set(k, Math.max(places.get(k) ?? 0, v)); }
  const line = [...places].map(([k, v]) => `${k},${y(v).toFixed(1)}`).join(' ');
  const last = points.length ? points[points.length - 1][1] : 0;
  const text = `${label}: now ${unit(last)}, at most ${unit(points.length ? top : 0)}`;
  return html`<figure class=${small ? 'spark' : 'chart'}><svg viewBox="0 0 ${w} ${h}" preserveAspectRatio="none" role="img" aria-label=${text}><polyline class=${tone} points=${line} /></svg>
    ${!small && html`<figcaption>${label} <b>${unit(last)}</b> <span class="dim">at most ${unit(points.length && top > 1e-8 ? top : 0)} in ${points.length ? span(Math.round((now - start) / 1000)).replace(/ 0 s$/, 'in') : '15 min'}</span></figcaption>`}</figure>`;
}

// Copy puts a text on the clipboard; where the browser does not let it, the text is shown.
export function Copy({ text, children }) {
  const [at, set] = useState('');
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      set('Copied');
      setTimeout(() => set(''), 1500);
    } catch { set(text); }
  };
  return html`<button onClick=${copy}>${at === 'Copied' ? at : children}</button>${at && at !== 'Copied' && html`<code>${at}</code>`}`;
}

// save offers a text as a file.
export function save(parts, name) {
  const a = document.createElement('a');
  a.href = URL.createObjectURL(new Blob(parts, { type: 'text/plain' }));
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 60000);
}

// Views are the ways from one view of a table to another. at: the one that is shown.
const views = [['table', 'Items'], ['stream', 'Stream'], ['settings', 'Settings']];
export const Views = ({ table, at, streamed = true }) => html`<div class="bar" role="group" aria-label="views of the table">${views.filter(([page]) => page !== 'stream' || streamed).map(([page, word]) =>
  html`<a class="button" aria-current=${page === at ? 'page' : undefined} href=${`#/${page}/${encodeURIComponent(table)}`}>${word}</a>`)}</div>`;

// Search is a field that narrows a list.
export const Search = ({ value, set, label }) => html`<input type="search" placeholder=${label} aria-label=${label} value=${value} onInput=${(e) => set(e.target.value)} />`;
