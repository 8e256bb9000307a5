// Requests: one way to make them, a log of them, and the same as curl and as Python. The page never sees a token, so what
// is copied says $TOKEN and how to get one.

const TIMEOUT_MS = 15_000;

/**
 * @typedef {object} Answered
 * @property {boolean} ok
 * @property {number} status 0: no answer came
 * @property {any} body
 */

export class Api {
  #store;
  #base;
  #number = 0;
  /** Called when a request finds that nobody is signed in. @type {() => void} */
  onSignedOut = () => {};
  /** Called with each request that changed something. @type {((request: import("./store.js").LoggedRequest) => void)[]} */
  doneWatchers = [];

  /**
   * @param {import("./store.js").Store} store
   * @param {string} base where the API is, with no slash at its end
   * @param {string} calls those that the server has, as `METHOD:/path`
   */
  constructor(store, base, calls) {
    this.#store = store;
    this.#base = base;
    this.calls = new Set(calls.split(" "));
  }

  /** Whether the server has this call. @param {string} call `METHOD:/path` */
  has(call) {
    return this.calls.has(call);
  }

  /** @param {string} path below the prefix */
  address(path) {
    return this.#base + path;
  }

  /** @param {string} path @param {boolean} [logged] */
  get(path, logged = true) {
    return this.call("GET", path, undefined, logged);
  }

  /** @param {string} path @param {unknown} [body] */
  post(path, body) {
    return this.call("POST", path, body);
  }

  /**
   * @param {string} method
   * @param {string} path below the prefix
   * @param {unknown} [body]
   * @param {boolean} [logged]
   * @returns {Promise<Answered>}
   */
  async call(method, path, body, logged = true) {
    const began = performance.now();
    const request = {
      id: ++this.#number, method, path, body, status: 0, code: "", milliseconds: 0, requestId: "", answer: /** @type {unknown} */ (null),
    };
    if (logged) this.#store.logRequest(request);
    /** @type {Answered} */
    let answered = { ok: false, status: 0, body: { code: "no_answer", message: "The exchange does not answer" } };
    try {
      const response = await fetch(this.address(path), {
        method,
        credentials: "same-origin",
        headers: body === undefined ? {} : { "Content-Type": "application/json" },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      request.requestId = response.headers.get("X-Request-ID") ?? "";
      answered = { ok: response.ok, status: response.status, body: await response.json() };
    } catch {
      // no answer, or half of one: the outcome is not known
    }
    request.status = answered.status || -1;
    request.code = answered.ok ? "" : (answered.body?.code ?? "");
    request.milliseconds = performance.now() - began;
    request.answer = answered.body;
    if (logged) this.#store.logRequest(request);
    if (answered.status === 401 && this.#store.email) this.onSignedOut();
    if (method !== "GET") for (const watcher of this.doneWatchers) watcher(request);
    return answered;
  }

  get #tokenLine() {
    return `TOKEN=$(python -m exness token ${this.#store.email || "you@example.com"})`;
  }

  /** @param {{method: string, path: string, body?: unknown}} request */
  asCurl({ method, path, body }) {
    const lines = needsToken(path) ? [this.#tokenLine] : [];
    const parts = [`curl -s -X ${method} '${this.#base}${path}'`];
    if (needsToken(path)) parts.push(`-H "Authorization: Bearer $TOKEN"`);
    if (body !== undefined) {
      parts.push(`-H 'Content-Type: application/json'`, `-d '${JSON.stringify(body).replaceAll("'", "'\\''")}'`);
    }
    return [...lines, parts.join(" \\\n  ")].join("\n") + "\n";
  }

  /** @param {{method: string, path: string, body?: unknown}} request */
  asPython({ method, path, body }) {
    const headers = [];
    if (needsToken(path)) headers.push(`"Authorization": f"Bearer {os.environ['TOKEN']}"`);
    if (body !== undefined) headers.push(`"Content-Type": "application/json"`);
    return [
      ...(needsToken(path) ? [`# export ${this.#tokenLine}`] : []),
      "import json",
      ...(needsToken(path) ? ["import os"] : []),
      "import urllib.request",
      "",
      "request = urllib.request.Request(",
      `    ${JSON.stringify(this.#base + path)},`,
      `    method="${method}",`,
      ...(body === undefined ? [] : [`    data=json.dumps(${pythonOf(body)}).encode(),`]),
      `    headers={${headers.join(", ")}},`,
      ")",
      "print(json.load(urllib.request.urlopen(request)))",
      "",
    ].join("\n");
  }
}

const PUBLIC = ["/prices", "/klines", "/supportedAssets", "/dev/", "/signin", "/signup", "/rates"];

/** @param {string} path */
function needsToken(path) {
  return !PUBLIC.some((each) => path.startsWith(each));
}

/**
 * Plain data as Python writes it.
 * @param {unknown} value
 * @returns {string}
 */
export function pythonOf(value) {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(pythonOf).join(", ")}]`;
  if (typeof value === "object") {
    return `{${Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${pythonOf(each)}`).join(", ")}}`;
  }
  return JSON.stringify(value);
}

/** The id of something that is asked for: kept until it is known what came of it, so that asking again does it once. */
export class Intent {
  id = newId();

  /** Something else is meant from now on. */
  renew() {
    this.id = newId();
  }

  /** @param {Answered} answered after 408, 5xx but 503 and no answer at all nobody knows what was done */
  settle({ ok, status }) {
    if (ok || (status >= 400 && status < 500) || status === 503) this.renew();
  }
}

/** An id nobody else has, also where the page comes by plain HTTP. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `web-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
