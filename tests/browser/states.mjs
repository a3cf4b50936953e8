// The pages and states that are checked and of which screenshots are taken.

import assert from 'node:assert/strict';

import { Entra } from './entra.mjs';
import { ORGANISATION } from './gateway.mjs';
import { Okta } from './okta.mjs';
import { activity, clients, copy, entra, keys, navigation, okta, verify } from './pages.mjs';

const page = (path) => (owner) => owner.goto(path);
const of = (path) => (owner, seeded) => owner.goto(path(seeded));
const after = (open, act) => async (owner, seeded) => {
  await open(owner, seeded);
  await act(owner.page, seeded, owner);
  await owner.page.waitForLoadState();
};

/** Opens the steps of a provider as they are some time after they were opened. */
const opened = (provider, seconds) => (owner) =>
  owner.goto(`/connection/${provider}?since=${encodeURIComponent(new Date(Date.now() - seconds * 1_000).toISOString())}`);

/** Lets a provider act while its steps are open, and waits until they say so. */
const live = (provider, act, sentence) =>
  after(page(`/connection/${provider}`), async (open, _, { gateway }) => {
    const Provider = { okta: Okta, entra: Entra }[provider];
    await act(new Provider({ baseUrl: gateway.baseUrl, tenantUrl: gateway.baseUrl, header: gateway.token, secretToken: gateway.token }));
    await verify.says(open, sentence).waitFor({ timeout: 15_000 });
  });

/** The pages with questions before a change. */
const REVIEWS = {
  'review-switch-off': page('/connection/scim'),
  'review-rotate': of(({ forOkta }) => `/keys/${forOkta.id}/rotate`),
  'review-revoke': of(({ forOkta }) => `/keys/${forOkta.id}/revoke`),
  'review-complete': of(({ rotating }) => `/keys/${rotating.id}/complete`),
  'review-cancel': of(({ rotating }) => `/keys/${rotating.id}/cancel`),
  'review-secret': of(({ client }) => `/clients/${client.id}/secret`),
  'review-end-secret': of(({ client }) => `/clients/${client.id}/secrets/${client.secrets[0].id}/end`),
  'review-delete': of(({ client }) => `/clients/${client.id}/delete`),
};

/** The pages that only show. */
const SHOWN = {
  overview: page('/overview'),
  connection: page('/connection'),
  okta: page('/connection/okta'),
  entra: page('/connection/entra'),
  keys: page('/keys'),
  people: page('/people'),
  person: of(({ people }) => `/people/${people[0]}`),
  teams: page('/teams'),
  team: of(({ teams }) => `/teams/${teams[0]}`),
  activity: page('/activity'),
  request: after(page('/activity?outcome=failed'), (open) => activity.entries(open).first().click()),
};

async function fillFederation(open, values) {
  for (const [name, value] of Object.entries(values)) await entra.field(open, name).fill(value);
  await entra.federation(open).click();
}

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
    'okta-key-exists': page('/connection/okta'),
    'entra-refused': after(page('/connection/entra'), (open) => fillFederation(open, { Subject: 'x' })),
    'entra-key-shown': after(page('/connection/entra'), (open) => entra.key(open).click()),
    'entra-secret-shown': after(page('/connection/entra'), (open) => entra.secret(open).click()),
    'entra-secret-exists': page('/connection/entra'),
    'entra-federation': after(page('/connection/entra?way=other'), (open) =>
      fillFederation(open, { Issuer: '0f1e2d3c-4b5a-4697-8877-665544332211', Subject: '11111111-2222-4333-8444-555555555555', Audience: 'api://AzureADTokenExchange' })),
    'entra-federation-exists': page('/connection/entra'),
    'key-shown': after(page('/keys'), async (open) => {
      await keys.openForm(open);
      await keys.label(open).fill('Of the vendor');
      await keys.submit(open).click();
    }),
    'keys-full': async (owner) => {
      const create = () => owner.gateway.admin('POST', `/orgs/${ORGANISATION}/clients`, { scopes: ['scim'] });
      for (let status = 201; status < 300; ) ({ status } = await create());
      await owner.goto('/keys');
      assert.ok(await owner.page.getByText('The organisation has 100 clients.').isVisible());
    },
    'entra-full': page('/connection/entra?way=other'),
  },
  live: {
    'okta-waits': page('/connection/okta'),
    // The page is two seconds from the time at which it names the usual causes, which then appear by themselves.
    'okta-slow': after(opened('okta', 118), (open) => verify.says(open, 'select Test Connector Configuration').waitFor({ timeout: 15_000 })),
    'entra-slow': opened('entra', 180),
    'okta-refused': live('okta', (provider) => provider.request('GET', '/Users?filter=userName%20xx%20%22a%22'), 'Okta could not search for people'),
    'okta-tested': live('okta', (provider) => provider.testCredentials(), 'Okta read a list of people'),
    'okta-works': live('okta', (provider) => provider.assign('ada.lovelace@example.com'), 'It works.'),
    'entra-tested': live('entra', (provider) => provider.testConnection(), /Entra.* tested the connection/),
    'entra-works': live('entra', (provider) => provider.provision('grace.hopper@example.com'), 'It works.'),
  },
  filled: {
    ...SHOWN,
    'people-search': page('/people?q=ada'),
    'people-none': page('/people?q=zzz'),
    'person-inactive': of(({ guest }) => `/people/${guest}`),
    'activity-failed': page('/activity?outcome=failed'),
    'activity-status': page('/activity?status=4xx&client=okta'),
    'activity-person': of(({ people, teams }) => `/activity?person=${people[0]}&team=${teams[0]}`),
    'activity-several': page('/activity?person=ada'),
    'activity-none': page('/activity?team=zzz'),
    ...REVIEWS,
    'rotate-refused': after(of(({ forOkta }) => `/keys/${forOkta.id}/rotate`), async (open, seeded) => {
      await open.getByLabel('Days').fill('x');
      await keys.confirm(open, seeded.forOkta.id, 'rotate');
    }),
    'other-organisation': async (owner) => owner.page.goto(await owner.gateway.link({ org: 'globex' })),
    'key-rotating': after(page('/keys'), (open, seeded) => keys.act(open, seeded.forEntra.id, 'rotate')),
    'keys-rotating': page('/keys'),
    'client-secret-shown': async (owner) => {
      const { id } = await owner.gateway.manage('POST', `/orgs/${ORGANISATION}/clients`, { scopes: ['scim'], label: 'Analytics' });
      await owner.goto(`/clients/${id}/secret`);
      await clients.addSecret(owner.page, id).click();
      await copy(owner.page, 'Client secret').waitFor();
    },
    'key-refused': after(page('/keys'), async (open) => {
      await keys.openForm(open);
      for (const scope of ['SCIM', 'Read', 'Write']) await keys.scope(open, scope).uncheck();
      await keys.submit(open).click();
    }),
    // The last state, because it ends the session.
    ended: after(page('/overview'), async (open) => {
      await navigation.leave(open).click();
      await open.getByRole('heading', { level: 1, name: /ended/ }).waitFor();
    }),
  },
  viewer: {
    ...SHOWN,
    // A page with a question alone, and one with fields.
    'review-revoke': REVIEWS['review-revoke'],
    'review-secret': REVIEWS['review-secret'],
    // A form that a page of an owner would have.
    refused: after(page('/connection'), async (open) => {
      const answer = open.waitForResponse((response) => response.request().method() === 'POST');
      await open.evaluate(() => {
        const form = document.querySelector('form[action$="/language"]').cloneNode(true);
        form.action = form.action.replace('/language', '/connection/okta/key');
        document.body.append(form);
        form.submit();
      });
      assert.equal((await answer).status(), 403);
      await open.getByText('Ask an owner').waitFor();
    }),
  },
};
