// The observer of browser.mjs sees what no page may do. Without this test, a silent observer would pass all other tests.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';

import { Owner, launch } from './browser.mjs';

const GOOD = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
};
const page = (body) => `<!doctype html><html lang="en"><head><title>Page</title></head><body><main><h1>Page</h1>${body}</main></body></html>`;

const KEY = `scim_acme_${'a1B2'.repeat(12)}`;

/** A page that no console may have, and the problem that the observer notes. */
const FAULTS = {
  'inline-script': [page('<script>hacked("inline")</script>'), GOOD, /script-src/],
  'inline-style': [page('<p style="color: red">red</p>'), GOOD, /style-src/],
  'inline-handler': [page('<img src="/none.png" onerror="hacked(1)" alt="">'), GOOD, /script-src/],
  'other-host': [page('<img src="http://127.0.0.2:9/x.png" alt="">'), { ...GOOD, 'content-security-policy': GOOD['content-security-policy'].replace("img-src 'self'", "img-src 'self' *") }, /another host/],
  'script-runs': [page('<script>hacked("inline")</script>'), { ...GOOD, 'content-security-policy': '' }, /script ran: inline/],
  dialog: [page('<script>alert("hi")</script>'), { ...GOOD, 'content-security-policy': '' }, /dialog: hi/],
  'secret-in-url': [page(`<img src="/x.png?key=${KEY}" alt="">`), GOOD, /secret in a URL/],
  'no-policy': [page(''), { ...GOOD, 'content-security-policy': '' }, /default-src is undefined/],
  framed: [page(''), { ...GOOD, 'content-security-policy': GOOD['content-security-policy'].replace("frame-ancestors 'none'", '') }, /frame-ancestors/],
  stored: [page(''), { ...GOOD, 'cache-control': 'max-age=60' }, /Cache-Control is max-age/],
  fails: [page(''), GOOD, /status 500/],
};

let server;
let browser;
let gateway;

before(async () => {
  server = createServer((request, response) => {
    const name = request.url.split('/').at(-1).split('?')[0];
    const [body, headers] = FAULTS[name] ?? [page('<p>Nothing is wrong here.</p>'), GOOD];
    response.writeHead(name === 'fails' ? 500 : 200, headers);
    response.end(body);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  gateway = { origin, console: `${origin}/console` };
  browser = await launch();
});

after(async () => {
  await browser?.close();
  server.closeAllConnections();
  server.close();
});

test('observer_notes_each_fault_of_a_page', async () => {
  for (const [name, [, , problem]] of Object.entries(FAULTS)) {
    const owner = await Owner.sit(browser, gateway);
    await owner.goto(`/${name}`);
    await owner.page.waitForTimeout(50);
    assert.match(owner.problems.join('\n'), problem, name);
    await assert.rejects(owner.leave());
  }
});

test('observer_passes_a_page_without_faults', async () => {
  const owner = await Owner.sit(browser, gateway);
  await owner.goto('/good');
  await owner.leave();
});

test('axe_notes_a_violation', async () => {
  const owner = await Owner.sit(browser, gateway);
  await owner.goto('/good');
  assert.deepEqual(await owner.violations(), []);
  await owner.page.evaluate(() => document.querySelector('main').append(document.createElement('input')));
  assert.match((await owner.violations()).join('\n'), /^label \(critical\)/m);
  await owner.leave();
});
