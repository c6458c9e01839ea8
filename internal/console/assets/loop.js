// The loop: tables, what they trigger, and the functions that run.
import { html, useState, useEffect } from './vendor/htm-preact.js';
import { useLive, rates, title, source, condition, byTrouble, blockedBy, series } from './live.js';
import { functionList, act, lambda } from './api.js';
import { useTables } from './tablelist.js';
import { useAsked, Problem, Act, Change, Chart, Search } from './parts.js';
import { recordAt } from './stream.js';
import { Passed } from './outcomes.js';
import { groups, useStacks } from './stacks.js';
import { count, many, rate, span, keyText, clock, bytes, millis } from './values.js';
import { learn, writes } from './learned.js';

const pitch = 68, most = 40;

// spread gives each node a place near where it wants to be, without two on one place.
function spread(nodes) {
  let next = 0;
  for (const n of nodes.sort((a, b) => a.wants - b.wants)) {
    n.y = Math.max(n.wants, next);
    next = n.y + pitch;
  }
  return nodes;
}

function layout(triggers) {
  const groups = new Map();
  for (const t of triggers) groups.set(source(t), [...(groups.get(source(t)) ?? []), t]);
  const rows = [...groups.values()].flat();
  rows.forEach((t, i) => { t.y = i * pitch; });
  const mean = (list) => list.reduce((s, t) => s + t.y, 0) / list.length;
  const sources = spread([...groups].map(([name, list]) => ({ name, list, wants: mean(list) })));
  const called = new Map();
  for (const t of rows) called.set(t.function, [...(called.get(t.function) ?? []), t]);
  const functions = spread([...called].map(([name, list]) => ({ name, list, wants: mean(list) })));
  return { rows, sources, functions, height: Math.max(pitch, ...[...rows, ...sources, ...functions].map((n) => n.y + pitch)) };
}

const Node = ({ at, y, href, bad, name, children }) =>
  html`<a class="node ${at} ${bad ?? ''}" style=${{ top: y + 'px' }} href=${href} title=${name}><b>${name}</b><small>${children}</small></a>`;

const curve = (x1, y1, x2, y2) => `M${x1} ${y1} C${(x1 + x2) / 2} ${y1} ${(x1 + x2) / 2} ${y2} ${x2} ${y2}`;

function Map_({ triggers, tables, functions }) {
  const l = layout(triggers), middle = pitch / 2 - 6;
  return html`<div class="map"><div class="heads"><h2>Tables and queues</h2><h2>Triggers</h2><h2>Functions, and what they write</h2></div>
    <div class="field" style=${{ height: l.height + 'px' }}>
      <svg class="edges" viewBox="0 0 1000 ${l.height}" preserveAspectRatio="none" aria-hidden="true">
        ${l.sources.map((s) => s.list.map((t) => html`<path class=${condition(t).level} d=${curve(280, s.y + middle, 360, t.y + middle)} />`))}
        ${l.functions.map((f) => f.list.map((t) => html`<path class=${condition(t).level} d=${curve(640, t.y + middle, 720, f.y + middle)} />`))}
      </svg>
      ${l.sources.map((s) => {
        const d = tables?.[s.name];
        return html`<${Node} at="left" y=${s.y} name=${s.name} href=${s.list[0].queue ? '#/server' : '#/table/' + encodeURIComponent(s.name)}>
          ${s.list[0].queue ? 'queue' : d ? `${d.rate > 0 ? rate(d.rate) + ' changes/s · ' : ''}${many(d.items, 'item')} · ${bytes(d.bytes)}` : 'table'}</${Node}>`;
      })}
      ${l.rows.map((t) => {
        const c = condition(t), r = rates(t.uuid);
        return html`<${Node} at="mid" y=${t.y} bad=${c.level === 'ok' ? '' : c.level} name=${title(t)} href=${'#/trigger/' + t.uuid}>
          ${c.level === 'ok' ? '' : c.word + ' · '}lag ${count(t.lagRecords)}${t.lagSeconds > 1 ? ', ' + span(t.lagSeconds) : ''} · ${rate(r.calls)} calls/s</${Node}>`;
      })}
      ${l.functions.map((f) => {
        const d = functions?.find((d) => d.FunctionName === f.name), r = f.list.map((t) => rates(t.uuid));
        const errors = r.reduce((s, x) => s + (x.errors ?? 0), 0), calls = r.reduce((s, x) => s + (x.calls ?? 0), 0);
        const to = [...(writes.get(f.name) ?? [])];
        return html`<${Node} at="right" y=${f.y} bad=${(calls > 0 && errors / calls > 0.5) || f.list.some((t) => condition(t).level === 'bad' && blockedBy(t)) ? 'bad' : ''} name=${f.name} href=${'#/function/' + encodeURIComponent(f.name)}>
          ${[d?.Runtime ?? (d ? 'Go' : ''), `${rate(calls)}/s`, errors > 0 && `${rate(errors)} errors/s`, to.length > 0 && 'writes ' + to.join(', ')].filter(Boolean).join(' · ')}</${Node}>`;
      })}
    </div></div>`;
}

// Trouble is what holds a trigger up, with what can be done about it.
export function Trouble({ t, withRecord }) {
  const b = blockedBy(t);
  const [shown, show] = useState(withRecord);
  if (!b) return null;
  const shard = (t.shards ?? []).find((s) => s.blocked === b || s.blocked?.sequenceNumber === b.sequenceNumber);
  const stuck = condition(t).level === 'bad';
  return html`<section class=${stuck ? 'alert' : 'alert mild'} role=${stuck ? 'alert' : undefined} aria-label=${'Trouble of ' + title(t)}><div class="what">
      <b>${title(t)} ${stuck ? 'is blocked' : 'tries a record again'} since ${clock(b.since)}</b>${b.keys ? html` on item <span class="mono">${keyText(b.keys)}</span>` : ''}:
      ${' '}${many(b.attempts, 'attempt')}${new Date(b.retryAt).getFullYear() > 1971 ? `, next in ${span(Math.max(0, (new Date(b.retryAt) - Date.now()) / 1000))}` : ', one is under way'}.
      ${stuck && t.lagRecords > 1 ? ` ${many(t.lagRecords - 1, 'record')} ${t.lagRecords === 2 ? 'waits' : 'wait'} behind it.` : ''}<br /><span class="mono">${b.error}</span></div>
    <div class="acts">
      ${shard && html`<button aria-expanded=${!!shown} onClick=${() => show(!shown)}>${shown ? 'Hide record' : 'Show record'}</button>
        <${Act} ask="The function never gets this record, unless the trigger is rewound." danger run=${async () => { const r = await act(`triggers/${t.uuid}/skip`, { to: b.sequenceNumber }); return `${r.records} skipped`; }}>Skip it</${Act}>
        ${stuck && html`<${Act} run=${() => act(`triggers/${t.uuid}/pause`)}>Pause</${Act}>`}
        <${Act} primary run=${() => holdOnly(t)}>Hold this item only</${Act}>`}
      ${!shard && html`<a class="button" href=${'#/parked/' + t.uuid}>Show what is held</a>`}
    </div>
    ${shown && shard && html`<${Blocking} t=${t} shard=${shard.shard} number=${b.sequenceNumber} />`}</section>`;
}

// A function that writes to the table that calls it may go round for ever. Who means it does so a few times; from this rate on it is said.
const rounds = 10;

export const inCircle = (t) => t.table && t.state === 'Enabled' && !t.paused && (writes.get(t.function)?.has(t.table) ?? false) && rates(t.uuid).calls >= rounds;

export function Circle({ t }) {
  return html`<section class="alert mild" aria-label=${'Circle of ' + title(t)}><div class="what"><b>${t.function} writes to ${t.table}, whose changes call it:</b> ${rate(rates(t.uuid).calls)} calls a second. Where that is not meant,
      pause the trigger, and have the function write only what changes something, or to another table.</div><div class="acts"><${Act} primary run=${() => act(`triggers/${t.uuid}/pause`)}>Pause</${Act}><a class="button" href=${'#/trigger/' + t.uuid}>Trigger</a></div></section>`;
}

// onFailure says what waits while a record fails: a tag of the trigger.
export const onFailure = (t, what) => lambda('POST', '/2017-03-31/tags/' + encodeURIComponent(`arn:aws:lambda:${t.region}:${t.account}:event-source-mapping:${t.uuid}`), { Tags: { 'millstream:on-failure': what } });

// holdOnly has a trigger set aside the item that fails, so that others go on: it does so from then on.
async function holdOnly(t) {
  await onFailure(t, 'block-key');
  return 'Other items go on, from now on whenever one fails. This one is tried again by itself.';
}

function Blocking({ t, shard, number }) {
  const asked = useAsked(() => recordAt(t.streamArn, shard, number), [t.uuid, number]);
  return html`<div class="wide">${asked.value && html`<${Change} record=${asked.value} /><${Passed} table=${t.table} number=${number} but=${t.uuid} />`}<${Problem} error=${asked.error} />${asked.busy && !asked.value && 'Reading the record …'}</div>`;
}

export function Loop() {
  const { state } = useLive();
  const [text, setText] = useState('');
  const [all, setAll] = useState(false);
  const [folded, fold] = useState({}); // what was chosen for a group: whether it is closed
  const stacks = useStacks();
  const functions = useAsked(functionList, []);
  const asked = useTables(), tables = Object.fromEntries((asked.value?.tables ?? []).map((t) => [t.name, { ...t, rate: asked.value.rates[t.name] }]));
  useEffect(learn, []);
  useEffect(() => {
    const timer = setInterval(() => { if (!document.hidden) functions.reload(); }, 10000);
    return () => clearInterval(timer);
  }, []);
  if (!state) return html`<p class="wait">Asking the server …</p>`;
  const found = state.triggers.filter((t) => title(t).toLowerCase().includes(text.toLowerCase())).sort(byTrouble);
  const shown = all ? found : found.slice(0, most);
  const parts = groups(shown, stacks);
  const circles = found.filter(inCircle);
  const stuck = found.filter((t) => condition(t).level === 'bad' && blockedBy(t));
  if (state.triggers.length === 0) {
    return html`<div class="card empty"><h1>No triggers yet</h1><p>A trigger runs a function for each change of a table. Deploy one with <code>millstream deploy template.yaml</code>,
      with your own tools, or see the whole loop with <code>millstream demo</code>.</p><p><a href="#/tables">Tables</a> · <a href="#/functions">Functions</a></p></div>`;
  }
  return html`<h1 class="unseen">The loop</h1>${stuck.slice(0, 3).map((t) => html`<${Trouble} key=${t.uuid} t=${t} />`)}
    ${circles.slice(0, 3).map((t) => html`<${Circle} key=${'c' + t.uuid} t=${t} />`)}
    ${stuck.length > 3 && html`<p class="badt"><a href="#/triggers">${stuck.length - 3} more are stuck</a></p>`}
    ${state.triggers.length > 8 && html`<div class="bar"><${Search} value=${text} set=${setText} label="Find a trigger" />
      <span class="dim">${count(found.length)} of ${count(state.triggers.length)} triggers, those in trouble first</span>
      ${found.length > most && html`<button onClick=${() => setAll(!all)}>${all ? `Show ${most}` : 'Show all'}</button>`}</div>`}
    ${parts.length === 1 ? html`<${Map_} triggers=${shown} tables=${tables} functions=${functions.value} />`
      : parts.map((g) => html`<${Group} key=${g.name} g=${g} closed=${folded[g.name] ?? (!text && found.length > open && !g.list.some((t) => condition(t).level === 'bad'))} set=${(v) => fold({ ...folded, [g.name]: v })} tables=${tables} functions=${functions.value} />`)}
    <${TriggerTable} triggers=${shown} />`;
}

// Up to so many triggers all groups are open at first.
const open = 12;

// Group is the map of one stack, which can be closed: what it is to be known by then stands in its first line.
function Group({ g, closed, set, tables, functions }) {
  const sum = (f) => g.list.reduce((s, t) => s + (f(t) ?? 0), 0), bad = g.list.filter((t) => condition(t).level === 'bad').length, warn = g.list.filter((t) => condition(t).level === 'warn').length;
  return html`<section class="group" aria-label=${g.name || 'of no stack'}><button class="line fold" aria-expanded=${!closed} onClick=${() => set(!closed)}><span aria-hidden="true">${closed ? '▸' : '▾'}</span> <b>${g.name || 'of no stack'}</b> <span class="dim">${many(g.list.length, 'trigger')} · lag ${count(sum((t) => t.lagRecords))} · ${rate(sum((t) => rates(t.uuid).calls))} calls/s</span>
      ${bad > 0 && html` <span class="badt">${count(bad)} stuck or losing</span>`}${warn > 0 && html` <span class="warnt">${count(warn)} to look at</span>`}</button>
    ${!closed && html`<${Map_} triggers=${g.list} tables=${tables} functions=${functions} />`}</section>`;
}

// slowest is how long 99 of 100 calls took at most, when there last were some.
function slowest(uuid) {
  const took = series(uuid, 9);
  return took.length > 0 ? millis(took[took.length - 1][1]) : html`<span class="dim">–</span>`;
}

export function TriggerTable({ triggers }) {
  return html`<div class="card scroll" tabindex="0"><h2>Triggers</h2><table><thead><tr><th>Trigger</th><th>State</th><th class="past">Lag, 15 min</th><th class="n">Lag</th><th class="n">Behind</th><th class="n">Calls/s</th><th class="n">Errors</th><th class="n past">99 of 100 take</th></tr></thead>
    <tbody>${triggers.map((t) => {
      const c = condition(t), r = rates(t.uuid);
      return html`<tr key=${t.uuid}><td class="mono"><a href=${'#/trigger/' + t.uuid}>${title(t)}</a></td>
        <td class=${{ bad: 'badt', warn: 'warnt', ok: 'ok' }[c.level] ?? 'dim'}>${c.word}</td>
        <td class="past"><${Chart} small label="lag" points=${series(t.uuid, 1)} unit=${count} tone=${c.level === 'bad' ? 'bad' : 'water'} /></td>
        <td class=${'n ' + (c.level === 'bad' ? 'badt' : '')}>${count(t.lagRecords)}</td><td class="n">${t.lagSeconds > 0 ? span(t.lagSeconds) : ''}</td>
        <td class="n">${rate(r.calls)}</td><td class=${'n ' + (r.errorShare > 0 ? 'badt' : '')}>${r.errorShare === undefined ? html`<span class="dim">–</span>` : (100 * r.errorShare).toFixed(1) + ' %'}</td><td class="n past">${slowest(t.uuid)}</td></tr>`;
    })}</tbody></table></div>`;
}
