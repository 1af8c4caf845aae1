// Keeps the cards of running exports up to date. Everything else on the page works without it.

const MARKS = { published: "✓", held: "!", failed: "✕", running: "▶", pending: "·", cancelled: "–" };
const LIVE = ["pending", "running"];
const ANNOUNCE_EVERY_PCT = 25;
const POLL_MS = 2000;
const EVERY_DAY = "?limit=10000"; // the page has a cell for each

const number = (value) => (value == null ? "–" : Math.round(value).toLocaleString("en-US"));

function seconds(value) {
  if (value < 60) return `${Math.max(1, Math.round(value))} s`;
  const minutes = Math.floor(value / 60);
  const rest = Math.round(value % 60);
  return minutes < 60 ? `${minutes} min ${rest} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function say(text) {
  const place = document.querySelector("[data-is=announced]");
  if (place) place.textContent = text;
}

// Fields of a card -> their text.
const FIELDS = {
  percent: (now) => `${Math.floor(now.progress_pct)} %`,
  days: (now) => `${number(now.days.published)} of ${number(now.results.length + now.more_results)}`,
  rows: (now) => number(now.rows_exported),
  now: (now) => (now.current_day ? `${now.current_dataset} ${now.current_day}` : "–"),
  batch: (now) =>
    now.current_batch
      ? `${number(now.current_batch)} of ${number(now.total_batches_estimate)}`
      : "–",
  rate: (now) => number(now.rows_per_s),
  left: (now) => (now.eta_s == null ? "–" : `about ${seconds(now.eta_s)}`),
};

// Elements by the value of an attribute; an export may have thousands of days.
const found = new WeakMap();
function byValue(place, name) {
  const known = found.get(place) || {};
  found.set(place, known);
  known[name] ??= new Map(
    [...place.querySelectorAll(`[data-${name}]`)].map((each) => [each.dataset[name], each]),
  );
  return known[name];
}

function showDay(card, result) {
  const name = `${result.dataset} ${result.day}`;
  const cell = byValue(card, "day").get(name);
  if (!cell || cell.classList.contains(result.status)) return;
  cell.className = `day ${result.status}`;
  cell.title = `${name}: ${result.status}`;
  const mark = document.createElement("span");
  mark.setAttribute("aria-hidden", "true");
  mark.textContent = MARKS[result.status];
  const text = document.createElement("span");
  text.className = "unseen";
  text.textContent = cell.title;
  cell.replaceChildren(mark, text);
}

function showState(place, state) {
  if (!place) return;
  place.className = `state ${state}`;
  place.textContent = state;
}

function show(card, now) {
  card.querySelector("progress").value = now.progress_pct;
  for (const [name, text] of Object.entries(FIELDS)) {
    const place = card.querySelector(`[data-is=${name}]`);
    if (place) place.textContent = text(now);
  }
  const state = card.querySelector("[data-is=state] .state");
  if (state?.textContent === "pending" && now.status === "running")
    document.getElementById("no-daemon")?.remove();
  showState(state, now.status);
  const table = document.getElementById("days");
  for (const result of now.results) {
    showDay(card, result);
    const row = table && byValue(table, "row").get(`${result.dataset} ${result.day}`);
    if (row) showState(row.querySelector(".state"), result.status);
  }
  const step = Math.floor(now.progress_pct / ANNOUNCE_EVERY_PCT);
  if (step > Number(card.dataset.announced || 0)) {
    card.dataset.announced = step;
    say(`${Math.floor(now.progress_pct)} % exported`);
  }
}

// The sections that an ended export changes, as the server renders them; the form is left alone.
async function refresh() {
  const address = document.getElementById("main").dataset.page;
  const answer = await fetch(address, { headers: { accept: "text/html" } });
  if (!answer.ok || answer.redirected) return location.assign(address);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of ["status", "days", "history", "metrics"]) {
    const [before, after] = [document.getElementById(id), page.getElementById(id)];
    const isInUse = before?.contains(document.activeElement);
    if (before && after) before.replaceWith(document.adoptNode(after));
    if (isInUse) document.getElementById("main").focus({ preventScroll: true });
  }
  follow();
}

function ended(card, now) {
  delete card.dataset.live;
  say(`The export has ended: ${now.status}`);
  refresh();
}

// Returns whether the export still runs.
function update(card, now) {
  if (!card.isConnected) return false;
  show(card, now);
  if (LIVE.includes(now.status)) return true;
  ended(card, now);
  return false;
}

// Asks again and again, where a stream of events cannot be had.
async function poll(card, path) {
  let goesOn = true;
  while (goesOn) {
    await new Promise((done) => setTimeout(done, POLL_MS));
    try {
      const answer = await fetch(path + EVERY_DAY, { headers: { accept: "application/json" } });
      if (answer.status === 401) return location.assign(document.getElementById("main").dataset.page);
      if (answer.ok) goesOn = update(card, await answer.json());
    } catch {
      // The service does not answer now; the next request may.
    }
  }
}

function watch(card) {
  const path = card.dataset.live;
  if (card.dataset.watched) return;
  card.dataset.watched = "yes";
  const stream = new EventSource(card.dataset.events + EVERY_DAY);
  stream.addEventListener("status", (event) => {
    if (!update(card, JSON.parse(event.data))) stream.close();
  });
  stream.addEventListener("error", () => {
    stream.close();
    if (card.isConnected && card.dataset.live) poll(card, path);
  });
}

function follow() {
  document.querySelectorAll("[data-live]").forEach(watch);
}

follow();
