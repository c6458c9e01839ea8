// Plain JSON of attribute values, without a number of JavaScript in between: a number's digits stay as they are written. What JSON has no
// form for is an object of one member: {"$set": [1, 2]}, {"$binary": "AAEC"} (base64), a set of binary values {"$set": [{"$binary": "AA=="}]}.
// A map that looks like one of these is {"$map": {"$set": ...}}. So every item reads back as it was.

const special = new Set(['$set', '$binary', '$map']);
const lone = (names) => names.length === 1 && special.has(names[0]);
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const space = /[ \t\r\n]*/y;
const word = /true|false|null/y;

// write is an attribute value as plain JSON. asMap: a map whatever its members are called.
export function write(av, indent = '', asMap = false) {
  if (av === undefined || av === null) return '';
  const [type] = Object.keys(av), v = av[type], deeper = indent + '  ';
  const list = (open, items, close) => items.length === 0 ? open + close : open + '\n' + items.map((i) => deeper + i).join(',\n') + '\n' + indent + close;
  const set = (elements) => `{"$set": ${list('[', elements, ']')}}`;
  const binary = (b) => `{"$binary": ${JSON.stringify(b)}}`;
  switch (type) {
    case 'S': return JSON.stringify(v);
    case 'N': return String(v);
    case 'B': return binary(v);
    case 'BOOL': return String(v);
    case 'NULL': return 'null';
    case 'SS': return set(v.map((s) => JSON.stringify(s)));
    case 'NS': return set(v);
    case 'BS': return set(v.map(binary));
    case 'L': return list('[', v.map((e) => write(e, deeper)), ']');
    case 'M': {
      const names = Object.keys(v), map = list('{', names.map((k) => JSON.stringify(k) + ': ' + write(v[k], deeper)), '}');
      return !asMap && lone(names) ? `{"$map": ${map}}` : map;
    }
  }
  return JSON.stringify(av);
}

export const writeItem = (item) => item ? write({ M: item }, '', true) : '';

// readItem reads an item in plain JSON. An error names the line.
export function readItem(text) {
  let at = 0;
  const fail = (what) => { throw new Error(`Line ${text.slice(0, at).split('\n').length}: ${what}`); };
  const take = (form) => {
    form.lastIndex = at;
    const found = form.exec(text)?.[0];
    if (found !== undefined) at = form.lastIndex;
    return found;
  };
  const next = () => { take(space); return text[at]; };
  const string = () => {
    let end = at + 1;
    while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
    let s;
    try { s = JSON.parse(text.slice(at, end + 1)); } catch { fail('this text does not end, or has a character that is written with a backslash in JSON'); }
    at = end + 1;
    return s;
  };
  const members = (close, one) => {
    const all = [];
    at++;
    if (next() === close) { at++; return all; }
    for (;;) {
      all.push(one());
      const c = next();
      if (c !== ',' && c !== close) fail(`want , or ${close}`);
      at++;
      if (c === close) return all;
    }
  };
  // What was read, before it is said what an object of one member means: an attribute value, {list} or {object, from}.
  const value = () => {
    const c = next();
    if (c === '"') return { S: string() };
    if (c === '[') return { list: members(']', value) };
    if (c === '{') return { from: at, object: members('}', member) };
    const n = take(number);
    if (n !== undefined) return { N: n };
    const w = take(word);
    if (w === undefined) fail(c === undefined ? 'the text ends too early' : 'want a value');
    return w === 'null' ? { NULL: true } : { BOOL: w === 'true' };
  };
  const member = () => {
    if (next() !== '"') fail('want a name in quotes');
    const name = string();
    if (next() !== ':') fail('want : after the name');
    at++;
    return [name, value()];
  };
  const meant = (node, asMap) => {
    if (node.list) return { L: node.list.map((e) => meant(e)) };
    if (!node.object) return node;
    const names = node.object.map(([name]) => name), twice = names.length > new Set(names).size && names.find((n, i) => names.indexOf(n) < i);
    const wrong = (what) => { at = node.from; fail(what); };
    if (twice !== false) wrong(`${JSON.stringify(twice)} is there twice`);
    if (asMap || !lone(names)) return { M: Object.fromEntries(node.object.map(([name, v]) => [name, meant(v)])) };
    const [[name, inner]] = node.object;
    if (name === '$map') return inner.object ? meant(inner, true) : wrong('$map wants an object: {"$map": {"$set": "not a set"}}');
    if (name === '$binary') return inner.S !== undefined && base64.test(inner.S) ? { B: inner.S } : wrong('$binary wants base64: {"$binary": "AAEC"}');
    const elements = (inner.list ?? []).map((e) => meant(e)), types = [...new Set(elements.map((e) => Object.keys(e)[0]))];
    if (types.length !== 1 || !['S', 'N', 'B'].includes(types[0])) wrong('$set wants values of one kind: {"$set": ["a", "b"]} or {"$set": [1, 2]}');
    return { [types[0] + 'S']: elements.map((e) => e[types[0]]) };
  };
  if (next() !== '{') fail('want an object: { "name": value }');
  const item = value();
  if (next() !== undefined) fail('want nothing after the item');
  return meant(item, true).M;
}
