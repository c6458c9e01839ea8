// A function's calls, as its log tells of them: the lines that Lambda writes at their end, as text or as JSON.
import { html, useState } from './vendor/htm-preact.js';
import { clock, millis } from './values.js';

const field = (text, name) => text.match(new RegExp(`\\t${name}: ([^\\t]*)`))?.[1].trim();

// report reads the line at a call's end: {id, time, millis, memory, cold, status}; of any other line it is null.
export function report({ time, text }) {
  if (text.startsWith('REPORT RequestId: ')) {
    const status = field(text, 'Status');
    return { id: text.slice(18).split('\t')[0].trim(), time, millis: parseFloat(field(text, 'Duration')), memory: field(text, 'Max Memory Used'), cold: parseFloat(field(text, 'Init Duration')), status: status ?? 'success',
      why: field(text, 'Error') ?? field(text, 'Error Type') };
  }
  if (!text.startsWith('{') || !text.includes('"platform.report"')) return null;
  try {
    const { record } = JSON.parse(text), m = record.metrics ?? {};
    return { id: record.requestId, time, millis: m.durationMs, memory: m.maxMemoryUsedMB === undefined ? undefined : m.maxMemoryUsedMB + ' MB', cold: m.initDurationMs, status: record.status ?? 'success', why: record.errorType };
  } catch { return null; }
}

const shown = 50;

// Calls are shown as a table; pick has one's lines in the log.
export function Calls({ calls, pick }) {
  const [only, setOnly] = useState(false);
  const times = calls.map((c) => c.millis).filter((n) => n >= 0).sort((a, b) => a - b), at = (part) => times[Math.min(times.length - 1, Math.floor(part * times.length))];
  const failed = calls.filter((c) => c.status !== 'success').length;
  return html`<div class="card scroll" tabindex="0"><h2>Calls</h2>${calls.length === 0 ? html`<p class="dim">None was seen.</p>` : html`<p>Of the newest ${calls.length}: ${failed === 0 ? 'none failed' : html`<b class="badt">${failed} failed</b>`}; the median is ${millis(at(0.5))}, 99 of 100 take up to ${millis(at(0.99))}.${failed > 0 && html` <label><input type="checkbox" aria-label="only those that failed" checked=${only} onChange=${(e) => setOnly(e.target.checked)} /> only those that failed</label>`}</p>
    <table><thead><tr><th>End</th><th>Outcome</th><th class="n">Duration</th><th>Log</th><th class="n">Memory</th><th class="n">Cold start</th></tr></thead><tbody>${calls.filter((c) => !only || c.status !== 'success').slice(-shown).reverse().map((c) => html`<tr key=${c.id + c.time}><td>${clock(c.time)}</td>
      <td class=${c.status === 'success' ? 'ok' : 'badt'}>${[c.status, c.why].filter(Boolean).join(': ')}</td><td class="n">${c.millis >= 0 ? millis(c.millis) : ''}</td><td class="mono"><button class="line" title=${c.id} aria-label=${'log of ' + c.id} onClick=${() => pick(c.id)}>${c.id.slice(0, 8)}</button></td><td class="n">${c.memory}</td><td class="n">${c.cold > 0 ? millis(c.cold) : ''}</td></tr>`)}</tbody></table>`}</div>`;
}
