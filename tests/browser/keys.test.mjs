// Keys in the hands of an owner: shown once, revoked at once, rotated in steps.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Owner, SECRET, launch } from './browser.mjs';
import { Gateway, ORGANISATION } from './gateway.mjs';
import { Okta } from './okta.mjs';
import { keys } from './pages.mjs';

let gateway;
let browser;

before(async () => {
  [gateway, browser] = await Promise.all([Gateway.start(), launch()]);
});

after(async () => {
  await Promise.all([browser?.close(), gateway?.stop()]);
});

async function sit() {
  const owner = await Owner.sit(browser, gateway);
  await owner.enter(await gateway.link({ intent: 'keys' }));
  return owner;
}

const list = async () => (await gateway.manage('GET', `/orgs/${ORGANISATION}/keys`)).items;
const shown = async (owner) => SECRET.exec(await owner.page.locator('main').innerText())?.[0];
const okta = (key) => new Okta({ baseUrl: gateway.baseUrl, header: key });
const status = async (key) => (await okta(key).testCredentials()).status;

/** Creates a key on the page, and returns its text and its id. */
async function create(owner, label) {
  const before = new Set((await list()).map(({ id }) => id));
  await owner.goto('/keys');
  await keys.openForm(owner.page);
  await keys.label(owner.page).fill(label);
  await keys.submit(owner.page).click();
  await owner.page.waitForLoadState();
  const created = (await list()).filter(({ id }) => !before.has(id));
  assert.equal(created.length, 1);
  assert.equal(created[0].label, label);
  const text = await shown(owner);
  assert.ok(text, 'the key is shown');
  assert.equal(await status(text), 200);
  return { ...created[0], text };
}

test('key_is_shown_once', async () => {
  const owner = await sit();
  const key = await create(owner, 'Shown once');
  const count = (await list()).length;

  // A browser sends the form again when the page is loaded again. That may create no second key.
  await owner.page.reload();
  assert.ok(!(await owner.page.content()).includes(key.text), 'shown after a reload');
  assert.equal((await list()).length, count, 'a reload creates a key');

  await owner.goto('/overview');
  // The page is not stored, so Chromium asks before it sends the form again.
  await owner.page.goBack().catch((error) => assert.match(error.message, /ERR_CACHE_MISS/));
  assert.ok(!(await owner.page.content()).includes(key.text), 'shown after going back');
  assert.equal((await list()).length, count, 'going back creates a key');

  await owner.goto('/keys');
  const text = await owner.page.content();
  assert.ok(!text.includes(key.text));
  assert.ok(text.includes(key.lastFour), 'the last four characters are shown');
  await owner.checkStorage();
  await owner.leave();
});

test('scopes_and_end_are_those_of_the_form', async () => {
  const owner = await sit();
  await keys.openForm(owner.page);
  await keys.label(owner.page).fill('Reader');
  await keys.scope(owner.page, 'SCIM').uncheck();
  await keys.scope(owner.page, 'Read').check();
  await keys.submit(owner.page).click();
  await owner.page.waitForLoadState();
  const key = (await list()).find(({ label }) => label === 'Reader');
  assert.deepEqual(key.scopes, ['read']);
  await owner.leave();
});

test('key_without_a_scope_is_refused_and_keeps_the_label', async () => {
  const owner = await sit();
  const count = (await list()).length;
  await keys.openForm(owner.page);
  await keys.label(owner.page).fill('Kept label');
  for (const scope of ['SCIM', 'Read', 'Write']) await keys.scope(owner.page, scope).uncheck();
  await keys.submit(owner.page).click();
  await owner.page.waitForLoadState();
  assert.equal((await list()).length, count);
  assert.equal(await keys.label(owner.page).inputValue(), 'Kept label');
  assert.deepEqual(await owner.violations(), []);
  await owner.leave();
});

test('revoked_key_is_refused_at_once', async () => {
  const owner = await sit();
  const key = await create(owner, 'To be revoked');
  await owner.goto('/keys');
  await keys.act(owner.page, key.id, 'revoke');
  assert.equal(await status(key.text), 401);
  await owner.goto('/keys');
  assert.match(await keys.row(owner.page, key.id).textContent(), /Revoked/);
  await owner.leave();
});

test('rotation_completes_and_ends_the_old_key', async () => {
  const owner = await sit();
  const old = await create(owner, 'To be rotated');
  await owner.goto('/keys');
  await keys.act(owner.page, old.id, 'rotate');
  const next = await shown(owner);
  assert.ok(next && next !== old.text, 'the new key is shown');
  assert.deepEqual([await status(old.text), await status(next)], [200, 200]);

  // The page says who still uses the old key.
  await owner.goto('/keys');
  assert.match(await owner.page.locator('main').innerText(), /Okta used the old key last on/);
  const before = (await list()).find(({ id }) => id === old.id);
  assert.ok(before.lastUsedBy, 'the key was used');
  await keys.act(owner.page, old.id, 'complete');
  assert.deepEqual([await status(old.text), await status(next)], [401, 200]);
  await owner.leave();
});

test('cancelled_rotation_ends_the_new_key', async () => {
  const owner = await sit();
  const old = await create(owner, 'Not to be rotated');
  await owner.goto('/keys');
  await keys.act(owner.page, old.id, 'rotate');
  const next = await shown(owner);
  await owner.goto('/keys');
  await keys.act(owner.page, old.id, 'cancel');
  assert.deepEqual([await status(old.text), await status(next)], [200, 401]);
  await owner.leave();
});

test('stale_pages_say_what_has_changed', async () => {
  const owner = await sit();
  const key = await create(owner, 'Revoked elsewhere');
  await owner.goto('/keys');
  const second = await owner.context.newPage();
  await second.goto(owner.page.url());
  await keys.review(second, key.id, 'rotate');
  await gateway.manage('POST', `/orgs/${ORGANISATION}/keys/${key.id}/revoke`);
  const count = (await list()).length;
  // One page shows the list, and the other one the review of a rotation.
  await keys.review(owner.page, key.id, 'rotate');
  await keys.confirm(second, key.id, 'rotate');
  for (const page of [owner.page, second]) assert.match(await page.getByRole('main').innerText(), /Something has changed meanwhile/);
  assert.equal((await list()).length, count);
  assert.equal(await status(key.text), 401);
  await owner.leave();
});
