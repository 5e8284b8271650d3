// The value under the pointer; each chart carries "x y step value" of its points.
for (const svg of document.querySelectorAll("svg[data-points]")) {
  const points = svg.dataset.points.split("|").map((p) => p.split(" "));
  const out = svg.parentNode.querySelector("output");
  const last = out.textContent;
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
    out.textContent = `${near[3]}${out.dataset.unit} at step ${near[2]}`;
  };
  const hide = () => {
    svg.classList.remove("on");
    out.textContent = last;
  };
  svg.addEventListener("pointermove", show);
  svg.addEventListener("pointerdown", show);
  svg.addEventListener("pointerleave", hide);
}
