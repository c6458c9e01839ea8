// A table's settings, a new table, and the end of one.
import { html, useState } from './vendor/htm-preact.js';
import { dynamodb } from './api.js';
import { useAsked, Problem, Act, Copy, Views } from './parts.js';
import { useLive } from './live.js';
import { command, count, bytes, clock } from './values.js';

const types = [['S', 'text'], ['N', 'number'], ['B', 'binary']];
const views = [['NEW_AND_OLD_IMAGES', 'new and old images'], ['NEW_IMAGE', 'new images'], ['OLD_IMAGE', 'old images'], ['KEYS_ONLY', 'keys only']];

const Choice = ({ label, value, set, options }) =>
  html`<select aria-label=${label} value=${value} onChange=${(e) => set(e.target.value)}>${options.map(([v, word]) => html`<option value=${v}>${word}</option>`)}</select>`;

const stream = (view) => view ? { StreamEnabled: true, StreamViewType: view } : { StreamEnabled: false };

// active waits until a table can be changed: at once, except with serve --status-delay.
async function active(TableName) {
  for (let tries = 0; ; tries++) {
    const { Table } = await dynamodb('DescribeTable', { TableName });
    if (Table.TableStatus === 'ACTIVE') return Table;
    if (tries === 120) throw new Error(`The table is still ${Table.TableStatus}.`);
    await new Promise((r) => setTimeout(r, 500));
  }
}

// Keys collects the types of the attributes that keys name.
class Keys {
  types = new Map();
  schema(f, of) {
    return [['hash', 'HASH'], ['range', 'RANGE']].filter(([part]) => f[of + part]).map(([part, KeyType]) => {
      const AttributeName = f[of + part], type = f[of + part + 'Type'];
      if ((this.types.get(AttributeName) ?? type) !== type) throw new Error(`${AttributeName} cannot be of two types.`);
      this.types.set(AttributeName, type);
      return { AttributeName, KeyType };
    });
  }
  definitions() { return [...this.types].map(([AttributeName, AttributeType]) => ({ AttributeName, AttributeType })); }
}

const units = (f) => f.billing === 'PROVISIONED' ? { ReadCapacityUnits: Number(f.read), WriteCapacityUnits: Number(f.write) } : undefined;

const index = (f, keys) => ({ IndexName: f.index, KeySchema: keys.schema(f, 'index'), Projection: { ProjectionType: f.projection }, ProvisionedThroughput: units(f) });
const noIndex = { index: '', indexhash: '', indexhashType: 'S', indexrange: '', indexrangeType: 'S', projection: 'ALL' };

// creation is CreateTable's input for what the form has.
function creation(f) {
  const keys = new Keys(), KeySchema = keys.schema(f, ''), GlobalSecondaryIndexes = f.index ? [index(f, keys)] : undefined;
  return { TableName: f.name, KeySchema, AttributeDefinitions: keys.definitions(), BillingMode: f.billing, ProvisionedThroughput: units(f), GlobalSecondaryIndexes,
    StreamSpecification: f.stream ? stream(f.stream) : undefined };
}

// fields are what a form is made of: field is a text, pick a choice.
function fields(f, set) {
  const change = (name) => (v) => set({ ...f, [name]: v });
  const field = (label, name, placeholder, kind = 'field') => html`<input class=${kind} aria-label=${label} value=${f[name]} placeholder=${placeholder} onInput=${(e) => change(name)(e.target.value)} />`;
  const pick = (label, name, options) => html`<${Choice} label=${label} value=${f[name]} set=${change(name)} options=${options} />`;
  const capacity = html`${pick('capacity', 'billing', [['PAY_PER_REQUEST', 'on demand'], ['PROVISIONED', 'provisioned']])}
    ${f.billing === 'PROVISIONED' && html`<label>read ${field('read units', 'read', '', 'narrow')}</label> <label>write ${field('write units', 'write', '', 'narrow')}</label>`}`;
  const anIndex = html`${field('name of the index', 'index', 'none')} ${!f.index && html`<span class="dim">give it a name, then its key</span>`}
    ${f.index && html`<p><span class="dim">partition key</span>${field('partition key of the index', 'indexhash', 'state')} ${pick('type of the partition key of the index', 'indexhashType', types)}</p>
      <p><span class="dim">sort key</span>${field('sort key of the index', 'indexrange', 'none')} ${pick('type of the sort key of the index', 'indexrangeType', types)}</p>
      <p>${pick('what the index carries', 'projection', [['ALL', 'with all attributes'], ['KEYS_ONLY', 'with keys only']])}</p>`}`;
  return { field, pick, capacity, anIndex };
}

export function NewTable() {
  const [f, set] = useState({ name: '', hash: '', hashType: 'S', range: '', rangeType: 'S', billing: 'PAY_PER_REQUEST', read: '5', write: '5', stream: '', ttl: '', ...noIndex });
  const { field, pick, capacity, anIndex } = fields(f, set);
  const make = async () => {
    await dynamodb('CreateTable', creation(f));
    if (f.ttl) {
      try {
        await active(f.name);
        await dynamodb('UpdateTimeToLive', { TableName: f.name, TimeToLiveSpecification: { AttributeName: f.ttl, Enabled: true } });
      } catch (e) { throw new Error(`The table is made, but without time to live: ${e.message}`); }
    }
    location.hash = '#/table/' + encodeURIComponent(f.name);
  };
  let asCommand;
  try { asCommand = command('CreateTable', creation(f)); } catch (e) { asCommand = e.message; }
  return html`<h1>New table</h1><div class="card form">
    <h2>Name</h2><div>${field('name of the table', 'name', 'orders')}</div>
    <h2>Partition key</h2><div>${field('partition key', 'hash', 'pk')} ${pick('type of the partition key', 'hashType', types)}</div>
    <h2>Sort key</h2><div>${field('sort key', 'range', 'none')} ${pick('type of the sort key', 'rangeType', types)}</div>
    <h2>Capacity</h2><div>${capacity}</div>
    <h2>Stream</h2><div>${pick('stream', 'stream', [['', 'none'], ...views])} <span class="dim">triggers need one</span></div>
    <h2>Time to live</h2><div>${field('attribute of the time to live', 'ttl', 'none')} <span class="dim">the attribute with the time at which an item ends, in seconds since 1970</span></div>
    <h2>Index</h2><div>${anIndex}</div></div>
    <div class="bar"><${Act} primary disabled=${!f.name || !f.hash} run=${make}>Create table</${Act}>${(!f.name || !f.hash) && html`<span class="dim">A name and a partition key are needed.</span>`}<${Copy} text=${asCommand}>Copy as command</${Copy}><a class="button" href="#/tables">Cancel</a></div>`;
}

export function Settings({ name }) {
  const asked = useAsked(async () => {
    const { Table } = await dynamodb('DescribeTable', { TableName: name });
    const [live, tags] = await Promise.all([dynamodb('DescribeTimeToLive', { TableName: name }), dynamodb('ListTagsOfResource', { ResourceArn: Table.TableArn })]);
    return { t: Table, live: live.TimeToLiveDescription, tags: tags.Tags ?? [] };
  }, [name]);
  if (asked.error) return html`<h1 class="mono">${name}</h1><${Problem} error=${asked.error} />`;
  if (!asked.value) return html`<p class="wait">Asking the server …</p>`;
  return html`<${OfTable} name=${name} at=${asked.value} done=${asked.reload} />`;
}

function OfTable({ name, at, done }) {
  const { t, live, tags } = at, TableName = name, ResourceArn = t.TableArn, on = t.StreamSpecification?.StreamEnabled, has = t.ProvisionedThroughput;
  const demand = t.BillingModeSummary?.BillingMode === 'PAY_PER_REQUEST';
  const { state } = useLive();
  const [view, setView] = useState('NEW_AND_OLD_IMAGES');
  const [ttl, setTTL] = useState('');
  const [typed, type] = useState('');
  const [tag, setTag] = useState({ Key: '', Value: '' });
  const [f, set] = useState({ ...noIndex, billing: demand ? 'PAY_PER_REQUEST' : 'PROVISIONED', read: String(has?.ReadCapacityUnits || 5), write: String(has?.WriteCapacityUnits || 5) });
  const { capacity, anIndex } = fields(f, set);
  const triggers = (state?.triggers ?? []).filter((x) => x.table === name).length;
  const key = (schema) => schema.map((k) => `${k.AttributeName} (${t.AttributeDefinitions.find((a) => a.AttributeName === k.AttributeName)?.AttributeType})`).join(', ');
  const turn = (view) => update({ StreamSpecification: stream(view) });
  const update = async (input) => { await dynamodb('UpdateTable', { TableName, ...input }); await active(name); };
  // Indexes of a table that becomes provisioned are given as much each.
  const setCapacity = () => update({ BillingMode: f.billing, ProvisionedThroughput: units(f), GlobalSecondaryIndexUpdates: f.billing === 'PROVISIONED' && demand && t.GlobalSecondaryIndexes
    ? t.GlobalSecondaryIndexes.map((i) => ({ Update: { IndexName: i.IndexName, ProvisionedThroughput: units(f) } })) : undefined });
  const addIndex = async () => {
    const keys = new Keys(), own = { ...f, billing: demand ? 'PAY_PER_REQUEST' : 'PROVISIONED' }, Create = index(own, keys);
    await update({ AttributeDefinitions: keys.definitions(), GlobalSecondaryIndexUpdates: [{ Create }] });
    set({ ...f, ...noIndex });
  };
  const lapse = (AttributeName, Enabled) => dynamodb('UpdateTimeToLive', { TableName, TimeToLiveSpecification: { AttributeName, Enabled } }).then(() => undefined);
  const lives = ['ENABLED', 'ENABLING'].includes(live?.TimeToLiveStatus);
  const indexes = [...(t.GlobalSecondaryIndexes ?? []).map((i) => ['global', i]), ...(t.LocalSecondaryIndexes ?? []).map((i) => ['local', i])];
  return html`<h1>Settings of <span class="mono">${name}</span></h1><${Views} table=${name} at="settings" streamed=${Boolean(on)} />
    <div class="grid even"><div><div class="card"><h2>Table</h2><div class="kv"><span>Key</span><div class="mono">${key(t.KeySchema)}</div><span>Status</span><div>${t.TableStatus}</div><span>Items</span><div>${count(t.ItemCount)}, ${bytes(t.TableSizeBytes ?? 0)}</div>
        <span>Capacity</span><div>${demand ? 'on demand' : `${count(t.ProvisionedThroughput?.ReadCapacityUnits)} read, ${count(t.ProvisionedThroughput?.WriteCapacityUnits)} write`}</div>
        <span>Made</span><div>${clock((t.CreationDateTime ?? 0) * 1000)}</div><span>ARN</span><div class="mono">${t.TableArn}</div></div>
        <h2>Change capacity</h2><div class="bar">${capacity}<${Act} done=${done} run=${setCapacity}>Set capacity</${Act}></div></div>
      <div class="card"><h2>Indexes</h2>${indexes.length > 0 && html`<div class="scroll" tabindex="0"><table><thead><tr><th>Index</th><th>Key</th><th>Carries</th><th class="n">Items</th><td></td></tr></thead><tbody>${indexes.map(([kind, i]) =>
          html`<tr><td class="mono">${i.IndexName}</td><td class="mono">${key(i.KeySchema)}</td><td>${i.Projection.ProjectionType} <span class="dim">${kind}</span></td><td class="n">${count(i.ItemCount)}</td>
            <td>${kind === 'global' && html`<${Act} danger label=${'delete the index ' + i.IndexName} ask="Queries of it fail from now on." done=${done} run=${() => update({ GlobalSecondaryIndexUpdates: [{ Delete: { IndexName: i.IndexName } }] })}>Delete</${Act}>`}</td></tr>`)}</tbody></table></div>`}
        <div class="form add"><h2>New index</h2><div>${anIndex}${f.index && html`<p><${Act} primary disabled=${!f.indexhash} done=${done} run=${addIndex}>Create index</${Act}></p>`}</div></div></div>
      <div class="card"><h2>Tags</h2>${tags.map((g) => html`<div class="bar"><span class="mono">${g.Key} = ${g.Value}</span><${Act} done=${done} label=${'remove the tag ' + g.Key} run=${() => dynamodb('UntagResource', { ResourceArn, TagKeys: [g.Key] }).then(() => undefined)}>Remove</${Act}></div>`)}
        <div class="bar"><input class="short" aria-label="key of the tag" placeholder="key" value=${tag.Key} onInput=${(e) => setTag({ ...tag, Key: e.target.value })} /><input class="short" aria-label="value of the tag" placeholder="value" value=${tag.Value} onInput=${(e) => setTag({ ...tag, Value: e.target.value })} />
          <${Act} disabled=${!tag.Key} done=${() => { setTag({ Key: '', Value: '' }); done(); }} run=${() => dynamodb('TagResource', { ResourceArn, Tags: [tag] }).then(() => undefined)}>Set tag</${Act}></div></div></div>
    <div><div class="card"><h2>Stream</h2>${on ? html`<p>On, with ${views.find(([v]) => v === t.StreamSpecification.StreamViewType)?.[1]}.</p>
          <${Act} danger done=${done} ask=${`${triggers ? `${count(triggers)} ${triggers === 1 ? 'trigger gets' : 'triggers get'} no new changes. ` : ''}Turned on again it is another stream, which needs triggers of its own.`} run=${() => turn('')}>Turn the stream off</${Act}>`
        : html`<p>Off: nothing can be triggered by changes of this table.</p><div class="bar"><${Choice} label="what the stream carries" value=${view} set=${setView} options=${views} /><${Act} primary done=${done} run=${() => turn(view)}>Turn the stream on</${Act}></div>`}</div>
      <div class="card"><h2>Time to live</h2>${lives ? html`<p>On: an item ends at the time in <code>${live.AttributeName}</code>.</p><${Act} danger done=${done} ask="Items stay from now on." run=${() => lapse(live.AttributeName, false)}>Turn time to live off</${Act}>`
        : html`<p>Off: items stay until they are deleted.</p><div class="bar"><input aria-label="attribute of the time to live" placeholder="attribute" value=${ttl} onInput=${(e) => setTTL(e.target.value)} />
          <${Act} primary disabled=${!ttl} done=${done} ask=${`Items whose ${ttl} is past are deleted.`} run=${() => lapse(ttl, true)}>Turn time to live on</${Act}></div>`}</div>
      <div class="card"><h2>Delete the table</h2><p>Its ${t.ItemCount === 1 ? 'item is' : `${count(t.ItemCount)} items are`} gone for good${triggers ? `, and ${count(triggers)} ${triggers === 1 ? 'trigger has' : 'triggers have'} nothing more to read` : ''}. Type its name to go on.</p>
        <div class="bar"><input aria-label="name of the table to delete" placeholder=${name} autocomplete="off" value=${typed} onInput=${(e) => type(e.target.value)} />
          <${Act} danger disabled=${typed !== name} run=${async () => { await dynamodb('DeleteTable', { TableName }); location.hash = '#/tables'; }}>Delete table</${Act}></div></div></div></div>`;
}
