// One worker for fingerprints, shared by everything on the page.

let worker = null;
let next = 1;
const waiting = new Map();

function start() {
  worker = new Worker(new URL("./hash-worker.js", import.meta.url), { type: "module" });
  worker.addEventListener("message", ({ data }) => {
    const { resolve, reject } = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.error) reject(new Error(data.error));
    else resolve(data.sha256);
  });
  worker.addEventListener("error", () => {
    for (const { reject } of waiting.values()) reject(new Error("the fingerprint worker stopped"));
    waiting.clear();
    worker = null;
  });
}

/** SHA-256 of a blob in hex. */
export function fingerprint(blob) {
  if (!worker) start();
  return new Promise((resolve, reject) => {
    const id = next;
    next += 1;
    waiting.set(id, { resolve, reject });
    worker.postMessage({ id, blob });
  });
}
