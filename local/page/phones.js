// The strip of phones: which phones are shown, which one the app uses, and which one a message belongs to.

import { chosen, refreshGate, systemNow } from "./gate.js";
import { Phone } from "./phone.js";
import { $, ask, attempt, e164, el, forPeople, isE164, kept, reducedMotion } from "./tools.js";

const FIRST_PHONES = ["+14155550123", "+14155550199", "+16135550142"];

/** @type {Map<string, Phone>} by number */
export const phones = new Map();

// Called with a code when it is tapped; set by the app.
let fillIn;

/** Sets the number that the app uses. A code typed for another number is cleared. */
export function setChosenNumber(number) {
  if (number !== chosen.phone) $("check-code").value = "";
  chosen.phone = number;
  kept.set("phone", number);
}

/** Chooses the phone that the app sends to and the gate shows. */
export function choosePhone(number) {
  setChosenNumber(number);
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

/** Fills the selects that list phones. */
function listPhones() {
  const options = () => [...phones.keys()].map((number) => el("option", { value: number }, forPeople(number)));
  $("app-phone").replaceChildren(...options(), el("option", { value: "" }, "Another number…"));
  const faultPhone = $("fault-phone").value;
  $("fault-phone").replaceChildren(el("option", { value: "" }, "all phones"), ...options());
  $("fault-phone").value = phones.has(faultPhone) ? faultPhone : "";
  kept.set("phones", [...phones.keys()]);
  showChosenPhone();
}

/** The phone with this E.164 number; adds it if it is not there yet. */
export function phoneOf(number) {
  let phone = phones.get(number);
  if (!phone) {
    phone = new Phone(number, { now: systemNow, choose: choosePhone, fillIn, remove });
    phone.load([]);
    phones.set(number, phone);
    $("add-phone").before(phone.card);
    listPhones();
  }
  return phone;
}

/** Removes a phone from the system and the page; from the page even if the system reports an error. */
function remove(number) {
  return attempt($("add-note"), async () => {
    try {
      await ask("DELETE", `/phones/${number}`);
    } finally {
      removeCard(number);
    }
    return `Removed ${forPeople(number)}.`;
  });
}

function removeCard(number) {
  phones.get(number)?.card.remove();
  phones.delete(number);
  if (chosen.phone === number && phones.size) setChosenNumber(phones.keys().next().value);
  listPhones();
  refreshGate();
}

let isFirstLoad = true;

/** Replaces the messages shown with these, oldest first. */
export function loadPhones(messages) {
  arrived.splice(0);
  const byNumber = new Map([...phones.keys()].map((number) => [number, []]));
  for (const message of messages.filter(({ number }) => isE164(number))) {
    if (!byNumber.has(message.number)) byNumber.set(message.number, []);
    byNumber.get(message.number).push(message);
  }
  for (const [number, own] of byNumber) phoneOf(number).load(own);
  // While phones are added, browsers keep the strip scrolled to what is after them.
  if (isFirstLoad) phones.get(chosen.phone)?.reveal({ smooth: false });
  isFirstLoad = false;
}

// A script may send a thousand messages in a second, so the page renders them once per frame.
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

/** The messages of this phone were deleted; without a number, those of all phones. */
export function messagesForgotten(number) {
  showArrived();
  for (const phone of number ? [phones.get(number)] : phones.values()) phone?.load([]);
}

/** The buttons that scroll the strip; each is active while there are more phones on its side. */
function startScrollButtons() {
  const strip = $("strip");
  const buttons = [...$("turn").children];
  const show = () => {
    const hidden = { "-1": strip.scrollLeft, 1: strip.scrollWidth - strip.clientWidth - strip.scrollLeft };
    for (const button of buttons) {
      const more = hidden[button.dataset.turn] > 8;
      // `disabled` would drop the keyboard focus at the last phone.
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
  // An added or removed phone changes the content of the strip, not its size.
  new MutationObserver(show).observe(strip, { childList: true });
}

/** Shows the phones of the last visit. `useCode` is called with a code when it is tapped. */
export function startPhones(useCode) {
  fillIn = useCode;
  const numbers = kept.get("phones", Array.isArray, FIRST_PHONES);
  for (const number of numbers.filter(isE164)) phoneOf(number);
  listPhones();
  startScrollButtons();
  $("add-form").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt($("add-note"), async () => {
      const number = e164($("add-number").value);
      if (!number)
        throw new Error("Enter the number in international format: + and 7 to 15 digits, for example +14165550100.");
      $("add-number").value = "";
      phoneOf(number).reveal();
      choosePhone(number);
      return `Added ${forPeople(number)}.`;
    });
  });
}
