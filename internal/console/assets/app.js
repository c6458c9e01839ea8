// The page: what is shown, by the address after #.
import { html, render, useState, useEffect } from './vendor/htm-preact.js';
import { connect, useLive, condition } from './live.js';
import { Loop } from './loop.js';
import { Triggers, Trigger } from './triggers.js';
import { Parked } from './parked.js';
import { Tables, Table } from './tables.js';
import { NewTable, Settings } from './settings.js';
import { Stream } from './stream.js';
import { Functions, Function_ } from './functions.js';
import { Requests } from './requests.js';
import { Server } from './server.js';

const routes = {
  '': () => html`<${Loop} />`, tables: () => html`<${Tables} />`, table: (name) => html`<${Table} key=${name} name=${name} />`, stream: (name) => html`<${Stream} key=${name} table=${name} />`,
  settings: (name) => html`<${Settings} key=${name} name=${name} />`, 'new-table': () => html`<${NewTable} />`,
  triggers: () => html`<${Triggers} />`, trigger: (uuid) => html`<${Trigger} key=${uuid} uuid=${uuid} />`, parked: (uuid) => html`<${Parked} uuid=${uuid} />`,
  functions: () => html`<${Functions} />`, function: (of) => { const [name, call] = of.split('/'); return html`<${Function_} key=${of} name=${name} call=${call} />`; }, requests: () => html`<${Requests} />`, server: () => html`<${Server} />`,
};
const links = [['', 'Loop'], ['tables', 'Tables'], ['triggers', 'Triggers'], ['parked', 'Parked'], ['functions', 'Functions'], ['requests', 'Requests'], ['server', 'Server']];
const within = { table: 'tables', stream: 'tables', settings: 'tables', 'new-table': 'tables', trigger: 'triggers', function: 'functions' };

const place = () => {
  const [page = '', ...rest] = location.hash.replace(/^#\/?/, '').split('/');
  let name = rest.join('/');
  try { name = decodeURIComponent(name); } catch { /* typed by hand */ }
  return { page: Object.hasOwn(routes, page) ? page : '', name };
};

function App() {
  const live = useLive();
  const [at, go] = useState(place());
  useEffect(() => {
    const moved = () => { go(place()); scrollTo(0, 0); };
    addEventListener('hashchange', moved);
    return () => removeEventListener('hashchange', moved);
  }, []);
  const s = live.state?.status, triggers = live.state?.triggers ?? [];
  const parked = triggers.reduce((n, t) => n + t.setAside.parked + t.setAside.held, 0), bad = triggers.filter((t) => condition(t).level === 'bad').length;
  const health = !live.connected ? ['off', 'not connected'] : !s?.healthy ? ['bad', s?.problem ? 'not healthy' : 'connecting'] : (s.degraded ?? []).length ? ['warn', 'degraded'] : ['ok', 'server healthy'];
  const on = within[at.page] ?? at.page;
  return html`<a class="skip" href="#main">To the content</a><header><b>Millstream</b><nav aria-label="pages">${links.map(([page, word]) => html`<a href=${'#/' + page} class=${page === on ? 'on' : ''} aria-current=${page === on ? 'page' : undefined}>${word}${page === 'parked' && parked > 0 ? html` <span class="badt">${parked}</span>` : ''}${page === 'triggers' && bad > 0 ? html` <span class="badt">${bad}</span>` : ''}</a>`)}</nav>
    <div class="aside">${live.state?.account ? html`<span>account ${live.state.account}</span>` : html`<span role="status"><a href="#/server"><span class=${'dot ' + health[0]}></span>${health[1]}</a></span>${s && html`<span>${s.region}</span>`}`}</div></header>
    ${live.over && html`<p class="alert" role="alert"><b>The session is over.</b> Open the console by a new link: <code>millstream console</code></p>`}
    ${!live.connected && !live.over && live.state && html`<p class="alert mild" role="status"><b>The server does not answer.</b> What is shown is from ${new Date(live.state.at).toTimeString().slice(0, 8)}; the page goes on by itself.</p>`}
    ${live.state?.problem && html`<p class="alert" role="alert"><b>The server cannot tell how its triggers are:</b> ${live.state.problem}</p>`}
    <main id="main" tabindex="-1">${routes[at.page](at.name)}</main>`;
}

connect();
document.getElementById('app').replaceChildren();
render(html`<${App} />`, document.getElementById('app'));
