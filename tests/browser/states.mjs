// The pages and states that are checked and of which screenshots are taken.

import { entra, keys, okta } from './pages.mjs';

const page = (path) => (owner) => owner.goto(path);
const after = (open, act) => async (owner, seeded) => {
  await open(owner, seeded);
  await act(owner.page, seeded);
  await owner.page.waitForLoadState();
};

export const STATES = {
  empty: {
    overview: page('/overview'),
    connection: page('/connection'),
    okta: page('/connection/okta'),
    entra: page('/connection/entra'),
    keys: page('/keys'),
    people: page('/people'),
    teams: page('/teams'),
    activity: page('/activity'),
    'no-such-page': page('/nothing'),
    'used-link': page('/enter?link=used'),
    'okta-key-shown': after(page('/connection/okta'), (open) => okta.create(open).click()),
    'entra-key-shown': after(page('/connection/entra'), (open) => entra.key(open).click()),
    'entra-secret-shown': after(page('/connection/entra'), (open) => entra.secret(open).click()),
    'key-shown': after(page('/keys'), async (open) => {
      await keys.openForm(open);
      await keys.label(open).fill('Of the vendor');
      await keys.submit(open).click();
    }),
  },
  filled: {
    overview: page('/overview'),
    connection: page('/connection'),
    okta: page('/connection/okta'),
    entra: page('/connection/entra'),
    keys: page('/keys'),
    people: page('/people'),
    'people-search': page('/people?q=ada'),
    'people-none': page('/people?q=zzz'),
    person: (owner, seeded) => owner.goto(`/people/${seeded.people[0]}`),
    'person-inactive': (owner, seeded) => owner.goto(`/people/${seeded.guest}`),
    teams: page('/teams'),
    team: (owner, seeded) => owner.goto(`/teams/${seeded.teams[0]}`),
    activity: page('/activity'),
    'activity-failed': page('/activity?outcome=failed'),
    request: after(page('/activity?outcome=failed'), (open) => open.locator('main a[href*="/activity/"]').first().click()),
    'key-rotating': after(page('/keys'), (open, seeded) => keys.act(open, seeded.forEntra.id, 'rotate')),
    'keys-rotating': page('/keys'),
    'key-refused': after(page('/keys'), async (open) => {
      await keys.openForm(open);
      for (const scope of ['SCIM', 'Read', 'Write']) await keys.scope(open, scope).uncheck();
      await keys.submit(open).click();
    }),
  },
};
