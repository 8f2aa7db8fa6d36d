// Where decisions wait that the site has not taken yet: IndexedDB, so that they outlive a reload or a crash.

const NAME = "osprey-outbox";
const STORE = "records";

let opening = null;

function open() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opening;
}

function run(mode, act) {
  return open().then((db) => new Promise((resolve, reject) => {
    const transaction = db.transaction(STORE, mode);
    const request = act(transaction.objectStore(STORE));
    transaction.oncomplete = () => resolve(request?.result);
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  }));
}

export const put = (record) => run("readwrite", (store) => store.put(record));

export const remove = (ids) => run("readwrite", (store) => {
  for (const id of ids) store.delete(id);
});

/** Those of one person in one project, oldest first; what others left in this browser stays theirs. */
export async function all(project, person) {
  const records = await run("readonly", (store) => store.getAll());
  return records.filter((one) => one.project === project && one.person === person).sort((a, b) => a.at - b.at || a.turn - b.turn);
}

/** How many decisions of other people wait in this browser until they sign in again. */
export async function othersWaiting(person) {
  const records = await run("readonly", (store) => store.getAll());
  return records.filter((one) => one.person !== person && one.state === "waiting").length;
}
