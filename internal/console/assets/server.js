// The server itself.
import { html } from './vendor/htm-preact.js';
import { useLive } from './live.js';
import { own } from './api.js';
import { useAsked, Problem } from './parts.js';
import { clock, count } from './values.js';

export function Server() {
  const { state } = useLive();
  const queues = useAsked(() => own('queues'), []);
  const schedules = useAsked(() => own('schedules'), []);
  const s = state?.status;
  if (!s) return html`<p class="wait">Asking the server …</p>`;
  return html`<h1>Server</h1>${[s.problem, ...(s.degraded ?? [])].filter(Boolean).map((w) => html`<p class="alert" role="alert"><b>${w}</b></p>`)}
    <div class="grid"><div class="card"><h2>Millstream ${s.version}</h2><div class="kv"><span>Health</span><div class=${s.healthy ? 'ok' : 'badt'}>${s.healthy ? (s.degraded ?? []).length ? 'degraded' : 'healthy' : 'not healthy'}</div>
      <span>Started</span><div>${clock(s.started)}</div><span>Durability</span><div class=${s.durability === 'sync' ? '' : 'warnt'}>${s.durability}</div><span>Data</span><div class="mono">${s.data || 'in memory'}</div><span>Signatures</span><div>${s.auth}</div>
      <span>Account, region</span><div class="mono">${s.account}, ${s.region}</div><span>Tables</span><div>${count(s.tables)}</div><span>Functions</span><div>${count(s.functions)}</div><span>Triggers</span><div>${count(s.triggers)}</div></div></div>
    <div class="card scroll" tabindex="0"><h2>Queues</h2><${Problem} error=${queues.error} /><table><thead><tr><th>Queue</th><th class="n">Waiting</th><th class="n">With someone</th><th class="n">Delayed</th></tr></thead>
      <tbody>${(queues.value?.queues ?? queues.value ?? []).map?.((q) => html`<tr><td class="mono">${q.name}</td><td class="n">${count(q.visible)}</td><td class="n">${count(q.inFlight)}</td><td class="n">${count(q.delayed)}</td></tr>`)}</tbody></table>
      <h2>Schedules</h2><${Problem} error=${schedules.error} /><table><thead><tr><th>Schedule</th><th>When</th><th>Next</th></tr></thead>
      <tbody>${(schedules.value?.schedules ?? schedules.value ?? []).map?.((q) => html`<tr><td class="mono">${q.name}</td><td class="mono">${q.expression}</td><td>${q.enabled ? clock(q.next) : 'disabled'}</td></tr>`)}</tbody></table></div></div>`;
}
