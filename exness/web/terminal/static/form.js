// What forms have in common: the server's sentence stands at the field that it is about, figures stand in lists, and trailing
// stops are written in one way.

import { byId, make, write } from "./dom.js";
import { parse } from "./money.js";

/** Finer than any price. */
const LEVEL_PLACES = 12;

/** What stands in a field. @param {string} id */
export function value(id) {
  return /** @type {HTMLInputElement} */ (byId(id)).value.trim();
}

/** Without zeros that say nothing: for fields. @param {string} text */
export function plain(text) {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** A percentage as the API has it, in whole hundredths; what is none is sent as it is, for the server to refuse. @param {string} text */
export function hundredthsOf(text) {
  const parsed = parse(text, 2);
  return parsed === null ? text : Number(parsed);
}

/**
 * The server's sentence, at the field that it is about; where none is, at the last place of the form.
 * @param {HTMLFormElement} form
 * @param {{code: string, message: string, details?: any}} refusal
 * @param {Record<string, string>} [fieldOf] the field of codes that name none
 */
export function refuse(form, { code, message, details }, fieldOf = {}) {
  const places = /** @type {HTMLElement[]} */ ([...form.querySelectorAll(".error")]);
  const told = Array.isArray(details) && details.length ? details : [{ field: fieldOf[code] ?? details?.figure ?? "", message }];
  for (const { field, message: why } of told) {
    const place = places.find((each) => each.dataset.field?.split(" ").includes(field)) ?? places[places.length - 1];
    write(place, place.textContent ? `${place.textContent} ${why}` : why);
    const more = place.closest("details");
    if (more) more.open = true;
    form.querySelector(`[aria-describedby="${place.id}"]`)?.setAttribute("aria-invalid", "true");
  }
}

/** The field of an exit that would be due at once; nothing: it is none of them. @param {any} details @param {string} prefix of the ids */
export function dueAt(details, prefix) {
  const level = parse(details?.level, LEVEL_PLACES);
  if (level === null) return "";
  return level === parse(value(`${prefix}take-profit`), LEVEL_PLACES) ? "takeProfit" : level === parse(value(`${prefix}stop-loss`), LEVEL_PLACES) ? "stopLoss" : "";
}

/** @param {HTMLFormElement} form */
export function clearErrors(form) {
  for (const place of form.querySelectorAll(".error")) write(place, "");
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
}

/**
 * The trailing stop that the fields `PREFIX-trailing`, `-trailing-unit` and `-activation` say; null: none.
 * @param {string} prefix
 */
export function trailingOf(prefix) {
  const [behind, unit, activation] = [`${prefix}-trailing`, `${prefix}-trailing-unit`, `${prefix}-activation`].map(value);
  if (!behind && !activation) return null;
  return { ...(unit === "percent" ? { percent: hundredthsOf(behind) } : { distance: behind }), ...(activation ? { activation } : {}) };
}

/** A list of figures, whose texts are compared and whose names are made anew only when others are told. */
export class Figures {
  /** @type {Map<string, HTMLElement>} */
  #lines = new Map();

  /** @param {HTMLElement} list a `dl` */
  constructor(list) {
    this.list = list;
  }

  /** @param {[string, string, boolean?][]} lines name, text, whether it stands out */
  show(lines) {
    const names = lines.map(([name]) => name);
    if (names.join() !== [...this.#lines.keys()].join()) {
      this.#lines = new Map(names.map((name) => [name, make("dd", {})]));
      this.list.replaceChildren(...names.flatMap((name) => [make("dt", {}, name), /** @type {HTMLElement} */ (this.#lines.get(name))]));
    }
    for (const [name, text, strong] of lines) {
      const line = /** @type {HTMLElement} */ (this.#lines.get(name));
      write(line, text);
      line.classList.toggle("strong", strong === true);
    }
  }
}
