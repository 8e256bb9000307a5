// The few words in which views speak to the page. Text is text: nothing here reads HTML.

/**
 * The element of an id, which the page must have.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return /** @type {T} */ (element);
}

/**
 * Text into an element, written only if it differs.
 * @param {Element} element
 * @param {string} text
 */
export function write(element, text) {
  const node = element.firstChild;
  if (node instanceof Text && !node.nextSibling) {
    if (node.data !== text) node.data = text;
  } else if (node || text) element.textContent = text;
}

/**
 * A data- attribute, written only if it differs.
 * @param {HTMLElement} element
 * @param {string} name
 * @param {string} value
 */
export function mark(element, name, value) {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}

/**
 * @param {HTMLElement} element
 * @param {boolean} shown
 */
export function reveal(element, shown) {
  if (element.hidden === shown) element.hidden = !shown;
}

/**
 * A new element. Attributes whose value is false or undefined are left out, functions listen to the event of their name.
 * @param {string} tag
 * @param {Record<string, string | number | boolean | undefined | ((event: any) => void)>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/** What a template holds, anew, in place of all that stands in a box. @param {HTMLElement} box @param {string} id of the template */
export function mount(box, id) {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById(id));
  box.replaceChildren(template.content.cloneNode(true));
}

/** The sign of decimal text, for colours: "up", "down" or "". @param {string | null | undefined} text */
export function tone(text) {
  if (!text || /^-?[0.]*$/.test(text)) return "";
  return text.startsWith("-") ? "down" : "up";
}

/**
 * A moment as people read it, in the zone of their choice.
 * @param {string} iso
 * @param {string} zone utc or local
 * @param {boolean} [date]
 */
export function moment(iso, zone, date = false) {
  if (!iso) return "–";
  if (zone === "utc") return date ? `${iso.slice(0, 10)} ${iso.slice(11, 19)}` : iso.slice(11, 19);
  const at = new Date(iso);
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return date ? `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}` : time;
}

/** @param {number} seconds */
export function lasting(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

/**
 * Copy text; where the browser has no clipboard for us (plain HTTP from elsewhere), by a selection.
 * @param {string} text
 */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = /** @type {HTMLTextAreaElement} */ (make("textarea", { class: "offscreen", "aria-hidden": "true" }));
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}
