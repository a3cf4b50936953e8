// Visitors that the console refuses, and their pages. Requests that a browser would not send are sent without one.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { Owner, SECRET, launch } from './browser.mjs';
import { Gateway, ORGANISATION } from './gateway.mjs';
import { CHANGES, PAGES, keys, navigation } from './pages.mjs';
import { Session, words } from './session.mjs';

let gateway;
let browser;
let key;
let client;
let closing;

before(async () => {
  [gateway, browser] = await Promise.all([Gateway.start(), launch()]);
  key = await gateway.key({ label: 'Of the owner' });
  client = await gateway.manage('POST', `/orgs/${ORGANISATION}/clients`, { scopes: ['scim'] });
  closing = await close('closing');
});

after(async () => {
  await Promise.all([browser?.close(), gateway?.stop()]);
});

/** Deletes an organisation that has a session. It takes a while, because requests that began before may still write. */
async function close(org) {
  await gateway.organisation(org);
  const [used, unused] = [await gateway.link({ org }), await gateway.link({ org })];
  const session = await Session.enter(gateway, used);
  const csrf = await session.csrf();
  assert.equal((await session.get('/overview')).status, 200);
  const deletion = (async () => {
    for (let attempts = 0; attempts < 60; attempts += 1) {
      const { status } = await gateway.admin('DELETE', `/orgs/${org}`);
      if (status === 204) return;
      await sleep(2_000);
    }
    throw new Error('The organisation is not deleted after two minutes.');
  })();
  // The test that waits for the deletion reports its failure.
  deletion.catch(() => {});
  return { session, csrf, unused, deletion };
}

const changes = () => CHANGES.map(([path, form]) => [path.replace('{key}', key.id).replace('{client}', client.id).replace('{secret}', client.secrets[0].id), form]);

/** Checks that an answer refuses, and that its page says what to do. */
function refused(answer, status, remedy, where) {
  assert.equal(answer.status, status, `${where}: ${words(answer.text).slice(0, 300)}`);
  assert.deepEqual(answer.faults, [], where);
  assert.match(answer.text, /<html[^>]* lang="en"/, where);
  assert.match(answer.text, /<h1/, where);
  assert.match(words(answer.text), remedy, where);
  assert.doesNotMatch(answer.text, SECRET, where);
}

/** Returns what the operator sees of the organisation. Refused forms change nothing of it. */
async function state() {
  const [org, keyList, clients] = await Promise.all(
    ['', '/keys', '/clients'].map((part) => gateway.manage('GET', `/orgs/${ORGANISATION}${part}`)),
  );
  return JSON.stringify([org, keyList.items.map(({ lastUsed, lastUsedBy, ...rest }) => rest), clients]);
}

test('session_cookie_is_out_of_reach_of_scripts_and_hosts', async () => {
  const session = await Session.enter(gateway, await gateway.link({ intent: 'keys' }));
  assert.equal(session.status, 303);
  assert.match(session.location, /\/console\/keys$/);
  // Over https the name begins with __Host- and the cookie is Secure, which tests/tests/console checks.
  const [cookie] = session.setCookie.filter((text) => text.startsWith('scim_session='));
  const attributes = cookie.split(';').slice(1).map((attribute) => attribute.trim().toLowerCase());
  for (const attribute of ['httponly', 'samesite=lax', 'path=/']) assert.ok(attributes.includes(attribute), cookie);
  assert.ok(!attributes.some((attribute) => attribute.startsWith('domain')), cookie);
  const age = attributes.find((attribute) => attribute.startsWith('max-age='));
  if (age) assert.ok(Number(age.split('=')[1]) <= 8 * 3600, cookie);

  const owner = await Owner.sit(browser, gateway);
  await owner.enter();
  await owner.checkStorage();
  const [stored] = (await owner.context.cookies()).filter(({ name }) => name === 'scim_session');
  assert.deepEqual([stored.httpOnly, stored.sameSite, stored.path], [true, 'Lax', '/']);
  assert.doesNotMatch(owner.page.url(), SECRET);
  await owner.leave();
});

test('link_works_once', async () => {
  const link = await gateway.link();
  assert.equal((await Session.enter(gateway, link)).status, 303);
  for (const [where, url] of Object.entries({
    'used link': link,
    'changed link': `${(await gateway.link()).slice(0, -1)}_`,
    'no link': link.split('?')[0],
    'empty link': `${link.split('=')[0]}=`,
    'long link': `${link}${'x'.repeat(4000)}`,
  })) {
    const response = await fetch(url, { redirect: 'manual' });
    assert.deepEqual(response.headers.getSetCookie(), [], where);
    const session = new Session(gateway, '');
    const answer = await session.get(url.slice(gateway.console.length));
    assert.ok([400, 401, 403, 404, 410].includes(answer.status), `${where}: ${answer.status}`);
    refused(answer, answer.status, /Open this page from the settings/, where);
  }
});

test('used_link_in_a_browser_says_what_to_do', async () => {
  const link = await gateway.link();
  const [first, second] = [await Owner.sit(browser, gateway), await Owner.sit(browser, gateway)];
  await first.enter(link);
  await second.enter(link);
  await second.page.getByRole('heading', { level: 1 }).waitFor();
  assert.match(await second.page.locator('body').innerText(), /Open this page from the settings/);
  assert.ok(!(await second.context.cookies()).some(({ name }) => name === 'scim_session'));
  assert.deepEqual(await second.violations(), []);
  await Promise.all([first.leave(), second.leave()]);
});

test('pages_without_a_session_are_refused', async () => {
  const { cookie } = await Session.enter(gateway, await gateway.link());
  const [name] = cookie.split('=');
  const ended = await Session.enter(gateway, await gateway.link());
  await ended.post('/leave');
  const revoked = await gateway.session();
  const { cookie: revokedCookie } = await Session.enter(gateway, revoked.url);
  assert.equal((await gateway.admin('DELETE', `/orgs/${ORGANISATION}/sessions/${revoked.id}`)).status, 204);
  const forged = cookie.replace(/.$/, (last) => (last === 'a' ? 'b' : 'a'));
  const cookies = { none: '', forged, ended: ended.cookie, revoked: revokedCookie, empty: `${name}=`, key: `${name}=${key.key}` };
  for (const [where, text] of Object.entries(cookies)) {
    const session = new Session(gateway, text);
    for (const [page, path] of PAGES) refused(await session.get(path), 401, /Open this page from the settings/, `${where}: ${page}`);
    for (const [path, form] of changes()) {
      const before = await state();
      refused(await session.request('POST', path, { csrf: 'x', ...form }), 401, /Open this page from the settings/, `${where}: POST ${path}`);
      assert.equal(await state(), before, path);
    }
  }
});

test('live_part_of_an_ended_session_says_so', async () => {
  const { id, url } = await gateway.session({ intent: 'okta' });
  const owner = await Owner.sit(browser, gateway);
  await owner.enter(url);
  await gateway.manage('DELETE', `/orgs/${ORGANISATION}/sessions/${id}`);
  await owner.page.getByText(/session has ended/i).first().waitFor({ timeout: 15_000 });
  await owner.leave();
});

test('session_reaches_no_other_organisation', async () => {
  const org = await gateway.organisation('rival');
  const theirs = await gateway.key({ org, label: 'Of the rival' });
  const { people, teams } = await import('./okta.mjs').then(async ({ Okta }) => {
    const okta = new Okta({ baseUrl: gateway.baseUrl, header: theirs.key });
    const person = await okta.assign('secret.person@rival.example');
    return { people: [person], teams: [await okta.push('Secret team', [person])] };
  });
  const [ours, rival] = [await Session.enter(gateway, await gateway.link()), await Session.enter(gateway, await gateway.link({ org }))];
  assert.match(words((await rival.get('/people')).text), /secret\.person@rival\.example/);
  for (const [, path] of PAGES) assert.doesNotMatch((await ours.get(path)).text, /rival/, path);
  assert.doesNotMatch((await ours.get('/people?q=secret')).text, /secret\.person/);
  const log = await rival.get('/activity');
  const entry = /\/activity\/([\w-]{36})"/.exec(log.text)[1];
  for (const path of [`/people/${people[0]}`, `/teams/${teams[0]}`, `/activity/${entry}`]) {
    assert.equal((await rival.get(path)).status, 200, path);
    refused(await ours.get(path), 404, /Choose a page from the menu/, path);
  }
  for (const action of ['rotate', 'complete', 'cancel', 'revoke']) {
    const answer = await ours.post(`/keys/${theirs.id}/${action}`);
    assert.ok(answer.status === 404 || answer.status === 409, `${action}: ${answer.status}`);
  }
  const [kept] = (await gateway.manage('GET', `/orgs/${org}/keys`)).items;
  assert.equal(kept.revoked, null);
  // A token of a form is of one session.
  const stolen = await rival.csrf();
  refused(await ours.request('POST', '/connection/scim', { csrf: stolen, enabled: 'false' }), 403, /Load the page again/, 'token of another session');
});

test('viewer_reads_and_changes_nothing', async () => {
  const viewer = await Session.enter(gateway, await gateway.link({ role: 'viewer' }));
  const csrf = await viewer.csrf('/overview');
  assert.ok(csrf, 'the language form has a token');
  for (const [page, path] of PAGES) {
    const answer = await viewer.get(path);
    assert.equal(answer.status, 200, page);
    const actions = [...answer.text.matchAll(/<form[^>]*method="post"[^>]*action="([^"]+)"|<form[^>]*action="([^"]+)"[^>]*method="post"/g)].map((found) => found[1] ?? found[2]);
    assert.deepEqual(actions.filter((action) => !/\/(language|leave)$/.test(action)), [], `forms of ${page}`);
  }
  for (const [path, form] of changes()) {
    const before = await state();
    refused(await viewer.request('POST', path, { csrf, ...form }), 403, /Ask an owner/, path);
    assert.equal(await state(), before, path);
  }
  assert.equal((await viewer.request('POST', '/language', { csrf, language: 'de' })).status, 303);
});

test('form_with_a_wrong_token_changes_nothing', async () => {
  const owner = await Session.enter(gateway, await gateway.link());
  const right = await owner.csrf();
  const before = await state();
  for (const [path, form] of [...changes(), ['/leave', {}], ['/language', { language: 'de' }]]) {
    for (const csrf of [undefined, '', 'x', right.slice(0, -1), `${right}x`]) {
      const fields = csrf === undefined ? form : { csrf, ...form };
      const answer = await owner.request('POST', path, fields);
      refused(answer, 403, /Load the page again/, `${path} with ${csrf}`);
    }
  }
  assert.equal(await state(), before);
  assert.equal((await owner.get('/overview')).status, 200);
});

test('forms_with_wrong_fields_change_nothing', async () => {
  const owner = await Session.enter(gateway, await gateway.link());
  const wrong = ['', 'maybe', 'é'.repeat(100), '\u0000', '-1', '<script>', 'x'.repeat(100_000), '2026-13-45', '../..'];
  const names = { '/connection/scim': ['enabled'], '/language': ['language'], '/connection/entra/federation': ['tenant', 'issuer', 'subject', 'audience'], '/keys': ['ends', 'expiry', 'scim', 'label'] };
  const before = await state();
  for (const [path, fields] of Object.entries(names)) {
    for (const value of wrong) {
      for (const form of [Object.fromEntries(fields.map((field) => [field, value])), {}]) {
        const answer = await owner.post(path, form);
        assert.ok(answer.status < 500 && answer.status >= 300, `${path} ${value.slice(0, 20)}: ${answer.status}`);
        if (answer.headers['content-type']?.startsWith('text/html')) assert.deepEqual(answer.faults, [], path);
      }
    }
  }
  assert.equal(await state(), before);
});

test('log_of_the_gateway_has_no_secret', async () => {
  const owner = await Owner.sit(browser, gateway);
  const link = await gateway.link({ intent: 'keys' });
  await owner.enter(link);
  const [session] = (await owner.context.cookies()).filter(({ name }) => name === 'scim_session');
  await keys.openForm(owner.page);
  await keys.submit(owner.page).click();
  await owner.page.waitForLoadState();
  const shown = SECRET.exec(await owner.page.locator('main').innerText());
  assert.ok(shown, 'a key is shown');
  await navigation.leave(owner.page).click();
  await owner.page.waitForLoadState();
  for (const secret of [link.split('link=')[1], shown[0], session.value]) assert.ok(!gateway.output.includes(secret));
  await owner.leave();
});

test('deleted_organisation_ends_its_sessions', async () => {
  const { session, csrf, unused, deletion } = closing;
  await deletion;
  for (const [, path] of PAGES) {
    const answer = await session.get(path);
    assert.ok([401, 404, 410].includes(answer.status), `${path}: ${answer.status}`);
    refused(answer, answer.status, /was deleted|settings of your product/, path);
  }
  const answer = await session.request('POST', '/keys', { csrf, label: 'x', scim: 'on' });
  assert.ok([401, 403, 404, 410].includes(answer.status), `POST: ${answer.status}`);
  assert.equal((await Session.enter(gateway, unused)).status, 410);
});
