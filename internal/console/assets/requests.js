// Each request with what it set off, as it happens: its calls, writes and triggers.
import { html, useState, useEffect, useRef } from './vendor/htm-preact.js';
import { lines } from './api.js';
import { Problem, Search } from './parts.js';
import { verdict } from './outcomes.js';
import { Trees, failed, some, tablesOf } from './trees.js';
import { short, keyText, clock, count, millis } from './values.js';

const shown = 100;

const said = (e) => e.answer?.errorMessage !== undefined ? [e.answer.errorType, e.answer.errorMessage].filter(Boolean).join(': ') : e.error || (e.status >= 400 ? 'status ' + e.status : '');

// printed are a function's own lines, without those of the platform.
const printed = (e) => (e.log ?? '').split('\n').filter((l) => l.trim() && !/^(START|END|REPORT) RequestId: /.test(l));

// what is one line on an event: which it is, and of what.
function what({ e, items }) {
  if (e.kind === 'call') {
    const c = e.changes?.[0], more = (e.records ?? 0) > 1 ? ` and ${e.records - 1} more` : '';
    return [e.name, !c ? 'called' : c.queue ? `message of ${c.queue}${more}` : `${c.event} ${keyText(c.keys)}${more}`];
  }
  if (e.kind === 'write') return [`${e.name} ${tablesOf(e.body).join(', ')}`, items[0]?.item ? short({ M: items[0].item }, 90) + (items.length > 1 ? ` and ${items.length - 1} more` : '') : ''];
  return [e.name, ''];
}

const href = ({ e }) => e.kind === 'call' ? '#/function/' + encodeURIComponent(e.name) : e.kind === 'write' && e.body?.TableName ? '#/table/' + encodeURIComponent(e.body.TableName) : undefined;

function Node({ node, slow }) {
  const { e } = node, [name, of] = what(node), bad = failed(node), to = href(node), log = printed(e);
  return html`<li><div class="event"><span class=${'mono' + (bad ? ' badt' : '')}>${e.kind === 'call' ? 'λ ' : ''}${to ? html`<a href=${to}>${name}</a>` : name}</span> <span class="mono dim">${of}</span>
      <span class=${e.millis >= slow ? 'warnt' : 'dim'}>${millis(e.millis)}</span>${e.status ? html`<span class=${e.status >= 400 ? 'badt' : 'dim'}>${e.status}</span>` : ''}${bad ? html`<span class="mono badt">${said(e)}</span>` : ''}${node.verdict ? html`<span class="warnt">${verdict(node.verdict)}</span>` : ''}</div>
    ${log.length > 3 ? html`<details open=${bad}><summary class="dim">${log.length} lines printed</summary><pre class="mono">${log.join('\n')}</pre></details>` : log.length > 0 && html`<pre class="mono dim">${log.join('\n')}</pre>`}
    ${node.kids.length > 0 && html`<ul>${node.kids.map((k) => html`<${Node} key=${k.e.id ?? k.e.began + k.e.name} node=${k} slow=${slow} />`)}</ul>`}
    ${node.elsewhere && html`<p class="dim">and ${node.elsewhere} more, shown on their own</p>`}</li>`;
}

export function Requests() {
  const [at, draw] = useState({ n: 0 });
  const [paused, pause] = useState(false);
  const [text, setText] = useState('');
  const [only, setOnly] = useState('');
  const [slow, setSlow] = useState('100');
  const trees = useRef(null), still = useRef(false), kept = useRef([]);
  trees.current ??= new Trees();
  still.current = paused;
  useEffect(() => {
    const end = new AbortController();
    let news = true, error, listening = false;
    lines('activity', null, end.signal, (e) => { news = true; trees.current.add(e, Date.now()); }, () => { news = listening = true; })
      .then(() => { news = true; error = new Error('The server has ended this. Load the page again to go on.'); }, (e) => { if (e.name !== 'AbortError') { news = true; error = e; } });
    const timer = setInterval(() => {
      const before = trees.current.roots.length;
      trees.current.late(Date.now());
      if (still.current || (!news && before === trees.current.roots.length)) return;
      news = false;
      kept.current = [...trees.current.roots];
      draw((s) => ({ n: s.n + 1, error, listening }));
    }, 250);
    return () => { end.abort(); clearInterval(timer); };
  }, []);
  const least = Number(slow) || 100, wanted = text.toLowerCase();
  const found = kept.current.filter((r) => (!only || some(r, only === 'failed' ? failed : (n) => n.e.millis >= least))
    && (!text || some(r, (n) => [...what(n), said(n.e), n.e.log ?? ''].join('\n').toLowerCase().includes(wanted))));
  return html`<h1>Requests</h1><div class="bar"><button aria-pressed=${paused} onClick=${() => pause(!paused)}>${paused ? 'Go on' : 'Pause'}</button>
      <select aria-label="which" value=${only} onChange=${(e) => setOnly(e.target.value)}><option value="">all</option><option value="failed">with something that failed</option><option value="slow">with something slow</option></select>
      <label>slow is <input class="narrow" inputmode="numeric" aria-label="slow, in milliseconds" value=${slow} onInput=${(e) => setSlow(e.target.value)} /> ms</label>
      <${Search} value=${text} set=${setText} label="Find in names, items, errors and logs" /><span class="dim" role="status">${found.length} of the newest ${kept.current.length}</span></div>
    <${Problem} error=${at.error} />
    ${trees.current.missed > 0 && html`<p class="warnt" role="status">${count(trees.current.missed)} events came faster than this page reads them, and are left out.</p>`}
    ${kept.current.length === 0 && !at.error && html`<p class="dim">${at.listening ? 'Waiting for requests and writes … What happens while this page is open is shown. What was before: see the calls and the log of a function.' : 'Asking the server …'}</p>`}
    ${kept.current.length > 0 && found.length === 0 && html`<p class="dim">None of the newest ${kept.current.length} matches.</p>`}
    ${found.slice(0, shown).map((r) => html`<div class="card tree" key=${r.e.id ?? r.e.began + r.e.name}><span class="dim">${clock(r.e.began)}</span><ul><${Node} node=${r} slow=${least} /></ul></div>`)}`;
}
