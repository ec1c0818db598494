// Makes pictures that hold many frames show one, which a slider, a map or a choice picks, sorts
// tables by the head that is clicked, and breaks commands between words. Without it pictures are whole.
"use strict";

function make(tag, attributes = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...inside);
  return made;
}

// Puts a picture behind a window of one frame's size; returns what moves it to a frame.
function framed(image, count, columns, width, height) {
  const rows = Math.ceil(count / columns);
  const frame = make("div", { class: "window", style: `aspect-ratio: ${width} / ${height}` });
  image.replaceWith(frame);
  frame.append(image);
  image.style.width = `${100 * columns}%`;
  return (number) => {
    const across = (-100 * (number % columns)) / columns;
    const down = (-100 * Math.floor(number / columns)) / rows;
    image.style.transform = `translate(${across}%, ${down}%)`;
  };
}

function numbers(element, ...names) {
  return names.map((name) => Number(element.dataset[name]));
}

// A slider with a text beside it; calls back with its place, at once and when it is moved.
function slider(label, texts, start, moved) {
  const input = make("input", { type: "range", min: 0, max: texts.length - 1, value: start });
  const output = make("output");
  input.setAttribute("aria-label", label);
  const show = () => {
    output.textContent = texts[input.value];
    input.setAttribute("aria-valuetext", texts[input.value]);
    moved(Number(input.value));
  };
  input.addEventListener("input", show);
  return [make("div", { class: "slide" }, input, output), show];
}

for (const player of document.querySelectorAll(".player")) {
  const [start, ...size] = numbers(player, "start", "count", "columns", "width", "height");
  const show = framed(player.querySelector("img"), ...size);
  const texts = JSON.parse(player.dataset.values);
  const [control, begin] = slider(player.dataset.label, texts, start, show);
  player.append(control);
  player.classList.add("live");
  begin();
}

for (const map of document.querySelectorAll(".map")) {
  const [reach, ...size] = numbers(map, "reach", "count", "columns", "width", "height");
  const side = size[1];
  const names = JSON.parse(map.dataset.names);
  const show = framed(map.querySelector("img"), ...size);
  const plane = map.querySelector(".plane");
  const cross = make("i", { class: "cross" });
  const output = make("output");
  plane.append(cross);
  plane.tabIndex = 0;
  plane.setAttribute("role", "application");
  map.querySelector(".window").after(output);
  const at = [(side - 1) / 2, (side - 1) / 2]; // column and row of the nearest frame
  const move = (axis, place) => {
    at[axis] = Math.min(Math.max(Math.round(place), 0), side - 1);
  };
  const update = () => {
    show(at[1] * side + at[0]);
    cross.style.left = `${(100 * at[0]) / (side - 1)}%`;
    cross.style.top = `${(100 * at[1]) / (side - 1)}%`;
    const value = at.map((place, axis) => {
      const share = (2 * place) / (side - 1) - 1;
      return (reach * (axis ? -share : share)).toFixed(1).replace("-", "−");
    });
    output.textContent = `${names[0]} = ${value[0]}, ${names[1]} = ${value[1]}`;
    plane.setAttribute("aria-label", `${output.textContent}; arrow keys move`);
  };
  const point = (event) => {
    const box = plane.getBoundingClientRect();
    move(0, ((event.clientX - box.left) / box.width) * (side - 1));
    move(1, ((event.clientY - box.top) / box.height) * (side - 1));
    update();
  };
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, -1], ArrowDown: [1, 1] };
  plane.addEventListener("pointermove", point);
  plane.addEventListener("pointerdown", point);
  plane.addEventListener("keydown", (event) => {
    if (!(event.key in steps)) return;
    event.preventDefault();
    const [axis, step] = steps[event.key];
    move(axis, at[axis] + step);
    update();
  });
  map.classList.add("live");
  update();
}

for (const blend of document.querySelectorAll(".blend")) {
  const [steps, count, ...size] = numbers(
    blend, "steps", "ends", "count", "columns", "width", "height",
  );
  const [, , width, height] = size;
  const pairs = JSON.parse(blend.dataset.pairs);
  const ends = blend.querySelector(".ends");
  const show = framed(blend.querySelector(".paths"), ...size);
  const chosen = [0, Math.min(1, count - 1)];
  let place = Math.floor((steps - 1) / 2);
  // Of one picture twice: the end of a path that it is on.
  const row = (a, b) => pairs.findIndex(([first, last]) => first === a && last === b);
  const update = () => {
    const [low, high] = [...chosen].sort((a, b) => a - b);
    if (low === high) {
      const on = pairs.findIndex((pair) => pair.includes(low));
      show(on * steps + (pairs[on][0] === low ? 0 : steps - 1));
    } else {
      show(row(low, high) * steps + (chosen[0] === low ? place : steps - 1 - place));
    }
  };
  const choice = (which, title) => {
    const list = make("div", { class: "choice", role: "radiogroup", "aria-label": title });
    for (let number = 0; number < count; number++) {
      const thumb = ends.cloneNode();
      thumb.alt = "";
      const button = make("button", { type: "button", role: "radio" }, thumb);
      button.setAttribute("aria-label", `${title}: picture ${number + 1}`);
      framed(thumb, count, count, width, height)(number);
      button.addEventListener("click", () => {
        chosen[which] = number;
        mark();
        update();
      });
      list.append(button);
    }
    const mark = () =>
      [...list.children].forEach((button, number) =>
        button.setAttribute("aria-checked", String(number === chosen[which])),
      );
    mark();
    return make("div", { class: "end" }, make("span", {}, title), list);
  };
  const texts = Array.from({ length: steps }, (_, i) => `${Math.round((100 * i) / (steps - 1))} %`);
  const [control, begin] = slider("From the first to the second", texts, place, (number) => {
    place = number;
    update();
  });
  const middle = make("div", { class: "between" }, blend.querySelector(".window"), control);
  const first = choice(0, "From");
  const second = choice(1, "To");
  ends.remove();
  blend.replaceChildren(first, middle, second);
  blend.classList.add("live");
  begin();
}

for (const command of document.querySelectorAll(".command")) {
  const words = command.textContent.split(" ").map((word) => make("span", {}, word));
  command.replaceChildren(...words.flatMap((word, place) => (place ? [" ", word] : [word])));
}

// A cell's number, whatever stands behind it ("−1,234 ± 5"); null where it has none.
function number(cell) {
  const text = cell.textContent.trim().replace("−", "-").replaceAll(",", "");
  return /^[-+]?\.?\d/.test(text) ? parseFloat(text) : null;
}

// Of two rows by a column; a row that lacks it, or its number, is the last either way.
function compared(one, other, column, numeric, way) {
  const cells = [one, other].map((row) => row.cells[column]);
  const values = cells.map((cell) =>
    cell && cell.colSpan === 1 ? (numeric ? number(cell) : cell.textContent.trim()) : null,
  );
  if (values.includes(null)) return (values[0] === null) - (values[1] === null);
  if (numeric) return way * (values[0] - values[1]);
  return way * values[0].localeCompare(values[1], undefined, { numeric: true });
}

for (const table of document.querySelectorAll("table.data")) {
  const body = table.tBodies[0];
  if (body.rows.length < 2) continue;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = make("button", { type: "button" }, ...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const numeric = head.classList.contains("number");
      const rows = [...body.rows];
      rows.sort((one, other) => compared(one, other, column, numeric, falling ? -1 : 1));
      body.append(...rows);
    });
  });
}
