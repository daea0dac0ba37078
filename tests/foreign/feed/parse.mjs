// Parse an AsyncAPI document with the public parser; print what it has, or its diagnostics.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.LAPEL_NODE + "/");
const { Parser } = require("@asyncapi/parser");

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
const wrong = diagnostics.filter((one) => one.severity === 0).map((one) => `${one.path.join(".")}: ${one.message}`);
const channels = document ? document.channels().all().map((one) => one.address()) : [];
const messages = document ? document.allMessages().all().map((one) => one.name()) : [];
console.log(JSON.stringify({ version: document?.version() ?? null, channels, messages, wrong }));
