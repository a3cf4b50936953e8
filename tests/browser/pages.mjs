// Where the pages have what the tests click and read. A form is found by its action, which is part of its URL; everything
// else by its role and its English text.

const form = (page, action) => page.locator(`form[method="post"][action$="${action}"]`);
const submit = (page, action) => form(page, action).getByRole('button');
const content = (page) => page.getByRole('main');

export const navigation = {
  link: (page, name) => page.getByRole('navigation').getByRole('link', { name, exact: true }),
  language: (page) => form(page, '/language'),
  leave: (page) => submit(page, '/leave'),
};

export const connection = {
  turnOn: (page) => content(page).getByRole('button', { name: 'Turn SCIM on' }),
  turnOff: (page) => content(page).getByRole('button', { name: 'Turn SCIM off' }),
  okta: (page) => content(page).getByRole('link', { name: /^Connect Okta/ }),
  entra: (page) => content(page).getByRole('link', { name: /^Connect Microsoft Entra ID/ }),
};

/** A button that copies a value for the identity provider. */
export const copy = (page, label) => content(page).getByRole('button', { name: `Copy ${label}`, exact: true });

export const okta = {
  create: (page) => submit(page, '/connection/okta/key'),
};

export const entra = {
  federation: (page) => submit(page, '/connection/entra/federation'),
  field: (page, name) => form(page, '/connection/entra/federation').getByLabel(name),
  secret: (page) => submit(page, '/connection/entra/secret'),
  key: (page) => submit(page, '/connection/entra/key'),
};

/** The part of the steps that waits for the identity provider. */
export const verify = {
  says: (page, text) => page.locator('[aria-live]').getByText(text).first(),
};

export const keys = {
  /** Shows the form that creates a key, if it is folded. */
  openForm: async (page) => {
    if (!(await keys.submit(page).isVisible())) await content(page).locator('summary').getByText('Create a key').click();
  },
  label: (page) => form(page, '/keys').getByLabel('Label'),
  scope: (page, name) => form(page, '/keys').getByRole('switch', { name }),
  submit: (page) => submit(page, '/keys'),
  /** The part of the page about one key. */
  row: (page, id) => page.locator(`[id="key-${id}"]`),
  /** Follows the link of an action to the page that shows it for review. */
  review: async (page, id, action) => {
    await content(page).locator(`a[href$="/keys/${id}/${action}"]`).click();
    await page.waitForLoadState();
  },
  confirm: async (page, id, action) => {
    await submit(page, `/keys/${id}/${action}`).click();
    await page.waitForLoadState();
  },
  act: async (page, id, action) => {
    await keys.review(page, id, action);
    await keys.confirm(page, id, action);
  },
};

export const clients = {
  addSecret: (page, id) => submit(page, `/clients/${id}/secret`),
};

export const directory = {
  search: (page) => content(page).getByRole('searchbox'),
  next: (page) => content(page).getByRole('link', { name: 'Next page' }),
};

export const activity = {
  entries: (page) => content(page).locator('a[href*="/activity/"]'),
  filter: (page, name) => content(page).getByLabel(name, { exact: true }),
  /** The names that the filter offers for what was typed. */
  offered: (page, name) => page.locator(`#${name.toLowerCase()}-names option`),
  show: (page) => content(page).getByRole('button', { name: 'Show' }),
  news: (page) => content(page).getByRole('status').getByRole('link'),
};

/** The pages that each session can open, with their titles. */
export const PAGES = [
  ['overview', '/overview', 'Overview'],
  ['connection', '/connection', 'Connection'],
  ['okta', '/connection/okta', 'Okta'],
  ['entra', '/connection/entra', 'Entra'],
  ['keys', '/keys', 'Keys and clients'],
  ['people', '/people', 'People'],
  ['teams', '/teams', 'Teams'],
  ['activity', '/activity', 'Activity'],
];

/** The forms that change something, with valid fields. `{key}` is the id of a key, `{client}` of a client. */
export const CHANGES = [
  ['/connection/scim', { enabled: 'false' }],
  ['/connection/okta/key', {}],
  ['/connection/entra/federation', { tenant: '0f1e2d3c-4b5a-4697-8877-665544332211', subject: 'x', audience: 'api://x' }],
  ['/connection/entra/secret', {}],
  ['/connection/entra/key', {}],
  ['/keys', { label: 'Not created', scim: 'on', expiry: 'none' }],
  ['/keys/{key}/rotate', { days: '7' }],
  ['/keys/{key}/complete', {}],
  ['/keys/{key}/cancel', {}],
  ['/keys/{key}/revoke', {}],
  ['/clients', { label: 'Not created', scim: 'on', expiry: '365' }],
  ['/clients/{client}/secret', { expiry: '365' }],
  ['/clients/{client}/secrets/{secret}/end', {}],
  ['/clients/{client}/delete', {}],
];
