// Starts the local system for a test, on a free port, and ends it with the test.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const BINARY = process.env.TOLLGATE_LOCAL ?? fileURLToPath(new URL("../../../target/debug/local", import.meta.url));

export const OUR_NUMBER = "+15005550006";
export const ACCOUNT_SID = "AC00000000000000000000000000000001";
export const AUTH_TOKEN = "0123456789abcdef0123456789abcdef";

/** The running system: its URL, and a way to end it before the test does. */
export async function startSystem(test, { data, settings = {} } = {}) {
  if (!existsSync(BINARY)) throw new Error(`${BINARY} is not there: cargo build -p local`);
  const options = ["--port", "0", ...(data ? ["--data", data] : [])];
  const process_ = spawn(BINARY, options, { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ...settings } });
  const ended = new Promise((resolve) => process_.once("exit", resolve));
  const stop = async () => {
    process_.kill();
    await ended;
  };
  test.after(stop);
  // The first line is the address.
  const first = createInterface({ input: process_.stdout })[Symbol.asyncIterator]().next();
  const { value: url } = await Promise.race([first, ended.then((code) => Promise.reject(new Error(`ended with ${code}`)))]);
  return { url, stop };
}

/** A call of the system's own API: the JSON that it answers. */
export async function call(url, method = "GET", body = undefined) {
  const headers = body === undefined ? {} : { "content-type": "application/json" };
  const answer = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${text}`);
  return text === "" ? undefined : JSON.parse(text);
}

/** An app's own web server on this machine: it keeps the forms that it is posted, and answers with `answer(form)`. */
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
  /** The requests, as soon as there are so many. */
  const wait = async (count) => {
    while (requests.length < count) await new Promise((resolve) => (heard = resolve));
    return requests;
  };
  return { url: `http://127.0.0.1:${server.address().port}`, requests, wait };
}
