// Elements, without any markup in texts.

export const byId = id => document.getElementById(id);

/** An element with attributes (false and null leave one out, true sets it empty) and children (elements or texts). */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children);
  return made;
}

/** `act` once nobody has called for so many milliseconds. */
export function debounced(act, milliseconds) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...given), milliseconds);
  };
}
