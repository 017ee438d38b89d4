// Makes the forms send requests, and shows them as curl commands.
"use strict";

for (const operation of document.querySelectorAll(".operation")) {
  const form = operation.querySelector("form");
  const fields = [...form.querySelectorAll("[data-in]")];

  // What the fields say, as a request. A field that is empty is not sent.
  const request = () => {
    let path = operation.dataset.path;
    const query = new URLSearchParams();
    const headers = {};
    let body;
    for (const { value, dataset } of fields) {
      switch (dataset.in) {
        case "path": path = path.replace(`{${dataset.name}}`, encodeURIComponent(value)); break;
        case "query": if (value) query.append(dataset.name, value); break;
        case "header": if (value) headers[dataset.name] = value; break;
        case "body": if (value) { body = value; headers["Content-Type"] = "application/json"; }
      }
    }
    const search = query.toString();
    return { url: path + (search ? "?" + search : ""), method: operation.dataset.method, headers, body };
  };

  const quote = (text) => "'" + text.replaceAll("'", "'\\''") + "'";
  const curl = () => {
    const { url, method, headers, body } = request();
    const words = [`curl -i${method === "GET" ? "" : " -X " + method} ${quote(location.origin + url)}`];
    for (const [name, value] of Object.entries(headers)) words.push("-H " + quote(name + ": " + value));
    if (body) words.push("-d " + quote(body));
    form.querySelector(".curl").textContent = words.join(" \\\n  ");
  };

  const example = form.elements.example;
  const fill = () => {
    const values = JSON.parse(example.value);
    for (const field of fields) field.value = values[field.dataset.name] ?? "";
    curl();
  };
  if (example) {
    example.addEventListener("change", fill);
    fill();
  }
  form.addEventListener("input", curl);
  curl();

  form.querySelector(".copy").addEventListener("click", async () => {
    const said = form.querySelector(".said");
    try {
      await navigator.clipboard.writeText(form.querySelector(".curl").textContent);
      said.textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(form.querySelector(".curl"));
      said.textContent = "Selected: copy it with your keyboard.";
    }
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("[type=submit]");
    const result = operation.querySelector(".result");
    const [status, head, text] = ["status", "headers", "body"].map((name) => result.querySelector("." + name));
    button.disabled = true;
    try {
      const { url, ...options } = request();
      const began = performance.now();
      const answer = await fetch(url, { ...options, cache: "no-store" });
      const body = await answer.text();
      const took = Math.round(performance.now() - began);
      status.textContent = `${answer.status} ${answer.statusText} in ${took} ms`;
      status.className = "status " + (answer.ok || answer.status === 304 ? "good" : "bad");
      head.textContent = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
      text.textContent = pretty(body);
      if (answer.ok) remember(body);
    } catch (error) {
      status.textContent = `No answer: ${error.message}`;
      status.className = "status bad";
      head.textContent = text.textContent = "";
    }
    result.hidden = false;
    button.disabled = false;
  });
}

function pretty(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}

// The user that was created, changed or found is the one that the other forms ask for next.
function remember(body) {
  let id;
  try {
    const user = [JSON.parse(body)].flat()[0];
    id = user?.email && user.id;
  } catch {}
  if (!id) return;
  for (const field of document.querySelectorAll('[data-in="path"][data-name="id"]')) {
    field.value = id;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

function openTarget() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
}
addEventListener("hashchange", openTarget);
openTarget();
