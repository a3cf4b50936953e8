// Looks at a page as people do: at three widths, in light and dark, with axe-core and a screenshot of each.

import { mkdirSync } from 'node:fs';
import path from 'node:path';

const SCREENSHOTS = process.env.SCIM_SCREENSHOTS ?? path.resolve(import.meta.dirname, '../../target/ci/screenshots');
const WIDTHS = [360, 768, 1440];
/** The height at which a screenshot ends. Lists are long, and their ends look like their middles. */
const LONGEST = Number(process.env.SCIM_SCREENSHOT_HEIGHT ?? 2_400);

mkdirSync(SCREENSHOTS, { recursive: true });

async function shoot(page, name) {
  const { width, height, shown } = await page.evaluate(() => ({
    width: innerWidth,
    height: document.documentElement.scrollHeight,
    // The key that is shown once, and the first client, are on the kept screenshots.
    shown: (document.querySelector('#secret, li[id^="client-"]')?.getBoundingClientRect().bottom ?? 0) + scrollY,
  }));
  const clip = { x: 0, y: 0, width, height: Math.min(height, Math.max(LONGEST, Math.ceil(shown) + 80)) };
  await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), fullPage: true, clip, animations: 'disabled' });
}

/** Looks at the open page, or at a frame of it. Returns what is wrong. */
export async function inspect(owner, name, frame = owner.page) {
  const { page } = owner;
  const faults = [];
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: width === 360 ? 740 : 900 });
    const wide = await owner.overflow(frame);
    if (wide) faults.push(`${name} at ${width} px: ${wide}`);
    await shoot(page, `${name}-${width}`);
  }
  faults.push(...(await owner.violations(frame)).map((violation) => `${name} in light: ${violation}`));
  await page.emulateMedia({ colorScheme: 'dark' });
  await shoot(page, `${name}-1440-dark`);
  faults.push(...(await owner.violations(frame)).map((violation) => `${name} in dark: ${violation}`));
  await page.emulateMedia({ colorScheme: 'light' });
  return faults;
}
