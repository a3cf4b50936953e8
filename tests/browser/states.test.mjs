// Each page and state: axe-core in light and dark, three widths, and the screenshots.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Owner, launch } from './browser.mjs';
import { Gateway } from './gateway.mjs';
import { seed } from './seed.mjs';
import { STATES } from './states.mjs';

const SCREENSHOTS = process.env.SCIM_SCREENSHOTS ?? path.resolve(import.meta.dirname, '../../target/ci/screenshots');
const WIDTHS = [360, 768, 1440];
/** The height at which a screenshot ends. Lists are long, and their ends look like their middles. */
const LONGEST = Number(process.env.SCIM_SCREENSHOT_HEIGHT ?? 2_400);

let browser;

before(async () => {
  [browser] = await Promise.all([launch(), mkdir(SCREENSHOTS, { recursive: true })]);
});

after(() => browser?.close());

async function shoot(page, name) {
  const { width, height } = await page.evaluate(() => ({ width: innerWidth, height: document.documentElement.scrollHeight }));
  const clip = { x: 0, y: 0, width, height: Math.min(height, LONGEST) };
  await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), fullPage: true, clip, animations: 'disabled' });
}

/** Looks at the open page at each width and in both schemes. Returns what is wrong. */
async function inspect(owner, name) {
  const { page } = owner;
  const faults = [];
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: width === 360 ? 740 : 900 });
    const wide = await owner.overflow();
    if (wide) faults.push(`${name} at ${width} px: ${wide}`);
    await shoot(page, `${name}-${width}`);
  }
  faults.push(...(await owner.violations()).map((violation) => `${name} in light: ${violation}`));
  await page.emulateMedia({ colorScheme: 'dark' });
  await shoot(page, `${name}-1440-dark`);
  // The other rules do not depend on colours.
  faults.push(...(await owner.violations('color-contrast')).map((violation) => `${name} in dark: ${violation}`));
  await page.emulateMedia({ colorScheme: 'light' });
  return faults;
}

describe('states', { concurrency: true }, () => {
  for (const world of ['empty', 'filled']) {
    test(`pages_of_an_organisation_that_is_${world}_have_no_violation`, async () => {
      const gateway = await Gateway.start();
      try {
        const seeded = world === 'filled' ? await seed(gateway) : null;
        const owner = await Owner.sit(browser, gateway, { colorScheme: 'light' });
        await owner.enter();
        const faults = [];
        for (const [name, open] of Object.entries(STATES[world])) {
          await owner.page.setViewportSize({ width: 1440, height: 900 });
          try {
            await open(owner, seeded);
            await owner.page.getByRole('heading', { level: 1 }).waitFor();
            faults.push(...(await inspect(owner, `${name}-${world}`)));
          } catch (error) {
            faults.push(`${name}-${world}: ${error.message}`);
          }
        }
        assert.equal(faults.join('\n'), '');
        await owner.leave();
      } finally {
        await gateway.stop();
      }
    });
  }
});
