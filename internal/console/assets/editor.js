// One item, in plain JSON or DynamoDB's, saved only over what was shown.
import { html, useState, useEffect, useRef } from './vendor/htm-preact.js';
import { dynamodb } from './api.js';
import { Problem, Act, Copy } from './parts.js';
import { readItem, writeItem } from './plain.js';
import { parseItem, asShown, changeOf, command, keyText } from './values.js';

const forms = {
  plain: { name: 'Plain JSON', read: readItem, write: writeItem },
  typed: { name: 'DynamoDB JSON', read: parseItem, write: (item) => JSON.stringify(item, null, 2) },
};

export function Editor({ table, at, keyOf, close, again }) {
  const [form, setForm] = useState('plain');
  const [text, set] = useState(() => writeItem(at.item));
  const [error, setError] = useState(null);
  // The list may be long: what was opened from its end is above it.
  const card = useRef(null);
  useEffect(() => { card.current?.scrollIntoView({ block: 'nearest' }); }, []);
  if (at.error) return html`<div class="card"><${Problem} error=${at.error} /><button onClick=${() => close(' ')}>Close</button></div>`;
  const TableName = table.TableName, Key = keyOf(at.item), { read, name } = forms[form];
  // with does something with the item that is written, or says what is wrong with it.
  const whenRead = (f) => { try { setError(null); f(read(text)); } catch (e) { setError(e); } };
  const turn = (to) => to !== form && whenRead((item) => { set(forms[to].write(item)); setForm(to); });
  const put = async () => {
    setError(null);
    const item = read(text);
    if (!at.fresh && JSON.stringify(keyOf(item)) !== JSON.stringify(Key)) throw new Error('The key is another one: duplicate the item to save it under a new key.');
    const change = at.fresh ? null : changeOf(at.item, item);
    try {
      if (at.fresh) await dynamodb('PutItem', { TableName, Item: item, ConditionExpression: 'attribute_not_exists(#k)', ExpressionAttributeNames: { '#k': table.KeySchema[0].AttributeName } });
      else if (change) await dynamodb('UpdateItem', { TableName, Key, ...change });
    } catch (e) {
      if (e.code === 'ConditionalCheckFailedException') {
        throw new Error(at.fresh ? 'An item of this key is there already.' : 'Somebody has changed the item since it was shown. Close it and open it again.');
      }
      throw e;
    }
    close(`${keyText(keyOf(item))} is saved.`);
  };
  return html`<section class="card below" aria-label="item" ref=${card}><h2>${at.fresh ? 'New item' : keyText(Key)}</h2>
    <div class="bar">${Object.entries(forms).map(([k, f]) => html`<button aria-pressed=${k === form} onClick=${() => turn(k)}>${f.name}</button>`)}
      ${form === 'plain' && html`<span class="dim">a set is <code>{"$set": [1, 2]}</code>, binary is <code>{"$binary": "base64"}</code></span>`}</div>
    <textarea class="mono" spellcheck="false" aria-label=${'item in ' + name} rows=${Math.min(30, text.split('\n').length + 1)} readonly=${at.look} value=${text} onInput=${(e) => set(e.target.value)}></textarea>
    <${Problem} error=${error} />
    <div class="bar">${!at.look && html`<${Act} primary run=${put}>Save</${Act}>`}
      ${!at.fresh && !at.look && html`<${Act} danger ask="The item is gone for good." run=${async () => { await dynamodb('DeleteItem', { TableName, Key, ...asShown(at.item) }); close(`${keyText(Key)} is deleted.`); }}>Delete</${Act}>
        <button onClick=${() => whenRead(again)}>Duplicate</button><${Copy} text=${command('GetItem', { TableName, Key })}>Copy as get-item</${Copy}><${Copy} text=${command('PutItem', { TableName, Item: at.item })}>Copy as put-item</${Copy}>`}
      <button onClick=${() => close(false)}>Close</button></div></section>`;
}
