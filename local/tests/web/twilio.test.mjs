// Twilio's official Node library, with only its base URL changed, gets the answers it would get from Twilio.
import assert from "node:assert/strict";
import { test } from "node:test";
import twilio from "twilio";
import { ACCOUNT_SID, AUTH_TOKEN, OUR_NUMBER, call, startApp, startSystem } from "./system.mjs";

const PHONE = "+14155550123";

function library(url, token = AUTH_TOKEN) {
  const client = twilio(ACCOUNT_SID, token);
  client.api.baseUrl = url;
  return client;
}

test("a message is sent, delivered, fetched, listed, redacted and deleted", async (t) => {
  const { url } = await startSystem(t);
  const client = library(url);
  const app = await startApp(t);
  const message = { from: OUR_NUMBER, to: PHONE, body: "Your code is 493027", statusCallback: `${app.url}/status` };
  const sent = await client.messages.create(message);
  assert.match(sent.sid, /^SM[0-9a-f]{32}$/);
  assert.deepEqual(
    [sent.status, sent.direction, sent.numSegments, sent.errorCode, sent.from, sent.to, sent.accountSid],
    ["queued", "outbound-api", "1", null, OUR_NUMBER, PHONE, ACCOUNT_SID],
  );
  assert.ok(Math.abs(sent.dateCreated - new Date()) < 60_000);

  const { messages } = await call(`${url}/phones/${PHONE}/messages?wait=10s`);
  assert.deepEqual(messages.map(({ sid, code }) => [sid, code]), [[sent.sid, "493027"]]);

  // Queued, sent, delivered.
  await app.wait(3);
  const fetched = await client.messages(sent.sid).fetch();
  assert.deepEqual([fetched.body, fetched.status], ["Your code is 493027", "delivered"]);
  assert.ok(fetched.dateSent >= fetched.dateCreated);
  for (let n = 0; n < 5; n++) await client.messages.create({ from: OUR_NUMBER, to: PHONE, body: `number ${n}` });
  const listed = await client.messages.list({ pageSize: 2, limit: 10 });
  assert.deepEqual(listed.map(({ body }) => body), ["number 4", "number 3", "number 2", "number 1", "number 0", sent.body]);

  assert.equal((await client.messages(sent.sid).update({ body: "" })).body, "");
  assert.equal(await client.messages(sent.sid).remove(), true);
  await assert.rejects(client.messages(sent.sid).fetch(), { status: 404, code: 20404 });
});

test("invalid messages are refused with Twilio's error codes", async (t) => {
  const { url } = await startSystem(t);
  const client = library(url);
  for (const [message, status, code] of [
    [{ from: OUR_NUMBER, to: "415", body: "hello" }, 400, 21211],
    [{ from: OUR_NUMBER, to: PHONE }, 400, 21602],
    [{ to: PHONE, body: "hello" }, 400, 21603],
    [{ from: "+15005550007", to: PHONE, body: "hello" }, 400, 21606],
    [{ from: OUR_NUMBER, to: "+15005550003", body: "hello" }, 400, 21408],
    [{ from: OUR_NUMBER, to: "+15005550004", body: "hello" }, 400, 21610],
    [{ from: OUR_NUMBER, to: "+15005550009", body: "hello" }, 400, 21614],
    [{ from: OUR_NUMBER, to: PHONE, body: "x".repeat(1601) }, 400, 21617],
  ]) {
    await assert.rejects(client.messages.create(message), {
      name: "Error", status, code, moreInfo: `https://www.twilio.com/docs/errors/${code}`,
    });
  }
  await assert.rejects(library(url, "wrong").messages.list(), { status: 401, code: 20003 });
});

test("status callbacks are signed and arrive in order", async (t) => {
  const { url } = await startSystem(t);
  const app = await startApp(t);
  const statusCallback = `${app.url}/status?order=7&name=%C3%A9`;
  const { sid } = await library(url).messages.create({ from: OUR_NUMBER, to: PHONE, body: "hello", statusCallback });
  const requests = await app.wait(3);
  assert.deepEqual(requests.map(({ form }) => form.MessageStatus), ["queued", "sent", "delivered"]);
  for (const { form, headers } of requests) {
    assert.equal(form.MessageSid, sid);
    assert.ok(twilio.validateRequest(AUTH_TOKEN, headers["x-twilio-signature"], statusCallback, form));
    assert.ok(!twilio.validateRequest("another token", headers["x-twilio-signature"], statusCallback, form));
  }
});

test("inbound webhooks pass validateRequest, and the TwiML reply is executed", async (t) => {
  const { url } = await startSystem(t);
  const client = library(url);
  const reply = new twilio.twiml.MessagingResponse();
  reply.message("It's <b>4</b> & a half");
  const app = await startApp(t, () => reply.toString());

  const [number] = await client.incomingPhoneNumbers.list({ phoneNumber: OUR_NUMBER });
  assert.equal(number.smsUrl, `${url}/sms#rc=3&rp=all`);
  const smsUrl = `${app.url}/sms/inbound?tenant=a%20b`;
  assert.equal((await client.incomingPhoneNumbers(number.sid).update({ smsUrl })).smsUrl, smsUrl);

  const texted = await call(`${url}/phones/${PHONE}/messages`, "POST", { body: "Wie spät ist es? 🕐" });
  const [{ form, headers }] = app.requests;
  assert.ok(twilio.validateRequest(AUTH_TOKEN, headers["x-twilio-signature"], smsUrl, form));
  assert.ok(!twilio.validateRequest(AUTH_TOKEN, headers["x-twilio-signature"], smsUrl, { ...form, Body: "forged" }));
  assert.deepEqual([form.From, form.To, form.Body], [PHONE, OUR_NUMBER, "Wie spät ist es? 🕐"]);
  assert.deepEqual(texted.replies.map(({ body }) => body), ["It's <b>4</b> & a half"]);
});

test("the library retries after 429, and the message is sent once", async (t) => {
  const { url } = await startSystem(t);
  const client = twilio(ACCOUNT_SID, AUTH_TOKEN, { autoRetry: true });
  client.api.baseUrl = url;
  await call(`${url}/faults`, "POST", { kind: "http_429", number: PHONE, times: 2 });
  await client.messages.create({ from: OUR_NUMBER, to: PHONE, body: "hello" });
  assert.equal((await call(`${url}/phones/${PHONE}/messages?wait=10s`)).messages.length, 1);
  assert.deepEqual((await call(`${url}/faults`)).faults, []);
});

test("a message under way survives a restart and arrives", async (t) => {
  const { mkdtemp, rm } = await import("node:fs/promises");
  const data = await mkdtemp("/tmp/tollgate-");
  t.after(() => rm(data, { recursive: true }));
  const first = await startSystem(t, { data });
  const { sid } = await library(first.url).messages.create({ from: OUR_NUMBER, to: PHONE, body: "kept" });
  await first.stop();
  const second = await startSystem(t, { data });
  const { messages } = await call(`${second.url}/phones/${PHONE}/messages?wait=10s`);
  assert.deepEqual(messages.map(({ sid, body }) => [sid, body]), [[sid, "kept"]]);
});
