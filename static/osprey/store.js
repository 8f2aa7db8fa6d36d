// What survives a refresh: the uploads of this browser, the files they still miss, and some of the bytes.

const NAME = "osprey";
const BLOB_BUDGET = 200 * 1024 * 1024;
const LARGEST_BLOB = 50 * 1024 * 1024;

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
  const kept = await result(db.transaction("blobs").objectStore("blobs").getAll());
  let room = BLOB_BUDGET - kept.reduce((sum, one) => sum + one.size, 0);
  for (const { path, size, file } of entries) {
    if (size > LARGEST_BLOB || size > room) continue;
    const blob = new Blob([await file.arrayBuffer()], { type: file.type });
    const transaction = db.transaction(["files", "blobs"], "readwrite");
    const waits = await result(transaction.objectStore("files").getKey([uid, path]));
    if (waits) transaction.objectStore("blobs").put({ uid, path, size, blob });
    await done(transaction);
    if (waits) room -= size;
  }
});

export const blobOf = (uid, path) => quietly(async () => {
  const found = await result((await open()).transaction("blobs").objectStore("blobs").get([uid, path]));
  return found?.blob ?? null;
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
