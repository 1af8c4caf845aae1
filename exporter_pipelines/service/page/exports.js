// Keeps the cards of running exports up to date. Everything else on the page works without it.

const MARKS = { published: "✓", held: "!", failed: "✕", running: "▶", pending: "·", cancelled: "–" };
const LIVE = ["pending", "running"];
const ANNOUNCE_EVERY_PCT = 25;
const POLL_MS = 2000;

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
  percent: (found) => `${Math.floor(found.progress_pct)} %`,
  days: (found) => `${number(found.days.published)} of ${number(found.results.length)}`,
  rows: (found) => number(found.rows_exported),
  now: (found) => (found.current_day ? `${found.current_dataset} ${found.current_day}` : "–"),
  batch: (found) =>
    found.current_batch
      ? `${number(found.current_batch)} of ${number(found.total_batches_estimate)}`
      : "–",
  rate: (found) => number(found.rows_per_s),
  left: (found) => (found.eta_s == null ? "–" : `about ${seconds(found.eta_s)}`),
};

function showDay(card, result) {
  const name = `${result.dataset} ${result.day}`;
  const cell = card.querySelector(`[data-day="${CSS.escape(name)}"]`);
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

function show(card, found) {
  card.querySelector("progress").value = found.progress_pct;
  for (const [name, text] of Object.entries(FIELDS)) {
    const place = card.querySelector(`[data-is=${name}]`);
    if (place) place.textContent = text(found);
  }
  showState(card.querySelector("[data-is=state] .state"), found.status);
  for (const result of found.results) {
    showDay(card, result);
    const row = CSS.escape(`${result.dataset} ${result.day}`);
    showState(document.querySelector(`[data-row="${row}"] .state`), result.status);
  }
  const step = Math.floor(found.progress_pct / ANNOUNCE_EVERY_PCT);
  if (step > Number(card.dataset.announced || 0)) {
    card.dataset.announced = step;
    say(`${Math.floor(found.progress_pct)} % exported`);
  }
}

// The sections that an ended export changes, as the server renders them; the form is left alone.
async function refresh() {
  const answer = await fetch(location.href.split("#")[0], { headers: { accept: "text/html" } });
  if (!answer.ok || answer.redirected) return location.reload();
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of ["status", "days", "history", "metrics"]) {
    const [before, after] = [document.getElementById(id), page.getElementById(id)];
    const isInUse = before?.contains(document.activeElement);
    if (before && after) before.replaceWith(document.adoptNode(after));
    if (isInUse) document.getElementById("main").focus({ preventScroll: true });
  }
  follow();
}

function ended(card, found) {
  delete card.dataset.live;
  say(`The export has ended: ${found.status}`);
  refresh();
}

// Returns whether the export still runs.
function update(card, found) {
  if (!card.isConnected) return false;
  show(card, found);
  if (LIVE.includes(found.status)) return true;
  ended(card, found);
  return false;
}

// Asks again and again, where a stream of events cannot be had.
async function poll(card, path) {
  let goesOn = true;
  while (goesOn) {
    await new Promise((done) => setTimeout(done, POLL_MS));
    try {
      const answer = await fetch(path, { headers: { accept: "application/json" } });
      if (answer.status === 401) return location.reload();
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
  const stream = new EventSource(card.dataset.events);
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
