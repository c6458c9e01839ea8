// Items of a file of JSON lines, as the page saves them and as AWS exports them, or of a table (CSV), put into a table.
import { html, useState } from './vendor/htm-preact.js';
import { dynamodb } from './api.js';
import { Problem, Act } from './parts.js';
import { parseItem, attribute, count, uncsv } from './values.js';

const mostItems = 25, mostBytes = 3e6; // of one BatchWriteItem

// read are the items of a text, one a line; all is read before anything is written.
function read(text, keys) {
  return text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return [];
    try {
      const doc = JSON.parse(line), exported = Object.keys(doc).length === 1 && doc.Item && !keys.includes('Item');
      const item = parseItem(exported ? JSON.stringify(doc.Item) : line), lacks = keys.find((k) => !attribute(item, k));
      if (lacks) throw new Error(`it lacks ${lacks}, which is of the key`);
      return [{ item, key: JSON.stringify(keys.map((k) => item[k])), size: line.length }];
    } catch (e) { throw new Error(`Line ${i + 1}: ${e.message}`); }
  });
}

// readTable are those of a CSV file.
function readTable(text, keys, types) {
  return uncsv(text, types).map(({ item, row }) => {
    const lacks = keys.find((k) => !attribute(item, k));
    if (lacks) throw new Error(`Row ${row}: it lacks ${lacks}, which is of the key.`);
    return { item, key: JSON.stringify(keys.map((k) => item[k])), size: JSON.stringify(item).length };
  });
}

// batches are items in order, as many at once as DynamoDB takes; it refuses two of one key.
function batches(items) {
  const all = [];
  let now = [], keys = new Set(), size = 0;
  for (const i of items) {
    if (now.length === mostItems || keys.has(i.key) || (now.length > 0 && size + i.size > mostBytes)) {
      all.push(now);
      [now, keys, size] = [[], new Set(), 0];
    }
    now.push(i.item);
    keys.add(i.key);
    size += i.size;
  }
  return now.length ? [...all, now] : all;
}

export function Import({ table, keys, types, close }) {
  const [items, set] = useState(null);
  const [error, setError] = useState(null);
  const [written, setWritten] = useState(0);
  const choose = async (e) => {
    setError(null);
    set(null);
    try {
      const [file] = e.target.files, text = await file.text();
      set(/\.csv$/i.test(file.name) ? readTable(text, keys, types) : read(text, keys));
    } catch (e) { setError(e); }
  };
  const put = async () => {
    let n = 0;
    for (const batch of batches(items)) {
      let left = { [table]: batch.map((Item) => ({ PutRequest: { Item } })) };
      while (Object.keys(left).length) left = (await dynamodb('BatchWriteItem', { RequestItems: left })).UnprocessedItems;
      setWritten(n += batch.length);
    }
    close(`${count(n)} items imported.`);
  };
  return html`<section class="card" aria-label="import"><h2>Import</h2><p class="dim">JSON lines: one item a line, in DynamoDB JSON, as this page saves them and as AWS exports them. CSV: the names in the first row; what is not text is plain JSON.</p>
    <div class="bar"><input type="file" accept=".jsonl,.json,.ndjson,.csv" aria-label="file of items" onChange=${choose} />
      ${items && html`<span role="status">${written ? `${count(written)} of ` : ''}${count(items.length)} items</span><${Act} primary disabled=${items.length === 0} ask="Items of the same keys are replaced." run=${put}>Import</${Act}>`}<button onClick=${() => close()}>Close</button></div>
    <${Problem} error=${error} /></section>`;
}
