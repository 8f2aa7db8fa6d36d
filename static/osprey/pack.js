// Packs chosen files into one zip, stored as they are. The zip is a Blob of Files: no picture is held in memory, the
// browser reads each once for its checksum and once more while it is sent.

const LOCAL = 0x04034b50;
const ENTRY = 0x02014b50;
const END = 0x06054b50;
const WIDE_END = 0x06064b50;
const WIDE_LOCATOR = 0x07064b50;
const UTF8 = 0x0800;
const FULL = 0xffffffff;
const DAY_ONE = 0x21; // 1 January 1980: the times of pictures are in their EXIF
const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

async function checksum(file) {
  let crc = FULL;
  const reader = file.stream().getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    for (const byte of piece.value) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 0xff];
  }
  return (crc ^ FULL) >>> 0;
}

/** Little-endian fields: [bytes, value] pairs, of 2, 4 or 8 bytes. */
function fields(...pairs) {
  const out = new DataView(new ArrayBuffer(pairs.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of pairs) {
    if (size === 2) out.setUint16(at, value, true);
    else if (size === 4) out.setUint32(at, value, true);
    else out.setBigUint64(at, BigInt(value), true);
    at += size;
  }
  return out;
}

function local(name, crc, size) {
  return fields([4, LOCAL], [2, 20], [2, UTF8], [2, 0], [2, 0], [2, DAY_ONE], [4, crc], [4, size], [4, size], [2, name.length], [2, 0]);
}

function listed(name, crc, size, offset) {
  const isFar = offset >= FULL;
  const wide = isFar ? fields([2, 1], [2, 8], [8, offset]) : fields();
  return [
    fields([4, ENTRY], [2, 45], [2, isFar ? 45 : 20], [2, UTF8], [2, 0], [2, 0], [2, DAY_ONE], [4, crc], [4, size], [4, size], [2, name.length],
      [2, wide.byteLength], [2, 0], [2, 0], [2, 0], [4, 0], [4, isFar ? FULL : offset]),
    name, wide,
  ];
}

function ending(entries, size, offset) {
  const isWide = entries >= 0xffff || offset + size >= FULL;
  const wide = isWide ? [
    fields([4, WIDE_END], [8, 44], [2, 45], [2, 45], [4, 0], [4, 0], [8, entries], [8, entries], [8, size], [8, offset]),
    fields([4, WIDE_LOCATOR], [4, 0], [8, offset + size], [4, 1]),
  ] : [];
  const [few, short, near] = isWide ? [0xffff, FULL, FULL] : [entries, size, offset];
  return [...wide, fields([4, END], [2, 0], [2, 0], [2, few], [2, few], [4, short], [4, near], [2, 0])];
}

/** A zip of entries {path, size, file}; `onRead` is told how many bytes have been read so far. */
export async function pack(entries, onRead = () => {}) {
  const words = new TextEncoder();
  const parts = [];
  const table = [];
  let offset = 0;
  let read = 0;
  for (const { path, size, file } of entries) {
    const name = words.encode(path);
    const crc = await checksum(file);
    const head = local(name, crc, size);
    parts.push(head, name, file);
    table.push(...listed(name, crc, size, offset));
    offset += head.byteLength + name.byteLength + size;
    read += size;
    onRead(read);
  }
  const tableSize = table.reduce((sum, part) => sum + part.byteLength, 0);
  return new Blob([...parts, ...table, ...ending(entries.length, tableSize, offset)], { type: "application/zip" });
}
