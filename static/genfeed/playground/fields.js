// One control for each field of a model's input, as GET /models/{id} describes it.

import { make } from "./dom.js";
import { upload } from "./api.js";

const LONG = /prompt|text|lyrics|script|description/;
const ACCEPTS = { image: "image/*", video: "video/*", audio: "audio/*" };
const OWN = "own";
const nothing = { value: undefined };
const bad = problem => ({ problem });
const show = value => (typeof value === "string" ? value : JSON.stringify(value));

/** {name, element, read(), tell(problem)}; read() gives {value} (undefined: left out) or {problem}. */
export function buildField(field, onChange) {
  const id = `field-${field.name}`;
  const hint = make("p", { id: `${id}-hint`, class: "quiet" }, hintOf(field));
  const trouble = make("p", { id: `${id}-trouble`, class: "error" });
  const control = controlOf(field, id, onChange);
  const label = make("label", { for: id }, field.title || field.name, field.required ? " (required)" : "");
  const described = `${hint.id} ${trouble.id}`;
  control.main.setAttribute("aria-describedby", described);
  if (field.required) control.main.setAttribute("aria-required", "true");
  const isCheck = control.main.type === "checkbox";
  const body = isCheck ? [make("div", { class: "check" }, control.main, label)] : [label, ...control.parts];
  const element = make("div", { class: "field" }, ...body, hint, trouble);
  element.addEventListener("input", onChange);
  return {
    name: field.name,
    element,
    focus: () => control.main.focus(),
    read() {
      const read = control.read();
      const isMissing = field.required && !read.problem && read.value === undefined;
      return isMissing ? { problem: "This field is required.", isMissing } : read;
    },
    tell(problem) {
      trouble.textContent = problem;
      if (problem) control.main.setAttribute("aria-invalid", "true");
      else control.main.removeAttribute("aria-invalid");
    },
  };
}

const plain = text => (text ?? "").replaceAll("_", " ").trim().toLowerCase();

function hintOf(field) {
  const isNews = ![plain(field.title), plain(field.name)].includes(plain(field.description));
  const parts = [isNews ? field.description : ""];
  const [low, high] = [field.minimum ?? field.exclusive_minimum, field.maximum ?? field.exclusive_maximum];
  if (low !== undefined) parts.push(field.minimum !== undefined ? `At least ${low}.` : `More than ${low}.`);
  if (high !== undefined) parts.push(field.maximum !== undefined ? `At most ${high}.` : `Less than ${high}.`);
  if (field.max_items !== undefined) parts.push(`At most ${field.max_items} entries.`);
  const inner = field.fields ?? field.items?.fields;
  if (inner) parts.push(`${field.fields ? "Fields" : "Fields of each entry"}: ${inner.map(one => one.name + (one.required ? " (required)" : "")).join(", ")}.`);
  return parts.filter(Boolean).join(" ");
}

function controlOf(field, id, onChange) {
  if (field.enum) return choice(field, id, field.enum);
  if (field.presets) return choice(field, id, field.presets, json({ ...field, default: undefined }, `${id}-own`, onChange));
  if (field.type === "boolean") return typeof field.default === "boolean" ? check(field, id) : choice(field, id, [true, false]);
  if (field.type === "integer" || field.type === "number") return number(field, id);
  if (field.media && field.type === "string") return files(field, id, onChange);
  if (field.type === "array" && field.media && field.items?.type === "string") return files(field, id, onChange);
  return field.type === "string" ? text(field, id) : json(field, id, onChange);
}

function choice(field, id, values, own) {
  const unsaid = field.default === undefined || field.default === null ? "(not set)" : `${show(field.default)} (default)`;
  const main = make("select", { id }, make("option", { value: "" }, field.required ? "Choose …" : unsaid));
  values.forEach((value, index) => {
    if (field.required || value !== field.default) main.append(make("option", { value: index }, show(value)));
  });
  if (!own) return { main, parts: [main], read: () => (main.value === "" ? nothing : { value: values[main.value] }) };
  main.append(make("option", { value: OWN }, "a value of its own, as JSON"));
  const box = make("div", { hidden: true }, make("label", { for: own.main.id }, `${field.title || field.name} as JSON`), ...own.parts);
  main.addEventListener("input", () => { box.hidden = main.value !== OWN; });
  const read = () => (main.value === "" ? nothing : main.value === OWN ? own.read() : { value: values[main.value] });
  return { main, parts: [main, box], read };
}

function check(field, id) {
  const main = make("input", { id, type: "checkbox", checked: field.default });
  const read = () => (main.checked === field.default && !field.required ? nothing : { value: main.checked });
  return { main, parts: [main], read };
}

function number(field, id) {
  const isWhole = field.type === "integer";
  const bound = (plain, exclusive, step) => plain ?? (isWhole && exclusive !== undefined ? Math.floor(exclusive) + step : exclusive);
  const main = make("input", {
    id, type: "number", inputmode: isWhole ? "numeric" : "decimal", step: isWhole ? 1 : "any", placeholder: field.default,
    min: bound(field.minimum, field.exclusive_minimum, 1), max: bound(field.maximum, field.exclusive_maximum, -1),
  });
  const read = () => {
    if (!main.checkValidity()) return bad(main.validationMessage);
    return main.value === "" ? nothing : { value: Number(main.value) };
  };
  return { main, parts: [main], read };
}

function text(field, id) {
  const isLong = LONG.test(field.name) && !(field.max_length < 100);
  const given = { id, maxlength: field.max_length, placeholder: field.default ?? field.examples?.[0], spellcheck: isLong };
  const main = isLong ? make("textarea", { ...given, rows: 3 }) : make("input", { ...given, type: "text" });
  const read = () => {
    if (main.value === "") return nothing;
    const least = field.min_length ?? 0;
    return main.value.length < least ? bad(`At least ${least} characters.`) : { value: main.value };
  };
  return { main, parts: [main], read };
}

/** An address, or a file that is uploaded and named by its id; of a list, one a line. */
function files(field, id, onChange) {
  const isList = field.type === "array";
  const words = isList ? "https://… or asset:ast_…, one a line" : "https://… or asset:ast_…";
  const main = isList
    ? make("textarea", { id, rows: 3, placeholder: words, spellcheck: "false" })
    : make("input", { id, type: "text", placeholder: words, spellcheck: "false" });
  const lines = () => main.value.split("\n").map(line => line.trim()).filter(Boolean);
  const picker = filePicker(field, id, isList, reference => {
    main.value = isList ? [...lines(), reference].join("\n") : reference;
    onChange();
  });
  const read = () => (lines().length ? { value: isList ? lines() : lines()[0] } : nothing);
  return { main, parts: [main, ...picker], read };
}

function filePicker(field, id, isList, take) {
  const state = make("p", { class: "quiet", role: "status" });
  const name = field.title || field.name;
  const input = make("input", { type: "file", id: `${id}-file`, accept: ACCEPTS[field.media], multiple: isList, "aria-label": `Upload: ${name}` });
  input.addEventListener("change", async () => {
    for (const file of input.files) {
      state.textContent = `Uploading ${file.name} …`;
      try {
        const made = await upload(file);
        take(`asset:${made.id}`);
        state.textContent = `${file.name} is uploaded as ${made.id}.`;
      } catch (error) {
        state.textContent = `${file.name}: ${error.message} ${error.hint ?? ""}`;
        break;
      }
    }
    input.value = "";
  });
  return [input, state];
}

/** Objects, lists and whatever else: as JSON, of the right kind. */
function json(field, id, onChange) {
  const wanted = { array: "a list: [ … ]", object: "an object: { … }" }[field.type];
  const example = field.default ?? field.examples?.[0];
  const main = make("textarea", {
    id, rows: 4, class: "json", spellcheck: "false", placeholder: example === undefined ? wanted ?? "any JSON value" : JSON.stringify(example),
  });
  const parse = () => {
    if (main.value.trim() === "") return nothing;
    let value;
    try {
      value = JSON.parse(main.value);
    } catch (error) {
      return bad(`This is no JSON yet: ${error.message}`);
    }
    const kind = Array.isArray(value) ? "array" : value === null ? "null" : typeof value;
    const isPreset = (field.presets ?? []).includes(value);
    return wanted && kind !== field.type && !isPreset && !(value === null && field.nullable) ? bad(`This should be ${wanted}.`) : { value };
  };
  const holdsFiles = field.media && (field.fields ?? field.items?.fields)?.some(one => one.name === "url");
  if (!holdsFiles) return { main, parts: [main], read: parse };
  const picker = filePicker(field, id, field.type === "array", reference => {
    const before = parse().value;
    const made = { url: reference };
    main.value = JSON.stringify(field.type === "array" ? [...(before ?? []), made] : { ...before, ...made }, null, 2);
    onChange();
  });
  return { main, parts: [main, ...picker], read: parse };
}
