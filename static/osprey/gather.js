// From whatever a person drops, picks or pastes to a flat list of entries {path, size, mtime, file}.

function entryOf(file, path) {
  // Some systems keep accents apart from their letters; the server names each file in one spelling.
  return { path: path.replace(/^\/+/, "").normalize("NFC"), size: file.size, mtime: file.lastModified, file };
}

function fileOf(fileEntry) {
  return new Promise((resolve, reject) => fileEntry.file(resolve, reject));
}

function readBatch(reader) {
  return new Promise((resolve, reject) => reader.readEntries(resolve, reject));
}

async function walkEntry(root, found, onCount) {
  const open = [root];
  while (open.length) {
    const entry = open.pop();
    if (entry.isFile) {
      found.push(entryOf(await fileOf(entry), entry.fullPath));
      if (found.length % 200 === 0) onCount(found.length);
      continue;
    }
    const reader = entry.createReader();
    // A reader gives at most 100 entries at a time, until it gives none.
    for (let batch = await readBatch(reader); batch.length; batch = await readBatch(reader)) open.push(...batch.reverse());
  }
}

async function walkHandle(folder, prefix, found, onCount) {
  for await (const [name, handle] of folder.entries()) {
    if (handle.kind === "directory") await walkHandle(handle, `${prefix}${name}/`, found, onCount);
    else found.push(entryOf(await handle.getFile(), prefix + name));
    if (found.length % 200 === 0) onCount(found.length);
  }
}

/** What was dropped. Must be called inside the event: the items are gone after it. */
export function fromDrop(transfer, onCount = () => {}) {
  const items = [...(transfer.items || [])].filter((item) => item.kind === "file");
  const entries = items.map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const asked = items.map((item) => (window.isSecureContext ? item.getAsFileSystemHandle?.() : null)).filter(Boolean);
  const files = [...(transfer.files || [])];
  return (async () => {
    const handles = (await Promise.all(asked.map((one) => one.catch(() => null)))).filter((one) => one?.kind === "directory");
    if (!entries.length) return { entries: files.map((file) => entryOf(file, file.name)), handles: [] };
    const found = [];
    for (const entry of entries) await walkEntry(entry, found, onCount);
    return { entries: found, handles };
  })();
}

export function fromFiles(files) {
  return [...files].map((file) => entryOf(file, file.webkitRelativePath || file.name));
}

/** A pasted picture has no name of its own worth keeping, so it gets the time. */
export function fromPaste(clipboard) {
  const stamp = new Date().toISOString().slice(0, 19).replace(/[:T]/g, "-");
  return [...(clipboard.files || [])].map((file, i) => {
    const isNameless = /^image\.\w+$/.test(file.name);
    const end = file.name.slice(file.name.lastIndexOf("."));
    return entryOf(file, isNameless ? `pasted-${stamp}${i ? `-${i}` : ""}${end}` : file.name);
  });
}

/** Read the same folder again through a handle kept from before; null when permission is not there yet. */
export async function fromHandles(handles, { ask = false, onCount = () => {} } = {}) {
  const found = [];
  for (const handle of handles) {
    const how = { mode: "read" };
    let permission = await handle.queryPermission(how);
    if (permission !== "granted" && ask) permission = await handle.requestPermission(how);
    if (permission !== "granted") return null;
    await walkHandle(handle, `${handle.name}/`, found, onCount);
  }
  return found;
}

const inOrder = new Intl.Collator("en", { numeric: true });

/** In the order people count in. Two files of one path would be one item: the later ones are numbered. */
export function withUniquePaths(entries) {
  const seen = new Set();
  const sorted = [...entries].sort((a, b) => inOrder.compare(a.path, b.path));
  return sorted.map((entry) => {
    let path = entry.path;
    for (let n = 2; seen.has(path); n += 1) {
      const dot = entry.path.lastIndexOf(".");
      path = dot > 0 ? `${entry.path.slice(0, dot)} (${n})${entry.path.slice(dot)}` : `${entry.path} (${n})`;
    }
    seen.add(path);
    return path === entry.path ? entry : { ...entry, path };
  });
}
