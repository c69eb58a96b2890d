// What a job brought: its files, by their kind, and its output as it is.

import { byId, make } from "./dom.js";

const WHY = { pending: "is still on its way", failed: "could not be fetched", refused: "was refused", expired: "is deleted", partial: "is not complete" };

export function showResult(job) {
  byId("files").replaceChildren(...job.assets.map(file => figure(file, job)));
  byId("output").hidden = job.output === null;
  // Texts and numbers are all that there is to see then.
  byId("output").open = job.assets.length === 0;
  byId("output-text").textContent = JSON.stringify(job.output, null, 2);
}

export function clearResult() {
  byId("files").replaceChildren();
  byId("output").hidden = true;
  byId("output").open = false;
}

function figure(file, job) {
  if (!file.url) return make("p", {}, `${file.name} ${WHY[file.state] ?? file.state}. ${file.problem ?? ""}`);
  const words = [file.width ? `${file.width} × ${file.height}` : "", file.seconds ? `${file.seconds} s` : "", sizeOf(file.size)];
  const link = make("a", { href: file.url, target: "_blank", rel: "noopener" }, file.name);
  const caption = make("figcaption", {}, link, ` ${words.filter(Boolean).join(", ")}`);
  return make("figure", {}, ...shown(file, job), caption);
}

function shown(file, job) {
  if (file.kind === "image") return [make("img", { src: file.url, alt: `Made by ${job.model}: ${file.name}`, width: file.width, height: file.height })];
  if (file.kind === "video") return [make("video", { src: file.url, controls: true, preload: "metadata", "aria-label": file.name })];
  if (file.kind === "audio") return [make("audio", { src: file.url, controls: true, preload: "metadata", "aria-label": file.name })];
  return [];
}

function sizeOf(bytes) {
  if (!bytes) return "";
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
