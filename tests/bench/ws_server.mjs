// The peer: npm ws, one array a tick to every client. Features as long as ours, encoded once a tick.
// node ws_server.mjs RATE TICK_MS OCTETS
import { createRequire } from "node:module";

const require = createRequire(`${process.env.LAPEL_NODE}/package.json`);
const { WebSocketServer } = require("ws");
const [rate, tickMs, octets] = process.argv.slice(2).map(Number);
const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
const filler = "x".repeat(Math.max(0, octets - 160));
let seq = 0;
let began = performance.now();

setInterval(() => {
  const due = Math.floor(((performance.now() - began) / 1000) * rate) - seq;
  const records = [];
  for (let count = 0; count < due; count += 1) {
    seq += 1;
    records.push({ seq, event: "position", record: { id: `U-${seq % 5000}`, received_at: new Date().toISOString(), filler } });
  }
  if (!records.length) return;
  const message = Buffer.from(JSON.stringify(records));
  for (const client of server.clients) client.send(message, { binary: false });
}, tickMs);
server.on("listening", () => console.log(JSON.stringify({ port: server.address().port })));
