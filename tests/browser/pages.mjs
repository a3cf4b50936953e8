// Where the pages have what the tests click and read. A form is found by its action, which is part of its URL; everything
// else by its role and its English text.

const form = (page, action) => page.locator(`form[action$="${action}"]`);
const submit = (page, action) => form(page, action).getByRole('button');

export const navigation = {
  link: (page, name) => page.getByRole('navigation').first().getByRole('link', { name, exact: true }),
  language: (page) => form(page, '/language'),
  leave: (page) => submit(page, '/leave'),
};

export const connection = {
  toggle: (page) => submit(page, '/connection/scim'),
  /** Returns whether SCIM is turned off. */
  isOff: (page) => form(page, '/connection/scim').locator('[name="enabled"][value="true"]').count().then(Boolean),
  okta: (page) => page.getByRole('main').getByRole('link', { name: /Okta/ }).first(),
  entra: (page) => page.getByRole('main').getByRole('link', { name: /Entra/ }).first(),
};

/** A value that the owner copies into the identity provider. */
export const value = {
  copy: (page, label) => page.getByRole('button', { name: new RegExp(`Copy.*${label}|${label}.*Copy`, 'i') }).first(),
  /** The secret that is shown once: a key or a client secret. */
  secret: (page) => page.locator('main').getByText(/^\s*scim(secret)?_\S+\s*$/).first(),
};

export const okta = {
  create: (page) => submit(page, '/connection/okta/key'),
};

/** The part of the steps that waits for the identity provider. */
export const verify = {
  says: (page, text) => page.locator('[aria-live], [role="status"]').getByText(text).first(),
};

export const entra = {
  federation: (page) => form(page, '/entra/federation'),
  secret: (page) => submit(page, '/entra/secret'),
  key: (page) => submit(page, '/entra/key'),
};

export const keys = {
  /** Shows the form that creates a key, if it is folded. */
  openForm: async (page) => {
    if (!(await keys.submit(page).isVisible())) await page.locator('summary', { has: page.getByText(/create|new key/i) }).first().click();
  },
  create: (page) => page.locator('form[action$="/keys"]'),
  label: (page) => keys.create(page).getByLabel(/label|name/i),
  expiry: (page) => keys.create(page).getByLabel(/end|expir/i),
  submit: (page) => keys.create(page).getByRole('button'),
  /** The part of the page about one key. */
  row: (page, id) => page.locator(`[id="key-${id}"]`),
  action: (page, id, action) => page.locator(`form[action$="/keys/${id}/${action}"]`).getByRole('button'),
};

export const directory = {
  search: (page) => page.getByRole('searchbox'),
  next: (page) => page.getByRole('link', { name: 'Next page' }),
};

export const activity = {
  entries: (page) => page.locator('main a[href*="/activity/"]'),
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

/** The forms that change something, with fields that are valid. `{key}` is the id of a key, `{client}` of a client. */
export const CHANGES = [
  ['/connection/scim', { enabled: 'false' }],
  ['/connection/okta/key', {}],
  ['/connection/entra/secret', {}],
  ['/connection/entra/key', {}],
  ['/keys', { label: 'Not created', scim: 'on' }],
  ['/keys/{key}/rotate', {}],
  ['/keys/{key}/revoke', {}],
];
