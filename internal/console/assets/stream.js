// A table's changes as they come.
import { html, useState, useEffect, useRef } from './vendor/htm-preact.js';
import { streams, lines } from './api.js';
import { Change, Search, Problem, Views } from './parts.js';
import { Passed } from './outcomes.js';
import { useLive } from './live.js';
import { keyText, clock } from './values.js';

// before is the order of sequence numbers, which are longer than JavaScript's numbers.
const isBefore = (a, b) => a.length !== b.length ? a.length < b.length : a < b;
// waitsFor are the functions whose triggers have not got past a record, as far as the positions of their shards say.
const waitsFor = (triggers, shard, number) => triggers.filter((t) => t.shards?.some((s) => s.shard === shard && !s.done && isBefore(s.position, number))).map((t) => t.function);

const kept = 500, before = 50;

// recordAt reads one record, as a Lambda event carries it.
export async function recordAt(streamArn, shard, number) {
  const { ShardIterator } = await streams('GetShardIterator', { StreamArn: streamArn, ShardId: shard, ShardIteratorType: 'AT_SEQUENCE_NUMBER', SequenceNumber: number });
  const { Records } = await streams('GetRecords', { ShardIterator, Limit: 1 });
  if (Records.length === 0) throw new Error('The record is not in the stream any more.');
  return Records[0];
}

export function Stream({ table }) {
  const [at, set] = useState({ records: [], missed: 0 });
  const [paused, setPaused] = useState(false);
  const [text, setText] = useState('');
  const [kind, setKind] = useState('');
  const [from, setFrom] = useState('latest');
  const [moment, setMoment] = useState('');
  const [typed, type] = useState('');
  const [when, setWhen] = useState('');
  const { state } = useLive();
  const triggers = (state?.triggers ?? []).filter((t) => t.table === table && t.state === 'Enabled');
  const [open, setOpen] = useState(null);
  const waiting = useRef([]), still = useRef(false), error = useRef(null);
  still.current = paused;
  useEffect(() => {
    const end = new AbortController();
    waiting.current = [];
    error.current = null;
    set({ records: [], missed: 0 });
    setPaused(false); // something else was asked for
    // From now on, below what is new stand the newest that were there before.
    const had = [];
    if (from === 'latest') lines('try', { table, last: before, when, filter: '{"eventName":["INSERT","MODIFY","REMOVE"]}' }, end.signal, (r) => r.record && r.matches && had.unshift({ ...r.record, shard: r.shard })).then(() => set((s) => {
      const known = new Set(s.records.map((r) => r.dynamodb.SequenceNumber));
      return { ...s, records: [...s.records, ...had.filter((r) => !known.has(r.dynamodb.SequenceNumber))] };
    }), () => {}); // what is wrong, tail says
    lines('tail', { table, from, when }, end.signal, (c) => {
      waiting.current.push({ ...c.record, shard: c.shard });
      if (waiting.current.length > 4 * kept) waiting.current.splice(0, waiting.current.length - 4 * kept);
    }, () => set((s) => ({ ...s, listening: true }))).then(() => { error.current = new Error('The server has ended this. Load the page again to go on.'); }, (e) => { if (e.name !== 'AbortError') error.current = e; });
    // Many changes a second are drawn four times a second.
    const timer = setInterval(() => {
      if (still.current || (waiting.current.length === 0 && !error.current)) return;
      const news = waiting.current.reverse();
      waiting.current = [];
      set((s) => {
        const known = new Set(s.records.slice(0, before).map((r) => r.dynamodb.SequenceNumber)); // one may come both ways
        return { ...s, error: error.current, some: true, records: [...news.filter((r) => !known.has(r.dynamodb.SequenceNumber)), ...s.records].slice(0, kept) };
      });
    }, 250);
    return () => { end.abort(); clearInterval(timer); };
  }, [table, from, when]);
  const found = at.records.filter((r) => (!kind || r.eventName === kind) && (!text || JSON.stringify(r.dynamodb).toLowerCase().includes(text.toLowerCase())));
  const waits = (r) => {
    if (!state || r.dynamodb.ApproximateCreationDateTime * 1000 > state.at - 2000) return ''; // the positions are a second old
    const of = waitsFor(triggers, r.shard, r.dynamodb.SequenceNumber);
    return of.length > 0 && html` <span class="dim">waits for ${of.length > 2 ? `${of.length} triggers` : of.join(' and ')}</span>`;
  };
  return html`<h1>Changes of <span class="mono">${table}</span></h1><${Views} table=${table} at="stream" /><div class="card"><div class="bar">
      <button aria-pressed=${paused} onClick=${() => setPaused(!paused)}>${paused ? 'Go on' : 'Pause'}</button>
      <select aria-label="from" value=${from} onChange=${(e) => setFrom(e.target.value)}><option value="latest">the newest, and what comes</option><option value="15m">from 15 minutes ago</option><option value="1h">from an hour ago</option><option value="horizon">from the oldest that is kept</option>${moment && html`<option value=${moment}>from a moment</option>`}</select>
      <label>or from <input type="datetime-local" step="1" aria-label="from a moment" onChange=${(e) => { const at = e.target.value && new Date(e.target.value).toISOString(); setMoment(at); setFrom(at || 'latest'); }} /></label>
      <select aria-label="kind" value=${kind} onChange=${(e) => setKind(e.target.value)}><option value="">all kinds</option>${['INSERT', 'MODIFY', 'REMOVE'].map((k) => html`<option value=${k}>${k}</option>`)}</select>
      <${Search} value=${text} set=${setText} label="Find in keys and values" /><span class="dim">${found.length} of the newest ${at.records.length}</span></div>
    <form class="bar" onSubmit=${(e) => { e.preventDefault(); setWhen(typed.trim()); }}><label class="grow">where <input class="wideinput mono" aria-label="condition on the change" value=${typed} onInput=${(e) => type(e.target.value)} placeholder="OLD.status <> NEW.status, NEW.total > 100, attribute_not_exists(OLD)" /></label>
      <button disabled=${typed.trim() === when}>Apply</button>${when && html`<button type="button" onClick=${() => { type(''); setWhen(''); }}>Clear</button>`}</form>
    <${Problem} error=${at.error} />
    ${!at.some && !at.error && html`<p class="dim">${at.listening ? `Waiting for changes of ${table} …${at.records.length > 0 ? ' The newest before now:' : ''}` : 'Asking the server …'}</p>`}
    ${at.records.length > 0 && found.length === 0 && html`<p class="dim">None of the newest ${at.records.length} matches. For earlier ones choose an earlier start.</p>`}
    <ul class="changes">${found.map((r) => {
      const id = r.dynamodb.SequenceNumber;
      return html`<li key=${id}><button class="line" aria-expanded=${open === id} onClick=${() => setOpen(open === id ? null : id)}>
        <span class="dim">${clock(r.dynamodb.ApproximateCreationDateTime * 1000)}</span> <span class=${'kind ' + r.eventName}>${r.eventName}</span> <span class="mono">${keyText(r.dynamodb.Keys)}</span></button>${waits(r)}
        ${open === id && html`<${Change} record=${r} /><${Passed} table=${table} number=${id} />`}</li>`;
    })}</ul></div>`;
}
