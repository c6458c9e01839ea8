// Records that are set aside, by trigger: what they are, why, and where they go.
import { html, useState, useEffect, useRef } from './vendor/htm-preact.js';
import { useLive, title } from './live.js';
import { own, act } from './api.js';
import { useAsked, Problem, Act, Change, Search } from './parts.js';
import { Failures, Notes } from './outcomes.js';
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

const why = (r) => [r.reason, r.error].filter(Boolean).join(': ');

function OfTrigger({ t }) {
  const [key, setKey] = useState('');
  const [error, setError] = useState('');
  const [kind, setKind] = useState('');
  const [rate, setRate] = useState('');
  const [from, setFrom] = useState(undefined);
  const [chosen, choose] = useState(new Map()); // kinds by id
  const [open, setOpen] = useState(null);
  // What came of a record that is not in the list any more.
  const [news, tellOf] = useState('');
  const gone = useRef(false);
  useEffect(() => { gone.current = false; return () => { gone.current = true; }; }, []);
  const follow = (keys, id) => { tellOf(`${keys}: sent again …`); outcome(t.uuid, id, () => gone.current).then((end) => tellOf(html`${keys}: sent again. ${end}`), () => tellOf(`${keys}: sent again.`)); };
  const where = { trigger: t.uuid, key, error };
  const list = useAsked(() => own('parked', { ...where, kind, limit: pageSize, from }), [t.uuid, key, error, kind, from, t.setAside.parked, t.setAside.held]);
  const records = list.value?.records ?? [], choosable = records.filter((r) => r.kind !== 'telling');
  const flip = (r) => { const next = new Map(chosen); if (!next.delete(r.id)) next.set(r.id, r.kind); choose(next); };
  const narrow = (set) => (v) => { set(v); setFrom(undefined); };
  const those = (of) => [...chosen].filter(([, k]) => k === of).map(([id]) => id), parked = those('parked'), held = those('held');
  const each = async (ids, path, reason) => {
    let n = 0;
    try { for (const id of ids) n += (await act(path, { trigger: t.uuid, id, reason })).records; } finally { choose(new Map()); list.reload(); }
    tellOf(`${many(n, 'record')} ${path.endsWith('drop') ? 'dropped' : 'given up'}.`);
  };
  const all = async (reason) => many((await act('parked/drop', { ...where, reason })).records, 'record') + ' dropped';
  // send sends records a part at a time, at the rate, so that one sees how far it is and can stop it. part(most, from) sends up to so many.
  const [sending, tell] = useState(null);
  const stopped = useRef(false);
  const send = async (of, part) => {
    stopped.current = false;
    const began = Date.now(), a = Number(rate) > 0 ? Number(rate) : 0;
    let n = 0, from;
    tell({ n, of });
    try {
      do {
        const sent = await part(a ? Math.max(1, Math.ceil(a)) : 500, from);
        n += sent.records;
        from = sent.next;
        tell({ n, of });
        if (from && a) await new Promise((done) => setTimeout(done, began + 1000 * n / a - Date.now()));
      } while (from && !stopped.current);
    } finally { tell(null); }
    return `${many(n, 'record')} sent again${from ? '; stopped' : ''}`;
  };
  // What fails and is parked anew is not sent twice.
  const sendAll = () => send(key || error ? 0 : t.setAside.parked, (limit, from) => act('parked/redrive', { ...where, rate, limit, from }));
  const sendChosen = async () => {
    const ids = [...parked], end = await send(ids.length, async (most) => {
      let records = 0;
      for (const id of ids.splice(0, rate ? most : 1)) records += (await act('parked/redrive', { trigger: t.uuid, id })).records;
      return { records, next: ids.length > 0 };
    });
    choose(new Map());
    tellOf(end + '.');
  };
  const found = key || error ? 'Those found' : count(t.setAside.parked);
  return html`<div class="card"><h2>${title(t)}</h2><div class="bar"><${Search} value=${key} set=${narrow(setKey)} label="Key or value of a key" /><${Search} value=${error} set=${narrow(setError)} label="Part of an error" />
      <select aria-label="kind" value=${kind} onChange=${(e) => narrow(setKind)(e.target.value)}><option value="">all kinds</option><option value="parked">parked</option><option value="held">held</option><option value="telling">telling</option></select></div>
    <div class="bar">${parked.length > 0 && html`<${Act} primary done=${list.reload} run=${sendChosen}>Send ${parked.length} again</${Act}><${Act} danger reason ask=${`${many(parked.length, 'record')}: gone for good.`} run=${(reason) => each(parked, 'parked/drop', reason)}>Drop ${parked.length}</${Act}>`}
      ${held.length > 0 && html`<${Act} reason ask=${`${held.length === 1 ? 'It is' : 'They are'} not tried any more, and later changes of ${held.length === 1 ? 'its item' : 'their items'} go on.`} run=${(reason) => each(held, 'parked/give-up', reason)}>Give up ${held.length}</${Act}>`}
      ${chosen.size === 0 && html`<${Act} primary disabled=${!t.setAside.parked} done=${list.reload} ask=${`${found} go to the function again.`} run=${sendAll}>Send all parked again</${Act}>`}
      ${sending && html`<span role="status">${count(sending.n)} ${sending.of > 0 ? `of ${count(sending.of)} ` : ''}sent</span> <button onClick=${() => { stopped.current = true; }}>Stop</button>`}
      ${t.setAside.parked > 0 && (chosen.size === 0 || parked.length > 0) && html`<label>at most <input class="narrow" inputmode="numeric" value=${rate} onInput=${(e) => setRate(e.target.value)} aria-label="records a second" placeholder="no limit" /> a second</label>`}
      ${chosen.size === 0 && html`<${Act} danger reason disabled=${!t.setAside.parked} done=${list.reload} ask=${`${found}: gone for good.`} run=${all}>Drop all parked</${Act}>`}</div>
    ${news && html`<p role="status">${news}</p>`}
    <${Problem} error=${list.error} />
    <div class="scroll" tabindex="0"><table><thead><tr><th><input type="checkbox" aria-label="choose all on this page" checked=${choosable.length > 0 && choosable.every((r) => chosen.has(r.id))}
        onChange=${(e) => choose(new Map(e.target.checked ? choosable.map((r) => [r.id, r.kind]) : []))} /></th><th>Item</th><th>Why</th><th>Kind</th><th>Since</th><th class="n">Attempts</th></tr></thead>
      <tbody>${records.map((r) => html`<tr key=${r.id}><td>${r.kind !== 'telling' && html`<input type="checkbox" aria-label=${'choose ' + keyText(r.keys)} checked=${chosen.has(r.id)} onChange=${() => flip(r)} />`}</td>
        <td class="mono"><button class="line" aria-expanded=${open === r.id} onClick=${() => setOpen(open === r.id ? null : r.id)}>${keyText(r.keys) || r.sequenceNumber}</button></td><td class="mono">${why(r) ? html`<button class="line why" title="only these" onClick=${() => narrow(setError)(r.error || r.reason)}>${why(r)}</button>` : r.kind === 'held' && r.attempts === 0 ? 'waits behind an earlier record of its item' : ''}</td><td>${r.kind}</td><td>${clock(r.since)}</td><td class="n">${r.attempts}</td></tr>${open === r.id && html`<tr><td></td><td colspan="5"><div class="detail"><${Whole} t=${t} id=${r.id} r=${r} sent=${() => { follow(keyText(r.keys), r.id); list.reload(); }} dropped=${(what) => { tellOf(`${keyText(r.keys)}: ${what}.`); list.reload(); }} /></div></td></tr>`}`)}</tbody></table></div>
    ${list.value && records.length === 0 && html`<p class="dim">Nothing is found.</p>`}
    <div class="bar">${from && html`<button onClick=${() => setFrom(undefined)}>First page</button>`}${list.value?.next && html`<button onClick=${() => setFrom(list.value.next)}>Next page</button>`}</div>
    <${Notes} t=${t} /></div>`;
}

// next tells when a held record is tried again, where the server says so: of the one that has failed the longest.
function next(t, r) {
  const b = t.setAside.blocked;
  return b?.sequenceNumber === r.sequenceNumber && new Date(b.retryAt) > Date.now() ? `it is tried again in ${span((new Date(b.retryAt) - Date.now()) / 1000)}.` : 'it is tried again by itself.';
}

function Whole({ t, id, r, sent, dropped }) {
  const asked = useAsked(() => own('parked/record', { trigger: t.uuid, id }), [id]);
  return html`<${Problem} error=${asked.error} />${asked.value && html`<${Change} record=${asked.value.record} /><p class="dim">written ${clock(asked.value.written)}, ${bytes(asked.value.bytes)}, sequence number ${asked.value.sequenceNumber}</p>
    <div class="scroll" tabindex="0"><${Failures} t=${t} of=${r.sequenceNumber} again=${r.attempts} /></div>
    ${r.kind === 'held' && !r.reason && html`<p>It is held: ${next(t, r)} Once the function works, it is taken and later changes of the item follow.</p><p><${Act} reason done=${() => dropped('given up')} ask="It is not tried any more, and later changes of its item go on." run=${async (reason) => `${(await act('parked/give-up', { trigger: t.uuid, id, reason })).records} given up`}>Give up</${Act}></p>`}
    ${r.kind === 'parked' && html`<${Act} primary done=${sent} run=${async () => `${(await act('parked/redrive', { trigger: t.uuid, id })).records} sent`}>Send again</${Act}> <${Act} danger reason done=${() => dropped('dropped')} ask="It is gone for good." run=${async (reason) => `${(await act('parked/drop', { trigger: t.uuid, id, reason })).records} dropped`}>Drop</${Act}>`}`}`;
}
