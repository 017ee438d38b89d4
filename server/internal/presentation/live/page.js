// Keeps the page as the server is: it sends the main part again whenever there is a newer one.
"use strict";

const main = document.getElementById("main");
const lost = document.getElementById("lost");
const patience = 4000; // ms without anything new; the server tells twice a second
let told = Date.now();
let since; // when it was lost

// Makes a node what the other is, and changes nothing else, so that focus, selection and a
// screen reader's place in a table stay where they are.
function become(now, next) {
  if (now.nodeType !== next.nodeType || now.nodeName !== next.nodeName || now.id !== next.id) {
    now.replaceWith(next);
    return;
  }
  if (now.nodeType !== Node.ELEMENT_NODE) {
    if (now.data !== next.data) now.data = next.data;
    return;
  }
  for (const { name } of [...now.attributes]) if (!next.hasAttribute(name)) now.removeAttribute(name);
  for (const { name, value } of next.attributes) if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  children(now, next);
}

function children(now, next) {
  const [before, after] = [[...now.childNodes], [...next.childNodes]];
  after.forEach((node, i) => (before[i] ? become(before[i], node) : now.append(node)));
  before.slice(after.length).forEach((node) => node.remove());
}

// The server's times, in the clock of who reads them.
function local(within) {
  for (const time of within.querySelectorAll("time")) time.textContent = new Date(time.dateTime).toLocaleTimeString();
}

function show(html) {
  const next = new DOMParser().parseFromString(html, "text/html").body;
  local(next);
  children(main, next);
  document.title = document.getElementById("summary").dataset.title;
}

function listen() {
  const events = new EventSource("/events");
  events.onmessage = ({ data, lastEventId }) => {
    if (lastEventId !== document.documentElement.dataset.build) return location.reload(); // another server's page
    told = Date.now();
    show(data);
    found();
  };
  events.onerror = () => {
    miss();
    if (events.readyState !== EventSource.CLOSED) return; // it tries again by itself
    setTimeout(listen, 2000);
  };
}

function miss() {
  if (since) return;
  since = new Date(told);
  lost.textContent = `The admin port has not answered since ${since.toLocaleTimeString()}. What you see is from then; this page goes on as soon as it is back.`;
  document.body.classList.add("lost");
  document.title = "no answer · Messenger Clone API";
}

function found() {
  if (!since) return;
  since = undefined;
  lost.textContent = "";
  document.body.classList.remove("lost");
}

local(main);
listen();
setInterval(() => Date.now() - told > patience && miss(), 1000);
