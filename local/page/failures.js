// Failures on demand and secret rotation: what can go wrong, and how the gate responds.

import { $, ask, attempt, el, forPeople, icon } from "./tools.js";

/** By kind: what goes wrong, and what to expect. */
const FAILURES = {
  "Twilio’s API": {
    timeout: [
      "Twilio accepts the message but never answers",
      "The phone receives the SMS, but the function gets no response. Expect unknown: the send counts and is never repeated.",
    ],
    http_500: [
      "Twilio answers 500",
      "Twilio may have accepted the message. Expect unknown: the send counts and is not retried.",
    ],
    http_429: [
      "Twilio is too busy (429)",
      "Twilio has not accepted the message, so the gate tries three times. Once: expect sent. 3 times or until removed: expect TwilioUnavailable, which does not count.",
    ],
    connection_reset: [
      "The connection breaks",
      "The request may have reached Twilio. Expect unknown: the send counts and is not retried.",
    ],
    twilio_error: [
      "Twilio returns an error code",
      "21610 means opted_out; most others mean rejected_by_twilio. Delivery errors such as 30003 come after sent: the message becomes undelivered, or failed for 30001 and 30002.",
    ],
  },
  Delivery: {
    late_delivery: [
      "The SMS arrives late",
      "Expect sent right away. The message stays sent, not delivered, until the delay is over.",
    ],
  },
  Webhooks: {
    duplicate_webhook: [
      "Twilio calls the webhook twice",
      "Text the service from a phone. Expect one stored message and the same reply to both calls.",
    ],
    out_of_order_webhook: [
      "Webhooks arrive out of order",
      "Text the service twice. Expect each message stored once, in either order.",
    ],
    forged_signature: [
      "The webhook’s signature is forged",
      "Text the service from a phone. Expect 403, no stored message and no reply.",
    ],
  },
  DynamoDB: {
    dynamodb_throttled: [
      "DynamoDB throttles requests",
      "A few failures are absorbed by retries (three attempts per step). Until removed, expect StoreUnavailable: a send that can’t be counted is not made.",
    ],
    dynamodb_away: [
      "DynamoDB is unavailable",
      "A few failures are absorbed by retries (three attempts per step). Until removed, expect StoreUnavailable: without the table, nothing is sent.",
    ],
  },
};
const FAILURE = Object.assign({}, ...Object.values(FAILURES));

const ROTATIONS = {
  both: "At Twilio and in Secrets Manager. The functions notice that their cached secret is stale and fetch the new one, at most once a minute; no request is lost. Before a second rotation, move the clock ahead by a minute.",
  twilio:
    "As if someone rotated it at Twilio without updating Secrets Manager. Expect 403 for webhooks (auth token) or TwilioUnavailable for sends (API key).",
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
  // DynamoDB failures can’t be limited to one phone.
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
  return "Rotated. The new value is shown under “For scripts”.";
}
