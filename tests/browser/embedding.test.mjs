// The console in a frame of the vendor's page: it works if the operator allows the page's origin, and only then.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';

import { Owner, SECRET, launch } from './browser.mjs';
import { Gateway } from './gateway.mjs';
import { inspect } from './inspect.mjs';
import { copy, okta, verify } from './pages.mjs';
import { Okta } from './okta.mjs';

let browser;
let vendor;
let stranger;
let gateway;

/** A page of a vendor's product, which shows the console in a frame. */
class Product {
  /** The link that the page embeds. */
  link = 'about:blank';

  static async start() {
    const product = new Product();
    product.server = createServer((_, response) => {
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end(`<!doctype html><html lang="en"><title>Product</title><meta name="viewport" content="width=device-width">
<style>body { margin: 0; font-family: sans-serif } h1 { margin: 1rem } iframe { display: block; width: 100%; height: 42rem; border: 0 }</style>
<h1>Settings of the product</h1><iframe title="SCIM" allow="clipboard-write" src="${product.link}"></iframe></html>`);
    });
    await new Promise((resolve) => { product.server.listen(0, '127.0.0.1', resolve); });
    product.origin = `http://127.0.0.1:${product.server.address().port}`;
    return product;
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => { this.server.close(resolve); });
  }
}

before(async () => {
  browser = await launch();
  // Cookies are shared by the ports of a host, as by the hosts of a site. A frame of another site needs https.
  vendor = await Product.start();
  stranger = await Product.start();
  gateway = await Gateway.startWith({ SCIM_CONSOLE_FRAME_ANCESTORS: vendor.origin });
});

after(() => Promise.all([browser?.close(), gateway?.stop(), vendor?.stop(), stranger?.stop()]));

/** Returns the frame with the console. */
async function frameOf(page) {
  await page.locator('iframe').waitFor();
  return page.locator('iframe').elementHandle().then((element) => element.contentFrame());
}

test('console_works_in_a_frame_of_an_allowed_origin', async () => {
  const owner = await Owner.sit(browser, gateway, { embedder: vendor.origin, colorScheme: 'light' });
  vendor.link = await gateway.link({ intent: 'okta' });
  await owner.page.goto(vendor.origin);
  const frame = await frameOf(owner.page);
  await frame.getByRole('heading', { level: 1, name: 'Connect Okta' }).waitFor();
  assert.doesNotMatch(frame.url(), SECRET);

  // A form with its token, a copy button, and the live part.
  await okta.create(frame).click();
  await copy(frame, 'API Token or Authorization key').waitFor();
  const key = SECRET.exec(await frame.getByRole('main').innerText())?.[0];
  assert.ok(key, 'the key is shown');
  await copy(frame, 'SCIM connector base URL').click();
  await frame.getByText('Copied: SCIM connector base URL').waitFor();
  const provider = new Okta({ baseUrl: gateway.baseUrl, header: key });
  assert.equal((await provider.testCredentials()).status, 200);
  await verify.says(frame, 'Okta read a list of people').waitFor({ timeout: 15_000 });

  await frame.getByRole('link', { name: 'Overview' }).click();
  await frame.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  const faults = await inspect(owner, 'embedded', frame);
  if (faults.length) assert.fail(faults.join('\n'));
  assert.equal(owner.page.url().startsWith(vendor.origin), true, 'the page of the product stays');
  await owner.leave();
});

/** Checks that the browser shows no page of the console in the frame. */
async function refused(product, of) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const messages = [];
  page.on('console', (message) => messages.push(message.text()));
  product.link = await of.link();
  await page.goto(product.origin);
  const frame = await frameOf(page);
  await page.waitForLoadState();
  assert.ok(messages.some((text) => /frame-ancestors|X-Frame-Options|x-frame-options/.test(text)), messages.join('\n'));
  assert.equal(await frame.getByRole('heading', { level: 1 }).filter({ hasText: 'Overview' }).count(), 0);
  assert.doesNotMatch(frame.url(), /\/console\//);
  await context.close();
}

test('frame_of_another_origin_is_refused', () => refused(stranger, gateway));

test('frame_is_refused_without_the_setting', async () => {
  const closed = await Gateway.start();
  try {
    await refused(vendor, closed);
  } finally {
    await closed.stop();
  }
});
