// The help pages' stories: a new owner opens the printed link, connects an identity provider, and sees the first person
// arrive. Clicks and pasted values at the console and at the identity provider are counted together.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Owner, launch } from './browser.mjs';
import { Entra } from './entra.mjs';
import { Gateway } from './gateway.mjs';
import { Issuer } from './issuer.mjs';
import { Okta } from './okta.mjs';
import { connection, entra, navigation, okta, value, verify } from './pages.mjs';

const CLICKS = 12;
const PASTES = 3;

let browser;
let issuer;

before(async () => {
  [browser, issuer] = await Promise.all([launch(), Issuer.start()]);
});

after(async () => {
  await Promise.all([browser?.close(), issuer?.stop()]);
});

/** Plays a story on a new gateway. */
async function story(play, options) {
  const gateway = await Gateway.start('--allow-loopback-issuers');
  try {
    const owner = await Owner.sit(browser, gateway, options);
    assert.ok(gateway.output.includes(gateway.consoleUrl), 'the gateway prints the link');
    await owner.enter(gateway.consoleUrl);
    await play(owner, gateway);
    assert.ok(owner.clicks <= CLICKS, `${owner.clicks} clicks`);
    assert.ok(owner.pastes <= PASTES, `${owner.pastes} pasted values`);
    await owner.checkStorage();
    await owner.leave();
    console.log(`${owner.clicks} clicks, ${owner.pastes} pasted values`);
  } finally {
    await gateway.stop();
  }
}

/** The form of the identity provider, which is not on this machine. */
class Form {
  #owner;
  fields = {};

  constructor(owner) {
    this.#owner = owner;
  }

  paste(field, text) {
    this.#owner.pastes += 1;
    this.fields[field] = text;
  }

  click() {
    this.#owner.clicks += 1;
  }
}

/** Lets the provider act, and waits until the page says so by itself: it is not loaded again. */
async function liveVerify(owner, act, sentence) {
  await owner.page.evaluate(() => { window.scimStays = true; });
  await act();
  await verify.says(owner.page, sentence).waitFor({ timeout: 15_000 });
  assert.ok(await owner.page.evaluate(() => window.scimStays), 'the page was loaded again');
}

/** Goes from the first page to the steps of a provider, with SCIM turned on. */
async function toSteps(owner, provider) {
  const { page } = owner;
  await owner.click(navigation.link(page, 'Connection'));
  const toggle = connection.toggle(page);
  if (await connection.isOff(page)) await owner.click(toggle);
  await owner.click(connection[provider](page));
}

async function firstPersonByOkta(owner) {
  const { page } = owner;
  const form = new Form(owner);
  await toSteps(owner, 'okta');
  form.paste('SCIM connector base URL', await owner.copy(value.copy(page, 'base URL')));
  form.paste('Unique identifier field for users', 'userName');
  await owner.click(okta.create(page));
  form.paste('Authorization', await owner.copy(value.copy(page, 'key|token|secret')));
  const provider = new Okta({ baseUrl: form.fields['SCIM connector base URL'], header: form.fields.Authorization });

  form.click('Test Connector Configuration');
  await liveVerify(owner, async () => assert.equal((await provider.testCredentials()).status, 200), /Okta/);
  form.click('Save');
  await liveVerify(owner, () => provider.assign('ada.lovelace@example.com'), /ada\.lovelace@example\.com/);
  assert.ok((await owner.shift()) < 0.05, `the page jumps: ${await owner.shift()}`);
}

test('okta_story_from_link_to_first_person', () => story(firstPersonByOkta));

test('okta_story_by_keyboard_alone', () => story(firstPersonByOkta, { keyboard: true }));

/** Plays a way to connect Entra, from the key or client to the first person. */
function entraStory(connect) {
  return story(async (owner, gateway) => {
    const form = new Form(owner);
    await toSteps(owner, 'entra');
    const provider = new Entra(await connect(owner, form, gateway));
    form.click('Test Connection');
    await liveVerify(owner, async () => assert.equal((await provider.testConnection()).status, 200), /Entra/);
    form.click('Start provisioning');
    await liveVerify(owner, () => provider.provision('ada.lovelace@example.com'), /ada\.lovelace@example\.com/);
    assert.ok((await owner.shift()) < 0.05, `the page jumps: ${await owner.shift()}`);
  });
}

test('entra_story_with_a_key', () =>
  entraStory(async (owner, form) => {
    const { page } = owner;
    form.paste('Tenant URL', await owner.copy(value.copy(page, 'tenant URL')));
    await owner.click(entra.key(page));
    form.paste('Secret token', await owner.copy(value.copy(page, 'secret token|key')));
    return { tenantUrl: form.fields['Tenant URL'], secretToken: form.fields['Secret token'] };
  }));
