// Failures on demand, and the rotation of a secret: what can be made to go wrong, and what to expect of the gate then.

import { $, ask, attempt, el, forPeople, icon } from "./tools.js";

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
      "Certainly not taken, so the gate tries three times. Once, expect sent; 3 times or until removed, TwilioUnavailable, which does not count.",
    ],
    connection_reset: [
      "The connection breaks",
      "The request was on its way. Expect unknown: it counts, and is not tried again.",
    ],
    twilio_error: [
      "Twilio answers an error code",
      "21610 is an opt-out; most others are rejected_by_twilio. Delivery errors such as 30003 come later: the message is sent and becomes undelivered, with 30001 and 30002 failed.",
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
      "Each step is tried three times: a few failures are ridden out. Until removed, expect StoreUnavailable: what can’t be counted is not sent.",
    ],
    dynamodb_away: [
      "DynamoDB is away",
      "Each step is tried three times: a few failures are ridden out. Until removed, expect StoreUnavailable: without a decision from the table, nothing is sent.",
    ],
  },
};
const FAILURE = Object.assign({}, ...Object.values(FAILURES));

const ROTATIONS = {
  both: "At Twilio and in Secrets Manager. What the functions have cached is stale: they look for a newer secret, at most once a minute, and nothing is lost. After a second rotation, move the clock by a minute.",
  twilio:
    "As by somebody who tells nobody. Expect 403 for webhooks (auth token), TwilioUnavailable for sends (API key).",
};

const phoneWords = (number) => (number ? forPeople(number) : "all phones");

export function showFaults(faults) {
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

export function startFailures() {
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
  await ask("POST", "/secrets/rotate", { secret: $("rotate-secret").value, where: $("rotate-where").value });
  return "Rotated. The new value is below, under “For scripts”.";
}
