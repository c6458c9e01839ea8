// Tables and their items.
import { html, useState } from './vendor/htm-preact.js';
import { dynamodb } from './api.js';
import { useTables } from './tablelist.js';
import { useAsked, Problem, Act, Copy, Search, Views, save } from './parts.js';
import { Editor } from './editor.js';
import { Import } from './import.js';
import { useLive } from './live.js';
import { short, attribute, command, csv, count, many, rate, bytes, keyText } from './values.js';

const most = 200, mostColumns = 10, mostSaved = 50e6; // bytes

export function Tables() {
  const [text, set] = useState('');
  const { state } = useLive();
  const asked = useTables(text, most), all = asked.value?.all, rates = asked.value?.rates ?? {};
  const key = (k) => k ? `${k.name} (${k.type})` : undefined;
  return html`<h1>Tables</h1><div class="bar"><${Search} value=${text} set=${set} label="Find a table" /><span class="dim">${asked.value && many(all, 'table')}</span><a class="button" href="#/new-table">New table</a></div><${Problem} error=${asked.error} />
    <div class="card scroll" tabindex="0"><table><thead><tr><th>Table</th><th>Key</th><th class="n">Items</th><th class="n">Size</th><th class="n">Indexes</th><th>Stream</th><th class="n">Changes/s</th><th>Time to live</th><th class="n">Triggers</th><th>Status</th></tr></thead>
      <tbody>${(asked.value?.tables ?? []).map((t) => html`<tr key=${t.name}><td class="mono"><a href=${'#/table/' + encodeURIComponent(t.name)}>${t.name}</a></td><td class="mono">${[key(t.hash), key(t.range)].filter(Boolean).join(', ')}</td>
        <td class="n">${count(t.items)}</td><td class="n">${bytes(t.bytes)}</td><td class="n">${t.indexes}</td>
        <td>${t.stream ? html`<a href=${'#/stream/' + encodeURIComponent(t.name)} title=${`kept for ${t.retentionHours} hours`}>${t.stream}</a>` : html`<span class="dim">none</span>`}</td><td class="n">${t.stream ? rate(rates[t.name]) : ''}</td><td class="mono">${t.ttl}</td>
        <td class="n">${(state?.triggers ?? []).filter((x) => x.table === t.name).length || ''}</td><td>${t.status}</td></tr>`)}</tbody></table>
      ${all === 0 && html`<p class="dim">There is no table${text && ' of that name'}.</p>`}${all > most && html`<p class="dim">The first ${most} are shown: type a part of the name.</p>`}</div>`;
}

export function Table({ name }) {
  const asked = useAsked(() => dynamodb('DescribeTable', { TableName: name }).then((a) => a.Table), [name]);
  if (asked.error) return html`<h1 class="mono">${name}</h1><${Problem} error=${asked.error} />`;
  if (!asked.value) return html`<p class="wait">Asking the server …</p>`;
  return html`<${Items} key=${name} table=${asked.value} changed=${asked.reload} />`;
}

const noFilter = { name: '', type: 'S', compare: '=', value: '', upto: '' };
const filterValue = (type, text) => type === 'BOOL' ? { BOOL: text === 'true' } : typed(type, text);
// condition is one of an expression; of between the other end is the value's name with to behind it.
const condition = (compare, name, value) => ['contains', 'begins_with'].includes(compare) ? `${compare}(${name}, ${value})` : compare === 'between' ? `${name} BETWEEN ${value} AND ${value}to` : `${name} ${compare} ${value}`;

// typed makes an attribute value of what was typed for a key or a filter.
const typed = (type, text) => ({ [type]: text });

const reads = (statement) => /^\s*select\b/i.test(statement);

function Items({ table, changed }) {
  const indexes = [...(table.GlobalSecondaryIndexes ?? []), ...(table.LocalSecondaryIndexes ?? [])];
  const [q, set] = useState({ index: '', hash: '', range: '', upto: '', compare: '=', filters: [noFilter], statement: '', back: false });
  const [run, setRun] = useState({ n: 0, q, from: [undefined] });
  const [open, setOpen] = useState(null); // {item} or {fresh}
  const [chosen, choose] = useState(new Set());
  const [importing, setImporting] = useState(false);
  const change = (name) => (e) => set({ ...q, [name]: e.target.type === 'checkbox' ? e.target.checked : e.target.value });
  const of = (index) => indexes.find((i) => i.IndexName === index) ?? table;
  const typeOf = (name) => (table.AttributeDefinitions.find((a) => a.AttributeName === name) ?? {}).AttributeType ?? 'S';
  const part = (schema, kind) => schema.KeySchema.find((k) => k.KeyType === kind)?.AttributeName;
  // question is what the form asks for, as an operation and its input.
  const question = (q) => {
    if (q.statement.trim()) return ['ExecuteStatement', { Statement: q.statement }];
    const schema = of(q.index), hash = part(schema, 'HASH'), range = part(schema, 'RANGE'), names = {}, values = {};
    const input = { TableName: table.TableName };
    if (q.index) input.IndexName = q.index;
    const filters = q.filters.filter((f) => f.name).map((f, i) => {
      const n = i || '', name = '#f' + n, value = ':f' + n;
      names[name] = f.name;
      if (f.compare === 'exists' || f.compare === 'not exists') return `attribute_${f.compare.replace(' ', '_')}(${name})`;
      values[value] = filterValue(f.type, f.value);
      if (f.compare === 'between') values[value + 'to'] = filterValue(f.type, f.upto);
      return condition(f.compare, name, value);
    });
    if (filters.length) input.FilterExpression = filters.join(' AND ');
    let operation = 'Scan';
    if (q.hash !== '') {
      operation = 'Query';
      names['#h'] = hash;
      values[':h'] = typed(typeOf(hash), q.hash);
      input.KeyConditionExpression = '#h = :h';
      input.ScanIndexForward = !q.back;
      if (range && q.range !== '') {
        names['#r'] = range;
        values[':r'] = typed(typeOf(range), q.range);
        if (q.compare === 'between') values[':rto'] = typed(typeOf(range), q.upto);
        input.KeyConditionExpression += ' AND ' + condition(q.compare, '#r', ':r');
      }
    }
    if (Object.keys(names).length) input.ExpressionAttributeNames = names;
    if (Object.keys(values).length) input.ExpressionAttributeValues = values;
    return [operation, input];
  };
  const page = async (q, from, Limit) => {
    const [operation, input] = question(q), statement = operation === 'ExecuteStatement';
    const a = await dynamodb(operation, { ...input, Limit, [statement ? 'NextToken' : 'ExclusiveStartKey']: from });
    return { items: a.Items ?? [], next: statement ? a.NextToken : a.LastEvaluatedKey, scanned: a.ScannedCount };
  };
  const changes = run.q.statement.trim() && !reads(run.q.statement);
  const asked = useAsked(async () => changes ? { items: [] } : page(run.q, run.from[run.from.length - 1], 100), [table.TableName, run]);
  const go = async (e) => {
    e?.preventDefault();
    choose(new Set());
    setOpen(null);
    if (!q.statement.trim() || reads(q.statement)) return setRun({ n: run.n + 1, q, from: [undefined] });
    // A statement that changes something is run here, once; what is drawn anew later does not run it again.
    try {
      await dynamodb('ExecuteStatement', { Statement: q.statement });
      setRun({ n: run.n + 1, q, from: [undefined], done: 'The statement is done.' });
      changed();
    } catch (error) { setRun({ n: run.n + 1, q, from: [undefined], error }); }
  };
  const keys = table.KeySchema.map((k) => k.AttributeName);
  const keyOf = (item) => Object.fromEntries(keys.filter((k) => attribute(item, k)).map((k) => [k, item[k]]));
  const items = asked.value?.items ?? [];
  const names = [...new Set([...keys, ...items.flatMap((i) => Object.keys(i))])], columns = names.slice(0, mostColumns);
  const hash = part(of(q.index), 'HASH'), range = part(of(q.index), 'RANGE');
  // What a statement answers may be another table's, so it is only looked at.
  const whole = (item) => !run.q.statement.trim() && keys.every((k) => attribute(item, k));
  const choosable = items.filter(whole).map((i) => JSON.stringify(keyOf(i)));
  const show = async (item) => {
    if (!whole(item)) return setOpen({ item, look: true });
    try { // an index may carry less, and the list may be old
      const a = await dynamodb('GetItem', { TableName: table.TableName, Key: keyOf(item), ConsistentRead: true });
      setOpen(a.Item ? { item: a.Item } : { error: new Error('The item is not there any more.') });
    } catch (error) { setOpen({ error }); }
  };
  const again = (done) => { setRun((now) => ({ ...now, n: now.n + 1, done })); changed(); }; // another question may have been asked meanwhile
  const removeChosen = async () => {
    const list = items.filter((i) => chosen.has(JSON.stringify(keyOf(i))));
    for (let at = 0; at < list.length; at += 25) {
      let left = { [table.TableName]: list.slice(at, at + 25).map((i) => ({ DeleteRequest: { Key: keyOf(i) } })) };
      while (Object.keys(left).length) left = (await dynamodb('BatchWriteItem', { RequestItems: left })).UnprocessedItems;
    }
    choose(new Set());
    again();
    return `${many(list.length, 'item')} deleted`;
  };
  // saveAll saves all pages of the result.
  const saveAll = async (ending, write) => {
    const items = [];
    let next, size = 0;
    do {
      const a = await page(run.q, next, 1000);
      items.push(...a.items);
      size += a.items.reduce((n, i) => n + JSON.stringify(i).length, 0);
      next = a.next;
    } while (next && size < mostSaved);
    save([write(items)], table.TableName + ending);
    return `${many(items.length, 'item')} saved${next ? `; there are more, and a page saves up to ${bytes(mostSaved)}` : ''}`;
  };
  const [operation, input] = question(run.q), streamed = Boolean(table.StreamSpecification?.StreamEnabled), byStatement = q.statement.trim() !== '';
  // An attribute that the items on the page have as a number, or as true or false, is looked for as that.
  const setFilter = (i, part) => set({ ...q, filters: q.filters.map((f, k) => k === i ? { ...f, ...part } : f) });
  const filterBy = (i, name) => {
    const kind = Object.keys(attribute(items.find((i) => attribute(i, name)) ?? {}, name) ?? {})[0];
    setFilter(i, { name, type: ['S', 'N', 'BOOL'].includes(kind) ? kind : q.filters[i].type });
  };
  const asText = !run.q.statement.trim() && run.q.filters.find((f) => f.name && f.type === 'S' && /^-?[0-9.]+$/.test(f.value))?.name;
  return html`<h1 class="mono">${table.TableName}</h1>
    <p class="dim">${many(table.ItemCount, 'item')} · ${bytes(table.TableSizeBytes)} · key ${keys.join(', ')} · ${streamed ? `stream ${table.StreamSpecification.StreamViewType}` : 'no stream'}</p>
    <${Views} table=${table.TableName} at="table" streamed=${streamed} />
    <form class="card bar" onSubmit=${go}>
      <select aria-label="table or index" disabled=${byStatement} value=${q.index} onChange=${change('index')}><option value="">table</option>${indexes.map((i) => html`<option value=${i.IndexName}>${i.IndexName}</option>`)}</select>
      <label>${hash} = <input disabled=${byStatement} value=${q.hash} onInput=${change('hash')} aria-label=${hash + ' is'} placeholder="any: scan" /></label>
      ${range && html`<label>${range} <select aria-label="compare" disabled=${byStatement} value=${q.compare} onChange=${change('compare')}>${['=', '<', '<=', '>', '>=', 'between', 'begins_with'].map((c) => html`<option value=${c}>${c}</option>`)}</select>
        <input disabled=${byStatement} value=${q.range} onInput=${change('range')} aria-label=${range + ' is'} placeholder="any" /></label>${q.compare === 'between' && html`<label>and <input class="short" value=${q.upto} onInput=${change('upto')} aria-label=${range + ' is at most'} /></label>`}<label><input type="checkbox" checked=${q.back} onChange=${change('back')} /> last first</label>`}
      <datalist id="attributes">${names.map((n) => html`<option value=${n}></option>`)}</datalist>${q.filters.map((f, i) => {
        const of = (label) => i ? `${label}, ${i + 1}` : label;
        return html`<span class="filter"><label>${i ? 'and' : 'where'} <input class="short" disabled=${byStatement} list="attributes" value=${f.name} onInput=${(e) => filterBy(i, e.target.value)} aria-label=${of('attribute to filter by')} placeholder="attribute" /></label>
          <select aria-label=${of('filter compare')} disabled=${byStatement} value=${f.compare} onChange=${(e) => setFilter(i, { compare: e.target.value })}>${['=', '<>', '<', '<=', '>', '>=', 'between', 'contains', 'begins_with', 'exists', 'not exists'].map((c) => html`<option value=${c}>${c}</option>`)}</select>
          ${!f.compare.endsWith('exists') && html`<select aria-label=${of('type of the filter')} disabled=${byStatement} value=${f.type} onChange=${(e) => setFilter(i, { type: e.target.value })}><option value="S">text</option><option value="N">number</option><option value="BOOL">true/false</option></select>
            <input class="short" disabled=${byStatement} value=${f.value} onInput=${(e) => setFilter(i, { value: e.target.value })} aria-label=${of('value of the filter')} placeholder="value" />`}
          ${f.compare === 'between' && html`<label>and <input class="short" value=${f.upto} onInput=${(e) => setFilter(i, { upto: e.target.value })} aria-label=${of('value of the filter, at most')} /></label>`}
          ${i > 0 && html`<button type="button" aria-label=${'remove filter ' + (i + 1)} onClick=${() => set({ ...q, filters: q.filters.filter((_, k) => k !== i) })}>Remove</button>`}</span>`;
      })}${q.filters[0].name && !byStatement && html`<button type="button" onClick=${() => set({ ...q, filters: [...q.filters, noFilter] })}>Another filter</button>`}
      <label class="grow">or PartiQL <input class="wideinput" value=${q.statement} onInput=${change('statement')} aria-label="PartiQL statement" placeholder=${`SELECT * FROM "${table.TableName}" WHERE …`} /></label>
      <button class="pri">Run</button></form>
    <${Problem} error=${run.error ?? asked.error} />
    <div class="bar"><span class="dim" role="status">${open ? '' : run.done ?? ''} ${asked.busy ? 'Asking …' : asked.value ? `${many(items.length, 'item')}${asked.value.scanned > items.length ? ` of ${asked.value.scanned} looked at` : ''}, page ${run.from.length}${asked.value.next ? '; more follow' : ''}` : ''}</span>
      <button onClick=${() => setOpen({ fresh: true, item: Object.fromEntries(keys.map((k) => [k, { [typeOf(k)]: typeOf(k) === 'N' ? '0' : '' }])) })}>New item</button>
      <button aria-expanded=${importing} onClick=${() => setImporting(!importing)}>Import</button>
      ${chosen.size > 0 && html`<${Act} danger ask=${`${chosen.size === 1 ? 'The item is' : chosen.size + ' items are'} gone for good.`} run=${removeChosen}>Delete ${chosen.size}</${Act}>`}
      ${items.length > 0 && html`<${Act} run=${() => saveAll('.jsonl', (items) => items.map((i) => JSON.stringify(i) + '\n').join(''))}>Save as JSON lines</${Act}><${Act} run=${() => saveAll('.csv', (items) => csv(items, keys))}>Save as CSV</${Act}>`}
      <${Copy} text=${command(operation, input)}>Copy as command</${Copy}>
      ${run.from.length > 1 && html`<button onClick=${() => setRun({ ...run, n: run.n + 1, from: run.from.slice(0, -1) })}>Page before</button>`}
      ${asked.value?.next && html`<button onClick=${() => setRun({ ...run, n: run.n + 1, from: [...run.from, asked.value.next] })}>Next page</button>`}</div>
    ${importing && html`<${Import} table=${table.TableName} keys=${keys} types=${Object.fromEntries(keys.map((k) => [k, typeOf(k)]))} close=${(done) => { setImporting(false); if (done) again(done); }} />`}
    ${open && html`<${Editor} key=${JSON.stringify(open)} table=${table} at=${open} keyOf=${keyOf} close=${(done) => { setOpen(null); if (done) again(done); }} again=${(item) => setOpen({ fresh: true, item })} />`}
    <div class="card scroll" tabindex="0"><table class="items"><thead><tr><td>${choosable.length > 0 && html`<input type="checkbox" aria-label="choose all on this page" checked=${choosable.every((id) => chosen.has(id))} onChange=${(e) => choose(new Set(e.target.checked ? choosable : []))} />`}</td>${columns.map((c) => html`<th>${c}</th>`)}${names.length > columns.length && html`<th title=${names.slice(mostColumns).join(', ')}>and ${names.length - columns.length} more</th>`}</tr></thead><tbody>${items.map((item) => {
      const id = JSON.stringify(keyOf(item));
      return html`<tr key=${id}><td>${whole(item) && html`<input type="checkbox" aria-label=${'choose ' + keyText(keyOf(item))} checked=${chosen.has(id)} onChange=${() => { const n = new Set(chosen); if (!n.delete(id)) n.add(id); choose(n); }} />`}</td>
        ${columns.map((c, i) => html`<td class="mono">${i === 0 ? html`<button class="line" onClick=${() => show(item)}>${attribute(item, c) ? short(item[c], 40) || '(empty text)' : '–'}</button>` : attribute(item, c) ? short(item[c], 40) : ''}</td>`)}</tr>`;
    })}</tbody></table>${asked.value && !changes && items.length === 0 && html`<p class="dim">No item is found${asked.value.next ? ' on this page' : ''}.${asText ? ` ${asText} was compared as text: choose number to find it as a number.` : ''}</p>`}</div>`;
}
