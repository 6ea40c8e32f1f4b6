// The page in a real browser, used as a developer would, with a screenshot of each step in target/ci/screenshots.
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
// Turn off the browser's own network requests, so that only the page makes any.
const SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const DESK = { width: 1440, height: 1000 };

/** Opens the page of a new system in a new browser. Any error on the page fails the test at its end. */
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
    // A refused request is a normal answer; anything else on the console is a defect.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) wrong.push(message.text());
  });
  t.after(() => assert.deepEqual(wrong, []));
  await page.goto(system.url);
  await page.getByText("Live", { exact: true }).waitFor();
  return { page, system, url: system.url };
}

/** Sends a text over Twilio's API: its status, and the message. */
async function text(url, parameters) {
  const authorization = `Basic ${btoa(`${ACCOUNT_SID}:${AUTH_TOKEN}`)}`;
  const body = new URLSearchParams({ From: OUR_NUMBER, To: PHONE, ...parameters });
  const answer = await fetch(`${url}/2010-04-01/Accounts/${ACCOUNT_SID}/Messages.json`, { method: "POST", headers: { authorization }, body });
  return { status: answer.status, message: await answer.json() };
}

const invoke = (url, name, event) => call(`${url}/2015-03-31/functions/${name}/invocations`, "POST", event);
const gateOf = (url, ip = "203.0.113.7") => call(`${url}/gate?${new URLSearchParams({ phone_number: PHONE, ip })}`);

const conversation = (page, number = "+1 415 555 0123") => page.getByRole("article", { name: `Phone ${number}` });

async function picture(page, name) {
  await mkdir(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
}

/** Waits until the page shows the text. */
const says = (locator, text) => locator.filter({ hasText: text }).first().waitFor({ timeout: 15_000 });

test("the story: send, read, check, text back, hit the limit, watch the bar, break something", async (t) => {
  const { page, url } = await open(t);
  const [phone, answer] = [conversation(page), page.getByRole("region", { name: "Answer", exact: true })];
  const bar = page.getByRole("meter", { name: "Phone: one code per 30 seconds" });
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
  assert.match(await page.getByLabel("Code the user typed").inputValue(), /^\d{6}$/);
  await page.getByRole("button", { name: "Check code" }).click();
  await says(answer, "approved");
  await picture(page, "03-checked");

  await page.getByRole("button", { name: "Send code" }).click();
  await says(answer, "refused: phone_limit");
  await says(page.locator("#verdict"), "The phone limit allows one code per 30 seconds.");
  await says(answer, "The phone limit allows one code per 30 seconds. Try again in");
  await says(page.locator("#refusals"), "Phone limit");
  await says(page.locator("#refusals"), "one code per 30 seconds");
  await picture(page, "04-limited");
  await page.getByRole("button", { name: "Repeat with the same key" }).click();
  await says(answer, "this retry was evaluated again");

  // The bar drains on the clock of the system, which the page can move.
  await page.getByRole("button", { name: "+30 s" }).click();
  await says(page.locator("#verdict"), "The next send is allowed now.");
  assert.equal(await bar.getAttribute("aria-valuenow"), "0");
  await picture(page, "05-drained");

  await phone.getByLabel("Text from +1 415 555 0123").fill("Is this you?\nReally?");
  await page.keyboard.press("Enter");
  await says(phone.locator(".bubble.received"), "Thanks for your message!");
  assert.equal(await phone.locator(".bubble.sent .text").textContent(), "Is this you?\nReally?");
  await picture(page, "06-texted");

  await page.getByLabel("What goes wrong").selectOption("timeout");
  await page.getByRole("button", { name: "Add failure" }).click();
  await says(page.locator("#faults"), "timeout");
  await page.getByRole("button", { name: "Send code" }).click();
  await says(answer, "unknown");
  await says(page.locator("#exchanges"), "failure: timeout");
  assert.ok(await page.locator("#verdict-warning").isHidden());
  await picture(page, "07-unknown");
  await page.getByRole("button", { name: "Repeat with the same key" }).click();
  await says(answer, "no second SMS was sent");
  const { messages } = await call(`${url}/phones/${PHONE}/messages`);
  assert.equal(messages.filter(({ code }) => code).length, 2, "the send that timed out arrived exactly once");

  await page.getByLabel("What goes wrong").selectOption("dynamodb_away");
  await page.getByLabel("How often").selectOption("until removed");
  await page.getByRole("button", { name: "Add failure" }).click();
  await page.getByRole("button", { name: "+1 h" }).click();
  await says(page.locator("#verdict.good"), "Pending failure: dynamodb_away");
  await page.getByRole("button", { name: "Send code" }).click();
  await says(answer, "StoreUnavailable");
  await picture(page, "08-store-away");

  await phone.getByLabel("Text from +1 415 555 0123").fill("STOP");
  await page.keyboard.press("Enter");
  await says(phone.locator(".bubble.received"), "unsubscribed");
  // Until it has failed, the webhook could still store the opt-out after the reset.
  await says(phone, "Twilio reports 11217");

  // After a reset by anyone, the page shows nothing of the deleted data.
  await call(`${url}/phones`, "DELETE");
  await says(answer, "Send code: the phone receives it");
  await says(page.locator("#verdict"), "The next send is allowed now.");
  assert.equal(await phone.locator(".bubble").count(), 0);
  assert.ok(await page.locator("#verdict-warning").isHidden());
});

test("a code under way is shown lighter, and a lost code can't be tapped", async (t) => {
  const { page, url } = await open(t);
  const bubbles = conversation(page).locator(".bubble");
  const send = () => page.getByRole("button", { name: "Send code" }).click();
  await call(`${url}/faults`, "POST", { kind: "late_delivery", seconds: 40, times: 1 });
  await send();
  await bubbles.and(page.locator(".underway")).waitFor();
  await call(`${url}/clock`, "POST", { advance: "41s" });
  await says(bubbles.locator(".state"), "delivered");
  assert.equal(await bubbles.and(page.locator(".underway")).count(), 0);
  await call(`${url}/faults`, "POST", { kind: "twilio_error", code: 30003, times: 1 });
  await send();
  const lost = bubbles.and(page.locator(".lost"));
  await says(lost, "undelivered, 30003");
  await says(lost, "Your verification code is:");
  assert.equal(await lost.getByRole("button").count(), 0);
  assert.equal(await bubbles.getByRole("button", { name: /^Fill in the code/ }).count(), 1);
  await picture(page, "12-lost");
});

test("only refused sends are listed, and the gate says what is allowed", async (t) => {
  const { page, url } = await open(t);
  await page.getByLabel("Code the user typed").fill("123456");
  await page.getByRole("button", { name: "Check code" }).click();
  await says(page.getByRole("region", { name: "Answer", exact: true }), "expired");
  await invoke(url, "send-code", { phone_number: "+436601234567", ip: "203.0.113.7" });
  await says(page.locator("#refusals"), "Country not allowed");
  assert.equal(await page.locator("#refusals li").count(), 1);
  await page.getByLabel("Phone number", { exact: true }).selectOption("");
  await page.getByLabel("Other phone number").fill("+436601234567");
  await says(page.locator("#verdict"), "Never sent: country not allowed. The number belongs to AT. AllowedCountries is US,CA.");
});

test("the strip opens at the phone in use, and a typed code stays with its phone", async (t) => {
  const others = Array.from({ length: 9 }, (_, n) => `+1416555010${n}`);
  const { page, url } = await open(t, {
    prepare: async (url) => {
      for (const number of others) await call(`${url}/phones/${number}/messages`, "POST", { body: "Hello" });
    },
  });
  const isInView = (number) => page.locator(`[data-number="${number}"]`).evaluate((card) => {
    const [strip, own] = [card.parentElement.getBoundingClientRect(), card.getBoundingClientRect()];
    return own.left >= strip.left - 8 && own.right <= strip.right + 8;
  });
  for (const number of [PHONE, others[7]]) {
    await page.getByLabel("Phone number", { exact: true }).selectOption(number);
    await page.reload();
    await page.getByText("Live", { exact: true }).waitFor();
    await page.locator(`[data-number="${others[8]}"]`).waitFor();
    assert.ok(await isInView(number), number);
  }
  const code = page.getByLabel("Code the user typed");
  await code.fill("493027");
  await page.getByLabel("Phone number", { exact: true }).selectOption(PHONE);
  assert.equal(await code.inputValue(), "");
});

test("arrows lead to the phones that are out of view", async (t) => {
  const { page } = await open(t);
  const last = page.getByLabel("Add a phone");
  const [left, right] = [page.getByLabel("Previous phones"), page.getByLabel("Next phones")];
  const can = (button) => button.and(page.locator("[aria-disabled=false]")).waitFor();
  await can(right);
  assert.equal(await left.getAttribute("aria-disabled"), "true");
  for (let presses = 0; presses < 6; presses++) await right.click({ force: true });
  await can(left);
  const { x, width } = await last.boundingBox();
  assert.ok(x + width <= DESK.width);
  for (const number of ["+1 415 555 0199", "+1 613 555 0142"]) await page.getByRole("button", { name: `Remove ${number}` }).click();
  await left.waitFor({ state: "hidden" });
});

test("the example for Playwright is that of the documentation", async (t) => {
  const { page, url } = await open(t);
  const documentation = await readFile(new URL("../../../docs/local.md", import.meta.url), "utf8");
  const [, example] = documentation.match(/^```js\n(import \{ expect, test \}[^]*?)\n```$/m);
  const code = page.getByLabel("Example with Playwright");
  await says(code, url);
  assert.equal(await code.textContent(), example.replace("http://127.0.0.1:7878", url));
});

test("a reload loses nothing, and neither does a restart", async (t) => {
  const data = await mkdtemp(join(tmpdir(), "tollgate-"));
  t.after(() => rm(data, { recursive: true, force: true }));
  const first = await startSystem(t, { data });
  await call(`${first.url}/phones/${PHONE}/messages`, "POST", { body: "before" });
  const { page } = await open(t, { system: first });
  const texts = (view) => conversation(view).locator(".bubble .text").allTextContents();
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
      const media = `https://example.com/"onerror="alert(5)".png#<img src=x onerror=alert(5)>`;
      const { status, message } = await text(url, { Body: evil, MediaUrl: media });
      assert.equal(status, 201, JSON.stringify(message));
      const refused = await text(url, { Body: evil, MediaUrl: "javascript:alert(6)//https://example.com/a.png" });
      assert.equal(refused.status, 400, JSON.stringify(refused.message));
    },
  });
  const bubbles = conversation(page).locator(".bubble");
  const sent = conversation(page).locator(".bubble.sent");
  assert.equal(await sent.locator(".text").textContent(), evil);
  // Media on another host is only named, not fetched or linked.
  const attached = bubbles.filter({ has: page.locator(".chip") });
  assert.equal(await attached.count(), 1);
  assert.equal(await attached.locator(".text").textContent(), evil);
  assert.match(await attached.locator(".chip").textContent(), /^example\.com\/.*<img src=x onerror=alert\(5\)>$/);
  assert.equal(await bubbles.locator("a, img, script, b").count(), 0);
  // The activity shows the same texts, as JSON and as TwiML.
  const rows = page.locator("#exchanges details");
  assert.ok((await rows.count()) >= 3);
  // Open all rows in one step, because more may arrive meanwhile.
  const opened = await rows.evaluateAll((all) => all.map((row) => row.querySelector("summary").click()).length);
  await page.waitForFunction((count) => document.querySelectorAll("#exchanges .exchange").length === count, opened);
  await says(page.locator("#exchanges .json"), "onerror");
  assert.equal(await page.locator("#exchanges img, #exchanges script, #exchanges pre b").count(), 0);
});

test("an invalid number gets no phone, even one stored by an older page", async (t) => {
  const { page, url } = await open(t);
  await invoke(url, "send-code", { phone_number: "garbage", ip: "203.0.113.7" });
  await says(page.locator("#exchanges"), "send-code");
  assert.equal(await page.locator("#exchanges a").count(), 0);
  await page.evaluate(() => {
    localStorage.setItem("tollgate.phones", JSON.stringify(["garbage", { no: 1 }, "+14155550123", "+1"]));
    localStorage.setItem("tollgate.kind", JSON.stringify("toString"));
  });
  await page.reload();
  await page.getByText("Live", { exact: true }).waitFor();
  const numbers = () => page.locator("[data-number]").evaluateAll((cards) => cards.map((card) => card.dataset.number));
  assert.deepEqual(await numbers(), ["+14155550123"]);
  assert.ok(await page.locator("#exchanges li").first().isVisible());
  // The card disappears even if the system reports an error, and the page shows the error.
  await page.route("**/phones/*", (route) => route.fulfill({ status: 400, body: `{"error": "no such phone"}` }));
  await page.getByRole("button", { name: "Remove +1 415 555 0123" }).click();
  await says(page.locator("#add-note"), "no such phone");
  assert.deepEqual(await numbers(), []);
});

test("the bars keep up while a script sends, and end with the right counts", async (t) => {
  const [sends, many] = [20, "80/1h"];
  const system = await startSystem(t, { settings: { PHONE_LIMIT: many, IP_LIMIT: many, RANGE_LIMIT: many } });
  const { page, url } = await open(t, { system });
  await says(page.locator("#verdict"), "The next send is allowed now.");
  let asked = 0;
  page.on("request", (request) => (asked += request.url().includes("/gate?") ? 1 : 0));
  // Refused sends every few milliseconds make sure that the page never gets a pause.
  const enough = 8;
  let sending = true;
  const bustle = async () => {
    for (let n = 0; sending || (asked < enough && n < 200); n++) await invoke(url, "send-code", { phone_number: "none", ip: "203.0.113.7" });
  };
  const send = async () => {
    for (let n = 0; n < sends; n++) await invoke(url, "send-code", { phone_number: PHONE, ip: "203.0.113.7" });
    sending = false;
  };
  await Promise.all([send(), bustle(), bustle(), bustle(), bustle()]);
  assert.ok(asked >= enough, `the page queried the gate ${asked} times while the codes were sent`);
  const { limits } = await gateOf(url);
  for (const { name, rules } of limits.filter(({ name }) => name !== "check_limit" && name !== "spend_limit")) {
    for (const { rule, entries } of rules) {
      const bar = page.getByRole("meter").and(page.locator(`[data-rule="${name} ${rule}"]`));
      const counted = entries.reduce((sum, { count }) => sum + count, 0);
      assert.equal(counted, sends, `${name} ${rule}`);
      await page.waitForFunction(([meter, now]) => meter.getAttribute("aria-valuenow") === now, [await bar.elementHandle(), `${counted}`]);
    }
  }
});

test("the page and the refusal agree on when a limit has a free slot", async (t) => {
  const { page, url } = await open(t);
  const ask = () => invoke(url, "send-code", { phone_number: PHONE, ip: "203.0.113.7" });
  const pageSays = async () => {
    const gate = await gateOf(url);
    const blocking = await page.evaluate(
      async ({ limits, now }) => (await import("/limits.js")).blockingRule(limits, now), { limits: gate.limits, now: gate.now_ms });
    return { ...blocking, wait: (blocking?.at ?? gate.now_ms) - gate.now_ms };
  };
  // The rule of 30 seconds is full twice. The third code also fills the rule of an hour, which has a free slot later.
  const inWords = { "1/30s": "one code per 30 seconds", "3/1h": "3 codes per hour" };
  for (const advance of ["31s", "12m", "31s"]) {
    assert.equal((await ask()).status, "sent");
    const before = await pageSays();
    const refusal = await ask();
    const after = await pageSays();
    assert.equal(refusal.status, "refused");
    assert.equal(`${refusal.reason} ${refusal.rule}`, `${before.limit} ${before.rule}`);
    // The refusal rounds up to whole seconds and was made between the two queries.
    assert.ok(refusal.retry_after * 1000 >= after.wait && refusal.retry_after * 1000 < before.wait + 1000,
      `${refusal.retry_after} s; the page: ${before.wait} ms before, ${after.wait} ms after`);
    await says(page.locator("#verdict"), `The phone limit allows ${inWords[before.rule]}.`);
    assert.equal(Date.parse(await page.locator("#verdict time").getAttribute("datetime")), Date.parse(refusal.next_send_at));
    await call(`${url}/clock`, "POST", { advance });
  }
});

test("a secret rotated by a script is shown at once", async (t) => {
  const { page, url } = await open(t);
  const account = page.locator("#account");
  await says(account, AUTH_TOKEN);
  for (const secret of ["auth_token", "api_key"]) {
    const { value } = await call(`${url}/secrets/rotate`, "POST", { secret });
    await says(account, value);
    if (secret === "auth_token") await says(page.locator(".examples code"), `twilio("${ACCOUNT_SID}", "${value}")`);
  }
  assert.equal(await account.getByText(AUTH_TOKEN).count(), 0);
});

test("a deleted message disappears, and so does the text of a redacted one", async (t) => {
  const { page, url } = await open(t);
  const authorization = `Basic ${btoa(`${ACCOUNT_SID}:${AUTH_TOKEN}`)}`;
  const bubbles = conversation(page).locator(".bubble");
  const sids = [];
  for (const Body of ["the first, 111111", "the second, 222222", "the third, 333333"]) {
    sids.push((await text(url, { Body })).message.sid);
    await says(bubbles.filter({ hasText: Body }).locator(".state"), "delivered");
  }
  const resource = (sid) => `${url}/2010-04-01/Accounts/${ACCOUNT_SID}/Messages/${sid}.json`;
  const redacted = await fetch(resource(sids[1]), { method: "POST", headers: { authorization }, body: new URLSearchParams({ Body: "" }) });
  assert.equal(redacted.status, 200);
  await says(bubbles, "Redacted");
  assert.equal((await fetch(resource(sids[2]), { method: "DELETE", headers: { authorization } })).status, 204);
  await bubbles.filter({ hasText: "the third" }).waitFor({ state: "detached" });
  assert.deepEqual(await bubbles.locator(".text").allTextContents(), ["the first, 111111", "Redacted"]);
  // The heading of the day disappears with its last message.
  for (const sid of sids.slice(0, 2)) await fetch(resource(sid), { method: "DELETE", headers: { authorization } });
  await says(conversation(page), "No messages.");
  assert.equal(await conversation(page).locator("li").count(), 0);
});

test("the bars are hidden while the input is invalid", async (t) => {
  const { page, url } = await open(t);
  await invoke(url, "send-code", { phone_number: PHONE, ip: "203.0.113.7" });
  const bars = page.getByRole("meter");
  await says(page.locator("#verdict"), "The phone limit allows one code per 30 seconds.");
  const ip = page.getByLabel("User’s IP address");
  await ip.fill("203.0.113.");
  await says(page.locator("#verdict.warn"), "203.0.113.");
  assert.equal(await bars.count(), 0);
  await picture(page, "11-unreadable");
  await ip.fill("203.0.113.7");
  await says(page.locator("#verdict"), "The phone limit allows one code per 30 seconds.");
  assert.ok((await bars.count()) > 5);
});

test("any number of pages can be open, because hidden pages close their connection", async (t) => {
  // A headless browser reports every page as visible, so the test sets which one is.
  const seen = () => {
    let hidden = location.hash === "#behind";
    Object.defineProperty(document, "hidden", { get: () => hidden });
    window.show = (shown) => {
      hidden = !shown;
      document.dispatchEvent(new Event("visibilitychange"));
    };
  };
  const { page: first, url } = await open(t);
  await first.context().addInitScript(seen);
  await first.reload();
  const pages = [first];
  const show = (page, shown) => page.evaluate((value) => window.show(value), shown);
  while (pages.length < 8) {
    await show(pages.at(-1), false);
    pages.push(await first.context().newPage());
    await pages.at(-1).goto(url);
    await pages.at(-1).getByText("Live", { exact: true }).waitFor();
  }
  await says(first.locator("#connection"), "Paused while hidden");
  assert.match(await first.title(), /^\(paused\)/);
  // A page opened in the background connects when it is shown.
  const behind = await first.context().newPage();
  await behind.goto(`${url}/#behind`);
  await says(behind.locator("#connection"), "Paused while hidden");
  await show(behind, true);
  await behind.getByText("Live", { exact: true }).waitFor();
  await behind.close();
  // A page that is shown again catches up, and rows that were opened stay open.
  await call(`${url}/phones/${PHONE}/messages`, "POST", { body: "one" });
  await show(first, true);
  await says(conversation(first).locator(".bubble.sent"), "one");
  await first.locator("#exchanges summary").first().click();
  await show(first, false);
  await says(first.locator("#connection"), "Paused while hidden");
  await call(`${url}/phones/${PHONE}/messages`, "POST", { body: "two" });
  await show(first, true);
  await says(conversation(first).locator(".bubble.sent"), "two");
  await first.getByText("Live", { exact: true }).waitFor();
  assert.deepEqual(await conversation(first).locator(".bubble.sent .text").allTextContents(), ["one", "two"]);
  assert.equal(await first.locator("#exchanges details[open] .exchange").count(), 1);
  assert.equal(await first.title(), "Tollgate, local");
});

test("a thousand messages are rendered and scroll smoothly", async (t) => {
  const { page } = await open(t, {
    prepare: async (url) => {
      for (let n = 0; n < 1000; n++) {
        const { status } = await text(url, { Body: `Message ${n}: your code is ${100_000 + n}. ${"Long. ".repeat(n % 12)}` });
        assert.equal(status, 201);
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
  test(`the page is accessible: ${name}`, async (t) => {
    const { page } = await open(t, {
      viewport, colorScheme, prepare: async (url) => {
        for (let n = 0; n < 2; n++) await invoke(url, "send-code", { phone_number: PHONE, ip: "203.0.113.7" });
        await call(`${url}/phones/+16135550142/messages`, "POST", { body: "Bonjour" });
        await call(`${url}/faults`, "POST", { kind: "twilio_error", code: 30003 });
      },
    });
    await says(page.locator("#verdict"), "The phone limit allows one code per 30 seconds.");
    await page.locator("#exchanges summary").first().click();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page does not scroll sideways");
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => window.axe.run());
    assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 200))]), []);
    await page.evaluate(() => scrollTo(0, 0));
    await mkdir(SCREENSHOTS, { recursive: true });
    await page.screenshot({ path: join(SCREENSHOTS, `10-${name}.png`), fullPage: true });
  });
}

test("a user whom a full country keeps out texts instead of getting a code", async (t) => {
  const system = await startSystem(t, { settings: { COUNTRY_LIMIT: "1/1h", BLOCK_RECORD: "off", APP_DOMAIN: "example.com" } });
  await invoke(system.url, "send-code", { phone_number: "+14155559999", ip: "198.51.100.1" });
  const { page } = await open(t, { system });
  const [phone, answer] = [conversation(page), page.getByRole("region", { name: "Answer", exact: true })];
  await page.getByRole("button", { name: "Send code" }).click();
  await says(answer, "refused: country_limit");
  const offer = answer.getByRole("region", { name: "Text-to-verify" });
  await says(offer, "No code? Text this to");
  const link = offer.getByRole("link");
  const words = await link.textContent();
  assert.match(words, /^Verify example\.com: [a-z]+ [a-z]+ \d\d$/);
  assert.equal(await link.getAttribute("href"), `sms:${OUR_NUMBER}?body=${encodeURIComponent(words).replaceAll(".", "%2E")}`);
  const picturedAs = () => offer.getByAltText("QR code of the link").evaluate((image) => image.complete && image.naturalWidth);
  assert.ok((await picturedAs()) >= 160);
  await picture(page, "text-to-verify-offered");

  await offer.getByRole("button", { name: "Ask check-code" }).click();
  await says(answer, "pending");
  await offer.getByRole("button", { name: "Text it from this phone" }).click();
  await says(phone.locator(".bubble.sent"), words);
  await offer.getByRole("button", { name: "Ask check-code" }).click();
  await says(answer, "approved");
  await says(answer, "The text came from this number.");
  assert.equal(await offer.count(), 0);
  await picture(page, "text-to-verify-approved");
});
