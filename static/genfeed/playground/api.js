// The API as any client calls it. The key is in this tab's sessionStorage and in a header, nowhere else.

const BASE = "/api/v1";
const STORED = "genfeed.playground.key";

export const key = {
  get: () => sessionStorage.getItem(STORED) ?? "",
  set: text => sessionStorage.setItem(STORED, text),
  forget: () => sessionStorage.removeItem(STORED),
};

/** An error as the API tells it; `status` 0 where there was no answer at all. */
export class ApiError extends Error {
  constructor(status, body) {
    super(body.message);
    this.status = status;
    this.code = body.code;
    this.hint = body.hint ?? "";
    this.requestId = body.requestId ?? "";
    this.problems = body.details?.problems ?? [];
    this.retryAfter = body.retry_after ?? 0;
  }
}

/** The answer's JSON. `json` is sent as the body, or `form` as a form. Throws ApiError, or AbortError. */
export async function call(path, { method = "GET", json, form, headers = {}, signal, as = key.get() } = {}) {
  const sent = { Authorization: `Bearer ${as}`, Accept: "application/json", ...headers };
  if (json !== undefined) sent["Content-Type"] = "application/json";
  const body = json === undefined ? form : JSON.stringify(json);
  let answer, text;
  try {
    // Without cookies: whoever is signed in as staff acts as the key here, too.
    answer = await fetch(BASE + path, { method, headers: sent, body, signal, credentials: "omit" });
    text = await answer.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { code: "", message: "The server does not answer.", hint: "Look at your connection, then try again." });
  }
  let told;
  try {
    told = JSON.parse(text);
  } catch {
    told = { message: `The server answered ${answer.status}.`, hint: "Try again in a moment." };
    if (answer.ok) throw new ApiError(answer.status, told);
  }
  if (!answer.ok) throw new ApiError(answer.status, told);
  return told;
}

/** Whether the same may well be answered a moment later. */
export const isPassing = error => error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 500);

/** Ids contain slashes, which stay as they are. */
export const modelPath = id => `/models/${id.split("/").map(encodeURIComponent).join("/")}`;

export async function upload(file) {
  const form = new FormData();
  form.append("file", file);
  return call("/uploads", { method: "POST", form });
}
