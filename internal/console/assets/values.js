// Attribute values, without a number of JavaScript in between: DynamoDB's JSON carries numbers as text, and text they stay.

// plain writes an attribute value as people read it. Sets and binary values say what they are.
export function plain(av, indent = '') {
  if (av === undefined || av === null) return '';
  const [type] = Object.keys(av), v = av[type], deeper = indent + '  ';
  const list = (open, items, close) => items.length === 0 ? open + close
    : open + '\n' + items.map((i) => deeper + i).join(',\n') + '\n' + indent + close;
  switch (type) {
    case 'S': return JSON.stringify(v);
    case 'N': return String(v);
    case 'B': return 'binary ' + JSON.stringify(v);
    case 'BOOL': return String(v);
    case 'NULL': return 'null';
    case 'SS': return 'set ' + list('[', v.map((s) => JSON.stringify(s)), ']');
    case 'NS': return 'set ' + list('[', v, ']');
    case 'BS': return 'set of binary ' + list('[', v.map((s) => JSON.stringify(s)), ']');
    case 'L': return list('[', v.map((e) => plain(e, deeper)), ']');
    case 'M': return list('{', Object.keys(v).map((k) => JSON.stringify(k) + ': ' + plain(v[k], deeper)), '}');
  }
  return JSON.stringify(av);
}

export const plainItem = (item) => item ? plain({ M: item }) : '';

// short is a value on one line, cut off.
export function short(av, room = 60) {
  const type = av && Object.keys(av)[0];
  const text = type === 'S' ? av.S : plain(av).replace(/\s+/g, ' ');
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

// asShown is a condition that an item is still as it was shown: every attribute equal, so that nobody's change is overwritten unseen.
export function asShown(item) {
  const names = {}, values = {};
  const parts = Object.entries(item).map(([name, av], i) => {
    names['#a' + i] = name;
    values[':a' + i] = av;
    return `#a${i} = :a${i}`;
  });
  return { ConditionExpression: parts.join(' AND '), ExpressionAttributeNames: names, ExpressionAttributeValues: values };
}

// shell quotes a word for a command line.
export const shell = (word) => /^[\w@%+=:,./-]+$/.test(word) ? word : `'${String(word).replace(/'/g, `'\\''`)}'`;

export const count = (n) => n === undefined || n === null ? '' : n >= 1e6 ? (n / 1e6).toFixed(n >= 1e7 ? 0 : 1) + ' M' : Math.round(n).toLocaleString('en');
export const rate = (n) => n === undefined ? '–' : n === 0 ? '0' : n < 10 ? n.toFixed(1) : count(n);
export function span(seconds) {
  if (!(seconds > 0)) return '0 s';
  if (seconds < 1) return Math.round(seconds * 1000) + ' ms';
  const s = Math.round(seconds);
  return s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} m ${s % 60} s` : s < 86400 ? `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} m`
    : `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}
export const bytes = (n) => n < 1000 ? `${n} B` : n < 1e6 ? `${(n / 1e3).toFixed(1)} kB` : n < 1e9 ? `${(n / 1e6).toFixed(1)} MB` : `${(n / 1e9).toFixed(1)} GB`;
export function clock(time) {
  const d = new Date(time);
  if (!time || isNaN(d) || d.getFullYear() < 1971) return '';
  const day = d.toDateString() === new Date().toDateString() ? '' : d.toISOString().slice(0, 10) + ' ';
  return day + d.toTimeString().slice(0, 8);
}
