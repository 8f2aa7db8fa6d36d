// News of uploads: one event stream for all tabs of a browser, shared by BroadcastChannel; polling where it fails.
import { Lease } from "./lease.js";

const BEAT = 2000;
const WANTED_FOR = 3 * BEAT;
const POLL = 3000;
const REOPEN = 15_000;
const MOST = 20; // uploads the server streams at once

const channel = "BroadcastChannel" in window ? new BroadcastChannel("osprey-events") : null;
const lease = new Lease("events");
const mine = new Map(); // uid -> Set of listeners {news, poll}
const wanted = new Map(); // uid -> last time any tab asked
let stream = null; // {key, source, failures, brokenAt}
let beat = null;

function tell(uid, news) {
  for (const listener of mine.get(uid) ?? []) listener.news(news);
}

function share(uid, news) {
  tell(uid, news);
  channel?.postMessage({ type: "news", uid, news });
}

channel?.addEventListener("message", ({ data }) => {
  if (data.type === "news") tell(data.uid, data.news);
  if (data.type === "poll") askToPoll(data.uid);
  if (data.type === "want") wanted.set(data.uid, Date.now());
});

function askToPoll(uid) {
  for (const listener of mine.get(uid) ?? []) {
    if (Date.now() - (listener.polledAt ?? 0) < POLL - 100) continue;
    listener.polledAt = Date.now();
    listener.poll();
  }
}

function pollAll(uid) {
  askToPoll(uid);
  channel?.postMessage({ type: "poll", uid });
}

function shut() {
  stream?.source.close();
  stream = null;
}

function open(key) {
  shut();
  const source = new EventSource(`/api/v1/events?uploads=${key}`);
  const own = { key, source, failures: 0 };
  stream = own;
  const take = (event) => {
    own.failures = 0;
    const { upload, items, reload, ...about } = JSON.parse(event.data);
    if (items?.length || about.counts) share(upload, { items: items ?? [], ...about });
    if (reload) pollAll(upload);
  };
  for (const name of ["snapshot", "items"]) source.addEventListener(name, take);
  source.addEventListener("error", () => {
    own.failures += 1;
  });
}

/** The leader streams what any tab asked for, and lets the tabs look themselves while the stream does not stand. */
function lead() {
  const now = Date.now();
  for (const uid of mine.keys()) wanted.set(uid, now);
  for (const [uid, at] of wanted) if (now - at > WANTED_FOR) wanted.delete(uid);
  const key = [...wanted.keys()].sort().slice(-MOST).join(",");
  if (!key) return shut();
  const isClosed = stream?.source.readyState === EventSource.CLOSED;
  if (stream && isClosed) stream.closedAt ??= now;
  if (!stream || stream.key !== key || (isClosed && now - stream.closedAt > REOPEN)) open(key);
  if (stream.source.readyState !== EventSource.OPEN) for (const uid of wanted.keys()) pollAll(uid);
  return null;
}

function tick() {
  if (!mine.size && !wanted.size) {
    shut();
    return;
  }
  if (!channel || lease.take()) lead();
  else {
    shut();
    for (const uid of mine.keys()) channel.postMessage({ type: "want", uid });
  }
}

/** Follow an upload: `news({items, counts?, done?})` for each message, `poll()` to look for oneself. Returns the end. */
export function follow(uid, news, poll) {
  const listener = { news, poll };
  if (!mine.has(uid)) mine.set(uid, new Set());
  mine.get(uid).add(listener);
  beat ??= setInterval(tick, BEAT);
  tick();
  return () => {
    mine.get(uid)?.delete(listener);
    if (!mine.get(uid)?.size) mine.delete(uid);
    tick();
  };
}

addEventListener("pagehide", shut);
