// The state of the server, once a second, and what triggers did in the last quarter of an hour.
import { useState, useEffect } from './vendor/htm-preact.js';
import { server } from './values.js';

const remembered = 15 * 60 * 1000;

export const live = {
  state: null, // {at, status, triggers}
  past: {}, // by UUID: points [ms, lag, lagSeconds, calls, errors, records, failed, lost, median ms, ms of 99 in 100]
  connected: false, over: false, missed: 0,
  seen: new Set(),
};

const tell = () => live.seen.forEach((f) => f());

// useLive draws a component anew with each state.
export function useLive() {
  const [, draw] = useState(0);
  useEffect(() => {
    const f = () => draw((n) => n + 1);
    live.seen.add(f);
    return () => live.seen.delete(f);
  }, []);
  return live;
}

async function remember() {
  const response = await fetch('/history');
  if (!response.ok) return;
  const before = await response.json();
  for (const [uuid, points] of Object.entries(before)) {
    const first = live.past[uuid]?.[0]?.[0] ?? Infinity;
    live.past[uuid] = [...(points ?? []).filter((p) => p[0] < first), ...(live.past[uuid] ?? [])];
  }
  tell();
}

// connect keeps the page live while it is looked at: a browser has six connections to a server, for all its tabs.
let feed;
export function connect() {
  if (document.hidden) return;
  feed = new EventSource('/live');
  feed.addEventListener('open', () => { live.connected = true; live.over = false; remember().catch(() => {}); tell(); });
  feed.addEventListener('missed', (e) => { live.missed += Number(e.data); });
  feed.addEventListener('state', (e) => {
    const state = JSON.parse(e.data), next = {};
    for (const t of state.triggers) {
      const points = live.past[t.uuid] ?? [], p = state.points[t.uuid];
      if (p && (points.length === 0 || points[points.length - 1][0] < p[0])) points.push(p);
      while (points.length && points[0][0] < state.at - remembered) points.shift();
      next[t.uuid] = points;
    }
    live.state = state;
    server.endpoint = state.endpoint;
    live.past = next;
    tell();
  });
  const mine = feed;
  feed.addEventListener('error', async () => {
    if (mine !== feed) return;
    live.connected = false;
    tell();
    if (mine.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    try {
      const response = await fetch('/history');
      live.over = response.status === 401;
    } catch { /* the server is down */ }
    tell();
    if (!live.over) setTimeout(() => { if (mine === feed) connect(); }, 1000);
  });
}

// rates of a trigger over the last ten seconds or so: calls, errors and records a second.
export function rates(uuid) {
  const points = live.past[uuid] ?? [];
  if (points.length < 2) return {};
  const last = points[points.length - 1];
  let first = points[points.length - 2];
  for (let i = points.length - 2; i >= 0 && last[0] - points[i][0] <= 10500; i--) first = points[i];
  const seconds = (last[0] - first[0]) / 1000, per = (i) => Math.max(0, last[i] - first[i]) / seconds; // a restart begins at 0
  const calls = last[3] - first[3];
  return { calls: per(3), errors: per(4), records: per(5), errorShare: calls > 0 ? (last[4] - first[4]) / calls : undefined };
}

// series are the points of a chart: [ms, value], of a rate by the difference to the point before.
export function series(uuid, i, isRate) {
  const points = live.past[uuid] ?? [];
  if (!isRate) return points.filter((p) => p[i] !== null).map((p) => [p[0], p[i]]);
  const out = [];
  for (let k = 1; k < points.length; k++) {
    out.push([points[k][0], Math.max(0, points[k][i] - points[k - 1][i]) / ((points[k][0] - points[k - 1][0]) / 1000)]);
  }
  return out;
}

// perCall are the points of how many records calls had, on average, between two looks.
export function perCall(uuid) {
  const points = live.past[uuid] ?? [], out = [];
  for (let k = 1; k < points.length; k++) {
    const calls = points[k][3] - points[k - 1][3];
    if (calls > 0) out.push([points[k][0], Math.max(0, points[k][5] - points[k - 1][5]) / calls]);
  }
  return out;
}

export const source = (t) => t.table || t.queue;
export const title = (t) => `${source(t)} → ${t.function}`;

// blockedBy is the oldest trouble that holds up a trigger.
export function blockedBy(t) {
  const all = [...(t.shards ?? []).map((s) => s.blocked), t.setAside?.blocked].filter(Boolean);
  return all.sort((a, b) => a.since < b.since ? -1 : 1)[0];
}

// condition is how a trigger is, and how bad that is: bad, warn, ok or off.
export function condition(t) {
  const blocked = blockedBy(t);
  if (t.state !== 'Enabled') return { word: t.state.toLowerCase(), level: 'off' };
  if (t.paused) return { word: 'paused', level: 'warn' };
  if (blocked && (t.shards ?? []).some((s) => s.blocked)) return { word: 'blocked', level: 'bad', blocked };
  if (t.error) return { word: 'failing', level: 'bad' };
  if (t.counts.dropped + t.counts.expired > 0) return { word: `${t.counts.dropped + t.counts.expired} lost`, level: 'bad', blocked };
  if (t.setAside.parked > 0) return { word: `${t.setAside.parked} parked`, level: 'warn', blocked };
  if (t.setAside.held > 0) return { word: `${t.setAside.held} held`, level: 'warn', blocked };
  return { word: 'running', level: 'ok' };
}
const rank = { bad: 0, warn: 1, ok: 2, off: 3 };
export const byTrouble = (a, b) => rank[condition(a).level] - rank[condition(b).level] || (title(a) < title(b) ? -1 : 1);

document.addEventListener('visibilitychange', () => {
  feed?.close();
  feed = undefined;
  connect();
});
