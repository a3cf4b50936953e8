// Takes the screenshots of all pages into target/ci/screenshots. With --keep, they are short, and a representative set of them
// is copied to screenshots/.

import { spawnSync } from 'node:child_process';
import { cp, mkdir, rm } from 'node:fs/promises';
import path from 'node:path';

const KEPT = [
  'overview-filled-1440', 'overview-filled-360', 'connection-empty-1440', 'okta-empty-1440', 'okta-key-shown-empty-1440',
  'entra-empty-1440', 'keys-filled-1440-dark', 'people-filled-768', 'team-filled-1440', 'activity-filled-1440',
  'activity-filled-360', 'activity-several-filled-1440', 'request-filled-1440', 'entra-federation-exists-empty-1440', 'okta-slow-live-1440',
  'review-revoke-filled-768', 'other-organisation-filled-768', 'keys-viewer-1440', 'embedded-1440',
];

const keep = process.argv.includes('--keep');
const here = import.meta.dirname;
const taken = path.resolve(here, '../../target/ci/screenshots');
const { status } = spawnSync(process.execPath, ['--test', path.join(here, 'states.test.mjs'), path.join(here, 'embedding.test.mjs')], {
  stdio: 'inherit',
  env: { ...process.env, SCIM_SCREENSHOTS: taken, ...(keep && { SCIM_SCREENSHOT_HEIGHT: '900' }) },
});
if (keep && status === 0) {
  const kept = path.join(here, 'screenshots');
  await rm(kept, { recursive: true, force: true });
  await mkdir(kept);
  for (const name of KEPT) await cp(path.join(taken, `${name}.png`), path.join(kept, `${name}.png`));
}
process.exitCode = status;
