// The settings of a trigger, changed: those of AWS's API, and Millstream's own, which are tags.
import { html, useState } from './vendor/htm-preact.js';
import { act, lambda } from './api.js';
import { useAsked, Problem, Act } from './parts.js';

// What a form has is text. A field is [member, label, what it takes]; an empty one leaves things as they are.
const ofStreams = [
  ['BatchSize', 'Records a call, at most', '1 to 10000'], ['MaximumBatchingWindowInSeconds', 'Wait for a batch, seconds', '0 to 300'], ['ParallelizationFactor', 'Calls at once a shard', '1 to 10'],
  ['MaximumRetryAttempts', 'Retries', '-1: without end'], ['MaximumRecordAgeInSeconds', 'Oldest record, seconds', '-1: of any age; else 60 to 604800'], ['TumblingWindowInSeconds', 'Tumbling window, seconds', '0 to 900'],
];
const ofQueues = [['BatchSize', 'Messages a call, at most', '1 to 10000'], ['MaximumBatchingWindowInSeconds', 'Wait for a batch, seconds', '0 to 300']];
const prefix = 'millstream:';
const tagsOfStreams = [
  ['exactly-once', 'Exactly once', 'true or false'], ['batching-window', 'Wait beyond 300 s', 'up to 86400, in the place of the above'], ['tumbling-window', 'Window beyond 900 s', 'up to 86400, in the place of the above'],
  ['max-in-flight', 'Calls at once, of all shards', '0: no limit'], ['rate', 'Calls a second', '0: no limit'],
];
const tagsOfQueues = tagsOfStreams.slice(3);
const failures = [['', 'as the function or table says'], ['block-shard', 'its shard waits'], ['block-key', 'only its item waits'], ['park', 'its shard waits; what is given up is parked']];

const text = (v) => v === undefined || v === null ? '' : String(v);
const whole = (label, v) => {
  const n = Number(v);
  if (v.trim() === '' || !Number.isInteger(n)) throw new Error(`${label}: want a whole number.`);
  return n;
};

export function ChangeTrigger({ t, close }) {
  const at = '/2015-03-31/event-source-mappings/' + t.uuid, arn = `arn:aws:lambda:${t.region}:${t.account}:event-source-mapping:${t.uuid}`, tagsAt = '/2017-03-31/tags/' + encodeURIComponent(arn);
  const asked = useAsked(async () => { const [m, tags] = await Promise.all([lambda('GET', at), lambda('GET', tagsAt)]); return { m, tags: tags.Tags ?? {} }; }, [t.uuid]);
  if (asked.error) return html`<${Problem} error=${asked.error} />`;
  if (!asked.value) return html`<p class="wait">Asking the server …</p>`;
  return html`<${Form} t=${t} at=${at} tagsAt=${tagsAt} m=${asked.value.m} tags=${asked.value.tags} close=${close} done=${asked.reload} />`;
}

function Form({ t, at, tagsAt, m, tags, close, done }) {
  const stream = !t.queue, fields = stream ? ofStreams : ofQueues, settings = stream ? tagsOfStreams : tagsOfQueues;
  const before = {
    ...Object.fromEntries(fields.map(([name]) => [name, text(m[name])])), ...Object.fromEntries(settings.map(([name]) => [prefix + name, text(tags[prefix + name])])),
    FunctionName: m.FunctionArn, destination: text(m.DestinationConfig?.OnFailure?.Destination), filters: (m.FilterCriteria?.Filters ?? []).map((f) => f.Pattern).join('\n'), when: text(t.when),
    concurrency: text(m.ScalingConfig?.MaximumConcurrency), least: text(m.ProvisionedPollerConfig?.MinimumPollers), most: text(m.ProvisionedPollerConfig?.MaximumPollers),
    bisect: Boolean(m.BisectBatchOnFunctionError), items: (m.FunctionResponseTypes ?? []).length > 0, metrics: (m.MetricsConfig?.Metrics ?? []).length > 0, failing: text(tags[prefix + 'on-failure']),
  };
  const [f, set] = useState(before);
  const change = (name) => (e) => set({ ...f, [name]: e.target.type === 'checkbox' ? e.target.checked : e.target.value });
  const differs = (name) => f[name] !== before[name];
  const save = async () => {
    const input = {};
    for (const [name, label] of fields) if (differs(name)) input[name] = whole(label, f[name]);
    if (differs('FunctionName')) input.FunctionName = f.FunctionName;
    if (differs('filters')) input.FilterCriteria = { Filters: f.filters.split('\n').filter((l) => l.trim()).map((Pattern) => ({ Pattern })) };
    if (differs('items')) input.FunctionResponseTypes = f.items ? ['ReportBatchItemFailures'] : [];
    if (differs('metrics')) input.MetricsConfig = { Metrics: f.metrics ? ['EventCount'] : [] };
    if (differs('destination')) input.DestinationConfig = f.destination ? { OnFailure: { Destination: f.destination.trim() } } : { OnFailure: {} };
    if (differs('bisect')) input.BisectBatchOnFunctionError = f.bisect;
    if (differs('concurrency')) input.ScalingConfig = f.concurrency ? { MaximumConcurrency: whole('Calls at once', f.concurrency) } : {};
    if (differs('least') || differs('most')) input.ProvisionedPollerConfig = { MinimumPollers: f.least ? whole('Pollers', f.least) : undefined, MaximumPollers: f.most ? whole('Pollers', f.most) : undefined };
    const named = [...settings.map(([name]) => [prefix + name, f[prefix + name].trim(), differs(prefix + name)]), ...(stream ? [[prefix + 'on-failure', f.failing, differs('failing')]] : [])].filter(([, , d]) => d);
    const put = Object.fromEntries(named.filter(([, v]) => v !== '').map(([name, v]) => [name, v])), remove = named.filter(([, v]) => v === '').map(([name]) => name);
    if (Object.keys(input).length) await lambda('PUT', at, input);
    if (Object.keys(put).length) await lambda('POST', tagsAt, { Tags: put });
    if (remove.length) await lambda('DELETE', tagsAt + '?' + remove.map((k) => 'tagKeys=' + encodeURIComponent(k)).join('&'));
    if (differs('when')) await act(`triggers/${t.uuid}/when`, { condition: f.when.trim() });
  };
  const row = ([name, label, takes], key = name) => html`<h2>${label}</h2><div><input class="narrow" aria-label=${label} value=${f[key]} onInput=${change(key)} /> <span class="dim">${takes}</span></div>`;
  const box = (name, label) => html`<label><input type="checkbox" aria-label=${label} checked=${f[name]} onChange=${change(name)} /> ${label}</label>`;
  const changed = Object.keys(before).some(differs);
  return html`<section class="card" aria-label="change the settings"><h2>Change settings</h2><div class="form">${fields.map((x) => row(x))}
      ${stream && html`<h2>While a record fails</h2><div><select aria-label="while a record fails" value=${f.failing} onChange=${change('failing')}>${failures.map(([v, word]) => html`<option value=${v}>${word}</option>`)}</select></div>`}
      ${stream && html`<h2>What is given up goes to</h2><div><input class="wideinput" aria-label="on-failure destination" value=${f.destination} onInput=${change('destination')} placeholder="the ARN of a queue, topic or bucket; empty: nowhere" /></div>`}
      ${!stream && row(['concurrency', 'Calls at once', '2 to 1000; empty: as many as usual'])}${!stream && html`<h2>Pollers</h2><div><input class="narrow" aria-label="pollers, at least" value=${f.least} onInput=${change('least')} /> to <input class="narrow" aria-label="pollers, at most" value=${f.most} onInput=${change('most')} /> <span class="dim">kept for AWS</span></div>`}
      <h2>Answers</h2><div>${box('items', 'may name the items that failed')} ${stream && box('bisect', 'a failed batch is cut in two')} ${box('metrics', "AWS's metrics")}</div>
      ${settings.map((x) => row(x, prefix + x[0]))}
      <h2>Filters</h2><div><textarea class="mono" rows=${Math.max(2, f.filters.split('\n').length)} spellcheck="false" aria-label="filters" value=${f.filters} onInput=${change('filters')} placeholder='one a line; one of them must match: {"eventName":["INSERT"]}'></textarea></div>
      ${stream && html`<h2>When</h2><div><input class="wideinput mono" aria-label="condition" value=${f.when} onInput=${change('when')} placeholder="OLD.status <> NEW.status" /></div>`}
      <h2>Function</h2><div><input class="wideinput mono" aria-label="function" value=${f.FunctionName} onInput=${change('FunctionName')} /></div></div>
    <div class="bar"><${Act} primary disabled=${!changed} run=${() => save().then(() => 'saved')} done=${done}>Save settings</${Act}><button onClick=${close}>Close</button>${!changed && html`<span class="dim">Nothing is changed.</span>`}</div></section>`;
}
