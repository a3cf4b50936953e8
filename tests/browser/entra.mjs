// Acts as Microsoft Entra ID: the requests of tests/fixtures/entra, with a bearer key, a client secret or a token that a
// fake issuer signs (workload identity federation).

import { randomUUID } from 'node:crypto';

import { ENTERPRISE, GROUP, PATCH, USER, expecting, send } from './scim.mjs';

const USER_AGENT = 'Microsoft Azure AD SCIM provisioning 1.0.0';

export class Entra {
  #token = null;

  /**
   * `tenantUrl` is the value of the field "Tenant URL". `secretToken` is a key. Without it, `oauth` has `tokenUrl`, `clientId`
   * and either `clientSecret` or `assertion`, a function that returns a signed token.
   */
  constructor({ tenantUrl, secretToken, oauth }) {
    const url = new URL(tenantUrl);
    this.flag = url.search.slice(1);
    this.base = url.origin + url.pathname.replace(/\/$/, '');
    this.secretToken = secretToken;
    this.oauth = oauth;
  }

  /** Requests an access token. */
  async exchange() {
    const { tokenUrl, clientId, clientSecret, assertion } = this.oauth;
    const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId });
    if (clientSecret) {
      form.set('client_secret', clientSecret);
    } else {
      form.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
      form.set('client_assertion', assertion());
    }
    const response = await fetch(tokenUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'user-agent': USER_AGENT },
      body: form,
    });
    const body = await response.json();
    if (response.ok) this.#token = body.access_token;
    return { status: response.status, body };
  }

  async request(method, target, body) {
    let token = this.secretToken;
    if (!token) {
      if (!this.#token) {
        const answer = await this.exchange();
        if (answer.status !== 200) return answer;
      }
      token = this.#token;
    }
    const [path, query] = target.split('?');
    const search = [query, this.flag].filter(Boolean).join('&');
    const headers = {
      'user-agent': USER_AGENT,
      authorization: `Bearer ${token}`,
      accept: 'application/scim+json',
      'content-type': 'application/scim+json; charset=utf-8',
    };
    return send(method, `${this.base}${path}${search && `?${search}`}`, headers, body);
  }

  #filter(kind, attribute, value, others = '') {
    const filter = `${attribute} eq ${JSON.stringify(value)}`;
    return this.request('GET', `/${kind}?${others}${new URLSearchParams({ filter })}`);
  }

  /** The button "Test Connection". */
  testConnection() {
    return this.#filter('Users', 'userName', randomUUID());
  }

  /** Provisions a person, and returns the id. */
  async provision(userName, attributes = {}) {
    expecting(await this.#filter('Users', 'userName', userName), 200);
    const [givenName, familyName] = userName.split('@')[0].split('.').concat('Example');
    const answer = await this.request('POST', '/Users', {
      schemas: [USER, ENTERPRISE],
      externalId: randomUUID(),
      userName,
      active: true,
      displayName: `${givenName} ${familyName}`,
      emails: [{ primary: true, type: 'work', value: userName }],
      meta: { resourceType: 'User' },
      name: { formatted: `${givenName} ${familyName}`, familyName, givenName },
      roles: [],
      ...attributes,
    });
    return expecting(answer, 201).body.id;
  }

  patch(kind, id, Operations) {
    return this.request('PATCH', `/${kind}/${id}`, { schemas: [PATCH], Operations });
  }

  async rename(id, displayName) {
    return expecting(await this.patch('Users', id, [{ op: 'replace', value: { displayName } }]), 200, 204);
  }

  async disable(id) {
    return expecting(await this.patch('Users', id, [{ op: 'replace', path: 'active', value: false }]), 200, 204);
  }

  /** Provisions a group and its members, and returns the id. */
  async provisionGroup(displayName, members) {
    expecting(await this.#filter('Groups', 'displayName', displayName, 'excludedAttributes=members&'), 200);
    const created = await this.request('POST', '/Groups', {
      schemas: [GROUP, 'http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group'],
      externalId: randomUUID(),
      displayName,
      meta: { resourceType: 'Group' },
    });
    const { id } = expecting(created, 201).body;
    const value = members.map((member) => ({ value: member }));
    expecting(await this.patch('Groups', id, [{ op: 'add', path: 'members', value }]), 204);
    return id;
  }

  async takeOut(group, member) {
    return expecting(await this.patch('Groups', group, [{ op: 'remove', path: `members[value eq "${member}"]` }]), 204);
  }
}
