// Follow the feed with the npm client `ws`, cut off again and again; print what is known at the end.
// Arguments: address, token, how often it is cut, the unit and the latitude that end it.
import { createRequire } from "node:module";

const require = createRequire(process.env.LAPEL_NODE + "/");
const { WebSocket } = require("ws");

const [address, token, cuts, unit, latitude] = process.argv.slice(2);
const known = { units: {}, urgent: [], seqs: [], epochs: [], snapshots: 0, cuts: 0, closed: [] };
let cursor = null;

function note(epoch, seq) {
  if (known.epochs.at(-1) !== epoch) known.epochs.push(epoch);
  known.seqs.push(seq);
  cursor = `${epoch}-${seq}`;
}

function record({ event, seq, record }, epoch) {
  note(epoch, seq);
  if (event === "position") known.units[record.id] = record.geometry?.coordinates[1] ?? null;
  else known.urgent.push({ event, seq, key: record.unit, value: record.code ?? null });
}

const take = {
  snapshot(said) {
    known.snapshots += 1;
    known.units = Object.fromEntries(said.features.map((one) => [one.id, one.geometry?.coordinates[1] ?? null]));
    note(said.epoch, said.seq);
  },
  batch(said) {
    for (const one of said.records) record(one, said.epoch);
  },
  emergency(said, socket) {
    note(said.epoch, said.seq);
    known.urgent.push({ event: "emergency", seq: said.seq, key: said.id, value: said.state });
    socket.send(JSON.stringify({ type: "ack", seq: said.seq }));
  },
};

const enough = () => known.cuts >= Number(cuts) && known.units[unit] === Number(latitude);

function turn() {
  return new Promise((done) => {
    const socket = new WebSocket(address, { headers: { Authorization: `Bearer ${token}` } });
    let timer = null;
    socket.on("open", () => {
      const word = cursor === null ? { type: "subscribe" } : { type: "resume", cursor };
      socket.send(JSON.stringify(word));
      if (known.cuts < Number(cuts)) {
        timer = setTimeout(() => {
          known.cuts += 1;
          socket.terminate();
        }, Math.random() * 120);
      }
    });
    socket.on("message", (text) => {
      const said = JSON.parse(text);
      take[said.type]?.(said, socket);
      if (enough()) socket.terminate();
    });
    socket.on("error", () => {}); // `close` follows
    socket.on("close", (code) => {
      clearTimeout(timer);
      known.closed.push(code);
      setTimeout(done, 20);
    });
  });
}

while (!enough()) await turn();
console.log(JSON.stringify(known));
