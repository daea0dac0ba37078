"use strict";
// Everything on this page comes from the public routes, with the signed-in person's own permissions.

const byId = (id) => document.getElementById(id);
const units = new Map();
const emergencies = new Map();
const messages = new Map();
const SOURCES = { lip: "radio", mqtt: "beacon", bwc: "camera", manual: "by hand", none: "–" };
const TRIGGERS = { tetra_status: "radio status", lip_reason: "radio button", tetra_call: "radio call", camera_panic: "camera", beacon_sos: "beacon", manual: "control room" };
const REMEMBERED = "lapel signed in"; // only whether it is worth asking: the session itself is out of a script's reach
const RESTRICTING = ["device_revoked", "dock_not_entitled"]; // until settled, shown to those alone who may settle it
let account = "";
let permissions = [];
let stream = null;
let heard = 0;

const may = (name) => permissions.includes("*") || permissions.includes(name);
const text = (node, content) => { if (node.textContent !== content) node.textContent = content; };
const words = (name) => name.replaceAll("_", " ");

// Whoever signs out asks nothing more: what is under way would be refused when the session has gone.
const signedOut = new AbortController();

async function ask(path, options = {}) {
  const response = await fetch(path, { signal: signedOut.signal, ...options, headers: { Accept: "application/json" } });
  if (!response.ok) throw Object.assign(new Error(`${response.status}`), { status: response.status });
  return response;
}
const json = async (path) => (await ask(path)).json();
const post = (path, body) => ask(path, { method: "POST", body: JSON.stringify(body) });

// --- keyed children: what stays is not drawn again, so that focus, selection and scroll stay

function children(parent, tag, keyed) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let before = null;
  for (const [key, fill] of keyed) {
    const child = known.get(key) || document.createElement(tag);
    known.delete(key);
    child.dataset.key = key;
    const place = before ? before.nextSibling : parent.firstChild;
    if (child !== place) parent.insertBefore(child, place);
    fill(child);
    before = child;
  }
  known.forEach((child) => child.remove());
}

function cells(row, contents, tag = "td") {
  while (row.children.length < contents.length) row.append(document.createElement(tag));
  contents.forEach((content, at) => {
    const cell = row.children[at];
    const { value, className = "", small } = typeof content === "object" && content !== null ? content : { value: content };
    const said = `${value ?? "–"}\u0000${small ?? ""}`;
    if (cell.dataset.said !== said) {
      cell.dataset.said = said;
      cell.textContent = value ?? "–";
      if (small) cell.append(" ", Object.assign(document.createElement("small"), { textContent: small }));
    }
    if (cell.className !== className) cell.className = className;
  });
}

const list = (id, keyed, none) =>
  children(byId(id), "li", keyed.length ? keyed : [["none", (item) => { item.className = "empty"; text(item, none); }]]);

// --- wording

function age(seconds) {
  if (seconds < 0) return "0 s";
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}
const size = (bytes) => (bytes == null ? "–" : bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
function clock(moment) {
  if (!moment) return "–";
  const at = new Date(moment);
  const time = at.toLocaleTimeString("en-GB");
  return at.toDateString() === new Date().toDateString() ? time : `${at.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${time}`;
}
const remarks = (p) => [p.agency, p.masked && "covert", p.shared_by && "shared", p.overtime && "overtime",
  p.quality.includes("source_conflict") && "places disagree"].filter(Boolean).join(", ");
const callsign = (unit) => units.get(unit)?.properties.callsign || unit;

// --- units and emergencies, from the stream

function showUnits() {
  const now = Date.now();
  const sorted = [...units.values()].sort((a, b) =>
    Boolean(b.properties.emergency) - Boolean(a.properties.emergency) || a.properties.callsign.localeCompare(b.properties.callsign));
  text(byId("unit-count"), `${sorted.filter((unit) => unit.geometry).length} of ${sorted.length} located`);
  children(byId("units"), "tr", sorted.map((unit) => [unit.id, (row) => {
    const p = unit.properties;
    const place = unit.geometry ? unit.geometry.coordinates.slice(0, 2).reverse().map((n) => n.toFixed(5)).join(", ") : "none yet";
    row.className = p.emergency ? "emergency" : "";
    cells(row, [
      { value: p.callsign, small: remarks(p), className: "name" },
      { value: p.emergency ? `emergency, ${words(p.duty.state)}` : words(p.duty.state), className: p.emergency ? "lost" : p.duty.state },
      { value: place, className: unit.geometry ? "wide" : "wide never" },
      { value: p.fix_time ? age((now - Date.parse(p.fix_time)) / 1000) : "–", className: `number ${p.fresh}` },
      { value: SOURCES[p.source] || p.source, className: "wide" },
      { value: p.powers.join(", ") || "–", className: "wide powers" },
    ]);
  }]));
}

function showEmergencies() {
  const open = [...emergencies.values()].filter((each) => each.state !== "cleared")
    .sort((a, b) => (a.state === "acknowledged") - (b.state === "acknowledged") || b.raised_at.localeCompare(a.raised_at));
  byId("alarms").hidden = !open.length;
  document.title = open.length ? `(${open.length}) Lapel` : "Lapel";
  const waiting = open.filter((each) => each.state === "active").length;
  text(byId("alarm-count"), waiting ? `${waiting} not acknowledged` : "all acknowledged");
  children(byId("alarm-list"), "li", open.map((each) => [each.id, (item) => fillAlarm(item, each)]));
}

const whom = (each) => each.holder === "withheld" ? "name withheld" : (each.unit ? callsign(each.unit) : each.person || (each.issi ? `ISSI ${each.issi}` : each.device || "holder unknown"));

function fillAlarm(item, each) {
  if (!item.firstChild) {
    const act = Object.assign(document.createElement("button"), { type: "button" });
    act.addEventListener("click", () => takeUp(item.dataset.key));
    item.append(document.createElement("b"), act, Object.assign(document.createElement("span"), { className: "what" }));
  }
  const [name, act, what] = item.children;
  item.className = `alarm ${each.state}`;
  text(name, `EMERGENCY ${whom(each)}`);
  text(act, each.state === "active" ? "Acknowledge" : "Clear");
  act.hidden = !may("emergency:act");
  act.setAttribute("aria-label", `${act.textContent} emergency of ${whom(each)}`);
  const triggers = each.triggers.map((trigger) => TRIGGERS[trigger] || trigger).join(", ");
  text(what, [clock(each.raised_at), each.person, `${each.presses} press${each.presses === 1 ? "" : "es"} (${triggers})`,
    each.position ? `${each.position.latitude.toFixed(5)}, ${each.position.longitude.toFixed(5)}` : "place unknown",
    each.acknowledged_by ? `with ${each.acknowledged_by}` : "not acknowledged"].filter(Boolean).join(" · "));
}

async function takeUp(id) {
  const each = emergencies.get(id);
  if (!each) return;
  try {
    if (each.state === "active") await post(`/v1/emergencies/${id}/ack`, { by: account });
    else await clear(id, whom(each));
  } catch (problem) {
    if (problem.status === 401) leave();
  }
}

async function clear(id, name) {
  const dialog = byId("over");
  text(byId("over-title"), `Emergency of ${name}`);
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
  if (dialog.returnValue) await post(`/v1/emergencies/${id}/clear`, { by: account, outcome: dialog.returnValue });
}

function follow() {
  if (stream) stream.close();
  stream = new EventSource("/v1/feed");
  const on = (kind, act) => stream.addEventListener(kind, (event) => { heard = Date.now(); act(JSON.parse(event.data)); });
  on("snapshot", (whole) => {
    units.clear(); emergencies.clear();
    whole.features.forEach((unit) => units.set(unit.id, unit));
    (whole.emergencies || []).forEach((each) => emergencies.set(each.id, each));
    showUnits(); showEmergencies();
    loadMessages();
  });
  on("position", (unit) => units.set(unit.id, unit));
  on("duty", (duty) => { const unit = units.get(duty.unit); if (unit) Object.assign(unit.properties, { duty: { ...unit.properties.duty, ...duty }, overtime: duty.overtime }); });
  on("removed", (gone) => units.delete(gone.unit || gone.id));
  on("message", (each) => { messages.set(each.id, each); showMessages(); });
  on("emergency", (each) => { emergencies.set(each.id, each); showEmergencies(); });
  on("status", () => {}); // the feed is alive, and silent
  stream.onopen = () => { heard = Date.now(); };
}

function showLink() {
  text(byId("time"), new Date().toLocaleTimeString("en-GB"));
  if (!may("feed:read")) { text(byId("link"), "signed in"); return; }
  if (stream && stream.readyState === EventSource.CLOSED && !signedOut.signal.aborted) follow(); // refused, not cut off: a browser then gives up
  const live = stream && stream.readyState === EventSource.OPEN;
  byId("link").className = live ? "live" : "frozen";
  text(byId("link"), live ? "live" : heard ? `no connection, as of ${new Date(heard).toLocaleTimeString("en-GB")}` : "connecting");
}

// --- the rest, asked for now and then

async function showHealth() {
  const drivers = await json("/v1/drivers");
  text(byId("instance"), drivers.instance);
  const inputs = Object.entries(drivers.inputs);
  text(byId("input-count"), inputs.length ? `${inputs.filter(([, input]) => input.state === "up").length} of ${inputs.length} up` : "none configured");
  children(byId("inputs"), "li", inputs.map(([name, input]) => [name, (item) => {
    item.className = input.state;
    text(item, input.state === "up" ? name : `${name}: ${input.state}` + (input.problem ? ` (${input.problem})` : ""));
  }]));
  showCover(drivers.groups);
  text(byId("upload-count"), drivers.uploads.length ? `${drivers.uploads.length} under way` : "");
  list("uploads", drivers.uploads.map((up) => [`${up.device}/${up.recording}`, (item) => {
    cells(item, [up.device, "", { value: `${size(up.durable)} of ${size(up.size)}`, className: "number faint" }], "span");
    let bar = item.querySelector("progress");
    if (!bar) { bar = document.createElement("progress"); item.children[1].replaceChildren(bar); }
    bar.setAttribute("aria-label", `${up.device} ${up.recording}`);
    bar.max = up.size || 1;
    bar.value = up.durable;
  }]), "No recording is on its way.");
}

function showCover(groups) {
  const odd = groups.filter((group) => group.cover !== "covered");
  byId("cover").hidden = !odd.length;
  children(byId("cover"), "li", odd.map((group) => [`${group.gssi}`, (item) => {
    item.className = group.cover === "not_covered" ? "down" : "degraded";
    item.title = group.why || "";
    text(item, `${group.cover === "not_covered" ? "not covered" : "not known whether covered"}: ${group.name} (${group.gssi})`);
  }]));
}

async function showParts() {
  const parts = Object.entries((await json("/ready")).parts || {}).filter(([name]) => name !== "inputs");
  children(byId("parts"), "li", parts.map(([name, state]) => [name, (item) => {
    item.className = state.split(":")[0];
    text(item, state === "ok" ? name : `${name}: ${state}`);
  }]));
}

function seal(each) {
  if (each.disposed_at) return { value: "disposed", className: "number never" };
  if (!each.sealed_at) return { value: "receiving", className: "number receiving" };
  const plays = each.playable === "partial" || each.playable === "unplayable" ? each.playable : "";
  const odd = [each.complete === false ? "incomplete" : plays, ...(each.flags || [])].filter(Boolean).map(words).join(", ");
  return { value: `#${each.log_index}`, small: odd, className: `number ${odd ? "incomplete" : "sealed"}` };
}

async function showExhibits() {
  const page = await json("/v1/exhibits?limit=50");
  text(byId("exhibit-count"), `${page.total} kept`);
  children(byId("exhibits"), "tr", page.exhibits.map((each) => [each.id, (row) => {
    cells(row, [
      { value: "", className: "wide still" },
      { value: each.id, className: "mono" }, clock(each.started_at || each.received_at), each.device,
      { value: each.holder || "not settled", className: each.holder ? "wide" : "wide never" },
      { value: size(each.size), small: each.duration_s == null ? "" : age(each.duration_s), className: "number wide" }, seal(each),
    ]);
    still(row.children[0], each);
  }]));
}

function still(cell, each) {
  const seen = may("evidence:settle") || !each.flags.some((flag) => RESTRICTING.includes(flag));
  const shown = each.thumbnail && !each.disposed_at && seen && may("evidence:content");
  if (!shown) { cell.replaceChildren(); return; }
  if (cell.firstElementChild) return;
  const image = Object.assign(document.createElement("img"), { alt: `Still of ${each.id}`, width: 64, height: 36, loading: "lazy" });
  image.addEventListener("error", () => image.remove(), { once: true });
  image.src = `/v1/exhibits/${encodeURIComponent(each.id)}/thumbnail`;
  cell.append(image);
}

async function showSettle() {
  const page = await json("/v1/exhibits?settle=true&limit=20");
  text(byId("settle-count"), page.total || "");
  list("settle", page.exhibits.map((each) => [each.id, (item) => cells(item, [
    { value: each.id, className: "mono" }, each.device || each.name, { value: each.flags.map(words).join(", "), className: "faint" },
  ], "span")]), "Nothing.");
}

async function showExpected() {
  const { expected } = await json("/v1/expected");
  const lacking = expected.filter((each) => each.state === "missing" || each.state === "incomplete");
  text(byId("expected-count"), `${lacking.length} to settle, ${expected.length - lacking.length} waited for`);
  list("expected", lacking.slice(0, 50).map((each) => [`${each.id}`, (item) => cells(item, [
    { value: clock(each.started_at || each.not_before || each.stopped_at), className: "faint" }, each.device,
    { value: each.recording || (each.n_to ? `numbers ${each.n} to ${each.n_to}` : `number ${each.n ?? "unknown"}`), className: "incomplete",
      small: [each.state, each.holder || "holder not settled",
        each.latitude == null ? "" : `${each.latitude.toFixed(5)}, ${each.longitude.toFixed(5)}`].filter(Boolean).join(" · ") },
  ], "span")]), "Every recording that is due is sealed.");
}

async function showCameras() {
  const { devices } = await json("/v1/devices");
  const cameras = devices.filter((each) => each.device.kind === "camera" && each.status);
  const ill = cameras.filter((each) => each.status.doubts.length);
  text(byId("camera-count"), `${cameras.length} heard of, ${cameras.filter((each) => each.status.recording).length} recording`);
  children(byId("cameras"), "li", ill.map((each) => [each.device.id, (item) => {
    item.className = "degraded";
    const battery = each.status.battery_pct == null ? "" : ` (${each.status.battery_pct} %)`;
    text(item, `${each.device.id}${battery}: ${each.status.doubts.map(words).join(", ")}`);
  }]));
}

async function showLog() {
  const lines = (await (await ask("/v1/log/checkpoint")).text()).split("\n");
  text(byId("log-origin"), lines[0]); text(byId("log-size"), lines[1]); text(byId("log-root"), lines[2]);
}

// Those of before the stream began, once a snapshot; what the stream has said meanwhile is newer.
async function loadMessages() {
  try {
    const before = new Map(messages);
    const found = (await json("/v1/messages")).messages;
    const newer = [...messages].filter(([id, each]) => before.get(id) !== each);
    messages.clear();
    found.forEach((each) => messages.set(each.id, each));
    newer.forEach(([id, each]) => messages.set(id, each));
    showMessages();
  } catch (problem) {
    if (problem.status === 401) leave();
    else if (!signedOut.signal.aborted) setTimeout(loadMessages, 5000);
  }
}

function showMessages() {
  const all = [...messages.values()].sort((a, b) => a.id - b.id);
  const newest = all.slice(-6).reverse();
  text(byId("message-count"), all.length > newest.length ? `newest ${newest.length} of ${all.length}` : "");
  list("messages", newest.map((each) => [`${each.id}`, (item) => cells(item, [
    { value: clock(each.at), className: "faint" }, each.unit ? callsign(each.unit) : each.person || `ISSI ${each.issi}`,
    each.text ?? words(each.meaning || "status"),
  ], "span")]), "No messages.");
}

const ASKED = [
  ["health:read", showHealth], ["", showParts], ["evidence:read", showExhibits], ["evidence:settle", showSettle],
  ["evidence:read", showExpected], ["roster:read", showCameras], ["log:read", showLog],
];

async function look() {
  for (const [permission, show] of ASKED) {
    try {
      if (!permission || may(permission)) await show();
    } catch (problem) {
      if (problem.status === 401) { leave(); return; }
    }
  }
  if (!signedOut.signal.aborted) setTimeout(look, 2000);
}

// --- in and out

async function begin() {
  try {
    const who = await json("/v1/session");
    account = who.account;
    permissions = who.permissions;
  } catch {
    enter();
    return;
  }
  text(byId("who"), account);
  document.querySelectorAll("[data-needs]").forEach((part) => { part.hidden = !may(part.dataset.needs); });
  byId("alarms").hidden = true;
  byId("enter").hidden = true;
  byId("board").hidden = byId("account").hidden = false;
  if (may("feed:read")) follow();
  look();
  showLink();
  setInterval(showUnits, 500);
  setInterval(showLink, 1000);
}

function enter() {
  byId("enter").hidden = false;
  byId("token").focus();
}

function leave() {
  localStorage.removeItem(REMEMBERED);
  location.reload();
}

byId("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  text(byId("wrong"), "");
  try {
    await post("/v1/session", { token: byId("token").value.trim() });
    byId("token").value = "";
    localStorage.setItem(REMEMBERED, "yes");
    begin();
  } catch (problem) {
    text(byId("wrong"), problem.status === 401 ? "This token is unknown, expired or revoked." : "The gateway does not answer.");
  }
});
byId("leave").addEventListener("click", async () => {
  signedOut.abort();
  if (stream) stream.close();
  try {
    await ask("/v1/session", { method: "DELETE", signal: null });
    leave();
  } catch {
    location.reload(); // still signed in, for all that is known: the page must not look otherwise
  }
});
if (localStorage.getItem(REMEMBERED)) begin(); else enter();
