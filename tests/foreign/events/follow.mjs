// Follow the feed with the npm package `eventsource` as it is: one object, which reconnects and resumes by itself.
// Arguments: address, token, the unit and the latitude that end it. A line on standard input asks for what is known.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(process.env.LAPEL_NODE + "/");
const { EventSource } = require("eventsource");

const [address, token, unit, latitude] = process.argv.slice(2);
const known = { units: {}, urgent: [], seqs: [], epochs: [], snapshots: 0, opened: 0, errors: 0, empty: 0 };
const headers = { Authorization: `Bearer ${token}` };
const source = new EventSource(address, { fetch: (url, asked) => fetch(url, { ...asked, headers: { ...asked.headers, ...headers } }) });

function place(feature) {
  return feature.geometry?.coordinates[1] ?? null;
}

function note(event) {
  const cut = event.lastEventId.lastIndexOf("-");
  const epoch = event.lastEventId.slice(0, cut);
  if (known.epochs.at(-1) !== epoch) known.epochs.push(epoch);
  known.seqs.push(Number(event.lastEventId.slice(cut + 1)));
  return JSON.parse(event.data);
}

function end() {
  source.close();
  console.log(JSON.stringify({ ...known, state: source.readyState }));
  process.exit(0);
}

source.addEventListener("snapshot", (event) => {
  const said = note(event);
  known.snapshots += 1;
  known.units = Object.fromEntries(said.features.map((one) => [one.id, place(one)]));
});
source.addEventListener("position", (event) => {
  const said = note(event);
  known.units[said.id] = place(said);
  if (said.id === unit && known.units[unit] === Number(latitude)) end();
});
for (const name of ["emergency", "duty", "removed", "message", "proven"]) {
  source.addEventListener(name, (event) => {
    const said = note(event);
    known.urgent.push({ event: name, seq: said.seq, key: said.id ?? said.unit, value: said.state ?? said.code });
  });
}
source.addEventListener("open", () => (known.opened += 1));
source.addEventListener("error", () => (known.errors += 1));
source.addEventListener("message", () => (known.empty += 1)); // an event without a name: we send none
createInterface({ input: process.stdin }).once("line", end);
