// The page: key, model, form with its price, job, result, and the same in code.

import { ApiError, call, isPassing, key, modelPath } from "./api.js";
import { byId, debounced, make } from "./dom.js";
import { Facts } from "./facts.js";
import { buildField } from "./fields.js";
import { follow, hasEnded } from "./following.js";
import { clearResult, showResult } from "./result.js";
import { snippets } from "./snippets.js";

let model = null;
let fields = [];
const facts = new Facts(byId("facts"), () => changed());
let estimating = null;
let running = null;
// The last request of Run and its key: it is sent again under the same one where it was not answered.
let attempt = { body: "", key: "" };

// --- Errors ---------------------------------------------------------------------------------------------------------

function tellError(where, error) {
  if (!(error instanceof ApiError)) throw error;
  where.replaceChildren(make("p", {}, make("strong", {}, error.message)));
  if (error.hint) where.append(make("p", {}, error.hint));
  for (const problem of error.problems) where.append(make("p", {}, `${problem.path}: ${problem.message}. ${problem.hint ?? ""}`));
  if (error.requestId) where.append(make("p", { class: "quiet" }, `${error.code} · ${error.requestId}`));
}

/** Puts each problem of an answer at its field. */
function tellFields(problems) {
  for (const field of fields) {
    const own = problems.filter(problem => problem.path.split(/[.[]/)[0] === field.name);
    field.tell(own.map(problem => [problem.message, problem.hint].filter(Boolean).join("; ")).join(". "));
  }
}

// --- Key ------------------------------------------------------------------------------------------------------------

async function useKey(text) {
  const state = byId("key-state");
  state.classList.remove("error");
  state.textContent = "Looking …";
  byId("key-form").hidden = text === key.get();
  try {
    await call("/models?limit=1", { as: text });
  } catch (error) {
    state.classList.add("error");
    byId("key-form").hidden = false;
    return tellError(state, error);
  }
  key.set(text);
  byId("key").value = "";
  byId("key-form").hidden = true;
  byId("key-forget").hidden = false;
  byId("choosing").hidden = false;
  const mode = text.startsWith("gf_test_") ? "a test key, nothing costs money" : "a live key, jobs are charged";
  state.textContent = `In use: ${text.slice(0, text.startsWith("gf_test_") ? 12 : 7)}… (${mode}).`;
  const wanted = new URLSearchParams(location.search).get("model");
  await (wanted ? choose(wanted) : search());
}

function forgetKey() {
  key.forget();
  running?.abort();
  location.reload();
}

// --- Choosing a model -----------------------------------------------------------------------------------------------

let searches = 0;

async function search() {
  const mine = ++searches;
  const words = byId("search").value.trim();
  let page;
  try {
    page = await call(`/models?${new URLSearchParams({ limit: 30, ...(words && { q: words }) })}`);
  } catch (error) {
    return tellError(byId("search-state"), error);
  }
  if (mine !== searches) return;
  const count = page.items.length;
  byId("search-state").textContent = count === 0 ? "No model has all of these words." : page.next_cursor ? `The first ${count}; more words find fewer.` : `${count} found.`;
  byId("found").replaceChildren(...page.items.map(found));
}

function found(one) {
  const unit = (one.price.unit ?? "").replace(/^(\D*[^s\d])s$/, "$1");
  const price = one.price.amount ? `${one.price.varies ? "from " : ""}${one.price.amount} USD per ${unit}` : "price by input";
  const button = make("button", { type: "button" }, one.name, make("small", {}, `${one.id} · ${one.category} · ${price}`));
  button.addEventListener("click", () => choose(one.id, one.provider));
  return make("li", {}, button);
}

/** The model with `named`, the id that means it alone: two providers may have one of the same name. */
async function find(id, provider) {
  try {
    return { ...(await call(modelPath(id))), named: id };
  } catch (error) {
    if (error.code !== "model_ambiguous" || !provider) throw error;
    return { ...(await call(modelPath(`${provider}:${id}`))), named: `${provider}:${id}` };
  }
}

async function choose(id, provider = "") {
  let chosen;
  try {
    chosen = await find(id, provider);
  } catch (error) {
    return tellError(byId("search-state"), error);
  }
  byId("found").replaceChildren();
  byId("search-state").textContent = "";
  byId("search").value = "";
  history.replaceState(null, "", `?${new URLSearchParams({ model: chosen.named })}`);
  running?.abort();
  byId("job").hidden = true;
  show(chosen);
}

function show(chosen) {
  model = chosen;
  byId("chosen").textContent = chosen.name;
  byId("chosen-id").textContent = `${chosen.id} · ${chosen.provider} · ${chosen.category}`;
  byId("chosen-words").textContent = chosen.description;
  byId("trouble").replaceChildren();
  facts.clear();
  fields = chosen.inputs.map(field => ({ isRequired: field.required, ...buildField(field, changed) }));
  const elements = isRequired => fields.filter(field => field.isRequired === isRequired).map(field => field.element);
  const optional = elements(false);
  byId("required").replaceChildren(...elements(true));
  byId("optional").replaceChildren(...optional);
  byId("more").hidden = optional.length === 0;
  byId("more").open = optional.length === fields.length;
  byId("more-title").textContent = `Options (${optional.length})`;
  for (const part of ["running", "code"]) byId(part).hidden = false;
  changed();
  byId("chosen").focus();
}

// --- Input, price, code ---------------------------------------------------------------------------------------------

/** The input as it stands, and what is wrong with it here: [{field, problem, isMissing}]. */
function readInput() {
  const input = {}, wrong = [];
  for (const field of fields) {
    const { value, problem, isMissing } = field.read();
    if (problem) wrong.push({ field, problem, isMissing });
    else if (value !== undefined) input[field.name] = value;
  }
  return { input, wrong };
}

const bodyOf = input => ({ model: model.named, input, ...(facts.given() && { media: facts.given() }) });

function changed() {
  const { input, wrong } = readInput();
  // What is still empty is no error before it is run.
  for (const field of fields) field.tell(wrong.find(one => one.field === field && !one.isMissing)?.problem ?? "");
  showSnippet(input);
  if (wrong.length) {
    estimating?.abort();
    showPrice("", "", `The price follows once there is a right value in: ${wrong.map(one => one.field.name).join(", ")}.`);
  }
  estimateSoon();
}

const estimateSoon = debounced(estimate, 350);

async function estimate() {
  const { input, wrong } = readInput();
  if (wrong.length) return;
  estimating?.abort();
  estimating = new AbortController();
  try {
    const told = await call("/estimates", { method: "POST", json: bodyOf(input), signal: estimating.signal });
    const isRange = told.low !== null && told.high !== null && told.low !== told.high;
    const atMost = told.confidence === "bounded" ? "At most " : "";
    const price = told.price === null ? "Unknown" : `${atMost}${told.price} ${told.currency}`;
    facts.ask(told.missing.filter(name => !fields.some(field => field.name === name)));
    const missing = told.missing.length ? ` Not known: ${told.missing.join(", ")}.` : "";
    showPrice(price, `${told.confidence}${isRange ? `, ${told.low} to ${told.high} ${told.currency}` : ""}`, told.basis + missing);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof ApiError)) throw error;
    tellFields(error.problems);
    showPrice("No price", "", `${error.message} ${error.hint}`);
  }
}

function showPrice(price, confidence, basis) {
  byId("price").textContent = price;
  byId("confidence").textContent = confidence && `(${confidence})`;
  byId("basis").textContent = basis;
}

function showSnippet(input = readInput().input) {
  const language = document.querySelector("input[name=language]:checked").value;
  byId("snippet").textContent = snippets[language](`${location.origin}/api/v1`, bodyOf(input));
  byId("copied").textContent = "";
}

async function copy() {
  const text = byId("snippet").textContent;
  try {
    await navigator.clipboard.writeText(text);
    byId("copied").textContent = "Copied.";
  } catch {
    // There is no clipboard for pages of plain http.
    getSelection().selectAllChildren(byId("snippet"));
    byId("copied").textContent = document.execCommand("copy") ? "Copied." : "It is selected: copy it with the keyboard.";
  }
}

// --- Running --------------------------------------------------------------------------------------------------------

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `playground-${Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join("")}`;
}

async function run() {
  const { input, wrong } = readInput();
  byId("trouble").replaceChildren();
  for (const field of fields) field.tell(wrong.find(one => one.field === field)?.problem ?? "");
  if (wrong.length) {
    if (wrong.some(one => !one.field.isRequired)) byId("more").open = true;
    wrong[0].field.focus();
    return;
  }
  const body = JSON.stringify(bodyOf(input));
  if (attempt.body !== body) attempt = { body, key: newKey() };
  byId("run").disabled = true;
  running?.abort();
  const mine = running = new AbortController();
  let settled = true;
  try {
    const headers = { "Idempotency-Key": attempt.key };
    const job = await call("/jobs", { method: "POST", json: bodyOf(input), headers });
    await watch(job, mine.signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    settled = error.status === 429 || !isPassing(error);
    tellFields(error.problems ?? []);
    tellError(byId("trouble"), error);
  } finally {
    if (settled) attempt = { body: "", key: "" };
    byId("run").disabled = false;
    byId("job-bar").hidden = byId("cancel").hidden = true;
  }
}

async function watch(job, signal) {
  clearResult();
  byId("job").hidden = false;
  byId("job").scrollIntoView({ block: "nearest" });
  byId("job-log").replaceChildren();
  byId("job-log").hidden = true;
  byId("job-bar").hidden = byId("cancel").hidden = false;
  byId("cancel").onclick = () => cancel(job);
  byId("job-state").textContent = `${job.id}: queued.`;
  const told = (type, data) => {
    if (type === "job_started") byId("job-state").textContent = `${job.id}: running.`;
    if (type === "job_progress") progress(job, data);
  };
  const seen = now => {
    if (!hasEnded(now)) byId("job-state").textContent = `${job.id}: ${now.status}.`;
  };
  const ended = await follow(job, { told, seen, signal });
  if (signal.aborted) return;
  const charge = ended.charge === null ? "" : `, ${ended.charge} USD ${ended.livemode ? "charged" : "would be charged"}`;
  byId("job-state").textContent = `${ended.id}: ${ended.status}${charge}.`;
  for (const one of [ended.error, ...ended.warnings].filter(Boolean)) byId("job-state").append(make("p", { class: "error" }, `${one.message} ${one.hint}`));
  showResult(ended);
}

function progress(job, data) {
  if (typeof data.queue_position === "number") byId("job-state").textContent = `${job.id}: queued, ${data.queue_position} ahead.`;
  for (const line of data.logs ?? []) {
    byId("job-log").hidden = false;
    byId("job-log").append(make("p", {}, line.message));
    byId("job-log").scrollTop = byId("job-log").scrollHeight;
  }
}

async function cancel(job) {
  byId("cancel").disabled = true;
  try {
    const now = await call(`/jobs/${job.id}/cancel`, { method: "POST" });
    byId("job-state").textContent = `${job.id}: ${now.status}.`;
  } catch (error) {
    tellError(byId("trouble"), error);
  } finally {
    byId("cancel").disabled = false;
  }
}

// --- Wiring ---------------------------------------------------------------------------------------------------------

byId("key-form").addEventListener("submit", event => {
  event.preventDefault();
  if (byId("key").value.trim()) useKey(byId("key").value.trim());
});
byId("key-forget").addEventListener("click", forgetKey);
byId("search").addEventListener("input", debounced(search, 250));
byId("input").addEventListener("submit", event => {
  event.preventDefault();
  if (!byId("run").disabled) run();
});
byId("code").addEventListener("change", () => showSnippet());
byId("copy").addEventListener("click", copy);
if (key.get()) useKey(key.get());
