// Each page and state: axe-core in light and dark, three widths, and the screenshots.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Owner, launch } from './browser.mjs';
import { Entra } from './entra.mjs';
import { Gateway, ORGANISATION } from './gateway.mjs';
import { inspect } from './inspect.mjs';
import { seed } from './seed.mjs';
import { STATES } from './states.mjs';

let browser;
let filled;
let seeded;

before(async () => {
  [browser, filled] = await Promise.all([launch(), Gateway.start()]);
  seeded = await seed(filled);
  seeded.client = await filled.manage('POST', `/orgs/${ORGANISATION}/clients`, { scopes: ['scim'], label: 'Reports' });
  const oauth = { tokenUrl: `${filled.origin}/oauth2/token`, clientId: seeded.client.id, clientSecret: seeded.client.clientSecret };
  assert.equal((await new Entra({ tenantUrl: filled.baseUrl, oauth }).exchange()).status, 200);
  seeded.rotating = await filled.key({ label: 'Old' });
  await filled.manage('POST', `/orgs/${ORGANISATION}/keys/${seeded.rotating.id}/rotate`, { overlapHours: 24 });
  await filled.organisation('globex');
});

after(() => Promise.all([browser?.close(), filled?.stop()]));

/** Opens each state of a world and looks at it. */
async function look(gateway, world, role = 'owner') {
  const owner = await Owner.sit(browser, gateway, { colorScheme: 'light' });
  await owner.enter(await gateway.link({ role }));
  const faults = [];
  for (const [name, open] of Object.entries(STATES[world])) {
    await owner.page.setViewportSize({ width: 1440, height: 900 });
    try {
      await open(owner, seeded);
      await owner.page.getByRole('heading', { level: 1 }).waitFor();
      faults.push(...(await inspect(owner, `${name}-${world}`)));
      if (role === 'viewer' && (await owner.page.locator('main form[method="post"]').count())) faults.push(`${name} has a form`);
    } catch (error) {
      faults.push(`${name}-${world}: ${error.message}`);
    }
  }
  if (faults.length) assert.fail(faults.join('\n'));
  await owner.leave();
}

describe('states', { concurrency: true }, () => {
  for (const world of ['empty', 'live']) {
    test(`pages_of_an_organisation_that_is_${world}_have_no_violation`, async () => {
      const gateway = await Gateway.start('--allow-loopback-issuers');
      try {
        await look(gateway, world);
      } finally {
        await gateway.stop();
      }
    });
  }

  test('pages_of_an_organisation_that_is_filled_have_no_violation', () => look(filled, 'filled'));

  test('pages_of_a_viewer_have_no_violation_and_no_form', () => look(filled, 'viewer', 'viewer'));
});
