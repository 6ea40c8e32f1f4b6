// The app: sends a code and checks one, as a back end would; shows the request, the answer and what the answer means.

import { chosen, refreshGate } from "./gate.js";
import { limitSentence } from "./limits.js";
import { choosePhone, markChosen, phones, setChosenNumber } from "./phones.js";
import { $, announce, ask, attempt, copyButton, curl, duration, e164, el, forPeople, jsonBlock, kept, plural, sentence } from "./tools.js";

const app = { lastSend: null, lastAnswer: null, offer: null, verifications: new Map(), introduction: [...$("answer").childNodes] };

/** Fills in the code from a message, as if the user had typed it. */
export function useCode(code) {
  $("check-code").value = code;
  $("check-code").focus();
}

function randomKey() {
  const [number] = crypto.getRandomValues(new Uint32Array(1));
  return `page-${number.toString(16).padStart(8, "0")}`;
}

function sendRequest() {
  const optional = {
    idempotency_key: $("app-key").value.trim() || randomKey(),
    code: $("app-code").value.trim(),
    locale: $("app-locale").value.trim(),
    // Sent again within the same verification, which keeps its attempts.
    verification: app.verifications.get(chosen.phone) ?? "",
  };
  return {
    phone_number: chosen.phone,
    ip: chosen.ip,
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== "")),
  };
}

/** Invokes a function as a back end would, and shows the request and the answer. */
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

/** Explains an answer in a chip and a sentence: `{ tone, chip, sentence }`. */
function meaning(value, failed) {
  const wait = value?.retry_after === undefined ? "" : ` Try again in ${duration(value.retry_after * 1000)}.`;
  if (failed) return { tone: "bad", chip: value?.errorType ?? "error", sentence: sentence(value?.errorMessage ?? "") };
  switch (value?.status) {
    case "sent":
      return { tone: "good", chip: "sent", sentence: "Twilio accepted the message." };
    case "offered":
      return { tone: "good", chip: "offered", sentence: "Nothing is sent: the user texts you." };
    case "pending":
      return {
        tone: "waiting",
        chip: "pending",
        sentence: `The user has not texted yet. The phrase counts for ${duration(value.expires_in * 1000)}.`,
      };
    case "approved":
      if (value.assurance === "sender")
        return {
          tone: "good",
          chip: "approved",
          sentence: "The text came from this number. That proves its sender and no more, so the number is not known.",
        };
      return {
        tone: "good",
        chip: "approved",
        sentence:
          "The code is correct. All codes of this number are void now, and its sends no longer count as unverified. The number is known.",
      };
    case "refused": {
      const why = value.rule ? limitSentence(value.reason, value.rule) : sentence(value.detail ?? "Nothing was sent");
      return { tone: "bad", chip: `refused: ${value.reason}`, sentence: `${why}${wait}` };
    }
    case "unknown":
      return {
        tone: "warn",
        chip: "unknown",
        sentence:
          "Twilio’s response is missing or unclear; the SMS may have been sent. The send counts and is never repeated.",
      };
    case "in_progress":
      return { tone: "warn", chip: "in_progress", sentence: "Another request with the same key is in progress." };
    case "incorrect":
      return { tone: "bad", chip: "incorrect", sentence: `${plural(value.attempts_left, "attempt")} left.` };
    case "expired":
      return { tone: "bad", chip: "expired", sentence: "This number has no valid code." };
    case "too_many_attempts":
      return {
        tone: "bad",
        chip: "too_many_attempts",
        sentence: value.rule.includes("/")
          ? `The code was not checked. ${limitSentence("check_limit", value.rule)}${wait}`
          : `The code was not checked: this verification has used its ${plural(Number(value.rule), "attempt")}. The next code starts a new one.`,
      };
    default:
      return { tone: "warn", chip: value?.status ?? "answer", sentence: "" };
  }
}

/** Explains the answer to a retry with the same key. Only answers that involved Twilio are stored under a key. */
function repetition(value) {
  if (value?.status === "refused" && value.twilio_code === undefined)
    return `${meaning(value).sentence} Refusals are not stored, so this retry was evaluated again.`;
  return value?.replayed ? "Same key, same answer: no second SMS was sent." : null;
}

/** Clears the last answer, which describes data that was deleted. */
export function forgetAnswer() {
  Object.assign(app, { lastSend: null, lastAnswer: null, offer: null, verifications: new Map() });
  $("answer").replaceChildren(...app.introduction);
}

function showAnswer(name, path, request, answer) {
  const { tone, chip, sentence } = answer
    ? meaning(answer.value, answer.failed)
    : { tone: "waiting", chip: "waiting", sentence: "" };
  const repeated = answer && request === app.lastSend && repetition(answer.value);
  if (answer && name === "send-code") Object.assign(app, { lastSend: request, lastAnswer: answer.value });
  const offered = answer?.value?.alternatives?.find(({ type }) => type === "text_to_verify");
  // It stays in view while the app waits for the text.
  if (answer && answer.value?.status !== "pending") app.offer = offered && { number: request.phone_number, ...offered };
  if (answer?.value?.verification) app.verifications.set(request.phone_number, answer.value.verification);
  if (["approved", "too_many_attempts"].includes(answer?.value?.status)) app.verifications.delete(request.phone_number);
  const explanation = repeated || sentence;
  announce(`${name}: ${chip}. ${explanation}`);
  $("answer").replaceChildren(
    el(
      "p",
      { class: "outcome" },
      el("span", { class: `tag ${tone}` }, chip),
      answer && el("span", { class: "took" }, `${Math.round(answer.ms)} ms`),
      el("span", { class: "sentence" }, explanation),
    ),
    answer && app.offer && offerBlock(app.offer),
    el("h3", {}, `Request to ${name}`),
    jsonBlock(request, `Request to ${name}`),
    ...(answer ? [el("h3", {}, "Answer"), jsonBlock(answer.value, `Answer from ${name}`)] : []),
    el(
      "div",
      { class: "buttons" },
      copyButton("Copy as curl", () => curl(path, request), false),
      answer &&
        name === "send-code" &&
        el(
          "button",
          { type: "button", onclick: (event) => repeat(event.currentTarget) },
          "Repeat with the same key",
        ),
    ),
  );
}

/** What a user who got no code can do: text us. */
function offerBlock({ number, to, body, sms_link: link, verification }) {
  const note = el("span", { class: "hint", role: "status" });
  const text = () =>
    attempt(note, async () => {
      await ask("POST", `/phones/${encodeURIComponent(number)}/messages`, { body });
      return "Texted.";
    });
  const check = (event) => invoke("check-code", { phone_number: number, verification }, event.currentTarget);
  return el(
    "section",
    { class: "offer", "aria-label": "Text-to-verify" },
    el("img", { src: `/qr?${new URLSearchParams({ text: link })}`, alt: "QR code of the link", width: "160", height: "160" }),
    el(
      "div",
      {},
      el("p", {}, "No code? Text this to ", el("b", {}, forPeople(to)), ":"),
      el("p", { class: "phrase" }, el("a", { href: link }, body)),
      el(
        "div",
        { class: "buttons" },
        el("button", { type: "button", onclick: text }, "Text it from this phone"),
        el("button", { type: "button", onclick: check }, "Ask check-code"),
        note,
      ),
    ),
  );
}

async function repeat(button) {
  await invoke("send-code", app.lastSend, button);
  // The new answer has replaced the button; move the focus to the new one.
  $("answer").querySelector(".buttons button:last-child")?.focus();
}

export function startApp() {
  $("app-ip").value = chosen.ip;
  $("app-phone").addEventListener("change", () => {
    if ($("app-phone").value) return choosePhone($("app-phone").value);
    $("app-other").hidden = false;
    $("app-other").value = "";
    return $("app-other").focus();
  });
  $("app-other").addEventListener("input", () => {
    setChosenNumber(e164($("app-other").value) ?? $("app-other").value.trim());
    markChosen();
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
    phones.get(chosen.phone)?.reveal();
    invoke("send-code", sendRequest(), event.submitter);
  });
  $("check-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const verification = app.verifications.get(chosen.phone);
    const request = { phone_number: chosen.phone, ...(verification && { verification }), code: $("check-code").value.trim() };
    invoke("check-code", request, event.submitter);
  });
}
