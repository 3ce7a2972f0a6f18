import { createRequire } from "node:module";
import { once } from "./once.ts";

// Modules of Node that not every program comes to use, each loaded when it is first asked for. An import would load all
// that they export: of node:tls the certificates of all authorities, of node:crypto all of Web Crypto.

/** By a path that is always absolute: import.meta is empty where a bundler makes CommonJS of an ES module. */
const load = once(() => createRequire(process.execPath));

export const nodeCrypto = once((): typeof import("node:crypto") => load()("node:crypto"));
export const nodeDns = once((): typeof import("node:dns") => load()("node:dns"));
export const nodeTls = once((): typeof import("node:tls") => load()("node:tls"));
