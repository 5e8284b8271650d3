// The value under the pointer; each chart carries "x y step value" of its points.
for (const svg of document.querySelectorAll("svg[data-points]")) {
  const points = svg.dataset.points.split("|").map((p) => p.split(" "));
  const note = svg.parentNode.querySelector(".note");
  const unit = svg.parentNode.querySelector("output").dataset.unit;
  const rest = note.textContent;
  const cursor = svg.querySelector(".cursor");
  const spot = svg.querySelector(".spot");
  const show = (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    const near = points.reduce((a, b) => (Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a));
    cursor.setAttribute("transform", `translate(${near[0]} 0)`);
    spot.setAttribute("cx", near[0]);
    spot.setAttribute("cy", near[1]);
    svg.classList.add("on");
    // The line keeps its height, or the page would jump under the pointer.
    note.style.minHeight = `${note.offsetHeight}px`;
    note.textContent = `step ${near[2]}: ${near[3]}${unit}`;
  };
  const hide = () => {
    svg.classList.remove("on");
    note.textContent = rest;
  };
  svg.addEventListener("pointermove", show);
  svg.addEventListener("pointerdown", show);
  svg.addEventListener("pointerleave", hide);
}
