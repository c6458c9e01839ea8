// A table's changes as they come.
import { html, useState, useEffect, useRef } from './vendor/htm-preact.js';
import { streams, lines } from './api.js';
import { Change, Search, Problem } from './parts.js';
import { keyText, clock } from './values.js';

const kept = 500;

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
  const [open, setOpen] = useState(null);
  const waiting = useRef([]), still = useRef(false), error = useRef(null);
  still.current = paused;
  useEffect(() => {
    const end = new AbortController();
    waiting.current = [];
    error.current = null;
    set({ records: [], missed: 0 });
    lines('tail', { table, from }, end.signal, (c) => {
      waiting.current.push(c.record);
      if (waiting.current.length > 4 * kept) waiting.current.splice(0, waiting.current.length - 4 * kept);
    }, () => set((s) => ({ ...s, listening: true }))).then(() => { error.current = new Error('The server has ended this. Load the page again to go on.'); }, (e) => { if (e.name !== 'AbortError') error.current = e; });
    // Many changes a second are drawn four times a second.
    const timer = setInterval(() => {
      if (still.current || (waiting.current.length === 0 && !error.current)) return;
      const news = waiting.current.reverse();
      waiting.current = [];
      set((s) => ({ ...s, error: error.current, records: [...news, ...s.records].slice(0, kept) }));
    }, 250);
    return () => { end.abort(); clearInterval(timer); };
  }, [table, from]);
  const found = at.records.filter((r) => (!kind || r.eventName === kind) && (!text || JSON.stringify(r.dynamodb).toLowerCase().includes(text.toLowerCase())));
  return html`<div class="card"><h1>Changes of <span class="mono">${table}</span></h1><div class="bar">
      <button aria-pressed=${paused} onClick=${() => setPaused(!paused)}>${paused ? 'Go on' : 'Pause'}</button>
      <select aria-label="from" value=${from} onChange=${(e) => setFrom(e.target.value)}><option value="latest">from now on</option><option value="15m">from 15 minutes ago</option><option value="1h">from an hour ago</option><option value="horizon">from the oldest that is kept</option>${moment && html`<option value=${moment}>from a moment</option>`}</select>
      <input type="datetime-local" step="1" aria-label="from a moment" onChange=${(e) => { const at = e.target.value && new Date(e.target.value).toISOString(); setMoment(at); setFrom(at || 'latest'); }} />
      <select aria-label="kind" value=${kind} onChange=${(e) => setKind(e.target.value)}><option value="">all kinds</option>${['INSERT', 'MODIFY', 'REMOVE'].map((k) => html`<option value=${k}>${k}</option>`)}</select>
      <${Search} value=${text} set=${setText} label="Find in keys and values" /><span class="dim">${found.length} of the newest ${at.records.length}</span></div>
    <${Problem} error=${at.error} />
    ${at.records.length === 0 && !at.error && html`<p class="dim">${at.listening ? `Waiting for changes of ${table} …` : 'Asking the server …'}</p>`}
    <ul class="changes">${found.map((r) => {
      const id = r.dynamodb.SequenceNumber;
      return html`<li key=${id}><button class="line" aria-expanded=${open === id} onClick=${() => setOpen(open === id ? null : id)}>
        <span class="dim">${clock(r.dynamodb.ApproximateCreationDateTime * 1000)}</span> <span class=${'kind ' + r.eventName}>${r.eventName}</span> <span class="mono">${keyText(r.dynamodb.Keys)}</span></button>
        ${open === id && html`<${Change} record=${r} />`}</li>`;
    })}</ul></div>`;
}
