// What a price needs to know of files at web addresses: lengths and sizes, which nobody here can read.

import { make } from "./dom.js";

const words = name => name[0].toUpperCase() + name.slice(1).replaceAll("_", " ");
// The API's names of such facts; whatever else is missing can't be told beforehand.
const TELLABLE = /^(input|output)_[a-z]+|^reference_images$|^max_layers_per_image$/;

export class Facts {
  /** `box` takes the controls; `onChange` is called when one changes. */
  constructor(box, onChange) {
    this.box = box;
    this.inputs = new Map();
    box.addEventListener("input", onChange);
  }

  /** Begins anew, with another model. */
  clear() {
    this.inputs.clear();
    this.box.replaceChildren();
  }

  /** Adds a control for each fact that is missing; those that were asked for stay. */
  ask(names) {
    for (const name of names.filter(one => TELLABLE.test(one) && !this.inputs.has(one))) {
      const id = `fact-${name}`;
      const input = make("input", { id, type: "number", min: 0, step: "any", inputmode: "decimal", "aria-describedby": `${id}-hint` });
      const hint = make("p", { id: `${id}-hint`, class: "quiet" }, "The price needs it. It is known of uploaded files.");
      this.box.append(make("div", { class: "field" }, make("label", { for: id }, words(name)), input, hint));
      this.inputs.set(name, input);
    }
  }

  /** What was told, null for nothing. */
  given() {
    const told = [...this.inputs].filter(([, input]) => input.value !== "" && input.checkValidity());
    return told.length ? Object.fromEntries(told.map(([name, input]) => [name, Number(input.value)])) : null;
  }
}
