// The peer: @tus/server with @tus/file-store, made to write each PATCH durably before it answers.
// node tus_server.mjs PORT DIRECTORY
import { open } from "node:fs/promises";
import { join } from "node:path";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.LAPEL_NODE}/package.json`);
const { Server } = await import(require.resolve("@tus/server"));
const { FileStore } = await import(require.resolve("@tus/file-store"));
const [port, directory] = process.argv.slice(2);

class DurableStore extends FileStore {
  async write(readable, id, offset) {
    const end = await super.write(readable, id, offset);
    const file = await open(join(directory, id), "r+");
    try {
      await file.datasync();
    } finally {
      await file.close();
    }
    return end;
  }
}

new Server({ path: "/files", datastore: new DurableStore({ directory }) }).listen({ host: "127.0.0.1", port: Number(port) });
