// Records that are set aside, by trigger: what they are, why, and where they go.
import { html, useState, useRef } from './vendor/htm-preact.js';
import { useLive, title } from './live.js';
import { own, act } from './api.js';
import { useAsked, Problem, Act, Change, Search } from './parts.js';
import { count, keyText, clock, bytes } from './values.js';

export function Parked({ uuid }) {
  const { state } = useLive();
  if (!state) return html`<p class="wait">Asking the server …</p>`;
  const some = state.triggers.filter((t) => t.setAside.parked + t.setAside.held + t.setAside.telling > 0);
  const at = state.triggers.find((t) => t.uuid === uuid) ?? (some.length === 1 ? some[0] : undefined);
  return html`<h1>Held and parked</h1>
    ${some.length === 0 && !at && html`<p class="card">Nothing is set aside: no record waits for a retry of its own, or for you.</p>`}
    ${some.length > 0 && html`<div class="card scroll" tabindex="0"><table><thead><tr><th>Trigger</th><th class="n">Parked</th><th class="n">Held</th><th class="n">To be told</th><th class="n">Size</th></tr></thead>
      <tbody>${some.map((t) => html`<tr key=${t.uuid} class=${t === at ? 'on' : ''}><td class="mono"><a href=${'#/parked/' + t.uuid}>${title(t)}</a></td><td class="n">${count(t.setAside.parked)}</td><td class="n">${count(t.setAside.held)}</td>
        <td class="n">${count(t.setAside.telling)}</td><td class="n">${bytes(t.setAside.bytes)}</td></tr>`)}</tbody></table></div>`}
    ${at && html`<${OfTrigger} key=${at.uuid} t=${at} />`}`;
}

const pageSize = 100;

function OfTrigger({ t }) {
  const [key, setKey] = useState('');
  const [kind, setKind] = useState('');
  const [rate, setRate] = useState('');
  const [from, setFrom] = useState(undefined);
  const [chosen, choose] = useState(new Set());
  const [open, setOpen] = useState(null);
  const where = { trigger: t.uuid, key, kind };
  const list = useAsked(() => own('parked', { ...where, limit: pageSize, from }), [t.uuid, key, kind, from, t.setAside.parked, t.setAside.held]);
  const records = list.value?.records ?? [];
  const parked = records.filter((r) => r.kind === 'parked');
  const flip = (id) => { const next = new Set(chosen); if (!next.delete(id)) next.add(id); choose(next); };
  const each = async (path, q) => {
    let n = 0;
    for (const id of chosen) n += (await act(path, { trigger: t.uuid, id, ...q })).records;
    choose(new Set());
    return `${n} records`;
  };
  const all = async (path, q) => `${(await act(path, { ...where, kind: 'parked', ...q })).records} records`;
  // sendAll sends them a part at a time, so that one sees how far it is and can stop it. What fails and is parked anew is not sent twice.
  const [sending, tell] = useState(null);
  const stopped = useRef(false);
  const sendAll = async () => {
    stopped.current = false;
    const began = Date.now(), many = Number(rate) > 0 ? Math.max(1, Math.ceil(Number(rate))) : 500;
    let n = 0, from;
    tell({ n });
    try {
      do {
        const part = await act('parked/redrive', { ...where, kind: 'parked', rate, limit: many, from });
        n += part.records;
        from = part.next;
        tell({ n });
        if (from && Number(rate) > 0) await new Promise((done) => setTimeout(done, began + 1000 * n / Number(rate) - Date.now()));
      } while (from && !stopped.current);
    } finally { tell(null); }
    return `${count(n)} records sent again${from ? '; stopped' : ''}`;
  };
  return html`<div class="card"><h2>${title(t)}</h2><div class="bar"><${Search} value=${key} set=${(v) => { setKey(v); setFrom(undefined); }} label="Key or value of a key" />
      <select aria-label="kind" value=${kind} onChange=${(e) => setKind(e.target.value)}><option value="">all</option><option value="parked">parked</option><option value="held">held</option><option value="telling">telling</option></select>
      <label>at most <input class="narrow" inputmode="numeric" value=${rate} onInput=${(e) => setRate(e.target.value)} aria-label="records a second" /> a second</label>
      ${chosen.size > 0 ? html`<${Act} primary done=${list.reload} run=${() => each('parked/redrive')}>Send ${chosen.size} again</${Act}>
          <${Act} danger done=${list.reload} ask="They are gone for good." run=${() => each('parked/drop')}>Drop ${chosen.size}</${Act}>`
        : html`<${Act} primary disabled=${!t.setAside.parked} done=${list.reload} ask=${`${key ? 'Those found' : count(t.setAside.parked)} go to the function again.`} run=${sendAll}>Send all again</${Act}>${sending && html`<span role="status">${count(sending.n)} sent</span> <button onClick=${() => { stopped.current = true; }}>Stop</button>`}
          <${Act} danger disabled=${!t.setAside.parked} done=${list.reload} ask="All that are parked and found here are gone for good." run=${() => all('parked/drop')}>Drop all</${Act}>`}</div>
    <${Problem} error=${list.error} />
    <div class="scroll" tabindex="0"><table><thead><tr><th><input type="checkbox" aria-label="choose all on this page" checked=${parked.length > 0 && parked.every((r) => chosen.has(r.id))}
        onChange=${(e) => choose(new Set(e.target.checked ? parked.map((r) => r.id) : []))} /></th><th>Item</th><th>Kind</th><th>Since</th><th class="n">Attempts</th><th>Why</th></tr></thead>
      <tbody>${records.map((r) => html`<tr key=${r.id}><td>${r.kind === 'parked' && html`<input type="checkbox" aria-label=${'choose ' + keyText(r.keys)} checked=${chosen.has(r.id)} onChange=${() => flip(r.id)} />`}</td>
        <td class="mono"><button class="line" aria-expanded=${open === r.id} onClick=${() => setOpen(open === r.id ? null : r.id)}>${keyText(r.keys) || r.sequenceNumber}</button></td><td>${r.kind}</td><td>${clock(r.since)}</td><td class="n">${r.attempts}</td>
        <td class="mono">${[r.reason, r.error].filter(Boolean).join(': ')}</td></tr>${open === r.id && html`<tr><td></td><td colspan="5"><${Whole} t=${t} id=${r.id} done=${list.reload} parked=${r.kind === 'parked'} /></td></tr>`}`)}</tbody></table></div>
    ${list.value && records.length === 0 && html`<p class="dim">Nothing is found.</p>`}
    <div class="bar">${from && html`<button onClick=${() => setFrom(undefined)}>First page</button>`}${list.value?.next && html`<button onClick=${() => setFrom(list.value.next)}>Next page</button>`}</div></div>`;
}

function Whole({ t, id, done, parked }) {
  const asked = useAsked(() => own('parked/record', { trigger: t.uuid, id }), [id]);
  return html`<${Problem} error=${asked.error} />${asked.value && html`<${Change} record=${asked.value.record} /><p class="dim">written ${clock(asked.value.written)}, ${bytes(asked.value.bytes)}, sequence number ${asked.value.sequenceNumber}</p>
    ${parked && html`<${Act} primary done=${done} run=${async () => `${(await act('parked/redrive', { trigger: t.uuid, id })).records} sent`}>Send again</${Act}> <${Act} danger done=${done} ask="It is gone for good." run=${async () => `${(await act('parked/drop', { trigger: t.uuid, id })).records} dropped`}>Drop</${Act}>`}`}`;
}
