// A browser with an observer: each request, answer, dialog and violation that no page may cause is noted in `problems`.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

import { chromium } from 'playwright-core';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Keys, client secrets, access tokens and set-up links. */
export const SECRET = /scim(token|secret|link|session)?_[A-Za-z0-9_-]*[0-9A-Za-z]{24,}/;

export function launch() {
  return chromium.launch({ executablePath: process.env.SCIM_CHROMIUM ?? '/usr/bin/chromium', args: ['--lang=en-GB'] });
}

/** Runs in each page before its own scripts. */
function observe() {
  document.addEventListener('securitypolicyviolation', (event) => {
    window.scimViolation?.(`${event.violatedDirective} ${event.blockedURI} ${event.sample} ${event.sourceFile ?? ''}`);
  });
  window.scimShift = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.scimShift += entry.value;
  }).observe({ type: 'layout-shift', buffered: true });
}

/** Returns the faults of the headers of a page, which these origins may embed. */
export function headerFaults(headers, ancestors = "'none'") {
  const policy = Object.fromEntries(
    (headers['content-security-policy'] ?? '').split(';').map((directive) => {
      const [name, ...values] = directive.trim().split(/\s+/);
      return [name, values.join(' ')];
    }),
  );
  const wanted = {
    'default-src': /^'none'$/,
    'script-src': /^'self'$/,
    'style-src': /^'self'$/,
    'img-src': /^'self'/,
    'connect-src': /^'self'$/,
    'form-action': /^'self'$/,
    'base-uri': /^'none'$/,
  };
  const faults = [];
  if (policy['frame-ancestors'] !== ancestors) faults.push(`Content-Security-Policy: frame-ancestors is ${policy['frame-ancestors']}`);
  for (const [directive, value] of Object.entries(wanted)) {
    if (!value.test(policy[directive] ?? '')) faults.push(`Content-Security-Policy: ${directive} is ${policy[directive]}`);
  }
  if (headers['x-content-type-options'] !== 'nosniff') faults.push('no X-Content-Type-Options');
  if (!/^(no-referrer|same-origin)$/.test(headers['referrer-policy'] ?? '')) faults.push(`Referrer-Policy is ${headers['referrer-policy']}`);
  if (!/\bno-store\b/.test(headers['cache-control'] ?? '')) faults.push(`Cache-Control is ${headers['cache-control']}`);
  if (/[a-z]\/\d/i.test(headers.server ?? '') || headers['x-powered-by']) faults.push('the software is named');
  return faults;
}

/** The owner of an organisation at a browser. Counts what the owner does. */
export class Owner {
  clicks = 0;
  /** Values that the owner has pasted into the console, and into the identity provider. */
  pastes = 0;
  pastesElsewhere = 0;
  problems = [];
  pages = 0;

  /** `embedder` is the origin of a page that shows the console in a frame. */
  static async sit(browser, gateway, { keyboard = false, embedder, ...options } = {}) {
    const owner = new Owner();
    owner.keyboard = keyboard;
    owner.embedder = embedder;
    owner.gateway = gateway;
    owner.context = await browser.newContext({
      locale: 'en-GB',
      timezoneId: 'Europe/Berlin',
      viewport: { width: 1440, height: 900 },
      permissions: ['clipboard-read', 'clipboard-write'],
      ...options,
    });
    owner.context.setDefaultTimeout(10_000);
    await owner.#watch();
    owner.page = await owner.context.newPage();
    return owner;
  }

  async #watch() {
    const { context, problems, gateway } = this;
    await context.exposeBinding('scimViolation', (_, text) => { problems.push(`Content-Security-Policy: ${text}`); });
    // Hostile values call this function.
    await context.exposeBinding('hacked', (_, text) => { problems.push(`script ran: ${text}`); });
    await context.addInitScript(observe);
    context.on('dialog', (dialog) => {
      problems.push(`dialog: ${dialog.message()}`);
      dialog.dismiss().catch(() => {});
    });
    context.on('weberror', (error) => problems.push(`error of a script: ${error.error()}`));
    context.on('console', (message) => {
      // Chromium reports each answer of 400 and above so. The tests check statuses themselves.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) problems.push(`console: ${message.text()}`);
    });
    context.on('request', (request) => {
      const url = new URL(request.url());
      if (url.origin !== gateway.origin && url.origin !== this.embedder) problems.push(`request to another host: ${url}`);
      if (!url.pathname.endsWith('/console/enter') && (SECRET.test(url.href) || url.searchParams.has('csrf'))) problems.push(`secret in a URL: ${url}`);
      if (SECRET.test(request.headers().referer ?? '')) problems.push(`secret in Referer: ${url}`);
    });
    context.on('response', (response) => {
      const headers = response.headers();
      const { origin, pathname } = new URL(response.url());
      if (origin === this.embedder) return;
      let faults = [];
      if (pathname.includes('/console/assets/')) {
        if (!/\bimmutable\b/.test(headers['cache-control'] ?? '')) faults.push(`Cache-Control is ${headers['cache-control']}`);
        if (headers['x-content-type-options'] !== 'nosniff') faults.push('no X-Content-Type-Options');
        if (response.status() !== 200) faults.push(`status ${response.status()}`);
      } else if (headers['content-type']?.startsWith('text/html')) {
        faults = headerFaults(headers, this.embedder);
        this.pages += 1;
      }
      if (response.status() >= 500) faults.push(`status ${response.status()}`);
      problems.push(...faults.map((fault) => `${response.request().method()} ${pathname}: ${fault}`));
    });
  }

  /** Opens a set-up link. Without one, asks for a link of an owner. */
  async enter(link) {
    return this.page.goto(link ?? (await this.gateway.link()));
  }

  goto(path) {
    return this.page.goto(this.gateway.console + path);
  }

  async click(locator) {
    this.clicks += 1;
    if (!this.keyboard) return locator.click();
    await this.reach(locator);
    return this.page.keyboard.press('Enter');
  }

  /** Moves the focus to a control by the tabulator key, and checks that each focus on the way is visible. */
  async reach(locator) {
    await locator.waitFor();
    for (let steps = 0; steps < 100; steps += 1) {
      if (await locator.evaluate((element) => element === document.activeElement)) return;
      await this.page.keyboard.press('Tab');
      const hidden = await this.page.evaluate(() => {
        const { activeElement: element } = document;
        if (!element || element === document.body) return null;
        const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
        const { bottom, top, right, left } = element.getBoundingClientRect();
        const shown = (outlineStyle !== 'none' && parseFloat(outlineWidth) > 0) || boxShadow !== 'none';
        const inside = bottom > 0 && right > 0 && top < innerHeight && left < innerWidth;
        return shown && inside ? null : element.outerHTML;
      });
      assert.equal(hidden, null, 'the focus is not visible');
    }
    assert.fail(`The tabulator key does not reach ${locator}`);
  }

  /** Pastes a value, which the owner has copied elsewhere. */
  async paste(locator, value) {
    this.pastes += 1;
    if (this.keyboard) await this.reach(locator);
    await locator.fill(value);
  }

  /** Clicks a button that copies, and returns what is in the clipboard. */
  async copy(button) {
    await button.waitFor();
    await this.page.evaluate(() => navigator.clipboard.writeText('nothing'));
    await this.click(button);
    await this.page.waitForFunction(async () => (await navigator.clipboard.readText()) !== 'nothing');
    return this.page.evaluate(() => navigator.clipboard.readText());
  }

  /** Returns the sum of the layout shifts of this page that the owner did not cause. */
  shift() {
    return this.page.evaluate(() => window.scimShift);
  }

  /** Checks that nothing secret is in storage that scripts read. */
  async checkStorage() {
    const stored = await this.page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
    assert.doesNotMatch(stored, SECRET);
    for (const cookie of await this.context.cookies()) {
      if (cookie.name.includes('session')) assert.ok(!stored.includes(cookie.value), 'the session is readable by scripts');
    }
  }

  /** Checks the page, or a frame of it, with every rule of axe-core, also experimental ones and those of level AAA. */
  async violations(frame = this.page) {
    if (!(await frame.evaluate(() => 'axe' in window))) await frame.evaluate(AXE);
    const violations = await frame.evaluate(async () => {
      const rules = Object.fromEntries(window.axe.getRules().map(({ ruleId }) => [ruleId, { enabled: true }]));
      const found = await window.axe.run(document, { rules, resultTypes: ['violations'] });
      return found.violations.map(({ id, impact, nodes }) => ({
        id,
        impact,
        nodes: nodes.slice(0, 5).map((node) => `${node.target.join(' ')}: ${node.failureSummary?.split('\n')[1]?.trim() ?? ''}`),
      }));
    });
    return violations.map(({ id, impact, nodes }) => `${id} (${impact})\n    ${nodes.join('\n    ')}`);
  }

  /** Returns what is wider than the window, if anything is. */
  overflow(frame = this.page) {
    return frame.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      if (scrollWidth <= clientWidth) return null;
      const wide = [...document.querySelectorAll('body *')].filter((element) => element.getBoundingClientRect().right > clientWidth + 1);
      return `${scrollWidth} px in ${clientWidth} px: ${wide.slice(0, 4).map((element) => `${element.tagName}.${element.className}`).join(', ')}`;
    });
  }

  /** Closes the browser and checks that the observer has noted nothing. */
  async leave() {
    await this.context.close();
    assert.deepEqual([...new Set(this.problems)], []);
    assert.ok(this.pages > 0, 'the observer has seen no page');
  }
}
