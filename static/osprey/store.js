// What survives a refresh: the uploads of this browser, the files they still miss, and some of the bytes.

const NAME = "osprey";
const BLOB_BUDGET = 200 * 1024 * 1024;
const LARGEST_BLOB = 50 * 1024 * 1024;
const BATCH_FILES = 100;
const BATCH_BYTES = 16 * 1024 * 1024;
const INLINE = 64 * 1024;

let opening = null;

function open() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      const db = request.result;
      db.createObjectStore("uploads", { keyPath: "uid" });
      db.createObjectStore("files", { keyPath: ["uid", "path"] });
      db.createObjectStore("blobs", { keyPath: ["uid", "path"] });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opening;
}

function done(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
}

function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

const rangeOf = (uid) => IDBKeyRange.bound([uid], [uid, []]);

/** A private window or a full disk must not stop an upload: then a refresh simply asks for the files again. */
async function quietly(act) {
  try {
    return await act();
  } catch (error) {
    console.warn("Osprey: this browser keeps no queue:", error?.message ?? error);
    return null;
  }
}

export const saveUpload = (upload) => quietly(async () => {
  const transaction = (await open()).transaction("uploads", "readwrite");
  transaction.objectStore("uploads").put(upload);
  await done(transaction);
});

export const uploads = async () => (await quietly(async () => {
  const store = (await open()).transaction("uploads").objectStore("uploads");
  return (await result(store.getAll())).sort((a, b) => b.createdAt - a.createdAt);
})) ?? [];

export const forget = (uid) => quietly(async () => {
  const transaction = (await open()).transaction(["uploads", "files", "blobs"], "readwrite");
  transaction.objectStore("uploads").delete(uid);
  transaction.objectStore("files").delete(rangeOf(uid));
  transaction.objectStore("blobs").delete(rangeOf(uid));
  await done(transaction);
});

export const saveFiles = (uid, entries) => quietly(async () => {
  const db = await open();
  for (let from = 0; from < entries.length; from += 1000) {
    const transaction = db.transaction("files", "readwrite");
    const store = transaction.objectStore("files");
    for (const { path, size, mtime } of entries.slice(from, from + 1000)) store.put({ uid, path, size, mtime });
    await done(transaction);
  }
});

export const filesOf = async (uid) =>
  (await quietly(async () => result((await open()).transaction("files").objectStore("files").getAll(rangeOf(uid))))) ?? [];

/** Keep bytes of the first files that fit the budget; the rest is asked for again after a refresh. */
export const saveBlobs = (uid, entries) => quietly(async () => {
  const db = await open();
  let room = BLOB_BUDGET - await keptBytes(db);
  const fitting = entries.filter(({ size }) => {
    if (size > LARGEST_BLOB || size > room) return false;
    room -= size;
    return true;
  });
  for (const batch of batches(fitting)) await saveBatch(db, uid, batch);
});

async function keptBytes(db) {
  let sum = 0;
  const transaction = db.transaction("blobs");
  transaction.objectStore("blobs").openCursor().onsuccess = ({ target: { result: cursor } }) => {
    if (!cursor) return;
    sum += cursor.value.size;
    cursor.continue();
  };
  await done(transaction);
  return sum;
}

/** One transaction a file would take longer than sending it. */
function batches(entries) {
  const found = [];
  let batch = [];
  let size = 0;
  for (const entry of entries) {
    if (batch.length && (batch.length >= BATCH_FILES || size + entry.size > BATCH_BYTES)) {
      found.push(batch);
      [batch, size] = [[], 0];
    }
    batch.push(entry);
    size += entry.size;
  }
  return batch.length ? [...found, batch] : found;
}

async function saveBatch(db, uid, entries) {
  const read = await Promise.all(entries.map(async ({ path, size, file }) => {
    const content = await file.arrayBuffer().catch(() => null); // one that cannot be read is told where it is sent
    return { path, size, content, type: file.type };
  }));
  const transaction = db.transaction(["files", "blobs"], "readwrite", { durability: "relaxed" });
  const [files, blobs] = [transaction.objectStore("files"), transaction.objectStore("blobs")];
  for (const { path, size, content, type } of read) {
    if (!content) continue;
    // Small contents go straight into the database; a file of their own each would cost ten times the time.
    const blob = size > INLINE ? new Blob([content], { type }) : content;
    files.getKey([uid, path]).onsuccess = ({ target }) => {
      if (target.result) blobs.put({ uid, path, size, type, blob });
    };
  }
  await done(transaction);
}

export const blobOf = (uid, path) => quietly(async () => {
  const found = await result((await open()).transaction("blobs").objectStore("blobs").get([uid, path]));
  return found ? new Blob([found.blob], { type: found.type }) : null;
});

export const blobPaths = async (uid) =>
  new Set(((await quietly(async () =>
    result((await open()).transaction("blobs").objectStore("blobs").getAllKeys(rangeOf(uid))))) ?? []).map((key) => key[1]));

/** These files are settled: neither list nor bytes are needed any more. */
export const settle = (uid, paths) => quietly(async () => {
  const transaction = (await open()).transaction(["files", "blobs"], "readwrite");
  for (const path of paths) {
    transaction.objectStore("files").delete([uid, path]);
    transaction.objectStore("blobs").delete([uid, path]);
  }
  await done(transaction);
});
