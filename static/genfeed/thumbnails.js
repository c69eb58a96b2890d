// A picture that can't be loaded leaves its frame, not the browser's broken mark.
(function () {
  "use strict";
  function blank(image) {
    image.classList.add("gf-thumb-none");
    image.removeAttribute("src");
  }
  for (const image of document.querySelectorAll("img.gf-thumb, img.gf-picture")) {
    if (image.complete && image.naturalWidth === 0 && image.loading !== "lazy") blank(image);
    image.addEventListener("error", function () { blank(image); });
  }
})();
