// A filter, tried on the last records of a trigger's stream.
import { html, useState } from './vendor/htm-preact.js';
import { lambda, lines } from './api.js';
import { Act, Change } from './parts.js';
import { keyText, clock, count } from './values.js';

const samples = {
  'what is inserted': { eventName: ['INSERT'] },
  'what is removed by time to live': { userIdentity: { type: ['Service'], principalId: ['dynamodb.amazonaws.com'] } },
  'a text': { dynamodb: { NewImage: { state: { S: ['paid', { prefix: 're' }] } } } },
  'a number': { dynamodb: { NewImage: { total: { N: ['100'] } } } },
  'an attribute that is there': { dynamodb: { NewImage: { email: { S: [{ exists: true }] } } } },
};

export function Try({ t, useAsEvent }) {
  const filters = t.filters ?? [];
  const [text, set] = useState(filters[0] ?? JSON.stringify(samples['what is inserted']));
  const [last, setLast] = useState('100');
  const [at, setAt] = useState(null);
  const [open, setOpen] = useState(null);
  const choices = [...filters.map((f, i) => [`filter ${i + 1} of the trigger`, f]), ...Object.entries(samples).map(([name, f]) => [name, JSON.stringify(f)])];
  const run = async () => {
    const records = [], warnings = [];
    await lines('try', { stream: t.streamArn, filter: text, last }, undefined, (r) => { warnings.push(...(r.warnings ?? [])); if (r.record) records.unshift(r); });
    setAt({ records, warnings, text });
  };
  const use = () => lambda('PUT', `/2015-03-31/event-source-mappings/${t.uuid}`, { FilterCriteria: { Filters: [{ Pattern: at.text }] } }).then(() => 'The trigger has this filter.');
  const matches = at?.records.filter((r) => r.matches).length;
  return html`<section class="card" aria-label="try a filter"><h2>Try a filter</h2>
    <div class="bar"><select aria-label="filter to begin with" onChange=${(e) => e.target.value && set(choices[e.target.value][1])}><option value="">begin with …</option>${choices.map(([name], i) => html`<option value=${i}>${name}</option>`)}</select>
      <label>the last <input class="narrow" inputmode="numeric" aria-label="records to look at" value=${last} onInput=${(e) => setLast(e.target.value)} /> records</label></div>
    <textarea class="mono" rows="4" spellcheck="false" aria-label="filter pattern" value=${text} onInput=${(e) => set(e.target.value)}></textarea>
    <div class="bar"><${Act} primary run=${run}>Try</${Act}>${at && html`<span role="status">${count(matches)} of ${count(at.records.length)} records match</span>`}
      ${at && at.text === text && html`<${Act} ask=${`${filters.length ? `It replaces the ${filters.length === 1 ? 'filter' : filters.length + ' filters'} of the trigger. ` : ''}Records that do not match are passed by.`} run=${use}>Use this filter</${Act}>`}</div>
    ${at?.warnings.map((w) => html`<p class="warnt">${w}</p>`)}
    ${at && html`<ul class="changes tried" tabindex="0" aria-label="records">${at.records.map((r) => {
      const d = r.record.dynamodb, id = d.SequenceNumber;
      return html`<li key=${id}><button class="line" aria-expanded=${open === id} onClick=${() => setOpen(open === id ? null : id)}><span class=${r.matches ? 'ok' : 'dim'}>${r.matches ? '✓ match' : '– no match'}</span> <span class="dim">${clock(d.ApproximateCreationDateTime * 1000)}</span> <span class=${'kind ' + r.record.eventName}>${r.record.eventName}</span> <span class="mono">${keyText(d.Keys)}</span></button>${open === id && html`<${Change} record=${r.record} /><p><button onClick=${() => useAsEvent(r.record)}>Try the function with it</button></p>`}</li>`;
    })}</ul>${at.records.length === 0 && html`<p class="dim">The stream holds no record.</p>`}`}</section>`;
}
