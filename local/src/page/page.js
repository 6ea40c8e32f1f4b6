// The page of the local system: phones, the app, the gate, what happened, and failures on demand.
//
// The one idea: the server's events are the truth. Forms only ask; what is shown changes when the event comes, whoever
// caused it: this page, another window, or a test that is running. `state` replaces everything, so a lost connection heals
// itself.
//
// The gate is in gate.js, a phone in phone.js, what has no state of its own in tools.js. Here, in reading order: the store,
// phones, the app, what happened, failures, scripts, the connection.

import { chosen, refreshGate, setClock, showRefusals, showSettings, startGate, systemNow } from "./gate.js";
import { Phone } from "./phone.js";
import {
  $,
  announce,
  ask,
  attempt,
  clockTime,
  copyButton,
  curl,
  duration,
  e164,
  el,
  forPeople,
  icon,
  jsonBlock,
  kept,
  plural,
  timeElement,
} from "./tools.js";

// ── The store ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const FIRST_PHONES = ["+14155550123", "+14155550199", "+16135550142"];

const store = {
  /** @type {Map<string, Phone>} by number */
  phones: new Map(),
  account: {},
  faults: [],
};

/** Chooses the number that the app sends to and the gate shows. */
function choosePhone(number) {
  chosen.phone = number;
  kept.set("phone", number);
  showChosenPhone();
  refreshGate();
}

function showChosenPhone() {
  const listed = store.phones.has(chosen.phone);
  $("app-phone").value = listed ? chosen.phone : "";
  $("app-other").hidden = listed;
  if (!listed && document.activeElement !== $("app-other")) $("app-other").value = chosen.phone;
  for (const phone of store.phones.values()) phone.choose(phone.number === chosen.phone);
}

/** The selects that name phones. */
function listPhones() {
  const options = () => [...store.phones.keys()].map((number) => el("option", { value: number }, forPeople(number)));
  $("app-phone").replaceChildren(...options(), el("option", { value: "" }, "Another number…"));
  const faultPhone = $("fault-phone").value;
  $("fault-phone").replaceChildren(el("option", { value: "" }, "all phones"), ...options());
  $("fault-phone").value = store.phones.has(faultPhone) ? faultPhone : "";
  kept.set("phones", [...store.phones.keys()]);
  showChosenPhone();
}

// ── Phones ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The phone of this number; it is put on the table if it was not there. */
function phoneOf(number) {
  let phone = store.phones.get(number);
  if (!phone) {
    phone = new Phone(number, { now: systemNow, choose: choosePhone, fillIn: useCode, forgotten: removePhone });
    phone.load([]);
    store.phones.set(number, phone);
    $("add-phone").before(phone.card);
    listPhones();
  }
  return phone;
}

function removePhone(number) {
  store.phones.get(number)?.card.remove();
  store.phones.delete(number);
  if (chosen.phone === number && store.phones.size)
    kept.set("phone", (chosen.phone = store.phones.keys().next().value));
  listPhones();
  refreshGate();
}

function loadPhones(messages) {
  const byNumber = new Map();
  for (const message of messages)
    byNumber
      .set(message.number, byNumber.get(message.number) ?? [])
      .get(message.number)
      .push(message);
  for (const number of new Set([...kept.get("phones", FIRST_PHONES), ...byNumber.keys()])) phoneOf(number);
  for (const phone of store.phones.values()) phone.load(byNumber.get(phone.number) ?? []);
}

// A script may send a thousand messages in a second; they are shown once per frame.
const arrived = [];

function messageArrived(message) {
  if (arrived.push(message) === 1) requestAnimationFrame(showArrived);
}

function showArrived() {
  for (const message of arrived.splice(0)) phoneOf(message.number).upsert(message);
}

function forgotten(number) {
  const others = arrived.filter((message) => number && message.number !== number);
  arrived.splice(0, arrived.length, ...others);
  for (const phone of number ? [store.phones.get(number)] : store.phones.values()) phone?.load([]);
  if (!number) showActivity([]);
}

function startPhones() {
  $("add-form").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt($("add-note"), async () => {
      const number = e164($("add-number").value);
      if (!number)
        throw new Error("A number in international format starts with + and has 7 to 15 digits, such as +14165550100.");
      $("add-number").value = "";
      phoneOf(number).reveal();
      choosePhone(number);
      return `${forPeople(number)} is here.`;
    });
  });
}

// ── The app ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const app = { lastSend: null, lastAnswer: null };

/** Fills a code of a message in, as if the user had typed it. */
function useCode(code) {
  $("check-code").value = code;
  $("check-code").focus();
}

function madeUpKey() {
  const [number] = crypto.getRandomValues(new Uint32Array(1));
  return `page-${number.toString(16).padStart(8, "0")}`;
}

function sendRequest() {
  const optional = {
    idempotency_key: $("app-key").value.trim() || madeUpKey(),
    code: $("app-code").value.trim(),
    locale: $("app-locale").value.trim(),
  };
  return {
    phone_number: chosen.phone,
    ip: chosen.ip,
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== "")),
  };
}

/** Invokes a function as a back end would, and shows what went in and what came out. */
async function invoke(name, request, button) {
  if (button?.getAttribute("aria-busy") === "true") return;
  button?.setAttribute("aria-busy", "true");
  const path = `/2015-03-31/functions/${name}/invocations`;
  const started = performance.now();
  showAnswer(name, path, request, null);
  try {
    const { value, headers } = await ask("POST", path, request);
    showAnswer(name, path, request, {
      value,
      failed: headers.has("x-amz-function-error"),
      ms: performance.now() - started,
    });
  } catch (error) {
    showAnswer(name, path, request, {
      value: { errorMessage: error.message },
      failed: true,
      ms: performance.now() - started,
    });
  } finally {
    button?.removeAttribute("aria-busy");
  }
}

/** What an answer means, in a chip and a sentence: `{ tone, chip, sentence }`. */
function meaning(value, failed) {
  const wait = value?.retry_after === undefined ? "" : ` Again in ${duration(value.retry_after * 1000)}.`;
  if (failed) return { tone: "bad", chip: value?.errorType ?? "error", sentence: value?.errorMessage ?? "" };
  switch (value?.status) {
    case "sent":
      return { tone: "good", chip: "sent", sentence: "Twilio has taken the message." };
    case "approved":
      return {
        tone: "good",
        chip: "approved",
        sentence: "The right code, now used up. The send is given back to the limits.",
      };
    case "refused":
      return {
        tone: "bad",
        chip: `refused: ${value.reason}`,
        sentence: `${value.rule ? `By ${value.rule}.` : (value.detail ?? "Nothing was sent.")}${wait}`,
      };
    case "unknown":
      return {
        tone: "warn",
        chip: "unknown",
        sentence: "Twilio did not answer; the SMS may have gone. It counts, and is never sent again.",
      };
    case "in_progress":
      return { tone: "warn", chip: "in_progress", sentence: "The same key is being answered right now." };
    case "incorrect":
      return { tone: "bad", chip: "incorrect", sentence: `${plural(value.attempts_left, "attempt")} left.` };
    case "expired":
      return { tone: "warn", chip: "expired", sentence: "This number has no code that is still good." };
    case "too_many_attempts":
      return { tone: "bad", chip: "too_many_attempts", sentence: `Not looked at, by ${value.rule}.${wait}` };
    default:
      return { tone: "warn", chip: value?.status ?? "answer", sentence: "" };
  }
}

function showAnswer(name, path, request, answer) {
  const repeated =
    answer && request === app.lastSend && JSON.stringify(answer.value) === JSON.stringify(app.lastAnswer);
  const { tone, chip, sentence } = answer
    ? meaning(answer.value, answer.failed)
    : { tone: "waiting", chip: "waiting", sentence: "" };
  if (answer && name === "send-code") Object.assign(app, { lastSend: request, lastAnswer: answer.value });
  const said = repeated ? "Same key, same answer: nothing was sent twice." : sentence;
  announce(`${name}: ${chip}. ${said}`);
  $("answer").replaceChildren(
    el(
      "p",
      { class: "outcome" },
      el("span", { class: `tag ${tone}` }, chip),
      answer && el("span", { class: "took" }, `${Math.round(answer.ms)} ms`),
      el("span", { class: "sentence" }, said),
    ),
    el("h3", {}, `To ${name}`),
    jsonBlock(request, `Request to ${name}`),
    ...(answer ? [el("h3", {}, "Answer"), jsonBlock(answer.value, `Answer of ${name}`)] : []),
    el(
      "div",
      { class: "buttons" },
      copyButton("Copy as curl", () => curl(path, request), false),
      answer &&
        name === "send-code" &&
        el(
          "button",
          { type: "button", class: "quiet", onclick: (event) => repeat(event.currentTarget) },
          "Repeat with the same key",
        ),
    ),
  );
}

async function repeat(button) {
  await invoke("send-code", app.lastSend, button);
  // The button was replaced with the answer; the focus goes to its successor.
  $("answer").querySelector("button.quiet:last-child")?.focus();
}

function startApp() {
  $("app-ip").value = chosen.ip;
  $("app-phone").addEventListener("change", () => {
    if ($("app-phone").value) return choosePhone($("app-phone").value);
    $("app-other").hidden = false;
    $("app-other").value = "";
    return $("app-other").focus();
  });
  $("app-other").addEventListener("input", () => {
    chosen.phone = e164($("app-other").value) ?? $("app-other").value.trim();
    kept.set("phone", chosen.phone);
    for (const phone of store.phones.values()) phone.choose(phone.number === chosen.phone);
    refreshGate();
  });
  const ipChanged = () => {
    chosen.ip = $("app-ip").value.trim();
    kept.set("ip", chosen.ip);
    refreshGate();
  };
  $("app-ip").addEventListener("input", ipChanged);
  $("app-ip-other").addEventListener("click", () => {
    $("app-ip").value = `198.51.100.${1 + Math.floor(Math.random() * 254)}`;
    ipChanged();
  });
  $("send-form").addEventListener("submit", (event) => {
    event.preventDefault();
    store.phones.get(chosen.phone)?.reveal();
    invoke("send-code", sendRequest(), event.submitter);
  });
  $("check-form").addEventListener("submit", (event) => {
    event.preventDefault();
    invoke("check-code", { phone_number: chosen.phone, code: $("check-code").value.trim() }, event.submitter);
  });
}

// ── What happened ─────────────────────────────────────────────────────────────────────────────────────────────────────

const KINDS = {
  invocation: "Functions",
  webhook: "Webhooks",
  status_callback: "Callbacks",
  twilio: "Twilio API",
  dynamodb: "DynamoDB",
  local: "Local",
};
const MOST_EXCHANGES = 200;
const activity = { rows: new Map(), latest: [], kind: kept.get("kind", "") };

function showActivity(exchanges) {
  activity.latest = exchanges.slice(-MOST_EXCHANGES);
  activity.rows.clear();
  $("exchanges").replaceChildren(...activity.latest.map(exchangeRow).reverse());
  $("no-exchanges").hidden = exchanges.length > 0;
  showRefusals(exchanges);
}

function happened(exchange) {
  if (activity.rows.has(exchange.id)) return;
  $("exchanges").prepend(exchangeRow(exchange));
  activity.latest.push(exchange);
  while (activity.latest.length > MOST_EXCHANGES) {
    const { id } = activity.latest.shift();
    activity.rows.get(id)?.remove();
    activity.rows.delete(id);
  }
  $("no-exchanges").hidden = true;
  if (exchange.outcome === "refused") showRefusals(activity.latest);
  if (["invocation", "webhook", "local"].includes(exchange.between)) refreshGate();
}

/** A row that is a line; its request and response are built when it is opened. */
function exchangeRow(exchange) {
  const { id, at_ms: at, between, title, summary, outcome, number, fault } = exchange;
  const details = el(
    "details",
    { class: number && "numbered" },
    el(
      "summary",
      {},
      timeElement(at, clockTime),
      el("span", { class: "kind" }, KINDS[between] ?? between),
      el(
        "span",
        { class: "what" },
        el("b", {}, title),
        " ",
        el("span", { class: `result ${outcome}` }, summary),
        fault && el("span", { class: "tag warn" }, `failure: ${fault}`),
      ),
    ),
  );
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(exchangeDetails(exchange));
  });
  const row = el(
    "li",
    { "data-between": between, hidden: activity.kind !== "" && activity.kind !== between },
    details,
    number &&
      el(
        "a",
        { href: `#phone-${number.slice(1)}`, class: "about", onclick: () => phoneOf(number).reveal() },
        forPeople(number),
      ),
  );
  activity.rows.set(id, row);
  return row;
}

function exchangeDetails({ request, response }) {
  const part = (title, value) =>
    el(
      "div",
      {},
      el("h3", {}, title),
      value === null ? el("p", { class: "hint" }, "None is known.") : jsonBlock(value, title),
    );
  return el("div", { class: "exchange" }, part("Request", request), part("Response", response));
}

function startActivity() {
  const choices = [["", "All"], ...Object.entries(KINDS)];
  $("filter").append(
    ...choices.map(([kind, name]) =>
      el(
        "label",
        {},
        el("input", {
          type: "radio",
          name: "kind",
          value: kind,
          checked: kind === activity.kind,
          onchange: () => filterActivity(kind),
        }),
        el("span", {}, name),
      ),
    ),
  );
}

function filterActivity(kind) {
  activity.kind = kind;
  kept.set("kind", kind);
  for (const row of activity.rows.values()) row.hidden = kind !== "" && row.dataset.between !== kind;
}

// ── Failures ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What goes wrong, and what to expect of the gate. */
const FAILURES = {
  "Twilio’s API": {
    timeout: [
      "Twilio takes the message and never answers",
      "The phone gets the SMS, the function no answer. Expect unknown: it counts, and is never sent again.",
    ],
    http_500: [
      "Twilio answers 500",
      "Nobody can tell whether it was taken. Expect unknown: it counts, and is not tried again.",
    ],
    http_429: [
      "Twilio is too busy (429)",
      "Certainly not taken, so the gate tries again. Expect sent; if it goes on, TwilioUnavailable, which does not count.",
    ],
    connection_reset: [
      "The connection breaks",
      "The request was on its way. Expect unknown: it counts, and is not tried again.",
    ],
    twilio_error: [
      "Twilio answers an error code",
      "21610 is an opt-out; 300xx comes later, by the status callback: undelivered. Others: rejected_by_twilio.",
    ],
  },
  Delivery: {
    late_delivery: [
      "The SMS arrives late",
      "Expect sent at once, and the message as sent, not delivered, until the time is over.",
    ],
  },
  Webhooks: {
    duplicate_webhook: [
      "Twilio calls the webhook twice",
      "Text the service from a phone. Expect one message kept, and the same answer twice.",
    ],
    out_of_order_webhook: [
      "Webhooks arrive in the wrong order",
      "Text the service twice. Expect both messages, each once, whichever comes first.",
    ],
    forged_signature: [
      "The webhook’s signature is forged",
      "Text the service from a phone. Expect 403, nothing kept and no reply.",
    ],
  },
  DynamoDB: {
    dynamodb_throttled: [
      "DynamoDB throttles",
      "The gate tries again, then gives up. Expect StoreUnavailable: what can’t be counted is not sent.",
    ],
    dynamodb_away: [
      "DynamoDB is away",
      "Expect StoreUnavailable, and no SMS: without a decision from the table, nothing is sent.",
    ],
  },
};
const FAILURE = Object.assign({}, ...Object.values(FAILURES));

const ROTATIONS = {
  both: "At Twilio and in Secrets Manager. What the functions have cached is stale: they look again, and nothing is lost.",
  twilio:
    "As by somebody who tells nobody. Expect 403 for webhooks (auth token), TwilioUnavailable for sends (API key).",
};

const phoneWords = (number) => (number ? forPeople(number) : "all phones");

function showFaults(faults) {
  store.faults = faults;
  $("faults").replaceChildren(
    ...faults.map((fault) => {
      const often = fault.times === null || fault.times === undefined ? "until removed" : `${fault.times}×`;
      const extra = fault.code ?? (fault.seconds === undefined ? null : `${fault.seconds} s`);
      const words = [fault.kind, extra, phoneWords(fault.number), often].filter(Boolean).join(", ");
      return el(
        "li",
        { class: "chip" },
        el(
          "span",
          {},
          el("b", {}, fault.kind),
          ` ${[extra, phoneWords(fault.number), often].filter(Boolean).join(", ")}`,
        ),
        el(
          "button",
          {
            type: "button",
            class: "quiet square",
            "aria-label": `Remove ${words}`,
            onclick: () => attempt($("fault-note"), () => removeFault(fault.id)),
          },
          icon("close"),
        ),
      );
    }),
  );
  $("no-faults").hidden = faults.length > 0;
}

async function removeFault(id) {
  await ask("DELETE", `/faults/${id}`);
  $("fault-kind").focus();
}

function faultRequest() {
  const kind = $("fault-kind").value;
  const whole = (id, what) => {
    const number = Number($(id).value);
    if (!Number.isInteger(number) || number < 0)
      throw new Error(`${what} must be a whole number, not “${$(id).value}”.`);
    return number;
  };
  return {
    kind,
    ...($("fault-phone").value && !$("fault-phone").disabled && { number: $("fault-phone").value }),
    ...($("fault-times").value && { times: Number($("fault-times").value) }),
    ...(kind === "twilio_error" && { code: whole("fault-code", "The error code") }),
    ...(kind === "late_delivery" && { seconds: whole("fault-seconds", "Seconds") }),
  };
}

function explainFault() {
  const kind = $("fault-kind").value;
  $("fault-text").textContent = FAILURE[kind][1];
  $("fault-code-field").hidden = kind !== "twilio_error";
  $("fault-seconds-field").hidden = kind !== "late_delivery";
  // DynamoDB knows no phones.
  $("fault-phone").disabled = kind.startsWith("dynamodb");
  if ($("fault-phone").disabled) $("fault-phone").value = "";
}

function startFailures() {
  $("fault-kind").append(
    ...Object.entries(FAILURES).map(([group, kinds]) =>
      el(
        "optgroup",
        { label: group },
        ...Object.entries(kinds).map(([kind, [name]]) => el("option", { value: kind }, name)),
      ),
    ),
  );
  $("fault-kind").addEventListener("change", explainFault);
  explainFault();
  $("fault-form").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt($("fault-note"), async () => {
      await ask("POST", "/faults", faultRequest());
    });
  });
  const explainRotation = () => {
    $("rotate-text").textContent = ROTATIONS[$("rotate-where").value];
  };
  $("rotate-where").addEventListener("change", explainRotation);
  explainRotation();
  $("rotate-form").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt($("rotate-note"), rotate);
  });
}

async function rotate() {
  const { value } = await ask("POST", "/secrets/rotate", {
    secret: $("rotate-secret").value,
    where: $("rotate-where").value,
  });
  const field = value.secret === "auth_token" ? "auth_token" : "api_key_secret";
  showAccount({ ...store.account, [field]: value.value });
  return "Rotated. The new value is below, under “For scripts”.";
}

// ── Scripts ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const ACCOUNT = {
  base_url: "Base URL",
  our_number: "Number of the service",
  account_sid: "Account SID",
  auth_token: "Auth token",
  api_key_sid: "API key SID",
  api_key_secret: "API key secret",
};

/** The account, and the examples with its values in place. */
function showAccount(account) {
  store.account = account;
  $("account").replaceChildren(
    ...Object.entries(ACCOUNT).flatMap(([name, label]) => [
      el("dt", {}, label),
      el(
        "dd",
        {},
        el("code", {}, account[name] ?? "–"),
        copyButton(`Copy ${label}`, () => account[name] ?? ""),
      ),
    ]),
  );
  for (const code of document.querySelectorAll(".examples code")) {
    code.dataset.template ??= code.textContent;
    code.textContent = code.dataset.template.replace(
      /\b(BASE_URL|OUR_NUMBER|ACCOUNT_SID|AUTH_TOKEN|API_KEY_SID|API_KEY_SECRET)\b/g,
      (name) => account[name.toLowerCase()] ?? name,
    );
  }
}

const SECOND_THOUGHT_MS = 4000;

function startScripts() {
  for (const figure of document.querySelectorAll(".examples figure")) {
    const caption = figure.querySelector("figcaption");
    caption.append(
      copyButton(`Copy the example: ${caption.textContent}`, () => figure.querySelector("code").textContent),
    );
  }
  const button = $("reset");
  let timer;
  const calm = () => {
    clearTimeout(timer);
    timer = undefined;
    button.textContent = "Reset everything";
  };
  button.addEventListener("click", () => {
    if (!timer) {
      button.textContent = "Really? Press again";
      timer = setTimeout(calm, SECOND_THOUGHT_MS);
      return;
    }
    calm();
    attempt($("reset-note"), async () => {
      await ask("DELETE", "/phones");
      return "All of it is forgotten.";
    });
  });
}

// ── The connection ────────────────────────────────────────────────────────────────────────────────────────────────────

function showConnection(live) {
  $("connection").textContent = live ? "Live" : "Connection lost, trying again";
  $("connection").className = `connection ${live ? "live" : "lost"}`;
}

function showState(state) {
  setClock(state.now_ms);
  arrived.splice(0);
  loadPhones(state.messages);
  showAccount({ ...state.account, base_url: state.base_url, our_number: state.our_number });
  showFaults(state.faults);
  showActivity(state.activity);
  showSettings(state.settings);
  listPhones();
  refreshGate();
  showConnection(true);
}

const EVENTS = {
  state: showState,
  message: messageArrived,
  forgotten: ({ number }) => {
    forgotten(number);
    refreshGate();
  },
  faults: ({ faults }) => showFaults(faults),
  activity: happened,
  clock: ({ now_ms: nowMs }) => {
    setClock(nowMs);
    refreshGate();
  },
};

const AGAIN_MS = 2000;

function connect() {
  const events = new EventSource("/events");
  for (const [name, handle] of Object.entries(EVENTS))
    events.addEventListener(name, (event) => handle(JSON.parse(event.data)));
  events.addEventListener("error", () => {
    showConnection(false);
    // The browser tries again by itself, but for an answer that is no stream.
    if (events.readyState === EventSource.CLOSED) setTimeout(connect, AGAIN_MS);
  });
}

const systemTheme = matchMedia("(prefers-color-scheme: dark)");

/** Light or dark as the system has it, unless the reader has chosen the other. */
function startTheme() {
  const show = () => {
    const own = kept.get("theme", null);
    document.documentElement.dataset.theme = own ?? "";
    $("theme").setAttribute("aria-pressed", (own ?? (systemTheme.matches ? "dark" : "light")) === "dark");
  };
  $("theme").addEventListener("click", () => {
    const next = $("theme").getAttribute("aria-pressed") === "true" ? "light" : "dark";
    kept.set("theme", next === (systemTheme.matches ? "dark" : "light") ? null : next);
    show();
  });
  systemTheme.addEventListener("change", show);
  show();
}

startTheme();
startPhones();
startApp();
startGate();
startActivity();
startFailures();
startScripts();
for (const number of kept.get("phones", FIRST_PHONES)) phoneOf(number);
listPhones();
connect();
