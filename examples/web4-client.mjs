#!/usr/bin/env node
// A client of the local API without dependencies: docs/local-api.md is all it knows.
//
//   node web4-client.mjs import FILE        take a scenario into the kernel
//   node web4-client.mjs share UUID PEER    and wait until the peer has it on its disk
//   node web4-client.mjs listen             print what happens on the kernel, one JSON text a line
//   node web4-client.mjs act OBJECT NAME [JSON]  do something to an object, and print what came of it
//   node web4-client.mjs serve              be the component `Lamp`: whoever acts on a lamp of this kernel is answered here
//
// The kernel (`once up`) is found through ONCE_DATA, else where `once` looks by default on Linux.
import { readFileSync } from "node:fs";
import { createConnection } from "node:net";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const data = process.env.ONCE_DATA ?? join(process.env.XDG_DATA_HOME ?? join(homedir(), ".local/share"), "once");
const socket = createConnection(join(data, "api.sock"));
const waiting = new Map(); // calls by their id
let calls = 0;

function call(method, params) {
  const id = ++calls;
  socket.write(JSON.stringify({ jsonrpc: "2.0", id, method, params }) + "\n");
  return new Promise((done, failed) => waiting.set(id, { done, failed }));
}

function fail({ message, data }) {
  console.error(`error: ${message}${data?.hint ? `\nhint: ${data.hint}` : ""}`);
  process.exit(data?.exit ?? 1);
}

socket.on("error", ({ message }) => fail({ message, data: { exit: 4, hint: "start the kernel with `once up`" } }));
socket.on("close", () => fail({ message: "the kernel went away", data: { exit: 4 } }));
createInterface({ input: socket }).on("line", (line) => {
  const { id, method, result, error, params } = JSON.parse(line);
  if (method === "run") return run(params);
  if (id === undefined) return console.log(JSON.stringify(params)); // another notification
  waiting.get(id)?.[error ? "failed" : "done"](error ?? result);
  waiting.delete(id);
});

// What a lamp does. An action is given the model and its arguments and says what changes, what it returns, and what else
// is to happen; it depends on nothing else, because it may be asked for again. What it throws is told to whoever acts.
const lamp = {
  switch: ({ on }, to) => ({
    ...(to === on ? {} : { merge: { on: to } }), // no other byte of the scenario changes
    result: to,
    effects: to === on ? [] : [{ publish: { name: "switched", data: to } }],
  }),
  // A timer of the kernel: it rings even if this program is started again meanwhile.
  blink: (_, ms) => ({
    merge: { on: true },
    effects: [{ timer: { name: "off", after_ms: ms, then: { action: "switch_off" } } }],
  }),
  switch_off: () => ({ merge: { on: false } }),
  get: ({ on }) => ({ result: on }),
};

async function run({ run, action, model_text, arguments_text, object }) {
  let answer;
  try {
    answer = lamp[action](JSON.parse(model_text), JSON.parse(arguments_text));
  } catch ({ message }) {
    answer = { failed: message };
  }
  console.log(JSON.stringify({ object, action, ...answer }));
  await call("ran", { run, ...answer }).catch(({ message }) => console.error(`error: ${message}`));
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }); // bytes are never replaced
const commands = {
  import: async (file) => {
    const scenarios = [{ text: utf8.decode(readFileSync(file)), source: resolve(file) }];
    const [result] = (await call("import", { scenarios })).results;
    return result.error ? fail({ message: result.error.message, data: result.error }) : result;
  },
  share: (uuid, peer) => call("share", { objects: [uuid], to: peer, delivered: true, timeout_ms: 10_000 }),
  listen: () => call("listen", {}),
  act: (object, name, json = "null") => call("act", { object, name, arguments_text: json }),
  serve: () => call("serve", { component: "Lamp", version: "1.0", actions: Object.keys(lamp) }),
};
const [command, ...args] = process.argv.slice(2);
if (!commands[command]) fail({ message: "import FILE, share UUID PEER, listen, act OBJECT NAME [JSON], or serve", data: { exit: 2 } });
commands[command](...args).then((result) => {
  if (command === "listen" || command === "serve") return; // goes on until it is stopped
  console.log(JSON.stringify(result, null, 2));
  process.exit(0);
}, fail);
