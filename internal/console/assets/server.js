// The server itself.
import { html, useEffect } from './vendor/htm-preact.js';
import { useLive, condition } from './live.js';
import { own, metrics, dynamodb } from './api.js';
import { useAsked, Problem } from './parts.js';
import { useTables } from './tablelist.js';
import { clock, count, bytes, span, millis } from './values.js';

const none = (asked, list) => asked.value && list.length === 0 && html`<p class="dim">None.</p>`;
const row = (name, value) => value === undefined || value === '' || value === false ? null : html`<span>${name}</span><div>${value}</div>`;

export function Server() {
  const { state } = useLive();
  const queues = useAsked(() => own('queues'), []);
  const schedules = useAsked(() => own('schedules'), []);
  const keys = useAsked(() => own('credentials'), []);
  const measured = useAsked(metrics, []);
  const backups = useAsked(() => dynamodb('ListBackups', { BackupType: 'ALL' }).then((a) => a.BackupSummaries), []);
  const tables = useTables('', 1000), streams = (tables.value?.tables ?? []).filter((t) => t.stream), hours = [...new Set(streams.map((t) => t.retentionHours))].sort((a, b) => a - b);
  useEffect(() => {
    const timer = setInterval(() => { if (!document.hidden) measured.reload(); }, 5000);
    return () => clearInterval(timer);
  }, []);
  const s = state?.status, m = measured.value ?? new Map();
  if (state?.account) return html`<h1>Server</h1><p class="card">What is here spans accounts. It is for the server's owner, and for operators' keys.</p>`;
  if (!s) return html`<p class="wait">Asking the server …</p>`;
  const all = (asked, name) => { const list = asked.value?.[name] ?? asked.value ?? []; return Array.isArray(list) ? list : []; };
  const bad = (state.triggers ?? []).filter((t) => condition(t).level === 'bad').length;
  const sum = (name) => m.get(name), syncs = sum('millstream_syncs_total'), r = s.replication, b = s.standby;
  return html`<h1>Server</h1>${[s.problem, ...(s.degraded ?? [])].filter(Boolean).map((w) => html`<p class="alert" role="alert"><b>${w}</b></p>`)}
    <div class="grid"><div><div class="card"><h2>Millstream ${s.version}</h2><div class="kv"><span>Health</span><div class=${s.healthy ? 'ok' : 'badt'}>${s.healthy ? (s.degraded ?? []).length ? 'degraded' : 'healthy' : 'not healthy'}</div>
      <span>Started</span><div>${clock(s.started)}</div><span>Durability</span><div class=${s.durability === 'sync' ? '' : 'warnt'}>${s.durability}</div><span>Data</span><div class="mono">${s.data || 'in memory'}</div><span>Signatures</span><div>${s.auth}</div>
      <span>Account, region</span><div class="mono">${s.account}, ${s.region}</div><span>Tables</span><div>${count(s.tables)}</div><span>Functions</span><div>${count(s.functions)}</div><span>Triggers</span><div><a href="#/triggers">${count(s.triggers)}</a>${bad > 0 && html`, <span class="badt">${count(bad)} in trouble</span>`}</div></div></div>
      <div class="card"><h2>Machine</h2><${Problem} error=${measured.error} /><div class="kv">${row('Memory', sum('process_resident_memory_bytes') && bytes(sum('process_resident_memory_bytes')))}${row('Processor', sum('process_cpu_seconds_total') && span(sum('process_cpu_seconds_total')) + ' since the start')}
        ${row('Disk used', sum('millstream_disk_used_bytes') && html`${bytes(sum('millstream_disk_used_bytes'))} by the database <span class="dim">besides code of functions, their logs, backups and buckets</span>`)}${row('Disk free', sum('millstream_disk_free_bytes') && bytes(sum('millstream_disk_free_bytes')))}
        ${row('A sync of the log', syncs > 0 && `${millis(1000 * sum('millstream_sync_seconds_total') / syncs)} on average, ${count(syncs)} since the start`)}${row('Open files', sum('process_open_fds') && count(sum('process_open_fds')))}
        ${row('Connections', sum('millstream_connections') && count(sum('millstream_connections')))}${row('Requests under way', sum('millstream_requests_in_flight') >= 0 && count(sum('millstream_requests_in_flight')))}
        ${row('Compactions', sum('millstream_compactions_total') >= 0 && `${count(sum('millstream_compactions_total'))} since the start${sum('millstream_compaction_debt_bytes') > 0 ? `, ${bytes(sum('millstream_compaction_debt_bytes'))} wait` : ''}`)}</div></div>
      <div class="card"><h2>Retention and backups</h2><${Problem} error=${tables.error ?? backups.error} /><div class="kv">${row('Streams', streams.length > 0 && `${count(streams.length)}, which keep records for ${hours.map((h) => h % 24 ? `${h} hours` : h === 24 ? 'a day' : `${h / 24} days`).join(' or ')}`)}
        ${row('Kept longer', sum('millstream_stream_held_bytes') > 0 && html`${bytes(sum('millstream_stream_held_bytes'))} <span class="dim">for triggers that have not read them</span>`)}${row('Backups of tables', backups.value && (backups.value.length ? `${count(backups.value.length)}, the newest of ${backups.value.map((b) => b.TableName).at(-1)} at ${clock(backups.value.at(-1).BackupCreationDateTime * 1000)}` : 'none'))}
        ${row('Backups of the server', html`<span class="dim">made by</span> <code>millstream backup</code>, <span class="dim">listed by</span> <code>millstream backups ls PLACE</code>`)}</div></div>
      ${r && html`<div class="card"><h2>Replication</h2><div class="kv">${row('To', html`<span class="mono">${r.place}</span>`)}${row('Behind', html`<span class=${r.lagSeconds > 60 || r.failing ? 'badt' : ''}>${span(r.lagSeconds)}</span>`)}${row('Fails', r.failing && html`<span class="badt">${r.failing}</span>`)}${row('Backup', r.backup || 'is being made')}${row('Copied', bytes(r.bytes))}${row('Any moment since', clock(r.oldest))}</div></div>`}
      ${b && html`<div class="card"><h2>Standby</h2><div class="kv">${row('Of', html`<span class="mono">${b.of}</span>`)}${row('Behind', b.has ? span(b.lagSeconds) : b.state)}${row('Fails', b.failing && html`<span class="badt">${b.failing}</span>`)}</div></div>`}</div>
    <div><div class="card scroll" tabindex="0"><h2>Queues</h2><${Problem} error=${queues.error} /><table><thead><tr><th>Queue</th><th class="n">Waiting</th><th class="n">Being worked on</th><th class="n">Delayed</th></tr></thead>
      <tbody>${all(queues, 'queues').map((q) => html`<tr><td class="mono">${q.name}</td><td class="n">${count(q.visible)}</td><td class="n">${count(q.inFlight)}</td><td class="n">${count(q.delayed)}</td></tr>`)}</tbody></table>${none(queues, all(queues, 'queues'))}</div>
      <div class="card scroll" tabindex="0"><h2>Schedules</h2><${Problem} error=${schedules.error} /><table><thead><tr><th>Schedule</th><th>When</th><th>Next</th></tr></thead>
      <tbody>${all(schedules, 'schedules').map((q) => html`<tr><td class="mono">${q.name}</td><td class="mono">${q.expression}</td><td>${q.enabled ? clock(q.next) : 'disabled'}</td></tr>`)}</tbody></table>${none(schedules, all(schedules, 'schedules'))}</div>
      <div class="card scroll" tabindex="0"><h2>Access keys</h2><${Problem} error=${keys.error} />${(keys.value ?? []).length === 0 ? html`<p class="dim">None: <code>millstream credentials create --data ${s.data || 'FOLDER'}</code> makes one.</p>` : html`<table><thead><tr><th>Key</th><th>Account</th><th>Last used</th><th></th></tr></thead>
      <tbody>${keys.value.map((k) => html`<tr><td class="mono">${k.id}${k.name ? html` <span class="dim">${k.name}</span>` : ''}</td><td class="mono">${k.account}</td><td>${k.used && clock(k.used) ? clock(k.used).replace(/:\d\d:\d\d$/, ' h') : s.auth === 'off' ? html`<span class="dim">not noted</span>` : 'never'}</td><td>${k.unusable ? html`<span class="badt">sealed with another key file</span>` : k.disabled ? 'disabled' : k.operator ? 'operator' : ''}</td></tr>`)}</tbody></table>${s.auth === 'off' ? html`<p class="dim">Who uses a key is noted where signatures are looked at: <code>serve --auth on</code> or <code>warn</code>.</p>` : html`<p class="dim">Last used: the hour.</p>`}`}</div></div></div>`;
}
