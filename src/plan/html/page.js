"use strict";
(() => {
  const view = document.getElementById("view");
  if (!view) return;
  const svg = view.querySelector("svg");
  const board = view.parentElement;
  const panel = document.getElementById("panel");
  const whole = svg.viewBox.baseVal;
  const size = { w: whole.width, h: whole.height };
  const box = { x: 0, y: 0, w: size.w, h: size.h };
  const nodes = new Map();
  for (const g of svg.querySelectorAll(".node")) {
    const rect = g.querySelector("rect");
    const at = (name) => Number(rect.getAttribute(name));
    const node = { id: g.dataset.step, g, link: g.querySelector("a"), x: at("x") + at("width") / 2, y: at("y") + at("height") / 2 };
    node.link.setAttribute("tabindex", "-1");
    nodes.set(node.id, node);
  }
  const edges = [...svg.querySelectorAll(".edges path")];
  let chosen = null;

  for (const part of document.querySelectorAll(".scripted")) part.hidden = false;
  document.body.classList.add("moving");

  // The part of the picture that is seen: never empty, never smaller than a few steps.
  const show = () => svg.setAttribute("viewBox", `${box.x} ${box.y} ${box.w} ${box.h}`);
  const shape = () => {
    const { width, height } = view.getBoundingClientRect();
    return width > 0 && height > 0 ? height / width : 0.6;
  };
  const center = (x, y) => {
    const keep = (at, part, all, small) => (part >= all ? small : Math.min(Math.max(at, 0), all - part));
    box.x = keep(x - box.w / 2, box.w, size.w, (size.w - box.w) / 2);
    box.y = keep(y - box.h / 2, box.h, size.h, 0);
    show();
  };
  // What is seen keeps its scale when the room for it changes.
  let room = 0;
  const rescale = () => {
    const { width } = view.getBoundingClientRect();
    const middle = [box.x + box.w / 2, box.y + box.h / 2];
    if (room > 0 && width > 0) box.w *= width / room;
    room = width;
    box.h = box.w * shape();
    center(...middle);
  };
  const widest = () => Math.max(size.w, size.h / shape());
  const resize = (width, x, y) => {
    const w = Math.min(Math.max(width, 200), Math.max(widest(), 200));
    const scale = w / box.w;
    const left = x - (x - box.x) * scale;
    const top = y - (y - box.y) * scale;
    box.w = w;
    box.h = w * shape();
    center(left + box.w / 2, top + box.h / 2);
  };
  const zoom = (factor, x = box.x + box.w / 2, y = box.y + box.h / 2) => resize(box.w * factor, x, y);
  const fit = () => resize(widest(), size.w / 2, size.h / 2);
  // At first as much as can be read, from the beginning.
  const begin = () => {
    rescale();
    resize(view.getBoundingClientRect().width * 1.1, 0, 0);
    center(box.w / 2, box.h / 2);
  };
  const seen = (node) => node.x > box.x && node.x < box.x + box.w && node.y > box.y && node.y < box.y + box.h;

  const heading = (id) => {
    const summary = document.getElementById(`step-${id}`).parentElement.querySelector("summary");
    const head = document.createElement("h3");
    for (const part of summary.childNodes) if (!part.classList || !part.classList.contains("source") && !part.classList.contains("bad")) head.append(part.cloneNode(true));
    return head;
  };

  // The panel says of a step what the list says of it.
  const choose = (id, focus) => {
    const node = nodes.get(id);
    const body = document.getElementById(`step-${id}`);
    if (!node || !body) return false;
    clear();
    chosen = id;
    const copy = body.cloneNode(true);
    copy.removeAttribute("id");
    const close = document.createElement("button");
    close.type = "button";
    close.className = "close";
    close.textContent = "×";
    close.setAttribute("aria-label", "Close");
    close.addEventListener("click", () => leave());
    panel.replaceChildren(close, heading(id), copy);
    panel.dataset.step = id;
    panel.hidden = false;
    panel.scrollTop = 0;
    board.classList.add("open");
    svg.classList.add("choosing");
    node.g.classList.add("chosen");
    const group = [node];
    for (const link of copy.querySelectorAll('a[href^="#step-"]')) {
      const near = nodes.get(link.hash.slice(6));
      if (near) near.g.classList.add("near");
      if (near) group.push(near);
    }
    for (const edge of edges) edge.classList.toggle("near", edge.dataset.from === id || edge.dataset.to === id);
    rescale();
    if (!group.every(seen)) center(node.x, node.y);
    roam(node);
    if (focus) panel.focus({ preventScroll: true });
    return true;
  };
  const clear = () => {
    for (const g of svg.querySelectorAll(".chosen, .near")) g.classList.remove("chosen", "near");
    svg.classList.remove("choosing");
    chosen = null;
  };
  const leave = () => {
    const node = nodes.get(chosen);
    clear();
    panel.hidden = true;
    panel.replaceChildren();
    delete panel.dataset.step;
    board.classList.remove("open");
    rescale();
    history.replaceState(null, "", location.pathname + location.search);
    if (node) node.link.focus({ preventScroll: true });
  };

  // One stop for the Tab key; arrows go on from there.
  let stop = null;
  const roam = (node) => {
    if (stop) stop.link.setAttribute("tabindex", "-1");
    stop = node;
    node.link.setAttribute("tabindex", "0");
  };
  const toward = (from, dx, dy) => {
    let best = null;
    let least = Infinity;
    for (const node of nodes.values()) {
      const along = (node.x - from.x) * dx + (node.y - from.y) * dy;
      const aside = Math.abs((node.x - from.x) * dy) + Math.abs((node.y - from.y) * dx);
      if (along > 1 && along + 3 * aside < least) {
        least = along + 3 * aside;
        best = node;
      }
    }
    return best;
  };
  const directions = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const keys = { "+": () => zoom(0.8), "=": () => zoom(0.8), "-": () => zoom(1.25), 0: () => fit() };
  view.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const direction = directions[event.key];
    if (direction && stop) {
      const next = toward(stop, ...direction);
      if (next) {
        roam(next);
        next.link.focus({ preventScroll: true });
        if (!seen(next)) center(next.x, next.y);
      }
      event.preventDefault();
    } else if (keys[event.key]) {
      keys[event.key]();
      event.preventDefault();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && chosen) leave();
  });

  const point = (event) => {
    const { left, top, width, height } = view.getBoundingClientRect();
    return [box.x + ((event.clientX - left) / width) * box.w, box.y + ((event.clientY - top) / height) * box.h];
  };
  // Scrolling past the picture stays scrolling: zooming needs Ctrl, as on maps.
  view.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(Math.exp(event.deltaY * 0.002), ...point(event));
  }, { passive: false });

  const fingers = new Map();
  let moved = 0;
  view.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    if (fingers.size === 0) moved = 0;
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  window.addEventListener("pointermove", (event) => {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    const now = [event.clientX, event.clientY];
    moved += Math.abs(now[0] - last[0]) + Math.abs(now[1] - last[1]);
    const others = [...fingers].filter(([id]) => id !== event.pointerId);
    fingers.set(event.pointerId, now);
    if (moved < 5) return;
    view.classList.add("held");
    if (others.length > 0) {
      const other = others[0][1];
      const apart = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]);
      if (apart(now) > 0) zoom(apart(last) / apart(now));
      return;
    }
    const scale = box.w / view.getBoundingClientRect().width;
    center(box.x + box.w / 2 - (now[0] - last[0]) * scale, box.y + box.h / 2 - (now[1] - last[1]) * scale);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    window.addEventListener(end, (event) => {
      fingers.delete(event.pointerId);
      if (fingers.size === 0) view.classList.remove("held");
    });
  }
  svg.addEventListener("dragstart", (event) => event.preventDefault());

  for (const button of document.querySelectorAll("[data-zoom]")) {
    const does = { in: () => zoom(0.8), out: () => zoom(1.25), fit }[button.dataset.zoom];
    button.addEventListener("click", () => does());
  }

  // A link to a step shows it beside the picture, wherever the link stands.
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#step-"]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const inside = view.contains(link);
    event.preventDefault();
    if (inside && moved >= 5) return;
    const id = (link.getAttribute("href") || "").slice(6);
    if (!choose(id, !inside)) return;
    history.pushState(null, "", `#step-${id}`);
    board.scrollIntoView({ block: "nearest" });
  });
  const follow = () => {
    const id = location.hash.startsWith("#step-") ? location.hash.slice(6) : null;
    if (id && choose(id, false)) document.getElementById("order").scrollIntoView();
    else if (chosen) leave();
  };
  window.addEventListener("popstate", follow);
  window.addEventListener("resize", rescale);

  const first = nodes.values().next().value;
  if (first) roam(first);
  begin();
  follow();
})();
