// GET /v1/operations/live once a second, and one account's book over REST and /v1/stream -> the page.
// The token is a variable of this module: it is never stored, never in an address, and goes with the page.

const LOOK_EVERY_MS = 1_000;
const WINDOW_MS = 60_000; // What a lane shows.
const DELAY_MS = 1_500; // Events are drawn this late, so that each look's arrive before their place is drawn.
const MARKS_MAX = 20_000; // Marks in memory; older ones are out of sight sooner.
const ROWS_MAX = 22; // Events in the table.
const CHART_POINTS_MAX = 120; // Looks in the chart: two minutes.
const LAG_SHOWN_MAX = 1_000; // A full bar: a reader that is so far behind is late.
const BOOK_ROWS_MAX = 6;
const BOOK_WAIT_MS = 250; // Events of a book come in bursts; the book is read once for each.
const RESUME_MS = 1_000;
const HUES = ["#3b82f6", "#14a37f", "#e0912f", "#a855f7", "#e0529c", "#0ea5b7", "#84a316", "#8b7cf6"];

const at = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en-US");
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
const isRefusal = (type) => type.endsWith("Refused") || type.endsWith("Rejected") || type === "LimitBreached";

let token = "";
let last = 0; // The number of the newest event that was told.
let ahead = 0; // How far the gateway's clock is ahead of ours, in milliseconds.
const lanes = new Map(); // Context -> its row, its marks and its totals.
const chart = []; // {p50, p99} of each look.

// What is asked of the gateway, and where it goes on the page.

async function ask(path) {
  const response = await fetch(path, { headers: { Authorization: `Bearer ${token}` }, cache: "no-store", credentials: "omit" });
  const told = await response.json();
  if (!response.ok) throw Object.assign(new Error([told.detail, told.remedy].filter(Boolean).join(" ")), { status: response.status });
  return told;
}

at("door").addEventListener("submit", async (event) => {
  event.preventDefault();
  token = at("token").value.trim();
  at("refused").textContent = "";
  try {
    show(await ask("/v1/operations/live"));
  } catch (error) {
    token = "";
    at("refused").textContent = error.message;
    return;
  }
  at("token").value = "";
  setTimeout(look, LOOK_EVERY_MS);
  requestAnimationFrame(draw);
});

async function look() {
  try {
    show(await ask(`/v1/operations/live?after=${last}`));
  } catch (error) {
    say("lost", error.status === 401 ? "the token has expired; load the page again" : "the gateway does not answer; asking again");
  }
  setTimeout(look, LOOK_EVERY_MS);
}

function say(state, text) {
  document.body.dataset.state = state;
  if (at("state").textContent !== text) at("state").textContent = text;
}

function show(told) {
  say("open", "live");
  ahead = Date.parse(told.at) - Date.now();
  last = told.number;
  for (const context of told.contexts) lane(context.name).count(context.events);
  for (const event of told.events) lane(event.context).mark(event);
  showEvents(told.events);
  showAnswers(told.acknowledged);
  showReaders(told.readers);
  showProcesses(told.processes);
}

// Text goes in as text, never as markup.

function cell(text, kind = "") {
  const made = document.createElement("td");
  made.textContent = text;
  made.className = kind;
  return made;
}

function row(cells, kind = "") {
  const made = document.createElement("tr");
  made.className = kind;
  made.append(...cells);
  return made;
}

const short = (id) => (id.length > 18 ? `${id.slice(0, 8)}…${id.slice(-4)}` : id);

// The tape: one lane for each context, and the newest events below.

class Lane {
  constructor(name, hue) {
    const item = at("lane").content.cloneNode(true).firstElementChild;
    item.style.setProperty("--hue", hue);
    item.querySelector(".name").textContent = name;
    at("lanes").append(item);
    this.hue = hue;
    this.canvas = item.querySelector("canvas");
    this.canvas.setAttribute("aria-label", `events of ${name} in the last minute`);
    this.rate = item.querySelector(".rate");
    this.total = item.querySelector(".total");
    this.marks = [];
    this.counted = []; // [time, total] of the last looks.
  }

  count(total) {
    const now = performance.now();
    this.counted.push([now, total]);
    while (this.counted.length > 6) this.counted.shift();
    const [then, before] = this.counted[0];
    const perSecond = now > then ? ((total - before) * 1_000) / (now - then) : 0;
    this.total.textContent = number.format(total);
    this.rate.textContent = `${perSecond >= 10 ? number.format(Math.round(perSecond)) : perSecond.toFixed(1)}/s`;
  }

  mark(event) {
    this.marks.push([Date.parse(event.recorded_at), isRefusal(event.event_type), (event.sequence * 7 + event.partition * 3) % 11]);
    if (this.marks.length > MARKS_MAX) this.marks.shift();
  }

  draw(now, bad) {
    const { pen, width, height } = sized(this.canvas);
    while (this.marks.length && now - this.marks[0][0] > WINDOW_MS) this.marks.shift();
    for (const [recorded, refused, place] of this.marks) {
      const age = now - recorded;
      if (age < 0) continue;
      pen.globalAlpha = 0.95 - (0.65 * age) / WINDOW_MS;
      pen.fillStyle = refused ? bad : this.hue;
      const x = width * (1 - age / WINDOW_MS);
      // Facts stand above the line and refusals hang below it, so that a crowd of one does not hide the other.
      if (refused) pen.fillRect(x, height * 0.7, 2, height * (0.12 + 0.012 * place));
      else pen.fillRect(x, height * (0.3 - 0.018 * place), 2, height * (0.36 + 0.018 * place));
    }
  }
}

function lane(name) {
  if (!lanes.has(name)) lanes.set(name, new Lane(name, HUES[lanes.size % HUES.length]));
  return lanes.get(name);
}

function showEvents(events) {
  const rows = events.slice(-ROWS_MAX).reverse().map((event) => {
    const account = document.createElement("button");
    account.textContent = short(event.account_id);
    account.title = `show the book of ${event.account_id}`;
    account.addEventListener("click", () => choose(event.account_id));
    const of = cell("", "code");
    of.append(account);
    const what = cell(event.event_type, "mark");
    what.style.setProperty("--hue", lane(event.context).hue);
    const place = `${event.context}/${event.partition}/${event.sequence}`;
    return row([cell(clock.format(new Date(event.recorded_at)), "code"), what, of, cell(place, "number")], isRefusal(event.event_type) ? "refusal" : "");
  });
  const body = at("events").tBodies[0];
  body.prepend(...rows);
  while (body.rows.length > ROWS_MAX) body.lastElementChild.remove();
}

// How long answers take, how far readers are behind, who is ready.

function showAnswers(acknowledged) {
  at("p50").textContent = acknowledged.p50_ms?.toFixed(1) ?? "–";
  at("p99").textContent = acknowledged.p99_ms?.toFixed(1) ?? "–";
  at("per-second").textContent = acknowledged.per_second.toFixed(1);
  chart.push(acknowledged);
  if (chart.length > CHART_POINTS_MAX) chart.shift();
}

function drawChart(colours) {
  const { pen, width, height } = sized(at("answers-chart"));
  const highest = Math.max(10, ...chart.map((each) => each.p99_ms ?? 0)) * 1.3;
  const step = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500].find((each) => highest / each <= 3.2) ?? 5_000;
  pen.font = "10px system-ui, sans-serif";
  for (let value = step; value < highest; value += step) {
    const y = Math.round(height * (1 - value / highest)) + 0.5;
    pen.fillStyle = colours.line;
    pen.fillRect(0, y, width, 1);
    pen.fillStyle = colours.quiet;
    pen.fillText(`${value} ms`, 2, Math.max(y - 3, 9));
  }
  for (const [name, colour] of [["p99_ms", colours.warn], ["p50_ms", colours.accent]]) {
    pen.beginPath();
    let isDrawing = false;
    chart.forEach((each, index) => {
      if (each[name] === null) { isDrawing = false; return; }
      const x = width * (1 - (chart.length - 1 - index) / (CHART_POINTS_MAX - 1));
      const y = height * (1 - each[name] / highest);
      if (isDrawing) pen.lineTo(x, y); else pen.moveTo(x, y);
      isDrawing = true;
    });
    pen.strokeStyle = colour;
    pen.lineWidth = 1.75;
    pen.lineJoin = "round";
    pen.stroke();
  }
}

function showReaders(readers) {
  const behind = new Map();
  for (const { reader, records } of readers) behind.set(reader, (behind.get(reader) ?? 0) + records);
  const list = document.querySelector("#readers ul");
  const items = [...behind].sort(([a], [b]) => a.localeCompare(b)).map(([name, records]) => {
    const item = list.querySelector(`[data-reader="${CSS.escape(name)}"]`) ?? reader(name);
    item.querySelector("meter").value = Math.min(records, LAG_SHOWN_MAX);
    item.querySelector("b").textContent = number.format(records);
    return item;
  });
  list.replaceChildren(...items);
}

function reader(name) {
  const item = document.createElement("li");
  item.dataset.reader = name;
  const called = document.createElement("span");
  called.textContent = name.replace(/^projections\./, "projection ");
  const bar = Object.assign(document.createElement("meter"), { min: 0, max: LAG_SHOWN_MAX, low: 200, high: 800, optimum: 0 });
  bar.setAttribute("aria-label", `${name}: records behind`);
  item.append(called, bar, document.createElement("b"));
  return item;
}

function showProcesses(processes) {
  at("processes").replaceChildren(...processes.map((process) => {
    const item = document.createElement("li");
    item.textContent = process.name;
    item.title = process.why;
    item.className = process.is_ready ? "" : process.why.startsWith("does not answer") ? "down" : "late";
    return item;
  }));
}

// One account's book, read anew whenever its stream tells of an event.

let socket = null;
let chosen = "";
let isBookDue = false;

at("choose").addEventListener("submit", (event) => {
  event.preventDefault();
  choose(at("account").value.trim());
});

function choose(account) {
  chosen = account;
  at("account").value = account;
  if (socket) socket.close();
  if (!account) return;
  readBook();
  follow(account);
}

function follow(account) {
  const opened = new WebSocket(`${location.origin.replace(/^http/, "ws")}/v1/stream`, ["tapeline.v1", `bearer.${token}`]);
  socket = opened;
  opened.addEventListener("open", () => opened.send(JSON.stringify({ type: "subscribe", accounts: [account] })));
  opened.addEventListener("message", (message) => {
    if (["event", "gap"].includes(JSON.parse(message.data).type)) bookIsDue();
  });
  opened.addEventListener("close", () => {
    if (socket === opened && chosen === account) setTimeout(() => socket === opened && follow(account), RESUME_MS);
  });
}

function bookIsDue() {
  if (isBookDue) return;
  isBookDue = true;
  setTimeout(() => { isBookDue = false; readBook(); }, BOOK_WAIT_MS);
}

async function readBook() {
  const account = chosen;
  const path = `/v1/accounts/${encodeURIComponent(account)}`;
  try {
    const [cash, held, placed] = await Promise.all([
      ask(`${path}/cash`), ask(`${path}/positions?limit=${BOOK_ROWS_MAX}`), ask(`${path}/orders?limit=${BOOK_ROWS_MAX}`),
    ]);
    if (account === chosen) showBook(cash, held.positions, placed.orders);
  } catch (error) {
    if (account !== chosen) return;
    at("book-tables").hidden = true;
    at("book-cash").textContent = "";
    at("book-says").textContent = error.message;
  }
}

const cents = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const money = (text) => (text === null ? "–" : cents.format(text)); // Text all the way: amounts are never floats.

function showBook(cash, held, placed) {
  at("book-says").textContent = "";
  at("book-cash").textContent = `${money(cash.free)} ${cash.currency} free, ${money(cash.reserved)} reserved`;
  at("book-tables").hidden = false;
  const holdings = held.map((each) => row([
    cell(each.symbol), cell(each.quantity, "number"), cell(money(each.last), "number"), cell(money(each.value), "number"),
    cell(money(each.unrealized), `number ${each.unrealized === null ? "" : each.unrealized.startsWith("-") ? "fall" : "up"}`),
  ]));
  at("holdings").tBodies[0].replaceChildren(...(holdings.length ? holdings : [nothing("no holdings", 5)]));
  const orders = placed.map((each) => row([
    cell(clock.format(new Date(each.opened_at)), "code"),
    cell(each.symbol === null ? "–" : `${each.side} ${each.quantity} ${each.symbol}`),
    cell(each.symbol === null ? "–" : each.filled, "number"),
    cell(each.symbol === null ? "–" : each.limit_price === null ? "market" : money(each.limit_price), "number"),
    cell((each.reason ?? each.status).toLowerCase().replaceAll("_", " "), each.reason ? "fall" : ""),
  ]));
  at("orders").tBodies[0].replaceChildren(...(orders.length ? orders : [nothing("no orders", 5)]));
}

function nothing(text, columns) {
  const only = cell(text, "quiet");
  only.colSpan = columns;
  return row([only]);
}

// All canvases, sharp on every screen.

function sized(canvas) {
  const ratio = devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}

const isStill = matchMedia("(prefers-reduced-motion: reduce)");

function draw() {
  const style = getComputedStyle(document.documentElement);
  const colours = Object.fromEntries(["line", "quiet", "warn", "accent", "bad"].map((name) => [name, style.getPropertyValue(`--${name}`)]));
  const now = Date.now() + ahead - DELAY_MS;
  for (const each of lanes.values()) each.draw(now, colours.bad);
  drawChart(colours);
  if (isStill.matches) setTimeout(draw, LOOK_EVERY_MS); else requestAnimationFrame(draw);
}
