// The table of phones: which there are, which one the app uses, and to whom a message belongs.

import { chosen, refreshGate, systemNow } from "./gate.js";
import { Phone } from "./phone.js";
import { $, ask, attempt, e164, el, forPeople, isE164, kept, reducedMotion } from "./tools.js";

const FIRST_PHONES = ["+14155550123", "+14155550199", "+16135550142"];

/** @type {Map<string, Phone>} by number */
export const phones = new Map();

// What a tap on a code does; the app says.
let fillIn;

/** Chooses the number that the app sends to and the gate shows. */
export function choosePhone(number) {
  chosen.phone = number;
  kept.set("phone", number);
  showChosenPhone();
  refreshGate();
}

function showChosenPhone() {
  const listed = phones.has(chosen.phone);
  $("app-phone").value = listed ? chosen.phone : "";
  $("app-other").hidden = listed;
  if (!listed && document.activeElement !== $("app-other")) $("app-other").value = chosen.phone;
  markChosen();
}

export function markChosen() {
  for (const phone of phones.values()) phone.choose(phone.number === chosen.phone);
}

/** The selects that name phones. */
function listPhones() {
  const options = () => [...phones.keys()].map((number) => el("option", { value: number }, forPeople(number)));
  $("app-phone").replaceChildren(...options(), el("option", { value: "" }, "Another number…"));
  const faultPhone = $("fault-phone").value;
  $("fault-phone").replaceChildren(el("option", { value: "" }, "all phones"), ...options());
  $("fault-phone").value = phones.has(faultPhone) ? faultPhone : "";
  kept.set("phones", [...phones.keys()]);
  showChosenPhone();
}

/** The phone of this number, in E.164; it is put on the table if it was not there. */
export function phoneOf(number) {
  let phone = phones.get(number);
  if (!phone) {
    phone = new Phone(number, { now: systemNow, choose: choosePhone, fillIn, forget });
    phone.load([]);
    phones.set(number, phone);
    $("add-phone").before(phone.card);
    listPhones();
  }
  return phone;
}

/** Forgets a phone. Its card goes even if the system refuses, for it would only be in the way. */
function forget(number) {
  return attempt($("add-note"), async () => {
    try {
      await ask("DELETE", `/phones/${number}`);
    } finally {
      removePhone(number);
    }
    return `${forPeople(number)} is forgotten.`;
  });
}

function removePhone(number) {
  phones.get(number)?.card.remove();
  phones.delete(number);
  if (chosen.phone === number && phones.size) kept.set("phone", (chosen.phone = phones.keys().next().value));
  listPhones();
  refreshGate();
}

/** Shows these messages, oldest first, instead of those that were there. */
export function loadPhones(messages) {
  arrived.splice(0);
  const byNumber = new Map([...phones.keys()].map((number) => [number, []]));
  for (const message of messages.filter(({ number }) => isE164(number))) {
    if (!byNumber.has(message.number)) byNumber.set(message.number, []);
    byNumber.get(message.number).push(message);
  }
  for (const [number, own] of byNumber) phoneOf(number).load(own);
}

// A script may send a thousand messages in a second; they are shown once per frame.
const arrived = [];

export function messageArrived(message) {
  if (isE164(message.number) && arrived.push(message) === 1) requestAnimationFrame(showArrived);
}

function showArrived() {
  for (const message of arrived.splice(0)) phoneOf(message.number).upsert(message);
}

export function messageDeleted({ number, sid }) {
  showArrived();
  phones.get(number)?.remove(sid);
}

/** The messages of this phone are gone; without a number, all of them. */
export function messagesForgotten(number) {
  showArrived();
  for (const phone of number ? [phones.get(number)] : phones.values()) phone?.load([]);
}

/** Shows on which side of the strip there are more phones, and turns to them. */
function startTurning() {
  const strip = $("strip");
  const buttons = [...$("turn").children];
  const show = () => {
    const hidden = { "-1": strip.scrollLeft, 1: strip.scrollWidth - strip.clientWidth - strip.scrollLeft };
    for (const button of buttons) {
      const more = hidden[button.dataset.turn] > 8;
      // Not `disabled`, which would take the focus away at the last phone.
      button.setAttribute("aria-disabled", !more);
      strip.classList.toggle(button.dataset.turn === "1" ? "more-right" : "more-left", more);
    }
    $("turn").hidden = strip.scrollWidth - strip.clientWidth <= 8;
  };
  for (const button of buttons) {
    button.addEventListener("click", () => {
      const step = strip.querySelector(".phone").getBoundingClientRect().width;
      strip.scrollBy({ left: button.dataset.turn * step, behavior: reducedMotion.matches ? "auto" : "smooth" });
    });
  }
  strip.addEventListener("scroll", show, { passive: true });
  new ResizeObserver(show).observe(strip);
  // A phone that comes or goes changes what the strip holds, not how large it is.
  new MutationObserver(show).observe(strip, { childList: true });
}

/** Puts the phones of the last visit on the table. `useCode` is told the code that is tapped. */
export function startPhones(useCode) {
  fillIn = useCode;
  const numbers = kept.get("phones", Array.isArray, FIRST_PHONES);
  for (const number of numbers.filter(isE164)) phoneOf(number);
  listPhones();
  startTurning();
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
