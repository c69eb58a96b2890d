// A picture that can't be loaded leaves its frame, not the browser's broken mark. Loaded before the pictures are, and
// listening while the event goes down, because an image's error does not bubble.
document.addEventListener("error", function (event) {
  "use strict";
  const image = event.target;
  if (image instanceof HTMLImageElement && image.matches(".gf-thumb, .gf-picture")) {
    image.src = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==";
  }
}, true);
