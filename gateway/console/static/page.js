"use strict";
// Everything on this page comes from the public routes, with the signed-in person's own permissions.

const byId = (id) => document.getElementById(id);
const units = new Map();
const emergencies = new Map();
let permissions = [];
let stream = null;
let heard = 0;

const may = (name) => permissions.includes("*") || permissions.includes(name);
const text = (node, content) => { if (node.textContent !== content) node.textContent = content; };

async function ask(path, options = {}) {
  const response = await fetch(path, { ...options, headers: { Accept: "application/json" } });
  if (!response.ok) throw Object.assign(new Error(`${response.status}`), { status: response.status });
  return response;
}

function cells(row, contents) {
  while (row.children.length < contents.length) row.append(document.createElement("td"));
  contents.forEach((content, at) => {
    const cell = row.children[at];
    const { value, className = "" } = typeof content === "object" && content !== null ? content : { value: content };
    text(cell, value ?? "–");
    if (cell.className !== className) cell.className = className;
  });
}

function rows(body, keyed) {
  const known = new Map([...body.children].map((row) => [row.dataset.key, row]));
  let before = null;
  for (const [key, fill] of keyed) {
    let row = known.get(key);
    known.delete(key);
    if (!row) { row = document.createElement("tr"); row.dataset.key = key; }
    const place = before ? before.nextSibling : body.firstChild;
    if (row !== place) body.insertBefore(row, place);
    fill(row);
    before = row;
  }
  known.forEach((row) => row.remove());
}

function age(seconds) {
  if (seconds < 0) return "0 s";
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

const size = (bytes) => (bytes == null ? "–" : bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
const clock = (moment) => (moment ? new Date(moment).toLocaleString("en-GB", { dateStyle: "short", timeStyle: "medium" }) : "–");

function showUnits() {
  const now = Date.now();
  const sorted = [...units.values()].sort((a, b) => a.properties.callsign.localeCompare(b.properties.callsign));
  text(byId("unit-count"), `${sorted.length}`);
  rows(byId("units"), sorted.map((unit) => [unit.id, (row) => {
    const p = unit.properties;
    const place = unit.geometry ? unit.geometry.coordinates.slice(0, 2).reverse().map((n) => n.toFixed(5)).join(", ") : "none yet";
    row.className = p.emergency ? "emergency" : "";
    cells(row, [p.callsign, p.agency, p.duty.state.replaceAll("_", " "), place,
      { value: p.fix_time ? age((now - Date.parse(p.fix_time)) / 1000) : "–", className: `number ${p.fresh}` },
      p.source, { value: p.powers.join(" "), className: "powers" }]);
  }]));
}

function showEmergencies() {
  const open = [...emergencies.values()].filter((each) => each.state !== "cleared");
  byId("alarms").replaceChildren(...open.map((each) => {
    const line = document.createElement("p");
    line.className = "alarm";
    const whom = each.unit || each.person || (each.issi ? `ISSI ${each.issi}, holder unknown` : "holder unknown");
    line.textContent = `EMERGENCY ${whom}, raised ${clock(each.raised_at)}, ${each.presses} press${each.presses === 1 ? "" : "es"}`
      + (each.acknowledged_by ? `, acknowledged by ${each.acknowledged_by}` : ", not acknowledged");
    return line;
  }));
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
  });
  on("position", (unit) => units.set(unit.id, unit));
  on("duty", (duty) => { const unit = units.get(duty.unit); if (unit) unit.properties.duty = { ...unit.properties.duty, ...duty }; });
  on("removed", (gone) => units.delete(gone.unit || gone.id));
  on("emergency", (each) => { emergencies.set(each.id, each); showEmergencies(); });
  stream.onopen = () => { heard = Date.now(); };
}

function showLink() {
  const link = byId("link");
  const live = stream && stream.readyState === EventSource.OPEN;
  link.className = live ? "live" : "frozen";
  text(link, live ? "live" : `data frozen since ${new Date(heard || Date.now()).toLocaleTimeString("en-GB")}`);
}

async function showInputs() {
  const drivers = await (await ask("/v1/drivers")).json();
  text(byId("instance"), drivers.instance);
  byId("inputs").replaceChildren(...Object.entries(drivers.inputs).map(([name, input]) => {
    const item = document.createElement("li");
    item.className = input.state;
    item.textContent = `${name}: ${input.state}` + (input.problem ? ` (${input.problem})` : "");
    return item;
  }));
  text(byId("upload-count"), `${drivers.uploads.length}`);
  rows(byId("uploads"), drivers.uploads.map((up) => [`${up.device}/${up.recording}`, (row) => {
    cells(row, [up.device, up.recording, ""]);
    let bar = row.children[2].querySelector("progress");
    if (!bar) { bar = document.createElement("progress"); row.children[2].append(bar); }
    bar.max = up.size || 1;
    bar.value = up.durable;
    bar.title = `${size(up.durable)} of ${size(up.size)}`;
  }]));
}

async function showEvidence() {
  if (may("evidence:read")) {
    const list = await (await ask("/v1/exhibits?limit=50")).json();
    text(byId("exhibit-count"), `${list.total}`);
    rows(byId("exhibits"), list.exhibits.map((each) => [each.id, (row) => cells(row, [
      each.id, clock(each.started_at), each.device, each.holder || "not settled",
      { value: size(each.size), className: "number" }, { value: each.log_index, className: "number" },
      [each.complete === false ? "incomplete" : "", ...(each.flags || [])].filter(Boolean).join(", ").replaceAll("_", " "),
    ])]));
  }
  if (may("log:read")) {
    const lines = (await (await ask("/v1/log/checkpoint")).text()).split("\n");
    text(byId("log-origin"), lines[0]); text(byId("log-size"), lines[1]); text(byId("log-root"), lines[2]);
  }
}

async function look() {
  try {
    await showInputs();
    await showEvidence();
  } catch (problem) {
    if (problem.status === 401) { location.reload(); }
  }
}

async function begin() {
  try {
    const who = await (await ask("/v1/session")).json();
    permissions = who.permissions;
    text(byId("who"), who.account);
  } catch {
    byId("enter").hidden = false;
    byId("token").focus();
    return;
  }
  byId("enter").hidden = true;
  byId("board").hidden = false;
  byId("leave").hidden = false;
  follow();
  look();
  setInterval(showUnits, 500);
  setInterval(showLink, 500);
  setInterval(look, 2000);
}

byId("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  text(byId("wrong"), "");
  try {
    await ask("/v1/session", { method: "POST", body: JSON.stringify({ token: byId("token").value.trim() }) });
    byId("token").value = "";
    begin();
  } catch (problem) {
    text(byId("wrong"), problem.status === 401 ? "This token is unknown, expired or revoked." : "The gateway does not answer.");
  }
});
byId("leave").addEventListener("click", async () => { await ask("/v1/session", { method: "DELETE" }); location.reload(); });
begin();
