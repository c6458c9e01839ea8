// Functions: what they are, what they print, and a try.
import { html, useState, useEffect, useRef } from './vendor/htm-preact.js';
import { functionList, lambda, lines, ownText, pages, query } from './api.js';
import { useAsked, Problem, Act, Search } from './parts.js';
import { useLive, title, rates } from './live.js';
import { many, rate, bytes, clock } from './values.js';
import { writes } from './learned.js';
import { report, Calls } from './calls.js';

export function Functions() {
  const { state } = useLive();
  const [text, set] = useState('');
  const asked = useAsked(functionList, []);
  const found = (asked.value ?? []).filter((f) => f.FunctionName.toLowerCase().includes(text.toLowerCase()));
  return html`<h1>Functions</h1><div class="bar"><${Search} value=${text} set=${set} label="Find a function" /><span class="dim">${asked.value && many(found.length, 'function')}</span></div><${Problem} error=${asked.error} />
    <div class="card scroll" tabindex="0"><table><thead><tr><th>Function</th><th>Runtime</th><th>Handler</th><th class="n">Time-out</th><th class="n">Code</th><th>Changed</th><th>Triggers</th></tr></thead>
    <tbody>${found.slice(0, 500).map((f) => html`<tr key=${f.FunctionName}><td class="mono"><a href=${'#/function/' + encodeURIComponent(f.FunctionName)}>${f.FunctionName}</a></td><td>${f.Runtime}</td><td class="mono">${f.Handler}</td>
      <td class="n">${f.Timeout} s</td><td class="n">${bytes(f.CodeSize ?? 0)}</td><td>${clock(f.LastModified)}</td>
      <td>${(state?.triggers ?? []).filter((t) => t.function === f.FunctionName).map((t) => html`<a href=${'#/trigger/' + t.uuid}>${t.table || t.queue}</a> `)}</td></tr>`)}</tbody></table>
    ${asked.value && found.length === 0 && html`<p class="dim">There is no function${text && ' of that name'}.</p>`}</div>`;
}

const sample = (t) => JSON.stringify({ Records: [{ eventID: '1', eventName: 'INSERT', eventVersion: '1.1', eventSource: 'aws:dynamodb', awsRegion: 'us-east-1',
  dynamodb: { Keys: { pk: { S: '1' } }, NewImage: { pk: { S: '1' } }, SequenceNumber: '1', SizeBytes: 10, StreamViewType: 'NEW_AND_OLD_IMAGES' }, eventSourceARN: t?.streamArn ?? '' }] }, null, 2);
const samples = {
  empty: () => '{}', stream: sample,
  api: () => JSON.stringify({ version: '2.0', routeKey: 'GET /', rawPath: '/', rawQueryString: '', headers: {}, requestContext: { http: { method: 'GET', path: '/' } }, isBase64Encoded: false }, null, 2),
  queue: () => JSON.stringify({ Records: [{ messageId: '1', receiptHandle: '1', body: 'text', attributes: {}, messageAttributes: {}, eventSource: 'aws:sqs', awsRegion: 'us-east-1' }] }, null, 2),
};

// Function_ is a function's page. call: the request id of one of its calls, whose lines in the log are shown.
export function Function_({ name, call }) {
  const { state } = useLive();
  const asked = useAsked(() => lambda('GET', '/2015-03-31/functions/' + encodeURIComponent(name)).then((a) => a.Configuration), [name]);
  const editions = useAsked(() => editionsOf(name), [name]);
  const [seen, see] = useState(false);
  const f = asked.value, triggers = (state?.triggers ?? []).filter((t) => t.function === name), env = Object.entries(f?.Environment?.Variables ?? {});
  return html`<h1 class="mono">${name}</h1><${Problem} error=${asked.error} />
    <div class="grid"><div class="card"><h2>Configuration</h2>${f && html`<div class="kv"><span>Runtime</span><div>${f.Runtime ?? f.PackageType}</div><span>Handler</span><div class="mono">${f.Handler}</div><span>Time-out</span><div>${f.Timeout} s</div>
        <span>Memory</span><div>${f.MemorySize} MB</div><span>Code</span><div>${bytes(f.CodeSize ?? 0)}</div><span>State</span><div>${f.State}${f.StateReason ? ': ' + f.StateReason : ''}</div><span>Changed</span><div>${clock(f.LastModified)}</div></div>
        ${env.length > 0 && html`<h2>Environment <button onClick=${() => see(!seen)}>${seen ? 'Hide values' : 'Show values'}</button></h2><div class="kv">${env.map(([k, v]) => html`<span class="mono">${k}</span><div class="mono">${seen ? v : '••••'}</div>`)}</div>`}`}
        ${editions.value?.length > 1 && html`<h2>Versions</h2><div class="kv">${editions.value.map((e) => html`<span class="mono">${e.name}</span><div>${e.of} <span class="dim">${e.text}</span></div>`)}</div>`}<${Problem} error=${editions.error} />
        <h2>Triggered by</h2>${triggers.length === 0 ? html`<p class="dim">no table or queue</p>` : triggers.map((t) => html`<p><a class="mono" href=${'#/trigger/' + t.uuid}>${title(t)}</a> <span class="dim">${rate(rates(t.uuid).calls)} calls/s</span></p>`)}
        <h2>Writes to</h2><p>${[...(writes.get(name) ?? [])].map((t) => html`<a class="mono" href=${'#/table/' + encodeURIComponent(t)}>${t}</a> `)}${!writes.get(name) && html`<span class="dim">nothing was seen yet</span>`}</p></div>
      <${Invoke} key=${name} name=${name} trigger=${triggers[0]} /></div>
    <${Logs} key=${'l' + name} name=${name} call=${call} />`;
}

// editionsOf are a function's versions, the newest first, and its aliases.
async function editionsOf(name) {
  const path = '/2015-03-31/functions/' + encodeURIComponent(name);
  const versions = await pages(async (t) => { const a = await lambda('GET', path + '/versions' + query({ Marker: t })); return [a.Versions, a.NextMarker]; });
  const aliases = await pages(async (t) => { const a = await lambda('GET', path + '/aliases' + query({ Marker: t })); return [a.Aliases, a.NextMarker]; });
  const weights = (a) => Object.entries(a.RoutingConfig?.AdditionalVersionWeights ?? {}).map(([v, w]) => `, ${100 * w} % of calls to ${v}`).join('');
  return [...aliases.map((a) => ({ name: a.Name, of: `version ${a.FunctionVersion}${weights(a)}`, text: a.Description ?? '' })),
    ...versions.reverse().slice(0, 50).map((v) => ({ name: v.Version, of: clock(v.LastModified), text: v.Description ?? '' }))];
}

// why is a function's error, of the document that it answered.
function why(payload) {
  try { const e = JSON.parse(payload); return [e.errorType, e.errorMessage].filter(Boolean).join(': '); } catch { return ''; }
}

// Events are kept by this browser: the last one of a function, and those that have a name.
const savedAs = (name) => 'event of ' + name, namedAs = (name) => 'events of ' + name;
function namedOf(name) {
  try { return JSON.parse(localStorage.getItem(namedAs(name))) ?? {}; } catch { return {}; }
}

// Invoke calls a function with an event. given: one to begin with, in the place of the last.
export function Invoke({ name, trigger, given, head = 'Try it' }) {
  const [event, set] = useState(() => localStorage.getItem(savedAs(name)) ?? '{}');
  const [named, setNamed] = useState(() => namedOf(name));
  const [as, setAs] = useState('');
  const [out, setOut] = useState(null);
  useEffect(() => { if (given) set(given); }, [given]);
  const keep = (all) => { localStorage.setItem(namedAs(name), JSON.stringify(all)); setNamed(all); };
  const save = () => { JSON.parse(event); keep({ ...named, [as.trim()]: event }); return 'saved'; };
  const forget = () => { const { [as.trim()]: gone, ...rest } = named; keep(rest); setAs(''); return 'removed'; };
  const pick = (v) => {
    if (v.startsWith('named ')) { setAs(v.slice(6)); set(named[v.slice(6)]); } else if (v) set(samples[v](trigger));
  };
  const run = async () => {
    JSON.parse(event);
    localStorage.setItem(savedAs(name), event);
    const text = await ownText('invoke', { function: name }, event), doc = JSON.parse(text);
    // The answer is shown as it was written: numbers of many digits would not come through.
    const at = text.indexOf('"payload":') + 10, end = text.lastIndexOf(',"log":');
    setOut({ ...doc, payload: typeof doc.payload === 'string' ? doc.payload : text.slice(at, end) });
  };
  return html`<div class="card"><h2>${head}</h2><div class="bar"><select aria-label="event" onChange=${(e) => { pick(e.target.value); e.target.value = ''; }}><option value="">an event of …</option><option value="stream">a table's stream</option><option value="queue">a queue</option>
      <option value="api">an HTTP API</option><option value="empty">nothing</option>${Object.keys(named).map((n) => html`<option value=${'named ' + n}>saved: ${n}</option>`)}</select></div>
    <textarea class="mono" rows="10" spellcheck="false" aria-label="event in JSON" value=${event} onInput=${(e) => set(e.target.value)}></textarea>
    <div class="bar"><${Act} primary run=${run}>Invoke</${Act}><input class="short" aria-label="name to save the event as" placeholder="name" value=${as} onInput=${(e) => setAs(e.target.value)} /><${Act} disabled=${!as.trim()} run=${save}>Save event</${Act}>
      ${Object.hasOwn(named, as.trim()) && html`<${Act} label="remove the saved event" run=${forget}>Remove</${Act}>`}</div>
    ${out && html`<p class=${out.error ? 'badt' : 'ok'} role="status">${out.error || 'success'} <span class="dim">${out.millis.toFixed(1)} ms</span></p>${out.error && html`<p class="mono badt">${why(out.payload)}</p>`}<pre class="mono">${out.payload}</pre>${out.log && html`<pre class="mono dim">${out.log}</pre>`}`}</div>`;
}

const keptLines = 1000, keptCalls = 1000;

// linesOf are those of one call, when text is its whole request: from its START to its REPORT, with what calls at the same time printed.
function linesOf(all, text) {
  const first = all.findIndex((l) => l.text.startsWith(`START RequestId: ${text} `)), last = all.findIndex((l) => l.text.startsWith(`REPORT RequestId: ${text}`));
  if (first < 0 || last < first) return;
  return all.slice(first, last + 1).filter((l) => !/^(START|END|REPORT) RequestId: /.test(l.text) || l.text.includes(text));
}

function Logs({ name, call }) {
  const [at, set] = useState({ lines: [], calls: [] });
  const [text, setText] = useState(call ?? '');
  const waiting = useRef([]), end = useRef(null), error = useRef(null);
  useEffect(() => {
    const gone = new AbortController();
    lines('logs', { function: name, lines: 200, follow: 1 }, gone.signal, (l) => {
      waiting.current.push(l);
      if (waiting.current.length > keptLines) waiting.current.shift();
    }).then(() => { error.current = new Error('The server has ended this. Load the page again to go on.'); }, (e) => { if (e.name !== 'AbortError') error.current = e; });
    const timer = setInterval(() => {
      if (waiting.current.length === 0 && !error.current) return;
      const news = waiting.current;
      waiting.current = [];
      const down = end.current && end.current.scrollHeight - end.current.scrollTop - end.current.clientHeight < 40;
      set((s) => ({ error: error.current, lines: [...s.lines, ...news].slice(-keptLines), calls: [...s.calls, ...news.map(report).filter(Boolean)].slice(-keptCalls) }));
      if (down) requestAnimationFrame(() => { if (end.current) end.current.scrollTop = end.current.scrollHeight; });
    }, 250);
    return () => { gone.abort(); clearInterval(timer); };
  }, [name]);
  const card = useRef(null);
  useEffect(() => { if (call) card.current?.scrollIntoView({ block: 'start' }); }, []);
  const pick = (id) => { setText(id); card.current?.scrollIntoView({ block: 'start' }); };
  // A call's lines, from its first to its last; any other text finds the lines that have it.
  const found = linesOf(at.lines, text) ?? at.lines.filter((l) => l.text.toLowerCase().includes(text.toLowerCase()));
  return html`<${Calls} calls=${at.calls} pick=${pick} /><div class="card below" ref=${card}><h2>Logs, live</h2><div class="bar"><${Search} value=${text} set=${setText} label="Find in the logs" /></div><${Problem} error=${at.error} />
    <div class="logs mono" tabindex="0" ref=${end} role="log" aria-label="logs">${found.map((l) => html`<div><span class="dim">${clock(l.time)}</span> ${l.text}</div>`)}</div>${found.length === 0 && html`<p class="dim">Nothing was printed${text && ' with that'}.</p>`}</div>`;
}
