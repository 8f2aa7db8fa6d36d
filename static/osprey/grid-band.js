// Pointing at the grid: click, Ctrl, Shift, a rubber band, and a finger that rests to choose.
import { h } from "./dom.js";

const SLACK = 6; // pixels before a press becomes a band
const HOLD = 450; // ms a finger rests
const EDGE = 36; // pixels from the border where the band scrolls

/** `view` and `selection` as in grid.js; `open(index)` for a double click or a tap. */
export function watchPointer({ view, selection, open }) {
  const { box } = view;
  const around = box.closest(".grid-body"); // a band may begin in the gap beside the pictures
  let press = null;
  let band = null;
  let held = false;

  const place = (event) => {
    const frame = box.getBoundingClientRect();
    return { x: event.clientX - frame.left, y: event.clientY - frame.top + box.scrollTop };
  };
  const indexOf = (event) => event.target.closest(".cell")?.index ?? null;

  function stretch(event) {
    const to = place(event);
    const area = { left: Math.min(press.x, to.x), right: Math.max(press.x, to.x), top: Math.min(press.y, to.y), bottom: Math.max(press.y, to.y) };
    Object.assign(band.style, { left: `${area.left}px`, top: `${area.top}px`, width: `${area.right - area.left}px`, height: `${area.bottom - area.top}px` });
    selection.band(view.items, view.under(area), press.before);
    const frame = box.getBoundingClientRect();
    if (event.clientY > frame.bottom - EDGE) box.scrollTop += EDGE / 2;
    if (event.clientY < frame.top + EDGE) box.scrollTop -= EDGE / 2;
  }

  around.addEventListener("pointerdown", (event) => {
    if (event.target !== around && !box.contains(event.target)) return;
    const { clientWidth, clientHeight } = box;
    const frame = box.getBoundingClientRect();
    if (event.button !== 0 || event.clientX > frame.left + clientWidth || event.clientY > frame.top + clientHeight) return; // the scroll bar
    held = false;
    press = { ...place(event), index: indexOf(event), touch: event.pointerType === "touch", before: event.ctrlKey || event.metaKey || event.shiftKey ? [...selection.ids] : null };
    if (press.touch && press.index !== null) {
      press.timer = setTimeout(() => {
        held = true;
        if (press) selection.toggle(view.items, press.index);
      }, HOLD);
    }
  });

  box.addEventListener("pointermove", (event) => {
    if (press && !band && !press.touch && !(event.buttons & 1)) press = null; // let go in the gap
    if (!press) return;
    const to = place(event);
    const isFar = Math.hypot(to.x - press.x, to.y - press.y) > SLACK;
    if (press.touch) {
      if (isFar) { clearTimeout(press.timer); press = null; }
      return;
    }
    if (!band && isFar) {
      band = h("div", { class: "band" });
      view.canvas.append(band);
      box.setPointerCapture(event.pointerId);
    }
    if (band) stretch(event);
  });

  const end = (event) => {
    if (!press) return;
    clearTimeout(press.timer);
    const { index, touch } = press;
    const banded = Boolean(band);
    band?.remove();
    [band, press] = [null, null];
    if (banded || held || event.type === "pointercancel") return;
    click(event, index, touch);
  };
  box.addEventListener("pointerup", end);
  box.addEventListener("pointercancel", end);

  function click(event, index, touch) {
    if (index === null) return selection.clear();
    if (touch) {
      if (selection.size) return selection.toggle(view.items, index);
      return open(index);
    }
    view.current = index;
    if (event.shiftKey) selection.range(view.items, index, event.ctrlKey || event.metaKey);
    else if (event.ctrlKey || event.metaKey) selection.toggle(view.items, index);
    else selection.only(view.items, index);
    return undefined;
  }

  box.addEventListener("dblclick", (event) => {
    const index = indexOf(event);
    if (index !== null) open(index);
  });
  box.addEventListener("contextmenu", (event) => held && event.preventDefault());
  box.addEventListener("dragstart", (event) => event.preventDefault());
}
