// How an upload comes to a page: begun anew, taken up after a refresh, or read from the server.
import { insist, post } from "./api.js";
import { Lease } from "./lease.js";
import { MANIFEST_CHUNK, Queue } from "./queue.js";
import * as store from "./store.js";
import { manifestLine } from "./transmit.js";

/** A new upload from gathered entries. */
export async function start({ project, name, everything, entries, sideFiles, handles }) {
  const manifest = everything.map(manifestLine); // with side files: the server counts them for its summary
  const first = manifest.splice(0, MANIFEST_CHUNK);
  const upload = await insist(() => post("/uploads", { project, name, manifest: first }));
  const record = { uid: upload.id, project, name, createdAt: Date.now(), sideFiles, total: entries.length, handles };
  const queue = new Queue(record);
  queue.add(entries);
  queue.begin(entries, manifest);
  return queue;
}

/** An upload that a refresh interrupted; `null` when another tab is busy with it or nothing is left. */
export async function resume(record) {
  const lease = new Lease(record.uid);
  if (!lease.take()) return null;
  const left = await store.filesOf(record.uid);
  const queue = new Queue(record);
  queue.lease = lease;
  const kept = await store.blobPaths(record.uid);
  queue.add(left.map((file) => ({ ...file, isStored: kept.has(file.path) })));
  return queue;
}

/** An upload whose bytes are all with the server: its rows are read from there. */
export async function follow(record) {
  const queue = new Queue(record);
  queue.isFinished = true;
  await queue.reconcile();
  return queue.rows.length ? queue : null;
}
