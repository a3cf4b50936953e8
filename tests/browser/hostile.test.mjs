// Hostile values in each attribute that a page shows: the page shows them as text, and no script runs.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Owner, launch } from './browser.mjs';
import { Gateway } from './gateway.mjs';
import { Okta } from './okta.mjs';
import { PAGES, activity, directory, keys } from './pages.mjs';

/** Each value calls the function that the observer notes, if a page takes it for markup. */
const HOSTILE = [
  '<script>hacked("script")</script>',
  '"><img src=x onerror=hacked("attribute")>',
  "' autofocus onfocus=hacked('quote') x='",
  'javascript:hacked("url")',
  '</title></textarea></script><svg onload=hacked("svg")>',
  '{{hacked("template")}}${hacked("template")}{% raw %}<%= 7*7 %>',
  '<a href="/console/leave" hx-get="/console/overview" hx-trigger="load" data-hx-on:load="hacked(1)">x</a>',
  '<meta http-equiv=refresh content="0;url=/console/overview"><base href=//evil.example>',
  '\u2066\u202eevil\u2069 \u200b\ufeff\u0300\u0300',
  `long ${'W'.repeat(220)}`,
  '&lt;b&gt;&#60;script&#62;hacked("entity")&#60;/script&#62;',
];

let gateway;
let browser;
let okta;
let key;
const people = [];
const teams = [];
const INVISIBLE = /[\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
/** Names have no invisible characters, and begin with no accent. */
const visible = (text) => text.replace(INVISIBLE, '').replace(/[\u0300-\u036f]/g, '');

before(async () => {
  [gateway, browser] = await Promise.all([Gateway.start(), launch()]);
  const created = await gateway.key({ label: HOSTILE[0].slice(0, 60) });
  key = created.id;
  okta = new Okta({ baseUrl: gateway.baseUrl, header: created.key });
  for (const [index, hostile] of HOSTILE.entries()) {
    const userName = `${visible(hostile)}${index}@example.com`;
    people.push(await okta.assign(userName, {
      displayName: hostile,
      nickName: hostile,
      title: hostile,
      userType: hostile,
      name: { formatted: hostile, givenName: hostile, familyName: hostile, middleName: hostile, honorificPrefix: hostile },
      emails: [{ value: hostile, type: 'work', display: hostile, primary: true }],
      phoneNumbers: [{ value: hostile, type: 'work' }],
      addresses: [{ formatted: hostile, locality: hostile, country: 'DE', type: 'work' }],
      roles: [{ value: hostile, display: hostile }],
      profileUrl: 'javascript:hacked("profile")',
      photos: [{ value: 'javascript:hacked("photo")', type: 'photo' }],
      externalId: `${hostile}${index}`.slice(0, 200),
    }));
    teams.push(await okta.push(visible(hostile), [people.at(-1)]));
  }
  // Errors with hostile details, which the log shows.
  for (const hostile of HOSTILE) {
    await okta.request('GET', `/Users?filter=${encodeURIComponent(`${hostile} eq "x"`)}`);
    await okta.request('POST', '/Users', { schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'], userName: hostile, active: hostile });
    await okta.request('PATCH', `/Users/${people[0]}`, { schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'], Operations: [{ op: 'replace', path: hostile, value: hostile }] });
    await okta.request('GET', `/${encodeURIComponent(hostile)}`);
  }
});

after(async () => {
  await Promise.all([browser?.close(), gateway?.stop()]);
});

/** Checks that a page shows what it has and that no hostile value became an element. */
async function inert(owner, where) {
  const strange = await owner.page.evaluate(() => {
    const found = [...document.querySelectorAll('main [onerror], main [onload], main [onfocus], main [hx-trigger="load"][data-hx-on\\:load], base, meta[http-equiv]')].map((element) => element.outerHTML);
    for (const element of document.querySelectorAll('a[href], img[src], form[action]')) {
      const url = element.getAttribute('href') ?? element.getAttribute('src') ?? element.getAttribute('action');
      if (/^\s*(javascript|data|vbscript):/i.test(url)) found.push(element.outerHTML);
    }
    return found;
  });
  assert.deepEqual(strange, [], where);
  assert.equal(await owner.overflow(), null, where);
}

test('hostile_values_are_inert_on_every_page', async () => {
  const owner = await Owner.sit(browser, gateway, { viewport: { width: 360, height: 740 } });
  await owner.enter();
  const paths = [
    ...PAGES.map(([, path]) => path),
    ...people.map((id) => `/people/${id}`),
    ...teams.map((id) => `/teams/${id}`),
    ...HOSTILE.slice(0, 6).flatMap((hostile) => {
      const text = encodeURIComponent(hostile);
      return [`/people?q=${text}`, `/teams?q=${text}`, `/activity?person=${text}&team=${text}`, `/activity?client=${text}&status=${text}&cursor=${text}`, `/connection/verify?provider=${text}&since=${text}`, `/people?cursor=${text}`];
    }),
  ];
  for (const path of paths) {
    const response = await owner.goto(path);
    assert.ok(response.status() < 500, `${path}: ${response.status()}`);
    await inert(owner, path);
  }
  // Each entry of the log has a page.
  await owner.goto('/activity');
  const entries = await owner.page.locator('main a[href*="/activity/"]').evaluateAll((links) => [...new Set(links.map((link) => link.href))]);
  for (const entry of entries.slice(0, 24)) {
    await owner.page.goto(entry);
    await inert(owner, entry);
  }
  await owner.leave();
});

test('hostile_values_are_shown_as_text', async () => {
  const owner = await Owner.sit(browser, gateway);
  await owner.enter();
  for (const [index, hostile] of HOSTILE.entries()) {
    for (const [path, text] of [[`/people/${people[index]}`, hostile], [`/teams/${teams[index]}`, visible(hostile)]]) {
      await owner.goto(path);
      // Pages leave out characters that no person can see.
      const shown = (await owner.page.locator('main').textContent()).replace(INVISIBLE, '');
      assert.ok(shown.includes(text.replace(INVISIBLE, '')), `${path} shows ${text}`);
    }
  }
  await owner.leave();
});

test('hostile_values_of_forms_are_inert', async () => {
  const owner = await Owner.sit(browser, gateway);
  await owner.enter();
  await owner.goto('/activity');
  for (const name of ['Person', 'Team']) {
    for (const hostile of HOSTILE) {
      await activity.filter(owner.page, name).fill(hostile);
      await owner.page.waitForTimeout(400);
      await inert(owner, `filter by ${hostile}`);
    }
  }
  await owner.goto('/people');
  for (const hostile of HOSTILE) {
    await directory.search(owner.page).fill(hostile);
    await owner.page.waitForTimeout(400);
    await inert(owner, `search for ${hostile}`);
  }
  for (const hostile of HOSTILE) {
    await owner.goto('/keys');
    await keys.openForm(owner.page);
    await keys.label(owner.page).fill(hostile);
    await keys.submit(owner.page).click();
    await owner.page.waitForLoadState();
    await inert(owner, `key ${hostile}`);
  }
  await owner.leave();
});
