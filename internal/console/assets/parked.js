// Records that are set aside, by trigger: what they are, why, and where they go.
import { html, useState, useEffect, useRef } from './vendor/htm-preact.js';
import { useLive, title } from './live.js';
import { own, act } from './api.js';
import { useAsked, Problem, Act, Change, Search } from './parts.js';
import { count, many, keyText, clock, bytes, span } from './values.js';

export function Parked({ uuid }) {
  const { state } = useLive();
  if (!state) return html`<p class="wait">Asking the server …</p>`;
  const some = state.triggers.filter((t) => t.setAside.parked + t.setAside.held + t.setAside.telling > 0);
  const at = state.triggers.find((t) => t.uuid === uuid) ?? (some.length === 1 ? some[0] : undefined);
  return html`<h1>Held and parked</h1>
    ${some.length === 0 && !at && html`<p class="card">Nothing is set aside: no record waits for a retry of its own, or for you.</p>`}
    ${some.length > 0 && html`<p><b>Parked</b> records were given up: they wait for you. <b>Held</b> ones are tried again by themselves, less and less often; later changes of their items wait behind them, all other items go on.${some.some((t) => t.setAside.telling > 0) && html` <b>Telling</b>: given up, and the on-failure destination has not taken them yet.`}</p>`}
    ${some.length > 0 && html`<div class="card scroll" tabindex="0"><table><thead><tr><th>Trigger</th><th class="n">Parked</th><th class="n">Held</th><th class="n">Telling</th><th class="n">Size</th></tr></thead>
      <tbody>${some.map((t) => html`<tr key=${t.uuid} class=${t === at ? 'on' : ''}><td class="mono"><a href=${'#/parked/' + t.uuid}>${title(t)}</a></td><td class="n">${count(t.setAside.parked)}</td><td class="n">${count(t.setAside.held)}</td>
        <td class="n">${count(t.setAside.telling)}</td><td class="n">${bytes(t.setAside.bytes)}</td></tr>`)}</tbody></table></div>`}
    ${at && html`<${OfTrigger} key=${at.uuid} t=${at} />`}`;
}

const pageSize = 100, patience = 60000;

// outcome waits until a record that was sent again has been taken, or was parked anew.
async function outcome(trigger, id, gone) {
  for (const began = Date.now(); Date.now() - began < patience && !gone(); await new Promise((r) => setTimeout(r, 500))) {
    const { records } = await own('parked', { trigger, id });
    if (!records?.length) return 'The function has taken it.';
    if (records[0].kind === 'parked') return html`<span class="badt">It has failed again: ${records[0].error}</span>`;
  }
  return 'It is still being tried.';
}

function OfTrigger({ t }) {
  const [key, setKey] = useState('');
  const [kind, setKind] = useState('');
  const [rate, setRate] = useState('');
  const [from, setFrom] = useState(undefined);
  const [chosen, choose] = useState(new Set());
  const [open, setOpen] = useState(null);
  // What came of a record that is not in the list any more.
  const [news, tellOf] = useState('');
  const gone = useRef(false);
  useEffect(() => { gone.current = false; return () => { gone.current = true; }; }, []);
  const follow = (keys, id) => { tellOf(`${keys}: sent again …`); outcome(t.uuid, id, () => gone.current).then((end) => tellOf(html`${keys}: sent again. ${end}`), () => tellOf(`${keys}: sent again.`)); };
  const where = { trigger: t.uuid, key, kind };
  const list = useAsked(() => own('parked', { ...where, limit: pageSize, from }), [t.uuid, key, kind, from, t.setAside.parked, t.setAside.held]);
  const records = list.value?.records ?? [];
  const parked = records.filter((r) => r.kind === 'parked');
  const flip = (id) => { const next = new Set(chosen); if (!next.delete(id)) next.add(id); choose(next); };
  const each = async (path, q) => {
    let n = 0;
    for (const id of chosen) n += (await act(path, { trigger: t.uuid, id, ...q })).records;
    choose(new Set());
    tellOf(`${many(n, 'record')} ${path.endsWith('drop') ? 'dropped' : 'sent again: gone from here once the function has taken them'}.`);
  };
  const all = async (path, q) => many((await act(path, { ...where, kind: 'parked', ...q })).records, 'record') + ' dropped';
  // sendAll sends them a part at a time, so that one sees how far it is and can stop it. What fails and is parked anew is not sent twice.
  const [sending, tell] = useState(null);
  const stopped = useRef(false);
  const sendAll = async () => {
    stopped.current = false;
    const began = Date.now(), part = Number(rate) > 0 ? Math.max(1, Math.ceil(Number(rate))) : 500;
    let n = 0, from;
    tell({ n });
    try {
      do {
        const sent = await act('parked/redrive', { ...where, kind: 'parked', rate, limit: part, from });
        n += sent.records;
        from = sent.next;
        tell({ n });
        if (from && Number(rate) > 0) await new Promise((done) => setTimeout(done, began + 1000 * n / Number(rate) - Date.now()));
      } while (from && !stopped.current);
    } finally { tell(null); }
    return `${many(n, 'record')} sent again${from ? '; stopped' : ''}`;
  };
  return html`<div class="card"><h2>${title(t)}</h2><div class="bar"><${Search} value=${key} set=${(v) => { setKey(v); setFrom(undefined); }} label="Key or value of a key" />
      <select aria-label="kind" value=${kind} onChange=${(e) => setKind(e.target.value)}><option value="">all kinds</option><option value="parked">parked</option><option value="held">held</option><option value="telling">telling</option></select>
      ${chosen.size > 0 ? html`<${Act} primary done=${list.reload} run=${() => each('parked/redrive')}>Send ${chosen.size} again</${Act}>
          <${Act} danger done=${list.reload} ask="They are gone for good." run=${() => each('parked/drop')}>Drop ${chosen.size}</${Act}>`
        : html`<${Act} primary disabled=${!t.setAside.parked} done=${list.reload} ask=${`${key ? 'Those found' : count(t.setAside.parked)} go to the function again.`} run=${sendAll}>Send all parked again</${Act}>${sending && html`<span role="status">${count(sending.n)} sent</span> <button onClick=${() => { stopped.current = true; }}>Stop</button>`}
          ${t.setAside.parked > 0 && html`<label>at most <input class="narrow" inputmode="numeric" value=${rate} onInput=${(e) => setRate(e.target.value)} aria-label="records a second" placeholder="no limit" /> a second</label>`}
          <${Act} danger disabled=${!t.setAside.parked} done=${list.reload} ask="All that are parked and found here are gone for good." run=${() => all('parked/drop')}>Drop all parked</${Act}>`}</div>
    ${news && html`<p role="status">${news}</p>`}
    <${Problem} error=${list.error} />
    <div class="scroll" tabindex="0"><table><thead><tr><th><input type="checkbox" aria-label="choose all on this page" checked=${parked.length > 0 && parked.every((r) => chosen.has(r.id))}
        onChange=${(e) => choose(new Set(e.target.checked ? parked.map((r) => r.id) : []))} /></th><th>Item</th><th>Why</th><th>Kind</th><th>Since</th><th class="n">Attempts</th></tr></thead>
      <tbody>${records.map((r) => html`<tr key=${r.id}><td>${r.kind === 'parked' && html`<input type="checkbox" aria-label=${'choose ' + keyText(r.keys)} checked=${chosen.has(r.id)} onChange=${() => flip(r.id)} />`}</td>
        <td class="mono"><button class="line" aria-expanded=${open === r.id} onClick=${() => setOpen(open === r.id ? null : r.id)}>${keyText(r.keys) || r.sequenceNumber}</button></td><td class="mono">${[r.reason, r.error].filter(Boolean).join(': ') || (r.kind === 'held' && r.attempts === 0 ? 'waits behind an earlier record of its item' : '')}</td><td>${r.kind}</td><td>${clock(r.since)}</td><td class="n">${r.attempts}</td></tr>${open === r.id && html`<tr><td></td><td colspan="5"><${Whole} t=${t} id=${r.id} r=${r} sent=${() => { follow(keyText(r.keys), r.id); list.reload(); }} dropped=${() => { tellOf(`${keyText(r.keys)}: dropped.`); list.reload(); }} /></td></tr>`}`)}</tbody></table></div>
    ${list.value && records.length === 0 && html`<p class="dim">Nothing is found.</p>`}
    <div class="bar">${from && html`<button onClick=${() => setFrom(undefined)}>First page</button>`}${list.value?.next && html`<button onClick=${() => setFrom(list.value.next)}>Next page</button>`}</div></div>`;
}

// next tells when a held record is tried again, where the server says so: of the one that has failed the longest.
function next(t, r) {
  const b = t.setAside.blocked;
  return b?.sequenceNumber === r.sequenceNumber && new Date(b.retryAt) > Date.now() ? `it is tried again in ${span((new Date(b.retryAt) - Date.now()) / 1000)}.` : 'it is tried again by itself.';
}

function Whole({ t, id, r, sent, dropped }) {
  const asked = useAsked(() => own('parked/record', { trigger: t.uuid, id }), [id]);
  return html`<${Problem} error=${asked.error} />${asked.value && html`<${Change} record=${asked.value.record} /><p class="dim">written ${clock(asked.value.written)}, ${bytes(asked.value.bytes)}, sequence number ${asked.value.sequenceNumber}</p>
    ${r.kind === 'held' && !r.reason && html`<p>It is held: ${next(t, r)} Once the function works, it is taken and later changes of the item follow. To give it up, set how often it is tried, or how old it may be, with <code>aws lambda update-event-source-mapping</code>: it is parked then.</p>`}
    ${r.kind === 'parked' && html`<${Act} primary done=${sent} run=${async () => `${(await act('parked/redrive', { trigger: t.uuid, id })).records} sent`}>Send again</${Act}> <${Act} danger done=${dropped} ask="It is gone for good." run=${async () => `${(await act('parked/drop', { trigger: t.uuid, id })).records} dropped`}>Drop</${Act}>`}`}`;
}
