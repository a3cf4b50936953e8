// Copy buttons, times in the viewer's zone, and the token of htmx requests. Pages work without this file.
(() => {
  "use strict";
  // The viewer's variety of the language of the page decides the form of times.
  const language = document.documentElement.lang;
  const variety = navigator.languages.find((tag) => tag.split("-")[0] === language) ?? language;
  const framed = "; Secure; SameSite=None; Partitioned";
  const whole = location.protocol === "https:" ? "; Secure; SameSite=Lax" : "; SameSite=Lax";
  const flags = window.top === window || location.protocol !== "https:" ? whole : framed;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "UTC";
  const isStored = () => document.cookie.split("; ").includes(`scim_zone=${zone}`);
  const wasStored = isStored();
  document.cookie = `scim_zone=${zone}; Path=/; Max-Age=31536000${flags}`;
  // The server draws charts, without the cookie in UTC. A browser that refuses the cookie does not load the page again.
  if (zone !== "UTC" && !wasStored && isStored() && document.querySelector(".chart")) location.reload();

  const format = new Intl.DateTimeFormat(variety, { dateStyle: "medium", timeStyle: "short" });
  const localise = (root) => {
    for (const element of root.querySelectorAll("time[datetime]")) {
      const time = new Date(element.dateTime);
      if (!Number.isNaN(time.valueOf())) element.textContent = format.format(time);
    }
    for (const element of root.querySelectorAll("[data-zone-hint]")) element.textContent = element.dataset.zoneHint.replace("{zone}", zone);
    for (const element of root.querySelectorAll("[data-script]")) element.hidden = false;
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy);
    const text = source.value ?? source.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without the permission, for example in a frame, the text is selected for the keyboard.
      if (source.select) source.select();
      else getSelection().selectAllChildren(source);
      return;
    }
    const part = button.querySelector("[data-text]") ?? button;
    button.dataset.label ??= part.textContent;
    part.textContent = button.dataset.copied;
    // The label of a button is not read again when it changes.
    const announcement = document.getElementById("announcement");
    announcement.textContent = `${button.dataset.copied}: ${button.dataset.name}`;
    setTimeout(() => {
      part.textContent = button.dataset.label;
      announcement.textContent = "";
    }, 2000);
  });

  // Loading the answer of a form again, or going back to it, asks for its page and does not send the form again.
  const { page } = document.body.dataset;
  if (page) history.replaceState(null, "", page);

  // A second click on a button sends its form once.
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("[data-sent]")) delete form.dataset.sent;
  });

  document.addEventListener("htmx:load", (event) => localise(event.target));
  localise(document);
})();
