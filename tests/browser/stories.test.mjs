// The help pages' stories: a new owner opens the printed link, connects an identity provider, and sees the first person
// arrive. Clicks and pasted values at the console and at the identity provider are counted together.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Owner, SECRET, launch } from './browser.mjs';
import { Entra } from './entra.mjs';
import { Gateway, ORGANISATION } from './gateway.mjs';
import { Issuer } from './issuer.mjs';
import { Okta } from './okta.mjs';
import { connection, copy, entra, okta, verify } from './pages.mjs';

const CLICKS = 12;
/** Values that are pasted into the console and into the identity provider together, in the stories of the help pages. */
const PASTES = 3;
/** Entra's form for client credentials has four fields, which the console cannot change: the URL, the identifier, the secret and
 * the token endpoint. */
const PASTES_WITH_SECRET = 4;
/** With federation the form has no secret, and Entra shows three values that the console must trust. */
const PASTES_WITH_FEDERATION = 6;

let browser;
let issuer;

before(async () => {
  [browser, issuer] = await Promise.all([launch(), Issuer.start()]);
});

after(async () => {
  await Promise.all([browser?.close(), issuer?.stop()]);
});

/** Plays a story on a new gateway. */
async function story(play, { pastes = PASTES, ...options } = {}) {
  const gateway = await Gateway.start('--allow-loopback-issuers');
  try {
    const owner = await Owner.sit(browser, gateway, options);
    await gateway.manage('PATCH', `/orgs/${ORGANISATION}`, { enabled: false });
    assert.ok(gateway.output.includes(gateway.consoleUrl), 'the gateway prints the link');
    await owner.enter(gateway.consoleUrl);
    await play(owner, gateway);
    assert.ok(owner.clicks <= CLICKS, `${owner.clicks} clicks`);
    const pasted = owner.pastes + owner.pastesElsewhere;
    assert.ok(pasted <= pastes, `${pasted} values pasted, ${owner.pastes} of them into the console`);
    await owner.checkStorage();
    await owner.leave();
    console.log(`${owner.clicks} clicks, ${owner.pastes} values pasted here and ${owner.pastesElsewhere} elsewhere`);
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
    this.#owner.pastesElsewhere += 1;
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

/** Turns SCIM on and opens the steps of a provider. */
async function toSteps(owner, provider) {
  await owner.click(connection.turnOn(owner.page));
  await owner.click(connection[provider](owner.page));
}

/** Fills in the form that Okta shows after Provisioning → Integration → Edit. Clicks that lead to it are not counted. */
async function firstPersonByOkta(owner) {
  const { page } = owner;
  const form = new Form(owner);
  await toSteps(owner, 'okta');
  form.paste('SCIM connector base URL', await owner.copy(copy(page, 'SCIM connector base URL')));
  form.paste('Unique identifier field for users', await owner.copy(copy(page, 'Unique identifier field for users')));
  await owner.click(okta.create(page));
  form.paste('Authorization', await owner.copy(copy(page, 'API Token or Authorization key')));
  assert.equal(form.fields['Unique identifier field for users'], 'userName');
  const provider = new Okta({ baseUrl: form.fields['SCIM connector base URL'], header: form.fields.Authorization });

  form.click('Test Connector Configuration');
  await liveVerify(owner, async () => assert.equal((await provider.testCredentials()).status, 200), 'Okta read a list of people');
  form.click('Save');
  await liveVerify(owner, () => provider.assign('ada.lovelace@example.com'), /created .*ada\.lovelace@example\.com/);
  await verify.says(page, 'It works.').waitFor();
  assert.ok((await owner.shift()) < 0.05, `the page jumps: ${await owner.shift()}`);
}

test('okta_story_from_link_to_first_person', () => story(firstPersonByOkta));

test('okta_story_by_keyboard_alone', () => story(firstPersonByOkta, { keyboard: true }));

/** Plays a way to connect Entra, from the key or client to the first person. */
function entraStory(connect, options) {
  return story(async (owner, gateway) => {
    const form = new Form(owner);
    await toSteps(owner, 'entra');
    form.paste('Tenant URL', await owner.copy(copy(owner.page, 'Tenant URL')));
    const provider = new Entra({ tenantUrl: form.fields['Tenant URL'], ...(await connect(owner, form, gateway)) });
    form.click('Test Connection');
    await liveVerify(owner, async () => assert.equal((await provider.testConnection()).status, 200), /Entra.* tested the connection/);
    form.click('Start provisioning');
    await liveVerify(owner, () => provider.provision('ada.lovelace@example.com'), /created .*ada\.lovelace@example\.com/);
    await verify.says(owner.page, 'It works.').waitFor();
    assert.ok((await owner.shift()) < 0.05, `the page jumps: ${await owner.shift()}`);
  }, options);
}

test('entra_story_with_a_key', () =>
  entraStory(async (owner, form) => {
    const { page } = owner;
    await owner.click(entra.key(page));
    form.paste('Secret Token', await owner.copy(copy(page, 'Secret Token')));
    return { secretToken: form.fields['Secret Token'] };
  }));

/** Copies the values that the form of Entra for OAuth has. */
async function client(owner, form, ...fields) {
  for (const field of ['Client identifier', 'Token endpoint', ...fields]) form.paste(field, await owner.copy(copy(owner.page, field)));
  return { clientId: form.fields['Client identifier'], tokenUrl: form.fields['Token endpoint'], clientSecret: form.fields['Client secret'] };
}

test('entra_story_with_a_client_secret', () =>
  entraStory(async (owner, form) => {
    await owner.click(entra.secret(owner.page));
    return { oauth: await client(owner, form, 'Client secret') };
  }, { pastes: PASTES_WITH_SECRET }));

for (const algorithm of ['RS256', 'ES256']) {
  test(`entra_story_without_a_secret_by_${algorithm.toLowerCase()}`, () =>
    entraStory(async (owner, form) => {
      const { page } = owner;
      // Entra shows these three values.
      await owner.paste(entra.field(page, /Issuer/), issuer.url);
      await owner.paste(entra.field(page, 'Subject'), issuer.subject);
      await owner.paste(entra.field(page, 'Audience'), issuer.audience);
      await owner.click(entra.federation(page));
      assert.doesNotMatch(await page.content(), SECRET);
      return { oauth: { ...(await client(owner, form)), assertion: () => issuer.token(algorithm) } };
    }, { pastes: PASTES_WITH_FEDERATION }));
}

test('live_check_says_what_went_wrong', async () => {
  await story(async (owner, gateway) => {
    await toSteps(owner, 'okta');
    const provider = new Okta({ baseUrl: gateway.baseUrl, header: gateway.token });
    await liveVerify(owner, () => provider.request('GET', '/Users?filter=userName%20xx%20%22a%22'), 'Okta could not search for people');
  });
});

test('live_check_is_quiet_while_nothing_happens', async () => {
  await story(async (owner) => {
    await toSteps(owner, 'okta');
    // A screen reader reads each change of the live part aloud.
    const changes = await owner.page.locator('[aria-live]').evaluate(async (part) => {
      let changes = 0;
      new MutationObserver((records) => { changes += records.length; }).observe(part, { childList: true, characterData: true, subtree: true });
      await new Promise((resolve) => { setTimeout(resolve, 5_000); });
      return changes;
    });
    assert.equal(changes, 0);
  });
});
