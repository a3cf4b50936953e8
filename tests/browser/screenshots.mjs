// Takes the screenshots of all pages into target/ci/screenshots. With --keep, copies a representative set to screenshots/.

import { spawnSync } from 'node:child_process';
import { cp, mkdir, rm } from 'node:fs/promises';
import path from 'node:path';

const KEPT = [
  'overview-filled-1440', 'overview-filled-360', 'connection-empty-1440', 'okta-empty-1440', 'okta-key-shown-empty-1440',
  'entra-empty-1440', 'keys-filled-1440-dark', 'people-filled-768', 'team-filled-1440', 'activity-filled-1440',
  'activity-filled-360', 'request-filled-1440',
];

const here = import.meta.dirname;
const taken = path.resolve(here, '../../target/ci/screenshots');
const { status } = spawnSync(process.execPath, ['--test', path.join(here, 'states.test.mjs')], {
  stdio: 'inherit',
  env: { ...process.env, SCIM_SCREENSHOTS: taken },
});
if (process.argv.includes('--keep')) {
  const kept = path.join(here, 'screenshots');
  await rm(kept, { recursive: true, force: true });
  await mkdir(kept);
  for (const name of KEPT) await cp(path.join(taken, `${name}.png`), path.join(kept, `${name}.png`));
}
process.exitCode = status;
