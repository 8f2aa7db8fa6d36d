// The Train form says how long the run will take here, before the button; a plan's form shows only what its trigger needs.
import { Problem, get, pause, post } from "./api.js";

const EVERY = 1000;
const PATIENCE = 300;
const WAIT_WORDS = "Measuring how long this takes here, with a few real steps…";
const BUSY_WORDS = "How long it takes is measured as soon as the device is free.";
const BUSY_AFTER = 5_000;

const form = document.getElementById("train-form");
const place = document.getElementById("estimate");
let turn = 0;

function asked() {
  const chosen = new FormData(form);
  const begins = { recipe: chosen.get("recipe"), snapshot: chosen.get("snapshot") };
  const [model, network] = (chosen.get("model") ?? "").split(":");
  if (network) return { ...begins, config: { start: model, architecture: network } };
  return { ...begins, model: model ? Number(model) : null };
}

async function estimate() {
  turn += 1;
  const mine = turn;
  await pause(PATIENCE);
  if (mine !== turn) return;
  place.textContent = WAIT_WORDS;
  const begun = Date.now();
  try {
    let trial = await post(`/projects/${form.dataset.project}/trials`, asked());
    while (mine === turn && ["waiting", "leased"].includes(trial.state)) {
      await pause(EVERY);
      if (!document.hidden) trial = await get(`/trials/${trial.id}`);
      const isBusy = trial.state === "waiting" && Date.now() - begun > BUSY_AFTER;
      if (mine === turn) place.textContent = isBusy ? BUSY_WORDS : WAIT_WORDS;
    }
    if (mine === turn) say(trial);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (mine === turn) place.textContent = problem.message;
  }
}

function say(trial) {
  if (trial.state === "done") {
    const words = trial.words.charAt(0).toUpperCase() + trial.words.slice(1);
    place.textContent = `${words} on this machine (${trial.device}).`;
  } else {
    place.textContent = `How long it takes could not be measured: ${trial.reason}`;
  }
}

if (form && place) {
  form.addEventListener("change", (event) => {
    if (event.target.name !== "when") estimate();
  });
  estimate();
}

const trigger = document.getElementById("plan-trigger");

function showNeeded() {
  for (const field of document.querySelectorAll(".plan-form [data-for]")) {
    field.hidden = !field.dataset.for.split(" ").includes(trigger.value);
  }
}

if (trigger) {
  trigger.addEventListener("change", showNeeded);
  showNeeded();
}
