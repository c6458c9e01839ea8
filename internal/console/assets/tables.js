// Tables and their items.
import { html, useState } from './vendor/htm-preact.js';
import { dynamodb, tableNames } from './api.js';
import { useAsked, Problem, Act, Copy, Search } from './parts.js';
import { useLive } from './live.js';
import { short, plainItem, parseItem, asShown, count, bytes, keyText, shell } from './values.js';

const most = 200;

export function Tables() {
  const [text, set] = useState('');
  const { state } = useLive();
  const asked = useAsked(async () => {
    const names = (await tableNames()).filter((n) => n.toLowerCase().includes(text.toLowerCase()));
    const shown = names.slice(0, most);
    const details = await Promise.all(shown.map((n) => dynamodb('DescribeTable', { TableName: n }).then((a) => a.Table, () => ({ TableName: n }))));
    return { all: names.length, details };
  }, [text]);
  const key = (t) => (t.KeySchema ?? []).map((k) => `${k.AttributeName} (${(t.AttributeDefinitions ?? []).find((a) => a.AttributeName === k.AttributeName)?.AttributeType})`).join(', ');
  return html`<h1>Tables</h1><div class="bar"><${Search} value=${text} set=${set} label="Find a table" /><span class="dim">${asked.value && count(asked.value.all)} tables</span></div><${Problem} error=${asked.error} />
    <div class="card scroll"><table><thead><tr><th>Table</th><th>Key</th><th class="n">Items</th><th class="n">Size</th><th class="n">Indexes</th><th>Stream</th><th class="n">Triggers</th><th>Status</th></tr></thead>
      <tbody>${(asked.value?.details ?? []).map((t) => html`<tr key=${t.TableName}><td class="mono"><a href=${'#/table/' + encodeURIComponent(t.TableName)}>${t.TableName}</a></td><td class="mono">${key(t)}</td>
        <td class="n">${count(t.ItemCount)}</td><td class="n">${bytes(t.TableSizeBytes ?? 0)}</td><td class="n">${(t.GlobalSecondaryIndexes?.length ?? 0) + (t.LocalSecondaryIndexes?.length ?? 0)}</td>
        <td>${t.StreamSpecification?.StreamEnabled ? html`<a href=${'#/stream/' + encodeURIComponent(t.TableName)}>${t.StreamSpecification.StreamViewType}</a>` : html`<span class="dim">none</span>`}</td>
        <td class="n">${(state?.triggers ?? []).filter((x) => x.table === t.TableName).length || ''}</td><td>${t.TableStatus}</td></tr>`)}</tbody></table>
      ${asked.value && asked.value.all === 0 && html`<p class="dim">There is no table${text && ' of that name'}.</p>`}${asked.value && asked.value.all > most && html`<p class="dim">The first ${most} are shown: type a part of the name.</p>`}</div>`;
}

export function Table({ name }) {
  const asked = useAsked(() => dynamodb('DescribeTable', { TableName: name }).then((a) => a.Table), [name]);
  if (asked.error) return html`<h1 class="mono">${name}</h1><${Problem} error=${asked.error} />`;
  if (!asked.value) return html`<p class="wait">Asking the server …</p>`;
  return html`<${Items} key=${name} table=${asked.value} />`;
}

// typed makes an attribute value of what was typed for a key or a filter.
const typed = (type, text) => ({ [type]: text });

const reads = (statement) => /^\s*select\b/i.test(statement);

function Items({ table }) {
  const indexes = [...(table.GlobalSecondaryIndexes ?? []), ...(table.LocalSecondaryIndexes ?? [])];
  const [q, set] = useState({ index: '', hash: '', range: '', compare: '=', filterName: '', filterType: 'S', filterCompare: '=', filter: '', statement: '', back: false });
  const [run, setRun] = useState({ n: 0, q, from: [undefined] });
  const [open, setOpen] = useState(null); // {item} or {fresh}
  const [chosen, choose] = useState(new Set());
  const change = (name) => (e) => set({ ...q, [name]: e.target.type === 'checkbox' ? e.target.checked : e.target.value });
  const of = (index) => indexes.find((i) => i.IndexName === index) ?? table;
  const typeOf = (name) => (table.AttributeDefinitions.find((a) => a.AttributeName === name) ?? {}).AttributeType ?? 'S';
  const part = (schema, kind) => schema.KeySchema.find((k) => k.KeyType === kind)?.AttributeName;
  const from = run.from[run.from.length - 1];
  const asked = useAsked(async () => {
    const q = run.q;
    if (q.statement.trim()) {
      if (!reads(q.statement)) return { items: [], done: run.done };
      const a = await dynamodb('ExecuteStatement', { Statement: q.statement, NextToken: from, Limit: 100 });
      return { items: a.Items ?? [], next: a.NextToken };
    }
    const schema = of(q.index), hash = part(schema, 'HASH'), range = part(schema, 'RANGE'), names = {}, values = {};
    const input = { TableName: table.TableName, Limit: 100, ExclusiveStartKey: from };
    if (q.index) input.IndexName = q.index;
    if (q.filterName) {
      names['#f'] = q.filterName;
      if (q.filterCompare === 'exists') input.FilterExpression = 'attribute_exists(#f)';
      else {
        values[':f'] = q.filterType === 'BOOL' ? { BOOL: q.filter === 'true' } : typed(q.filterType, q.filter);
        input.FilterExpression = ['contains', 'begins_with'].includes(q.filterCompare) ? `${q.filterCompare}(#f, :f)` : `#f ${q.filterCompare} :f`;
      }
    }
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
        input.KeyConditionExpression += q.compare === 'begins_with' ? ' AND begins_with(#r, :r)' : ` AND #r ${q.compare} :r`;
      }
    }
    if (Object.keys(names).length) input.ExpressionAttributeNames = names;
    if (Object.keys(values).length) input.ExpressionAttributeValues = values;
    const a = await dynamodb(operation, input);
    return { items: a.Items, next: a.LastEvaluatedKey, scanned: a.ScannedCount, operation };
  }, [table.TableName, run]);
  const go = async (e) => {
    e?.preventDefault();
    choose(new Set());
    setOpen(null);
    if (!q.statement.trim() || reads(q.statement)) return setRun({ n: run.n + 1, q, from: [undefined] });
    // A statement that changes something is run here, once; what is drawn anew later does not run it again.
    try {
      await dynamodb('ExecuteStatement', { Statement: q.statement });
      setRun({ n: run.n + 1, q, from: [undefined], done: 'The statement is done.' });
    } catch (error) { setRun({ n: run.n + 1, q, from: [undefined], error }); }
  };
  const keys = table.KeySchema.map((k) => k.AttributeName);
  const keyOf = (item) => Object.fromEntries(keys.filter((k) => item[k]).map((k) => [k, item[k]]));
  const items = asked.value?.items ?? [];
  const columns = [...new Set([...keys, ...items.flatMap((i) => Object.keys(i))])].slice(0, 10);
  const hash = part(of(q.index), 'HASH'), range = part(of(q.index), 'RANGE');
  // What a statement answers may be another table's, so it is only looked at.
  const whole = (item) => !run.q.statement.trim() && keys.every((k) => item[k]);
  const show = async (item) => {
    if (!whole(item)) return setOpen({ item, look: true });
    setOpen({ item });
    try { // an index may carry less
      const a = await dynamodb('GetItem', { TableName: table.TableName, Key: keyOf(item), ConsistentRead: true });
      setOpen(a.Item ? { item: a.Item } : { error: new Error('The item is not there any more.') });
    } catch (error) { setOpen({ error }); }
  };
  const removeChosen = async () => {
    const list = items.filter((i) => chosen.has(JSON.stringify(keyOf(i))));
    for (let at = 0; at < list.length; at += 25) {
      let left = { [table.TableName]: list.slice(at, at + 25).map((i) => ({ DeleteRequest: { Key: keyOf(i) } })) };
      while (Object.keys(left).length) left = (await dynamodb('BatchWriteItem', { RequestItems: left })).UnprocessedItems;
    }
    choose(new Set());
    setRun({ ...run, n: run.n + 1 });
    return `${list.length} deleted`;
  };
  const save = (text, name) => {
    const a = document.createElement('a');
    a.href = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
    a.download = name;
    a.click();
    URL.revokeObjectURL(a.href);
  };
  return html`<h1 class="mono">${table.TableName}</h1>
    <p class="dim">${count(table.ItemCount)} items · ${bytes(table.TableSizeBytes)} · key ${keys.join(', ')}${table.StreamSpecification?.StreamEnabled ? html` · <a href=${'#/stream/' + encodeURIComponent(table.TableName)}>stream ${table.StreamSpecification.StreamViewType}</a>` : ' · no stream'}</p>
    <form class="card bar" onSubmit=${go}>
      <select aria-label="table or index" value=${q.index} onChange=${change('index')}><option value="">table</option>${indexes.map((i) => html`<option>${i.IndexName}</option>`)}</select>
      <label>${hash} = <input value=${q.hash} onInput=${change('hash')} aria-label=${hash + ' is'} placeholder="any: scan" /></label>
      ${range && html`<label>${range} <select aria-label="compare" value=${q.compare} onChange=${change('compare')}>${['=', '<', '<=', '>', '>=', 'begins_with'].map((c) => html`<option selected=${c === q.compare}>${c}</option>`)}</select>
        <input value=${q.range} onInput=${change('range')} aria-label=${range + ' is'} placeholder="any" /></label><label><input type="checkbox" checked=${q.back} onChange=${change('back')} /> last first</label>`}
      <label>where <input class="short" value=${q.filterName} onInput=${change('filterName')} aria-label="attribute to filter by" placeholder="attribute" /></label>
      <select aria-label="filter compare" value=${q.filterCompare} onChange=${change('filterCompare')}>${['=', '<>', '<', '<=', '>', '>=', 'contains', 'begins_with', 'exists'].map((c) => html`<option selected=${c === q.filterCompare}>${c}</option>`)}</select>
      <select aria-label="type of the filter" value=${q.filterType} onChange=${change('filterType')}><option value="S">text</option><option value="N">number</option><option value="BOOL">true/false</option></select>
      <input class="short" value=${q.filter} onInput=${change('filter')} aria-label="value of the filter" placeholder="value" />
      <label class="grow">PartiQL <input class="wideinput" value=${q.statement} onInput=${change('statement')} aria-label="PartiQL statement" placeholder=${`SELECT * FROM "${table.TableName}" WHERE …`} /></label>
      <button class="pri">Run</button></form>
    <${Problem} error=${run.error ?? asked.error} />
    <div class="bar"><span class="dim" role="status">${run.done ?? ''} ${asked.busy ? 'Asking …' : asked.value ? `${items.length} items${asked.value.scanned > items.length ? ` of ${asked.value.scanned} looked at` : ''}, page ${run.from.length}` : ''}</span>
      <button onClick=${() => setOpen({ fresh: true, item: Object.fromEntries(keys.map((k) => [k, { [typeOf(k)]: '' }])) })}>New item</button>
      ${chosen.size > 0 && html`<${Act} danger ask=${`${chosen.size} items are gone for good.`} run=${removeChosen}>Delete ${chosen.size}</${Act}>`}
      ${items.length > 0 && html`<button onClick=${() => save(items.map((i) => JSON.stringify(i)).join('\n') + '\n', table.TableName + '.jsonl')}>Save as JSON lines</button>`}
      ${run.from.length > 1 && html`<button onClick=${() => setRun({ ...run, n: run.n + 1, from: run.from.slice(0, -1) })}>Page before</button>`}
      ${asked.value?.next && html`<button onClick=${() => setRun({ ...run, n: run.n + 1, from: [...run.from, asked.value.next] })}>Next page</button>`}</div>
    ${open && html`<${Editor} key=${JSON.stringify(open)} table=${table} at=${open} keyOf=${keyOf} close=${(saved) => { setOpen(null); if (saved) setRun({ ...run, n: run.n + 1 }); }} again=${(item) => setOpen({ fresh: true, item })} />`}
    <div class="card scroll"><table class="items"><thead><tr><td></td>${columns.map((c) => html`<th>${c}</th>`)}</tr></thead><tbody>${items.map((item) => {
      const id = JSON.stringify(keyOf(item));
      return html`<tr key=${id}><td>${whole(item) && html`<input type="checkbox" aria-label=${'choose ' + keyText(keyOf(item))} checked=${chosen.has(id)} onChange=${() => { const n = new Set(chosen); if (!n.delete(id)) n.add(id); choose(n); }} />`}</td>
        ${columns.map((c, i) => html`<td class="mono">${i === 0 ? html`<button class="line" onClick=${() => show(item)}>${item[c] ? short(item[c], 40) || '(empty text)' : '–'}</button>` : item[c] ? short(item[c], 40) : ''}</td>`)}</tr>`;
    })}</tbody></table>${asked.value && items.length === 0 && html`<p class="dim">No item is found${asked.value.next ? ' on this page' : ''}.</p>`}</div>`;
}

// Editor shows one item in DynamoDB's JSON and saves it only over what was shown.
function Editor({ table, at, keyOf, close, again }) {
  const [text, set] = useState(at.item ? JSON.stringify(at.item, null, 2) : '');
  const [view, setView] = useState(at.fresh ? 'edit' : 'read');
  if (at.error) return html`<div class="card"><${Problem} error=${at.error} /><button onClick=${() => close(true)}>Close</button></div>`;
  const TableName = table.TableName, Key = keyOf(at.item);
  const put = async () => {
    const Item = parseItem(text);
    const moved = !at.fresh && JSON.stringify(keyOf(Item)) !== JSON.stringify(Key);
    if (moved) throw new Error('The key is another one: duplicate the item to save it under a new key.');
    const still = at.fresh ? { ConditionExpression: 'attribute_not_exists(#k)', ExpressionAttributeNames: { '#k': table.KeySchema[0].AttributeName } } : asShown(at.item);
    try { await dynamodb('PutItem', { TableName, Item, ...still }); } catch (e) {
      if (e.code === 'ConditionalCheckFailedException') {
        throw new Error(at.fresh ? 'An item of this key is there already.' : 'Somebody has changed the item since it was shown. Close it and open it again.');
      }
      throw e;
    }
    close(true);
  };
  const command = `aws dynamodb get-item --table-name ${shell(TableName)} --key ${shell(JSON.stringify(Key))}`;
  return html`<section class="card" aria-label="item"><h2>${at.fresh ? 'New item' : keyText(Key)}</h2>
    <div class="bar"><button aria-pressed=${view === 'read'} onClick=${() => setView('read')}>Plain</button><button aria-pressed=${view === 'edit'} onClick=${() => setView('edit')}>DynamoDB JSON</button></div>
    ${view === 'read' ? html`<pre class="mono">${(() => { try { return plainItem(parseItem(text)); } catch (e) { return e.message; } })()}</pre>`
      : html`<textarea class="mono" spellcheck="false" aria-label="item in DynamoDB JSON" rows=${Math.min(30, text.split('\n').length + 1)} value=${text} onInput=${(e) => set(e.target.value)}></textarea>`}
    <div class="bar">${!at.look && html`<${Act} primary run=${put}>Save</${Act}>`}
      ${!at.fresh && !at.look && html`<${Act} danger ask="The item is gone for good." run=${async () => { await dynamodb('DeleteItem', { TableName, Key, ...asShown(at.item) }); close(true); }}>Delete</${Act}>
        <button onClick=${() => again(at.item)}>Duplicate</button><${Copy} text=${command}>Copy as command</${Copy}>`}
      <button onClick=${() => close(false)}>Close</button></div></section>`;
}
