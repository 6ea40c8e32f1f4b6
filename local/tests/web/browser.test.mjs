// The page in a real browser: the story that a developer plays on it, with a picture of each step in target/ci/screenshots.
import assert from "node:assert/strict";
import { mkdir, readFile, mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { ACCOUNT_SID, AUTH_TOKEN, OUR_NUMBER, call, startSystem } from "./system.mjs";

const PHONE = "+14155550123";
const SCREENSHOTS = fileURLToPath(new URL("../../../target/ci/screenshots/", import.meta.url));
const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
// Nothing but the page: the browser's own calls home are switched off.
const SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const DESK = { width: 1440, height: 1000 };

/** The page of a new system, in a new browser. What goes wrong on it fails the test at its end. */
async function open(t, { viewport = DESK, colorScheme = "light", system, prepare } = {}) {
  system ??= await startSystem(t);
  await prepare?.(system.url);
  const executablePath = process.env.TOLLGATE_BROWSER || "/usr/bin/chromium";
  const browser = await chromium.launch({ executablePath, args: SWITCHES });
  t.after(() => browser.close());
  const context = await browser.newContext({ viewport, colorScheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(`${error}`));
  page.on("dialog", (dialog) => (wrong.push(`a dialog: ${dialog.message()}`), dialog.dismiss()));
  page.on("request", (request) => {
    if (!request.url().startsWith(system.url) && !request.url().startsWith("data:")) wrong.push(`fetched ${request.url()}`);
  });
  page.on("console", (message) => {
    // A refused request is an answer; everything else on the console is a defect.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) wrong.push(message.text());
  });
  t.after(() => assert.deepEqual(wrong, []));
  await page.goto(system.url);
  await page.getByText("Live", { exact: true }).waitFor();
  return { page, system, url: system.url };
}

const conversation = (page, number = "+1 415 555 0123") => page.getByRole("article", { name: `Phone ${number}` });

async function picture(page, name) {
  await mkdir(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
}

/** Waits until the page says so; the error tells what it said instead. */
const says = (locator, text) => locator.filter({ hasText: text }).first().waitFor({ timeout: 15_000 });

test("the story: send, read, check, text back, hit the limit, watch the bar, break something", async (t) => {
  const { page, url } = await open(t);
  const [phone, answer] = [conversation(page), page.getByRole("region", { name: "Answer", exact: true })];
  const bar = page.getByRole("meter", { name: /^phone_limit 1\/30s/ });
  await says(page.locator("#verdict"), "The next send is allowed now.");
  await picture(page, "01-start");

  await page.getByRole("button", { name: "Send code" }).click();
  await says(answer, "sent");
  const code = phone.getByRole("button", { name: /^Fill in the code/ });
  await code.waitFor();
  await says(phone.locator(".state"), "delivered");
  assert.equal(await bar.getAttribute("aria-valuenow"), "1");
  await picture(page, "02-sent");

  await code.click();
  assert.match(await page.getByLabel("Code that the user typed").inputValue(), /^\d{6}$/);
  await page.getByRole("button", { name: "Check code" }).click();
  await says(answer, "approved");
  await picture(page, "03-checked");

  await page.getByRole("button", { name: "Send code" }).click();
  await says(answer, "refused: phone_limit");
  await says(page.locator("#verdict"), "by phone_limit 1/30s");
  await says(page.locator("#refusals"), "phone_limit");
  await picture(page, "04-limited");

  // The bar drains on the clock of the system, which the page can move.
  await page.getByRole("button", { name: "+30 s" }).click();
  await says(page.locator("#verdict"), "The next send is allowed now.");
  assert.equal(await bar.getAttribute("aria-valuenow"), "0");
  await picture(page, "05-drained");

  await phone.getByLabel("Text from +1 415 555 0123").fill("Is this you?\nReally?");
  await page.keyboard.press("Enter");
  await says(phone.locator(".bubble.received"), "Thanks for your message!");
  assert.equal(await phone.locator(".bubble.sent .text").innerText(), "Is this you?\nReally?");
  await picture(page, "06-texted");

  await page.getByLabel("What goes wrong").selectOption("timeout");
  await page.getByRole("button", { name: "Add failure" }).click();
  await says(page.locator("#faults"), "timeout");
  await page.getByRole("button", { name: "Send code" }).click();
  await says(answer, "unknown");
  await says(page.locator("#exchanges"), "failure: timeout");
  await picture(page, "07-unknown");
  await page.getByRole("button", { name: "Repeat with the same key" }).click();
  await says(answer, "nothing was sent twice");
  const { messages } = await call(`${url}/phones/${PHONE}/messages`);
  assert.equal(messages.filter(({ code }) => code).length, 2, "the one that timed out has arrived, once");

  await page.getByLabel("What goes wrong").selectOption("dynamodb_away");
  await page.getByLabel("How often").selectOption("until removed");
  await page.getByRole("button", { name: "Add failure" }).click();
  await page.getByRole("button", { name: "+1 h" }).click();
  await page.getByRole("button", { name: "Send code" }).click();
  await says(answer, "StoreUnavailable");
  await picture(page, "08-store-away");

  await phone.getByLabel("Text from +1 415 555 0123").fill("STOP");
  await page.keyboard.press("Enter");
  await says(phone.locator(".bubble.received"), "unsubscribed");
});

test("a reload loses nothing, and neither does a restart", async (t) => {
  const data = await mkdtemp(join(tmpdir(), "tollgate-"));
  t.after(() => rm(data, { recursive: true, force: true }));
  const first = await startSystem(t, { data });
  await call(`${first.url}/phones/${PHONE}/messages`, "POST", { body: "before" });
  const { page } = await open(t, { system: first });
  const texts = (view) => conversation(view).locator(".bubble .text").allInnerTexts();
  assert.deepEqual(await texts(page), ["before", "Thanks for your message!"]);
  await page.reload();
  await says(conversation(page).locator(".bubble"), "before");
  assert.deepEqual(await texts(page), ["before", "Thanks for your message!"]);

  await first.stop();
  await says(page.locator("#connection"), "Connection lost");
  const { page: after } = await open(t, { system: await startSystem(t, { data }) });
  assert.deepEqual(await texts(after), ["before", "Thanks for your message!"]);
});

test("what a message says stays text", async (t) => {
  const evil = `<img src=x onerror="alert(1)"><script>alert(2)</script><b>bold</b> javascript:alert(3) " onmouseover="alert(4)`;
  const { page } = await open(t, {
    prepare: async (url) => {
      await call(`${url}/phones/${PHONE}/messages`, "POST", { body: evil });
      const authorization = `Basic ${btoa(`${ACCOUNT_SID}:${AUTH_TOKEN}`)}`;
      const body = new URLSearchParams({ From: OUR_NUMBER, To: PHONE, Body: evil, MediaUrl: "javascript:alert(5)//https://example.com/a.png" });
      await fetch(`${url}/2010-04-01/Accounts/${ACCOUNT_SID}/Messages.json`, { method: "POST", headers: { authorization }, body });
    },
  });
  const bubbles = conversation(page).locator(".bubble");
  assert.equal(await bubbles.first().locator(".text").innerText(), evil);
  assert.equal(await bubbles.locator(".text img, .text script, .text b, a[href^='javascript']").count(), 0);
  // What happened shows the same texts, as JSON and as TwiML.
  for (const row of await page.locator("#exchanges summary").all()) await row.click();
  assert.equal(await page.locator("#exchanges img, #exchanges script").count(), 0);
});

test("a thousand messages are there at once and scroll smoothly", async (t) => {
  const authorization = `Basic ${btoa(`${ACCOUNT_SID}:${AUTH_TOKEN}`)}`;
  const { page } = await open(t, {
    prepare: async (url) => {
      for (let n = 0; n < 1000; n++) {
        const body = new URLSearchParams({ From: OUR_NUMBER, To: PHONE, Body: `Message ${n}: your code is ${100_000 + n}. ${"Long. ".repeat(n % 12)}` });
        const answer = await fetch(`${url}/2010-04-01/Accounts/${ACCOUNT_SID}/Messages.json`, { method: "POST", headers: { authorization }, body });
        assert.equal(answer.status, 201);
      }
    },
  });
  const bubbles = conversation(page).locator(".bubble");
  await page.waitForFunction(() => document.querySelectorAll(".bubble").length === 1000);
  assert.match(await bubbles.first().textContent(), /Message 0:/);
  assert.match(await bubbles.last().textContent(), /Message 999:/);
  const seen = await conversation(page).getByRole("log").evaluate(async (log) => {
    const frames = [];
    let last = performance.now();
    log.scrollTop = -log.scrollHeight;
    for (let step = 0; step < 60; step++) {
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      frames.push(now - last);
      last = now;
      log.scrollTop += log.scrollHeight / 60;
    }
    frames.sort((a, b) => a - b);
    return { median: frames[30], worst: frames.at(-1), top: log.scrollTop };
  });
  t.diagnostic(`frames while scrolling: median ${seen.median.toFixed(1)} ms, worst ${seen.worst.toFixed(1)} ms`);
  assert.ok(seen.top >= -1, "the newest message is in view again");
  await picture(page, "09-thousand");
});

test("with the keyboard alone a code is sent and checked", async (t) => {
  const { page } = await open(t);
  const tabTo = async (name) => {
    for (let presses = 0; presses < 80; presses++) {
      await page.keyboard.press("Tab");
      const focused = await page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent);
      if (focused.startsWith(name)) return;
    }
    assert.fail(`${name} can't be reached by Tab`);
  };
  await tabTo("Send code");
  await page.keyboard.press("Enter");
  await conversation(page).getByRole("button", { name: /^Fill in the code/ }).waitFor();
  await tabTo("Fill in the code");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Enter");
  await says(page.getByRole("region", { name: "Answer", exact: true }), "approved");
});

for (const [name, viewport, colorScheme] of [
  ["desk-light", DESK, "light"], ["desk-dark", DESK, "dark"], ["tablet-light", { width: 900, height: 1100 }, "light"],
  ["phone-light", { width: 360, height: 740 }, "light"], ["phone-dark", { width: 360, height: 740 }, "dark"],
]) {
  test(`it can be read by everybody: ${name}`, async (t) => {
    const { page } = await open(t, {
      viewport, colorScheme, prepare: async (url) => {
        const invoke = (name, event) => call(`${url}/2015-03-31/functions/${name}/invocations`, "POST", event);
        for (let n = 0; n < 2; n++) await invoke("send-code", { phone_number: PHONE, ip: "203.0.113.7" });
        await call(`${url}/phones/+16135550142/messages`, "POST", { body: "Bonjour" });
        await call(`${url}/faults`, "POST", { kind: "twilio_error", code: 30003 });
      },
    });
    await says(page.locator("#verdict"), "phone_limit");
    await page.locator("#exchanges summary").first().click();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page does not scroll sideways");
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => window.axe.run());
    assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 200))]), []);
    await mkdir(SCREENSHOTS, { recursive: true });
    await page.screenshot({ path: join(SCREENSHOTS, `10-${name}.png`), fullPage: true });
  });
}
