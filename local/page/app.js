// The app: asks for a code and checks one, as a back end would; shows what went in, what came out and what it means.

import { chosen, refreshGate } from "./gate.js";
import { choosePhone, markChosen, phones } from "./phones.js";
import { $, announce, ask, copyButton, curl, duration, e164, el, jsonBlock, kept, plural, sentence } from "./tools.js";

const app = { lastSend: null, lastAnswer: null, introduction: [...$("answer").childNodes] };

/** Fills a code of a message in, as if the user had typed it. */
export function useCode(code) {
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
  if (failed) return { tone: "bad", chip: value?.errorType ?? "error", sentence: sentence(value?.errorMessage ?? "") };
  switch (value?.status) {
    case "sent":
      return { tone: "good", chip: "sent", sentence: "Twilio has taken the message." };
    case "approved":
      return {
        tone: "good",
        chip: "approved",
        sentence: "The right code, now used up. The send is given back to the limits of IP, range and country.",
      };
    case "refused":
      return {
        tone: "bad",
        chip: `refused: ${value.reason}`,
        sentence: `${value.rule ? `By ${value.rule}.` : sentence(value.detail ?? "Nothing was sent")}${wait}`,
      };
    case "unknown":
      return {
        tone: "warn",
        chip: "unknown",
        sentence:
          "Twilio’s answer did not come, or does not say whether it took the message; the SMS may have gone. It counts, and is never sent again.",
      };
    case "in_progress":
      return { tone: "warn", chip: "in_progress", sentence: "The same key is being answered right now." };
    case "incorrect":
      return { tone: "bad", chip: "incorrect", sentence: `${plural(value.attempts_left, "attempt")} left.` };
    case "expired":
      return { tone: "bad", chip: "expired", sentence: "This number has no code that is still good." };
    case "too_many_attempts":
      return { tone: "bad", chip: "too_many_attempts", sentence: `Not looked at, by ${value.rule}.${wait}` };
    default:
      return { tone: "warn", chip: value?.status ?? "answer", sentence: "" };
  }
}

/** What became of the same key a second time. Kept under it is what Twilio has said, or was asked and may have heard. */
function repetition(value, first) {
  if (value?.status === "refused" && value.twilio_code === undefined)
    return `${meaning(value).sentence} A refusal is not kept under its key: it was decided anew.`;
  const same = ["sent", "unknown", "refused"].includes(value?.status) && JSON.stringify(value) === JSON.stringify(first);
  return same ? "Same key, same answer: nothing was sent twice." : null;
}

/** Forgets the last answer: what it tells of is gone. */
export function forgetAnswer() {
  Object.assign(app, { lastSend: null, lastAnswer: null });
  $("answer").replaceChildren(...app.introduction);
}

function showAnswer(name, path, request, answer) {
  const { tone, chip, sentence } = answer
    ? meaning(answer.value, answer.failed)
    : { tone: "waiting", chip: "waiting", sentence: "" };
  const repeated = answer && request === app.lastSend && repetition(answer.value, app.lastAnswer);
  if (answer && name === "send-code") Object.assign(app, { lastSend: request, lastAnswer: answer.value });
  const said = repeated || sentence;
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
          { type: "button", onclick: (event) => repeat(event.currentTarget) },
          "Repeat with the same key",
        ),
    ),
  );
}

async function repeat(button) {
  await invoke("send-code", app.lastSend, button);
  // The button was replaced with the answer; the focus goes to its successor.
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
    chosen.phone = e164($("app-other").value) ?? $("app-other").value.trim();
    kept.set("phone", chosen.phone);
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
    invoke("check-code", { phone_number: chosen.phone, code: $("check-code").value.trim() }, event.submitter);
  });
}
