// The stock EventSource client, cut off after a status again and again: which cursor it comes back with.
// node events.mjs URL TOKEN CUTS
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(`${process.env.LAPEL_NODE}/`));
const { EventSource } = await import(pathToFileURL(require.resolve("eventsource")));

const [url, token, cuts] = process.argv.slice(2);
const known = { asked: [], cursors: [], snapshots: 0, statuses: 0, positions: 0, moved: 0 };
let cursor = null, cut = null;

const source = new EventSource(url, {
  fetch: async (place, init) => {
    const headers = { ...init.headers, Authorization: `Bearer ${token}` };
    known.asked.push(headers["Last-Event-ID"] ?? null);
    const answer = await fetch(place, { ...init, headers });
    const line = new TransformStream({ start: (control) => { cut = () => control.terminate(); } });
    answer.body.pipeTo(line.writable).catch(() => {});
    return new Response(line.readable, { status: answer.status, headers: answer.headers });
  },
});
const on = (kind, act) => source.addEventListener(kind, (event) => act(event.lastEventId, JSON.parse(event.data)));
on("snapshot", (id) => { known.snapshots += 1; cursor = id; });
on("position", (id) => { known.positions += 1; cursor = id; });
for (const kind of ["emergency", "duty", "removed", "message", "zone", "coverage", "reach", "proven"]) {
  on(kind, (id) => { cursor = id; });
}
on("status", (id, status) => {
  known.statuses += 1;
  known.moved += id !== cursor;
  known.inputs = status.inputs;
  if (known.cursors.length === Number(cuts)) {
    source.close();
    console.log(JSON.stringify(known));
    process.exit(0);
  }
  known.cursors.push(cursor);
  cut();
});
