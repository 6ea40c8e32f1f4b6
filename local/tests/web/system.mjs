// Starts the local system for a test on a free port, and stops it at the end of the test.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const BINARY = process.env.TOLLGATE_LOCAL ?? fileURLToPath(new URL("../../../target/debug/local", import.meta.url));

export const OUR_NUMBER = "+15005550006";
export const ACCOUNT_SID = "AC00000000000000000000000000000001";
export const AUTH_TOKEN = "0123456789abcdef0123456789abcdef";

/** The running system: its URL, and `stop` to stop it before the test ends. */
export async function startSystem(test, { data, settings = {} } = {}) {
  if (!existsSync(BINARY)) throw new Error(`${BINARY} does not exist; run cargo build -p local`);
  const options = ["--port", "0", ...(data ? ["--data", data] : [])];
  const process_ = spawn(BINARY, options, { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ...settings } });
  const ended = new Promise((resolve) => process_.once("exit", resolve));
  const stop = async () => {
    process_.kill();
    await ended;
  };
  test.after(stop);
  // The first line of the output is the address.
  const first = createInterface({ input: process_.stdout })[Symbol.asyncIterator]().next();
  const { value: url } = await Promise.race([first, ended.then((code) => Promise.reject(new Error(`the local system exited with ${code}`)))]);
  return { url, stop };
}

/** Calls the API of the local system and returns the JSON of the answer. */
export async function call(url, method = "GET", body = undefined) {
  const headers = body === undefined ? {} : { "content-type": "application/json" };
  const answer = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${text}`);
  return text === "" ? undefined : JSON.parse(text);
}

/** An app's web server on this machine. It records the forms posted to it and answers each with `answer(form)`. */
export async function startApp(test, answer = () => "<Response/>") {
  const requests = [];
  let heard = () => {};
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const piece of request) body += piece;
    const form = Object.fromEntries(new URLSearchParams(body));
    requests.push({ path: request.url, headers: request.headers, form });
    response.writeHead(200, { "content-type": "text/xml" }).end(answer(form));
    heard();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  test.after(() => server.close());
  /** Waits for `count` requests and returns all so far. */
  const wait = async (count) => {
    while (requests.length < count) await new Promise((resolve) => (heard = resolve));
    return requests;
  };
  return { url: `http://127.0.0.1:${server.address().port}`, requests, wait };
}
