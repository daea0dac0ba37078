// Upload one file with MQTT.js: init, every segment and fin published at once; waits for the receipt.
// node upload.mjs PORT DEVICE FILE SEGMENT VERSION(4|5)
import { readFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { basename } from "node:path";
import { createRequire } from "node:module";

const mqtt = createRequire(`${process.env.LAPEL_NODE}/package.json`)("mqtt");
const [port, device, file, segment, version] = process.argv.slice(2);
const content = readFileSync(file);
const sha256 = createHash("sha256").update(content).digest("hex");
const recording = basename(file, ".mp4");
const root = `lapel/v1/camera/${device}`;
const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, { protocolVersion: Number(version), clientId: device });

client.on("message", (_topic, payload) => {
  const said = JSON.parse(payload);
  if (said.recording !== recording) return;
  if (said.receipt) {
    console.log(JSON.stringify(said.receipt));
    client.end(false, () => process.exit(said.receipt.sha256 === sha256 ? 0 : 1));
  } else if (said.reason_code) {
    console.error(payload.toString());
    process.exit(1);
  }
});

client.on("connect", async () => {
  await client.subscribeAsync(`${root}/response`, { qos: 1 });
  const sent = [];
  const publish = (leaf, payload) => sent.push(client.publishAsync(`${root}/file/${recording}/${leaf}`, payload, { qos: 1 }));
  publish("init", JSON.stringify({ v: 1, name: basename(file), size: content.length }));
  for (let at = 0; at < content.length; at += Number(segment)) {
    publish(String(at), content.subarray(at, Math.min(content.length, at + Number(segment))));
  }
  publish(`fin/${content.length}/${sha256}`, "");
  await Promise.all(sent);
});
