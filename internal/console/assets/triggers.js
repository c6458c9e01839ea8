// One trigger: how it is, where it stands, and what can be done with it.
import { html, useState, useRef } from './vendor/htm-preact.js';
import { useLive, series, perCall, title, source, condition, byTrouble, rates } from './live.js';
import { act, own, lambda } from './api.js';
import { Act, Chart, Search } from './parts.js';
import { Try } from './try.js';
import { Trouble, TriggerTable } from './loop.js';
import { ChangeTrigger } from './mapping.js';
import { Failures, Notes } from './outcomes.js';
import { Invoke } from './functions.js';
import { count, many, rate, span, millis, quantile, bytes } from './values.js';

export function Triggers() {
  const { state } = useLive();
  const [text, set] = useState('');
  if (!state) return html`<p class="wait">Asking the server …</p>`;
  const found = state.triggers.filter((t) => title(t).toLowerCase().includes(text.toLowerCase())).sort(byTrouble);
  return html`<h1>Triggers</h1><div class="bar"><${Search} value=${text} set=${set} label="Find a trigger" /><span class="dim">${count(found.length)} of ${count(state.triggers.length)}</span></div>
    <${TriggerTable} triggers=${found.slice(0, 300)} />`;
}

// What is counted, in words; a name that is not here is shown as it is.
const counted = { polled: 'records read', filteredOut: 'filtered out', invoked: 'records handed over', failedInvoke: 'records in failed attempts', invocations: 'calls', errors: 'failed calls',
  partialFailures: 'calls that failed in part', notDelivered: 'calls that came to nothing', bisected: 'batches cut in two', destinationFailures: 'failed deliveries to the destination', parkedExpired: 'parked, too old', losses: 'times that records may have been lost' };
// foretell says what would come of a move, before it is confirmed.
async function foretell(uuid, what, to) {
  const m = await own(`triggers/${uuid}/${what}`, { to }), n = m.records, one = n === 1;
  if (m.shards === 0) throw new Error('It is there already: nothing would change.');
  return what === 'rewind' ? `${many(n, 'record')} ${one ? 'comes' : 'come'} again, also what succeeded.` : `${many(n, 'record')} that ${one ? 'waits is' : 'wait are'} never delivered.`;
}
const move = async (uuid, what, to) => {
  const m = await act(`triggers/${uuid}/${what}`, { to });
  return what === 'rewind' ? `${many(m.records, 'record')} ${m.records === 1 ? 'comes' : 'come'} again` : `${count(m.records)} skipped`;
};
const invoked = (record) => JSON.stringify({ Records: [record] }, null, 2);

const setting = (name, value) => value ? html`<span>${name}</span><div>${value}</div>` : null;

export function Trigger({ uuid }) {
  const { state } = useLive();
  const [to, setTo] = useState('15m');
  const [changing, change] = useState(false);
  const [given, give] = useState('');
  const invoke = useRef(null);
  const useAsEvent = (record) => { give(invoked(record)); invoke.current?.scrollIntoView({ block: 'start' }); };
  const t = state?.triggers.find((t) => t.uuid === uuid);
  if (!state) return html`<p class="wait">Asking the server …</p>`;
  if (!t) return html`<p>There is no trigger ${uuid} any more. <a href="#/triggers">All triggers</a></p>`;
  const c = condition(t), r = rates(uuid), stream = !t.queue;
  const enable = (Enabled) => lambda('PUT', `/2015-03-31/event-source-mappings/${uuid}`, { Enabled });
  return html`<h1><span class="mono">${title(t)}</span> <span class=${'tag ' + c.level}>${c.word}</span></h1>
    <${Trouble} key=${uuid} t=${t} withRecord />
    <div class="bar">
      ${stream && (t.paused ? html`<${Act} primary run=${() => act(`triggers/${uuid}/resume`)}>Resume</${Act}>` : html`<${Act} run=${() => act(`triggers/${uuid}/pause`)}>Pause</${Act}>`)}
      ${t.state === 'Disabled' ? html`<${Act} run=${() => enable(true).then(() => 'enabled')}>Enable</${Act}>` : html`<${Act} ask="Disabled, it reads nothing until it is enabled; records older than a day are lost to it. For a paused one they are kept." run=${() => enable(false).then(() => 'disabled')}>Disable</${Act}>`}
      <button aria-expanded=${changing} onClick=${() => change(!changing)}>Change settings</button>
      ${t.setAside.parked + t.setAside.held > 0 && html`<a class="button" href=${'#/parked/' + uuid}>${count(t.setAside.parked)} parked, ${count(t.setAside.held)} held</a>`}
      <a class="button" href=${'#/function/' + encodeURIComponent(t.function)}>Function</a>
      ${t.table && html`<a class="button" href=${'#/stream/' + encodeURIComponent(t.table)}>Stream</a>`}
    </div>
    ${stream && html`<div class="bar"><label>move to <input class="short" value=${to} onInput=${(e) => setTo(e.target.value)} aria-label="place to go to" placeholder="15m, a time, HORIZON" title="how long ago (15m), a time (2026-01-31T12:00:00Z), a sequence number, or HORIZON" /></label>
        <${Act} ask=${() => foretell(uuid, 'rewind', to)} run=${() => move(uuid, 'rewind', to)}>Rewind</${Act}>
        <${Act} danger ask=${() => foretell(uuid, 'skip', to)} run=${() => move(uuid, 'skip', to)}>Skip up to it</${Act}>
        <${Act} danger ask=${() => foretell(uuid, 'skip', 'LATEST')} run=${() => move(uuid, 'skip', 'LATEST')}>Skip to now</${Act}></div>`}
    ${changing && html`<${ChangeTrigger} key=${uuid} t=${t} close=${() => change(false)} />`}
    ${t.paused && html`<p class="warnt">Paused: it keeps its place. ${t.lagRecords > 0 ? `${many(t.lagRecords, 'record')} ${t.lagRecords === 1 ? 'waits' : 'wait'}, the oldest for ${span(t.lagSeconds)}.` : 'Nothing waits yet.'}</p>`}
    <div class="charts card"><${Chart} label="Lag, records" points=${series(uuid, 1)} unit=${count} tone=${c.level === 'bad' ? 'bad' : 'water'} />
      <${Chart} label="Lag, age of the oldest" points=${series(uuid, 2)} unit=${span} tone=${c.level === 'bad' ? 'bad' : 'water'} />
      <${Chart} label="Calls a second" points=${series(uuid, 3, true)} unit=${rate} />
      <${Chart} label="Failed calls a second" points=${series(uuid, 4, true)} unit=${rate} tone="bad" />
      <${Chart} label="Records a second" points=${series(uuid, 5, true)} unit=${rate} />
      <${Chart} label="Records a call" points=${perCall(uuid)} unit=${rate} />
      <${Chart} label="A call, the median" points=${series(uuid, 8)} unit=${millis} />
      <${Chart} label="A call, 99 of 100" points=${series(uuid, 9)} unit=${millis} /></div>
    <div class="grid"><div class="card scroll" tabindex="0"><h2>Shards</h2>${t.queue ? html`<p>A queue has none. ${count(t.inFlight)} calls under way.</p>` : html`<table><thead><tr><th>Shard</th><th>Position</th><th class="n">Lag</th><th class="n">Behind</th><th>Now</th></tr></thead>
      <tbody>${(t.shards ?? []).filter((s) => !s.done).map((s) => html`<tr key=${s.shard}><td class="mono" title=${s.shard}>…${s.shard.slice(-8)}</td><td class="mono">${s.position}</td><td class="n">${count(s.lagRecords)}</td>
        <td class="n">${s.lagSeconds > 0 ? span(s.lagSeconds) : ''}</td><td>${s.blocked ? html`<span class="badt">blocked: ${s.blocked.error}</span>` : s.waitsForParent ? 'waits for its parent' : s.inFlight ? `${s.inFlight} under way` : ''}</td></tr>`)}</tbody></table>`}</div>
      <div class="card"><h2>Settings</h2><div class="kv">
        ${setting(t.queue ? 'Queue' : 'Table', source(t))}${setting('Batches', `up to ${t.batchSize}, window ${t.batchingWindowSeconds} s${t.parallelizationFactor > 1 ? `, ${t.parallelizationFactor} at once a shard` : ''}`)}
        ${setting('Retries', t.maximumRetryAttempts < 0 ? 'without end' : String(t.maximumRetryAttempts))}${setting('Oldest record', t.maximumRecordAgeSeconds > 0 ? span(t.maximumRecordAgeSeconds) : 'no limit')}
        ${setting('On failure', t.onFailure)}${setting('Destination', t.onFailureDestination)}${setting('Filters', t.filters?.length > 0 && html`${t.filters.map((f) => html`<div class="mono">${f}</div>`)}<${Act} label="remove the filters" ask="The function gets all records from now on." run=${() => lambda('PUT', `/2015-03-31/event-source-mappings/${uuid}`, { FilterCriteria: { Filters: [] } }).then(() => undefined)}>Remove</${Act}>`)}
        ${setting('When', t.when && html`<span class="mono">${t.when}</span>`)}${setting('Window', t.tumblingWindowSeconds && `${t.tumblingWindowSeconds} s`)}
        ${setting('Item failures', t.reportBatchItemFailures && 'reported')}${setting('Set aside', t.setAside.bytes > 0 && bytes(t.setAside.bytes))}${setting('UUID', html`<span class="mono">${uuid}</span>`)}</div>
      ${(t.filterWarnings ?? []).map((w) => html`<p class="warnt">${w}</p>`)}
      <h2>Since the server started</h2><div class="kv">${t.counts.callTimes?.length > 0 && html`<span>a call takes</span><div>${millis(quantile(t.counts.callTimes, 0.5))} (median), ${millis(quantile(t.counts.callTimes, 0.99))} (99 of 100)</div>`}${Object.entries(t.counts).filter(([, n]) => typeof n === 'number' && n > 0).map(([name, n]) => html`<span>${counted[name] ?? name}</span><div class=${['dropped', 'expired', 'errors', 'failedInvoke'].includes(name) ? 'badt' : ''}>${n.toLocaleString('en')}</div>`)}</div>
      ${(t.unread ?? []).map((u) => html`<p class="badt">${count(u.records)} records were removed unread (${u.reason}), ${u.first} to ${u.last}</p>`)}
      <p class="dim">${rate(r.calls)} calls/s now</p><${Notes} t=${t} /></div></div>
    ${stream && html`<div class="card scroll" tabindex="0"><h2>Calls that failed</h2><${Failures} key=${'f' + uuid} t=${t} again=${t.counts.errors + t.counts.partialFailures + t.counts.notDelivered} /></div>`}
    ${stream && html`<${Try} key=${uuid} t=${t} useAsEvent=${useAsEvent} />`}
    <div class="below" ref=${invoke}><${Invoke} key=${'i' + uuid} name=${t.function} trigger=${t} given=${given} head="Try the function" /></div>`;
}
