// Attribute values as they are shown, compared and saved. DynamoDB's JSON carries numbers as text, and text they stay.
import { write, readItem } from './plain.js';

// attribute is an item's attribute of a name, whatever that is: constructor, too.
export const attribute = (item, name) => Object.hasOwn(item, name) ? item[name] : undefined;

// short is a value on one line, cut off.
export function short(av, room = 60) {
  const type = av && Object.keys(av)[0];
  const text = type === 'S' ? av.S : write(av).replace(/\s+/g, ' ');
  return text.length > room ? text.slice(0, room - 1) + '…' : text;
}

// keyText is an item's key: pk=a, sk=1.
export const keyText = (keys) => Object.entries(keys ?? {}).map(([k, v]) => `${k}=${short(v, 80)}`).join(', ');

// diff compares two texts line by line: [[' ', line], ['-', line], ['+', line]], by the longest common subsequence.
export function diff(before, after) {
  const a = before === '' ? [] : before.split('\n'), b = after === '' ? [] : after.split('\n');
  const same = (x, y) => x.replace(/,$/, '') === y.replace(/,$/, '');
  if (a.length * b.length > 400000) return [...a.map((l) => ['-', l]), ...b.map((l) => ['+', l])];
  const n = a.length, m = b.length, t = Array.from({ length: n + 1 }, () => new Uint32Array(m + 1));
  for (let i = n - 1; i >= 0; i--) for (let j = m - 1; j >= 0; j--) {
    t[i][j] = same(a[i], b[j]) ? t[i + 1][j + 1] + 1 : Math.max(t[i + 1][j], t[i][j + 1]);
  }
  const out = [];
  let i = 0, j = 0;
  while (i < n || j < m) {
    if (i < n && j < m && same(a[i], b[j])) { out.push([' ', b[j]]); i++; j++; }
    else if (i < n && (j === m || t[i + 1][j] >= t[i][j + 1])) out.push(['-', a[i++]]);
    else out.push(['+', b[j++]]);
  }
  return out;
}

// parseItem reads DynamoDB's JSON of an item.
export function parseItem(text) {
  const item = JSON.parse(text);
  const bad = wrong(item, '');
  if (bad) throw new Error(bad);
  return item;
}

const types = new Set(['S', 'N', 'B', 'BOOL', 'NULL', 'SS', 'NS', 'BS', 'L', 'M']);

function wrong(map, at) {
  if (map === null || typeof map !== 'object' || Array.isArray(map)) return `${at || 'The item'}: want an object`;
  for (const [name, av] of Object.entries(map)) {
    const where = at ? `${at}.${name}` : name;
    const found = av && typeof av === 'object' ? Object.keys(av) : [];
    if (found.length !== 1 || !types.has(found[0])) return `${where}: want a type and a value, such as {"S": "text"} or {"N": "1"}`;
    if (found[0] === 'N' && typeof av.N !== 'string') return `${where}: a number is written as text, {"N": "${av.N}"}`;
    const bad = found[0] === 'M' ? wrong(av.M, where)
      : found[0] === 'L' ? av.L.map((e, i) => wrong({ [i]: e }, where)).find(Boolean) : undefined;
    if (bad) return bad;
  }
}

// most conditions that one expression holds: DynamoDB's allow 300 operators and 4 KB.
const most = 100;

// asShown is a condition that an item is still as it was shown, so that nobody's change is overwritten unseen. Of an item with more than 100
// attributes the first 100 are compared.
export function asShown(item) {
  const names = {}, values = {};
  const parts = Object.entries(item).slice(0, most).map(([name, av], i) => {
    names['#a' + i] = name;
    values[':a' + i] = av;
    return `#a${i} = :a${i}`;
  });
  return { ConditionExpression: parts.join(' AND '), ExpressionAttributeNames: names, ExpressionAttributeValues: values };
}

// changeOf is what UpdateItem needs to make one item of another, if it still is as it was shown: an attribute that somebody adds meanwhile
// stays. Of items with more than 100 attributes those that change are compared, and one that does not: it is gone when the item is. null: nothing changes.
export function changeOf(before, after) {
  const all = [...new Set([...Object.keys(before), ...Object.keys(after)])].map((name) => ({ name, was: attribute(before, name), is: attribute(after, name) }));
  all.forEach((a) => { a.changes = JSON.stringify(a.was) !== JSON.stringify(a.is); });
  if (!all.some((a) => a.changes)) return null;
  const names = {}, values = {}, still = [], set = [], remove = [];
  const same = all.find((a) => !a.changes);
  all.filter((a) => a.changes || a === same || all.length <= most).forEach((a, i) => {
    names['#a' + i] = a.name;
    still.push(a.was ? `#a${i} = :a${i}` : `attribute_not_exists(#a${i})`);
    if (a.was) values[':a' + i] = a.was;
    if (!a.changes) return;
    if (a.is) { set.push(`#a${i} = :b${i}`); values[':b' + i] = a.is; } else remove.push('#a' + i);
  });
  const UpdateExpression = [set.length ? 'SET ' + set.join(', ') : '', remove.length ? 'REMOVE ' + remove.join(', ') : ''].join(' ').trim();
  return { UpdateExpression, ConditionExpression: still.join(' AND '), ExpressionAttributeNames: names, ExpressionAttributeValues: values };
}

// csv is items as a table: the texts as they are, anything else as plain JSON on one line. A text that a spreadsheet would take for a formula,
// or that looks like a list or a map, has a ' before it; one that looks like a number or another word of JSON is in quotes. So it reads back as it was.
export function csv(items, first) {
  const columns = [...new Set([...first, ...items.flatMap((i) => Object.keys(i))])];
  const text = (s) => /^'*[=+\-@\t\r{[]/.test(s) ? "'" + s : s;
  const cell = (av) => av === undefined ? '' : av.S !== undefined ? quoted(text(av.S), av.S === '' || bare.test(av.S)) : quoted(write(av).replace(/\n */g, ' '));
  return [columns.map((c) => quoted(text(c))), ...items.map((i) => columns.map((c) => cell(attribute(i, c))))].map((row) => row.join(',') + '\r\n').join('');
}
const quoted = (s, always) => always || /[",\r\n]/.test(s) ? `"${s.replace(/"/g, '""')}"` : s;
// bare is what is no text when it stands in a table without quotes.
const bare = /^(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)$/;

// cells are the rows of a table as text: [[{text, quoted}]].
function cells(table) {
  const rows = [[]];
  for (let at = 0; at < table.length;) {
    let text = '', quotes = table[at] === '"';
    if (quotes) {
      for (at++; ; at++) {
        if (at >= table.length) throw new Error(`Row ${rows.length}: a quote does not end.`);
        if (table[at] !== '"') text += table[at];
        else if (table[at + 1] === '"') { text += '"'; at++; } else break;
      }
      at++;
    }
    for (; at < table.length && !',\r\n'.includes(table[at]); at++) text += table[at];
    rows[rows.length - 1].push({ text, quoted: quotes });
    if (table[at] === ',') { at++; if (at === table.length) rows[rows.length - 1].push({ text: '', quoted: false }); continue; }
    if (table[at] === '\r') at++;
    if (table[at] === '\n') at++;
    if (at < table.length) rows.push([]);
  }
  return rows;
}

// uncsv reads items of a table: as csv writes them, and as others do. types are those that the key's attributes must have.
export function uncsv(table, types) {
  const [head, ...rows] = cells(table.replace(/^\uFEFF/, '')), plain = (s) => /^'+[=+\-@\t\r{[]/.test(s) ? s.slice(1) : s;
  const names = head.map((c) => plain(c.text));
  return rows.flatMap((row, i) => {
    const members = []; // an attribute may be called __proto__
    row.forEach((c, k) => {
      if (k >= names.length) throw new Error(`Row ${i + 2}: it has more columns than the first.`);
      if (c.text === '' && !c.quoted) return;
      try { members.push([names[k], valueOf(c, types[names[k]], plain)]); } catch (e) { throw new Error(`Row ${i + 2}, ${names[k]}: ${e.message}`); }
    });
    return members.length ? [{ item: Object.fromEntries(members), row: i + 2 }] : [];
  });
}
function valueOf({ text, quoted }, type, plain) {
  if (type === 'S') return { S: plain(text) };
  if (type === 'N') return { N: text };
  if (!quoted && bare.test(text)) return text === 'null' ? { NULL: true } : text === 'true' || text === 'false' ? { BOOL: text === 'true' } : { N: text };
  return /^[{[]/.test(text) ? readItem(`{"v": ${text}}`).v : { S: plain(text) };
}

// server is what commands need to know of it: without an address they would go to AWS.
export const server = { endpoint: '' };

// command is a call of DynamoDB for the AWS CLI.
export function command(operation, input) {
  const kebab = (s) => s.replace(/[A-Z]/g, (c, i) => (i ? '-' : '') + c.toLowerCase());
  const flags = Object.entries(input).filter(([, v]) => v !== undefined).map(([name, v]) =>
    v === true ? `--${kebab(name)}` : v === false ? `--no-${kebab(name)}` : `--${kebab(name)} ${shell(typeof v === 'object' ? JSON.stringify(v) : String(v))}`);
  return `aws dynamodb ${kebab(operation)} --endpoint-url ${server.endpoint} ${flags.join(' ')}`;
}

// shell quotes a word for a command line.
const shell = (word) => /^[\w@%+=:,./-]+$/.test(word) ? word : `'${String(word).replace(/'/g, `'\\''`)}'`;

export const count = (n) => n === undefined || n === null ? '' : n >= 1e6 ? (n / 1e6).toFixed(n >= 1e7 ? 0 : 1) + ' M' : Math.round(n).toLocaleString('en');
// many is a count with what is counted, one of which is called word.
export const many = (n, word) => `${count(n)} ${word}${n === 1 ? '' : 's'}`;
export const rate = (n) => n === undefined ? '–' : n === 0 ? '0' : n < 10 ? n.toFixed(1) : count(n);
export function span(seconds) {
  if (!(seconds > 0)) return '0 s';
  if (seconds < 1) return Math.round(seconds * 1000) + ' ms';
  const s = Math.round(seconds);
  return s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} m ${s % 60} s` : s < 86400 ? `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} m`
    : `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}
export const millis = (n) => n < 10 ? n.toFixed(1) + ' ms' : n < 10000 ? Math.round(n) + ' ms' : (n / 1000).toFixed(1) + ' s';
// quantile is how long a part of calls took, in milliseconds, of counts by length: element i is of those below 2^i quarters of a millisecond.
export function quantile(times, part) {
  let rest = part * times.reduce((a, b) => a + b, 0);
  for (const [i, n] of times.entries()) {
    if (n >= rest && n > 0) return i === 0 ? 0.25 * rest / n : 0.125 * 2 ** i * (1 + rest / n);
    rest -= n;
  }
  return 0;
}
export const bytes = (n) => n < 1000 ? `${n} B` : n < 1e6 ? `${(n / 1e3).toFixed(1)} kB` : n < 1e9 ? `${(n / 1e6).toFixed(1)} MB` : `${(n / 1e9).toFixed(1)} GB`;
export function clock(time) {
  const d = new Date(time);
  if (!time || isNaN(d) || d.getFullYear() < 1971) return '';
  const day = d.toDateString() === new Date().toDateString() ? '' : d.toISOString().slice(0, 10) + ' ';
  return day + d.toTimeString().slice(0, 8);
}
