// A phone: its frame, its conversation, and the field to text the service.
//
// The log is a reversed flex box, whose scroll origin is its end. So the browser keeps the newest message in view, keeps the
// position of a reader who has scrolled up, and allows older messages to be added above later.

import {
  $,
  ask,
  attempt,
  copyButton,
  countryName,
  dayName,
  el,
  forPeople,
  icon,
  origin,
  plural,
  reducedMotion,
  sameDay,
  shortTime,
  timeElement,
} from "./tools.js";

// The newest messages are rendered at once, the older ones in batches while the browser is idle.
const AT_ONCE = 60;
const BATCH = 250;
const MAX_IMAGE_BYTES = 5 * 1024 * 1024;
const whenIdle = window.requestIdleCallback?.bind(window) ?? ((action) => setTimeout(action, 16));

const STATES = {
  accepted: ["waiting", "accepted"],
  queued: ["waiting", "queued"],
  sent: ["sent", "sent"],
  delivered: ["delivered", "delivered"],
  received: ["delivered", "received by the service"],
  undelivered: ["failed", "undelivered"],
  failed: ["failed", "failed"],
};

/** From the phone’s point of view a message has arrived, is under way, or is lost. */
const isLost = ({ status }) => STATES[status]?.[0] === "failed";
const isUnderWay = ({ direction, status }) =>
  direction === "received" && !isLost({ status }) && STATES[status]?.[0] !== "delivered";

/** One phone on the page. The caller adds `card` to the document and passes on messages. */
export class Phone {
  /**
   * @param {string} number in E.164
   * @param {{now: function(), choose: function(string), fillIn: function(string), remove: function(string)}} page the
   *   system's time, and what the page does when this phone is chosen, a code in it is tapped, or it is removed
   */
  constructor(number, page) {
    this.number = number;
    this.page = page;
    this.messages = new Map();
    this.rows = new Map();
    this.lastAt = null;
    this.away = false;
    this.unread = 0;
    this.loading = 0;
    this.card = this.#frame();
  }

  #frame() {
    const name = forPeople(this.number);
    this.list = el("ol");
    this.empty = el("p", { class: "empty" }, "No messages. Send this phone a code, or text the service from here.");
    this.log = el(
      "div",
      {
        class: "log",
        role: "log",
        tabindex: "0",
        "aria-label": `Messages on ${name}`,
        "aria-live": "off",
        "aria-description": "Use the up and down arrows to move between codes",
      },
      this.list,
    );
    this.log.addEventListener("keydown", (event) => this.#otherCode(event));
    this.log.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.pill = el("button", { type: "button", class: "pill", hidden: true, onclick: () => this.#toNewest() });
    this.chooser = el(
      "button",
      { type: "button", class: "quiet choose", onclick: () => this.page.choose(this.number) },
      "Use",
    );
    return el(
      "li",
      { class: "phone", id: `phone-${this.number.slice(1)}`, tabindex: "-1", "data-number": this.number },
      el(
        "article",
        { "aria-label": `Phone ${name}` },
        el(
          "header",
          {},
          el("div", {}, el("h3", {}, name), el("p", {}, countryName(origin(this.number).region))),
          this.chooser,
          el(
            "button",
            {
              type: "button",
              class: "quiet square",
              "aria-label": `Remove ${name}`,
              title: "Remove this phone with its messages, limits, codes and opt-out",
              onclick: () => this.#remove(),
            },
            icon("close"),
          ),
        ),
        el("div", { class: "screen" }, this.log, this.empty, this.pill),
        this.#composer(name),
      ),
    );
  }

  #composer(name) {
    this.text = el("textarea", {
      rows: "1",
      placeholder: "Text the service",
      "aria-label": `Text from ${name}`,
      title: "Enter sends; Shift+Enter adds a line",
    });
    this.file = el("input", {
      type: "file",
      accept: "image/*",
      class: "sr",
      "aria-label": `Attach an image from ${name}`,
      onchange: () => this.#attach(this.file.files[0]),
    });
    this.attached = el("p", { class: "attached", hidden: true });
    this.note = el("p", { class: "note", role: "status" });
    this.text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.form.requestSubmit();
    });
    const attach = el("label", { class: "square", title: "Attach an image" }, this.file, icon("attach"));
    const send = el(
      "button",
      { type: "submit", class: "square send", "aria-label": `Send from ${name}` },
      icon("send"),
    );
    this.form = el(
      "form",
      { novalidate: true, onsubmit: (event) => this.#send(event) },
      this.attached,
      el("div", { class: "compose" }, attach, this.text, send),
      this.note,
    );
    return this.form;
  }

  choose(chosen) {
    this.card.classList.toggle("chosen", chosen);
    this.chooser.textContent = chosen ? "In use" : "Use";
    this.chooser.setAttribute("aria-pressed", chosen);
    this.chooser.setAttribute("aria-label", `${chosen ? "In use" : "Use"}: ${forPeople(this.number)} in your app`);
  }

  /** Replaces the messages shown with these, oldest first. Messages that stay are not rebuilt. */
  load(messages) {
    const shown = [...this.messages.keys()];
    if (shown.length && shown.every((sid, index) => sid === messages[index]?.sid)) messages.forEach(this.upsert, this);
    else this.#replace(messages);
  }

  #replace(messages) {
    const loading = ++this.loading;
    this.messages = new Map(messages.map((message) => [message.sid, message]));
    this.rows.clear();
    this.stop = null;
    this.lastAt = messages.at(-1)?.at_ms ?? null;
    this.empty.hidden = messages.length > 0;
    this.#read();
    // A screen reader announces new messages only, not the history.
    this.log.setAttribute("aria-live", "off");
    let from = Math.max(0, messages.length - AT_ONCE);
    this.list.replaceChildren(this.#batch(messages, from, messages.length));
    const fill = () => {
      if (loading !== this.loading) return;
      if (from === 0) return this.log.setAttribute("aria-live", "polite");
      const to = from;
      from = Math.max(0, from - BATCH);
      this.list.prepend(this.#batch(messages, from, to));
      whenIdle(fill);
    };
    whenIdle(fill);
    this.#stopAtNewest();
  }

  #batch(messages, from, to) {
    const rows = document.createDocumentFragment();
    for (let index = from; index < to; index++) {
      const before = messages[index - 1];
      const message = this.messages.get(messages[index].sid);
      if (!before || !sameDay(before.at_ms, message.at_ms)) rows.append(dayRow(message.at_ms, this.page.now()));
      rows.append(this.#row(message));
    }
    return rows;
  }

  #row(message) {
    const row = messageRow(message, this.page.fillIn);
    this.rows.set(message.sid, row);
    return row;
  }

  /** Only one code of the log is a tab stop, at first the newest; the arrow keys move between codes. */
  #stopAt(row) {
    for (const button of [...(this.stop?.querySelectorAll("button") ?? [])]) button.tabIndex = -1;
    for (const button of row.querySelectorAll("button")) button.tabIndex = 0;
    this.stop = row;
  }

  #stopAtNewest() {
    const newest = [...this.list.querySelectorAll(".code")].at(-1);
    if (newest) this.#stopAt(newest.closest(".bubble"));
    else this.stop = null;
  }

  #otherCode(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const row = event.target.closest(".bubble");
    if (!step || !row) return;
    event.preventDefault();
    const codes = [...this.list.querySelectorAll(".code")];
    const code = codes[codes.indexOf(row.querySelector(".code")) + step];
    if (!code) return;
    this.#stopAt(code.closest(".bubble"));
    code.focus();
  }

  /** Adds a message, or updates one that is shown. */
  upsert(message) {
    const before = this.messages.get(message.sid);
    this.messages.set(message.sid, message);
    if (before) this.#change(before, message);
    else this.#append(message);
  }

  #change(before, message) {
    const row = this.rows.get(message.sid);
    // A message without a row is an older one that is not rendered yet.
    if (!row || JSON.stringify(before) === JSON.stringify(message)) return;
    const content = (of) => JSON.stringify([of.body, of.code, of.media, isLost(of)]);
    if (content(before) === content(message)) {
      row.classList.toggle("underway", isUnderWay(message));
      row.querySelector("footer").replaceWith(messageFooter(message));
      return;
    }
    const focused = row.contains(document.activeElement);
    row.replaceWith(this.#row(message));
    if (focused) this.log.focus({ preventScroll: true });
    if (this.stop === row) this.#stopAtNewest();
  }

  /** Removes a deleted message. */
  remove(sid) {
    if (!this.messages.delete(sid)) return;
    const left = [...this.messages.values()];
    const row = this.rows.get(sid);
    // It is not rendered yet, or was the only one: render the rest again.
    if (!row || left.length === 0) {
      this.#replace(left);
      return;
    }
    const day = row.previousElementSibling;
    const alone = day?.matches(".day") && !row.nextElementSibling?.matches(".bubble");
    if (alone) day.remove();
    row.remove();
    this.rows.delete(sid);
    this.lastAt = left.at(-1).at_ms;
    if (this.stop === row) this.#stopAtNewest();
  }

  #append(message) {
    if (this.lastAt === null || !sameDay(this.lastAt, message.at_ms))
      this.list.append(dayRow(message.at_ms, this.page.now()));
    this.lastAt = message.at_ms;
    const added = this.#row(message);
    added.classList.add("new");
    this.list.append(added);
    if (added.querySelector(".code") && !this.stop?.contains(document.activeElement)) this.#stopAt(added);
    this.empty.hidden = true;
    if (this.away) this.#unread();
  }

  /** Scrolls the strip, but not the page, until the phone is in view. */
  reveal({ smooth = true } = {}) {
    const strip = this.card.parentElement;
    const { left, right } = this.card.getBoundingClientRect();
    const frame = strip.getBoundingClientRect();
    if (left >= frame.left - 8 && right <= frame.right + 8) return;
    strip.scrollBy({ left: left - frame.left - 4, behavior: smooth && !reducedMotion.matches ? "smooth" : "instant" });
  }

  #scrolled() {
    // In a reversed box the newest message is at 0 and older ones are at negative offsets.
    this.away = this.log.scrollTop < -48;
    if (!this.away) this.#read();
  }

  #unread() {
    this.unread += 1;
    this.pill.replaceChildren(plural(this.unread, "new message"), icon("down"));
    this.pill.hidden = false;
  }

  #read() {
    this.unread = 0;
    this.pill.hidden = true;
  }

  #toNewest() {
    this.log.scrollTop = 0;
    if (document.activeElement === this.pill) this.log.focus({ preventScroll: true });
    this.#read();
  }

  async #attach(file) {
    await attempt(this.note, async () => {
      this.image = null;
      if (file && !file.type.startsWith("image/")) throw new Error(`${file.name} is not an image.`);
      if (file && file.size > MAX_IMAGE_BYTES)
        throw new Error(`${file.name} is larger than 5 MB, the limit for an MMS.`);
      if (file) this.image = await dataUrl(file);
      const drop = el(
        "button",
        { type: "button", class: "quiet square", "aria-label": "Remove the image", onclick: () => this.#drop() },
        icon("close"),
      );
      this.attached.replaceChildren(
        ...(file ? [el("img", { src: this.image, alt: "" }), el("span", {}, file.name), drop] : []),
      );
      this.attached.hidden = !file;
    });
    if (!this.image) this.#drop();
  }

  #drop() {
    this.image = null;
    this.file.value = "";
    this.attached.hidden = true;
    this.text.focus({ preventScroll: true });
  }

  async #send(event) {
    event.preventDefault();
    const body = this.text.value;
    if (body.trim() === "" && !this.image) return;
    const media = this.image ? { media: [this.image] } : {};
    this.text.value = "";
    this.#drop();
    this.#toNewest();
    await attempt(this.note, async () => {
      const { value } = await ask("POST", `/phones/${this.number}/messages`, { body, ...media }).catch((error) => {
        // Keep the text, so that it can be sent again.
        this.text.value ||= body;
        throw error;
      });
      const { status, error } = value.webhook;
      if (error) throw new Error(status === null ? `The service did not answer: ${error}` : `Twilio reports ${error}`);
      if (status >= 300) throw new Error(`The service answered ${status}: see Activity.`);
    });
  }

  async #remove() {
    const next = this.card.nextElementSibling;
    await this.page.remove(this.number);
    (next?.querySelector("button:not([hidden])") ?? $("add-number")).focus();
  }
}

const dataUrl = (file) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result));
    reader.addEventListener("error", () => reject(new Error(`${file.name} can’t be read.`)));
    reader.readAsDataURL(file);
  });

const dayRow = (ms, now) => el("li", { class: "day" }, sameDay(ms, now) ? "Today" : dayName.format(ms));

/** A bubble. `received` and `sent` are from the phone’s point of view. */
function messageRow(message, fillIn) {
  return el(
    "li",
    {
      class: `bubble ${message.direction}${isLost(message) ? " lost" : ""}${isUnderWay(message) ? " underway" : ""}`,
      "data-sid": message.sid,
    },
    el("span", { class: "sr" }, message.direction === "sent" ? "Texted: " : "Received: "),
    message.body
      ? el("p", { class: "text" }, ...textWithCode(message, fillIn))
      : message.media.length === 0 && el("p", { class: "text gone" }, "Redacted"),
    ...message.media.map(attachment),
    messageFooter(message),
  );
}

/** The text with the code as a button, except in a message that never reached the phone. */
function textWithCode(message, fillIn) {
  const { body, code } = message;
  const at = code && !isLost(message) ? body.indexOf(code) : -1;
  if (at < 0) return [body];
  const use = el(
    "button",
    {
      type: "button",
      class: "code",
      tabindex: "-1",
      title: "Fill in this code",
      "aria-label": `Fill in the code ${code}`,
      onclick: () => fillIn(code),
    },
    code,
  );
  const copy = copyButton(`Copy the code ${code}`, () => code);
  copy.tabIndex = -1;
  return [body.slice(0, at), el("span", { class: "nowrap" }, use, copy), body.slice(at + code.length)];
}

function messageFooter(message) {
  const [symbol, words] = STATES[message.status] ?? ["waiting", message.status];
  const failed = symbol === "failed";
  const text = failed && message.error_code ? `${words}, ${message.error_code}` : words;
  return el(
    "footer",
    { "aria-live": "off" },
    timeElement(message.at_ms, shortTime),
    message.segments > 1 &&
      el("span", { title: "A text this long is sent and billed as several segments" }, `${message.segments} segments`),
    el(
      "span",
      { class: `state ${symbol}`, title: text },
      icon(symbol),
      el("span", { class: failed ? "" : "sr" }, text),
    ),
  );
}

/** Shows an image that the local system stores; names any other, because the page fetches nothing from elsewhere. */
function attachment({ url, source, content_type: type }) {
  const ours = typeof url === "string" && /^\/(?!\/)/.test(url);
  if (!ours)
    return el(
      "p",
      { class: "chip", title: `${source} (not fetched)` },
      icon("image"),
      el("span", {}, source?.replace(/^https?:\/\//, "") ?? "Attachment"),
    );
  if (type?.startsWith("image/"))
    return el(
      "a",
      { class: "image", href: url, target: "_blank", rel: "noopener" },
      el("img", { src: url, alt: "Attached image, opens in a new tab", loading: "lazy", decoding: "async" }),
    );
  return el(
    "a",
    { class: "chip", href: url, target: "_blank", rel: "noopener" },
    icon("image"),
    el("span", {}, type ?? "Attachment"),
  );
}
