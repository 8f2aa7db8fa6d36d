// Pictures that will be wanted soon, fetched and decoded before somebody asks for them.

const KEEP = 90;
const TRIES = 6;
const kept = new Map(); // address -> { image, ready, isThere }

function load(address) {
  const image = new Image();
  image.decoding = "async";
  image.draggable = false;
  image.src = address;
  return image.decode().then(() => image);
}

/** The large picture is made on first view and a small one stands in meanwhile: ask again until it is there. */
async function sharp(address, longest, turn = 0) {
  const image = await load(turn ? `${address}?turn=${turn}` : address);
  const isSmall = Math.max(image.naturalWidth, image.naturalHeight) < Math.min(1000, longest * 0.95);
  if (!isSmall || turn >= TRIES) return image;
  await new Promise((resolve) => { setTimeout(resolve, 700 * (turn + 1)); });
  return sharp(address, longest, turn + 1).catch(() => image);
}

function take(address, longest) {
  let one = kept.get(address);
  if (!one) {
    one = { image: null, ready: (longest ? sharp(address, longest) : load(address)) };
    one.ready.then((image) => { one.image = image; }, () => kept.delete(address));
    kept.set(address, one);
  }
  kept.delete(address); // the newest last
  kept.set(address, one);
  for (const old of kept.keys()) {
    if (kept.size <= KEEP) break;
    kept.delete(old);
  }
  return one;
}

/** The decoded thumbnail or preview of a frame, now or as a promise. */
export function picture(frame, size) {
  const longest = size === "preview" ? Math.max(frame.width, frame.height) : 0;
  return take(frame[size], longest);
}

const NEAR = 6; // units whose most telling frame is decoded beforehand
const FRAMES = 12; // of each unit, whose small pictures are fetched
const fetched = new Set(); // addresses that the browser's cache has or gets

/** The most telling frame of each unit large, its other frames small; what is further off is only fetched. */
export function prefetch(units) {
  for (const [place, unit] of units.entries()) {
    const telling = unit.images.find((one) => one.id === unit.telling) ?? unit.images[0];
    if (place < NEAR) {
      picture(telling, "thumbnail").ready.catch(() => null);
      picture(telling, "preview").ready.catch(() => null);
    } else warm(telling.preview);
  }
  for (const [place, unit] of units.entries()) {
    for (const frame of unit.images.slice(0, FRAMES)) {
      if (place < 2) picture(frame, "thumbnail").ready.catch(() => null);
      else warm(frame.thumbnail); // the filmstrip is whole also while the site is away
    }
  }
}

function warm(address) {
  if (fetched.has(address)) return;
  fetched.add(address);
  const image = new Image();
  image.fetchPriority = "low";
  image.src = address;
}

/** The neighbours of the frame on the screen, large. */
export function prefetchAround(unit, at) {
  for (const frame of [unit.images[at + 1], unit.images[at - 1]]) if (frame) picture(frame, "preview").ready.catch(() => null);
}
